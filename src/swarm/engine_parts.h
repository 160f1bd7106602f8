/* SPDX-License-Identifier: MIT */
#ifndef SWARM_ENGINE_PARTS_H
#define SWARM_ENGINE_PARTS_H

/*
 * What the files of the engine share: engine.c (wants, clock, reports), engine_peers.c (members and
 * links), engine_beat.c (heartbeats), engine_source.c (whom to ask), engine_fetch.c (what is
 * wanted), engine_attempt.c (asking, and what comes of it), engine_patience.c (deadlines) and
 * engine_give.c (what others ask of us).
 */

#include "swarm/engine.h"
#include "swarm/leases.h"
#include "swarm/rendezvous.h"
#include "swarm/uploads.h"

#include <string.h>

#define PEER_HEADS 1024    /* of the hash table of peers */
#define FETCH_HEADS 4096   /* of the hash table of fetches */
#define SUSPECT_FAILURES 3 /* in a row; then others are warned of it */
#define TRIED_MAX 24       /* sources of one round: homes, look-asides, named ones, origins */

/* Somebody to get chunks from: a node or an origin. Never freed while the engine lives, so leases
 * and lists of what was tried may name it by its pointer. */
struct peer {
	struct peer *hash_next, *next;
	struct member member;
	int origin;     /* its place in the list of origins; -1: a node */
	bool is_member; /* of the swarm, as far as we know; else it only has a link */
	bool older;     /* was a member before us */
	bool mirror;    /* an origin that is a plain web server */
	bool banned;
	struct engine_link *link; /* for our requests, maybe still being dialled; or NULL */
	uint64_t quarantine_us;   /* not used before */
	unsigned failures;        /* in a row */
	unsigned hollow;          /* look-asides in a row for which it had nothing */
	unsigned corrupt;         /* chunks that were not what they should be */
	uint64_t unreachable_us;  /* when dialling it failed last; 0: never since it worked */
};

struct engine_link {
	struct engine *engine;
	void *user;
	struct engine_link *prev, *next;
	struct peer *peer; /* NULL: it has not said who it is */
	bool up;
	bool accepted;
	bool is_silent;     /* has not said a thing since it was asked */
	uint64_t probed_us; /* when a probe was sent and nothing was heard since; 0: none */
	uint64_t opened_us, up_us, used_us;
	uint32_t next_id;
	struct attempt *attempts;
	struct upload_queue queue;
	struct give *gives;
	/* Requests that were decided on and are sent together. */
	struct message batch;
	struct engine_link *batch_next; /* in the list of those that have some */
	bool batched;
};

struct engine_want {
	struct engine_want *next;
	struct fetch *fetch;
	enum swarm_priority priority;
	void *user;
};

/* One source that is being asked for a chunk. */
struct attempt {
	struct attempt *next; /* of the link */
	struct fetch *fetch;
	struct engine_link *link;
	uint32_t id;
	uint8_t flags;
	bool hedge;
	bool hearsay;             /* what it was asked for is what a peer said of the chunk */
	struct engine_body *body; /* NULL before the first part */
	uint32_t received;
	uint64_t began_us, first_us, progress_us;
	uint64_t probe_us; /* when to send the next probe */
};

/* One chunk that is wanted, by us or by somebody whom we serve. */
struct fetch {
	struct fetch *hash_next;
	struct fetch *prev, *next; /* in its list: idle by priority, or active */
	struct engine *engine;
	struct chunk chunk;
	enum swarm_priority priority;
	bool active;
	struct engine_want *wants;
	struct give *gives;
	struct attempt *lead, *hedge;
	struct peer *tried[TRIED_MAX];
	unsigned tried_len;
	unsigned asides;    /* looked aside in this round */
	struct peer *named; /* whom to ask next, since somebody said so */
	struct peer *namer; /* who did; asked again when `named` fails */
	unsigned forces;
	unsigned rounds;    /* all sources failed, so often */
	uint64_t retry_us;  /* idle until then */
	uint64_t wanted_us; /* since when */
};

