/* SPDX-License-Identifier: MIT */
/*
 * When a source has had its chance. A peer that gives nothing is probed: one that does not answer
 * is dead, one that waits for us in turn is told from one that is only busy. What is slow is asked
 * of somebody else as well (a hedge, at most 5 % of all requests), and what is too slow of somebody
 * else instead.
 */
#include "swarm/engine_parts.h"

/* Without a byte, though the source lives: of a demand (eight responses), and of anything. */
#define SILENT_DEMAND_US 3000000
#define SILENT_US 10000000
#define SLOW_US 1500000         /* after so long a source has to be faster than that */
#define SLOW_RATE (32u * 1024)  /* bytes a second, or a quarter of its share of our line */
#define HEDGE_UNKNOWN_US 300000 /* until a p95 is known */
#define HEDGE_SAMPLES 20
#define PROBE_US 50000 /* without a byte, until the source is probed; two echoes or responses */
#define DEAD_US 400000 /* for any answer to a probe; what echoes take at most, four responses */
#define DEAD_UNKNOWN_US 1500000 /* until an echo is known: many may begin at once */
#define DEAD_MAX_US 3000000
#define PROBE_HOPS 64

/*
 * Full lines are slow to answer, and nobody is dead for that: deadlines grow with what answers
 * take, over all peers. By a running median, so that a few slow ones do not make everybody patient.
 */
static void follow(uint64_t *median, uint64_t us)
{
	if (*median == 0)
		*median = us;
	else if (us > *median)
		*median += *median / 16 + 1;
	else
		*median -= *median / 16;
}

void engine_responded(struct engine *engine, const struct attempt *attempt)
{
	if (attempt->link->peer->origin < 0)
		follow(&engine->response_us, engine->now_us - attempt->began_us);
}

/* Peers differ in how busy they are, so the spread counts, as in TCP's time-out (RFC 6298). */
static void echoed(struct engine_link *link)
{
	struct engine *engine = link->engine;
	uint64_t us = engine->now_us - link->probed_us;
	uint64_t off = us > engine->echo_us ? us - engine->echo_us : engine->echo_us - us;
	bool first = engine->echo_us == 0;
	engine->echo_spread_us = first ? us / 2 : engine->echo_spread_us / 4 * 3 + off / 4;
	engine->echo_us = first ? us : engine->echo_us / 8 * 7 + us / 8;
	link->probed_us = 0;
}

uint64_t engine_echo_max(const struct engine *engine)
{
	return engine->echo_us + 4 * engine->echo_spread_us;
}

static uint64_t at_least(uint64_t us, uint64_t least)
{
	return us > least ? us : least;
}

void engine_latency_add(struct engine *engine, const struct attempt *attempt, bool origin)
{
	uint64_t us = engine->now_us - attempt->fetch->wanted_us;
	unsigned bin = 0;
	while (bin < SWARM_BINS - 1 && us >= 16u << bin)
		bin++;
	(origin ? engine->stat.origin_latency : engine->stat.peer_latency)[bin]++;
	engine->latency[bin]++;
	if (++engine->latency_len < 256)
		return;
	engine->latency_len = 0;
	for (bin = 0; bin < SWARM_BINS; bin++) {
		engine->latency[bin] /= 2;
		engine->latency_len += engine->latency[bin];
	}
}

/* What 95 % of the demands of late did not exceed. */
static uint64_t hedge_after(const struct engine *engine)
{
	if (engine->latency_len < HEDGE_SAMPLES)
		return HEDGE_UNKNOWN_US;
	unsigned seen = 0, bin = 0;
	while (bin < SWARM_BINS - 1 &&
		(seen += engine->latency[bin]) * 100 < engine->latency_len * 95)
		bin++;
	uint64_t p95 = 16u << bin;
	return p95 > HEDGE_MIN_US ? p95 : HEDGE_MIN_US;
}

/* A peer that was probed and says nothing at all is dead. */
static uint64_t dead_at(const struct engine_link *link)
{
	const struct engine *engine = link->engine;
	if (link->probed_us == 0)
		return UINT64_MAX;
	uint64_t us = at_least(4 * engine->response_us, engine_echo_max(engine));
	us = at_least(us, engine->echo_us != 0 ? DEAD_US : DEAD_UNKNOWN_US);
	return link->probed_us + (us < DEAD_MAX_US ? us : DEAD_MAX_US);
}

/* Of a source that is not slow, bytes a second. */
static uint64_t slow_rate(const struct engine *engine)
{
	unsigned active = 0;
	for (int p = 0; p < SWARM_PRIORITIES; p++)
		active += engine->active_len[p];
	uint64_t share = engine->rate / 4 / (active > 0 ? active : 1);
	return share < SLOW_RATE ? share + 1 : SLOW_RATE;
}

/* When a source is too slow, or has had its chance otherwise. */
static uint64_t patience_ends(const struct attempt *attempt)
{
	const struct fetch *fetch = attempt->fetch;
	uint64_t silent = at_least(8 * fetch->engine->response_us, SILENT_DEMAND_US);
	bool unknown = fetch->engine->response_us == 0; /* many may begin at once */
	if (fetch->priority != SWARM_DEMAND || unknown || silent > SILENT_US)
		silent = SILENT_US;
	uint64_t end = attempt->progress_us + silent;
	if (attempt->link->peer->origin >= 0 || attempt->first_us == 0)
		return end;
	uint64_t slow = attempt->first_us + SLOW_US +
		(uint64_t)attempt->received * 1000000 / slow_rate(attempt->fetch->engine);
	return slow < end ? slow : end;
}

