/* SPDX-License-Identifier: MIT */
/* An answer whose head parses has a body that is taken in order, whatever its framing, and leads to
 * a URL that can be asked for as it is. */
#include "target.h"

#include "http/answer.h"
#include "http/chunked.h"
#include "http/url.h"

#include <ctype.h>
#include <string.h>

/* Whether it is a whole body. */
static bool decode(const uint8_t *data, size_t len)
{
	struct err err = ERR_INIT;
	struct http_chunked chunked = {0};
	const uint8_t *end = data + len, *bytes;
	size_t n;
	int r;
	while ((r = http_chunked_next(&chunked, &data, &len, &bytes, &n, &err)) == 1)
		expect(n > 0 && bytes + n == data && data + len == end);
	expect(r < 0 || len == 0 || chunked.state == HTTP_CHUNKED_ENDED);
	return r == 0 && chunked.state == HTTP_CHUNKED_ENDED;
}

static void follow(const char *location)
{
	struct err err = ERR_INIT;
	AUTO_HTTP_URL base = {0}, url = {0};
	expect(http_url_parse("http://[2001:db8::1]:81/a/b?c/d", &base, &err) == 0);
	if (http_url_follow(&base, location, &url, &err) < 0) {
		expect(err.kind == ERR_USAGE || err.kind == ERR_UNSUPPORTED);
		return;
	}
	expect(url.target[0] == '/' && url.host[0] != '\0' && url.port != 0);
	expect(url.bracketed == (strchr(url.host, ':') != NULL));
	for (const char *p = url.target; *p != '\0'; p++)
		expect(*p != ' ' && *p != '#' && !iscntrl((unsigned char)*p));
	for (const char *p = url.host; *p != '\0'; p++)
		expect(isalnum((unsigned char)*p) || strchr(":.-_", *p) != NULL);
}

bool target_run(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	AUTO_HTTP_ANSWER_HEAD head = {0};
	size_t len = 0;
	(void)decode(data, size);
	int r = http_answer_parse((const char *)data, size, &head, &len, &err);
	if (r < 0)
		expect(err.msg[0] != '\0');
	if (r <= 0)
		return false;
	expect(len > 0 && len <= size);
	expect(head.answer.status >= 100 && head.answer.status <= 999);
	expect(head.answer.status != 206 ||
		(head.answer.len > 0 && head.answer.len <= head.answer.size - head.answer.off));
	if (http_answer_match(&head, 3, 5, &err) == 0 && head.answer.status == 206)
		expect(head.answer.off == 3 && head.answer.len <= 5);
	if (head.location != NULL)
		follow(head.location);
	return head.framing != HTTP_FRAMING_CHUNKED || decode(data + len, size - len);
}
