/* SPDX-License-Identifier: MIT */
/*
 * Storms of simulated nodes: the figures and faults that the network root promises. Each case runs
 * with the seeds that once failed (seeds.txt) and with one of its own; with SNOWBOOT_LONG=1 with
 * many and at full size. SNOWBOOT_SEED=N runs that seed alone.
 */
#include "world.h"

#include "test.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LONG_SEEDS 10
#define LIMIT_US (900 * WORLD_SECOND)

static bool is_long(void)
{
	const char *env = getenv("SNOWBOOT_LONG");
	return env != NULL && strcmp(env, "1") == 0;
}

/* A hundred nodes at 100 Mbit/s, which touch some 15 MB in 4 s when nothing makes them wait. */
static struct world_params storm(uint64_t seed)
{
	return (struct world_params){.seed = seed,
		.nodes = 100,
		.rate = 12500000,
		.latency_us = 100,
		.chunks = 300,
		.chunk_size = 48000,
		.prefetch = 32,
		.think_us = 4 * WORLD_SECOND};
}

/* The same at 8 Mbit/s, where lines are full and answers take a second. */
static struct world_params full_lines(uint64_t seed)
{
	struct world_params params = storm(seed);
	params.rate = 1000000;
	params.chunks = 700;
	params.chunk_size = 21000;
	params.think_us = 30 * WORLD_SECOND;
	return params;
}

static void show(const char *what, const struct world_params *params, const struct world_result *r)
{
	print_message("%s, seed %" PRIu64 ": %u of %u nodes through, origin %.3f × U, p50 %.2f s, "
		      "p99 %.2f s, control %.2f %%, longest read %.2f s, %" PRIu64 " hedges, "
		      "%" PRIu64 " corrupt\n",
		what, params->seed, r->done, params->nodes, r->origin, r->p50_s, r->p99_s,
		100 * r->control, r->longest_s, r->sum.hedges, r->sum.corrupt);
}

#define expect_at_most(value, most) \
	do { \
		double v_ = (value); \
		if (v_ > (most)) \
			fail_msg("seed %" PRIu64 ": %s is %.3f > %.3f", seed, #value, v_, \
				(double)(most)); \
	} while (0)

/* What holds in every world, however bad. */
static void expect_sound(uint64_t seed, const struct world_result *r)
{
	if (r->done != r->alive)
		fail_msg("seed %" PRIu64 ": %u of %u nodes are through", seed, r->done, r->alive);
	if (r->wrong != 0)
		fail_msg("seed %" PRIu64 ": %u wrong chunks were accepted", seed, r->wrong);
	if (r->inverted != 0)
		fail_msg("seed %" PRIu64 ": %" PRIu64 " parts of prefetch overtook demands", seed,
			r->inverted);
}

static struct world_result finish(
	const char *what, struct world *world, const struct world_params *params)
{
	struct world_result result;
	(void)world_run(world, LIMIT_US);
	world_result(world, &result);
	show(what, params, &result);
	expect_sound(params->seed, &result);
	return result;
}

static struct world_result run(const char *what, const struct world_params *params)
{
	struct world *world = world_new(params);
	struct world_result result = finish(what, world, params);
	world_free(world);
	return result;
}

/* The same trace by one node alone. */
static double alone_s(const struct world_params *params)
{
	struct world_params one = *params;
	one.nodes = 1;
	one.spread_us = 0;
	one.kill_percent = one.fault_percent = 0;
	return run("alone", &one).p50_s;
}

static void at_once(uint64_t seed)
{
	struct world_params params = storm(seed);
	struct world_result r = run("all at once", &params);
	expect_at_most(r.origin, 1.02);
	expect_at_most(r.p50_s, 2.0 * alone_s(&params));
	expect_at_most(r.control, 0.01);
}

static void staggered(uint64_t seed)
{
	struct world_params params = storm(seed);
	params.spread_us = params.think_us;
	struct world_result r = run("staggered", &params);
	double alone = alone_s(&params);
	expect_at_most(r.origin, 1.05);
	expect_at_most(r.p50_s, 1.2 * alone);
	expect_at_most(r.p99_s, 1.5 * alone);
	expect_at_most(r.control, 0.01);
}

static void on_full_lines(uint64_t seed)
{
	struct world_params params = full_lines(seed);
	double alone = alone_s(&params);
	struct world_result r = run("full lines, all at once", &params);
	expect_at_most(r.origin, 1.02);
	expect_at_most(r.p50_s, 2.0 * alone);
	params.spread_us = params.think_us;
	r = run("full lines, staggered", &params);
	expect_at_most(r.origin, 1.05);
	expect_at_most(r.p50_s, 1.2 * alone);
	expect_at_most(r.p99_s, 1.5 * alone);
}

