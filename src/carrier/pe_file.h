/* SPDX-License-Identifier: MIT */
#ifndef CARRIER_PE_FILE_H
#define CARRIER_PE_FILE_H

/*
 * Reads the headers of a 64-bit EFI program (Microsoft's PE Format, "PE32+"), every bound checked.
 * Offsets below are those that writers of such a file patch.
 */

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define PE_SECTION_HEADER_SIZE 40

/* Machine types. */
#define PE_MACHINE_X86_64 0x8664
#define PE_MACHINE_AARCH64 0xaa64
#define PE_MACHINE_RISCV64 0x5064

struct pe_file {
	const uint8_t *data;   /* the file's begin, with all of its headers */
	uint64_t file_size;    /* bytes */
	uint32_t header_off;   /* of the COFF header, behind "PE\0\0" */
	uint32_t optional_off; /* of the optional header */
	uint32_t sections_off; /* of the section table */
	uint32_t headers_size; /* bytes of the file that are headers, or room for them */
	uint32_t image_size;   /* bytes of memory that the program takes */
	uint32_t file_alignment, section_alignment; /* bytes, powers of two */
	uint32_t directories;                       /* data directories in the optional header */
	uint16_t machine;
	uint16_t section_count;
};

struct pe_section {
	char name[9];
	uint32_t address, virtual_size; /* in memory, bytes */
	uint32_t raw_off, raw_size;     /* in the file, within it */
};

/* Offsets in COFF header, optional header and section header. */
enum {
	PE_COFF_SECTIONS = 2,
	PE_OPTIONAL_IMAGE_SIZE = 56,
	PE_OPTIONAL_CHECKSUM = 64,
	PE_OPTIONAL_DIRECTORIES = 112,
};
#define PE_DIRECTORY_CERTIFICATES 4 /* its number; each has 8 bytes */

/*
 * `data` is the file's first `size` bytes, which must stay as long as the object; all of its
 * headers must be there. ERR_CORRUPT for anything that is none, ERR_UNSUPPORTED for one that is no
 * 64-bit EFI program.
 */
int pe_open(
	const uint8_t *data, size_t size, uint64_t file_size, struct pe_file *ret, struct err *err);
/* Section `i`, which is below section_count. */
struct pe_section pe_section_at(const struct pe_file *pe, unsigned i);

#endif
