/* SPDX-License-Identifier: MIT */
/* Store paths that come as NARs: the pool is the same, byte for byte, as when they come from the
 * disk. */
#include "pool/supply.h"
#include "sandbox.h"

#include "../nix/nar_echo.h"

/* Brings the NARs of the sandbox's own paths, changed as the case wants it. */
struct nars {
	struct sandbox *sandbox;
	size_t piece;
	void (*spoil)(struct buf *nar, unsigned attempt);
	unsigned attempts;
	bool is_file;
	struct digest file_hash;
	size_t begun;
};

struct bringing {
	struct buf nar;
	struct echo_input in;
};

static int begin(void *data, const size_t *items, size_t count, struct err *err)
{
	struct nars *nars = data;
	(void)items, (void)err;
	nars->begun = count;
	return 0;
}

static int open_nar(
	void *data, size_t item, unsigned attempt, struct pool_feed *ret, struct err *err)
{
	struct nars *nars = data;
	if (attempt >= nars->attempts)
		return 0;
	struct bringing *b = calloc(1, sizeof(*b));
	const struct path_info *info = &nars->sandbox->closure.items[item];
	AUTO_FREE char *path =
		path_printf(err, "%s/%s", nars->sandbox->store, path_basename(info->path));
	const struct nar_sink sink = {echo_keep, &b->nar};
	assert_int_equal(nar_write_path(path, &sink, err), 0);
	if (nars->spoil != NULL)
		nars->spoil(&b->nar, attempt);
	b->in = (struct echo_input){.data = b->nar.data, .len = b->nar.len, .piece = nars->piece};
	*ret = (struct pool_feed){.input = {echo_read, &b->in},
		.from = "cache/x.nar",
		.is_file = nars->is_file,
		.file_hash = nars->file_hash,
		.handle = b};
	return 1;
}

static void close_nar(void *data, struct pool_feed *feed)
{
	(void)data;
	struct bringing *b = feed->handle;
	buf_done(&b->nar);
	free(b);
}

static struct pool_supply supply_of(struct nars *nars)
{
	if (nars->attempts == 0)
		nars->attempts = 1;
	if (nars->piece == 0)
		nars->piece = 100000;
	return (struct pool_supply){begin, open_nar, close_nar, nars};
}

static int keep_nar(void *data, const void *bytes, size_t len, struct err *err)
{
	return buf_put(data, bytes, len, err);
}

/* What the pool has is the NAR again. */
static void assert_unpacks(
	struct pool *pool, const struct path_info *info, const struct pool_segment *segment)
{
	struct err err = ERR_INIT;
	AUTO_BUF nar = {0};
	const struct nar_sink sink = {keep_nar, &nar};
	assert_ok(pool_write_nar(pool, segment, &sink, &err));
	struct digest digest = digest_of(nar.data, nar.len);
	assert_true(digest_equal(&digest, &info->nar_hash));
}

/* Adds everything from the disk to one pool and from NARs to another, and compares. */
static void assert_same(struct sandbox *s, struct nars *nars)
{
	struct err err = ERR_INIT;
	struct pool *pools[2];
	struct pool_supply supply = supply_of(nars);
	pools[0] = sandbox_open(s);
	free(s->pool);
	s->pool = path_printf(&err, "%s/second", s->dir);
	pools[1] = sandbox_open(s);
	assert_ok(pool_add(pools[0], &s->closure, &sandbox_params, NULL, &err));
	assert_ok(pool_add_from(pools[1], &s->closure, &supply, &sandbox_params, NULL, &err));
	for (size_t i = 0; i < s->closure.len; i++) {
		const struct path_info *info = &s->closure.items[i];
		struct pool_segment a, b;
		assert_int_equal(
			pool_find(pools[0], &info->nar_hash, &sandbox_params, &a, &err), 1);
		assert_int_equal(
			pool_find(pools[1], &info->nar_hash, &sandbox_params, &b, &err), 1);
		assert_int_equal(a.data_size, b.data_size);
		assert_true(digest_equal(&a.tree, &b.tree));
		assert_unpacks(pools[1], info, &b);
	}
	struct pool_check check = {.jobs = 1};
	uint64_t problems;
	assert_ok(pool_verify(pools[1], &check, NULL, &problems, &err));
	assert_int_equal(problems, 0);
	pool_close(pools[0]);
	pool_close(pools[1]);
}

