/* SPDX-License-Identifier: MIT */
#include "nix/nar_reader.h"
#include "nar_echo.h"
#include "nix/nar_restore.h"
#include "test.h"

#include "base/bytes.h"
#include "base/fd.h"
#include "base/path.h"

#include <fcntl.h>

/* A NAR made by hand: words and raw strings, so that it can be wrong in every way. */
static void put_string(struct buf *nar, const char *str, size_t len)
{
	struct err err = ERR_INIT;
	uint8_t size[8];
	put_le64(size, len);
	assert_ok(buf_put(nar, size, 8, &err));
	assert_ok(buf_put(nar, str, len, &err));
	assert_ok(buf_put_zero(nar, (8 - len % 8) % 8, &err));
}

/* Words separated by blanks; "''" is an empty one. */
static void put_words(struct buf *nar, const char *words)
{
	for (const char *p = words; *p != '\0';) {
		size_t len = strcspn(p, " ");
		if (len == 2 && memcmp(p, "''", 2) == 0)
			put_string(nar, "", 0);
		else
			put_string(nar, p, len);
		p += len;
		p += strspn(p, " ");
	}
}

static void assert_refused(const struct buf *nar, enum err_kind kind, const char *message)
{
	struct err err = ERR_INIT;
	for (size_t piece = 1; piece <= 100000; piece *= 100) {
		AUTO_BUF out = {0};
		assert_int_equal(echo(nar->data, nar->len, nar->len, piece, &out, &err), -1);
		assert_err(&err, kind, message);
	}
}

#define FILE_OF(contents) "( type regular contents " contents " )"

static void what_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *words, *message;
	} cases[] = {
		{"nix-archive-2 ( type symlink target t )",
			"the NAR has 'nix-archive-2' before byte 24 instead of 'nix-archive-1'"},
		{"nix-archive-1 ( type symlink target t ) (",
			"the NAR goes on behind its end at byte 120"},
		{"nix-archive-1 ( type fifo )",
			"the NAR has 'fifo' before byte 72 instead of 'regular', 'symlink' or "
			"'directory'"},
		{"nix-archive-1 ( type symlink target '' )", "symlink target in the NAR is empty"},
		{"nix-archive-1 ( type regular executable x contents abc )",
			"the NAR has an executable bit that is not empty before byte 104"},
		{"nix-archive-1 ( type regular executable '' executable '' contents abc )",
			"the NAR has 'executable' before byte 128 instead of 'contents'"},
		{"nix-archive-1 ( type regular )",
			"the NAR has ')' before byte 88 instead of 'contents'"},
		{"nix-archive-1 ( type directory entry ( name b node " FILE_OF(
			 "1") " ) entry ( name a node " FILE_OF("2") " ) )",
			"the entries of the NAR are not sorted: 'a' comes after 'b'"},
		{"nix-archive-1 ( type directory entry ( name a node " FILE_OF(
			 "1") " ) entry ( name a node " FILE_OF("2") " ) )",
			"the NAR has the entry 'a' twice"},
		/* What is in a directory does not count for the order outside of it. */
		{"nix-archive-1 ( type directory entry ( name b node ( type directory entry ( name "
		 "z node " FILE_OF("1") " ) ) ) entry ( name b node " FILE_OF("2") " ) )",
			"the NAR has the entry 'b' twice"},
		{"nix-archive-1 ( type directory entry ( name b node ( type directory entry ( name "
		 "a node " FILE_OF("1") " ) ) ) entry ( name aa node " FILE_OF("2") " ) )",
			"the entries of the NAR are not sorted: 'aa' comes after 'b'"},
		{"nix-archive-1 ( type directory entry ( name d node ( type directory entry ( name "
		 "b node " FILE_OF("1") " ) entry ( name a node " FILE_OF("2") " ) ) ) )",
			"the entries of the NAR are not sorted: 'a' comes after 'b'"},
		{"nix-archive-1 ( type directory entry ( name / node " FILE_OF("1") " ) )",
			"entry name '/' in the NAR contains '/'"},
		{"nix-archive-1 ( type directory entry ( name ../../etc/passwd node " FILE_OF(
			 "1") " ) )",
			"entry name '../../etc/passwd' in the NAR contains '/'"},
		{"nix-archive-1 ( type directory entry ( name a node " FILE_OF("1") " entry",
			"the NAR has 'entry' before byte 272 instead of ')'"},
		{"nix-archive-1 ( type directory entry ( name a/b node " FILE_OF("1") " ) )",
			"entry name 'a/b' in the NAR contains '/'"},
		{"nix-archive-1 ( type directory entry ( name . node " FILE_OF("1") " ) )",
			"the NAR has an entry '.'"},
		{"nix-archive-1 ( type directory entry ( name .. node " FILE_OF("1") " ) )",
			"the NAR has an entry '..'"},
		{"nix-archive-1 ( type directory entry ( name '' node " FILE_OF("1") " ) )",
			"entry name in the NAR is empty"},
		{"nix-archive-1 ( type directory entry ( node " FILE_OF("1") " ) )",
			"the NAR has 'node' before byte 128 instead of 'name'"},
		{"nix-archive-1 ( type directory name )",
			"the NAR has 'name' before byte 96 instead of 'entry'"},
		{"nix-archive-1 ( type thisiswaytoolong )",
			"the NAR has a word that is none at byte 56"},
		{"this-is-something-else", "this is no NAR: it has no magic number at byte 0"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_BUF nar = {0};
		put_words(&nar, cases[i].words);
		assert_refused(&nar, ERR_CORRUPT, cases[i].message);
	}
}

