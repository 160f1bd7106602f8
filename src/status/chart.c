/* SPDX-License-Identifier: MIT */
/* A chart out of JSON. Numbers come from a server that may be anybody's: they are bounded here, so
 * that plotting need not think of it. */
#include "status/chart.h"

#include "base/path.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#define SECONDS_MAX 86400.0 /* of a boot */
#define STEPS_MAX 256
#define SAMPLES_MAX 4096
#define PAUSE_SECONDS 8.0   /* two heartbeats and more without a read */
#define BURST_SECONDS 180.0 /* after the last step */

void chart_done(struct chart *chart)
{
	free(chart->machine);
	free(chart->system);
	VEC_FOREACH(step, &chart->steps)
		free(step->name);
	vec_done(&chart->steps);
	vec_done(&chart->samples);
	*chart = (struct chart){0};
}

const char *chart_source_name(enum chart_source source)
{
	static const char *const names[CHART_SOURCES] = {"memory", "disk", "peer", "origin"};
	return names[source];
}

double chart_tick(double length)
{
	double tick = 0.001;
	while (true) {
		static const double steps[] = {1, 2, 5};
		for (size_t i = 0; i < ARRAY_LEN(steps); i++)
			if (length / (tick * steps[i]) <= 10)
				return tick * steps[i];
		tick *= 10;
	}
}

static double bounded(double v)
{
	return isfinite(v) && v > 0 ? (v < SECONDS_MAX ? v : SECONDS_MAX) : 0;
}

static uint64_t amount(const json_t *value)
{
	json_int_t v = json_integer_value(value);
	return v > 0 ? (uint64_t)v : 0;
}

static int read_steps(const json_t *array, struct chart *chart, struct err *err)
{
	size_t i;
	json_t *row;
	json_array_foreach(array, i, row)
	{
		const char *name = json_string_value(json_object_get(row, "step"));
		if (name == NULL || i >= STEPS_MAX)
			return err_raise(err, ERR_CORRUPT, "step %zu of the timeline is none", i);
		double at = bounded(json_number_value(json_object_get(row, "at")));
		double seconds = bounded(json_number_value(json_object_get(row, "seconds")));
		const struct chart_step step = {
			.name = strdup(name),
			.at = at,
			.until = bounded(at + seconds),
			.transfer = seconds > 0,
			.bytes = amount(json_object_get(row, "bytes")),
		};
		if (step.name == NULL)
			return err_oom(err);
		if (vec_push(&chart->steps, step, err) < 0) {
			free(step.name);
			return -1;
		}
	}
	return 0;
}

static int read_samples(const json_t *array, struct chart *chart, struct err *err)
{
	size_t i;
	json_t *row;
	json_array_foreach(array, i, row)
	{
		if (json_array_size(row) != 1 + CHART_SOURCES || i >= SAMPLES_MAX)
			return err_raise(err, ERR_CORRUPT, "sample %zu of the timeline is none", i);
		struct chart_sample sample = {
			.at = bounded(json_number_value(json_array_get(row, 0)))};
		for (size_t s = 0; s < CHART_SOURCES; s++)
			sample.bytes[s] = amount(json_array_get(row, 1 + s));
		if (vec_push(&chart->samples, sample, err) < 0)
			return -1;
	}
	return 0;
}

static uint64_t total(const struct chart_sample *sample)
{
	uint64_t sum = 0;
	for (size_t s = 0; s < CHART_SOURCES; s++)
		sum += sample->bytes[s];
	return sum;
}

/* When the reads that follow `end` paused for the first time: then the boot's last burst is over,
 * as far as bytes tell. */
static double end_of_burst(const struct chart *chart, double end)
{
	double last = end;
	for (size_t i = 1; i < chart->samples.len; i++) {
		const struct chart_sample *s = &chart->samples.items[i];
		if (s->at <= end || total(s) == total(s - 1))
			continue;
		if (s->at - last > PAUSE_SECONDS || s->at > end + BURST_SECONDS)
			break;
		last = s->at;
	}
	return last;
}

/*
 * A step that has only a moment lasts until the next one. The chart ends when the system was up, or
 * without that knowledge with the burst of reads that follows the last step: a machine that runs
 * for weeks is no longer booting.
 */
static void measure(struct chart *chart)
{
	double end = 0;
	bool up = false; /* what a node does afterwards is no part of the boot */
	struct chart_step *final = &chart->steps.items[chart->steps.len - 1];
	for (struct chart_step *step = chart->steps.items; step <= final; step++) {
		if (!step->transfer && step < final && step[1].at > step->at)
			step->until = step[1].at;
		if (step->until > end && !up)
			end = step->until;
		if (strcmp(step->name, "multi-user") == 0 && !up) {
			up = true;
			end = step->at;
		}
	}
	chart->length = (up ? end : end_of_burst(chart, end)) * 1.06;
	if (chart->length <= 0)
		chart->length = 1;
	if (!final->transfer)
		final->until = chart->length;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text != NULL ? text : "";
}

static int read_machine(const json_t *root, struct chart *chart, struct err *err)
{
	const json_t *timeline = json_object_get(root, "timeline");
	const char *address = text_of(root, "address"), *mac = text_of(root, "mac");
	if (!json_is_object(timeline))
		return err_raise(err, ERR_CORRUPT, "the answer has no timeline");
	bool both = address[0] != '\0' && mac[0] != '\0';
	chart->machine =
		path_printf(err, "%s%s%s%s", address, both ? " (" : "", mac, both ? ")" : "");
	chart->system = path_printf(err, "%s", text_of(root, "system"));
	chart->began = json_number_value(json_object_get(root, "began"));
	if (chart->machine == NULL || chart->system == NULL ||
		read_steps(json_object_get(timeline, "steps"), chart, err) < 0 ||
		read_samples(json_object_get(timeline, "samples"), chart, err) < 0)
		return -1;
	if (chart->steps.len == 0)
		return err_raise(
			err, ERR_NOT_FOUND, "no step of a boot was seen of '%s'", chart->machine);
	measure(chart);
	return 0;
}

int chart_decode(const void *json, size_t size, struct chart *ret, struct err *err)
{
	AUTO_CHART chart = {0};
	json_error_t why;
	json_t *root = json_loadb(json, size, 0, &why);
	if (!json_is_object(root)) {
		json_decref(root);
		return err_raise(err, ERR_CORRUPT, "the answer is no JSON: %s", why.text);
	}
	int r = read_machine(root, &chart, err);
	json_decref(root);
	if (r < 0)
		return -1;
	*ret = chart;
	chart = (struct chart){0};
	return 0;
}
