/* SPDX-License-Identifier: MIT */
/* The origin's decisions, one node after the other; the whole is tested in the simulator. */
#include "swarm/tracker.h"

#include "say.h"
#include "test.h"

#include <string.h>

/* What a node got, as text: "part 1 " "ask 2 B " "fail 3 1 " "members +AB-C ". */
struct node {
	char name;
	struct tracker_link *link;
	char log[SAID_SIZE];
	bool full;
};

static void on_send(void *link, const struct message *m, void *data)
{
	(void)data;
	struct node *node = link;
	if (m->type == MESSAGE_ASK) {
		say(node->log, "ask %u %c ", m->ask.id, m->ask.node.bytes[0]);
	} else if (m->type == MESSAGE_FAIL) {
		say(node->log, "fail %u %d ", m->fail.id, (int)m->fail.reason);
	} else if (m->type == MESSAGE_WELCOME) {
		say(node->log, "welcome %d ", m->welcome.all);
	} else if (m->type == MESSAGE_MEMBERS) {
		say(node->log, "members ");
		VEC_FOREACH(member, &m->members.came)
			say(node->log, "+%c%s", member->id.bytes[0],
				member->address.port == 0 ? "!" : "");
		VEC_FOREACH(id, &m->members.gone)
			say(node->log, "-%c", id->bytes[0]);
		say(node->log, " ");
	} else {
		fail_msg("message %d", (int)m->type);
	}
}

static bool on_part(
	void *link, uint32_t id, const struct chunk *chunk, uint32_t off, uint32_t len, void *data)
{
	(void)off;
	(void)len;
	(void)data;
	struct node *node = link;
	if (chunk->object.bytes[0] == 0xee)
		return false;
	say(node->log, "part %u ", id);
	return true;
}

static bool on_has_room(void *link, void *data)
{
	(void)data;
	return !((struct node *)link)->full;
}

static bool on_has(const struct chunk *chunk, void *data)
{
	(void)data;
	return chunk->object.bytes[0] != 0xee;
}

static const struct tracker_ops ops = {on_send, on_part, on_has, on_has_room};
static uint64_t now_us;

static struct tracker *make_tracker(void)
{
	struct err err = ERR_INIT;
	struct tracker *tracker = NULL;
	now_us = 1000000;
	assert_ok(tracker_new(&(struct tracker_params){.instance = 5}, &ops, NULL, &tracker, &err));
	return tracker;
}

static void connect(struct tracker *tracker, struct node *node, char name)
{
	struct err err = ERR_INIT;
	*node = (struct node){.name = name};
	assert_ok(tracker_link_new(tracker, node, now_us, &node->link, &err));
}

static void join_knowing(struct node *node, uint16_t port, uint64_t tracker, uint64_t epoch)
{
	struct err err = ERR_INIT;
	struct message join = {.type = MESSAGE_JOIN,
		.join = {.member = {.id = {{(uint8_t)node->name}}, .address = {.port = port}},
			.tracker = tracker,
			.epoch = epoch}};
	assert_ok(tracker_receive(node->link, &join, now_us, &err));
}

static void join(struct tracker *tracker, struct node *node, char name)
{
	connect(tracker, node, name);
	join_knowing(node, 80, 0, 0);
}

enum { A, B, C, D, NODES };

/* A tracker and the first `count` nodes, which have joined it and read what it said to that. */
static struct tracker *make_swarm(struct node nodes[NODES], size_t count)
{
	struct tracker *tracker = make_tracker();
	for (size_t i = 0; i < count; i++)
		join(tracker, &nodes[i], (char)('A' + i));
	for (size_t i = 0; i < count; i++)
		nodes[i].log[0] = '\0';
	return tracker;
}

static void request(struct node *node, uint32_t id, const struct chunk *chunk, uint8_t flags)
{
	struct err err = ERR_INIT;
	struct chunk item = *chunk;
	struct message message = {.type = MESSAGE_REQUEST,
		.request = {.first = id, .flags = flags, .items = {&item, 1, 1}}};
	assert_ok(tracker_receive(node->link, &message, now_us, &err));
}

