/* SPDX-License-Identifier: MIT */
/*
 * One connection to a server, as a state machine over the events of its socket: connect, send, read
 * a head, hand the body on, be idle. No request is sent before the answer to the one before is
 * whole, so whatever comes unasked ends the connection.
 */
#include "http/channel.h"

#include "base/fd.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct http_client_limits *limits(const struct http_channel *c)
{
	return http_client_limits(c->host->client);
}

void http_channel_deadline(struct http_channel *c, unsigned ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
	event_add(&c->deadline, &tv);
}

static void unwatch(struct http_channel *c)
{
	if (c->watched) {
		event_del(&c->readable);
		event_del(&c->writable);
	}
	c->watched = false;
	fd_close_ptr(&c->fd);
	c->fd = -1;
}

/* What is left after the connection is closed, once no callback is inside it. */
static void release(struct http_channel *c)
{
	buf_done(&c->out);
	http_answer_head_done(&c->head);
	free(c);
}

void http_channel_free(struct http_channel *c)
{
	if (c->get != NULL)
		c->get->channel = NULL;
	c->get = NULL;
	unwatch(c);
	event_del(&c->deadline);
	TAILQ_REMOVE(&c->host->channels, c, entry);
	c->host->channel_count--;
	c->dead = true;
	if (!c->handling)
		release(c);
}

/* Takes the request out of the connection's hand. */
struct http_get *http_channel_let_go(struct http_channel *c)
{
	struct http_get *get = c->get;
	c->get = NULL;
	get->channel = NULL;
	return get;
}

/* Ends connection and request with a failure. */
void http_channel_fail(struct http_channel *c, struct err *err)
{
	struct http_host *host = c->host;
	struct http_get *get = http_channel_let_go(c);
	http_channel_free(c);
	http_client_dispatch(host);
	http_client_finish(get, err);
}

/*
 * A connection that was kept and breaks before the first byte of an answer says nothing about the
 * server: it closed it while the request was on its way. The request goes again, once, over a new
 * one: all that are idle may be as stale.
 */
static bool retry(struct http_channel *c)
{
	if (c->answers == 0 || c->in_len > 0 || c->get->retried ||
		(c->state != HTTP_CHANNEL_SENDING && c->state != HTTP_CHANNEL_HEAD))
		return false;
	struct http_host *host = c->host;
	struct http_get *get = http_channel_let_go(c);
	struct http_channel *i, *next;
	http_channel_free(c);
	for (i = TAILQ_FIRST(&host->channels); i != NULL; i = next) {
		next = TAILQ_NEXT(i, entry);
		if (i->state == HTTP_CHANNEL_IDLE)
			http_channel_free(i);
	}
	get->retried = true;
	http_client_queue(get, true);
	http_client_dispatch(host);
	return true;
}

/* The connection broke: `errnum`, or 0 when the server closed it. */
void http_channel_broken(struct http_channel *c, int errnum)
{
	struct err err = ERR_INIT;
	if (retry(c))
		return;
	if (errnum != 0)
		err_errno(&err, errnum, "the connection broke");
	else if (c->state == HTTP_CHANNEL_BODY && c->head.answer.len != UINT64_MAX)
		err_raise(&err, ERR_AGAIN,
			"the server closed the connection after %" PRIu64 " of %" PRIu64 " bytes",
			c->body_got, c->head.answer.len);
	else
		err_raise(&err, ERR_AGAIN, "the server closed the connection before %s",
			c->state == HTTP_CHANNEL_BODY ? "the answer's end" : "it answered");
	err.kind = ERR_AGAIN;
	http_channel_fail(c, &err);
}

