/* SPDX-License-Identifier: MIT */
/*
 * The request parser. It is strict where leniency has been used to smuggle requests (folded lines,
 * blanks before the colon, bare CR, control characters, bodies) and lenient where RFC 9112 asks for
 * it (empty lines before the request, LF as line end, absolute-form targets). It knows nothing of
 * sockets or of what the paths mean.
 */
#include "http/request.h"

#include "base/hex.h"
#include "http/span.h"

#include <string.h>

void http_request_done(struct http_request *request)
{
	free(request->path);
	free(request->query);
	strvec_done(&request->names);
	strvec_done(&request->values);
	*request = (struct http_request){0};
}

const char *http_request_header(const struct http_request *request, const char *name)
{
	for (size_t i = 0; i < request->names.len; i++)
		if (strcmp(request->names.items[i], name) == 0)
			return request->values.items[i];
	return NULL;
}

bool http_request_list_has(const struct http_request *request, const char *name, const char *word)
{
	for (size_t i = 0; i < request->names.len; i++) {
		const char *value = request->values.items[i];
		if (strcmp(request->names.items[i], name) == 0 &&
			span_list_has((struct span){value, strlen(value)}, word))
			return true;
	}
	return false;
}

static int malformed(struct err *err, const char *what)
{
	return err_raise(err, ERR_CORRUPT, "malformed request: %s", what);
}

/* Undoes %XX; a NUL or another control character is refused, encoded or not. */
static int decode_path(struct span s, char **ret, struct err *err)
{
	AUTO_FREE char *path = malloc(s.len + 1);
	if (path == NULL)
		return err_oom(err);
	size_t len = 0;
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = (uint8_t)s.p[i];
		if (c == '%') {
			if (s.len - i < 3 || !hex_decode(s.p + i + 1, 2, &c, 1))
				return malformed(err, "'%' without two hexadecimal digits");
			i += 2;
		}
		if (c < 0x20 || c == 0x7f)
			return malformed(err, "control character in the target");
		path[len++] = (char)c;
	}
	path[len] = '\0';
	*ret = TAKE_PTR(path);
	return 0;
}

static int parse_target(struct span target, struct http_request *request, struct err *err)
{
	/* absolute-form: what clients send to proxies, and servers must take (RFC 9112, 3.2.2) */
	if (target.len > 7 && strncasecmp(target.p, "http://", 7) == 0) {
		const char *slash = memchr(target.p + 7, '/', target.len - 7);
		if (slash == NULL)
			return malformed(err, "target without a path");
		target.len -= (size_t)(slash - target.p);
		target.p = slash;
	}
	if (target.len == 0 || target.p[0] != '/')
		return malformed(err, "target does not begin with '/'");
	struct span path, query = target;
	if (span_next_word(&query, '?', &path)) {
		request->query = strndup(query.p, query.len);
		if (request->query == NULL)
			return err_oom(err);
	} else {
		path = target;
	}
	return decode_path(path, &request->path, err);
}

static int parse_request_line(struct span line, struct http_request *request, struct err *err)
{
	struct span method, target;
	if (!span_next_word(&line, ' ', &method) || !span_next_word(&line, ' ', &target))
		return malformed(err, "request line is not 'METHOD TARGET VERSION'");
	if (!span_is_token(method))
		return malformed(err, "method is not a word");
	if (line.len != 8 || strncmp(line.p, "HTTP/", 5) != 0)
		return malformed(err, "no HTTP version");
	if (strncmp(line.p, "HTTP/1.", 7) != 0 || (line.p[7] != '0' && line.p[7] != '1'))
		return err_raise(err, ERR_UNSUPPORTED, "HTTP version '%.*s' is not 1.0 or 1.1",
			(int)line.len, line.p);
	request->keep_alive = line.p[7] == '1';
	request->method = HTTP_OTHER;
	if (method.len == 3 && strncmp(method.p, "GET", 3) == 0)
		request->method = HTTP_GET;
	else if (method.len == 4 && strncmp(method.p, "HEAD", 4) == 0)
		request->method = HTTP_HEAD;
	return parse_target(target, request, err);
}

static int parse_header(struct span line, struct http_request *request, struct err *err)
{
	struct span name;
	if (!span_next_word(&line, ':', &name) || !span_is_token(name))
		return malformed(err, "header line is not 'NAME: VALUE'");
	struct span value = span_trim(line);
	if (span_has_control(value))
		return malformed(err, "control character in a header");
	if (request->names.len == HTTP_HEADERS_MAX)
		return err_raise(err, ERR_LIMIT, "more than %d header fields", HTTP_HEADERS_MAX);
	if (strvec_push_n(&request->names, name.p, name.len, err) < 0)
		return -1;
	for (char *c = request->names.items[request->names.len - 1]; *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	return strvec_push_n(&request->values, value.p, value.len, err);
}

/* What the fields say together. */
static int check(struct http_request *request, struct err *err)
{
	size_t hosts = 0;
	bool body = false; /* any of the fields may announce one, not the first alone */
	for (size_t i = 0; i < request->names.len; i++) {
		const char *name = request->names.items[i];
		hosts += strcmp(name, "host") == 0;
		body |= strcmp(name, "transfer-encoding") == 0 ||
			(strcmp(name, "content-length") == 0 &&
				strcmp(request->values.items[i], "0") != 0);
	}
	/* keep_alive still says which version it is: RFC 9112, section 3.2 */
	if (hosts > 1 || (hosts == 0 && request->keep_alive))
		return malformed(err, "not exactly one Host field");
	if (body)
		return err_raise(err, ERR_UNSUPPORTED, "requests with a body are not taken");
	if (http_request_list_has(request, "connection", "close"))
		request->keep_alive = false;
	else if (http_request_list_has(request, "connection", "keep-alive"))
		request->keep_alive = true;
	return 0;
}

static int parse_head(struct span head, struct http_request *request, struct err *err)
{
	struct span line = {0};
	while (line.len == 0)
		if (!span_next_line(&head, &line))
			return malformed(err, "no request line");
	if (parse_request_line(line, request, err) < 0)
		return -1;
	while (span_next_line(&head, &line) && line.len > 0)
		if (parse_header(line, request, err) < 0)
			return -1;
	return check(request, err);
}

/*
 * A head that has not ended: HTTP/0.9 and what is no HTTP at all would wait for our answer as long
 * as we for their end.
 */
static int check_begin(struct span head, struct err *err)
{
	AUTO_HTTP_REQUEST request = {0};
	struct span line = {0}, method;
	while (line.len == 0 && span_next_line(&head, &line))
		;
	if (line.len > 0)
		return parse_request_line(line, &request, err);
	if (head.len == 0 || span_is(head, "\r"))
		return 0;
	if (!span_next_word(&head, ' ', &method))
		method = head;
	return span_is_token(method) ? 0 : malformed(err, "method is not a word");
}

int http_request_parse(
	const char *data, size_t len, struct http_request *ret, size_t *ret_len, struct err *err)
{
	size_t head_len = len;
	bool ended = span_head_end((struct span){data, len}, &head_len);
	if (head_len > HTTP_HEAD_MAX || (!ended && len >= HTTP_HEAD_MAX))
		return err_raise(
			err, ERR_LIMIT, "request head is larger than %d bytes", HTTP_HEAD_MAX);
	if (!ended)
		return check_begin((struct span){data, len}, err);
	AUTO_HTTP_REQUEST request = {0};
	if (parse_head((struct span){data, head_len}, &request, err) < 0)
		return -1;
	*ret = request;
	request = (struct http_request){0};
	*ret_len = head_len;
	return 1;
}
