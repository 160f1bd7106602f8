/* SPDX-License-Identifier: MIT */
/* The few calls of SQLite that everybody makes, with errors of our kind. */
#include "source/query.h"

#include <stdarg.h>
#include <stdio.h>

void query_db_close_ptr(sqlite3 **db)
{
	(void)sqlite3_close(*db); /* NULL is fine; statements are finalised before */
	*db = NULL;
}

void query_finalize_ptr(sqlite3_stmt **stmt)
{
	(void)sqlite3_finalize(*stmt); /* repeats the failure of the last step */
	*stmt = NULL;
}

static enum err_kind kind_of_code(int code)
{
	switch (code & 0xff) {
	case SQLITE_ERROR: /* "no such table", "no such column" */
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_MISMATCH:
		return ERR_CORRUPT;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERR_AGAIN;
	case SQLITE_NOMEM:
		return ERR_NOMEM;
	case SQLITE_FULL:
	case SQLITE_TOOBIG:
		return ERR_LIMIT;
	default:
		return ERR_IO;
	}
}

int query_raise(sqlite3 *db, struct err *err, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	enum err_kind kind = db != NULL ? kind_of_code(sqlite3_errcode(db)) : ERR_NOMEM;
	return err_raise(
		err, kind, "%s: %s", text, db != NULL ? sqlite3_errmsg(db) : "out of memory");
}

int query_prepare(
	sqlite3 *db, const char *what, const char *sql, sqlite3_stmt **ret, struct err *err)
{
	if (sqlite3_prepare_v2(db, sql, -1, ret, NULL) != SQLITE_OK)
		return query_raise(db, err, "cannot read '%s'", what);
	return 0;
}

int query_step(sqlite3 *db, const char *what, sqlite3_stmt *stmt, struct err *err)
{
	int code = sqlite3_step(stmt);
	if (code == SQLITE_ROW)
		return 1;
	return code == SQLITE_DONE ? 0 : query_raise(db, err, "cannot read '%s'", what);
}
