/* SPDX-License-Identifier: MIT */
#ifndef PUBLISH_TARGET_H
#define PUBLISH_TARGET_H

/*
 * Where files are published to: a directory that some web server shows, or a bucket. Names are
 * relative, with '/': "v1/objects/ab/ab…".
 */

#include "base/buf.h"
#include "base/err.h"
#include "base/vec.h"

#include <stdbool.h>
#include <stdint.h>

/* A file that is there. */
struct target_entry {
	char *name;
	uint64_t size; /* bytes */
};

struct target_list {
	VEC(struct target_entry) entries; /* sorted by name */
};
#define AUTO_TARGET_LIST AUTO(target_list_done) struct target_list
void target_list_done(struct target_list *list);
/* Appends a copy. */
int target_list_add(
	struct target_list *list, const char *name, size_t len, uint64_t size, struct err *err);
void target_list_sort(struct target_list *list);
/* NULL: it is not there. */
const struct target_entry *target_list_find(const struct target_list *list, const char *name);

/* A file to be put. */
struct target_file {
	const char *name;
	const void *data;
	uint64_t size;     /* bytes */
	const char *type;  /* of its contents, for HTTP */
	bool is_immutable; /* the same name will always have the same bytes */
};

struct target;

/* What a kind of target can do; several threads may put at once. */
struct target_ops {
	/* Everything below a prefix that ends with '/'. */
	int (*list)(struct target *target, const char *prefix, struct target_list *ret,
		struct err *err);
	/* 1 and the contents, appended; 0: it is not there. ERR_LIMIT beyond max bytes. */
	int (*get)(struct target *target, const char *name, size_t max, struct buf *out,
		struct err *err);
	/* It may appear only with the next flush. */
	int (*put)(struct target *target, const struct target_file *file, struct err *err);
	/* All that was put is there, durably. */
	int (*flush)(struct target *target, struct err *err);
	int (*remove)(struct target *target, const char *name, struct err *err);
	void (*close)(struct target *target);
};

struct target {
	const struct target_ops *ops;
	unsigned jobs; /* how many puts at once are worth it */
	char *name;    /* for messages */
};

/* Where an object store is and who asks. */
struct target_s3 {
	const char *endpoint; /* "https://HOST:PORT"; NULL: from the environment, else Amazon's */
	const char *region;   /* NULL: from the environment, else "us-east-1" */
};

/*
 * Opens "s3://BUCKET/PREFIX", or a directory, which is created. One process at a time may publish
 * to a directory: ERR_AGAIN. Keys for S3 come from the environment (AWS_ACCESS_KEY_ID and its
 * relatives): ERR_USAGE when they are missing.
 */
int target_open(const char *name, const struct target_s3 *s3, struct target **ret, struct err *err);
struct target *target_close(struct target *target); /* NULL is fine; returns NULL */

/* The two kinds; target_open() chooses. */
int directory_open(const char *path, struct target **ret, struct err *err);
int s3_open(const char *url, const struct target_s3 *s3, struct target **ret, struct err *err);

#endif
