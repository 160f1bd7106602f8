/* SPDX-License-Identifier: MIT */
/*
 * The client's side of Nix's protocol between processes that use store paths and the collector:
 *
 *   - The collector holds gc.lock exclusively while it runs. Whoever gets it shared knows that none
 *     runs, and that one which starts later will read the temporary roots.
 *   - While a collector runs, a new root is told to it over gc-socket/socket: the path and a
 *     newline; it answers "1". Collectors before Nix 2.6 have no socket and are waited for.
 *   - The roots file is locked exclusively while it is written and shared otherwise: a collector
 *     that gets the exclusive lock takes the owner for dead (writing "d" into it), and those before
 *     Nix 2.5 wait for the shared one.
 */
#include "source/temproots.h"

#include "base/fd.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Patience for a collector that is starting, ending or busy: 10 s in all. */
enum { ATTEMPTS = 200, RETRY_US = 50 * 1000 };

void temproots_init(struct temproots *roots)
{
	*roots = (struct temproots){.fd = -1, .lock_fd = -1};
}

void temproots_done(struct temproots *roots)
{
	if (roots->fd >= 0)
		(void)unlink(roots->file); /* a collector that finds it unlocked removes it too */
	fd_close_ptr(&roots->fd);
	fd_close_ptr(&roots->lock_fd);
	free(TAKE_PTR(roots->file));
}

static int lock(int fd, int how)
{
	int r;
	do
		r = flock(fd, how);
	while (r < 0 && errno == EINTR);
	return r;
}

/* Makes the file, locked exclusively. 1: done; 0: a collector removed it first, try again. */
static int create_file(struct temproots *roots, struct err *err)
{
	AUTO_FD int fd = -1;
	struct stat st;
	fd = open(roots->file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, "cannot create temporary root '%s'", roots->file);
	/* A collector locks what dead processes left for a moment, to remove it. */
	int held = -1;
	for (int i = 0; i < ATTEMPTS && held < 0; i++) {
		held = lock(fd, LOCK_EX | LOCK_NB);
		if (held < 0)
			(void)usleep(RETRY_US); /* cut short or not, we look again */
	}
	if (held < 0)
		return err_raise(err, ERR_AGAIN, "temporary roots '%s' are in use", roots->file);
	if (fstat(fd, &st) < 0)
		return err_sys(err, "cannot lock temporary root '%s'", roots->file);
	if (st.st_nlink == 0)
		return 0;
	/* What is in it was left behind by a dead process that had our number. */
	if (ftruncate(fd, 0) < 0)
		return err_sys(err, "cannot write '%s'", roots->file);
	roots->fd = TAKE_FD(fd);
	return 1;
}

int temproots_open(struct temproots *roots, const char *state_dir, struct err *err)
{
	if (roots->fd >= 0)
		return 0;
	AUTO_FREE char *dir = path_printf(err, "%s/temproots", state_dir);
	AUTO_FREE char *lock_file = path_printf(err, "%s/gc.lock", state_dir);
	if (dir == NULL || lock_file == NULL || path_mkdirs(dir, err) < 0)
		return -1;
	free(roots->file);
	roots->file = path_printf(err, "%s/%ld", dir, (long)getpid());
	if (roots->file == NULL)
		return -1;
	if (roots->lock_fd < 0 &&
		fd_open(AT_FDCWD, lock_file, O_RDWR | O_CREAT, &roots->lock_fd, err) < 0)
		return -1;
	int done = 0;
	while (done == 0)
		done = create_file(roots, err);
	return done < 0 ? -1 : 0;
}

/* Tells the running collector. 1: it knows; 0: it ended or has no socket, look again. */
static int tell_collector(const char *state_dir, const char *path, struct err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int len = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/gc-socket/socket", state_dir);
	AUTO_FREE char *line = path_printf(err, "%s\n", path);
	if (line == NULL)
		return -1;
	if (len < 0 || (size_t)len >= sizeof(addr.sun_path))
		return 0; /* no address for it; the collector is waited for */
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, "cannot create a socket");
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return 0;
	size_t size = strlen(line);
	char answer;
	if (send(fd, line, size, MSG_NOSIGNAL) != (ssize_t)size)
		return 0;
	return recv(fd, &answer, 1, MSG_WAITALL) == 1 && answer == '1';
}

/* Returns with no collector running (gc.lock held shared, *ret_locked) or with one that knows. */
static int meet_collector(struct temproots *roots, const char *state_dir, const char *path,
	bool *ret_locked, struct err *err)
{
	for (int i = 0; i < ATTEMPTS; i++) {
		if (lock(roots->lock_fd, LOCK_SH | LOCK_NB) == 0) {
			*ret_locked = true;
			return 0;
		}
		int knows = tell_collector(state_dir, path, err);
		if (knows != 0)
			return knows < 0 ? -1 : 0;
		(void)usleep(RETRY_US); /* the collector is starting or ending */
	}
	return err_raise(err, ERR_AGAIN, "Nix's garbage collector is running on '%s'", state_dir);
}

static int append(struct temproots *roots, const char *path, struct err *err)
{
	if (lock(roots->fd, LOCK_EX) < 0)
		return err_sys(err, "cannot lock '%s'", roots->file);
	if (lseek(roots->fd, 0, SEEK_END) < 0)
		return err_sys(err, "cannot write '%s'", roots->file);
	if (fd_write_full(roots->fd, path, strlen(path) + 1, roots->file, err) < 0)
		return -1;
	if (lock(roots->fd, LOCK_SH) < 0)
		return err_sys(err, "cannot lock '%s'", roots->file);
	return 0;
}

int temproots_add(struct temproots *roots, const char *state_dir, const char *path, struct err *err)
{
	ERR_SCOPE(err, "keeping '%s' from the garbage collector", path);
	bool locked = false;
	if (temproots_open(roots, state_dir, err) < 0)
		return -1;
	if (meet_collector(roots, state_dir, path, &locked, err) < 0)
		return -1;
	int r = append(roots, path, err);
	if (locked)
		(void)lock(roots->lock_fd, LOCK_UN); /* unlocking our own lock cannot fail */
	return r;
}
