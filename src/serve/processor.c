/* SPDX-License-Identifier: MIT */
/*
 * Where systems of several processors are served, a machine without an entry gets the first that
 * its processor runs. Read from the systems themselves each time: a profile may be switched to
 * another, and it is one small file.
 */
#include "base/fd.h"
#include "base/path.h"
#include "serve/parts.h"
#include "serve/payload.h"

#include <fcntl.h>
#include <string.h>

/*
 * What a toplevel is for, "aarch64-linux", which the caller owns; NULL: it does not say, or lies
 * elsewhere still.
 */
static char *platform_of(const struct origin *o, const char *toplevel)
{
	struct err err = ERR_INIT;
	const char *name = path_basename(toplevel);
	const struct version *v = systems_find(o->systems, name, strlen(name));
	if (v != NULL && v->boot != NULL)
		return v->boot->system[0] != '\0' ? strdup(v->boot->system) : NULL;
	const char *store = o->rules.real_store;
	char *text = NULL;
	AUTO_FREE char *path = store != NULL
		? path_printf(&err, "%s/%s/system", store, path_basename(toplevel))
		: path_printf(&err, "%s/system", toplevel);
	if (path == NULL || fd_read_line_file(AT_FDCWD, path, &text, &err) < 0)
		return NULL;
	return text;
}

bool processor_runs(const struct origin *o, const char *arch, const char *toplevel)
{
	AUTO_FREE char *platform = arch[0] != '\0' ? platform_of(o, toplevel) : NULL;
	return payload_runs(arch, platform);
}

const char *processor_first(const struct origin *o, const char *arch)
{
	for (size_t i = 0; i < systems_count(o->systems); i++) {
		const struct served *s = systems_at(o->systems, i);
		if (s->demanded == NULL && processor_runs(o, arch, s->versions[0].toplevel))
			return s->versions[0].toplevel;
	}
	return NULL;
}

bool processor_matters(const struct origin *o)
{
	AUTO_FREE char *first = NULL;
	for (size_t i = 0; i < systems_count(o->systems); i++) {
		const struct served *s = systems_at(o->systems, i);
		AUTO_FREE char *platform =
			s->demanded == NULL ? platform_of(o, s->versions[0].toplevel) : NULL;
		if (first != NULL && platform != NULL && strcmp(first, platform) != 0)
			return true;
		if (first == NULL)
			first = TAKE_PTR(platform);
	}
	return false;
}
