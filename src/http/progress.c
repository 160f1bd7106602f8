/* SPDX-License-Identifier: MIT */
/*
 * How fast a client takes what it asked for. The kernel takes megabytes at once, so what counts is
 * what the client acknowledged: all that was queued, less what the kernel still keeps (SIOCOUTQ,
 * tcp(7)). Who waits for us, for a turn or for a disk, is not slow.
 */
#include "http/connection.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <time.h>

static uint64_t now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static uint64_t unacknowledged(const struct http_connection *c)
{
	int bytes = 0;
	return ioctl(c->fd, SIOCOUTQ, &bytes) == 0 && bytes > 0 ? (uint64_t)bytes : 0;
}

void http_progress_begin(struct http_connection *c)
{
	c->taken = c->queued - unacknowledged(c);
	c->looked_us = now_us();
	c->rate = UINT64_MAX;
}

static bool waits_for_turn(const struct http_connection *c)
{
	return c->starved || (c->paced && c->allowance == 0);
}

/* Since the last look. */
static uint64_t rate(const struct http_connection *c, uint64_t taken)
{
	uint64_t elapsed_us = now_us() - c->looked_us;
	return elapsed_us == 0 || waits_for_turn(c)
		? UINT64_MAX
		: (uint64_t)((double)(taken - c->taken) * 1e6 / (double)elapsed_us);
}

bool http_progress_suffices(struct http_connection *c)
{
	uint64_t taken = c->queued - unacknowledged(c);
	uint64_t least = http_server_config(c->server)->limits.stall_bytes;
	bool enough = taken - c->taken >= least || c->starved;
	c->rate = rate(c, taken);
	c->taken = taken;
	c->looked_us = now_us();
	c->starved = c->paced && c->allowance == 0; /* waits at this moment */
	return enough;
}

uint64_t http_progress_rate(const struct http_connection *c)
{
	uint64_t left = unacknowledged(c);
	if (c->state != HTTP_STATE_WRITING || left == 0)
		return UINT64_MAX;
	uint64_t shortest_us = (uint64_t)http_server_config(c->server)->limits.place_ms * 1000;
	if (now_us() - c->looked_us < shortest_us)
		return c->rate;
	return rate(c, c->queued - left);
}

void http_exchange_progress(const struct http_exchange *x, uint64_t *ret_sent, uint64_t *ret_len)
{
	uint64_t left = unacknowledged(x->connection);
	*ret_sent = x->body_sent > left ? x->body_sent - left : 0;
	*ret_len = x->body_len;
}