/* A chunk on its way to a link. */
struct give {
	struct upload upload; /* first: the scheduler hands this back */
	struct chunk chunk;
	struct engine_link *link;
	struct give *next;       /* of the link */
	struct give *fetch_next; /* of the fetch */
	struct fetch *fetch;     /* that it waits for, or NULL */
	struct engine_body *body;
	uint64_t ticket; /* of the cache's look-up; 0: none */
	struct give *load_next;
	uint8_t flags;
	bool leased;
};

struct engine {
	struct engine_params params;
	char *system, *version;
	const struct engine_ops *ops;
	void *data;
	uint64_t now_us; /* of the event that is being handled */
	uint64_t due_us; /* before this nothing is late */
	bool dirty;      /* something may be started */
	bool any_silent; /* links are, and are to be closed */
	uint64_t random;

	struct peer *peers, *peer_heads[PEER_HEADS];
	VEC(struct peer *) origins;
	size_t peers_len;
	unsigned members_len, inventories;
	struct homes homes;
	bool homes_stale;
	struct engine_link *links, *batches;
	unsigned links_len;
	unsigned mute_len; /* accepted links that have not said who they are */
	uint8_t token[16], token_before[16];
	bool has_token;
	struct peer *tracker; /* the origin that we joined, or NULL */
	uint64_t tracker_instance, epoch;
	uint64_t heartbeat_us, next_heartbeat_us, last_heartbeat_us;
	uint64_t housekeeping_us, idle_us;
	uint64_t recheck_us;     /* before this no report of a bad chunk is looked at */
	uint64_t origin_dial_us; /* how long it took */

	struct fetch *fetch_heads[FETCH_HEADS];
	struct fetch *idle[SWARM_PRIORITIES], *idle_last[SWARM_PRIORITIES];
	struct fetch *active, *active_last;
	unsigned idle_len[SWARM_PRIORITIES], active_len[SWARM_PRIORITIES];
	unsigned resting;                   /* idle ones that wait for their next round */
	uint64_t active_bytes;              /* of active fetches that are no demands */
	uint64_t rate, rate_bytes, rate_us; /* bytes a second lately; of this interval; its begin */
	int hedge_tokens;                   /* in hundredths */
	unsigned latency[SWARM_BINS], latency_len; /* of demands, lately */
	uint64_t response_us; /* from a request to its first byte, smoothed: peers, lately */
	uint64_t echo_us, echo_spread_us; /* from a probe to anything that is heard (RFC 6298) */

	struct uploads uploads;
	struct leases leases;
	unsigned gives_len;
	struct give *loads; /* that wait for the cache */
	uint64_t next_ticket;

	char step[64];
	unsigned percent;
	bool news; /* for the next heartbeat, which may come early */
	uint64_t counters[LINK_COUNTERS];
	chunks touches;
	size_t touches_before; /* of them came before the step that is not told yet */
	struct swarm_stat stat;
};

/* engine_peers.c */
struct peer *engine_peer_find(struct engine *engine, const struct node_id *id);
struct peer *engine_peer_get(
	struct engine *engine, const struct node_id *id); /* or NULL: memory, too many strangers */
static inline bool engine_has_inventory(const struct member *member)
{
	static const uint8_t none[INVENTORY_SIZE];
	return memcmp(member->inventory, none, INVENTORY_SIZE) != 0;
}
bool engine_is_self(const struct engine *engine, const struct peer *peer);
/* May be asked now. */
bool engine_usable(const struct engine *engine, const struct peer *peer);
/* Others may be told to ask it. */
bool engine_dialable(const struct engine *engine, const struct peer *peer);
/* Its link, dialled when there is none; NULL: no memory. */
struct engine_link *engine_link_to(struct engine *engine, struct peer *peer);
void engine_send(struct engine_link *link, const struct message *message);
/* It failed us: not used for a while, twice as long each time. */
void engine_quarantine(struct engine *engine, struct peer *peer);
void engine_release(struct engine *engine, struct peer *peer); /* it was wrong to */
void engine_ban(struct engine *engine, struct peer *peer);
void engine_set_member(struct engine *engine, const struct member *member, bool older);
void engine_unset_member(struct engine *engine, const struct node_id *id);
const struct homes *engine_homes(struct engine *engine);
void engine_join(struct engine *engine, struct engine_link *link);
int engine_hello(struct engine_link *link, const struct message *message, struct err *err);
void engine_welcome(struct engine_link *link, const struct message *message);
void engine_members(struct engine *engine, const struct message *message);
void engine_housekeeping(struct engine *engine);
void engine_link_close(struct engine_link *link); /* what it was good for fails over */
void engine_links_free(struct engine *engine);

