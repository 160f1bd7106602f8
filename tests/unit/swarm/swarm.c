/* SPDX-License-Identifier: MIT */
/* Swarms on real sockets: several nodes and an origin, all on one loop, over loopback. */
#include "swarm_fixture.h"

static void one_node_gets_all_from_the_origin(void **state)
{
	(void)state;
	struct origin origin;
	struct node node;
	origin_start(&origin, true);
	node_start(&node, 1, origin.url, true);
	node_want(&node, 0, CHUNKS);
	run_all(&node, 1);
	assert_int_equal(node.wrong, 0);
	assert_int_equal(node.from_peers, 0);
	struct swarm_stat stat;
	swarm_stat(node.swarm, &stat);
	assert_int_equal(stat.origin_bytes, sizeof(object));
	assert_true(stat.origin_up);
	node_stop(&node);
	origin_stop(&origin);
}

static void a_chunk_leaves_the_origin_once(void **state)
{
	(void)state;
	struct origin origin;
	struct node nodes[NODES];
	origin_start(&origin, true);
	for (unsigned i = 0; i < NODES; i++)
		node_start(&nodes[i], i, origin.url, true);
	run_for(300);
	for (unsigned i = 0; i < NODES; i++)
		node_want(&nodes[i], 0, CHUNKS);
	run_all(nodes, NODES);
	struct tracker_stat tracker;
	tracker_stat(origin.tracker, &tracker);
	assert_int_equal(tracker.members, NODES);
	/* Once; a busy machine may make somebody give up on a neighbour. */
	assert_in_range(tracker.bytes, sizeof(object), sizeof(object) * 11 / 10);
	unsigned from_peers = 0;
	for (unsigned i = 0; i < NODES; i++) {
		assert_int_equal(nodes[i].wrong, 0);
		from_peers += nodes[i].from_peers;
	}
	assert_true(from_peers >= (NODES - 1) * CHUNKS * 9 / 10);
	for (unsigned i = 0; i < NODES; i++)
		node_stop(&nodes[i]);
	origin_stop(&origin);
}

static void peers_go_on_without_the_origin(void **state)
{
	(void)state;
	struct origin origin;
	struct node nodes[3];
	origin_start(&origin, true);
	for (unsigned i = 0; i < 3; i++)
		node_start(&nodes[i], i, origin.url, true);
	run_for(300);
	node_want(&nodes[0], 0, CHUNKS);
	run_all(nodes, 1);
	origin_stop(&origin);
	node_want(&nodes[1], 0, CHUNKS);
	node_want(&nodes[2], 0, CHUNKS);
	run_all(nodes, 3);
	assert_int_equal(nodes[1].from_peers, CHUNKS);
	assert_int_equal(nodes[2].from_peers, CHUNKS);
	assert_int_equal(nodes[1].wrong + nodes[2].wrong, 0);
	for (unsigned i = 0; i < 3; i++)
		node_stop(&nodes[i]);
}

/* A node that accepts no connections gives over the links that it opened itself. */
static void links_are_used_both_ways(void **state)
{
	(void)state;
	struct origin origin;
	struct node nodes[2];
	origin_start(&origin, true);
	node_start(&nodes[0], 1, origin.url, false);
	node_start(&nodes[1], 2, origin.url, true);
	run_for(300);
	/* The first half comes by way of the other, which opens the link. */
	node_want(&nodes[0], 0, CHUNKS);
	run_all(nodes, 1);
	assert_true(nodes[0].from_peers > 0);
	origin_stop(&origin);
	node_want(&nodes[1], 0, CHUNKS);
	run_all(nodes, 2);
	assert_int_equal(nodes[1].wrong, 0);
	node_stop(&nodes[0]);
	node_stop(&nodes[1]);
}

/* What the own site has does not come from another one; what only another one has does. */
static void the_own_site_first(void **state)
{
	(void)state;
	struct origin origin;
	struct node near, far, late;
	struct swarm_stat before, after;
	origin_start(&origin, true);
	node_start_at(&far, 1, origin.url, true, "far");
	node_want(&far, 0, CHUNKS);
	run_all(&far, 1);
	node_start_at(&near, 2, origin.url, true, "near");
	run_for(300);
	node_want(&near, 0, CHUNKS);
	run_all(&near, 1);
	assert_int_equal(near.from_peers, CHUNKS); /* the origin gave it once */
	swarm_stat(far.swarm, &before);
	node_start_at(&late, 3, origin.url, true, "near");
	run_for(300);
	node_want(&late, 0, CHUNKS);
	run_all(&late, 1);
	swarm_stat(far.swarm, &after);
	assert_int_equal(late.from_peers, CHUNKS);
	assert_int_equal(after.uploaded_bytes, before.uploaded_bytes);
	node_stop(&near);
	node_stop(&far);
	node_stop(&late);
	origin_stop(&origin);
}

