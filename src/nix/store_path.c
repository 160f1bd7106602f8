/* SPDX-License-Identifier: MIT */
/* What a store path may look like. Whether it exists is for others to know. */
#include "nix/store_path.h"

#include "nix/nix32.h"

#include <string.h>

static bool is_name_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c != '\0' && strchr("+-._?=", c) != NULL);
}

/* Names that a file system or a shell could take for "." or ".." with something behind. */
static bool is_dotty(const char *name, size_t len)
{
	size_t dots = strspn(name, ".");
	return (dots == 1 || dots == 2) && (dots == len || name[dots] == '-');
}

/* How many characters of `text` form "<hash>-<name>". */
static size_t base_len(const char *text)
{
	for (size_t i = 0; i < STORE_PATH_HASH_LEN; i++)
		if (!nix32_is_digit(text[i]))
			return 0;
	if (text[STORE_PATH_HASH_LEN] != '-')
		return 0;
	const char *name = text + STORE_PATH_HASH_LEN + 1;
	size_t len = 0;
	while (len <= STORE_PATH_NAME_MAX && is_name_char(name[len]))
		len++;
	if (len == 0 || len > STORE_PATH_NAME_MAX || is_dotty(name, len))
		return 0;
	return STORE_PATH_HASH_LEN + 1 + len;
}

size_t store_path_len(const char *path, const char *store_dir)
{
	size_t dir_len = strlen(store_dir);
	if (strncmp(path, store_dir, dir_len) != 0 || path[dir_len] != '/')
		return 0;
	size_t len = base_len(path + dir_len + 1);
	if (len == 0)
		return 0;
	len += dir_len + 1;
	return path[len] == '\0' || path[len] == '/' ? len : 0;
}

int store_path_check(const char *path, const char *store_dir, struct err *err)
{
	size_t len = store_path_len(path, store_dir);
	if (len == 0 || path[len] != '\0')
		return err_raise(err, ERR_CORRUPT, "'%s' is not a store path", path);
	return 0;
}
