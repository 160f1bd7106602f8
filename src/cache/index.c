/* SPDX-License-Identifier: MIT */
/*
 * The index: an array of entries, threaded by numbers into hash chains and into one list for each
 * zone. Zones are given up whole, so eviction is a segmented LRU of zones: a chunk that was read
 * since it was written, or that is pinned, is copied to the newest zone; the copy has to be read
 * again to survive the next round. The rest goes with its zone.
 */
#include "cache/index.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_BUCKETS 1024u

int cache_index_init(struct index *index, uint32_t zone_bytes, uint32_t zone_count, struct err *err)
{
	*index = (struct index){.zone_blocks = zone_bytes / LAYOUT_BLOCK,
		.zone_count = zone_count,
		.entry_free = INDEX_NONE,
		.bucket_count = FIRST_BUCKETS};
	index->zones = calloc(zone_count, sizeof(index->zones[0]));
	index->buckets = malloc(FIRST_BUCKETS * sizeof(index->buckets[0]));
	if (index->zones == NULL || index->buckets == NULL) {
		cache_index_done(index);
		return err_oom(err);
	}
	memset(index->buckets, 0xff, FIRST_BUCKETS * sizeof(index->buckets[0]));
	for (uint32_t i = 0; i < zone_count; i++)
		index->zones[i].first = INDEX_NONE;
	return 0;
}

void cache_index_done(struct index *index)
{
	free(index->zones);
	free(index->entries);
	free(index->buckets);
	*index = (struct index){0};
}

/* Other bits than the inventory's. */
static uint32_t bucket_of(const struct index *index, const uint8_t *key)
{
	uint32_t v;
	memcpy(&v, key + 8, sizeof(v));
	return v & (index->bucket_count - 1);
}

static unsigned inventory_of(const uint8_t *key)
{
	return (unsigned)key[0] << 2 | key[1] >> 6;
}

struct index_entry *cache_index_find(const struct index *index, const uint8_t *key)
{
	if (index->bucket_count == 0)
		return NULL;
	for (uint32_t i = index->buckets[bucket_of(index, key)]; i != INDEX_NONE;
		i = index->entries[i].next) {
		if (memcmp(index->entries[i].key, key, CACHE_KEY_SIZE) == 0)
			return &index->entries[i];
	}
	return NULL;
}

/* Doubles the table. Without memory for it, chains merely grow. */
static void grow_buckets(struct index *index)
{
	uint32_t *buckets = malloc((size_t)index->bucket_count * 2 * sizeof(buckets[0]));
	uint32_t *old = index->buckets, old_count = index->bucket_count;
	if (buckets == NULL)
		return;
	index->buckets = buckets;
	index->bucket_count = 2 * old_count;
	memset(buckets, 0xff, (size_t)index->bucket_count * sizeof(buckets[0]));
	for (uint32_t bucket = 0; bucket < old_count; bucket++) {
		for (uint32_t i = old[bucket], next; i != INDEX_NONE; i = next) {
			uint32_t *head = &buckets[bucket_of(index, index->entries[i].key)];
			next = index->entries[i].next;
			index->entries[i].next = *head;
			*head = i;
		}
	}
	free(old);
}

/* A number for a new entry, or INDEX_NONE. Grows by a quarter, so that little lies idle. */
static uint32_t take_entry(struct index *index)
{
	uint32_t i = index->entry_free;
	if (i != INDEX_NONE) {
		index->entry_free = index->entries[i].next;
		return i;
	}
	if (index->entry_used == index->entry_cap) {
		uint32_t cap = index->entry_cap + index->entry_cap / 4 + 256;
		struct index_entry *entries =
			reallocarray(index->entries, cap, sizeof(index->entries[0]));
		if (entries == NULL)
			return INDEX_NONE;
		index->entries = entries;
		index->entry_cap = cap;
	}
	return index->entry_used++;
}

static void count_entry(struct index *index, const struct index_entry *entry, bool more)
{
	struct index_zone *zone = &index->zones[index_zone_of(index, entry)];
	uint32_t size = layout_record_size(entry->len);
	uint32_t keep = entry->hot || entry->pinned ? size : 0, pinned = entry->pinned ? size : 0;
	zone->live_bytes += more ? size : -size;
	zone->keep_bytes += more ? keep : -keep;
	zone->pinned_bytes += more ? pinned : -pinned;
}