static int put_request(const struct http_get *get, struct buf *out, struct err *err)
{
	const struct http_url *url = &get->url;
	const char *host = url->bracketed ? "[%s]" : "%s";
	buf_clear(out);
	if (buf_printf(out, err, "GET %s HTTP/1.1\r\nHost: ", url->target) < 0 ||
		buf_printf(out, err, host, url->host) < 0 ||
		(url->port != 80 && buf_printf(out, err, ":%u", url->port) < 0) ||
		buf_put_str(out,
			"\r\nUser-Agent: snowboot/" SNOWBOOT_VERSION
			"\r\nAccept-Encoding: identity\r\n",
			err) < 0)
		return -1;
	if (get->len > 0 &&
		buf_printf(out, err, "Range: bytes=%" PRIu64 "-%" PRIu64 "\r\n", get->off,
			get->off + get->len - 1) < 0)
		return -1;
	if (get->len == 0 && get->off > 0 &&
		buf_printf(out, err, "Range: bytes=%" PRIu64 "-\r\n", get->off) < 0)
		return -1;
	if (get->if_none_match != NULL &&
		buf_printf(out, err, "If-None-Match: %s\r\n", get->if_none_match) < 0)
		return -1;
	return buf_put_str(out, "\r\n", err);
}

/* Sends what is left of the request; the loop goes on with it when the socket takes no more. */
static void send_some(struct http_channel *c)
{
	while (c->out_sent < c->out.len) {
		ssize_t n = send(
			c->fd, c->out.data + c->out_sent, c->out.len - c->out_sent, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			event_add(&c->writable, NULL);
			return;
		}
		if (n < 0) {
			http_channel_broken(c, errno);
			return;
		}
		c->out_sent += (size_t)n;
	}
	event_del(&c->writable);
	c->state = HTTP_CHANNEL_HEAD;
}

/* The request is in c->out. What the socket refuses is found by the loop, not by our caller. */
static void begin_sending(struct http_channel *c)
{
	c->state = HTTP_CHANNEL_SENDING;
	c->out_sent = 0;
	c->in_len = 0;
	c->informational = 0;
	event_add(&c->readable, NULL);
	event_add(&c->writable, NULL);
	http_channel_deadline(c, c->get->first_byte_ms);
}

static void on_readable(evutil_socket_t fd, short what, void *data);
static void on_writable(evutil_socket_t fd, short what, void *data);

/* Begins with the addresses from c->address on: -1 when none is left. */
static int connect_next(struct http_channel *c)
{
	struct http_host *host = c->host;
	for (; c->address < host->address_count; c->address++) {
		const struct http_address *a = &host->addresses[c->address];
		unwatch(c);
		c->fd = socket(a->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (c->fd < 0 ||
			(connect(c->fd, (const struct sockaddr *)&a->addr, a->len) < 0 &&
				errno != EINPROGRESS)) {
			c->connect_error = errno;
			continue;
		}
		int on = 1;
		(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* only slower
			without */
		struct event_base *base = event_get_base(host->kick);
		event_assign(&c->readable, base, c->fd, EV_READ | EV_PERSIST, on_readable, c);
		event_assign(&c->writable, base, c->fd, EV_WRITE | EV_PERSIST, on_writable, c);
		c->watched = true;
		event_add(&c->writable, NULL);
		http_channel_deadline(c, limits(c)->connect_ms);
		return 0;
	}
	unwatch(c);
	return -1;
}

static void cannot_connect(struct http_channel *c)
{
	struct err err = ERR_INIT;
	err_errno(&err, c->connect_error, "cannot connect to '%s' port %u", c->host->name,
		c->host->port);
	err.kind = ERR_AGAIN;
	c->host->address_count = c->host->numeric ? 1 : 0; /* a name may lead elsewhere by now */
	http_channel_fail(c, &err);
}

static void on_connected(struct http_channel *c)
{
	int errnum = 0;
	socklen_t len = sizeof(errnum);
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &errnum, &len) < 0)
		errnum = errno;
	if (errnum == 0) {
		begin_sending(c);
		send_some(c);
		return;
	}
	c->connect_error = errnum;
	c->address++;
	if (connect_next(c) < 0)
		cannot_connect(c);
}

static void on_writable(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	struct http_channel *c = data;
	if (c->state == HTTP_CHANNEL_CONNECTING)
		on_connected(c);
	else
		send_some(c);
}

