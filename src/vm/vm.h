/* SPDX-License-Identifier: MIT */
#ifndef VM_VM_H
#define VM_VM_H

/*
 * A running virtual machine: QEMU as a child, its serial console and its QMP monitor.
 *
 *	struct machine m = {.kernel = "bzImage", .initrd = "initrd", .append = "console=ttyS0"};
 *	AUTO_VM vm = NULL;
 *	if (vm_start(&m, "/tmp/transcript", &vm, err) < 0 ||
 *		console_expect(vm_console(vm), "login:", 60000, NULL, err) < 0)
 *		return vm_explain(vm, err);
 */

#include "base/err.h"
#include "vm/console.h"
#include "vm/machine.h"
#include "vm/qmp.h"

struct vm;

/*
 * Starts the machine. With ACCEL_AUTO it decides the accelerator and says on the log when it is
 * not KVM. The console's output is also appended to the file `transcript`, if not NULL. A QEMU
 * that does not come up is an error with what it printed.
 */
int vm_start(const struct machine *m, const char *transcript, struct vm **ret, struct err *err);
/* Kills QEMU if it still runs. Accepts NULL. */
void vm_free(struct vm *vm);
void vm_free_ptr(struct vm **vm);
#define AUTO_VM AUTO(vm_free_ptr) struct vm *

/* Borrowed, live as long as the machine. */
struct console *vm_console(struct vm *vm);
struct qmp *vm_qmp(struct vm *vm);

/*
 * Reads the console until QEMU ends, up to timeout_ms: 0 it ended, 1 it still runs. A QEMU that
 * fails is an error with what it printed.
 */
int vm_wait(struct vm *vm, unsigned timeout_ms, struct err *err);

/* Ends QEMU at once, as pulling the plug. */
int vm_quit(struct vm *vm, struct err *err);

/*
 * Adds to a failure that is already raised how QEMU ended and what it printed, when it did end.
 * Accepts NULL. Returns -1.
 */
int vm_explain(struct vm *vm, struct err *err);

#endif
