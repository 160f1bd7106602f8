/* SPDX-License-Identifier: MIT */
#include "stage1/control.h"

#include "base/fd.h"
#include "test.h"

#include <fcntl.h>

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void messages(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct control_message message;
	int ends[2];
	assert_ok(control_pair(ends, &err));
	assert_int_equal(control_receive(ends[1], &message, &err), 0);
	assert_ok(control_send(ends[0], "progress", -1, &err, "trees: %d of %d", 1, 3));
	assert_ok(control_send(ends[0], "quit", -1, &err, "%s", ""));
	assert_int_equal(control_receive(ends[1], &message, &err), 1);
	assert_string_equal(message.word, "progress");
	assert_string_equal(message.text, "trees: 1 of 3");
	assert_int_equal(message.fd, -1);
	assert_int_equal(control_receive(ends[1], &message, &err), 1);
	assert_string_equal(message.word, "quit");
	assert_string_equal(message.text, "");
	close(ends[0]);
	assert_int_equal(control_receive(ends[1], &message, &err), -1);
	assert_err(&err, ERR_NOT_FOUND, "the other side is gone");
	assert_int_equal(control_send(ends[1], "quit", -1, &err, "%s", ""), -1);
	assert_err(&err, ERR_IO, "cannot send 'quit': Broken pipe");
	close(ends[1]);
}

static void descriptors(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct control_message message;
	struct stat sent, got;
	int ends[2];
	AUTO_FD int file = -1;
	assert_ok(fd_open(AT_FDCWD, "/dev/null", O_RDONLY, &file, &err));
	assert_ok(control_pair(ends, &err));
	assert_ok(control_send(ends[0], "serve", file, &err, "%s", ""));
	assert_int_equal(control_receive(ends[1], &message, &err), 1);
	assert_string_equal(message.word, "serve");
	assert_int_equal(fstat(file, &sent), 0);
	assert_int_equal(fstat(message.fd, &got), 0);
	assert_int_equal(sent.st_rdev, got.st_rdev);
	assert_int_equal(fcntl(message.fd, F_GETFD), FD_CLOEXEC);
	close(message.fd);
	close(ends[0]);
	close(ends[1]);
}

static void failures(void **state)
{
	(void)state;
	struct err err = ERR_INIT, failure = ERR_INIT, got = ERR_INIT;
	struct control_message message;
	int ends[2];
	assert_ok(control_pair(ends, &err));
	err_raise(&failure, ERR_UNTRUSTED, "manifest '%s' has no signature of a known key", "demo");
	err_hint(&failure, "name the key");
	assert_ok(control_send_failure(ends[0], &failure, &err));
	assert_int_equal(control_receive(ends[1], &message, &err), 1);
	assert_string_equal(message.word, "failed");
	control_failure(message.text, &got);
	assert_string_equal(got.hint, "name the key");
	assert_err(&got, ERR_UNTRUSTED, "manifest 'demo' has no signature of a known key");
	assert_string_equal(got.hint, "");
	control_failure("strange it broke\n", &got);
	assert_string_equal(got.hint, "");
	assert_err(&got, ERR_IO, "it broke");
	close(ends[0]);
	close(ends[1]);
}

/* A text that is too long is cut, and a reader who does not read blocks nobody. */
static void bounds(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct control_message message;
	char text[3 * CONTROL_MAX];
	int ends[2], sent = 0;
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_ok(control_pair(ends, &err));
	assert_ok(control_send(ends[0], "progress", -1, &err, "%s", text));
	assert_int_equal(control_receive(ends[1], &message, &err), 1);
	assert_int_equal(strlen(message.text), CONTROL_MAX - 1 - strlen("progress "));
	while (sent < 100000 && control_send(ends[0], "progress", -1, &err, "%s", text) == 0)
		sent++;
	assert_err(&err, ERR_AGAIN, "cannot send 'progress': Resource temporarily unavailable");
	/* A word or a message from elsewhere that is too long is cut, too. */
	while (control_receive(ends[1], &message, &err) == 1)
		;
	assert_int_equal(send(ends[0], text, sizeof(text), 0), sizeof(text));
	assert_int_equal(control_receive(ends[1], &message, &err), 1);
	assert_int_equal(strlen(message.word), sizeof(message.word) - 1);
	assert_string_equal(message.text, "");
	close(ends[0]);
	close(ends[1]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages),
		cmocka_unit_test(descriptors),
		cmocka_unit_test(failures),
		cmocka_unit_test(bounds),
	};
	return TEST_MAIN(tests);
}
