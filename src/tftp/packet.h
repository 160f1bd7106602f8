/* SPDX-License-Identifier: MIT */
#ifndef TFTP_PACKET_H
#define TFTP_PACKET_H

/*
 * Packets of TFTP (RFC 1350) with options (RFC 2347): what a server reads and what it writes. All
 * numbers of the protocol are big-endian.
 */

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TFTP_NAME_MAX 511 /* bytes of a file name; RFC 2347 bounds the whole request by 512 */
#define TFTP_TEXT_MAX 127 /* bytes of an error's text that we keep or write */
#define TFTP_HEAD 4       /* bytes before a block's data */
#define TFTP_BLOCK_DEFAULT 512

/* RFC 1350, section 5 */
enum tftp_opcode {
	TFTP_READ = 1,
	TFTP_WRITE = 2,
	TFTP_DATA = 3,
	TFTP_ACK = 4,
	TFTP_ERROR = 5,
	TFTP_OPTIONS = 6, /* RFC 2347: OACK */
};

/* RFC 1350, appendix I; 8 is of RFC 2347. */
enum tftp_code {
	TFTP_CODE_OTHER = 0,
	TFTP_CODE_NOT_FOUND = 1,
	TFTP_CODE_ACCESS = 2,
	TFTP_CODE_ILLEGAL = 4,
	TFTP_CODE_OPTIONS = 8,
};

enum tftp_mode { TFTP_MODE_OCTET, TFTP_MODE_NETASCII, TFTP_MODE_OTHER };

/* What a client asks for. An option that it did not send, or with a value that none can have, is
 * 0: it is then left out of our answer, as RFC 2347 has it. */
struct tftp_request {
	bool write;
	enum tftp_mode mode;
	char name[TFTP_NAME_MAX + 1]; /* as sent, without control characters */
	uint32_t block_size;          /* RFC 2348: 8 to 65464 bytes */
	uint32_t timeout_s;           /* RFC 2349: 1 to 255 */
	uint32_t window;              /* RFC 7440: 1 to 65535 blocks */
	bool wants_size;              /* RFC 2349: tsize */
};

/*
 * Reads a packet that came to the server's port. 1, or 0 when it is no request at all: such a
 * packet is not answered, since two servers could go on answering each other. ERR_CORRUPT for a
 * request that is malformed.
 */
int tftp_request_decode(
	const uint8_t *data, size_t size, struct tftp_request *ret, struct err *err);

/*
 * The name as a path below the server's root: backslashes become slashes, leading and doubled ones
 * go. ERR_USAGE when nothing is left, or when a part is ".." or ".".
 */
int tftp_request_path(
	const struct tftp_request *request, char ret[TFTP_NAME_MAX + 1], struct err *err);

/* What a client says in a transfer. */
struct tftp_reply {
	enum tftp_opcode opcode;      /* TFTP_ACK or TFTP_ERROR */
	uint16_t number;              /* of the block, or of the error */
	char text[TFTP_TEXT_MAX + 1]; /* TFTP_ERROR: without control characters */
};

/* False for anything else. */
bool tftp_reply_decode(const uint8_t *data, size_t size, struct tftp_reply *ret);

/* What we agree to; 0: was not asked for. */
struct tftp_options {
	uint32_t block_size, timeout_s, window;
	bool has_size;
	uint64_t size; /* bytes of the file */
};

#define TFTP_OPTIONS_MAX 96 /* bytes of a packet with all of them */

/* Each writes a packet and returns its size. */
size_t tftp_put_options(uint8_t out[TFTP_OPTIONS_MAX], const struct tftp_options *options);
size_t tftp_put_block(uint8_t out[TFTP_HEAD], uint16_t number); /* the head: data follows */
/* A longer text is cut. */
size_t tftp_put_error(
	uint8_t out[TFTP_HEAD + TFTP_TEXT_MAX + 1], enum tftp_code code, const char *text);

#endif
