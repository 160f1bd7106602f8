/* SPDX-License-Identifier: MIT */
/*
 * Which modules go into the initramfs. A set is a list of patterns over the kernel's own source
 * tree (which is how modules are laid out below kernel/), so that a driver that is new in the next
 * kernel is in without a change here. Soft dependencies may be aliases ("crypto-crc32c"), which are
 * looked up as modprobe would.
 */
#include "carrier/modules.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

/* Without these no image can be mounted; the kernel may also have them built in. */
static const char *const required[] = {"squashfs", "overlay", "loop"};

/*
 * Patterns match the path below kernel/ without ".ko…"; '*' matches '/' too. One that starts with
 * '!' takes away what a pattern before it has matched (a dependency brings it back).
 */
static const char *const minimal[] = {
	/* the image, the writable store, the etc overlay of nixos-init */
	"fs/squashfs/squashfs",
	"fs/overlayfs/overlay",
	"drivers/block/loop",
	"fs/erofs/erofs",
	"fs/autofs/autofs4",
	/* checksums and compressions those ask the crypto layer for */
	"crypto/crc32c_generic",
	"arch/x86/crypto/crc32c-intel",
	"lib/libcrc32c",
	"lib/crc32c",
	"lib/zstd/*",
	"lib/xxhash",
	/* DHCP talks through a packet socket */
	"net/packet/af_packet",
	/* virtual machines: bus, disks, network, entropy */
	"drivers/virtio/virtio",
	"drivers/virtio/virtio_ring",
	"drivers/virtio/virtio_pci*",
	"drivers/virtio/virtio_mmio",
	"drivers/block/virtio_blk",
	"drivers/scsi/virtio_scsi",
	"drivers/net/virtio_net",
	"drivers/char/hw_random/virtio-rng",
	"drivers/char/virtio_console",
	NULL,
};

static const char *const netboot[] = {
	/* every wired network card, with what it talks to its cable through */
	"drivers/net/ethernet/*",
	"drivers/net/phy/*",
	"drivers/net/mdio/*",
	"drivers/net/pcs/*",
	"drivers/net/mdio",
	"drivers/net/vmxnet3/*",
	"drivers/net/hyperv/*",
	"drivers/net/xen-netfront",
	"drivers/net/fjes/*",
	/* and on USB, but no modems and cables between two machines */
	"drivers/net/usb/*",
	"!drivers/net/usb/hso",
	"!drivers/net/usb/qmi_wwan",
	"!drivers/net/usb/sierra_net",
	"!drivers/net/usb/cdc_mbim",
	"!drivers/net/usb/cdc-phonet",
	"!drivers/net/usb/huawei_cdc_ncm",
	"!drivers/net/usb/kalmia",
	"!drivers/net/usb/lg-vl600",
	"!drivers/net/usb/ipheth",
	"!drivers/net/usb/cx82310_eth",
	"!drivers/net/usb/gl620a",
	"!drivers/net/usb/net1080",
	"!drivers/net/usb/plusb",
	"!drivers/net/usb/zaurus",
	/* a network root: its block device, its tables in memory, a namespace of the node's own,
	   VLANs */
	"drivers/block/nbd",
	"drivers/block/brd",
	"drivers/md/dm-mod",
	"drivers/net/macvlan",
	"net/8021q/8021q",
	"net/ipv6/ipv6",
	/* disks, for a cache or a state partition */
	"drivers/nvme/host/nvme",
	"drivers/pci/controller/vmd",
	"drivers/ata/ahci",
	"drivers/ata/ata_piix",
	"drivers/scsi/sd_mod",
	"drivers/scsi/hv_storvsc",
	"drivers/scsi/vmw_pvscsi",
	"drivers/usb/storage/usb-storage",
	"drivers/usb/storage/uas",
	/* keyboards, for the rescue prompt */
	"drivers/usb/host/xhci*",
	"drivers/usb/host/ehci-pci",
	"drivers/usb/host/ohci-pci",
	"drivers/usb/host/uhci-hcd",
	"drivers/hid/hid",
	"drivers/hid/hid-generic",
	"drivers/hid/usbhid/usbhid",
	"drivers/hid/hid-hyperv",
	"drivers/input/serio/i8042",
	"drivers/input/serio/hyperv-keyboard",
	"drivers/input/keyboard/atkbd",
	NULL,
};

static const char *const all[] = {"*", NULL};

static const struct {
	const char *name;
	const char *const *patterns;
} sets[] = {{"minimal", minimal}, {"netboot", netboot}, {"all", all}};

/* True when `patterns` choose the module. */
static bool matches(const char *const *patterns, const struct module *module)
{
	bool chosen = false;
	for (; *patterns != NULL; patterns++) {
		bool takes_away = **patterns == '!';
		if (chosen == takes_away && fnmatch(*patterns + takes_away, module->stem, 0) == 0)
			chosen = !takes_away;
	}
	return chosen;
}

static void choose_set(struct modules *modules, const char *const *patterns)
{
	VEC_FOREACH(module, &modules->items)
		if (!module->chosen)
			module->chosen = matches(patterns, module);
}

