/* SPDX-License-Identifier: MIT */
/* The head of a request that is read has a path from the root, within its bounds, and parses the
 * same when more follows it. What it asks of a body is a part of that, and its answer one that our
 * own client takes. */
#include "target.h"

#include "http/answer.h"
#include "http/query.h"
#include "http/request.h"
#include "http/response.h"

#include <string.h>

#define BODY 1000u

static void check_answer(const struct http_request *request)
{
	struct err err = ERR_INIT;
	const struct http_body body = {.size = BODY, .etag = "\"e\""};
	struct http_response response = http_response_decide(request, 200, &body);
	AUTO_BUF text = {0};
	AUTO_HTTP_ANSWER_HEAD head = {0};
	size_t len;
	expect(response.off <= BODY && response.len <= BODY - response.off);
	expect(http_response_head(&response, &body, 0, &text, &err) == 0);
	expect(http_answer_parse((const char *)text.data, text.len, &head, &len, &err) == 1);
	expect(len == text.len && head.answer.status == response.status);
	expect(head.keep_alive == response.keep_alive && head.framing == HTTP_FRAMING_LENGTH);
	if (response.status == 206)
		expect(head.answer.off == response.off && head.answer.len == response.len);
}

static void check_query(const char *query)
{
	struct err err = ERR_INIT;
	char *value;
	int r = http_query_get(query, "mac", &value, &err);
	if (r < 0)
		expect(err.kind == ERR_CORRUPT && err.msg[0] != '\0');
	if (r > 0)
		free(value);
}

bool target_run(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	AUTO_HTTP_REQUEST request = {0}, again = {0};
	size_t len = 0, len_again = 0;
	int r = http_request_parse((const char *)data, size, &request, &len, &err);
	if (r < 0)
		expect(err.msg[0] != '\0');
	if (r <= 0)
		return false;
	expect(len > 0 && len <= size && len <= HTTP_HEAD_MAX);
	expect(request.path[0] == '/');
	expect(request.names.len == request.values.len && request.names.len <= HTTP_HEADERS_MAX);
	for (size_t i = 0; i < request.names.len; i++)
		expect(http_request_header(&request, request.names.items[i]) != NULL);
	(void)http_request_list_has(&request, "connection", "upgrade");
	expect(http_request_parse((const char *)data, len, &again, &len_again, &err) == 1);
	expect(len_again == len && again.method == request.method);
	expect(strcmp(again.path, request.path) == 0);
	check_answer(&request);
	check_query(request.query);
	return true;
}
