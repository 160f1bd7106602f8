/* SPDX-License-Identifier: MIT */
/*
 * Limits as users met them, so that a machine says what is wrong instead of hanging. Memory is
 * compared with some slack: boot loaders do not count what the firmware keeps.
 */
#include "serve/payload.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define COPY_MAX GIB
#define COPY_SHARE 4            /* of the memory */
#define RUNNING (384 * MIB)     /* a small system beside its root */
#define INITRD_MAX_32 (2 * GIB) /* below 4 GiB there are kernel, boot loader and devices, too */

/* The boot loader's copy and the kernel's; EFI keeps one of its own. */
static uint64_t copies(const struct client *client)
{
	return client->firmware == FIRMWARE_EFI ? 3 : 2;
}

struct payload payload_of(const struct boot *boot, enum root_kind root)
{
	return (struct payload){
		.root = root,
		.kernel = boot->kernel.size,
		.initrd = boot->initrd.size,
		.image = boot->image_size,
		.memory = boot->memory,
		.system = boot->system,
	};
}

enum root_kind payload_choose(
	const struct client *client, uint64_t image, char reason[PAYLOAD_REASON_SIZE])
{
	uint64_t memory = client->memory_mib * MIB;
	bool fits = memory > 0 && image <= memory / COPY_SHARE;
	enum root_kind root = fits && image <= COPY_MAX ? ROOT_COPY : ROOT_NET;
	if (memory == 0)
		snprintf(reason, PAYLOAD_REASON_SIZE, "over the network: its memory is unknown");
	else
		snprintf(reason, PAYLOAD_REASON_SIZE,
			"%s: the image has %" PRIu64 " MiB, %s %" PRIu64 " MiB%s",
			root == ROOT_COPY ? "in memory" : "over the network", image / MIB,
			fits && root == ROOT_NET ? "more than"
				: fits           ? "at most a quarter of its"
						 : "more than a quarter of its",
			fits && root == ROOT_NET ? COPY_MAX / MIB : memory / MIB,
			fits && root == ROOT_NET ? "" : " of memory");
	return root;
}

static uint64_t memory_needed(const struct client *client, const struct payload *p)
{
	uint64_t loading = p->kernel + copies(client) * p->initrd;
	switch (p->root) {
	case ROOT_RAM:
		return p->memory + (copies(client) - 2) * p->initrd;
	case ROOT_COPY:
		return loading + p->image + RUNNING;
	case ROOT_NET:
	case ROOT_AUTO:
		break;
	}
	return loading + RUNNING;
}

static int check_memory(const struct client *client, const struct payload *p, struct err *err)
{
	uint64_t memory = client->memory_mib * MIB, needed = memory_needed(client, p);
	if (memory == 0 || memory + memory / 16 >= needed)
		return 0;
	err_raise(err, ERR_UNSUPPORTED,
		"this machine has %u MiB of memory, and needs at least %" PRIu64 " MiB",
		client->memory_mib, needed / MIB);
	if (p->root != ROOT_NET)
		return err_hint(err, "with --root net it would need less");
	return -1;
}

/* BIOS and 32-bit EFI load below 4 GiB, beside all else that must be there. */
static int check_firmware(const struct client *client, const struct payload *p, struct err *err)
{
	bool low = client->firmware == FIRMWARE_BIOS ||
		(client->firmware == FIRMWARE_EFI && strcmp(client->arch, "i386") == 0);
	if (!low || p->initrd < INITRD_MAX_32)
		return 0;
	err_raise(err, ERR_UNSUPPORTED,
		"the initrd has %" PRIu64 " MiB, and this firmware loads less than %" PRIu64 " MiB",
		p->initrd / MIB, INITRD_MAX_32 / MIB);
	return err_hint(err, "with --root net it would be small");
}

bool payload_runs(const char *arch, const char *system)
{
	/* A boot loader for i386 may run on a machine that has 64 bits: BIOS ones always are so. */
	static const struct {
		const char *loader, *system;
	} rows[] = {{"x86_64", "x86_64-"}, {"x86_64", "i686-"}, {"i386", "x86_64-"},
		{"i386", "i686-"}, {"arm64", "aarch64-"}, {"aarch64", "aarch64-"},
		{"arm32", "armv"}, {"riscv64", "riscv64-"}, {"loong64", "loongarch64-"}};
	bool known = false;
	for (size_t i = 0; i < ARRAY_LEN(rows) && system != NULL; i++) {
		if (strcmp(arch, rows[i].loader) != 0)
			continue;
		known = true;
		if (strncmp(system, rows[i].system, strlen(rows[i].system)) == 0)
			return true;
	}
	return !known;
}

static int check_arch(const struct client *client, const struct payload *p, struct err *err)
{
	if (payload_runs(client->arch, p->system))
		return 0;
	err_raise(err, ERR_UNSUPPORTED, "this machine's boot loader is for %s, the system for %s",
		client->arch, p->system);
	return err_hint(err, "make an entry for it that names a system of its kind");
}

int payload_check(const struct client *client, const struct payload *payload, struct err *err)
{
	return check_arch(client, payload, err) < 0 || check_firmware(client, payload, err) < 0 ||
			check_memory(client, payload, err) < 0
		? -1
		: 0;
}
