/* SPDX-License-Identifier: MIT */
#include "vm/child.h"

#include "base/fd.h"

#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct child *start_shell(const char *script, const int *fds, size_t fd_count)
{
	struct err err = ERR_INIT;
	AUTO_STRVEC argv = {0};
	struct child *child = NULL;
	assert_ok(strvec_push(&argv, "sh", &err));
	assert_ok(strvec_push(&argv, "-c", &err));
	assert_ok(strvec_push(&argv, script, &err));
	assert_ok(child_start(&argv, fds, fd_count, &child, &err));
	return child;
}

static void status_and_output(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_CHILD child =
		start_shell("echo out; echo err >&2; read x || echo eof; exit 3", NULL, 0);
	int status;
	assert_int_equal(child_wait(child, 10000, &status, &err), 0);
	AUTO_FREE char *how = child_status_text(status, &err);
	assert_string_equal(how, "exited with status 3");
	AUTO_FREE char *all = NULL, *tail = NULL;
	assert_ok(child_output(child, 1000, &all, &err));
	assert_string_equal(all, "out\nerr\neof");
	assert_ok(child_output(child, 7, &tail, &err));
	assert_string_equal(tail, "rr\neof");
	/* The end can be asked for again, and a signal to it is lost in silence. */
	assert_int_equal(child_wait(child, 0, &status, &err), 0);
	assert_int_equal(WEXITSTATUS(status), 3);
	assert_ok(child_signal(child, SIGTERM, &err));
}

static void still_running_then_killed(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_CHILD child = start_shell("exec sleep 600", NULL, 0);
	int status;
	assert_int_equal(child_wait(child, 50, &status, &err), 1);
	assert_ok(child_signal(child, SIGTERM, &err));
	assert_int_equal(child_wait(child, 10000, &status, &err), 0);
	AUTO_FREE char *how = child_status_text(status, &err);
	assert_string_equal(how, "was killed by signal 15 (Terminated)");
}

static void freeing_kills(void **state)
{
	(void)state;
	struct child *child = start_shell("trap '' TERM; exec sleep 600", NULL, 0);
	pid_t pid = child_pid(child);
	assert_int_equal(kill(pid, 0), 0);
	child_free(child);
	assert_int_equal(kill(pid, 0), -1);
}

static void missing_program(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_STRVEC argv = {0};
	AUTO_CHILD child = NULL;
	assert_ok(strvec_push(&argv, "no-such-program", &err));
	assert_int_equal(child_start(&argv, NULL, 0, &child, &err), -1);
	assert_err(&err, ERR_NOT_FOUND, "cannot run 'no-such-program': No such file or directory");
}

static void given_descriptors_survive(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	char script[64];
	snprintf(script, sizeof(script), "echo through >&%d", ends[1]);
	AUTO_CHILD child = start_shell(script, &ends[1], 1);
	close(ends[1]);
	char text[16] = "";
	size_t len;
	assert_ok(fd_read_full(ends[0], text, sizeof(text) - 1, "a pipe", &len, &err));
	assert_string_equal(text, "through\n");
	close(ends[0]);
}

static void dies_with_its_parent(void **state)
{
	(void)state;
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	pid_t parent = fork();
	if (parent == 0) {
		struct child *child = start_shell("exec sleep 600", NULL, 0);
		pid_t pid = child_pid(child);
		_exit(write(ends[1], &pid, sizeof(pid)) == sizeof(pid) ? 0 : 1);
	}
	pid_t orphan;
	assert_int_equal(read(ends[0], &orphan, sizeof(orphan)), sizeof(orphan));
	int status;
	assert_int_equal(waitpid(parent, &status, 0), parent);
	/* Gone, or a zombie nobody has collected yet: no line "State: S". */
	for (int i = 0; i < 200; i++) {
		AUTO_FREE char *running = test_shell_output(
			"grep -c '^State:.*[RSD] (' /proc/%d/status 2>/dev/null || :", (int)orphan);
		if (strcmp(running, "1") != 0)
			return;
		usleep(10000);
	}
	kill(orphan, SIGKILL);
	fail_msg("process %d outlived its parent", (int)orphan);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_and_output),
		cmocka_unit_test(still_running_then_killed),
		cmocka_unit_test(freeing_kills),
		cmocka_unit_test(missing_program),
		cmocka_unit_test(given_descriptors_survive),
		cmocka_unit_test(dies_with_its_parent),
	};
	return TEST_MAIN(tests);
}
