/* SPDX-License-Identifier: MIT */
/*
 * How large kernel and initramfs without the image are: `initramfs-size SYSTEM-DIRECTORY [MODULES]
 * [whole|trimmed] [OUT]`, where the directory has `kernel`, `kernel-modules` and `firmware`. Goal
 * for the set netboot: 16 MiB. OUT gets the archive.
 */
#include "carrier/base.h"
#include "carrier/in_root.h"

#include "base/outfile.h"
#include "base/path.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MIB (1024.0 * 1024.0)

/* The one directory below lib/modules. */
static char *find_release(const char *modules, struct err *err)
{
	AUTO_FREE char *dir = path_printf(err, "%s/lib/modules", modules);
	DIR *d = dir != NULL ? opendir(dir) : NULL;
	char *found = NULL;
	for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
		if (e->d_name[0] != '.' && found == NULL)
			found = strdup(e->d_name);
	if (d != NULL)
		(void)closedir(d);
	if (found == NULL)
		err_raise(err, ERR_NOT_FOUND, "no kernel below '%s'", modules);
	return found;
}

static int measure(
	const char *system, const char *list, bool whole, const char *out, struct err *err)
{
	AUTO_FREE char *modules = path_printf(err, "%s/kernel-modules", system);
	AUTO_FREE char *firmware = path_printf(err, "%s/firmware", system);
	AUTO_FREE char *kernel = path_printf(err, "%s/kernel", system);
	AUTO_FREE char *release = modules != NULL ? find_release(modules, err) : NULL;
	if (firmware == NULL || kernel == NULL || release == NULL)
		return -1;
	struct stat st;
	if (stat(kernel, &st) < 0)
		return err_sys(err, "cannot read '%s'", kernel);
	struct base_params params = {.kernel_modules = modules,
		.release = release,
		.firmware = firmware,
		.modules = list,
		.flags = whole ? BASE_WHOLE_MODULES : 0};
	if (in_root_open_root("", "", &params.root, err) < 0)
		return -1;
	AUTO_BUF data = {0};
	struct base_stats stats;
	if (base_build(&params, NULL, &data, &stats, err) < 0)
		return -1;
	printf("%s, modules %s%s: %zu modules, %zu firmware files (%zu named but missing)\n",
		release, list, whole ? " (whole)" : "", stats.modules, stats.firmware,
		stats.firmware_missing);
	printf("kernel %.2f MiB + initramfs %.2f MiB (%.2f unpacked) = %.2f MiB\n",
		(double)st.st_size / MIB, (double)data.len / MIB, (double)stats.plain_size / MIB,
		((double)st.st_size + (double)data.len) / MIB);
	return out != NULL ? outfile_write(out, data.data, data.len, err) : 0;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: %s SYSTEM-DIRECTORY [MODULES] [whole|trimmed] [OUT]\n",
			argv[0]);
		return 2;
	}
	struct err err = ERR_INIT;
	bool whole = argc > 3 && strcmp(argv[3], "whole") == 0;
	if (measure(argv[1], argc > 2 ? argv[2] : "netboot", whole, argc > 4 ? argv[4] : NULL,
		    &err) == 0)
		return 0;
	fprintf(stderr, "initramfs-size: %s\n", err.msg);
	return 1;
}
