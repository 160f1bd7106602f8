/* SPDX-License-Identifier: MIT */
/*
 * The fixed newstyle negotiation (NetworkBlockDevice doc/proto.md, "Fixed newstyle negotiation"):
 * one export, under its name and under the empty one. Structured replies, TLS and contexts are
 * refused as the protocol wants it, so that a client goes on without them.
 */
#include "base/bytes.h"
#include "nbd/connection.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define OPTION_MAGIC UINT64_C(0x49484156454F5054) /* "IHAVEOPT" */
#define REPLY_MAGIC UINT64_C(0x0003e889045565a9)
#define NAME_MAX_LEN 4096u
#define SKIP_MAX (1u << 20) /* bytes of an option that is too big, before we hang up */

enum option {
	OPTION_EXPORT_NAME = 1,
	OPTION_ABORT = 2,
	OPTION_LIST = 3,
	OPTION_INFO = 6,
	OPTION_GO = 7,
};

enum reply {
	REPLY_ACK = 1,
	REPLY_SERVER = 2,
	REPLY_INFO = 3,
	REPLY_UNSUPPORTED = (int)0x80000001,
	REPLY_INVALID = (int)0x80000003,
	REPLY_UNKNOWN = (int)0x80000006,
	REPLY_TOO_BIG = (int)0x80000009,
};

enum info { INFO_EXPORT = 0, INFO_NAME = 1, INFO_BLOCK_SIZE = 3 };

static int reply(struct nbd_connection *c, uint32_t option, enum reply type, const void *data,
	size_t len, struct err *err)
{
	struct nbd_read *read = nbd_read_new(c, len, err);
	if (read == NULL)
		return -1;
	put_be64(read->head, REPLY_MAGIC);
	put_be32(read->head + 8, option);
	put_be32(read->head + 12, (uint32_t)type);
	put_be32(read->head + 16, (uint32_t)len);
	read->head_len = 20;
	if (len > 0)
		memcpy(read->data, data, len);
	nbd_read_queue(read);
	return 1;
}

static bool is_ours(const struct nbd_connection *c, const uint8_t *name, size_t len)
{
	const char *ours = c->export->name;
	return len == 0 || (ours != NULL && strlen(ours) == len && memcmp(ours, name, len) == 0);
}

/* The oldest way into transmission: it knows no answer for a name that is unknown. */
static int export_name(struct nbd_connection *c, const uint8_t *name, size_t len, struct err *err)
{
	if (!is_ours(c, name, len))
		return err_raise(err, ERR_NOT_FOUND, "the client asks for export '%.*s'",
			len < 64 ? (int)len : 64, (const char *)name);
	size_t zeroes = c->no_zeroes ? 0 : 124;
	struct nbd_read *read = nbd_read_new(c, zeroes, err);
	if (read == NULL)
		return -1;
	put_be64(read->head, c->export->size);
	put_be16(read->head + 8, NBD_EXPORT_FLAGS);
	read->head_len = 10;
	memset(read->data, 0, zeroes);
	nbd_read_queue(read);
	c->phase = NBD_PHASE_REQUESTS;
	return 1;
}

static int list(struct nbd_connection *c, size_t len, struct err *err)
{
	uint8_t data[4 + NAME_MAX_LEN];
	const char *name = c->export->name != NULL ? c->export->name : "";
	size_t name_len = strnlen(name, NAME_MAX_LEN);
	if (len != 0)
		return reply(c, OPTION_LIST, REPLY_INVALID, NULL, 0, err);
	put_be32(data, (uint32_t)name_len);
	memcpy(data + 4, name, name_len);
	if (reply(c, OPTION_LIST, REPLY_SERVER, data, 4 + name_len, err) < 0)
		return -1;
	return reply(c, OPTION_LIST, REPLY_ACK, NULL, 0, err);
}

/* One piece of information that the client asked for; what we do not know is left out. */
static int inform(struct nbd_connection *c, uint32_t option, uint16_t type, struct err *err)
{
	uint8_t data[2 + NAME_MAX_LEN];
	size_t len = 0;
	put_be16(data, type);
	if (type == INFO_EXPORT) {
		put_be64(data + 2, c->export->size);
		put_be16(data + 10, NBD_EXPORT_FLAGS);
		len = 12;
	} else if (type == INFO_BLOCK_SIZE) {
		put_be32(data + 2, 1);
		put_be32(data + 6, c->export->block_size);
		put_be32(data + 10, NBD_READ_MAX);
		len = 14;
	} else if (type == INFO_NAME && c->export->name != NULL) {
		len = 2 + strnlen(c->export->name, NAME_MAX_LEN);
		memcpy(data + 2, c->export->name, len - 2);
	}
	return len > 0 ? reply(c, option, REPLY_INFO, data, len, err) : 1;
}

