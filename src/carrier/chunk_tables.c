/* SPDX-License-Identifier: MIT */
/*
 * Makes chunk tables. Every segment is read and hashed once in its life, by several threads; the
 * segment's own name is checked on the way, since a table made of damaged bytes would vouch for
 * them. What nodes are told of a table is its blob, which costs nothing beside that.
 */
#include "carrier/chunk_tables.h"

#include "base/bytes.h"
#include "base/fd.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

/* Changes when the same segment and tree give another table. */
#define MAKER "snowboot chunk table 1"

/* A block in a segment. */
struct span {
	uint64_t off;
	uint32_t len;
};

struct spans {
	struct span *items;
	size_t len, cap;
};

static void spans_done(struct spans *spans)
{
	vec_done(spans);
}

static int add_block(struct spans *spans, uint64_t off, uint32_t word, struct err *err)
{
	uint32_t len = word & ~TREE_BLOCK_RAW;
	return len > 0 ? vec_push(spans, ((struct span){off, len}), err) : 0;
}

static int add_file(struct spans *spans, const struct tree_entry *entry, struct err *err)
{
	uint64_t off = entry->start;
	for (uint32_t i = 0; i < entry->block_count; i++) {
		uint32_t word = get_le32(entry->blocks + (size_t)i * 4);
		if (add_block(spans, off, word, err) < 0)
			return -1;
		off += word & ~TREE_BLOCK_RAW;
	}
	return 0;
}

static int add_entry(struct tree_cursor *cursor, struct spans *spans, struct err *err)
{
	struct tree_entry entry;
	if (tree_next_entry(cursor, &entry, err) < 0)
		return -1;
	bool is_file = entry.type == TREE_FILE || entry.type == TREE_EXECUTABLE;
	return is_file ? add_file(spans, &entry, err) : 0;
}

static int compare_spans(const void *a, const void *b)
{
	const struct span *x = a, *y = b;
	return x->off < y->off ? -1 : x->off > y->off;
}

/* Every block and fragment, in the order of their places; files that are equal share theirs. */
static int collect(const struct tree *tree, struct spans *spans, struct err *err)
{
	for (uint32_t i = 0; i < tree->fragment_count; i++)
		if (add_block(spans, tree_fragment_start(tree, i), tree_fragment_size(tree, i),
			    err) < 0)
			return -1;
	struct tree_cursor cursor;
	uint32_t entries;
	int r;
	tree_cursor_init(&cursor, tree);
	while ((r = tree_next_directory(&cursor, &entries, err)) > 0)
		for (uint32_t i = 0; i < entries; i++)
			if (add_entry(&cursor, spans, err) < 0)
				return -1;
	if (r < 0 || add_entry(&cursor, spans, err) < 0)
		return -1;
	if (spans->len > 1)
		qsort(spans->items, spans->len, sizeof(*spans->items), compare_spans);
	return 0;
}

/* Adds the bytes up to `end`, a boundary of blocks, behind the last start. */
static int extend(struct chunk_table *table, uint64_t *reached, uint64_t end, struct err *err)
{
	size_t count = table->starts.len;
	uint64_t begin = *reached;
	*reached = end;
	if (end == begin)
		return 0;
	if (count > 0 && end - table->starts.items[count - 1] <= CHUNK_MERGE)
		return 0;
	/* No block is longer than a piece; what lies between blocks may be. */
	for (; begin < end; begin += PIECE_SIZE)
		if (vec_push(&table->starts, begin, err) < 0)
			return -1;
	return 0;
}

int chunk_table_cut(const struct tree *tree, struct chunk_table *ret, struct err *err)
{
	AUTO(spans_done) struct spans spans = {0};
	AUTO(chunk_table_done)
	struct chunk_table table = {.object = tree->segment, .size = tree->segment_size};
	if (collect(tree, &spans, err) < 0)
		return -1;
	uint64_t reached = 0;
	for (size_t i = 0; i < spans.len; i++) {
		const struct span *span = &spans.items[i];
		uint64_t end = span->off + span->len;
		if (end > table.size || (span->off < reached && end != reached))
			return err_raise(err, ERR_CORRUPT,
				"tree has a block at %ju of %u bytes that does not fit to the "
				"others",
				(uintmax_t)span->off, span->len);
		if (end == reached)
			continue; /* the same block again */
		if (extend(&table, &reached, span->off, err) < 0 ||
			extend(&table, &reached, end, err) < 0)
			return -1;
	}
	if (extend(&table, &reached, table.size, err) < 0)
		return -1;
	*ret = table;
	table = (struct chunk_table){0};
	return 0;
}

