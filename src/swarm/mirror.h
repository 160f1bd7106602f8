/* SPDX-License-Identifier: MIT */
#ifndef SWARM_MIRROR_H
#define SWARM_MIRROR_H

/*
 * A plain web server as an origin: chunks are ranges of /v1/objects/<2 hex>/<64 hex>. Neighbours
 * that are wanted at the same time become one request. A mirror that fails, is stale or gives wrong
 * bytes is passed over for a while, longer each time, and the log says so.
 */

#include "http/client.h"
#include "manifest/chunk.h"
#include "swarm/engine.h"
#include "swarm/stat.h"

struct event_base;
struct mirror;

/*
 * Called from the loop, never from within a function of this header. What follows from them may
 * call mirror_get(), mirror_cancel() and mirror_free().
 */
struct mirror_ops {
	/* Bytes of a chunk, in order. */
	void (*part)(uint32_t id, const void *bytes, uint32_t len, void *data);
	/* All came (unverified), or not; the id is free again. */
	void (*end)(uint32_t id, enum mirror_end how, void *data);
};

/* `url` is "http://HOST[:PORT][/PREFIX]". The client is borrowed. ERR_USAGE for a URL that is none.
 */
int mirror_new(struct event_base *base, struct http_client *client, const char *url,
	const struct mirror_ops *ops, void *data, struct mirror **ret, struct err *err);
/* Cancels everything. NULL is fine; returns NULL. */
struct mirror *mirror_free(struct mirror *mirror);

/* Wants a chunk; `id` is the caller's and not in use. When the chunk is hearsay, that nothing lies
 * at its place is MIRROR_MISSING and no reason to pass the mirror over. While the mirror is passed
 * over this ends with MIRROR_FAILED soon. ERR_NOMEM. */
int mirror_get(struct mirror *mirror, uint32_t id, const struct chunk *chunk,
	enum swarm_priority priority, struct err *err);
/* No `end` follows. An id that is not under way is fine. */
void mirror_cancel(struct mirror *mirror, uint32_t id);

/* The chunk that it gave did not match its digest. */
void mirror_distrust(struct mirror *mirror, const struct chunk *chunk);
/* For how long it is passed over: 0 when it is fine. */
unsigned mirror_penalty_ms(const struct mirror *mirror);

#endif
