/* SPDX-License-Identifier: MIT */
/* An origin as JSON (docs/formats/status.md), and a page for a browser. */
#include "base/hex.h"
#include "base/path.h"
#include "serve/parts.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static double seconds(uint64_t us)
{
	return (double)us / 1e6;
}

/* Seconds since 1970 of a moment of our own clock. */
static double unix_time(uint64_t at_us)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9 - seconds(hub_now_us() - at_us);
}

static json_t *text_or_null(const char *text)
{
	json_t *string = text == NULL || text[0] == '\0' ? NULL : json_string(text);
	return string != NULL ? string : json_null(); /* no UTF-8: none that could be shown */
}

static json_t *bytes_json(const uint64_t counters[LINK_COUNTERS])
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "memory",
		(json_int_t)counters[COUNTER_MEMORY_BYTES], "disk",
		(json_int_t)counters[COUNTER_DISK_BYTES], "peer",
		(json_int_t)counters[COUNTER_PEER_BYTES], "origin",
		(json_int_t)counters[COUNTER_ORIGIN_BYTES], "uploaded",
		(json_int_t)counters[COUNTER_UPLOADED_BYTES]);
}

static json_t *counters_json(const uint64_t counters[LINK_COUNTERS])
{
	static const struct {
		const char *name;
		enum message_counter counter;
	} rows[] = {
		{"peers", COUNTER_PEERS},
		{"reads", COUNTER_READS},
		{"misses", COUNTER_MISSES},
		{"hedges", COUNTER_HEDGES},
		{"redirects", COUNTER_REDIRECTS},
		{"lease_waits", COUNTER_LEASE_WAITS},
		{"evicted", COUNTER_EVICTED},
		{"corrupt", COUNTER_CORRUPT},
	};
	json_t *object = json_object();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		json_object_set_new(
			object, rows[i].name, json_integer((json_int_t)counters[rows[i].counter]));
	return object;
}

static json_t *timeline_json(const struct machine *m)
{
	json_t *steps = json_array(), *samples = json_array();
	for (size_t i = 0; i < m->step_count; i++) {
		const struct machine_step *s = &m->steps[i];
		json_t *step = json_pack("{s:s, s:f, s:f}", "step", s->name, "at",
			seconds(s->began_us - m->began_us), "seconds",
			seconds(s->ended_us - s->began_us));
		if (s->bytes > 0)
			json_object_set_new(step, "bytes", json_integer((json_int_t)s->bytes));
		json_array_append_new(steps, step);
	}
	for (size_t i = 0; i < m->sample_count; i++) {
		const struct machine_sample *s = &m->samples[i];
		json_array_append_new(samples,
			json_pack("[f, I, I, I, I]", seconds(s->at_us - m->began_us),
				(json_int_t)s->bytes[SOURCE_MEMORY],
				(json_int_t)s->bytes[SOURCE_DISK],
				(json_int_t)s->bytes[SOURCE_PEER],
				(json_int_t)s->bytes[SOURCE_ORIGIN]));
	}
	return json_pack("{s:o, s:o}", "steps", steps, "samples", samples);
}

static json_t *machine_json(const struct machine *m, bool timeline)
{
	uint64_t now_us = hub_now_us();
	char id[2 * sizeof(m->member.id.bytes) + 1] = "", node[NODE_ADDRESS_TEXT_SIZE] = "";
	if (m->has_id)
		hex_encode(m->member.id.bytes, sizeof(m->member.id.bytes), id);
	if (m->has_id)
		node_address_text(&m->member.address, node);
	json_t *object = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:I}", "address",
		text_or_null(m->address), "mac", text_or_null(m->mac), "id", text_or_null(id),
		"node", text_or_null(node), "site", text_or_null(m->member.site), "system",
		text_or_null(m->system), "serial", (json_int_t)m->serial);
	json_t *more = json_pack("{s:b, s:o, s:i, s:i, s:f, s:f, s:f, s:I}", "linked",
		(int)m->linked, "step", text_or_null(m->step), "percent", (int)m->percent, "boots",
		(int)m->boots, "began", unix_time(m->began_us), "seconds",
		seconds(now_us - m->began_us), "seen", seconds(now_us - m->seen_us), "rate",
		(json_int_t)machine_rate(m, now_us));
	json_object_update(object, more);
	json_decref(more);
	json_object_set_new(object, "failure", text_or_null(m->failure));
	json_object_set_new(object, "bytes", bytes_json(m->counters));
	json_object_set_new(object, "counters", counters_json(m->counters));
	if (timeline)
		json_object_set_new(object, "timeline", timeline_json(m));
	return object;
}

