/* SPDX-License-Identifier: MIT */
/*
 * What a machine boots. A boot loader that comes by /boot/default/ is asked who its machine is; the
 * rules then say what it gets. One that gets nothing is told why on its console, and asks again:
 * its user sees more than an error number, and what is put right counts at once.
 */
#include "base/log.h"
#include "base/path.h"
#include "rules/once.h"
#include "serve/parts.h"
#include "serve/payload.h"
#include "serve/script.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define RETRY_SECONDS 10

bool choice_is_asked(const struct origin *o, const struct route *route)
{
	/* A network root fits nearly every machine; of the others it must be known what they have.
	 */
	if (route->kind != ROUTE_BOOT || route->file != BOOT_SCRIPT || route->name_len != 7 ||
		memcmp(route->name, "default", 7) != 0)
		return false;
	return o->rules.dir != NULL || o->options.boot->root != ROOT_NET || processor_matters(o);
}

/* What a user knows the machine by. */
static const char *name_of(const struct client *client, char out[IDENTITY_NAME_SIZE])
{
	if (!identity_first(&client->who, out))
		snprintf(out, IDENTITY_NAME_SIZE, "a machine of which nothing is known");
	return out;
}

/* Without an entry, the first system that its processor runs: if there is none, payload_check()
 * says so of the one that it gets. */
static int suit(
	struct origin *o, const struct client *client, struct assignment *a, struct err *err)
{
	systems_refresh(o->systems);
	const char *now = systems_at(o->systems, 0)->versions[0].toplevel;
	const char *first =
		processor_runs(o, client->arch, now) ? NULL : processor_first(o, client->arch);
	if (first == NULL)
		return 0;
	char *name = strdup(first);
	if (name == NULL)
		return err_oom(err);
	char **field = systems_are_fetched(o->systems, first) ? &a->rule.system : &a->toplevel;
	a->elsewhere = field == &a->rule.system;
	free(*field);
	*field = name;
	return 0;
}

static int demand_assigned(
	struct origin *o, const struct assignment *a, struct version **ret, struct err *err)
{
	const struct demand demand = {
		.system = a->elsewhere ? a->rule.system : a->toplevel,
		.specialisation = a->elsewhere ? a->rule.specialisation : NULL,
		.elsewhere = a->elsewhere,
	};
	return systems_demand(o->systems, &demand, ret, err);
}

int choice_make(struct origin *o, const struct client *client, struct assignment *ret,
	struct version **ret_version, struct err *err)
{
	char name[IDENTITY_NAME_SIZE];
	if (assignment_decide(&o->rules, &client->who, ret, err) < 0)
		return -1;
	if (!ret->found) {
		err_raise(err, ERR_NOT_FOUND, "there is nothing to boot for %s",
			name_of(client, name));
		return err_hint(err, "make an entry for it, or 'default', in '%s'", o->rules.dir);
	}
	if (!err_clean(&ret->failure)) {
		*err = ret->failure;
		return -1;
	}
	if (ret->entry == NULL && suit(o, client, ret, err) < 0)
		return -1;
	if (demand_assigned(o, ret, ret_version, err) < 0)
		return -1;
	const struct version *v = *ret_version;
	return v->boot != NULL ? assignment_fetched(ret, v->toplevel, err) : 0;
}

static int prepare(const struct assignment *a, void *data, struct err *err)
{
	struct origin *o = data;
	struct version *v;
	bool leads_nowhere = !err_clean(&a->failure);
	if (leads_nowhere)
		log_warning("%s", a->failure.msg);
	struct err later = ERR_INIT;
	if (leads_nowhere || demand_assigned(o, a, &v, &later) == 0)
		return 0;
	if (later.kind == ERR_AGAIN)
		return 0; /* more than are kept: at first need, then */
	*err = later;
	return -1;
}

int choice_prepare(struct origin *o, struct err *err)
{
	const struct identity nobody = {0};
	AUTO_DIRECTORY directory = {0};
	if (o->rules.dir == NULL)
		return 0;
	if (directory_read(o->rules.dir, &nobody, &directory, err) < 0)
		return -1;
	for (size_t i = 0; i < directory.odd.len; i++)
		log_warning("'%s/%s' has not the name of a machine, ignoring", o->rules.dir,
			directory.odd.items[i]);
	return assignment_each(&o->rules, prepare, o, err);
}

/* Where to ask again: as it just did. */
static char *same_again(const struct http_request *request, struct err *err)
{
	bool query = request->query != NULL && request->query[0] != '\0';
	return path_printf(
		err, "%s%s%s", request->path, query ? "?" : "", query ? request->query : "");
}

static void reply_script(
	struct http_exchange *x, int r, const struct buf *text, const struct err *err)
{
	if (r == 0)
		origin_reply_fresh(x, text, "text/plain; charset=utf-8");
	else
		http_exchange_reply_text(x, err->kind == ERR_USAGE ? 400 : 500, "%s", err->msg);
}

/* Shown by the machine, and in the log. */
static void refuse(struct origin *o, struct http_exchange *x, const struct err *failure)
{
	struct err err = ERR_INIT;
	AUTO_BUF text = {0};
	struct request *r = origin_request(o, x);
	if (r == NULL)
		return;
	free(r->note);
	r->note = strdup(failure->msg); /* without memory the log has less */
	r->refused = true;
	AUTO_FREE char *again = same_again(http_exchange_request(x), &err);
	AUTO_FREE char *lines = path_printf(&err, "snowboot: %s%s%s", failure->msg,
		failure->hint[0] != '\0' ? "\nhint: " : "", failure->hint);
	int sent = again == NULL || lines == NULL
		? -1
		: script_put_wait(lines, again, RETRY_SECONDS, &text, &err);
	reply_script(x, sent, &text, &err);
}

