/* SPDX-License-Identifier: MIT */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

/*
 * A command describes itself: help, completions, arity and the check against its man page all come
 * from this one table entry. To add one: src/cli/cmd-foo.c with one const struct command, a row in
 * src/cli/commands.c, man/snowboot-foo.1.scd and tests/cli/foo.sh.
 */

#include "base/err.h"
#include "base/progress.h"
#include "base/vec.h"

#include <stdbool.h>
#include <stdint.h>

/* An option of a command. The last of a list has no long_name. */
struct cli_option {
	char short_name;       /* 0: none */
	const char *long_name; /* without dashes */
	const char *arg;       /* name of its argument in help ("FILE"); NULL: a flag */
	const char *help;      /* one line, lower case, no full stop */
	const char *values; /* for completion: "a b c" fixed words, "@file", "@dir", "@system"; or
			       NULL */
};

/* What a command gets. */
struct cli_args {
	const struct command *command;
	struct strvec operands;
	/* Parallel vectors of the options given, in order; a flag has the value "". */
	struct strvec option_names, option_values;
	struct progress
		*progress; /* renders as --quiet, --json and the terminal ask; may be NULL */
	bool json, quiet, verbose;
};

struct command {
	const char *name;               /* "pool add" has a space: a command of a group */
	const char *synopsis;           /* operands only: "SYSTEM..." */
	const char *summary;            /* one line for the list of commands */
	const char *description;        /* a paragraph for --help */
	int min_operands, max_operands; /* max -1: any number */
	const struct cli_option *options;
	const char *operand_values; /* completion of operands, as cli_option.values */
	/* Does it. 0: success; -1: failed. */
	int (*run)(const struct cli_args *args, struct err *err);
};

/* All commands, in the order of the help; NULL at the end. */
extern const struct command *const commands[];

/* The options that every command takes: --help, --json, --quiet, --verbose. */
extern const struct cli_option cli_common_options[];

/* The value of the last --name given, or `fallback`. Flags give "". */
const char *cli_option(const struct cli_args *args, const char *name, const char *fallback);
/* True when --name was given. */
bool cli_flag(const struct cli_args *args, const char *name);
/* The value of --name as a whole number within [min, max], or `fallback`; ERR_USAGE otherwise. */
int cli_number(const struct cli_args *args, const char *name, long long min, long long max,
	long long fallback, long long *ret, struct err *err);
/* The value of --name as bytes with an optional K, M, G or T (powers of 1024). ERR_USAGE otherwise.
 */
int cli_size(const struct cli_args *args, const char *name, unsigned long long fallback,
	unsigned long long *ret, struct err *err);

/* The value of --name as bytes a second: 200Mbit, 25MB, 1Gbit (powers of 1000), or 0 without it.
 * ERR_USAGE otherwise. */
int cli_rate(const struct cli_args *args, const char *name, uint64_t *ret, struct err *err);
/* Appends copies of all values of --name, in order. ERR_NOMEM. */
int cli_values(const struct cli_args *args, const char *name, struct strvec *out, struct err *err);

/* Splits argv (without program and command) by the command's options. ERR_USAGE with a hint. */
int cli_parse(const struct command *command, int argc, char **argv, struct cli_args *ret,
	struct err *err);
void cli_args_done(struct cli_args *args);

#endif
