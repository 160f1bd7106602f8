/* SPDX-License-Identifier: MIT */
/*
 * Composing a system out of its trees, with everything that can be wrong in it looked at once: the
 * reader behind it believes what it finds here. Nothing in this file waits or fetches.
 */
#include "node/system.h"

#include "image/squashfs/squashfs.h"

#include <string.h>

void node_system_done(struct node_system *system)
{
	catalog_done(&system->catalog);
	image_done(&system->image);
	VEC_FOREACH(segment, &system->segments) {
		chunk_table_done(&segment->table);
		free(segment->touched);
	}
	vec_done(&system->segments);
	free(system->extent_segments);
	free(system->member_segments);
	vec_done(&system->pins);
	*system = (struct node_system){0};
}

static int compare_segments(const void *a, const void *b)
{
	const struct node_segment *x = a, *y = b;
	int order = digest_compare(&x->table.object, &y->table.object);
	return order != 0 ? order : x->member < y->member ? -1 : x->member > y->member;
}

static int compare_digests(const void *a, const void *b)
{
	return digest_compare(a, b);
}

static uint32_t find_segment(const struct node_system *system, const struct digest *object)
{
	size_t low = 0, high = system->segments.len;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = digest_compare(&system->segments.items[middle].table.object, object);
		if (order == 0)
			return (uint32_t)middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NODE_NO_SEGMENT;
}

/* Reads one member's tree and, when it has data, its chunk table. */
static int read_member(struct node_system *system, uint32_t i,
	const struct node_member_bytes *bytes, struct tree *ret_tree, struct err *err)
{
	const struct catalog_member *member = &system->catalog.members.items[i];
	struct node_segment segment = {.is_private = member->is_private, .member = i};
	ERR_SCOPE(err, "store path '%s'", member->name);
	if (bytes->tree == NULL)
		return err_raise(err, ERR_CORRUPT, "it has no tree");
	if (tree_open(bytes->tree, member->tree.size, ret_tree, err) < 0 ||
		tree_check(ret_tree, err) < 0)
		return -1;
	if (ret_tree->segment_size == 0)
		return 0;
	if (bytes->chunks == NULL)
		return err_raise(err, ERR_CORRUPT, "it has data and no chunk table");
	if (chunk_table_decode(bytes->chunks, member->chunks.size, &segment.table, err) < 0)
		return -1;
	if (digest_equal(&segment.table.object, &ret_tree->segment) &&
		segment.table.size == ret_tree->segment_size &&
		vec_push(&system->segments, segment, err) == 0)
		return 0;
	chunk_table_done(&segment.table);
	return err_clean(err) ? err_raise(err, ERR_CORRUPT, "its chunk table is of another segment")
			      : -1;
}

/* Sorts the segments and drops those that another member has, too. One that any member wants to be
 * private is. */
static void unite_segments(struct node_system *system)
{
	struct node_segment *items = system->segments.items;
	size_t len = 0;
	qsort(items, system->segments.len, sizeof(*items), compare_segments);
	for (size_t i = 0; i < system->segments.len; i++) {
		if (len == 0 ||
			!digest_equal(&items[len - 1].table.object, &items[i].table.object)) {
			items[len++] = items[i];
			continue;
		}
		items[len - 1].is_private |= items[i].is_private;
		chunk_table_done(&items[i].table);
	}
	system->segments.len = len;
}

static int check_metadata(struct node_system *system, struct err *err)
{
	static const uint8_t zeros[4096];
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	VEC_FOREACH(extent, &system->image.extents) {
		switch (extent->kind) {
		case EXTENT_MEMORY:
			sha256_update(&ctx, extent->len, extent->data);
			system->metadata_bytes += extent->len;
			break;
		case EXTENT_ZERO:
			for (uint64_t left = extent->len, n; left > 0; left -= n) {
				n = left < sizeof(zeros) ? left : sizeof(zeros);
				sha256_update(&ctx, n, zeros);
			}
			break;
		case EXTENT_FILE:
			break;
		}
	}
	struct digest digest = digest_finish(&ctx);
	if (system->image.size == system->catalog.image_size &&
		digest_equal(&digest, &system->catalog.metadata))
		return 0;
	err_raise(err, ERR_CORRUPT, "the composed image is not the one that was signed");
	return err_hint(err, "origin and node must be of versions that compose alike");
}

static int compose(struct node_system *system, const struct tree *trees, struct err *err)
{
	size_t count = system->catalog.members.len;
	AUTO_FREE struct squashfs_member *members = calloc(count, sizeof(*members));
	AUTO_FREE char(*names)[DIGEST_HEX_SIZE] = calloc(count, sizeof(*names));
	if (members == NULL || names == NULL)
		return err_oom(err);
	for (size_t i = 0; i < count; i++)
		members[i] = (struct squashfs_member){.name = system->catalog.members.items[i].name,
			.tree = &trees[i],
			.segment_path = digest_hex(&trees[i].segment, names[i])};
	return squashfs_compose(members, count, &system->image, NULL, err);
}

