/* SPDX-License-Identifier: MIT */
#ifndef NODE_FIXTURE_H
#define NODE_FIXTURE_H

/*
 * A system of a few store paths made up on the spot, an origin that serves it on loopback, and a
 * reader of images over a socket as the kernel has it. Everything runs on one loop.
 */

#include "../image/pack.h"
#include "fake_swarm.h"

#include "base/hex.h"
#include "http/server.h"
#include "image/squashfs/squashfs.h"
#include "manifest/catalog.h"
#include "manifest/manifest.h"
#include "manifest/profile.h"
#include "node/node.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <sys/socket.h>
#include <time.h>

#define PATHS 3
#define PATIENCE_S 20 /* of any wait in a test */

struct origin {
	struct event_base *base;
	struct http_server *server;
	uint16_t port;
	char url[64];
	const char *dir; /* has v1/… */
	struct secret_key key;
	struct manifest manifest;
	struct catalog catalog;
	struct buf image; /* what a node must come to */
	int refuse;       /* status that everything is answered with; 0: none */
	unsigned requests, object_requests;
};

static struct err fixture_err = ERR_INIT;

/* A call that fills fixture_err succeeded. */
#define must(call) \
	do { \
		if ((call) < 0) \
			fail_msg("%s: %s", #call, fixture_err.msg); \
	} while (0)

static char *fixture_path(const char *dir, const char *rest)
{
	char *path = path_printf(&fixture_err, "%s/%s", dir, rest);
	assert_non_null(path);
	return path;
}

/* Puts an object where an origin has it. */
static struct blob origin_object(struct origin *o, const void *data, size_t len)
{
	struct blob blob = {0};
	char hex[DIGEST_HEX_SIZE];
	must(blob_of(data, len, &blob, &fixture_err));
	digest_hex(&blob.digest, hex);
	AUTO_FREE char *dir = path_printf(&fixture_err, "%s/v1/objects/%.2s", o->dir, hex);
	must(path_mkdirs(dir, &fixture_err));
	test_write(dir, hex, data, len);
	return blob;
}

static struct blob origin_chunk_table(struct origin *o, const struct buf *segment)
{
	AUTO_BUF bytes = {0};
	struct chunk_table table = {.size = segment->len};
	table.object = digest_of(segment->data, segment->len);
	for (uint64_t off = 0; off < segment->len; off += PIECE_SIZE) {
		uint64_t end = off + PIECE_SIZE < segment->len ? off + PIECE_SIZE : segment->len;
		struct digest digest = digest_of(segment->data + off, end - off);
		must(vec_push(&table.starts, off, &fixture_err));
		must(vec_push(&table.digests, digest, &fixture_err));
	}
	must(chunk_table_encode(&table, &bytes, &fixture_err));
	chunk_table_done(&table);
	return origin_object(o, bytes.data, bytes.len);
}

/* Packs the store and describes it in the catalog. */
static void origin_pack(struct origin *o)
{
	struct buf trees[PATHS] = {0};
	struct tree opened[PATHS];
	struct squashfs_member composed[PATHS];
	struct sha256_ctx ctx;
	AUTO_IMAGE image = {0};
	for (int i = 0; i < PATHS; i++) {
		struct catalog_member member = {.is_private = i == 1};
		AUTO_BUF segment = {0};
		AUTO_FREE char *path = path_printf(&fixture_err, "%s/store/path-%d", o->dir, i);
		char *segment_path = path_printf(&fixture_err, "%s/segment-%d", o->dir, i);
		pack(path, segment_path, &trees[i]);
		must(tree_open(trees[i].data, trees[i].len, &opened[i], &fixture_err));
		must(fd_read_file(AT_FDCWD, segment_path, 1 << 30, &segment, &fixture_err));
		member.name = path_printf(&fixture_err, "path-%d", i);
		member.tree = origin_object(o, trees[i].data, trees[i].len);
		if (segment.len > 0) {
			struct blob blob = origin_object(o, segment.data, segment.len);
			blob_done(&blob);
			member.chunks = origin_chunk_table(o, &segment);
		}
		must(vec_push(&o->catalog.members, member, &fixture_err));
		composed[i] = (struct squashfs_member){
			o->catalog.members.items[i].name, &opened[i], segment_path};
	}
	must(squashfs_compose(composed, PATHS, &image, NULL, &fixture_err));
	o->catalog.image_size = image.size;
	assert_non_null(buf_reserve(&o->image, image.size, &fixture_err));
	o->image.len = image.size;
	must(image_read(&image, 0, o->image.data, image.size, &fixture_err));
	sha256_init(&ctx);
	VEC_FOREACH(extent, &image.extents)
		if (extent->kind != EXTENT_FILE)
			sha256_update(&ctx, extent->len, o->image.data + extent->off);
	o->catalog.metadata = digest_finish(&ctx);
	for (int i = 0; i < PATHS; i++) {
		free((void *)composed[i].segment_path);
		buf_done(&trees[i]);
	}
}

static void origin_file(struct origin *o, const char *name, const char *text)
{
	struct catalog_file file = {
		.name = strdup(name), .blob = origin_object(o, text, strlen(text))};
	must(vec_push(&o->catalog.files, file, &fixture_err));
}

/* The manifest names the catalog as it is by now. */
static void origin_catalog(struct origin *o)
{
	AUTO_BUF bytes = {0};
	must(catalog_encode(&o->catalog, &bytes, &fixture_err));
	blob_done(&o->manifest.catalog);
	o->manifest.catalog = origin_object(o, bytes.data, bytes.len);
}

static void origin_unsign(struct origin *o)
{
	VEC_FOREACH(signature, &o->manifest.signatures)
		signature_done(signature);
	o->manifest.signatures.len = 0;
}

/* Publishes the manifest as it is. */
static void origin_publish(const struct origin *o)
{
	AUTO_BUF text = {0};
	must(manifest_encode(&o->manifest, &text, &fixture_err));
	AUTO_FREE char *dir = fixture_path(o->dir, "v1/manifests");
	must(path_mkdirs(dir, &fixture_err));
	test_write(dir, "demo", text.data, text.len);
}

/* Signs and publishes it. */
static void origin_issue(struct origin *o, uint64_t serial, int64_t issued, int64_t lifetime)
{
	o->manifest.serial = serial;
	o->manifest.issued = issued;
	o->manifest.expires = issued + lifetime;
	origin_unsign(o);
	must(manifest_sign(&o->manifest, &o->key, &fixture_err));
	origin_publish(o);
}

static void origin_handle(struct http_exchange *x, void *data)
{
	struct origin *o = data;
	struct err err = ERR_INIT;
	AUTO_BUF bytes = {0};
	const char *path = http_exchange_request(x)->path;
	AUTO_FREE char *file = path_printf(&err, "%s%s", o->dir, path);
	o->requests++;
	o->object_requests += strncmp(path, "/v1/objects/", 12) == 0;
	if (o->refuse != 0)
		http_exchange_reply_text(x, o->refuse, "refused\n");
	else if (fd_read_file(AT_FDCWD, file, 1 << 30, &bytes, &err) < 0)
		http_exchange_reply_text(x, 404, "nothing\n");
	else
		http_exchange_reply(x, 200, http_body_copy(bytes.data, bytes.len, NULL, &err));
}

static void origin_over(struct http_exchange *x, const struct http_outcome *outcome, void *data)
{
	(void)x;
	(void)outcome;
	(void)data;
}

static void origin_up(struct origin *o)
{
	const struct sockaddr_in addr = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(o->port)};
	const struct http_server_config config = {.limits = HTTP_LIMITS_DEFAULT,
		.handle = origin_handle,
		.done = origin_over,
		.data = o};
	must(http_server_new(o->base, (const struct sockaddr *)&addr, sizeof(addr), &config,
		&o->server, &fixture_err));
	o->port = http_server_port(o->server);
	snprintf(o->url, sizeof(o->url), "http://127.0.0.1:%u", o->port);
}

