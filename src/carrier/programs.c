/* SPDX-License-Identifier: MIT */
/*
 * Finds and reads the programs that run before any library is there. A dynamic one would fail on
 * the booted machine with nothing but "No such file or directory", so it is refused here.
 */
#include "carrier/programs.h"

#include "base/fd.h"
#include "base/path.h"
#include "carrier/elf_file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM_MAX ((size_t)64 << 20)

static int read_static(const char *path, struct buf *out, struct err *err)
{
	size_t start = out->len;
	if (fd_read_file(AT_FDCWD, path, PROGRAM_MAX, out, err) < 0)
		return -1;
	struct elf_file elf;
	if (elf_open(out->data + start, out->len - start, &elf, err) < 0)
		return err_prefix(err, "program '%s'", path);
	int dynamic = elf_is_dynamic(&elf, err);
	if (dynamic < 0)
		return err_prefix(err, "program '%s'", path);
	if (dynamic)
		return err_raise(err, ERR_UNSUPPORTED,
			"'%s' is linked dynamically, and an initramfs has no libraries", path);
	return 0;
}

/* The stage 1 that was built beside this program (build/src/cli/snowboot); NULL when installed. */
static char *built_stage1(struct err *err)
{
	static const char place[] = "/src/cli/snowboot";
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self));
	if (len < (ssize_t)strlen(place) ||
		memcmp(self + len - strlen(place), place, strlen(place)) != 0)
		return NULL;
	return path_printf(
		err, "%.*s/src/stage1/stage1", (int)(len - (ssize_t)strlen(place)), self);
}

int programs_stage1(struct buf *out, struct err *err)
{
	const char *given = getenv("SNOWBOOT_STAGE1");
	if (given != NULL)
		return read_static(given, out, err);
	AUTO_FREE char *built = built_stage1(err);
	if (built == NULL && !err_clean(err))
		return -1;
	if (read_static(built != NULL ? built : SNOWBOOT_LIBEXECDIR "/stage1", out, err) == 0)
		return 0;
	return err_hint(err,
		"set SNOWBOOT_STAGE1 to the program 'stage1' that was built with this "
		"one");
}

int programs_busybox(struct buf *out, struct err *err)
{
	const char *given = getenv("SNOWBOOT_BUSYBOX");
	if (read_static(given != NULL ? given : "/bin/busybox", out, err) == 0)
		return 0;
	return err_hint(err,
		"install the Debian package busybox-static, or set SNOWBOOT_BUSYBOX to "
		"a static busybox");
}
