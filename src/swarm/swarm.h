/* SPDX-License-Identifier: MIT */
#ifndef SWARM_SWARM_H
#define SWARM_SWARM_H

/*
 * A node's part in the swarm: gets chunks from peers and origins, and gives them to peers. The
 * decisions are in engine.h, without I/O and with a clock that is handed in; this puts them on
 * links (link.h) and on origins: those that speak the link protocol, and plain web servers.
 */

#include "base/vec.h"
#include "cache/cache.h"
#include "http/client.h"
#include "swarm/message.h"
#include "swarm/stat.h"

struct swarm;
struct swarm_want; /* one caller's wish for one chunk */

struct swarm_params {
	struct strvec origins; /* http://HOST:PORT, in order of preference */
	struct node_id id;     /* derives from the machine, so that a reboot is the same member */
	uint8_t mac[6];        /* of the card that this machine booted by; zeros: unknown */
	char site[32];
	bool peers;                 /* false: origins only */
	uint64_t uplink;            /* bytes a second that peers may take; 0: no limit */
	struct node_address listen; /* what others are told; port 0: nobody can connect to us */
	const char *system;         /* store path, for the origin's status */
	uint64_t serial;
};

/* Called once, from the loop: the verified chunk (the reference is the callee's) and where it came
 * from. A want has no failure: sources are tried again for ever, with back-off, until cancelled. */
typedef void swarm_got_fn(struct cache_chunk *take_chunk, enum swarm_source source, void *data);

int swarm_new(struct event_base *base, const struct swarm_params *params,
	struct http_client *client, struct cache *cache, struct swarm **ret, struct err *err);
/* Says good-bye to the others. NULL is fine; returns NULL. */
struct swarm *swarm_free(struct swarm *swarm);

/*
 * Wants a chunk that the cache does not have. One transfer serves all wants for it, at the highest
 * of their priorities. What arrives is verified, put into the cache, then given to the callers.
 */
int swarm_want(struct swarm *swarm, const struct chunk *chunk, enum swarm_priority priority,
	swarm_got_fn *got, void *data, struct swarm_want **ret, struct err *err);
void swarm_want_cancel(struct swarm_want *want);

/* Takes over a connection that came as an upgrade request to our HTTP server; `early` is what
 * followed the request's head already. */
void swarm_accept(struct swarm *swarm, int take_fd, const void *early, size_t early_len);

/*
 * What is never given to a peer, though the cache may have it: sorted digests, which the caller
 * keeps. To be called before a private chunk is wanted. Until the first call only what is in memory
 * is given: what lies on a disk may be private without us knowing. Replaces the set before.
 */
void swarm_hide(struct swarm *swarm, const struct digest *sorted, size_t count);

/* A member that was found on the local network, or went. For swarms without a tracker, whose
 * members show each other no token. */
void swarm_found(struct swarm *swarm, const struct member *member);
void swarm_lost(struct swarm *swarm, const struct node_id *id);

/* What the origin is told with the next heartbeats. */
void swarm_tell_step(struct swarm *swarm, const char *step, unsigned percent);
void swarm_tell_counter(struct swarm *swarm, enum message_counter which, uint64_t value);
void swarm_tell_touch(struct swarm *swarm, const struct chunk *chunk); /* in order of first touch */
/* Another address is ours now: links of the one before are made anew at once. */
void swarm_readdress(struct swarm *swarm, const struct node_address *listen);

void swarm_stat(const struct swarm *swarm, struct swarm_stat *ret);

#endif
