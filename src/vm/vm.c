/* SPDX-License-Identifier: MIT */
/*
 * QEMU as a child. Console and monitor are socket pairs that the child inherits: no paths, nothing
 * to wait for, nothing to remove, and their end is QEMU's end.
 */
#include "vm/vm.h"

#include "base/fd.h"
#include "base/log.h"
#include "vm/child.h"
#include "vm/deadline.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* Until QEMU answers; it reads kernel and initrd before, and the machine may be busy. */
#define START_TIMEOUT_MS 60000
#define OUTPUT_MAX 600 /* bytes of QEMU's output in a message */

struct vm {
	struct child *child;
	struct console *console;
	struct qmp *qmp;
};

/* One end of a socket pair for us, one for the child. */
static int make_pair(int *ret_ours, int *ret_theirs, struct err *err)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, "cannot create a socket pair");
	*ret_ours = pair[0];
	*ret_theirs = pair[1];
	return 0;
}

static int decide_accel(struct machine *m, struct err *err)
{
	if (m->accel != ACCEL_AUTO)
		return 0;
	AUTO(accel_done) struct accel accel = {0};
	if (accel_decide("", &accel, err) < 0)
		return -1;
	m->accel = accel.kind;
	if (accel.kind != ACCEL_KVM)
		log_info("emulating the processor, which is slow: %s", accel.why);
	return 0;
}

/* Runs QEMU for *m, with the descriptors it needs. */
static int start_qemu(const struct machine *m, struct child **ret, struct err *err)
{
	int fds[2 + MACHINE_MAX_NICS];
	size_t count = 0;
	fds[count++] = m->console_fd;
	fds[count++] = m->qmp_fd;
	for (int i = 0; i < MACHINE_MAX_NICS; i++)
		if (m->nics[i].kind == NIC_TAP)
			fds[count++] = m->nics[i].tap_fd;
	AUTO_STRVEC argv = {0};
	if (machine_command(m, &argv, err) < 0)
		return -1;
	AUTO_FREE char *line = strvec_join(&argv, " ", err);
	if (line == NULL)
		return -1;
	log_debug("running %s", line);
	if (child_start(&argv, fds, count, ret, err) == 0)
		return 0;
	return err->kind == ERR_NOT_FOUND
		? err_hint(err, "install QEMU (Debian: apt-get install qemu-system-x86)")
		: -1;
}

/* A QEMU that ended has said why, which is worth more than how we noticed. */
static int diagnose_start(struct vm *vm, struct err *err)
{
	struct err local = ERR_INIT;
	int status;
	if (child_wait(vm->child, 500, &status, &local) != 0)
		return err_prefix(err, "starting the virtual machine");
	err_reset(err);
	err_raise(err, ERR_IO, "cannot start the virtual machine");
	return vm_explain(vm, err);
}

static int start(struct vm *vm, struct machine *m, const char *transcript, struct err *err)
{
	AUTO_FD int console = -1;
	AUTO_FD int console_theirs = -1;
	AUTO_FD int qmp = -1;
	AUTO_FD int qmp_theirs = -1;
	if (decide_accel(m, err) < 0 || make_pair(&console, &console_theirs, err) < 0 ||
		make_pair(&qmp, &qmp_theirs, err) < 0)
		return -1;
	m->console_fd = console_theirs;
	m->qmp_fd = qmp_theirs;
	if (start_qemu(m, &vm->child, err) < 0)
		return -1;
	/* Ours would keep the line open behind QEMU's end. */
	close(TAKE_FD(console_theirs));
	close(TAKE_FD(qmp_theirs));
	if (console_new(&console, transcript, &vm->console, err) < 0)
		return -1;
	if (qmp_new(&qmp, START_TIMEOUT_MS, &vm->qmp, err) == 0)
		return 0;
	return diagnose_start(vm, err);
}

int vm_start(const struct machine *m, const char *transcript, struct vm **ret, struct err *err)
{
	struct machine machine = *m;
	AUTO_VM vm = calloc(1, sizeof(*vm));
	if (vm == NULL)
		return err_oom(err);
	if (start(vm, &machine, transcript, err) < 0)
		return -1;
	*ret = TAKE_PTR(vm);
	return 0;
}

void vm_free(struct vm *vm)
{
	if (vm == NULL)
		return;
	child_free(vm->child);
	console_free(vm->console);
	qmp_free(vm->qmp);
	free(vm);
}

void vm_free_ptr(struct vm **vm)
{
	vm_free(*vm);
	*vm = NULL;
}

struct console *vm_console(struct vm *vm)
{
	return vm->console;
}

struct qmp *vm_qmp(struct vm *vm)
{
	return vm->qmp;
}

int vm_explain(struct vm *vm, struct err *err)
{
	if (vm == NULL || vm->child == NULL)
		return -1;
	/* Its sockets close a moment before the process is gone. */
	struct err local = ERR_INIT;
	int status;
	if (child_wait(vm->child, 500, &status, &local) != 0)
		return -1;
	AUTO_FREE char *how = child_status_text(status, &local);
	AUTO_FREE char *said = NULL;
	if (how == NULL || child_output(vm->child, OUTPUT_MAX, &said, &local) < 0)
		return -1;
	size_t len = strlen(err->msg);
	snprintf(err->msg + len, sizeof(err->msg) - len, "; QEMU %s%s%s", how,
		said[0] != '\0' ? ": " : "", said);
	return -1;
}

int vm_wait(struct vm *vm, unsigned timeout_ms, struct err *err)
{
	uint64_t deadline = deadline_in(timeout_ms);
	int status;
	for (;;) {
		int left = deadline_left_ms(deadline);
		int r = console_read(vm->console, (unsigned)left, err);
		if (r < 0)
			return -1;
		if (console_at_end(vm->console))
			break;
		if (r == 1 && left == 0)
			return 1;
	}
	int r = child_wait(vm->child, (unsigned)deadline_left_ms(deadline) + 1000, &status, err);
	if (r != 0 || status == 0)
		return r;
	err_raise(err, ERR_IO, "the virtual machine failed");
	return vm_explain(vm, err);
}

int vm_quit(struct vm *vm, struct err *err)
{
	if (child_signal(vm->child, SIGKILL, err) < 0)
		return -1;
	int status;
	return child_wait(vm->child, 10000, &status, err) == 1
		? err_raise(err, ERR_AGAIN, "QEMU does not end")
		: 0;
}
