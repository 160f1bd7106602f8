/* SPDX-License-Identifier: MIT */
/*
 * A bounded hash table of recent holders, oldest leases leaving first. It knows neither links nor
 * clocks: whether a holder is alive and near is the owner's to say, when one is picked.
 */
#include "swarm/leases.h"

#include "base/bytes.h"

#include <stdlib.h>

int leases_init(struct leases *leases, size_t max, struct err *err)
{
	size_t size = 64;
	while (size < max)
		size *= 2;
	*leases = (struct leases){.hash_size = size, .max = max};
	leases->heads = calloc(size, sizeof(struct lease *));
	return leases->heads != NULL ? 0 : err_oom(err);
}

void leases_done(struct leases *leases)
{
	for (struct lease *lease = leases->oldest; lease != NULL;) {
		struct lease *newer = lease->newer;
		free(lease);
		lease = newer;
	}
	free(leases->heads);
	*leases = (struct leases){0};
}

static struct lease **head_of(struct leases *leases, const struct digest *chunk)
{
	return &leases->heads[get_le64(chunk->bytes + 8) & (leases->hash_size - 1)];
}

struct lease *leases_find(struct leases *leases, const struct digest *chunk)
{
	struct lease *lease = *head_of(leases, chunk);
	while (lease != NULL && !digest_equal(&lease->chunk, chunk))
		lease = lease->hash_next;
	return lease;
}

static void age_unlink(struct leases *leases, struct lease *lease)
{
	*(lease->older != NULL ? &lease->older->newer : &leases->oldest) = lease->newer;
	*(lease->newer != NULL ? &lease->newer->older : &leases->newest) = lease->older;
}

static void age_append(struct leases *leases, struct lease *lease)
{
	lease->newer = NULL;
	lease->older = leases->newest;
	*(leases->newest != NULL ? &leases->newest->newer : &leases->oldest) = lease;
	leases->newest = lease;
}

static void remove_oldest(struct leases *leases)
{
	struct lease *lease = leases->oldest;
	while (lease != NULL && lease->giving > 0)
		lease = lease->newer;
	if (lease == NULL)
		return;
	struct lease **p = head_of(leases, &lease->chunk);
	while (*p != lease)
		p = &(*p)->hash_next;
	*p = lease->hash_next;
	age_unlink(leases, lease);
	free(lease);
	leases->len--;
}

struct lease *leases_get(struct leases *leases, const struct digest *chunk)
{
	struct lease *lease = leases_find(leases, chunk);
	if (lease != NULL) {
		age_unlink(leases, lease);
		age_append(leases, lease);
		return lease;
	}
	if (leases->len >= leases->max)
		remove_oldest(leases);
	lease = calloc(1, sizeof(*lease));
	if (lease == NULL)
		return NULL;
	lease->chunk = *chunk;
	struct lease **head = head_of(leases, chunk);
	lease->hash_next = *head;
	*head = lease;
	age_append(leases, lease);
	leases->len++;
	return lease;
}

struct holder *lease_holder(struct lease *lease, uint64_t who)
{
	for (size_t i = 0; i < LEASE_HOLDERS && who != 0; i++)
		if (lease->holders[i].who == who)
			return &lease->holders[i];
	return NULL;
}

/* A free place, else that of one that has its share already, else the next in turn. */
static struct holder *place_for(struct lease *lease)
{
	struct holder *full = NULL;
	for (unsigned i = 0; i < LEASE_HOLDERS; i++) {
		struct holder *holder = &lease->holders[(lease->turn + i) % LEASE_HOLDERS];
		if (holder->who == 0)
			return holder;
		if (full == NULL && holder->sent >= LEASE_FANOUT)
			full = holder;
	}
	if (full != NULL)
		return full;
	lease->turn = (lease->turn + 1) % LEASE_HOLDERS;
	return &lease->holders[lease->turn];
}

struct holder *lease_add(struct lease *lease, uint64_t who, uint64_t parent)
{
	struct holder *holder = lease_holder(lease, who);
	if (holder == NULL) {
		holder = place_for(lease);
		*holder = (struct holder){.who = who};
	}
	holder->parent = parent;
	return holder;
}

void lease_drop(struct lease *lease, uint64_t who)
{
	struct holder *holder = lease_holder(lease, who);
	if (holder != NULL)
		*holder = (struct holder){0};
}

/* Whether the holder gets it, by whatever way, from `from`: then `from` cannot get it there. */
static bool descends(struct lease *lease, const struct holder *holder, uint64_t from)
{
	for (size_t i = 0; holder != NULL && i < LEASE_HOLDERS; i++) {
		if (holder->who == from || holder->parent == from)
			return true;
		holder = lease_holder(lease, holder->parent);
	}
	return false;
}

struct holder *lease_pick(struct lease *lease, const struct lease_asker *asker)
{
	struct holder *best = NULL;
	uint64_t best_rank = 0;
	for (size_t i = 0; i < LEASE_HOLDERS; i++) {
		struct holder *holder = &lease->holders[i];
		if (holder->who == 0 || (asker->complete && !holder->complete) ||
			descends(lease, holder, asker->who))
			continue;
		uint64_t r = asker->rank(holder->who, asker->data);
		if (r == UINT64_MAX)
			continue;
		unsigned over = holder->sent < LEASE_FANOUT ? 0 : holder->sent;
		unsigned best_over = best == NULL || best->sent < LEASE_FANOUT ? 0 : best->sent;
		if (best == NULL || over < best_over || (over == best_over && r < best_rank)) {
			best = holder;
			best_rank = r;
		}
	}
	return best;
}
