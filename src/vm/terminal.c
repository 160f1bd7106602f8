/* SPDX-License-Identifier: MIT */
/* Raw mode of termios(3), and back. */
#include "vm/terminal.h"

void terminal_enter(struct terminal *t, int fd)
{
	t->fd = fd;
	if (tcgetattr(fd, &t->before) < 0)
		return;
	struct termios raw = t->before;
	cfmakeraw(&raw);
	t->raw = tcsetattr(fd, TCSANOW, &raw) == 0;
}

void terminal_leave(struct terminal *t)
{
	if (t->raw)
		(void)tcsetattr(t->fd, TCSANOW, &t->before); /* nothing better is left to try */
	t->raw = false;
}
