/* SPDX-License-Identifier: MIT */
/*
 * When to speak, and who is there. Speaking is sparse by the rules of RFC 6762: three announcements
 * and three questions when an interface comes up, then a question when what is known is about to
 * expire, which one node asks for all. Names hold the node's 128-bit id and are unique by that, so
 * they are not probed for.
 */
#include "swarm/mdns.h"

#include "base/log.h"
#include "swarm/mdns_socket.h"

#include <event2/event.h>
#include <string.h>
#include <time.h>

#define NEIGHBOURS_MAX 512
#define PACKETS_A_TURN 32
#define RESCAN_MS 5000
#define BEGIN_TIMES 3      /* announcements, questions: after 0, 1 and 3 s */
#define ANSWER_GAP_MS 1000 /* between two answers, section 6 */
#define NEVER UINT64_MAX

struct neighbour {
	struct node_id id;
	struct node_address address;
	uint64_t expires_ms;
};

struct mdns {
	struct mdns_params params;
	struct mdns_ops ops;
	void *data;
	struct mdns_socket socket;
	struct event *readable4, *readable6, *timer;
	struct neighbour neighbours[NEIGHBOURS_MAX];
	unsigned count;
	uint64_t question_ms, announce_ms, answer_ms, rescan_ms; /* when it is due, or NEVER */
	uint64_t answered_ms;                                    /* when the last went out */
	unsigned questions, announcements;                       /* since the beginning */
	uint32_t random;
	uint8_t packet[MDNS_PACKET_MAX];
};

static uint64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Between from and until; so that a room full of machines does not speak at once. */
static unsigned between(struct mdns *m, unsigned from, unsigned until)
{
	m->random = m->random * 1664525 + 1013904223;
	return from + (m->random >> 8) % (until - from);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void set_timer(struct mdns *m)
{
	uint64_t now = now_ms();
	uint64_t due = earlier(
		earlier(m->question_ms, m->announce_ms), earlier(m->answer_ms, m->rescan_ms));
	uint64_t wait = due > now ? due - now : 0;
	struct timeval tv = {
		.tv_sec = (time_t)(wait / 1000), .tv_usec = (suseconds_t)(wait % 1000) * 1000};
	event_add(m->timer, &tv);
}

/* An interface came: everything is said and asked anew. */
static void begin(struct mdns *m)
{
	uint64_t now = now_ms();
	m->questions = m->announcements = 0;
	m->question_ms = now + between(m, 20, 120);
	m->announce_ms = m->params.port != 0 ? now + between(m, 20, 120) : NEVER;
}

static struct mdns_service own_service(const struct mdns *m, unsigned interface)
{
	const struct mdns_interface *i = &m->socket.interfaces[interface];
	struct mdns_service s = {.id = m->params.id, .port = m->params.port, .ttl_s = MDNS_TTL_S};
	s.swarm_count = m->params.swarm_count;
	memcpy(s.swarms, m->params.swarms, sizeof(s.swarms));
	s.ip_count = i->ip_count;
	memcpy(s.ips, i->ips, sizeof(i->ips));
	return s;
}

/* Says on each interface what addresses we have there. */
static void say(struct mdns *m, uint32_t ttl_s)
{
	m->answered_ms = now_ms();
	m->answer_ms = NEVER;
	for (unsigned n = 0; n < m->socket.count; n++) {
		struct mdns_service s = own_service(m, n);
		struct err err = ERR_INIT;
		AUTO_BUF out = {0};
		s.ttl_s = ttl_s;
		if (s.ip_count > 0 && mdns_put_answer(&s, NULL, &out, &err) == 0)
			mdns_socket_multicast(
				&m->socket, m->socket.interfaces[n].index, out.data, out.len);
	}
}

static void ask(struct mdns *m)
{
	struct err err = ERR_INIT;
	AUTO_BUF out = {0};
	if (mdns_put_question(&out, &err) < 0)
		return; /* asked again later */
	for (unsigned n = 0; n < m->socket.count; n++)
		mdns_socket_multicast(&m->socket, m->socket.interfaces[n].index, out.data, out.len);
}

/* When what is known is about to expire: section 5.2. */
static uint64_t next_refresh(struct mdns *m)
{
	return now_ms() + between(m, MDNS_TTL_S * 800, MDNS_TTL_S * 950);
}

static void forget(struct mdns *m, unsigned i)
{
	struct node_id id = m->neighbours[i].id;
	m->neighbours[i] = m->neighbours[--m->count];
	m->ops.lost(&id, m->data);
}

static void expire(struct mdns *m, uint64_t now)
{
	for (unsigned i = m->count; i-- > 0;)
		if (m->neighbours[i].expires_ms <= now)
			forget(m, i);
}

static void on_timer(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	struct mdns *m = data;
	uint64_t now = now_ms();
	expire(m, now);
	if (m->rescan_ms <= now) {
		m->rescan_ms = now + RESCAN_MS;
		if (mdns_socket_rescan(&m->socket))
			begin(m);
	}
	if (m->announce_ms <= now) {
		say(m, MDNS_TTL_S);
		m->announce_ms =
			++m->announcements < BEGIN_TIMES ? now + 1000 * m->announcements : NEVER;
	}
	if (m->answer_ms <= now)
		say(m, MDNS_TTL_S);
	if (m->question_ms <= now) {
		ask(m);
		m->question_ms =
			++m->questions < BEGIN_TIMES ? now + 1000 * m->questions : next_refresh(m);
	}
	set_timer(m);
}

static bool shares_swarm(const struct mdns *m, const struct mdns_service *s)
{
	for (unsigned i = 0; i < m->params.swarm_count; i++)
		for (unsigned j = 0; j < s->swarm_count; j++)
			if (memcmp(&m->params.swarms[i], &s->swarms[j], sizeof(s->swarms[j])) == 0)
				return true;
	return false;
}

static void heard(struct mdns *m, const struct mdns_service *s, const struct mdns_sender *sender)
{
	struct node_address address = {.port = s->port};
	uint32_t ttl_s = s->ttl_s < MDNS_TTL_S ? s->ttl_s : MDNS_TTL_S;
	if (memcmp(&s->id, &m->params.id, sizeof(s->id)) == 0 || !shares_swarm(m, s))
		return;
	memcpy(address.ip, s->ip_count > 0 ? s->ips[0] : sender->ip, sizeof(address.ip));
	unsigned i = 0;
	while (i < m->count && memcmp(&m->neighbours[i].id, &s->id, sizeof(s->id)) != 0)
		i++;
	if (s->ttl_s == 0) {
		if (i < m->count)
			forget(m, i);
		return;
	}
	if (i == NEIGHBOURS_MAX)
		return;
	struct neighbour *n = &m->neighbours[i];
	bool news = i == m->count || memcmp(&n->address, &address, sizeof(address)) != 0;
	m->count += i == m->count;
	*n = (struct neighbour){s->id, address, now_ms() + (uint64_t)ttl_s * 1000};
	if (news)
		m->ops.found(&s->id, &address, m->data);
}

static void reply_legacy(
	struct mdns *m, int fd, const struct mdns_sender *sender, const struct mdns_packet *packet)
{
	for (unsigned n = 0; n < m->socket.count; n++) {
		struct mdns_service s = own_service(m, n);
		struct err err = ERR_INIT;
		AUTO_BUF out = {0};
		if (m->socket.interfaces[n].index == sender->index &&
			mdns_put_answer(&s, packet, &out, &err) == 0)
			mdns_socket_reply(fd, sender, out.data, out.len);
	}
}

static void asked(
	struct mdns *m, int fd, const struct mdns_sender *sender, const struct mdns_packet *packet)
{
	uint64_t now = now_ms();
	/* What another asks for all need not be asked again: section 7.3. */
	if (packet->asks_service && !sender->legacy && m->questions >= BEGIN_TIMES)
		m->question_ms = next_refresh(m);
	bool wanted = (packet->asks_service && !packet->known) || packet->asks_self;
	if (m->params.port == 0 || !wanted)
		return;
	if (sender->legacy) {
		reply_legacy(m, fd, sender, packet);
		return;
	}
	if (m->answer_ms != NEVER)
		return;
	m->answer_ms = now + between(m, 20, 120);
	if (m->answer_ms < m->answered_ms + ANSWER_GAP_MS)
		m->answer_ms = m->answered_ms + ANSWER_GAP_MS;
}

static void on_readable(evutil_socket_t fd, short what, void *data)
{
	(void)what;
	struct mdns *m = data;
	struct mdns_sender sender;
	size_t len;
	for (int i = 0; i < PACKETS_A_TURN &&
		mdns_socket_receive(fd, m->packet, sizeof(m->packet), &len, &sender) == 1;
		i++) {
		struct mdns_packet packet;
		struct err err = ERR_INIT;
		if (mdns_packet_read(m->packet, len, &m->params.id, &packet, &err) < 0)
			continue; /* anybody can send anything */
		for (unsigned s = 0; s < packet.service_count; s++)
			heard(m, &packet.services[s], &sender);
		if (!packet.answer)
			asked(m, fd, &sender, &packet);
	}
	set_timer(m);
}

static struct event *watch(struct mdns *m, struct event_base *base, int fd)
{
	struct event *event = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, m);
	if (event != NULL)
		event_add(event, NULL);
	return event;
}

