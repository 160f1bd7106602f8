/* SPDX-License-Identifier: MIT */
#ifndef SWARM_ENGINE_H
#define SWARM_ENGINE_H

/*
 * All decisions of a node in the swarm: whom to ask for which chunk, when to give up and whom to
 * ask then, what to give to whom. No I/O, no clock, no randomness of its own: the same calls in the
 * same order give the same decisions, so the simulator of the tests and swarm.c run the same code.
 * docs/internals/swarm.md tells it as a story.
 */

#include "swarm/message.h"
#include "swarm/stat.h"

struct engine;
struct engine_link; /* one connection, or one way to a plain web server */
struct engine_want;
struct engine_body; /* bytes of one chunk, complete or not: the caller's, with references */

struct engine_params {
	struct member self;
	uint8_t mac[6];   /* of the card that this machine booted by; zeros: unknown */
	bool peers;       /* false: origins only */
	uint64_t uplink;  /* bytes of chunks a second that peers may take; 0: no limit */
	unsigned origins; /* how many; 0 is the best one */
	const char *system, *version;
	uint64_t serial;
	uint64_t seed;
};

/* None of these may call back into the engine; what follows comes as an event later. */
struct engine_ops {
	/* Begin to connect; engine_link_up() or engine_link_down() follows. `user` of the link is
	 * the callee's to set (engine_link_set_user). */
	void (*dial)(struct engine_link *link, const struct node_address *address,
		unsigned deadline_ms, void *data);
	void (*dial_origin)(struct engine_link *link, unsigned origin, void *data);
	/* Close; the link is gone when this returns, no event may follow. */
	void (*hang_up)(struct engine_link *link, void *data);
	void (*send)(struct engine_link *link, const struct message *message, void *data);
	bool (*has_room)(struct engine_link *link, void *data);
	/* Send a PART from a body. */
	void (*part)(struct engine_link *link, uint32_t id, struct engine_body *body, uint32_t off,
		uint32_t len, void *data);

	/* Plain web servers: begin a GET; engine_mirror_part() and engine_mirror_end() follow. */
	void (*mirror_get)(struct engine_link *link, uint32_t id, const struct chunk *chunk,
		enum swarm_priority priority, void *data);
	void (*mirror_cancel)(struct engine_link *link, uint32_t id, void *data);
	/* What it gave was not the chunk. */
	void (*mirror_distrust)(struct engine_link *link, const struct chunk *chunk, void *data);

	/* Bytes. A new body has one reference; NULL when there is no memory. */
	struct engine_body *(*body_new)(const struct chunk *chunk, void *data);
	void (*body_write)(struct engine_body *body, uint32_t off, const void *bytes, uint32_t len,
		void *data);
	bool (*body_verify)(struct engine_body *body, void *data);
	struct engine_body *(*body_ref)(struct engine_body *body, void *data);
	void (*body_unref)(struct engine_body *body, void *data);

	/* The cache. */
	bool (*has)(const struct digest *chunk, void *data);
	/* Private by what we know ourselves, whatever a peer says. */
	bool (*hides)(const struct digest *chunk, void *data);
	/* Look it up: engine_loaded() follows with the ticket, maybe much later. */
	void (*load)(const struct digest *chunk, uint32_t len, uint64_t ticket, void *data);
	/* A sender says that our copy is bad: re-hash it. */
	void (*recheck)(const struct digest *chunk, void *data);
	void (*inventory)(uint8_t ret[INVENTORY_SIZE], void *data);

	/* A verified chunk that was wanted: called once per arrival, before the wants are told. */
	void (*store)(const struct chunk *chunk, struct engine_body *body, void *data);
	/* To one want, which is gone afterwards. The body is borrowed. */
	void (*got)(void *want, struct engine_body *body, enum swarm_source source, void *data);
};

