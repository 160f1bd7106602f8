/* SPDX-License-Identifier: MIT */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

/* Progress for people and machines, on standard error: a bar on a terminal, a line now and then
 * elsewhere, or JSON lines. */

#include "base/progress.h"

#include <stdbool.h>
#include <stdio.h>
#include <time.h>

enum progress_style { PROGRESS_NONE, PROGRESS_BAR, PROGRESS_LINES, PROGRESS_JSON };

struct progress_view {
	struct progress base; /* first: a struct progress * is a struct progress_view * */
	enum progress_style style;
	FILE *out;
	char step[64], unit[16];
	unsigned long long total, done;
	struct timespec begun, shown;
};

/* The style that fits: none when quiet, JSON when asked for, a bar if `out` is a terminal. */
enum progress_style progress_style_for(FILE *out, bool quiet, bool json);
void progress_view_init(struct progress_view *view, enum progress_style style, FILE *out);

/* Seconds by the monotonic clock since `then`. */
double progress_seconds_since(const struct timespec *then);

#endif