static void release(struct mdns *m)
{
	struct event *events[] = {m->readable4, m->readable6, m->timer};
	for (size_t i = 0; i < ARRAY_LEN(events); i++)
		if (events[i] != NULL)
			event_free(events[i]);
	mdns_socket_close(&m->socket);
	free(m);
}

int mdns_new(struct event_base *base, const struct mdns_params *params, const struct mdns_ops *ops,
	void *data, struct mdns **ret, struct err *err)
{
	struct mdns *m = calloc(1, sizeof(*m));
	if (m == NULL)
		return err_oom(err);
	m->params = *params;
	m->ops = *ops;
	m->data = data;
	memcpy(&m->random, params->id.bytes, sizeof(m->random));
	m->random += (uint32_t)now_ms();
	if (mdns_socket_open(&m->socket, err) < 0) {
		release(m);
		return -1;
	}
	m->timer = event_new(base, -1, 0, on_timer, m);
	if (m->socket.fd4 >= 0)
		m->readable4 = watch(m, base, m->socket.fd4);
	if (m->socket.fd6 >= 0)
		m->readable6 = watch(m, base, m->socket.fd6);
	if (m->timer == NULL || (m->socket.fd4 >= 0 && m->readable4 == NULL) ||
		(m->socket.fd6 >= 0 && m->readable6 == NULL)) {
		release(m);
		return err_oom(err);
	}
	m->answer_ms = NEVER;
	m->rescan_ms = now_ms() + RESCAN_MS;
	begin(m);
	set_timer(m);
	*ret = m;
	return 0;
}

struct mdns *mdns_free(struct mdns *m)
{
	if (m == NULL)
		return NULL;
	if (m->params.port != 0)
		say(m, 0);
	release(m);
	return NULL;
}
