/* SPDX-License-Identifier: MIT */
/*
 * An answer is put together in memory out of the cache's chunks before its first byte goes out, so
 * that it never breaks off: a chunk that the cache drops meanwhile makes it a 404.
 */
#include "node/held.h"

#include "http/range.h"

#include <stdlib.h>
#include <string.h>

struct part {
	struct node_held *held;
	struct cache_lookup *lookup;
	struct chunk chunk;
	bool waiting;
};

/* A range of an object in memory. */
struct held_body {
	struct http_body body;
	struct node_held_all *all;
	uint64_t off, len;
	char etag[DIGEST_HEX_SIZE + 2];
	uint8_t data[];
};

struct node_held {
	struct node_held_all *all;
	struct http_exchange *exchange;
	struct held_body *body;
	size_t waiting;
	bool missing;
	VEC(struct part) parts;
};

bool node_object_find(const struct node_system *system, const struct blob *catalog,
	const struct digest *digest, struct node_object *ret)
{
	if (catalog->size > 0 && digest_equal(&catalog->digest, digest)) {
		*ret = (struct node_object){.blob = catalog};
		return true;
	}
	VEC_FOREACH(segment, &system->segments)
		if (digest_equal(&segment->table.object, digest)) {
			*ret = (struct node_object){
				.segment = segment, .is_private = segment->is_private};
			return true;
		}
	VEC_FOREACH(file, &system->catalog.files)
		if (digest_equal(&file->blob.digest, digest)) {
			*ret = (struct node_object){.blob = &file->blob};
			return true;
		}
	VEC_FOREACH(member, &system->catalog.members) {
		bool tree = digest_equal(&member->tree.digest, digest);
		if (tree || digest_equal(&member->chunks.digest, digest)) {
			*ret = (struct node_object){.blob = tree ? &member->tree : &member->chunks,
				.is_private = member->is_private};
			return true;
		}
	}
	return false;
}

static void body_piece_at(const struct http_body *body, uint64_t off, struct http_piece *ret)
{
	const struct held_body *held = (const struct held_body *)body;
	*ret = (struct http_piece){.kind = HTTP_PIECE_MEMORY,
		.len = held->off + held->len - off,
		.data = held->data + (off - held->off)};
}

static void body_release(struct http_body *body)
{
	struct held_body *held = (struct held_body *)body;
	held->all->bytes -= held->len;
	free(held);
}

static const struct http_body_ops body_ops = {.piece_at = body_piece_at, .release = body_release};

static uint64_t object_size(const struct node_object *object)
{
	return object->blob != NULL ? object->blob->size : object->segment->table.size;
}

/* What the request's range is, as http_response_decide() will see it; false: it needs no bytes. */
static bool wanted(
	const struct http_request *request, uint64_t size, uint64_t *ret_off, uint64_t *ret_len)
{
	const char *range = http_request_header(request, "range");
	*ret_off = 0;
	*ret_len = size;
	if (request->method == HTTP_HEAD)
		return false;
	if (http_request_header(request, "if-range") != NULL)
		return true; /* whole, whatever comes of the condition */
	switch (http_range_parse(range, size, ret_off, ret_len)) {
	case HTTP_RANGE_PART:
		return true;
	case HTTP_RANGE_UNSATISFIABLE:
		return false;
	case HTTP_RANGE_WHOLE:
		break;
	}
	*ret_off = 0;
	*ret_len = size;
	return true;
}

static struct held_body *body_new(
	struct node_held_all *all, const struct node_object *object, uint64_t off, uint64_t len)
{
	const struct digest *digest =
		object->blob != NULL ? &object->blob->digest : &object->segment->table.object;
	char hex[DIGEST_HEX_SIZE];
	struct held_body *body = malloc(sizeof(*body) + len);
	if (body == NULL)
		return NULL;
	*body = (struct held_body){.body = {.ops = &body_ops,
					   .size = object_size(object),
					   .cache_control = "public, max-age=31536000, immutable"},
		.all = all,
		.off = off,
		.len = len};
	snprintf(body->etag, sizeof(body->etag), "\"%s\"", digest_hex(digest, hex));
	body->body.etag = body->etag;
	all->bytes += len;
	return body;
}

