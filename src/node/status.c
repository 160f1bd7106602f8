/* SPDX-License-Identifier: MIT */
/*
 * What a node tells of itself: one table of numbers, as JSON for `snowboot status` and as text for
 * Prometheus. docs/formats/status.md says what each means.
 */
#include "node/parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NUMBERS_MAX 96

enum number_kind { COUNTER, GAUGE };

struct number {
	const char *group, *name;
	enum number_kind kind;
	uint64_t value;
};

struct numbers {
	struct number items[NUMBERS_MAX];
	size_t len;
};

static void add(struct numbers *n, const char *group, const char *name, enum number_kind kind,
	uint64_t value)
{
	if (n->len < NUMBERS_MAX)
		n->items[n->len++] = (struct number){group, name, kind, value};
}

static void add_swarm(struct numbers *n, const struct swarm_stat *s)
{
	add(n, "received", "peer_bytes", COUNTER, s->peer_bytes);
	add(n, "received", "peer_chunks", COUNTER, s->peer_chunks);
	add(n, "received", "origin_bytes", COUNTER, s->origin_bytes);
	add(n, "received", "origin_chunks", COUNTER, s->origin_chunks);
	add(n, "received", "wasted_bytes", COUNTER, s->wasted_bytes);
	add(n, "uploaded", "bytes", COUNTER, s->uploaded_bytes);
	add(n, "uploaded", "chunks", COUNTER, s->uploaded_chunks);
	add(n, "swarm", "members", GAUGE, s->members);
	add(n, "swarm", "links", GAUGE, s->links);
	add(n, "swarm", "epoch", GAUGE, s->epoch);
	add(n, "swarm", "origin_up", GAUGE, s->origin_up);
	add(n, "swarm", "waiting", GAUGE, s->waiting);
	add(n, "swarm", "hedges", COUNTER, s->hedges);
	add(n, "swarm", "redirects", COUNTER, s->redirects);
	add(n, "swarm", "lease_waits", COUNTER, s->lease_waits);
	add(n, "swarm", "look_asides", COUNTER, s->look_asides);
	add(n, "swarm", "corrupt", COUNTER, s->corrupt);
	add(n, "swarm", "timeouts", COUNTER, s->timeouts);
	add(n, "swarm", "quarantines", COUNTER, s->quarantines);
	add(n, "swarm", "control_bytes", COUNTER, s->control_bytes);
}

static void add_cache(struct numbers *n, const struct cache_stat *c, uint64_t memory_max)
{
	add(n, "cache", "memory_bytes", GAUGE, c->memory_bytes);
	add(n, "cache", "memory_chunks", GAUGE, c->memory_chunks);
	add(n, "cache", "memory_max", GAUGE, memory_max);
	add(n, "cache", "disk_bytes", GAUGE, c->disk_bytes);
	add(n, "cache", "disk_chunks", GAUGE, c->disk_chunks);
	add(n, "cache", "disk_max", GAUGE, c->disk_max);
	add(n, "cache", "disk_waiting_bytes", GAUGE, c->disk_waiting);
	add(n, "cache", "disk_usable", GAUGE, c->disk_usable);
	add(n, "cache", "memory_hits", COUNTER, c->memory_hits);
	add(n, "cache", "disk_hits", COUNTER, c->disk_hits);
	add(n, "cache", "misses", COUNTER, c->misses);
	add(n, "cache", "evicted", COUNTER, c->evicted);
	add(n, "cache", "rotten", COUNTER, c->rotten);
	add(n, "cache", "disk_slow", COUNTER, c->disk_slow);
	add(n, "cache", "disk_errors", COUNTER, c->disk_errors);
}

static void add_system(struct numbers *n, const struct node *node)
{
	const struct node_system *system = &node->system;
	add(n, "image", "bytes", GAUGE, system->image.size);
	add(n, "image", "metadata_bytes", GAUGE, system->metadata_bytes);
	add(n, "image", "data_bytes", GAUGE, system->data_bytes);
	add(n, "image", "store_paths", GAUGE, system->catalog.members.len);
	add(n, "image", "segments", GAUGE, system->segments.len);
	add(n, "image", "chunks", GAUGE, system->chunk_count);
	add(n, "image", "index_bytes", GAUGE, node_system_index_bytes(system));
	add(n, "image", "touched_chunks", COUNTER, node->touched);
}

