/* SPDX-License-Identifier: MIT */
/*
 * From a struct to QEMU's arguments. Knows QEMU's spelling and nothing about running it.
 * Everything is said explicitly (-nodefaults, -no-user-config), so that a machine is the same under
 * any QEMU configuration.
 */
#include "vm/machine.h"

#include "base/buf.h"
#include "base/path.h"

#include <ctype.h>
#include <string.h>

#define DEFAULT_MEMORY_MIB 1024
#define DEFAULT_CPUS 2
#define MIN_MEMORY_MIB 64       /* SeaBIOS and iPXE fit; no kernel of ours does with less */
#define MIN_UEFI_MEMORY_MIB 128 /* OVMF 2022.11 asserts with less */
/* The boot file field of a DHCP packet has 128 bytes with its NUL (RFC 2131 §2). */
#define MAX_BOOT_FILE 127

/* Appends the arguments given, up to NULL. */
static int put(struct strvec *argv, struct err *err, ...)
{
	va_list ap;
	va_start(ap, err);
	int r = 0;
	for (const char *arg; r == 0 && (arg = va_arg(ap, const char *)) != NULL;)
		r = strvec_push(argv, arg, err);
	va_end(ap);
	return r;
}

/* Appends ",key=value" to an option's text; a comma in a value is doubled (QemuOpts). */
static int put_key(struct buf *text, const char *key, const char *value, struct err *err)
{
	if (value == NULL)
		return 0;
	if (buf_printf(text, err, ",%s=", key) < 0)
		return -1;
	for (const char *p = value; *p != '\0'; p++)
		if (buf_put(text, *p == ',' ? ",," : p, *p == ',' ? 2 : 1, err) < 0)
			return -1;
	return 0;
}

/* Appends `option` and the collected text, and empties it. */
static int put_text(struct strvec *argv, const char *option, struct buf *text, struct err *err)
{
	const char *str = buf_str(text, err);
	if (str == NULL || put(argv, err, option, str, NULL) < 0)
		return -1;
	buf_clear(text);
	return 0;
}

bool machine_mac_valid(const char *mac)
{
	if (strlen(mac) != 17)
		return false;
	for (int i = 0; i < 17; i++)
		if (i % 3 == 2 ? mac[i] != ':' : !isxdigit((unsigned char)mac[i]))
			return false;
	/* The lowest bit of the first byte marks a group address (IEEE 802.3 §3.2.3). */
	return strchr("13579bBdDfF", mac[1]) == NULL;
}

static int check(const struct machine *m, struct err *err)
{
	static const char *const kinds[] = {[FIRMWARE_BIOS] = "a BIOS machine",
		[FIRMWARE_UEFI] = "UEFI",
		[FIRMWARE_UBOOT] = "U-Boot"};
	if (m->accel == ACCEL_AUTO)
		return err_raise(err, ERR_BUG, "the accelerator of a machine is not decided");
	uint64_t min = m->firmware == FIRMWARE_UEFI ? MIN_UEFI_MEMORY_MIB : MIN_MEMORY_MIB;
	if (m->memory_mib != 0 && m->memory_mib < min)
		return err_raise(err, ERR_USAGE, "%llu MiB of memory are too few for %s (min %llu)",
			(unsigned long long)m->memory_mib, kinds[m->firmware],
			(unsigned long long)min);
	for (const struct machine_nic *n = m->nics; n != m->nics + MACHINE_MAX_NICS; n++) {
		if (n->mac != NULL && !machine_mac_valid(n->mac))
			return err_raise(err, ERR_USAGE,
				"'%s' is not the MAC address of a card, like 52:54:00:12:34:56",
				n->mac);
		if (n->boot_file != NULL && strlen(n->boot_file) > MAX_BOOT_FILE)
			return err_raise(err, ERR_USAGE,
				"boot file '%s' has %zu bytes > max %d of a DHCP packet",
				n->boot_file, strlen(n->boot_file), MAX_BOOT_FILE);
	}
	return 0;
}

