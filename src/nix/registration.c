/* SPDX-License-Identifier: MIT */
/* The registration text of a closure. */
#include "nix/registration.h"

int registration_encode(const struct closure *closure, struct buf *out, struct err *err)
{
	for (size_t i = 0; i < closure->len; i++) {
		const struct path_info *info = &closure->items[i];
		char hash[DIGEST_HEX_SIZE];
		if (buf_printf(out, err, "%s\n%s\n%llu\n%s\n%zu\n", info->path,
			    digest_hex(&info->nar_hash, hash), (unsigned long long)info->nar_size,
			    info->deriver != NULL ? info->deriver : "", info->ref_count) < 0)
			return -1;
		for (size_t r = 0; r < info->ref_count; r++)
			if (buf_printf(out, err, "%s\n", closure->items[info->refs[r]].path) < 0)
				return -1;
	}
	return 0;
}
