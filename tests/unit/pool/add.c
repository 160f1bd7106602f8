/* SPDX-License-Identifier: MIT */
#include "sandbox.h"

/* Makes store/<name> by a shell script that runs in the store, registers and adds it. */
static struct pool_segment add(const char *name, const char *script, struct sandbox *s)
{
	struct err err = ERR_INIT;
	test_shell("cd '%s' && set -e && %s", s->store, script);
	struct path_info *info = sandbox_register(s, name);
	struct pool *pool = sandbox_open(s);
	assert_ok(pool_add(pool, &s->closure, &sandbox_params, NULL, &err));
	struct pool_segment segment = sandbox_expect(pool, info);
	pool_close(pool);
	return segment;
}

/* A case of its own sandbox: makes, adds, unpacks and compares one store path named "p". */
#define ROUND_TRIP(name, script) \
	static void name(void **state) \
	{ \
		(void)state; \
		struct sandbox s; \
		sandbox_init(&s); \
		add("p", script, &s); \
		sandbox_done(&s); \
	}

ROUND_TRIP(odd_names,
	"mkdir p && cd p && echo 1 >'with space' && echo 2 >'grün' && echo 3 >'back\\slash' && "
	"echo 4 >\"$(printf 'new\\nline')\" && echo 5 >$(printf %0255d 0) && echo 6 >-rf && "
	"echo 7 >'*' && mkdir $(printf '%0255d' 1) && touch $(printf '%0255d' 1)/x && "
	"ln -s 'to no\\where' link && printf x >tool && chmod +x tool && "
	"echo 8 >\"$(printf 'latin\\344')\" && touch Z a && mkdir a.b a-b && touch a.b/x a-b/y")
ROUND_TRIP(deep,
	"d=p; for i in $(seq 200); do d=$d/d$i; done; mkdir -p $d && echo deep >$d/file && "
	"echo top >p/d1/zz && echo mid >p/d1/d2/d3/aa")
ROUND_TRIP(symlink_root, "ln -s /nix/store/nowhere p")
ROUND_TRIP(file_root, "seq 100000 >p")
ROUND_TRIP(executable_root, "cp /bin/true p && chmod 755 p")
ROUND_TRIP(empty_file_root, "touch p")
ROUND_TRIP(empty_directory, "mkdir p")
ROUND_TRIP(boundary_sizes,
	"mkdir p && cd p && for n in 0 1 131071 131072 131073 262143 262144 262145 400000; do "
	"head -c $n /dev/urandom >r$n; seq 100000 | head -c $n >s$n; head -c $n /dev/zero >z$n; "
	"done")
ROUND_TRIP(many_small_files,
	"mkdir p && cd p && for i in $(seq 3000); do echo \"file $i $(seq $((i % 100)))\" >f$i; "
	"done")

static void sparse_file(void **state)
{
	(void)state;
	struct sandbox s;
	sandbox_init(&s);
	struct pool_segment segment = add("p",
		"mkdir p && truncate -s 300M p/hole && truncate -s 200M p/tail && "
		"printf x >>p/tail && printf y | dd of=p/hole bs=1 seek=150000000 conv=notrunc "
		"status=none && truncate -s 131072 p/exact && truncate -s 131073 p/over",
		&s);
	assert_true(segment.data_size < 1000);
	sandbox_done(&s);
}

static void identical_files_share(void **state)
{
	(void)state;
	struct sandbox s;
	sandbox_init(&s);
	struct pool_segment one = add("one",
		"mkdir one && head -c 300000 /dev/urandom >one/a && head -c 5000 /dev/urandom "
		">one/s",
		&s);
	struct pool_segment many = add("many",
		"mkdir -p many/sub && for i in 1 2 3; do cp one/a many/a$i; cp one/s many/s$i; "
		"done; "
		"cp one/a many/sub/; chmod +x many/a2; head -c 300000 /dev/urandom >many/other",
		&s);
	assert_in_range(many.data_size, one.data_size + 300000, one.data_size + 301000);
	sandbox_done(&s);
}

