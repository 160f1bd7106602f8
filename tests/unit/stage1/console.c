/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/mem.h"
#include "stage1/console.h"

#include <pty.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void joins_both_sources(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO(cmdline_done) struct cmdline cmdline = {0};
	assert_ok(cmdline_parse("console=ttyS0,115200n8 console=tty1 console=", &cmdline, &err));
	AUTO_STRVEC names = {0};
	assert_ok(console_names("tty0 ttyS0", &cmdline, &names, &err));
	AUTO_FREE char *joined = strvec_join(&names, " ", &err);
	assert_string_equal(joined, "tty0 ttyS0 tty1");
	AUTO_STRVEC alone = {0};
	assert_ok(console_names(NULL, &cmdline, &alone, &err));
	assert_int_equal(alone.len, 2);
}

/* Who answers as soon as the question can be seen is heard; what was typed before is no answer. */
static void hears_who_answers_at_once(void **state)
{
	(void)state;
	for (int i = 0; i < 200; i++) {
		int far, near;
		assert_int_equal(openpty(&far, &near, NULL, NULL, NULL), 0);
		assert_int_equal(write(far, "b\n", 2), 2);
		pid_t pid = fork();
		if (pid == 0) {
			size_t index = 7;
			const struct consoles consoles = {.fds = {near}, .len = 1};
			char answer = consoles_ask(&consoles, "what?", &index);
			_exit(index == 0 ? answer : 1);
		}
		char seen[64] = "";
		for (size_t len = 0; strstr(seen, "what?") == NULL; len += 1)
			assert_int_equal(read(far, seen + len, 1), 1);
		assert_int_equal(write(far, "r\n", 2), 2);
		int status;
		alarm(20);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		alarm(0);
		assert_int_equal(WEXITSTATUS(status), 'r');
		close(far);
		close(near);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(joins_both_sources),
		cmocka_unit_test(hears_who_answers_at_once),
	};
	return TEST_MAIN(tests);
}