static int put_base(const struct machine *m, struct strvec *argv, struct err *err)
{
	AUTO_FREE char *memory = path_printf(err, "%lluM",
		(unsigned long long)(m->memory_mib != 0 ? m->memory_mib : DEFAULT_MEMORY_MIB));
	AUTO_FREE char *cpus = path_printf(err, "%u", m->cpus != 0 ? m->cpus : DEFAULT_CPUS);
	if (memory == NULL || cpus == NULL)
		return -1;
	bool arm = m->firmware == FIRMWARE_UBOOT;
	const char *qemu = arm ? "qemu-system-aarch64" : "qemu-system-x86_64";
	/*
	 * graphics=off is what makes SeaBIOS, and with it iPXE, use the serial line. The i440FX
	 * machine, since the BIOS of q35 takes twice as long to look at its PCIe ports.
	 */
	const char *cpu = m->cpu != NULL ? m->cpu : m->accel == ACCEL_KVM ? "host" : "max";
	if (put(argv, err, m->qemu != NULL ? m->qemu : qemu, "-name",
		    m->name != NULL ? m->name : "snowboot", "-no-user-config", "-nodefaults",
		    "-display", "none", "-machine", arm ? "virt" : "pc,graphics=off", "-accel",
		    accel_argument(m->accel), "-cpu", cpu, "-m", memory, "-smp", cpus, NULL) < 0)
		return -1;
	return m->no_reboot ? put(argv, err, "-no-reboot", NULL) : 0;
}

static int put_firmware(const struct machine *m, struct strvec *argv, struct err *err)
{
	if (m->firmware == FIRMWARE_BIOS)
		return 0;
	if (m->firmware == FIRMWARE_UBOOT) {
		AUTO_FREE char *bios = path_printf(err, "%s/u-boot.bin",
			m->firmware_dir != NULL ? m->firmware_dir : "/usr/lib/u-boot/qemu_arm64");
		return bios == NULL ? -1 : put(argv, err, "-bios", bios, NULL);
	}
	const char *dir = m->firmware_dir != NULL ? m->firmware_dir : "/usr/share/OVMF";
	AUTO_BUF text = {0};
	AUTO_FREE char *code = path_printf(err, "%s/OVMF_CODE_4M.fd", dir);
	AUTO_FREE char *vars = path_printf(err, "%s/OVMF_VARS_4M.fd", dir);
	if (code == NULL || vars == NULL)
		return -1;
	if (buf_put_str(&text, "if=pflash,unit=0,format=raw,readonly=on", err) < 0 ||
		put_key(&text, "file", code, err) < 0 || put_text(argv, "-drive", &text, err) < 0)
		return -1;
	/* snapshot: every machine starts with the variables as they were shipped. */
	if (buf_put_str(&text, "if=pflash,unit=1,format=raw,snapshot=on", err) < 0 ||
		put_key(&text, "file", vars, err) < 0)
		return -1;
	return put_text(argv, "-drive", &text, err);
}

static int put_socket(
	const char *name, int fd, const char *option, struct strvec *argv, struct err *err)
{
	if (fd <= 0)
		return 0;
	AUTO_FREE char *chardev = path_printf(err, "socket,id=%s,fd=%d", name, fd);
	AUTO_FREE char *user = path_printf(
		err, strcmp(option, "-mon") == 0 ? "chardev=%s,mode=control" : "chardev:%s", name);
	if (chardev == NULL || user == NULL)
		return -1;
	return put(argv, err, "-chardev", chardev, option, user, NULL);
}

static int put_kernel(const struct machine *m, struct strvec *argv, struct err *err)
{
	if (m->kernel == NULL)
		return 0;
	if (put(argv, err, "-kernel", m->kernel, NULL) < 0 ||
		(m->initrd != NULL && put(argv, err, "-initrd", m->initrd, NULL) < 0))
		return -1;
	return m->append != NULL ? put(argv, err, "-append", m->append, NULL) : 0;
}

