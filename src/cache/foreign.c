/* SPDX-License-Identifier: MIT */
/*
 * A partition is only taken for a cache when it holds nothing else that is known: a label or a
 * parameter with a typing error must not cost anybody a file system. Signatures and their places
 * are those of util-linux libblkid/src/superblocks and partitions.
 */
#include "cache/foreign.h"

#include "base/mem.h"

#include <string.h>

static const struct signature {
	uint32_t off;
	const char *bytes;
	size_t size;
	const char *what;
} signatures[] = {
	{0x438, "\x53\xef", 2, "an ext2, ext3 or ext4 file system"},
	{0, "XFSB", 4, "an XFS file system"},
	{0x10040, "_BHRfS_M", 8, "a btrfs file system"},
	{0x1018, "\xc6\x85\x73\xf6\x4e\x1a\x45\xca", 8, "a bcachefs file system"},
	{0x400, "\x10\x20\xf5\xf2", 4, "an F2FS file system"},
	{0x400, "\xe2\xe1\xf5\xe0", 4, "an EROFS file system"},
	{0, "hsqs", 4, "a squashfs file system"},
	{0x8001, "CD001", 5, "an ISO 9660 file system"},
	{0, "LUKS\xba\xbe", 6, "a LUKS volume"},
	{0x200, "LABELONE", 8, "an LVM physical volume"},
	{0x1000, "\xfc\x4e\x2b\xa9", 4, "a member of a RAID"},
	{0, "\xfc\x4e\x2b\xa9", 4, "a member of a RAID"},
	{0xff6, "SWAPSPACE2", 10, "swap space"},
	{0x200, "EFI PART", 8, "a partition table"},
	{3, "NTFS    ", 8, "an NTFS file system"},
	{3, "EXFAT   ", 8, "an exFAT file system"},
	{0x1fe, "\x55\xaa", 2, "a FAT file system or a partition table"},
};

const char *cache_foreign(const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < ARRAY_LEN(signatures); i++) {
		const struct signature *s = &signatures[i];
		if (s->off + s->size <= size && memcmp(bytes + s->off, s->bytes, s->size) == 0)
			return s->what;
	}
	return NULL;
}
