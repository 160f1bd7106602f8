/* SPDX-License-Identifier: MIT */
/*
 * The parser of answers' heads. It believes nothing that matters twice: a length or a range that is
 * given in two ways has to agree with itself and with what was asked. It knows nothing of sockets.
 */
#include "http/answer.h"

#include "http/span.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define RETRY_MAX_S 3600u /* a server that asks for more patience than this gets this */

void http_answer_head_done(struct http_answer_head *head)
{
	free(head->etag);
	free(head->location);
	*head = (struct http_answer_head){0};
}

static int malformed(struct err *err, const char *what)
{
	return err_raise(err, ERR_CORRUPT, "malformed answer: %s", what);
}

int64_t http_date_parse(const char *text, size_t len)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	/* fixed columns: "Sun, 06 Nov 1994 08:49:37 GMT" */
	static const struct {
		unsigned char at, len;
	} fields[] = {{5, 2}, {12, 4}, {17, 2}, {20, 2}, {23, 2}};
	uint64_t v[ARRAY_LEN(fields)];
	if (len != 29 || text[3] != ',' || memcmp(text + 25, " GMT", 4) != 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (!span_number((struct span){text + fields[i].at, fields[i].len}, &v[i]))
			return 0;
	int month = 0;
	while (month < 12 && memcmp(months + month * 3, text + 8, 3) != 0)
		month++;
	if (month == 12 || v[0] == 0 || v[0] > 31 || v[1] < 1970 || v[2] > 23 || v[3] > 59 ||
		v[4] > 60)
		return 0;
	struct tm tm = {.tm_mday = (int)v[0],
		.tm_mon = month,
		.tm_year = (int)v[1] - 1900,
		.tm_hour = (int)v[2],
		.tm_min = (int)v[3],
		.tm_sec = (int)v[4]};
	return timegm(&tm);
}

/* What is gathered while the fields are read, until they can be judged together. */
struct reading {
	struct http_answer_head *head;
	bool lengthed, coded;
	uint64_t range_len; /* Content-Range: bytes of the part; 0: "*" */
	int64_t retry_at;   /* Retry-After as a date; 0: none */
};

/* "bytes FIRST-LAST/SIZE", an asterisk for what is not known (RFC 9110, section 14.4) */
static int read_content_range(struct reading *r, struct span value, struct err *err)
{
	struct http_answer *a = &r->head->answer;
	struct span unit, range, first;
	uint64_t last;
	if (!span_next_word(&value, ' ', &unit) || !span_is(unit, "bytes") ||
		!span_next_word(&value, '/', &range))
		return malformed(err, "Content-Range is not 'bytes FIRST-LAST/SIZE'");
	if (!span_is(value, "*") && !span_number(value, &a->size))
		return malformed(err, "Content-Range has no size");
	if (span_is(range, "*"))
		return 0;
	if (!span_next_word(&range, '-', &first) || !span_number(first, &a->off) ||
		!span_number(range, &last) || last < a->off || last >= a->size)
		return malformed(err, "Content-Range contradicts itself");
	r->range_len = last - a->off + 1;
	r->head->ranged = true;
	return 0;
}

static int read_content_length(struct reading *r, struct span value, struct err *err)
{
	uint64_t len;
	if (!span_number(value, &len))
		return malformed(err, "Content-Length is no number");
	if (r->lengthed && len != r->head->content_len)
		return malformed(err, "two different lengths");
	r->head->content_len = len;
	r->lengthed = true;
	return 0;
}

static int copy(struct span value, char **ret, struct err *err)
{
	if (*ret != NULL)
		return malformed(err, "a field twice that can be there once");
	*ret = strndup(value.p, value.len);
	return *ret != NULL ? 0 : err_oom(err);
}

static int read_field(struct reading *r, struct span name, struct span value, struct err *err)
{
	struct http_answer_head *head = r->head;
	uint64_t number;
	if (span_is(name, "content-length"))
		return read_content_length(r, value, err);
	if (span_is(name, "content-range"))
		return read_content_range(r, value, err);
	if (span_is(name, "etag"))
		return copy(value, &head->etag, err);
	if (span_is(name, "location"))
		return copy(value, &head->location, err);
	if (span_is(name, "date"))
		head->answer.date = http_date_parse(value.p, value.len);
	if (span_is(name, "retry-after") && span_number(value, &number))
		head->answer.retry_s = number < RETRY_MAX_S ? (unsigned)number : RETRY_MAX_S;
	else if (span_is(name, "retry-after"))
		r->retry_at = http_date_parse(value.p, value.len);
	if (span_is(name, "connection") && span_list_has(value, "close"))
		head->keep_alive = false;
	else if (span_is(name, "connection") && span_list_has(value, "keep-alive"))
		head->keep_alive = true;
	if (span_is(name, "transfer-encoding") && (r->coded || !span_is(value, "chunked")))
		return err_raise(err, ERR_UNSUPPORTED, "transfer coding '%.*s' was not asked for",
			(int)(value.len < 64 ? value.len : 64), value.p);
	r->coded |= span_is(name, "transfer-encoding");
	if (span_is(name, "content-encoding") && !span_is(value, "identity"))
		return err_raise(err, ERR_UNSUPPORTED, "content coding '%.*s' was not asked for",
			(int)(value.len < 64 ? value.len : 64), value.p);
	return 0;
}

