/* SPDX-License-Identifier: MIT */
#include "vm/console.h"

#include "base/fd.h"

#include "test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A console and the far end of its line. */
struct line {
	struct console *console;
	int far;
};

static void line_done(struct line *line)
{
	console_free(line->console);
	fd_close_ptr(&line->far);
}

static void line_open(struct line *ret, const char *transcript)
{
	struct err err = ERR_INIT;
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	ret->far = pair[1];
	assert_ok(console_new(&pair[0], transcript, &ret->console, &err));
	assert_int_equal(pair[0], -1);
}

static void say(struct line *line, const char *text)
{
	assert_int_equal(write(line->far, text, strlen(text)), strlen(text));
}

static void matches_in_order(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO(line_done) struct line line = {0};
	line_open(&line, NULL);
	say(&line, "one 1\r\ntwo 2\r\nthree 3\r\nlog");
	AUTO_FREE char *group = NULL, *whole = NULL;
	assert_ok(console_expect(line.console, "^two ([0-9])$", 1000, &group, &err));
	assert_string_equal(group, "2");
	assert_string_equal(console_before(line.console), "one 1\ntwo 2");
	/* What a match has consumed does not match again. */
	assert_int_equal(console_look(line.console, "one", NULL, &err), 1);
	say(&line, "in: ");
	assert_ok(console_expect(line.console, "lo.in: *$", 1000, &whole, &err));
	assert_string_equal(whole, "login: ");
}

static void drops_escapes(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO(line_done) struct line line = {0};
	line_open(&line, NULL);
	say(&line,
		"\033[0;1;32m[  OK  ]\033[0m Rea\033]0;title\007ched\033(B "
		"tar\033]8;;x\033\\get\n");
	AUTO_FREE char *match = NULL;
	assert_ok(console_expect(line.console, "^.+$", 1000, &match, &err));
	assert_string_equal(match, "[  OK  ] Reached target");
}

static void time_is_over(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO(line_done) struct line line = {0};
	line_open(&line, NULL);
	assert_int_equal(console_expect(line.console, "login:", 20, NULL, &err), -1);
	assert_err(&err, ERR_AGAIN,
		"'login:' did not appear on the console within 0.02 s; it has said nothing");
	say(&line, "a\nb\nc\nd\ne\nf\tg\n\n");
	assert_int_equal(console_expect(line.console, "login:", 20, NULL, &err), -1);
	assert_err(&err, ERR_AGAIN,
		"'login:' did not appear on the console within 0.02 s; its last lines: b | c | d | "
		"e "
		"| f g");
}

static void other_side_closes(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO(line_done) struct line line = {0};
	line_open(&line, NULL);
	say(&line, "last words\n");
	fd_close_ptr(&line.far);
	/* What was said before still counts. */
	assert_ok(console_expect(line.console, "last", 1000, NULL, &err));
	assert_int_equal(console_expect(line.console, "login:", 60000, NULL, &err), -1);
	assert_err(&err, ERR_IO,
		"the console closed while waiting for 'login:'; its last lines: last words");
	assert_true(console_at_end(line.console));
}

static void forbidden(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO(line_done) struct line line = {0};
	line_open(&line, NULL);
	assert_ok(console_forbid(line.console, "Kernel panic|Oops", &err));
	/* Behind what is awaited it does not matter yet. */
	say(&line, "fine\n[ 1.0] Kernel panic - not syncing\n");
	assert_ok(console_expect(line.console, "fine", 1000, NULL, &err));
	assert_int_equal(console_expect(line.console, "login:", 60000, NULL, &err), -1);
	assert_err(&err, ERR_IO,
		"'Kernel panic' appeared on the console while waiting for 'login:'; its last "
		"lines: "
		"fine | [ 1.0] Kernel panic - not syncing");
	assert_ok(console_forbid(line.console, NULL, &err));
	assert_ok(console_expect(line.console, "panic", 1000, NULL, &err));
}

static void bad_pattern(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO(line_done) struct line line = {0};
	line_open(&line, NULL);
	assert_int_equal(console_expect(line.console, "a(b", 10, NULL, &err), -1);
	assert_err(&err, ERR_USAGE, "pattern 'a(b' is not valid: Unmatched ( or \\(");
}

static void collect(const void *data, size_t size, void *context)
{
	strncat(context, data, size);
}

static void transcript_and_sink_are_raw(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	char seen[64] = "";
	AUTO_FREE char *path = NULL;
	assert_true(asprintf(&path, "%s/transcript", test_tmpdir()) > 0);
	AUTO(line_done) struct line line = {0};
	line_open(&line, path);
	console_set_sink(line.console, collect, seen);
	say(&line, "\033[1mx\r\n");
	assert_ok(console_expect(line.console, "^x$", 1000, NULL, &err));
	AUTO_BUF kept = {0};
	assert_ok(fd_read_file(AT_FDCWD, path, 1000, &kept, &err));
	assert_string_equal(buf_str(&kept, &err), "\033[1mx\r\n");
	assert_string_equal(seen, "\033[1mx\r\n");
}

/* Far more than the sockets hold, both ways at once: the sender reads while it cannot write. */
static void sending_does_not_block(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO(line_done) struct line line = {0};
	line_open(&line, NULL);
	pid_t echo = fork();
	if (echo == 0) {
		char data[4096];
		console_free(line.console);
		for (ssize_t n; (n = read(line.far, data, sizeof(data))) > 0;)
			if (fd_write_full(line.far, data, (size_t)n, "", &err) < 0)
				_exit(1);
		_exit(0);
	}
	fd_close_ptr(&line.far);
	size_t size = (size_t)6 << 20;
	AUTO_FREE char *text = malloc(size + 6);
	assert_non_null(text);
	memset(text, 'x', size);
	for (size_t i = 79; i < size; i += 80)
		text[i] = '\n';
	memcpy(text + size, "\nend\n", 6);
	assert_ok(console_send(line.console, text, &err));
	assert_ok(console_expect(line.console, "^end$", 30000, NULL, &err));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matches_in_order),
		cmocka_unit_test(drops_escapes),
		cmocka_unit_test(time_is_over),
		cmocka_unit_test(other_side_closes),
		cmocka_unit_test(forbidden),
		cmocka_unit_test(bad_pattern),
		cmocka_unit_test(transcript_and_sink_are_raw),
		cmocka_unit_test(sending_does_not_block),
	};
	return TEST_MAIN(tests);
}