/* engine_beat.c: tells the tracker what is due. */
void engine_beat(struct engine *engine);

/* engine_source.c: whom to ask next, with which flags; NULL: nobody is left in this round. */
struct peer *engine_source(struct fetch *fetch, uint8_t *ret_flags);
bool engine_tried(const struct fetch *fetch, const struct peer *peer);

/* engine_fetch.c */
struct fetch *engine_fetch_find(struct engine *engine, const struct digest *chunk);
struct fetch *engine_fetch_get(
	struct engine *engine, const struct chunk *chunk, enum swarm_priority priority);
/* The same for a chunk that we know ourselves. */
struct fetch *engine_fetch_own(
	struct engine *engine, const struct chunk *chunk, enum swarm_priority priority);
void engine_fetch_raise(struct fetch *fetch, enum swarm_priority priority);
/* Somebody else waits for it: before our own ones of its priority. */
void engine_fetch_hurry(struct fetch *fetch);
/* Ends it when nobody wants it any more. */
void engine_fetch_release(struct fetch *fetch);
void engine_fetch_free(struct fetch *fetch);
/* All sources failed: the next round begins after a while. */
void engine_fetch_rest(struct fetch *fetch);
void engine_schedule(struct engine *engine);

/* engine_attempt.c */
void engine_flush(struct engine_link *link);
void engine_flush_all(struct engine *engine);
void engine_batch_drop(struct engine_link *link); /* the link goes */
struct attempt *engine_attempt_find(const struct engine_link *link, uint32_t id);
/* Asks the next source; false when nobody is left. */
bool engine_ask_next(struct fetch *fetch);
void engine_part(struct attempt *attempt, uint32_t off, const void *bytes, uint32_t len);
void engine_ask(struct attempt *attempt, const struct message *message);
void engine_fail(struct attempt *attempt, enum fail_reason reason, uint32_t retry_ms);
/* The source did not deliver: another one is next. */
void engine_attempt_failed(struct attempt *attempt);
/* It is not needed any more, and its source is told so. */
void engine_attempt_cancel(struct attempt *attempt);
/* Its source is told the fetch's new priority. */
void engine_attempt_raise(struct attempt *attempt);
/* Nothing of it came yet, so whoever waits for it may wait in a circle. */
static inline bool engine_is_dry(const struct attempt *attempt)
{
	return attempt->received == 0 && attempt->link->peer->origin < 0;
}

/* engine_patience.c */
#define HEDGE_MIN_US 30000 /* no demand is hedged before */
#define HEDGE_COST 100     /* of a hedge, in tokens */
#define HEDGE_GAIN 5       /* tokens that each request brings: so hedges are at most 5 % */
void engine_latency_add(struct engine *engine, const struct attempt *attempt, bool origin);
/* What an echo takes at most, by those of late; microseconds. */
uint64_t engine_echo_max(const struct engine *engine);
/* Its first byte came. */
void engine_responded(struct engine *engine, const struct attempt *attempt);
void engine_timeouts(struct engine *engine);

/* engine_give.c */
void engine_request(struct engine_link *link, const struct message *message);
void engine_cancel(struct engine_link *link, uint32_t id);
void engine_probe(struct engine_link *link, const struct message *message);
void engine_give_free(struct give *give);
/* Nobody gets it, and so the fetch ends, unless we want it ourselves. */
void engine_gives_refuse(struct fetch *fetch);
/* The fetch's lead has another body or got further: its gives go on with that. */
void engine_gives_follow(struct fetch *fetch);
/* It has the verified chunk. */
void engine_gives_complete(struct fetch *fetch, struct engine_body *body);
uint64_t engine_pump(struct engine *engine);

/* engine.c */
uint64_t engine_random(struct engine *engine);
static inline void engine_due(struct engine *engine, uint64_t at_us)
{
	if (at_us < engine->due_us)
		engine->due_us = at_us;
}

#endif
