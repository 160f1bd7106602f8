/* SPDX-License-Identifier: MIT */
/*
 * Rows of the Nix database (schema 10; Nix, src/libstore/schema.sql) into a closure. One recursive
 * query finds and reads all paths, a small one per path its references, and every field that others
 * rely on is checked here.
 */
#include "base/vec.h"
#include "nix/store_path.h"
#include "source/parts.h"

#include <string.h>

/* The ids of a closure. UNION drops what was seen, so self-references and diamonds end. */
#define CLOSURE_IDS \
	"with recursive closure(id) as (" \
	"select id from ValidPaths where path = ?1 " \
	"union select Refs.reference from Refs join closure on Refs.referrer = closure.id) "

struct loader {
	sqlite3 *db;
	const struct store *store;
	struct closure closure;
	VEC(int64_t) ids; /* row of each item, ascending */
	size_t cap;       /* of closure.items */
};

static void loader_done(struct loader *l)
{
	closure_done(&l->closure);
	vec_done(&l->ids);
}

/* Columns of the first query. */
enum column { ID, PATH, HASH, TIME, DERIVER, SIZE, ULTIMATE, SIGS, CA };

/* A column as a string that the caller owns; NULL in *ret when it is null or empty. */
static int copy_text(sqlite3_stmt *row, enum column column, char **ret, struct err *err)
{
	const char *text = (const char *)sqlite3_column_text(row, (int)column);
	if (text == NULL || text[0] == '\0')
		return 0;
	if (strlen(text) != (size_t)sqlite3_column_bytes(row, (int)column))
		return err_raise(err, ERR_CORRUPT, "row %lld of the Nix database contains a NUL",
			(long long)sqlite3_column_int64(row, ID));
	*ret = strdup(text);
	return *ret != NULL ? 0 : err_oom(err);
}

static int read_hash(sqlite3_stmt *row, struct path_info *info, struct err *err)
{
	static const char prefix[] = "sha256:";
	const char *text = (const char *)sqlite3_column_text(row, HASH);
	size_t len = text != NULL ? strlen(text) : 0, skip = sizeof(prefix) - 1;
	if (len > skip && strncmp(text, prefix, skip) == 0 &&
		digest_from_hex(text + skip, len - skip, &info->nar_hash))
		return 0;
	return err_raise(err, ERR_CORRUPT,
		"the Nix database has the hash '%s' for '%s', not 'sha256:' and 64 hexadecimal "
		"digits",
		text != NULL ? text : "", info->path);
}

static int read_number(sqlite3_stmt *row, enum column column, const char *name,
	const struct path_info *info, uint64_t *ret, struct err *err)
{
	sqlite3_int64 v = sqlite3_column_int64(row, (int)column);
	if (sqlite3_column_type(row, (int)column) != SQLITE_INTEGER || v < 0)
		return err_raise(err, ERR_CORRUPT,
			"the Nix database has the %s '%s' for '%s', not a number", name,
			(const char *)sqlite3_column_text(row, (int)column) ?: "", info->path);
	*ret = (uint64_t)v;
	return 0;
}

static int read_path_info(
	const struct loader *l, sqlite3_stmt *row, struct path_info *info, struct err *err)
{
	if (copy_text(row, PATH, &info->path, err) < 0)
		return -1;
	if (store_path_check(info->path ?: "", l->store->dir, err) < 0)
		return err_prefix(err, "row %lld of the Nix database",
			(long long)sqlite3_column_int64(row, ID));
	if (copy_text(row, DERIVER, &info->deriver, err) < 0 ||
		copy_text(row, SIGS, &info->sigs, err) < 0 ||
		copy_text(row, CA, &info->ca, err) < 0)
		return err_prefix(err, "'%s'", info->path);
	if (info->deriver != NULL && store_path_check(info->deriver, l->store->dir, err) < 0)
		return err_prefix(err, "deriver of '%s' in the Nix database", info->path);
	info->ultimate = sqlite3_column_int64(row, ULTIMATE) == 1;
	if (read_hash(row, info, err) < 0 ||
		read_number(row, SIZE, "size", info, &info->nar_size, err) < 0)
		return -1;
	return read_number(row, TIME, "registration time", info, &info->registration_time, err);
}

/* Appends the row, which the closure then owns whatever its state. */
static int read_row(struct loader *l, sqlite3_stmt *row, struct err *err)
{
	struct closure *c = &l->closure;
	if (c->len == l->cap &&
		vec_grow((void **)&c->items, &l->cap, c->len, sizeof(*c->items), err) < 0)
		return -1;
	if (vec_push(&l->ids, sqlite3_column_int64(row, ID), err) < 0)
		return -1;
	struct path_info *info = &c->items[c->len++];
	*info = (struct path_info){0};
	return read_path_info(l, row, info, err);
}

