/* SPDX-License-Identifier: MIT */
#include "nix/nar.h"
#include "test.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/path.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int keep(void *data, const void *bytes, size_t len, struct err *err)
{
	return buf_put(data, bytes, len, err);
}

/* Our NAR of `path` is, byte for byte, what Nix dumps. */
static void assert_as_nix(const char *path)
{
	struct err err = ERR_INIT;
	AUTO_BUF ours = {0}, theirs = {0};
	const struct nar_sink sink = {keep, &ours};
	assert_ok(nar_write_path(path, &sink, &err));
	const char *dir = test_tmpdir();
	test_shell("nix-store --dump '%s' > '%s/nar'", path, dir);
	AUTO_FREE char *file = path_printf(&err, "%s/nar", dir);
	assert_ok(fd_read_file(AT_FDCWD, file, 1 << 30, &theirs, &err));
	assert_int_equal(ours.len, theirs.len);
	assert_memory_equal(ours.data, theirs.data, ours.len);

	struct nar_hasher hasher;
	nar_hasher_init(&hasher);
	const struct nar_sink hash_sink = nar_hasher_sink(&hasher);
	assert_ok(nar_write_path(path, &hash_sink, &err));
	struct digest got = nar_hasher_finish(&hasher);
	struct digest want = digest_of(theirs.data, theirs.len);
	assert_true(digest_equal(&got, &want));
	assert_int_equal(hasher.size, theirs.len);
}

static void a_file_by_hand(void **state)
{
	(void)state;
	static const char want[] = "\15\0\0\0\0\0\0\0nix-archive-1\0\0\0"
				   "\1\0\0\0\0\0\0\0(\0\0\0\0\0\0\0"
				   "\4\0\0\0\0\0\0\0type\0\0\0\0"
				   "\7\0\0\0\0\0\0\0regular\0"
				   "\12\0\0\0\0\0\0\0executable\0\0\0\0\0\0"
				   "\0\0\0\0\0\0\0\0"
				   "\10\0\0\0\0\0\0\0contents"
				   "\3\0\0\0\0\0\0\0abc\0\0\0\0\0"
				   "\1\0\0\0\0\0\0\0)\0\0\0\0\0\0";
	struct err err = ERR_INIT;
	AUTO_BUF got = {0};
	const struct nar_sink sink = {keep, &got};
	assert_ok(nar_begin(&sink, &err));
	assert_ok(nar_file(&sink, 3, true, &err));
	assert_ok(buf_put_str(&got, "abc", &err));
	assert_ok(nar_file_end(&sink, 3, &err));
	assert_int_equal(got.len, sizeof(want));
	assert_memory_equal(got.data, want, sizeof(want));
}

static void files_of_every_padding(void **state)
{
	(void)state;
	const char *dir = test_tmpdir();
	for (size_t size = 0; size <= 9; size++) {
		test_write(dir, "file", "123456789", size);
		AUTO_FREE char *path = NULL;
		assert_true(asprintf(&path, "%s/file", dir) > 0);
		assert_as_nix(path);
		assert_int_equal(chmod(path, 0555), 0);
		assert_as_nix(path);
	}
}

static void odd_trees(void **state)
{
	(void)state;
	const char *dir = test_tmpdir();
	test_shell("cd '%s' && mkdir -p t/empty t/a/b/c/d 't/with space' && cd t &&"
		   "printf x > 'with space/new\nline' && printf y > 'back\\slash' && "
		   "printf z > \"$(printf 'n%%.0s' $(seq 255))\" && printf ü > 'größe' && "
		   "printf '\\377' > \"$(printf '\\377')\" && printf 1 > a.b && printf 2 > a-b && "
		   "printf 3 > B && ln -s nowhere broken && ln -s ../.. a/up && "
		   "ln -s \"$(printf 's%%.0s' $(seq 4000))\" long && "
		   "head -c 300000 /dev/zero > zeros && chmod 755 B && chmod 4755 a-b && "
		   "ln zeros hard",
		dir);
	AUTO_FREE char *tree = NULL, *link = NULL;
	assert_true(asprintf(&tree, "%s/t", dir) > 0);
	assert_as_nix(tree);
	assert_true(asprintf(&link, "%s/t/broken", dir) > 0);
	assert_as_nix(link);
}

