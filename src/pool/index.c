/* SPDX-License-Identifier: MIT */
/*
 * The index. One prepared statement per question, kept; 1,500 look-ups cost a few milliseconds.
 * It knows digests and sizes and never touches an object.
 */
#include "pool/index.h"

#include "base/path.h"
#include "base/vec.h"
#include "tree/tree.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

#define SCHEMA_VERSION 1
#define APPLICATION_ID 0x736e6270 /* "snbp" */
#define BUSY_TIMEOUT_MS 60000

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS segments("
	" id INTEGER PRIMARY KEY, nar_hash BLOB NOT NULL, params TEXT NOT NULL,"
	" nar_size INTEGER NOT NULL, data BLOB NOT NULL, data_size INTEGER NOT NULL,"
	" tree BLOB NOT NULL, tree_size INTEGER NOT NULL, last_used INTEGER NOT NULL,"
	" UNIQUE(nar_hash, params));"
	"CREATE TABLE IF NOT EXISTS memos("
	" id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, object BLOB NOT NULL,"
	" size INTEGER NOT NULL, last_used INTEGER NOT NULL);";

enum statement { FIND, PUT, TOUCH, MEMO_GET, MEMO_PUT, MEMO_TOUCH, STATEMENT_COUNT };

static const char *const statement_sql[STATEMENT_COUNT] = {
	[FIND] = "SELECT nar_size, data, data_size, tree, tree_size, last_used FROM segments"
		 " WHERE nar_hash = ?1 AND params = ?2",
	[PUT] = "INSERT OR REPLACE INTO segments(nar_hash, params, nar_size, data, data_size, tree,"
		" tree_size, last_used) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[TOUCH] = "UPDATE segments SET last_used = ?3 WHERE nar_hash = ?1 AND params = ?2",
	[MEMO_GET] = "SELECT object, last_used FROM memos WHERE key = ?1",
	[MEMO_PUT] = "INSERT OR REPLACE INTO memos(key, object, size, last_used)"
		     " VALUES (?1, ?2, ?3, ?4)",
	[MEMO_TOUCH] = "UPDATE memos SET last_used = ?2 WHERE key = ?1",
};

struct index {
	sqlite3 *db;
	char *path;
	bool read_only;
	sqlite3_stmt *statements[STATEMENT_COUNT];
};

void index_params_text(const struct pool_params *params, char out[INDEX_PARAMS_SIZE])
{
	snprintf(out, INDEX_PARAMS_SIZE, "segment=1 block=%u zstd=%s level=%d", TREE_BLOCK_SIZE,
		ZSTD_versionString(), params->level);
}

static int hint_new_index(const struct index *index, struct err *err)
{
	return err_hint(err, "remove '%s' to begin a new one; the segments are then made again",
		index->path);
}

static int fail(struct index *index, struct err *err)
{
	int code = sqlite3_errcode(index->db) & 0xff;
	enum err_kind kind = code == SQLITE_FULL                  ? ERR_LIMIT
		: code == SQLITE_BUSY || code == SQLITE_LOCKED    ? ERR_AGAIN
		: code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? ERR_CORRUPT
		: code == SQLITE_NOMEM                            ? ERR_NOMEM
								  : ERR_IO;
	/* A disk that is full beneath its log is an I/O error to SQLite like any other. */
	int errnum = code == SQLITE_IOERR ? sqlite3_system_errno(index->db) : 0;
	if (errnum != 0)
		return err_errno(
			err, errnum, "index '%s': %s", index->path, sqlite3_errmsg(index->db));
	err_raise(err, kind, "index '%s': %s", index->path, sqlite3_errmsg(index->db));
	return kind == ERR_CORRUPT ? hint_new_index(index, err) : -1;
}

static int run(struct index *index, const char *sql, struct err *err)
{
	return sqlite3_exec(index->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(index, err);
}

/* The first column of the first row, a number. */
static int ask(struct index *index, const char *sql, int64_t *ret, struct err *err)
{
	sqlite3_stmt *stmt;
	if (sqlite3_prepare_v2(index->db, sql, -1, &stmt, NULL) != SQLITE_OK)
		return fail(index, err);
	/* A look at a column that is not there would hide why. */
	int r = sqlite3_step(stmt) == SQLITE_ROW ? 0 : fail(index, err);
	if (r == 0)
		*ret = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return r;
}

static int create_schema(struct index *index, struct err *err)
{
	char sql[128];
	snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = %d;",
		APPLICATION_ID, SCHEMA_VERSION);
	if (run(index, "PRAGMA journal_mode = WAL", err) < 0 || index_begin(index, err) < 0)
		return -1;
	if (run(index, schema, err) < 0 || run(index, sql, err) < 0) {
		index_rollback(index);
		return -1;
	}
	return index_commit(index, err);
}

/*
 * A read-only file system has no place for the shared memory of WAL. With immutable=1 SQLite does
 * without; that ignores a log that was left behind, so it is the second choice.
 */
static int open_read_only(struct index *index, struct err *err)
{
	static const char *const modes[] = {"mode=ro", "immutable=1"};
	int64_t version;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		AUTO_FREE char *uri = path_printf(err, "file:%s?%s", index->path, modes[i]);
		if (uri == NULL)
			return -1;
		sqlite3_close(index->db);
		index->db = NULL;
		int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI;
		if (sqlite3_open_v2(uri, &index->db, flags, NULL) != SQLITE_OK)
			continue;
		struct err tried = ERR_INIT;
		if (ask(index, "SELECT count(*) FROM sqlite_schema", &version, &tried) == 0)
			return 0;
	}
	return fail(index, err);
}

