/* SPDX-License-Identifier: MIT */
/*
 * A peer that asks for a chunk says how long it is and where web servers have it, and may lie. What
 * it says must neither stand in the way of what we want ourselves nor cost an origin its name.
 */
#include "swarm/engine.h"

#include "say.h"
#include "test.h"

#include <string.h>

struct engine_body {
	unsigned references;
};

/* An engine, its origin, a peer that came to it, and what they were told. */
struct fixture {
	struct engine *engine;
	struct engine_link *origin, *peer;
	uint64_t now_us;
	char log[SAID_SIZE]; /* "o:request 1000@9 " is 1000 bytes of object 9 */
	uint32_t id;         /* of the last request to the origin */
	bool wrong;          /* what comes */
	bool hides;          /* everything, from peers */
	unsigned checks, got;
};

static void on_dial(
	struct engine_link *link, const struct node_address *address, unsigned ms, void *data)
{
	(void)link;
	(void)address;
	(void)ms;
	(void)data;
	fail_msg("nobody else is there to be dialled");
}

static void on_dial_origin(struct engine_link *link, unsigned origin, void *data)
{
	assert_int_equal(origin, 0);
	((struct fixture *)data)->origin = link;
}

static void on_hang_up(struct engine_link *link, void *data)
{
	(void)link;
	(void)data;
}

static void on_send(struct engine_link *link, const struct message *m, void *data)
{
	struct fixture *f = data;
	const char *to = link == f->origin ? "o" : "p";
	if (m->type == MESSAGE_REQUEST) {
		assert_int_equal(m->request.items.len, 1);
		const struct chunk *chunk = &m->request.items.items[0];
		say(f->log, "%s:request %u@%u ", to, chunk->len, chunk->object.bytes[0]);
		f->id = m->request.first;
	} else if (m->type == MESSAGE_FAIL) {
		say(f->log, "%s:fail %d ", to, (int)m->fail.reason);
	} else if (m->type == MESSAGE_CANCEL) {
		say(f->log, "%s:cancel ", to);
	}
}

static bool on_has_room(struct engine_link *link, void *data)
{
	(void)link;
	(void)data;
	return true;
}

static void on_part(struct engine_link *link, uint32_t id, struct engine_body *body, uint32_t off,
	uint32_t len, void *data)
{
	struct fixture *f = data;
	(void)id;
	(void)body;
	assert_ptr_equal(link, f->peer);
	say(f->log, "p:part %u+%u ", off, len);
}

static void on_mirror_get(struct engine_link *link, uint32_t id, const struct chunk *chunk,
	enum swarm_priority priority, void *data)
{
	struct fixture *f = data;
	(void)link;
	(void)priority;
	say(f->log, "get %u@%u%s ", chunk->len, chunk->object.bytes[0],
		chunk->is_hearsay ? " (hearsay)" : "");
	f->id = id;
}

static void on_mirror_cancel(struct engine_link *link, uint32_t id, void *data)
{
	(void)link;
	(void)id;
	say(((struct fixture *)data)->log, "drop ");
}

static void on_mirror_distrust(struct engine_link *link, const struct chunk *chunk, void *data)
{
	(void)link;
	(void)chunk;
	say(((struct fixture *)data)->log, "distrust ");
}

static struct engine_body *on_body_new(const struct chunk *chunk, void *data)
{
	(void)chunk;
	(void)data;
	struct engine_body *body = calloc(1, sizeof(*body));
	body->references = 1;
	return body;
}

static void on_body_write(
	struct engine_body *body, uint32_t off, const void *bytes, uint32_t len, void *data)
{
	(void)body;
	(void)off;
	(void)bytes;
	(void)len;
	(void)data;
}

static bool on_body_verify(struct engine_body *body, void *data)
{
	(void)body;
	return !((struct fixture *)data)->wrong;
}

static struct engine_body *on_body_ref(struct engine_body *body, void *data)
{
	(void)data;
	body->references++;
	return body;
}

static void on_body_unref(struct engine_body *body, void *data)
{
	(void)data;
	if (--body->references == 0)
		free(body);
}

static bool on_hides(const struct digest *chunk, void *data)
{
	(void)chunk;
	return ((struct fixture *)data)->hides;
}

static bool on_has(const struct digest *chunk, void *data)
{
	(void)chunk;
	(void)data;
	return false;
}

static void on_load(const struct digest *chunk, uint32_t len, uint64_t ticket, void *data)
{
	(void)chunk;
	(void)len;
	(void)ticket;
	(void)data;
	fail_msg("nothing is held");
}

static void on_recheck(const struct digest *chunk, void *data)
{
	(void)chunk;
	((struct fixture *)data)->checks++;
}

static void on_inventory(uint8_t ret[INVENTORY_SIZE], void *data)
{
	(void)data;
	memset(ret, 0, INVENTORY_SIZE);
}