/* "HTTP/1.x NNN[ REASON]" */
static int read_status_line(struct http_answer_head *head, struct span line, struct err *err)
{
	uint64_t status;
	if (line.len < 12 || strncmp(line.p, "HTTP/", 5) != 0 || line.p[8] != ' ' ||
		(line.len > 12 && line.p[12] != ' ') ||
		!span_number((struct span){line.p + 9, 3}, &status) || status < 100)
		return malformed(err, "no status line of HTTP");
	if (strncmp(line.p, "HTTP/1.", 7) != 0 || (line.p[7] != '0' && line.p[7] != '1'))
		return err_raise(
			err, ERR_UNSUPPORTED, "HTTP version '%.8s' is not 1.0 or 1.1", line.p);
	head->answer.status = (int)status;
	head->keep_alive = line.p[7] == '1';
	return 0;
}

/* What the fields say together. */
static int judge(struct reading *r, struct err *err)
{
	struct http_answer_head *head = r->head;
	struct http_answer *a = &head->answer;
	int status = a->status;
	/* RFC 9112, section 6.1: both together is how answers are smuggled. */
	if (r->coded && r->lengthed)
		return malformed(err, "both a length and chunked coding");
	head->framing = r->coded ? HTTP_FRAMING_CHUNKED
		: r->lengthed    ? HTTP_FRAMING_LENGTH
				 : HTTP_FRAMING_CLOSE;
	if (status < 200 || status == 204 || status == 304) {
		head->framing = HTTP_FRAMING_LENGTH;
		head->content_len = 0;
	}
	if (head->framing == HTTP_FRAMING_CLOSE)
		head->keep_alive = false;
	a->len = head->framing == HTTP_FRAMING_LENGTH ? head->content_len : UINT64_MAX;
	if (status == 206) {
		if (!head->ranged)
			return malformed(err, "206 without the range that it is");
		if (a->len != UINT64_MAX && a->len != r->range_len)
			return malformed(err, "length and range differ");
		a->len = r->range_len;
	} else if (status == 200) {
		a->off = 0;
		a->size = a->len;
	}
	if (r->retry_at > 0 && a->date > 0 && r->retry_at > a->date)
		a->retry_s = r->retry_at - a->date < RETRY_MAX_S ? (unsigned)(r->retry_at - a->date)
								 : RETRY_MAX_S;
	a->etag = head->etag;
	return 0;
}

static int parse_head(struct span rest, struct http_answer_head *head, struct err *err)
{
	struct reading r = {.head = head};
	struct span line = {0}, name;
	while (line.len == 0)
		if (!span_next_line(&rest, &line))
			return malformed(err, "no status line of HTTP");
	if (read_status_line(head, line, err) < 0)
		return -1;
	while (span_next_line(&rest, &line) && line.len > 0) {
		if (!span_next_word(&line, ':', &name) || !span_is_token(name))
			return malformed(err, "header line is not 'NAME: VALUE'");
		struct span value = span_trim(line);
		if (span_has_control(value))
			return malformed(err, "control character in a header");
		if (read_field(&r, name, value, err) < 0)
			return -1;
	}
	return judge(&r, err);
}

int http_answer_parse(const char *data, size_t len, struct http_answer_head *ret, size_t *ret_len,
	struct err *err)
{
	size_t head_len = len;
	bool ended = span_head_end((struct span){data, len}, &head_len);
	if (head_len > HTTP_HEAD_MAX || (!ended && len >= HTTP_HEAD_MAX))
		return err_raise(
			err, ERR_LIMIT, "the answer's head is larger than %d bytes", HTTP_HEAD_MAX);
	/* What is no HTTP is known by its first bytes, however long it goes on. */
	size_t begin = 0;
	while (begin < len && (data[begin] == '\r' || data[begin] == '\n'))
		begin++;
	size_t known = len - begin < 5 ? len - begin : 5;
	if (memcmp(data + begin, "HTTP/", known) != 0)
		return malformed(err, "no status line of HTTP");
	if (!ended)
		return 0;
	AUTO_HTTP_ANSWER_HEAD head = {.answer = {.size = UINT64_MAX, .len = UINT64_MAX}};
	if (parse_head((struct span){data, head_len}, &head, err) < 0)
		return -1;
	*ret = head;
	head = (struct http_answer_head){0};
	*ret_len = head_len;
	return 1;
}

int http_answer_match(struct http_answer_head *head, uint64_t off, uint64_t len, struct err *err)
{
	struct http_answer *a = &head->answer;
	if (a->status != 206)
		return 0;
	if (off == 0 && len == 0)
		return malformed(err, "a part where the whole was asked for");
	uint64_t end = a->off + a->len;
	/* Less than was asked for is right only where the whole ends. */
	bool complete = len > 0 ? a->len == len || (a->len < len && end == a->size)
				: end == a->size || a->size == UINT64_MAX;
	if (a->off != off || !complete)
		return err_raise(err, ERR_CORRUPT,
			"the answer has bytes %" PRIu64 " to %" PRIu64 ", asked were %" PRIu64
			" from %" PRIu64,
			a->off, end - 1, len, off);
	return 0;
}
