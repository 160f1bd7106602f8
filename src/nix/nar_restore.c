/* SPDX-License-Identifier: MIT */
/*
 * From a NAR to files. One directory is open at a time, and all names are relative to it, so that
 * depth costs no file descriptors and no name grows too long.
 */
#include "nix/nar_restore.h"

#include "base/fd.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 128 * 1024 };

struct restorer {
	struct nar_reader *reader;
	const char *path; /* of the root */
	int fd;           /* the directory we are in; AT_FDCWD outside */
	unsigned depth;
	uint8_t *data; /* PIECE bytes */
};

static void restorer_done(struct restorer *r)
{
	if (r->fd >= 0)
		close(r->fd);
	free(r->data);
}

static int fail(const struct restorer *r, const char *name, struct err *err)
{
	return err_sys(err, "cannot create '%s' for '%s'", name, r->path);
}

static int move(struct restorer *r, const char *name, struct err *err)
{
	int fd = openat(r->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fail(r, name, err);
	if (r->fd >= 0)
		close(r->fd);
	r->fd = fd;
	return 0;
}

static int restore_file(
	struct restorer *r, const char *name, const struct nar_event *event, struct err *err)
{
	mode_t mode = event->executable ? 0555 : 0444;
	AUTO_FD int fd =
		openat(r->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return fail(r, name, err);
	for (uint64_t left = event->size; left > 0;) {
		size_t size = left < PIECE ? (size_t)left : PIECE;
		if (nar_reader_contents(r->reader, r->data, size, err) < 0 ||
			fd_write_full(fd, r->data, size, r->path, err) < 0)
			return -1;
		left -= size;
	}
	/* Whatever the umask took away. */
	return fchmod(fd, mode) == 0 ? 0 : fail(r, name, err);
}

static int restore(struct restorer *r, const struct nar_event *event, struct err *err)
{
	const char *name = r->depth == 0 ? r->path : event->name;
	switch (event->type) {
	case NAR_FILE:
		return restore_file(r, name, event, err);
	case NAR_SYMLINK:
		return symlinkat(event->target, r->fd, name) == 0 ? 0 : fail(r, name, err);
	case NAR_DIRECTORY:
		if (mkdirat(r->fd, name, 0755) < 0)
			return fail(r, name, err);
		r->depth++;
		return move(r, name, err);
	case NAR_DIRECTORY_END:
		return --r->depth > 0 ? move(r, "..", err) : 0;
	}
	return 0;
}

int nar_restore(struct nar_reader *reader, const char *path, struct err *err)
{
	AUTO(restorer_done)
	struct restorer r = {.reader = reader, .path = path, .fd = AT_FDCWD, .data = malloc(PIECE)};
	struct nar_event event;
	int more;
	if (r.data == NULL)
		return err_oom(err);
	while ((more = nar_reader_next(reader, &event, err)) == 1)
		if (restore(&r, &event, err) < 0)
			return -1;
	return more;
}