static void odd_strings(void **state)
{
	(void)state;
	char long_name[300];
	memset(long_name, 'n', sizeof(long_name));
	{
		AUTO_BUF nar = {0};
		put_words(&nar, "nix-archive-1 ( type directory entry ( name");
		put_string(&nar, "a\0b", 3);
		put_words(&nar, "node " FILE_OF("1") " ) )");
		assert_refused(&nar, ERR_CORRUPT, "entry name 'a?b' in the NAR contains a NUL");
	}
	{
		AUTO_BUF nar = {0};
		put_words(&nar, "nix-archive-1 ( type directory entry ( name");
		put_string(&nar, long_name, 256);
		put_words(&nar, "node " FILE_OF("1") " ) )");
		assert_refused(&nar, ERR_CORRUPT, "entry name in the NAR has 256 bytes > max 255");
	}
	{
		AUTO_BUF nar = {0};
		put_words(&nar, "nix-archive-1 ( type directory entry ( name");
		put_string(&nar, long_name, 255);
		put_le64(nar.data + nar.len - 264, UINT64_MAX);
		assert_refused(&nar, ERR_CORRUPT,
			"entry name in the NAR has 18446744073709551615 bytes > max 255");
	}
	{
		AUTO_BUF nar = {0};
		put_words(&nar, "nix-archive-1 ( type symlink target");
		put_string(&nar, "a\0b", 3);
		put_words(&nar, ")");
		assert_refused(&nar, ERR_CORRUPT, "symlink target 'a?b' in the NAR contains a NUL");
	}
	{
		AUTO_BUF nar = {0};
		AUTO_FREE char *target = malloc(NAR_TARGET_MAX + 1);
		memset(target, 't', NAR_TARGET_MAX + 1);
		put_words(&nar, "nix-archive-1 ( type symlink target");
		put_string(&nar, target, NAR_TARGET_MAX + 1);
		put_words(&nar, ")");
		assert_refused(
			&nar, ERR_CORRUPT, "symlink target in the NAR has 4096 bytes > max 4095");
	}
	{
		AUTO_BUF nar = {0};
		put_words(&nar,
			"nix-archive-1 ( type directory entry ( name abc node " FILE_OF(
				"1") " ) )");
		nar.data[139] = 1;
		assert_refused(
			&nar, ERR_CORRUPT, "the NAR has padding that is not zero at byte 139");
	}
	{
		AUTO_BUF nar = {0};
		put_words(&nar, "nix-archive-1 " FILE_OF("12345"));
		nar.data[nar.len - 17] = 1;
		assert_refused(
			&nar, ERR_CORRUPT, "the NAR has padding that is not zero at byte 101");
	}
	{
		AUTO_BUF nar = {0};
		put_words(&nar, "nix-archive-1 " FILE_OF("12345"));
		put_le64(nar.data + 88, UINT64_MAX);
		assert_refused(&nar, ERR_CORRUPT,
			"the NAR has a file of 18446744073709551615 bytes where 24 are left");
	}
}

