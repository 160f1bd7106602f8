/* SPDX-License-Identifier: MIT */
#ifndef TEST_H
#define TEST_H

/*
 * What every unit test needs on top of cmocka. A test file has static void functions `name(void
 * **state)` and ends with  int main(int argc, char **argv) { const struct CMUnitTest tests[] = {…};
 * return TEST_MAIN(tests); } so that a single case can be run alone: build/tests/unit/nix-nar CASE.
 */

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define TEST_MAIN(tests) \
	(argc > 1 ? (cmocka_set_test_filter(argv[1]), 0) : 0, \
		cmocka_run_group_tests(tests, NULL, NULL))

/* The call succeeded: prints the message when not. */
#define assert_ok(call) \
	do { \
		if ((call) < 0) \
			fail_msg("%s: %s", #call, err.msg); \
	} while (0)

/* `err` is of that kind and has exactly that message; it is clean afterwards. */
#define assert_err(err, kind_, msg_) \
	do { \
		assert_string_equal((err)->msg, (msg_)); \
		assert_int_equal((err)->kind, (kind_)); \
		err_reset(err); \
	} while (0)

/* A new temporary directory, removed with its contents at exit. Static storage per call; never
 * NULL. */
const char *test_tmpdir(void);
/* Writes a file below a directory. */
void test_write(const char *dir, const char *name, const void *data, size_t size);
/* Runs a shell command; fails the test unless it exits 0. */
void test_shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The standard output of a shell command that must exit 0, without trailing newlines; caller frees.
 */
char *test_shell_output(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/*
 * Says why this program cannot run here and exits 77 (skipped); with MUST_RUN=1 in the environment
 * it exits 1.
 */
void test_skip(const char *why) __attribute__((noreturn));
/* Calls `each` with every store path of a fixture's closure; skips the program without that
 * fixture.
 */
void test_each_path(const char *fixture, void (*each)(const char *path));

/*
 * True when the console's transcript says that the guest's kernel died in its idle task before it
 * started anything of ours. That is the emulator's doing (seen with QEMU 7.2 and Linux 6.12 once in
 * some fifty boots), and no result.
 */
bool test_kernel_died_early(const char *transcript);

#endif
