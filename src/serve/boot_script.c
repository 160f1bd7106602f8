/* SPDX-License-Identifier: MIT */
/* A boot's script for one client: how it reaches us, and what is added to the command line. */
#include "base/path.h"
#include "serve/parts.h"
#include "serve/script.h"

#include <stdio.h>
#include <string.h>

#define CMDLINE_MAX 2047 /* bytes: COMMAND_LINE_SIZE of x86 and arm64 kernels, less the NUL */

/*
 * How this client reaches us: as it just did. Only what can stand in a URL and in a kernel command
 * line is taken; whoever sends another name than ours fools itself alone.
 */
char *script_client_url(const struct origin *o, const struct http_exchange *x, struct err *err)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]";
	const char *host = http_request_header(http_exchange_request(x), "host");
	size_t len = host != NULL ? strlen(host) : 0;
	if (len == 0 || len > 255 || strspn(host, allowed) != len)
		return path_printf(err, "%s", o->url);
	return path_printf(err, "http://%s", host);
}

/* A machine that kernel and initramfs may come from, of our site if there is one; or NULL. */
static const struct member *choose_peer(struct origin *o)
{
	const char *site = o->options.boot->node.site;
	const struct member *member = NULL;
	if (!o->options.boot_from_peers)
		return NULL;
	if (site != NULL)
		member = hub_peer(o->hub, site, o->spread++);
	return member != NULL ? member : hub_peer(o->hub, NULL, o->spread++);
}

/* A system in memory, too, knows the server: it reports there when it is up. */
static int put_net_script(struct origin *o, struct http_exchange *x, const struct boot *boot,
	struct script_net *script, struct buf *out, struct err *err)
{
	char address[NODE_ADDRESS_TEXT_SIZE], peer[NODE_ADDRESS_TEXT_SIZE + 8];
	AUTO_FREE char *url = script_client_url(o, x, err);
	if (url == NULL)
		return -1;
	const struct member *member = boot->network ? choose_peer(o) : NULL;
	if (member != NULL) {
		snprintf(peer, sizeof(peer), "http://%s",
			node_address_text(&member->address, address));
		script->peer = peer;
	}
	script->origin = url;
	return script_put_net(script, out, err);
}

/* The system is named by what is booted, and behind "--" words are init's (Linux, parse_args()). */
static int check_words(const char *words, struct err *err)
{
	for (const char *p = words; *p != '\0';) {
		p += strspn(p, " ");
		size_t len = strcspn(p, " ");
		if (strncmp(p, "init=", 5) == 0 || strncmp(p, "rdinit=", 7) == 0 ||
			(len == 2 && strncmp(p, "--", 2) == 0))
			return err_raise(err, ERR_USAGE,
				"'%.*s' cannot be added to the kernel command line", (int)len, p);
		p += len;
	}
	return 0;
}

/* The boot's own words, with those that were asked for around them. */
char *script_cmdline(
	const struct boot *boot, const struct client *client, const char *params, struct err *err)
{
	const char *parts[] = {client != NULL ? client->prefix : NULL, boot->cmdline, params,
		client != NULL ? client->suffix : NULL};
	AUTO_BUF line = {0};
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (parts[i] == NULL || parts[i][0] == '\0')
			continue;
		if ((parts[i] != boot->cmdline && check_words(parts[i], err) < 0) ||
			buf_printf(&line, err, "%s%s", line.len > 0 ? " " : "", parts[i]) < 0)
			return NULL;
	}
	if (line.len > CMDLINE_MAX) {
		err_raise(err, ERR_LIMIT,
			"the kernel command line would have %zu bytes, more than the %d that the "
			"kernel keeps",
			line.len, CMDLINE_MAX);
		return NULL;
	}
	return buf_take_str(&line, err);
}

static int put_script(struct origin *o, struct http_exchange *x, const struct boot *boot,
	const char *params, struct buf *out, struct err *err)
{
	AUTO_CLIENT client = {0};
	if (client_read(http_exchange_request(x)->query, &client, err) < 0)
		return -1;
	AUTO_FREE char *cmdline = script_cmdline(boot, &client, params, err);
	/* Absolute, with the system's own name: who came by /boot/default/ gets a kernel and an
	 * initrd of one system even when the default changes in between. */
	AUTO_FREE char *dir = cmdline != NULL ? path_printf(err, "/boot/%s/", boot->name) : NULL;
	if (dir == NULL)
		return -1;
	struct script_net script = {.name = boot->name, .dir = dir, .cmdline = cmdline};
	return put_net_script(o, x, boot, &script, out, err);
}

void script_reply(
	struct origin *o, struct http_exchange *x, const struct boot *boot, const char *params)
{
	struct err err = ERR_INIT;
	AUTO_BUF text = {0};
	if (put_script(o, x, boot, params, &text, &err) == 0)
		origin_reply_fresh(x, &text, "text/plain; charset=utf-8");
	else
		http_exchange_reply_text(x,
			err.kind == ERR_USAGE || err.kind == ERR_CORRUPT ? 400 : 500, "%s",
			err.msg);
}
