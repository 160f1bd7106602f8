/* SPDX-License-Identifier: MIT */
/*
 * The system that a URL names: one that is served, or with --any-system any other that the local
 * store has, which is served from then on. So a server that was started again still knows what it
 * sent machines to.
 */
#include "base/log.h"
#include "base/path.h"
#include "nix/store_path.h"
#include "serve/parts.h"

#include <sys/stat.h>

#define STORE_DIR "/nix/store"

/* What else is in a store would only be packed to find that it does not boot. */
static bool is_system(const struct origin *o, const char *toplevel)
{
	static const char *const parts[] = {"", "/init", "/kernel"};
	const char *dir = acquirer_real_store(o->options.boot->acquirer);
	struct err ignored = ERR_INIT;
	if (store_path_check(toplevel, STORE_DIR, &ignored) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		struct stat st;
		AUTO_FREE char *path =
			path_printf(&ignored, "%s/%s%s", dir, path_basename(toplevel), parts[i]);
		if (path == NULL || lstat(path, &st) < 0 || (i == 0 && !S_ISDIR(st.st_mode)))
			return false;
	}
	return true;
}

struct version *origin_system(struct origin *o, const char *name, size_t len)
{
	struct err err = ERR_INIT;
	struct version *v = systems_find(o->systems, name, len);
	bool failed = v != NULL && v->boot == NULL && !err_clean(&v->failure);
	if (!o->options.any_system || (v != NULL && !failed))
		return v;
	AUTO_FREE char *toplevel = path_printf(&err, STORE_DIR "/%.*s", (int)len, name);
	if (toplevel == NULL || !is_system(o, toplevel))
		return v;
	const struct demand demand = {.system = toplevel};
	if (systems_demand(o->systems, &demand, &v, &err) < 0)
		log_warning("cannot serve '%s': %s", toplevel, err.msg);
	return v;
}
