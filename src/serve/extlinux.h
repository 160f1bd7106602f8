/* SPDX-License-Identifier: MIT */
#ifndef SERVE_EXTLINUX_H
#define SERVE_EXTLINUX_H

/*
 * For boot loaders that look for extlinux.conf by the network, as PXELINUX does and U-Boot's `pxe`
 * (boot/pxe_utils.c, doc/README.pxe): under which names they ask, and what they read.
 */

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

/* What a name below pxelinux.cfg/ says of who asks; "" what it does not say. */
struct extlinux_who {
	char mac[18];    /* "aa:bb:cc:dd:ee:ff" */
	char uuid[37];   /* in lower case */
	char arch[16];   /* as in a Nix system: "aarch64" */
	bool is_default; /* it asks for what is for all machines, or for all of `arch` */
};

/*
 * Reads one of the names that clients try in turn: a UUID, 01-aa-bb-cc-dd-ee-ff, the address as
 * 8 hexadecimal digits, default-ARCH-SOC, default-ARCH, default. False for others, such as shorter
 * beginnings of the address: those are of whole networks.
 */
bool extlinux_name_read(const char *name, size_t len, struct extlinux_who *ret);

/* The part behind "pxelinux.cfg/" of a path, in whatever folder the client believes it is; NULL:
 * another path. */
const char *extlinux_path_name(const char *path);

struct extlinux {
	const char *name;        /* of the system, for people */
	const char *dir;         /* like "/boot/NAME/": bzImage, initrd and dtbs are in it */
	const char *cmdline;     /* of the kernel */
	const char *origin;      /* "http://HOST:PORT" of a network root, or NULL */
	bool device_trees;       /* it has some */
	const char *device_tree; /* the name of the one to take; NULL: U-Boot knows */
};

/* Appends extlinux.conf. ERR_UNSUPPORTED for a command line that U-Boot would not pass on as it is.
 */
int extlinux_put(const struct extlinux *config, struct buf *out, struct err *err);

/* Appends an image of a script with which U-Boot's default boot command goes on to `pxe`. */
int extlinux_put_script(struct buf *out, struct err *err);

#endif