static void equal_contents_are_stored_once(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sandbox s;
	sandbox_init(&s);
	struct pool_segment a = add("a", "mkdir a && seq 1000 >a/x", &s);
	struct pool_segment b = add("b", "cp -r a b", &s);
	assert_true(digest_equal(&a.data, &b.data));
	assert_true(digest_equal(&a.tree, &b.tree));
	/* The same data under another name: only the tree differs. */
	struct pool_segment c = add("c", "mkdir c && cp a/x c/y", &s);
	assert_true(digest_equal(&a.data, &c.data));
	assert_false(digest_equal(&a.tree, &c.tree));
	struct pool *pool = sandbox_open(&s);
	struct pool_stat stat;
	assert_ok(pool_stat(pool, &stat, &err));
	assert_int_equal(stat.segments, 2);
	assert_int_equal(stat.objects, 3);
	assert_int_equal(stat.unused, 0);
	pool_close(pool);
	sandbox_done(&s);
}

static void bytes_do_not_depend_on_threads(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sandbox s;
	sandbox_init(&s);
	test_shell("cd '%s' && for p in a b c d; do mkdir $p; cp -r /usr/include/linux $p/; "
		   "head -c 3000000 /dev/urandom >$p/r; seq 500000 >$p/s$p; cp $p/r $p/t; done",
		s.store);
	for (const char *p = "a\0b\0c\0d\0"; *p != '\0'; p += 2)
		sandbox_register(&s, p);
	struct pool_segment segments[2][4];
	for (unsigned jobs = 1; jobs <= 4; jobs += 3) {
		test_shell("rm -rf '%s'", s.pool);
		struct pool *pool = sandbox_open(&s);
		struct pool_params params = {.level = sandbox_params.level, .jobs = jobs};
		assert_ok(pool_add(pool, &s.closure, &params, NULL, &err));
		for (size_t i = 0; i < 4; i++)
			segments[jobs > 1][i] = sandbox_expect(pool, &s.closure.items[i]);
		pool_close(pool);
	}
	for (size_t i = 0; i < 4; i++) {
		assert_true(digest_equal(&segments[0][i].data, &segments[1][i].data));
		assert_true(digest_equal(&segments[0][i].tree, &segments[1][i].tree));
	}
	sandbox_done(&s);
}

/* Found on x86-64 with zstd 1.5.4. Whatever the machine, they stay, or `segment=` has to change. */
static void bytes_are_the_same_everywhere(void **state)
{
	(void)state;
	if (strcmp(ZSTD_versionString(), "1.5.4") != 0) {
		print_message("other versions of zstd give other bytes\n");
		skip();
	}
	struct err err = ERR_INIT;
	struct sandbox s;
	sandbox_init(&s);
	test_shell("cd '%s' && mkdir p && seq 200000 >p/large && seq 2000 >p/small && "
		   "seq 20000 | tac >p/middle && printf x >p/byte && truncate -s 1M p/hole && "
		   "ln -s byte p/link && chmod +x p/small",
		s.store);
	sandbox_register(&s, "p");
	struct pool *pool = sandbox_open(&s);
	const struct pool_params usual = {.level = POOL_LEVEL_DEFAULT};
	struct pool_segment segment;
	assert_ok(pool_add(pool, &s.closure, &usual, NULL, &err));
	assert_int_equal(pool_find(pool, &s.closure.items[0].nar_hash, &usual, &segment, &err), 1);
	char hex[DIGEST_HEX_SIZE];
	assert_string_equal(digest_hex(&segment.data, hex),
		"781d0bb0c43c45d527280ef18375961ae3212efff09c55ee20069cbec1e94ba4");
	assert_string_equal(digest_hex(&segment.tree, hex),
		"83badc401f40671953de19c45e1a9735c2488255283bcf170c0671e7c159ed10");
	pool_close(pool);
	sandbox_done(&s);
}