/* What it said is kept for `snowboot explain`. */
static void remember(struct origin *o, struct request *r, const struct client *client)
{
	snprintf(r->mac, sizeof(r->mac), "%.17s", client->who.text[IDENTITY_MAC]);
	struct machine *m =
		machines_get(&o->machines, r->mac, http_exchange_peer(r->exchange), hub_now_us());
	if (m != NULL)
		m->who = client->who;
}

/* For the journal; without memory it has less. */
void choice_note(struct request *r, const struct assignment *a, const char *reason)
{
	struct err err = ERR_INIT;
	const char *quote = a->entry != NULL ? "'" : "";
	free(r->note);
	free(r->system);
	r->note = path_printf(&err, "%s%s%s%s%s%s%s%s", path_basename(a->toplevel),
		a->entry != NULL ? " by " : "", quote, a->entry != NULL ? a->entry : "", quote,
		a->rule.once ? ", once" : "", reason[0] != '\0' ? ", " : "", reason);
	r->system = strdup(path_basename(a->toplevel));
}

int choice_params(const struct origin *o, const struct client *client, const struct boot *boot,
	const struct assignment *a, char *reason, char **ret, struct err *err)
{
	enum root_kind root = o->options.boot->root;
	const char *word = "", *own = a->rule.params != NULL ? a->rule.params : "";
	reason[0] = '\0';
	if (root == ROOT_AUTO) {
		root = payload_choose(client, boot->image_size, reason);
		word = root == ROOT_COPY ? BOOT_COPY_WORD : "";
	}
	const struct payload payload = payload_of(boot, root);
	if (payload_check(client, &payload, err) < 0)
		return -1;
	*ret = path_printf(err, "%s%s%s", word, word[0] != '\0' && own[0] != '\0' ? " " : "", own);
	return *ret != NULL ? 0 : -1;
}

static void reply_boot(struct origin *o, struct request *r, const struct client *client,
	const struct assignment *a, const struct boot *boot)
{
	struct err err = ERR_INIT;
	char reason[PAYLOAD_REASON_SIZE];
	AUTO_FREE char *params = NULL;
	if (choice_params(o, client, boot, a, reason, &params, &err) < 0) {
		refuse(o, r->exchange, &err);
		return;
	}
	choice_note(r, a, reason);
	if (assignment_give(&o->rules, a, &err) < 0)
		refuse(o, r->exchange, &err);
	else
		script_reply(o, r->exchange, boot, params);
}

static void reply_choice(struct origin *o, struct request *r, const struct client *client)
{
	struct http_exchange *x = r->exchange;
	struct err err = ERR_INIT;
	AUTO_ASSIGNMENT a = {0};
	struct version *v = NULL;
	if (choice_make(o, client, &a, &v, &err) < 0) {
		refuse(o, x, &err);
		return;
	}
	if (v->boot == NULL)
		origin_await(o, r, v->toplevel);
	else
		reply_boot(o, r, client, &a, v->boot);
}

void choice_reply(struct origin *o, struct http_exchange *x)
{
	const struct http_request *request = http_exchange_request(x);
	struct err err = ERR_INIT;
	AUTO_CLIENT client = {0};
	AUTO_BUF text = {0};
	if (client_read(request->query, &client, &err) < 0) {
		http_exchange_reply_text(x, 400, "%s", err.msg);
		return;
	}
	if (!client.said) {
		int r = script_put_ask(request->path, request->query, &text, &err);
		reply_script(x, r, &text, &err);
		return;
	}
	struct request *r = origin_request(o, x);
	if (r == NULL)
		return;
	remember(o, r, &client);
	reply_choice(o, r, &client);
}

void choice_made(struct origin *o, struct http_exchange *x, const struct err *failure)
{
	if (!err_clean(failure))
		refuse(o, x, failure);
	else
		choice_reply(o, x); /* the rules may say something else by now */
}

void choice_came_up(struct origin *o, const struct machine *m)
{
	struct err err = ERR_INIT;
	char name[IDENTITY_NAME_SIZE];
	size_t count = 0;
	if (o->rules.dir == NULL || m->system == NULL)
		return;
	if (!identity_first(&m->who, name))
		snprintf(name, sizeof(name), "%s", m->mac);
	if (name[0] == '\0')
		return;
	if (once_came_up(o->rules.state_dir, name, m->system, time(NULL), &count, &err) < 0)
		log_error("cannot remember that '%s' came up: %s%s%s", name, err.msg,
			err.hint[0] != '\0' ? "\nhint: " : "", err.hint);
	else if (count > 0)
		log_info("'%s' came up with '%s': what it was given for once is used up", name,
			m->system);
}

void choice_reply_up(struct origin *o, struct http_exchange *x)
{
	struct err err = ERR_INIT;
	AUTO_CLIENT client = {0};
	const char *peer = http_exchange_peer(x);
	if (client_read(http_exchange_request(x)->query, &client, &err) < 0) {
		http_exchange_reply_text(x, 400, "%s", err.msg);
		return;
	}
	/* By its card, if it says so: its system may have another address than its boot loader. */
	const char *mac = client.who.text[IDENTITY_MAC], *name = mac[0] != '\0' ? mac : peer;
	const struct machine *m = machines_find(&o->machines, name, strlen(name));
	if (m == NULL || m->system == NULL) {
		http_exchange_reply_text(x, 404, "nothing was booted from here by '%s'", name);
		return;
	}
	const struct journal_step step = {
		.step = "multi-user",
		.client = peer,
		.mac = m->mac[0] != '\0' ? m->mac : NULL,
		.subject = m->system,
	};
	choice_came_up(o, m);
	origin_saw(o, &step, false);
	http_exchange_reply_text(x, 200, "noted");
}
