/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "manifest/manifest.h"

#include <string.h>

#define ISSUED ((int64_t)1700000000)  /* 2023-11-14 22:13:20 UTC */
#define EXPIRES ((int64_t)1700086400) /* a day later */

struct world {
	struct secret_key first, second, strange;
	public_keys trusted; /* of first and second */
	struct manifest manifest;
};

static void trust(struct world *w, const struct secret_key *secret)
{
	struct err err = ERR_INIT;
	struct public_key public;
	assert_ok(secret_key_public(secret, &public, &err));
	assert_ok(vec_push(&w->trusted, public, &err));
}

static void world_init(struct world *w)
{
	struct err err = ERR_INIT;
	struct digest digest = digest_of("catalog", 7);
	*w = (struct world){.manifest = {.name = strdup("default"),
				    .system = strdup("/nix/store/x"),
				    .serial = 5,
				    .issued = ISSUED,
				    .expires = EXPIRES,
				    .cmdline = strdup("quiet"),
				    .catalog = {.digest = digest, .size = 100}}};
	assert_ok(vec_push(&w->manifest.catalog.pieces, digest, &err));
	assert_ok(secret_key_generate("first", &w->first, &err));
	assert_ok(secret_key_generate("second", &w->second, &err));
	assert_ok(secret_key_generate("strange", &w->strange, &err));
	trust(w, &w->first);
	trust(w, &w->second);
}

static void world_done(struct world *w)
{
	secret_key_done(&w->first);
	secret_key_done(&w->second);
	secret_key_done(&w->strange);
	VEC_FOREACH(key, &w->trusted)
		public_key_done(key);
	vec_done(&w->trusted);
	manifest_done(&w->manifest);
}

static struct manifest_trust usual(const struct world *w)
{
	return (struct manifest_trust){.keys = &w->trusted,
		.name = "default",
		.min_serial = 5,
		.now = ISSUED + 60,
		.origin_now = ISSUED + 61};
}

static void refuse(const struct world *w, const struct manifest_trust *trust, const char *msg)
{
	struct err err = ERR_INIT;
	assert_int_equal(manifest_check(&w->manifest, trust, &err), -1);
	assert_err(&err, ERR_UNTRUSTED, msg);
}

static void needs_one_good_signature(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct world w;
	world_init(&w);
	struct manifest_trust t = usual(&w);
	refuse(&w, &t, "manifest 'default' has no signature");
	assert_ok(manifest_sign(&w.manifest, &w.strange, &err));
	assert_int_equal(manifest_check(&w.manifest, &t, &err), -1);
	assert_string_equal(
		err.hint, "a machine trusts the keys in its initramfs; elsewhere --key adds one");
	assert_err(&err, ERR_UNTRUSTED,
		"manifest 'default' is signed by a key that is not trusted, 'strange'");
	/* Rotation: a key that nobody knows beside one that is known. */
	assert_ok(manifest_sign(&w.manifest, &w.second, &err));
	assert_ok(manifest_check(&w.manifest, &t, &err));
	w.manifest.signatures.items[1].bytes[0] ^= 1;
	refuse(&w, &t, "manifest 'default' has a wrong signature by the trusted key 'second'");
	/* A wrong one does not spoil a good one. */
	assert_ok(manifest_sign(&w.manifest, &w.first, &err));
	assert_ok(manifest_check(&w.manifest, &t, &err));
	public_keys none = {0};
	t.keys = &none;
	refuse(&w, &t, "manifest 'default' is signed by a key that is not trusted, 'strange'");
	world_done(&w);
}

/* A stranger's key of a name that is trusted. */
static void a_name_is_no_key(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct world w;
	world_init(&w);
	struct manifest_trust t = usual(&w);
	free(w.strange.name);
	w.strange.name = strdup("first");
	assert_ok(manifest_sign(&w.manifest, &w.strange, &err));
	refuse(&w, &t, "manifest 'default' has a wrong signature by the trusted key 'first'");
	world_done(&w);
}

