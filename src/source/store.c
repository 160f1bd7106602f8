/* SPDX-License-Identifier: MIT */
/*
 * A store on the disk: where its parts are, how its database is opened without disturbing anybody,
 * and a snapshot of it for each question. What rows mean is closure.c's, roots are temproots.c's.
 *
 * Nix keeps the database in WAL mode. While some process has it open, `db.sqlite-wal` exists and
 * SQLite's shared-memory protocol gives us a snapshot. While none has, opening it that way would
 * create -wal and -shm files, which a read-only file system or an ordinary user cannot, and which
 * nobody asked for; so the file is then read as immutable. That is true only as long as nobody
 * writes to it, so afterwards we look whether somebody did, and if so ask again.
 */
#include "source/store.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "source/parts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/*
 * A file that was written this recently may be written again within one tick of its mtime: 10 ms at
 * HZ=100, or two seconds on a file system without fractions of a second.
 */
enum { SETTLED_MS = 50, SETTLED_WHOLE_MS = 3000 };

enum { BUSY_TIMEOUT_MS = 10000, ATTEMPTS = 5, RETRY_US = 1000 * 1000 };

static char *db_file(const struct store *store, const char *suffix, struct err *err)
{
	return path_printf(err, "%s/db/db.sqlite%s", store->state_dir, suffix);
}

static int check_schema(const struct store *store, struct err *err)
{
	AUTO_FREE char *path = path_printf(err, "%s/db/schema", store->state_dir);
	AUTO_FREE char *version = NULL;
	if (path == NULL)
		return -1;
	if (fd_read_line_file(AT_FDCWD, path, &version, err) < 0) {
		err_prefix(err, "no Nix store under '%s/nix'", store->root);
		return err->kind == ERR_NOT_FOUND
			? err_hint(err, "name the root of another store with --store")
			: -1;
	}
	if (strcmp(version, "10") == 0)
		return 0;
	return err_raise(err, ERR_UNSUPPORTED,
		"'%s' has version '%s' of the schema, only 10 is known", path, version);
}

static int fill(struct store *store, const char *root, struct err *err)
{
	/* "/" and "" are the same root. */
	size_t len = strlen(root);
	while (len > 0 && root[len - 1] == '/')
		len--;
	if ((store->root = path_printf(err, "%.*s", (int)len, root)) == NULL ||
		(store->dir = path_printf(err, "/nix/store")) == NULL ||
		(store->real_dir = path_printf(err, "%s/nix/store", store->root)) == NULL ||
		(store->state_dir = path_printf(err, "%s/nix/var/nix", store->root)) == NULL ||
		(store->db_path = db_file(store, "", err)) == NULL)
		return -1;
	return check_schema(store, err);
}

int store_open(const char *root, struct store **ret, struct err *err)
{
	struct store *store = calloc(1, sizeof(*store));
	if (store == NULL)
		return err_oom(err);
	temproots_init(&store->temproots);
	if (fill(store, root, err) < 0) {
		store_close(store);
		return -1;
	}
	*ret = store;
	return 0;
}

struct store *store_close(struct store *store)
{
	if (store == NULL)
		return NULL;
	temproots_done(&store->temproots);
	free(store->root);
	free(store->dir);
	free(store->real_dir);
	free(store->state_dir);
	free(store->db_path);
	free(store);
	return NULL;
}

const char *store_dir(const struct store *store)
{
	return store->dir;
}

const char *store_real_dir(const struct store *store)
{
	return store->real_dir;
}

/* Who may not write there goes on without. */
static int tolerate(struct err *tried, struct err *err)
{
	if (tried->sys != EACCES && tried->sys != EPERM && tried->sys != EROFS) {
		*err = *tried;
		return -1;
	}
	log_ignored(tried);
	return 0;
}

int store_prepare_hold(struct store *store, struct err *err)
{
	struct err tried = ERR_INIT;
	return temproots_open(&store->temproots, store->state_dir, &tried) == 0
		? 0
		: tolerate(&tried, err);
}

int store_hold(struct store *store, const char *path, struct err *err)
{
	struct err tried = ERR_INIT;
	return temproots_add(&store->temproots, store->state_dir, path, &tried) == 0
		? 0
		: tolerate(&tried, err);
}

