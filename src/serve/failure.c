/* SPDX-License-Identifier: MIT */
/*
 * Machines that do not come up: those whose stage 1 gave up and has a network tell why, the others
 * are known by their silence.
 */
#include "http/query.h"
#include "serve/parts.h"

#include <string.h>

#define WHY_MAX 2048 /* bytes: twice what a message of stage 1 has */

/*
 * The machine by its card, if it says so, which keeps the address that it booted by: it may have
 * another one now. Else by that. One whose boot was not seen here is made: who boots from a mirror
 * tells it here all the same.
 */
static struct machine *find(
	struct origin *o, const struct client *client, const char *peer, uint64_t now_us)
{
	const char *mac = client->who.text[IDENTITY_MAC];
	bool known = mac[0] != '\0' && machines_find(&o->machines, mac, strlen(mac)) != NULL;
	return machines_get(&o->machines, mac, known ? NULL : peer, now_us);
}

static void tell(struct origin *o, const struct machine *m, const char *step, const char *client)
{
	const struct journal_step told = {
		.step = step,
		.client = client[0] != '\0' ? client : NULL,
		.mac = m->mac[0] != '\0' ? m->mac : NULL,
		.subject = m->system,
		.note = m->failure,
	};
	origin_step(o, &told);
}

void failure_reply(struct origin *o, struct http_exchange *x)
{
	struct err err = ERR_INIT;
	AUTO_CLIENT client = {0};
	AUTO_FREE char *why = NULL;
	const char *query = http_exchange_request(x)->query, *peer = http_exchange_peer(x);
	int r = client_read(query, &client, &err);
	if (r == 0)
		r = http_query_get(query, "why", &why, &err);
	if (r == 0)
		r = err_raise(&err, ERR_USAGE, "nothing says why it failed: ?why=TEXT");
	if (r == 1 && strlen(why) > WHY_MAX)
		r = err_raise(
			&err, ERR_LIMIT, "the reason has %zu bytes > max %d", strlen(why), WHY_MAX);
	if (r < 0) {
		http_exchange_reply_text(x, 400, "%s", err.msg);
		return;
	}
	uint64_t now_us = hub_now_us();
	struct machine *m = find(o, &client, peer, now_us);
	if (m == NULL) {
		http_exchange_reply_text(x, 500, "out of memory");
		return;
	}
	machine_gave_up(m, why, now_us);
	tell(o, m, "failed", peer);
	http_exchange_reply_text(x, 200, "noted");
}

/* It is not silent who takes long to fetch. */
static bool loads(const struct origin *o, const struct machine *m)
{
	const struct request *r;
	TAILQ_FOREACH(r, &o->requests, entry) {
		struct route route = route_parse(http_exchange_request(r->exchange)->path);
		if (route.kind == ROUTE_BOOT &&
			strcmp(http_exchange_peer(r->exchange), m->address) == 0)
			return true;
	}
	return loader_loads(o, m->address);
}

void failure_look(struct origin *o)
{
	uint64_t now_us = hub_now_us();
	struct machine *m;
	TAILQ_FOREACH(m, &o->machines.list, entry) {
		if (!machine_is_overdue(m, now_us))
			continue;
		if (loads(o, m)) {
			m->moved_us = now_us;
			continue;
		}
		machine_falls_silent(m);
		tell(o, m, "silent", m->address);
	}
}
