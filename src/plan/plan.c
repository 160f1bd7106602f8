/* SPDX-License-Identifier: MIT */
/*
 * The hand-over plan as a value, and its text. The text is lines of `key value`, so that it can be
 * read in a rescue shell; docs/formats/plan.md has every key. decode.c reads what this writes.
 */
#include "plan/plan.h"

#include "plan/text.h"

#include <inttypes.h>
#include <string.h>

const char *system_kind_name(enum system_kind kind)
{
	switch (kind) {
	case SYSTEM_SCRIPTED:
		return "scripted";
	case SYSTEM_SYSTEMD:
		return "systemd";
	case SYSTEM_NIXOS_INIT:
		return "nixos-init";
	}
	return "unknown";
}

void plan_done(struct plan *plan)
{
	free(plan->system);
	free(plan->image);
	VEC_FOREACH(part, &plan->parts)
		free(part->name);
	vec_done(&plan->parts);
	free(plan->database);
	strvec_done(&plan->store_mount_opts);
	free(plan->firmware);
	free(plan->modprobe_binary);
	free(plan->sh_binary);
	free(plan->env_binary);
	free(plan->etc_metadata_image);
	free(plan->etc_basedir);
	*plan = (struct plan){0};
}

/* A NULL value writes nothing; a line break in one would be read back as another line. */
static int put_line(struct buf *out, const char *key, const char *value, struct err *err)
{
	if (value == NULL)
		return 0;
	if (value[0] == '\0' || strchr(value, '\n') != NULL)
		return err_raise(err, ERR_UNSUPPORTED,
			"plan: the value of '%s' is empty or has a line break: '%s'", key, value);
	return buf_printf(out, err, "%s %s\n", key, value);
}

static int put_part(struct buf *out, const struct plan_part *part, struct err *err)
{
	char hex[DIGEST_HEX_SIZE];
	if (buf_printf(out, err, "part %" PRIu64 " %" PRIu64 " %s", part->off, part->len,
		    digest_hex(&part->digest, hex)) < 0)
		return -1;
	if (part->name == NULL)
		return buf_put_str(out, "\n", err);
	if (part->name[0] == '\0' || strchr(part->name, '\n') != NULL)
		return err_raise(err, ERR_UNSUPPORTED,
			"plan: the name of a part is empty or has a line break: '%s'", part->name);
	return buf_printf(out, err, " %s\n", part->name);
}

int plan_encode(const struct plan *plan, struct buf *out, struct err *err)
{
	if (plan->system == NULL || plan->image == NULL)
		return err_raise(err, ERR_BUG, "plan: without a system or an image");
	if (buf_put_str(out, PLAN_TEXT_FIRST_LINE "\n", err) < 0 ||
		put_line(out, "kind", system_kind_name(plan->kind), err) < 0 ||
		put_line(out, "system", plan->system, err) < 0 ||
		put_line(out, "image", plan->image, err) < 0 ||
		buf_printf(out, err, "image-size %" PRIu64 "\n", plan->image_size) < 0 ||
		put_line(out, "database", plan->database, err) < 0)
		return -1;
	for (size_t i = 0; i < plan->store_mount_opts.len; i++)
		if (put_line(out, "store-mount-opt", plan->store_mount_opts.items[i], err) < 0)
			return -1;
	if (put_line(out, "firmware", plan->firmware, err) < 0 ||
		put_line(out, "modprobe-binary", plan->modprobe_binary, err) < 0 ||
		put_line(out, "sh-binary", plan->sh_binary, err) < 0 ||
		put_line(out, "env-binary", plan->env_binary, err) < 0 ||
		put_line(out, "etc-metadata-image", plan->etc_metadata_image, err) < 0 ||
		put_line(out, "etc-basedir", plan->etc_basedir, err) < 0)
		return -1;
	for (size_t i = 0; i < plan->parts.len; i++)
		if (put_part(out, &plan->parts.items[i], err) < 0)
			return -1;
	return buf_put_str(out, PLAN_TEXT_LAST_LINE "\n", err);
}
