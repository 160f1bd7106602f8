/* SPDX-License-Identifier: MIT */
#include "http/answer.h"

#include "http/chunked.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

static void parse(const char *text, struct http_answer_head *head)
{
	struct err err = ERR_INIT;
	size_t len = 0;
	int r = http_answer_parse(text, strlen(text), head, &len, &err);
	if (r < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(r, 1);
	assert_int_equal(len, strlen(text));
}

static void whole(void **state)
{
	(void)state;
	AUTO_HTTP_ANSWER_HEAD head = {0};
	parse("\r\nHTTP/1.1 200 OK\r\nContent-Length: 12\r\nETag: \"a b\"\r\n"
	      "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
		&head);
	assert_int_equal(head.answer.status, 200);
	assert_int_equal(head.answer.len, 12);
	assert_int_equal(head.answer.size, 12);
	assert_int_equal(head.answer.off, 0);
	assert_int_equal(head.answer.date, 784111777);
	assert_string_equal(head.answer.etag, "\"a b\"");
	assert_int_equal(head.framing, HTTP_FRAMING_LENGTH);
	assert_true(head.keep_alive);
}

static void part(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_HTTP_ANSWER_HEAD head = {0};
	parse("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 5-9/10\r\n"
	      "Transfer-Encoding: Chunked\r\nConnection: close\r\n\r\n",
		&head);
	assert_int_equal(head.answer.off, 5);
	assert_int_equal(head.answer.len, 5);
	assert_int_equal(head.answer.size, 10);
	assert_int_equal(head.framing, HTTP_FRAMING_CHUNKED);
	assert_false(head.keep_alive);
	assert_ok(http_answer_match(&head, 5, 5, &err));
	assert_ok(http_answer_match(&head, 5, 100, &err)); /* the whole ends before */
	assert_ok(http_answer_match(&head, 5, 0, &err));
	assert_int_equal(http_answer_match(&head, 5, 4, &err), -1);
	assert_err(&err, ERR_CORRUPT, "the answer has bytes 5 to 9, asked were 4 from 5");
	assert_int_equal(http_answer_match(&head, 4, 6, &err), -1);
	assert_err(&err, ERR_CORRUPT, "the answer has bytes 5 to 9, asked were 6 from 4");
	assert_int_equal(http_answer_match(&head, 0, 0, &err), -1);
	assert_err(&err, ERR_CORRUPT, "malformed answer: a part where the whole was asked for");
}

static void less_than_asked(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_HTTP_ANSWER_HEAD head = {0};
	parse("HTTP/1.1 206 x\r\nContent-Range: bytes 0-4/10\r\n\r\n", &head);
	assert_int_equal(http_answer_match(&head, 0, 10, &err), -1);
	assert_err(&err, ERR_CORRUPT, "the answer has bytes 0 to 4, asked were 10 from 0");
}

static void retry_after(void **state)
{
	(void)state;
	AUTO_HTTP_ANSWER_HEAD a = {0}, b = {0}, c = {0};
	parse("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n\r\n", &a);
	assert_int_equal(a.answer.retry_s, 7);
	assert_int_equal(a.framing, HTTP_FRAMING_CLOSE);
	assert_false(a.keep_alive);
	parse("HTTP/1.0 429\r\nRetry-After: Sun, 06 Nov 1994 08:50:07 GMT\r\n"
	      "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
		&b);
	assert_int_equal(b.answer.retry_s, 30);
	parse("HTTP/1.1 503 Busy\r\nRetry-After: 99999999\r\n\r\n", &c);
	assert_int_equal(c.answer.retry_s, 3600);
}

static void bodiless(void **state)
{
	(void)state;
	AUTO_HTTP_ANSWER_HEAD head = {0};
	parse("HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n", &head);
	assert_int_equal(head.framing, HTTP_FRAMING_LENGTH);
	assert_int_equal(head.content_len, 0);
	assert_true(head.keep_alive);
}

static void dates(void **state)
{
	(void)state;
	static const char *const none[] = {"", "Sunday, 06-Nov-94 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37 CET", "Sun, 06 Nvo 1994 08:49:37 GMT",
		"Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
		"Sun, 06 Nov 1969 08:49:37 GMT", "Sun, x6 Nov 1994 08:49:37 GMT"};
	for (size_t i = 0; i < ARRAY_LEN(none); i++)
		assert_int_equal(http_date_parse(none[i], strlen(none[i])), 0);
	assert_int_equal(http_date_parse("Tue, 29 Feb 2028 00:00:00 GMT", 29), 1835395200);
}

static void refused(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum err_kind kind;
		const char *msg;
	} cases[] = {
		{"SSH-2.0-x", ERR_CORRUPT, "malformed answer: no status line of HTTP"},
		{"HTTP/1.1 20 OK\r\n\r\n", ERR_CORRUPT, "malformed answer: no status line of HTTP"},
		{"HTTP/2.0 200 OK\r\n\r\n", ERR_UNSUPPORTED,
			"HTTP version 'HTTP/2.0' is not 1.0 or 1.1"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", ERR_CORRUPT,
			"malformed answer: two different lengths"},
		{"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", ERR_CORRUPT,
			"malformed answer: Content-Length is no number"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", ERR_CORRUPT,
			"malformed answer: Content-Length is no number"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
			ERR_CORRUPT, "malformed answer: both a length and chunked coding"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", ERR_UNSUPPORTED,
			"transfer coding 'gzip, chunked' was not asked for"},
		{"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", ERR_UNSUPPORTED,
			"content coding 'gzip' was not asked for"},
		{"HTTP/1.1 206 x\r\nContent-Length: 1\r\n\r\n", ERR_CORRUPT,
			"malformed answer: 206 without the range that it is"},
		{"HTTP/1.1 206 x\r\nContent-Range: bytes 3-2/9\r\n\r\n", ERR_CORRUPT,
			"malformed answer: Content-Range contradicts itself"},
		{"HTTP/1.1 206 x\r\nContent-Range: bytes 3-9/9\r\n\r\n", ERR_CORRUPT,
			"malformed answer: Content-Range contradicts itself"},
		{"HTTP/1.1 206 x\r\nContent-Range: lines 0-1/9\r\n\r\n", ERR_CORRUPT,
			"malformed answer: Content-Range is not 'bytes FIRST-LAST/SIZE'"},
		{"HTTP/1.1 206 x\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 3\r\n\r\n",
			ERR_CORRUPT, "malformed answer: length and range differ"},
		{"HTTP/1.1 200 OK\r\n folded\r\n\r\n", ERR_CORRUPT,
			"malformed answer: header line is not 'NAME: VALUE'"},
		{"HTTP/1.1 200 OK\r\nA: \x01\r\n\r\n", ERR_CORRUPT,
			"malformed answer: control character in a header"},
		{"HTTP/1.1 200 OK\r\nETag: 1\r\nETag: 2\r\n\r\n", ERR_CORRUPT,
			"malformed answer: a field twice that can be there once"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		struct http_answer_head head;
		size_t len;
		assert_int_equal(
			http_answer_parse(cases[i].text, strlen(cases[i].text), &head, &len, &err),
			-1);
		assert_err(&err, cases[i].kind, cases[i].msg);
	}
}

static void endless(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct http_answer_head head;
	static char text[HTTP_HEAD_MAX] = "HTTP/1.1 200 OK\r\nA: ";
	size_t len, begun = strlen(text);
	memset(text + begun, 'x', sizeof(text) - begun);
	assert_int_equal(http_answer_parse(text, sizeof(text) - 1, &head, &len, &err), 0);
	assert_int_equal(http_answer_parse(text, sizeof(text), &head, &len, &err), -1);
	assert_err(&err, ERR_LIMIT, "the answer's head is larger than 16384 bytes");
}

/* Decodes a body cut into pieces of `step` bytes; how much content, or -1. */
static int decode(const char *text, size_t step, char *content, struct err *err)
{
	struct http_chunked chunked = {0};
	int got = 0;
	for (size_t off = 0; off < strlen(text); off += step) {
		const uint8_t *data = (const uint8_t *)text + off, *bytes;
		size_t len = strlen(text) - off < step ? strlen(text) - off : step, n;
		int r;
		while ((r = http_chunked_next(&chunked, &data, &len, &bytes, &n, err)) == 1) {
			memcpy(content + got, bytes, n);
			got += (int)n;
		}
		if (r < 0)
			return -1;
	}
	content[got] = '\0';
	assert_int_equal(chunked.state, HTTP_CHUNKED_ENDED);
	return got;
}

static void chunks(void **state)
{
	(void)state;
	static const char text[] = "5\r\nhello\r\n006;name=\"v\"\r\n world\r\n0\r\nA: b\r\n\r\n";
	for (size_t step = 1; step < sizeof(text); step++) {
		struct err err = ERR_INIT;
		char content[64];
		assert_int_equal(decode(text, step, content, &err), 11);
		assert_string_equal(content, "hello world");
	}
}

static void bad_chunks(void **state)
{
	(void)state;
	static const struct {
		const char *text, *msg;
	} cases[] = {
		{"\r\n", "malformed chunked coding: no size"},
		{"g\r\n", "malformed chunked coding: no size"},
		{"1x\r\n", "malformed chunked coding: no hexadecimal size"},
		{"-1\r\n", "malformed chunked coding: no size"},
		{"1\r\nab\r\n", "malformed chunked coding: a chunk is longer than its size"},
		{"1234567890123456\r\n", "malformed chunked coding: a size of more than 15 digits"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		char content[64];
		assert_int_equal(decode(cases[i].text, 1, content, &err), -1);
		assert_err(&err, ERR_CORRUPT, cases[i].msg);
	}
	static char endless[10000] = "1;";
	struct err err = ERR_INIT;
	char content[64];
	memset(endless + 2, 'e', sizeof(endless) - 3);
	assert_int_equal(decode(endless, 100, content, &err), -1);
	assert_err(&err, ERR_CORRUPT, "malformed chunked coding: endless extensions");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole),
		cmocka_unit_test(part),
		cmocka_unit_test(less_than_asked),
		cmocka_unit_test(retry_after),
		cmocka_unit_test(bodiless),
		cmocka_unit_test(dates),
		cmocka_unit_test(refused),
		cmocka_unit_test(endless),
		cmocka_unit_test(chunks),
		cmocka_unit_test(bad_chunks),
	};
	return TEST_MAIN(tests);
}
