/* SPDX-License-Identifier: MIT */
#ifndef SERVE_BOOT_H
#define SERVE_BOOT_H

/* One system as it is served: kernel, initrd, command line, and a name for their bytes. */

#include "base/progress.h"
#include "http/body.h"
#include "image/image.h"

/* What all boots of a server have in common. The strings outlive the maker. */
struct boot_options {
	const char *pool_dir; /* NULL: the default */
	const char *modules;  /* set of kernel modules for stage 1 */
	const char *append;   /* words for the kernel command line, or NULL */
	int level;            /* of compression */
};

struct boot {
	char *name;    /* file name of the toplevel */
	char *cmdline; /* the kernel's */
	struct image kernel, initrd;
	char kernel_etag[72], initrd_etag[72];
	unsigned references;
};

struct boot *boot_ref(struct boot *boot);
/* Gives a reference up; NULL is fine; returns NULL. */
struct boot *boot_unref(struct boot *boot);

/* Bodies of a boot's files, each with a reference to it; NULL with ERR_NOMEM. */
struct http_body *boot_kernel_body(struct boot *boot, struct err *err);
struct http_body *boot_initrd_body(struct boot *boot, struct err *err);

/*
 * Makes boots, from one thread. What it made is kept from Nix's garbage collector and from the
 * pool's by the maker, until it is closed: there is one list of temporary roots per process.
 */
struct boot_maker;

int boot_maker_open(const struct boot_options *options, struct boot_maker **ret, struct err *err);
struct boot_maker *boot_maker_close(struct boot_maker *maker); /* NULL is fine; returns NULL */

/*
 * Makes the boot of the system at `toplevel`, filling the pool with what is missing. The result has
 * one reference.
 */
int boot_make(struct boot_maker *maker, const char *toplevel, struct progress *progress,
	struct boot **ret, struct err *err);

#endif