static void origin_down(struct origin *o)
{
	o->server = http_server_free(o->server);
}

static void origin_init(struct origin *o)
{
	*o = (struct origin){.base = event_base_new(), .dir = test_tmpdir()};
	test_shell("cd '%s' && mkdir -p store/path-0/lib store/path-1 && "
		   "head -c 900000 /dev/urandom >store/path-0/lib/large && "
		   "head -c 300 /dev/urandom >store/path-0/small && ln -s lib store/path-0/link && "
		   "head -c 400000 /dev/urandom >store/path-1/secret && ln -s nowhere store/path-2",
		o->dir);
	origin_pack(o);
	origin_file(o, "db.sqlite", "a database");
	origin_file(o, "initramfs", "an initramfs");
	origin_file(o, "kernel", "a kernel");
	origin_file(o, "plan", "a plan\n");
	origin_file(o, "registration", "paths");
	origin_file(o, "schema", "10");
	origin_catalog(o);
	o->manifest.name = strdup("demo");
	o->manifest.system = strdup("/nix/store/demo");
	o->manifest.cmdline = strdup("quiet");
	must(secret_key_generate("test-1", &o->key, &fixture_err));
	origin_issue(o, 7, time(NULL), 3600);
	origin_up(o);
}

static void origin_done(struct origin *o)
{
	origin_down(o);
	catalog_done(&o->catalog);
	manifest_done(&o->manifest);
	secret_key_done(&o->key);
	buf_done(&o->image);
	event_base_free(o->base);
}

/* A node of the fixture's system, and what it told. */
struct client {
	struct origin *origin;
	struct node_config config;
	struct node *node;
	bool ready, failed;
	struct err failure;
	char progress[128];
	int socket; /* NBD as the kernel speaks it; -1: none */
};

