/* SPDX-License-Identifier: MIT */
/*
 * Each link is followed again whenever somebody asks for it, so that a profile that was switched
 * is what boots next. What it led to before stays served under its own name: a client that already
 * has the script gets the kernel and initrd that belong to it. What lies elsewhere has a key in
 * place of a toplevel until it was acquired once.
 */
#include "serve/systems.h"

#include "base/log.h"
#include "base/path.h"
#include "system/system.h"

#include <event2/event.h>
#include <string.h>
#include <time.h>

#define STORE_DIR "/nix/store"
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
	free(served->specialisation);
	free(served->key);
	free(served->link);
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
static int begin(struct systems *s, const struct served *served, struct version *v, struct err *err)
{
	bool fetched = served->key != NULL && v == &served->versions[0];
	const struct boot_source source = {.system = fetched ? served->system : v->toplevel,
		.specialisation = fetched ? served->specialisation : NULL,
		.as_default = is_default(s, v->toplevel)};
	const char *key = fetched ? served->key : v->toplevel;
	if (v->boot == NULL)
		log_info("preparing '%s'", key);
	v->failure = ERR_INIT;
	return builder_ask(s->builder, key, &source, err);
}

/* A failure is not for ever: what was missing may be there now. */
static int try_again(
	struct systems *s, const struct served *served, struct version *v, struct err *err)
{
	return v->boot == NULL && !err_clean(&v->failure) ? begin(s, served, v, err) : 0;
}

/* Makes a toplevel the newest version. */
static void push(struct served *served, struct version version)
{
	version_done(&served->versions[VERSIONS_KEPT - 1]);
	memmove(&served->versions[1], &served->versions[0],
		sizeof(served->versions) - sizeof(served->versions[0]));
	served->versions[0] = version;
}

