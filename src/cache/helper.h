/* SPDX-License-Identifier: MIT */
#ifndef CACHE_HELPER_H
#define CACHE_HELPER_H

/*
 * The helper process: it alone touches the disk, so that whatever a disk does stops nobody else.
 * It is a fork of the node, at the other end of a SOCK_SEQPACKET pair: one packet is one job or one
 * answer, in order. It ends when the socket closes or its parent dies.
 */

#include "base/err.h"
#include "cache/layout.h"

#include <sys/types.h>

enum helper_op {
	HELPER_OPEN,       /* done by itself at first; the answers of this op end with `last` */
	HELPER_READ,       /* → the chunk's bytes */
	HELPER_WRITE,      /* payload: the chunk's bytes */
	HELPER_COPY,       /* block → to */
	HELPER_BEGIN_ZONE, /* block: the zone */
	HELPER_SEAL_ZONE, /* block: the zone, record.sequence, len, to: bytes used; payload: entries
			   */
	HELPER_NOTE,      /* block: slot, name; payload: contents */
	HELPER_SYNC,
};

/* Between two ends of one program, so plain structs. */
struct helper_job {
	enum helper_op op;
	uint32_t id;
	uint64_t block, to;
	struct layout_record record;
	char name[LAYOUT_NOTE_NAME];
};

enum helper_fact { HELPER_FACT_NONE, HELPER_FACT_VOLUME, HELPER_FACT_NOTE, HELPER_FACT_ZONE };

struct helper_answer {
	enum helper_op op;
	uint32_t id;
	int errnum;    /* 0: done */
	bool rotten;   /* read, copy: something else lies there */
	bool last;     /* no more answers of this job follow */
	bool locked;   /* open: another process uses it */
	uint32_t size; /* of the payload */
	/* What opening finds, one answer each. */
	enum helper_fact fact;
	uint32_t zone_bytes, zone_count; /* volume */
	bool read_only;
	struct layout_note note; /* note: with its slot as `zone`; payload: contents */
	uint32_t zone;           /* zone: payload: as many struct helper_entry as fit */
	uint32_t used, count;    /* `count` grows with the answers for one zone */
	uint64_t sequence;
};

struct helper_entry {
	uint8_t key[16];
	uint32_t block; /* within its zone */
	uint32_t len;
};

#define HELPER_PAYLOAD_MAX CHUNK_MAX /* bytes, of either direction */
#define HELPER_ENTRIES_MAX (HELPER_PAYLOAD_MAX / (uint32_t)sizeof(struct helper_entry))

/* Forks one for the cache at `path`. The caller owns the socket, which does not block. ERR_IO. */
int helper_start(const char *path, uint64_t max, pid_t *ret_pid, int *ret_socket, struct err *err);
/* Sends: 0, 1 when the socket is full at the moment, -1 when nobody is there any more. */
int helper_send(int socket, const struct helper_job *job, const void *payload, size_t size,
	struct err *err);
/* Receives one answer: 1 with *ret, and its payload in the buffer of HELPER_PAYLOAD_MAX bytes; 0
 * when there is none at the moment; -1 when nobody is there any more. */
int helper_receive(int socket, struct helper_answer *ret, void *payload, struct err *err);

#endif
