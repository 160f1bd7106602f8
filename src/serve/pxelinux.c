/* SPDX-License-Identifier: MIT */
/* What a boot loader of extlinux.conf gets: by the rules that choose for iPXE, too. */
#include "base/path.h"
#include "serve/parts.h"
#include "serve/payload.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What is known of who asks: by the name, else by the neighbour table. */
static void describe(struct origin *o, const struct pxelinux_question *q, struct client *ret)
{
	char mac[18] = "";
	const char *known = q->who.mac[0] != '\0'  ? q->who.mac
		: journal_find_mac(q->client, mac) ? mac
						   : "";
	if (!identity_read(IDENTITY_MAC, known, ret->who.text[IDENTITY_MAC]))
		ret->who.text[IDENTITY_MAC][0] = '\0';
	if (!identity_read(IDENTITY_UUID, q->who.uuid, ret->who.text[IDENTITY_UUID]))
		ret->who.text[IDENTITY_UUID][0] = '\0';
	struct machine *m = machines_get(&o->machines, known, q->client, hub_now_us());
	if (m != NULL)
		m->who = ret->who;
}

/*
 * Who does not say what processor it has, and has no entry, is asked for it where that matters: the
 * names of one machine lead nowhere, so that U-Boot comes to default-ARCH. A loader that comes to
 * `default` without one is PXELINUX, which is for PCs.
 */
static int choose(struct origin *o, const struct pxelinux_question *q, struct client *client,
	struct assignment *a, struct version **ret, struct err *err)
{
	bool open = q->who.arch[0] == '\0' && processor_matters(o);
	snprintf(client->arch, sizeof(client->arch), "%s",
		open && q->who.is_default ? "x86_64" : q->who.arch);
	if (choice_make(o, client, a, ret, err) < 0)
		return -1;
	if (open && a->entry != NULL)
		client->arch[0] = '\0'; /* whoever wrote the entry knows it */
	else if (open && !q->who.is_default)
		return err_raise(err, ERR_NOT_FOUND,
			"what it gets depends on its processor: ask for pxelinux.cfg/default-ARCH");
	if (processor_runs(o, client->arch, (*ret)->toplevel))
		return 0;
	return err_raise(err, ERR_NOT_FOUND, "there is no system for %s here", client->arch);
}

/* The entry's, else the one that the system asks for. */
static int find_device_tree(
	const struct assignment *a, const struct boot *boot, const char **ret, struct err *err)
{
	const char *name = a->rule.device_tree != NULL ? a->rule.device_tree : boot->device_tree;
	AUTO_FREE char *path = name == NULL || boot->device_trees == NULL
		? NULL
		: path_printf(err, "%s/%s", boot->device_trees, name);
	if (!err_clean(err))
		return -1;
	if (name != NULL && (path == NULL || access(path, R_OK) < 0))
		return err_raise(err, ERR_UNSUPPORTED, "there is no device tree '%s' in '%s'", name,
			boot->name);
	*ret = name;
	return 0;
}

static int put(struct origin *o, const struct pxelinux_question *q, const struct client *client,
	const struct assignment *a, const struct boot *boot, struct buf *out, struct err *err)
{
	char reason[PAYLOAD_REASON_SIZE];
	const char *device_tree = NULL;
	AUTO_FREE char *params = NULL;
	if (choice_params(o, client, boot, a, reason, &params, err) < 0 ||
		find_device_tree(a, boot, &device_tree, err) < 0)
		return -1;
	AUTO_FREE char *cmdline = script_cmdline(boot, NULL, params, err);
	AUTO_FREE char *dir = path_printf(err, "/boot/%s/", boot->name);
	if (cmdline == NULL || dir == NULL || assignment_give(&o->rules, a, err) < 0)
		return -1;
	const struct extlinux config = {
		.name = boot->name,
		.dir = dir,
		.cmdline = cmdline,
		.origin = q->url,
		.device_trees = boot->device_trees != NULL,
		.device_tree = device_tree,
	};
	return extlinux_put(&config, out, err);
}

int pxelinux_answer(struct origin *o, const struct pxelinux_question *q, struct buf *out,
	char **ret_toplevel, struct err *err)
{
	AUTO_CLIENT client = {0};
	AUTO_ASSIGNMENT a = {0};
	struct version *v = NULL;
	describe(o, q, &client);
	if (choose(o, q, &client, &a, &v, err) < 0)
		return -1;
	if (v->boot != NULL && put(o, q, &client, &a, v->boot, out, err) < 0)
		return -1;
	if (v->boot == NULL && !err_clean(&v->failure)) {
		*err = v->failure;
		return -1;
	}
	char *toplevel = strdup(v->toplevel);
	if (toplevel == NULL)
		return err_oom(err);
	*ret_toplevel = toplevel;
	return v->boot != NULL ? 1 : 0;
}

void pxelinux_reply(struct origin *o, struct http_exchange *x, const struct route *route)
{
	struct err err = ERR_INIT;
	AUTO_BUF text = {0};
	AUTO_FREE char *toplevel = NULL;
	struct pxelinux_question q = {.client = http_exchange_peer(x)};
	struct request *r = NULL;
	if (!extlinux_name_read(route->name, route->name_len, &q.who)) {
		http_exchange_reply_text(
			x, 404, "there is nothing at '%s'", http_exchange_request(x)->path);
		return;
	}
	AUTO_FREE char *url = script_client_url(o, x, &err);
	q.url = url;
	int ready = url == NULL ? -1 : pxelinux_answer(o, &q, &text, &toplevel, &err);
	if (ready < 0) {
		http_exchange_reply_text(x, err.kind == ERR_NOT_FOUND ? 404 : 500, "%s", err.msg);
		return;
	}
	r = origin_request(o, x);
	if (r == NULL)
		return;
	if (ready == 0) {
		origin_await(o, r, toplevel);
		return;
	}
	free(r->system);
	r->system = strdup(path_basename(toplevel)); /* without memory the status has less */
	origin_reply_fresh(x, &text, "text/plain; charset=utf-8");
}
