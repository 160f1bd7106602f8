/* SPDX-License-Identifier: MIT */
/*
 * ELF headers (System V gABI, chapter 4) out of untrusted bytes. Every offset is checked against
 * the size of the file before it is used, and names must end inside their string table. It knows
 * nothing of what sections mean.
 */
#include "carrier/elf_file.h"

#include "base/bytes.h"
#include "base/mem.h"

#include <elf.h>
#include <string.h>

static uint64_t get(const struct elf_file *elf, uint64_t off, unsigned width)
{
	const uint8_t *p = elf->data + off;
	switch (width) {
	case 2:
		return elf->big_endian ? get_be16(p) : get_le16(p);
	case 4:
		return elf->big_endian ? get_be32(p) : get_le32(p);
	default:
		return elf->big_endian ? get_be64(p) : get_le64(p);
	}
}

/* A field whose place and width differ between the two classes (a word in 32 bit). */
static uint64_t get_word(const struct elf_file *elf, uint64_t base, unsigned off32, unsigned off64)
{
	return elf->is_64 ? get(elf, base + off64, 8) : get(elf, base + off32, 4);
}

static bool fits(const struct elf_file *elf, uint64_t off, uint64_t len)
{
	return off <= elf->size && len <= elf->size - off;
}

static uint64_t section_header_size(const struct elf_file *elf)
{
	return elf->is_64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
}

static uint64_t segment_header_size(const struct elf_file *elf)
{
	return elf->is_64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
}

int elf_open(const uint8_t *data, size_t size, struct elf_file *ret, struct err *err)
{
	if (size < EI_NIDENT || memcmp(data, ELFMAG, SELFMAG) != 0)
		return err_raise(err, ERR_CORRUPT, "not an ELF file");
	if ((data[EI_CLASS] != ELFCLASS32 && data[EI_CLASS] != ELFCLASS64) ||
		(data[EI_DATA] != ELFDATA2LSB && data[EI_DATA] != ELFDATA2MSB))
		return err_raise(err, ERR_CORRUPT, "ELF file of unknown class or byte order");
	struct elf_file elf = {.data = data,
		.size = size,
		.is_64 = data[EI_CLASS] == ELFCLASS64,
		.big_endian = data[EI_DATA] == ELFDATA2MSB};
	if (size < (elf.is_64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr)))
		return err_raise(err, ERR_CORRUPT, "ELF header is cut off after %zu bytes", size);
	elf.type = (uint16_t)get(&elf, 16, 2);
	elf.machine = (uint16_t)get(&elf, 18, 2);
	elf.segments_off = get_word(&elf, 0, 28, 32);
	elf.sections_off = get_word(&elf, 0, 32, 40);
	unsigned counts = elf.is_64 ? 54 : 42; /* e_phentsize */
	elf.segment_count = (uint32_t)get(&elf, counts + 2, 2);
	elf.section_count = (uint32_t)get(&elf, counts + 6, 2);
	elf.names_index = (uint32_t)get(&elf, counts + 8, 2);
	if (elf.section_count > 0 && get(&elf, counts + 4, 2) != section_header_size(&elf))
		return err_raise(err, ERR_CORRUPT, "ELF section headers of unknown size");
	if (elf.segment_count > 0 && get(&elf, counts, 2) != segment_header_size(&elf))
		return err_raise(err, ERR_CORRUPT, "ELF program headers of unknown size");
	if (!fits(&elf, elf.sections_off, elf.section_count * section_header_size(&elf)))
		return err_raise(err, ERR_CORRUPT, "ELF section headers lie outside the file");
	if (!fits(&elf, elf.segments_off, elf.segment_count * segment_header_size(&elf)))
		return err_raise(err, ERR_CORRUPT, "ELF program headers lie outside the file");
	if (elf.section_count > 0 && elf.names_index >= elf.section_count)
		return err_raise(err, ERR_CORRUPT, "ELF section names lie in no section");
	*ret = elf;
	return 0;
}

static struct elf_section raw_section(const struct elf_file *elf, uint32_t i)
{
	uint64_t base = elf->sections_off + i * section_header_size(elf);
	return (struct elf_section){
		.type = (uint32_t)get(elf, base + 4, 4),
		.flags = get_word(elf, base, 8, 8),
		.off = get_word(elf, base, 16, 24),
		.size = get_word(elf, base, 20, 32),
		.link = (uint32_t)get(elf, base + (elf->is_64 ? 40 : 24), 4),
		.info = (uint32_t)get(elf, base + (elf->is_64 ? 44 : 28), 4),
		.align = get_word(elf, base, 32, 48),
		.entry_size = get_word(elf, base, 36, 56),
	};
}

int elf_section_at(const struct elf_file *elf, uint32_t i, struct elf_section *ret, struct err *err)
{
	if (i >= elf->section_count)
		return err_raise(err, ERR_CORRUPT, "ELF section %u of %u", i, elf->section_count);
	struct elf_section section = raw_section(elf, i);
	bool occupies = section.type != SHT_NOBITS && section.type != SHT_NULL;
	if (occupies && !fits(elf, section.off, section.size))
		return err_raise(err, ERR_CORRUPT, "ELF section %u lies outside the file", i);
	struct elf_section names = raw_section(elf, elf->names_index);
	uint64_t name = get(elf, elf->sections_off + i * section_header_size(elf), 4);
	if (names.type != SHT_STRTAB || !fits(elf, names.off, names.size) || name >= names.size)
		return err_raise(err, ERR_CORRUPT, "ELF section %u has no name", i);
	section.name = (const char *)elf->data + names.off + name;
	if (memchr(section.name, '\0', names.size - name) == NULL)
		return err_raise(err, ERR_CORRUPT, "the name of ELF section %u does not end", i);
	*ret = section;
	return 0;
}

int elf_is_dynamic(const struct elf_file *elf, struct err *err)
{
	if (elf->type != ET_EXEC && elf->type != ET_DYN)
		return err_raise(err, ERR_CORRUPT, "ELF file is not a program");
	for (uint32_t i = 0; i < elf->segment_count; i++)
		if (get(elf, elf->segments_off + i * segment_header_size(elf), 4) == PT_INTERP)
			return 1;
	return 0;
}
