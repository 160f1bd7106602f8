/* SPDX-License-Identifier: MIT */
/* Two units at most: nobody reads more. */
#include "status/amount.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>

char *amount_bytes(uint64_t bytes, char out[AMOUNT_SIZE])
{
	static const char units[][3] = {"kB", "MB", "GB", "TB"};
	double v = (double)bytes / 1000;
	size_t unit = 0;
	/* 999.95 would be printed as 1000.0. */
	for (; v >= 999.95 && unit + 1 < ARRAY_LEN(units); unit++)
		v /= 1000;
	if (bytes == 0)
		snprintf(out, AMOUNT_SIZE, "0");
	else if (bytes < 1000)
		snprintf(out, AMOUNT_SIZE, "%" PRIu64 " B", bytes);
	else
		snprintf(out, AMOUNT_SIZE, "%.1f %s", v, units[unit]);
	return out;
}

char *amount_seconds(double seconds, char out[AMOUNT_SIZE])
{
	uint64_t s = seconds > 0 ? (uint64_t)seconds : 0;
	if (s < 60)
		snprintf(out, AMOUNT_SIZE, "%.1f s", seconds > 0 ? seconds : 0.0);
	else if (s < 3600)
		snprintf(out, AMOUNT_SIZE, "%" PRIu64 " min %" PRIu64 " s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(out, AMOUNT_SIZE, "%" PRIu64 " h %" PRIu64 " min", s / 3600, s / 60 % 60);
	else
		snprintf(out, AMOUNT_SIZE, "%" PRIu64 " d %" PRIu64 " h", s / 86400, s / 3600 % 24);
	return out;
}
