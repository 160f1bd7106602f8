/* SPDX-License-Identifier: MIT */
/* The table of notes. Knows slots and sequences, but does no I/O. */
#include "cache/notes.h"

#include <string.h>

void notes_done(struct notes *notes)
{
	VEC_FOREACH(note, &notes->list)
		buf_done(&note->bytes);
	vec_done(&notes->list);
}

struct note *notes_find(const struct notes *notes, const char *name)
{
	VEC_FOREACH(note, &notes->list) {
		if (strcmp(note->head.name, name) == 0)
			return note;
	}
	return NULL;
}

static void drop(struct notes *notes, struct note *note)
{
	buf_done(&note->bytes);
	*note = notes->list.items[--notes->list.len];
}

/* A new, empty note; the oldest goes when there are too many. NULL with ERR_NOMEM. */
static struct note *add(struct notes *notes, const char *name, struct err *err)
{
	struct note note = {.slot = NOTES_NO_SLOT, .bytes = {.max = LAYOUT_NOTE_MAX}};
	if (notes->list.len == NOTES_MAX) {
		struct note *oldest = notes->list.items;
		VEC_FOREACH(other, &notes->list) {
			if (other->head.sequence < oldest->head.sequence)
				oldest = other;
		}
		drop(notes, oldest);
	}
	memcpy(note.head.name, name, strlen(name));
	if (vec_push(&notes->list, note, err) < 0)
		return NULL;
	return &notes->list.items[notes->list.len - 1];
}

int notes_load(struct notes *notes, const struct layout_note *head, uint32_t slot,
	const void *bytes, struct err *err)
{
	struct note *note = notes_find(notes, head->name);
	if (head->sequence > notes->sequence)
		notes->sequence = head->sequence;
	if (note != NULL && (note->dirty || note->head.sequence > head->sequence))
		return 0;
	if (note == NULL && (note = add(notes, head->name, err)) == NULL)
		return -1;
	buf_clear(&note->bytes);
	if (buf_put(&note->bytes, bytes, head->len, err) < 0) {
		drop(notes, note);
		return -1;
	}
	note->head = *head;
	note->slot = slot;
	return 0;
}

int notes_set(struct notes *notes, const char *name, const void *bytes, size_t len, struct err *err)
{
	if (name[0] == '\0' || strlen(name) >= LAYOUT_NOTE_NAME)
		return err_raise(err, ERR_LIMIT, "name of note '%s' is not 1 to %u bytes long",
			name, LAYOUT_NOTE_NAME - 1);
	if (len > LAYOUT_NOTE_MAX)
		return err_raise(err, ERR_LIMIT, "note '%s' has %zu bytes > max %u", name, len,
			LAYOUT_NOTE_MAX);
	struct note *note = notes_find(notes, name);
	if (note != NULL && note->bytes.len == len &&
		(len == 0 || memcmp(note->bytes.data, bytes, len) == 0))
		return 0;
	if (note == NULL && (note = add(notes, name, err)) == NULL)
		return -1;
	buf_clear(&note->bytes);
	if (buf_put(&note->bytes, bytes, len, err) < 0) {
		drop(notes, note);
		return -1;
	}
	note->head.len = (uint32_t)len;
	note->head.sequence = ++notes->sequence;
	note->dirty = true;
	return 0;
}

static bool slot_is_used(const struct notes *notes, uint32_t slot)
{
	VEC_FOREACH(note, &notes->list) {
		if (note->slot == slot)
			return true;
	}
	return false;
}

struct note *notes_take_dirty(struct notes *notes)
{
	VEC_FOREACH(note, &notes->list) {
		if (!note->dirty)
			continue;
		uint32_t slot = 0;
		while (slot_is_used(notes, slot))
			slot++;
		note->slot = slot;
		note->dirty = false;
		return note;
	}
	return NULL;
}
