/* SPDX-License-Identifier: MIT */
#include "sandbox.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* Three store paths of about 100 kB each, of which "b" was used last, then "c", then "a". */
static struct pool *fill(struct sandbox *s)
{
	struct err err = ERR_INIT;
	sandbox_init(s);
	test_shell("cd '%s' && for p in a b c; do head -c 100000 /dev/urandom >$p; done", s->store);
	for (const char *p = "a\0b\0c\0"; *p != '\0'; p += 2)
		sandbox_register(s, p);
	struct pool *pool = sandbox_open(s);
	assert_ok(pool_add(pool, &s->closure, &sandbox_params, NULL, &err));
	AUTO_FREE char *index = path_printf(&err, "%s/index.sqlite", s->pool);
	sqlite3 *db;
	assert_int_equal(sqlite3_open(index, &db), SQLITE_OK);
	const int64_t used[] = {1000, 3000, 2000};
	for (size_t i = 0; i < 3; i++) {
		sqlite3_stmt *stmt;
		assert_int_equal(sqlite3_prepare_v2(db,
					 "UPDATE segments SET last_used = ? WHERE nar_hash = ?", -1,
					 &stmt, NULL),
			SQLITE_OK);
		sqlite3_bind_int64(stmt, 1, used[i]);
		sqlite3_bind_blob(
			stmt, 2, s->closure.items[i].nar_hash.bytes, DIGEST_SIZE, SQLITE_STATIC);
		assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
		sqlite3_finalize(stmt);
	}
	sqlite3_close(db);
	return pool;
}

static void expect_present(struct sandbox *s, struct pool *pool, const char *which)
{
	struct err err = ERR_INIT;
	for (size_t i = 0; i < 3; i++) {
		struct pool_segment segment;
		int r = pool_find(
			pool, &s->closure.items[i].nar_hash, &sandbox_params, &segment, &err);
		assert_int_equal(r, strchr(which, 'a' + (int)i) != NULL);
		if (r == 1)
			sandbox_expect(pool, &s->closure.items[i]);
	}
}

static void least_recently_used_goes_first(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sandbox s;
	struct pool *pool = fill(&s);
	struct pool_gc_result result;
	assert_ok(pool_gc(pool, 250000, &result, &err));
	assert_int_equal(result.removed, 2);
	assert_in_range(result.left_bytes, 200000, 202000);
	expect_present(&s, pool, "bc");
	pool_close(pool);
	sandbox_done(&s);
}

static void looking_up_is_using(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sandbox s;
	struct pool *pool = fill(&s);
	struct pool_segment segment;
	assert_int_equal(
		pool_find(pool, &s.closure.items[0].nar_hash, &sandbox_params, &segment, &err), 1);
	struct pool_gc_result result;
	assert_ok(pool_gc(pool, 150000, &result, &err));
	expect_present(&s, pool, "a");
	pool_close(pool);
	sandbox_done(&s);
}

static void looking_up_closures_is_using(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sandbox s;
	struct pool *pool = fill(&s);
	s.closure.len = 1;
	AUTO_FREE struct pool_segment *segments = NULL;
	size_t missing;
	assert_int_equal(
		pool_find_closure(pool, &s.closure, &sandbox_params, &segments, &missing, &err), 1);
	s.closure.len = 3;
	struct pool_gc_result result;
	assert_ok(pool_gc(pool, 150000, &result, &err));
	expect_present(&s, pool, "a");
	pool_close(pool);
	sandbox_done(&s);
}

/* A process that pins "a" and then waits to be told to die. */
static pid_t pin_in_child(struct sandbox *s, int *ret_pipe)
{
	struct err err = ERR_INIT;
	int ready[2], end[2];
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(end), 0);
	pid_t pid = fork();
	if (pid == 0) {
		char byte;
		close(end[1]);
		struct pool *pool;
		struct pool_segment segment;
		if (pool_open(s->pool, 0, &pool, &err) < 0 ||
			pool_find(pool, &s->closure.items[0].nar_hash, &sandbox_params, &segment,
				&err) != 1)
			_exit(1);
		const struct digest objects[] = {segment.data, segment.tree};
		if (pool_pin(pool, objects, 2, &err) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		_exit(read(end[0], &byte, 1) < 0);
	}
	char byte;
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	close(end[0]);
	*ret_pipe = end[1];
	return pid;
}

static void pins_of_other_processes_hold(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sandbox s;
	struct pool *pool = fill(&s);
	int end;
	pid_t pid = pin_in_child(&s, &end);
	struct pool_gc_result result;
	assert_ok(pool_gc(pool, 0, &result, &err));
	assert_int_equal(result.removed, 4);
	assert_true(result.left_bytes > 100000);
	expect_present(&s, pool, "a");
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(end);
	assert_ok(pool_gc(pool, 0, &result, &err));
	assert_int_equal(result.left_bytes, 0);
	expect_present(&s, pool, "");
	/* Of the child nothing is left; what there is, is ours. */
	test_shell("test \"$(ls '%s/sessions' | wc -l)\" = 1", s.pool);
	pool_close(pool);
	sandbox_done(&s);
}

static void pins_need_their_objects(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sandbox s;
	struct pool *pool = fill(&s);
	struct digest none = digest_of("none", 4);
	char hex[DIGEST_HEX_SIZE];
	assert_int_equal(pool_pin(pool, &none, 1, &err), -1);
	AUTO_FREE char *message = path_printf(
		&err, "pool '%s' has no object '%s' any more", s.pool, digest_hex(&none, hex));
	assert_err(&err, ERR_NOT_FOUND, message);
	pool_close(pool);
	sandbox_done(&s);
}