/* INFO and GO: name length, name, number of wishes, wishes. */
static int info(
	struct nbd_connection *c, uint32_t option, const uint8_t *data, size_t len, struct err *err)
{
	uint32_t name_len = len >= 6 ? get_be32(data) : UINT32_MAX;
	if (name_len > len - 6 || name_len > NAME_MAX_LEN)
		return reply(c, option, REPLY_INVALID, NULL, 0, err);
	const uint8_t *wishes = data + 4 + name_len + 2;
	size_t count = get_be16(wishes - 2);
	if (len != 6 + name_len + 2 * count)
		return reply(c, option, REPLY_INVALID, NULL, 0, err);
	if (!is_ours(c, data + 4, name_len))
		return reply(c, option, REPLY_UNKNOWN, NULL, 0, err);
	if (inform(c, option, INFO_EXPORT, err) < 0)
		return -1;
	/* Each kind once, however often it is wished for: the answer stays small. */
	bool name = false, block_size = false;
	for (size_t i = 0; i < count; i++) {
		name |= get_be16(wishes + 2 * i) == INFO_NAME;
		block_size |= get_be16(wishes + 2 * i) == INFO_BLOCK_SIZE;
	}
	if ((name && inform(c, option, INFO_NAME, err) < 0) ||
		(block_size && inform(c, option, INFO_BLOCK_SIZE, err) < 0))
		return -1;
	if (reply(c, option, REPLY_ACK, NULL, 0, err) < 0)
		return -1;
	if (option == OPTION_GO)
		c->phase = NBD_PHASE_REQUESTS;
	return 1;
}

static int take_flags(struct nbd_connection *c, const uint8_t *in, struct err *err)
{
	uint32_t flags = get_be32(in); /* bit 0: fixed newstyle, bit 1: no zeroes */
	if ((flags & ~3u) != 0)
		return err_raise(
			err, ERR_CORRUPT, "the client sets unknown flags: %#" PRIx32, flags);
	c->no_zeroes = (flags & 2) != 0;
	c->phase = NBD_PHASE_OPTIONS;
	return 1;
}

static int handle(struct nbd_connection *c, uint32_t option, const uint8_t *data, uint32_t len,
	struct err *err)
{
	switch (option) {
	case OPTION_EXPORT_NAME:
		return export_name(c, data, len, err);
	case OPTION_ABORT:
		c->phase = NBD_PHASE_LAST;
		return reply(c, option, REPLY_ACK, NULL, 0, err);
	case OPTION_LIST:
		return list(c, len, err);
	case OPTION_INFO:
	case OPTION_GO:
		return info(c, option, data, len, err);
	default:
		return reply(c, option, REPLY_UNSUPPORTED, NULL, 0, err);
	}
}

int nbd_take_option(
	struct nbd_connection *c, const uint8_t *in, size_t len, size_t *ret_used, struct err *err)
{
	if (c->phase == NBD_PHASE_FLAGS) {
		*ret_used = 4;
		return len < 4 ? 0 : take_flags(c, in, err);
	}
	if (len < 16)
		return 0;
	if (get_be64(in) != OPTION_MAGIC)
		return err_raise(err, ERR_CORRUPT, "the client sends no option: magic %#" PRIx64,
			get_be64(in));
	uint32_t option = get_be32(in + 8), size = get_be32(in + 12);
	if (size > SKIP_MAX || (size > NBD_OPTION_MAX && option == OPTION_EXPORT_NAME))
		return err_raise(err, ERR_CORRUPT,
			"the client sends an option of %" PRIu32 " bytes > max %u", size,
			NBD_OPTION_MAX);
	if (size > NBD_OPTION_MAX) {
		*ret_used = 16;
		c->skip = size;
		return reply(c, option, REPLY_TOO_BIG, NULL, 0, err);
	}
	if (len - 16 < size)
		return 0;
	*ret_used = 16 + (size_t)size;
	return handle(c, option, in + 16, size, err);
}
