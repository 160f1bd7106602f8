/* SPDX-License-Identifier: MIT */
#ifndef CARRIER_ELF_FILE_H
#define CARRIER_ELF_FILE_H

/* Reads the headers of an ELF file in memory: 32 and 64 bit, either byte order, every bound
 * checked. */

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_file {
	const uint8_t *data;
	size_t size;
	bool is_64, big_endian;
	uint16_t type;    /* ET_REL, ET_EXEC, ET_DYN */
	uint16_t machine; /* EM_X86_64, … */
	uint64_t sections_off, segments_off;
	uint32_t section_count, segment_count, names_index;
};

struct elf_section {
	const char *name; /* in the file's data */
	uint32_t type;
	uint64_t flags, off, size, align, entry_size;
	uint32_t link, info;
};

/* `data` must stay as long as the object. ERR_CORRUPT for anything that is no complete ELF file. */
int elf_open(const uint8_t *data, size_t size, struct elf_file *ret, struct err *err);
/* Section `i`; its contents are within the file. ERR_CORRUPT otherwise. */
int elf_section_at(
	const struct elf_file *elf, uint32_t i, struct elf_section *ret, struct err *err);
/* 1 when a program asks for a dynamic loader (PT_INTERP), 0 when it is static. ERR_CORRUPT. */
int elf_is_dynamic(const struct elf_file *elf, struct err *err);

#endif