/* Somebody else is asked instead. */
static void fail_over(struct attempt *attempt)
{
	struct engine_link *link = attempt->link;
	struct engine *engine = link->engine;
	uint32_t id = attempt->id;
	engine->stat.timeouts++;
	engine_attempt_failed(attempt);
	if (link->peer->mirror)
		engine->ops->mirror_cancel(link, id, engine->data);
	else if (link->up)
		engine_send(link, &(struct message){.type = MESSAGE_CANCEL, .cancel = {id}});
}

static void give_up(struct attempt *attempt, bool dead)
{
	struct engine_link *link = attempt->link;
	struct engine *engine = link->engine;
	bool slow = attempt->first_us != 0;
	/* One that only waits itself is not to blame. */
	if (dead || slow || link->peer->origin >= 0)
		engine_quarantine(engine, link->peer);
	if (dead)
		link->is_silent = engine->any_silent = true;
	fail_over(attempt);
}

/*
 * Who says nothing at all gets no second request, and what else it was asked for fails over, too.
 * Its link stays for a while: what comes late tells how slow the lines are, and that it lives.
 */
static uint64_t check_silent(struct engine *engine)
{
	uint64_t due = UINT64_MAX;
	if (!engine->any_silent)
		return due;
	engine->any_silent = false;
	for (struct engine_link *link = engine->links, *next; link != NULL; link = next) {
		next = link->next;
		if (!link->is_silent)
			continue;
		uint64_t end = link->probed_us + DEAD_MAX_US;
		if (link->peer->banned || end <= engine->now_us) {
			engine_link_close(link);
			continue;
		}
		while (link->attempts != NULL)
			fail_over(link->attempts);
		engine->any_silent = true;
		due = end < due ? end : due;
	}
	return due;
}

void engine_heard(struct engine_link *link, uint64_t now_us)
{
	link->engine->now_us = now_us;
	if (link->probed_us == 0)
		return;
	echoed(link);
	if (link->is_silent && !link->peer->banned) {
		link->is_silent = false;
		engine_release(link->engine, link->peer);
	}
}

/* A source that gives nothing may be dead, or wait for us by way of others: a probe finds out. */
static uint64_t probe(struct attempt *lead)
{
	struct engine *engine = lead->link->engine;
	if (lead->link->peer->origin >= 0 || !lead->link->up)
		return UINT64_MAX;
	uint64_t since =
		lead->progress_us > lead->link->up_us ? lead->progress_us : lead->link->up_us;
	uint64_t waited = engine->now_us - since;
	uint64_t usual = at_least(engine->echo_us, engine->response_us);
	uint64_t probe_us = at_least(2 * usual, PROBE_US);
	if (waited < probe_us)
		return since + probe_us;
	if (lead->probe_us <= engine->now_us) {
		lead->probe_us = engine->now_us + waited;
		if (lead->link->probed_us == 0)
			lead->link->probed_us = engine->now_us;
		engine_send(lead->link,
			&(struct message){.type = MESSAGE_PROBE,
				.probe = {.id = lead->id,
					.node = engine->params.self.id,
					.hops = PROBE_HOPS}});
	}
	return lead->probe_us;
}

/* Returns when to look at the fetch again. */
static uint64_t check(struct fetch *fetch)
{
	struct engine *engine = fetch->engine;
	if (fetch->lead == NULL)
		return UINT64_MAX;
	uint64_t end = patience_ends(fetch->lead), dead = dead_at(fetch->lead->link);
	if (end <= engine->now_us || dead <= engine->now_us) {
		give_up(fetch->lead, dead <= engine->now_us);
		return engine->now_us + HEDGE_MIN_US;
	}
	uint64_t again = probe(fetch->lead);
	end = again < end ? again : end;
	end = dead < end ? dead : end;
	if (fetch->hedge != NULL || fetch->priority != SWARM_DEMAND)
		return end;
	uint64_t since =
		fetch->lead->began_us > fetch->wanted_us ? fetch->lead->began_us : fetch->wanted_us;
	uint64_t hedge = since + hedge_after(engine);
	if (hedge > engine->now_us)
		return hedge < end ? hedge : end;
	if (engine->hedge_tokens < HEDGE_COST)
		return engine->now_us + HEDGE_MIN_US < end ? engine->now_us + HEDGE_MIN_US : end;
	if (engine_ask_next(fetch)) {
		engine->hedge_tokens -= HEDGE_COST;
		engine->stat.hedges++;
	}
	return end;
}

void engine_timeouts(struct engine *engine)
{
	uint64_t due = UINT64_MAX;
	for (struct fetch *fetch = engine->active, *next; fetch != NULL; fetch = next) {
		next = fetch->next;
		uint64_t again = check(fetch);
		if (again < due)
			due = again;
	}
	uint64_t closing = check_silent(engine);
	due = closing < due ? closing : due;
	for (int p = 0; p < SWARM_PRIORITIES && engine->resting > 0; p++)
		for (struct fetch *fetch = engine->idle[p]; fetch != NULL; fetch = fetch->next) {
			if (fetch->retry_us > engine->now_us && fetch->retry_us < due)
				due = fetch->retry_us;
			engine->dirty |= fetch->retry_us != 0 && fetch->retry_us <= engine->now_us;
		}
	engine_due(engine, due);
}
