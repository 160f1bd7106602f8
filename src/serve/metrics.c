/* SPDX-License-Identifier: MIT */
/*
 * An origin's counters in Prometheus' text format, version 0.0.4. Of machines only sums: what one
 * machine does is its own node's /metrics, and a label per machine would grow without end.
 */
#include "serve/parts.h"

#include <inttypes.h>
#include <string.h>

static int put(
	struct buf *out, const char *name, const char *type, const char *help, struct err *err)
{
	return buf_printf(out, err, "# HELP snowboot_origin_%s %s\n# TYPE snowboot_origin_%s %s\n",
		name, help, name, type);
}

static int put_one(struct buf *out, const char *name, uint64_t value, struct err *err)
{
	return buf_printf(out, err, "snowboot_origin_%s %" PRIu64 "\n", name, value);
}

static const struct {
	enum route_kind kind;
	const char *label;
} kinds[] = {
	{ROUTE_BOOT, "boot"},
	{ROUTE_OBJECT, "object"},
	{ROUTE_MANIFEST, "manifest"},
	{ROUTE_PROFILE, "profile"},
	{ROUTE_LINK, "link"},
	{ROUTE_NONE, "unknown"},
};

static int put_traffic(const struct origin *o, struct buf *out, struct err *err)
{
	if (put(out, "requests_total", "counter", "HTTP requests by kind.", err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (buf_printf(out, err,
			    "snowboot_origin_requests_total{kind=\"%s\"} %" PRIu64 "\n",
			    kinds[i].label, o->traffic[kinds[i].kind].requests) < 0)
			return -1;
	if (put(out, "sent_bytes_total", "counter", "Bytes of HTTP bodies by kind.", err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (buf_printf(out, err,
			    "snowboot_origin_sent_bytes_total{kind=\"%s\"} %" PRIu64 "\n",
			    kinds[i].label, o->traffic[kinds[i].kind].bytes) < 0)
			return -1;
	return 0;
}

static int put_tftp(const struct origin *o, struct buf *out, struct err *err)
{
	if (put(out, "tftp_requests_total", "counter", "TFTP requests.", err) < 0 ||
		put_one(out, "tftp_requests_total", o->loaded.requests, err) < 0 ||
		put(out, "tftp_sent_bytes_total", "counter", "Bytes of files by TFTP.", err) < 0)
		return -1;
	return put_one(out, "tftp_sent_bytes_total", o->loaded.bytes, err);
}

static int put_swarm(const struct origin *o, struct buf *out, struct err *err)
{
	struct tracker_stat s;
	if (o->hub == NULL)
		return 0;
	hub_stat(o->hub, &s);
	const struct {
		const char *name, *type, *help;
		uint64_t value;
	} rows[] = {
		{"members", "gauge", "Nodes that joined.", s.members},
		{"links", "gauge", "Connections of nodes.", s.links},
		{"chunks_total", "counter", "Chunks sent to nodes.", s.chunks},
		{"chunk_bytes_total", "counter", "Bytes of chunks sent to nodes.", s.bytes},
		{"redirects_total", "counter", "Requests answered with a node that has the chunk.",
			s.redirects},
		{"forced_total", "counter", "Requests again since the named node did not deliver.",
			s.forced},
		{"leases", "gauge", "Chunks with a known holder.", s.leases},
		{"lease_frees_total", "counter", "Leases of nodes that vanished.", s.lease_frees},
		{"control_bytes_total", "counter", "Bytes on links that are no chunks.",
			s.control_bytes},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (put(out, rows[i].name, rows[i].type, rows[i].help, err) < 0 ||
			put_one(out, rows[i].name, rows[i].value, err) < 0)
			return -1;
	return 0;
}

static int put_machines(const struct origin *o, struct buf *out, struct err *err)
{
	static const char *const sources[SOURCES] = {
		[SOURCE_MEMORY] = "memory",
		[SOURCE_DISK] = "disk",
		[SOURCE_PEER] = "peer",
		[SOURCE_ORIGIN] = "origin",
	};
	static const enum message_counter counters[SOURCES] = {
		[SOURCE_MEMORY] = COUNTER_MEMORY_BYTES,
		[SOURCE_DISK] = COUNTER_DISK_BYTES,
		[SOURCE_PEER] = COUNTER_PEER_BYTES,
		[SOURCE_ORIGIN] = COUNTER_ORIGIN_BYTES,
	};
	uint64_t sums[SOURCES] = {0}, linked = 0, failed = 0, silent = 0, other = 0;
	const struct machine *m;
	TAILQ_FOREACH(m, &o->machines.list, entry) {
		bool gone = !m->linked;
		bool has_failed = gone && strcmp(m->step, "failed") == 0;
		bool is_silent = gone && strcmp(m->step, "silent") == 0;
		linked += m->linked;
		failed += has_failed;
		silent += is_silent;
		other += gone && !has_failed && !is_silent;
		for (size_t i = 0; i < SOURCES; i++)
			sums[i] += m->counters[counters[i]];
	}
	if (put(out, "machines", "gauge", "Machines by state.", err) < 0 ||
		buf_printf(out, err,
			"snowboot_origin_machines{state=\"linked\"} %" PRIu64
			"\nsnowboot_origin_machines{state=\"failed\"} %" PRIu64
			"\nsnowboot_origin_machines{state=\"silent\"} %" PRIu64
			"\nsnowboot_origin_machines{state=\"other\"} %" PRIu64 "\n",
			linked, failed, silent, other) < 0 ||
		put(out, "read_bytes", "gauge",
			"Bytes that readers on all known machines got in their present boot.",
			err) < 0)
		return -1;
	for (size_t i = 0; i < SOURCES; i++)
		if (buf_printf(out, err, "snowboot_origin_read_bytes{source=\"%s\"} %" PRIu64 "\n",
			    sources[i], sums[i]) < 0)
			return -1;
	return 0;
}

static int put_systems(const struct origin *o, struct buf *out, struct err *err)
{
	if (put(out, "system_expires_seconds", "gauge",
		    "When the manifest of a system expires, seconds since 1970.", err) < 0)
		return -1;
	for (size_t i = 0; i < systems_count(o->systems); i++) {
		const struct boot *boot = systems_at(o->systems, i)->versions[0].boot;
		if (boot != NULL && boot->network &&
			buf_printf(out, err,
				"snowboot_origin_system_expires_seconds{system=\"%s\"} %" PRId64
				"\n",
				boot->name, boot->own.expires) < 0)
			return -1;
	}
	return 0;
}

int metrics_put(struct origin *o, struct buf *out, struct err *err)
{
	if (put_traffic(o, out, err) < 0 || put_tftp(o, out, err) < 0 ||
		put_swarm(o, out, err) < 0 || put_machines(o, out, err) < 0 ||
		put_systems(o, out, err) < 0)
		return -1;
	return put(out, "uptime_seconds", "gauge", "Since the server began.", err) < 0
		? -1
		: put_one(out, "uptime_seconds", (hub_now_us() - o->began_us) / 1000000, err);
}
