/* SPDX-License-Identifier: MIT */
/* The order of blocks. It knows neither files nor fragments. */
#include "pool/output.h"

#include "base/bytes.h"
#include "base/fd.h"

#include <fcntl.h>
#include <string.h>

void output_init(struct output *output, struct pool *pool, struct hand *hand)
{
	*output = (struct output){.pool = pool, .hand = hand, .words.max = SIZE_MAX / 2, .fd = -1};
	output->last = &output->first;
	sha256_init(&output->hash);
}

static struct slot *take_first(struct output *output)
{
	struct slot *slot = output->first;
	output->first = slot->behind;
	if (output->first == NULL)
		output->last = &output->first;
	return slot;
}

void output_done(struct output *output)
{
	while (output->first != NULL) {
		struct slot *slot = take_first(output);
		crew_wait(output->hand, slot);
		crew_release(output->hand, slot);
	}
	fd_close_ptr(&output->fd);
	pending_done(output->pool, &output->pending);
	buf_done(&output->words);
}

/* Writes the first block, which is compressed, and gives its slot back. */
static int write_first(struct output *output, struct err *err)
{
	struct slot *slot = take_first(output);
	bool raw = (slot->word & TREE_BLOCK_RAW) != 0;
	uint32_t size = slot->word & ~TREE_BLOCK_RAW;
	const uint8_t *data = raw ? slot->in : slot->out;
	put_le32(output->words.data + 4 * (size_t)slot->number, slot->word);
	int r = 0;
	if (output->fd < 0)
		r = session_temp(&output->pool->session, &output->pending.temp, &output->fd, err);
	if (r == 0)
		r = fd_write_full(output->fd, data, size, output->pool->dir, err);
	sha256_update(&output->hash, size, data);
	output->size += size;
	crew_release(output->hand, slot);
	return r;
}

struct slot *output_slot(struct output *output, struct err *err)
{
	if (crew_stopped(output->hand)) {
		err_raise(err, ERR_AGAIN, "stopped by another failure");
		return NULL;
	}
	for (;;) {
		while (output->first != NULL && crew_is_done(output->first))
			if (write_first(output, err) < 0)
				return NULL;
		if (output->first == NULL)
			return crew_wait_slot(output->hand);
		struct slot *slot = crew_try_slot(output->hand);
		if (slot != NULL)
			return slot;
		crew_wait(output->hand, output->first);
	}
}

uint32_t output_block_count(const struct output *output)
{
	return (uint32_t)(output->words.len / 4);
}

int output_hole(struct output *output, uint32_t *ret_block, struct err *err)
{
	if (output_block_count(output) == UINT32_MAX)
		return err_raise(
			err, ERR_LIMIT, "a store path has more than %u blocks", UINT32_MAX);
	*ret_block = output_block_count(output);
	return buf_put_zero(&output->words, 4, err);
}

int output_block(struct output *output, struct slot *slot, uint32_t *ret_block, struct err *err)
{
	if (output_hole(output, &slot->number, err) < 0) {
		crew_release(output->hand, slot);
		return -1;
	}
	*ret_block = slot->number;
	slot->behind = NULL;
	*output->last = slot;
	output->last = &slot->behind;
	crew_submit(output->hand, slot);
	return 0;
}

static bool is_zero(const uint8_t *data, size_t size)
{
	return data[0] == 0 && memcmp(data, data + 1, size - 1) == 0;
}

int output_file_block(
	struct output *output, struct slot *slot, uint32_t *ret_block, struct err *err)
{
	if (!is_zero(slot->in, slot->in_len))
		return output_block(output, slot, ret_block, err);
	crew_release(output->hand, slot);
	return output_hole(output, ret_block, err);
}

int output_finish(struct output *output, struct pending *ret_pending, struct err *err)
{
	while (output->first != NULL) {
		crew_wait(output->hand, output->first);
		if (write_first(output, err) < 0)
			return -1;
	}
	/* Lets the disk begin, so that the sync of a batch finds little left to do. */
	if (output->fd >= 0)
		(void)sync_file_range(output->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	output->pending.object = digest_finish(&output->hash);
	*ret_pending = output->pending;
	output->pending.temp = NULL;
	return 0;
}
