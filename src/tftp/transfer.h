/* SPDX-License-Identifier: MIT */
#ifndef TFTP_TRANSFER_H
#define TFTP_TRANSFER_H

/*
 * Which packet of a transfer goes out when: a decision without I/O. The clock is handed in
 * (microseconds, monotonic); what is due is asked for, sent by the caller, and reported as sent.
 */

#include "tftp/packet.h"

#define TFTP_WINDOW_MAX 64      /* blocks; a client that asks for more gets this */
#define TFTP_TIMEOUT_US 1000000 /* before the first repetition, unless the client names one */
#define TFTP_TIMEOUT_MAX_S 20   /* a longer one is not agreed to */
#define TFTP_BACKOFF_US 8000000 /* repetitions wait twice as long each, up to this */
#define TFTP_REPETITIONS 6      /* unanswered ones before the client is given up */

enum tftp_state {
	TFTP_RUNS,
	TFTP_ENDED, /* the last block was acknowledged */
	TFTP_GONE,  /* the client does not answer */
};

struct tftp_transfer {
	enum tftp_state state;
	struct tftp_options options; /* what we agreed to; none are sent when all are 0 */
	uint64_t size;               /* bytes of the file */
	uint32_t block_size;         /* bytes */
	uint32_t window;             /* blocks */
	uint64_t last;               /* the last block: shorter than the others, or empty */
	uint64_t base;               /* the first one not acknowledged; 0 is the options' packet */
	uint64_t next;               /* the one that is sent next */
	uint64_t high;               /* the highest one that was sent; meaningless while none was */
	bool sent;                   /* one was */
	uint64_t echo;               /* see tftp_transfer_ack(); 0: none */
	bool repeated;               /* something of this window went out twice */
	bool duplicate_counts;       /* see tftp_transfer_ack() */
	unsigned repetitions;        /* since the last acknowledgement */
	uint64_t timeout_us, wait_us;
	uint64_t deadline_us; /* when to call tftp_transfer_tick() */
};

/* Begins to send `size` bytes. `block_max` is the largest block that fits the way, at least 8. */
void tftp_transfer_init(struct tftp_transfer *transfer, const struct tftp_request *request,
	uint64_t size, uint32_t block_max, uint64_t now_us);

/* A packet to be sent. */
struct tftp_due {
	bool options;    /* those of the transfer; else a block: */
	uint16_t number; /* as the packet has it */
	uint64_t off;    /* in the file, bytes */
	uint32_t len;    /* bytes, may be 0 */
};
/* True when a packet is to be sent now. */
bool tftp_transfer_due(const struct tftp_transfer *transfer, struct tftp_due *ret);
/* The one that was due is sent. */
void tftp_transfer_sent(struct tftp_transfer *transfer, uint64_t now_us);

/*
 * The client acknowledged a block. Blocks behind it that were sent already are then sent again: it
 * missed one (RFC 7440, section 4). One that repeats the acknowledgement before this window is no
 * reason to send anything when blocks go one by one: that would double every packet from there on,
 * the Sorcerer's Apprentice (RFC 1123, section 4.2.3.1). With a window it may say that the first
 * block was lost, and is believed once, unless something of this window or the one before went
 * out twice. And when blocks were sent again that had not been lost, the client, which has them
 * all, answers the first of them with the last it got from the first time: that echo asks for
 * nothing either.
 */
void tftp_transfer_ack(struct tftp_transfer *transfer, uint16_t number, uint64_t now_us);

/* The deadline may have come: what is not acknowledged becomes due again, or the client is gone. */
void tftp_transfer_tick(struct tftp_transfer *transfer, uint64_t now_us);

/* Bytes of the file that were acknowledged. */
uint64_t tftp_transfer_done(const struct tftp_transfer *transfer);
/* Everything is sent, and all but the last window acknowledged: some boot ROMs leave it at that. */
bool tftp_transfer_all_sent(const struct tftp_transfer *transfer);

#endif
