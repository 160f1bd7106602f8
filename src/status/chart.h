/* SPDX-License-Identifier: MIT */
#ifndef STATUS_CHART_H
#define STATUS_CHART_H

/* One boot of one machine as a chart: its steps, and the bytes that its readers got over time. */

#include "base/buf.h"
#include "base/vec.h"

#include <stdint.h>

enum chart_source { CHART_MEMORY, CHART_DISK, CHART_PEER, CHART_ORIGIN, CHART_SOURCES };

struct chart_step {
	char *name;
	double at, until; /* seconds since the boot began */
	bool transfer;    /* it ended when it says; else the next step's begin is its end */
	uint64_t bytes;
};

struct chart_sample {
	double at;
	uint64_t bytes[CHART_SOURCES]; /* in all, till then */
};

struct chart {
	char *machine; /* address and hardware address */
	char *system;  /* "" unknown */
	double began;  /* seconds since 1970 */
	double length; /* seconds that are drawn */
	VEC(struct chart_step) steps;
	VEC(struct chart_sample) samples;
};

#define AUTO_CHART AUTO(chart_done) struct chart
void chart_done(struct chart *chart);

/* Reads what /v1/machines/WHICH answers (docs/formats/status.md). ERR_CORRUPT; ERR_NOT_FOUND for a
 * machine without a single step. */
int chart_decode(const void *json, size_t size, struct chart *ret, struct err *err);

/* The name of a source: "memory". */
const char *chart_source_name(enum chart_source source);
/* A round distance between ticks so that `length` has four to ten. */
double chart_tick(double length);

/* For a terminal of `columns`. ERR_NOMEM. */
int chart_plot(const struct chart *chart, unsigned columns, struct buf *out, struct err *err);
/* As an SVG document. ERR_NOMEM. */
int chart_draw(const struct chart *chart, struct buf *out, struct err *err);

#endif