static void client_event(
	enum node_event event, const char *text, const struct err *failure, void *data)
{
	struct client *c = data;
	switch (event) {
	case NODE_PROGRESS:
		snprintf(c->progress, sizeof(c->progress), "%s", text);
		break;
	case NODE_READY:
		c->ready = true;
		break;
	case NODE_FAILED:
		c->failed = true;
		c->failure = *failure;
		break;
	}
}

static void client_init(struct client *c, struct origin *o)
{
	struct public_key key = {0};
	*c = (struct client){.origin = o, .socket = -1};
	must(strvec_push(&c->config.origins, o->url, &fixture_err));
	must(secret_key_public(&o->key, &key, &fixture_err));
	must(vec_push(&c->config.keys, key, &fixture_err));
	c->config.name = strdup("demo");
	c->config.cache.memory_max = 64 << 20;
	c->config.state_dir = fixture_path(o->dir, "state");
}

static void client_start(struct client *c)
{
	const struct node_ops ops = {.event = client_event, .data = c};
	c->ready = c->failed = false;
	must(node_new(c->origin->base, &c->config, &ops, &c->node, &fixture_err));
}

static void client_stop(struct client *c)
{
	c->node = node_free(c->node);
	if (c->socket >= 0)
		close(c->socket);
	c->socket = -1;
}

static void client_done(struct client *c)
{
	client_stop(c);
	node_config_done(&c->config);
}

/* Runs the loop until *flag, at most `seconds`: whether it came. */
static bool wait_for(struct origin *o, const bool *flag, unsigned seconds)
{
	time_t end = time(NULL) + seconds;
	while (!*flag && time(NULL) <= end) {
		struct timeval step = {.tv_usec = 10000};
		event_base_loopexit(o->base, &step);
		event_base_dispatch(o->base);
	}
	return *flag;
}

static void wait_ready(struct client *c)
{
	bool ended = wait_for(c->origin, &c->ready, PATIENCE_S);
	if (!ended)
		fail_msg("not ready; %s", c->failed ? c->failure.msg : c->progress);
}

/* Starts it and waits until it is ready. */
static void client_boot(struct client *c)
{
	client_start(c);
	wait_ready(c);
}

static void run_for(struct origin *o, unsigned ms)
{
	struct timeval time = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
	event_base_loopexit(o->base, &time);
	event_base_dispatch(o->base);
}

static void client_connect(struct client *c)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	c->socket = pair[0];
	must(node_serve_kernel(c->node, pair[1], &fixture_err));
}

/* Sends a read; proto.md, "Request message". */
static void client_ask(struct client *c, uint64_t cookie, uint64_t off, uint32_t len)
{
	uint8_t request[28] = {0};
	put_be32(request, 0x25609513);
	put_be64(request + 8, cookie);
	put_be64(request + 16, off);
	put_be32(request + 24, len);
	assert_int_equal(write(c->socket, request, sizeof(request)), sizeof(request));
}

/* Receives `len` bytes while the loop runs. */
static void client_receive(struct client *c, void *data, size_t len)
{
	time_t end = time(NULL) + PATIENCE_S;
	uint8_t *p = data;
	while (len > 0) {
		ssize_t n = recv(c->socket, p, len, MSG_DONTWAIT);
		if (n > 0) {
			p += n;
			len -= (size_t)n;
			continue;
		}
		assert_true(n < 0 && time(NULL) <= end);
		run_for(c->origin, 5);
	}
}

/* The head of the next answer, which must be a success; returns its cookie. */
static uint64_t client_answer(struct client *c)
{
	uint8_t reply[16];
	client_receive(c, reply, sizeof(reply));
	assert_int_equal(get_be32(reply), 0x67446698);
	assert_int_equal(get_be32(reply + 4), 0);
	return get_be64(reply + 8);
}

/* Reads the range and compares it with the image. */
static void client_check(struct client *c, uint64_t off, uint32_t len)
{
	AUTO_FREE uint8_t *data = malloc(len);
	client_ask(c, off, off, len);
	assert_int_equal(client_answer(c), off);
	client_receive(c, data, len);
	assert_memory_equal(data, c->origin->image.data + off, len);
}

/* Reads the whole image. */
static void client_check_all(struct client *c)
{
	client_check(c, 0, (uint32_t)c->origin->image.len);
}

/* Each case has an origin of its own, with a system that no other case has. */
static struct origin origin;

static int origin_set_up(void **state)
{
	(void)state;
	origin_init(&origin);
	return 0;
}

static int origin_tear_down(void **state)
{
	(void)state;
	origin_done(&origin);
	return 0;
}

#define ORIGIN_CASE(name) cmocka_unit_test_setup_teardown(name, origin_set_up, origin_tear_down)

#endif
