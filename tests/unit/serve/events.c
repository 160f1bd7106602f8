/* SPDX-License-Identifier: MIT */
#include "serve/events.h"

#include "test.h"

#include <stdio.h>
#include <string.h>

static void put(struct events *events, unsigned n)
{
	char line[32];
	snprintf(line, sizeof(line), "{\"n\":%u}", n);
	events_put(events, strdup(line));
}

static void since(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct events events = {0};
	AUTO_BUF out = {0};
	size_t count;
	assert_ok(events_since(&events, 0, &out, &count, &err));
	assert_int_equal(count, 0);
	put(&events, 7);
	events_put(&events, NULL);
	put(&events, 8);
	assert_ok(events_since(&events, 1, &out, &count, &err));
	assert_int_equal(count, 1);
	assert_string_equal(buf_str(&out, &err), "{\"event\":2,\"n\":8}\n");
	/* A number of the server that ran before. */
	buf_clear(&out);
	assert_ok(events_since(&events, 99, &out, &count, &err));
	assert_string_equal(buf_str(&out, &err), "{\"event\":1,\"n\":7}\n{\"event\":2,\"n\":8}\n");
	events_done(&events);
}

static void the_oldest_go(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct events events = {0};
	AUTO_BUF out = {0};
	size_t count;
	for (unsigned i = 1; i <= EVENTS_KEPT + 3; i++)
		put(&events, i);
	assert_ok(events_since(&events, 0, &out, &count, &err));
	assert_int_equal(count, EVENTS_KEPT);
	static const char first[] = "{\"event\":4,\"n\":4}\n";
	assert_memory_equal(out.data, first, sizeof(first) - 1);
	events_done(&events);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(since),
		cmocka_unit_test(the_oldest_go),
	};
	return TEST_MAIN(tests);
}
