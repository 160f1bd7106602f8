/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_ROOT_H
#define STAGE1_ROOT_H

/* The root file system that stage 2 gets, built at ROOT. */

#include "base/err.h"
#include "plan/plan.h"
#include "stage1/modules.h"

#define ROOT "/sysroot"

/*
 * tmpfs as the root, the image at /nix/.ro-store, and an overlay of it and /nix/.rw-store at
 * /nix/store, as NixOS's netboot images have it (nixpkgs nixos/modules/installer/netboot). `size`
 * is the tmpfs's size= option or NULL for the kernel's default of half the memory. `image` is a
 * file, or a block device below /dev.
 */
int root_mount(const char *image, const char *size, struct modules *modules, struct err *err);
/*
 * Files that Nix and NixOS expect and that the image does not have: the Nix database, the profile
 * `system`, /etc/NIXOS, and the directories around them.
 */
int root_populate(const struct plan *plan, struct err *err);
/* /etc/NIXOS, by which switch-to-configuration knows a NixOS. */
int root_mark_nixos(const char *root, struct err *err);
/* Takes everything below ROOT away again, for another attempt. */
void root_unmount(void);

#endif
