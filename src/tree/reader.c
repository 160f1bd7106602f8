/* SPDX-License-Identifier: MIT */
/*
 * Reading trees. This is the hot path of composing: one pass, no allocation, and every read is
 * bounded by the tree's own end, so a damaged tree gives an error and never a wild pointer. What
 * takes more than a look at one entry (order, names, blocks within the segment) is tree_check()'s.
 */
#include "tree/layout.h"
#include "tree/varint.h"

#include "base/bytes.h"

#include <string.h>

int tree_open(const uint8_t *data, size_t size, struct tree *ret, struct err *err)
{
	if (size < TREE_HEADER_SIZE || memcmp(data, TREE_MAGIC, TREE_MAGIC_SIZE - 1) != 0)
		return err_raise(err, ERR_CORRUPT, "not a tree");
	uint8_t version = data[TREE_MAGIC_SIZE - 1], expected = TREE_MAGIC[TREE_MAGIC_SIZE - 1];
	if (version != expected)
		return err_raise(err, ERR_CORRUPT, "tree of version %u, this program reads %u",
			version, expected);
	struct tree tree = {
		.segment_size = get_le64(data + TREE_OFF_SEGMENT_SIZE),
		.directory_count = get_le32(data + TREE_OFF_DIRECTORIES),
		.file_count = get_le32(data + TREE_OFF_FILES),
		.symlink_count = get_le32(data + TREE_OFF_SYMLINKS),
		.fragment_count = get_le32(data + TREE_OFF_FRAGMENTS),
		.fragments = data + TREE_HEADER_SIZE,
		.end = data + size,
	};
	memcpy(tree.segment.bytes, data + TREE_OFF_SEGMENT, DIGEST_SIZE);
	tree.entry_count = tree.directory_count + tree.file_count + tree.symlink_count;
	uint64_t rest = size - TREE_HEADER_SIZE;
	uint64_t fragments_size = (uint64_t)tree.fragment_count * TREE_FRAGMENT_SIZE;
	uint64_t body_size = get_le64(data + TREE_OFF_BODY_SIZE);
	if (fragments_size > rest || rest - fragments_size != body_size)
		return err_raise(err, ERR_CORRUPT,
			"tree of %zu bytes, its header says there are %llu behind %u fragments",
			size, (unsigned long long)body_size, tree.fragment_count);
	/* An entry is at least its tag and the length of its name. */
	if (tree.entry_count > body_size / 2)
		return err_raise(err, ERR_CORRUPT, "tree has %llu entries in %llu bytes",
			(unsigned long long)tree.entry_count, (unsigned long long)body_size);
	tree.body = tree.fragments + fragments_size;
	*ret = tree;
	return 0;
}

uint64_t tree_fragment_start(const struct tree *tree, uint32_t i)
{
	return get_le64(tree->fragments + (size_t)i * TREE_FRAGMENT_SIZE);
}

uint32_t tree_fragment_size(const struct tree *tree, uint32_t i)
{
	return get_le32(tree->fragments + (size_t)i * TREE_FRAGMENT_SIZE + 8);
}

void tree_cursor_init(struct tree_cursor *cursor, const struct tree *tree)
{
	*cursor = (struct tree_cursor){
		.tree = tree, .at = tree->body, .directories_left = tree->directory_count};
}

static int __attribute__((cold))
damaged(const struct tree_cursor *cursor, const char *what, struct err *err)
{
	return err_raise(err, ERR_CORRUPT, "tree is damaged near byte %zu of its body: %s",
		(size_t)(cursor->at - cursor->tree->body), what);
}

