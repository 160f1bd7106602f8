/* SPDX-License-Identifier: MIT */
#include "swarm/uploads.h"

#include "swarm/message.h"
#include "test.h"

#define PART LINK_PART_SIZE

static bool full[3];

static bool has_room(void *owner)
{
	return !full[(size_t)owner];
}

struct fixture {
	struct uploads uploads;
	struct upload_queue queues[3];
};

static void set_up(struct fixture *f)
{
	*f = (struct fixture){.uploads = {.has_room = has_room}};
	for (size_t i = 0; i < 3; i++) {
		full[i] = false;
		upload_queue_init(&f->uploads, &f->queues[i], (void *)i);
	}
}

static struct upload upload(uint32_t id, enum swarm_priority priority)
{
	return (struct upload){.id = id, .priority = priority, .len = 2 * PART, .avail = 2 * PART};
}

/* Gives the next part, and says of which upload; 0: none. */
static uint32_t give(struct fixture *f, uint64_t now_us)
{
	uint64_t later;
	struct upload *next = uploads_next(&f->uploads, now_us, &later);
	if (next == NULL)
		return 0;
	uint32_t id = next->id;
	uploads_gave(&f->uploads, next, PART, now_us);
	if (next->off == next->len)
		upload_remove(next);
	return id;
}

static void links_take_turns(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f);
	struct upload a = upload(1, SWARM_DEMAND), b = upload(2, SWARM_DEMAND),
		      c = upload(3, SWARM_DEMAND);
	upload_add(&f.queues[0], &a);
	upload_add(&f.queues[0], &b);
	upload_add(&f.queues[1], &c);
	const uint32_t order[] = {1, 3, 1, 3, 2, 2, 0};
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		assert_int_equal(give(&f, 0), order[i]);
}

static void demands_go_first(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f);
	struct upload bulk = upload(1, SWARM_BULK), prefetch = upload(2, SWARM_PREFETCH),
		      demand = upload(3, SWARM_DEMAND);
	upload_add(&f.queues[0], &bulk);
	upload_add(&f.queues[1], &prefetch);
	assert_int_equal(give(&f, 0), 2);
	upload_add(&f.queues[2], &demand);
	assert_int_equal(give(&f, 0), 3);
	upload_raise(&bulk, SWARM_DEMAND);
	const uint32_t order[] = {3, 1, 1, 2, 0};
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		assert_int_equal(give(&f, 0), order[i]);
}

/* A demand that a full link holds back is waited for, but not for ever. */
static void a_full_link_holds_the_rest_back_briefly(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f);
	struct upload demand = upload(1, SWARM_DEMAND), bulk = upload(2, SWARM_BULK);
	upload_add(&f.queues[0], &demand);
	upload_add(&f.queues[1], &bulk);
	assert_int_equal(give(&f, 1000000), 1);
	full[0] = true;
	uint64_t later;
	assert_null(uploads_next(&f.uploads, 1000000, &later));
	assert_int_equal(later, 1020000);
	assert_int_equal(give(&f, later), 2);
	full[0] = false;
	assert_int_equal(give(&f, later), 1);
}

static void what_has_not_arrived_holds_nobody_back(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f);
	struct upload demand = upload(1, SWARM_DEMAND), bulk = upload(2, SWARM_BULK);
	demand.avail = 0;
	upload_add(&f.queues[0], &demand);
	upload_add(&f.queues[0], &bulk);
	assert_int_equal(give(&f, 0), 2);
	demand.avail = 1;
	assert_int_equal(give(&f, 0), 1);
}

static void the_limit_holds(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f);
	f.uploads.limit = 1000000;
	struct upload big = upload(1, SWARM_DEMAND);
	big.len = big.avail = UINT32_MAX;
	upload_add(&f.queues[0], &big);
	uint64_t now = 1;
	while (now < 10000000) {
		uint64_t later;
		struct upload *next = uploads_next(&f.uploads, now, &later);
		if (next != NULL) {
			uploads_gave(&f.uploads, next, PART, now);
			continue;
		}
		assert_true(later > now && later < now + 100000);
		now = later;
	}
	assert_in_range(big.off, 9900000, 10100000);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(links_take_turns),
		cmocka_unit_test(demands_go_first),
		cmocka_unit_test(a_full_link_holds_the_rest_back_briefly),
		cmocka_unit_test(what_has_not_arrived_holds_nobody_back),
		cmocka_unit_test(the_limit_holds),
	};
	return TEST_MAIN(tests);
}
