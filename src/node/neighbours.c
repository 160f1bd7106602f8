/* SPDX-License-Identifier: MIT */
/*
 * Looks twice a second whether there is a tracker, and has multicast DNS on or off by that. It is
 * the swarm that decides what a neighbour is good for.
 */
#include "node/neighbours.h"

#include "base/log.h"
#include "swarm/mdns.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#define LOOK_MS 500
#define RETRY_LOOKS 60 /* until it is tried again, where port 5353 cannot be had */

struct node_neighbours {
	struct node_neighbours_params params;
	struct event *look;
	struct mdns *mdns;
	unsigned wait; /* looks until it may be tried again */
};

static void on_found(const struct node_id *id, const struct node_address *address, void *data)
{
	struct node_neighbours *n = data;
	struct member member = {.id = *id, .address = *address};
	snprintf(member.site, sizeof(member.site), "%s", n->params.site);
	swarm_found(n->params.swarm, &member);
}

static void on_lost(const struct node_id *id, void *data)
{
	struct node_neighbours *n = data;
	swarm_lost(n->params.swarm, id);
}

static int begin(struct node_neighbours *n, struct err *err)
{
	static const struct mdns_ops ops = {on_found, on_lost};
	struct mdns_params params = {.id = n->params.id, .port = n->params.port};
	VEC_FOREACH(key, n->params.keys)
		if (params.swarm_count < MDNS_SWARMS_MAX)
			params.swarms[params.swarm_count++] =
				mdns_swarm_of(key->bytes, n->params.site);
	return mdns_new(n->params.base, &params, &ops, n, &n->mdns, err);
}

static void on_look(evutil_socket_t fd, short what, void *data)
{
	struct node_neighbours *n = data;
	struct swarm_stat stat = {0};
	struct err err = ERR_INIT;
	(void)fd;
	(void)what;
	swarm_stat(n->params.swarm, &stat);
	if (stat.tracked) {
		n->mdns = mdns_free(n->mdns);
		return;
	}
	if (n->mdns != NULL || (n->wait > 0 && --n->wait > 0))
		return;
	if (begin(n, &err) == 0)
		return;
	log_ignored(&err);
	n->wait = RETRY_LOOKS;
}

int node_neighbours_new(
	const struct node_neighbours_params *params, struct node_neighbours **ret, struct err *err)
{
	const struct timeval period = {.tv_usec = LOOK_MS * 1000};
	struct node_neighbours *n = calloc(1, sizeof(*n));
	if (n == NULL)
		return err_oom(err);
	n->params = *params;
	n->look = event_new(params->base, -1, EV_PERSIST, on_look, n);
	if (n->look == NULL || event_add(n->look, &period) < 0) {
		node_neighbours_free(n);
		return err_oom(err);
	}
	*ret = n;
	return 0;
}

struct node_neighbours *node_neighbours_free(struct node_neighbours *n)
{
	if (n == NULL)
		return NULL;
	mdns_free(n->mdns);
	if (n->look != NULL)
		event_free(n->look);
	free(n);
	return NULL;
}
