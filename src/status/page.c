/* SPDX-License-Identifier: MIT */
/* Tables out of JSON. What a server does not say is left blank, so that an older or newer one is
 * shown as far as it goes. */
#include "status/page.h"

#include "base/mem.h"
#include "status/amount.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text != NULL ? text : "";
}

static double number(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

static uint64_t count(const json_t *object, const char *key)
{
	double v = number(object, key);
	return v > 0 && v < 1e18 ? (uint64_t)v : 0;
}

static char *size_of(const json_t *object, const char *key, char out[AMOUNT_SIZE])
{
	return amount_bytes(count(object, key), out);
}

/* "name-26.05" of "/nix/store/…-nixos-system-name-26.05": the rest says nothing to people. */
static const char *short_name(const char *system)
{
	const char *slash = strrchr(system, '/');
	const char *name = slash != NULL ? slash + 1 : system;
	if (strlen(name) > 33 && name[32] == '-')
		name += 33;
	return strncmp(name, "nixos-system-", 13) == 0 ? name + 13 : name;
}

static int put_system(const json_t *s, struct buf *out, struct err *err)
{
	char kernel[AMOUNT_SIZE], initrd[AMOUNT_SIZE], image[AMOUNT_SIZE], day[16] = "";
	time_t expires = (time_t)count(s, "expires");
	struct tm tm;
	if (buf_printf(out, err, "  %s%s, %s", short_name(text_of(s, "system")),
		    json_is_true(json_object_get(s, "default")) ? " (default)" : "",
		    text_of(s, "state")) < 0)
		return -1;
	if (text_of(s, "failure")[0] != '\0' &&
		buf_printf(out, err, ": %s", text_of(s, "failure")) < 0)
		return -1;
	if (expires > 0 && gmtime_r(&expires, &tm) != NULL)
		strftime(day, sizeof(day), "%Y-%m-%d", &tm);
	if (day[0] != '\0' &&
		buf_printf(out, err, ", issue %" PRIu64 " until %s", count(s, "serial"), day) < 0)
		return -1;
	if (count(s, "kernel_bytes") > 0 &&
		buf_printf(out, err, ", kernel %s, initrd %s", size_of(s, "kernel_bytes", kernel),
			size_of(s, "initrd_bytes", initrd)) < 0)
		return -1;
	if (count(s, "image_bytes") > 0 &&
		buf_printf(out, err, ", image %s", size_of(s, "image_bytes", image)) < 0)
		return -1;
	return buf_put_str(out, "\n", err);
}

static int put_machine(const json_t *m, struct buf *out, struct err *err)
{
	const json_t *bytes = json_object_get(m, "bytes"), *c = json_object_get(m, "counters");
	char amounts[6][AMOUNT_SIZE], step[40];
	const char *address = text_of(m, "address"), *failure = text_of(m, "failure");
	bool linked = json_is_true(json_object_get(m, "linked"));
	uint64_t percent = count(m, "percent");
	if (percent > 0 && percent < 100)
		snprintf(step, sizeof(step), "%.20s %" PRIu64 " %%", text_of(m, "step"), percent);
	else
		snprintf(step, sizeof(step), "%.20s", text_of(m, "step"));
	return buf_printf(out, err,
		"%-16s %-22.22s %-16s %10s %9s/s %9s %9s %9s %9s %5" PRIu64 " %6" PRIu64
		" %6" PRIu64 " %6" PRIu64 " %6" PRIu64 "%s%s\n",
		address[0] != '\0' ? address : text_of(m, "mac"), short_name(text_of(m, "system")),
		step, amount_seconds(number(m, "seconds"), amounts[0]),
		size_of(m, "rate", amounts[1]), size_of(bytes, "memory", amounts[2]),
		size_of(bytes, "disk", amounts[3]), size_of(bytes, "peer", amounts[4]),
		size_of(bytes, "origin", amounts[5]), count(c, "peers"), count(c, "hedges"),
		count(c, "redirects"), count(c, "lease_waits"), count(c, "evicted"),
		linked                       ? ""
			: failure[0] != '\0' ? "  "
					     : "  (no link)",
		linked ? "" : failure);
}

static int put_machines(const json_t *machines, struct buf *out, struct err *err)
{
	size_t i;
	json_t *m;
	if (json_array_size(machines) == 0)
		return buf_put_str(out, "\nNo machine was seen yet.\n", err);
	if (buf_printf(out, err,
		    "\n%-16s %-22s %-16s %10s %11s %9s %9s %9s %9s %5s %6s %6s %6s %6s\n",
		    "MACHINE", "SYSTEM", "STEP", "TIME", "RATE", "MEMORY", "DISK", "PEER", "ORIGIN",
		    "PEERS", "HEDGES", "REDIR", "WAITS", "EVICT") < 0)
		return -1;
	json_array_foreach(machines, i, m) if (put_machine(m, out, err) < 0) return -1;
	return 0;
}

static int put_origin(const json_t *s, struct buf *out, struct err *err)
{
	const json_t *systems = json_object_get(s, "systems"), *sent = json_object_get(s, "sent");
	const json_t *swarm = json_object_get(s, "swarm");
	char a[AMOUNT_SIZE], b[AMOUNT_SIZE], c[AMOUNT_SIZE];
	size_t i;
	json_t *system;
	json_array_foreach(systems, i, system) if (put_system(system, out, err) < 0) return -1;
	if (buf_printf(out, err, "  sent: boot files %s, objects %s, chunks %s\n",
		    size_of(sent, "boot_files", a), size_of(sent, "objects", b),
		    size_of(sent, "chunks", c)) < 0)
		return -1;
	if (json_is_object(swarm) &&
		buf_printf(out, err,
			"  swarm: %" PRIu64 " members, %" PRIu64 " chunks sent, %" PRIu64
			" requests sent on to a peer, %" PRIu64 " asked again, control %s\n",
			count(swarm, "members"), count(swarm, "chunks"), count(swarm, "redirects"),
			count(swarm, "forced"), size_of(swarm, "control_bytes", a)) < 0)
		return -1;
	return put_machines(json_object_get(s, "machines"), out, err);
}

/* Upper bound of the bin that holds the given part of all, in microseconds (bins as in
 * docs/formats/status.md). */
static uint64_t quantile_us(const json_t *bins, double part)
{
	size_t i;
	json_t *bin;
	double all = 0, sum = 0;
	json_array_foreach(bins, i, bin) all += json_number_value(bin);
	json_array_foreach(bins, i, bin)
	{
		sum += json_number_value(bin);
		if (all > 0 && sum >= part * all)
			return (uint64_t)16 << (i < 40 ? i : 40);
	}
	return 0;
}

static int put_tier(const char *name, const json_t *tier, struct buf *out, struct err *err)
{
	char bytes[AMOUNT_SIZE];
	const json_t *latency = json_object_get(tier, "latency");
	return buf_printf(out, err, "  %-8s %9" PRIu64 " %10s %10.3f ms %10.3f ms\n", name,
		count(tier, "reads"), size_of(tier, "bytes", bytes),
		(double)quantile_us(latency, 0.5) / 1000,
		(double)quantile_us(latency, 0.99) / 1000);
}

static int put_tiers(const json_t *reads, struct buf *out, struct err *err)
{
	const char *name;
	json_t *tier;
	if (buf_printf(out, err, "\n  %-8s %9s %10s %13s %13s\n", "READS", "COUNT", "BYTES",
		    "MEDIAN <", "99 % <") < 0)
		return -1;
	json_object_foreach((json_t *)reads, name,
		tier) if (json_is_object(tier) && put_tier(name, tier, out, err) < 0) return -1;
	return 0;
}

static int put_node(const json_t *s, struct buf *out, struct err *err)
{
	const json_t *received = json_object_get(s, "received"),
		     *swarm = json_object_get(s, "swarm");
	const json_t *cache = json_object_get(s, "cache"), *up = json_object_get(s, "uploaded");
	char a[AMOUNT_SIZE], b[AMOUNT_SIZE], c[AMOUNT_SIZE];
	uint64_t percent = count(s, "percent");
	if (buf_printf(out, err, "  %s, issue %" PRIu64 "\n  %s", short_name(text_of(s, "system")),
		    count(s, "serial"), text_of(s, "step")) < 0 ||
		(percent > 0 && percent < 100 &&
			buf_printf(out, err, " %" PRIu64 " %%", percent) < 0) ||
		(text_of(s, "failure")[0] != '\0' &&
			buf_printf(out, err, ": %s", text_of(s, "failure")) < 0))
		return -1;
	if (buf_printf(out, err,
		    "\n  received: from peers %s, from the origin %s; given to peers %s\n",
		    size_of(received, "peer_bytes", a), size_of(received, "origin_bytes", b),
		    size_of(up, "bytes", c)) < 0 ||
		buf_printf(out, err, "  cache: memory %s, disk %s, evicted %" PRIu64 "\n",
			size_of(cache, "memory_bytes", a), size_of(cache, "disk_bytes", b),
			count(cache, "evicted")) < 0 ||
		buf_printf(out, err,
			"  swarm: %" PRIu64 " members, %" PRIu64
			" links, origin %s, hedges %" PRIu64 ", redirects %" PRIu64
			", lease waits %" PRIu64 "\n",
			count(swarm, "members"), count(swarm, "links"),
			count(swarm, "origin_up") > 0 ? "reachable" : "out of reach",
			count(swarm, "hedges"), count(swarm, "redirects"),
			count(swarm, "lease_waits")) < 0)
		return -1;
	return put_tiers(json_object_get(s, "reads"), out, err);
}

int status_page(const char *source, const void *json, size_t size, struct buf *out, struct err *err)
{
	json_error_t why;
	char up[AMOUNT_SIZE];
	json_t *root = json_loadb(json, size, 0, &why);
	if (!json_is_object(root)) {
		json_decref(root);
		return err_raise(err, ERR_CORRUPT, "the answer is no JSON: %s", why.text);
	}
	bool origin = strcmp(text_of(root, "role"), "origin") == 0;
	double seconds = origin ? number(root, "uptime")
				: number(json_object_get(root, "time"), "up_us") / 1e6;
	int r = buf_printf(out, err, "%s at %s, snowboot %s, up %s\n", origin ? "Origin" : "Node",
		source, text_of(root, "version"), amount_seconds(seconds, up));
	if (r == 0)
		r = origin ? put_origin(root, out, err) : put_node(root, out, err);
	json_decref(root);
	return r;
}