static void memos_live_as_segments_do(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sandbox s;
	struct pool *pool = fill(&s);
	struct digest key = digest_of("key", 3), object, found;
	assert_int_equal(pool_memo_get(pool, &key, &found, &err), 0);
	assert_ok(pool_put(pool, "derived", 7, &object, &err));
	assert_ok(pool_memo_put(pool, &key, &object, &err));
	assert_int_equal(pool_memo_get(pool, &key, &found, &err), 1);
	assert_true(digest_equal(&found, &object));
	AUTO_BUF bytes = {0};
	assert_ok(pool_get(pool, &found, &bytes, &err));
	assert_int_equal(bytes.len, 7);
	assert_memory_equal(bytes.data, "derived", 7);
	/* It was put, so this process keeps it; once the pool is closed, nobody does. */
	struct pool_gc_result result;
	assert_ok(pool_gc(pool, 0, &result, &err));
	assert_int_equal(result.left_bytes, 7);
	pool_close(pool);
	pool = sandbox_open(&s);
	assert_ok(pool_gc(pool, 0, &result, &err));
	assert_int_equal(result.left_bytes, 0);
	assert_int_equal(pool_memo_get(pool, &key, &found, &err), 0);
	pool_close(pool);
	sandbox_done(&s);
}

static void unreferenced_objects_go(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sandbox s;
	struct pool *pool = fill(&s);
	struct digest object;
	assert_ok(pool_put(pool, "orphan", 6, &object, &err));
	pool_close(pool);
	pool = sandbox_open(&s);
	struct pool_stat stat;
	assert_ok(pool_stat(pool, &stat, &err));
	assert_int_equal(stat.unused, 1);
	struct pool_gc_result result;
	assert_ok(pool_gc(pool, UINT64_MAX, &result, &err));
	assert_int_equal(result.removed, 1);
	expect_present(&s, pool, "abc");
	pool_close(pool);
	sandbox_done(&s);
}

static void damage_is_named(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sandbox s;
	struct pool *pool = fill(&s);
	struct digest object, none = digest_of("none", 4);
	assert_ok(pool_put(pool, "precious", 8, &object, &err));
	AUTO_FREE char *path = pool_object_path(pool, &object, &err);
	AUTO_FREE char *message = path_printf(&err, "'%s' is damaged", path);
	test_shell("chmod u+w '%s' && printf precioux >'%s'", path, path);
	AUTO_BUF bytes = {0};
	assert_int_equal(pool_get(pool, &object, &bytes, &err), -1);
	assert_err(&err, ERR_CORRUPT, message);
	assert_int_equal(bytes.len, 0);
	char hex[DIGEST_HEX_SIZE];
	assert_int_equal(pool_get(pool, &none, &bytes, &err), -1);
	AUTO_FREE char *missing =
		path_printf(&err, "pool '%s' has no object '%s'", s.pool, digest_hex(&none, hex));
	assert_err(&err, ERR_NOT_FOUND, missing);
	pool_close(pool);
	sandbox_done(&s);
}

/* A process that leaves has removed its pins, and does not let go of its lock until the end. */
static void tolerates_who_is_leaving(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sandbox s;
	struct pool *pool = fill(&s);
	test_shell("mkdir '%s/sessions/leaving'", s.pool);
	AUTO_FREE char *name = path_printf(&err, "%s/sessions/leaving/lock", s.pool);
	AUTO_FD int fd = -1;
	assert_ok(fd_open(AT_FDCWD, name, O_RDWR | O_CREAT, &fd, &err));
	assert_int_equal(flock(fd, LOCK_EX), 0);
	pool_close(pool);
	assert_ok(pool_open(s.pool, 0, &pool, &err));
	struct pool_gc_result result;
	assert_ok(pool_gc(pool, UINT64_MAX, &result, &err));
	fd_close_ptr(&fd);
	assert_ok(pool_gc(pool, UINT64_MAX, &result, &err));
	test_shell("test ! -e '%s/sessions/leaving'", s.pool);
	pool_close(pool);
	sandbox_done(&s);
}

/* What happened to the disk, in the order in which it did: each of SQLite's syncs, each removal. */
static char disk_log[64];
static size_t disk_log_len;

static void note(char c)
{
	if (disk_log_len < sizeof(disk_log) - 1)
		disk_log[disk_log_len++] = c;
}

int fdatasync(int fd)
{
	note('s');
	return (int)syscall(SYS_fdatasync, fd);
}

int unlinkat(int fd, const char *name, int flags)
{
	if (strncmp(name, "objects/", 8) == 0)
		note('u');
	return (int)syscall(SYS_unlinkat, fd, name, flags);
}

static void rows_are_gone_before_objects(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sandbox s;
	struct pool *pool = fill(&s);
	struct pool_gc_result result;
	memset(disk_log, 0, sizeof(disk_log));
	disk_log_len = 0;
	assert_ok(pool_gc(pool, 0, &result, &err));
	assert_string_equal(disk_log + strspn(disk_log, "s"), "uuuuuu");
	assert_true(disk_log[0] == 's');
	pool_close(pool);
	sandbox_done(&s);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(least_recently_used_goes_first),
		cmocka_unit_test(looking_up_is_using),
		cmocka_unit_test(looking_up_closures_is_using),
		cmocka_unit_test(pins_of_other_processes_hold),
		cmocka_unit_test(pins_need_their_objects),
		cmocka_unit_test(memos_live_as_segments_do),
		cmocka_unit_test(unreferenced_objects_go),
		cmocka_unit_test(damage_is_named),
		cmocka_unit_test(tolerates_who_is_leaving),
		cmocka_unit_test(rows_are_gone_before_objects),
	};
	return TEST_MAIN(tests);
}