int tree_next_directory(struct tree_cursor *cursor, uint32_t *ret_entries, struct err *err)
{
	if (cursor->entries_left != 0)
		return err_raise(err, ERR_BUG, "%u entries of a directory were not read",
			cursor->entries_left);
	if (cursor->directories_left == 0) {
		cursor->entries_left = 1;
		cursor->at_root = true;
		return 0;
	}
	uint64_t entries;
	const uint8_t *p = varint_get(cursor->at, cursor->tree->end, &entries);
	if (p == NULL || entries >= cursor->tree->entry_count)
		return damaged(cursor, "bad number of entries", err);
	cursor->at = p;
	cursor->directories_left--;
	cursor->entries_left = (uint32_t)entries;
	*ret_entries = (uint32_t)entries;
	return 1;
}

/* Reads a length and that many bytes. */
static const uint8_t *get_text(const uint8_t *p, const uint8_t *end, uint32_t max,
	const char **ret_text, uint32_t *ret_len)
{
	uint64_t len;
	p = varint_get(p, end, &len);
	if (p == NULL || len > max || len > (uint64_t)(end - p))
		return NULL;
	*ret_text = (const char *)p;
	*ret_len = (uint32_t)len;
	return p + len;
}

/* Reads what a file has behind its name. */
static const uint8_t *get_file(
	const struct tree *tree, const uint8_t *p, bool has_fragment, struct tree_entry *ret)
{
	const uint8_t *end = tree->end;
	p = varint_get(p, end, &ret->size);
	if (p == NULL)
		return NULL;
	uint64_t tail = ret->size % TREE_BLOCK_SIZE;
	uint64_t count = tree_block_count(ret->size, has_fragment);
	if (count > 0) {
		p = varint_get(p, end, &ret->start);
		if (p == NULL || count > (uint64_t)(end - p) / 4)
			return NULL;
		ret->block_count = (uint32_t)count;
		ret->blocks = p;
		p += count * 4;
	}
	if (!has_fragment)
		return p;
	uint64_t fragment, off;
	p = varint_get(p, end, &fragment);
	if (p == NULL || fragment >= tree->fragment_count || tail == 0)
		return NULL;
	p = varint_get(p, end, &off);
	if (p == NULL || off > TREE_BLOCK_SIZE - tail)
		return NULL;
	ret->fragment = (uint32_t)fragment;
	ret->fragment_off = (uint32_t)off;
	return p;
}

int tree_next_entry(struct tree_cursor *cursor, struct tree_entry *ret, struct err *err)
{
	const struct tree *tree = cursor->tree;
	const uint8_t *p = cursor->at, *end = tree->end;
	if (cursor->entries_left == 0)
		return err_raise(err, ERR_BUG, "no entry is left in this directory of a tree");
	if (p == end)
		return damaged(cursor, "it ends early", err);
	uint8_t tag = *p++;
	struct tree_entry entry = {.type = tag & TREE_TAG_TYPE, .fragment = TREE_NO_FRAGMENT};
	p = get_text(p, end, TREE_NAME_MAX, &entry.name, &entry.name_len);
	if (p == NULL || (entry.name_len == 0) != cursor->at_root)
		return damaged(cursor, "bad name", err);
	switch (tag) {
	case TREE_DIRECTORY:
		break;
	case TREE_FILE:
	case TREE_EXECUTABLE:
	case TREE_FILE | TREE_TAG_FRAGMENT:
	case TREE_EXECUTABLE | TREE_TAG_FRAGMENT:
		p = get_file(tree, p, (tag & TREE_TAG_FRAGMENT) != 0, &entry);
		if (p == NULL)
			return damaged(cursor, "bad file", err);
		break;
	case TREE_SYMLINK:
		p = get_text(p, end, TREE_TARGET_MAX, &entry.target, &entry.target_len);
		if (p == NULL || entry.target_len == 0)
			return damaged(cursor, "bad symlink", err);
		break;
	default:
		return damaged(cursor, "entry of unknown type", err);
	}
	if (cursor->at_root && p != end)
		return damaged(cursor, "bytes behind the root", err);
	cursor->at = p;
	cursor->entries_left--;
	*ret = entry;
	return 0;
}
