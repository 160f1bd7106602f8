/* SPDX-License-Identifier: MIT */
/* A machine file that is read names a system, and has nothing that could end a line of a script. */
#include "target.h"

#include "rules/rule.h"

#include <ctype.h>
#include <string.h>

static void expect_line(const char *text)
{
	for (; *text != '\0'; text++)
		expect(!iscntrl((unsigned char)*text));
}

bool target_run(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	AUTO_RULE rule = {0};
	if (rule_parse((const char *)data, size, &rule, &err) < 0) {
		expect(err.kind == ERR_CORRUPT || err.kind == ERR_LIMIT || err.kind == ERR_NOMEM);
		expect(strncmp(err.msg, "line ", 5) == 0 || err.kind != ERR_CORRUPT);
		expect(rule.system == NULL);
		return false;
	}
	expect(rule.system != NULL && rule.system[0] != '\0');
	expect_line(rule.system);
	if (rule.specialisation != NULL) {
		expect_line(rule.specialisation);
		expect(strchr(rule.specialisation, '/') == NULL && rule.specialisation[0] != '.');
	}
	if (rule.params != NULL) {
		expect_line(rule.params);
		expect(strlen(rule.params) <= RULE_PARAMS_MAX);
	}
	return true;
}
