/* SPDX-License-Identifier: MIT */
#ifndef SERVE_BOOT_H
#define SERVE_BOOT_H

/* One system as it is served: kernel, initrd, command line, and a name for their bytes; for a
 * network root also what it fetches afterwards. */

#include "acquire/acquire.h"
#include "base/progress.h"
#include "carrier/uki.h"
#include "http/body.h"
#include "image/image.h"
#include "serve/objects.h"
#include "serve/signer.h"

enum root_kind {
	ROOT_NET,  /* mounted over the network, fetched as it is touched */
	ROOT_RAM,  /* the whole image rides in the initramfs */
	ROOT_COPY, /* fetched as with ROOT_NET, but all of it before the system starts */
	ROOT_AUTO, /* as ROOT_COPY on machines whose memory is known to suffice, else as ROOT_NET */
};

/* On the command line of a network root: all of it is fetched first (snowboot-stage1(7)). */
#define BOOT_COPY_WORD "snowboot.root=ram"

/* What machines with a network root are told in their initramfs. */
struct node_options {
	const char *site; /* NULL: the default one */
	bool peers, complete;
	bool boot_files; /* they give kernel and initramfs to others */
};

/* What all boots of a server have in common. The strings outlive the maker. */
struct boot_options {
	const char *pool_dir;       /* NULL: the default */
	bool read_only;             /* nothing is written to the pool */
	const char *modules;        /* set of kernel modules for stage 1 */
	const char *append;         /* words for the kernel command line, or NULL */
	int level;                  /* of compression */
	const struct strvec *stubs; /* systemd's EFI stub, for several processors, may be empty;
				       NULL: no unified kernel images are made */
	/* Where systems come from. While boots are made, it is theirs. */
	struct acquirer *acquirer;
	enum root_kind root;
	/* Not ROOT_RAM: */
	const char *state_dir;         /* serials, of which several servers may share one */
	const struct signer *signer;   /* signs manifests */
	const struct strvec *excluded; /* globs of store path names that peers never get */
	struct node_options node;
	int64_t lifetime;  /* of a manifest, seconds */
	const char *alias; /* what a boot is issued as besides; NULL: "default" */
};

/* A signed text. */
struct issue {
	char *text; /* NULL: there is none */
	size_t len;
	uint64_t serial;
	int64_t expires;
};

struct boot {
	char *name;         /* file name of the toplevel */
	char *kernel_path;  /* of the kernel in the store */
	char *cmdline;      /* the kernel's */
	char *system;       /* what it runs on: "x86_64-linux", or NULL */
	uint64_t memory;    /* ROOT_RAM: what a machine with a BIOS needs at least, bytes */
	char *device_trees; /* the folder of dtb files that its firmware may want, or NULL */
	char *device_tree;  /* the name of one below it that the system asks for, or NULL */
	struct image kernel, initrd;
	char kernel_etag[72], initrd_etag[72];
	struct uki uki;         /* what its unified kernel images are made from */
	struct err uki_failure; /* why there are none, else clean */
	/* ROOT_NET: */
	bool network;
	struct digest catalog_digest;
	struct catalog catalog;
	struct object_set objects;
	struct issue own, as_default; /* under `name`, and as "default" if it was asked for */
	uint64_t image_size;          /* bytes */
	unsigned references;
};

struct boot *boot_ref(struct boot *boot);
/* Gives a reference up; NULL is fine; returns NULL. */
struct boot *boot_unref(struct boot *boot);

/* Bodies of a boot's files, each with a reference to it; NULL with ERR_NOMEM. */
struct http_body *boot_kernel_body(struct boot *boot, struct err *err);
struct http_body *boot_initrd_body(struct boot *boot, struct err *err);
/* A unified kernel image with that command line, made for whoever asks. As boot->uki_failure when
 * there is none, ERR_LIMIT. */
struct http_body *boot_uki_body(struct boot *boot, const char *cmdline, struct err *err);
/* The object is one of boot->objects. `cache_control` outlives the body. */
struct http_body *boot_object_body(
	struct boot *boot, const struct object *object, const char *cache_control, struct err *err);

/*
 * Makes boots, from one thread. What it made is kept from Nix's garbage collector and from the
 * pool's by the maker, until it is closed: there is one list of temporary roots per process.
 */
struct boot_maker;

int boot_maker_open(const struct boot_options *options, struct boot_maker **ret, struct err *err);
struct boot_maker *boot_maker_close(struct boot_maker *maker); /* NULL is fine; returns NULL */

/* Which system: a SYSTEM as acquire() takes it, and a specialisation of it or NULL. Borrowed. */
struct boot_source {
	const char *system, *specialisation;
	bool as_default; /* with a network root: issued as "default", too */
};

/*
 * Makes the boot of a system, filling the pool with what is missing; with a network root also
 * issues its manifest, under its own name and, if asked, as "default". The result has one
 * reference.
 */
int boot_make(struct boot_maker *maker, const struct boot_source *source, struct progress *progress,
	struct boot **ret, struct err *err);

#endif
