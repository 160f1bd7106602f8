/* SPDX-License-Identifier: MIT */
/*
 * KVM or not, by looking. A /dev/kvm that opens is not enough: the module kvm_pvm offers KVM inside
 * clouds' guests without hardware support, and there QEMU 7.2 starts a guest that never gets past
 * its first instructions (tried on Linux 6.18 with kvm_pvm built in, so /proc/modules is no help;
 * /sys/module has both).
 */
#include "vm/accel.h"

#include "base/fd.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void accel_done(struct accel *accel)
{
	free(accel->why);
	*accel = (struct accel){0};
}

/* Why KVM is of no use here, or NULL with *ret_usable. */
static char *find_obstacle(const char *root, bool *ret_usable, struct err *err)
{
	AUTO_FREE char *device = path_printf(err, "%s/dev/kvm", root);
	AUTO_FREE char *pvm = path_printf(err, "%s/sys/module/kvm_pvm", root);
	if (device == NULL || pvm == NULL)
		return NULL;
	AUTO_FD int fd = open(device, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return path_printf(err, "cannot open '/dev/kvm': %s", strerror(errno));
	if (access(pvm, F_OK) == 0)
		return path_printf(err, "/dev/kvm is kvm_pvm, under which guests hang");
	*ret_usable = true;
	return NULL;
}

int accel_decide(const char *root, struct accel *ret, struct err *err)
{
	bool usable = false;
	char *why = find_obstacle(root, &usable, err);
	if (why == NULL && !usable)
		return -1;
	*ret = (struct accel){.kind = usable ? ACCEL_KVM : ACCEL_TCG, .why = why};
	return 0;
}

const char *accel_argument(enum accel_kind kind)
{
	return kind == ACCEL_KVM ? "kvm" : "tcg,thread=multi";
}
