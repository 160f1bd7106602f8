/* SPDX-License-Identifier: MIT */
/* The one table of commands. */
#include "cli/command.h"

extern const struct command cmd_completion;
extern const struct command cmd_show;
extern const struct command cmd_vm;

const struct command *const commands[] = {
	&cmd_show,
	&cmd_vm,
	&cmd_completion,
	NULL,
};
