/* SPDX-License-Identifier: MIT */
/*
 * Draws progress. It is called very often and draws rarely: ten times a second on a terminal, every
 * two seconds as lines, so that a log stays readable and work is not slowed down by talking about
 * it.
 */
#include "cli/progress.h"

#include <string.h>
#include <unistd.h>

#define BAR_WIDTH 24

enum progress_style progress_style_for(FILE *out, bool quiet, bool json)
{
	if (quiet)
		return PROGRESS_NONE;
	if (json)
		return PROGRESS_JSON;
	return isatty(fileno(out)) ? PROGRESS_BAR : PROGRESS_LINES;
}

double progress_seconds_since(const struct timespec *then)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - then->tv_sec) + (double)(now.tv_nsec - then->tv_nsec) / 1e9;
}

/* An amount in the step's unit. */
static const char *amount(const struct progress_view *view, unsigned long long v, char out[32])
{
	char bytes[16];
	if (strcmp(view->unit, "bytes") == 0)
		snprintf(out, 32, "%s", progress_format_bytes(v, bytes));
	else
		snprintf(out, 32, "%llu", v);
	return out;
}

static double fraction(const struct progress_view *view)
{
	if (view->total == 0)
		return 0;
	return view->done >= view->total ? 1 : (double)view->done / (double)view->total;
}

static struct progress_pace pace_of(const struct progress_view *view, double elapsed)
{
	return (struct progress_pace){
		.done = view->done, .total = view->total, .seconds = elapsed, .unit = view->unit};
}

/* "12.0 MiB of 34.0 MiB, 5.1 MiB/s, 4 s left"; of an unknown total "12 paths, 6 paths/s". */
static void put_amounts(const struct progress_view *view, double elapsed)
{
	char done[32], total[32], text[PROGRESS_PACE_SIZE];
	const struct progress_pace pace = pace_of(view, elapsed);
	fputs(amount(view, view->done, done), view->out);
	if (view->total > 0)
		fprintf(view->out, " of %s", amount(view, view->total, total));
	else if (strcmp(view->unit, "bytes") != 0)
		fprintf(view->out, " %s", view->unit);
	fputs(progress_pace_text(&pace, text), view->out);
}

static void draw_bar(const struct progress_view *view, double elapsed)
{
	char bar[BAR_WIDTH + 1];
	int full = (int)(fraction(view) * BAR_WIDTH);
	for (int i = 0; i < BAR_WIDTH; i++)
		bar[i] = i < full ? '#' : '.';
	bar[BAR_WIDTH] = '\0';
	fprintf(view->out, "\r\033[K%s ", view->step);
	if (view->total > 0)
		fprintf(view->out, "[%s] %3.0f%%  ", bar, 100 * fraction(view));
	put_amounts(view, elapsed);
	fflush(view->out);
}

static void draw_json(const struct progress_view *view, double elapsed, bool last)
{
	const struct progress_pace pace = pace_of(view, elapsed);
	double left = progress_left(&pace);
	fprintf(view->out,
		"{\"progress\":\"%s\",\"unit\":\"%s\",\"done\":%llu,\"total\":%llu,"
		"\"seconds\":%.3f,\"rate\":%.0f,\"left\":",
		view->step, view->unit, view->done, view->total, elapsed, progress_rate(&pace));
	if (left < 0)
		fputs("null", view->out);
	else
		fprintf(view->out, "%.1f", left);
	fprintf(view->out, ",\"finished\":%s}\n", last ? "true" : "false");
	fflush(view->out);
}

static void draw(struct progress_view *view, bool last)
{
	double elapsed = progress_seconds_since(&view->begun);
	clock_gettime(CLOCK_MONOTONIC, &view->shown);
	switch (view->style) {
	case PROGRESS_NONE:
		break;
	case PROGRESS_BAR:
		draw_bar(view, elapsed);
		if (last)
			fputs("\r\033[K", view->out);
		break;
	case PROGRESS_JSON:
		draw_json(view, elapsed, last);
		break;
	case PROGRESS_LINES:
		if (last && elapsed < 0.5)
			break; /* not worth a line */
		fprintf(view->out, "%s: ", view->step);
		put_amounts(view, elapsed);
		if (last)
			fprintf(view->out, ", done in %.1f s", elapsed);
		fputc('\n', view->out);
		break;
	}
}

static void begin(struct progress *p, const char *step, uint64_t total, const char *unit)
{
	struct progress_view *view = (struct progress_view *)p;
	snprintf(view->step, sizeof(view->step), "%s", step);
	snprintf(view->unit, sizeof(view->unit), "%s", unit);
	view->total = total;
	view->done = 0;
	clock_gettime(CLOCK_MONOTONIC, &view->begun);
	view->shown = view->begun;
}

static void update(struct progress *p, uint64_t done, const char *subject)
{
	(void)subject;
	struct progress_view *view = (struct progress_view *)p;
	view->done = done;
	double pause = view->style == PROGRESS_BAR ? 0.1 : 2;
	if (view->style != PROGRESS_NONE && progress_seconds_since(&view->shown) >= pause)
		draw(view, false);
}

static void end(struct progress *p)
{
	draw((struct progress_view *)p, true);
}

void progress_view_init(struct progress_view *view, enum progress_style style, FILE *out)
{
	*view = (struct progress_view){
		.base = {.begin = begin, .update = update, .end = end}, .style = style, .out = out};
}
