/* SPDX-License-Identifier: MIT */
/* Looks at the text of a name, and at whether a file is there. */
#include "acquire/name.h"

#include "base/path.h"
#include "nix/nix32.h"
#include "nix/store_path.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STORE_DIR "/nix/store"

void name_done(struct name *name)
{
	free(name->text);
	free(name->cache_url);
	*name = (struct name){0};
}

/* HASH, or HASH-NAME. */
static bool is_hash_name(const char *text, size_t len)
{
	if (len < STORE_PATH_HASH_LEN)
		return false;
	for (size_t i = 0; i < STORE_PATH_HASH_LEN; i++)
		if (!nix32_is_digit(text[i]))
			return false;
	return len == STORE_PATH_HASH_LEN || text[STORE_PATH_HASH_LEN] == '-';
}

bool name_is_hash(const char *text)
{
	return is_hash_name(text, strlen(text));
}

static bool is_url(const char *text)
{
	static const char *const schemes[] = {"https://", "http://", "file://", "s3://"};
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		if (strncmp(text, schemes[i], strlen(schemes[i])) == 0)
			return true;
	return false;
}

/* "URL/HASH?QUERY" is HASH in the cache "URL?QUERY"; ".narinfo" may stand behind the hash. */
static int parse_url(const char *text, struct name *name, struct err *err)
{
	static const char suffix[] = ".narinfo";
	size_t len = strcspn(text, "?"), end = len;
	if (end > sizeof(suffix) && memcmp(text + end - 8, suffix, 8) == 0)
		end -= 8;
	size_t start = end;
	while (start > 0 && text[start - 1] != '/')
		start--;
	if (!is_hash_name(text + start, end - start)) {
		err_raise(err, ERR_USAGE, "'%s' names no system in a binary cache", text);
		return err_hint(err,
			"behind the cache's URL stands the hash of its store path, as in "
			"https://cache.example.org/%s",
			"0c0v5k3dmhqjfq4m3hv3l2a2rlf4wxyb");
	}
	name->kind = NAME_CACHE;
	name->text = strndup(text + start, end - start);
	name->cache_url = path_printf(err, "%.*s%s", (int)start, text, text + len);
	if (name->text == NULL || name->cache_url == NULL)
		return err_clean(err) ? err_oom(err) : -1;
	return 0;
}

/* 1 and the link, which the caller owns, when there is one of that name. */
static int find_link(char *take_path, char **ret, struct err *err)
{
	struct stat st;
	AUTO_FREE char *path = take_path;
	if (path == NULL)
		return err_clean(err) ? err_oom(err) : -1;
	if (lstat(path, &st) < 0 || !S_ISLNK(st.st_mode))
		return 0;
	*ret = TAKE_PTR(path);
	return 1;
}

/* 1 and the profile's link, which the caller owns, when there is a profile of that name. */
static int find_profile(
	const char *text, const struct name_places *places, char **ret, struct err *err)
{
	static const char *const dirs[] = {"profiles", "profiles/system-profiles"};
	int found = places->own == NULL
		? 0
		: find_link(path_printf(err, "%s/%s", places->own, text), ret, err);
	for (size_t i = 0; i < ARRAY_LEN(dirs) && found == 0; i++)
		found = find_link(
			path_printf(err, "%s/nix/var/nix/%s/%s", places->store_root, dirs[i], text),
			ret, err);
	return found;
}

static bool has_default_nix(const char *dir)
{
	struct err ignored = ERR_INIT;
	AUTO_FREE char *path = path_printf(&ignored, "%s/default.nix", dir);
	return path != NULL && access(path, F_OK) == 0;
}

static int parse(
	const char *text, const struct name_places *places, struct name *name, struct err *err)
{
	struct stat st;
	size_t dir_len = strlen(STORE_DIR) + 1;
	if (is_url(text))
		return parse_url(text, name, err);
	if (store_path_len(text, STORE_DIR) == strlen(text) && text[0] != '\0')
		name->kind = NAME_STORE;
	else if (lstat(text, &st) == 0)
		/* What a link leads to is what is meant, be there a default.nix in it or not. */
		name->kind = S_ISDIR(st.st_mode) && has_default_nix(text) ? NAME_NIX : NAME_FILE;
	else if (strchr(text, '#') != NULL)
		name->kind = NAME_FLAKE;
	else if (is_hash_name(text, strlen(text)) && strchr(text, '/') == NULL)
		name->kind = NAME_HASH;
	else if (text[0] != '\0' && strchr(text, '/') == NULL) {
		int found = find_profile(text, places, &name->text, err);
		if (found != 0) {
			name->kind = NAME_PROFILE;
			return found < 0 ? -1 : 0;
		}
	}
	name->text = strdup(name->kind == NAME_STORE ? text + dir_len : text);
	return name->text != NULL ? 0 : err_oom(err);
}

int name_parse(
	const char *text, const struct name_places *places, struct name *ret, struct err *err)
{
	AUTO_NAME name = {.kind = NAME_FILE};
	if (parse(text, places, &name, err) < 0)
		return -1;
	*ret = name;
	name = (struct name){0};
	return 0;
}
