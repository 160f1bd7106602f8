/* SPDX-License-Identifier: MIT */
/*
 * What a node answers to HTTP, on its port and on the unix socket of its state: the origin's space
 * of URLs as far as it has it, and what it tells of itself. Peers begin their links here, too.
 */
#include "node/held.h"
#include "node/parts.h"

#include "base/path.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/un.h>

#define CLIENTS_MAX 256 /* connections that are no links */

struct node_routes {
	struct node *node;
	struct http_server *port, *local;
	struct node_held_all held;
	char *socket_path;
};

/* Where requests of one path prefix go; `rest` is what follows it. */
struct route {
	const char *prefix;
	bool whole; /* nothing may follow */
	void (*answer)(struct node_routes *routes, struct http_exchange *x, const char *rest);
};

static void reply(struct http_exchange *x, int r, const struct buf *text, const char *type)
{
	struct err err = ERR_INIT;
	struct http_body *body = r < 0 ? NULL : http_body_copy(text->data, text->len, type, &err);
	if (body == NULL) {
		http_exchange_reply_text(x, 503, "out of memory\n");
		return;
	}
	body->cache_control = "no-cache";
	http_exchange_reply(x, 200, body);
}

static void not_here(struct http_exchange *x)
{
	http_exchange_reply_text(x, 404, "a node has no such thing\n");
}

static void answer_status(struct node_routes *routes, struct http_exchange *x, const char *rest)
{
	AUTO_BUF text = {0};
	struct err err = ERR_INIT;
	(void)rest;
	reply(x, node_status_json(routes->node, &text, &err), &text, "application/json");
}

static void answer_metrics(struct node_routes *routes, struct http_exchange *x, const char *rest)
{
	AUTO_BUF text = {0};
	struct err err = ERR_INIT;
	(void)rest;
	reply(x, node_metrics(routes->node, &text, &err), &text, "text/plain; version=0.0.4");
}

static void answer_reads(struct node_routes *routes, struct http_exchange *x, const char *rest)
{
	AUTO_BUF text = {0};
	struct err err = ERR_INIT;
	(void)rest;
	if (routes->node->reader == NULL)
		not_here(x);
	else
		reply(x, node_reader_trace(routes->node->reader, &text, &err), &text, "text/plain");
}

static void answer_manifest(struct node_routes *routes, struct http_exchange *x, const char *rest)
{
	const struct node *node = routes->node;
	if (!node->ready || strcmp(rest, node->manifest.name) != 0)
		not_here(x);
	else
		reply(x, 0, &node->manifest_text, "text/plain");
}

static void answer_profile(struct node_routes *routes, struct http_exchange *x, const char *rest)
{
	const struct node *node = routes->node;
	const struct buf *profile =
		node->prefetch != NULL ? node_prefetch_profile(node->prefetch) : NULL;
	if (profile == NULL || profile->len == 0 || strcmp(rest, node->identifier) != 0)
		not_here(x);
	else
		reply(x, 0, profile, NULL);
}

static void answer_digest(
	struct node_routes *routes, struct http_exchange *x, const struct digest *digest)
{
	const struct node *node = routes->node;
	struct node_object object;
	routes->held.cache = node->sources.cache;
	if (!node->ready ||
		!node_object_find(&node->system, &node->manifest.catalog, digest, &object))
		not_here(x);
	else
		node_held_answer(&routes->held, &object, x);
}

static void answer_object(struct node_routes *routes, struct http_exchange *x, const char *rest)
{
	struct digest digest;
	if (strlen(rest) != 3 + 64 || rest[2] != '/' || memcmp(rest, rest + 3, 2) != 0 ||
		!digest_from_hex(rest + 3, 64, &digest))
		not_here(x);
	else
		answer_digest(routes, x, &digest);
}

/* Kernel and initramfs for neighbours, who trust us by loading them: only when it is asked for. */
static void answer_boot(struct node_routes *routes, struct http_exchange *x, const char *rest)
{
	const struct node *node = routes->node;
	const char *name = node->config->name;
	size_t len = name != NULL ? strlen(name) : 0;
	if (!node->config->boot_files || !node->ready || strncmp(rest, name, len) != 0 ||
		rest[len] != '/') {
		not_here(x);
		return;
	}
	const char *file = strcmp(rest + len + 1, "bzImage") == 0 ? "kernel"
		: strcmp(rest + len + 1, "initrd") == 0           ? "initramfs"
								  : "";
	const struct catalog_file *found = catalog_file(&node->system.catalog, file);
	if (found == NULL)
		not_here(x);
	else
		answer_digest(routes, x, &found->blob.digest);
}

