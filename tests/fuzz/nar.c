/* SPDX-License-Identifier: MIT */
/* A NAR that is taken is the one spelling of what is in it: written again, it is the same bytes. */
#include "target.h"

#include "../unit/nix/nar_echo.h"

bool target_run(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	AUTO_BUF out = {0};
	size_t piece = size > 0 ? 1 + data[size - 1] : 1;
	if (echo(data, size, size, piece, &out, &err) < 0) {
		expect(err.kind == ERR_CORRUPT || err.kind == ERR_LIMIT || err.kind == ERR_NOMEM);
		expect(err.msg[0] != '\0');
		return false;
	}
	expect(out.len == size && memcmp(out.data, data, size) == 0);
	return true;
}
