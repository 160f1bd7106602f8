/* SPDX-License-Identifier: MIT */
#include "http/query.h"

#include "base/mem.h"
#include "test.h"

static void assert_value(const char *query, const char *name, const char *want)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *got = NULL;
	assert_int_equal(http_query_get(query, name, &got, &err), want != NULL);
	if (want != NULL)
		assert_string_equal(got, want);
}

static void values(void **state)
{
	(void)state;
	assert_value(NULL, "a", NULL);
	assert_value("", "a", NULL);
	assert_value("a", "a", NULL);
	assert_value("a=", "a", "");
	assert_value("a=1&b=2", "b", "2");
	assert_value("ab=1&a=2&a=3", "a", "2");
	assert_value("&&a=1", "a", "1");
	assert_value("a=x+y%20z%2B=%3d", "a", "x y z+==");
}

static void broken(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	char *got = NULL;
	assert_int_equal(http_query_get("a=%4&b=1", "a", &got, &err), -1);
	assert_err(&err, ERR_CORRUPT, "the value of 'a' has a '%' without two digits");
	assert_int_equal(http_query_get("a=%zz", "a", &got, &err), -1);
	assert_err(&err, ERR_CORRUPT, "the value of 'a' has a '%' without two digits");
	assert_int_equal(http_query_get("a=x%0Ay", "a", &got, &err), -1);
	assert_err(&err, ERR_CORRUPT, "the value of 'a' has a control character");
	assert_null(got);
}

static void written(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF query = {0};
	static const char text[] = "cannot open '/dev/x&y=z': 100 % \xc3\xa4 a-b_c.d~e+";
	assert_ok(buf_put_str(&query, "mac=1&why=", &err));
	assert_ok(http_query_put(text, &query, &err));
	assert_string_equal(buf_str(&query, &err),
		"mac=1&why=cannot%20open%20%27%2Fdev%2Fx%26y%3Dz%27%3A%20100%20%25%20%C3%A4%20a-b_"
		"c.d~e%2B");
	assert_value(buf_str(&query, &err), "why", text);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values),
		cmocka_unit_test(broken),
		cmocka_unit_test(written),
	};
	return TEST_MAIN(tests);
}
