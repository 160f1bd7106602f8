/* SPDX-License-Identifier: MIT */
/* The bucket and the turns, by a clock of the test's own. */
#include "http/pace.h"

#include "base/mem.h"
#include "test.h"

#include <string.h>

#define SECOND 1000000ull

static struct pace_waiter waiter(uint8_t address)
{
	return (struct pace_waiter){.address = {address}};
}

/* What everybody who waits all the time gets from `from` to `until`, added to bytes[]. */
static void run(struct pace *pace, struct pace_waiter *waiters, unsigned count, uint64_t from,
	uint64_t until, uint64_t *bytes)
{
	uint64_t later = from;
	for (unsigned i = 0; i < count; i++)
		pace_wait(pace, &waiters[i]);
	while (later < until) {
		uint64_t now = later;
		struct pace_waiter *next = pace_next(pace, now, &later);
		if (next == NULL) {
			assert_true(later > now && later != UINT64_MAX);
			continue;
		}
		later = now;
		bytes[next - waiters] += pace_quantum(pace);
		assert_null(next->head);
		pace_wait(pace, next);
	}
}

static void rates(void **state)
{
	(void)state;
	static const uint64_t all[] = {1, 999, 125000, 25000000, 1250000000};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct pace pace;
		struct pace_waiter one = waiter(1);
		uint64_t got = 0, rate = all[i], slack = rate / 20 + 2 * 256 * 1024;
		pace_init(&pace, rate, 7);
		run(&pace, &one, 1, 7, 7 + 100 * SECOND, &got);
		assert_true(got <= 100 * rate + slack);
		assert_true(got + slack >= 100 * rate);
		/* An hour of silence does not add up to more than a burst. */
		uint64_t later;
		pace_leave(&pace, &one);
		assert_null(pace_next(&pace, 4000 * SECOND, &later));
		assert_true(later == UINT64_MAX);
		got = 0;
		run(&pace, &one, 1, 4000 * SECOND, 4001 * SECOND, &got);
		assert_true(got <= rate + slack);
	}
}

static void fair(void **state)
{
	(void)state;
	struct pace pace;
	struct pace_waiter w[12];
	uint64_t got[12] = {0};
	for (unsigned i = 0; i < 12; i++)
		w[i] = waiter(i < 10 ? 1 : (uint8_t)i); /* ten connections of one address */
	pace_init(&pace, 3000000, 0);
	run(&pace, w, 12, 0, 20 * SECOND, got);
	uint64_t ten = 0, quantum = pace_quantum(&pace);
	for (unsigned i = 0; i < 10; i++) {
		ten += got[i];
		assert_in_range(got[i], 2000000 - 2 * quantum, 2000000 + 2 * quantum);
	}
	assert_in_range(ten, 20000000 - 2 * quantum, 20000000 + 2 * quantum);
	assert_in_range(got[10], 20000000 - 2 * quantum, 20000000 + 2 * quantum);
	assert_in_range(got[11], 20000000 - 2 * quantum, 20000000 + 2 * quantum);
}

static void leaving(void **state)
{
	(void)state;
	struct pace pace;
	struct pace_waiter a1 = waiter(1), a2 = waiter(1), a3 = waiter(1), b = waiter(2);
	uint64_t later;
	pace_init(&pace, 1000000000, 0);
	pace_wait(&pace, &a1);
	pace_wait(&pace, &a2);
	pace_wait(&pace, &b);
	pace_wait(&pace, &a3);
	pace_wait(&pace, &a1);  /* waits already */
	pace_leave(&pace, &a1); /* its address keeps its place in the ring */
	pace_leave(&pace, &a1);
	assert_ptr_equal(pace_next(&pace, SECOND, &later), &a2);
	assert_ptr_equal(pace_next(&pace, SECOND, &later), &b);
	pace_wait(&pace, &a1);
	pace_leave(&pace, &a1);
	assert_ptr_equal(pace_next(&pace, SECOND, &later), &a3);
	assert_null(pace_next(&pace, SECOND, &later));
}

static void returned_and_spent(void **state)
{
	(void)state;
	struct pace pace;
	struct pace_waiter one = waiter(1);
	uint64_t later;
	pace_init(&pace, 1000000, 0); /* a turn is 16 KiB, the bucket 50000 */
	pace_wait(&pace, &one);
	assert_null(pace_next(&pace, 0, &later));
	assert_int_equal(later, 2);
	assert_ptr_equal(pace_next(&pace, later, &later), &one);
	pace_wait(&pace, &one);
	assert_null(pace_next(&pace, 2, &later));
	assert_in_range(later, 16384, 16386);
	pace_return(&pace, 16000); /* so the next turn comes sooner */
	assert_null(pace_next(&pace, 2, &later));
	assert_in_range(later, 384, 386);
	pace_spend(&pace, 1000000); /* and this makes it later */
	assert_null(pace_next(&pace, 2, &later));
	assert_in_range(later, 1000384, 1000386);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rates),
		cmocka_unit_test(fair),
		cmocka_unit_test(leaving),
		cmocka_unit_test(returned_and_spent),
	};
	return TEST_MAIN(tests);
}
