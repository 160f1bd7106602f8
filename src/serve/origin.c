/* SPDX-License-Identifier: MIT */
/*
 * Requests and their answers. Requests for a boot that is still being made wait, and are answered
 * together: that is the single-flight.
 */
#include "serve/origin.h"

#include "base/log.h"
#include "base/path.h"
#include "serve/parts.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#define SAVE_SECONDS 10

static void request_free(struct origin *o, struct request *r)
{
	TAILQ_REMOVE(&o->requests, r, entry);
	http_exchange_set_tag(r->exchange, NULL);
	free(r->toplevel);
	free(r->note);
	free(r->system);
	free(r);
}

struct request *origin_request(struct origin *o, struct http_exchange *x)
{
	struct request *r = http_exchange_tag(x);
	if (r != NULL)
		return r;
	r = calloc(1, sizeof(*r));
	if (r == NULL) {
		http_exchange_reply_text(x, 500, "out of memory");
		return NULL;
	}
	r->exchange = x;
	http_exchange_set_tag(x, r);
	TAILQ_INSERT_TAIL(&o->requests, r, entry);
	return r;
}

/* Answers with a body, or with why there is none. */
static void reply(struct http_exchange *x, struct http_body *body, const struct err *err)
{
	if (body != NULL)
		http_exchange_reply(x, 200, body);
	else
		http_exchange_reply_text(x, 500, "%s", err->msg);
}

void origin_reply_fresh(struct http_exchange *x, const struct buf *text, const char *type)
{
	struct err err = ERR_INIT;
	struct http_body *body = http_body_copy(text->data, text->len, type, &err);
	if (body != NULL)
		body->cache_control = "no-cache";
	reply(x, body, &err);
}

static void reply_manifest(
	struct http_exchange *x, const struct boot *boot, const struct route *route)
{
	bool as_default = route->name_len == 7 && memcmp(route->name, "default", 7) == 0;
	const struct issue *issue = as_default ? &boot->as_default : &boot->own;
	if (issue->text == NULL) {
		http_exchange_reply_text(x, 404,
			"'%s' is served with its root in RAM: there is no manifest", boot->name);
		return;
	}
	const struct buf text = {.data = (uint8_t *)issue->text, .len = issue->len};
	origin_reply_fresh(x, &text, "text/plain; charset=utf-8");
}

/* The boot that the route names is made. */
static void reply_boot(
	struct origin *o, struct http_exchange *x, struct boot *boot, const struct route *route)
{
	struct err err = ERR_INIT;
	if (route->kind == ROUTE_MANIFEST) {
		reply_manifest(x, boot, route);
		return;
	}
	switch (route->file) {
	case BOOT_SCRIPT:
		script_reply(o, x, boot, NULL);
		return;
	case BOOT_KERNEL:
		reply(x, boot_kernel_body(boot, &err), &err);
		return;
	case BOOT_INITRD:
		reply(x, boot_initrd_body(boot, &err), &err);
		return;
	case BOOT_UKI:
		http_boot_reply(o, x, route);
		return;
	case BOOT_FILES:
		break;
	}
	http_exchange_reply_text(x, 404, "there is no such file");
}

static void handle_boot(struct origin *o, struct http_exchange *x, const struct route *route)
{
	if (choice_is_asked(o, route)) {
		choice_reply(o, x);
		return;
	}
	if (route->kind == ROUTE_BOOT && route->file == BOOT_UKI) {
		http_boot_reply(o, x, route);
		return;
	}
	/* Whoever asks for the latter two got a script that names a system, or a manifest's name.
	 */
	if (route->kind == ROUTE_MANIFEST || route->file == BOOT_SCRIPT)
		systems_refresh(o->systems);
	struct version *v = origin_system(o, route->name, route->name_len);
	if (v == NULL) {
		http_exchange_reply_text(
			x, 404, "there is nothing at '%s'", http_exchange_request(x)->path);
		return;
	}
	if (v->boot == NULL && !err_clean(&v->failure)) {
		http_exchange_reply_text(x, 500, "%s", v->failure.msg);
		return;
	}
	struct request *r = origin_request(o, x);
	if (r == NULL)
		return;
	if (v->boot != NULL) {
		reply_boot(o, x, v->boot, route);
		return;
	}
	origin_await(o, r, v->toplevel);
}

