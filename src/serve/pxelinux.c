/* SPDX-License-Identifier: MIT */
/* What a boot loader of extlinux.conf gets: by the rules that choose for iPXE, too. */
#include "base/fd.h"
#include "base/path.h"
#include "serve/parts.h"
#include "serve/payload.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

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

/* "aarch64-linux" is for "aarch64". What a system does not say is for all. */
static bool is_for(const char *toplevel, const char *arch)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *path = path_printf(&err, "%s/system", toplevel);
	AUTO_FREE char *text = NULL;
	size_t len = strlen(arch);
	if (len == 0 || path == NULL || fd_read_line_file(AT_FDCWD, path, &text, &err) < 0)
		return true;
	return strncmp(text, arch, len) == 0 && text[len] == '-';
}

/* The first system of the command line for that architecture. */
static struct version *find_for(struct origin *o, const char *arch)
{
	for (size_t i = 0; i < systems_count(o->systems); i++) {
		const char *toplevel = systems_at(o->systems, i)->versions[0].toplevel;
		const char *name = path_basename(toplevel);
		if (systems_at(o->systems, i)->demanded == NULL && is_for(toplevel, arch))
			return systems_find(o->systems, name, strlen(name));
	}
	return NULL;
}

/* The rules' choice; where they leave it open, one for the architecture that asks. */
static int choose(struct origin *o, const struct pxelinux_question *q, const struct client *client,
	struct assignment *a, struct version **ret, struct err *err)
{
	if (choice_make(o, client, a, ret, err) < 0)
		return -1;
	if (is_for((*ret)->toplevel, q->who.arch))
		return 0;
	struct version *other = a->entry == NULL ? find_for(o, q->who.arch) : NULL;
	if (other == NULL)
		return err_raise(err, ERR_NOT_FOUND, "there is no system for %s here", q->who.arch);
	*ret = other;
	return 0;
}

static int put(struct origin *o, const struct pxelinux_question *q, const struct client *client,
	const struct assignment *a, const struct boot *boot, struct buf *out, struct err *err)
{
	char reason[PAYLOAD_REASON_SIZE];
	enum root_kind root = o->options.boot->root;
	bool copy = false;
	if (root == ROOT_AUTO) {
		root = payload_choose(client, boot->image_size, reason);
		copy = root == ROOT_COPY;
	}
	const struct payload payload = payload_of(boot, root);
	const char *own = a->rule.params != NULL ? a->rule.params : "";
	AUTO_FREE char *params = path_printf(
		err, "%s%s%s", copy ? BOOT_COPY_WORD : "", copy && own[0] != '\0' ? " " : "", own);
	if (params == NULL || payload_check(client, &payload, err) < 0)
		return -1;
	AUTO_FREE char *cmdline = script_cmdline(boot, NULL, params, err);
	AUTO_FREE char *dir = path_printf(err, "/boot/%s/", boot->name);
	if (cmdline == NULL || dir == NULL || assignment_give(&o->rules, a, err) < 0)
		return -1;
	const struct extlinux config = {
		.name = boot->name,
		.dir = dir,
		.cmdline = cmdline,
		.origin = boot->network ? q->url : NULL,
		.device_trees = boot->device_trees != NULL,
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
