/* SPDX-License-Identifier: MIT */
/* A unix socket whose clients all get one export. */
#include "base/fd.h"
#include "nbd/connection.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENTS_MAX 64u

struct nbd_listener {
	struct event_base *base;
	const struct nbd_export *export;
	struct event *readable;
	struct sockaddr_un addr;
	int fd;
	unsigned clients;
	TAILQ_HEAD(, nbd_connection) connections;
};

void nbd_listener_forget(struct nbd_listener *listener, struct nbd_connection *connection)
{
	TAILQ_REMOVE(&listener->connections, connection, entry);
	if (listener->clients-- == CLIENTS_MAX)
		event_add(listener->readable, NULL);
}

static void on_client(evutil_socket_t fd, short what, void *data)
{
	(void)what;
	struct nbd_listener *listener = data;
	struct nbd_connection *connection;
	struct err ignored = ERR_INIT; /* the client sees a connection that ends */
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (client < 0 ||
		nbd_connection_new(
			listener->base, client, true, listener->export, &connection, &ignored) < 0)
		return;
	connection->listener = listener;
	TAILQ_INSERT_TAIL(&listener->connections, connection, entry);
	if (++listener->clients == CLIENTS_MAX)
		event_del(listener->readable);
}

/* A socket file that nobody listens on is what a killed program left. */
static bool is_left_over(const struct sockaddr_un *addr)
{
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat st;
	return fd >= 0 && lstat(addr->sun_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
		connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 &&
		errno == ECONNREFUSED;
}

static int listen_at(struct nbd_listener *listener, struct err *err)
{
	const struct sockaddr *addr = (const struct sockaddr *)&listener->addr;
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(err, "cannot make a socket");
	/* Nobody can connect before listen(), so the mode is right when it matters. */
	int r = bind(fd, addr, sizeof(listener->addr));
	if (r < 0 && errno == EADDRINUSE && is_left_over(&listener->addr) &&
		unlink(listener->addr.sun_path) == 0)
		r = bind(fd, addr, sizeof(listener->addr));
	if (r < 0 && errno == EADDRINUSE)
		return err_raise(
			err, ERR_AGAIN, "another program listens on '%s'", listener->addr.sun_path);
	if (r < 0 || chmod(listener->addr.sun_path, 0600) < 0 || listen(fd, 16) < 0)
		return err_sys(err, "cannot listen on '%s'", listener->addr.sun_path);
	listener->fd = TAKE_FD(fd);
	return 0;
}

int nbd_listener_new(struct event_base *base, const char *path, const struct nbd_export *export,
	struct nbd_listener **ret, struct err *err)
{
	AUTO_FREE struct nbd_listener *listener = calloc(1, sizeof(*listener));
	if (listener == NULL)
		return err_oom(err);
	listener->base = base;
	listener->export = export;
	listener->addr.sun_family = AF_UNIX;
	TAILQ_INIT(&listener->connections);
	size_t len = strlen(path);
	if (len >= sizeof(listener->addr.sun_path))
		return err_raise(err, ERR_LIMIT,
			"the socket's path '%s' is too long: %zu bytes > max %zu", path, len,
			sizeof(listener->addr.sun_path) - 1);
	memcpy(listener->addr.sun_path, path, len + 1);
	if (listen_at(listener, err) < 0)
		return -1;
	listener->readable =
		event_new(base, listener->fd, EV_READ | EV_PERSIST, on_client, listener);
	if (listener->readable == NULL || event_add(listener->readable, NULL) < 0) {
		nbd_listener_free(TAKE_PTR(listener));
		return err_oom(err);
	}
	*ret = TAKE_PTR(listener);
	return 0;
}

struct nbd_listener *nbd_listener_free(struct nbd_listener *listener)
{
	if (listener == NULL)
		return NULL;
	while (!TAILQ_EMPTY(&listener->connections))
		nbd_connection_free(TAILQ_FIRST(&listener->connections));
	if (listener->readable != NULL)
		event_free(listener->readable);
	close(listener->fd);
	unlink(listener->addr.sun_path);
	free(listener);
	return NULL;
}
