/* SPDX-License-Identifier: MIT */
#ifndef GUEST_H
#define GUEST_H

/*
 * A small guest for tests of stage 1: the kernel of a fixture, our stage 1, and a system that is
 * one shell. Failures end the test.
 */

#include "test.h"

#include "vm/shell.h"
#include "vm/vm.h"

#define GUEST_SYSTEM "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos-system-guest"
#define GUEST_TOOLS "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-tools"
#define GUEST_INIT "init=" GUEST_SYSTEM "/init"
#define GUEST_TIMEOUT_MS \
	180000 /* emulated, perhaps with much load beside: 2 to 5 s on idle hosts */

struct guest {
	char *dir;    /* has root/, the files of its initramfs, to be damaged before guest_boot() */
	char *append; /* of guest_boot() */
	struct vm *vm;
	struct machine machine; /* memory_mib and drives may be changed before guest_boot() */
};

/* A fresh guest of that kind. Skips the program when there are no fixtures. */
void guest_make(struct guest *guest, const char *kind);
void guest_done(struct guest *guest);
/* Packs the initramfs and starts the machine with that command line besides the console. */
void guest_boot(struct guest *guest, const char *append);
/* Waits for a whole line that is exactly `text`. */
void guest_expect(struct guest *guest, const char *text);
/* Waits for `text` wherever it stands: the kernel may have said something before and behind it. */
void guest_expect_prompt(struct guest *guest, const char *text);
/* Waits until the system's PID 1 says that it runs, and makes its shell ready. */
void guest_expect_system(struct guest *guest, const char *kind);
/* Runs a command in that shell, which must succeed; its output, which the caller owns. */
char *guest_run(struct guest *guest, const char *command);
/* Types a line. */
void guest_type(struct guest *guest, const char *line);
/* The kernel's release, as uname -r; the caller owns it. */
char *guest_release(const struct guest *guest);

#define AUTO_GUEST AUTO(guest_done) struct guest

#endif
