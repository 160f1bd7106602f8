/* SPDX-License-Identifier: MIT */
/*
 * A Nix database made from nothing, in memory, so that no file has to be written and no journal
 * cleaned up. The statements of the schema are Nix's own (src/libstore/schema.sql and, for
 * IndexReferrer, local-store.cc), to the letter, so that a later Nix finds what it would have made.
 *
 * What a booted system did not do itself is not claimed: nothing is `ultimate`, and the time of
 * registration is 1, as the times of all files in the store are.
 */
#include "source/database.h"

#include "base/path.h"
#include "source/query.h"

#include <string.h>

static const char schema_sql[] =
	"pragma page_size = 4096; pragma auto_vacuum = none; pragma encoding = 'UTF-8';"
	"begin;"
	"create table ValidPaths (\n"
	"    id               integer primary key autoincrement not null,\n"
	"    path             text unique not null,\n"
	"    hash             text not null,\n"
	"    registrationTime integer not null,\n"
	"    deriver          text,\n"
	"    narSize          integer,\n"
	"    ultimate         integer, -- null implies \"false\"\n"
	"    sigs             text, -- space-separated\n"
	"    ca               text -- if not null, an assertion that the path is "
	"content-addressed; see ValidPathInfo\n"
	");"
	"create table Refs (\n"
	"    referrer  integer not null,\n"
	"    reference integer not null,\n"
	"    primary key (referrer, reference),\n"
	"    foreign key (referrer) references ValidPaths(id) on delete cascade,\n"
	"    foreign key (reference) references ValidPaths(id) on delete restrict\n"
	");"
	"create index IndexReferrer on Refs(referrer);"
	"create index IndexReference on Refs(reference);"
	"create trigger DeleteSelfRefs before delete on ValidPaths\n"
	"  begin\n"
	"    delete from Refs where referrer = old.id and reference = old.id;\n"
	"  end;"
	"create table DerivationOutputs (\n"
	"    drv  integer not null,\n"
	"    id   text not null, -- symbolic output id, usually \"out\"\n"
	"    path text not null,\n"
	"    primary key (drv, id),\n"
	"    foreign key (drv) references ValidPaths(id) on delete cascade\n"
	");"
	"create index IndexDerivationOutputs on DerivationOutputs(path);";

static const char what[] = "new Nix database";

static int run(sqlite3 *db, const char *sql, struct err *err)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return query_raise(db, err, "cannot make the Nix database");
	return 0;
}

static int bind_text(sqlite3_stmt *stmt, int i, const char *text)
{
	return sqlite3_bind_text(stmt, i, text, -1, SQLITE_STATIC); /* NULL binds null */
}

/* Executes an insert whose values are bound, and makes it ready for the next ones. */
static int insert(sqlite3 *db, sqlite3_stmt *stmt, struct err *err)
{
	if (query_step(db, what, stmt, err) < 0)
		return -1;
	return sqlite3_reset(stmt) == SQLITE_OK ? 0
						: query_raise(db, err, "cannot write '%s'", what);
}

static int put_path(
	sqlite3 *db, sqlite3_stmt *stmt, const struct path_info *info, size_t id, struct err *err)
{
	char hex[DIGEST_HEX_SIZE];
	AUTO_FREE char *hash = path_printf(err, "sha256:%s", digest_hex(&info->nar_hash, hex));
	if (hash == NULL)
		return -1;
	if (sqlite3_bind_int64(stmt, 1, (sqlite3_int64)id) != SQLITE_OK ||
		bind_text(stmt, 2, info->path) != SQLITE_OK ||
		bind_text(stmt, 3, hash) != SQLITE_OK ||
		bind_text(stmt, 4, info->deriver) != SQLITE_OK ||
		sqlite3_bind_int64(stmt, 5, (sqlite3_int64)info->nar_size) != SQLITE_OK ||
		bind_text(stmt, 6, info->sigs) != SQLITE_OK ||
		bind_text(stmt, 7, info->ca) != SQLITE_OK)
		return query_raise(db, err, "cannot write '%s'", info->path);
	return insert(db, stmt, err);
}

static int put_paths(sqlite3 *db, const struct closure *closure, struct err *err)
{
	AUTO_STMT *stmt = NULL;
	if (query_prepare(db, what,
		    "insert into ValidPaths (id, path, hash, registrationTime, deriver, narSize, "
		    "sigs, ca) values (?1, ?2, ?3, 1, ?4, ?5, ?6, ?7)",
		    &stmt, err) < 0)
		return -1;
	for (size_t i = 0; i < closure->len; i++)
		if (put_path(db, stmt, &closure->items[i], i + 1, err) < 0)
			return -1;
	return 0;
}

static int put_refs(sqlite3 *db, const struct closure *closure, struct err *err)
{
	AUTO_STMT *stmt = NULL;
	if (query_prepare(db, what, "insert into Refs (referrer, reference) values (?1, ?2)", &stmt,
		    err) < 0)
		return -1;
	for (size_t i = 0; i < closure->len; i++) {
		const struct path_info *info = &closure->items[i];
		for (size_t r = 0; r < info->ref_count; r++) {
			sqlite3_int64 reference = (sqlite3_int64)info->refs[r] + 1;
			if (sqlite3_bind_int64(stmt, 1, (sqlite3_int64)i + 1) != SQLITE_OK ||
				sqlite3_bind_int64(stmt, 2, reference) != SQLITE_OK)
				return query_raise(db, err, "cannot write '%s'", info->path);
			if (insert(db, stmt, err) < 0)
				return -1;
		}
	}
	return 0;
}

static int serialize(sqlite3 *db, struct buf *out, struct err *err)
{
	sqlite3_int64 size = 0;
	unsigned char *data = sqlite3_serialize(db, "main", &size, 0);
	if (data == NULL)
		return err_oom(err);
	int r = buf_put(out, data, (size_t)size, err);
	sqlite3_free(data);
	return r;
}

int database_build(const struct closure *closure, struct buf *out, struct err *err)
{
	AUTO_DB *db = NULL;
	if (sqlite3_open_v2(":memory:", &db,
		    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
		    NULL) != SQLITE_OK)
		return query_raise(db, err, "cannot make the Nix database");
	if (run(db, schema_sql, err) < 0 || put_paths(db, closure, err) < 0 ||
		put_refs(db, closure, err) < 0 || run(db, "commit", err) < 0)
		return -1;
	return serialize(db, out, err);
}