/* All of them, each by the function of that name behind `prefix`. */
#define ENGINE_OPS(prefix) \
	{ \
		.dial = prefix##dial, .dial_origin = prefix##dial_origin, \
		.hang_up = prefix##hang_up, .send = prefix##send, .has_room = prefix##has_room, \
		.part = prefix##part, .mirror_get = prefix##mirror_get, \
		.mirror_cancel = prefix##mirror_cancel, \
		.mirror_distrust = prefix##mirror_distrust, .body_new = prefix##body_new, \
		.body_write = prefix##body_write, .body_verify = prefix##body_verify, \
		.body_ref = prefix##body_ref, .body_unref = prefix##body_unref, \
		.has = prefix##has, .hides = prefix##hides, .load = prefix##load, \
		.recheck = prefix##recheck, .inventory = prefix##inventory, \
		.store = prefix##store, .got = prefix##got, \
	}

int engine_new(const struct engine_params *params, const struct engine_ops *ops, void *data,
	uint64_t now_us, struct engine **ret, struct err *err);
/* Hangs up everywhere. NULL is fine; returns NULL. */
struct engine *engine_free(struct engine *engine);
/* Tells origin and peers that we leave. */
void engine_leave(struct engine *engine);

/* Wants a chunk; the answer comes by `got`, never from here. */
int engine_want(struct engine *engine, const struct chunk *chunk, enum swarm_priority priority,
	void *user, uint64_t now_us, struct engine_want **ret, struct err *err);
void engine_want_cancel(struct engine_want *want, uint64_t now_us);

/* Events. A tick is due after each of them; engine_tick() does what they led to. */
void engine_link_set_user(struct engine_link *link, void *user);
void *engine_link_user(const struct engine_link *link);
/* A connection came in. `user` as above. ERR_LIMIT when there are too many. */
int engine_link_accepted(struct engine *engine, void *user, uint64_t now_us,
	struct engine_link **ret, struct err *err);
void engine_link_up(struct engine_link *link, uint64_t now_us);
enum link_end {
	LINK_LOST,    /* refused, timed out, closed */
	LINK_MIRROR,  /* an origin that is a plain web server: it is one from now on */
	LINK_GARBAGE, /* broke the protocol */
};
/* It ended; the link is gone when this returns, unless it is a mirror now. */
void engine_link_down(struct engine_link *link, enum link_end how, uint64_t now_us);
/* -1 with ERR_CORRUPT or ERR_UNTRUSTED: close the connection, then call engine_link_down(). */
int engine_receive(
	struct engine_link *link, const struct message *message, uint64_t now_us, struct err *err);
/* Some bytes of a message came. */
void engine_heard(struct engine_link *link, uint64_t now_us);
void engine_writable(struct engine_link *link, uint64_t now_us);
/* The answer to `load`: a reference that the engine takes, or NULL. */
void engine_loaded(
	struct engine *engine, uint64_t ticket, struct engine_body *take_body, uint64_t now_us);
void engine_mirror_part(
	struct engine_link *link, uint32_t id, const void *bytes, uint32_t len, uint64_t now_us);
/* All bytes came (ok), or it failed; missing: the server has no such object. */
enum mirror_end { MIRROR_OK, MIRROR_FAILED, MIRROR_MISSING };
void engine_mirror_end(struct engine_link *link, uint32_t id, enum mirror_end how, uint64_t now_us);
/* A member that was found without a tracker (mDNS), or went. Tokens are not looked at then. */
int engine_member_found(
	struct engine *engine, const struct member *member, uint64_t now_us, struct err *err);
void engine_member_lost(struct engine *engine, const struct node_id *id, uint64_t now_us);

/* Does what is due. Returns when it wants to be called at the latest (now_us of then). */
uint64_t engine_tick(struct engine *engine, uint64_t now_us);

/* What heartbeats tell. */
void engine_tell_step(struct engine *engine, const char *step, unsigned percent);
void engine_tell_counter(struct engine *engine, enum message_counter which, uint64_t value);
int engine_tell_touch(struct engine *engine, const struct chunk *chunk, struct err *err);
/* Another address is ours now: what was connected from the one before is cut, and dialled anew. */
void engine_readdress(struct engine *engine, const struct node_address *address, uint64_t now_us);

void engine_stat(const struct engine *engine, struct swarm_stat *ret);

#endif
