/* SPDX-License-Identifier: MIT */
/*
 * Each system is looked up again whenever somebody asks for it, so that a profile that was switched
 * is what boots next. What it led to before stays served under its own name: a client that already
 * has the script gets the kernel and initrd that belong to it.
 */
#include "serve/systems.h"

#include "base/log.h"
#include "base/path.h"
#include "serve/builder.h"
#include "system/system.h"

#include <event2/event.h>
#include <string.h>
#include <time.h>

#define RENEW_SECONDS 3600 /* how often manifests' ages are looked at */

struct systems {
	const struct boot_options *options;
	struct builder *builder;
	struct event *renew;
	systems_made_fn *made;
	void *data;
	VEC(struct served) items; /* those of the command line first */
	size_t named;             /* so many of them */
	uint64_t asked;
};

static void version_done(struct version *v)
{
	free(v->toplevel);
	boot_unref(v->boot);
	*v = (struct version){0};
}

static void served_done(struct served *served)
{
	for (size_t i = 0; i < VERSIONS_KEPT; i++)
		version_done(&served->versions[i]);
	free(served->demanded);
}

/* NULL when the command line has no system. */
static struct version *default_version(const struct systems *s)
{
	return s->named > 0 ? &s->items.items[0].versions[0] : NULL;
}

static bool is_default(const struct systems *s, const char *toplevel)
{
	const struct version *first = default_version(s);
	return first != NULL && first->toplevel != NULL && strcmp(first->toplevel, toplevel) == 0;
}

/* Begins to make a boot. One that is there already stays until the new one replaces it. */
static int begin(struct systems *s, struct version *v, struct err *err)
{
	if (v->boot == NULL)
		log_info("preparing '%s'", v->toplevel);
	v->failure = ERR_INIT;
	return builder_ask(s->builder, v->toplevel, is_default(s, v->toplevel), err);
}

/* Makes the toplevel that the system leads to now the newest version. */
static int resolve(struct systems *s, struct served *served, struct err *err)
{
	AUTO_FREE char *toplevel = NULL;
	if (system_resolve(served->system, "/nix/store", &toplevel, err) < 0)
		return -1;
	struct version *newest = &served->versions[0];
	if (newest->toplevel != NULL && strcmp(newest->toplevel, toplevel) == 0) {
		/* A failure is not for ever: what was missing may be there now. */
		if (newest->boot == NULL && !err_clean(&newest->failure))
			return begin(s, newest, err);
		return 0;
	}
	struct version version = {.toplevel = TAKE_PTR(toplevel)};
	for (size_t i = 1; i < VERSIONS_KEPT && s->options->root == ROOT_RAM; i++) {
		const struct version *old = &served->versions[i];
		if (old->toplevel != NULL && strcmp(old->toplevel, version.toplevel) == 0 &&
			old->boot != NULL) /* switched back; a network root needs a new issue */
			version.boot = boot_ref(old->boot);
	}
	version_done(&served->versions[VERSIONS_KEPT - 1]);
	memmove(&served->versions[1], &served->versions[0],
		sizeof(served->versions) - sizeof(served->versions[0]));
	served->versions[0] = version;
	return version.boot != NULL ? 0 : begin(s, newest, err);
}

void systems_refresh(struct systems *s)
{
	for (size_t i = 0; i < s->named; i++) {
		struct served *served = &s->items.items[i];
		struct err err = ERR_INIT;
		if (resolve(s, served, &err) < 0)
			log_warning("cannot follow '%s': %s, keeping what was served before",
				served->system, err.msg);
	}
}

/* True when the boot misses what its version needs: the default one changed while it was made. */
static bool lacks_issue(const struct systems *s, const struct version *v, const struct boot *boot)
{
	return boot->network && boot->as_default.text == NULL && v == default_version(s);
}