static void timed_out(struct http_channel *c, struct err *err)
{
	unsigned first = c->get->first_byte_ms;
	switch (c->state) {
	case HTTP_CHANNEL_CONNECTING:
		err_raise(err, ERR_AGAIN, "no connection to '%s' port %u within %u ms",
			c->host->name, c->host->port, limits(c)->connect_ms);
		return;
	case HTTP_CHANNEL_SENDING:
	case HTTP_CHANNEL_HEAD:
		if (c->in_len == 0)
			err_raise(err, ERR_AGAIN, "no answer within %u ms", first);
		else
			err_raise(err, ERR_AGAIN, "the answer's head did not end within %u ms",
				limits(c)->stall_ms);
		return;
	case HTTP_CHANNEL_BODY:
		err_raise(err, ERR_AGAIN, "nothing within %u ms after %" PRIu64 " bytes",
			limits(c)->stall_ms, c->body_got);
		return;
	case HTTP_CHANNEL_IDLE:
		break;
	}
	err_raise(err, ERR_BUG, "a deadline of nothing");
}

/* What stands still, as after a change of our address, stands still on every connection that is
 * kept to that host: one deadline is enough to find it out. */
static void drop_idle(struct http_host *host)
{
	for (struct http_channel *c = TAILQ_FIRST(&host->channels), *next; c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->state == HTTP_CHANNEL_IDLE)
			http_channel_free(c);
	}
}

static void on_deadline(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	struct http_channel *c = data;
	struct http_host *host = c->host;
	if (c->state == HTTP_CHANNEL_IDLE) {
		http_channel_free(c);
		http_client_dispatch(host);
		return;
	}
	if (c->state == HTTP_CHANNEL_CONNECTING) {
		if (c->fd < 0) { /* connect() failed at once */
			cannot_connect(c);
			return;
		}
		c->address++;
		c->connect_error = ETIMEDOUT;
		if (c->address < host->address_count && connect_next(c) == 0)
			return;
	}
	struct err err = ERR_INIT;
	drop_idle(host);
	timed_out(c, &err);
	http_channel_fail(c, &err);
}

int http_channel_new(struct http_host *host, struct http_get *get, struct err *err)
{
	struct http_channel *c = malloc(sizeof(*c));
	if (c == NULL)
		return err_oom(err);
	memset(c, 0, offsetof(struct http_channel, in));
	c->fd = -1;
	c->host = host;
	if (put_request(get, &c->out, err) < 0) {
		release(c);
		return -1;
	}
	evtimer_assign(&c->deadline, event_get_base(host->kick), on_deadline, c);
	TAILQ_INSERT_HEAD(&host->channels, c, entry);
	host->channel_count++;
	c->get = get;
	get->channel = c;
	if (connect_next(c) < 0)
		http_channel_deadline(c, 0); /* fails from the loop */
	return 0;
}

void http_channel_use(struct http_channel *c, struct http_get *get)
{
	struct err err = ERR_INIT;
	c->get = get;
	get->channel = c;
	/* Without memory the server sees nothing and the deadline ends it. */
	if (put_request(get, &c->out, &err) < 0)
		buf_clear(&c->out);
	begin_sending(c);
}

static void on_eof(struct http_channel *c)
{
	if (c->state == HTTP_CHANNEL_BODY && c->head.framing == HTTP_FRAMING_CLOSE &&
		(c->head.answer.len == UINT64_MAX || c->body_got == c->head.answer.len))
		http_channel_complete(c, false);
	else
		http_channel_broken(c, 0);
}

static void read_some(struct http_channel *c)
{
	bool body = c->state == HTTP_CHANNEL_BODY;
	uint8_t *to = body ? http_client_scratch(c->host->client) : (uint8_t *)c->in + c->in_len;
	ssize_t n = recv(c->fd, to, body ? HTTP_SCRATCH : sizeof(c->in) - c->in_len, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (c->state == HTTP_CHANNEL_IDLE) { /* closed, or speaks unasked */
		struct http_host *host = c->host;
		http_channel_free(c);
		http_client_dispatch(host);
	} else if (n < 0) {
		http_channel_broken(c, errno);
	} else if (n == 0) {
		on_eof(c);
	} else if (body) {
		http_channel_deadline(c, limits(c)->stall_ms);
		http_channel_take_body(c, to, (size_t)n);
	} else {
		if (c->in_len == 0) /* from now on the whole head has its time */
			http_channel_deadline(c, limits(c)->stall_ms);
		c->in_len += (size_t)n;
		http_channel_take_head(c);
	}
}

static void on_readable(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	struct http_channel *c = data;
	c->handling = true;
	read_some(c);
	c->handling = false;
	if (c->dead)
		release(c);
}