static void covers_every_field(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct world w;
	world_init(&w);
	struct manifest_trust t = usual(&w);
	const char *wrong = "manifest 'default' has a wrong signature by the trusted key 'first'";
	assert_ok(manifest_sign(&w.manifest, &w.first, &err));
	assert_ok(manifest_check(&w.manifest, &t, &err));
	w.manifest.serial++;
	refuse(&w, &t, wrong);
	w.manifest.serial--;
	w.manifest.expires++;
	refuse(&w, &t, wrong);
	w.manifest.expires--;
	w.manifest.issued--;
	refuse(&w, &t, wrong);
	w.manifest.issued++;
	w.manifest.cmdline[0] = 'Q';
	refuse(&w, &t, wrong);
	w.manifest.cmdline[0] = 'q';
	w.manifest.system[1] = 'N';
	refuse(&w, &t, wrong);
	w.manifest.system[1] = 'n';
	w.manifest.catalog.digest.bytes[31] ^= 1;
	refuse(&w, &t, wrong);
	w.manifest.catalog.digest.bytes[31] ^= 1;
	w.manifest.catalog.size++;
	refuse(&w, &t, wrong);
	w.manifest.catalog.size--;
	assert_ok(manifest_check(&w.manifest, &t, &err));
	world_done(&w);
}

static void name_and_serial(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct world w;
	world_init(&w);
	struct manifest_trust t = usual(&w);
	assert_ok(manifest_sign(&w.manifest, &w.first, &err));
	t.name = "other";
	refuse(&w, &t, "manifest 'default' came when 'other' was asked for");
	t.name = "default";
	t.min_serial = 6;
	assert_int_equal(manifest_check(&w.manifest, &t, &err), -1);
	assert_string_equal(err.hint,
		"an old one was sent again, or two origins count apart: they must share --state; "
		"to go back to an old system, issue it anew");
	assert_err(&err, ERR_UNTRUSTED,
		"manifest 'default' has serial 5, but this machine has seen 6");
	t.min_serial = 5;
	assert_ok(manifest_check(&w.manifest, &t, &err));
	t.min_serial = 0;
	assert_ok(manifest_check(&w.manifest, &t, &err));
	world_done(&w);
}

static void clocks(void **state)
{
	(void)state;
	const int64_t year = 365 * 86400;
	struct err err = ERR_INIT;
	struct world w;
	world_init(&w);
	assert_ok(manifest_sign(&w.manifest, &w.first, &err));
	const struct {
		int64_t now, origin_now;
		const char *msg; /* NULL: it boots */
	} cases[] = {
		{ISSUED, 0, NULL},
		{EXPIRES, 0, NULL},
		/* Dead battery: 1970, or before it, or ten years back. */
		{0, 0, NULL},
		{-1, 0, NULL},
		{ISSUED - 10 * year, ISSUED + 5, NULL},
		/* The origin's Date cannot make a manifest older than a clock does. */
		{0, EXPIRES + year, NULL},
		{EXPIRES + 1, 0,
			"manifest 'default' expired at 2023-11-15 22:13:20 UTC: here it is "
			"2023-11-15 22:13:21 UTC"},
		/* Ten years ahead, and the origin's Date is within the manifest's life. */
		{ISSUED + 10 * year, ISSUED, NULL},
		{ISSUED + 10 * year, EXPIRES, NULL},
		/* Date before the issue: replayed by one whose clock is wrong, too. */
		{ISSUED + 10 * year, ISSUED - 1,
			"manifest 'default' expired at 2023-11-15 22:13:20 UTC: here it is "
			"2033-11-11 22:13:20 UTC, at the origin 2023-11-14 22:13:19 UTC"},
		{ISSUED + 10 * year, EXPIRES + 1,
			"manifest 'default' expired at 2023-11-15 22:13:20 UTC: here it is "
			"2033-11-11 22:13:20 UTC, at the origin 2023-11-15 22:13:21 UTC"},
		{INT64_MAX, 0,
			"manifest 'default' expired at 2023-11-15 22:13:20 UTC: here it is second "
			"9223372036854775807"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct manifest_trust t = usual(&w);
		t.now = cases[i].now;
		t.origin_now = cases[i].origin_now;
		if (cases[i].msg != NULL)
			refuse(&w, &t, cases[i].msg);
		else
			assert_ok(manifest_check(&w.manifest, &t, &err));
	}
	world_done(&w);
}

static void signatures_have_a_limit(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct world w;
	world_init(&w);
	for (int i = 0; i < 8; i++)
		assert_ok(manifest_sign(&w.manifest, &w.first, &err));
	assert_int_equal(manifest_sign(&w.manifest, &w.first, &err), -1);
	assert_err(&err, ERR_LIMIT, "a manifest has at most 8 signatures");
	world_done(&w);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(needs_one_good_signature),
		cmocka_unit_test(a_name_is_no_key),
		cmocka_unit_test(covers_every_field),
		cmocka_unit_test(name_and_serial),
		cmocka_unit_test(clocks),
		cmocka_unit_test(signatures_have_a_limit),
	};
	return TEST_MAIN(tests);
}