static void on_built(
	const char *toplevel, struct boot *take_boot, const struct err *failure, void *data)
{
	struct systems *s = data;
	if (take_boot == NULL)
		log_error("cannot prepare '%s': %s%s%s", toplevel, failure->msg,
			failure->hint[0] != '\0' ? "\nhint: " : "", failure->hint);
	VEC_FOREACH(served, &s->items) {
		for (size_t i = 0; i < VERSIONS_KEPT; i++) {
			struct version *v = &served->versions[i];
			if (v->toplevel == NULL || strcmp(v->toplevel, toplevel) != 0)
				continue;
			struct err err = ERR_INIT;
			if (take_boot != NULL && lacks_issue(s, v, take_boot) &&
				begin(s, v, &err) == 0) {
				boot_unref(take_boot);
				return; /* everybody waits for the one that comes next */
			}
			v->failure = *failure;
			if (take_boot == NULL) /* one that could not be renewed stays */
				continue;
			if (v->boot == NULL)
				log_info("ready: '%s'", toplevel);
			boot_unref(v->boot);
			v->boot = boot_ref(take_boot);
		}
	}
	s->made(toplevel, take_boot, failure, s->data);
	boot_unref(take_boot);
}

static void on_renew(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	struct systems *s = data;
	int64_t now = time(NULL);
	VEC_FOREACH(served, &s->items) {
		for (size_t i = 0; i < VERSIONS_KEPT; i++) {
			struct version *v = &served->versions[i];
			struct err err = ERR_INIT;
			if (v->boot != NULL && v->boot->network &&
				v->boot->own.expires - now < s->options->lifetime / 2 &&
				begin(s, v, &err) < 0)
				log_ignored(&err);
		}
	}
}

/* Often enough for a lifetime that is short. */
static int start_renewing(struct systems *s, struct event_base *base, struct err *err)
{
	int64_t period = s->options->lifetime / 8;
	if (period > RENEW_SECONDS)
		period = RENEW_SECONDS;
	const struct timeval every = {.tv_sec = period < 1 ? 1 : period};
	s->renew = event_new(base, -1, EV_PERSIST, on_renew, s);
	return s->renew == NULL || event_add(s->renew, &every) < 0 ? err_oom(err) : 0;
}

int systems_new(struct event_base *base, const struct strvec *names,
	const struct boot_options *options, systems_made_fn *made, void *data, struct systems **ret,
	struct err *err)
{
	struct systems *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_oom(err);
	s->options = options;
	s->made = made;
	s->data = data;
	int r = builder_new(base, options, on_built, s, &s->builder, err);
	if (r == 0 && options->root != ROOT_RAM)
		r = start_renewing(s, base, err);
	for (size_t i = 0; i < names->len && r == 0; i++) {
		struct served served = {.system = names->items[i]};
		r = vec_push(&s->items, served, err);
		s->named += r == 0;
		if (r == 0)
			r = resolve(s, &s->items.items[i], err);
	}
	if (r < 0)
		systems_free(s);
	else
		*ret = s;
	return r;
}

struct systems *systems_free(struct systems *s)
{
	if (s == NULL)
		return NULL;
	builder_free(s->builder);
	if (s->renew != NULL)
		event_free(s->renew);
	VEC_FOREACH(served, &s->items)
		served_done(served);
	vec_done(&s->items);
	free(s);
	return NULL;
}

bool systems_are_busy(const struct systems *s)
{
	return builder_is_busy(s->builder);
}

size_t systems_count(const struct systems *s)
{
	return s->items.len;
}

const struct served *systems_at(const struct systems *s, size_t i)
{
	return &s->items.items[i];
}

struct version *systems_find(struct systems *s, const char *name, size_t len)
{
	if (len == 7 && strncmp(name, "default", 7) == 0)
		return default_version(s);
	VEC_FOREACH(served, &s->items) {
		for (size_t i = 0; i < VERSIONS_KEPT && served->versions[i].toplevel != NULL; i++) {
			const char *base = path_basename(served->versions[i].toplevel);
			if (strlen(base) == len && strncmp(base, name, len) == 0)
				return &served->versions[i];
		}
	}
	return NULL;
}

