/* SPDX-License-Identifier: MIT */
/*
 * From a name to a block device: manifest, catalog, trees and chunk tables, image. Everything is
 * waited for without end but what waiting does not mend; each step is told to whoever watches the
 * machine boot.
 */
#include "node/parts.h"

#include "base/log.h"
#include "base/outfile.h"
#include "base/path.h"

#include <inttypes.h>
#include <malloc.h>
#include <string.h>

#define TELL_US 200000u /* between two reports of progress */

static const char *const state_files[] = {"plan", "db.sqlite", "schema", "registration"};

static void drop_items(struct node *node)
{
	VEC_FOREACH(item, &node->items)
		free(item->data);
	vec_done(&node->items);
}

static void fail(struct node *node, const struct err *failure)
{
	node_start_cancel(node);
	node_failed(node, failure);
}

static void on_gathered_bytes(uint64_t done, uint64_t total, void *data)
{
	struct node *node = data;
	uint64_t now = node_clock_us();
	char text[96];
	if (done == 0 || now - node->told_us < TELL_US)
		return;
	node->told_us = now;
	snprintf(text, sizeof(text), "%s: %.1f of %.1f MiB", node->step, (double)done / (1 << 20),
		(double)total / (1 << 20));
	node->percent = (unsigned)(done * 100 / total);
	swarm_tell_step(node->sources.swarm, node->step, node->percent);
	node->ops.event(NODE_PROGRESS, text, NULL, node->ops.data);
}

static int add_item(struct node *node, const struct blob *blob, bool is_private, struct err *err)
{
	struct node_gather_item item = {.blob = blob, .is_private = is_private};
	return vec_push(&node->items, item, err);
}

static int gather(struct node *node, const char *step,
	void (*done)(const struct err *failure, void *data), struct err *err)
{
	const struct node_gather_ops ops = {
		.progress = on_gathered_bytes, .done = done, .data = node};
	node_tell(node, step, 0);
	return node_gather_new(node->base, &node->sources, node->items.items, node->items.len, &ops,
		&node->gather, err);
}

static bool is_state_file(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(state_files); i++)
		if (strcmp(name, state_files[i]) == 0)
			return true;
	return false;
}

/* Puts a file where stage 1, or whoever is interested, finds it: the plan, and "db/" for the rest.
 */
static int write_state(
	const struct node *node, const char *name, const void *data, size_t len, struct err *err)
{
	bool top = strcmp(name, "plan") == 0 || strcmp(name, "manifest") == 0;
	AUTO_FREE char *path =
		path_printf(err, "%s/%s%s", node->config->state_dir, top ? "" : "db/", name);
	return path != NULL ? outfile_write(path, data, len, err) : -1;
}

static int write_states(const struct node *node, struct err *err)
{
	size_t i = 2 * node->catalog.members.len; /* behind trees and chunk tables */
	AUTO_FREE char *dir = path_printf(err, "%s/db", node->config->state_dir);
	if (dir == NULL || path_mkdirs(dir, err) < 0)
		return -1;
	VEC_FOREACH(file, &node->catalog.files) {
		if (!is_state_file(file->name))
			continue;
		const struct node_gather_item *item = &node->items.items[i++];
		if (write_state(node, file->name, item->data, item->blob->size, err) < 0)
			return -1;
	}
	return write_state(
		node, "manifest", node->manifest_text.data, node->manifest_text.len, err);
}

static int make_system(struct node *node, struct err *err)
{
	size_t count = node->catalog.members.len;
	AUTO_FREE struct node_member_bytes *parts = calloc(count + 1, sizeof(*parts));
	if (parts == NULL)
		return err_oom(err);
	for (size_t i = 0; i < count; i++)
		parts[i] = (struct node_member_bytes){.tree = node->items.items[2 * i].data,
			.chunks = node->items.items[2 * i + 1].data};
	return node_system_make(
		&node->catalog, &node->manifest.catalog.digest, parts, &node->system, err);
}