/* As after a renewal of its lease: who comes then finds it where it is now. */
static void a_new_address_is_told(void **state)
{
	(void)state;
	struct origin origin;
	struct node nodes[2];
	origin_start(&origin, true);
	node_start(&nodes[0], 1, origin.url, true);
	node_want(&nodes[0], 0, CHUNKS);
	run_all(nodes, 1);
	struct http_server *old = nodes[0].server;
	nodes[0].server = listen_on_loopback(node_handle, &nodes[0]);
	http_server_free(old);
	struct node_address now = loopback(http_server_port(nodes[0].server));
	swarm_readdress(nodes[0].swarm, &now);
	node_start(&nodes[1], 2, origin.url, true);
	run_for(300);
	origin_stop(&origin);
	node_want(&nodes[1], 0, CHUNKS);
	run_all(nodes, 2);
	assert_int_equal(nodes[1].from_peers, CHUNKS);
	assert_int_equal(nodes[1].wrong, 0);
	node_stop(&nodes[0]);
	node_stop(&nodes[1]);
}

static void a_plain_web_server_is_an_origin(void **state)
{
	(void)state;
	struct origin origin;
	struct node nodes[2];
	origin_start(&origin, false);
	for (unsigned i = 0; i < 2; i++)
		node_start(&nodes[i], i, origin.url, true);
	for (unsigned i = 0; i < 2; i++) {
		/* Without a tracker members are found by other means. */
		struct member other = {.address = {.ip = {[10] = 0xff, 0xff, 127, 0, 0, 1}}};
		put_le32(other.id.bytes, (1 - i) * 2654435761u);
		other.address.port = http_server_port(nodes[1 - i].server);
		swarm_found(nodes[i].swarm, &other);
	}
	for (unsigned i = 0; i < 2; i++)
		node_want(&nodes[i], 0, CHUNKS);
	run_all(nodes, 2);
	assert_int_equal(nodes[0].wrong + nodes[1].wrong, 0);
	assert_true(nodes[0].from_peers + nodes[1].from_peers >= CHUNKS / 2);
	assert_true(origin.gets > 0);
	for (unsigned i = 0; i < 2; i++)
		node_stop(&nodes[i]);
	origin_stop(&origin);
}

static void an_origin_that_comes_late_is_waited_for(void **state)
{
	(void)state;
	struct origin origin;
	struct node node;
	origin_start(&origin, true);
	char url[64];
	memcpy(url, origin.url, sizeof(url));
	origin_stop(&origin);
	node_start(&node, 1, url, true);
	node_want(&node, 0, 3);
	run_for(500);
	assert_int_equal(node.got, 0);
	struct swarm_stat stat;
	swarm_stat(node.swarm, &stat);
	assert_false(stat.origin_up);
	assert_int_equal(stat.waiting, 3);
	swarm_want_cancel(node.wants[2]);
	node.wanted--;
	swarm_stat(node.swarm, &stat);
	assert_int_equal(stat.waiting, 2);
	node_stop(&node);
}

/* Whoever is not of the swarm, or talks nonsense, is cut off and harms nobody. */
static void strangers_are_cut_off(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct origin origin;
	struct node node;
	origin_start(&origin, true);
	node_start(&node, 1, origin.url, true);
	run_for(200);
	AUTO_BUF hello = {0};
	struct message message = {.type = MESSAGE_HELLO, .hello = {.member = {.id = {{77}}}}};
	assert_ok(message_encode(&message, &hello, &err));
	const struct {
		const void *bytes;
		size_t len;
	} strangers[] = {{"\xff\xff\xff\xff\xff", 5}, {"\1\0\0\0\4", 5}, {hello.data, hello.len}};
	for (size_t i = 0; i < ARRAY_LEN(strangers); i++) {
		int pair[2];
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		swarm_accept(node.swarm, pair[0], strangers[i].bytes, strangers[i].len);
		run_for(100);
		uint8_t bytes[4096];
		ssize_t got;
		while ((got = recv(pair[1], bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
			;
		assert_int_equal(got, 0);
		close(pair[1]);
	}
	node_want(&node, 0, CHUNKS);
	run_all(&node, 1);
	assert_int_equal(node.wrong, 0);
	node_stop(&node);
	origin_stop(&origin);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			one_node_gets_all_from_the_origin, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_chunk_leaves_the_origin_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(peers_go_on_without_the_origin, set_up, tear_down),
		cmocka_unit_test_setup_teardown(links_are_used_both_ways, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_own_site_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_new_address_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_plain_web_server_is_an_origin, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_origin_that_comes_late_is_waited_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(strangers_are_cut_off, set_up, tear_down),
	};
	return TEST_MAIN(tests);
}
