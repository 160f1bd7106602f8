/* SPDX-License-Identifier: MIT */
/*
 * Blocks count from 1 in 64 bits; the packet has the lower 16, so that the number after 65535 is
 * 0, as all clients that load large files expect. Since a window is much smaller than 65536, an
 * acknowledgement names one block of the present window, the one before it, or nothing.
 */
#include "tftp/transfer.h"

void tftp_transfer_init(struct tftp_transfer *t, const struct tftp_request *request, uint64_t size,
	uint32_t block_max, uint64_t now_us)
{
	*t = (struct tftp_transfer){
		.size = size,
		.block_size = TFTP_BLOCK_DEFAULT,
		.window = 1,
		.timeout_us = TFTP_TIMEOUT_US,
		.deadline_us = now_us,
	};
	struct tftp_options *o = &t->options;
	if (request->block_size != 0)
		t->block_size = o->block_size =
			request->block_size < block_max ? request->block_size : block_max;
	if (request->window != 0)
		t->window = o->window =
			request->window < TFTP_WINDOW_MAX ? request->window : TFTP_WINDOW_MAX;
	if (request->timeout_s <= TFTP_TIMEOUT_MAX_S)
		o->timeout_s = request->timeout_s;
	if (o->timeout_s != 0)
		t->timeout_us = (uint64_t)o->timeout_s * 1000000;
	o->has_size = request->wants_size;
	o->size = size;
	bool none = o->block_size == 0 && o->window == 0 && o->timeout_s == 0 && !o->has_size;
	t->last = size / t->block_size + 1;
	t->base = t->next = none ? 1 : 0;
	t->wait_us = t->timeout_us;
}

/* The last packet that may be sent before an acknowledgement. */
static uint64_t limit(const struct tftp_transfer *t)
{
	if (t->base == 0)
		return 0;
	return t->last - t->base < t->window ? t->last : t->base + t->window - 1;
}

bool tftp_transfer_due(const struct tftp_transfer *t, struct tftp_due *ret)
{
	if (t->state != TFTP_RUNS || t->next > limit(t))
		return false;
	if (t->next == 0) {
		*ret = (struct tftp_due){.options = true};
		return true;
	}
	uint64_t off = (t->next - 1) * t->block_size, left = t->size - off;
	*ret = (struct tftp_due){
		.number = (uint16_t)t->next,
		.off = off,
		.len = left < t->block_size ? (uint32_t)left : t->block_size,
	};
	return true;
}

void tftp_transfer_sent(struct tftp_transfer *t, uint64_t now_us)
{
	if (!t->sent || t->next > t->high)
		t->high = t->next;
	t->sent = true;
	t->next++;
	t->deadline_us = now_us + t->wait_us;
}

/* Sends again from the first block that is not acknowledged. */
static void go_back(struct tftp_transfer *t)
{
	t->next = t->base;
	t->echo = t->high;
	t->repeated = true;
	t->duplicate_counts = false;
}

static void take_progress(struct tftp_transfer *t, uint64_t number, uint64_t now_us)
{
	t->base = number + 1;
	if (t->base > t->last) {
		t->state = TFTP_ENDED;
		return;
	}
	t->repetitions = 0;
	t->wait_us = t->timeout_us;
	t->deadline_us = now_us + t->wait_us;
	if (number < t->high && number == t->echo) {
		t->echo = 0;
		t->next = t->next < t->base ? t->base : t->next;
		return;
	}
	if (number < t->high) {
		go_back(t);
		return;
	}
	t->next = t->base;
	t->echo = 0;
	t->duplicate_counts = t->window > 1 && !t->repeated;
	t->repeated = false;
}

void tftp_transfer_ack(struct tftp_transfer *t, uint16_t number, uint64_t now_us)
{
	uint64_t before = t->base - 1; /* all ones when options wait: then 0 is the next one */
	uint16_t distance = (uint16_t)(number - (uint16_t)before);
	if (t->state != TFTP_RUNS || !t->sent)
		return;
	if (distance > 0 && distance <= t->high - before)
		take_progress(t, before + distance, now_us);
	else if (distance == 0 && t->duplicate_counts && t->next > t->base)
		go_back(t);
}

void tftp_transfer_tick(struct tftp_transfer *t, uint64_t now_us)
{
	if (t->state != TFTP_RUNS || now_us < t->deadline_us)
		return;
	/* The client waits for us, not we for it. */
	if (t->next <= limit(t)) {
		t->deadline_us = now_us + t->wait_us;
		return;
	}
	if (t->repetitions == TFTP_REPETITIONS) {
		t->state = TFTP_GONE;
		return;
	}
	t->repetitions++;
	if (t->wait_us < TFTP_BACKOFF_US)
		t->wait_us = 2 * t->wait_us < TFTP_BACKOFF_US ? 2 * t->wait_us : TFTP_BACKOFF_US;
	t->deadline_us = now_us + t->wait_us;
	go_back(t);
}

uint64_t tftp_transfer_done(const struct tftp_transfer *t)
{
	uint64_t blocks = t->base > 0 ? t->base - 1 : 0;
	return blocks * t->block_size < t->size ? blocks * t->block_size : t->size;
}

bool tftp_transfer_all_sent(const struct tftp_transfer *t)
{
	return t->sent && t->base > 0 && t->high == t->last;
}
