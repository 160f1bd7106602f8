/* SPDX-License-Identifier: MIT */
/* The head of a request that is read has a path from the root, within its bounds, and parses the
 * same when more follows it. */
#include "target.h"

#include "http/request.h"

#include <string.h>

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
	return true;
}