/* From places in the image to segments: the composer was given digests for file names. */
static int map_extents(struct node_system *system, struct err *err)
{
	system->extent_segments =
		calloc(system->image.extents.len + 1, sizeof(*system->extent_segments));
	if (system->extent_segments == NULL)
		return err_oom(err);
	for (size_t i = 0; i < system->image.extents.len; i++) {
		const struct extent *extent = &system->image.extents.items[i];
		struct digest object;
		uint32_t at = NODE_NO_SEGMENT;
		uint64_t end;
		if (extent->kind != EXTENT_FILE)
			continue;
		if (digest_from_hex(extent->path, strlen(extent->path), &object))
			at = find_segment(system, &object);
		if (at == NODE_NO_SEGMENT || !mem_add(extent->file_off, extent->len, &end) ||
			end > system->segments.items[at].table.size)
			return err_raise(err, ERR_BUG,
				"the image refers to '%s' beyond what it has", extent->path);
		system->extent_segments[i] = at;
	}
	return 0;
}

static int map_members(struct node_system *system, const struct tree *trees, struct err *err)
{
	size_t count = system->catalog.members.len;
	system->member_segments = calloc(count + 1, sizeof(*system->member_segments));
	if (system->member_segments == NULL)
		return err_oom(err);
	for (size_t i = 0; i < count; i++)
		system->member_segments[i] = trees[i].segment_size > 0
			? find_segment(system, &trees[i].segment)
			: NODE_NO_SEGMENT;
	VEC_FOREACH(segment, &system->segments) {
		segment->touched = calloc(segment->table.digests.len / 8 + 1, 1);
		if (segment->touched == NULL)
			return err_oom(err);
		system->chunk_count += segment->table.digests.len;
		system->data_bytes += segment->table.size;
	}
	return 0;
}

static int pin_blob(struct node_system *system, const struct blob *blob, struct err *err)
{
	VEC_FOREACH(digest, &blob->pieces)
		if (vec_push(&system->pins, *digest, err) < 0)
			return -1;
	return 0;
}

static int list_pins(struct node_system *system, struct err *err)
{
	VEC_FOREACH(member, &system->catalog.members)
		if (pin_blob(system, &member->tree, err) < 0 ||
			pin_blob(system, &member->chunks, err) < 0)
			return -1;
	VEC_FOREACH(file, &system->catalog.files)
		if (pin_blob(system, &file->blob, err) < 0)
			return -1;
	VEC_FOREACH(segment, &system->segments)
		VEC_FOREACH(digest, &segment->table.digests)
			if (vec_push(&system->pins, *digest, err) < 0)
				return -1;
	qsort(system->pins.items, system->pins.len, sizeof(*system->pins.items), compare_digests);
	return 0;
}

int node_system_make(struct catalog *take_catalog, const struct digest *id,
	const struct node_member_bytes *members, struct node_system *ret, struct err *err)
{
	AUTO_NODE_SYSTEM system = {.catalog = *take_catalog, .id = *id};
	*take_catalog = (struct catalog){0};
	size_t count = system.catalog.members.len;
	AUTO_FREE struct tree *trees = calloc(count + 1, sizeof(*trees));
	if (trees == NULL)
		return err_oom(err);
	for (size_t i = 0; i < count; i++)
		if (read_member(&system, (uint32_t)i, &members[i], &trees[i], err) < 0)
			return -1;
	unite_segments(&system);
	if (compose(&system, trees, err) < 0 || check_metadata(&system, err) < 0 ||
		map_extents(&system, err) < 0 || map_members(&system, trees, err) < 0 ||
		list_pins(&system, err) < 0)
		return -1;
	*ret = system;
	system = (struct node_system){0};
	return 0;
}

uint64_t node_system_index_bytes(const struct node_system *system)
{
	const uint64_t per_chunk = DIGEST_SIZE + sizeof(uint64_t) + DIGEST_SIZE; /* and its pin */
	return system->chunk_count * per_chunk + system->chunk_count / 8 +
		system->segments.cap * sizeof(*system->segments.items) +
		system->catalog.members.cap * sizeof(*system->catalog.members.items) +
		system->image.extents.cap * (sizeof(struct extent) + DIGEST_HEX_SIZE);
}

struct chunk node_system_chunk(const struct node_system *system, struct node_place place)
{
	const struct node_segment *segment = &system->segments.items[place.segment];
	struct chunk chunk = chunk_table_at(&segment->table, place.chunk);
	chunk.is_private = segment->is_private;
	return chunk;
}

bool node_system_find(
	const struct node_system *system, struct profile_entry entry, struct node_place *ret)
{
	if (entry.member >= system->catalog.members.len)
		return false;
	uint32_t at = system->member_segments[entry.member];
	if (at == NODE_NO_SEGMENT || entry.chunk >= system->segments.items[at].table.digests.len)
		return false;
	*ret = (struct node_place){.segment = at, .chunk = entry.chunk};
	return true;
}

bool node_system_touch(struct node_system *system, struct node_place place)
{
	uint8_t *byte = &system->segments.items[place.segment].touched[place.chunk / 8];
	uint8_t bit = (uint8_t)(1u << place.chunk % 8);
	bool first = (*byte & bit) == 0;
	*byte |= bit;
	return first;
}
