/* SPDX-License-Identifier: MIT */
#ifndef NIX_NARINFO_H
#define NIX_NARINFO_H

/*
 * What a binary cache says of itself (nix-cache-info) and of a store path (<hash>.narinfo): lines
 * of "Key: value" (Nix, src/libstore/nar-info.cc and binary-cache-store.cc).
 */

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/vec.h"

#include <stddef.h>
#include <stdint.h>

#define NARINFO_TEXT_MAX ((size_t)1 << 20)  /* bytes: some 20,000 references */
#define NARINFO_SIGS_MAX 64                 /* each costs a look at the whole of it */
#define NARINFO_NAR_MAX ((uint64_t)1 << 44) /* bytes of a NAR, packed or not */
#define CACHE_INFO_TEXT_MAX ((size_t)64 << 10)
#define CACHE_INFO_PRIORITY 50 /* of a cache that states none (Nix) */

enum nar_compression {
	NAR_COMPRESSION_NONE,
	NAR_COMPRESSION_XZ,
	NAR_COMPRESSION_ZSTD,
	NAR_COMPRESSION_BZIP2,
	NAR_COMPRESSION_GZIP,
	NAR_COMPRESSION_BROTLI,
};

struct narinfo {
	char *path; /* "/nix/store/<hash>-<name>" */
	char *url;  /* of the NAR, relative to the cache */
	enum nar_compression compression;
	bool has_file_hash;
	struct digest file_hash; /* of the file at the URL */
	uint64_t file_size;      /* bytes; 0: not stated */
	struct digest nar_hash;
	uint64_t nar_size;  /* bytes */
	struct strvec refs; /* full paths, sorted, each once */
	char *deriver;      /* full path, or NULL */
	struct strvec sigs; /* "<key>:<base64>" */
	char *ca;           /* content address, or NULL */
};

#define AUTO_NARINFO AUTO(narinfo_done) struct narinfo
void narinfo_done(struct narinfo *info);

/*
 * Reads a narinfo that must be of the store path whose name begins with `hash` (32 digits), below
 * `store_dir`. ERR_CORRUPT names the field; ERR_LIMIT for sizes beyond the bounds above;
 * ERR_UNSUPPORTED for a compression that we do not have.
 */
int narinfo_parse(const char *text, size_t len, const char *hash, const char *store_dir,
	struct narinfo *ret, struct err *err);

/* Appends the text that Nix would write. ERR_NOMEM. */
int narinfo_format(const struct narinfo *info, struct buf *out, struct err *err);

/* Appends what is signed: "1;<path>;<hash>;<size>;<references>". ERR_NOMEM. */
int narinfo_fingerprint(const struct narinfo *info, struct buf *out, struct err *err);

/* "xz"; "none". Static storage. */
const char *nar_compression_name(enum nar_compression compression);
/* What the name of a NAR ends in: ".xz"; "". Static storage. */
const char *nar_compression_suffix(enum nar_compression compression);

/* A cache's priority, lower comes first; ERR_UNSUPPORTED when it is of another store than
 * `store_dir`, ERR_CORRUPT. */
int cache_info_parse(const char *text, size_t len, const char *store_dir, uint32_t *ret_priority,
	struct err *err);

#endif
