/* SPDX-License-Identifier: MIT */
/*
 * The target of a request, down to what it names: names lie in the path, and what is joined to
 * file names has nothing that leads out of a folder. A good input is one of the origin's routes.
 */
#include "target.h"

#include "http/request.h"
#include "serve/dispatch_name.h"
#include "serve/extlinux.h"
#include "serve/route.h"

#include <stdio.h>
#include <string.h>

static void check_name(const struct route *route, const char *path)
{
	size_t len = strlen(path);
	if (route->name == NULL)
		return;
	expect(route->name > path && route->name <= path + len);
	expect(route->name_len <= len - (size_t)(route->name - path));
	if (route->kind != ROUTE_DISPATCH)
		expect(route->name_len > 0 && memchr(route->name, '/', route->name_len) == NULL);
}

/* True when it names something. */
static bool check_dispatch(const char *rest)
{
	struct err err = ERR_INIT;
	AUTO_DISPATCH_NAME name = {0};
	int r = dispatch_name_parse(rest, &name, &err);
	expect(r >= 0);
	for (size_t i = 0; r == 1 && i < sizeof(name.parts) / sizeof(name.parts[0]); i++)
		if (name.parts[i] != NULL)
			expect(name.parts[i][0] != '.' && name.parts[i][0] != '\0' &&
				strchr(name.parts[i], '/') == NULL);
	return r == 1;
}

bool target_run(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	AUTO_HTTP_REQUEST request = {0};
	size_t len;
	char *text = malloc(size + sizeof("GET  HTTP/1.0\r\n\r\n"));
	expect(text != NULL);
	memcpy(text, "GET ", 4);
	memcpy(text + 4, data, size);
	memcpy(text + 4 + size, " HTTP/1.0\r\n\r\n", 13);
	int r = http_request_parse(text, size + 17, &request, &len, &err);
	free(text);
	if (r != 1)
		return false;
	struct route route = route_parse(request.path);
	check_name(&route, request.path);
	const char *config = extlinux_path_name(request.path);
	struct extlinux_who who;
	if (config != NULL && extlinux_name_read(config, strlen(config), &who))
		expect(strlen(who.mac) < sizeof(who.mac) && strchr(who.arch, '/') == NULL);
	if (route.kind == ROUTE_DISPATCH)
		return check_dispatch(route.name);
	if (route.kind == ROUTE_EXTLINUX)
		return extlinux_name_read(route.name, route.name_len, &who);
	return route.kind != ROUTE_NONE;
}
