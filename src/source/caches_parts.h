/* SPDX-License-Identifier: MIT */
#ifndef SOURCE_CACHES_PARTS_H
#define SOURCE_CACHES_PARTS_H

/* What the files of binary caches share among themselves; nobody else includes this. */

#include "source/absent.h"
#include "source/caches.h"
#include "source/download.h"

#define CACHES_STORE_DIR "/nix/store"

struct cache {
	char *name;      /* as the user wrote it, for messages */
	char *url;       /* what file names are put behind, ending with '/' */
	uint64_t number; /* the same for the same URL, ever */
	bool has_priority;
	uint32_t priority;
	bool has_auth;
	struct download_auth auth;
};

struct caches {
	VEC(struct cache) list;
	struct downloader *downloader;
	const struct trust *trust;
	struct absent absent; /* of narinfos, but for caches on this machine */
	char *absent_file;    /* or NULL */
};

/* Takes a user's URL apart. ERR_USAGE. */
int cache_parse(const char *text, struct cache *ret, struct err *err);
void cache_done(struct cache *cache);

/* Begins to fetch a file of a cache. */
int cache_fetch(struct caches *caches, size_t cache, const char *file, struct download **ret,
	struct err *err);
/* Reads it to its end. ERR_LIMIT beyond max_bytes. */
int cache_read_all(struct download *download, size_t max_bytes, struct buf *out, struct err *err);

/* What one cache says of a store path, believed. */
struct cached_path {
	struct narinfo info;
	size_t cache;
	bool is_file; /* by its content address, one file with this hash */
	struct digest file_hash;
};
void cached_path_done(struct cached_path *path);

/* Parses the text of a narinfo, which is not believed yet; the message names `url`. */
int cached_path_parse(const char *url, const char *hash, const struct buf *text,
	struct cached_path *ret, struct err *err);
/* Fails when it is not to be believed; likewise. */
int cached_path_judge(
	const struct trust *trust, const char *url, struct cached_path *path, struct err *err);

struct cached_closure {
	struct closure closure;
	VEC(struct cached_path) paths; /* sorted by path */
	size_t *path_of;               /* item of the closure -> its place in `paths` */
};

/* Makes the closure of all paths, which may be in any order. ERR_CORRUPT when one that another
 * refers to is missing, or for a circle. */
int cached_closure_build(struct cached_closure *cached, struct err *err);

#endif