static int load_paths(struct loader *l, const char *path, struct err *err)
{
	static const char sql[] = CLOSURE_IDS
		"select v.id, path, hash, registrationTime, deriver, narSize, ultimate, sigs, ca "
		"from closure join ValidPaths v on v.id = closure.id order by v.id";
	AUTO_STMT *stmt = NULL;
	int more;
	if (query_prepare(l->db, l->store->db_path, sql, &stmt, err) < 0)
		return -1;
	if (sqlite3_bind_text(stmt, 1, path, -1, SQLITE_STATIC) != SQLITE_OK)
		return query_raise(l->db, err, "cannot read '%s'", l->store->db_path);
	while ((more = query_step(l->db, l->store->db_path, stmt, err)) == 1)
		if (read_row(l, stmt, err) < 0)
			return -1;
	if (more < 0)
		return -1;
	if (l->closure.len > 0)
		return 0;
	err_raise(err, ERR_NOT_FOUND, "not registered in the Nix database '%s'", l->store->db_path);
	return err_hint(err, "'nix-store --realise %s' builds or downloads it", path);
}

static int compare_ids(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

/* The item with that row, or SIZE_MAX. */
static size_t find_item(const struct loader *l, int64_t id)
{
	const int64_t *at = l->ids.len > 0
		? bsearch(&id, l->ids.items, l->ids.len, sizeof(id), compare_ids)
		: NULL;
	return at != NULL ? (size_t)(at - l->ids.items) : SIZE_MAX;
}

/* Appends a reference to an item's list, whose room is *cap. */
static int add_ref(
	struct loader *l, struct path_info *info, int64_t reference, size_t *cap, struct err *err)
{
	size_t item = find_item(l, reference);
	if (item == SIZE_MAX)
		return err_raise(err, ERR_NOT_FOUND,
			"'%s' refers to row %lld of the Nix database, which is missing", info->path,
			(long long)reference);
	if (info->ref_count == *cap &&
		vec_grow((void **)&info->refs, cap, info->ref_count, sizeof(size_t), err) < 0)
		return -1;
	info->refs[info->ref_count++] = item;
	return 0;
}

static int load_refs_of(struct loader *l, sqlite3_stmt *stmt, size_t item, struct err *err)
{
	size_t cap = 0;
	int more;
	if (sqlite3_bind_int64(stmt, 1, l->ids.items[item]) != SQLITE_OK)
		return query_raise(l->db, err, "cannot read '%s'", l->store->db_path);
	while ((more = query_step(l->db, l->store->db_path, stmt, err)) == 1)
		if (add_ref(l, &l->closure.items[item], sqlite3_column_int64(stmt, 0), &cap, err) <
			0)
			return -1;
	(void)sqlite3_reset(stmt); /* repeats the result of the last step */
	return more;
}

/* One small query per path is half the time of a join with the recursive query. */
static int load_refs(struct loader *l, struct err *err)
{
	static const char sql[] = "select reference from Refs where referrer = ?1";
	AUTO_STMT *stmt = NULL;
	if (query_prepare(l->db, l->store->db_path, sql, &stmt, err) < 0)
		return -1;
	for (size_t i = 0; i < l->closure.len; i++)
		if (load_refs_of(l, stmt, i, err) < 0)
			return -1;
	return 0;
}

static int load(struct loader *l, const char *path, struct err *err)
{
	const struct store *store = l->store;
	if ((l->closure.store_dir = strdup(store->dir)) == NULL ||
		(l->closure.real_dir = strdup(store->real_dir)) == NULL)
		return err_oom(err);
	/* Both queries see one state of the database. */
	if (sqlite3_exec(l->db, "begin", NULL, NULL, NULL) != SQLITE_OK)
		return query_raise(l->db, err, "cannot read '%s'", store->db_path);
	if (load_paths(l, path, err) < 0 || load_refs(l, err) < 0)
		return -1;
	return closure_sort(&l->closure, err);
}

int closure_load(sqlite3 *db, const struct store *store, const char *path, struct closure *ret,
	struct err *err)
{
	AUTO(loader_done) struct loader l = {.db = db, .store = store};
	if (load(&l, path, err) < 0)
		return -1;
	*ret = l.closure;
	l.closure = (struct closure){0};
	return 0;
}