static void add_prefetch(struct numbers *n, const struct node *node)
{
	static const struct node_prefetch_stat none;
	const struct node_prefetch_stat *p =
		node->prefetch != NULL ? node_prefetch_stat(node->prefetch) : &none;
	add(n, "prefetch", "profile_entries", GAUGE, p->profile_entries);
	add(n, "prefetch", "chunks", COUNTER, p->chunks);
	add(n, "prefetch", "done_bytes", GAUGE, p->done);
	add(n, "prefetch", "total_bytes", GAUGE, p->total);
	add(n, "prefetch", "complete", GAUGE, p->complete);
	add(n, "prefetch", "full", GAUGE, p->full);
}

/* Resident bytes of this process; 0 where procfs cannot be read. */
static uint64_t resident(const struct node *node)
{
	char text[128];
	unsigned long size, pages;
	ssize_t len = node->statm >= 0 ? pread(node->statm, text, sizeof(text) - 1, 0) : -1;
	if (len <= 0)
		return 0;
	text[len] = '\0';
	if (sscanf(text, "%lu %lu", &size, &pages) != 2)
		return 0;
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static const struct node_reads *reads_of(const struct node *node)
{
	static const struct node_reads none;
	return node->reader != NULL ? node_reader_stat(node->reader) : &none;
}

static void collect(const struct node *node, struct numbers *n)
{
	struct swarm_stat swarm = {0};
	struct cache_stat cache = {0};
	uint64_t now = node_clock_us();
	if (node->sources.swarm != NULL)
		swarm_stat(node->sources.swarm, &swarm);
	if (node->sources.cache != NULL)
		cache_stat(node->sources.cache, &cache);
	add(n, "time", "up_us", GAUGE, now - node->begun_us);
	add(n, "time", "ready_us", GAUGE, node->ready ? node->ready_us - node->begun_us : 0);
	add(n, "rate", "read", GAUGE, node->rate.read);
	add(n, "rate", "received", GAUGE, node->rate.received);
	add(n, "rate", "uploaded", GAUGE, node->rate.uploaded);
	add_system(n, node);
	add_swarm(n, &swarm);
	add_cache(n, &cache, node->config->cache.memory_max);
	add_prefetch(n, node);
	add(n, "process", "resident_bytes", GAUGE, resident(node));
}

struct node_sample node_sample(const struct node *node)
{
	struct swarm_stat swarm = {0};
	struct node_sample sample = {0};
	const struct node_reads *reads = reads_of(node);
	if (node->sources.swarm != NULL)
		swarm_stat(node->sources.swarm, &swarm);
	for (size_t i = 0; i < NODE_TIERS; i++)
		sample.read += reads->tiers[i].bytes;
	sample.received = swarm.peer_bytes + swarm.origin_bytes;
	sample.uploaded = swarm.uploaded_bytes;
	return sample;
}

/* A JSON string (RFC 8259); NULL is null. Bytes above ASCII pass through: names are UTF-8 or, at
 * worst, what a manifest's signer made of them. */
static int put_text(struct buf *out, const char *text, struct err *err)
{
	if (text == NULL)
		return buf_put_str(out, "null", err);
	if (buf_put_str(out, "\"", err) < 0)
		return -1;
	for (const char *p = text; *p != '\0'; p++) {
		int r = (unsigned char)*p < 0x20  ? buf_printf(out, err, "\\u%04x", *p)
			: *p == '"' || *p == '\\' ? buf_printf(out, err, "\\%c", *p)
						  : buf_put(out, p, 1, err);
		if (r < 0)
			return -1;
	}
	return buf_put_str(out, "\"", err);
}

static int put_member(struct buf *out, const char *name, const char *text, struct err *err)
{
	if (buf_printf(out, err, "\"%s\":", name) < 0 || put_text(out, text, err) < 0)
		return -1;
	return buf_put_str(out, ",\n", err);
}

static int put_latency(struct buf *out, const uint64_t bins[SWARM_BINS], struct err *err)
{
	if (buf_put_str(out, "[", err) < 0)
		return -1;
	for (size_t i = 0; i < SWARM_BINS; i++)
		if (buf_printf(out, err, "%s%" PRIu64, i > 0 ? "," : "", bins[i]) < 0)
			return -1;
	return buf_put_str(out, "]", err);
}

static int put_reads(struct buf *out, const struct node_reads *reads, struct err *err)
{
	if (buf_printf(out, err, "\"reads\":{\"waiting\":%" PRIu64 ",\"failed\":%" PRIu64,
		    reads->waiting, reads->failed) < 0)
		return -1;
	for (size_t i = 0; i < NODE_TIERS; i++) {
		const struct node_tier_stat *tier = &reads->tiers[i];
		if (buf_printf(out, err,
			    ",\n \"%s\":{\"reads\":%" PRIu64 ",\"bytes\":%" PRIu64
			    ",\"microseconds\":%" PRIu64 ",\"latency\":",
			    node_tier_names[i], tier->reads, tier->bytes, tier->microseconds) < 0 ||
			put_latency(out, tier->latency, err) < 0 || buf_put_str(out, "}", err) < 0)
			return -1;
	}
	return buf_put_str(out, "}", err);
}

int node_status_json(struct node *node, struct buf *out, struct err *err)
{
	struct numbers n = {0};
	const char *group = "";
	collect(node, &n);
	if (buf_put_str(out, "{", err) < 0 ||
		put_member(out, "version", SNOWBOOT_VERSION, err) < 0 ||
		put_member(out, "name", node->config->name, err) < 0 ||
		put_member(out, "system", node->manifest.system, err) < 0 ||
		put_member(out, "identifier", node->ready ? node->identifier : NULL, err) < 0 ||
		put_member(out, "step", node->step, err) < 0 ||
		put_member(out, "failure",
			node->failure.kind != ERR_NONE ? node->failure.msg : NULL, err) < 0 ||
		buf_printf(out, err, "\"serial\":%" PRIu64 ",\n\"percent\":%u,\n",
			node->manifest.serial, node->percent) < 0 ||
		put_reads(out, reads_of(node), err) < 0)
		return -1;
	for (size_t i = 0; i < n.len; i++) {
		bool first = strcmp(group, n.items[i].group) != 0;
		if (first &&
			buf_printf(out, err, "%s,\n\"%s\":{", i > 0 ? "}" : "", n.items[i].group) <
				0)
			return -1;
		group = n.items[i].group;
		if (buf_printf(out, err, "%s\"%s\":%" PRIu64, first ? "" : ",", n.items[i].name,
			    n.items[i].value) < 0)
			return -1;
	}
	return buf_put_str(out, "}}\n", err);
}

static int put_histogram(
	struct buf *out, const char *tier, const struct node_tier_stat *stat, struct err *err)
{
	uint64_t sum = 0;
	for (size_t i = 0; i + 1 < SWARM_BINS; i++) {
		sum += stat->latency[i];
		if (buf_printf(out, err,
			    "snowboot_node_read_seconds_bucket{tier=\"%s\",le=\"%.6f\"} %" PRIu64
			    "\n",
			    tier, (double)(16ull << i) / 1e6, sum) < 0)
			return -1;
	}
	return buf_printf(out, err,
		"snowboot_node_read_seconds_bucket{tier=\"%s\",le=\"+Inf\"} %" PRIu64 "\n"
		"snowboot_node_read_seconds_sum{tier=\"%s\"} %.6f\n"
		"snowboot_node_read_seconds_count{tier=\"%s\"} %" PRIu64 "\n",
		tier, stat->reads, tier, (double)stat->microseconds / 1e6, tier, stat->reads);
}

int node_metrics(struct node *node, struct buf *out, struct err *err)
{
	struct numbers n = {0};
	const struct node_reads *reads = reads_of(node);
	collect(node, &n);
	for (size_t i = 0; i < n.len; i++) {
		const struct number *m = &n.items[i];
		const char *total = m->kind == COUNTER ? "_total" : "";
		if (buf_printf(out, err,
			    "# TYPE snowboot_node_%s_%s%s %s\nsnowboot_node_%s_%s%s %" PRIu64 "\n",
			    m->group, m->name, total, m->kind == COUNTER ? "counter" : "gauge",
			    m->group, m->name, total, m->value) < 0)
			return -1;
	}
	if (buf_put_str(out, "# TYPE snowboot_node_read_bytes_total counter\n", err) < 0)
		return -1;
	for (size_t i = 0; i < NODE_TIERS; i++)
		if (buf_printf(out, err,
			    "snowboot_node_read_bytes_total{tier=\"%s\"} %" PRIu64 "\n",
			    node_tier_names[i], reads->tiers[i].bytes) < 0)
			return -1;
	if (buf_put_str(out, "# TYPE snowboot_node_read_seconds histogram\n", err) < 0)
		return -1;
	for (size_t i = 0; i < NODE_TIERS; i++)
		if (put_histogram(out, node_tier_names[i], &reads->tiers[i], err) < 0)
			return -1;
	return 0;
}
