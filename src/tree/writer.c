/* SPDX-License-Identifier: MIT */
/* Writing trees. The caller brings the order; the writer keeps the counts. */
#include "tree/layout.h"
#include "tree/varint.h"

#include "base/bytes.h"

#include <string.h>

void tree_writer_done(struct tree_writer *writer)
{
	buf_done(&writer->fragments);
	buf_done(&writer->body);
	*writer = (struct tree_writer){0};
}

int tree_writer_fragment(struct tree_writer *writer, uint64_t start, uint32_t size, struct err *err)
{
	uint8_t row[TREE_FRAGMENT_SIZE];
	put_le64(row, start);
	put_le32(row + 8, size);
	return buf_put(&writer->fragments, row, sizeof(row), err);
}

int tree_writer_directory(struct tree_writer *writer, uint32_t entries, struct err *err)
{
	if (writer->entries_left != 0)
		return err_raise(err, ERR_BUG, "a directory begins, but %u entries are missing",
			writer->entries_left);
	writer->entries_left = entries;
	writer->directory_count++;
	return varint_put(&writer->body, entries, err);
}

static int put_text(struct tree_writer *writer, const char *text, uint32_t len, struct err *err)
{
	if (varint_put(&writer->body, len, err) < 0)
		return -1;
	return buf_put(&writer->body, text, len, err);
}

static int put_file(struct tree_writer *writer, const struct tree_entry *entry, struct err *err)
{
	bool has_fragment = entry->fragment != TREE_NO_FRAGMENT;
	if (entry->block_count != tree_block_count(entry->size, has_fragment))
		return err_raise(err, ERR_BUG, "%u blocks for a file of %llu bytes",
			entry->block_count, (unsigned long long)entry->size);
	if (varint_put(&writer->body, entry->size, err) < 0)
		return -1;
	if (entry->block_count > 0 && varint_put(&writer->body, entry->start, err) < 0)
		return -1;
	if (buf_put(&writer->body, entry->blocks, (size_t)entry->block_count * 4, err) < 0)
		return -1;
	if (!has_fragment)
		return 0;
	if (varint_put(&writer->body, entry->fragment, err) < 0)
		return -1;
	return varint_put(&writer->body, entry->fragment_off, err);
}

int tree_writer_entry(struct tree_writer *writer, const struct tree_entry *entry, struct err *err)
{
	bool is_root = entry->name_len == 0;
	if (writer->finished || is_root != (writer->entries_left == 0))
		return err_raise(err, ERR_BUG, "entry '%.*s' does not belong here",
			(int)entry->name_len, entry->name);
	bool is_file = entry->type == TREE_FILE || entry->type == TREE_EXECUTABLE;
	bool has_fragment = is_file && entry->fragment != TREE_NO_FRAGMENT;
	uint8_t tag = (uint8_t)((int)entry->type | (has_fragment ? TREE_TAG_FRAGMENT : 0));
	if (buf_put(&writer->body, &tag, 1, err) < 0)
		return -1;
	if (put_text(writer, entry->name, entry->name_len, err) < 0)
		return -1;
	if (is_root)
		writer->finished = true;
	else
		writer->entries_left--;
	if (is_file) {
		writer->file_count++;
		return put_file(writer, entry, err);
	}
	if (entry->type == TREE_SYMLINK) {
		writer->symlink_count++;
		return put_text(writer, entry->target, entry->target_len, err);
	}
	return 0;
}

int tree_writer_finish(struct tree_writer *writer, const struct digest *segment,
	uint64_t segment_size, struct buf *out, struct err *err)
{
	if (!writer->finished)
		return err_raise(err, ERR_BUG, "a tree without its root entry");
	uint64_t count = writer->directory_count + writer->file_count + writer->symlink_count;
	if (count > UINT32_MAX)
		return err_raise(err, ERR_LIMIT, "%llu files are more than the limit of %u",
			(unsigned long long)count, UINT32_MAX);
	uint8_t header[TREE_HEADER_SIZE];
	memcpy(header, TREE_MAGIC, TREE_MAGIC_SIZE);
	memcpy(header + TREE_OFF_SEGMENT, segment->bytes, DIGEST_SIZE);
	put_le64(header + TREE_OFF_SEGMENT_SIZE, segment_size);
	put_le64(header + TREE_OFF_BODY_SIZE, writer->body.len);
	put_le32(header + TREE_OFF_DIRECTORIES, (uint32_t)writer->directory_count);
	put_le32(header + TREE_OFF_FILES, (uint32_t)writer->file_count);
	put_le32(header + TREE_OFF_SYMLINKS, (uint32_t)writer->symlink_count);
	put_le32(header + TREE_OFF_FRAGMENTS,
		(uint32_t)(writer->fragments.len / TREE_FRAGMENT_SIZE));
	if (buf_put(out, header, sizeof(header), err) < 0)
		return -1;
	if (buf_put(out, writer->fragments.data, writer->fragments.len, err) < 0)
		return -1;
	return buf_put(out, writer->body.data, writer->body.len, err);
}