static void too_deep(void **state)
{
	(void)state;
	AUTO_BUF nar = {0};
	put_words(&nar, "nix-archive-1 ( type directory");
	for (size_t i = 0; i < NAR_DEPTH_MAX; i++)
		put_words(&nar, "entry ( name d node ( type directory");
	assert_refused(&nar, ERR_LIMIT, "the NAR nests directories deeper than 4096");
}

/* Behind the end of the NAR nothing may come, be it announced or not. */
static void trailing_bytes(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	for (size_t more = 1; more < 100000; more *= 50) {
		AUTO_BUF nar = {0}, out = {0};
		put_words(&nar, "nix-archive-1 " FILE_OF("12345"));
		size_t len = nar.len;
		assert_ok(buf_put_zero(&nar, more, &err));
		assert_int_equal(echo(nar.data, nar.len, nar.len, 7, &out, &err), -1);
		assert_err(&err, ERR_CORRUPT, "the NAR goes on behind its end at byte 120");
		assert_int_equal(echo(nar.data, nar.len, len, 120, &out, &err), -1);
		assert_err(&err, ERR_CORRUPT, "the NAR goes on behind its end at byte 120");
	}
}

/* Stops at once, whatever comes behind. */
static void longer_than_announced(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF nar = {0}, out = {0};
	put_words(&nar, "nix-archive-1 " FILE_OF("12345"));
	assert_int_equal(echo(nar.data, nar.len, nar.len - 1, 7, &out, &err), -1);
	assert_err(&err, ERR_CORRUPT, "the NAR is longer than the 119 bytes announced");
	assert_ok(echo(nar.data, nar.len, nar.len + 5, 7, &out, &err));
}

static void bytes_left_unread(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF nar = {0};
	put_words(&nar, "nix-archive-1 " FILE_OF("12345"));
	struct echo_input in = {.data = nar.data, .len = nar.len, .piece = 1000};
	const struct nar_input input = {echo_read, &in};
	AUTO_NAR_READER *reader = NULL;
	struct nar_event event;
	uint8_t bytes[6];
	assert_ok(nar_reader_new(&input, nar.len, &reader, &err));
	assert_int_equal(nar_reader_next(reader, &event, &err), 1);
	assert_int_equal(nar_reader_contents(reader, bytes, 6, &err), -1);
	assert_err(&err, ERR_BUG, "more bytes of a file are read than it has");
	assert_ok(nar_reader_contents(reader, bytes, 3, &err));
	assert_memory_equal(bytes, "123", 3);
	assert_int_equal(nar_reader_next(reader, &event, &err), -1);
	assert_err(&err, ERR_BUG, "2 bytes of a file were not read");
}

/* A tree with everything in it, as Nix dumps it. */
static void make_tree(const char *dir, struct buf *nar)
{
	struct err err = ERR_INIT;
	test_shell("cd '%s' && mkdir -p t/empty t/a/b/c 't/with space' && cd t &&"
		   "printf x > 'with space/new\nline' && printf '\\377' > \"$(printf '\\377')\" && "
		   "printf 1 > a.b && printf 2 > a-b && printf 3 > B && ln -s nowhere broken && "
		   ": > nothing && seq 200 > a/b/numbers && chmod 755 B && cd .. && "
		   "nix-store --dump t > nar",
		dir);
	AUTO_FREE char *file = path_printf(&err, "%s/nar", dir);
	assert_ok(fd_read_file(AT_FDCWD, file, 1 << 20, nar, &err));
}