/* Makes the toplevel that the system leads to now the newest version. */
static int resolve(struct systems *s, struct served *served, struct err *err)
{
	AUTO_FREE char *toplevel = NULL;
	struct version *newest = &served->versions[0];
	if (served->key != NULL)
		return try_again(s, served, newest, err);
	if (system_resolve_in(served->link, STORE_DIR, acquirer_real_store(s->options->acquirer),
		    &toplevel, err) < 0)
		return -1;
	if (newest->toplevel != NULL && strcmp(newest->toplevel, toplevel) == 0)
		return try_again(s, served, newest, err);
	struct version version = {.toplevel = TAKE_PTR(toplevel)};
	for (size_t i = 1; i < VERSIONS_KEPT && s->options->root == ROOT_RAM; i++) {
		const struct version *old = &served->versions[i];
		if (old->toplevel != NULL && strcmp(old->toplevel, version.toplevel) == 0 &&
			old->boot != NULL) /* switched back; a network root needs a new issue */
			version.boot = boot_ref(old->boot);
	}
	push(served, version);
	return newest->boot != NULL ? 0 : begin(s, served, newest, err);
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

void systems_reload(struct systems *s)
{
	systems_refresh(s);
	VEC_FOREACH(served, &s->items) {
		struct err err = ERR_INIT;
		if (served->key != NULL && begin(s, served, &served->versions[0], &err) < 0)
			log_ignored(&err);
	}
}

bool systems_are_fetched(const struct systems *s, const char *key)
{
	VEC_FOREACH(served, &s->items)
		if (served->key != NULL && strcmp(served->key, key) == 0)
			return true;
	return false;
}

void systems_status(const struct systems *s, const char *toplevel, char out[BUILDER_STATUS_SIZE])
{
	builder_status(s->builder, toplevel, out);
}

/* True when the boot misses what its version needs: the default one changed while it was made. */
static bool lacks_issue(const struct systems *s, const struct version *v, const struct boot *boot)
{
	return boot->network && boot->as_default.text == NULL && v == default_version(s);
}

/* What lay elsewhere is known now, if it was not, or is another system than before. */
static void settle(struct served *served, struct boot *boot)
{
	struct err err = ERR_INIT;
	struct version *v = &served->versions[0];
	struct version version = {.toplevel = path_printf(&err, STORE_DIR "/%s", boot->name)};
	if (version.toplevel == NULL) {
		v->failure = err;
		return;
	}
	bool known = strcmp(v->toplevel, served->key) != 0;
	if (known && strcmp(v->toplevel, version.toplevel) == 0) {
		free(version.toplevel);
		return;
	}
	log_info("'%s' is '%s'", served->key, version.toplevel);
	if (known) {
		push(served, version);
		return;
	}
	free(v->toplevel);
	v->toplevel = version.toplevel;
}

static void take_boot(struct version *v, struct boot *boot)
{
	if (v->boot == NULL)
		log_info("ready: '%s'", v->toplevel);
	boot_unref(v->boot);
	v->boot = boot_ref(boot);
}

static bool is_made(const struct served *served, const struct version *v, const char *key)
{
	bool fetched = served->key != NULL && v == &served->versions[0];
	return v->toplevel != NULL && strcmp(fetched ? served->key : v->toplevel, key) == 0;
}

static void on_built(
	const char *key, struct boot *taken_boot, const struct err *failure, void *data)
{
	struct systems *s = data;
	if (taken_boot == NULL)
		log_error("cannot prepare '%s': %s%s%s", key, failure->msg,
			failure->hint[0] != '\0' ? "\nhint: " : "", failure->hint);
	VEC_FOREACH(served, &s->items) {
		if (taken_boot != NULL && served->key != NULL && strcmp(served->key, key) == 0)
			settle(served, taken_boot);
		for (size_t i = 0; i < VERSIONS_KEPT; i++) {
			struct version *v = &served->versions[i];
			if (!is_made(served, v, key))
				continue;
			struct err err = ERR_INIT;
			if (taken_boot != NULL && lacks_issue(s, v, taken_boot) &&
				begin(s, served, v, &err) == 0) {
				boot_unref(taken_boot);
				return; /* everybody waits for the one that comes next */
			}
			v->failure = *failure;
			if (taken_boot != NULL) /* one that could not be renewed stays */
				take_boot(v, taken_boot);
		}
	}
	s->made(key, taken_boot, failure, s->data);
	boot_unref(taken_boot);
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
				begin(s, served, v, &err) < 0)
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

/* Waits under a key until it is known what it is. */
static int set_key(struct served *served, const struct demand *demand, struct err *err)
{
	bool special = demand->specialisation != NULL;
	served->key = path_printf(err, "%s%s%s", demand->system, special ? ", specialisation " : "",
		special ? demand->specialisation : "");
	served->versions[0].toplevel = served->key != NULL ? strdup(served->key) : NULL;
	served->specialisation = special ? strdup(demand->specialisation) : NULL;
	if (served->versions[0].toplevel == NULL || (special && served->specialisation == NULL))
		return err_clean(err) ? err_oom(err) : -1;
	return 0;
}

static int add_named(struct systems *s, const char *name, struct err *err)
{
	struct served served = {.system = name};
	const struct demand demand = {.system = name, .elsewhere = true};
	int found = acquire_find_link(s->options->acquirer, name, &served.link, err);
	if (found < 0 || (found == 0 && set_key(&served, &demand, err) < 0) ||
		vec_push(&s->items, served, err) < 0) {
		served_done(&served);
		return -1;
	}
	struct served *added = &s->items.items[s->named++];
	if (found == 0)
		return begin(s, added, &added->versions[0], err);
	return resolve(s, added, err) < 0 ? acquire_hint(name, err) : 0;
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
	for (size_t i = 0; i < names->len && r == 0; i++)
		r = add_named(s, names->items[i], err);
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

static int add_demanded(struct systems *s, const struct demand *demand, struct err *err)
{
	if (make_place(s, err) < 0)
		return -1;
	struct served served = {.demanded = strdup(demand->system)};
	served.system = served.demanded;
	int r = served.demanded == NULL ? err_oom(err) : 0;
	if (r == 0 && demand->elsewhere) {
		r = set_key(&served, demand, err);
	} else if (r == 0) {
		served.link = strdup(demand->system);
		served.versions[0].toplevel = strdup(demand->system);
		if (served.link == NULL || served.versions[0].toplevel == NULL)
			r = err_oom(err);
	}
	if (r == 0 && vec_push(&s->items, served, err) == 0)
		return 0;
	served_done(&served);
	return -1;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Where it is served, and by which version. */
static struct served *find_demand(
	struct systems *s, const struct demand *demand, struct version **ret)
{
	const char *name = path_basename(demand->system);
	VEC_FOREACH(served, &s->items) {
		if (demand->elsewhere) {
			*ret = &served->versions[0];
			if (served->key != NULL && strcmp(served->system, demand->system) == 0 &&
				same_text(served->specialisation, demand->specialisation))
				return served;
			continue;
		}
		for (size_t i = 0; i < VERSIONS_KEPT && served->versions[i].toplevel != NULL; i++) {
			*ret = &served->versions[i];
			if (strcmp(path_basename((*ret)->toplevel), name) == 0)
				return served;
		}
	}
	return NULL;
}

int systems_demand(
	struct systems *s, const struct demand *demand, struct version **ret, struct err *err)
{
	struct version *v = NULL;
	struct served *served = find_demand(s, demand, &v);
	bool added = served == NULL;
	if (added && add_demanded(s, demand, err) < 0)
		return -1;
	if (added) {
		served = &s->items.items[s->items.len - 1];
		v = &served->versions[0];
	}
	if (served->demanded != NULL)
		served->asked = ++s->asked;
	if (added ? begin(s, served, v, err) < 0 : try_again(s, served, v, err) < 0)
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
