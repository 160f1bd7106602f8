/* SPDX-License-Identifier: MIT */
#ifndef CARRIER_UKI_H
#define CARRIER_UKI_H

/*
 * Unified kernel images (UAPI group specification 5): an EFI program that is systemd's stub with
 * kernel, initramfs, command line and os-release in sections of its own. Firmware that fetches one
 * file starts it.
 */

#include "image/image.h"
#include "nix/path_info.h"
#include "system/system.h"

struct uki_params {
	const struct system *system;
	const struct closure *closure;
	const struct store_supply *supply; /* brings the closure's files; NULL: they are there */
	const struct strvec *stubs;        /* files that the user named, or NULL */
	const char *kernel;                /* file name on this machine */
	uint64_t kernel_size;
};

/* What all images of a system have in common. */
struct uki {
	char *stub_path; /* for people */
	struct image stub;
	struct buf headers;         /* the stub's begin, of which each image has a changed copy */
	char *os_release, *release; /* texts; `release` of the kernel, or NULL */
	uint64_t kernel_memory;     /* that the kernel takes while it unpacks itself, bytes */
	struct digest id;           /* names all of that but the kernel */
};

#define AUTO_UKI AUTO(uki_done) struct uki

void uki_done(struct uki *uki);

/*
 * Finds and reads a stub for the system's processor: the first of `stubs` that is one, else the one
 * of the system's own systemd, else where distributions put it. ERR_NOT_FOUND with the packages to
 * install, ERR_UNSUPPORTED for a stub or a kernel that cannot be part of an image, ERR_CORRUPT.
 */
int uki_prepare(const struct uki_params *params, struct uki *ret, struct err *err);

/* Only the part of uki_prepare() that judges the stub, named uki->stub_path, and takes it over. */
int uki_set_stub(struct uki *uki, struct buf *take_stub, uint16_t machine, struct err *err);

/* What makes an image of it; all of it outlives the image, which holds no copies. */
struct uki_contents {
	const char *cmdline;
	const struct image *kernel, *initrd;
};

/* Appends the image. ERR_LIMIT beyond what a PE file can have (4 GiB). */
int uki_compose(const struct uki *uki, const struct uki_contents *contents, struct image *ret,
	struct err *err);

/* Where the system's files are. */
struct store_view uki_view(const struct uki_params *params);

/* uki_stub.c: the machine type of a platform such as "x86_64-linux"; NULL: our own.
 * ERR_UNSUPPORTED. */
int uki_machine(const char *platform, uint16_t *ret, struct err *err);
/* Appends the stub's bytes and says where they came from; the caller owns the name. Fails as
 * uki_prepare(). */
int uki_stub_read(const struct uki_params *params, uint16_t machine, char **ret_path,
	struct buf *out, struct err *err);

#endif
