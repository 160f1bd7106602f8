/* SPDX-License-Identifier: MIT */
#include "swarm/penalty.h"

#include "test.h"

static void penalties(void **state)
{
	(void)state;
	struct penalty p = {0};
	assert_int_equal(penalty_left_ms(&p, 0), 0);
	assert_int_equal(penalty_add(&p, 1000, 0), 500);
	assert_int_equal(penalty_add(&p, 400000, 0), 0); /* is counted already */
	assert_int_equal(penalty_left_ms(&p, 401000), 100);
	assert_int_equal(penalty_left_ms(&p, 501000), 0);
	assert_int_equal(penalty_add(&p, 501000, 0), 1000);
	uint64_t now = 1ull << 40;
	assert_int_equal(penalty_add(&p, now, 5000), 5000);
	assert_int_equal(penalty_add(&p, 2 * now, 1000000), 60000);
	for (int i = 3; i < 20; i++)
		(void)penalty_add(&p, (uint64_t)i * now, 0);
	assert_int_equal(penalty_left_ms(&p, 19 * now), 10000);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(penalties)};
	return TEST_MAIN(tests);
}
