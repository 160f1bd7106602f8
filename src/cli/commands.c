/* SPDX-License-Identifier: MIT */
/* The one table of commands. */
#include "cli/command.h"

extern const struct command cmd_completion;

const struct command *const commands[] = {
	&cmd_completion,
	NULL,
};