void cache_index_remove(struct index *index, struct index_entry *entry)
{
	uint32_t number = (uint32_t)(entry - index->entries);
	uint32_t *at = &index->buckets[bucket_of(index, entry->key)];
	while (*at != number)
		at = &index->entries[*at].next;
	*at = entry->next;
	at = &index->zones[index_zone_of(index, entry)].first;
	while (*at != number)
		at = &index->entries[*at].zone_next;
	*at = entry->zone_next;
	count_entry(index, entry, false);
	index->chunks--;
	index->bytes -= layout_record_size(entry->len);
	index->by_bucket[inventory_of(entry->key)]--;
	entry->next = index->entry_free;
	index->entry_free = number;
}

bool cache_index_add(struct index *index, const uint8_t *key, uint32_t block, uint32_t len)
{
	uint32_t zone = block / index->zone_blocks;
	struct index_entry *old = cache_index_find(index, key);
	if (old != NULL) {
		if (index->zones[index_zone_of(index, old)].sequence > index->zones[zone].sequence)
			return true;
		cache_index_remove(index, old);
	}
	uint32_t number = take_entry(index);
	if (number == INDEX_NONE)
		return false;
	if (index->chunks >= index->bucket_count && index->bucket_count < 1u << 31)
		grow_buckets(index);
	struct index_entry *entry = &index->entries[number];
	uint32_t *head = &index->buckets[bucket_of(index, key)];
	*entry = (struct index_entry){.block = block,
		.len = len & 0xffffff,
		.pinned = cache_pins_has(&index->pins, key),
		.next = *head,
		.zone_next = index->zones[zone].first};
	memcpy(entry->key, key, CACHE_KEY_SIZE);
	*head = number;
	index->zones[zone].first = number;
	count_entry(index, entry, true);
	index->chunks++;
	index->bytes += layout_record_size(len);
	index->by_bucket[inventory_of(key)]++;
	return true;
}

void cache_index_touch(struct index *index, struct index_entry *entry)
{
	count_entry(index, entry, false);
	entry->hot = 1;
	count_entry(index, entry, true);
}

void cache_index_pin(struct index *index, const struct cache_pins *pins)
{
	index->pins = *pins;
	for (uint32_t zone = 0; zone < index->zone_count; zone++) {
		for (uint32_t i = index->zones[zone].first; i != INDEX_NONE;
			i = index->entries[i].zone_next) {
			struct index_entry *entry = &index->entries[i];
			count_entry(index, entry, false);
			entry->pinned = cache_pins_has(pins, entry->key);
			count_entry(index, entry, true);
		}
	}
}

uint32_t index_empty_zone(struct index *index, uint32_t zone)
{
	uint32_t chunks = 0;
	for (; index->zones[zone].first != INDEX_NONE; chunks++)
		cache_index_remove(index, &index->entries[index->zones[zone].first]);
	index->zones[zone] = (struct index_zone){.first = INDEX_NONE};
	return chunks;
}

struct index_entry *cache_index_keeper(const struct index *index, uint32_t zone, bool only_pinned)
{
	struct index_entry *hot = NULL;
	for (uint32_t i = index->zones[zone].first; i != INDEX_NONE;
		i = index->entries[i].zone_next) {
		if (index->entries[i].pinned)
			return &index->entries[i];
		if (index->entries[i].hot)
			hot = &index->entries[i];
	}
	return only_pinned ? NULL : hot;
}

uint32_t index_free_zone(const struct index *index)
{
	for (uint32_t zone = 0; zone < index->zone_count; zone++) {
		if (index->zones[zone].sequence == 0)
			return zone;
	}
	return INDEX_NONE;
}

/*
 * Cost and benefit, as in a log-structured file system (Rosenblum and Ousterhout, "The design and
 * implementation of a log-structured file system", 1992, section 3.5): what giving a zone up frees,
 * times its age. So an old zone with something to keep is cleaned at last, and a young one has time
 * to show what of it is read.
 */
uint32_t cache_index_victim(const struct index *index, uint32_t active)
{
	uint32_t best = INDEX_NONE, zone_bytes = index->zone_blocks * LAYOUT_BLOCK;
	uint64_t newest = 0, best_value = 0;
	for (uint32_t i = 0; i < index->zone_count; i++) {
		if (index->zones[i].sequence > newest)
			newest = index->zones[i].sequence;
	}
	for (uint32_t i = 0; i < index->zone_count; i++) {
		const struct index_zone *zone = &index->zones[i];
		if (i == active || zone->sequence == 0 || zone->keep_bytes > zone_bytes ||
			zone->pinned_bytes > zone_bytes / 4 * 3)
			continue;
		uint64_t age = newest - zone->sequence + 1;
		uint64_t value = age * (zone_bytes - zone->keep_bytes);
		if (value > best_value) {
			best_value = value;
			best = i;
		}
	}
	return best;
}
