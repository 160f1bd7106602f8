/* SPDX-License-Identifier: MIT */
/*
 * A third of a distribution kernel's module is BTF, ORC tables with their relocations, and an
 * incompressible signature; none is needed to run it, and together they are the difference between
 * an initramfs that meets its size and one that does not. A section that is left out keeps its
 * place in the table of headers as an empty one without type and name, so that no symbol or
 * relocation has to be renumbered; the kernel passes over such sections (kernel/module/main.c,
 * elf_validity_check and its successors, Linux 5.4–6.12).
 */
#include "carrier/trim.h"

#include "base/bytes.h"
#include "carrier/elf_file.h"

#include <elf.h>
#include <string.h>

/* Offsets within Elf64_Ehdr and Elf64_Shdr. */
enum { EHDR_SHOFF = 40, SHDR_OFF = 24 };

static bool is_dropped(const char *name)
{
	static const char *const prefixes[] = {".debug_", ".BTF", ".orc_", ".comment"};
	if (strncmp(name, ".rela.", 6) == 0)
		name += 5;
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

/* Copies a section's contents behind what is there and tells its header where they are. */
static int put_contents(const struct elf_file *elf, const struct elf_section *section, size_t start,
	uint8_t *header, struct buf *out, struct err *err)
{
	uint64_t align = section->align > 1 ? section->align : 1;
	if ((align & (align - 1)) != 0 || align > 1 << 16)
		return err_raise(err, ERR_CORRUPT, "ELF section '%s' has alignment %ju",
			section->name, (uintmax_t)align);
	uint64_t at = out->len - start;
	if (buf_put_zero(out, mem_align(at, align) - at, err) < 0)
		return -1;
	put_le64(header + SHDR_OFF, out->len - start);
	if (section->type == SHT_NOBITS)
		return 0;
	return buf_put(out, elf->data + section->off, section->size, err);
}

int trim_module(const uint8_t *data, size_t size, struct buf *out, struct err *err)
{
	struct elf_file elf;
	if (elf_open(data, size, &elf, err) < 0)
		return -1;
	if (!elf.is_64 || elf.big_endian || elf.type != ET_REL || elf.section_count == 0)
		return buf_put(out, data, size, err);
	size_t start = out->len, headers_size = elf.section_count * sizeof(Elf64_Shdr);
	AUTO_BUF headers = {0};
	if (buf_put(&headers, data + elf.sections_off, headers_size, err) < 0 ||
		buf_put(out, data, sizeof(Elf64_Ehdr), err) < 0)
		return -1;
	for (uint32_t i = 1; i < elf.section_count; i++) {
		struct elf_section section;
		if (elf_section_at(&elf, i, &section, err) < 0)
			return -1;
		uint8_t *header = headers.data + i * sizeof(Elf64_Shdr);
		if (is_dropped(section.name))
			memset(header, 0, sizeof(Elf64_Shdr));
		else if (section.type != SHT_NULL &&
			put_contents(&elf, &section, start, header, out, err) < 0)
			return -1;
	}
	uint64_t at = out->len - start;
	if (buf_put_zero(out, mem_align(at, 8) - at, err) < 0)
		return -1;
	put_le64(out->data + start + EHDR_SHOFF, out->len - start);
	return buf_put(out, headers.data, headers_size, err);
}
