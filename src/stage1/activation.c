/* SPDX-License-Identifier: MIT */
/*
 * The activation of a nixos-init system. Its initrd would do this with nixos-init and three mount
 * units; /run is the real one already, since nothing else runs yet.
 */
#include "stage1/activation.h"

#include "base/log.h"
#include "base/path.h"
#include "stage1/loop.h"
#include "stage1/mounts.h"
#include "stage1/root.h"
#include "stage1/sysfile.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

/* As mount(2) and statvfs(3) call the options that nixStoreMountOpts may hold. */
static const struct store_option {
	const char *name;
	unsigned long mount_flag, statvfs_flag;
} store_options[] = {
	{"ro", MS_RDONLY, ST_RDONLY},
	{"nosuid", MS_NOSUID, ST_NOSUID},
	{"nodev", MS_NODEV, ST_NODEV},
	{"noexec", MS_NOEXEC, ST_NOEXEC},
	{"noatime", MS_NOATIME, ST_NOATIME},
	{"nodiratime", MS_NODIRATIME, ST_NODIRATIME},
	{"relatime", MS_RELATIME, ST_RELATIME},
};

static const struct store_option *find_option(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(store_options); i++)
		if (strcmp(store_options[i].name, name) == 0)
			return &store_options[i];
	return NULL;
}

/* Binds /nix/store onto itself with the options it lacks, and keeps those it has. */
static int protect_store(const struct plan *plan, const char *root, struct err *err)
{
	AUTO_FREE char *store = path_printf(err, "%s/nix/store", root);
	if (store == NULL)
		return -1;
	struct statvfs st;
	if (statvfs(store, &st) < 0)
		return err_sys(err, "cannot look at '%s'", store);
	unsigned long flags = MS_REMOUNT | MS_BIND;
	for (size_t i = 0; i < ARRAY_LEN(store_options); i++)
		if (st.f_flag & store_options[i].statvfs_flag)
			flags |= store_options[i].mount_flag;
	bool missing = false;
	for (size_t i = 0; i < plan->store_mount_opts.len; i++) {
		const char *name = plan->store_mount_opts.items[i];
		const struct store_option *option = find_option(name);
		if (option == NULL) {
			log_warning("unknown mount option '%s' for /nix/store, ignoring", name);
			continue;
		}
		missing |= (st.f_flag & option->statvfs_flag) == 0;
		flags |= option->mount_flag;
	}
	if (!missing)
		return 0;
	if (mount(store, store, NULL, MS_BIND, NULL) < 0 ||
		mount(NULL, store, NULL, flags, NULL) < 0)
		return err_sys(err, "cannot mount '/nix/store' with the system's options");
	return 0;
}

/* A data-only lower layer, "metadata::data", needs Linux 6.5. */
static int diagnose_etc(struct err *err)
{
	return err_hint(err, "an etc overlay needs a kernel from 6.5 on");
}

int activation_mount_etc(const struct plan *plan, const char *root, bool writable,
	struct modules *modules, struct err *err)
{
	static const char metadata[] = "/run/nixos-etc-metadata";
	if (plan->etc_metadata_image == NULL || plan->etc_basedir == NULL)
		return 0;
	ERR_SCOPE(err, "cannot set up the etc overlay");
	AUTO_FREE char *image = path_printf(err, "%s%s", root, plan->etc_metadata_image);
	AUTO_FREE char *etc = path_printf(err, "%s/etc", root);
	AUTO_FREE char *rw = path_printf(err, "%s/.rw-etc", root);
	AUTO_FREE char *upper = path_printf(err, "%s/.rw-etc/upper", root);
	AUTO_FREE char *work = path_printf(err, "%s/.rw-etc/work", root);
	if (image == NULL || etc == NULL || rw == NULL || upper == NULL || work == NULL)
		return -1;
	if (modules_load(modules, "erofs", err) < 0)
		return -1;
	AUTO_LOOP loop = LOOP_INIT;
	if (loop_attach(image, modules, &loop, err) < 0 || sysfile_mkdir(metadata, 0755, err) < 0)
		return -1;
	const struct mount_spec erofs = {
		loop.path, metadata, "erofs", MS_RDONLY | MS_NODEV | MS_NOSUID, NULL};
	if (mounts_mount(&erofs, err) < 0)
		return -1;
	if (sysfile_mkdir(rw, 0755, err) < 0 || sysfile_mkdir(upper, 0755, err) < 0 ||
		sysfile_mkdir(work, 0755, err) < 0)
		return -1;
	AUTO_FREE char *options =
		path_printf(err, "redirect_dir=on,metacopy=on,lowerdir=%s::%s%s%s%s%s%s", metadata,
			root, plan->etc_basedir, writable ? ",upperdir=" : "",
			writable ? upper : "", writable ? ",workdir=" : "", writable ? work : "");
	if (options == NULL)
		return -1;
	const struct mount_spec overlay = {"overlay", etc, "overlay",
		MS_NODEV | MS_NOSUID | (writable ? 0ul : MS_RDONLY), options};
	if (mounts_mount(&overlay, err) < 0)
		return diagnose_etc(err);
	/* It hides the marker that root_populate() made. */
	return writable ? root_mark_nixos(root, err) : 0;
}

/* A symlink in the new root, with the directory that holds it ("/usr/bin/env", "/bin/sh"). */
static int link_program(const char *root, const char *path, const char *target, struct err *err)
{
	if (target == NULL)
		return 0;
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *folder = path_printf(err, "%s%.*s", root, (int)(slash - path), path);
	AUTO_FREE char *link = path_printf(err, "%s%s", root, path);
	if (folder == NULL || link == NULL || path_mkdirs(folder, err) < 0)
		return -1;
	return sysfile_symlink(target, link, err);
}

/* What the kernel refuses here (no firmware loader, modules switched off) is no reason to stop. */
static void tell_kernel(const char *path, const char *text)
{
	struct err err = ERR_INIT;
	if (text != NULL && sysfile_write(path, text, &err) < 0)
		log_ignored(&err);
}

int activation_run(const struct plan *plan, const char *system, const char *root, bool etc_writable,
	struct modules *modules, struct err *err)
{
	ERR_SCOPE(err, "cannot activate '%s'", system);
	if (protect_store(plan, root, err) < 0 ||
		activation_mount_etc(plan, root, etc_writable, modules, err) < 0)
		return -1;
	if (sysfile_symlink(system, "/run/booted-system", err) < 0 ||
		sysfile_symlink(system, "/run/current-system", err) < 0)
		return -1;
	tell_kernel("/proc/sys/kernel/modprobe", plan->modprobe_binary);
	tell_kernel("/sys/module/firmware_class/parameters/path", plan->firmware);
	if (link_program(root, "/usr/bin/env", plan->env_binary, err) < 0)
		return -1;
	return link_program(root, "/bin/sh", plan->sh_binary, err);
}
