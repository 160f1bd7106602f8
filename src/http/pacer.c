/* SPDX-License-Identifier: MIT */
/*
 * The bucket of pace.h with a clock and a timer. It wakes only while somebody waits.
 */
#include "http/pacer.h"

#include "base/mem.h"

#include <event2/event.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

struct pacer {
	struct pace pace;
	struct event *timer;
};

static uint64_t now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void on_timer(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	struct pacer *pacer = data;
	struct pace_waiter *next;
	uint64_t now = now_us(), later;
	while ((next = pace_next(&pacer->pace, now, &later)) != NULL) {
		struct pacer_client *client = (struct pacer_client *)((char *)next -
			offsetof(struct pacer_client, waiter));
		client->go(client, pace_quantum(&pacer->pace));
	}
	if (later == UINT64_MAX)
		return;
	uint64_t wait_us = later > now ? later - now : 1;
	struct timeval tv = {
		.tv_sec = (time_t)(wait_us / 1000000), .tv_usec = (suseconds_t)(wait_us % 1000000)};
	event_add(pacer->timer, &tv);
}

int pacer_new(struct event_base *base, uint64_t rate, struct pacer **ret, struct err *err)
{
	struct pacer *pacer = calloc(1, sizeof(*pacer));
	if (pacer == NULL)
		return err_oom(err);
	pace_init(&pacer->pace, rate, now_us());
	pacer->timer = event_new(base, -1, 0, on_timer, pacer);
	if (pacer->timer == NULL) {
		free(pacer);
		return err_oom(err);
	}
	*ret = pacer;
	return 0;
}

struct pacer *pacer_free(struct pacer *pacer)
{
	if (pacer == NULL)
		return NULL;
	event_free(pacer->timer);
	free(pacer);
	return NULL;
}

void pacer_client_init(struct pacer_client *client, const struct sockaddr *addr,
	void (*go)(struct pacer_client *client, uint32_t bytes))
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)addr;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)addr;
	*client = (struct pacer_client){.go = go};
	if (addr->sa_family == AF_INET6) {
		memcpy(client->waiter.address, &in6->sin6_addr, 16);
	} else if (addr->sa_family == AF_INET) { /* as ::ffff:a.b.c.d */
		client->waiter.address[10] = client->waiter.address[11] = 0xff;
		memcpy(client->waiter.address + 12, &in->sin_addr, 4);
	}
}

void pacer_wait(struct pacer *pacer, struct pacer_client *client)
{
	pace_wait(&pacer->pace, &client->waiter);
	if (!event_pending(pacer->timer, EV_TIMEOUT, NULL))
		event_active(pacer->timer, EV_TIMEOUT, 0);
}

void pacer_leave(struct pacer *pacer, struct pacer_client *client)
{
	pace_leave(&pacer->pace, &client->waiter);
}

void pacer_return(struct pacer *pacer, uint64_t bytes)
{
	pace_return(&pacer->pace, bytes);
}

void pacer_spend(struct pacer *pacer, uint64_t bytes)
{
	pace_spend(&pacer->pace, bytes);
}
