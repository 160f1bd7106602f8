/* SPDX-License-Identifier: MIT */
/* Mounts by mount(2): the newer calls tell no more, and NixOS still supports kernels without them.
 */
#include "stage1/mounts.h"

#include "base/path.h"
#include "stage1/sysfile.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* mount() says EINVAL for a bad superblock and for an unknown option alike. */
static int diagnose_mount(const struct mount_spec *spec, int errnum, struct err *err)
{
	if (errnum == ENODEV)
		return err_raise(err, ERR_UNSUPPORTED,
			"cannot mount '%s': the kernel has no file system '%s'", spec->target,
			spec->type);
	if (errnum == EINVAL)
		return err_raise(err, ERR_IO,
			"cannot mount '%s' (%s): the kernel refuses its contents or an option "
			"(%s), "
			"its log says which",
			spec->target, spec->type, spec->options != NULL ? spec->options : "none");
	return err_errno(err, errnum, "cannot mount '%s' (%s)", spec->target, spec->type);
}

int mounts_mount(const struct mount_spec *spec, struct err *err)
{
	if (mount(spec->source, spec->target, spec->type, spec->flags, spec->options) < 0)
		return diagnose_mount(spec, errno, err);
	return 0;
}

int mounts_mount_module(const struct mount_spec *spec, struct modules *modules, struct err *err)
{
	if (modules_load(modules, spec->type, err) < 0)
		return err_prefix(err, "cannot mount '%s'", spec->target);
	return mounts_mount(spec, err);
}

int mounts_kernel(struct err *err)
{
	static const struct mount_spec specs[] = {
		{"proc", "/proc", "proc", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL},
		{"sysfs", "/sys", "sysfs", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL},
		{"devtmpfs", "/dev", "devtmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=5%"},
		{"devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
			"mode=620,ptmxmode=0666,gid=3"},
		{"tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_STRICTATIME,
			"mode=1777,size=50%"},
		{"tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV | MS_STRICTATIME,
			"mode=755,size=25%"},
		{"ramfs", "/run/keys", "ramfs", MS_NOSUID | MS_NODEV, "mode=750"},
	};
	for (size_t i = 0; i < ARRAY_LEN(specs); i++) {
		/* An attempt after one that failed half-way: twice is EBUSY for proc. */
		if (mounts_is_mountpoint(specs[i].target))
			continue;
		if (sysfile_mkdir(specs[i].target, 0755, err) < 0 ||
			mounts_mount(&specs[i], err) < 0)
			return -1;
	}
	/* Group keys (nixpkgs nixos/modules/misc/ids.nix: 96). */
	if (chown("/run/keys", 0, 96) < 0)
		return err_sys(err, "cannot set the group of '/run/keys'");
	return sysfile_mkdir("/run/snowboot", 0755, err);
}

bool mounts_is_mountpoint(const char *path)
{
	struct stat here, above;
	struct err err = ERR_INIT;
	AUTO_FREE char *parent = path_printf(&err, "%s/..", path);
	return parent != NULL && stat(path, &here) == 0 && stat(parent, &above) == 0 &&
		here.st_dev != above.st_dev;
}

int mounts_move(const char *from, const char *to, struct err *err)
{
	if (mount(from, to, NULL, MS_MOVE, NULL) < 0)
		return err_sys(err, "cannot move the mount '%s' to '%s'", from, to);
	return 0;
}
