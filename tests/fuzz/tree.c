/* SPDX-License-Identifier: MIT */
/* A tree that opens and checks can be walked to its end without a fault and by the counts it
 * states. */
#include "target.h"

#include "base/err.h"
#include "tree/tree.h"

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