/* The host's side of a card: -netdev. */
static int put_netdev(const struct machine_nic *n, int index, struct buf *text, struct err *err)
{
	switch (n->kind) {
	case NIC_NONE:
		return 0;
	case NIC_TAP:
		return buf_printf(text, err, "tap,id=net%d,fd=%d", index, n->tap_fd);
	case NIC_SOCKET:
		if (buf_printf(text, err, "socket,id=net%d", index) < 0)
			return -1;
		return put_key(text, "mcast", n->multicast, err);
	case NIC_USER:
		break;
	}
	if (buf_printf(text, err, "user,id=net%d", index) < 0 ||
		put_key(text, "tftp", n->tftp_dir, err) < 0 ||
		put_key(text, "bootfile", n->boot_file, err) < 0)
		return -1;
	for (const char *const *f = n->host_forward; f != NULL && *f != NULL; f++)
		if (put_key(text, "hostfwd", *f, err) < 0)
			return -1;
	return 0;
}

/* The guest's side: -device. */
static int put_card(
	const struct machine_nic *n, int index, int *boot_index, struct buf *text, struct err *err)
{
	const char *model = n->model != NULL ? n->model : "virtio-net-pci";
	if (buf_printf(text, err, "%s,netdev=net%d", model, index) < 0 ||
		put_key(text, "mac", n->mac, err) < 0)
		return -1;
	if (n->rom != NIC_ROM_IPXE &&
		put_key(text, "romfile", n->rom == NIC_ROM_NONE ? "" : n->rom_file, err) < 0)
		return -1;
	return n->boot ? buf_printf(text, err, ",bootindex=%d", ++*boot_index) : 0;
}

static int put_nics(const struct machine *m, struct strvec *argv, struct err *err)
{
	AUTO_BUF text = {0};
	int boot_index = 0;
	for (int i = 0; i < MACHINE_MAX_NICS; i++) {
		const struct machine_nic *n = &m->nics[i];
		if (n->kind == NIC_NONE)
			continue;
		if (put_netdev(n, i, &text, err) < 0 || put_text(argv, "-netdev", &text, err) < 0)
			return -1;
		if (put_card(n, i, &boot_index, &text, err) < 0 ||
			put_text(argv, "-device", &text, err) < 0)
			return -1;
	}
	return 0;
}

static int put_drives(const struct machine *m, struct strvec *argv, struct err *err)
{
	AUTO_BUF text = {0};
	for (int i = 0; i < MACHINE_MAX_DRIVES; i++) {
		const struct machine_drive *d = &m->drives[i];
		if (d->path == NULL)
			continue;
		if (buf_printf(&text, err, "if=none,id=drive%d", i) < 0 ||
			put_key(&text, "format", d->format != NULL ? d->format : "raw", err) < 0 ||
			put_key(&text, "readonly", d->read_only ? "on" : NULL, err) < 0 ||
			put_key(&text, "snapshot", d->throw_away ? "on" : NULL, err) < 0 ||
			put_key(&text, "file", d->path, err) < 0 ||
			put_text(argv, "-drive", &text, err) < 0)
			return -1;
		const char *device = d->device != NULL ? d->device : "virtio-blk-pci";
		if (buf_printf(&text, err, "%s,drive=drive%d", device, i) < 0 ||
			put_key(&text, "serial", d->serial, err) < 0 ||
			put_text(argv, "-device", &text, err) < 0)
			return -1;
	}
	return 0;
}

int machine_command(const struct machine *m, struct strvec *ret_argv, struct err *err)
{
	if (check(m, err) < 0 || put_base(m, ret_argv, err) < 0 ||
		put_firmware(m, ret_argv, err) < 0 ||
		put_socket("console", m->console_fd, "-serial", ret_argv, err) < 0 ||
		put_socket("monitor", m->qmp_fd, "-mon", ret_argv, err) < 0 ||
		put_kernel(m, ret_argv, err) < 0 || put_nics(m, ret_argv, err) < 0 ||
		put_drives(m, ret_argv, err) < 0)
		return -1;
	for (const char *const *p = m->more; p != NULL && *p != NULL; p++)
		if (strvec_push(ret_argv, *p, err) < 0)
			return -1;
	return 0;
}
