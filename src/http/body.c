/* SPDX-License-Identifier: MIT */
/* The simplest body: a few bytes in memory, such as a text or a script. */
#include "http/body.h"

#include <stdlib.h>
#include <string.h>

struct memory_body {
	struct http_body body;
	uint8_t data[];
};

static void memory_piece_at(const struct http_body *body, uint64_t off, struct http_piece *ret)
{
	const struct memory_body *memory = (const struct memory_body *)body;
	*ret = (struct http_piece){
		.kind = HTTP_PIECE_MEMORY, .len = body->size - off, .data = memory->data + off};
}

static void memory_release(struct http_body *body)
{
	free(body);
}

static const struct http_body_ops memory_ops = {
	.piece_at = memory_piece_at,
	.release = memory_release,
};

struct http_body *http_body_copy(
	const void *data, size_t len, const char *content_type, struct err *err)
{
	struct memory_body *memory = malloc(sizeof(*memory) + len);
	if (memory == NULL) {
		err_oom(err);
		return NULL;
	}
	memory->body =
		(struct http_body){.ops = &memory_ops, .size = len, .content_type = content_type};
	memcpy(memory->data, data, len);
	return &memory->body;
}