static int choose_name(struct modules *modules, const char *name, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(sets); i++)
		if (strcmp(name, sets[i].name) == 0) {
			choose_set(modules, sets[i].patterns);
			return 0;
		}
	struct module *module = modules_find(modules, name);
	if (module != NULL) {
		module->chosen = true;
		return 0;
	}
	if (modules_is_builtin(modules, name))
		return 0;
	err_raise(err, ERR_NOT_FOUND, "kernel '%s' has no '%s', neither as a module nor built in",
		modules->release, name);
	return err_hint(err,
		"--modules takes the sets minimal, netboot and all, and names of "
		"modules, separated by commas");
}

static int choose_required(struct modules *modules, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(required); i++) {
		struct module *module = modules_find(modules, required[i]);
		if (module != NULL)
			module->chosen = true;
		if (module != NULL || modules_is_builtin(modules, required[i]))
			continue;
		err_raise(err, ERR_UNSUPPORTED,
			"kernel '%s' has no '%s', neither as a module nor built in, so it cannot "
			"mount an image",
			modules->release, required[i]);
		return err_hint(err,
			"boot.kernelPackages needs a kernel with squashfs, overlayfs "
			"and loop devices");
	}
	return 0;
}

/* Marks a module and remembers it for the closure. */
struct pending {
	VEC(size_t) items;
};

static int want(
	struct modules *modules, struct module *module, struct pending *pending, struct err *err)
{
	if (module->chosen)
		return 0;
	module->chosen = true;
	return vec_push(&pending->items, (size_t)(module - modules->items.items), err);
}

/* Every module that claims the alias: "alias PATTERN NAME" lines, as modprobe matches them. */
static int want_alias(
	struct modules *modules, const char *alias, struct pending *pending, struct err *err)
{
	AUTO_FREE char *copy = strdup((char *)modules->alias.data);
	if (copy == NULL)
		return err_oom(err);
	char *lines = NULL;
	for (char *line = strtok_r(copy, "\n", &lines); line != NULL;
		line = strtok_r(NULL, "\n", &lines)) {
		char *name = strrchr(line, ' ');
		if (strncmp(line, "alias ", 6) != 0 || name == NULL || name < line + 6)
			continue;
		*name++ = '\0';
		struct module *module = modules_find(modules, name);
		if (module != NULL && fnmatch(line + 6, alias, 0) == 0 &&
			want(modules, module, pending, err) < 0)
			return -1;
	}
	return 0;
}

/* A word of a soft dependency: one that nothing answers to is no failure (that is the "soft"). */
static int want_soft(
	struct modules *modules, const char *word, struct pending *pending, struct err *err)
{
	if (strcmp(word, "pre:") == 0 || strcmp(word, "post:") == 0)
		return 0;
	struct module *module = modules_find(modules, word);
	if (module != NULL)
		return want(modules, module, pending, err);
	if (modules_is_builtin(modules, word))
		return 0;
	return want_alias(modules, word, pending, err);
}

/* Lines "softdep NAME pre: a b post: c" or "weakdep NAME a b" of the modules that are chosen. */
static int want_soft_of(struct modules *modules, const struct buf *table,
	const struct module *module, struct pending *pending, struct err *err)
{
	AUTO_FREE char *copy = strdup((char *)table->data);
	if (copy == NULL)
		return err_oom(err);
	char *lines = NULL;
	for (char *line = strtok_r(copy, "\n", &lines); line != NULL;
		line = strtok_r(NULL, "\n", &lines)) {
		char *words = NULL;
		const char *keyword = strtok_r(line, " ", &words);
		const char *name = strtok_r(NULL, " ", &words);
		if (keyword == NULL || keyword[0] == '#' || name == NULL ||
			modules_find(modules, name) != module)
			continue;
		for (const char *word; (word = strtok_r(NULL, " ", &words)) != NULL;)
			if (want_soft(modules, word, pending, err) < 0)
				return -1;
	}
	return 0;
}

static int close_over(struct modules *modules, struct pending *pending, struct err *err)
{
	while (pending->items.len > 0) {
		size_t i = pending->items.items[--pending->items.len];
		const struct module *module = &modules->items.items[i];
		for (size_t d = 0; d < module->dep_count; d++)
			if (want(modules, &modules->items.items[module->deps[d]], pending, err) < 0)
				return -1;
		if (want_soft_of(modules, &modules->softdep, module, pending, err) < 0 ||
			want_soft_of(modules, &modules->weakdep, module, pending, err) < 0)
			return -1;
	}
	return 0;
}

int modules_choose(struct modules *modules, const char *list, struct err *err)
{
	if (choose_required(modules, err) < 0)
		return -1;
	choose_set(modules, minimal);
	AUTO_FREE char *copy = strdup(list);
	if (copy == NULL)
		return err_oom(err);
	char *save = NULL;
	for (char *name = strtok_r(copy, ", ", &save); name != NULL;
		name = strtok_r(NULL, ", ", &save))
		if (choose_name(modules, name, err) < 0)
			return -1;
	struct pending pending = {0};
	int r = 0;
	for (size_t i = 0; i < modules->items.len && r == 0; i++)
		if (modules->items.items[i].chosen)
			r = vec_push(&pending.items, i, err);
	if (r == 0)
		r = close_over(modules, &pending, err);
	vec_done(&pending.items);
	return r;
}

size_t modules_chosen_count(const struct modules *modules)
{
	size_t count = 0;
	VEC_FOREACH(module, &modules->items)
		count += module->chosen;
	return count;
}
