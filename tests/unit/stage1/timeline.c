/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/log.h"
#include "stage1/timeline.h"

static void swallow(enum log_level level, const char *line, void *data)
{
	(void)level;
	(void)line;
	++*(int *)data;
}

static void tells_each_step(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	int lines = 0;
	log_setup(LOG_LEVEL_INFO, swallow, &lines);
	struct timeline timeline = {0};
	timeline_restart(&timeline);
	timeline_begin(&timeline, "read");
	timeline_begin(&timeline, "check");
	timeline_begin(&timeline, NULL);
	timeline_begin(&timeline, NULL);
	assert_int_equal(lines, 2);
	assert_true(timeline.steps[0].end_us >= timeline.steps[0].begin_us);
	timeline.steps[0].begin_us = 1;
	timeline.steps[0].end_us = timeline.steps[1].begin_us = 20;
	timeline.steps[1].end_us = 300;
	AUTO_BUF json = {0};
	assert_ok(timeline_json(&timeline, "scripted", "/nix/store/a", &json, &err));
	assert_string_equal(buf_str(&json, &err),
		"{\"version\":1,\"kind\":\"scripted\",\"system\":\"/nix/store/a\",\"attempt\":1,"
		"\"steps\":[\n{\"name\":\"read\",\"begin_us\":1,\"end_us\":20},\n"
		"{\"name\":\"check\",\"begin_us\":20,\"end_us\":300}]}\n");
	for (int i = 0; i < 100; i++)
		timeline_begin(&timeline, "more");
	assert_int_equal(timeline.len, TIMELINE_STEPS_MAX);
	timeline_restart(&timeline);
	assert_int_equal(timeline.attempt, 2);
	assert_int_equal(timeline.len, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(tells_each_step)};
	return TEST_MAIN(tests);
}
