/* SPDX-License-Identifier: MIT */
#ifndef VM_MACHINE_H
#define VM_MACHINE_H

/*
 * A virtual PC as data, and the QEMU command line that makes it (QEMU 7.2 or later). Zeroed memory
 * is a valid machine: BIOS, 1 GiB, 2 CPUs, no network, no disk. Strings are borrowed.
 */

#include "base/err.h"
#include "base/vec.h"
#include "vm/accel.h"

#include <stdbool.h>
#include <stdint.h>

#define MACHINE_MAX_NICS 8
#define MACHINE_MAX_DRIVES 8

enum firmware_kind {
	FIRMWARE_BIOS,  /* SeaBIOS, with its text on the serial console */
	FIRMWARE_UEFI,  /* OVMF without Secure Boot, variables thrown away */
	FIRMWARE_UBOOT, /* U-Boot on a 64-bit ARM machine, QEMU's "virt" */
};

enum nic_kind {
	NIC_NONE,
	NIC_USER,   /* QEMU's own network: 10.0.2.0/24, the host is 10.0.2.2 */
	NIC_TAP,    /* an open tap device, vm/tap.h */
	NIC_SOCKET, /* a virtual wire to other machines: UDP multicast group */
};

/* Which option ROM the firmware finds on the card. */
enum nic_rom {
	NIC_ROM_IPXE, /* QEMU's own for the model: iPXE, BIOS and UEFI */
	NIC_ROM_NONE, /* none: only the firmware's own PXE stack is left */
	NIC_ROM_FILE, /* rom_file */
};

struct machine_nic {
	enum nic_kind kind;
	const char *model; /* QEMU's device name; NULL: "virtio-net-pci" */
	const char *mac; /* "52:54:00:12:34:56"; NULL: QEMU's default, the same in every machine */
	enum nic_rom rom;
	const char *rom_file;
	bool boot;             /* the firmware boots from it; cards before disks, in order */
	int tap_fd;            /* NIC_TAP */
	const char *multicast; /* NIC_SOCKET: "230.0.0.1:1234" */
	/* NIC_USER: what its DHCP server announces and serves, and ports that lead inside. */
	const char *tftp_dir;
	const char *boot_file;           /* a name below tftp_dir or a URL, at most 127 bytes */
	const char *const *host_forward; /* "tcp:127.0.0.1:2222-:22", ends with NULL; or NULL */
};

struct machine_drive {
	const char *path;   /* NULL: no drive here */
	const char *format; /* NULL: "raw" */
	const char *device; /* QEMU's device name; NULL: "virtio-blk-pci" */
	const char *serial; /* name in /dev/disk/by-id/virtio-…; or NULL */
	bool read_only;
	bool throw_away; /* writes go to a temporary file */
};

struct machine {
	const char *qemu;      /* NULL: "qemu-system-x86_64", or -aarch64 with U-Boot */
	const char *name;      /* for the process list; NULL: "snowboot" */
	enum accel_kind accel; /* ACCEL_AUTO: decided by vm_start() */
	const char *cpu;       /* QEMU's -cpu; NULL: what suits the accelerator */
	uint64_t memory_mib;   /* 0: 1024 */
	unsigned cpus;         /* 0: 2 */
	enum firmware_kind firmware;
	const char *firmware_dir; /* where OVMF_CODE_4M.fd is; NULL: "/usr/share/OVMF"; or where
				     U-Boot's u-boot.bin is; NULL: "/usr/lib/u-boot/qemu_arm64" */
	/* Boots this kernel directly when not NULL; firmware still runs. */
	const char *kernel, *initrd, *append;
	struct machine_nic nics[MACHINE_MAX_NICS];
	struct machine_drive drives[MACHINE_MAX_DRIVES];
	bool no_reboot;          /* a reboot ends QEMU */
	const char *const *more; /* further arguments, ends with NULL; or NULL */
	/* Open sockets to talk over, -1 or 0: none. vm_start() makes its own. */
	int console_fd, qmp_fd;
};

/*
 * The command line of `m`, appended to *ret_argv. ERR_USAGE for a machine that cannot be (MAC
 * address malformed, less memory than firmware needs), ERR_BUG when accel is still open.
 */
int machine_command(const struct machine *m, struct strvec *ret_argv, struct err *err);

/* True for six two-digit hexadecimal numbers with colons that name one card (not a group). */
bool machine_mac_valid(const char *mac);

#endif