/* Deeper than the number of files a process may open by default. */
static void deep_tree(void **state)
{
	(void)state;
	const char *dir = test_tmpdir();
	test_shell("cd '%s' && mkdir -p deep/\"$(printf 'd/%%.0s' $(seq 1500))\"", dir);
	AUTO_FREE char *tree = NULL;
	assert_true(asprintf(&tree, "%s/deep", dir) > 0);
	assert_as_nix(tree);
}

static void what_cannot_be_packed(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF got = {0};
	const struct nar_sink sink = {keep, &got};
	const char *dir = test_tmpdir();
	test_shell("mkfifo '%s/fifo'", dir);
	AUTO_FREE char *fifo = NULL, *none = NULL, *fifo_msg = NULL, *none_msg = NULL;
	assert_true(asprintf(&fifo, "%s/fifo", dir) > 0 && asprintf(&none, "%s/none", dir) > 0);
	assert_true(asprintf(&fifo_msg, "'%s' is neither a file nor a directory nor a symlink",
			    fifo) > 0);
	assert_true(
		asprintf(&none_msg, "cannot look at '%s': No such file or directory", none) > 0);
	assert_int_equal(nar_write_path(dir, &sink, &err), -1);
	assert_err(&err, ERR_UNSUPPORTED, fifo_msg);
	assert_int_equal(nar_write_path(none, &sink, &err), -1);
	assert_err(&err, ERR_NOT_FOUND, none_msg);
}

/* A file that shrinks while it is read: a sink that truncates it plays the other process. */
static int truncate_victim(void *data, const void *bytes, size_t len, struct err *err)
{
	(void)bytes, (void)err;
	bool size_is_out = len == 8;
	return size_is_out ? truncate(data, 10) : 0;
}

static void a_file_that_ends_early(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	test_write(dir, "victim", "123456789012", 12);
	AUTO_FREE char *path = NULL, *msg = NULL;
	assert_true(asprintf(&path, "%s/victim", dir) > 0);
	assert_true(asprintf(&msg, "'%s' ends at 10 of 300000 bytes", path) > 0);
	assert_int_equal(truncate(path, 300000), 0);
	const struct nar_sink sink = {truncate_victim, path};
	assert_int_equal(nar_write_path(path, &sink, &err), -1);
	assert_err(&err, ERR_CORRUPT, msg);
}

static int refuse(void *data, const void *bytes, size_t len, struct err *err)
{
	(void)bytes;
	size_t *left = data;
	if (len > *left)
		return err_raise(err, ERR_LIMIT, "the sink is full");
	*left -= len;
	return 0;
}

/* Wherever the sink fails, the failure comes through unchanged. */
static void every_failure_of_the_sink(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	test_shell("cd '%s' && mkdir t && printf abc > t/f && ln -s f t/l && chmod 555 t/f", dir);
	AUTO_FREE char *tree = NULL;
	assert_true(asprintf(&tree, "%s/t", dir) > 0);
	AUTO_BUF whole = {0};
	const struct nar_sink keep_sink = {keep, &whole};
	assert_ok(nar_write_path(tree, &keep_sink, &err));
	for (size_t space = 0; space < whole.len; space++) {
		size_t left = space;
		const struct nar_sink sink = {refuse, &left};
		assert_int_equal(nar_write_path(tree, &sink, &err), -1);
		assert_err(&err, ERR_LIMIT, "the sink is full");
	}
}

/* The odd paths of the fixtures: single files, symlinks, names, sizes, depths. */
static void odd_fixtures(void **state)
{
	(void)state;
	test_each_path("odd", assert_as_nix);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_by_hand),
		cmocka_unit_test(files_of_every_padding),
		cmocka_unit_test(odd_trees),
		cmocka_unit_test(deep_tree),
		cmocka_unit_test(what_cannot_be_packed),
		cmocka_unit_test(a_file_that_ends_early),
		cmocka_unit_test(every_failure_of_the_sink),
		cmocka_unit_test(odd_fixtures),
	};
	return TEST_MAIN(tests);
}
