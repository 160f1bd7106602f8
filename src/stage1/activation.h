/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_ACTIVATION_H
#define STAGE1_ACTIVATION_H

/*
 * What nixos-init does in the initrd between the mounts and systemd (nixpkgs
 * pkgs/by-name/ni/nixos-init), done from the plan.
 */

#include "base/err.h"
#include "plan/plan.h"
#include "stage1/modules.h"

#include <stdbool.h>

/*
 * Activates `system` in the root at `root`: the options of /nix/store, the etc overlay (writable,
 * or read-only when etc_writable is false), /run/booted-system and /run/current-system, the
 * kernel's modprobe and firmware paths, /usr/bin/env, /bin/sh.
 */
int activation_run(const struct plan *plan, const char *system, const char *root, bool etc_writable,
	struct modules *modules, struct err *err);
/*
 * Mounts the plan's etc overlay at /etc of `root`, when it has one; the initrd of such a system
 * does so before prepare-root or nixos-init, and neither would fill an /etc of its own.
 */
int activation_mount_etc(const struct plan *plan, const char *root, bool writable,
	struct modules *modules, struct err *err);

#endif
