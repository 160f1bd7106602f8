/* SPDX-License-Identifier: MIT */
#ifndef PLAN_PLAN_H
#define PLAN_PLAN_H

/*
 * The hand-over plan: what stage 1 has to do, decided where the system package could be read and
 * written into the initramfs as plain lines. Stage 1 only obeys it. docs/formats/plan.md describes
 * the text.
 */

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/vec.h"

#include <stdint.h>

/* How a system is handed over to (reference: nixpkgs top-level.nix, initrd.nix, nixos-init). */
enum system_kind {
	SYSTEM_SCRIPTED, /* init is a script: switch root, exec it */
	SYSTEM_SYSTEMD,  /* init is systemd, prepare-root activates: chroot, run it, exec systemd */
	SYSTEM_NIXOS_INIT, /* init is systemd, nothing activates: we do, from boot.json */
};

const char *system_kind_name(enum system_kind kind); /* "scripted", "systemd", "nixos-init" */

/* One part of the image with its hash, so that damage is found before it is used and can be named.
 */
struct plan_part {
	uint64_t off, len;
	struct digest digest;
	char *name; /* store path's file name, or NULL for the file system's metadata */
};

struct plan {
	enum system_kind kind;
	char *system;        /* toplevel store path */
	char *image;         /* the image's file name in the initramfs: "/image.squashfs" */
	uint64_t image_size; /* bytes */
	VEC(struct plan_part) parts;
	char *database; /* folder in the initramfs with db.sqlite, schema and registration; or NULL
			 */
	/* nixos-init only: docs of `org.nixos.nixos-init.v1`; each may be NULL */
	struct strvec store_mount_opts;
	char *firmware, *modprobe_binary, *sh_binary, *env_binary;
	/* the etc overlay, of nixos-init and systemd; NULL without one */
	char *etc_metadata_image, *etc_basedir;
};

#define AUTO_PLAN AUTO(plan_done) struct plan

void plan_done(struct plan *plan);
/* Appends the text. ERR_NOMEM. */
int plan_encode(const struct plan *plan, struct buf *out, struct err *err);
/* Reads the text; ERR_CORRUPT names the line, ERR_UNSUPPORTED a version we do not know. */
int plan_decode(const char *text, size_t len, struct plan *ret, struct err *err);

#endif