static void expect(struct tracker *tracker, struct node *node, const char *log)
{
	(void)tracker_tick(tracker, now_us);
	assert_string_equal(node->log, log);
	node->log[0] = '\0';
}

static const struct chunk one = {.digest = {{1}}, .len = 1000};

static void a_chunk_goes_out_once(void **state)
{
	(void)state;
	struct node n[NODES];
	struct tracker *tracker = make_swarm(n, 4);
	request(&n[A], 1, &one, 0);
	request(&n[B], 2, &one, 0);
	request(&n[C], 3, &one, 0);
	request(&n[D], 4, &one, 0);
	expect(tracker, &n[A], "part 1 ");
	expect(tracker, &n[B], "ask 2 A ");
	struct tracker_stat stat;
	tracker_stat(tracker, &stat);
	assert_int_equal(stat.bytes, one.len);
	assert_int_equal(stat.redirects, 3);
	(void)tracker_free(tracker);
}

static void a_vanished_holder_frees_its_lease(void **state)
{
	(void)state;
	struct node n[NODES];
	struct tracker *tracker = make_swarm(n, 2);
	n[A].full = true;
	request(&n[A], 1, &one, 0);
	expect(tracker, &n[A], "");
	(void)tracker_link_free(n[A].link, now_us);
	request(&n[B], 1, &one, 0);
	expect(tracker, &n[B], "part 1 ");
	(void)tracker_free(tracker);
}

/* Whoever was named and did not deliver is not named again; then the origin gives it itself. */
static void forcing_ends_at_the_origin(void **state)
{
	(void)state;
	struct node n[NODES];
	struct tracker *tracker = make_swarm(n, 3);
	request(&n[A], 1, &one, 0);
	request(&n[B], 1, &one, 0);
	request(&n[B], 2, &one, REQUEST_FORCE);
	expect(tracker, &n[A], "part 1 ");
	expect(tracker, &n[B], "ask 1 A part 2 ");
	request(&n[C], 1, &one, 0);
	expect(tracker, &n[C], "ask 1 B ");
	(void)tracker_free(tracker);
}

static void private_chunks_have_no_lease(void **state)
{
	(void)state;
	struct node n[NODES];
	struct tracker *tracker = make_swarm(n, 2);
	struct chunk secret = {.digest = {{2}}, .len = 10, .is_private = true};
	request(&n[A], 1, &secret, 0);
	request(&n[B], 1, &secret, 0);
	expect(tracker, &n[A], "part 1 ");
	expect(tracker, &n[B], "part 1 ");
	(void)tracker_free(tracker);
}

static void what_cannot_be_given_fails(void **state)
{
	(void)state;
	struct node n[NODES];
	struct tracker *tracker = make_swarm(n, 1);
	struct chunk absent = {.digest = {{3}}, .object = {{0xee}}, .len = 10};
	request(&n[A], 1, &absent, 0);
	expect(tracker, &n[A], "fail 1 1 ");
	struct tracker_stat stat;
	tracker_stat(tracker, &stat);
	assert_int_equal(stat.leases, 0); /* it pushes nothing out that there is */
	request(&n[A], 2, &one, REQUEST_ONLY_HELD);
	expect(tracker, &n[A], "fail 2 1 ");
	struct err err = ERR_INIT;
	assert_int_equal(
		tracker_receive(n[A].link, &(struct message){.type = MESSAGE_HELLO}, now_us, &err),
		-1);
	assert_err(&err, ERR_CORRUPT, "link: message 7 makes no sense to an origin");
	(void)tracker_free(tracker);
}

static void demands_overtake(void **state)
{
	(void)state;
	struct tracker *tracker = make_tracker();
	struct node a;
	connect(tracker, &a, 'A');
	a.full = true;
	struct chunk other = {.digest = {{4}}, .len = LINK_PART_SIZE};
	request(&a, 1, &one, REQUEST_BULK);
	request(&a, 2, &other, 0);
	request(&a, 3, &other, REQUEST_DEMAND);
	request(&a, 1, &one, REQUEST_DEMAND); /* is raised */
	expect(tracker, &a, "");
	a.full = false;
	expect(tracker, &a, "part 3 part 1 part 2 ");
	(void)tracker_free(tracker);
}

