/* SPDX-License-Identifier: MIT */
/* A chart for a terminal: a row per step, then a row per source with the rate at which its bytes
 * came. */
#include "status/amount.h"
#include "status/chart.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NAME_COLUMNS 12
#define LEFT_COLUMNS (NAME_COLUMNS + 24) /* name, begin, duration */
#define PLOT_MIN 20
#define PLOT_MAX 120

static int put_repeated(struct buf *out, const char *what, unsigned count, struct err *err)
{
	for (unsigned i = 0; i < count; i++)
		if (buf_put_str(out, what, err) < 0)
			return -1;
	return 0;
}

static unsigned column_of(const struct chart *chart, unsigned columns, double at)
{
	double c = at / chart->length * columns;
	return c < 0 ? 0 : c > columns ? columns : (unsigned)c;
}

static int put_step(const struct chart *chart, unsigned columns, const struct chart_step *step,
	struct buf *out, struct err *err)
{
	char size[AMOUNT_SIZE] = "", rate[AMOUNT_SIZE], note[2 * AMOUNT_SIZE + 8] = "";
	double seconds = step->until - step->at;
	unsigned first = column_of(chart, columns, step->at);
	unsigned end = column_of(chart, columns, step->until);
	if (first >= columns)
		first = columns - 1;
	if (end <= first)
		end = first + 1;
	if (step->bytes > 0 && seconds > 0)
		snprintf(note, sizeof(note), " %s, %s/s", amount_bytes(step->bytes, size),
			amount_bytes((uint64_t)((double)step->bytes / seconds), rate));
	else if (step->bytes > 0)
		snprintf(note, sizeof(note), " %s", amount_bytes(step->bytes, size));
	if (buf_printf(out, err, "%-*.*s %8.3f s %8.3f s  ", NAME_COLUMNS, NAME_COLUMNS, step->name,
		    step->at, seconds) < 0 ||
		put_repeated(out, " ", first, err) < 0 ||
		put_repeated(out, "━", end - first, err) < 0)
		return -1;
	return buf_printf(out, err, "%s\n", note);
}

/* Bytes of a source that came in a column's time, by straight lines between samples. */
static double bytes_at(const struct chart *chart, enum chart_source source, double at)
{
	size_t n = chart->samples.len;
	const struct chart_sample *s = chart->samples.items;
	if (n == 0 || at < s[0].at)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if (at > s[i].at)
			continue;
		double span = s[i].at - s[i - 1].at;
		double part = span > 0 ? (at - s[i - 1].at) / span : 1;
		double before = (double)s[i - 1].bytes[source];
		return before + ((double)s[i].bytes[source] - before) * part;
	}
	return (double)s[n - 1].bytes[source];
}

static double most_in_a_column(const struct chart *chart, unsigned columns)
{
	double most = 0, width = chart->length / columns;
	for (unsigned c = 0; c < columns; c++) {
		for (int s = 0; s < CHART_SOURCES; s++) {
			double came = bytes_at(chart, (enum chart_source)s, (c + 1) * width) -
				bytes_at(chart, (enum chart_source)s, c * width);
			most = came > most ? came : most;
		}
	}
	return most;
}

static int put_source(const struct chart *chart, unsigned columns, enum chart_source source,
	double most, struct buf *out, struct err *err)
{
	static const char *const levels[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	char size[AMOUNT_SIZE];
	const struct chart_sample *last = &chart->samples.items[chart->samples.len - 1];
	double width = chart->length / columns;
	if (buf_printf(out, err, "%-*s %21s  ", NAME_COLUMNS, chart_source_name(source),
		    amount_bytes(last->bytes[source], size)) < 0)
		return -1;
	for (unsigned c = 0; c < columns; c++) {
		double came = bytes_at(chart, source, (c + 1) * width) -
			bytes_at(chart, source, c * width);
		size_t top = ARRAY_LEN(levels) - 1;
		/* The least that came still shows. */
		size_t level = most > 0 && came > 0 ? (size_t)(came / most * (double)top) : 0;
		if (level == 0 && came >= 1)
			level = 1;
		if (buf_put_str(out, levels[level > top ? top : level], err) < 0)
			return -1;
	}
	return buf_put_str(out, "\n", err);
}

static int put_axis(const struct chart *chart, unsigned columns, struct buf *out, struct err *err)
{
	double tick = chart_tick(chart->length);
	unsigned at = 0;
	char text[24];
	if (put_repeated(out, " ", LEFT_COLUMNS + 1, err) < 0)
		return -1;
	for (unsigned i = 0; i * tick <= chart->length; i++) {
		unsigned column = column_of(chart, columns, i * tick);
		snprintf(text, sizeof(text), "|%g s", i * tick);
		if (column < at)
			continue; /* no room */
		if (put_repeated(out, " ", column - at, err) < 0 || buf_put_str(out, text, err) < 0)
			return -1;
		at = column + (unsigned)strlen(text);
	}
	return buf_put_str(out, "\n", err);
}

static int put_title(const struct chart *chart, struct buf *out, struct err *err)
{
	char when[32] = "";
	time_t began = (time_t)chart->began;
	struct tm tm;
	if (localtime_r(&began, &tm) != NULL)
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	return buf_printf(out, err, "Boot of %s at %s\n%s%s\n", chart->machine, when, chart->system,
		chart->system[0] != '\0' ? "\n" : "");
}

int chart_plot(const struct chart *chart, unsigned columns, struct buf *out, struct err *err)
{
	unsigned width =
		columns > LEFT_COLUMNS + PLOT_MIN + 24 ? columns - LEFT_COLUMNS - 24 : PLOT_MIN;
	if (width > PLOT_MAX)
		width = PLOT_MAX;
	if (put_title(chart, out, err) < 0 || put_axis(chart, width, out, err) < 0)
		return -1;
	for (size_t i = 0; i < chart->steps.len; i++)
		if (put_step(chart, width, &chart->steps.items[i], out, err) < 0)
			return -1;
	if (chart->samples.len == 0)
		return 0;
	double most = most_in_a_column(chart, width);
	if (buf_put_str(out, "\nWhat readers got\n", err) < 0)
		return -1;
	for (int s = 0; s < CHART_SOURCES; s++)
		if (put_source(chart, width, (enum chart_source)s, most, out, err) < 0)
			return -1;
	return 0;
}