/* What the threads share. */
struct maker {
	struct pool *pool;
	const struct pool_segment *segments;
	const struct pool_trees *trees;
	size_t *todo; /* segments whose tables are not known */
	size_t todo_count;
	struct buf *tables; /* of the todo, encoded */
	struct progress *progress;
	pthread_mutex_t lock; /* of what follows */
	size_t next;
	uint64_t done; /* bytes */
	struct err err;
};

/* Hashes chunk by chunk; `own` is the part of each that its neighbours do not have. */
static int hash_chunks(int fd, struct chunk_table *table, struct err *err)
{
	AUTO_FREE uint8_t *bytes = malloc(CHUNK_MAX);
	if (bytes == NULL)
		return err_oom(err);
	struct sha256_ctx whole;
	sha256_init(&whole);
	for (size_t i = 0; i < table->starts.len; i++) {
		struct digest digest = {0};
		if (vec_push(&table->digests, digest, err) < 0)
			return -1;
		struct chunk chunk = chunk_table_at(table, i);
		size_t len;
		if (fd_pread_full(fd, bytes, chunk.len, chunk.off, "segment", &len, err) < 0)
			return -1;
		if (len < chunk.len)
			return err_raise(err, ERR_CORRUPT, "segment is cut off");
		table->digests.items[i] = digest_of(bytes, chunk.len);
		uint64_t begin = table->starts.items[i];
		uint64_t end = i + 1 < table->starts.len ? table->starts.items[i + 1] : table->size;
		sha256_update(&whole, (size_t)(end - begin), bytes + (begin - chunk.off));
	}
	struct digest found = digest_finish(&whole);
	if (!digest_equal(&found, &table->object))
		return err_raise(err, ERR_CORRUPT, "segment is damaged");
	return 0;
}

static int make_table(struct maker *m, size_t t, struct err *err)
{
	size_t i = m->todo[t];
	AUTO(chunk_table_done) struct chunk_table table = {0};
	AUTO_FREE char *path = pool_object_path(m->pool, &m->segments[i].data, err);
	AUTO_FD int fd = -1;
	if (path == NULL || fd_open(AT_FDCWD, path, O_RDONLY, &fd, err) < 0)
		return -1;
	if (chunk_table_cut(&m->trees->items[i], &table, err) < 0 ||
		hash_chunks(fd, &table, err) < 0) {
		err_hint(err, "'snowboot pool verify --repair' forgets what is damaged");
		return err_prefix(err, "'%s'", path);
	}
	return chunk_table_encode(&table, &m->tables[t], err);
}

