/* SPDX-License-Identifier: MIT */
/*
 * Frames over a socket. A dialled link asks for the upgrade first; an accepted one begins with
 * frames at once. Whatever ends a link is told from the loop, so that nobody's state changes while
 * they call us. It knows what a frame is, and nothing of what it says.
 */
#include "swarm/link.h"

#include "base/path.h"
#include "http/url.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#define QUEUE_MAX (8u * 1024 * 1024) /* bytes that wait for the socket: control frames pile up */
#define QUEUE_PARTS (2 * LINK_PART_SIZE)
#define UNSENT_MAX (2 * LINK_PART_SIZE) /* that the kernel takes beyond what it may send */
#define ANSWER_MAX 8192                 /* bytes of an upgrade's answer */
#define STALL_MS 30000
#define LOST_MS 20000 /* for the other side's kernel to answer: else it is gone */

enum link_state { LINK_CONNECTING, LINK_UPGRADING, LINK_OPEN, LINK_ENDED };

struct link {
	struct bufferevent *bev;
	const struct link_ops *ops;
	void *data;
	struct link_limits limits;
	enum link_state state;
	char *host;             /* and its port, for the request; NULL when accepted */
	struct event *deadline; /* of the dial, later to tell of an end from the loop */
	struct err why;
	bool wants_room;
	bool dialling; /* libevent is being told to connect */
	bool busy;     /* a callback runs: freeing waits for its end */
	bool freed;
	struct buf frame;
	uint64_t control_bytes;
};

static void really_free(struct link *link)
{
	if (link->bev != NULL)
		bufferevent_free(link->bev);
	if (link->deadline != NULL)
		event_free(link->deadline);
	buf_done(&link->frame);
	free(link->host);
	free(link);
}

struct link *link_free(struct link *link)
{
	if (link == NULL)
		return NULL;
	link->state = LINK_ENDED;
	link->freed = true;
	if (!link->busy)
		really_free(link);
	return NULL;
}

/* From a callback of the loop only. link->why says why. */
static void tell_down(struct link *link)
{
	link->state = LINK_ENDED;
	(void)bufferevent_disable(link->bev, EV_READ | EV_WRITE);
	link->ops->down(link, &link->why, link->data);
}

/* From anywhere: `down` follows from the loop. */
static void end_later(struct link *link)
{
	struct timeval now = {0};
	link->state = LINK_ENDED;
	(void)bufferevent_disable(link->bev, EV_READ | EV_WRITE);
	(void)event_add(link->deadline, &now);
}

static void on_deadline(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	struct link *link = data;
	if (err_clean(&link->why))
		(void)err_raise(&link->why, ERR_AGAIN, "link: no answer within %u ms",
			link->limits.dial_ms);
	tell_down(link);
}

/* The answer to the upgrade: 1 when it is whole and says yes. */
static int read_answer(struct link *link, struct err *err)
{
	struct evbuffer *in = bufferevent_get_input(link->bev);
	struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
	if (end.pos < 0 && evbuffer_get_length(in) < ANSWER_MAX)
		return 0;
	size_t len = end.pos < 0 ? ANSWER_MAX : (size_t)end.pos + 4;
	char answer[ANSWER_MAX + 1];
	ssize_t got = evbuffer_copyout(in, answer, len < ANSWER_MAX ? len : ANSWER_MAX);
	answer[got < 0 ? 0 : got] = '\0';
	bool is_http = strncmp(answer, "HTTP/1.", 7) == 0 && strlen(answer) >= 12;
	long status = is_http ? strtol(answer + 9, NULL, 10) : 0;
	if (end.pos < 0 || len > ANSWER_MAX || status < 100 || status > 999)
		return err_raise(err, ERR_CORRUPT, "link: the answer is no HTTP");
	if (status >= 500 || status == 429)
		return err_raise(err, ERR_AGAIN, "link: refused with HTTP status %ld", status);
	if (status != 101 || strcasestr(answer, LINK_UPGRADE) == NULL)
		return err_raise(err, ERR_UNSUPPORTED,
			"link: the web server does not know " LINK_UPGRADE " (HTTP status %ld)",
			status);
	(void)evbuffer_drain(in, len);
	link->control_bytes += len;
	return 1;
}