static void on_store(const struct chunk *chunk, struct engine_body *body, void *data)
{
	(void)chunk;
	(void)body;
	(void)data;
}

static void on_got(void *want, struct engine_body *body, enum swarm_source source, void *data)
{
	(void)want;
	(void)body;
	assert_int_equal(source, SWARM_ORIGIN);
	((struct fixture *)data)->got++;
}

static void run_for(struct fixture *f, unsigned ms)
{
	for (unsigned i = 0; i < ms / 10; i++) {
		f->now_us += 10000;
		(void)engine_tick(f->engine, f->now_us);
	}
}

static void receive(struct fixture *f, struct engine_link *link, const struct message *message)
{
	struct err err = ERR_INIT;
	assert_ok(engine_receive(link, message, f->now_us, &err));
}

static int set_up(void **state)
{
	static const struct engine_ops ops = ENGINE_OPS(on_);
	struct err err = ERR_INIT;
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	const struct engine_params params = {.origins = 1,
		.peers = true,
		.self = {.id = {{9}}, .address = {{[10] = 0xff, 0xff, 10, 0, 0, 9}, 80}}};
	f->now_us = 1000000;
	assert_ok(engine_new(&params, &ops, f, f->now_us, &f->engine, &err));
	run_for(f, 100);
	assert_non_null(f->origin);
	assert_ok(engine_link_accepted(f->engine, NULL, f->now_us, &f->peer, &err));
	receive(f, f->peer,
		&(struct message){.type = MESSAGE_HELLO, .hello = {.member = {.id = {{1}}}}});
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	engine_free(f->engine);
	free(f);
	return 0;
}

static void expect(struct fixture *f, const char *log)
{
	assert_string_equal(f->log, log);
	f->log[0] = '\0';
}

static void peer_asks(struct fixture *f, uint32_t len)
{
	struct chunk item = {.digest = {{3}}, .object = {{8}}, .len = len};
	receive(f, f->peer,
		&(struct message){
			.type = MESSAGE_REQUEST, .request = {.first = 5, .items = {&item, 1, 1}}});
	run_for(f, 10);
}

static void want_as(
	struct fixture *f, uint8_t digest, enum swarm_priority priority, bool is_private)
{
	struct err err = ERR_INIT;
	struct engine_want *ret;
	const struct chunk chunk = {.digest = {{digest}},
		.object = {{9}},
		.off = 4096,
		.len = 1000,
		.is_private = is_private};
	assert_ok(engine_want(f->engine, &chunk, priority, NULL, f->now_us, &ret, &err));
	run_for(f, 10);
}

static void want(struct fixture *f, bool is_private)
{
	want_as(f, 3, SWARM_DEMAND, is_private);
}

static void origin_gives(struct fixture *f)
{
	static const uint8_t bytes[1000];
	receive(f, f->origin,
		&(struct message){
			.type = MESSAGE_PART, .part = {.id = f->id, .len = 1000, .bytes = bytes}});
	run_for(f, 10);
}

static void a_wrong_length_is_not_waited_for(void **state)
{
	struct fixture *f = *state;
	engine_link_up(f->origin, f->now_us);
	peer_asks(f, 500);
	expect(f, "o:request 500@8 ");
	want(f, false);
	expect(f, "o:cancel p:fail 3 o:request 1000@9 ");
	origin_gives(f);
	assert_int_equal(f->got, 1);
}

static void what_is_private_is_not_shared(void **state)
{
	struct fixture *f = *state;
	engine_link_up(f->origin, f->now_us);
	peer_asks(f, 1000);
	expect(f, "o:request 1000@8 ");
	want(f, true);
	expect(f, "o:cancel p:fail 3 o:request 1000@9 ");
	origin_gives(f);
	expect(f, "");
	assert_int_equal(f->got, 1);
}

static void what_we_know_is_private_is_not_fetched_for_others(void **state)
{
	struct fixture *f = *state;
	engine_link_up(f->origin, f->now_us);
	f->hides = true;
	peer_asks(f, 1000);
	expect(f, "p:fail 3 ");
}

/* Who waits for us is not asked, and an origin is the last to ask. */
static void an_origin_is_given_nothing(void **state)
{
	struct fixture *f = *state;
	struct chunk item = {.digest = {{3}}, .object = {{9}}, .off = 4096, .len = 1000};
	engine_link_up(f->origin, f->now_us);
	receive(f, f->origin,
		&(struct message){.type = MESSAGE_REQUEST, .request = {.items = {&item, 1, 1}}});
	expect(f, "o:fail 3 ");
	want(f, false);
	expect(f, "o:request 1000@9 ");
}