static void *run(void *data)
{
	struct maker *m = data;
	pthread_mutex_lock(&m->lock);
	while (err_clean(&m->err) && m->next < m->todo_count) {
		size_t t = m->next++;
		pthread_mutex_unlock(&m->lock);
		struct err err = ERR_INIT;
		int r = make_table(m, t, &err);
		pthread_mutex_lock(&m->lock);
		if (r < 0 && err_clean(&m->err))
			m->err = err;
		m->done += m->segments[m->todo[t]].data_size;
		progress_update(m->progress, m->done, NULL);
	}
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

static int run_all(struct maker *m, unsigned jobs, struct err *err)
{
	uint64_t total = 0;
	for (size_t t = 0; t < m->todo_count; t++)
		total += m->segments[m->todo[t]].data_size;
	if (jobs == 0)
		jobs = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	if (jobs > m->todo_count)
		jobs = (unsigned)m->todo_count;
	AUTO_FREE pthread_t *threads = calloc(jobs, sizeof(*threads));
	if (threads == NULL)
		return err_oom(err);
	progress_begin(m->progress, "hash chunks", total, "bytes");
	unsigned started = 0;
	while (started + 1 < jobs && pthread_create(&threads[started], NULL, run, m) == 0)
		started++;
	run(m);
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	progress_end(m->progress);
	if (err_clean(&m->err))
		return 0;
	*err = m->err;
	return -1;
}

static struct digest key_of(const struct pool_segment *segment)
{
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	sha256_update(&ctx, sizeof(MAKER), (const uint8_t *)MAKER);
	sha256_update(&ctx, DIGEST_SIZE, segment->data.bytes);
	sha256_update(&ctx, DIGEST_SIZE, segment->tree.bytes);
	return digest_finish(&ctx);
}

/* 1 when the table was made before and is there, whole and pinned. */
static int look_up(
	struct pool *pool, const struct pool_segment *segment, struct blob *ret, struct err *err)
{
	struct digest key = key_of(segment), object;
	AUTO_BUF bytes = {0};
	int found = pool_memo_get(pool, &key, &object, err);
	if (found <= 0)
		return found;
	struct err gone = ERR_INIT;
	if (pool_pin(pool, &object, 1, &gone) < 0 || pool_get(pool, &object, &bytes, &gone) < 0)
		return 0;
	return blob_of(bytes.data, bytes.len, ret, err) < 0 ? -1 : 1;
}

/* Stores the new tables together. */
static int keep_all(struct maker *m, struct blob *blobs, struct err *err)
{
	AUTO_FREE struct pool_derived *items = calloc(m->todo_count, sizeof(*items));
	if (items == NULL)
		return err_oom(err);
	for (size_t t = 0; t < m->todo_count; t++) {
		const struct buf *table = &m->tables[t];
		items[t] = (struct pool_derived){.key = key_of(&m->segments[m->todo[t]]),
			.data = table->data,
			.size = table->len};
		if (blob_of(table->data, table->len, &blobs[m->todo[t]], err) < 0)
			return -1;
	}
	return pool_keep(m->pool, items, m->todo_count, err);
}

static int make_missing(struct maker *m, unsigned jobs, struct blob *blobs, struct err *err)
{
	if (m->todo_count == 0)
		return 0;
	m->tables = calloc(m->todo_count, sizeof(*m->tables));
	if (m->tables == NULL)
		return err_oom(err);
	if (run_all(m, jobs, err) < 0)
		return -1;
	return keep_all(m, blobs, err);
}

static void maker_done(struct maker *m)
{
	for (size_t t = 0; m->tables != NULL && t < m->todo_count; t++)
		buf_done(&m->tables[t]);
	free(m->tables);
	free(m->todo);
	pthread_mutex_destroy(&m->lock);
}

void chunk_tables_free(struct blob *blobs, size_t count)
{
	for (size_t i = 0; blobs != NULL && i < count; i++)
		blob_done(&blobs[i]);
	free(blobs);
}

int chunk_tables_get(struct pool *pool, const struct pool_segment *segments,
	const struct pool_trees *trees, unsigned jobs, struct progress *progress,
	struct blob **ret_blobs, struct err *err)
{
	struct maker m = {.pool = pool, .segments = segments, .trees = trees, .progress = progress};
	pthread_mutex_init(&m.lock, NULL);
	struct blob *blobs = calloc(trees->len + 1, sizeof(*blobs));
	m.todo = calloc(trees->len + 1, sizeof(*m.todo));
	int r = blobs != NULL && m.todo != NULL ? 0 : err_oom(err);
	for (size_t i = 0; i < trees->len && r == 0; i++) {
		if (segments[i].data_size == 0)
			continue;
		int found = look_up(pool, &segments[i], &blobs[i], err);
		if (found == 0)
			m.todo[m.todo_count++] = i;
		r = found < 0 ? -1 : 0;
	}
	if (r == 0)
		r = make_missing(&m, jobs, blobs, err);
	maker_done(&m);
	if (r < 0) {
		chunk_tables_free(blobs, trees->len);
		return -1;
	}
	*ret_blobs = blobs;
	return 0;
}
