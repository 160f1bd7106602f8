/* SPDX-License-Identifier: MIT */
/*
 * Walks newc headers from the start of an initrd. An early archive holds nothing but "kernel/…"
 * (and dracut's marker "early_cpio"); the first archive with anything else, or anything that is not
 * an uncompressed archive, is the initrd proper, of which we want nothing.
 */
#include "carrier/microcode.h"

#include "base/fd.h"
#include "base/mem.h"

#include <string.h>

#define HEADER 110
#define NAME_MAX_BYTES 4096
#define FIELD_FILESIZE 6
#define FIELD_NAMESIZE 11
/* Padding between archives: the kernel skips any number of zeros, we look this far for the next. */
#define PADDING_MAX ((uint64_t)64 << 10)

struct walk {
	int fd;
	const char *what;
	uint64_t off;
};

struct member {
	char name[NAME_MAX_BYTES];
	uint64_t end; /* offset behind its contents */
};

/* Field `i` of a newc header: 8 hex digits. */
static bool field(const char *header, unsigned i, uint32_t *ret)
{
	uint32_t value = 0;
	for (const char *c = header + 6 + i * 8, *end = c + 8; c < end; c++) {
		static const char digits[] = "0123456789abcdef";
		const char *digit = strchr(digits, *c >= 'A' && *c <= 'F' ? *c + 32 : *c);
		if (*c == '\0' || digit == NULL)
			return false;
		value = value << 4 | (uint32_t)(digit - digits);
	}
	*ret = value;
	return true;
}

static int cut_off(const struct walk *walk, struct err *err)
{
	return err_raise(err, ERR_CORRUPT,
		"initrd '%s': the archive at its start is cut off at byte %ju", walk->what,
		(uintmax_t)walk->off);
}

/* 1 and the member at walk->off, 0 when no archive is there. */
static int next_member(struct walk *walk, struct member *ret, struct err *err)
{
	char header[HEADER];
	size_t got;
	if (fd_pread_full(walk->fd, header, HEADER, walk->off, walk->what, &got, err) < 0)
		return -1;
	if (got < 6 || (memcmp(header, "070701", 6) != 0 && memcmp(header, "070702", 6) != 0))
		return 0;
	if (got < HEADER)
		return cut_off(walk, err);
	uint32_t file_size, name_size;
	if (!field(header, FIELD_FILESIZE, &file_size) ||
		!field(header, FIELD_NAMESIZE, &name_size) || name_size == 0 ||
		name_size > sizeof(ret->name))
		return err_raise(err, ERR_CORRUPT,
			"initrd '%s': damaged archive header at byte %ju", walk->what,
			(uintmax_t)walk->off);
	if (fd_pread_full(
		    walk->fd, ret->name, name_size, walk->off + HEADER, walk->what, &got, err) < 0)
		return -1;
	if (got < name_size)
		return cut_off(walk, err);
	if (ret->name[name_size - 1] != '\0')
		return err_raise(err, ERR_CORRUPT,
			"initrd '%s': damaged archive header at byte %ju", walk->what,
			(uintmax_t)walk->off);
	ret->end = mem_align(walk->off + HEADER + name_size, 4) + file_size;
	return 1;
}

static bool is_early(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "early_cpio") == 0 ||
		strcmp(name, "kernel") == 0 || strncmp(name, "kernel/", 7) == 0;
}

/* 1: walk->off is behind a whole early archive; 0: there is none here. */
static int skip_archive(struct walk *walk, bool *microcode, struct err *err)
{
	struct walk at = *walk;
	for (bool first = true;; first = false) {
		struct member member;
		int r = next_member(&at, &member, err);
		if (r < 0)
			return -1;
		if (r == 0)
			return first ? 0 : cut_off(&at, err);
		if (strcmp(member.name, "TRAILER!!!") == 0) {
			walk->off = mem_align(member.end, 4);
			return 1;
		}
		if (!is_early(member.name))
			return 0;
		if (strncmp(member.name, "kernel/x86/microcode/", 21) == 0)
			*microcode = true;
		uint8_t last;
		size_t got;
		if (fd_pread_full(at.fd, &last, 1, member.end - 1, at.what, &got, err) < 0)
			return -1;
		if (got != 1)
			return cut_off(&at, err);
		at.off = mem_align(member.end, 4);
	}
}

/* Moves over zeros to the next thing, if there is one within reach. */
static int skip_padding(struct walk *walk, struct err *err)
{
	uint8_t bytes[512];
	for (uint64_t seen = 0; seen < PADDING_MAX; seen += sizeof(bytes)) {
		size_t got;
		if (fd_pread_full(walk->fd, bytes, sizeof(bytes), walk->off + seen, walk->what,
			    &got, err) < 0)
			return -1;
		for (size_t i = 0; i < got; i++)
			if (bytes[i] != 0) {
				walk->off += seen + i;
				return 0;
			}
		if (got < sizeof(bytes))
			return 0;
	}
	return 0;
}

int microcode_length(int fd, const char *what, uint64_t *ret_len, struct err *err)
{
	struct walk walk = {.fd = fd, .what = what};
	bool microcode = false;
	uint64_t end = 0;
	for (;;) {
		bool here = false;
		int r = skip_archive(&walk, &here, err);
		if (r < 0)
			return -1;
		if (r == 0)
			break;
		end = walk.off;
		microcode |= here;
		if (skip_padding(&walk, err) < 0)
			return -1;
	}
	*ret_len = microcode ? end : 0;
	return 0;
}
