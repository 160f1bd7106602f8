/* SPDX-License-Identifier: MIT */
#include "node/bootend.h"

#include "base/mem.h"
#include "base/path.h"

#include "test.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* How often each was told. */
struct heard {
	int counts[2];
};

static void count(enum bootend_news news, void *data)
{
	struct heard *heard = data;
	heard->counts[news]++;
}

static void assert_heard(const struct heard *heard, int stage2, int up)
{
	assert_int_equal(heard->counts[BOOTEND_STAGE2], stage2);
	assert_int_equal(heard->counts[BOOTEND_UP], up);
}

static void say(const char *path, const char *text)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	assert_int_equal(sendto(fd, text, strlen(text), 0, (struct sockaddr *)&addr, sizeof(addr)),
		strlen(text));
	close(fd);
}

static struct node_bootend *hear(struct event_base *base, const char *path, struct heard *heard)
{
	struct err err = ERR_INIT;
	struct node_bootend *b = NULL;
	int fd = -1;
	assert_ok(node_bootend_listen(path, &fd, &err));
	assert_ok(node_bootend_new(base, fd, count, heard, &b, &err));
	return b;
}

static void hears_once(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct heard heard = {0};
	struct stat st;
	struct event_base *base = event_base_new();
	struct node_bootend *b, *again;
	AUTO_FREE char *path = path_printf(&err, "%s/%s", test_tmpdir(), BOOTEND_SOCKET);
	b = hear(base, path, &heard);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	say(path, "STATUS=READY=1\nX_SYSTEMD_UNIT_ACTIVE=basic.target");
	say(path, "");
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_heard(&heard, 0, 0);
	say(path, BOOTEND_HANDED_OVER "\n");
	say(path, BOOTEND_HANDED_OVER "\n");
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_heard(&heard, 1, 0);
	say(path, "X_SYSTEMD_UNIT_ACTIVE=multi-user.target\n");
	say(path, "READY=1\nSTATUS=Startup finished in 3.1s.");
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_heard(&heard, 1, 1);
	/* The node is started again in the place of one that died. */
	again = hear(base, path, &heard);
	node_bootend_free(b);
	say(path, "READY=1\nSTATUS=Startup finished in 3.1s.");
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_heard(&heard, 1, 2);
	/* What comes late is no news. */
	say(path, BOOTEND_HANDED_OVER "\n");
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_heard(&heard, 1, 2);
	node_bootend_free(again);
	event_base_free(base);
}

static void no_place(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	int fd;
	char path[200];
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(node_bootend_listen(path, &fd, &err), -1);
	assert_int_equal(err.kind, ERR_LIMIT);
	err_reset(&err);
	assert_int_equal(node_bootend_listen("/nowhere/notify", &fd, &err), -1);
	assert_err(&err, ERR_NOT_FOUND,
		"cannot listen on '/nowhere/notify': No such file or directory");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hears_once),
		cmocka_unit_test(no_place),
	};
	return TEST_MAIN(tests);
}
