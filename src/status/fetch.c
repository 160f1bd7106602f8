/* SPDX-License-Identifier: MIT */
/*
 * Written down as HTTP/1.0, so that the end of the connection is the end of the answer. Not
 * http/client.h: that is for loops that do other things meanwhile, and speaks TCP only.
 */
#include "status/fetch.h"

#include "base/fd.h"
#include "base/path.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PORT_DEFAULT "8080"
#define DEADLINE_MS 10000 /* for the whole exchange */
#define ANSWER_MAX ((size_t)64 << 20)

static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Waits for the descriptor to be ready. ERR_AGAIN when the deadline passes. */
static int await(int fd, short events, int64_t deadline_ms, struct err *err)
{
	struct pollfd p = {.fd = fd, .events = events};
	for (;;) {
		int64_t left = deadline_ms - now_ms();
		int r = poll(&p, 1, left > 0 ? (int)left : 0);
		if (r > 0)
			return 0;
		if (r == 0)
			return err_raise(
				err, ERR_AGAIN, "no answer within %d s", DEADLINE_MS / 1000);
		if (errno != EINTR)
			return err_sys(err, "cannot wait");
	}
}

static int connect_to(const struct sockaddr *addr, socklen_t len, int64_t deadline_ms, int *ret_fd,
	struct err *err)
{
	AUTO_FD int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(err, "cannot make a socket");
	int failure = 0;
	socklen_t size = sizeof(failure);
	if (connect(fd, addr, len) < 0) {
		if (errno != EINPROGRESS)
			failure = errno;
		else if (await(fd, POLLOUT, deadline_ms, err) < 0)
			return -1;
		else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) < 0)
			failure = errno;
	}
	if (failure != 0) {
		err_errno(err, failure, "cannot connect");
		if (failure == ECONNREFUSED)
			err->kind = ERR_AGAIN;
		return -1;
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int connect_socket(const char *path, int64_t deadline_ms, int *ret_fd, struct err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(addr.sun_path))
		return err_raise(err, ERR_USAGE, "the name has %zu bytes > max %zu", strlen(path),
			sizeof(addr.sun_path) - 1);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	return connect_to((struct sockaddr *)&addr, sizeof(addr), deadline_ms, ret_fd, err);
}

/* Splits HOST[:PORT] or [HOST6][:PORT], with or without http:// and a slash; both are copies. */
static int split_host(const char *url, char **ret_host, char **ret_port, struct err *err)
{
	const char *host = url;
	if (strncmp(url, "http://", 7) == 0)
		host += 7;
	else if (strstr(url, "://") != NULL)
		return err_raise(err, ERR_USAGE, "only http:// is spoken here");
	bool brackets = host[0] == '[';
	host += brackets;
	size_t len = strcspn(host, brackets ? "]" : ":/");
	const char *rest = host + len;
	bool good = len > 0 && (!brackets || *rest == ']');
	rest += good && brackets;
	const char *port = *rest == ':' ? rest + 1 : PORT_DEFAULT;
	size_t port_len = strspn(port, "0123456789");
	if (*rest == ':')
		rest = port + port_len;
	if (!good || port_len == 0 || port_len > 5 || (strcmp(rest, "/") != 0 && *rest != '\0'))
		return err_raise(err, ERR_USAGE, "a URL looks like http://HOST:PORT");
	*ret_host = strndup(host, len);
	*ret_port = strndup(port, port_len);
	return *ret_host == NULL || *ret_port == NULL ? err_oom(err) : 0;
}

static int connect_url(const char *url, int64_t deadline_ms, int *ret_fd, struct err *err)
{
	AUTO_FREE char *host = NULL, *port = NULL;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
	if (split_host(url, &host, &port, err) < 0)
		return -1;
	int r = getaddrinfo(host, port, &hints, &found);
	if (r != 0)
		return err_raise(err, ERR_NOT_FOUND, "cannot find '%s': %s", host, gai_strerror(r));
	struct err last = ERR_INIT;
	for (struct addrinfo *a = found; a != NULL; a = a->ai_next) {
		last = ERR_INIT;
		r = connect_to(a->ai_addr, a->ai_addrlen, deadline_ms, ret_fd, &last);
		if (r == 0)
			break;
	}
	freeaddrinfo(found);
	if (r < 0)
		*err = last;
	return r;
}

static int exchange(int fd, const char *path, int64_t deadline_ms, struct buf *out, struct err *err)
{
	AUTO_FREE char *request = path_printf(
		err, "GET %s HTTP/1.0\r\nHost: snowboot\r\nConnection: close\r\n\r\n", path);
	if (request == NULL)
		return -1;
	for (size_t sent = 0, len = strlen(request); sent < len;) {
		if (await(fd, POLLOUT, deadline_ms, err) < 0)
			return -1;
		ssize_t n = send(fd, request + sent, len - sent, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return err_sys(err, "cannot send");
		sent += n > 0 ? (size_t)n : 0;
	}
	out->max = ANSWER_MAX;
	for (;;) {
		uint8_t *p = buf_reserve(out, 65536, err);
		if (p == NULL || await(fd, POLLIN, deadline_ms, err) < 0)
			return -1;
		ssize_t n = recv(fd, p, 65536, 0);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return err_sys(err, "cannot receive");
		out->len += n > 0 ? (size_t)n : 0;
	}
}

/* Takes head and status off an answer. */
static int read_answer(const struct buf *answer, struct buf *out, struct err *err)
{
	static const char end[] = "\r\n\r\n";
	const char *text = (const char *)answer->data;
	const char *head_end = answer->len > 0 ? memmem(text, answer->len, end, 4) : NULL;
	if (head_end == NULL || answer->len < 12 || memcmp(text, "HTTP/1.", 7) != 0)
		return err_raise(err, ERR_CORRUPT, "the answer is no HTTP");
	size_t off = (size_t)(head_end + 4 - text);
	size_t len = answer->len - off;
	if (memcmp(text + 9, "200", 3) == 0)
		return buf_put(out, text + off, len, err);
	/* Our servers explain in a line of text; others in pages that say nothing here. */
	const char *line_end = len > 0 ? memchr(text + off, '\n', len) : NULL;
	bool explained = line_end != NULL && len < 1024 && text[off] != '<';
	len = explained ? (size_t)(line_end - text) - off : 0;
	if (memcmp(text + 9, "404", 3) == 0 && explained)
		return err_raise(err, ERR_NOT_FOUND, "%.*s", (int)len, text + off);
	if (!explained)
		return err_raise(err, ERR_IO, "status %.3s: this is no snowboot", text + 9);
	return err_raise(err, ERR_IO, "status %.3s: %.*s", text + 9, (int)len, text + off);
}

int status_fetch(
	const struct status_source *source, const char *path, struct buf *out, struct err *err)
{
	const char *name = source->socket != NULL ? source->socket : source->url;
	ERR_SCOPE(err, "'%s'", name);
	AUTO_FD int fd = -1;
	AUTO_BUF answer = {0};
	int64_t deadline_ms = now_ms() + DEADLINE_MS;
	int r = source->socket != NULL ? connect_socket(source->socket, deadline_ms, &fd, err)
				       : connect_url(source->url, deadline_ms, &fd, err);
	if (r < 0 || exchange(fd, path, deadline_ms, &answer, err) < 0)
		return -1;
	return read_answer(&answer, out, err);
}