static json_t *machines_json(const struct origin *o)
{
	json_t *array = json_array();
	const struct machine *m;
	TAILQ_FOREACH(m, &o->machines.list, entry)
		if (m->step_count > 0 || m->has_id) /* who only asked for an address is no client */
			json_array_append_new(array, machine_json(m, false));
	return array;
}

static const char *state_of(const struct version *v)
{
	return v->boot != NULL ? "ready" : err_clean(&v->failure) ? "preparing" : "failed";
}

static json_t *system_json(
	const struct served *served, size_t i, bool is_default, const char *status)
{
	const struct version *v = &served->versions[i];
	json_t *object = json_pack("{s:s, s:s, s:b, s:b, s:s}", "named", served->system, "system",
		v->toplevel, "present", i == 0, "default", (int)(is_default && i == 0), "state",
		state_of(v));
	if (!err_clean(&v->failure))
		json_object_set_new(object, "failure", json_string(v->failure.msg));
	else if (v->boot == NULL && status[0] != '\0')
		json_object_set_new(object, "progress", json_string(status));
	const struct boot *boot = v->boot;
	if (boot == NULL)
		return object;
	json_object_set_new(object, "root", json_string(boot->network ? "net" : "ram"));
	json_object_set_new(object, "kernel_bytes", json_integer((json_int_t)boot->kernel.size));
	json_object_set_new(object, "initrd_bytes", json_integer((json_int_t)boot->initrd.size));
	if (!boot->network)
		return object;
	char hex[DIGEST_HEX_SIZE];
	json_t *more = json_pack("{s:I, s:I, s:I, s:s, s:I, s:I}", "serial",
		(json_int_t)boot->own.serial, "expires", (json_int_t)boot->own.expires,
		"image_bytes", (json_int_t)boot->image_size, "catalog",
		digest_hex(&boot->catalog_digest, hex), "objects",
		(json_int_t)boot->objects.objects.len, "chunks",
		(json_int_t)boot->objects.chunks.len);
	json_object_update(object, more);
	json_decref(more);
	if (boot->as_default.text != NULL)
		json_object_set_new(object, "default_serial",
			json_integer((json_int_t)boot->as_default.serial));
	return object;
}

static json_t *systems_json(const struct origin *o)
{
	json_t *array = json_array();
	for (size_t i = 0; i < systems_count(o->systems); i++) {
		const struct served *served = systems_at(o->systems, i);
		bool is_default = i == 0 && served->demanded == NULL;
		for (size_t n = 0; n < VERSIONS_KEPT && served->versions[n].toplevel != NULL; n++) {
			char status[BUILDER_STATUS_SIZE];
			systems_status(o->systems, served->versions[n].toplevel, status);
			json_array_append_new(array, system_json(served, n, is_default, status));
		}
	}
	return array;
}

static json_t *swarm_json(const struct origin *o)
{
	struct tracker_stat s;
	if (o->hub == NULL)
		return json_null();
	hub_stat(o->hub, &s);
	return json_pack("{s:I, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "epoch",
		(json_int_t)s.epoch, "members", (int)s.members, "links", (int)s.links, "chunks",
		(json_int_t)s.chunks, "chunk_bytes", (json_int_t)s.bytes, "redirects",
		(json_int_t)s.redirects, "forced", (json_int_t)s.forced, "leases",
		(json_int_t)s.leases, "lease_frees", (json_int_t)s.lease_frees, "control_bytes",
		(json_int_t)s.control_bytes);
}

