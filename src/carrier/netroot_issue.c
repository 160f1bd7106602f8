/* SPDX-License-Identifier: MIT */
/*
 * Issuing manifests. The last one of each name is kept as it was given out, which is the counter
 * and at the same time what decides whether a new issue is due. It is on the disk before anybody
 * sees it, so a serial is never used for two systems.
 */
#include "carrier/netroot.h"

#include "base/fd.h"
#include "base/outfile.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* Two programs that share a state directory issue one after the other. */
static int lock_serials(const char *dir, int *ret_fd, struct err *err)
{
	AUTO_FREE char *path = path_printf(err, "%s/.lock", dir);
	if (path == NULL || path_mkdirs(dir, err) < 0)
		return -1;
	AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return err_sys(err, "cannot open '%s'", path);
	int r;
	do
		r = flock(fd, LOCK_EX);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return err_sys(err, "cannot lock '%s'", path);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* 1 and the last issue, or 0 when there was none. */
static int read_last(const char *path, struct manifest *ret, struct err *err)
{
	AUTO_BUF text = {0};
	struct err absent = ERR_INIT;
	if (fd_read_file(AT_FDCWD, path, MANIFEST_MAX, &text, &absent) < 0) {
		if (absent.kind == ERR_NOT_FOUND)
			return 0;
		*err = absent;
		return -1;
	}
	if (manifest_decode((const char *)text.data, text.len, ret, err) < 0) {
		err_hint(err,
			"it holds the serial of the last issue; write a manifest with a higher one "
			"there, or machines that have seen that serial will refuse the next");
		return err_prefix(err, "'%s'", path);
	}
	return 1;
}

static bool is_same(const struct manifest *last, const struct netroot *netroot)
{
	return strcmp(last->system, netroot->system) == 0 &&
		strcmp(last->cmdline, netroot->cmdline) == 0 &&
		digest_equal(&last->catalog.digest, &netroot->catalog_blob.digest);
}

static bool is_fresh(const struct manifest *last, const struct netroot_issue *issue)
{
	int64_t left = last->expires - issue->now;
	return issue->now >= last->issued && left > issue->lifetime / 2;
}

static int copy_blob(const struct blob *from, struct blob *to, struct err *err)
{
	*to = (struct blob){.digest = from->digest, .size = from->size};
	VEC_FOREACH(piece, &from->pieces)
		if (vec_push(&to->pieces, *piece, err) < 0)
			return -1;
	return 0;
}

static int make_manifest(const struct netroot *netroot, const struct netroot_issue *issue,
	uint64_t serial, struct manifest *manifest, struct err *err)
{
	manifest->name = strdup(issue->name);
	manifest->system = strdup(netroot->system);
	manifest->cmdline = strdup(netroot->cmdline);
	if (manifest->name == NULL || manifest->system == NULL || manifest->cmdline == NULL)
		return err_oom(err);
	manifest->serial = serial;
	manifest->issued = issue->now;
	if (issue->lifetime <= 0 ||
		__builtin_add_overflow(issue->now, issue->lifetime, &manifest->expires))
		return err_raise(err, ERR_USAGE, "a manifest cannot live for %jd seconds",
			(intmax_t)issue->lifetime);
	return copy_blob(&netroot->catalog_blob, &manifest->catalog, err);
}

static int sign_all(const struct netroot_issue *issue, struct manifest *manifest, struct err *err)
{
	for (size_t i = 0; i < issue->key_count; i++)
		if (manifest_sign(manifest, &issue->keys[i], err) < 0)
			return -1;
	return 0;
}

static void drop_signatures(struct manifest *manifest)
{
	VEC_FOREACH(signature, &manifest->signatures)
		signature_done(signature);
	vec_done(&manifest->signatures);
}

static int store(const char *path, const struct manifest *manifest, struct err *err)
{
	AUTO_BUF text = {0};
	if (manifest_encode(manifest, &text, err) < 0)
		return -1;
	return outfile_write(path, text.data, text.len, err);
}

int netroot_issue(const struct netroot *netroot, const struct netroot_issue *issue,
	struct manifest *ret, struct err *err)
{
	ERR_SCOPE(err, "issuing the manifest '%s'", issue->name);
	AUTO_MANIFEST last = {0}, next = {0};
	AUTO_FD int lock = -1;
	if (!manifest_name_valid(issue->name))
		return err_raise(err, ERR_USAGE, "that cannot be the name of a manifest");
	AUTO_FREE char *dir = path_printf(err, "%s/serials", issue->state_dir);
	AUTO_FREE char *path = path_printf(err, "%s/serials/%s", issue->state_dir, issue->name);
	if (dir == NULL || path == NULL || lock_serials(dir, &lock, err) < 0)
		return -1;
	int found = read_last(path, &last, err);
	if (found < 0)
		return -1;
	if (found > 0 && is_same(&last, netroot) && is_fresh(&last, issue)) {
		/* The same words, perhaps by other keys: that is no new issue. */
		drop_signatures(&last);
		if (sign_all(issue, &last, err) < 0)
			return -1;
		*ret = last;
		last = (struct manifest){0};
		return 0;
	}
	if (last.serial == UINT64_MAX)
		return err_raise(err, ERR_LIMIT, "there are no serials left");
	if (make_manifest(netroot, issue, last.serial + 1, &next, err) < 0 ||
		sign_all(issue, &next, err) < 0 || store(path, &next, err) < 0)
		return -1;
	*ret = next;
	next = (struct manifest){0};
	return 0;
}

int netroot_last_serial(const char *state_dir, const char *name, uint64_t *ret, struct err *err)
{
	AUTO_MANIFEST last = {0};
	AUTO_FREE char *path = path_printf(err, "%s/serials/%s", state_dir, name);
	if (path == NULL || read_last(path, &last, err) < 0)
		return -1;
	*ret = last.serial;
	return 0;
}
