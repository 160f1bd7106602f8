/* SPDX-License-Identifier: MIT */
/*
 * Each system is looked up again whenever somebody asks for it, so that a profile that was switched
 * is what boots next. What it led to before stays served under its own name: a client that already
 * has the script gets the kernel and initrd that belong to it. Requests for a boot that is still
 * being made wait.
 */
#include "serve/origin.h"

#include "base/log.h"
#include "base/path.h"
#include "serve/builder.h"
#include "serve/script.h"
#include "system/system.h"

#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

/* Boots of one system that stay served: the present one and those before it. */
#define BOOTS_KEPT 3

enum file_kind { FILE_SCRIPT, FILE_KERNEL, FILE_INITRD, FILE_KINDS };

static const struct {
	const char *name, *step;
} files[FILE_KINDS] = {
	[FILE_SCRIPT] = {"netboot.ipxe", "script"},
	[FILE_KERNEL] = {"bzImage", "kernel"},
	[FILE_INITRD] = {"initrd", "initrd"},
};

/* One toplevel of a system. */
struct version {
	char *toplevel;
	struct boot *boot;  /* NULL: not made yet, or failed */
	struct err failure; /* clean while it is being made */
};

struct served {
	const char *system;                  /* as the user named it */
	struct version versions[BOOTS_KEPT]; /* newest first; the rest is zero */
};

/* A request whose boot is being made. */
struct waiter {
	TAILQ_ENTRY(waiter) entry;
	struct http_exchange *exchange;
	char *toplevel;
	enum file_kind file;
};

struct origin {
	const struct journal *journal;
	struct builder *builder;
	VEC(struct served) systems;
	TAILQ_HEAD(, waiter) waiters;
};

static void version_done(struct version *v)
{
	free(v->toplevel);
	boot_unref(v->boot);
	*v = (struct version){0};
}

/* Begins to make the newest version's boot. */
static int begin(struct origin *o, struct version *v, struct err *err)
{
	log_info("preparing '%s'", v->toplevel);
	v->failure = ERR_INIT;
	return builder_ask(o->builder, v->toplevel, err);
}

/* Makes the toplevel that the system leads to now the newest version. */
static int resolve(struct origin *o, struct served *s, struct err *err)
{
	AUTO_FREE char *toplevel = NULL;
	if (system_resolve(s->system, "/nix/store", &toplevel, err) < 0)
		return -1;
	struct version *newest = &s->versions[0];
	if (newest->toplevel != NULL && strcmp(newest->toplevel, toplevel) == 0) {
		/* A failure is not for ever: what was missing may be there now. */
		if (newest->boot == NULL && !err_clean(&newest->failure))
			return begin(o, newest, err);
		return 0;
	}
	struct version version = {.toplevel = TAKE_PTR(toplevel)};
	for (size_t i = 1; i < BOOTS_KEPT; i++) {
		const struct version *old = &s->versions[i];
		if (old->toplevel != NULL && strcmp(old->toplevel, version.toplevel) == 0 &&
			old->boot != NULL) /* switched back */
			version.boot = boot_ref(old->boot);
	}
	version_done(&s->versions[BOOTS_KEPT - 1]);
	memmove(&s->versions[1], &s->versions[0], sizeof(s->versions) - sizeof(s->versions[0]));
	s->versions[0] = version;
	return version.boot != NULL ? 0 : begin(o, newest, err);
}

void origin_refresh(struct origin *o)
{
	VEC_FOREACH(s, &o->systems) {
		struct err err = ERR_INIT;
		if (resolve(o, s, &err) < 0)
			log_warning("cannot follow '%s': %s, keeping what was served before",
				s->system, err.msg);
	}
}

static struct version *find_version(struct origin *o, const char *name, size_t len)
{
	if (len == 7 && strncmp(name, "default", 7) == 0)
		return &o->systems.items[0].versions[0];
	VEC_FOREACH(s, &o->systems) {
		for (size_t i = 0; i < BOOTS_KEPT && s->versions[i].toplevel != NULL; i++) {
			const char *base = path_basename(s->versions[i].toplevel);
			if (strlen(base) == len && strncmp(base, name, len) == 0)
				return &s->versions[i];
		}
	}
	return NULL;
}

