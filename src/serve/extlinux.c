/* SPDX-License-Identifier: MIT */
/*
 * Names and text. U-Boot expands ${…} and $(…) in APPEND and takes backslashes away
 * (common/cli_simple.c), so a command line that has them is refused rather than changed. INITRD
 * stands before APPEND, which never has the word initrd=: its parser stumbles over it. Without MENU
 * and with PROMPT 0 the default is booted at once.
 */
#include "serve/extlinux.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define FOLDER "pxelinux.cfg/"

const char *extlinux_path_name(const char *path)
{
	const char *found = strstr(path, FOLDER);
	if (found == NULL || (found != path && found[-1] != '/'))
		return NULL;
	const char *name = found + strlen(FOLDER);
	return name[0] != '\0' && strchr(name, '/') == NULL ? name : NULL;
}

/* True when the text is of the form: 'x' stands for a hexadecimal digit, the rest for itself. */
static bool has_form(const char *text, size_t len, const char *form)
{
	if (len != strlen(form))
		return false;
	for (size_t i = 0; i < len; i++)
		if (form[i] == 'x' ? !isxdigit((unsigned char)text[i]) : text[i] != form[i])
			return false;
	return true;
}

/* How U-Boot (CONFIG_SYS_ARCH) and others call the architectures, and how Nix does. "arm" is also
 * what 64-bit U-Boot says; who is really of 32 bits finds no system here either way. */
static const struct {
	const char *theirs, *nixs;
} archs[] = {
	{"arm64", "aarch64"},
	{"aarch64", "aarch64"},
	{"arm", "aarch64"},
	{"x86", "x86_64"},
	{"x86_64", "x86_64"},
	{"riscv", "riscv64"},
	{"riscv64", "riscv64"},
};

static bool read_default(const char *name, size_t len, struct extlinux_who *who)
{
	static const char word[] = "default";
	size_t skip = sizeof(word) - 1;
	if (len < skip || memcmp(name, word, skip) != 0)
		return false;
	who->is_default = true;
	if (len == skip)
		return true;
	name += skip + 1;
	len -= skip + 1;
	if (name[-1] != '-')
		return false;
	const char *dash = memchr(name, '-', len);
	size_t arch = dash != NULL ? (size_t)(dash - name) : len;
	for (size_t i = 0; i < ARRAY_LEN(archs); i++) {
		if (strlen(archs[i].theirs) != arch || memcmp(archs[i].theirs, name, arch) != 0)
			continue;
		snprintf(who->arch, sizeof(who->arch), "%s", archs[i].nixs);
		return true;
	}
	return false;
}

bool extlinux_name_read(const char *name, size_t len, struct extlinux_who *ret)
{
	struct extlinux_who who = {0};
	if (has_form(name, len, "01-xx-xx-xx-xx-xx-xx")) {
		for (size_t i = 0; i < 17; i++)
			who.mac[i] = name[3 + i] == '-' ? ':'
							: (char)tolower((unsigned char)name[3 + i]);
	} else if (has_form(name, len, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")) {
		for (size_t i = 0; i < len; i++)
			who.uuid[i] = (char)tolower((unsigned char)name[i]);
	} else if (!has_form(name, len, "xxxxxxxx") && !read_default(name, len, &who)) {
		return false;
	}
	*ret = who;
	return true;
}

static int check(const char *cmdline, struct err *err)
{
	static const char *const odd[] = {"${", "$(", "\\", "\n"};
	static const char *const names[] = {"'${'", "'$('", "a backslash", "a line break"};
	for (size_t i = 0; i < ARRAY_LEN(odd); i++)
		if (strstr(cmdline, odd[i]) != NULL)
			return err_raise(err, ERR_UNSUPPORTED,
				"the kernel command line has %s, which U-Boot would not pass on",
				names[i]);
	return 0;
}

int extlinux_put(const struct extlinux *config, struct buf *out, struct err *err)
{
	if (check(config->cmdline, err) < 0 ||
		buf_printf(out, err,
			"DEFAULT snowboot\n"
			"PROMPT 0\n"
			"LABEL snowboot\n"
			"\tMENU LABEL %s\n"
			"\tLINUX %sbzImage\n"
			"\tINITRD %sinitrd\n",
			config->name, config->dir, config->dir) < 0)
		return -1;
	if (config->device_tree != NULL &&
		buf_printf(out, err, "\tFDT %sdtbs/%s\n", config->dir, config->device_tree) < 0)
		return -1;
	if (config->device_tree == NULL && config->device_trees &&
		buf_printf(out, err, "\tFDTDIR %sdtbs\n", config->dir) < 0)
		return -1;
	if (config->origin == NULL)
		return buf_printf(out, err, "\tAPPEND %s\n", config->cmdline);
	/* 2: BOOTIF= is added, by which stage 1 knows the card that the machine booted from. */
	return buf_printf(out, err, "\tAPPEND %s snowboot.origin=%s\n\tIPAPPEND 2\n",
		config->cmdline, config->origin);
}

/* As zlib's, of IEEE 802.3; a few hundred bytes a client. */
static uint32_t crc32(const uint8_t *data, size_t len)
{
	uint32_t crc = UINT32_MAX;
	for (size_t i = 0; i < len; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

static void put_be32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

#define SCRIPT "if pxe get; then pxe boot; fi\n"

int extlinux_put_script(struct buf *out, struct err *err)
{
	/* U-Boot, include/image.h: head of 64 bytes; a script has a list of lengths before it. */
	uint8_t image[64 + 8 + sizeof(SCRIPT) - 1] = {0};
	uint8_t *data = image + 64;
	put_be32(data, sizeof(SCRIPT) - 1);
	memcpy(data + 8, SCRIPT, sizeof(SCRIPT) - 1);
	put_be32(image, 0x27051956);                           /* magic */
	put_be32(image + 12, sizeof(image) - 64);              /* size */
	put_be32(image + 24, crc32(data, sizeof(image) - 64)); /* of the data */
	image[28] = 5;                                         /* Linux */
	image[29] = 22;                                        /* arm64; no loader looks */
	image[30] = 6;                                         /* script */
	memcpy(image + 32, "snowboot", 8);
	put_be32(image + 4, crc32(image, 64)); /* of the head, with zeros in its place */
	return buf_put(out, image, sizeof(image), err);
}
