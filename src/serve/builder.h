/* SPDX-License-Identifier: MIT */
#ifndef SERVE_BUILDER_H
#define SERVE_BUILDER_H

/* Makes boots beside the event loop: one thread, one boot at a time, each once. */

#include "serve/boot.h"

struct event_base;
struct builder;

/* Called from the loop: a boot, whose reference is handed over, or NULL and why. */
typedef void builder_done_fn(
	const char *key, struct boot *take_boot, const struct err *failure, void *data);

int builder_new(struct event_base *base, const struct boot_options *options, builder_done_fn *done,
	void *data, struct builder **ret, struct err *err);
/*
 * Ends it. Work that is under way cannot be stopped half-way: then the builder is left behind, for
 * the end of the process to end it (the pool is made for that). NULL is fine; returns NULL.
 */
struct builder *builder_free(struct builder *builder);

/* True while something is being made. */
bool builder_is_busy(struct builder *builder);

/* Asks for a boot, whose name towards us is `key`, unless it is asked for already. */
int builder_ask(struct builder *builder, const char *key, const struct boot_source *source,
	struct err *err);

/* How far that is: "fetch: 34 % of 1200 MiB"; "" when there is nothing to say. */
#define BUILDER_STATUS_SIZE 160
void builder_status(struct builder *builder, const char *key, char out[BUILDER_STATUS_SIZE]);

#endif