static int open_db(struct index *index, struct err *err)
{
	if (index->read_only)
		return open_read_only(index, err);
	if (sqlite3_open_v2(index->path, &index->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
		    NULL) != SQLITE_OK)
		return fail(index, err);
	return 0;
}

/* Whoever began to make the pool was killed: it is as if there was none. */
static int no_tables(const struct index *index, struct err *err)
{
	size_t len = (size_t)(path_basename(index->path) - index->path);
	err_raise(err, ERR_NOT_FOUND, "there is no pool at '%.*s'", (int)len - 1, index->path);
	return err_hint(err, "'snowboot pool add' makes one; --pool names another one");
}

static int prepare(struct index *index, struct err *err)
{
	sqlite3_busy_timeout(index->db, BUSY_TIMEOUT_MS);
	int64_t version;
	if (ask(index, "PRAGMA user_version", &version, err) < 0)
		return -1;
	if (version > SCHEMA_VERSION)
		return err_raise(err, ERR_UNSUPPORTED,
			"index '%s' has version %lld, this program knows %d", index->path,
			(long long)version, SCHEMA_VERSION);
	if (version == 0 && index->read_only)
		return no_tables(index, err);
	if (version == 0 && create_schema(index, err) < 0)
		return -1;
	/* In WAL mode NORMAL cannot corrupt; a power cut may lose the last rows, not their objects.
	 */
	if (run(index, "PRAGMA synchronous = NORMAL", err) < 0)
		return -1;
	for (int i = 0; i < STATEMENT_COUNT; i++)
		if (sqlite3_prepare_v3(index->db, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
			    &index->statements[i], NULL) != SQLITE_OK)
			return fail(index, err);
	return 0;
}

int index_open(const char *dir, bool read_only, struct index **ret, struct err *err)
{
	struct index *index = calloc(1, sizeof(*index));
	if (index == NULL)
		return err_oom(err);
	index->read_only = read_only;
	index->path = path_printf(err, "%s/index.sqlite", dir);
	if (index->path == NULL || open_db(index, err) < 0 || prepare(index, err) < 0) {
		index_close(index);
		return -1;
	}
	*ret = index;
	return 0;
}

struct index *index_close(struct index *index)
{
	if (index == NULL)
		return NULL;
	for (int i = 0; i < STATEMENT_COUNT; i++)
		sqlite3_finalize(index->statements[i]);
	sqlite3_close(index->db);
	free(index->path);
	free(index);
	return NULL;
}

int index_begin(struct index *index, struct err *err)
{
	return run(index, "BEGIN IMMEDIATE", err);
}