/* The peer waits on: what differs is only where it is said to lie. */
static void our_own_place_counts(void **state)
{
	struct fixture *f = *state;
	engine_link_up(f->origin, f->now_us);
	peer_asks(f, 1000);
	expect(f, "o:request 1000@8 ");
	want(f, false);
	expect(f, "o:request 1000@9 ");
	origin_gives(f);
	expect(f, "p:part 0+1000 ");
	assert_int_equal(f->got, 1);
}

/* Who was wanted first by ourselves is not made another by a peer. */
static void ours_stays(void **state)
{
	struct fixture *f = *state;
	engine_link_up(f->origin, f->now_us);
	want(f, false);
	expect(f, "o:request 1000@9 ");
	peer_asks(f, 500);
	expect(f, "p:fail 3 ");
	peer_asks(f, 1000);
	want(f, false);
	expect(f, "");
	origin_gives(f);
	expect(f, "p:part 0+1000 ");
	assert_int_equal(f->got, 2);
}

static void a_mirror_is_not_blamed_for_a_place_that_a_peer_named(void **state)
{
	static const uint8_t bytes[1000];
	struct fixture *f = *state;
	engine_link_down(f->origin, LINK_MIRROR, f->now_us);
	peer_asks(f, 1000);
	expect(f, "get 1000@8 (hearsay) ");
	f->wrong = true;
	engine_mirror_part(f->origin, f->id, bytes, 1000, f->now_us);
	run_for(f, 10);
	expect(f, "");
	want(f, false); /* at once, though the peer's word has failed */
	expect(f, "get 1000@9 ");
	engine_mirror_part(f->origin, f->id, bytes, 1000, f->now_us);
	expect(f, "distrust ");
	run_for(f, 500);
	expect(f, "get 1000@9 ");
	f->wrong = false;
	engine_mirror_part(f->origin, f->id, bytes, 1000, f->now_us);
	assert_int_equal(f->got, 1);
}

/* What does not exist is asked for again and again, and nothing else waits for its end. */
static void what_never_comes_holds_nothing_up(void **state)
{
	struct fixture *f = *state;
	engine_link_up(f->origin, f->now_us);
	peer_asks(f, 500);
	expect(f, "o:request 500@8 ");
	receive(f, f->origin,
		&(struct message){
			.type = MESSAGE_FAIL, .fail = {.id = f->id, .reason = FAIL_NOT_HELD}});
	want_as(f, 4, SWARM_BULK, false);
	expect(f, "o:request 1000@9 ");
}

/* One of its bytes costs us thousands. */
static void few_reports_of_bad_chunks_are_looked_at(void **state)
{
	struct fixture *f = *state;
	engine_link_up(f->origin, f->now_us);
	for (unsigned i = 0; i < 1000; i++)
		receive(f, f->peer, &(struct message){.type = MESSAGE_BAD, .bad = {{3}}});
	assert_int_equal(f->checks, 1);
	run_for(f, 1000);
	receive(f, f->peer, &(struct message){.type = MESSAGE_BAD, .bad = {{3}}});
	assert_int_equal(f->checks, 2);
}

/* Names cost nothing, so who makes them up must not keep those out whom the origin named. */
static void made_up_names_leave_room_for_members(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	struct engine_link *link;
	struct message hello = {.type = MESSAGE_HELLO};
	struct member member = {.id = {{7, 7}}, .address = {{[15] = 7}, 80}};
	engine_link_up(f->origin, f->now_us);
	receive(f, f->origin,
		&(struct message){
			.type = MESSAGE_WELCOME, .welcome = {.tracker = 5, .heartbeat_ms = 3000}});
	for (unsigned i = 0; i < 20000; i++) {
		hello.hello.member.id = (struct node_id){{8, (uint8_t)i, (uint8_t)(i >> 8)}};
		assert_ok(engine_link_accepted(f->engine, NULL, f->now_us, &link, &err));
		(void)engine_receive(link, &hello, f->now_us, &err);
		err_reset(&err);
		engine_link_down(link, LINK_LOST, f->now_us);
	}
	receive(f, f->origin,
		&(struct message){
			.type = MESSAGE_MEMBERS, .members = {.to = 1, .came = {&member, 1, 1}}});
	assert_ok(engine_link_accepted(f->engine, NULL, f->now_us, &link, &err));
	hello.hello.member = member;
	receive(f, link, &hello);
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(a_wrong_length_is_not_waited_for),
		CASE(what_is_private_is_not_shared),
		CASE(what_we_know_is_private_is_not_fetched_for_others),
		CASE(an_origin_is_given_nothing),
		CASE(our_own_place_counts),
		CASE(ours_stays),
		CASE(a_mirror_is_not_blamed_for_a_place_that_a_peer_named),
		CASE(what_never_comes_holds_nothing_up),
		CASE(made_up_names_leave_room_for_members),
		CASE(few_reports_of_bad_chunks_are_looked_at),
	};
	return TEST_MAIN(tests);
}
