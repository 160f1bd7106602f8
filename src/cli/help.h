/* SPDX-License-Identifier: MIT */
#ifndef CLI_HELP_H
#define CLI_HELP_H

/* Help texts, all of them generated from the command table. */

#include "cli/command.h"

#include <stdbool.h>
#include <stdio.h>

/* The list of commands. */
void help_all(FILE *out);
/* One command: synopsis, description, options. */
void help_command(FILE *out, const struct command *command);
/* The commands that begin with this word, if there are any. */
bool help_group(FILE *out, const char *group);
/* Raises ERR_USAGE for words that name no command, with the nearest one as a hint. Returns -1. */
int help_unknown(int argc, char **argv, struct err *err);

#endif
