/* SPDX-License-Identifier: MIT */
#include "http/response.h"

#include "test.h"

#include <stdio.h>
#include <string.h>

/* The head that answers a request with these header lines for a body of 1000 bytes. */
static void assert_head(const char *method, const char *fields, int status, const char *head)
{
	struct err err = ERR_INIT;
	AUTO_HTTP_REQUEST request = {0};
	size_t len;
	char text[512];
	snprintf(text, sizeof(text), "%s / HTTP/1.1\r\nHost: a\r\n%s\r\n", method, fields);
	assert_int_equal(http_request_parse(text, strlen(text), &request, &len, &err), 1);
	const struct http_body body = {.size = 1000,
		.etag = "\"tag\"",
		.cache_control = "no-cache",
		.location = "/elsewhere",
		.retry_after = 5};
	struct http_response r = http_response_decide(&request, status, &body);
	AUTO_BUF out = {0};
	assert_ok(http_response_head(&r, &body, 784111777, &out, &err));
	assert_string_equal(buf_str(&out, &err), head);
}

#define COMMON "Server: snowboot/" SNOWBOOT_VERSION "\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
#define FOUND COMMON "ETag: \"tag\"\r\nCache-Control: no-cache\r\nAccept-Ranges: bytes\r\n"
#define TYPE "Content-Type: application/octet-stream\r\n"
#define ENDING "Connection: keep-alive\r\n\r\n"
#define WHOLE "HTTP/1.1 200 OK\r\n" FOUND TYPE "Content-Length: 1000\r\n" ENDING

static void whole(void **state)
{
	(void)state;
	assert_head("GET", "", 200, WHOLE);
	assert_head("HEAD", "", 200, WHOLE);
	assert_head("HEAD", "Range: bytes=0-1\r\n", 200, WHOLE);
	assert_head("GET", "Range: bytes=0-1,3-4\r\n", 200, WHOLE);
	assert_head("GET", "Range: bytes=0-1\r\nIf-Range: \"old\"\r\n", 200, WHOLE);
	assert_head("GET", "If-None-Match: \"old\"\r\n", 200, WHOLE);
}

static void part(void **state)
{
	(void)state;
	static const char head[] =
		"HTTP/1.1 206 Partial Content\r\n" FOUND
		"Content-Range: bytes 990-999/1000\r\n" TYPE "Content-Length: 10\r\n" ENDING;
	assert_head("GET", "Range: bytes=990-\r\n", 200, head);
	assert_head("GET", "Range: bytes=-10\r\nIf-Range: \"tag\"\r\n", 200, head);
}

static void unsatisfiable(void **state)
{
	(void)state;
	assert_head("GET", "Range: bytes=1000-\r\n", 200,
		"HTTP/1.1 416 Range Not Satisfiable\r\n" FOUND
		"Content-Range: bytes */1000\r\n" TYPE "Content-Length: 0\r\n" ENDING);
}

static void not_modified(void **state)
{
	(void)state;
	static const char head[] = "HTTP/1.1 304 Not Modified\r\n" FOUND ENDING;
	assert_head("GET", "If-None-Match: \"tag\"\r\n", 200, head);
	assert_head("HEAD", "If-None-Match: \"x\", W/\"tag\"\r\nRange: bytes=0-1\r\n", 200, head);
}

static void failures(void **state)
{
	(void)state;
	assert_head("POST", "Range: bytes=0-1\r\nIf-None-Match: \"tag\"\r\nConnection: close\r\n",
		405,
		"HTTP/1.1 405 Method Not Allowed\r\n" COMMON "Allow: GET, HEAD\r\n" TYPE
		"Content-Length: 1000\r\nConnection: close\r\n\r\n");
}

static void elsewhere_and_later(void **state)
{
	(void)state;
	assert_head("GET", "", 302,
		"HTTP/1.1 302 Found\r\n" COMMON "Location: /elsewhere\r\n" TYPE
		"Content-Length: 1000\r\n" ENDING);
	assert_head("GET", "", 503,
		"HTTP/1.1 503 Service Unavailable\r\n" COMMON "Retry-After: 5\r\n" TYPE
		"Content-Length: 1000\r\n" ENDING);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole),
		cmocka_unit_test(part),
		cmocka_unit_test(unsatisfiable),
		cmocka_unit_test(not_modified),
		cmocka_unit_test(failures),
		cmocka_unit_test(elsewhere_and_later),
	};
	return TEST_MAIN(tests);
}
