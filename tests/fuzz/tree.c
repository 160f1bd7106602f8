/* SPDX-License-Identifier: MIT */
/* A tree that opens and checks can be walked to its end without a fault and by the counts it
 * states. */
#include "target.h"

#include "base/bytes.h"
#include "base/err.h"
#include "tree/tree.h"

/* docs/formats/tree.md: the header's numbers, the size of a fragment's row, an entry's tag. */
enum {
	OFF_BODY_SIZE = 48,
	OFF_DIRECTORIES = 56,
	OFF_FILES = 60,
	OFF_SYMLINKS = 64,
	OFF_FRAGMENTS = 68,
	HEADER = 72,
	ROW = 12,
};

/* Counts what there is in the body, when there are so many directories. */
static bool count(uint8_t *data, size_t size, uint32_t directories)
{
	struct err err = ERR_INIT;
	struct tree tree;
	struct tree_cursor cursor;
	struct tree_entry entry;
	uint32_t entries, files = 0, symlinks = 0;
	put_le32(data + OFF_DIRECTORIES, directories);
	put_le32(data + OFF_FILES, 0);
	put_le32(data + OFF_SYMLINKS, (uint32_t)(get_le64(data + OFF_BODY_SIZE) / 2 - directories));
	if (tree_open(data, size, &tree, &err) < 0)
		return false;
	int r;
	tree_cursor_init(&cursor, &tree);
	do {
		r = tree_next_directory(&cursor, &entries, &err);
		entries = r == 0 ? 1 : entries; /* the root */
		for (uint32_t i = 0; r >= 0 && i < entries; i++) {
			if (tree_next_entry(&cursor, &entry, &err) < 0)
				return false;
			files += entry.type == TREE_FILE || entry.type == TREE_EXECUTABLE;
			symlinks += entry.type == TREE_SYMLINK;
		}
	} while (r > 0);
	put_le32(data + OFF_FILES, files);
	put_le32(data + OFF_SYMLINKS, symlinks);
	return r == 0;
}

size_t target_mend(uint8_t *data, size_t size)
{
	if (size < HEADER)
		return size;
	uint32_t fragments = get_le32(data + OFF_FRAGMENTS);
	uint32_t max = (uint32_t)(size - HEADER) / ROW;
	if (fragments > max)
		put_le32(data + OFF_FRAGMENTS, fragments = fragments % (max + 1));
	uint64_t body = size - HEADER - (uint64_t)fragments * ROW;
	put_le64(data + OFF_BODY_SIZE, body);
	for (uint32_t directories = 0; directories < 8 && directories < body / 2; directories++)
		if (count(data, size, directories))
			return size;
	return size;
}

static void walk(const struct tree *tree)
{
	struct err err = ERR_INIT;
	struct tree_cursor cursor;
	struct tree_entry entry;
	uint64_t seen = 0, directories = 0;
	uint32_t entries;
	int r;
	tree_cursor_init(&cursor, tree);
	while ((r = tree_next_directory(&cursor, &entries, &err)) == 1) {
		directories++;
		for (uint32_t i = 0; i < entries; i++, seen++)
			expect(tree_next_entry(&cursor, &entry, &err) == 0);
	}
	expect(r == 0);
	expect(tree_next_entry(&cursor, &entry, &err) == 0);
	expect(directories == tree->directory_count);
	expect(seen + 1 == tree->entry_count);
}

bool target_run(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	struct tree tree;
	if (tree_open(data, size, &tree, &err) < 0 || tree_check(&tree, &err) < 0) {
		expect(err.kind == ERR_CORRUPT || err.kind == ERR_UNSUPPORTED ||
			err.kind == ERR_LIMIT || err.kind == ERR_NOMEM);
		expect(err.msg[0] != '\0');
		return false;
	}
	walk(&tree);
	return true;
}
