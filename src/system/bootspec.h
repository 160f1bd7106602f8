/* SPDX-License-Identifier: MIT */
#ifndef SYSTEM_BOOTSPEC_H
#define SYSTEM_BOOTSPEC_H

/*
 * boot.json: RFC 0125 ("bootspec"), with the extension `org.nixos.nixos-init.v1`, the device tree
 * of `org.nixos.systemd-boot` and the form of before the RFC was final (NixOS 22.11: everything
 * below a top key `v1`).
 */

#include "base/err.h"
#include "base/mem.h"
#include "base/vec.h"

#include <stdbool.h>

#define BOOTSPEC_MAX ((size_t)16 << 20) /* bytes; real ones have a few KiB per specialisation */

/* `org.nixos.nixos-init.v1`: what nixos-init does at boot. Each may be NULL or empty. */
struct nixos_init {
	struct strvec store_mount_opts;
	char *firmware, *modprobe_binary, *sh_binary, *env_binary;
	char *etc_metadata_image, *etc_basedir;
};

struct bootspec {
	char *system, *init, *kernel, *label, *toplevel;
	char *initrd, *initrd_secrets; /* NULL when absent */
	char *device_tree; /* hardware.deviceTree.name in its package; NULL when absent */
	struct strvec params;
	struct strvec specialisations;      /* names, sorted */
	struct strvec specialisation_paths; /* their toplevels, parallel */
	bool has_nixos_init;
	struct nixos_init nixos_init;
};

#define AUTO_BOOTSPEC AUTO(bootspec_done) struct bootspec

void bootspec_done(struct bootspec *spec);
void nixos_init_done(struct nixos_init *init);

/*
 * Reads the text of a boot.json. ERR_CORRUPT, naming the key, for what is not JSON, lacks a
 * required key, has a value of another type, null included, or a control character in a string.
 */
int bootspec_parse(const char *text, size_t len, struct bootspec *ret, struct err *err);

#endif
