/* SPDX-License-Identifier: MIT */
/*
 * A chart as SVG 1.1: bars of the steps above, the bytes by source as stacked areas below, on one
 * axis of time. No script and no font of its own; colours that people with colour blindness tell
 * apart (Okabe and Ito's), and others for who reads on black.
 */
#include "status/amount.h"
#include "status/chart.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define WIDTH 960.0
#define LEFT 132.0  /* for the names of steps */
#define RIGHT 108.0 /* for what stands behind a bar at the end */
#define TOP 76.0
#define ROW 24.0
#define BAR 14.0
#define AREA_HEIGHT 190.0
#define GAP 46.0
#define PLOT_WIDTH (WIDTH - LEFT - RIGHT)

static const char style[] =
	"<style>\n"
	"svg{font:13px system-ui,sans-serif;background:#fff;color:#1b1f24}\n"
	"text{fill:#1b1f24}.soft{fill:#59636e}.title{font-size:18px;font-weight:600}\n"
	".grid{stroke:#d5dae0;stroke-width:1}.axis{stroke:#8b949e;stroke-width:1}\n"
	".boot{fill:#56b4e9}.node{fill:#0072b2}.end{fill:#8b949e}\n"
	".memory{fill:#999999}.disk{fill:#e69f00}.peer{fill:#009e73}.origin{fill:#d55e00}\n"
	"@media(prefers-color-scheme:dark){svg{background:#0d1117}text{fill:#e6edf3}\n"
	".soft{fill:#9198a1}.grid{stroke:#2b323b}.axis{stroke:#6e7681}.node{fill:#3d9be0}}\n"
	"</style>\n";

struct drawing {
	const struct chart *chart;
	struct buf *out;
	double steps_end; /* y */
	double area_top, area_bottom;
	double bytes_max;
};

static double x_of(const struct drawing *d, double at)
{
	double part = at / d->chart->length;
	return LEFT + PLOT_WIDTH * (part < 0 ? 0 : part > 1 ? 1 : part);
}

static int put_escaped(struct buf *out, const char *text, struct err *err)
{
	for (const char *p = text; *p != '\0'; p++) {
		const char *entity = *p == '&' ? "&amp;"
			: *p == '<'            ? "&lt;"
			: *p == '>'            ? "&gt;"
			: *p == '"'            ? "&quot;"
					       : NULL;
		bool control = (unsigned char)*p < 0x20; /* XML 1.0 has no place for it */
		int r = entity != NULL ? buf_put_str(out, entity, err)
			: control      ? buf_put_str(out, "?", err)
				       : buf_put(out, p, 1, err);
		if (r < 0)
			return -1;
	}
	return 0;
}

/* A text element; `attributes` begin with a blank or are "". */
static int put_text(const struct drawing *d, double x, double y, const char *attributes,
	const char *text, struct err *err)
{
	if (buf_printf(d->out, err, "<text x=\"%.1f\" y=\"%.1f\"%s>", x, y, attributes) < 0 ||
		put_escaped(d->out, text, err) < 0)
		return -1;
	return buf_put_str(d->out, "</text>\n", err);
}

static int put_head(const struct drawing *d, double height, struct err *err)
{
	const struct chart *c = d->chart;
	char when[40] = "", title[200], below[300];
	time_t began = (time_t)c->began;
	struct tm tm;
	if (localtime_r(&began, &tm) != NULL)
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	snprintf(title, sizeof(title), "Boot of %s", c->machine);
	snprintf(
		below, sizeof(below), "%s%s%s", c->system, c->system[0] != '\0' ? " · " : "", when);
	if (buf_printf(d->out, err,
		    "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
		    "viewBox=\"0 0 %.0f %.0f\" role=\"img\">\n<title>",
		    WIDTH, height, WIDTH, height) < 0 ||
		put_escaped(d->out, title, err) < 0 ||
		buf_printf(d->out, err, "</title>\n%s", style) < 0 ||
		put_text(d, 24, 32, " class=\"title\"", title, err) < 0)
		return -1;
	return put_text(d, 24, 53, " class=\"soft\"", below, err);
}

/* Lines of time through everything, with their seconds at the bottom. */
static int put_grid(const struct drawing *d, double bottom, struct err *err)
{
	double tick = chart_tick(d->chart->length);
	for (unsigned i = 0; i * tick <= d->chart->length * 1.0001; i++) {
		char text[24];
		double x = x_of(d, i * tick);
		snprintf(text, sizeof(text), "%g s", i * tick);
		if (buf_printf(d->out, err,
			    "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" "
			    "y2=\"%.1f\"/>\n",
			    i == 0 ? "axis" : "grid", x, TOP - 6, x, bottom) < 0 ||
			put_text(d, x, bottom + 18, " class=\"soft\" text-anchor=\"middle\"", text,
				err) < 0)
			return -1;
	}
	return 0;
}

static void describe(const struct chart_step *step, char *out, size_t size)
{
	char bytes[AMOUNT_SIZE], seconds[AMOUNT_SIZE];
	double took = step->until - step->at;
	if (took < 60)
		snprintf(seconds, sizeof(seconds), "%.2f s", took);
	else
		amount_seconds(took, seconds);
	if (step->bytes > 0)
		snprintf(out, size, "%s, %s", seconds, amount_bytes(step->bytes, bytes));
	else
		snprintf(out, size, "%s", seconds);
}

