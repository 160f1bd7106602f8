/* SPDX-License-Identifier: MIT */
/* The one table of commands. */
#include "cli/command.h"

const struct command *const commands[] = {
	NULL,
};