static int finish(struct node *node, struct err *err)
{
	if (node->config->state_dir != NULL && write_states(node, err) < 0)
		return -1;
	if (make_system(node, err) < 0)
		return err_prefix(err, "system '%s'", node->manifest.system);
	node_digests private = {0};
	if (node_hidden_of_system(&node->system, &private, err) < 0 ||
		node_hide(node, &private, err) < 0) {
		vec_done(&private);
		return -1;
	}
	drop_items(node);
	malloc_trim(0); /* trees are large and were needed once */
	cache_pin(node->sources.cache, node->system.pins.items, node->system.pins.len);
	node_search_remember(node->sources.cache, &node->manifest, &node->manifest_text);
	return node_open_system(node, err);
}

static void on_parts(const struct err *failure, void *data)
{
	struct node *node = data;
	struct err err = ERR_INIT;
	node->gather = node_gather_free(node->gather);
	if (failure != NULL)
		fail(node, failure);
	else if (finish(node, &err) < 0)
		fail(node, &err);
}

static int gather_parts(struct node *node, struct err *err)
{
	const struct node_gather_item *item = &node->items.items[0];
	if (catalog_decode(item->data, item->blob->size, &node->catalog, err) < 0)
		return -1;
	drop_items(node);
	node_digests private = {0};
	if (node_hidden_of_catalog(&node->catalog, &private, err) < 0 ||
		node_hide(node, &private, err) < 0) {
		vec_done(&private);
		return -1;
	}
	VEC_FOREACH(member, &node->catalog.members)
		if (add_item(node, &member->tree, member->is_private, err) < 0 ||
			add_item(node, &member->chunks, member->is_private, err) < 0)
			return -1;
	VEC_FOREACH(file, &node->catalog.files)
		if (node->config->state_dir != NULL && is_state_file(file->name) &&
			add_item(node, &file->blob, false, err) < 0)
			return -1;
	return gather(node, "trees", on_parts, err);
}

static void on_catalog(const struct err *failure, void *data)
{
	struct node *node = data;
	struct err err = ERR_INIT;
	node->gather = node_gather_free(node->gather);
	if (failure != NULL) {
		fail(node, failure);
	} else if (gather_parts(node, &err) < 0) {
		err_prefix(&err, "system '%s'", node->manifest.system);
		fail(node, &err);
	}
}

static int begin_system(struct node *node, struct err *err)
{
	log_info("'%s' is '%s', serial %" PRIu64, node->manifest.name, node->manifest.system,
		node->manifest.serial);
	if (node_join(node, err) < 0 || add_item(node, &node->manifest.catalog, false, err) < 0)
		return -1;
	return gather(node, "catalog", on_catalog, err);
}

static void on_manifest(struct manifest *take_manifest, const struct buf *text,
	const struct err *failure, void *data)
{
	struct node *node = data;
	struct err err = ERR_INIT;
	if (failure != NULL) {
		err = *failure; /* which the search owns */
		fail(node, &err);
		return;
	}
	node->manifest = *take_manifest;
	int r = buf_put(&node->manifest_text, text->data, text->len, &err);
	node->search = node_search_free(node->search);
	if (r < 0 || begin_system(node, &err) < 0)
		fail(node, &err);
}

static void on_search_progress(const char *text, void *data)
{
	struct node *node = data;
	node->ops.event(NODE_PROGRESS, text, NULL, node->ops.data);
}

void node_start(struct node *node)
{
	struct err err = ERR_INIT;
	const struct node_search_ops ops = {
		.progress = on_search_progress, .done = on_manifest, .data = node};
	node_tell(node, "manifest", 0);
	if (node_search_new(node->base, node->config, node->client, node->sources.cache, &ops,
		    &node->search, &err) < 0)
		fail(node, &err);
}

void node_start_cancel(struct node *node)
{
	node->search = node_search_free(node->search);
	node->gather = node_gather_free(node->gather);
	drop_items(node);
	catalog_done(&node->catalog);
}
