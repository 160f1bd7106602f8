/* SPDX-License-Identifier: MIT */
#ifndef SYSTEM_SYSTEM_H
#define SYSTEM_SYSTEM_H

/*
 * What a system package is: a toplevel store path, read through bootspec (boot.json, RFC 0125) or,
 * for systems that have none, from the files themselves.
 */

#include "base/err.h"
#include "base/mem.h"
#include "base/vec.h"
#include "plan/plan.h"
#include "system/link.h"

#include <stdbool.h>

struct system {
	char *path; /* toplevel store path, "/nix/store/…-nixos-system-…" */
	enum system_kind kind;
	char *kernel; /* store path of the kernel file */
	char *initrd; /* store path of the initrd file, or NULL */
	char *init;   /* "<toplevel>/init" */
	char *label;
	char *double_;                      /* "x86_64-linux" */
	char *nixos_version;                /* contents of nixos-version, or NULL */
	struct strvec params;               /* kernel-params, verbatim, one word each */
	char *kernel_modules;               /* store path that contains lib/modules, or NULL */
	char *kernel_release;               /* directory name below lib/modules, or NULL */
	char *firmware;                     /* store path of the firmware directory, or NULL */
	char *device_trees;                 /* store path of the folder of dtb files, or NULL */
	char *device_tree;                  /* the one of them that boot.json names, or NULL */
	char *initrd_secrets;               /* append-initrd-secrets tool, or NULL */
	struct strvec specialisations;      /* names, sorted */
	struct strvec specialisation_paths; /* their toplevels, parallel */
	/* `org.nixos.nixos-init.v1`; each may be NULL */
	struct strvec store_mount_opts;
	char *init_firmware, *modprobe_binary, *sh_binary, *env_binary;
	char *etc_metadata_image, *etc_basedir;
	bool synthesized; /* there was no boot.json */
};

#define AUTO_SYSTEM AUTO(system_done) struct system

void system_done(struct system *system);

/*
 * Follows `name` (a store path or a chain of symlinks to one: result, a profile, a generation link,
 * /run/current-system) to a toplevel store path below store_dir, which the caller owns.
 * ERR_NOT_FOUND, ERR_USAGE when it ends outside the store.
 */
int system_resolve(const char *name, const char *store_dir, char **ret_path, struct err *err);
/* As system_resolve(), for a store whose paths are read below real_dir. */
int system_resolve_in(const char *name, const char *store_dir, const char *real_dir,
	char **ret_path, struct err *err);

/*
 * Reads the system at `path`, whose files are found below real_dir instead of store_dir. ERR_USAGE
 * when it is not a system package (with what is missing), ERR_CORRUPT for a boot.json that breaks
 * RFC 0125, ERR_UNSUPPORTED for an init of unknown kind.
 */
int system_read(const char *path, const char *store_dir, const char *real_dir, struct system *ret,
	struct err *err);
/* As system_read(), for a store whose files are brought as they are looked at. */
int system_read_by(
	const char *path, const struct store_view *view, struct system *ret, struct err *err);

#endif
