/* SPDX-License-Identifier: MIT */
/*
 * The order of publishing. Objects come first, under names that never change. Then, for each name,
 * a record of what both the old and the new issue need, the files that a boot loader takes, and the
 * manifest and the script last: those are the switch. A machine that boots at any moment finds
 * either the old system whole or the new one.
 */
#include "publish/publish.h"

#include "base/path.h"
#include "publish/record.h"
#include "publish/uploads.h"
#include "serve/profiles.h"
#include "serve/script.h"

#include <string.h>

struct run {
	struct target *target;
	const struct publish_params *params;
	struct publish_result *result;
	struct target_list objects; /* that are there */
};

static char *object_name(const struct digest *digest, struct err *err)
{
	char hex[DIGEST_HEX_SIZE];
	digest_hex(digest, hex);
	return path_printf(err, "v1/objects/%.2s/%s", hex, hex);
}

static int put_text(struct run *run, const char *name, const char *type, const void *data,
	size_t size, struct err *err)
{
	const struct target_file file = {.name = name, .data = data, .size = size, .type = type};
	run->result->files++;
	run->result->bytes += size;
	return run->target->ops->put(run->target, &file, err);
}

/* The objects of one boot that are not there. */
static int find_missing(
	struct run *run, const struct boot *boot, struct uploads *uploads, struct err *err)
{
	VEC_FOREACH(object, &boot->objects.objects) {
		AUTO_FREE char *name = object_name(&object->digest, err);
		if (name == NULL)
			return -1;
		const struct target_entry *there = target_list_find(&run->objects, name);
		if (there != NULL && there->size == object->size) {
			run->result->kept++;
			run->result->kept_bytes += object->size;
			continue;
		}
		const struct upload upload = {.name = name,
			.path = object->path,
			.size = object->size,
			.digest = &object->digest};
		if (uploads_add(uploads, &upload, err) < 0)
			return -1;
	}
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct upload *)a)->name, ((const struct upload *)b)->name);
}

/* Several systems have much in common. */
static void drop_duplicates(struct uploads *uploads)
{
	size_t kept = 0;
	struct upload *items = uploads->items.items;
	if (uploads->items.len > 1)
		qsort(items, uploads->items.len, sizeof(*items), compare_names);
	for (size_t i = 0; i < uploads->items.len; i++) {
		if (kept == 0 || strcmp(items[kept - 1].name, items[i].name) != 0) {
			items[kept++] = items[i];
			continue;
		}
		uploads->bytes -= items[i].size;
		free(items[i].name);
	}
	uploads->items.len = kept;
}

static int put_objects(struct run *run, struct boot *const *boots, size_t count,
	struct progress *progress, struct err *err)
{
	AUTO_UPLOADS uploads = {0};
	for (size_t i = 0; i < count; i++)
		if (find_missing(run, boots[i], &uploads, err) < 0)
			return -1;
	drop_duplicates(&uploads);
	run->result->files += uploads.items.len;
	run->result->bytes += uploads.bytes;
	return uploads_run(&uploads, run->target, progress, err);
}

/* The profile is not signed and not needed: a failure to make one is none of ours. */
static int put_profile(
	struct run *run, const struct boot *boot, struct strvec *files, struct err *err)
{
	struct profiles *profiles = NULL;
	struct profile profile = {0};
	AUTO_BUF bytes = {0};
	char hex[DIGEST_HEX_SIZE];
	if (run->params->profiles_dir == NULL)
		return 0;
	if (profiles_open(run->params->profiles_dir, &profiles, err) < 0)
		return -1;
	int r = profiles_get(profiles, &boot->catalog_digest, &boot->objects, &profile, err);
	if (r > 0)
		r = profile_encode(&profile, &bytes, err) < 0 ? -1 : 1;
	profile_done(&profile);
	profiles_close(profiles);
	if (r <= 0)
		return r;
	AUTO_FREE char *name =
		path_printf(err, "v1/profiles/%s", digest_hex(&boot->catalog_digest, hex));
	if (name == NULL || strvec_push(files, name, err) < 0)
		return -1;
	return put_text(run, name, "application/octet-stream", bytes.data, bytes.len, err);
}

/* Every file that a name needs, beside its manifest and script. */
static int list_files(
	const struct boot *boot, const char *name, struct strvec *files, struct err *err)
{
	VEC_FOREACH(object, &boot->objects.objects)
		if (strvec_push_take(files, object_name(&object->digest, err), err) < 0)
			return -1;
	static const char *const loaded[] = {"netboot.ipxe", "bzImage", "initrd"};
	for (size_t i = 0; i < ARRAY_LEN(loaded); i++)
		if (strvec_push_take(files, path_printf(err, "boot/%s/%s", name, loaded[i]), err) <
			0)
			return -1;
	return 0;
}

/* In a record, says which bytes bzImage and initrd have; no name of a file has a colon. */
#define MARK "loaded:"

static char *loaded_mark(const struct boot *boot, struct err *err)
{
	const struct catalog_file *kernel = catalog_file(&boot->catalog, "kernel");
	const struct catalog_file *initramfs = catalog_file(&boot->catalog, "initramfs");
	char a[DIGEST_HEX_SIZE], b[DIGEST_HEX_SIZE];
	if (kernel == NULL || initramfs == NULL) {
		err_raise(err, ERR_BUG, "catalog of '%s' without a kernel or an initramfs",
			boot->name);
		return NULL;
	}
	return path_printf(err, MARK "%s:%s", digest_hex(&kernel->blob.digest, a),
		digest_hex(&initramfs->blob.digest, b));
}

