/* SPDX-License-Identifier: MIT */
/*
 * liar ORIGIN PORT HOW: a member of a swarm that claims to have everything and misbehaves:
 *   corrupt  answers every request with bytes that are not the chunk
 *   slow     sends 10 kB a second, whatever is asked, and never the last byte: a whole chunk would
 *            be found to be wrong
 *   silent   accepts connections and never answers one
 *   hollow   has nothing of what it claims
 * Prints "joined" when the origin knows it, "believed" when the first chunk is asked of it, and at
 * the end (SIGTERM) how many were.
 */
#include "swarm/link.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLOW_MS 100
#define SLOW_BYTES 1000u
#define LINKS 64

enum how { HOW_CORRUPT, HOW_SLOW, HOW_SILENT, HOW_HOLLOW };
static const char *const how_names[] = {"corrupt", "slow", "silent", "hollow"};

struct liar;
/* One connection of a victim; the chunk that is trickled to it. */
struct victim {
	struct liar *liar;
	struct link *link;
	uint32_t id, off, len;
};

struct liar {
	struct event_base *base;
	enum how how;
	struct member self;
	uint8_t token[16];
	struct link *origin;
	struct event *heartbeat, *trickle;
	struct victim victims[LINKS];
	unsigned asked;
};

static const struct link_limits limits = {.dial_ms = 5000};

static void was_asked(struct liar *liar)
{
	if (liar->asked++ == 0) {
		puts("believed");
		fflush(stdout);
	}
}

static void send_part(struct link *link, uint32_t id, uint32_t off, uint32_t len)
{
	static const uint8_t rubbish[LINK_PART_SIZE] = {0xde, 0xad};
	struct message part = {
		.type = MESSAGE_PART, .part = {.id = id, .off = off, .len = len, .bytes = rubbish}};
	link_send(link, &part);
}

static void lie(struct victim *victim, uint32_t id, uint32_t len)
{
	struct message fail = {.type = MESSAGE_FAIL, .fail = {.id = id, .reason = FAIL_NOT_HELD}};
	was_asked(victim->liar);
	switch (victim->liar->how) {
	case HOW_CORRUPT:
		for (uint32_t off = 0; off < len; off += LINK_PART_SIZE)
			send_part(victim->link, id, off,
				len - off < LINK_PART_SIZE ? len - off : LINK_PART_SIZE);
		break;
	case HOW_HOLLOW:
		link_send(victim->link, &fail);
		break;
	case HOW_SLOW:
		if (victim->len == 0)
			*victim = (struct victim){victim->liar, victim->link, id, 0, len};
		break;
	case HOW_SILENT:
		break;
	}
}

static void on_trickle(evutil_socket_t fd, short events, void *data)
{
	(void)fd;
	(void)events;
	struct liar *liar = data;
	for (size_t i = 0; i < LINKS; i++) {
		struct victim *v = &liar->victims[i];
		if (v->link == NULL || v->len == 0)
			continue;
		uint32_t left = v->len - 1 - v->off, len = left < SLOW_BYTES ? left : SLOW_BYTES;
		if (len > 0)
			send_part(v->link, v->id, v->off, len);
		v->off += len;
		if (v->off == v->len - 1)
			v->len = 0;
	}
}

static int on_request(struct link *link, const struct message *message, void *data, struct err *err)
{
	(void)link;
	(void)err;
	struct victim *victim = data;
	for (size_t i = 0; message->type == MESSAGE_REQUEST && i < message->request.items.len; i++)
		lie(victim, message->request.first + (uint32_t)i,
			message->request.items.items[i].len);
	return 0;
}

static void on_up(struct link *link, void *data)
{
	struct liar *liar = data;
	struct message join = {.type = MESSAGE_JOIN,
		.join = {.member = liar->self,
			.system = (char *)"/nix/store/liar",
			.version = (char *)"0"}};
	link_send(link, &join);
}

static void on_room(struct link *link, void *data)
{
	(void)link;
	(void)data;
}

static void on_victim_up(struct link *link, void *data)
{
	(void)link;
	(void)data;
}

static void on_victim_down(struct link *link, const struct err *why, void *data)
{
	(void)why;
	struct victim *victim = data;
	link_free(link);
	victim->link = NULL;
}

static void on_heartbeat(evutil_socket_t fd, short events, void *data)
{
	(void)fd;
	(void)events;
	struct liar *liar = data;
	struct message beat = {.type = MESSAGE_HEARTBEAT, .heartbeat = {.step = (char *)"ready"}};
	memset(beat.heartbeat.inventory, 0xff, sizeof(beat.heartbeat.inventory));
	if (liar->origin != NULL)
		link_send(liar->origin, &beat);
}

