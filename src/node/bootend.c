/* SPDX-License-Identifier: MIT */
/* A datagram is lines of NAME=VALUE. Everything is read, whatever it says: a full queue would make
 * PID 1 wait. */
#include "node/bootend.h"

#include "base/fd.h"
#include "base/mem.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct node_bootend {
	int fd;
	struct event *readable;
	void (*up)(void *data);
	void *data;
};

/* True when one of the lines is what we wait for. */
static bool says_up(const char *text)
{
	static const char *const lines[] = {"READY=1", "X_SYSTEMD_UNIT_ACTIVE=multi-user.target",
		"X_SYSTEMD_UNIT_ACTIVE=graphical.target"};
	for (const char *line = text; *line != '\0';) {
		size_t len = strcspn(line, "\n");
		for (size_t i = 0; i < ARRAY_LEN(lines); i++)
			if (strlen(lines[i]) == len && strncmp(line, lines[i], len) == 0)
				return true;
		line += len + (line[len] == '\n');
	}
	return false;
}

static void on_readable(evutil_socket_t fd, short what, void *data)
{
	struct node_bootend *b = data;
	char text[4096];
	(void)what;
	ssize_t len;
	while ((len = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT)) >= 0) {
		text[len] = '\0';
		if (b->up == NULL || !says_up(text))
			continue;
		void (*up)(void *) = b->up;
		b->up = NULL;
		up(b->data);
	}
}

int node_bootend_listen(const char *path, int *ret_fd, struct err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(addr.sun_path))
		return err_raise(err, ERR_LIMIT, "socket '%s' has %zu bytes > max %zu", path,
			strlen(path), sizeof(addr.sun_path) - 1);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	AUTO_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(err, "cannot make a socket");
	(void)unlink(path); /* of a node that died; bind() says what is wrong */
	mode_t mask = umask(0177);
	int r = bind(fd, (struct sockaddr *)&addr, sizeof(addr));
	umask(mask);
	if (r < 0)
		return err_sys(err, "cannot listen on '%s'", path);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int node_bootend_new(struct event_base *base, int take_fd, void (*up)(void *data), void *data,
	struct node_bootend **ret, struct err *err)
{
	AUTO_FD int fd = take_fd;
	struct node_bootend *b = calloc(1, sizeof(*b));
	if (b == NULL)
		return err_oom(err);
	*b = (struct node_bootend){.fd = TAKE_FD(fd), .up = up, .data = data};
	b->readable = event_new(base, b->fd, EV_READ | EV_PERSIST, on_readable, b);
	if (b->readable == NULL || event_add(b->readable, NULL) < 0) {
		node_bootend_free(b);
		return err_oom(err);
	}
	*ret = b;
	return 0;
}

/* The file stays: by then it may be another node's. */
struct node_bootend *node_bootend_free(struct node_bootend *b)
{
	if (b == NULL)
		return NULL;
	if (b->readable != NULL)
		event_free(b->readable);
	fd_close_ptr(&b->fd);
	free(b);
	return NULL;
}