static void the_same_bytes(void **state)
{
	(void)state;
	static const struct {
		const char *name, *script;
	} paths[] = {
		{"file", "seq 100000 >file"},
		{"tool", "cp /bin/true tool && chmod 755 tool"},
		{"link", "ln -s /nix/store/nowhere link"},
		{"nothing", "touch nothing"},
		{"empty", "mkdir empty"},
		{"nested",
			"mkdir -p nested/a/b nested/a.b nested/a-b nested/z/y/x && touch "
			"nested/a/b/c "
			"nested/z/y/x/w nested/m && ln -s m nested/n && seq 9 >nested/a/bb"},
		{"deep",
			"d=deep; for i in $(seq 200); do d=$d/d; done; mkdir -p $d && seq 5 >$d/f"},
		{"sizes",
			"mkdir sizes && cd sizes && for n in 0 1 131071 131072 131073 262143 "
			"262144 "
			"262145 400000; do head -c $n /dev/urandom >r$n; seq 100000 | head -c $n "
			">s$n; head -c $n /dev/zero >z$n; done"},
		{"holes",
			"mkdir holes && truncate -s 40M holes/hole && truncate -s 20M holes/tail "
			"&& "
			"printf x >>holes/tail && truncate -s 131072 holes/exact"},
		{"twins",
			"mkdir -p twins/sub && head -c 300000 /dev/urandom >twins/a && "
			"head -c 5000 /dev/urandom >twins/s && for i in 1 2 3; do "
			"cp twins/a twins/b$i; cp twins/s twins/t$i; done; cp twins/a twins/sub; "
			"chmod +x twins/b2; head -c 300000 /dev/urandom >twins/other; "
			"cp twins/other twins/z"},
		{"many",
			"mkdir many && cd many && for i in $(seq 2000); do echo \"file $i $(seq "
			"$((i % 100)))\" >f$i; done"},
	};
	struct sandbox s;
	sandbox_init(&s);
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		test_shell("cd '%s' && set -e && %s", s.store, paths[i].script);
		sandbox_register(&s, paths[i].name);
	}
	struct nars nars = {.sandbox = &s};
	assert_same(&s, &nars);
	assert_int_equal(nars.begun, ARRAY_LEN(paths));
	sandbox_done(&s);
}

static void byte_by_byte(void **state)
{
	(void)state;
	struct sandbox s;
	sandbox_init(&s);
	test_shell("cd '%s' && mkdir p && seq 70000 >p/a && cp p/a p/b && ln -s a p/c", s.store);
	sandbox_register(&s, "p");
	struct nars nars = {.sandbox = &s, .piece = 1};
	assert_same(&s, &nars);
	sandbox_done(&s);
}

static void cut(struct buf *nar, unsigned attempt)
{
	(void)attempt;
	nar->len -= 100;
}

static void change(struct buf *nar, unsigned attempt)
{
	(void)attempt;
	nar->data[96] ^= 1;
}

static void lengthen(struct buf *nar, unsigned attempt)
{
	struct err err = ERR_INIT;
	(void)attempt;
	assert_ok(buf_put_zero(nar, 1 << 20, &err));
}

static void cut_once(struct buf *nar, unsigned attempt)
{
	if (attempt == 0)
		nar->len /= 2;
}

/* What is wrong is named and leaves nothing behind. */
static void what_is_wrong(void **state)
{
	(void)state;
	static const char unlike[] =
		"'cache/x.nar': the NAR has the hash "
		"sha256:dfd8f9876f1a40272e40a1e80ca5ac85857374de046f60e93df75d6ce1ea5d93, not the "
		"sha256:1c37d01af40be2e80691de3cc3df44377a699afbb17c68f080964b2fd071fc13 announced";
	const struct {
		void (*spoil)(struct buf *nar, unsigned attempt);
		bool is_file;
		const char *message;
	} cases[] = {
		{cut, false, "'cache/x.nar': the NAR ends after 20 bytes, in the middle"},
		{change, false, unlike},
		{lengthen, false, "'cache/x.nar': the NAR is longer than the 120 bytes announced"},
		{NULL, true,
			"'cache/x.nar': its file has the hash "
			"sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03, "
			"its content address says "
			"sha256:"
			"0000000000000000000000000000000000000000000000000000000000000000"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		struct sandbox s;
		sandbox_init(&s);
		test_write(s.store, "p", "hello\n", 6);
		sandbox_register(&s, "p");
		struct nars nars = {
			.sandbox = &s, .spoil = cases[i].spoil, .is_file = cases[i].is_file};
		struct pool_supply supply = supply_of(&nars);
		struct pool *pool = sandbox_open(&s);
		assert_int_equal(
			pool_add_from(pool, &s.closure, &supply, &sandbox_params, NULL, &err), -1);
		assert_err(&err, ERR_CORRUPT, cases[i].message);
		struct pool_stat stat;
		assert_ok(pool_stat(pool, &stat, &err));
		assert_int_equal(stat.objects, 0);
		pool_close(pool);
		test_shell("[ -z \"$(ls '%s/sessions')\" ]", s.pool);
		sandbox_done(&s);
	}
}

static void a_directory_instead_of_a_file(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sandbox s;
	sandbox_init(&s);
	test_shell("mkdir '%s/p'", s.store);
	sandbox_register(&s, "p");
	struct nars nars = {.sandbox = &s, .is_file = true};
	struct pool_supply supply = supply_of(&nars);
	struct pool *pool = sandbox_open(&s);
	assert_int_equal(pool_add_from(pool, &s.closure, &supply, &sandbox_params, NULL, &err), -1);
	assert_err(&err, ERR_CORRUPT,
		"'cache/x.nar': its content address is that of a file, which it is not");
	pool_close(pool);
	sandbox_done(&s);
}

static void from_the_next_place(void **state)
{
	(void)state;
	struct sandbox s;
	sandbox_init(&s);
	test_write(s.store, "p", "hello\n", 6);
	sandbox_register(&s, "p");
	struct nars nars = {.sandbox = &s, .spoil = cut_once, .attempts = 2};
	assert_same(&s, &nars);
	sandbox_done(&s);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_bytes),
		cmocka_unit_test(byte_by_byte),
		cmocka_unit_test(what_is_wrong),
		cmocka_unit_test(a_directory_instead_of_a_file),
		cmocka_unit_test(from_the_next_place),
	};
	return TEST_MAIN(tests);
}
