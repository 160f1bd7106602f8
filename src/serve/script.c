/* SPDX-License-Identifier: MIT */
/*
 * Works with any iPXE since 1.0: no command that a BIOS build may lack. `initrd=initrd` names the
 * file for EFI kernels before 5.8, which find it by name; others ignore it.
 */
#include "serve/script.h"

#include <string.h>

/* iPXE expands ${…} and ends a command at the words ; && and ||. It has no quoting. */
static int check(const char *cmdline, struct err *err)
{
	if (strstr(cmdline, "${") != NULL)
		return err_raise(err, ERR_UNSUPPORTED,
			"the kernel command line has '${', which iPXE would expand");
	static const char *const words[] = {";", "&&", "||"};
	for (const char *p = cmdline; *p != '\0';) {
		p += strspn(p, " \t\n");
		size_t len = strcspn(p, " \t\n");
		for (size_t i = 0; i < ARRAY_LEN(words); i++)
			if (len == strlen(words[i]) && strncmp(p, words[i], len) == 0)
				return err_raise(err, ERR_UNSUPPORTED,
					"the kernel command line has the word '%s', which iPXE "
					"takes for the end of its own command",
					words[i]);
		p += len;
	}
	if (strchr(cmdline, '\n') != NULL)
		return err_raise(err, ERR_UNSUPPORTED, "the kernel command line has a line break");
	return 0;
}

int script_put(
	const char *name, const char *dir, const char *cmdline, struct buf *out, struct err *err)
{
	if (check(cmdline, err) < 0)
		return -1;
	return buf_printf(out, err,
		"#!ipxe\n"
		"echo snowboot: %s\n"
		":start\n"
		"kernel %sbzImage initrd=initrd %s || goto failed\n"
		"initrd %sinitrd || goto failed\n"
		"boot || goto failed\n"
		":failed\n"
		"imgfree\n"
		"echo snowboot: that did not work, trying again in 10 seconds\n"
		"sleep 10\n"
		"goto start\n",
		name, dir, cmdline, dir);
}
