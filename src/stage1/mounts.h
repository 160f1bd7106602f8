/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_MOUNTS_H
#define STAGE1_MOUNTS_H

/* Mounting, with failures that say what is wrong, and the kernel's own file systems. */

#include "base/err.h"
#include "stage1/modules.h"

#include <stdbool.h>

struct mount_spec {
	const char *source, *target, *type;
	unsigned long flags; /* MS_* */
	const char *options; /* or NULL */
};

/* Mounts; the message names type and target, and the cause when the kernel's answer hides it. */
int mounts_mount(const struct mount_spec *spec, struct err *err);
/* As mounts_mount(), after loading the module that has the file system. */
int mounts_mount_module(const struct mount_spec *spec, struct modules *modules, struct err *err);
/*
 * /proc, /sys, /dev, /dev/pts, /dev/shm, /run and /run/keys as NixOS's scripted stage 1 has them
 * (nixpkgs nixos/modules/tasks/filesystems.nix boot.specialFileSystems). Once per boot.
 */
int mounts_kernel(struct err *err);
/* True when something is mounted on `path` (another device than its parent directory's). */
bool mounts_is_mountpoint(const char *path);
/* Moves the mount at `from` to `to`. */
int mounts_move(const char *from, const char *to, struct err *err);

#endif
