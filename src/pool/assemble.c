/* SPDX-License-Identifier: MIT */
/* From nodes and blocks to a tree. Everything is in memory by now; nothing is read. */
#include "pool/assemble.h"

#include "base/bytes.h"

#include <string.h>

void assembly_done(struct assembly *assembly)
{
	vec_done(&assembly->fragments);
}

int assembly_fragment(struct assembly *assembly, uint32_t block, struct err *err)
{
	return vec_push(&assembly->fragments, block, err);
}

uint32_t assembly_fragment_count(const struct assembly *assembly)
{
	return (uint32_t)assembly->fragments.len;
}

static uint32_t block_word(const struct output *output, size_t block)
{
	return get_le32(output->words.data + 4 * block);
}

/* Where every block begins. The caller owns it; NULL with ERR_NOMEM. */
static uint64_t *block_starts(const struct output *output, struct err *err)
{
	size_t count = output_block_count(output);
	uint64_t *starts = calloc(count + 1, sizeof(*starts));
	if (starts == NULL) {
		err_oom(err);
		return NULL;
	}
	for (size_t i = 0; i < count; i++)
		starts[i + 1] = starts[i] + (block_word(output, i) & ~TREE_BLOCK_RAW);
	return starts;
}

static int put_node(struct tree_writer *writer, const struct walk *walk,
	const struct output *output, const uint64_t *starts, const struct node *node,
	struct err *err)
{
	struct tree_entry entry = {.type = node->type,
		.name = walk_name(walk, node),
		.name_len = node->name_len,
		.target = (const char *)walk->names.data + node->target,
		.target_len = node->target_len,
		.size = node->size,
		.fragment = TREE_NO_FRAGMENT};
	bool is_file = node->type == TREE_FILE || node->type == TREE_EXECUTABLE;
	if (is_file) {
		entry.block_count = (uint32_t)(node->size / TREE_BLOCK_SIZE);
		entry.fragment = node->fragment;
		entry.fragment_off = node->fragment_off;
	}
	if (entry.block_count > 0) {
		entry.start = starts[node->block];
		entry.blocks = output->words.data + 4 * (size_t)node->block;
	}
	return tree_writer_entry(writer, &entry, err);
}

/* Directories in post-order, as the format wants them, without recursion. */
static int put_nodes(struct tree_writer *writer, struct walk *walk, const struct output *output,
	const uint64_t *starts, struct err *err)
{
	struct node *root = walk->nodes.items, *dir = root;
	for (root->resume = 0; root->type == TREE_DIRECTORY;) {
		struct node *entries = walk->nodes.items + dir->first;
		while (dir->resume < dir->count && entries[dir->resume].type != TREE_DIRECTORY)
			dir->resume++;
		if (dir->resume < dir->count) {
			dir = &entries[dir->resume++];
			/* Restart its own entries; its walk on the disk has ended. */
			dir->resume = 0;
			continue;
		}
		if (tree_writer_directory(writer, dir->count, err) < 0)
			return -1;
		for (uint32_t i = 0; i < dir->count; i++)
			if (put_node(writer, walk, output, starts, &entries[i], err) < 0)
				return -1;
		if (dir == root)
			break;
		dir = &walk->nodes.items[dir->parent];
	}
	return put_node(writer, walk, output, starts, root, err);
}

static int build_tree(const struct assembly *assembly, struct walk *walk,
	const struct output *output, const struct digest *data, struct buf *ret, struct err *err)
{
	AUTO_TREE_WRITER writer = {0};
	AUTO_FREE uint64_t *starts = block_starts(output, err);
	if (starts == NULL)
		return -1;
	for (size_t i = 0; i < assembly->fragments.len; i++) {
		uint32_t block = assembly->fragments.items[i];
		if (tree_writer_fragment(&writer, starts[block], block_word(output, block), err) <
			0)
			return -1;
	}
	if (put_nodes(&writer, walk, output, starts, err) < 0)
		return -1;
	if (tree_writer_finish(&writer, data, output->size, ret, err) < 0)
		return -1;
	/* What every composer relies on is cheaper to check once here than to hunt in an image. */
	struct tree tree;
	if (tree_open(ret->data, ret->len, &tree, err) < 0 || tree_check(&tree, err) < 0)
		return err_prefix(err, "tree that was just made");
	return 0;
}

int assembly_finish(struct assembly *assembly, struct walk *walk, struct output *output,
	struct packed *ret, struct err *err)
{
	struct packed packed = {0};
	if (output_finish(output, &packed.data, err) < 0)
		return -1;
	AUTO_BUF bytes = {0};
	int r = build_tree(assembly, walk, output, &packed.data.object, &bytes, err);
	if (r == 0)
		r = pending_write(output->pool, bytes.data, bytes.len, &packed.tree, err);
	if (r < 0) {
		pending_done(output->pool, &packed.data);
		return -1;
	}
	packed.segment = (struct pool_segment){.data = packed.data.object,
		.data_size = output->size,
		.tree = packed.tree.object,
		.tree_size = bytes.len};
	*ret = packed;
	return 0;
}