void origin_await(struct origin *o, struct request *r, const char *toplevel)
{
	struct http_exchange *x = r->exchange;
	r->toplevel = strdup(toplevel);
	if (r->toplevel == NULL) {
		request_free(o, r);
		http_exchange_reply_text(x, 500, "out of memory");
		return;
	}
	r->fetched = systems_are_fetched(o->systems, toplevel);
	r->deadline_us = hub_now_us() + (o->stopping ? 0 : DISPATCH_HOLD_US);
}

/* It waited for what is being fetched for long enough. */
static void tell_fetched(struct origin *o, struct request *r)
{
	struct err err = ERR_INIT;
	char status[BUILDER_STATUS_SIZE];
	AUTO_FREE char *key = TAKE_PTR(r->toplevel);
	r->fetched = false;
	systems_status(o->systems, key, status);
	AUTO_FREE char *text = path_printf(&err, "snowboot: '%s' is being prepared%s%s", key,
		status[0] != '\0' ? "\n" : "", status);
	dispatch_answer(r->exchange, 503, text != NULL ? text : "the system is being prepared",
		DISPATCH_AGAIN_SECONDS);
}

static void on_made(const char *toplevel, struct boot *boot, const struct err *failure, void *data)
{
	struct origin *o = data;
	struct request *r = TAILQ_FIRST(&o->requests);
	while (r != NULL) {
		struct request *next = TAILQ_NEXT(r, entry);
		if (r->toplevel != NULL && strcmp(r->toplevel, toplevel) == 0) {
			struct route route = route_parse(http_exchange_request(r->exchange)->path);
			free(TAKE_PTR(r->toplevel));
			r->fetched = false;
			if (choice_is_asked(o, &route))
				choice_made(o, r->exchange, failure);
			else if (boot != NULL && route.kind == ROUTE_EXTLINUX)
				pxelinux_reply(o, r->exchange, &route);
			else if (boot != NULL)
				reply_boot(o, r->exchange, boot, &route);
			else
				http_exchange_reply_text(r->exchange, 500, "%s", failure->msg);
		}
		r = next;
	}
	loader_made(o, toplevel, boot, failure);
}

static void handle_object(struct origin *o, struct http_exchange *x, const struct route *route)
{
	struct err err = ERR_INIT;
	const struct object *object = NULL;
	struct boot *boot = systems_object(o->systems, &route->digest, &object);
	if (boot == NULL)
		http_exchange_reply_text(x, 404, "no system that is served has this object");
	else
		reply(x, boot_object_body(boot, object, o->options.cache_control, &err), &err);
}

static void handle_profile(struct origin *o, struct http_exchange *x, const struct route *route)
{
	struct err err = ERR_INIT;
	AUTO_PROFILE profile = {0};
	AUTO_BUF bytes = {0};
	struct boot *boot = systems_catalog(o->systems, &route->digest);
	int r = boot == NULL || o->profiles == NULL
		? 0
		: profiles_get(o->profiles, &route->digest, &boot->objects, &profile, &err);
	if (r == 1 && profile_encode(&profile, &bytes, &err) < 0)
		r = -1;
	if (r < 0)
		http_exchange_reply_text(x, 500, "%s", err.msg);
	else if (r == 0)
		http_exchange_reply_text(x, 404, "there is no profile of such a system");
	else
		origin_reply_fresh(x, &bytes, NULL);
}

static void on_upgraded(int take_fd, const void *early, size_t early_len, void *data)
{
	hub_accept(((struct origin *)data)->hub, take_fd, early, early_len);
}

static void handle_link(struct origin *o, struct http_exchange *x)
{
	if (o->hub == NULL)
		http_exchange_reply_text(x, 404, "nodes have nothing to fetch here: --root ram");
	else if (o->stopping || !http_exchange_wants(x, LINK_UPGRADE))
		http_exchange_reply_text(x, 426, "this is for nodes: upgrade to " LINK_UPGRADE);
	else if (hub_links(o->hub) >= o->options.links_max)
		http_exchange_reply_text(
			x, 503, "%u nodes are linked already", o->options.links_max);
	else
		http_exchange_upgrade(x, LINK_UPGRADE, on_upgraded, o);
}

static void on_clock(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	struct origin *o = data;
	uint64_t now_us = hub_now_us();
	struct request *r = TAILQ_FIRST(&o->requests);
	failure_look(o);
	news_look(o);
	while (r != NULL) {
		struct request *next = TAILQ_NEXT(r, entry);
		if (r->job != NULL && now_us >= r->deadline_us)
			dispatch_tell(r);
		else if (r->fetched && now_us >= r->deadline_us)
			tell_fetched(o, r);
		r = next;
	}
	if (o->profiles != NULL && ++o->ticks % SAVE_SECONDS == 0)
		profiles_save(o->profiles);
}