static json_t *sent_json(const struct origin *o)
{
	struct tracker_stat s = {0};
	if (o->hub != NULL)
		hub_stat(o->hub, &s);
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "boot_files",
		(json_int_t)o->traffic[ROUTE_BOOT].bytes, "manifests",
		(json_int_t)o->traffic[ROUTE_MANIFEST].bytes, "objects",
		(json_int_t)o->traffic[ROUTE_OBJECT].bytes, "chunks", (json_int_t)s.bytes, "tftp",
		(json_int_t)o->loaded.bytes);
}

static json_t *status_json(const struct origin *o)
{
	return json_pack("{s:i, s:s, s:s, s:f, s:f, s:o, s:o, s:o, s:o}", "format", 1, "role",
		"origin", "version", SNOWBOOT_VERSION, "time", unix_time(hub_now_us()), "uptime",
		seconds(hub_now_us() - o->began_us), "systems", systems_json(o), "swarm",
		swarm_json(o), "sent", sent_json(o), "machines", machines_json(o));
}

int report_put(json_t *take_object, struct buf *out, struct err *err)
{
	char *text = take_object == NULL
		? NULL
		: json_dumps(take_object,
			  JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(15));
	json_decref(take_object);
	if (text == NULL)
		return err_oom(err);
	int r = buf_printf(out, err, "%s\n", text);
	free(text);
	return r;
}

static int put_index(const struct origin *o, struct buf *out, struct err *err)
{
	int r = buf_put_str(out, "snowboot " SNOWBOOT_VERSION "\n\n", err);
	for (size_t i = 0; i < systems_count(o->systems) && r == 0; i++) {
		const struct served *served = systems_at(o->systems, i);
		const struct version *v = &served->versions[0];
		const char *state = v->boot != NULL ? "ready"
			: err_clean(&v->failure)    ? "being prepared"
						    : v->failure.msg;
		r = buf_printf(out, err, "%s\n  %s/boot/%s/netboot.ipxe\n  %s\n", served->system,
			i == 0 && served->demanded == NULL ? "/boot/default/netboot.ipxe\n  " : "",
			path_basename(v->toplevel), state);
	}
	return r;
}

/* A status shows transfers that run, so they are looked at first. */
static void look_at_transfers(struct origin *o)
{
	struct request *r;
	loader_look(o);
	TAILQ_FOREACH(r, &o->requests, entry) {
		struct route route = route_parse(http_exchange_request(r->exchange)->path);
		uint64_t sent, len;
		http_exchange_progress(r->exchange, &sent, &len);
		if (route.kind != ROUTE_BOOT || r->toplevel != NULL || len == 0)
			continue;
		char mac[18];
		const char *peer = http_exchange_peer(r->exchange);
		struct machine *m = machines_get(
			&o->machines, journal_find_mac(peer, mac) ? mac : NULL, peer, hub_now_us());
		if (m != NULL)
			machine_transfers(
				m, boot_file_step(route.file), (unsigned)(100 * sent / len));
	}
}

static int put_report(struct origin *o, const struct route *route, const struct machine *machine,
	struct buf *out, struct err *err)
{
	if (route->kind == ROUTE_INDEX)
		return put_index(o, out, err);
	if (route->kind == ROUTE_METRICS)
		return metrics_put(o, out, err);
	if (machine != NULL)
		return report_put(machine_json(machine, true), out, err);
	if (route->kind == ROUTE_MACHINES)
		return report_put(json_pack("{s:o}", "machines", machines_json(o)), out, err);
	return report_put(status_json(o), out, err);
}

void report_reply(struct origin *o, struct http_exchange *x, const struct route *route)
{
	struct err err = ERR_INIT;
	AUTO_BUF text = {0};
	const struct machine *machine = NULL;
	look_at_transfers(o);
	if (route->name_len > 0) {
		machine = machines_find(&o->machines, route->name, route->name_len);
		if (machine == NULL) {
			http_exchange_reply_text(
				x, 404, "no machine '%s' was seen here", route->name);
			return;
		}
	}
	const char *type = route->kind == ROUTE_INDEX ? "text/plain; charset=utf-8"
		: route->kind == ROUTE_METRICS        ? "text/plain; version=0.0.4"
						      : "application/json";
	if (put_report(o, route, machine, &text, &err) < 0)
		http_exchange_reply_text(x, 500, "%s", err.msg);
	else
		origin_reply_fresh(x, &text, type);
}
