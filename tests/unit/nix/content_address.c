/* SPDX-License-Identifier: MIT */
#include "nix/content_address.h"
#include "nix/hash_text.h"
#include "test.h"

#include "base/path.h"
#include "nix/nar.h"

#include <string.h>

/* What Nix itself makes content-addressed: it names the path, we must come to the same name. */
struct sample {
	struct narinfo info;
	const char *dir;
};

static void sample_init(struct sample *s, const char *path, const char *ca_format, const char *hash)
{
	struct err err = ERR_INIT;
	*s = (struct sample){.dir = NULL};
	s->info.path = strdup(path);
	s->info.ca = path_printf(&err, "%s%s", ca_format, hash);
	assert_non_null(s->info.ca);
}

#define NIX "NIX_REMOTE= NIX_CONFIG='build-users-group =' nix-store --store 'local?root=%s' "

static char *add(const char *dir, const char *how, const char *file)
{
	return test_shell_output(NIX "%s '%s/%s'", dir, how, dir, file);
}

static struct digest nar_hash(const char *path)
{
	struct err err = ERR_INIT;
	struct nar_hasher hasher;
	nar_hasher_init(&hasher);
	struct nar_sink sink = nar_hasher_sink(&hasher);
	assert_ok(nar_write_path(path, &sink, &err));
	return nar_hasher_finish(&hasher);
}

static void as_nix_names_them(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	char text[HASH_TEXT_SIZE];
	enum content_check check;
	struct digest hash;
	test_write(dir, "file", "hello\n", 6);
	AUTO_FREE char *file = path_printf(&err, "%s/file", dir);
	struct digest nar = nar_hash(file), flat = digest_of("hello\n", 6);

	AUTO_FREE char *source = add(dir, "--add", "file");
	struct sample s;
	sample_init(&s, source, "fixed:r:", hash_text_format(&nar, text));
	s.info.nar_hash = nar;
	assert_ok(content_address_check(&s.info, "/nix/store", &check, &hash, &err));
	assert_int_equal(check, CONTENT_IS_NAR);
	assert_true(digest_equal(&hash, &nar));
	/* Another NAR than the address says. */
	AUTO_FREE char *message =
		path_printf(&err, "the content address '%s' is not that of its NarHash", s.info.ca);
	s.info.nar_hash = flat;
	assert_int_equal(content_address_check(&s.info, "/nix/store", &check, &hash, &err), -1);
	assert_err(&err, ERR_CORRUPT, message);
	/* References are part of the name. */
	assert_ok(strvec_push(&s.info.refs, "/nix/store/9y8pmvk8gdwwznmkzxa6pwyah52xy3nk-x", &err));
	assert_int_equal(content_address_check(&s.info, "/nix/store", &check, &hash, &err), -1);
	assert_int_equal(err.kind, ERR_CORRUPT);
	err_reset(&err);
	narinfo_done(&s.info);

	AUTO_FREE char *fixed = add(dir, "--add-fixed sha256", "file");
	sample_init(&s, fixed, "fixed:", hash_text_format(&flat, text));
	assert_ok(content_address_check(&s.info, "/nix/store", &check, &hash, &err));
	assert_int_equal(check, CONTENT_IS_FILE);
	assert_true(digest_equal(&hash, &flat));
	narinfo_done(&s.info);
}

/* builtins.toFile: a text with a reference to another. */
static void texts_with_references(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	char text[HASH_TEXT_SIZE];
	enum content_check check;
	struct digest hash;
	AUTO_FREE char *path = test_shell_output(
		"NIX_REMOTE= NIX_CONFIG='build-users-group =' nix-instantiate --store "
		"'local?root=%s' --eval --read-write-mode -E 'let a = builtins.toFile \"a\" "
		"\"first\"; in builtins.toFile \"b\" \"then ${a}\"' | tr -d '\"'",
		dir);
	AUTO_FREE char *ref = test_shell_output(NIX "-q --references '%s'", dir, path);
	AUTO_FREE char *contents = path_printf(&err, "then %s", ref);
	struct digest flat = digest_of(contents, strlen(contents));
	struct sample s;
	sample_init(&s, path, "text:", hash_text_format(&flat, text));
	assert_ok(strvec_push(&s.info.refs, ref, &err));
	assert_ok(content_address_check(&s.info, "/nix/store", &check, &hash, &err));
	assert_int_equal(check, CONTENT_IS_FILE);
	s.info.path[20] = s.info.path[20] == '0' ? '1' : '0';
	assert_int_equal(content_address_check(&s.info, "/nix/store", &check, &hash, &err), -1);
	assert_int_equal(err.kind, ERR_CORRUPT);
	err_reset(&err);
	narinfo_done(&s.info);
}

static void what_only_signatures_decide(void **state)
{
	(void)state;
	static const char *const forms[] = {"fixed:sha1:x", "fixed:r:sha512:x", "fixed:git:sha1:x",
		"text:md5:x", "fixed:sha256:short", "", "nonsense"};
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct err err = ERR_INIT;
		enum content_check check = CONTENT_IS_NAR;
		struct digest hash;
		struct sample s;
		sample_init(&s, "/nix/store/9y8pmvk8gdwwznmkzxa6pwyah52xy3nk-x", forms[i], "");
		assert_ok(content_address_check(&s.info, "/nix/store", &check, &hash, &err));
		assert_int_equal(check, CONTENT_UNKNOWN);
		narinfo_done(&s.info);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_nix_names_them),
		cmocka_unit_test(texts_with_references),
		cmocka_unit_test(what_only_signatures_decide),
	};
	return TEST_MAIN(tests);
}
