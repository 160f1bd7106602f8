/* SPDX-License-Identifier: MIT */
/*
 * The listening side: accepts, counts, and makes place. A connection looks after itself
 * (connection.c); this file only knows how many there are and which of them are idle.
 */
#include "http/server.h"

#include "base/fd.h"
#include "base/mem.h"
#include "http/connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct http_server {
	struct event_base *base;
	struct http_server_config config;
	struct evconnlistener *listener;
	struct event *retry; /* accepts again after the descriptors ran out */
	struct http_connections connections;
	unsigned count;
	bool draining;
	void (*drained)(void *data);
	void *drained_data;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1]; /* unix socket, to remove */
};

#define ACCEPT_RETRY_MS 200

struct event_base *http_server_base(const struct http_server *server)
{
	return server->base;
}

const struct http_server_config *http_server_config(const struct http_server *server)
{
	return &server->config;
}

unsigned http_server_clients(const struct http_server *server)
{
	return server->count;
}

static void pause_accepting(struct http_server *server)
{
	struct timeval delay = {.tv_usec = ACCEPT_RETRY_MS * 1000};
	evconnlistener_disable(server->listener);
	event_add(server->retry, &delay);
}

/* The oldest one of those, but not the newest of all: NULL when there is none. */
static struct http_connection *oldest(
	struct http_server *server, bool (*is_so)(const struct http_connection *connection))
{
	struct http_connection *newest = TAILQ_LAST(&server->connections, http_connections), *c;
	for (c = TAILQ_FIRST(&server->connections); c != newest; c = TAILQ_NEXT(c, entry))
		if (is_so(c))
			return c;
	return NULL;
}

/* Somebody is in the kernel's queue. */
static bool somebody_waits(const struct http_server *server)
{
	struct pollfd queue = {.fd = evconnlistener_get_fd(server->listener), .events = POLLIN};
	return poll(&queue, 1, 0) == 1;
}

/* Gives up whoever reads the slowest, if that is too slow when others wait: false when nobody is.
 */
static bool give_up_slowest(struct http_server *server)
{
	uint64_t least = server->config.limits.place_rate;
	struct http_connection *slowest = NULL, *c;
	char failure[128];
	TAILQ_FOREACH(c, &server->connections, entry) {
		uint64_t rate = http_progress_rate(c);
		if (rate >= least)
			continue;
		least = rate;
		slowest = c;
	}
	if (slowest == NULL)
		return false;
	snprintf(failure, sizeof(failure),
		"another client needs its place: it read %" PRIu64 " < %" PRIu64 " bytes a second",
		least, server->config.limits.place_rate);
	http_connection_reset(slowest, failure);
	return true;
}

/*
 * When every place is taken, the oldest idle client is given up for the next one; without such a
 * one whoever asked for nothing for the longest time; then, once somebody waits, whoever hardly
 * reads what it asked for. Nobody else who gets an answer or waits for it: when all do, the next
 * one waits in the kernel's queue.
 */
static void make_place(struct http_server *server)
{
	struct http_connection *c = oldest(server, http_connection_idle);
	if (c == NULL)
		c = oldest(server, http_connection_asks_nothing);
	if (c != NULL)
		http_connection_cut(c, NULL);
	else if (!somebody_waits(server) || !give_up_slowest(server))
		pause_accepting(server);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *addr,
	int len, void *data)
{
	(void)listener;
	(void)len;
	struct http_server *server = data;
	struct err err = ERR_INIT;
	struct http_connection *c = http_connection_new(server, fd, addr, &err);
	if (c == NULL)
		return; /* out of memory: the client sees its connection closed */
	TAILQ_INSERT_TAIL(&server->connections, c, entry);
	if (++server->count >= server->config.limits.clients)
		make_place(server);
}

/* accept() fails for good only by want of descriptors or memory: pause instead of spinning. */
static void on_accept_error(struct evconnlistener *listener, void *data)
{
	(void)listener;
	pause_accepting(data);
}

static void on_retry(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	struct http_server *server = data;
	if (server->listener == NULL)
		return;
	if (server->count >= server->config.limits.clients)
		make_place(server);
	if (server->count < server->config.limits.clients)
		evconnlistener_enable(server->listener);
}

void http_server_forget(struct http_server *server, struct http_connection *connection)
{
	TAILQ_REMOVE(&server->connections, connection, entry);
	server->count--;
	if (server->listener != NULL)
		evconnlistener_enable(server->listener);
	if (server->draining && server->count == 0 && server->drained != NULL) {
		void (*drained)(void *) = server->drained;
		server->drained = NULL;
		drained(server->drained_data);
	}
}

/* The address as messages have it. */
static void name_address(const struct sockaddr *addr, char *out, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "";
	const struct sockaddr_in *in = (const struct sockaddr_in *)addr;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)addr;
	if (addr->sa_family == AF_UNIX) {
		snprintf(out, size, "%s", ((const struct sockaddr_un *)addr)->sun_path);
	} else if (addr->sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		snprintf(out, size, "[%s]:%u", host, ntohs(in6->sin6_port));
	} else {
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		snprintf(out, size, "%s:%u", host, ntohs(in->sin_port));
	}
}

