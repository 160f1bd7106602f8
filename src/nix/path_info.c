/* SPDX-License-Identifier: MIT */
/* Store path facts as plain data; where they come from is source/'s business. */
#include "nix/path_info.h"

#include "base/path.h"

void path_info_done(struct path_info *info)
{
	free(info->path);
	free(info->deriver);
	free(info->refs);
	free(info->sigs);
	free(info->ca);
	*info = (struct path_info){0};
}

void closure_done(struct closure *closure)
{
	for (size_t i = 0; i < closure->len; i++)
		path_info_done(&closure->items[i]);
	free(closure->items);
	free(closure->store_dir);
	free(closure->real_dir);
	*closure = (struct closure){0};
}

uint64_t closure_nar_size(const struct closure *closure)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < closure->len; i++)
		sum += closure->items[i].nar_size;
	return sum;
}

char *closure_real_path(const struct closure *closure, size_t i, struct err *err)
{
	return path_printf(err, "%s/%s", closure->real_dir, path_basename(closure->items[i].path));
}
