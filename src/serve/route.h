/* SPDX-License-Identifier: MIT */
#ifndef SERVE_ROUTE_H
#define SERVE_ROUTE_H

/* The paths of an origin, read. */

#include "base/digest.h"

#include <stdbool.h>
#include <stddef.h>

enum route_kind {
	ROUTE_NONE,
	ROUTE_INDEX,    /* / */
	ROUTE_BOOT,     /* /boot/NAME/{netboot.ipxe,bzImage,initrd,uki.efi} */
	ROUTE_OBJECT,   /* /v1/objects/ab/ab… */
	ROUTE_MANIFEST, /* /v1/manifests/NAME */
	ROUTE_PROFILE,  /* /v1/profiles/HEX */
	ROUTE_LINK,     /* /v1/link */
	ROUTE_STATUS,   /* /v1/status */
	ROUTE_MACHINES, /* /v1/machines, /v1/machines/WHICH */
	ROUTE_EVENTS,   /* /v1/events */
	ROUTE_DISPATCH, /* /dispatch/REST: serve/dispatch_name.h reads it */
	ROUTE_UP,       /* /v1/up */
	ROUTE_FAILED,   /* /v1/failed */
	ROUTE_EXPLAIN,  /* /v1/explain */
	ROUTE_EXTLINUX, /* /pxelinux.cfg/NAME: serve/extlinux.h reads it */
	ROUTE_METRICS,  /* /metrics */
};

enum boot_file { BOOT_SCRIPT, BOOT_KERNEL, BOOT_INITRD, BOOT_UKI, BOOT_FILES };

struct route {
	enum route_kind kind;
	enum boot_file file; /* ROUTE_BOOT */
	const char *name; /* ROUTE_BOOT, _MANIFEST, _MACHINES, _DISPATCH, _EXTLINUX: in the path */
	size_t name_len;  /* 0: none (ROUTE_MACHINES) */
	struct digest digest; /* ROUTE_OBJECT, ROUTE_PROFILE */
};

/* `path` is decoded and without query. ROUTE_NONE for what is none of them. */
struct route route_parse(const char *path);

/* What a step of this file is called: "script", "kernel", "initrd", "uki". */
const char *boot_file_step(enum boot_file file);

#endif
