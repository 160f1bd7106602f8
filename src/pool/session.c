/* SPDX-License-Identifier: MIT */
/*
 * Who is in the pool. A lock, not an age, tells the dead from the living: flock() belongs to the
 * open file, so the kernel releases it however a process ends. A session is created and swept under
 * the pool's own lock, so nobody sees one half-made.
 */
#include "pool/session.h"

#include "base/fd.h"
#include "base/hex.h"
#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

void session_init(struct session *session, int pool_fd, const char *pool_dir)
{
	*session = (struct session){
		.pool_fd = pool_fd, .pool_dir = pool_dir, .fd = -1, .lock_fd = -1, .pins_fd = -1};
}

int session_lock(const struct session *session, enum session_lock how, int *ret_fd, struct err *err)
{
	AUTO_FD int fd = openat(session->pool_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0) {
		err_sys(err, "cannot open '%s/lock'", session->pool_dir);
		return err_hint(err, "the pool must be writable; --pool names another one");
	}
	int op = how == SESSION_LOCK_SHARED ? LOCK_SH : LOCK_EX;
	if (how == SESSION_LOCK_TRY)
		op |= LOCK_NB;
	while (flock(fd, op) < 0) {
		if (errno == EWOULDBLOCK && how == SESSION_LOCK_TRY)
			return 0;
		if (errno != EINTR)
			return err_sys(err, "cannot lock '%s/lock'", session->pool_dir);
	}
	*ret_fd = TAKE_FD(fd);
	return how == SESSION_LOCK_TRY ? 1 : 0;
}

/* Removes a directory and all that is in it; what cannot be removed now is left for the next sweep.
 */
static void remove_tree(int parent, const char *dir)
{
	AUTO_DIR *entries = fd_opendir(parent, dir);
	if (entries == NULL)
		return;
	struct dirent *entry;
	while ((entry = readdir(entries)) != NULL) {
		const char *name = entry->d_name;
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		if (unlinkat(dirfd(entries), name, 0) < 0 && (errno == EISDIR || errno == EPERM))
			remove_tree(dirfd(entries), name);
	}
	(void)unlinkat(parent, dir, AT_REMOVEDIR);
}

void session_done(struct session *session)
{
	if (session->dir != NULL)
		remove_tree(session->pool_fd, session->dir);
	fd_close_ptr(&session->pins_fd);
	fd_close_ptr(&session->fd);
	fd_close_ptr(&session->lock_fd);
	free(TAKE_PTR(session->dir));
}