static void killed(uint64_t seed)
{
	struct world_params params = storm(seed);
	params.kill_percent = 20;
	struct world_result r = run("20 % killed, all at once", &params);
	expect_at_most(r.origin, 1.10);
	expect_at_most(r.longest_s, 3);
	params.spread_us = params.think_us;
	r = run("20 % killed, staggered", &params);
	expect_at_most(r.origin, 1.10);
	expect_at_most(r.longest_s, 3);
}

static void second_storm(uint64_t seed)
{
	struct world_params params = storm(seed);
	params.nodes = 50;
	struct world *world = world_new(&params);
	(void)finish("first storm", world, &params);
	world_reboot(world, 0);
	struct world_result r = finish("second storm", world, &params);
	expect_at_most(r.origin, 0.01);
	world_free(world);
}

static void without_profile(uint64_t seed)
{
	struct world_params params = storm(seed);
	params.prefetch = 0;
	params.spread_us = params.think_us;
	struct world_result r = run("without a profile", &params);
	expect_at_most(r.origin, 1.05);
	expect_at_most(r.p50_s, 1.2 * alone_s(&params));
}

static void thousand_members(uint64_t seed)
{
	struct world_params params = storm(seed);
	params.nodes = is_long() ? 1000 : 300;
	params.chunks = is_long() ? 600 : 300;
	params.spread_us = params.think_us;
	struct world_result r = run("many members", &params);
	expect_at_most(r.origin, 1.05);
	expect_at_most(r.control, 0.01);
}

static void bad_peers(uint64_t seed)
{
	static const struct {
		const char *what;
		enum world_fault fault;
		double origin, longest_s;
	} kinds[] = {
		{"liars", FAULT_LIAR, 1.40, 5},
		{"black holes", FAULT_BLACK_HOLE, 1.30, 3},
		{"slow peers", FAULT_SLOW, 1.30, 5},
		{"braggarts", FAULT_BRAGGART, 1.05, 2},
	};
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct world_params params = storm(seed);
		params.nodes = 60;
		params.spread_us = params.think_us / 4;
		params.fault = kinds[i].fault;
		params.fault_percent = 10;
		struct world_result r = run(kinds[i].what, &params);
		expect_at_most(r.origin, kinds[i].origin);
		expect_at_most(r.longest_s, kinds[i].longest_s);
	}
}

/* Runs until somebody is through. */
static void run_to_first(struct world *world, unsigned nodes)
{
	for (bool any = false; !any;) {
		(void)world_run(world, world_now(world) + WORLD_SECOND / 100);
		for (unsigned i = 0; i < nodes; i++)
			any |= world_node(world, i)->done_us != UINT64_MAX;
	}
}

static void origin_goes_for_good(uint64_t seed)
{
	struct world_params params = storm(seed);
	params.nodes = 60;
	params.spread_us = params.think_us / 2;
	struct world *world = world_new(&params);
	run_to_first(world, params.nodes);
	world_origin_off(world);
	struct world_result r = finish("origin off after the first is through", world, &params);
	expect_at_most(r.longest_s, 5);
	world_free(world);
}

/* The stall is as long as the outage for those who need what nobody has, and little longer. */
static void origin_comes_back(uint64_t seed)
{
	double outage_s = is_long() ? 600 : 60;
	struct world_params params = storm(seed);
	params.nodes = 60;
	struct world *world = world_new(&params);
	(void)world_run(world, 2 * WORLD_SECOND);
	world_origin_off(world);
	(void)world_run(world, world_now(world) + (uint64_t)(outage_s * WORLD_SECOND));
	world_origin_on(world);
	struct world_result r = finish("origin off and back", world, &params);
	expect_at_most(r.longest_s, outage_s + 15);
	expect_at_most(r.origin, 1.25); /* a new tracker knows no leases */
	world_free(world);
}

static void parted(uint64_t seed)
{
	struct world_params params = storm(seed);
	params.nodes = 60;
	struct world *world = world_new(&params);
	(void)world_run(world, 2 * WORLD_SECOND);
	world_split(world, 30);
	(void)world_run(world, world_now(world) + 20 * WORLD_SECOND);
	for (unsigned i = 0; i < 30; i++)
		if (world_node(world, i)->done_us == UINT64_MAX)
			fail_msg("seed %" PRIu64 ": node %u on the origin's side stands", seed, i);
	world_split(world, 0);
	struct world_result r = finish("parted for 20 s", world, &params);
	expect_at_most(r.longest_s, 20 + 15);
	world_free(world);
}