static void on_upgraded(int take_fd, const void *early, size_t early_len, void *data)
{
	struct node_routes *routes = data;
	swarm_accept(routes->node->sources.swarm, take_fd, early, early_len);
}

static void answer_link(struct node_routes *routes, struct http_exchange *x, const char *rest)
{
	(void)rest;
	if (!http_exchange_wants(x, LINK_UPGRADE))
		http_exchange_reply_text(x, 426, "this takes 'Upgrade: " LINK_UPGRADE "'\n");
	else if (routes->node->sources.swarm == NULL)
		http_exchange_reply_text(x, 503, "not a member yet\n");
	else
		http_exchange_upgrade(x, LINK_UPGRADE, on_upgraded, routes);
}

static const struct route all_routes[] = {
	{LINK_PATH, true, answer_link},
	{"/v1/status", true, answer_status},
	{"/metrics", true, answer_metrics},
	{"/v1/reads", true, answer_reads},
	{"/v1/manifests/", false, answer_manifest},
	{"/v1/profiles/", false, answer_profile},
	{"/v1/objects/", false, answer_object},
	{"/boot/", false, answer_boot},
};

static void on_request(struct http_exchange *x, void *data)
{
	struct node_routes *routes = data;
	const char *path = http_exchange_request(x)->path;
	for (size_t i = 0; i < ARRAY_LEN(all_routes); i++) {
		const struct route *route = &all_routes[i];
		size_t len = strlen(route->prefix);
		if (strncmp(path, route->prefix, len) != 0 || (route->whole && path[len] != '\0'))
			continue;
		route->answer(routes, x, path + len);
		return;
	}
	not_here(x);
}

static void on_over(struct http_exchange *x, const struct http_outcome *outcome, void *data)
{
	(void)outcome;
	(void)data;
	node_held_cancel(http_exchange_tag(x));
}

static int listen_port(
	struct node_routes *routes, const struct http_server_config *config, struct err *err)
{
	struct event_base *base = routes->node->base;
	uint16_t port = htons(routes->node->config->port);
	const struct sockaddr_in6 any6 = {
		.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT, .sin6_port = port};
	const struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = port};
	struct err first = ERR_INIT;
	if (http_server_new(base, (const struct sockaddr *)&any6, sizeof(any6), config,
		    &routes->port, &first) == 0)
		return 0;
	/* A kernel without IPv6. */
	if (first.sys != EAFNOSUPPORT && first.sys != EADDRNOTAVAIL) {
		*err = first;
		return -1;
	}
	return http_server_new(
		base, (const struct sockaddr *)&any, sizeof(any), config, &routes->port, err);
}

static int listen_local(
	struct node_routes *routes, const struct http_server_config *config, struct err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const char *dir = routes->node->config->state_dir;
	if (path_mkdirs(dir, err) < 0)
		return -1;
	routes->socket_path = path_printf(err, "%s/node.sock", dir);
	if (routes->socket_path == NULL)
		return -1;
	if (strlen(routes->socket_path) >= sizeof(addr.sun_path))
		return err_raise(err, ERR_LIMIT, "the path of socket '%s' has more than %zu bytes",
			routes->socket_path, sizeof(addr.sun_path) - 1);
	memcpy(addr.sun_path, routes->socket_path, strlen(routes->socket_path) + 1);
	if (http_server_new(routes->node->base, (const struct sockaddr *)&addr, sizeof(addr),
		    config, &routes->local, err) < 0)
		return -1;
	return 0;
}

int node_routes_new(struct node *node, struct node_routes **ret, struct err *err)
{
	struct node_routes *routes = calloc(1, sizeof(*routes));
	if (routes == NULL)
		return err_oom(err);
	routes->node = node;
	struct http_server_config config = {.limits = HTTP_LIMITS_DEFAULT,
		.handle = on_request,
		.done = on_over,
		.data = routes};
	config.limits.clients = CLIENTS_MAX;
	if ((node->config->port != 0 && listen_port(routes, &config, err) < 0) ||
		(node->config->state_dir != NULL && listen_local(routes, &config, err) < 0)) {
		node_routes_free(routes);
		return -1;
	}
	*ret = routes;
	return 0;
}

struct node_routes *node_routes_free(struct node_routes *routes)
{
	if (routes == NULL)
		return NULL;
	http_server_free(routes->port);
	http_server_free(routes->local);
	free(routes->socket_path);
	free(routes);
	return NULL;
}

uint16_t node_routes_port(const struct node_routes *routes)
{
	return routes->port != NULL ? http_server_port(routes->port) : 0;
}
