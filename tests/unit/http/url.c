/* SPDX-License-Identifier: MIT */
#include "http/url.h"

#include "test.h"

static void is(const struct http_url *url, const char *host, unsigned port, const char *target)
{
	assert_string_equal(url->host, host);
	assert_int_equal(url->port, port);
	assert_string_equal(url->target, target);
}

static void parsed(void **state)
{
	(void)state;
	static const struct {
		const char *text, *host;
		unsigned port;
		const char *target;
	} cases[] = {
		{"http://a", "a", 80, "/"},
		{"HTTP://a.b-c_d/x?y#z", "a.b-c_d", 80, "/x?y"},
		{"http://a?q", "a", 80, "/?q"},
		{"http://10.0.0.1:8080/v1", "10.0.0.1", 8080, "/v1"},
		{"http://[::1]:1/", "::1", 1, "/"},
		{"http://[fe80::1]", "fe80::1", 80, "/"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		AUTO_HTTP_URL url = {0};
		assert_ok(http_url_parse(cases[i].text, &url, &err));
		is(&url, cases[i].host, cases[i].port, cases[i].target);
	}
}

static void refused(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum err_kind kind;
		const char *msg;
	} cases[] = {
		{"ftp://a/", ERR_USAGE, "'ftp://a/' is no URL: it does not begin with 'http://'"},
		{"https://a/", ERR_UNSUPPORTED, "'https://a/' needs https, which is not spoken"},
		{"http://", ERR_USAGE, "'http://' is no URL: no host"},
		{"http:///x", ERR_USAGE, "'http:///x' is no URL: no host"},
		{"http://u@a/", ERR_USAGE,
			"'http://u@a/' is no URL: the host is neither name nor address"},
		{"http://a:0/", ERR_USAGE,
			"'http://a:0/' is no URL: the port is not a number from 1 to 65535"},
		{"http://a:65536/", ERR_USAGE,
			"'http://a:65536/' is no URL: the port is not a number from 1 to 65535"},
		{"http://[1]/", ERR_USAGE,
			"'http://[1]/' is no URL: no IPv6 address in the brackets"},
		{"http://[::1]x/", ERR_USAGE,
			"'http://[::1]x/' is no URL: something between address and port"},
		{"http://a/\r\nX: y", ERR_USAGE,
			"'…' is no URL: it has blanks or control characters"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		struct http_url url;
		assert_int_equal(http_url_parse(cases[i].text, &url, &err), -1);
		assert_err(&err, cases[i].kind, cases[i].msg);
	}
}

static void followed(void **state)
{
	(void)state;
	static const struct {
		const char *location, *host;
		unsigned port;
		const char *target;
	} cases[] = {
		{"http://b/c", "b", 80, "/c"},
		{"//b:7/c", "b", 7, "/c"},
		{"/c", "::1", 81, "/c"},
		{"c", "::1", 81, "/x/c"},
		{"c?d:e", "::1", 81, "/x/c?d:e"},
	};
	struct err err = ERR_INIT;
	AUTO_HTTP_URL base = {0};
	assert_ok(http_url_parse("http://[::1]:81/x/y?z/w", &base, &err));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_HTTP_URL url = {0};
		assert_ok(http_url_follow(&base, cases[i].location, &url, &err));
		is(&url, cases[i].host, cases[i].port, cases[i].target);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parsed),
		cmocka_unit_test(refused),
		cmocka_unit_test(followed),
	};
	return TEST_MAIN(tests);
}
