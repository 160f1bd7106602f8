/* SPDX-License-Identifier: MIT */
/* A peer that says nothing for a while: an engine with one, and an origin. */
#include "swarm/engine.h"

#include "say.h"
#include "test.h"

#include <string.h>

struct fixture {
	struct engine *engine;
	struct engine_link *origin, *peer; /* that it dialled */
	uint64_t now_us;
	uint8_t next; /* chunk */
	char log[SAID_SIZE];
};

static void on_dial(struct engine_link *link, const struct node_address *address,
	unsigned deadline_ms, void *data)
{
	struct fixture *f = data;
	assert_int_equal(address->port, 8081);
	assert_true(deadline_ms > 0);
	f->peer = link;
}

static void on_dial_origin(struct engine_link *link, unsigned origin, void *data)
{
	struct fixture *f = data;
	assert_int_equal(origin, 0);
	f->origin = link;
}

static void on_hang_up(struct engine_link *link, void *data)
{
	struct fixture *f = data;
	say(f->log, link == f->peer ? "peer: closed " : "origin: closed ");
}

static void on_send(struct engine_link *link, const struct message *m, void *data)
{
	struct fixture *f = data;
	const char *what = m->type == MESSAGE_REQUEST ? "request"
		: m->type == MESSAGE_PROBE            ? "probe"
		: m->type == MESSAGE_CANCEL           ? "cancel"
						      : NULL;
	char text[32];
	if (what == NULL)
		return;
	(void)snprintf(text, sizeof(text), "%s: %s ", link == f->peer ? "peer" : "origin", what);
	size_t len = strlen(text), logged = strlen(f->log);
	if (logged < len || strcmp(f->log + logged - len, text) != 0) /* probes come in rows */
		say(f->log, "%s", text);
}

static bool on_has(const struct digest *chunk, void *data)
{
	(void)chunk;
	(void)data;
	return false;
}

static void on_inventory(uint8_t ret[INVENTORY_SIZE], void *data)
{
	(void)data;
	memset(ret, 0, INVENTORY_SIZE);
}

static const struct engine_ops ops = {
	.dial = on_dial,
	.dial_origin = on_dial_origin,
	.hang_up = on_hang_up,
	.send = on_send,
	.has = on_has,
	.inventory = on_inventory,
};

static void run_for(struct fixture *f, unsigned ms)
{
	for (unsigned i = 0; i < ms / 10; i++) {
		f->now_us += 10000;
		(void)engine_tick(f->engine, f->now_us);
	}
}

static void want(struct fixture *f)
{
	struct err err = ERR_INIT;
	struct engine_want *ignored;
	const struct chunk chunk = {.digest = {{++f->next}}, .len = 50000};
	assert_ok(engine_want(f->engine, &chunk, SWARM_DEMAND, NULL, f->now_us, &ignored, &err));
	(void)engine_tick(f->engine, f->now_us);
}

static void expect(struct fixture *f, const char *log)
{
	assert_string_equal(f->log, log);
	f->log[0] = '\0';
}

/* The peer is a member, and every chunk's home since the engine itself takes no connections. */
static int set_up(void **state)
{
	struct err err = ERR_INIT;
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	const struct engine_params params = {.origins = 1, .peers = true, .self = {.id = {{1}}}};
	f->now_us = 1000000;
	assert_ok(engine_new(&params, &ops, f, f->now_us, &f->engine, &err));
	for (int i = 0; i < 100 && f->origin == NULL; i++)
		run_for(f, 10);
	assert_non_null(f->origin);
	engine_link_up(f->origin, f->now_us);
	const struct member peer = {.id = {{2}},
		.address = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 10}, .port = 8081}};
	assert_ok(engine_member_found(f->engine, &peer, f->now_us, &err));
	want(f);
	assert_non_null(f->peer);
	engine_link_up(f->peer, f->now_us);
	expect(f, "peer: request ");
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

/* Nothing is known of how long answers take here. */
static void who_answers_no_probe_is_passed_over(void **state)
{
	struct fixture *f = *state;
	run_for(f, 1500);
	expect(f, "peer: probe ");
	run_for(f, 100);
	expect(f, "peer: cancel origin: request ");
	want(f);
	expect(f, "origin: request ");
}

static void who_was_quick_has_less_time(void **state)
{
	struct fixture *f = *state;
	run_for(f, 60);
	expect(f, "peer: probe ");
	engine_heard(f->peer, f->now_us);
	run_for(f, 600);
	expect(f, "peer: probe peer: cancel origin: request ");
}

static void its_link_is_closed_after_three_seconds(void **state)
{
	struct fixture *f = *state;
	run_for(f, 1600);
	expect(f, "peer: probe peer: cancel origin: request ");
	run_for(f, 1400);
	want(f);
	expect(f, "origin: request "); /* although its quarantine is over */
	run_for(f, 100);
	expect(f, "peer: closed ");
}

static void who_speaks_late_is_asked_again(void **state)
{
	struct fixture *f = *state;
	run_for(f, 1800);
	expect(f, "peer: probe peer: cancel origin: request ");
	engine_heard(f->peer, f->now_us);
	want(f);
	expect(f, "peer: request ");
}

static void late_answers_make_patient(void **state)
{
	struct fixture *f = *state;
	run_for(f, 1800);
	engine_heard(f->peer, f->now_us);
	want(f);
	expect(f, "peer: probe peer: cancel origin: request peer: request ");
	run_for(f, 2500);
	assert_null(strstr(f->log, "peer: cancel"));
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(who_answers_no_probe_is_passed_over),
		CASE(who_was_quick_has_less_time),
		CASE(its_link_is_closed_after_three_seconds),
		CASE(who_speaks_late_is_asked_again),
		CASE(late_answers_make_patient),
	};
	return TEST_MAIN(tests);
}