int index_begin_durable(struct index *index, struct err *err)
{
	return run(index, "PRAGMA synchronous = FULL", err) < 0 ? -1 : index_begin(index, err);
}

int index_commit(struct index *index, struct err *err)
{
	if (run(index, "COMMIT", err) == 0)
		return 0;
	index_rollback(index);
	return -1;
}

void index_rollback(struct index *index)
{
	if (sqlite3_get_autocommit(index->db) == 0)
		(void)sqlite3_exec(index->db, "ROLLBACK", NULL, NULL, NULL);
}

static void bind_digest(sqlite3_stmt *stmt, int i, const struct digest *digest)
{
	sqlite3_bind_blob(stmt, i, digest->bytes, DIGEST_SIZE, SQLITE_STATIC);
}

static int column_digest(
	struct index *index, sqlite3_stmt *stmt, int i, struct digest *ret, struct err *err)
{
	if (sqlite3_column_bytes(stmt, i) != DIGEST_SIZE)
		return err_raise(
			err, ERR_CORRUPT, "index '%s' has a digest of wrong size", index->path);
	memcpy(ret->bytes, sqlite3_column_blob(stmt, i), DIGEST_SIZE);
	return 0;
}

/* Four columns from `first` on: data, data_size, tree, tree_size. */
static int column_segment(struct index *index, sqlite3_stmt *stmt, int first,
	struct pool_segment *ret, struct err *err)
{
	ret->data_size = (uint64_t)sqlite3_column_int64(stmt, first + 1);
	ret->tree_size = (uint64_t)sqlite3_column_int64(stmt, first + 3);
	if (column_digest(index, stmt, first, &ret->data, err) < 0)
		return -1;
	return column_digest(index, stmt, first + 2, &ret->tree, err);
}

/* Runs a statement that gives at most one row: 1 when `stmt` has one, 0. Reset it afterwards. */
static int step(struct index *index, sqlite3_stmt *stmt, struct err *err)
{
	int code = sqlite3_step(stmt);
	if (code == SQLITE_ROW)
		return 1;
	return code == SQLITE_DONE ? 0 : fail(index, err);
}

static int step_and_reset(struct index *index, sqlite3_stmt *stmt, struct err *err)
{
	int r = step(index, stmt, err);
	sqlite3_reset(stmt);
	return r;
}

int index_find(struct index *index, const struct digest *nar_hash, const char *params,
	struct index_row *ret, struct err *err)
{
	sqlite3_stmt *stmt = index->statements[FIND];
	bind_digest(stmt, 1, nar_hash);
	sqlite3_bind_text(stmt, 2, params, -1, SQLITE_STATIC);
	struct index_row row = {.nar_hash = *nar_hash};
	int r = step(index, stmt, err);
	if (r > 0) {
		row.nar_size = (uint64_t)sqlite3_column_int64(stmt, 0);
		row.last_used = sqlite3_column_int64(stmt, 5);
		if (column_segment(index, stmt, 1, &row.segment, err) < 0)
			r = -1;
	}
	sqlite3_reset(stmt);
	if (r > 0)
		*ret = row;
	return r;
}

int index_put(struct index *index, const struct index_row *row, const char *params, struct err *err)
{
	sqlite3_stmt *stmt = index->statements[PUT];
	bind_digest(stmt, 1, &row->nar_hash);
	sqlite3_bind_text(stmt, 2, params, -1, SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 3, (int64_t)row->nar_size);
	bind_digest(stmt, 4, &row->segment.data);
	sqlite3_bind_int64(stmt, 5, (int64_t)row->segment.data_size);
	bind_digest(stmt, 6, &row->segment.tree);
	sqlite3_bind_int64(stmt, 7, (int64_t)row->segment.tree_size);
	sqlite3_bind_int64(stmt, 8, (int64_t)time(NULL));
	return step_and_reset(index, stmt, err);
}

int index_touch(
	struct index *index, const struct digest *nar_hash, const char *params, struct err *err)
{
	sqlite3_stmt *stmt = index->statements[TOUCH];
	bind_digest(stmt, 1, nar_hash);
	sqlite3_bind_text(stmt, 2, params, -1, SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 3, (int64_t)time(NULL));
	return step_and_reset(index, stmt, err);
}

