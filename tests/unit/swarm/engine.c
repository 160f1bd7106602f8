/* SPDX-License-Identifier: MIT */
/* What an engine tells its tracker, frame by frame; the whole is tested in the simulator. */
#include "swarm/engine.h"

#include "say.h"
#include "test.h"

#include <string.h>

#define TOUCHED_MAX 2000

/* An engine with one origin, and what it sent there. */
struct fixture {
	struct engine *engine;
	struct engine_link *origin; /* that it dialled */
	uint64_t now_us;
	char log[SAID_SIZE];           /* "join ", "touches 256 ", "beat trees 40 " */
	uint32_t touched[TOUCHED_MAX]; /* lengths of the chunks, in the order of the reports */
	size_t touched_len;
};

static void on_dial_origin(struct engine_link *link, unsigned origin, void *data)
{
	struct fixture *f = data;
	assert_int_equal(origin, 0);
	f->origin = link;
}

static void on_hang_up(struct engine_link *link, void *data)
{
	struct fixture *f = data;
	assert_ptr_equal(link, f->origin);
	f->origin = NULL;
}

static void on_send(struct engine_link *link, const struct message *m, void *data)
{
	struct fixture *f = data;
	assert_ptr_equal(link, f->origin);
	if (m->type == MESSAGE_JOIN) {
		say(f->log, "join ");
	} else if (m->type == MESSAGE_HEARTBEAT) {
		say(f->log, "beat %s %u ", m->heartbeat.step, m->heartbeat.percent);
	} else if (m->type == MESSAGE_TOUCHES) {
		say(f->log, "touches %zu ", m->touches.len);
		VEC_FOREACH(chunk, &m->touches) {
			assert_true(f->touched_len < TOUCHED_MAX);
			f->touched[f->touched_len++] = chunk->len;
		}
	} else {
		fail_msg("message %d", (int)m->type);
	}
}

static void on_inventory(uint8_t ret[INVENTORY_SIZE], void *data)
{
	(void)data;
	memset(ret, 0, INVENTORY_SIZE);
}

static const struct engine_ops ops = {
	.dial_origin = on_dial_origin,
	.hang_up = on_hang_up,
	.send = on_send,
	.inventory = on_inventory,
};

static int set_up(void **state)
{
	struct err err = ERR_INIT;
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	const struct engine_params params = {.origins = 1, .self = {.id = {{1}}}};
	f->now_us = 1000000;
	assert_ok(engine_new(&params, &ops, f, f->now_us, &f->engine, &err));
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

static void run_for(struct fixture *f, unsigned ms)
{
	for (unsigned i = 0; i < ms / 100; i++) {
		f->now_us += 100000;
		(void)engine_tick(f->engine, f->now_us);
	}
}

/* The origin answers, and takes the node in. */
static void join(struct fixture *f)
{
	struct err err = ERR_INIT;
	for (int i = 0; i < 600 && f->origin == NULL; i++)
		run_for(f, 100);
	assert_non_null(f->origin);
	engine_link_up(f->origin, f->now_us);
	assert_string_equal(f->log, "join ");
	f->log[0] = '\0';
	const struct message welcome = {.type = MESSAGE_WELCOME,
		.welcome = {.token = {1}, .tracker = 5, .heartbeat_ms = 3000}};
	assert_ok(engine_receive(f->origin, &welcome, f->now_us, &err));
}

static void touch(struct fixture *f, uint32_t from, uint32_t to)
{
	struct err err = ERR_INIT;
	for (uint32_t i = from; i < to; i++)
		assert_ok(engine_tell_touch(
			f->engine, &(struct chunk){.digest = {{1}}, .len = 1 + i}, &err));
}

static void expect(struct fixture *f, const char *log)
{
	assert_string_equal(f->log, log);
	f->log[0] = '\0';
}

/* All that were told, once each and in order. */
static void expect_touched(const struct fixture *f, uint32_t count)
{
	assert_int_equal(f->touched_len, count);
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(f->touched[i], 1 + i);
}

static void few_touches_wait_for_the_heartbeat(void **state)
{
	struct fixture *f = *state;
	join(f);
	touch(f, 0, 10);
	run_for(f, 2900);
	expect(f, "");
	run_for(f, 200);
	expect(f, "beat  0 touches 10 ");
	run_for(f, 3000);
	expect(f, "beat  0 ");
	expect_touched(f, 10);
}

static void many_touches_come_early(void **state)
{
	struct fixture *f = *state;
	join(f);
	run_for(f, 3100);
	expect(f, "beat  0 ");
	touch(f, 0, 300);
	run_for(f, 500);
	expect(f, ""); /* at most once a second */
	run_for(f, 600);
	expect(f, "beat  0 touches 256 touches 44 ");
	expect_touched(f, 300);
}

/* With the last step the origin stops to count, so all that the boot touched is there before, and
 * nothing else is. */
static void touches_keep_their_side_of_a_step(void **state)
{
	struct fixture *f = *state;
	join(f);
	touch(f, 0, 700);
	engine_tell_step(f->engine, "stage 2", 60);
	touch(f, 700, 1500);
	engine_tell_step(f->engine, "multi-user", 100);
	touch(f, 1500, 1510);
	engine_tell_step(f->engine, "multi-user", 100); /* nothing new */
	run_for(f, 1100);
	expect(f,
		"touches 256 touches 256 touches 256 touches 256 touches 256 touches 220 "
		"beat multi-user 100 touches 10 ");
	touch(f, 1510, 1766);
	run_for(f, 2000);
	expect(f, "beat multi-user 100 touches 256 ");
	expect_touched(f, 1766);
}

/* As when a lease is renewed to another address: the link is made anew at once, not when TCP finds
 * out; to hear of the same address again means nothing. */
static void a_new_address_makes_links_anew(void **state)
{
	struct fixture *f = *state;
	struct node_address address = {.ip = {10, 1}, .port = 7};
	engine_readdress(f->engine, &address, f->now_us);
	join(f);
	struct engine_link *first = f->origin;
	engine_readdress(f->engine, &address, f->now_us);
	expect(f, "join ");
	assert_ptr_equal(f->origin, first);
	address.ip[1] = 2;
	engine_readdress(f->engine, &address, f->now_us);
	assert_null(f->origin);
	(void)engine_tick(f->engine, f->now_us);
	assert_non_null(f->origin);
	join(f);
	expect(f, "");
}

static void touches_wait_for_an_origin(void **state)
{
	struct fixture *f = *state;
	touch(f, 0, 300);
	engine_tell_step(f->engine, "multi-user", 100);
	touch(f, 300, 310);
	run_for(f, 5000);
	expect(f, "");
	join(f);
	run_for(f, 100);
	expect(f, "touches 256 touches 44 beat multi-user 100 touches 10 ");
	struct engine_link *link = f->origin;
	f->origin = NULL;
	engine_link_down(link, LINK_LOST, f->now_us);
	touch(f, 310, 610);
	run_for(f, 100);
	join(f);
	run_for(f, 1100);
	expect(f, "beat multi-user 100 touches 256 touches 44 ");
	expect_touched(f, 610);
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(few_touches_wait_for_the_heartbeat),
		CASE(many_touches_come_early),
		CASE(touches_keep_their_side_of_a_step),
		CASE(touches_wait_for_an_origin),
		CASE(a_new_address_makes_links_anew),
	};
	return TEST_MAIN(tests);
}
