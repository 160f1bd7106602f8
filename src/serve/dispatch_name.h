/* SPDX-License-Identifier: MIT */
#ifndef SERVE_DISPATCH_NAME_H
#define SERVE_DISPATCH_NAME_H

/* The paths below /dispatch/: nix-netboot-serve's. */

#include "base/err.h"
#include "base/mem.h"

#include <stdbool.h>

enum dispatch_kind { DISPATCH_PROFILE, DISPATCH_CONFIGURATION, DISPATCH_HYDRA };

struct dispatch_name {
	enum dispatch_kind kind;
	char *parts[4]; /* NAME, or HOST PROJECT JOBSET JOB */
	bool log;       /* its job's log is asked for */
	char *path;     /* without "/log" */
};

#define AUTO_DISPATCH_NAME AUTO(dispatch_name_done) struct dispatch_name

void dispatch_name_done(struct dispatch_name *name);

/* True for what may be one of the parts. */
bool dispatch_name_is_part(const char *text);

/*
 * Reads what follows "/dispatch/": profile/NAME, configuration/NAME, hydra/HOST/PROJECT/JOBSET/JOB,
 * the latter two also with "/log". 1 and *ret, which the caller owns also on failure; 0 for what is
 * none. Parts have letters, digits and . _ - + : only, and begin with no dot.
 */
int dispatch_name_parse(const char *rest, struct dispatch_name *ret, struct err *err);

#endif
