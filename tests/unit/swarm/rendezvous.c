/* SPDX-License-Identifier: MIT */
#include "swarm/rendezvous.h"

#include "base/bytes.h"
#include "test.h"

#include <string.h>

#define COUNT 40
static struct member nodes[1000];

static void make_nodes(void)
{
	for (uint64_t i = 0; i < ARRAY_LEN(nodes); i++)
		put_le64(nodes[i].id.bytes, i); /* as serial numbers: not spread evenly */
}

static void fill(struct homes *homes, size_t count, size_t without)
{
	*homes = (struct homes){0};
	for (size_t i = 0; i < count; i++)
		if (i != without)
			homes_add(homes, &nodes[i]);
}

static void buckets_are_ten_bits(void **state)
{
	(void)state;
	assert_int_equal(bucket_of(&(struct digest){{0, 0x3f}}), 0);
	assert_int_equal(bucket_of(&(struct digest){{0, 0x40}}), 1);
	assert_int_equal(bucket_of(&(struct digest){{0xff, 0xc0}}), BUCKETS - 1);
}

/* When a node goes, its buckets go to what was rank 2, and nothing else moves. */
static void only_the_lost_move(void **state)
{
	(void)state;
	make_nodes();
	struct homes all, less;
	fill(&all, COUNT, SIZE_MAX);
	fill(&less, COUNT, 7);
	unsigned moved = 0;
	for (unsigned b = 0; b < BUCKETS; b++) {
		const struct member *before[RANKS], *after[RANKS];
		assert_int_equal(homes_ranks(&all, b, before, RANKS), RANKS);
		assert_int_equal(homes_ranks(&less, b, after, RANKS), RANKS);
		if (before[0] == &nodes[7]) {
			assert_ptr_equal(after[0], before[1]);
			moved++;
		} else {
			assert_ptr_equal(after[0], before[0]);
		}
	}
	assert_in_range(moved, BUCKETS / COUNT / 2, BUCKETS / COUNT * 2);
}

static void shares_are_even(void **state)
{
	(void)state;
	make_nodes();
	struct homes all;
	fill(&all, COUNT, SIZE_MAX);
	unsigned share[COUNT] = {0};
	for (unsigned b = 0; b < BUCKETS; b++) {
		const struct member *home;
		assert_int_equal(homes_ranks(&all, b, &home, 1), 1);
		share[home - nodes]++;
	}
	for (size_t i = 0; i < COUNT; i++)
		assert_in_range(share[i], BUCKETS / COUNT / 3, BUCKETS / COUNT * 2);
}

/* Whatever the order in which members became known, the candidates are the same. */
static void candidates_do_not_depend_on_order(void **state)
{
	(void)state;
	make_nodes();
	struct homes up = {0}, down = {0};
	for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
		homes_add(&up, &nodes[i]);
		homes_add(&down, &nodes[ARRAY_LEN(nodes) - 1 - i]);
	}
	assert_int_equal(up.len, HOMES_MAX);
	assert_memory_equal(&up, &down, sizeof(up));
}

static void few_members_are_fine(void **state)
{
	(void)state;
	make_nodes();
	struct homes homes = {0};
	const struct member *ranks[RANKS];
	assert_int_equal(homes_ranks(&homes, 3, ranks, RANKS), 0);
	homes_add(&homes, &nodes[5]);
	assert_int_equal(homes_ranks(&homes, 3, ranks, RANKS), 1);
	assert_ptr_equal(ranks[0], &nodes[5]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buckets_are_ten_bits),
		cmocka_unit_test(only_the_lost_move),
		cmocka_unit_test(shares_are_even),
		cmocka_unit_test(candidates_do_not_depend_on_order),
		cmocka_unit_test(few_members_are_fine),
	};
	return TEST_MAIN(tests);
}