int index_memo_get(
	struct index *index, const struct digest *key, struct digest *ret, struct err *err)
{
	sqlite3_stmt *stmt = index->statements[MEMO_GET];
	bind_digest(stmt, 1, key);
	struct digest object;
	int64_t last_used = 0;
	int r = step(index, stmt, err);
	if (r > 0) {
		last_used = sqlite3_column_int64(stmt, 1);
		if (column_digest(index, stmt, 0, &object, err) < 0)
			r = -1;
	}
	sqlite3_reset(stmt);
	if (r <= 0)
		return r;
	*ret = object;
	if (index->read_only || last_used > (int64_t)time(NULL) - POOL_USED_GRAIN_S)
		return 1;
	/* Not to know when it was used last is no reason to fail. */
	stmt = index->statements[MEMO_TOUCH];
	bind_digest(stmt, 1, key);
	sqlite3_bind_int64(stmt, 2, (int64_t)time(NULL));
	struct err tolerated = ERR_INIT;
	(void)step_and_reset(index, stmt, &tolerated);
	return 1;
}

int index_memo_put(struct index *index, const struct digest *key, const struct digest *object,
	uint64_t size, struct err *err)
{
	sqlite3_stmt *stmt = index->statements[MEMO_PUT];
	bind_digest(stmt, 1, key);
	bind_digest(stmt, 2, object);
	sqlite3_bind_int64(stmt, 3, (int64_t)size);
	sqlite3_bind_int64(stmt, 4, (int64_t)time(NULL));
	return step_and_reset(index, stmt, err);
}

void index_refs_done(struct index_refs *refs)
{
	vec_done(refs);
}

static int list_row(
	struct index *index, sqlite3_stmt *stmt, struct index_refs *refs, struct err *err)
{
	struct index_ref ref = {
		.rowid = sqlite3_column_int64(stmt, 0),
		.is_memo = sqlite3_column_int(stmt, 1) != 0,
		.last_used = sqlite3_column_int64(stmt, 2),
		.nar_size = (uint64_t)sqlite3_column_int64(stmt, 3),
	};
	int r = ref.is_memo ? column_digest(index, stmt, 4, &ref.object, err)
			    : column_segment(index, stmt, 4, &ref.segment, err);
	return r < 0 ? -1 : vec_push(refs, ref, err);
}

int index_list(struct index *index, struct index_refs *ret, struct err *err)
{
	static const char sql[] =
		"SELECT id, 0, last_used, nar_size, data, data_size, tree, tree_size FROM segments"
		" UNION ALL SELECT id, 1, last_used, 0, object, size, NULL, 0 FROM memos"
		" ORDER BY 3, 2, 1";
	sqlite3_stmt *stmt;
	if (sqlite3_prepare_v2(index->db, sql, -1, &stmt, NULL) != SQLITE_OK)
		return fail(index, err);
	AUTO_INDEX_REFS refs = {0};
	int r;
	while ((r = step(index, stmt, err)) > 0)
		if ((r = list_row(index, stmt, &refs, err)) < 0)
			break;
	sqlite3_finalize(stmt);
	if (r < 0)
		return -1;
	*ret = refs;
	refs = (struct index_refs){0};
	return 0;
}

int index_drop(struct index *index, const struct index_ref *ref, struct err *err)
{
	char sql[96];
	snprintf(sql, sizeof(sql), "DELETE FROM %s WHERE id = %lld",
		ref->is_memo ? "memos" : "segments", (long long)ref->rowid);
	return run(index, sql, err);
}

int index_check(struct index *index, struct err *err)
{
	sqlite3_stmt *stmt;
	if (sqlite3_prepare_v2(index->db, "PRAGMA integrity_check(1)", -1, &stmt, NULL) !=
		SQLITE_OK)
		return fail(index, err);
	int r = step(index, stmt, err);
	const char *text = r > 0 ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
	if (text != NULL && strcmp(text, "ok") != 0) {
		err_raise(err, ERR_CORRUPT, "index '%s': %s", index->path, text);
		r = hint_new_index(index, err);
	}
	sqlite3_finalize(stmt);
	return r < 0 ? -1 : 0;
}
