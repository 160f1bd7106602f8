/* SPDX-License-Identifier: MIT */
/*
 * The decision between 200, 206, 304 and 416, and the head that goes with it. A pure function of
 * request and body: sending is the connection's business.
 */
#include "http/response.h"

#include "http/range.h"

#include <inttypes.h>

const char *http_status_text(int status)
{
	static const struct {
		int status;
		const char *text;
	} texts[] = {
		{200, "OK"},
		{206, "Partial Content"},
		{302, "Found"},
		{304, "Not Modified"},
		{400, "Bad Request"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{408, "Request Timeout"},
		{416, "Range Not Satisfiable"},
		{426, "Upgrade Required"},
		{431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{503, "Service Unavailable"},
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (texts[i].status == status)
			return texts[i].text;
	return "Unknown";
}

struct http_response http_response_decide(
	const struct http_request *request, int status, const struct http_body *body)
{
	struct http_response r = {
		.status = status, .len = body->size, .keep_alive = request->keep_alive};
	const char *none_match = http_request_header(request, "if-none-match");
	const char *range = http_request_header(request, "range");
	const char *if_range = http_request_header(request, "if-range");
	if (status == 200 && none_match != NULL && body->etag != NULL &&
		http_etag_listed(none_match, body->etag)) {
		r.status = 304;
		r.len = 0;
		return r;
	}
	/* Range is defined for GET alone: RFC 9110, section 14.2. */
	bool ranged = status == 200 && request->method == HTTP_GET &&
		(if_range == NULL || http_if_range_holds(if_range, body->etag));
	switch (ranged ? http_range_parse(range, body->size, &r.off, &r.len) : HTTP_RANGE_WHOLE) {
	case HTTP_RANGE_WHOLE:
		break;
	case HTTP_RANGE_PART:
		r.status = 206;
		break;
	case HTTP_RANGE_UNSATISFIABLE:
		r.status = 416;
		r.len = 0;
		break;
	}
	return r;
}

static int put_date(struct buf *out, time_t now, struct err *err)
{
	/* Not strftime's %a and %b: those follow the locale. */
	static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[][4] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	struct tm tm;
	gmtime_r(&now, &tm);
	return buf_printf(out, err, "Date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n", days[tm.tm_wday],
		tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

int http_response_head(const struct http_response *response, const struct http_body *body,
	time_t now, struct buf *out, struct err *err)
{
	int status = response->status;
	if (buf_printf(out, err, "HTTP/1.1 %d %s\r\nServer: snowboot/" SNOWBOOT_VERSION "\r\n",
		    status, http_status_text(status)) < 0 ||
		put_date(out, now, err) < 0)
		return -1;
	bool found = status == 200 || status == 206 || status == 304 || status == 416;
	if (found && body->etag != NULL && buf_printf(out, err, "ETag: %s\r\n", body->etag) < 0)
		return -1;
	if (found && body->cache_control != NULL &&
		buf_printf(out, err, "Cache-Control: %s\r\n", body->cache_control) < 0)
		return -1;
	if (found && buf_put_str(out, "Accept-Ranges: bytes\r\n", err) < 0)
		return -1;
	if (status == 302 && body->location != NULL &&
		buf_printf(out, err, "Location: %s\r\n", body->location) < 0)
		return -1;
	if (status == 503 && body->retry_after > 0 &&
		buf_printf(out, err, "Retry-After: %u\r\n", body->retry_after) < 0)
		return -1;
	if (status == 405 && buf_put_str(out, "Allow: GET, HEAD\r\n", err) < 0)
		return -1;
	if (status == 206 &&
		buf_printf(out, err, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n",
			response->off, response->off + response->len - 1, body->size) < 0)
		return -1;
	if (status == 416 &&
		buf_printf(out, err, "Content-Range: bytes */%" PRIu64 "\r\n", body->size) < 0)
		return -1;
	const char *type = body->content_type;
	/* A 304 has no content, so its Content-Length would have to be that of the 200: leave it
	 * out. */
	if (status != 304 &&
		buf_printf(out, err, "Content-Type: %s\r\nContent-Length: %" PRIu64 "\r\n",
			type != NULL ? type : "application/octet-stream", response->len) < 0)
		return -1;
	return buf_printf(
		out, err, "Connection: %s\r\n\r\n", response->keep_alive ? "keep-alive" : "close");
}

int http_response_stream_head(const char *type, time_t now, struct buf *out, struct err *err)
{
	if (buf_put_str(out, "HTTP/1.1 200 OK\r\nServer: snowboot/" SNOWBOOT_VERSION "\r\n", err) <
			0 ||
		put_date(out, now, err) < 0)
		return -1;
	return buf_printf(out, err,
		"Cache-Control: no-cache\r\nContent-Type: %s\r\nConnection: close\r\n\r\n", type);
}
