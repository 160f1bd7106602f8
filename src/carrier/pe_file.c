/* SPDX-License-Identifier: MIT */
/*
 * PE headers out of untrusted bytes: the DOS header leads to "PE\0\0", the COFF header, the
 * optional header and the section table. Every offset is checked against what is there before it is
 * used. It knows nothing of what sections mean.
 */
#include "carrier/pe_file.h"

#include "base/bytes.h"
#include "base/mem.h"

#include <string.h>

#define DOS_PE_OFF 60 /* where the DOS header says where "PE\0\0" is */
#define DOS_SIZE 64
#define COFF_SIZE 20
#define OPTIONAL_MAGIC_64 0x20b
#define OPTIONAL_MAGIC_32 0x10b
#define SUBSYSTEM_EFI_APPLICATION 10
#define FILE_ALIGNMENT_MAX 65536 /* "between 512 and 64 K, inclusive" */
#define SECTION_ALIGNMENT_MAX (1u << 20)

static bool is_power_of_two(uint32_t v)
{
	return v != 0 && (v & (v - 1)) == 0;
}

static bool fits(uint64_t size, uint64_t off, uint64_t len)
{
	return off <= size && len <= size - off;
}

/* Finds the three headers. */
static int find_headers(const uint8_t *data, size_t size, struct pe_file *pe, struct err *err)
{
	if (size < DOS_SIZE || memcmp(data, "MZ", 2) != 0)
		return err_raise(err, ERR_CORRUPT, "not an EFI program");
	uint32_t off = get_le32(data + DOS_PE_OFF);
	if (!fits(size, off, 4 + COFF_SIZE))
		return err_raise(err, ERR_CORRUPT, "the PE header lies outside the file");
	if (memcmp(data + off, "PE\0\0", 4) != 0)
		return err_raise(err, ERR_CORRUPT, "not an EFI program");
	pe->header_off = off + 4;
	pe->machine = get_le16(data + pe->header_off);
	pe->section_count = get_le16(data + pe->header_off + PE_COFF_SECTIONS);
	pe->optional_off = pe->header_off + COFF_SIZE;
	uint32_t optional_size = get_le16(data + pe->header_off + 16);
	uint64_t table_size = (uint64_t)pe->section_count * PE_SECTION_HEADER_SIZE;
	if (!fits(size, pe->optional_off, optional_size + table_size))
		return err_raise(err, ERR_CORRUPT, "the PE headers are cut off");
	pe->sections_off = pe->optional_off + optional_size;
	return 0;
}

static int read_optional(struct pe_file *pe, struct err *err)
{
	const uint8_t *p = pe->data + pe->optional_off;
	uint32_t size = pe->sections_off - pe->optional_off;
	uint16_t magic = size >= 2 ? get_le16(p) : 0;
	if (magic == OPTIONAL_MAGIC_32)
		return err_raise(err, ERR_UNSUPPORTED, "an EFI program of 32 bits");
	if (magic != OPTIONAL_MAGIC_64 || size < PE_OPTIONAL_DIRECTORIES)
		return err_raise(err, ERR_CORRUPT, "a PE file without optional header");
	pe->section_alignment = get_le32(p + 32);
	pe->file_alignment = get_le32(p + 36);
	pe->image_size = get_le32(p + PE_OPTIONAL_IMAGE_SIZE);
	pe->headers_size = get_le32(p + 60);
	pe->directories = get_le32(p + 108);
	if (get_le16(p + 68) != SUBSYSTEM_EFI_APPLICATION)
		return err_raise(err, ERR_UNSUPPORTED, "a PE file that is no EFI application");
	if (!is_power_of_two(pe->section_alignment) || !is_power_of_two(pe->file_alignment) ||
		pe->file_alignment > FILE_ALIGNMENT_MAX ||
		pe->section_alignment > SECTION_ALIGNMENT_MAX)
		return err_raise(err, ERR_CORRUPT,
			"a PE file with sections aligned to %u bytes in memory and %u in the file",
			pe->section_alignment, pe->file_alignment);
	if (pe->directories > (size - PE_OPTIONAL_DIRECTORIES) / 8)
		return err_raise(err, ERR_CORRUPT, "the PE headers are cut off");
	return 0;
}

static int check_sections(const struct pe_file *pe, struct err *err)
{
	uint64_t table_end =
		pe->sections_off + (uint64_t)pe->section_count * PE_SECTION_HEADER_SIZE;
	if (pe->headers_size < table_end || pe->headers_size > pe->file_size)
		return err_raise(
			err, ERR_CORRUPT, "a PE file with headers of %u bytes", pe->headers_size);
	for (unsigned i = 0; i < pe->section_count; i++) {
		struct pe_section s = pe_section_at(pe, i);
		if (s.raw_size > 0 && !fits(pe->file_size, s.raw_off, s.raw_size))
			return err_raise(
				err, ERR_CORRUPT, "PE section %u lies outside the file", i);
		if ((uint64_t)s.address + s.virtual_size > pe->image_size)
			return err_raise(
				err, ERR_CORRUPT, "PE section %u lies outside the image", i);
	}
	return 0;
}

int pe_open(
	const uint8_t *data, size_t size, uint64_t file_size, struct pe_file *ret, struct err *err)
{
	struct pe_file pe = {.data = data, .file_size = file_size};
	if (find_headers(data, size, &pe, err) < 0 || read_optional(&pe, err) < 0 ||
		check_sections(&pe, err) < 0)
		return -1;
	*ret = pe;
	return 0;
}

struct pe_section pe_section_at(const struct pe_file *pe, unsigned i)
{
	const uint8_t *p = pe->data + pe->sections_off + (size_t)i * PE_SECTION_HEADER_SIZE;
	struct pe_section section = {
		.virtual_size = get_le32(p + 8),
		.address = get_le32(p + 12),
		.raw_size = get_le32(p + 16),
		.raw_off = get_le32(p + 20),
	};
	memcpy(section.name, p, 8); /* without a NUL when it has eight characters */
	return section;
}
