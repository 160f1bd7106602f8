/* SPDX-License-Identifier: MIT */
#include "status/chart.h"

#include "test.h"

#include <stdio.h>
#include <string.h>

static const char machine[] =
	"{\"address\":\"10.0.0.7\",\"mac\":\"52:54:00:00:00:01\",\"system\":\"a<b\",\"began\":0,"
	"\"timeline\":{\"steps\":["
	"{\"step\":\"kernel\",\"at\":0,\"seconds\":2,\"bytes\":8000000},"
	"{\"step\":\"ready\",\"at\":4,\"seconds\":0},"
	"{\"step\":\"multi-user\",\"at\":10,\"seconds\":0}],"
	"\"samples\":[[4,0,0,0,0],[6,0,0,1000000,1000000],[9,500000,0,2000000,1000000],"
	"[600,900000,0,2000000,1000000]]}}";

static void decode(const char *json, struct chart *ret)
{
	struct err err = ERR_INIT;
	assert_ok(chart_decode(json, strlen(json), ret, &err));
}

static void decoded(void **state)
{
	(void)state;
	AUTO_CHART chart = {0};
	decode(machine, &chart);
	assert_string_equal(chart.machine, "10.0.0.7 (52:54:00:00:00:01)");
	assert_int_equal(chart.steps.len, 3);
	assert_true(chart.steps.items[0].until == 2);            /* a transfer ends when it says */
	assert_true(chart.steps.items[1].until == 10);           /* a moment lasts until the next */
	assert_true(chart.length > 10.5 && chart.length < 10.7); /* not the 600 s it runs since */
}

/* Without a word that the system is up, the burst of reads tells. */
static void end_by_the_last_burst(void **state)
{
	(void)state;
	AUTO_CHART chart = {0};
	char json[sizeof(machine)];
	memcpy(json, machine, sizeof(machine));
	memcpy(strstr(json, "multi-user"), "first read", 10);
	memcpy(strstr(json, "[9,"), "[8,", 3);
	memcpy(strstr(json, "\"at\":10"), "\"at\":05", 7);
	char *zero = strstr(json, "05"); /* JSON has no 05 */
	zero[0] = '5';
	zero[1] = ' ';
	decode(json, &chart);
	assert_true(chart.length > 8.4 && chart.length < 8.5);
}

static void assert_fails(const char *json, enum err_kind kind, const char *message)
{
	struct err err = ERR_INIT;
	struct chart chart;
	assert_int_equal(chart_decode(json, strlen(json), &chart, &err), -1);
	assert_err(&err, kind, message);
}

static void what_is_no_chart(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct chart chart;
	assert_fails("{}", ERR_CORRUPT, "the answer has no timeline");
	assert_fails("{\"timeline\":{}}", ERR_NOT_FOUND, "no step of a boot was seen of ''");
	assert_fails("{\"timeline\":{\"steps\":[{\"at\":1}]}}", ERR_CORRUPT,
		"step 0 of the timeline is none");
	assert_fails("{\"timeline\":{\"steps\":[{\"step\":\"a\"}],\"samples\":[[1,2]]}}",
		ERR_CORRUPT, "sample 0 of the timeline is none");
	for (size_t len = 0; len < sizeof(machine) - 1; len++) {
		assert_int_equal(chart_decode(machine, len, &chart, &err), -1);
		assert_int_equal(err.kind, ERR_CORRUPT);
		err_reset(&err);
	}
}

static void plotted(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_CHART chart = {0};
	AUTO_BUF out = {0};
	decode(machine, &chart);
	assert_ok(chart_plot(&chart, 80, &out, &err));
	const char *text = buf_str(&out, &err);
	assert_non_null(strstr(text, "Boot of 10.0.0.7 (52:54:00:00:00:01) at 1970-01-01 "));
	assert_non_null(strstr(text,
		"\nkernel          0.000 s    2.000 s  ━━━ 8.0 MB, 4.0 MB/s\n"
		"ready           4.000 s    6.000 s         ━━━━━━━━━━━\n"
		"multi-user     10.000 s    0.600 s                    ━━\n"));
	assert_non_null(
		strstr(text, "\ndisk                             0                      \n"));
	assert_non_null(strstr(text, "\npeer                        2.0 MB "));
}

static void ticks(void **state)
{
	(void)state;
	assert_true(chart_tick(10) == 1);
	assert_true(chart_tick(10.1) == 2);
	assert_true(chart_tick(44) == 5);
	assert_true(chart_tick(0.02) > 0.0019 && chart_tick(0.02) < 0.0021);
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;
	for (const char *p = text; (p = strstr(p, what)) != NULL; p++)
		n++;
	return n;
}

static void drawn(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_CHART chart = {0};
	AUTO_BUF out = {0};
	decode(machine, &chart);
	assert_ok(chart_draw(&chart, &out, &err));
	const char *text = buf_str(&out, &err);
	assert_int_equal(count(text, "<polygon "), 4);
	assert_int_equal(count(text, "<rect class=\"boot\""), 1);
	assert_int_equal(count(text, "<rect class=\"node\""), 1);
	assert_int_equal(count(text, "<rect class=\"end\""), 1);
	assert_int_equal(count(text, "a&lt;b"), 1);
	assert_int_equal(count(text, "a<b"), 0);
	assert_int_equal(count(text, "nan"), 0);
	const char *dir = test_tmpdir();
	test_write(dir, "a.svg", out.data, out.len);
	test_shell("python3 -c 'import xml.dom.minidom, sys; xml.dom.minidom.parse(sys.argv[1])' "
		   "%s/a.svg",
		dir);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decoded),
		cmocka_unit_test(end_by_the_last_burst),
		cmocka_unit_test(what_is_no_chart),
		cmocka_unit_test(plotted),
		cmocka_unit_test(ticks),
		cmocka_unit_test(drawn),
	};
	return TEST_MAIN(tests);
}
