/* SPDX-License-Identifier: MIT */
/*
 * The memory tier. One chained hash table and three lists; a list is the class of an entry. A chunk
 * enters on probation and is protected when it is used again, so that one pass over much data does
 * not push out what is used often. Protected chunks may take four fifths of the quota; beyond that
 * the least recent of them go back to probation. Knows nothing of disks.
 */
#include "cache/memory.h"

#include <stdlib.h>

#define FIRST_BUCKETS 1024

struct memory_entry {
	struct cache_chunk *chunk;
	struct memory_entry *next; /* in its bucket */
	TAILQ_ENTRY(memory_entry) link;
	enum memory_list list;
};

/* Digests are uniform; the first bits are the inventory's, so take others. */
static size_t slot_of(const struct cache_memory *memory, const struct digest *digest)
{
	size_t v;
	memcpy(&v, digest->bytes + 8, sizeof(v));
	return v & (memory->bucket_count - 1);
}

int cache_memory_init(struct cache_memory *memory, uint64_t max, struct err *err)
{
	*memory = (struct cache_memory){.max = max, .bucket_count = FIRST_BUCKETS};
	for (size_t i = 0; i < MEMORY_LISTS; i++)
		TAILQ_INIT(&memory->lists[i]);
	memory->buckets = calloc(memory->bucket_count, sizeof(memory->buckets[0]));
	return memory->buckets == NULL ? err_oom(err) : 0;
}

/* Doubles the table. Without memory for it, chains merely grow. */
static void grow(struct cache_memory *memory)
{
	size_t old_count = memory->bucket_count;
	struct memory_entry **old = memory->buckets;
	struct memory_entry **buckets = calloc(2 * old_count, sizeof(buckets[0]));
	if (buckets == NULL)
		return;
	memory->buckets = buckets;
	memory->bucket_count = 2 * old_count;
	for (size_t i = 0; i < old_count; i++) {
		for (struct memory_entry *e = old[i], *next; e != NULL; e = next) {
			size_t slot = slot_of(memory, &e->chunk->digest);
			next = e->next;
			e->next = buckets[slot];
			buckets[slot] = e;
		}
	}
	free(old);
}

static struct memory_entry *find(const struct cache_memory *memory, const struct digest *digest)
{
	struct memory_entry *e = memory->buckets[slot_of(memory, digest)];
	while (e != NULL && !digest_equal(&e->chunk->digest, digest))
		e = e->next;
	return e;
}

static void enlist(struct cache_memory *memory, struct memory_entry *e, enum memory_list list)
{
	e->list = list;
	TAILQ_INSERT_HEAD(&memory->lists[list], e, link);
	if (list == MEMORY_PROTECTED)
		memory->protected_bytes += e->chunk->len;
}

static void delist(struct cache_memory *memory, struct memory_entry *e)
{
	TAILQ_REMOVE(&memory->lists[e->list], e, link);
	if (e->list == MEMORY_PROTECTED)
		memory->protected_bytes -= e->chunk->len;
}

static void drop(struct cache_memory *memory, struct memory_entry *e)
{
	struct memory_entry **at = &memory->buckets[slot_of(memory, &e->chunk->digest)];
	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	delist(memory, e);
	memory->bytes -= e->chunk->len;
	memory->count--;
	memory->by_bucket[cache_bucket(e->chunk->digest.bytes)]--;
	cache_chunk_unref(e->chunk);
	free(e);
}

void cache_memory_done(struct cache_memory *memory)
{
	if (memory->buckets == NULL)
		return;
	for (size_t i = 0; i < MEMORY_LISTS; i++) {
		while (!TAILQ_EMPTY(&memory->lists[i]))
			drop(memory, TAILQ_FIRST(&memory->lists[i]));
	}
	free(memory->buckets);
	memory->buckets = NULL;
}

static void use(struct cache_memory *memory, struct memory_entry *e)
{
	delist(memory, e);
	enlist(memory, e, e->list == MEMORY_PINNED ? MEMORY_PINNED : MEMORY_PROTECTED);
	while (memory->protected_bytes > memory->max / 5 * 4) {
		struct memory_entry *last =
			TAILQ_LAST(&memory->lists[MEMORY_PROTECTED], memory_entries);
		if (last == e)
			return;
		delist(memory, last);
		enlist(memory, last, MEMORY_PROBATION);
	}
}

/* Makes room for `len` bytes, which are at most the quota. */
static void make_room(struct cache_memory *memory, uint32_t len)
{
	for (size_t i = 0; i < MEMORY_LISTS; i++) {
		while (memory->bytes + len > memory->max && !TAILQ_EMPTY(&memory->lists[i])) {
			drop(memory, TAILQ_LAST(&memory->lists[i], memory_entries));
			memory->evicted++;
		}
	}
}

struct cache_chunk *cache_memory_get(struct cache_memory *memory, const struct digest *digest)
{
	struct memory_entry *e = find(memory, digest);
	if (e == NULL)
		return NULL;
	use(memory, e);
	return cache_chunk_ref(e->chunk);
}

bool cache_memory_has(const struct cache_memory *memory, const struct digest *digest)
{
	return find(memory, digest) != NULL;
}

void cache_memory_put(struct cache_memory *memory, struct cache_chunk *chunk)
{
	struct memory_entry *e = find(memory, &chunk->digest);
	if (e != NULL) {
		use(memory, e);
		return;
	}
	if (chunk->len > memory->max || (e = calloc(1, sizeof(*e))) == NULL)
		return;
	make_room(memory, chunk->len);
	if (memory->count >= memory->bucket_count)
		grow(memory);
	size_t slot = slot_of(memory, &chunk->digest);
	e->chunk = cache_chunk_ref(chunk);
	e->next = memory->buckets[slot];
	memory->buckets[slot] = e;
	memory->bytes += chunk->len;
	memory->count++;
	memory->by_bucket[cache_bucket(chunk->digest.bytes)]++;
	bool pinned = cache_pins_has(&memory->pins, chunk->digest.bytes);
	enlist(memory, e, pinned ? MEMORY_PINNED : MEMORY_PROBATION);
}

/* Files the entries of one list under what they are now; their order stays. */
static void refile(struct cache_memory *memory, enum memory_list from)
{
	struct memory_entries old;
	TAILQ_INIT(&old);
	TAILQ_CONCAT(&old, &memory->lists[from], link);
	struct memory_entry *e;
	while ((e = TAILQ_LAST(&old, memory_entries)) != NULL) {
		TAILQ_REMOVE(&old, e, link);
		if (from == MEMORY_PROTECTED)
			memory->protected_bytes -= e->chunk->len;
		bool pinned = cache_pins_has(&memory->pins, e->chunk->digest.bytes);
		enlist(memory, e,
			pinned                          ? MEMORY_PINNED
				: from == MEMORY_PINNED ? MEMORY_PROBATION
							: from);
	}
}

void cache_memory_pin(struct cache_memory *memory, const struct cache_pins *pins)
{
	memory->pins = *pins;
	refile(memory, MEMORY_PINNED);
	refile(memory, MEMORY_PROBATION);
	refile(memory, MEMORY_PROTECTED);
}
