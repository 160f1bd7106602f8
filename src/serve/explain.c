/* SPDX-License-Identifier: MIT */
/*
 * What a machine boots and why, as JSON (docs/formats/status.md): the same decision as for the
 * machine itself, but nothing counts as given.
 */
#include "base/path.h"
#include "serve/parts.h"

#include <jansson.h>
#include <string.h>

static json_t *text_or_null(const char *text)
{
	json_t *string = text == NULL || text[0] == '\0' ? NULL : json_string(text);
	return string != NULL ? string : json_null(); /* no UTF-8: none that could be shown */
}

/* What a machine that has one of these said besides, when it booted last. */
static void complete(const struct origin *o, struct identity *who)
{
	const struct machine *m;
	TAILQ_FOREACH(m, &o->machines.list, entry) {
		bool same = false;
		for (enum identity_kind kind = 0; kind < IDENTITIES; kind++)
			same = same ||
				(who->text[kind][0] != '\0' &&
					identity_same(who->text[kind], m->who.text[kind]));
		for (enum identity_kind kind = 0; kind < IDENTITIES && same; kind++)
			if (who->text[kind][0] == '\0')
				memcpy(who->text[kind], m->who.text[kind], IDENTITY_TEXT_SIZE);
		if (same)
			return;
	}
}

static json_t *who_json(const struct identity *who)
{
	json_t *object = json_object();
	for (enum identity_kind kind = 0; kind < IDENTITIES; kind++)
		json_object_set_new(
			object, identity_kind_name(kind), text_or_null(who->text[kind]));
	return object;
}

static json_t *candidates_json(const struct assignment *a)
{
	json_t *array = json_array();
	VEC_FOREACH(c, &a->candidates)
		json_array_append_new(array,
			json_pack("{s:o, s:s, s:s, s:o}", "entry", text_or_null(c->entry), "by",
				c->kind != IDENTITIES      ? identity_kind_name(c->kind)
					: c->entry != NULL ? "default"
							   : "server",
				"standing", standing_name(c->standing), "why",
				text_or_null(c->why)));
	return array;
}

static json_t *names_json(const struct strvec *names)
{
	json_t *array = json_array();
	for (size_t i = 0; i < names->len; i++)
		json_array_append_new(array, text_or_null(names->items[i]));
	return array;
}

static json_t *boot_json(
	const struct origin *o, const struct assignment *a, const struct version *v)
{
	static const char *const roots[] = {
		[ROOT_NET] = "net", [ROOT_RAM] = "ram", [ROOT_COPY] = "copy", [ROOT_AUTO] = "auto"};
	const struct boot *boot = v->boot;
	json_t *object = json_pack("{s:s, s:o, s:b, s:s, s:o}", "system",
		a->toplevel != NULL ? a->toplevel : a->rule.system, "specialisation",
		text_or_null(a->rule.specialisation), "once", (int)a->rule.once, "state",
		boot != NULL                     ? "ready"
			: err_clean(&v->failure) ? "preparing"
						 : "failed",
		"failure", text_or_null(v->failure.msg));
	if (boot == NULL)
		return object;
	struct err err = ERR_INIT;
	AUTO_FREE char *cmdline = script_cmdline(boot, NULL, a->rule.params, &err);
	json_t *more = json_pack("{s:s, s:o, s:I, s:I, s:o}", "root", roots[o->options.boot->root],
		/* in the store, where a user knows it; what is sent may be the pool's copy */
		"kernel", text_or_null(boot->kernel_path), "kernel_bytes",
		(json_int_t)boot->kernel.size, "initrd_bytes", (json_int_t)boot->initrd.size,
		"cmdline", text_or_null(cmdline));
	json_object_update(object, more);
	json_decref(more);
	if (cmdline == NULL)
		json_object_set_new(object, "failure", json_string(err.msg));
	return object;
}

static json_t *explain_json(struct origin *o, const struct client *client)
{
	struct err err = ERR_INIT;
	AUTO_ASSIGNMENT a = {0};
	struct version *v = NULL;
	int r = choice_make(o, client, &a, &v, &err);
	json_t *object = json_pack("{s:o, s:o, s:o, s:o, s:I}", "machine", who_json(&client->who),
		"directory", text_or_null(o->rules.dir), "rules", candidates_json(&a), "ignored",
		names_json(&a.directory.odd), "others", (json_int_t)a.directory.others);
	json_object_set_new(object, "boots", r == 0 ? boot_json(o, &a, v) : json_null());
	json_object_set_new(object, "failure", text_or_null(r < 0 ? err.msg : NULL));
	json_object_set_new(object, "hint", text_or_null(r < 0 ? err.hint : NULL));
	return object;
}

void explain_reply(struct origin *o, struct http_exchange *x)
{
	struct err err = ERR_INIT;
	AUTO_CLIENT client = {0};
	AUTO_BUF text = {0};
	if (client_read(http_exchange_request(x)->query, &client, &err) < 0) {
		http_exchange_reply_text(x, 400, "%s", err.msg);
		return;
	}
	complete(o, &client.who);
	if (report_put(explain_json(o, &client), &text, &err) < 0)
		http_exchange_reply_text(x, 500, "%s", err.msg);
	else
		origin_reply_fresh(x, &text, "application/json");
}
