/* SPDX-License-Identifier: MIT */
/*
 * From a connection to the request in its hand: the head of the answer, the body by its framing,
 * redirects, and the end. Every callback may cancel its request, which closes the connection, so
 * nothing is touched after one before that was looked at.
 */
#include "http/channel.h"

#include <inttypes.h>
#include <string.h>

#define REDIRECTS_MAX 5
#define INFORMATIONAL_MAX 16 /* each gives the next head its time anew */

/* The answer is whole: the connection is kept when nothing speaks against it. */
void http_channel_complete(struct http_channel *c, bool clean)
{
	struct http_host *host = c->host;
	struct http_get *get = http_channel_let_go(c);
	if (clean && c->head.keep_alive) {
		c->answers++;
		c->state = HTTP_CHANNEL_IDLE;
		http_answer_head_done(&c->head);
		TAILQ_REMOVE(&host->channels, c, entry);
		TAILQ_INSERT_HEAD(&host->channels, c, entry);
		http_channel_deadline(c, http_client_limits(c->host->client)->idle_ms);
	} else {
		http_channel_free(c);
	}
	http_client_dispatch(host);
	http_client_finish(get, NULL);
}

/* Gives content to the request: false when the connection has it no longer in hand. */
static bool give(struct http_channel *c, const void *bytes, size_t len)
{
	struct err err = ERR_INIT;
	struct http_get *get = c->get;
	uint64_t max = c->head.answer.len;
	c->body_got += len;
	if (c->body_got > max) { /* chunks that go on beyond the range */
		err_raise(&err, ERR_CORRUPT, "more than the %" PRIu64 " bytes of the range came",
			max);
		http_channel_fail(c, &err);
		return false;
	}
	int r = len > 0 ? get->ops->body(get, bytes, len, get->data, &err) : 0;
	if (c->dead || c->get != get)
		return false;
	if (r < 0) {
		http_channel_fail(c, &err);
		return false;
	}
	return true;
}

static void take_chunked(struct http_channel *c, const uint8_t *data, size_t len)
{
	struct err err = ERR_INIT;
	const uint8_t *bytes;
	size_t n;
	int r;
	while ((r = http_chunked_next(&c->chunked, &data, &len, &bytes, &n, &err)) == 1)
		if (!give(c, bytes, n))
			return;
	if (r < 0)
		http_channel_fail(c, &err);
	else if (c->chunked.state == HTTP_CHUNKED_ENDED && c->head.answer.len != UINT64_MAX &&
		c->body_got < c->head.answer.len)
		http_channel_broken(c, 0);
	else if (c->chunked.state == HTTP_CHUNKED_ENDED)
		http_channel_complete(c, len == 0);
}

/* Bytes that came after the head. */
void http_channel_take_body(struct http_channel *c, const uint8_t *data, size_t len)
{
	uint64_t left = c->head.content_len - c->body_got;
	switch (c->head.framing) {
	case HTTP_FRAMING_CHUNKED:
		take_chunked(c, data, len);
		return;
	case HTTP_FRAMING_LENGTH:
		if (give(c, data, len < left ? len : (size_t)left) &&
			c->body_got == c->head.content_len)
			http_channel_complete(c, len == left);
		return;
	case HTTP_FRAMING_CLOSE:
		(void)give(c, data, len); /* nothing follows either way */
		return;
	}
}

static bool is_redirect(const struct http_answer_head *head)
{
	int s = head->answer.status;
	return head->location != NULL && (s == 301 || s == 302 || s == 303 || s == 307 || s == 308);
}

/* Goes where the Location says. What the answer says besides is dropped with the connection. */
static void redirect(struct http_channel *c)
{
	struct err err = ERR_INIT;
	struct http_get *get = c->get;
	struct http_host *host = c->host;
	AUTO_HTTP_URL url = {0};
	if (++get->redirects > REDIRECTS_MAX) {
		err_raise(&err, ERR_LIMIT, "redirected more than %d times", REDIRECTS_MAX);
		http_channel_fail(c, &err);
		return;
	}
	if (http_url_follow(&get->url, c->head.location, &url, &err) < 0) {
		err.kind = err.kind == ERR_USAGE ? ERR_CORRUPT : err.kind;
		err_prefix(&err, "redirected");
		http_channel_fail(c, &err);
		return;
	}
	if (http_client_aim(get, &url, &err) < 0) {
		http_channel_fail(c, &err);
		return;
	}
	http_channel_let_go(c);
	http_channel_free(c);
	get->retried = false;
	http_client_queue(get, true);
	struct http_host *aimed = get->host;
	if (aimed != host)
		http_client_dispatch(host);
	http_client_dispatch(aimed);
}

/* A final head is in c->head; `rest` bytes of what was read follow it. */
static void take_head(struct http_channel *c, const char *rest, size_t len)
{
	struct err err = ERR_INIT;
	struct http_get *get = c->get;
	if (is_redirect(&c->head)) {
		redirect(c);
		return;
	}
	if (http_answer_match(&c->head, get->off, get->len, &err) < 0) {
		http_channel_fail(c, &err);
		return;
	}
	c->state = HTTP_CHANNEL_BODY;
	c->body_got = 0;
	c->chunked = (struct http_chunked){0};
	int r = get->ops->head(get, &c->head.answer, get->data, &err);
	if (c->dead || c->get != get)
		return;
	if (r < 0) {
		http_channel_fail(c, &err);
		return;
	}
	http_channel_deadline(c, http_client_limits(c->host->client)->stall_ms);
	if (len > 0 || (c->head.framing == HTTP_FRAMING_LENGTH && c->head.content_len == 0))
		http_channel_take_body(c, (const uint8_t *)rest, len);
}

void http_channel_take_head(struct http_channel *c)
{
	struct err err = ERR_INIT;
	size_t len = 0;
	int r;
	http_answer_head_done(&c->head);
	/* Informational answers come before the one that counts (RFC 9110, section 15.2). */
	while ((r = http_answer_parse(c->in, c->in_len, &c->head, &len, &err)) == 1 &&
		c->head.answer.status < 200 && c->head.answer.status != 101) {
		http_answer_head_done(&c->head);
		if (++c->informational > INFORMATIONAL_MAX) {
			r = err_raise(&err, ERR_LIMIT,
				"more than %d informational answers before the one that counts",
				INFORMATIONAL_MAX);
			break;
		}
		memmove(c->in, c->in + len, c->in_len - len);
		c->in_len -= len;
		if (c->in_len == 0)
			return;
	}
	if (r == 1 && c->head.answer.status == 101)
		r = err_raise(&err, ERR_CORRUPT, "the server changed the protocol unasked");
	if (r < 0)
		http_channel_fail(c, &err);
	else if (r == 1)
		take_head(c, c->in + len, c->in_len - len);
}