static int read_frame(struct link *link, struct evbuffer *in, size_t size, struct err *err)
{
	AUTO_MESSAGE message = {.type = MESSAGE_LEAVE};
	const void *frame = evbuffer_pullup(in, (ev_ssize_t)size);
	if (frame == NULL)
		return err_oom(err);
	if (message_decode(frame, size, &message, err) < 0)
		return -1;
	link->control_bytes += size - (message.type == MESSAGE_PART ? message.part.len : 0);
	int r = link->ops->message(link, &message, link->data, err);
	if (!link->freed)
		(void)evbuffer_drain(in, size);
	return r;
}

static int read_frames(struct link *link, struct err *err)
{
	struct evbuffer *in = bufferevent_get_input(link->bev);
	while (link->state == LINK_OPEN) {
		uint8_t head[4];
		size_t size;
		ssize_t len = evbuffer_copyout(in, head, sizeof(head));
		int r = message_frame(head, len < 0 ? 0 : (size_t)len, &size, err);
		unsigned max = link->limits.frame_max;
		if (r < 0)
			return -1;
		if (r > 0 && max != 0 && size > max)
			return err_raise(
				err, ERR_CORRUPT, "link: frame of %zu bytes > max %u", size, max);
		if (r == 0 || size > evbuffer_get_length(in)) {
			if (link->ops->heard != NULL)
				link->ops->heard(link, link->data);
			return 0;
		}
		if (read_frame(link, in, size, err) < 0)
			return -1;
	}
	return 0;
}

static int on_bytes(struct link *link, struct err *err)
{
	if (link->state == LINK_UPGRADING) {
		int r = read_answer(link, err);
		if (r <= 0)
			return r;
		link->state = LINK_OPEN;
		(void)event_del(link->deadline);
		link->ops->up(link, link->data);
	}
	return read_frames(link, err);
}

static void on_read(struct bufferevent *bev, void *data)
{
	(void)bev;
	struct link *link = data;
	struct err err = ERR_INIT;
	if (link->state == LINK_ENDED)
		return;
	link->busy = true;
	int r = on_bytes(link, &err);
	link->busy = false;
	if (link->freed) {
		really_free(link);
		return;
	}
	if (r < 0) {
		link->why = err;
		tell_down(link);
	}
}

static void on_write(struct bufferevent *bev, void *data)
{
	(void)bev;
	struct link *link = data;
	if (link->state != LINK_OPEN || !link->wants_room)
		return;
	link->wants_room = false;
	link->ops->room(link, link->data);
}

static void send_request(struct link *link)
{
	struct evbuffer *out = bufferevent_get_output(link->bev);
	int len = evbuffer_add_printf(out,
		"GET " LINK_PATH " HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\n"
		"Upgrade: " LINK_UPGRADE "\r\n\r\n",
		link->host);
	link->control_bytes += len > 0 ? (uint64_t)len : 0;
	link->state = LINK_UPGRADING;
}

