/* SPDX-License-Identifier: MIT */
/* The configuration of a network root: from the initramfs, the command line, and to the node. */
#include "stage1/netconf.h"

#include <stdio.h>
#include <string.h>

void netconf_done(struct netconf *conf)
{
	node_config_done(&conf->node);
}

int netconf_encode(const struct netconf *conf, struct buf *out, struct err *err)
{
	const uint8_t *mac = conf->net.first_mac;
	if (buf_printf(out, err, "mode %s\nvlan %d\nfirst-mac %02x:%02x:%02x:%02x:%02x:%02x\n\n",
		    conf->net.mode == NET_OWN ? "own" : "shared", conf->net.vlan, mac[0], mac[1],
		    mac[2], mac[3], mac[4], mac[5]) < 0)
		return -1;
	return node_config_encode(&conf->node, out, err);
}

bool netconf_parse_mac(const char *text, uint8_t ret[static 6])
{
	uint8_t mac[6];
	int end = 0;
	char last = '\0';
	/* 01 is Ethernet, by which PXELINUX and iPXE begin it. */
	if (strlen(text) == 20 && strncmp(text, "01", 2) == 0)
		text += 3;
	static const char *const forms[] = {"%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n%c",
		"%2hhx-%2hhx-%2hhx-%2hhx-%2hhx-%2hhx%n%c"};
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		if (sscanf(text, forms[i], mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5, &end,
			    &last) != 6 ||
			end != 17)
			continue;
		memcpy(ret, mac, sizeof(mac));
		return true;
	}
	return false;
}

/* A line of the part about the network. */
static int read_line(const char *line, struct netconf *conf, struct err *err)
{
	int vlan;
	char mac[32];
	if (strcmp(line, "mode own") == 0)
		conf->net.mode = NET_OWN;
	else if (strcmp(line, "mode shared") == 0)
		conf->net.mode = NET_SHARED;
	else if (sscanf(line, "vlan %d", &vlan) == 1 && vlan >= 0 && vlan <= 4094)
		conf->net.vlan = vlan;
	else if (sscanf(line, "first-mac %31s", mac) != 1 ||
		!netconf_parse_mac(mac, conf->net.first_mac))
		return err_raise(err, ERR_CORRUPT, "configuration line '%s'", line);
	return 0;
}

int netconf_decode(const char *text, size_t len, struct netconf *ret, struct err *err)
{
	AUTO_NETCONF conf = {0};
	const char *end = memmem(text, len, "\n\n", 2);
	if (end == NULL)
		return err_raise(err, ERR_CORRUPT, "the configuration has no part for the node");
	for (const char *p = text; p <= end;) {
		const char *newline = memchr(p, '\n', (size_t)(end - p) + 1);
		AUTO_FREE char *line = strndup(p, (size_t)(newline - p));
		if (line == NULL)
			return err_oom(err);
		if (read_line(line, &conf, err) < 0)
			return -1;
		p = newline + 1;
	}
	const char *node = end + 2;
	if (node_config_decode(node, len - (size_t)(node - text), &conf.node, err) < 0)
		return -1;
	memcpy(conf.node.boot_mac, conf.net.first_mac, sizeof(conf.node.boot_mac));
	*ret = conf;
	conf = (struct netconf){0};
	return 0;
}

static int add_origins(struct netconf *conf, const char *list, struct err *err)
{
	for (const char *p = list; *p != '\0'; p += strspn(p, ",")) {
		size_t len = strcspn(p, ",");
		size_t site = strcspn(p, "=/,");
		const char *url = p[site] == '=' ? p + site + 1 : p;
		if (p + len - url < 8 || strncmp(url, "http://", 7) != 0)
			return err_raise(err, ERR_USAGE,
				"snowboot.origin takes [SITE=]http://ADDRESS[:PORT], not '%.*s'",
				(int)len, p);
		AUTO_FREE char *origin = strndup(p, len);
		if (origin == NULL)
			return err_oom(err);
		if (!strvec_has(&conf->node.origins, origin) &&
			strvec_push(&conf->node.origins, origin, err) < 0)
			return -1;
		p += len;
	}
	return 0;
}

/* Those of the command line first: they name the server that this machine came from. */
static int apply_origins(struct netconf *conf, const struct cmdline *cmdline, struct err *err)
{
	AUTO_STRVEC built_in = conf->node.origins;
	conf->node.origins = (struct strvec){0};
	for (size_t i = 0; i < cmdline->words.len; i++) {
		const char *value = cmdline_value(cmdline->words.items[i], "snowboot.origin");
		if (value != NULL && add_origins(conf, value, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < built_in.len; i++)
		if (!strvec_has(&conf->node.origins, built_in.items[i]) &&
			strvec_push(&conf->node.origins, built_in.items[i], err) < 0)
			return -1;
	if (conf->node.origins.len > 0 || conf->node.name == NULL)
		return 0;
	err_raise(err, ERR_USAGE, "nothing says where the system comes from");
	return err_hint(err, "boot with snowboot.origin=http://ADDRESS:PORT");
}

static int apply_net(struct netconf *conf, const struct cmdline *cmdline, struct err *err)
{
	const char *bootif = cmdline_get(cmdline, "BOOTIF");
	const char *vlan = cmdline_get(cmdline, "snowboot.vlan");
	const char *mode = cmdline_get(cmdline, "snowboot.net");
	char more;
	/* A hint that cannot be read is none: every link is tried. */
	if (bootif != NULL)
		(void)netconf_parse_mac(bootif, conf->net.first_mac);
	if (vlan != NULL &&
		(sscanf(vlan, "%d%c", &conf->net.vlan, &more) != 1 || conf->net.vlan < 1 ||
			conf->net.vlan > 4094))
		return err_raise(err, ERR_USAGE, "snowboot.vlan takes 1 to 4094, not '%s'", vlan);
	if (mode == NULL || strcmp(mode, "own") == 0)
		conf->net.mode = NET_OWN;
	else if (strcmp(mode, "shared") == 0)
		conf->net.mode = NET_SHARED;
	else
		return err_raise(
			err, ERR_USAGE, "snowboot.net takes own or shared, not '%s'", mode);
	return 0;
}

int netconf_apply(struct netconf *conf, const struct cmdline *cmdline, struct err *err)
{
	const char *site = cmdline_get(cmdline, "snowboot.site");
	const char *peers = cmdline_get(cmdline, "snowboot.peers");
	if (apply_origins(conf, cmdline, err) < 0 || apply_net(conf, cmdline, err) < 0)
		return -1;
	if (site != NULL && strlen(site) >= sizeof(conf->node.site))
		return err_raise(err, ERR_USAGE, "snowboot.site takes at most %zu bytes, not '%s'",
			sizeof(conf->node.site) - 1, site);
	if (site != NULL)
		memcpy(conf->node.site, site, strlen(site) + 1);
	if (node_config_rank_origins(&conf->node, err) < 0)
		return -1;
	if (peers != NULL)
		conf->node.peers = cmdline_flag(cmdline, "snowboot.peers");
	if (cmdline_get(cmdline, "snowboot.complete") != NULL)
		conf->node.complete = cmdline_flag(cmdline, "snowboot.complete");
	return 0;
}
