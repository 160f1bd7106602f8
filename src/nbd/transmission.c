/* SPDX-License-Identifier: MIT */
/*
 * Requests and simple replies (NetworkBlockDevice doc/proto.md, "Transmission phase"). Only reads
 * go to the export; everything else is answered here.
 */
#include "base/bytes.h"
#include "nbd/connection.h"

#include <errno.h>
#include <inttypes.h>

#define REQUEST_MAGIC 0x25609513u
#define REPLY_MAGIC 0x67446698u
#define REQUEST_LEN 28u
#define FLAG_FUA 1u

/* The kernel asks for at most 128 at a time (nbd.c, queue_depth), other clients may for more. */
#define READS_MAX 256u
#define BYTES_MAX ((size_t)64 << 20)

enum command {
	COMMAND_READ = 0,
	COMMAND_WRITE = 1,
	COMMAND_DISCONNECT = 2,
	COMMAND_FLUSH = 3,
	COMMAND_TRIM = 4,
	COMMAND_WRITE_ZEROES = 6,
};

struct request {
	uint16_t flags, command;
	uint64_t cookie, off;
	uint32_t len;
};

/* The protocol has error numbers of its own, which happen to be Linux's. */
static uint32_t nbd_errnum(int errnum)
{
	switch (errnum) {
	case 0:
	case EPERM:
	case ENOMEM:
	case EINVAL:
	case ENOSPC:
	case EOVERFLOW:
	case ENOTSUP:
	case ESHUTDOWN:
		return (uint32_t)errnum;
	default:
		return EIO;
	}
}

void nbd_read_answer(struct nbd_read *read, int errnum)
{
	put_be32(read->head, REPLY_MAGIC);
	put_be32(read->head + 4, nbd_errnum(errnum));
	put_be64(read->head + 8, read->cookie);
	read->head_len = 16;
	if (errnum != 0)
		read->data_len = 0;
	nbd_read_queue(read);
}

static int answer(
	struct nbd_connection *c, const struct request *request, int errnum, struct err *err)
{
	struct nbd_read *read = nbd_read_new(c, 0, err);
	if (read == NULL)
		return -1;
	read->cookie = request->cookie;
	nbd_read_answer(read, errnum);
	return 1;
}

static bool has_room(const struct nbd_connection *c, size_t len)
{
	return c->reads < READS_MAX && (c->reads == 0 || c->bytes + len <= BYTES_MAX);
}

static int take_read(struct nbd_connection *c, const struct request *request, struct err *err)
{
	const struct nbd_export *export = c->export;
	if (request->len == 0 || request->len > NBD_READ_MAX || request->off > export->size ||
		request->len > export->size - request->off || (request->flags & ~FLAG_FUA) != 0)
		return answer(c, request, EINVAL, err);
	struct nbd_read *read = nbd_read_new(c, request->len, err);
	if (read == NULL)
		return -1;
	read->cookie = request->cookie;
	export->read(read, request->off, request->len, export->data);
	return 1;
}

int nbd_take_request(
	struct nbd_connection *c, const uint8_t *in, size_t len, size_t *ret_used, struct err *err)
{
	if (len < REQUEST_LEN)
		return 0;
	if (get_be32(in) != REQUEST_MAGIC)
		return err_raise(err, ERR_CORRUPT, "the client sends no request: magic %#" PRIx32,
			get_be32(in));
	const struct request request = {.flags = get_be16(in + 4),
		.command = get_be16(in + 6),
		.cookie = get_be64(in + 8),
		.off = get_be64(in + 16),
		.len = get_be32(in + 24)};
	if (!has_room(c, request.command == COMMAND_READ ? request.len : 0))
		return 0;
	*ret_used = REQUEST_LEN;
	switch (request.command) {
	case COMMAND_READ:
		return take_read(c, &request, err);
	case COMMAND_WRITE:
		if (request.len > NBD_READ_MAX)
			return err_raise(err, ERR_CORRUPT,
				"the client writes %" PRIu32 " bytes > max %u", request.len,
				NBD_READ_MAX);
		c->skip = request.len;
		return answer(c, &request, EPERM, err);
	case COMMAND_DISCONNECT:
		c->phase = NBD_PHASE_LAST;
		return 1;
	case COMMAND_FLUSH: /* what is never written is always stable */
		return answer(c, &request, 0, err);
	case COMMAND_TRIM:
	case COMMAND_WRITE_ZEROES:
		return answer(c, &request, EPERM, err);
	default:
		return answer(c, &request, EINVAL, err);
	}
}
