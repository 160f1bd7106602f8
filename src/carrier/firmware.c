/* SPDX-License-Identifier: MIT */
/*
 * One firmware file, whatever form the system keeps it in. The order of the suffixes is the
 * kernel's (drivers/base/firmware_loader/main.c, _request_firmware, Linux 6.12).
 */
#include "carrier/firmware.h"

#include "base/path.h"
#include "carrier/in_root.h"
#include "carrier/inflate.h"

#include <string.h>

/* The largest of linux-firmware is about 60 MiB. */
#define FIRMWARE_MAX ((size_t)256 << 20)

/* A name out of a module must not lead out of the folder. */
static bool is_clean(const char *name)
{
	if (name[0] == '/' || name[0] == '\0')
		return false;
	for (const char *part = name; part != NULL; part = strchr(part, '/')) {
		part += *part == '/';
		size_t len = strcspn(part, "/");
		if (len == 0 || (len == 1 && part[0] == '.') ||
			(len == 2 && part[0] == '.' && part[1] == '.'))
			return false;
	}
	return true;
}

int firmware_read(int root, const char *dir, const char *name, struct buf *out, struct err *err)
{
	static const char *const suffixes[] = {"", ".zst", ".xz"};
	if (!is_clean(name))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		AUTO_FREE char *path = path_printf(err, "%s/%s%s", dir, name, suffixes[i]);
		if (path == NULL)
			return -1;
		if (i == 0) {
			int r = in_root_try_read(root, path, FIRMWARE_MAX, out, err);
			if (r != 0)
				return r;
			continue;
		}
		AUTO_BUF packed = {0};
		int r = in_root_try_read(root, path, FIRMWARE_MAX, &packed, err);
		if (r < 0)
			return -1;
		if (r == 0)
			continue;
		if (inflate_bytes(packed.data, packed.len, FIRMWARE_MAX, out, err) < 0)
			return err_prefix(err, "firmware '%s'", path);
		return 1;
	}
	return 0;
}
