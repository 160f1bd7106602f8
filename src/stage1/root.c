/* SPDX-License-Identifier: MIT */
/* The root file system: a tmpfs, with the image's store paths and a writable layer at /nix/store.
 */
#include "stage1/root.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "stage1/loop.h"
#include "stage1/mounts.h"
#include "stage1/sysfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define NIXBLD_GID 30000 /* nixpkgs nixos/modules/misc/ids.nix */

struct folder {
	const char *path;
	unsigned mode;
};

static int make_folders(const struct folder *folders, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		AUTO_FREE char *path = path_printf(err, ROOT "%s", folders[i].path);
		if (path == NULL || sysfile_mkdir(path, folders[i].mode, err) < 0)
			return -1;
	}
	return 0;
}

static int mount_tmpfs(const char *size, struct err *err)
{
	AUTO_FREE char *options = size != NULL ? path_printf(err, "mode=755,size=%s", size)
					       : path_printf(err, "mode=755");
	if (options == NULL || sysfile_mkdir(ROOT, 0755, err) < 0)
		return -1;
	const struct mount_spec spec = {"tmpfs", ROOT, "tmpfs", 0, options};
	return mounts_mount(&spec, err);
}

/*
 * Whether squashfs lets us choose decompression on several CPUs (Linux 6.2). Older kernels complain
 * in their log about an option they do not know, so they are not asked.
 */
static bool knows_threads(const char *release)
{
	unsigned major = 0, minor = 0;
	return sscanf(release, "%u.%u", &major, &minor) == 2 &&
		(major > 6 || (major == 6 && minor >= 2));
}

static int mount_image(const char *image, struct modules *modules, struct err *err)
{
	/* First, so that a kernel without squashfs is told before one without loop. */
	if (modules_load(modules, "squashfs", err) < 0)
		return -1;
	AUTO_LOOP loop = LOOP_INIT;
	bool is_device = strncmp(image, "/dev/", 5) == 0;
	if (!is_device && loop_attach(image, modules, &loop, err) < 0)
		return -1;
	struct mount_spec spec = {is_device ? image : loop.path, ROOT "/nix/.ro-store", "squashfs",
		MS_RDONLY, "threads=multi"};
	if (knows_threads(modules->release) &&
		mount(spec.source, spec.target, spec.type, spec.flags, spec.options) == 0)
		return 0;
	spec.options = NULL; /* built without CONFIG_SQUASHFS_CHOICE_DECOMP_BY_MOUNT */
	return mounts_mount(&spec, err);
}

int root_mount(const char *image, const char *size, struct modules *modules, struct err *err)
{
	static const struct folder folders[] = {
		{"/nix", 0755},
		{"/nix/.ro-store", 0755},
		{"/nix/.rw-store", 0755},
		{"/nix/.rw-store/store", 01775},
		{"/nix/.rw-store/work", 0755},
		{"/nix/store", 0755},
	};
	if (mount_tmpfs(size, err) < 0 || make_folders(folders, ARRAY_LEN(folders), err) < 0)
		return -1;
	/* The upper layer's owner and mode are the overlay's. */
	if (chown(ROOT "/nix/.rw-store/store", 0, NIXBLD_GID) < 0)
		return err_sys(err, "cannot set the group of '/nix/store'");
	if (mount_image(image, modules, err) < 0)
		return -1;
	const struct mount_spec overlay = {"overlay", ROOT "/nix/store", "overlay", 0,
		"lowerdir=" ROOT "/nix/.ro-store,upperdir=" ROOT "/nix/.rw-store/store,"
		"workdir=" ROOT "/nix/.rw-store/work"};
	return mounts_mount_module(&overlay, modules, err);
}

static int copy_file(const char *folder, const char *name, struct err *err)
{
	AUTO_FREE char *from = path_printf(err, "%s/%s", folder, name);
	AUTO_FREE char *to =
		from != NULL ? path_printf(err, ROOT "/nix/var/nix/db/%s", name) : NULL;
	if (to == NULL)
		return -1;
	AUTO_FD int in = -1, out = -1;
	struct stat st;
	if (fd_open(AT_FDCWD, from, O_RDONLY, &in, err) < 0)
		return -1;
	if (fstat(in, &st) < 0)
		return err_sys(err, "cannot read '%s'", from);
	if (fd_open(AT_FDCWD, to, O_WRONLY | O_CREAT | O_TRUNC, &out, err) < 0 ||
		fd_copy(in, 0, (uint64_t)st.st_size, out, from, err) < 0)
		return -1;
	if (fchmod(out, 0644) < 0)
		return err_sys(err, "cannot set the mode of '%s'", to);
	return 0;
}

static int copy_database(const char *folder, struct err *err)
{
	static const char *const names[] = {"db.sqlite", "schema", "registration"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (copy_file(folder, names[i], err) < 0)
			return err_prefix(err, "cannot place the Nix database");
	return 0;
}

int root_mark_nixos(const char *root, struct err *err)
{
	AUTO_FREE char *path = path_printf(err, "%s/etc/NIXOS", root);
	AUTO_FD int marker = -1;
	if (path == NULL || fd_open(AT_FDCWD, path, O_WRONLY | O_CREAT, &marker, err) < 0)
		return -1;
	if (fchmod(marker, 0644) < 0)
		return err_sys(err, "cannot set the mode of '%s'", path);
	return 0;
}

int root_populate(const struct plan *plan, struct err *err)
{
	static const struct folder folders[] = {
		{"/proc", 0755},
		{"/sys", 0755},
		{"/dev", 0755},
		{"/run", 0755},
		{"/etc", 0755},
		{"/tmp", 01777},
		{"/root", 0700},
		{"/var", 0755},
		{"/nix/var", 0755},
		{"/nix/var/log", 0755},
		{"/nix/var/log/nix", 0755},
		{"/nix/var/log/nix/drvs", 0755},
		{"/nix/var/nix", 0755},
		{"/nix/var/nix/db", 0755},
		{"/nix/var/nix/daemon-socket", 0755},
		{"/nix/var/nix/gcroots", 0755},
		{"/nix/var/nix/gcroots/per-user", 0755},
		{"/nix/var/nix/profiles", 0755},
		{"/nix/var/nix/profiles/per-user", 0755},
		{"/nix/var/nix/temproots", 0755},
		{"/nix/var/nix/userpool", 0755},
	};
	if (make_folders(folders, ARRAY_LEN(folders), err) < 0)
		return -1;
	if (plan->database != NULL && copy_database(plan->database, err) < 0)
		return -1;
	if (root_mark_nixos(ROOT, err) < 0 ||
		sysfile_symlink(plan->system, ROOT "/nix/var/nix/profiles/system-1-link", err) < 0)
		return -1;
	/* nix: libstore gc.cc takes what /nix/var/nix/profiles and gcroots point to as roots. */
	if (sysfile_symlink("/nix/var/nix/profiles", ROOT "/nix/var/nix/gcroots/profiles", err) < 0)
		return -1;
	return sysfile_symlink("system-1-link", ROOT "/nix/var/nix/profiles/system", err);
}

void root_unmount(void)
{
	/* Lazily, and all that lies below it; whatever still uses it keeps it until it ends. */
	while (umount2(ROOT, MNT_DETACH) == 0)
		;
	if (errno != EINVAL && errno != ENOENT)
		log_warning("cannot unmount '" ROOT "': %s, ignoring", strerror(errno));
}
