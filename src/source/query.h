/* SPDX-License-Identifier: MIT */
#ifndef SOURCE_QUERY_H
#define SOURCE_QUERY_H

/* SQLite with our errors: statements as owned locals and failures with a kind and a cause. */

#include "base/err.h"
#include "base/mem.h"

#include <sqlite3.h>

void query_db_close_ptr(sqlite3 **db);
void query_finalize_ptr(sqlite3_stmt **stmt);

#define AUTO_DB AUTO(query_db_close_ptr) sqlite3
#define AUTO_STMT AUTO(query_finalize_ptr) sqlite3_stmt

/*
 * Raises SQLite's last failure as "<text>: <cause>": ERR_CORRUPT for a damaged file or a missing
 * table, ERR_AGAIN when it is locked, ERR_NOMEM, else ERR_IO. Returns -1.
 */
int query_raise(sqlite3 *db, struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), cold));

/* Prepares `sql`; `what` names the database in the message. */
int query_prepare(
	sqlite3 *db, const char *what, const char *sql, sqlite3_stmt **ret, struct err *err);
/* 1: a row is there; 0: no more. */
int query_step(sqlite3 *db, const char *what, sqlite3_stmt *stmt, struct err *err);

#endif
