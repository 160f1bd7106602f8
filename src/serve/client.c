/* SPDX-License-Identifier: MIT */
/*
 * iPXE's settings (ipxe.org/cfg): netX is the card that it used last; memsize is in MiB and empty
 * where it cannot tell; platform is "pcbios" or "efi".
 */
#include "serve/client.h"

#include "base/mem.h"
#include "http/query.h"

#include <stdio.h>
#include <string.h>

#define MEMORY_MAX_MIB (1u << 30)

void client_done(struct client *client)
{
	free(client->prefix);
	free(client->suffix);
	*client = (struct client){0};
}

static int read_who(const char *query, struct client *c, struct err *err)
{
	for (enum identity_kind kind = 0; kind < IDENTITIES; kind++) {
		AUTO_FREE char *text = NULL;
		int r = http_query_get(query, identity_kind_name(kind), &text, err);
		if (r < 0)
			return -1;
		c->said = c->said || r == 1;
		if (r == 1 && !identity_read(kind, text, c->who.text[kind]))
			c->who.text[kind][0] = '\0';
	}
	return 0;
}

static int read_memory(const char *query, struct client *c, struct err *err)
{
	AUTO_FREE char *text = NULL;
	int r = http_query_get(query, "memory", &text, err);
	if (r <= 0)
		return r;
	char *end;
	unsigned long long mib = strtoull(text, &end, 10);
	if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && mib <= MEMORY_MAX_MIB)
		c->memory_mib = (unsigned)mib;
	return 0;
}

static int read_firmware(const char *query, struct client *c, struct err *err)
{
	AUTO_FREE char *platform = NULL, *arch = NULL;
	if (http_query_get(query, "firmware", &platform, err) < 0 ||
		http_query_get(query, "arch", &arch, err) < 0)
		return -1;
	if (platform != NULL && strcmp(platform, "pcbios") == 0)
		c->firmware = FIRMWARE_BIOS;
	else if (platform != NULL && strcmp(platform, "efi") == 0)
		c->firmware = FIRMWARE_EFI;
	if (arch != NULL && strlen(arch) < sizeof(c->arch))
		snprintf(c->arch, sizeof(c->arch), "%s", arch);
	return 0;
}

int client_read(const char *query, struct client *ret, struct err *err)
{
	AUTO_CLIENT c = {0};
	if (read_who(query, &c, err) < 0 || read_memory(query, &c, err) < 0 ||
		read_firmware(query, &c, err) < 0 ||
		http_query_get(query, "cmdline_prefix_args", &c.prefix, err) < 0 ||
		http_query_get(query, "cmdline_suffix_args", &c.suffix, err) < 0)
		return -1;
	*ret = c;
	c = (struct client){0};
	return 0;
}
