/* SPDX-License-Identifier: MIT */
#ifndef SWARM_MIRROR_PARTS_H
#define SWARM_MIRROR_PARTS_H

/* What mirror.c (wants and their order) and mirror_run.c (requests under way) share. */

#include "swarm/mirror.h"
#include "swarm/penalty.h"

#include <sys/queue.h>

struct want {
	TAILQ_ENTRY(want) entry;
	uint32_t id;
	struct chunk chunk;
	enum swarm_priority priority;
	uint64_t next; /* offset in the object of the byte it waits for */
};
TAILQ_HEAD(wants, want);

/* One GET and the wants that it serves. */
struct run {
	TAILQ_ENTRY(run) entry;
	struct mirror *mirror;
	struct http_get *get;
	struct wants wants;
	unsigned count;
	struct digest object;
	uint64_t off, end; /* bytes of the object that are asked for */
	uint64_t pos;      /* of the next byte that comes */
	uint64_t began_us, got;
	bool demand;
	bool hearsay;   /* a peer named the place of what is asked for, and may have lied */
	bool missing;   /* the mirror has no such object */
	bool misplaced; /* nothing lies at that place: no fault of the mirror's */
};
TAILQ_HEAD(runs, run);

struct mirror {
	struct http_client *client;
	struct mirror_ops ops;
	void *data;
	char *url; /* without a slash at its end */
	struct event *kick;
	struct wants waiting;
	struct wants ending; /* whose end is being told, one by one */
	struct runs runs;
	unsigned demands, others; /* runs */
	struct penalty penalty;
	unsigned missing;    /* objects in a row that it did not have */
	unsigned lies;       /* chunks that were wrong */
	unsigned calls;      /* depth of callbacks: not freed in there */
	bool dead;           /* freed in there */
	uint32_t completing; /* whose last part is being given; */
	bool completed;      /* and it was not cancelled meanwhile */
};

uint64_t mirror_now_us(void);
/* Looks at what waits from the loop. */
void mirror_kick(struct mirror *mirror);
/* Callbacks go between these: what is freed meanwhile goes at the last one. */
void mirror_enter(struct mirror *mirror);
void mirror_leave(struct mirror *mirror);
/* Ends all wants of a list; the mirror may be gone afterwards. */
void mirror_end_all(struct mirror *mirror, struct wants *wants, enum mirror_end how);
/* Passes it over. */
void mirror_penalise(struct mirror *mirror, unsigned asked_ms, const char *why);
/* It gave something. */
void mirror_praise(struct mirror *mirror);

/* Begins the GET of a run that has its wants. */
int run_begin(struct run *run, struct err *err);
void run_cancel(struct run *run); /* the GET, and frees it */
void run_free(struct run *run);

#endif