static void parameters_are_kept_apart(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sandbox s;
	sandbox_init(&s);
	struct pool_segment low = add("p", "seq 100000 >p", &s);
	struct pool *pool = sandbox_open(&s);
	struct pool_params high = {.level = 15, .jobs = 1};
	struct pool_segment found;
	const struct digest *nar_hash = &s.closure.items[0].nar_hash;
	assert_int_equal(pool_find(pool, nar_hash, &high, &found, &err), 0);
	assert_ok(pool_add(pool, &s.closure, &high, NULL, &err));
	assert_int_equal(pool_find(pool, nar_hash, &high, &found, &err), 1);
	assert_true(found.data_size < low.data_size);
	pool_close(pool);
	sandbox_done(&s);
}

static void finds_closures(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sandbox s;
	sandbox_init(&s);
	add("a", "seq 10 >a", &s);
	add("b", "mkdir b", &s);
	struct pool *pool = sandbox_open(&s);
	AUTO_FREE struct pool_segment *segments = NULL;
	size_t missing = 99;
	assert_int_equal(
		pool_find_closure(pool, &s.closure, &sandbox_params, &segments, &missing, &err), 1);
	assert_int_equal(segments[1].data_size, 0);
	AUTO_POOL_TREES trees = {0};
	assert_ok(pool_load_trees(pool, segments, 2, &trees, &err));
	assert_int_equal(trees.items[0].file_count, 1);
	assert_int_equal(trees.items[1].directory_count, 1);
	test_shell("mkdir '%s/c' && touch '%s/c/x'", s.store, s.store);
	sandbox_register(&s, "c");
	struct pool_segment *none = NULL;
	assert_int_equal(
		pool_find_closure(pool, &s.closure, &sandbox_params, &none, &missing, &err), 0);
	assert_int_equal(missing, 2);
	assert_null(none);
	pool_close(pool);
	sandbox_done(&s);
}

/* The store path "bad" cannot be packed, "good" is; and nothing of "bad" is left. */
static void refuse(struct sandbox *s, enum err_kind kind, const char *message)
{
	struct err err = ERR_INIT;
	struct pool *pool = sandbox_open(s);
	const struct pool_params one_thread = {.level = 3, .jobs = 1};
	assert_int_equal(pool_add(pool, &s->closure, &one_thread, NULL, &err), -1);
	AUTO_FREE char *expected = path_printf(&err, message, s->store);
	assert_err(&err, kind, expected);
	struct pool_segment segment;
	assert_int_equal(
		pool_find(pool, &s->closure.items[0].nar_hash, &sandbox_params, &segment, &err), 0);
	/* The larger one is packed first. */
	sandbox_expect(pool, &s->closure.items[1]);
	struct pool_stat stat;
	assert_ok(pool_stat(pool, &stat, &err));
	assert_int_equal(stat.segments, 1);
	assert_int_equal(stat.objects, 2);
	pool_close(pool);
	test_shell("test -z \"$(ls '%s/sessions')\"", s->pool);
	sandbox_done(s);
}

static void sandbox_with_good_and_bad(struct sandbox *s)
{
	sandbox_init(s);
	test_shell("cd '%s' && mkdir bad && seq 10 >bad/file && seq 10000 >good", s->store);
	sandbox_register(s, "bad");
	sandbox_register(s, "good");
}

static void refuses_rotten_paths(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sandbox s;
	sandbox_with_good_and_bad(&s);
	test_shell("sed -i s/7/8/ '%s/bad/file'", s.store);
	uint64_t size;
	AUTO_FREE char *bad = path_printf(&err, "%s/bad", s.store);
	struct digest now = sandbox_nar_hash(bad, &size);
	char a[DIGEST_HEX_SIZE], b[DIGEST_HEX_SIZE];
	AUTO_FREE char *message = path_printf(&err,
		"store path '/nix/store/bad': its contents have the hash sha256:%s, the store "
		"recorded sha256:%s",
		digest_hex(&now, a), digest_hex(&s.closure.items[0].nar_hash, b));
	refuse(&s, ERR_CORRUPT, message);
}

