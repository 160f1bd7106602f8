/* SPDX-License-Identifier: MIT */
#ifndef RULES_RULE_H
#define RULES_RULE_H

/* What an entry of the machines' directory says: docs/formats/machines.md. */

#include "base/err.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>

#define RULE_FILE_MAX 65536  /* bytes of a machine file */
#define RULE_PARAMS_MAX 1024 /* bytes of kernel parameters: x86 kernels take 2048 in all */

struct rule {
	char *system;         /* as written */
	char *specialisation; /* its name, or NULL */
	char *params;         /* words for the end of the kernel command line, or NULL */
	char *device_tree;    /* the name of one below the system's dtbs, or NULL */
	bool once;
};

#define AUTO_RULE AUTO(rule_done) struct rule

void rule_done(struct rule *rule);

/*
 * Parses a machine file. ERR_CORRUPT with "line N: …" for what is not one, ERR_LIMIT for one that
 * is larger than the limits above.
 */
int rule_parse(const char *text, size_t len, struct rule *ret, struct err *err);

#endif
