/* SPDX-License-Identifier: MIT */
/*
 * What a module says of itself (include/linux/module.h, MODULE_INFO): a section of NUL-terminated
 * "key=value" strings, padded with NULs where objects were linked together.
 */
#include "carrier/modinfo.h"

#include "carrier/elf_file.h"

#include <elf.h>
#include <string.h>

int modinfo_read(const uint8_t *elf, size_t size, struct modinfo *ret, struct err *err)
{
	struct elf_file file;
	if (elf_open(elf, size, &file, err) < 0)
		return -1;
	for (uint32_t i = 0; i < file.section_count; i++) {
		struct elf_section section;
		if (elf_section_at(&file, i, &section, err) < 0)
			return -1;
		if (section.type != SHT_PROGBITS || strcmp(section.name, ".modinfo") != 0)
			continue;
		if (section.size == 0)
			break;
		const char *text = (const char *)elf + section.off;
		if (text[section.size - 1] != '\0')
			return err_raise(
				err, ERR_CORRUPT, "section '.modinfo' does not end with a NUL");
		*ret = (struct modinfo){.text = text, .len = section.size};
		return 0;
	}
	*ret = (struct modinfo){.text = "", .len = 0};
	return 0;
}

const char *modinfo_value(const struct modinfo *info, const char *key, const char *previous)
{
	size_t key_len = strlen(key);
	const char *end = info->text + info->len;
	const char *at = previous != NULL ? previous + strlen(previous) + 1 : info->text;
	while (at < end) {
		if (strncmp(at, key, key_len) == 0 && at[key_len] == '=')
			return at + key_len + 1;
		at += strlen(at) + 1;
	}
	return NULL;
}