static void set_options(struct link *link)
{
	int fd = bufferevent_getfd(link->bev), one = 1, unsent = UNSENT_MAX, lost = LOST_MS;
	int idle_s = LOST_MS / 2000, every_s = 3, times = 3;
	struct timeval idle = {link->limits.idle_ms / 1000, 1000 * (link->limits.idle_ms % 1000)};
	unsigned stall_ms = link->limits.stall_ms != 0 ? link->limits.stall_ms : STALL_MS;
	struct timeval stall = {stall_ms / 1000, 1000 * (stall_ms % 1000)};
	/* Best effort: they fail on what is no TCP socket, as in tests. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &lost, sizeof(lost));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof(every_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof(times));
	bufferevent_set_timeouts(link->bev, link->limits.idle_ms != 0 ? &idle : NULL, &stall);
	bufferevent_setwatermark(link->bev, EV_WRITE, LINK_PART_SIZE, 0);
	(void)bufferevent_set_max_single_read(link->bev, 4 * LINK_PART_SIZE);
	(void)bufferevent_set_max_single_write(link->bev, 4 * LINK_PART_SIZE);
}

static void on_event(struct bufferevent *bev, short what, void *data)
{
	struct link *link = data;
	int error = EVUTIL_SOCKET_ERROR();
	if (link->state == LINK_ENDED)
		return;
	if (what & BEV_EVENT_CONNECTED) {
		set_options(link);
		send_request(link);
		(void)bufferevent_enable(bev, EV_READ | EV_WRITE);
		return;
	}
	int dns = bufferevent_socket_get_dns_error(bev);
	bool slow = what & BEV_EVENT_WRITING;
	if (what & BEV_EVENT_TIMEOUT)
		(void)err_raise(&link->why, slow ? ERR_LIMIT : ERR_AGAIN, "link: %s",
			slow ? "the other side takes nothing" : "the other side is silent");
	else if (what & BEV_EVENT_EOF)
		(void)err_raise(&link->why, ERR_AGAIN, "link: closed by the other side");
	else if (dns != 0)
		(void)err_raise(&link->why, ERR_AGAIN, "link: cannot resolve '%.*s': %s",
			(int)strcspn(link->host, ":"), link->host, evutil_gai_strerror(dns));
	else
		(void)err_raise(
			&link->why, ERR_AGAIN, "link: %s", evutil_socket_error_to_string(error));
	if (link->dialling)
		end_later(link);
	else
		tell_down(link);
}

/* fd -1: to be connected. The fd is the link's, also on failure. */
static int link_new(const struct link_params *params, int fd, struct link **ret, struct err *err)
{
	struct link *link = calloc(1, sizeof(*link));
	struct bufferevent *bev = link != NULL
		? bufferevent_socket_new(params->base, fd, BEV_OPT_CLOSE_ON_FREE)
		: NULL;
	if (bev == NULL) {
		if (fd >= 0)
			(void)close(fd);
		free(link);
		return err_oom(err);
	}
	*link = (struct link){
		.bev = bev, .limits = params->limits, .ops = params->ops, .data = params->data};
	link->frame.max = LINK_FRAME_MAX;
	link->deadline = evtimer_new(params->base, on_deadline, link);
	if (link->deadline == NULL) {
		link_free(link);
		return err_oom(err);
	}
	bufferevent_setcb(bev, on_read, on_write, on_event, link);
	*ret = link;
	return 0;
}

int link_accept(const struct link_params *params, int take_fd, const void *early, size_t early_len,
	struct link **ret, struct err *err)
{
	struct link *link;
	(void)evutil_make_socket_nonblocking(take_fd);
	if (link_new(params, take_fd, &link, err) < 0)
		return -1;
	link->state = LINK_OPEN;
	set_options(link);
	(void)bufferevent_enable(link->bev, EV_READ | EV_WRITE);
	if (early_len > 0) {
		struct evbuffer *in = bufferevent_get_input(link->bev);
		(void)evbuffer_unfreeze(in, 0);
		int r = evbuffer_add(in, early, early_len);
		(void)evbuffer_freeze(in, 0);
		if (r < 0) {
			link_free(link);
			return err_oom(err);
		}
		bufferevent_trigger(
			link->bev, EV_READ, BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
	}
	*ret = link;
	return 0;
}

/* A connection that fails at once, as without a route, is told like one that fails later: libevent
 * calls on_event() before it returns, and nobody has the link yet. */
static void begin_dial(struct link *link)
{
	unsigned ms = link->limits.dial_ms;
	struct timeval wait = {ms / 1000, 1000 * (ms % 1000)};
	(void)event_add(link->deadline, &wait);
	link->dialling = true;
}

static void end_dial(struct link *link, int r)
{
	link->dialling = false;
	if (r == 0 || link->state == LINK_ENDED)
		return;
	(void)err_raise(&link->why, ERR_AGAIN, "link: %s",
		evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
	end_later(link);
}

int link_dial(const struct link_params *params, const struct node_address *address,
	struct link **ret, struct err *err)
{
	static const uint8_t ipv4_prefix[12] = {[10] = 0xff, [11] = 0xff};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(address->port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(address->port)};
	memcpy(&in.sin_addr, address->ip + 12, 4);
	memcpy(&in6.sin6_addr, address->ip, 16);
	bool ipv4 = memcmp(address->ip, ipv4_prefix, sizeof(ipv4_prefix)) == 0;
	struct link *link;
	if (link_new(params, -1, &link, err) < 0)
		return -1;
	char text[NODE_ADDRESS_TEXT_SIZE];
	link->host = strdup(node_address_text(address, text));
	if (link->host == NULL) {
		link_free(link);
		return err_oom(err);
	}
	const struct sockaddr *to =
		ipv4 ? (const struct sockaddr *)&in : (const struct sockaddr *)&in6;
	begin_dial(link);
	end_dial(link, bufferevent_socket_connect(link->bev, to, ipv4 ? sizeof(in) : sizeof(in6)));
	*ret = link;
	return 0;
}

int link_dial_url(const struct link_params *params, struct evdns_base *dns, const char *url,
	struct link **ret, struct err *err)
{
	AUTO_HTTP_URL parts = {0};
	struct link *link;
	if (http_url_parse(url, &parts, err) < 0 || link_new(params, -1, &link, err) < 0)
		return -1;
	link->host =
		path_printf(err, parts.bracketed ? "[%s]:%u" : "%s:%u", parts.host, parts.port);
	if (link->host == NULL) {
		link_free(link);
		return -1;
	}
	begin_dial(link);
	end_dial(link,
		bufferevent_socket_connect_hostname(
			link->bev, dns, AF_UNSPEC, parts.host, parts.port));
	*ret = link;
	return 0;
}

void link_send(struct link *link, const struct message *message)
{
	if (link->state != LINK_OPEN)
		return;
	struct err err = ERR_INIT;
	struct evbuffer *out = bufferevent_get_output(link->bev);
	buf_clear(&link->frame);
	if (message_encode(message, &link->frame, &err) < 0)
		link->why = err;
	else if (evbuffer_get_length(out) + link->frame.len > QUEUE_MAX)
		(void)err_raise(&link->why, ERR_LIMIT, "link: more than %u bytes wait to be sent",
			QUEUE_MAX);
	else if (evbuffer_add(out, link->frame.data, link->frame.len) < 0)
		(void)err_oom(&link->why);
	if (!err_clean(&link->why)) {
		end_later(link);
		return;
	}
	link->control_bytes +=
		link->frame.len - (message->type == MESSAGE_PART ? message->part.len : 0);
}

bool link_has_room(struct link *link)
{
	bool room = link->state == LINK_OPEN &&
		evbuffer_get_length(bufferevent_get_output(link->bev)) < QUEUE_PARTS;
	link->wants_room |= !room;
	return room;
}

struct node_address link_peer(const struct link *link)
{
	struct node_address ret = {0};
	struct sockaddr_storage storage;
	socklen_t len = sizeof(storage);
	if (getpeername(bufferevent_getfd(link->bev), (struct sockaddr *)&storage, &len) < 0)
		return ret;
	if (storage.ss_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, &storage, sizeof(in));
		ret.ip[10] = ret.ip[11] = 0xff;
		memcpy(ret.ip + 12, &in.sin_addr, 4);
	} else if (storage.ss_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, &storage, sizeof(in6));
		memcpy(ret.ip, &in6.sin6_addr, 16);
	}
	return ret;
}

uint64_t link_control_bytes(const struct link *link)
{
	return link->control_bytes;
}
