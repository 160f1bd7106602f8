/* SPDX-License-Identifier: MIT */
#include "vm/shell.h"

#include "base/mem.h"

#include "test.h"

#include <pty.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A real shell on a real terminal, behind something that asks for a name as login(1) does. */
static const char login[] = "printf 'motd\\nhost login: '$NOISE; read name; "
			    "[ \"$name\" = root ] || exit 9; "
			    "[ -z \"$SECRET\" ] || { printf 'Password: '; read secret; "
			    "[ \"$secret\" = \"$SECRET\" ] || exit 9; }; "
			    "PS1=\"root@host:~# $NOISE\" exec sh -i";

struct terminal {
	struct console *console;
	pid_t pid;
};

static void terminal_done(struct terminal *t)
{
	console_free(t->console);
	kill(t->pid, SIGKILL);
	waitpid(t->pid, NULL, 0);
}

static void terminal_open(struct terminal *ret, const char *secret)
{
	struct err err = ERR_INIT;
	int fd;
	ret->pid = forkpty(&fd, NULL, NULL, NULL);
	assert_true(ret->pid >= 0);
	if (ret->pid == 0) {
		if (secret != NULL)
			setenv("SECRET", secret, 1);
		execlp("sh", "sh", "-c", login, NULL);
		_exit(127);
	}
	assert_ok(console_new(&fd, NULL, &ret->console, &err));
}

static void output_and_status(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO(terminal_done) struct terminal t = {0};
	terminal_open(&t, NULL);
	assert_ok(shell_login(t.console, "root", NULL, 10000, &err));
	int status = -1;
	AUTO_FREE char *none = NULL, *lines = NULL, *failed = NULL, *kept = NULL;
	assert_ok(shell_run(t.console, "true", 5000, &status, &none, &err));
	assert_int_equal(status, 0);
	assert_string_equal(none, "");
	assert_ok(shell_run(t.console, "echo one; echo; echo two >&2\nprintf three", 5000, &status,
		&lines, &err));
	assert_int_equal(status, 0);
	assert_string_equal(lines, "one\n\ntwo\nthree");
	assert_ok(shell_run(t.console, "echo no; (exit 42)", 5000, &status, &failed, &err));
	assert_int_equal(status, 42);
	assert_string_equal(failed, "no");
	/* It is one shell: what a command sets, the next one sees. Input is empty. */
	assert_ok(shell_run(t.console, "x=7", 5000, &status, NULL, &err));
	assert_ok(shell_must(t.console, "cat; echo $x", 5000, &kept, &err));
	assert_string_equal(kept, "7");
}

static void password(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO(terminal_done) struct terminal t = {0};
	terminal_open(&t, "secret");
	assert_ok(shell_login(t.console, "root", "secret", 10000, &err));
	assert_ok(shell_must(t.console, "true", 5000, NULL, &err));
}

/* A kernel that talks behind the prompts does not keep us out. */
static void noise_behind_prompts(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO(terminal_done) struct terminal t = {0};
	setenv("NOISE", "[1.0]zram:Added", 1);
	terminal_open(&t, NULL);
	unsetenv("NOISE");
	assert_ok(shell_login(t.console, "root", NULL, 4000, &err));
	AUTO_FREE char *output = NULL;
	assert_ok(shell_must(t.console, "echo heard", 5000, &output, &err));
	assert_string_equal(output, "heard");
}

static void failures(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO(terminal_done) struct terminal t = {0};
	terminal_open(&t, NULL);
	assert_ok(shell_login(t.console, "root", NULL, 10000, &err));
	assert_int_equal(shell_must(t.console, "echo why; (exit 3)", 5000, NULL, &err), -1);
	assert_err(&err, ERR_IO, "'echo why; (exit 3)' ended with status 3: why");
	AUTO_FREE char *long_command = malloc(3502);
	memset(long_command, 'x', 3501);
	long_command[3501] = '\0';
	int status;
	assert_int_equal(shell_run(t.console, long_command, 5000, &status, NULL, &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
	assert_non_null(strstr(err.msg, "': a command of 3501 bytes > max 3500 for a terminal"));
	err_reset(&err);
	assert_int_equal(shell_run(t.console, "sleep 600", 100, &status, NULL, &err), -1);
	assert_int_equal(err.kind, ERR_AGAIN);
	assert_non_null(strstr(err.msg, "running 'sleep 600': '^"));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_and_status),
		cmocka_unit_test(password),
		cmocka_unit_test(noise_behind_prompts),
		cmocka_unit_test(failures),
	};
	return TEST_MAIN(tests);
}