static bool has_bytes(const struct store *store, const char *suffix)
{
	struct err ignored = ERR_INIT;
	AUTO_FREE char *path = db_file(store, suffix, &ignored);
	struct stat st;
	return path != NULL && stat(path, &st) == 0 && st.st_size > 0;
}

/* True when nobody writes: no write-ahead log, no rollback journal, and not written just now. */
static bool is_settled(const struct store *store, const struct stat *st)
{
	struct timespec now;
	if (has_bytes(store, "-wal") || has_bytes(store, "-journal"))
		return false;
	clock_gettime(CLOCK_REALTIME, &now);
	int64_t age_ms = ((int64_t)now.tv_sec - st->st_mtim.tv_sec) * 1000 +
		(now.tv_nsec - st->st_mtim.tv_nsec) / 1000000;
	return age_ms < 0 || age_ms > (st->st_mtim.tv_nsec != 0 ? SETTLED_MS : SETTLED_WHOLE_MS);
}

/* A path in a URI: SQLite wants '?', '#' and '%' escaped. */
static char *db_uri(const struct store *store, bool immutable, struct err *err)
{
	AUTO_BUF uri = {0};
	if (buf_put_str(&uri, "file:", err) < 0)
		return NULL;
	for (const char *p = store->db_path; *p != '\0'; p++) {
		int r = strchr("?#%", *p) != NULL ? buf_printf(&uri, err, "%%%02X", *p)
						  : buf_put(&uri, p, 1, err);
		if (r < 0)
			return NULL;
	}
	if (immutable && buf_put_str(&uri, "?immutable=1", err) < 0)
		return NULL;
	return buf_take_str(&uri, err);
}

static int open_database(const struct store *store, bool immutable, sqlite3 **ret, struct err *err)
{
	AUTO_DB *db = NULL;
	AUTO_FREE char *uri = db_uri(store, immutable, err);
	if (uri == NULL)
		return -1;
	int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX;
	if (sqlite3_open_v2(uri, &db, flags, NULL) != SQLITE_OK)
		return query_raise(db, err, "cannot open '%s'", store->db_path);
	(void)sqlite3_busy_timeout(db, BUSY_TIMEOUT_MS); /* cannot fail on an open database */
	*ret = TAKE_PTR(db);
	return 0;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size &&
		a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* 1 when the answer is good; 0 when somebody wrote meanwhile and *ret was not set. */
static int try_closure(
	struct store *store, const char *path, bool may_retry, struct closure *ret, struct err *err)
{
	struct stat before, after;
	if (stat(store->db_path, &before) < 0)
		return err_sys(err, "cannot open '%s'", store->db_path);
	bool immutable = may_retry && is_settled(store, &before);
	AUTO_DB *db = NULL;
	AUTO_CLOSURE closure = {0};
	struct err tried = ERR_INIT;
	int r = open_database(store, immutable, &db, &tried);
	if (r == 0)
		r = closure_load(db, store, path, &closure, &tried);
	/* A failure, too, may come from reading pages of two ages. */
	if (immutable && (stat(store->db_path, &after) < 0 || !same_file(&before, &after)))
		return 0;
	/* Who may not make the -shm file waits until the database is settled. */
	if (r < 0 && !immutable && may_retry && tried.kind == ERR_IO &&
		access(store->db_path, W_OK) < 0) {
		(void)usleep(RETRY_US); /* cut short or not, we look again */
		return 0;
	}
	if (r < 0) {
		*err = tried;
		return -1;
	}
	*ret = closure;
	closure = (struct closure){0};
	return 1;
}

int store_closure(struct store *store, const char *path, struct closure *ret, struct err *err)
{
	ERR_SCOPE(err, "closure of '%s'", path);
	for (int i = 0; i < ATTEMPTS; i++) {
		int r = try_closure(store, path, i < ATTEMPTS - 1, ret, err);
		if (r != 0)
			return r < 0 ? -1 : 0;
	}
	return err_raise(err, ERR_AGAIN, "'%s' is being replaced", store->db_path);
}
