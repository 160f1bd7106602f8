/* SPDX-License-Identifier: MIT */
/* Nothing is said before there is something to judge by: the first bytes tell of connecting, not of
 * the line. */
#include "base/progress.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define EARLY_SECONDS 0.5
#define EARLY_SHARE 0.01 /* of the whole, for what is left */

double progress_rate(const struct progress_pace *p)
{
	return p->seconds < EARLY_SECONDS ? 0 : (double)p->done / p->seconds;
}

double progress_left(const struct progress_pace *p)
{
	double rate = progress_rate(p);
	if (p->total == 0 || rate <= 0 || (double)p->done < EARLY_SHARE * (double)p->total)
		return -1;
	return p->done >= p->total ? 0 : (double)(p->total - p->done) / rate;
}

char *progress_format_bytes(unsigned long long bytes, char out[PROGRESS_BYTES_SIZE])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
	double v = (double)bytes;
	size_t i = 0;
	for (; v >= 1024 && i < 5; i++)
		v /= 1024;
	snprintf(out, PROGRESS_BYTES_SIZE, i == 0 ? "%.0f %s" : "%.1f %s", v, units[i]);
	return out;
}

/* One unit is enough: it is a guess. */
static void put_left(double left, char out[16])
{
	uint64_t s = (uint64_t)(left + 0.5);
	if (s < 100)
		snprintf(out, 16, "%" PRIu64 " s", s);
	else if (s < 100 * 60)
		snprintf(out, 16, "%" PRIu64 " min", (s + 30) / 60);
	else
		snprintf(out, 16, "%.0f h", left < 1e9 ? left / 3600 : 1e9 / 3600);
}

char *progress_pace_text(const struct progress_pace *p, char out[PROGRESS_PACE_SIZE])
{
	char rate[16], left[16];
	double r = progress_rate(p), seconds = progress_left(p);
	out[0] = '\0';
	if (r <= 0)
		return out;
	bool bytes = strcmp(p->unit, "bytes") == 0;
	if (bytes)
		progress_format_bytes((uint64_t)r, rate);
	else
		snprintf(rate, sizeof(rate), "%.0f ", r);
	snprintf(out, PROGRESS_PACE_SIZE, ", %s%.16s/s", rate, bytes ? "" : p->unit);
	if (seconds < 0.5)
		return out;
	put_left(seconds, left);
	size_t len = strlen(out);
	snprintf(out + len, PROGRESS_PACE_SIZE - len, ", %s left", left);
	return out;
}
