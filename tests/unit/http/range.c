/* SPDX-License-Identifier: MIT */
#include "http/range.h"
#include "test.h"

static void assert_part(const char *value, uint64_t size, uint64_t off, uint64_t len)
{
	uint64_t got_off = 0, got_len = 0;
	assert_int_equal(http_range_parse(value, size, &got_off, &got_len), HTTP_RANGE_PART);
	assert_int_equal(got_off, off);
	assert_int_equal(got_len, len);
}

static void assert_result(const char *value, uint64_t size, enum http_range_result result)
{
	uint64_t off = 0, len = 0;
	assert_int_equal(http_range_parse(value, size, &off, &len), result);
}

static void parts(void **state)
{
	(void)state;
	assert_part("bytes=0-0", 100, 0, 1);
	assert_part("bytes=0-99", 100, 0, 100);
	assert_part("bytes=10-", 100, 10, 90);
	assert_part("bytes=99-", 100, 99, 1);
	assert_part("bytes=90-200", 100, 90, 10);
	assert_part("bytes=-5", 100, 95, 5);
	assert_part("bytes=-500", 100, 0, 100);
	assert_part("Bytes=1-2", 100, 1, 2);
	assert_part("bytes=5000000000-5000000001", 6000000000, 5000000000, 2);
	assert_part("bytes=1-99999999999999999999999999", 100, 1, 99);
}

static void beyond_the_end(void **state)
{
	(void)state;
	assert_result("bytes=100-", 100, HTTP_RANGE_UNSATISFIABLE);
	assert_result("bytes=100-200", 100, HTTP_RANGE_UNSATISFIABLE);
	assert_result("bytes=99999999999999999999999999-", 100, HTTP_RANGE_UNSATISFIABLE);
	assert_result("bytes=-0", 100, HTTP_RANGE_UNSATISFIABLE);
	assert_result("bytes=0-", 0, HTTP_RANGE_UNSATISFIABLE);
	assert_result("bytes=-1", 0, HTTP_RANGE_UNSATISFIABLE);
}

static void not_understood(void **state)
{
	(void)state;
	static const char *const values[] = {"", "bytes", "bytes=", "bytes=-", "bytes=a-b",
		"bytes=1", "bytes=5-3", "bytes=1-2,4-5", "bytes=1-2 ", "bytes= 1-2", "bytes=--1",
		"items=1-2", "bytes=1-2-3", "bytes=+1-2"};
	assert_result(NULL, 100, HTTP_RANGE_WHOLE);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		assert_result(values[i], 100, HTTP_RANGE_WHOLE);
}

static void etag_lists(void **state)
{
	(void)state;
	assert_true(http_etag_listed("\"a\"", "\"a\""));
	assert_true(http_etag_listed("*", "\"a\""));
	assert_true(http_etag_listed("W/\"a\"", "\"a\""));
	assert_true(http_etag_listed("\"b\", \"a\"", "\"a\""));
	assert_true(http_etag_listed("\"b,c\" ,\"a\"", "\"a\""));
	assert_false(http_etag_listed("\"b\"", "\"a\""));
	assert_false(http_etag_listed("", "\"a\""));
	assert_false(http_etag_listed("a", "\"a\""));
	assert_false(http_etag_listed("\"a", "\"a\""));
	assert_false(http_etag_listed("\"aa\"", "\"a\""));
	assert_false(http_etag_listed("\"x\"\"a", "\"a\""));
}

static void if_range(void **state)
{
	(void)state;
	assert_true(http_if_range_holds("\"a\"", "\"a\""));
	assert_false(http_if_range_holds("W/\"a\"", "\"a\""));
	assert_false(http_if_range_holds("Sat, 29 Oct 1994 19:43:31 GMT", "\"a\""));
	assert_false(http_if_range_holds("\"a\"", NULL));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts),
		cmocka_unit_test(beyond_the_end),
		cmocka_unit_test(not_understood),
		cmocka_unit_test(etag_lists),
		cmocka_unit_test(if_range),
	};
	return TEST_MAIN(tests);
}
