/* SPDX-License-Identifier: MIT */
/*
 * The set of private chunks only grows: a chunk that was private once may lie on the disk as long
 * as the disk does. The note is a byte that says whether it is whole, and the digests.
 */
#include "node/hidden.h"

#include "base/log.h"
#include "node/system.h"

#include <string.h>

#define NOTE "private"
#define NOTE_WHOLE 'w'
#define NOTE_LOST 'l'
#define NOTE_MAX ((64u * 1024 - 1) / DIGEST_SIZE) /* digests */

void node_hidden_done(struct node_hidden *hidden)
{
	vec_done(&hidden->digests);
}

int node_hidden_load(struct node_hidden *hidden, const struct cache *cache, struct err *err)
{
	const struct buf *note = cache_note(cache, NOTE);
	struct digest digest;
	if (note->len == 0)
		return 0;
	/* A note that is not ours tells of private chunks that we do not know. */
	hidden->lost = note->data[0] != NOTE_WHOLE || (note->len - 1) % DIGEST_SIZE != 0;
	for (size_t i = 1; i + DIGEST_SIZE <= note->len; i += DIGEST_SIZE) {
		memcpy(digest.bytes, note->data + i, DIGEST_SIZE);
		if (vec_push(&hidden->digests, digest, err) < 0)
			return -1;
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	return digest_compare(a, b);
}

static void keep_note(const struct node_hidden *hidden, struct cache *cache)
{
	AUTO_BUF note = {0};
	struct err err = ERR_INIT;
	bool fits = hidden->digests.len <= NOTE_MAX;
	const char mark[2] = {hidden->lost || !fits ? NOTE_LOST : NOTE_WHOLE};
	size_t count = fits ? hidden->digests.len : NOTE_MAX;
	if (count == 0 && !hidden->lost)
		return;
	if (buf_put_str(&note, mark, &err) < 0 ||
		buf_put(&note, hidden->digests.items, count * DIGEST_SIZE, &err) < 0) {
		log_ignored(&err);
		return;
	}
	cache_note_set(cache, NOTE, note.data, note.len);
}

int node_hidden_tell(struct node_hidden *hidden, const node_digests *more, struct cache *cache,
	struct swarm *swarm, struct err *err)
{
	node_digests all = {0};
	size_t len = 0;
	int r = 0;
	for (size_t i = 0; r == 0 && i < hidden->digests.len; i++)
		r = vec_push(&all, hidden->digests.items[i], err);
	for (size_t i = 0; r == 0 && i < more->len; i++)
		r = vec_push(&all, more->items[i], err);
	if (r < 0) {
		vec_done(&all);
		return -1;
	}
	if (all.len > 0)
		qsort(all.items, all.len, sizeof(*all.items), compare);
	for (size_t i = 0; i < all.len; i++)
		if (len == 0 || !digest_equal(&all.items[len - 1], &all.items[i]))
			all.items[len++] = all.items[i];
	all.len = len;
	node_digests before = hidden->digests; /* the swarm has it until it is told anew */
	hidden->digests = all;
	if (len != before.len)
		keep_note(hidden, cache);
	swarm_hide(swarm, all.items, all.len);
	vec_done(&before);
	return 0;
}

static int add_blob(const struct blob *blob, node_digests *out, struct err *err)
{
	VEC_FOREACH(piece, &blob->pieces)
		if (vec_push(out, *piece, err) < 0)
			return -1;
	return 0;
}

int node_hidden_of_catalog(const struct catalog *catalog, node_digests *out, struct err *err)
{
	VEC_FOREACH(member, &catalog->members)
		if (member->is_private &&
			(add_blob(&member->tree, out, err) < 0 ||
				add_blob(&member->chunks, out, err) < 0))
			return -1;
	return 0;
}

int node_hidden_of_system(const struct node_system *system, node_digests *out, struct err *err)
{
	VEC_FOREACH(segment, &system->segments)
		for (size_t i = 0; segment->is_private && i < segment->table.digests.len; i++)
			if (vec_push(out, segment->table.digests.items[i], err) < 0)
				return -1;
	return 0;
}
