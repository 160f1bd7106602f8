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
	bootend_fn *heard;
	void *data;
	bool handed_over, up; /* was told */
};

static void tell(struct node_bootend *b, enum bootend_news news)
{
	bool *told = news == BOOTEND_UP ? &b->up : &b->handed_over;
	if (*told || b->up)
		return;
	*told = true;
	b->heard(news, b->data);
}

static void read_lines(struct node_bootend *b, const char *text)
{
	static const struct {
		const char *text;
		enum bootend_news news;
	} lines[] = {{BOOTEND_HANDED_OVER, BOOTEND_STAGE2}, {"READY=1", BOOTEND_UP},
		{"X_SYSTEMD_UNIT_ACTIVE=multi-user.target", BOOTEND_UP},
		{"X_SYSTEMD_UNIT_ACTIVE=graphical.target", BOOTEND_UP}};
	for (const char *line = text; *line != '\0';) {
		size_t len = strcspn(line, "\n");
		for (size_t i = 0; i < ARRAY_LEN(lines); i++)
			if (strlen(lines[i].text) == len && strncmp(line, lines[i].text, len) == 0)
				tell(b, lines[i].news);
		line += len + (line[len] == '\n');
	}
}

static void on_readable(evutil_socket_t fd, short what, void *data)
{
	struct node_bootend *b = data;
	char text[4096];
	(void)what;
	ssize_t len;
	while ((len = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT)) >= 0) {
		text[len] = '\0';
		read_lines(b, text);
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

int node_bootend_new(struct event_base *base, int take_fd, bootend_fn *heard, void *data,
	struct node_bootend **ret, struct err *err)
{
	AUTO_FD int fd = take_fd;
	struct node_bootend *b = calloc(1, sizeof(*b));
	if (b == NULL)
		return err_oom(err);
	*b = (struct node_bootend){.fd = TAKE_FD(fd), .heard = heard, .data = data};
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