static void refuses_other_types(void **state)
{
	(void)state;
	struct sandbox s;
	sandbox_with_good_and_bad(&s);
	test_shell("mkfifo '%s/bad/pipe'", s.store);
	refuse(&s, ERR_UNSUPPORTED,
		"store path '/nix/store/bad': '%s/bad/pipe' is a fifo, and a store path has only "
		"directories, files and symlinks");
}

static void refuses_missing_paths(void **state)
{
	(void)state;
	struct sandbox s;
	sandbox_with_good_and_bad(&s);
	test_shell("rm -r '%s/bad'", s.store);
	refuse(&s, ERR_NOT_FOUND,
		"store path '/nix/store/bad': cannot read '%s/bad': No such file or directory");
}

/* A file that has fewer bytes than it says: what sysfs does with every file. */
static void refuses_files_that_end_early(void **state)
{
	(void)state;
	struct sandbox s;
	sandbox_with_good_and_bad(&s);
	if (access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK) != 0 || geteuid() != 0)
		test_skip("needs root and sysfs");
	test_shell(
		"mount --bind /sys/kernel/mm/transparent_hugepage/enabled '%s/bad/file'", s.store);
	struct err err = ERR_INIT;
	struct pool *pool = sandbox_open(&s);
	int r = pool_add(pool, &s.closure, &sandbox_params, NULL, &err);
	test_shell("umount '%s/bad/file'", s.store);
	assert_int_equal(r, -1);
	AUTO_FREE char *expected = path_printf(&err,
		"store path '/nix/store/bad': '%s/bad/file' ended before its 4096 bytes while it "
		"was read",
		s.store);
	assert_err(&err, ERR_CORRUPT, expected);
	pool_close(pool);
	sandbox_done(&s);
}

/* /proc/self/mem has size 0 and gives EIO at its start. */
static void refuses_unreadable_files(void **state)
{
	(void)state;
	struct sandbox s;
	sandbox_with_good_and_bad(&s);
	if (geteuid() != 0)
		test_skip("needs root to mount");
	test_shell("mount --bind /proc/%d/mem '%s/bad/file'", getpid(), s.store);
	struct err err = ERR_INIT;
	struct pool *pool = sandbox_open(&s);
	int r = pool_add(pool, &s.closure, &sandbox_params, NULL, &err);
	test_shell("umount '%s/bad/file'", s.store);
	assert_int_equal(r, -1);
	AUTO_FREE char *expected = path_printf(&err,
		"store path '/nix/store/bad': cannot read '%s/bad/file': Input/output error",
		s.store);
	assert_err(&err, ERR_IO, expected);
	pool_close(pool);
	sandbox_done(&s);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(odd_names),
		cmocka_unit_test(deep),
		cmocka_unit_test(symlink_root),
		cmocka_unit_test(file_root),
		cmocka_unit_test(executable_root),
		cmocka_unit_test(empty_file_root),
		cmocka_unit_test(empty_directory),
		cmocka_unit_test(boundary_sizes),
		cmocka_unit_test(many_small_files),
		cmocka_unit_test(sparse_file),
		cmocka_unit_test(identical_files_share),
		cmocka_unit_test(equal_contents_are_stored_once),
		cmocka_unit_test(bytes_do_not_depend_on_threads),
		cmocka_unit_test(bytes_are_the_same_everywhere),
		cmocka_unit_test(parameters_are_kept_apart),
		cmocka_unit_test(finds_closures),
		cmocka_unit_test(refuses_rotten_paths),
		cmocka_unit_test(refuses_other_types),
		cmocka_unit_test(refuses_missing_paths),
		cmocka_unit_test(refuses_files_that_end_early),
		cmocka_unit_test(refuses_unreadable_files),
	};
	return TEST_MAIN(tests);
}