static void members_are_told_the_difference(void **state)
{
	(void)state;
	struct tracker *tracker = make_tracker();
	struct node a, b, c;
	join(tracker, &a, 'A');
	expect(tracker, &a, "welcome 1 members  ");
	join(tracker, &b, 'B');
	join(tracker, &c, 'C');
	expect(tracker, &c, "welcome 1 members +B+A ");
	expect(tracker, &a, "");
	now_us += 1000000;
	expect(tracker, &a, "members +C+B ");
	(void)tracker_link_free(b.link, now_us);
	now_us += 1000000;
	expect(tracker, &a, "members -B ");

	/* One that comes back is told what it missed. */
	struct tracker_stat stat;
	tracker_stat(tracker, &stat);
	connect(tracker, &b, 'B');
	join_knowing(&b, 80, 5, stat.epoch - 1);
	expect(tracker, &b, "welcome 0 members +B ");
	connect(tracker, &b, 'B');
	join_knowing(&b, 80, 4, stat.epoch);
	expect(tracker, &b, "welcome 1 members +C+A ");
	(void)tracker_free(tracker);
}

static void the_suspected_is_not_named(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct tracker *tracker = make_tracker();
	struct node a, b, c;
	join(tracker, &a, 'A');
	join(tracker, &b, 'B');
	join(tracker, &c, 'C');
	struct node_id id = {{'A'}};
	struct message beat = {.type = MESSAGE_HEARTBEAT, .heartbeat = {.suspects = {&id, 1, 1}}};
	assert_ok(tracker_receive(b.link, &beat, now_us, &err));
	assert_ok(tracker_receive(b.link, &beat, now_us, &err));
	now_us += 1000000;
	b.log[0] = '\0';
	expect(tracker, &b, "members +C ");
	assert_ok(tracker_receive(c.link, &beat, now_us, &err));
	now_us += 1000000;
	expect(tracker, &b, "members +A! ");
	a.log[0] = '\0';
	request(&a, 1, &one, 0);
	request(&b, 1, &one, 0);
	expect(tracker, &a, "part 1 ");
	expect(tracker, &b, "part 1 ");
	(void)tracker_free(tracker);
}

static void a_silent_node_is_dead(void **state)
{
	(void)state;
	struct tracker *tracker = make_tracker();
	struct node a, again;
	join(tracker, &a, 'A');
	assert_false(tracker_link_is_dead(a.link, now_us + 15000000));
	assert_true(tracker_link_is_dead(a.link, now_us + 15000001));
	join(tracker, &again, 'A');
	assert_true(tracker_link_is_dead(a.link, now_us));
	assert_non_null(tracker_link_member(again.link));
	assert_null(tracker_link_member(a.link));
	(void)tracker_free(tracker);
}

static void peers_for_a_kernel_have_booted(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct tracker *tracker = make_tracker();
	struct node a, b;
	assert_null(tracker_peer(tracker, NULL, 0));
	join(tracker, &a, 'A');
	join(tracker, &b, 'B');
	struct message beat = {.type = MESSAGE_HEARTBEAT, .heartbeat = {.percent = 100}};
	assert_ok(tracker_receive(a.link, &beat, now_us, &err));
	for (uint64_t spread = 0; spread < 4; spread++)
		assert_int_equal(tracker_peer(tracker, "", spread)->id.bytes[0], 'A');
	assert_null(tracker_peer(tracker, "elsewhere", 0));
	(void)tracker_free(tracker);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chunk_goes_out_once),
		cmocka_unit_test(a_vanished_holder_frees_its_lease),
		cmocka_unit_test(forcing_ends_at_the_origin),
		cmocka_unit_test(private_chunks_have_no_lease),
		cmocka_unit_test(what_cannot_be_given_fails),
		cmocka_unit_test(demands_overtake),
		cmocka_unit_test(members_are_told_the_difference),
		cmocka_unit_test(the_suspected_is_not_named),
		cmocka_unit_test(a_silent_node_is_dead),
		cmocka_unit_test(peers_for_a_kernel_have_booted),
	};
	return TEST_MAIN(tests);
}
