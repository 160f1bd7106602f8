/* SPDX-License-Identifier: MIT */
/* A hash table of files by their contents. The hash of a file is its own. */
#include "pool/twin.h"

#include "base/bytes.h"

#include <string.h>
#include <sys/random.h>

int twins_init(struct twins *twins, const struct walk *walk, struct err *err)
{
	uint8_t key[UMAC_KEY_SIZE];
	*twins = (struct twins){0};
	if (getrandom(key, sizeof(key), 0) != sizeof(key))
		return err_sys(err, "cannot get random bytes");
	umac128_set_key(&twins->umac, key);
	twins->seen = calloc(walk->twin_classes + 1, 1);
	return twins->seen != NULL ? 0 : err_oom(err);
}

void twins_done(struct twins *twins)
{
	free(TAKE_PTR(twins->table));
	free(TAKE_PTR(twins->seen));
	free(TAKE_PTR(twins->sizes));
}

static struct twin_size *size_place(struct twin_size *sizes, size_t mask, uint64_t size)
{
	size_t i =
		(size_t)(size * UINT64_C(0x9e3779b97f4a7c15) >> 20) & mask; /* Fibonacci hashing */
	while (sizes[i].size != 0 && sizes[i].size != size)
		i = (i + 1) & mask;
	return &sizes[i];
}

/* Room for one class more in both tables, `seen` and `sizes`, which grow together. */
static int make_class_room(struct twins *twins, const struct walk *walk, struct err *err)
{
	if (twins->sizes != NULL && (walk->twin_classes + 2) * (size_t)2 <= twins->sizes_mask)
		return 0;
	size_t size = twins->sizes != NULL ? 2 * (twins->sizes_mask + 1) : 64;
	struct twin_size *sizes = calloc(size, sizeof(*sizes));
	uint8_t *seen = calloc(size, 1);
	if (sizes == NULL || seen == NULL) {
		free(sizes);
		free(seen);
		return err_oom(err);
	}
	memcpy(seen, twins->seen, walk->twin_classes + 1);
	for (size_t i = 0; twins->sizes != NULL && i <= twins->sizes_mask; i++)
		if (twins->sizes[i].size != 0)
			*size_place(sizes, size - 1, twins->sizes[i].size) = twins->sizes[i];
	free(twins->sizes);
	free(twins->seen);
	twins->sizes = sizes;
	twins->sizes_mask = size - 1;
	twins->seen = seen;
	return 0;
}

int twins_class(
	struct twins *twins, struct walk *walk, uint64_t size, uint32_t *ret_class, struct err *err)
{
	if (make_class_room(twins, walk, err) < 0)
		return -1;
	struct twin_size *place = size_place(twins->sizes, twins->sizes_mask, size);
	if (place->size == 0)
		*place = (struct twin_size){.size = size, .twin_class = ++walk->twin_classes};
	*ret_class = place->twin_class;
	return 0;
}

bool twins_expected(const struct twins *twins, uint32_t twin_class)
{
	return twins->seen[twin_class] != 0;
}

void twins_hash_begin(struct twins *twins)
{
	/* Ending a hash counts the nonce up, and equal files have to get equal hashes. */
	umac128_set_nonce(&twins->umac, 1, (const uint8_t[]){0});
}

void twins_hash_update(struct twins *twins, const void *data, size_t size)
{
	umac128_update(&twins->umac, size, data);
}

struct twin_hash twins_hash_end(struct twins *twins)
{
	struct twin_hash hash;
	umac128_digest(&twins->umac, sizeof(hash.bytes), hash.bytes);
	return hash;
}

/* The entry for a hash: its own, or the free one where it belongs. */
static struct twin *place(struct twin *table, size_t mask, const struct twin_hash *hash)
{
	size_t i = (size_t)get_le64(hash->bytes) & mask;
	while (table[i].used && memcmp(&table[i].hash, hash, sizeof(*hash)) != 0)
		i = (i + 1) & mask;
	return &table[i];
}

/* Keeps at least half of the table free. */
static int make_room(struct twins *twins, struct err *err)
{
	if (twins->table != NULL && twins->len * 2 < twins->mask)
		return 0;
	size_t size = twins->table != NULL ? 2 * (twins->mask + 1) : 64;
	struct twin *table = calloc(size, sizeof(*table));
	if (table == NULL)
		return err_oom(err);
	for (size_t i = 0; twins->table != NULL && i <= twins->mask; i++)
		if (twins->table[i].used)
			*place(table, size - 1, &twins->table[i].hash) = twins->table[i];
	free(twins->table);
	twins->table = table;
	twins->mask = size - 1;
	return 0;
}

int twins_find(struct twins *twins, const struct walk *walk, uint32_t node,
	const struct twin_hash *hash, uint32_t *ret_node, struct err *err)
{
	if (make_room(twins, err) < 0)
		return -1;
	struct twin *twin = place(twins->table, twins->mask, hash);
	if (twin->used) {
		*ret_node = twin->node;
		return 1;
	}
	*twin = (struct twin){.hash = *hash, .node = node, .used = true};
	twins->len++;
	twins->seen[walk->nodes.items[node].twin_class] = 1;
	return 0;
}