/* Names the address and the way out of what a user can get wrong. */
static int listen_failed(int errnum, const struct sockaddr *addr, struct err *err)
{
	char name[sizeof(struct sockaddr_un)];
	bool local = addr->sa_family == AF_UNIX;
	name_address(addr, name, sizeof(name));
	err_errno(err, errnum, "cannot listen on '%s'", name);
	if (errnum == EADDRINUSE)
		err->kind = ERR_AGAIN;
	if (errnum == EADDRINUSE && local)
		return err_hint(err, "another program listens there ('ss -lxp' names it)");
	if (errnum == EADDRINUSE)
		return err_hint(err,
			"another program has this port ('ss -ltnp' names it); choose "
			"another one with --listen ADDR:PORT");
	if (errnum == EADDRNOTAVAIL) {
		err->kind = ERR_NOT_FOUND;
		return err_hint(err,
			"no interface of this machine has this address ('ip addr' "
			"lists them)");
	}
	if (errnum == EACCES && !local)
		return err_hint(err,
			"ports below 1024 need root or CAP_NET_BIND_SERVICE; choose a "
			"higher one with --listen ADDR:PORT");
	return -1;
}

/* Removes the socket of a process that is gone: nobody accepts there. */
static void remove_stale(const struct sockaddr_un *addr, socklen_t len)
{
	struct stat st;
	if (lstat(addr->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return;
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)addr, len) < 0 && errno == ECONNREFUSED)
		(void)unlink(addr->sun_path); /* bind() says what is wrong */
}

static struct evconnlistener *listen_on(
	struct http_server *server, const struct sockaddr *addr, socklen_t len)
{
	const struct sockaddr_un *local = (const struct sockaddr_un *)addr;
	bool is_local = addr->sa_family == AF_UNIX && local->sun_path[0] != '\0';
	mode_t mask = is_local ? umask(0177) : 0;
	if (is_local)
		remove_stale(local, len);
	struct evconnlistener *listener = evconnlistener_new_bind(server->base, on_accept, server,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, 512, addr,
		(int)len);
	int errnum = errno;
	if (is_local)
		umask(mask);
	if (is_local && listener != NULL)
		snprintf(server->path, sizeof(server->path), "%s", local->sun_path);
	errno = errnum;
	return listener;
}

static struct http_server *server_new(
	struct event_base *base, const struct http_server_config *config, struct err *err)
{
	struct http_server *server = calloc(1, sizeof(*server));
	if (server != NULL) {
		server->base = base;
		server->config = *config;
		TAILQ_INIT(&server->connections);
		server->retry = event_new(base, -1, 0, on_retry, server);
	}
	if (server != NULL && server->retry != NULL)
		return server;
	http_server_free(server);
	err_oom(err);
	return NULL;
}

int http_server_new(struct event_base *base, const struct sockaddr *addr, socklen_t addr_len,
	const struct http_server_config *config, struct http_server **ret, struct err *err)
{
	struct http_server *server = server_new(base, config, err);
	if (server == NULL)
		return -1;
	errno = 0;
	server->listener = listen_on(server, addr, addr_len);
	if (server->listener == NULL) {
		int errnum = errno != 0 ? errno : ENOMEM;
		http_server_free(server);
		return listen_failed(errnum, addr, err);
	}
	evconnlistener_set_error_cb(server->listener, on_accept_error);
	*ret = server;
	return 0;
}

int http_server_adopt(struct event_base *base, int take_fd, const struct http_server_config *config,
	struct http_server **ret, struct err *err)
{
	AUTO_FD int fd = take_fd;
	struct http_server *server = server_new(base, config, err);
	if (server == NULL)
		return -1;
	/* It listens already: a backlog of 0 leaves it as it is. */
	server->listener = evutil_make_socket_nonblocking(fd) < 0
		? NULL
		: evconnlistener_new(base, on_accept, server,
			  LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (server->listener == NULL) {
		http_server_free(server);
		return err_oom(err);
	}
	(void)TAKE_FD(fd);
	evconnlistener_set_error_cb(server->listener, on_accept_error);
	*ret = server;
	return 0;
}

static void stop_listening(struct http_server *server)
{
	if (server->listener != NULL)
		evconnlistener_free(server->listener);
	server->listener = NULL;
	if (server->path[0] != '\0')
		(void)unlink(server->path); /* the next one replaces it anyway */
	server->path[0] = '\0';
}

struct http_server *http_server_free(struct http_server *server)
{
	if (server == NULL)
		return NULL;
	stop_listening(server);
	server->drained = NULL;
	for (struct http_connection *c; (c = TAILQ_FIRST(&server->connections)) != NULL;)
		http_connection_cut(c, NULL);
	if (server->retry != NULL)
		event_free(server->retry);
	free(server);
	return NULL;
}

uint16_t http_server_port(const struct http_server *server)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	if (getsockname(evconnlistener_get_fd(server->listener), (struct sockaddr *)&addr, &len) <
		0)
		return 0;
	if (addr.ss_family == AF_UNIX)
		return 0;
	return ntohs(addr.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&addr)->sin6_port
						: ((struct sockaddr_in *)&addr)->sin_port);
}

void http_server_drain(struct http_server *server, void (*drained)(void *data), void *data)
{
	stop_listening(server);
	server->draining = true;
	struct http_connection *c = TAILQ_FIRST(&server->connections);
	while (c != NULL) {
		struct http_connection *next = TAILQ_NEXT(c, entry);
		http_connection_finish(c);
		c = next;
	}
	if (server->count == 0) {
		drained(data);
		return;
	}
	server->drained = drained;
	server->drained_data = data;
}