static void every_truncation(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF nar = {0};
	make_tree(test_tmpdir(), &nar);
	AUTO_BUF whole = {0};
	assert_ok(echo(nar.data, nar.len, nar.len, 1000, &whole, &err));
	assert_int_equal(whole.len, nar.len);
	assert_memory_equal(whole.data, nar.data, nar.len);
	for (size_t len = 0; len < nar.len; len++) {
		AUTO_BUF out = {0};
		AUTO_FREE char *message =
			path_printf(&err, "the NAR ends after %zu bytes, in the middle", len);
		assert_int_equal(echo(nar.data, len, nar.len, 1000, &out, &err), -1);
		assert_err(&err, ERR_CORRUPT, message);
	}
}

/* Dumped by Nix, restored by us, dumped by Nix: the same; so is what Nix restores of ours. */
static void assert_round_trip(const char *path)
{
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	AUTO_BUF nar = {0}, again = {0};
	test_shell("nix-store --dump '%s' > '%s/nar'", path, dir);
	AUTO_FREE char *file = path_printf(&err, "%s/nar", dir);
	AUTO_FREE char *restored = path_printf(&err, "%s/restored", dir);
	assert_ok(fd_read_file(AT_FDCWD, file, 1 << 30, &nar, &err));
	assert_ok(echo(nar.data, nar.len, nar.len, 1 << 16, &again, &err));
	assert_int_equal(again.len, nar.len);
	assert_memory_equal(again.data, nar.data, nar.len);
	struct echo_input in = {.data = nar.data, .len = nar.len, .piece = 1 << 20};
	const struct nar_input input = {echo_read, &in};
	AUTO_NAR_READER *reader = NULL;
	assert_ok(nar_reader_new(&input, nar.len, &reader, &err));
	assert_ok(nar_restore(reader, restored, &err));
	test_shell("nix-store --dump '%s' | cmp - '%s' && rm -rf '%s' && "
		   "nix-store --restore '%s' < '%s' && nix-store --dump '%s' | cmp - '%s'",
		restored, file, restored, restored, file, restored, file);
}

static void round_trips(void **state)
{
	(void)state;
	AUTO_BUF nar = {0};
	const char *dir = test_tmpdir();
	make_tree(dir, &nar);
	AUTO_FREE char *tree = NULL, *link = NULL, *file = NULL;
	assert_true(asprintf(&tree, "%s/t", dir) > 0 && asprintf(&link, "%s/t/broken", dir) > 0 &&
		asprintf(&file, "%s/t/B", dir) > 0);
	assert_round_trip(tree);
	assert_round_trip(link);
	assert_round_trip(file);
}

static void odd_fixtures(void **state)
{
	(void)state;
	test_each_path("odd", assert_round_trip);
}

static void where_something_is(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF nar = {0};
	const char *dir = test_tmpdir();
	put_words(&nar, "nix-archive-1 " FILE_OF("12345"));
	test_write(dir, "there", "", 0);
	AUTO_FREE char *path = path_printf(&err, "%s/there", dir);
	AUTO_FREE char *message =
		path_printf(&err, "cannot create '%s' for '%s': File exists", path, path);
	struct echo_input in = {.data = nar.data, .len = nar.len, .piece = 1000};
	const struct nar_input input = {echo_read, &in};
	AUTO_NAR_READER *reader = NULL;
	assert_ok(nar_reader_new(&input, nar.len, &reader, &err));
	assert_int_equal(nar_restore(reader, path, &err), -1);
	assert_err(&err, ERR_IO, message);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(odd_strings),
		cmocka_unit_test(too_deep),
		cmocka_unit_test(trailing_bytes),
		cmocka_unit_test(longer_than_announced),
		cmocka_unit_test(bytes_left_unread),
		cmocka_unit_test(every_truncation),
		cmocka_unit_test(round_trips),
		cmocka_unit_test(odd_fixtures),
		cmocka_unit_test(where_something_is),
	};
	return TEST_MAIN(tests);
}