void origin_handle(struct http_exchange *x, void *data)
{
	struct origin *o = data;
	const char *path = http_exchange_request(x)->path;
	struct route route = route_parse(path);
	switch (route.kind) {
	case ROUTE_BOOT:
	case ROUTE_MANIFEST:
		handle_boot(o, x, &route);
		return;
	case ROUTE_EXTLINUX:
		pxelinux_reply(o, x, &route);
		return;
	case ROUTE_OBJECT:
		handle_object(o, x, &route);
		return;
	case ROUTE_PROFILE:
		handle_profile(o, x, &route);
		return;
	case ROUTE_LINK:
		handle_link(o, x);
		return;
	case ROUTE_EVENTS:
		news_reply(o, x);
		return;
	case ROUTE_DISPATCH:
		dispatch_reply(o, x, &route);
		return;
	case ROUTE_EXPLAIN:
		explain_reply(o, x);
		return;
	case ROUTE_UP:
		choice_reply_up(o, x);
		return;
	case ROUTE_FAILED:
		failure_reply(o, x);
		return;
	case ROUTE_INDEX:
	case ROUTE_STATUS:
	case ROUTE_MACHINES:
	case ROUTE_METRICS:
		report_reply(o, x, &route);
		return;
	case ROUTE_NONE:
		break;
	}
	http_exchange_reply_text(x, 404, "there is nothing at '%s'", path);
}

void origin_step(struct origin *o, const struct journal_step *step)
{
	journal_put(o->options.journal, step);
	events_put(&o->events, journal_json(step));
	event_active(o->clock, EV_TIMEOUT, 0); /* somebody may wait for it */
}

void origin_saw(struct origin *o, const struct journal_step *step, bool boot_loader)
{
	uint64_t now_us = hub_now_us();
	const struct machine_event event = {
		.step = step->step,
		.boot_loader = boot_loader,
		.bytes = step->bytes,
		.elapsed_us = step->elapsed_us,
	};
	struct machine *m = step->mac == NULL && step->client == NULL
		? NULL
		: machines_get(&o->machines, step->mac, step->client, now_us);
	if (m != NULL)
		machine_saw(m, &event, now_us);
	origin_step(o, step);
}

void origin_leased(struct origin *o, const char *mac, const char *address)
{
	struct machine *m = machines_get(&o->machines, mac, address, hub_now_us());
	if (m != NULL)
		machines_lease(&o->machines, m, address);
}

void origin_done(struct http_exchange *x, const struct http_outcome *outcome, void *data)
{
	struct origin *o = data;
	struct request *r = http_exchange_tag(x);
	AUTO_FREE char *said = r != NULL ? TAKE_PTR(r->note) : NULL;
	AUTO_FREE char *system = r != NULL ? TAKE_PTR(r->system) : NULL;
	char mac[18] = "";
	bool refused = r != NULL && r->refused;
	if (r != NULL) {
		memcpy(mac, r->mac, sizeof(mac));
		if (!outcome->handed_over)
			watcher_free(r->watcher);
		request_free(o, r);
	}
	const char *path = http_exchange_request(x)->path;
	struct route route = route_parse(path);
	o->traffic[route.kind].requests++;
	o->traffic[route.kind].bytes += outcome->sent;
	bool cut = outcome->status == 0 || outcome->sent < outcome->len;
	struct journal_step step = {
		.step = "http",
		.client = http_exchange_peer(x),
		.subject = path,
		.status = outcome->status,
		.bytes = outcome->sent,
		.total_bytes = outcome->len,
		.elapsed_us = outcome->elapsed_us,
		.note = outcome->failure != NULL ? outcome->failure
			: cut                    ? "the client left"
						 : said,
	};
	/* Objects are too many, and whoever watches is no client: metrics count them. */
	bool loud = route.kind == ROUTE_BOOT || route.kind == ROUTE_MANIFEST ||
		route.kind == ROUTE_NONE || route.kind == ROUTE_INDEX ||
		route.kind == ROUTE_DISPATCH || route.kind == ROUTE_EXTLINUX;
	if (!loud)
		return;
	/* What it said itself holds behind a router, too. */
	step.mac = mac[0] != '\0' || journal_find_mac(step.client, mac) ? mac : NULL;
	if (route.kind == ROUTE_MANIFEST)
		step.step = "manifest";
	bool config = route.kind == ROUTE_EXTLINUX;
	if (route.kind == ROUTE_BOOT || config)
		step.step = boot_file_step(config ? BOOT_SCRIPT : route.file);
	/* Who asks how large a file is has not begun to load it. */
	bool head = http_exchange_request(x)->method == HTTP_HEAD;
	if ((route.kind != ROUTE_BOOT && !config) || head) {
		origin_step(o, &step);
		return;
	}
	origin_saw(o, &step, true);
	const struct version *v = system != NULL || config || choice_is_asked(o, &route)
		? NULL
		: systems_find(o->systems, route.name, route.name_len);
	struct machine *m = machines_find(&o->machines, step.client, strlen(step.client));
	if (m != NULL && refused)
		machine_fails(m, said);
	if (m != NULL && (v != NULL || system != NULL))
		machine_set_system(m, v != NULL ? path_basename(v->toplevel) : system);
}