/* Of those that machines asked for, the one not asked for longest goes, unless somebody waits. */
static int make_place(struct systems *s, struct err *err)
{
	struct served *oldest = NULL;
	if (s->items.len - s->named < DEMANDED_MAX)
		return 0;
	for (size_t i = s->named; i < s->items.len; i++) {
		struct served *served = &s->items.items[i];
		const struct version *v = &served->versions[0];
		bool awaited = v->boot == NULL && err_clean(&v->failure);
		if (!awaited && (oldest == NULL || served->asked < oldest->asked))
			oldest = served;
	}
	if (oldest == NULL)
		return err_raise(
			err, ERR_AGAIN, "%d systems are being prepared already", DEMANDED_MAX);
	log_debug("no longer serving '%s'", oldest->system);
	served_done(oldest);
	size_t behind = (size_t)(s->items.items + s->items.len - (oldest + 1));
	memmove(oldest, oldest + 1, behind * sizeof(*oldest));
	s->items.len--;
	return 0;
}

static int add_demanded(struct systems *s, const char *toplevel, struct err *err)
{
	if (make_place(s, err) < 0)
		return -1;
	struct served served = {.demanded = strdup(toplevel)};
	served.versions[0].toplevel = strdup(toplevel);
	served.system = served.demanded;
	if (served.demanded == NULL || served.versions[0].toplevel == NULL)
		err_oom(err);
	else if (vec_push(&s->items, served, err) == 0)
		return 0;
	served_done(&served);
	return -1;
}

int systems_demand(struct systems *s, const char *toplevel, struct version **ret, struct err *err)
{
	size_t len = strlen(path_basename(toplevel));
	struct version *v = systems_find(s, path_basename(toplevel), len);
	if (v == NULL && add_demanded(s, toplevel, err) < 0)
		return -1;
	bool added = v == NULL;
	if (added)
		v = &s->items.items[s->items.len - 1].versions[0];
	for (size_t i = s->named; i < s->items.len; i++)
		if (v == &s->items.items[i].versions[0])
			s->items.items[i].asked = ++s->asked;
	if ((added || (v->boot == NULL && !err_clean(&v->failure))) && begin(s, v, err) < 0)
		return -1;
	*ret = v;
	return 0;
}

/* The first boot for which `has` finds something. */
typedef const void *find_fn(const struct boot *boot, const struct digest *digest);

static struct boot *find_in(
	struct systems *s, find_fn *find, const struct digest *digest, const void **ret)
{
	VEC_FOREACH(served, &s->items) {
		for (size_t i = 0; i < VERSIONS_KEPT; i++) {
			struct boot *boot = served->versions[i].boot;
			*ret = boot != NULL && boot->network ? find(boot, digest) : NULL;
			if (*ret != NULL)
				return boot;
		}
	}
	return NULL;
}

static const void *find_catalog(const struct boot *boot, const struct digest *digest)
{
	return digest_equal(&boot->catalog_digest, digest) ? boot : NULL;
}

static const void *find_object(const struct boot *boot, const struct digest *digest)
{
	return object_set_find(&boot->objects, digest);
}

static const void *find_chunk(const struct boot *boot, const struct digest *digest)
{
	return object_set_chunk(&boot->objects, digest);
}

struct boot *systems_catalog(struct systems *s, const struct digest *catalog)
{
	const void *found = NULL;
	return find_in(s, find_catalog, catalog, &found);
}

struct boot *systems_object(
	struct systems *s, const struct digest *digest, const struct object **ret)
{
	const void *found = NULL;
	struct boot *boot = find_in(s, find_object, digest, &found);
	*ret = found;
	return boot;
}

struct boot *systems_chunk(
	struct systems *s, const struct digest *digest, const struct chunk_place **ret)
{
	const void *found = NULL;
	struct boot *boot = find_in(s, find_chunk, digest, &found);
	*ret = found;
	return boot;
}