/* The chunks that make up the range. */
static int list_parts(struct node_held *held, const struct node_object *object, struct err *err)
{
	uint64_t pos = held->body->off, end = pos + held->body->len;
	while (pos < end) {
		struct part part = {.held = held, .waiting = true};
		part.chunk = object->blob != NULL
			? blob_chunk(object->blob, (size_t)(pos / PIECE_SIZE))
			: chunk_table_at(&object->segment->table,
				  chunk_table_find(&object->segment->table, pos));
		if (vec_push(&held->parts, part, err) < 0)
			return -1;
		pos = part.chunk.off + part.chunk.len;
	}
	return 0;
}

static void held_free(struct node_held *held)
{
	VEC_FOREACH(part, &held->parts)
		if (part->waiting && part->lookup != NULL)
			cache_lookup_cancel(part->lookup);
	vec_done(&held->parts);
	if (held->body != NULL)
		body_release(&held->body->body);
	http_exchange_set_tag(held->exchange, NULL);
	free(held);
}

static void finish(struct node_held *held)
{
	struct http_exchange *exchange = held->exchange;
	bool missing = held->missing;
	struct http_body *body = missing ? NULL : &TAKE_PTR(held->body)->body;
	held_free(held);
	if (missing)
		http_exchange_reply_text(exchange, 404, "not all of it is held here\n");
	else
		http_exchange_reply(exchange, 200, body);
}

static void on_found(struct cache_chunk *take_chunk, enum cache_tier tier, void *data)
{
	struct part *part = data;
	struct node_held *held = part->held;
	const struct held_body *body = held->body;
	(void)tier;
	part->waiting = false;
	part->lookup = NULL;
	if (take_chunk == NULL) {
		held->missing = true;
	} else {
		uint64_t begin = part->chunk.off, end = begin + take_chunk->len;
		uint64_t from = begin > body->off ? begin : body->off;
		uint64_t to = end < body->off + body->len ? end : body->off + body->len;
		memcpy(held->body->data + (from - body->off), take_chunk->bytes + (from - begin),
			to - from);
	}
	cache_chunk_unref(take_chunk);
	if (--held->waiting == 0)
		finish(held);
}

static void look_up(struct node_held *held)
{
	struct err err = ERR_INIT;
	held->waiting = held->parts.len + 1;
	VEC_FOREACH(part, &held->parts) {
		struct cache_lookup *lookup = NULL;
		if (cache_get(held->all->cache, &part->chunk.digest, part->chunk.len, on_found,
			    part, &lookup, &err) < 0) {
			err_reset(&err);
			on_found(NULL, CACHE_NONE, part);
		} else if (lookup != NULL) {
			part->lookup = lookup;
		}
	}
	if (--held->waiting == 0)
		finish(held);
}

static bool all_held(const struct node_held *held)
{
	VEC_FOREACH(part, &held->parts)
		if (!cache_has(held->all->cache, &part->chunk.digest))
			return false;
	return true;
}

void node_held_answer(
	struct node_held_all *all, const struct node_object *object, struct http_exchange *exchange)
{
	uint64_t off, len;
	struct err err = ERR_INIT;
	bool bytes = wanted(http_exchange_request(exchange), object_size(object), &off, &len);
	if (object->is_private || object_size(object) == 0) {
		http_exchange_reply_text(exchange, 404, "it is not given away\n");
		return;
	}
	if (bytes && (len > NODE_HELD_MAX || all->bytes + len > NODE_HELD_MAX)) {
		http_exchange_reply_text(exchange, 503, "too much is being sent\n");
		return;
	}
	struct node_held *held = calloc(1, sizeof(*held));
	if (held == NULL) {
		http_exchange_reply_text(exchange, 503, "out of memory\n");
		return;
	}
	*held = (struct node_held){.all = all, .exchange = exchange};
	held->body = body_new(all, object, off, bytes ? len : 0);
	http_exchange_set_tag(exchange, held);
	if (held->body == NULL || list_parts(held, object, &err) < 0 || !all_held(held)) {
		held->missing = true;
		finish(held);
		return;
	}
	look_up(held);
}

void node_held_cancel(struct node_held *held)
{
	if (held != NULL)
		held_free(held);
}
