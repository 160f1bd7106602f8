/* SPDX-License-Identifier: MIT */
/* An answer whose head parses has a body that is taken in order, whatever its framing. */
#include "target.h"

#include "http/answer.h"
#include "http/chunked.h"

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
	return head.framing != HTTP_FRAMING_CHUNKED || decode(data + len, size - len);
}