/* What a bar is about stands behind it, or before it where there is no room. */
static int put_step(const struct drawing *d, size_t i, struct err *err)
{
	const struct chart_step *step = &d->chart->steps.items[i];
	bool last = i + 1 == d->chart->steps.len && !step->transfer;
	double y = TOP + ROW * (double)i, x = x_of(d, step->at);
	double width = x_of(d, step->until) - x;
	char text[2 * AMOUNT_SIZE + 4];
	describe(step, text, sizeof(text));
	if (width < 2)
		width = 2;
	if (put_text(d, LEFT - 12, y + BAR - 2, " text-anchor=\"end\"", step->name, err) < 0 ||
		buf_printf(d->out, err,
			"<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\" "
			"rx=\"2\"/>\n",
			last                     ? "end"
				: step->transfer ? "boot"
						 : "node",
			x, y, width, BAR) < 0)
		return -1;
	if (last)
		return 0;
	double behind = x + width + 6;
	bool fits = behind + 6.6 * (double)strlen(text) < WIDTH - 8;
	return fits
		? put_text(d, behind, y + BAR - 2, " class=\"soft\"", text, err)
		: put_text(d, x - 6, y + BAR - 2, " class=\"soft\" text-anchor=\"end\"", text, err);
}

static double sum_to(const struct chart_sample *sample, int source)
{
	double sum = 0;
	for (int s = 0; s <= source; s++)
		sum += (double)sample->bytes[s];
	return sum;
}

static double y_of(const struct drawing *d, double bytes)
{
	double part = d->bytes_max > 0 ? bytes / d->bytes_max : 0;
	return d->area_bottom - (d->area_bottom - d->area_top) * part;
}

static int put_point(
	const struct drawing *d, const struct chart_sample *sample, int source, struct err *err)
{
	double bytes = source < 0 ? 0 : sum_to(sample, source);
	return buf_printf(d->out, err, "%.1f,%.1f ", x_of(d, sample->at), y_of(d, bytes));
}

/* From the sum below to the sum with this source, there and back. */
static int put_area(const struct drawing *d, int source, struct err *err)
{
	const struct chart *c = d->chart;
	size_t n = c->samples.len;
	while (n > 1 && c->samples.items[n - 2].at >= c->length)
		n--;
	if (buf_printf(d->out, err, "<polygon class=\"%s\" points=\"",
		    chart_source_name((enum chart_source)source)) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (put_point(d, &c->samples.items[i], source, err) < 0)
			return -1;
	for (size_t i = n; i-- > 0;)
		if (put_point(d, &c->samples.items[i], source - 1, err) < 0)
			return -1;
	return buf_put_str(d->out, "\"/>\n", err);
}

static int put_scale(const struct drawing *d, struct err *err)
{
	double tick = chart_tick(d->bytes_max * 2); /* five lines at most */
	for (unsigned i = 1; i * tick <= d->bytes_max; i++) {
		char text[AMOUNT_SIZE];
		double y = y_of(d, i * tick);
		if (buf_printf(d->out, err,
			    "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" "
			    "y2=\"%.1f\"/>\n",
			    LEFT, y, LEFT + PLOT_WIDTH, y) < 0 ||
			put_text(d, LEFT - 12, y + 4, " class=\"soft\" text-anchor=\"end\"",
				amount_bytes((uint64_t)(i * tick), text), err) < 0)
			return -1;
	}
	return 0;
}

static int put_legend(const struct drawing *d, struct err *err)
{
	const struct chart_sample *last = &d->chart->samples.items[d->chart->samples.len - 1];
	double x = LEFT + 24, y = d->area_top - 16;
	if (put_text(d, 24, y, " font-weight=\"600\"", "What readers got", err) < 0)
		return -1;
	for (int s = 0; s < CHART_SOURCES; s++) {
		const char *name = chart_source_name((enum chart_source)s);
		char size[AMOUNT_SIZE], text[2 * AMOUNT_SIZE];
		snprintf(text, sizeof(text), "%s %s", name, amount_bytes(last->bytes[s], size));
		if (buf_printf(d->out, err,
			    "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"11\" height=\"11\" "
			    "rx=\"2\"/>\n",
			    name, x + 24, y - 10) < 0 ||
			put_text(d, x + 41, y, "", text, err) < 0)
			return -1;
		x += 150;
	}
	return 0;
}

static int put_bytes(const struct drawing *d, struct err *err)
{
	if (put_legend(d, err) < 0 || put_scale(d, err) < 0)
		return -1;
	for (int s = 0; s < CHART_SOURCES; s++)
		if (put_area(d, s, err) < 0)
			return -1;
	return buf_printf(d->out, err,
		"<line class=\"axis\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", LEFT,
		d->area_bottom, LEFT + PLOT_WIDTH, d->area_bottom);
}

int chart_draw(const struct chart *chart, struct buf *out, struct err *err)
{
	struct drawing d = {.chart = chart, .out = out};
	bool bytes = chart->samples.len > 1;
	d.steps_end = TOP + ROW * (double)chart->steps.len;
	d.area_top = d.steps_end + GAP;
	d.area_bottom = d.area_top + AREA_HEIGHT;
	for (size_t i = 0; i < chart->samples.len; i++)
		d.bytes_max =
			fmax(d.bytes_max, sum_to(&chart->samples.items[i], CHART_SOURCES - 1));
	bytes = bytes && d.bytes_max > 0;
	double bottom = bytes ? d.area_bottom : d.steps_end;
	if (put_head(&d, bottom + 34, err) < 0 || put_grid(&d, bottom, err) < 0)
		return -1;
	for (size_t i = 0; i < chart->steps.len; i++)
		if (put_step(&d, i, err) < 0)
			return -1;
	if (bytes && put_bytes(&d, err) < 0)
		return -1;
	return buf_put_str(out, "</svg>\n", err);
}