static void behind_walls(uint64_t seed)
{
	struct world_params params = storm(seed);
	params.nodes = 60;
	params.spread_us = params.think_us;
	params.closed_percent = 30;
	struct world_result r = run("30 % accept nothing", &params);
	expect_at_most(r.longest_s, 3);
	params.closed_percent = 0;
	params.walled_percent = 30;
	r = run("30 % behind a firewall that they do not know of", &params);
	expect_at_most(r.longest_s, 3);
}

static void plain_web_server(uint64_t seed)
{
	struct world_params params = storm(seed);
	params.plain_origin = true;
	expect_at_most(run("plain web server, all at once", &params).origin, 1.10);
	params.spread_us = params.think_us;
	expect_at_most(run("plain web server, staggered", &params).origin, 1.10);
}

static void far_apart(uint64_t seed)
{
	struct world_params params = storm(seed);
	params.nodes = 40;
	params.latency_us = 50000;
	params.spread_us = params.think_us;
	struct world_result r = run("100 ms round trips", &params);
	expect_at_most(r.origin, 1.10);
	expect_at_most(r.longest_s, 5);
}

static void limited_uplinks(uint64_t seed)
{
	struct world_params params = storm(seed);
	params.nodes = 40;
	params.uplink = params.rate / 4;
	struct world_result r = run("uplinks limited to a quarter", &params);
	expect_at_most(r.origin, 1.05);
}

static void one_seed_one_history(uint64_t seed)
{
	struct world_params params = storm(seed);
	params.nodes = 30;
	params.kill_percent = 20;
	struct world_result a = run("once", &params), b = run("again", &params);
	assert_memory_equal(&a, &b, sizeof(a));
}

/* Seeds. */

static void note_failure(const char *name, uint64_t seed)
{
	const char *build = getenv("SNOWBOOT_BUILD");
	char path[4096];
	(void)snprintf(path, sizeof(path), "%s/failing-seeds", build != NULL ? build : ".");
	FILE *file = fopen(path, "a");
	if (file == NULL)
		return;
	fprintf(file, "%s %" PRIu64 "\n", name, seed);
	fclose(file);
	print_message("%s: while seed %" PRIu64 " runs it is in %s; when it fails, add it to "
		      "tests/unit/swarm/seeds.txt\n",
		name, seed, path);
}

/* Notes long runs' seeds before they run, since a failure does not return. */
static void one(const char *name, void (*test)(uint64_t seed), uint64_t seed)
{
	if (is_long())
		note_failure(name, seed);
	test(seed);
}

static void all_seeds(const char *name, void (*test)(uint64_t seed))
{
	const char *env = getenv("SNOWBOOT_SEED");
	if (env != NULL) {
		test(strtoull(env, NULL, 0));
		return;
	}
	FILE *file = fopen(SEEDS_FILE, "r");
	assert_non_null(file);
	char line[256], kept[128];
	uint64_t seed;
	while (fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "%127s %" SCNu64, kept, &seed) == 2 && strcmp(kept, name) == 0)
			test(seed);
	fclose(file);
	test(1);
	uint64_t now = (uint64_t)time(NULL);
	for (uint64_t i = 0; is_long() && i < LONG_SEEDS; i++)
		one(name, test, now + i);
}

#define CASE(name) \
	static void test_##name(void **state) \
	{ \
		(void)state; \
		all_seeds(#name, name); \
	}

CASE(at_once)
CASE(staggered)
CASE(on_full_lines)
CASE(killed)
CASE(second_storm)
CASE(without_profile)
CASE(thousand_members)
CASE(bad_peers)
CASE(origin_goes_for_good)
CASE(origin_comes_back)
CASE(parted)
CASE(behind_walls)
CASE(plain_web_server)
CASE(far_apart)
CASE(limited_uplinks)
CASE(one_seed_one_history)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_at_once),
		cmocka_unit_test(test_staggered),
		cmocka_unit_test(test_on_full_lines),
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_second_storm),
		cmocka_unit_test(test_without_profile),
		cmocka_unit_test(test_thousand_members),
		cmocka_unit_test(test_bad_peers),
		cmocka_unit_test(test_origin_goes_for_good),
		cmocka_unit_test(test_origin_comes_back),
		cmocka_unit_test(test_parted),
		cmocka_unit_test(test_behind_walls),
		cmocka_unit_test(test_plain_web_server),
		cmocka_unit_test(test_far_apart),
		cmocka_unit_test(test_limited_uplinks),
		cmocka_unit_test(test_one_seed_one_history),
	};
	return TEST_MAIN(tests);
}
