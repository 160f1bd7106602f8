/* SPDX-License-Identifier: MIT */
#ifndef VM_TERMINAL_H
#define VM_TERMINAL_H

/* The user's own terminal, while it is a machine's: every key goes through, none is acted on. */

#include <stdbool.h>
#include <termios.h>

struct terminal {
	int fd;
	bool raw;
	struct termios before;
};

/* Makes the terminal `fd` raw; what is no terminal stays as it is. */
void terminal_enter(struct terminal *t, int fd);
/* As it was before. Accepts zeroed memory, and twice. */
void terminal_leave(struct terminal *t);
#define AUTO_TERMINAL AUTO(terminal_leave) struct terminal

#endif
