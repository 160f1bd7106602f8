/* SPDX-License-Identifier: MIT */
/* The firmware's variable SecureBoot (UEFI 2.10, 3.3 "Globally Defined Variables"). */
#include "stage1/secureboot.h"

#include "base/fd.h"
#include "base/log.h"
#include "stage1/mounts.h"
#include "stage1/sysfile.h"

#include <fcntl.h>
#include <sys/mount.h>

#define EFIVARS "/sys/firmware/efi/efivars"
#define VARIABLE EFIVARS "/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"

bool secureboot_enforced(struct modules *modules)
{
	if (!sysfile_exists("/sys/firmware/efi"))
		return false;
	struct err err = ERR_INIT;
	const struct mount_spec spec = {
		"efivarfs", EFIVARS, "efivarfs", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL};
	if (!mounts_is_mountpoint(EFIVARS) && mounts_mount_module(&spec, modules, &err) < 0) {
		log_warning("%s, taking Secure Boot as on", err.msg);
		return true;
	}
	AUTO_FD int fd = -1;
	if (fd_open(AT_FDCWD, VARIABLE, O_RDONLY, &fd, &err) < 0) {
		/* Firmware without Secure Boot has no such variable. */
		bool absent = err.kind == ERR_NOT_FOUND;
		if (!absent)
			log_warning("%s, taking Secure Boot as on", err.msg);
		return !absent;
	}
	uint8_t data[5]; /* efivarfs: four bytes of attributes, then the value */
	size_t len;
	if (fd_read_full(fd, data, sizeof(data), VARIABLE, &len, &err) < 0 || len != sizeof(data))
		return true;
	return data[4] != 0;
}