static struct http_body *make_body(struct boot *boot, enum file_kind file, struct err *err)
{
	AUTO_BUF text = {0};
	switch (file) {
	case FILE_KERNEL:
		return boot_kernel_body(boot, err);
	case FILE_INITRD:
		return boot_initrd_body(boot, err);
	case FILE_SCRIPT:
	case FILE_KINDS:
		break;
	}
	/* Absolute, with the system's own name: who came by /boot/default/ gets a kernel and an
	 * initrd of one system even when the default changes in between. */
	AUTO_FREE char *dir = path_printf(err, "/boot/%s/", boot->name);
	if (dir == NULL || script_put(boot->name, dir, boot->cmdline, &text, err) < 0)
		return NULL;
	return http_body_copy(text.data, text.len, "text/plain; charset=utf-8", err);
}

static void reply(struct http_exchange *x, struct boot *boot, enum file_kind file)
{
	struct err err = ERR_INIT;
	struct http_body *body = make_body(boot, file, &err);
	if (body != NULL)
		http_exchange_reply(x, 200, body);
	else
		http_exchange_reply_text(x, 500, "%s", err.msg);
}

static void waiter_free(struct origin *o, struct waiter *w)
{
	TAILQ_REMOVE(&o->waiters, w, entry);
	http_exchange_set_tag(w->exchange, NULL);
	free(w->toplevel);
	free(w);
}

static void wait_for(
	struct origin *o, struct http_exchange *x, const struct version *v, enum file_kind file)
{
	struct waiter *w = calloc(1, sizeof(*w));
	char *toplevel = strdup(v->toplevel);
	if (w == NULL || toplevel == NULL) {
		free(w);
		free(toplevel);
		http_exchange_reply_text(x, 500, "out of memory");
		return;
	}
	*w = (struct waiter){.exchange = x, .toplevel = toplevel, .file = file};
	http_exchange_set_tag(x, w);
	TAILQ_INSERT_TAIL(&o->waiters, w, entry);
}

static void on_built(
	const char *toplevel, struct boot *take_boot, const struct err *failure, void *data)
{
	struct origin *o = data;
	if (take_boot != NULL)
		log_info("ready: '%s'", toplevel);
	else
		log_error("cannot prepare '%s': %s%s%s", toplevel, failure->msg,
			failure->hint[0] != '\0' ? "\nhint: " : "", failure->hint);
	VEC_FOREACH(s, &o->systems) {
		for (size_t i = 0; i < BOOTS_KEPT; i++) {
			struct version *v = &s->versions[i];
			if (v->toplevel == NULL || strcmp(v->toplevel, toplevel) != 0)
				continue;
			boot_unref(v->boot);
			v->boot = take_boot != NULL ? boot_ref(take_boot) : NULL;
			v->failure = *failure;
		}
	}
	struct waiter *w = TAILQ_FIRST(&o->waiters);
	while (w != NULL) {
		struct waiter *next = TAILQ_NEXT(w, entry);
		if (strcmp(w->toplevel, toplevel) == 0) {
			struct http_exchange *x = w->exchange;
			enum file_kind file = w->file;
			waiter_free(o, w);
			if (take_boot != NULL)
				reply(x, take_boot, file);
			else
				http_exchange_reply_text(x, 500, "%s", failure->msg);
		}
		w = next;
	}
	boot_unref(take_boot);
}

/* "/boot/NAME/FILE"; false for anything else. */
static bool parse_path(
	const char *path, const char **ret_name, size_t *ret_len, enum file_kind *ret_file)
{
	if (strncmp(path, "/boot/", 6) != 0)
		return false;
	const char *name = path + 6, *slash = strchr(name, '/');
	if (slash == NULL)
		return false;
	for (size_t i = 0; i < FILE_KINDS; i++) {
		if (strcmp(slash + 1, files[i].name) == 0) {
			*ret_name = name;
			*ret_len = (size_t)(slash - name);
			*ret_file = (enum file_kind)i;
			return true;
		}
	}
	return false;
}

