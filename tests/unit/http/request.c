/* SPDX-License-Identifier: MIT */
#include "http/request.h"

#include "base/buf.h"
#include "test.h"

#include <string.h>

static void parse(const char *text, struct http_request *request)
{
	struct err err = ERR_INIT;
	size_t len = 0;
	int r = http_request_parse(text, strlen(text), request, &len, &err);
	if (r < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(r, 1);
	assert_int_equal(len, strlen(text));
}

static void refused(const char *text, enum err_kind kind, const char *msg)
{
	struct err err = ERR_INIT;
	struct http_request request;
	size_t len;
	assert_int_equal(http_request_parse(text, strlen(text), &request, &len, &err), -1);
	assert_err(&err, kind, msg);
}

static void plain(void **state)
{
	(void)state;
	AUTO_HTTP_REQUEST request = {0};
	parse("GET /boot/default/initrd HTTP/1.1\r\nHost: a:8080\r\nX-Empty:\r\nRANGE: \t "
	      "bytes=0-1 "
	      "\t\r\n\r\n",
		&request);
	assert_int_equal(request.method, HTTP_GET);
	assert_string_equal(request.path, "/boot/default/initrd");
	assert_null(request.query);
	assert_true(request.keep_alive);
	assert_string_equal(http_request_header(&request, "range"), "bytes=0-1");
	assert_string_equal(http_request_header(&request, "x-empty"), "");
	assert_null(http_request_header(&request, "Range"));
}

static void forms_of_target(void **state)
{
	(void)state;
	AUTO_HTTP_REQUEST request = {0};
	parse("HEAD /a%20b%2fc%3F?x=%20&y HTTP/1.1\r\nHost: a\r\n\r\n", &request);
	assert_int_equal(request.method, HTTP_HEAD);
	assert_string_equal(request.path, "/a b/c?");
	assert_string_equal(request.query, "x=%20&y");
	http_request_done(&request);
	parse("GET http://host:80/x HTTP/1.1\r\nHost: a\r\n\r\n", &request);
	assert_string_equal(request.path, "/x");
	http_request_done(&request);
	parse("\r\n\nDELETE / HTTP/1.0\n\n", &request);
	assert_int_equal(request.method, HTTP_OTHER);
}

static void keep_alive(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool keep_alive;
	} cases[] = {
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true},
		{"GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, Close\r\n\r\n", false},
		{"GET / HTTP/1.0\r\n\r\n", false},
		{"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_HTTP_REQUEST request = {0};
		parse(cases[i].text, &request);
		assert_int_equal(request.keep_alive, cases[i].keep_alive);
	}
}

static void malformed(void **state)
{
	(void)state;
	static const struct {
		const char *text, *what;
	} cases[] = {
		{"GET /\r\n\r\n", "request line is not 'METHOD TARGET VERSION'"},
		{"\x16\x03\x01 / HTTP/1.1\r\n\r\n", "method is not a word"},
		{"GET / HTTPS/1.1\r\n\r\n", "no HTTP version"},
		{"GET  / HTTP/1.1\r\n\r\n", "no HTTP version"},
		{"GET x HTTP/1.1\r\nHost: a\r\n\r\n", "target does not begin with '/'"},
		{"GET http://x HTTP/1.1\r\nHost: a\r\n\r\n", "target without a path"},
		{"GET /%0 HTTP/1.1\r\nHost: a\r\n\r\n", "'%' without two hexadecimal digits"},
		{"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", "'%' without two hexadecimal digits"},
		{"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", "control character in the target"},
		{"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", "control character in the target"},
		{"GET / HTTP/1.1\r\n\r\n", "not exactly one Host field"},
		{"GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", "not exactly one Host field"},
		{"GET / HTTP/1.1\r\nHost : a\r\n\r\n", "header line is not 'NAME: VALUE'"},
		{"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
			"header line is not 'NAME: VALUE'"},
		{"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", "control character in a header"},
		/* Without their end: HTTP/0.9, TLS, SSH and nothing sensible. */
		{"GET /\r\n", "request line is not 'METHOD TARGET VERSION'"},
		{"\r\nGET / HTTPS/1.1\r\nHost: a\r\n", "no HTTP version"},
		{"\x16\x03\x01\x02", "method is not a word"},
		{"\r\n\r\n\x80", "method is not a word"},
		{" GET", "method is not a word"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char msg[128];
		snprintf(msg, sizeof(msg), "malformed request: %s", cases[i].what);
		refused(cases[i].text, ERR_CORRUPT, msg);
	}
}

static void unsupported(void **state)
{
	(void)state;
	refused("GET / HTTP/2.0\r\n\r\n", ERR_UNSUPPORTED,
		"HTTP version 'HTTP/2.0' is not 1.0 or 1.1");
	refused("PRI * HTTP/2.0\r\n", ERR_UNSUPPORTED, "HTTP version 'HTTP/2.0' is not 1.0 or 1.1");
	refused("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n",
		ERR_UNSUPPORTED, "requests with a body are not taken");
	refused("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", ERR_UNSUPPORTED,
		"requests with a body are not taken");
	refused("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", ERR_UNSUPPORTED,
		"requests with a body are not taken");
}

static void limits(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF text = {0};
	assert_ok(buf_put_str(&text, "GET / HTTP/1.1\r\nHost: a\r\n", &err));
	for (int i = 0; i < HTTP_HEADERS_MAX; i++)
		assert_ok(buf_put_str(&text, "X: y\r\n", &err));
	assert_ok(buf_put_str(&text, "\r\n", &err));
	refused(buf_str(&text, &err), ERR_LIMIT, "more than 100 header fields");

	/* decided by size alone, whether the head ends or not */
	buf_clear(&text);
	assert_ok(buf_put_str(&text, "GET /", &err));
	while (text.len < HTTP_HEAD_MAX)
		assert_ok(buf_put_str(&text, "x", &err));
	refused(buf_str(&text, &err), ERR_LIMIT, "request head is larger than 16384 bytes");
	assert_ok(buf_put_str(&text, " HTTP/1.1\r\nHost: a\r\n\r\n", &err));
	refused(buf_str(&text, &err), ERR_LIMIT, "request head is larger than 16384 bytes");
}

/* Every truncation of a valid request asks for more and reads nothing beyond its end. */
static void truncations(void **state)
{
	(void)state;
	static const char text[] =
		"\r\nGET /a%20b?c HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n";
	for (size_t len = 0; len < sizeof(text) - 1; len++) {
		struct err err = ERR_INIT;
		struct http_request request;
		size_t head_len;
		AUTO_FREE char *copy = malloc(len + 1);
		memcpy(copy, text, len);
		assert_int_equal(http_request_parse(copy, len, &request, &head_len, &err), 0);
		assert_true(err_clean(&err));
	}
}

static void pipelined(void **state)
{
	(void)state;
	static const char text[] = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\n";
	struct err err = ERR_INIT;
	AUTO_HTTP_REQUEST request = {0};
	size_t len = 0;
	assert_int_equal(http_request_parse(text, strlen(text), &request, &len, &err), 1);
	assert_string_equal(request.path, "/1");
	assert_string_equal(text + len, "GET /2 HTTP/1.1\r\n");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),
		cmocka_unit_test(forms_of_target),
		cmocka_unit_test(keep_alive),
		cmocka_unit_test(malformed),
		cmocka_unit_test(unsupported),
		cmocka_unit_test(limits),
		cmocka_unit_test(truncations),
		cmocka_unit_test(pipelined),
	};
	return TEST_MAIN(tests);
}
