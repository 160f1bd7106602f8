/* SPDX-License-Identifier: MIT */
/* What the cache is made with is the store of this host; the server sees an empty folder there. */
#include "cached.h"

#include "base/path.h"
#include "vm/child.h"

#include <string.h>

#define PORT "8099"
#define HASH_LEN 32

static int make(const char *dir, const char *system, char **ret_key, struct err *err)
{
	const char *program = getenv("SNOWBOOT");
	program = program != NULL ? program : "build/src/cli/snowboot";
	AUTO_FREE char *command = path_printf(err,
		"rm -rf '%s' && mkdir -p '%s' && '%s' key generate -q -o '%s/secret' lab-1 && "
		"'%s' copy -q --key '%s/secret' --to '%s/cache' '%s' >&2 && rm -rf '%s/pool' && "
		"'%s' key public '%s/secret'",
		dir, dir, program, dir, program, dir, dir, system, dir, program, dir);
	AUTO_FREE char *key = NULL;
	if (command == NULL || lab_run(command, &key, err) < 0)
		return -1;
	/* Its last line. */
	char *end = key + strlen(key);
	while (end > key && end[-1] == '\n')
		*--end = '\0';
	const char *line = strrchr(key, '\n');
	*ret_key = strdup(line != NULL ? line + 1 : key);
	return *ret_key != NULL ? 0 : err_oom(err);
}

static int start_web(struct lab *lab, const char *dir, struct err *err)
{
	AUTO_STRVEC argv = {0};
	AUTO_FREE char *output = NULL;
	AUTO_FREE char *command = path_printf(err,
		"exec python3 -m http.server --bind 127.0.0.1 --directory '%s/cache' " PORT
		" >/dev/null 2>&1",
		dir);
	if (command == NULL || strvec_push(&argv, "sh", err) < 0 ||
		strvec_push(&argv, "-c", err) < 0 || strvec_push(&argv, command, err) < 0 ||
		child_start(&argv, NULL, 0, &lab->web, err) < 0)
		return -1;
	return lab_run("for i in $(seq 100); do curl -sf -o /dev/null "
		       "http://127.0.0.1:" PORT
		       "/nix-cache-info && exit 0; sleep 0.1; done; exit 1",
		&output, err);
}

int cached_make(struct lab *lab, const char *system, enum cached_by by, struct strvec *words,
	struct err *err)
{
	AUTO_FREE char *relative = path_printf(err, "%s/cached", lab->dir);
	AUTO_FREE char *key = NULL;
	if (relative == NULL || make(relative, system, &key, err) < 0)
		return -1;
	AUTO_FREE char *dir = realpath(relative, NULL);
	if (dir == NULL)
		return err_sys(err, "cannot find '%s'", relative);
	if (by == CACHED_HTTP && start_web(lab, dir, err) < 0)
		return -1;
	const char *hash = path_basename(system);
	AUTO_FREE char *name = by == CACHED_HTTP
		? path_printf(err, "http://127.0.0.1:" PORT "/%.*s", HASH_LEN, hash)
		: path_printf(err, "file://%s/cache/%.*s", dir, HASH_LEN, hash);
	AUTO_FREE char *pool = path_printf(err, "%s/pool", dir);
	/* What it packs is packed quickly; the other tests have the level of everybody. */
	const char *const all[] = {name, "--trusted-key", key, "--pool", pool, "--level", "1"};
	if (name == NULL || pool == NULL)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (strvec_push(words, all[i], err) < 0)
			return -1;
	lab->hides_store = true;
	lab_step(lab, "the system is in a binary cache");
	return 0;
}