static void reply_status(struct origin *o, struct http_exchange *x)
{
	struct err err = ERR_INIT;
	AUTO_BUF text = {0};
	int r = buf_put_str(&text, "snowboot " SNOWBOOT_VERSION "\n\n", &err);
	VEC_FOREACH(s, &o->systems) {
		const struct version *v = &s->versions[0];
		const char *state = v->boot != NULL ? "ready"
			: err_clean(&v->failure)    ? "being prepared"
						    : v->failure.msg;
		if (r == 0)
			r = buf_printf(&text, &err, "%s\n  %s/boot/%s/netboot.ipxe\n  %s\n",
				s->system,
				s == o->systems.items ? "/boot/default/netboot.ipxe\n  " : "",
				path_basename(v->toplevel), state);
	}
	struct http_body *body = r < 0
		? NULL
		: http_body_copy(text.data, text.len, "text/plain; charset=utf-8", &err);
	if (body != NULL)
		http_exchange_reply(x, 200, body);
	else
		http_exchange_reply_text(x, 500, "%s", err.msg);
}

void origin_handle(struct http_exchange *x, void *data)
{
	struct origin *o = data;
	const char *path = http_exchange_request(x)->path, *name;
	size_t len;
	enum file_kind file;
	if (strcmp(path, "/") == 0) {
		reply_status(o, x);
		return;
	}
	struct version *v = NULL;
	if (parse_path(path, &name, &len, &file)) {
		if (file == FILE_SCRIPT)
			origin_refresh(o);
		v = find_version(o, name, len);
	}
	if (v == NULL)
		http_exchange_reply_text(x, 404, "there is nothing at '%s'", path);
	else if (v->boot != NULL)
		reply(x, v->boot, file);
	else if (!err_clean(&v->failure))
		http_exchange_reply_text(x, 500, "%s", v->failure.msg);
	else
		wait_for(o, x, v, file);
}

void origin_done(struct http_exchange *x, const struct http_outcome *outcome, void *data)
{
	struct origin *o = data;
	struct waiter *w = http_exchange_tag(x);
	if (w != NULL)
		waiter_free(o, w);
	const char *path = http_exchange_request(x)->path, *name;
	size_t len;
	enum file_kind file;
	char mac[18];
	bool cut = outcome->status == 0 || outcome->sent < outcome->len;
	struct journal_step step = {
		.step = "http",
		.client = http_exchange_peer(x),
		.mac = journal_find_mac(http_exchange_peer(x), mac) ? mac : NULL,
		.subject = path,
		.status = outcome->status,
		.bytes = outcome->sent,
		.total_bytes = outcome->len,
		.elapsed_us = outcome->elapsed_us,
		.note = outcome->failure != NULL ? outcome->failure
			: cut                    ? "the client left"
						 : NULL,
	};
	if (parse_path(path, &name, &len, &file))
		step.step = files[file].step;
	journal_put(o->journal, &step);
}

int origin_new(struct event_base *base, const struct strvec *systems,
	const struct boot_options *options, const struct journal *journal, struct origin **ret,
	struct err *err)
{
	struct origin *o = calloc(1, sizeof(*o));
	if (o == NULL)
		return err_oom(err);
	o->journal = journal;
	TAILQ_INIT(&o->waiters);
	int r = builder_new(base, options, on_built, o, &o->builder, err);
	for (size_t i = 0; i < systems->len && r == 0; i++) {
		struct served s = {.system = systems->items[i]};
		r = vec_push(&o->systems, s, err);
		if (r == 0)
			r = resolve(o, &o->systems.items[i], err);
	}
	if (r < 0)
		origin_free(o);
	else
		*ret = o;
	return r;
}

struct origin *origin_free(struct origin *o)
{
	if (o == NULL)
		return NULL;
	builder_free(o->builder);
	for (struct waiter *w; (w = TAILQ_FIRST(&o->waiters)) != NULL;)
		waiter_free(o, w);
	VEC_FOREACH(s, &o->systems)
		for (size_t i = 0; i < BOOTS_KEPT; i++)
			version_done(&s->versions[i]);
	vec_done(&o->systems);
	free(o);
	return NULL;
}
