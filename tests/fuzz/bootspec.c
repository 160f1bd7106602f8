/* SPDX-License-Identifier: MIT */
/* A boot.json that is read has all that the RFC requires, and nothing that could end a line. */
#include "target.h"

#include "system/bootspec.h"

#include <ctype.h>

static void expect_line(const char *text)
{
	expect(text != NULL);
	for (; *text != '\0'; text++)
		expect(!iscntrl((unsigned char)*text));
}

static void expect_lines(const struct strvec *list)
{
	for (size_t i = 0; i < list->len; i++)
		expect_line(list->items[i]);
}

bool target_run(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	AUTO_BOOTSPEC spec = {0};
	if (bootspec_parse((const char *)data, size, &spec, &err) < 0) {
		expect(err.kind == ERR_CORRUPT || err.kind == ERR_NOMEM);
		expect(err.msg[0] != '\0');
		return false;
	}
	expect_line(spec.system);
	expect_line(spec.init);
	expect_line(spec.kernel);
	expect_line(spec.label);
	expect_line(spec.toplevel);
	expect_lines(&spec.params);
	expect_lines(&spec.specialisations);
	expect_lines(&spec.specialisation_paths);
	expect_lines(&spec.nixos_init.store_mount_opts);
	expect(spec.specialisations.len == spec.specialisation_paths.len);
	return true;
}