static int open_net(struct origin *o, struct err *err)
{
	AUTO_FREE char *dir = path_printf(err, "%s/profiles", o->options.boot->state_dir);
	if (dir == NULL || profiles_open(dir, &o->profiles, err) < 0)
		return -1;
	return hub_new(o->base, o->options.pacer, &crew_ops, o, &o->hub, err);
}

static int find_link(void *data, const char *system, char **ret_path, struct err *err)
{
	return acquire_find_link(data, system, ret_path, err);
}

static int open_clock(struct origin *o, struct err *err)
{
	const struct timeval second = {.tv_sec = 1};
	o->clock = event_new(o->base, -1, EV_PERSIST, on_clock, o);
	return o->clock == NULL || event_add(o->clock, &second) < 0 ? err_oom(err) : 0;
}

int origin_new(struct event_base *base, const struct origin_options *options, struct origin **ret,
	struct err *err)
{
	struct origin *o = calloc(1, sizeof(*o));
	if (o == NULL)
		return err_oom(err);
	o->options = *options;
	o->base = base;
	o->began_us = hub_now_us();
	TAILQ_INIT(&o->requests);
	TAILQ_INIT(&o->loadings);
	machines_init(&o->machines);
	o->rules = (struct rules){
		.dir = options->machines,
		.state_dir = options->state_dir,
		.fallback = options->systems->len > 0 ? options->systems->items[0] : NULL,
		.real_store = acquirer_real_store(options->boot->acquirer),
		.find_link = find_link,
		.data = options->boot->acquirer,
	};
	if (dispatch_new(&options->dispatch, &o->dispatch, err) < 0 || open_clock(o, err) < 0 ||
		(options->boot->root != ROOT_RAM && open_net(o, err) < 0) ||
		systems_new(base, options->systems, options->boot, on_made, o, &o->systems, err) <
			0 ||
		watchers_new(base, &o->events, &o->watchers, err) < 0 ||
		choice_prepare(o, err) < 0) {
		origin_free(o);
		return -1;
	}
	*ret = o;
	return 0;
}

struct origin *origin_free(struct origin *o)
{
	if (o == NULL)
		return NULL;
	o->hub = hub_free(o->hub);
	o->dispatch = dispatch_free(o->dispatch);
	systems_free(o->systems);
	for (struct request *r; (r = TAILQ_FIRST(&o->requests)) != NULL;)
		request_free(o, r);
	profiles_close(o->profiles);
	machines_done(&o->machines);
	watchers_free(o->watchers);
	events_done(&o->events);
	if (o->clock != NULL)
		event_free(o->clock);
	free(o->url);
	free(o);
	return NULL;
}

void origin_set_url(struct origin *o, const char *url)
{
	free(o->url);
	o->url = strdup(url);
}

bool origin_is_busy(const struct origin *o)
{
	return o != NULL && systems_are_busy(o->systems);
}

void origin_refresh(struct origin *o)
{
	struct err err = ERR_INIT;
	systems_reload(o->systems);
	if (choice_prepare(o, &err) < 0)
		log_ignored(&err); /* who asks is told, too */
}

void origin_stop(struct origin *o)
{
	struct request *r;
	o->stopping = true;
	TAILQ_FOREACH(r, &o->requests, entry)
		r->deadline_us = 0;
	on_clock(-1, 0, o);
	watchers_end(o->watchers);
}
