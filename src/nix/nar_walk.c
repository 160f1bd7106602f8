/* SPDX-License-Identifier: MIT */
/*
 * The NAR of something on the disk. Names are full paths and no directory stays open during the
 * descent, so depth costs no file descriptors; Nix handles store paths by full name too, so none
 * can be longer than PATH_MAX.
 */
#include "base/fd.h"
#include "base/path.h"
#include "nix/nar.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_SIZE = 128 * 1024 };

struct walk {
	const struct nar_sink *sink;
	struct buf path;   /* what is being written now */
	struct buf target; /* of a symlink */
	uint8_t *data;     /* READ_SIZE bytes */
};

int nar_list_directory(const char *path, struct strvec *names, struct err *err)
{
	AUTO_DIR *dir = fd_opendir(AT_FDCWD, path);
	if (dir == NULL)
		return err_sys(err, "cannot open '%s'", path);
	for (;;) {
		errno = 0;
		const struct dirent *entry = readdir(dir);
		if (entry == NULL && errno != 0)
			return err_sys(err, "cannot read directory '%s'", path);
		if (entry == NULL)
			break;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (strvec_push(names, entry->d_name, err) < 0)
			return -1;
	}
	strvec_sort(names);
	return 0;
}

static int write_object(struct walk *walk, struct err *err);

static int write_directory(struct walk *walk, struct err *err)
{
	AUTO_STRVEC names = {0};
	size_t len = walk->path.len;
	if (nar_list_directory((const char *)walk->path.data, &names, err) < 0)
		return -1;
	if (nar_directory(walk->sink, err) < 0)
		return -1;
	for (size_t i = 0; i < names.len; i++) {
		const char *name = names.items[i];
		if (nar_entry(walk->sink, name, strlen(name), err) < 0)
			return -1;
		if (buf_printf(&walk->path, err, "/%s", name) < 0 || write_object(walk, err) < 0 ||
			nar_entry_end(walk->sink, err) < 0)
			return -1;
		walk->path.len = len;
	}
	return nar_directory_end(walk->sink, err);
}

static int write_file(struct walk *walk, const struct stat *st, struct err *err)
{
	const char *path = (const char *)walk->path.data;
	uint64_t size = (uint64_t)st->st_size, done = 0;
	AUTO_FD int fd = -1;
	if (fd_open(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW, &fd, err) < 0)
		return -1;
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* only advice */
	if (nar_file(walk->sink, size, (st->st_mode & S_IXUSR) != 0, err) < 0)
		return -1;
	while (done < size) {
		size_t want = size - done < READ_SIZE ? (size_t)(size - done) : READ_SIZE, len;
		if (fd_read_full(fd, walk->data, want, path, &len, err) < 0)
			return -1;
		if (walk->sink->write(walk->sink->data, walk->data, len, err) < 0)
			return -1;
		done += len;
		if (len < want)
			return err_raise(err, ERR_CORRUPT, "'%s' ends at %llu of %llu bytes", path,
				(unsigned long long)done, (unsigned long long)size);
	}
	return nar_file_end(walk->sink, size, err);
}

static int write_symlink(struct walk *walk, struct err *err)
{
	const char *path = (const char *)walk->path.data;
	walk->target.len = 0;
	uint8_t *target = buf_reserve(&walk->target, PATH_MAX, err);
	if (target == NULL)
		return -1;
	ssize_t len = readlink(path, (char *)target, PATH_MAX);
	if (len < 0)
		return err_sys(err, "cannot read symlink '%s'", path);
	return nar_symlink(walk->sink, (const char *)target, (size_t)len, err);
}

static int write_object(struct walk *walk, struct err *err)
{
	const char *path = buf_str(&walk->path, err);
	struct stat st;
	if (path == NULL)
		return -1;
	if (lstat(path, &st) < 0)
		return err_sys(err, "cannot look at '%s'", path);
	switch (st.st_mode & S_IFMT) {
	case S_IFDIR:
		return write_directory(walk, err);
	case S_IFREG:
		return write_file(walk, &st, err);
	case S_IFLNK:
		return write_symlink(walk, err);
	default:
		return err_raise(err, ERR_UNSUPPORTED,
			"'%s' is neither a file nor a directory nor a symlink", path);
	}
}

static void walk_done(struct walk *walk)
{
	buf_done(&walk->path);
	buf_done(&walk->target);
	free(walk->data);
}

int nar_write_path(const char *path, const struct nar_sink *sink, struct err *err)
{
	AUTO(walk_done) struct walk walk = {.sink = sink, .data = malloc(READ_SIZE)};
	if (walk.data == NULL)
		return err_oom(err);
	if (buf_put_str(&walk.path, path, err) < 0 || nar_begin(sink, err) < 0)
		return -1;
	return write_object(&walk, err);
}