/*
 * Keeps also what the issue needs that is there now, until the switch. *ret_same: bzImage and
 * initrd are those of `mark` already. From here to the last record nothing is said of them.
 */
static int write_union(struct run *run, const char *name, const struct strvec *files,
	const char *mark, bool *ret_same, struct err *err)
{
	AUTO_STRVEC old = {0}, all = {0};
	struct err local = ERR_INIT;
	if (record_read(run->target, name, &old, &local) < 0 && local.kind != ERR_CORRUPT) {
		*err = local;
		return -1;
	}
	/* A damaged one is written anew; what only it knew of is collected. */
	*ret_same = err_clean(&local) && strvec_has(&old, mark);
	for (size_t i = 0; i < old.len; i++)
		if (strncmp(old.items[i], MARK, strlen(MARK)) != 0 &&
			strvec_push(&all, old.items[i], err) < 0)
			return -1;
	for (size_t i = 0; i < files->len; i++)
		if (strvec_push(&all, files->items[i], err) < 0)
			return -1;
	return record_write(run->target, name, &all, err);
}

/* bzImage and initrd under names that boot loaders of every kind can be told; the script takes the
 * objects, so that the two always belong together. */
static int put_loaded(struct run *run, const struct boot *boot, const char *name, struct err *err)
{
	static const struct {
		const char *file, *source;
	} loaded[] = {{"bzImage", "kernel"}, {"initrd", "initramfs"}};
	AUTO_UPLOADS uploads = {0};
	for (size_t i = 0; i < ARRAY_LEN(loaded); i++) {
		const struct catalog_file *source = catalog_file(&boot->catalog, loaded[i].source);
		const struct object *object = source != NULL
			? object_set_find(&boot->objects, &source->blob.digest)
			: NULL;
		if (object == NULL)
			return err_raise(err, ERR_BUG, "catalog of '%s' without '%s'", boot->name,
				loaded[i].source);
		AUTO_FREE char *file = path_printf(err, "boot/%s/%s", name, loaded[i].file);
		const struct upload upload = {
			.name = file, .path = object->path, .size = object->size};
		if (file == NULL || uploads_add(&uploads, &upload, err) < 0)
			return -1;
	}
	run->result->files += uploads.items.len;
	run->result->bytes += uploads.bytes;
	return uploads_run(&uploads, run->target, NULL, err);
}

static int put_script(struct run *run, const struct boot *boot, const char *name, struct err *err)
{
	const char *url = run->params->url;
	AUTO_BUF text = {0};
	AUTO_FREE char *file = path_printf(err, "boot/%s/netboot.ipxe", name);
	if (file == NULL)
		return -1;
	/* One that was written before would go on naming the old kernel. */
	if (url == NULL)
		return run->target->ops->remove(run->target, file, err);
	const struct catalog_file *kernel = catalog_file(&boot->catalog, "kernel");
	const struct catalog_file *initramfs = catalog_file(&boot->catalog, "initramfs");
	AUTO_FREE char *kernel_object = object_name(&kernel->blob.digest, err);
	AUTO_FREE char *initrd_object = object_name(&initramfs->blob.digest, err);
	if (kernel_object == NULL || initrd_object == NULL)
		return -1;
	AUTO_FREE char *kernel_url = path_printf(err, "%s/%s", url, kernel_object);
	AUTO_FREE char *initrd_url = path_printf(err, "%s/%s", url, initrd_object);
	if (kernel_url == NULL || initrd_url == NULL)
		return -1;
	const struct script_net script = {.name = boot->name,
		.kernel = kernel_url,
		.initrd = initrd_url,
		.cmdline = boot->cmdline,
		.origin = url};
	if (script_put_net(&script, &text, err) < 0)
		return -1;
	return put_text(run, file, "text/plain", text.data, text.len, err);
}

/* Switches one name to a boot. */
static int publish_name(struct run *run, const struct boot *boot, const char *name,
	const struct issue *issue, struct err *err)
{
	AUTO_STRVEC files = {0};
	AUTO_FREE char *manifest = path_printf(err, "v1/manifests/%s", name);
	AUTO_FREE char *mark = loaded_mark(boot, err);
	bool same;
	if (manifest == NULL || mark == NULL || list_files(boot, name, &files, err) < 0 ||
		put_profile(run, boot, &files, err) < 0 ||
		write_union(run, name, &files, mark, &same, err) < 0 ||
		run->target->ops->flush(run->target, err) < 0)
		return -1;
	if ((!same && put_loaded(run, boot, name, err) < 0) ||
		put_text(run, manifest, "text/plain", issue->text, issue->len, err) < 0 ||
		put_script(run, boot, name, err) < 0 ||
		run->target->ops->flush(run->target, err) < 0)
		return -1;
	if (strvec_push(&files, mark, err) < 0 || record_write(run->target, name, &files, err) < 0)
		return -1;
	return run->target->ops->flush(run->target, err);
}

int publish_boots(struct target *target, const struct publish_params *params,
	struct boot *const *boots, size_t count, struct progress *progress,
	struct publish_result *result, struct err *err)
{
	struct run run = {.target = target, .params = params, .result = result};
	AUTO_TARGET_LIST there = {0};
	if (target->ops->list(target, "v1/objects/", &there, err) < 0)
		return -1;
	run.objects = there; /* borrowed */
	if (put_objects(&run, boots, count, progress, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		const struct boot *boot = boots[i];
		if (publish_name(&run, boot, boot->name, &boot->own, err) < 0)
			return -1;
		if (boot->as_default.text != NULL &&
			publish_name(&run, boot, params->alias, &boot->as_default, err) < 0)
			return -1;
	}
	return 0;
}
