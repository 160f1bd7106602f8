/* SPDX-License-Identifier: MIT */
#ifndef VM_ACCEL_H
#define VM_ACCEL_H

/* How QEMU runs the guest's instructions: KVM where it works, emulation (TCG) everywhere else. */

#include "base/err.h"

enum accel_kind {
	ACCEL_AUTO, /* decided when the machine starts */
	ACCEL_TCG,
	ACCEL_KVM,
};

struct accel {
	enum accel_kind kind;
	char *why; /* why not KVM; NULL with KVM. Owned. */
};

void accel_done(struct accel *accel);

/*
 * Decides by what works on the machine below `root` ("" for this one): KVM when dev/kvm opens for
 * reading and writing and its module is not kvm_pvm (sys/module/kvm_pvm), a KVM without hardware
 * support, under which QEMU 7.2 starts a guest and then hangs. Fails with ERR_NOMEM only.
 */
int accel_decide(const char *root, struct accel *ret, struct err *err);

/* The argument of QEMU's -accel. Static storage. */
const char *accel_argument(enum accel_kind kind);

#endif
