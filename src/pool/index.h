/* SPDX-License-Identifier: MIT */
#ifndef POOL_INDEX_H
#define POOL_INDEX_H

/*
 * The pool's index in SQLite: which object holds what. Losing it loses no data that could not be
 * made again. docs/formats/pool.md has the schema.
 */

#include "pool/pool.h"

#include <stdbool.h>

/* "Last used" is kept no finer than this, so that looking up writes nothing most of the time. */
#define POOL_USED_GRAIN_S 3600

struct index;

/* What a parameter set is called in the index: everything that changes a segment's bytes. */
#define INDEX_PARAMS_SIZE 64
void index_params_text(const struct pool_params *params, char out[INDEX_PARAMS_SIZE]);

/*
 * Opens <dir>/index.sqlite. ERR_UNSUPPORTED for a newer schema, ERR_CORRUPT for a damaged file,
 * ERR_NOT_FOUND when it is not there and read_only.
 */
int index_open(const char *dir, bool read_only, struct index **ret, struct err *err);
struct index *index_close(struct index *index); /* NULL is fine; returns NULL */

/* Between these, changes are kept or (after a failure, or without commit) lost together. */
int index_begin(struct index *index, struct err *err);
/* As index_begin(), and the changes are on the disk when index_commit() returns: for rows that must
 * not come back after a power cut, because what they name is removed next. */
int index_begin_durable(struct index *index, struct err *err);
int index_commit(struct index *index, struct err *err);
void index_rollback(struct index *index);

struct index_row {
	struct digest nar_hash;
	uint64_t nar_size; /* bytes */
	struct pool_segment segment;
	int64_t last_used; /* seconds since 1970 */
};

/* 1 and *ret, or 0. `params` as from index_params_text(). */
int index_find(struct index *index, const struct digest *nar_hash, const char *params,
	struct index_row *ret, struct err *err);
int index_put(
	struct index *index, const struct index_row *row, const char *params, struct err *err);
/* Marks as used now. */
int index_touch(
	struct index *index, const struct digest *nar_hash, const char *params, struct err *err);

int index_memo_get(
	struct index *index, const struct digest *key, struct digest *ret, struct err *err);
int index_memo_put(struct index *index, const struct digest *key, const struct digest *object,
	uint64_t size, struct err *err);

/* A row of either table, for verify and gc: what it needs and since when it was not used. */
struct index_ref {
	int64_t rowid;
	bool is_memo;
	int64_t last_used;
	uint64_t nar_size;           /* segments */
	struct pool_segment segment; /* segments */
	struct digest object;        /* memos */
};

struct index_refs {
	struct index_ref *items;
	size_t len, cap;
};
#define AUTO_INDEX_REFS AUTO(index_refs_done) struct index_refs
void index_refs_done(struct index_refs *refs);

/* All rows, least recently used first. */
int index_list(struct index *index, struct index_refs *ret, struct err *err);
int index_drop(struct index *index, const struct index_ref *ref, struct err *err);
/* SQLite's own look at the file: ERR_CORRUPT with what it found. */
int index_check(struct index *index, struct err *err);

#endif
