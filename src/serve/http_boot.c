/* SPDX-License-Identifier: MIT */
/*
 * UEFI HTTP boot: firmware fetches one file and starts it, so that all a machine needs is made into
 * one for it. It says nothing of itself. What is known of it is its hardware address, by the
 * kernel's neighbour table or by the lease that our own DHCP gave; and what the URL's query says,
 * if whoever wrote that URL knew.
 */
#include "base/path.h"
#include "rules/assignment.h"
#include "serve/parts.h"
#include "serve/payload.h"

#include <stdio.h>
#include <string.h>

/* Of the machine at that address; "" unknown. */
static void find_mac(struct origin *o, const char *peer, char ret[18])
{
	const struct machine *m = machines_leased(&o->machines, peer);
	ret[0] = '\0';
	if (!journal_find_mac(peer, ret) && m != NULL)
		snprintf(ret, 18, "%s", m->mac);
}

/* What is known of who asks; kept for the status and for `snowboot explain`. */
static int describe(struct origin *o, struct http_exchange *x, struct client *ret, struct err *err)
{
	char mac[18];
	const char *peer = http_exchange_peer(x);
	if (client_read(http_exchange_request(x)->query, ret, err) < 0)
		return -1;
	ret->firmware = FIRMWARE_EFI;
	char *own = ret->who.text[IDENTITY_MAC];
	find_mac(o, peer, mac);
	if (own[0] == '\0' && !identity_read(IDENTITY_MAC, mac, own))
		own[0] = '\0';
	struct machine *m = machines_get(&o->machines, own, peer, hub_now_us());
	if (m != NULL)
		m->who = ret->who;
	return 0;
}

/* The system that was named, else the rules' choice. */
static int choose(struct origin *o, const struct route *route, const struct client *client,
	struct assignment *a, struct version **ret, struct err *err)
{
	if (route->name_len == 7 && memcmp(route->name, "default", 7) == 0)
		return choice_make(o, client, a, ret, err);
	struct version *v = origin_system(o, route->name, route->name_len);
	if (v == NULL)
		return err_raise(err, ERR_NOT_FOUND, "there is no system '%.*s' here",
			(int)route->name_len, route->name);
	a->toplevel = strdup(v->toplevel);
	if (a->toplevel == NULL)
		return err_oom(err);
	*ret = v;
	return 0;
}

/*
 * How the machine reaches us. EDK2 leaves the port out of Host (seen with edk2-stable202211), so
 * where there is none it is ours; under a name that is not ours also what the name says, which may
 * be a proxy's.
 */
static int put_origin(
	const struct origin *o, const struct http_exchange *x, struct buf *out, struct err *err)
{
	AUTO_FREE char *url = script_client_url(o, x, err);
	if (url == NULL)
		return -1;
	const char *host = strstr(url, "//") + 2, *bracket = strchr(host, ']');
	bool has_port = strchr(bracket != NULL ? bracket : host, ':') != NULL;
	bool ours = strncmp(o->url, url, strlen(url)) == 0 && o->url[strlen(url)] == ':';
	if (buf_printf(out, err, " snowboot.origin=%s%s", url,
		    has_port ? "" : strrchr(o->url, ':')) < 0)
		return -1;
	return has_port || ours ? 0 : buf_printf(out, err, ",%s", url);
}

/* Where the origin is, which a system in memory tells that it is up, and the card, as PXELINUX
 * writes it. */
static int put_net(const struct origin *o, const struct http_exchange *x, const char *mac,
	struct buf *out, struct err *err)
{
	if (put_origin(o, x, out, err) < 0)
		return -1;
	if (mac[0] == '\0')
		return 0;
	char dashes[18];
	snprintf(dashes, sizeof(dashes), "%.17s", mac);
	for (char *p = dashes; *p != '\0'; p++)
		*p = *p == ':' ? '-' : *p;
	return buf_printf(out, err, " BOOTIF=01-%s", dashes);
}

/* The command line for this machine; caller owns it; NULL with an error. */
static char *cmdline_for(const struct origin *o, struct request *r, const struct client *client,
	const struct assignment *a, const struct boot *boot, struct err *err)
{
	char reason[PAYLOAD_REASON_SIZE];
	AUTO_FREE char *params = NULL;
	AUTO_BUF words = {0};
	if (choice_params(o, client, boot, a, reason, &params, err) < 0 ||
		buf_put_str(&words, params, err) < 0 ||
		put_net(o, r->exchange, client->who.text[IDENTITY_MAC], &words, err) < 0)
		return NULL;
	choice_note(r, a, reason);
	const char *text = buf_str(&words, err);
	return text == NULL ? NULL : script_cmdline(boot, client, text + strspn(text, " "), err);
}

/* Firmware asks twice, by HEAD and then by GET; only the latter takes what is for once. */
static struct http_body *make(const struct origin *o, struct request *r,
	const struct client *client, const struct assignment *a, struct boot *boot, struct err *err)
{
	bool takes = http_exchange_request(r->exchange)->method == HTTP_GET;
	AUTO_FREE char *cmdline = cmdline_for(o, r, client, a, boot, err);
	struct http_body *body = cmdline != NULL ? boot_uki_body(boot, cmdline, err) : NULL;
	if (body == NULL || !takes || assignment_give(&o->rules, a, err) == 0)
		return body;
	http_body_release(body);
	return NULL;
}

/* Firmware shows the status at most; the reason is for the log. */
static void refuse(struct request *r, const struct err *err)
{
	int status = err->kind == ERR_NOT_FOUND                      ? 404
		: err->kind == ERR_USAGE || err->kind == ERR_CORRUPT ? 400
								     : 500;
	free(r->note);
	r->note = strdup(err->msg); /* without memory the log has less */
	http_exchange_reply_text(r->exchange, status, "%s%s%s", err->msg,
		err->hint[0] != '\0' ? "\nhint: " : "", err->hint);
}

static int reply(struct origin *o, struct request *r, const struct route *route, struct err *err)
{
	AUTO_CLIENT client = {0};
	AUTO_ASSIGNMENT a = {0};
	struct version *v = NULL;
	if (describe(o, r->exchange, &client, err) < 0)
		return -1;
	snprintf(r->mac, sizeof(r->mac), "%.17s", client.who.text[IDENTITY_MAC]);
	if (choose(o, route, &client, &a, &v, err) < 0)
		return -1;
	if (v->boot == NULL && !err_clean(&v->failure)) {
		*err = v->failure;
		return -1;
	}
	if (v->boot == NULL) {
		origin_await(o, r, v->toplevel);
		return 0;
	}
	struct http_body *body = make(o, r, &client, &a, v->boot, err);
	if (body == NULL)
		return -1;
	http_exchange_reply(r->exchange, 200, body);
	return 0;
}

void http_boot_reply(struct origin *o, struct http_exchange *x, const struct route *route)
{
	struct err err = ERR_INIT;
	struct request *r = origin_request(o, x);
	if (r != NULL && reply(o, r, route, &err) < 0)
		refuse(r, &err);
}
