/* SPDX-License-Identifier: MIT */
/* Paths are compared as a whole: there are no folders to list, and nothing is ever joined to a file
 * name. */
#include "serve/route.h"

#include "base/mem.h"

#include <string.h>

static const struct {
	const char *name, *step;
} files[BOOT_FILES] = {
	[BOOT_SCRIPT] = {"netboot.ipxe", "script"},
	[BOOT_KERNEL] = {"bzImage", "kernel"},
	[BOOT_INITRD] = {"initrd", "initrd"},
	[BOOT_UKI] = {"uki.efi", "uki"},
};

static const struct {
	const char *path;
	enum route_kind kind;
} plain[] = {
	{"/", ROUTE_INDEX},
	{"/v1/link", ROUTE_LINK},
	{"/v1/status", ROUTE_STATUS},
	{"/v1/machines", ROUTE_MACHINES},
	{"/v1/events", ROUTE_EVENTS},
	{"/v1/explain", ROUTE_EXPLAIN},
	{"/v1/up", ROUTE_UP},
	{"/v1/failed", ROUTE_FAILED},
	{"/metrics", ROUTE_METRICS},
};

const char *boot_file_step(enum boot_file file)
{
	return files[file].step;
}

/* The rest of the path when it begins so, else NULL. */
static const char *after(const char *path, const char *prefix)
{
	size_t len = strlen(prefix);
	return strncmp(path, prefix, len) == 0 ? path + len : NULL;
}

static struct route parse_boot(const char *rest)
{
	const char *slash = strchr(rest, '/');
	for (size_t i = 0; slash != NULL && slash > rest && i < BOOT_FILES; i++)
		if (strcmp(slash + 1, files[i].name) == 0)
			return (struct route){.kind = ROUTE_BOOT,
				.file = (enum boot_file)i,
				.name = rest,
				.name_len = (size_t)(slash - rest)};
	return (struct route){0};
}

static struct route parse_object(const char *rest)
{
	struct route route = {.kind = ROUTE_OBJECT};
	char hex[DIGEST_HEX_SIZE];
	/* Lower case only: one object has one name, also in a cache in front of us. */
	if (strlen(rest) == 3 + 2 * DIGEST_SIZE && rest[2] == '/' &&
		digest_from_hex(rest + 3, 2 * DIGEST_SIZE, &route.digest) &&
		strcmp(digest_hex(&route.digest, hex), rest + 3) == 0 && memcmp(rest, hex, 2) == 0)
		return route;
	return (struct route){0};
}

static struct route parse_named(enum route_kind kind, const char *rest)
{
	size_t len = strlen(rest);
	if (len == 0 || strchr(rest, '/') != NULL)
		return (struct route){0};
	return (struct route){.kind = kind, .name = rest, .name_len = len};
}

struct route route_parse(const char *path)
{
	const char *rest;
	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		if (strcmp(path, plain[i].path) == 0)
			return (struct route){.kind = plain[i].kind};
	if ((rest = after(path, "/boot/")) != NULL)
		return parse_boot(rest);
	if ((rest = after(path, "/dispatch/")) != NULL)
		return (struct route){
			.kind = ROUTE_DISPATCH, .name = rest, .name_len = strlen(rest)};
	if ((rest = after(path, "/v1/objects/")) != NULL)
		return parse_object(rest);
	if ((rest = after(path, "/v1/manifests/")) != NULL)
		return parse_named(ROUTE_MANIFEST, rest);
	if ((rest = after(path, "/v1/machines/")) != NULL)
		return parse_named(ROUTE_MACHINES, rest);
	if ((rest = after(path, "/pxelinux.cfg/")) != NULL)
		return parse_named(ROUTE_EXTLINUX, rest);
	struct route route = {.kind = ROUTE_PROFILE};
	if ((rest = after(path, "/v1/profiles/")) != NULL &&
		digest_from_hex(rest, strlen(rest), &route.digest))
		return route;
	return (struct route){0};
}
