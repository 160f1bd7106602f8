/* SPDX-License-Identifier: MIT */
#ifndef NODE_NODE_H
#define NODE_NODE_H

/*
 * A node: mounts nothing itself, but offers a system's image as a block device whose bytes come
 * from cache, peers and origins. The same on a diskless client and on a host.
 * docs/internals/node.md.
 */

#include "base/vec.h"
#include "cache/cache.h"
#include "manifest/manifest.h"
#include "swarm/swarm.h"

struct event_base;
struct node;

struct node_config {
	struct strvec
		origins; /* http://HOST:PORT, or SITE=http://HOST:PORT until they are ranked */
	char *name;      /* manifest to boot; NULL: only share (a site cache) */
	public_keys keys;
	struct cache_params cache;
	char site[32];
	uint8_t machine_id[16];
	uint8_t boot_mac[6]; /* of the card that this machine booted by, for the origin's status;
				zeros: unknown; not in the text */
	bool peers;
	bool complete;    /* fetch everything in the background */
	uint64_t uplink;  /* bytes a second, 0: no limit */
	uint16_t port;    /* for peers and /metrics; 0: none */
	char *state_dir;  /* gets plan, db/, status socket; "/run/snowboot" on a client */
	char *nbd_socket; /* serve the image to QEMU, libnbd on this unix socket; or NULL */
	bool resume;      /* state_dir holds the manifest of a node that died: go on with that one,
			     whatever the origins have by now */
	bool boot_files;  /* give kernel and initramfs to neighbours that boot by PXE */
	char *pool;       /* of this machine, to be looked in before the network; or NULL */
	char *trace;      /* file that gets a line for each read; or NULL */
};

/* Every string is the config's own, cache.disk too. */
#define AUTO_NODE_CONFIG AUTO(node_config_done) struct node_config
void node_config_done(struct node_config *config);
/* Text of "key value" lines, as it lies in an initramfs and as `snowboot node --config` reads it.
 * docs/formats/node.md. ERR_CORRUPT names the line. */
int node_config_decode(const char *text, size_t len, struct node_config *ret, struct err *err);
int node_config_encode(const struct node_config *config, struct buf *out, struct err *err);
/*
 * Puts the origins of our own site first, then those of no site, then the others, each in the order
 * in which they stood, and takes the sites off. To be called once the site is known. ERR_NOMEM.
 */
int node_config_rank_origins(struct node_config *config, struct err *err);

enum node_event {
	NODE_PROGRESS, /* text: "trees: 1.2 of 3.4 MiB" */
	NODE_READY,    /* plan and database lie in state_dir, reads are answered */
	NODE_FAILED,   /* err: nothing that trying again mends (untrusted, corrupt, unsupported) */
};

struct node_ops {
	void (*event)(
		enum node_event event, const char *text, const struct err *failure, void *data);
	void *data;
};

/* Begins to start; `config` must live as long as the node. A relative state_dir is one below the
 * working directory, which moves along when /run does. ERR_NOMEM; ERR_IO and others for a port or
 * socket that cannot be had. */
int node_new(struct event_base *base, const struct node_config *config, const struct node_ops *ops,
	struct node **ret, struct err *err);
struct node *node_free(struct node *node); /* NULL is fine; returns NULL */

/* Peers reach us here from now on. */
void node_readdress(struct node *node, const struct node_address *listen);

/* Of the image, once ready: bytes, a multiple of 4096. */
uint64_t node_image_size(const struct node *node);
/* What a block device that shows this image must be identified by: hex of the catalog's digest. */
const char *node_identifier(const struct node *node);
/* Serves the kernel on this socket, once ready (nbd/server.h). */
int node_serve_kernel(struct node *node, int take_fd, struct err *err);

/* Everything that `snowboot status` shows, as JSON (docs/formats/status.md). ERR_NOMEM. */
int node_status_json(struct node *node, struct buf *out, struct err *err);

#endif
