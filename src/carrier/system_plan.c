/* SPDX-License-Identifier: MIT */
/* Copies out of a system package what stage 1 must know, and no more: it never reads one. */
#include "carrier/system_plan.h"

#include <string.h>

static int copy_str(const char *from, char **ret, struct err *err)
{
	if (from == NULL)
		return 0;
	*ret = strdup(from);
	return *ret != NULL ? 0 : err_oom(err);
}

static int put_parts(const struct root *root, bool verified, struct plan *plan, struct err *err)
{
	VEC_FOREACH(part, &root->layout.parts) {
		struct plan_part copy = {
			.off = part->off, .len = part->len, .digest = part->digest};
		if (verified && part->name != NULL)
			continue;
		if (copy_str(part->name, &copy.name, err) < 0)
			return -1;
		if (vec_push(&plan->parts, copy, err) < 0) {
			free(copy.name);
			return -1;
		}
	}
	return 0;
}

int system_plan(const struct system *system, const struct root *root,
	const struct system_plan_place *place, struct plan *ret, struct err *err)
{
	AUTO_PLAN plan = {.kind = system->kind, .image_size = root->image.size};
	const struct {
		const char *from;
		char **to;
	} texts[] = {
		{system->path, &plan.system},
		{place->image, &plan.image},
		{place->database, &plan.database},
		{system->init_firmware, &plan.firmware},
		{system->modprobe_binary, &plan.modprobe_binary},
		{system->sh_binary, &plan.sh_binary},
		{system->env_binary, &plan.env_binary},
		{system->etc_metadata_image, &plan.etc_metadata_image},
		{system->etc_basedir, &plan.etc_basedir},
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (copy_str(texts[i].from, texts[i].to, err) < 0)
			return -1;
	for (size_t i = 0; i < system->store_mount_opts.len; i++)
		if (strvec_push(&plan.store_mount_opts, system->store_mount_opts.items[i], err) < 0)
			return -1;
	if (put_parts(root, place->verified, &plan, err) < 0)
		return -1;
	*ret = plan;
	plan = (struct plan){0};
	return 0;
}