static int on_origin(struct link *link, const struct message *message, void *data, struct err *err)
{
	(void)link;
	(void)err;
	struct liar *liar = data;
	if (message->type == MESSAGE_WELCOME) {
		struct timeval second = {.tv_sec = 1};
		memcpy(liar->token, message->welcome.token, sizeof(liar->token));
		event_add(liar->heartbeat, &second);
		puts("joined");
		fflush(stdout);
	}
	return 0;
}

static void on_origin_down(struct link *link, const struct err *why, void *data)
{
	struct liar *liar = data;
	fprintf(stderr, "liar: %s\n", why->msg);
	link_free(link);
	liar->origin = NULL;
}

static const struct link_ops origin_ops = {on_up, on_origin, on_room, on_origin_down};
static const struct link_ops victim_ops = {on_victim_up, on_request, on_room, on_victim_down};

/* The upgrade, just enough of HTTP: a victim's request comes in one piece. */
static bool upgrade(int fd)
{
	static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
				     "Upgrade: " LINK_UPGRADE "\r\n\r\n";
	char request[4096];
	size_t len = 0;
	evutil_make_socket_closeonexec(fd);
	while (len < sizeof(request) - 1) {
		ssize_t n = read(fd, request + len, 1);
		if (n != 1)
			return false;
		len++;
		if (len >= 4 && memcmp(request + len - 4, "\r\n\r\n", 4) == 0)
			return write(fd, answer, sizeof(answer) - 1) == sizeof(answer) - 1;
	}
	return false;
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *addr,
	int addr_len, void *data)
{
	(void)listener;
	(void)addr;
	(void)addr_len;
	struct liar *liar = data;
	struct err err = ERR_INIT;
	struct timeval patience = {.tv_sec = 2};
	if (liar->how == HOW_SILENT) {
		was_asked(liar);
		return; /* and keep it open */
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	size_t i = 0;
	while (i < LINKS && liar->victims[i].link != NULL)
		i++;
	if (i == LINKS || !upgrade(fd)) {
		close(fd);
		return;
	}
	struct victim *victim = &liar->victims[i];
	*victim = (struct victim){.liar = liar};
	evutil_make_socket_nonblocking(fd);
	const struct link_params params = {
		.base = liar->base, .limits = limits, .ops = &victim_ops, .data = victim};
	if (link_accept(&params, fd, NULL, 0, &victim->link, &err) < 0)
		return;
	struct message hello = {.type = MESSAGE_HELLO, .hello = {.member = liar->self}};
	memcpy(hello.hello.token, liar->token, sizeof(liar->token));
	link_send(victim->link, &hello);
}

static void on_signal(evutil_socket_t fd, short events, void *data)
{
	(void)fd;
	(void)events;
	event_base_loopbreak(data);
}

static int start(struct liar *liar, char **argv, struct err *err)
{
	while (liar->how <= HOW_HOLLOW && strcmp(argv[3], how_names[liar->how]) != 0)
		liar->how++;
	if (liar->how > HOW_HOLLOW)
		return err_raise(err, ERR_USAGE, "no way '%s'", argv[3]);
	liar->self.address.port = (uint16_t)strtoul(argv[2], NULL, 10);
	liar->self.address.ip[10] = liar->self.address.ip[11] = 0xff;
	memcpy(liar->self.address.ip + 12, "\x7f\0\0\1", 4);
	memset(liar->self.id.bytes, 0x11, sizeof(liar->self.id.bytes));
	memset(liar->self.inventory, 0xff, sizeof(liar->self.inventory));
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons(liar->self.address.port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval tick = {.tv_usec = SLOW_MS * 1000};
	liar->base = event_base_new();
	liar->heartbeat = event_new(liar->base, -1, EV_PERSIST, on_heartbeat, liar);
	liar->trickle = event_new(liar->base, -1, EV_PERSIST, on_trickle, liar);
	struct event *term = evsignal_new(liar->base, SIGTERM, on_signal, liar->base);
	if (evconnlistener_new_bind(liar->base, on_accept, liar,
		    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, -1, (struct sockaddr *)&address,
		    sizeof(address)) == NULL)
		return err_sys(err, "cannot listen on port %s", argv[2]);
	event_add(term, NULL);
	event_add(liar->trickle, &tick);
	const struct link_params params = {
		.base = liar->base, .limits = limits, .ops = &origin_ops, .data = liar};
	return link_dial_url(&params, NULL, argv[1], &liar->origin, err);
}

int main(int argc, char **argv)
{
	static struct liar liar;
	struct err err = ERR_INIT;
	if (argc != 4) {
		fprintf(stderr, "usage: liar ORIGIN PORT HOW\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	if (start(&liar, argv, &err) < 0) {
		fprintf(stderr, "liar: %s\n", err.msg);
		return 1;
	}
	event_base_dispatch(liar.base);
	printf("asked %u\n", liar.asked);
	return 0;
}