/* Makes the directory and takes its lock; the caller holds the pool's. */
static int create(struct session *session, const char *dir, struct err *err)
{
	if (mkdirat(session->pool_fd, dir, 0777) < 0)
		return err_sys(err, "cannot create directory '%s/%s'", session->pool_dir, dir);
	if (fd_open(session->pool_fd, dir, O_RDONLY | O_DIRECTORY, &session->fd, err) < 0)
		return -1;
	int flags = O_RDWR | O_CREAT | O_EXCL;
	if (fd_open(session->fd, "lock", flags, &session->lock_fd, err) < 0 ||
		fd_open(session->fd, "pins", flags | O_APPEND, &session->pins_fd, err) < 0)
		return err_prefix(err, "pool '%s'", session->pool_dir);
	if (flock(session->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return err_sys(err, "cannot lock '%s/%s/lock'", session->pool_dir, dir);
	return 0;
}

int session_begin(struct session *session, struct err *err)
{
	if (session->dir != NULL)
		return 0;
	uint8_t id[8];
	char hex[2 * sizeof(id) + 1];
	if (getrandom(id, sizeof(id), 0) != (ssize_t)sizeof(id))
		return err_sys(err, "cannot get random bytes");
	hex_encode(id, sizeof(id), hex);
	AUTO_FD int lock = -1;
	if (session_lock(session, SESSION_LOCK_SHARED, &lock, err) < 0)
		return -1;
	session->dir = path_printf(err, "sessions/%s", hex);
	if (session->dir == NULL)
		return -1;
	if (create(session, session->dir, err) < 0) {
		session_done(session);
		return -1;
	}
	return 0;
}

int session_temp(struct session *session, char **ret_name, int *ret_fd, struct err *err)
{
	unsigned number = __atomic_fetch_add(&session->next, 1, __ATOMIC_RELAXED);
	AUTO_FREE char *name = path_printf(err, "%s/%u", session->dir, number);
	if (name == NULL)
		return -1;
	int fd = openat(session->pool_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (fd < 0)
		return err_sys(err, "cannot create a file in '%s/sessions'", session->pool_dir);
	*ret_fd = fd;
	*ret_name = TAKE_PTR(name);
	return 0;
}

int session_scratch(struct session *session, char **ret_name, struct err *err)
{
	unsigned number = __atomic_fetch_add(&session->next, 1, __ATOMIC_RELAXED);
	AUTO_FREE char *name = path_printf(err, "%s/%u", session->dir, number);
	if (name == NULL)
		return -1;
	if (mkdirat(session->pool_fd, name, 0755) < 0)
		return err_sys(err, "cannot create directory '%s/%s'", session->pool_dir, name);
	*ret_name = TAKE_PTR(name);
	return 0;
}

void session_remove(const struct session *session, const char *number)
{
	AUTO_FD int fd = openat(session->pool_fd, session->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		remove_tree(fd, number); /* what stays goes with the session */
}

int session_pin(
	struct session *session, const struct digest *objects, size_t count, struct err *err)
{
	AUTO_FREE char *what = path_printf(err, "%s/%s/pins", session->pool_dir, session->dir);
	if (what == NULL)
		return -1;
	return fd_write_full(session->pins_fd, objects, count * sizeof(*objects), what, err);
}

void digest_list_done(struct digest_list *list)
{
	vec_done(list);
}

static int compare(const void *a, const void *b)
{
	return digest_compare(a, b);
}

void digest_list_sort(struct digest_list *list)
{
	if (list->len > 0)
		qsort(list->items, list->len, sizeof(*list->items), compare);
}

bool digest_list_has(const struct digest_list *list, const struct digest *digest)
{
	return list->len > 0 &&
		bsearch(digest, list->items, list->len, sizeof(*list->items), compare) != NULL;
}

/* True when no process holds the session's lock. */
static bool is_dead(int dir)
{
	AUTO_FD int fd = openat(dir, "lock", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT;
	return flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static int read_pins(int dir, const char *name, struct digest_list *pins, struct err *err)
{
	AUTO_BUF bytes = {0};
	struct err tried = ERR_INIT;
	if (fd_read_file(dir, "pins", SIZE_MAX / 2, &bytes, &tried) < 0) {
		/* Its process is leaving at this moment, and removes them without the pool's lock.
		 */
		if (tried.kind == ERR_NOT_FOUND)
			return 0;
		*err = tried;
		return err_prefix(err, "pins of session '%s'", name);
	}
	/* A process that died while it wrote its last pin never returned from pool_pin(). */
	for (size_t at = 0; at + DIGEST_SIZE <= bytes.len; at += DIGEST_SIZE) {
		struct digest pin;
		memcpy(pin.bytes, bytes.data + at, DIGEST_SIZE);
		if (vec_push(pins, pin, err) < 0)
			return -1;
	}
	return 0;
}

static int sweep_one(
	const struct session *session, const char *name, struct digest_list *pins, struct err *err)
{
	AUTO_FREE char *dir = path_printf(err, "sessions/%s", name);
	if (dir == NULL)
		return -1;
	AUTO_FD int fd = openat(session->pool_fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0; /* its process has just left */
	if (fd < 0)
		return err_sys(err, "cannot open '%s/%s'", session->pool_dir, dir);
	bool own = session->dir != NULL && strcmp(session->dir, dir) == 0;
	if (own || !is_dead(fd))
		return read_pins(fd, name, pins, err);
	remove_tree(session->pool_fd, dir);
	return 0;
}

int session_sweep(const struct session *session, struct digest_list *pins, struct err *err)
{
	AUTO_DIR *dir = fd_opendir(session->pool_fd, "sessions");
	if (dir == NULL)
		return err_sys(err, "cannot open '%s/sessions'", session->pool_dir);
	struct dirent *entry;
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		if (sweep_one(session, entry->d_name, pins, err) < 0)
			return -1;
	}
	return 0;
}
