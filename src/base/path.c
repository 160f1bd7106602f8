/* SPDX-License-Identifier: MIT */
/* File names as strings. */
#include "base/path.h"

#include "base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

char *path_printf(struct err *err, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	va_start(ap, fmt);
	int len = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (len >= 0)
		return text;
	err_oom(err);
	return NULL;
}

const char *path_basename(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash != NULL ? slash + 1 : path;
}

int path_mkdirs(const char *path, struct err *err)
{
	AUTO_FREE char *copy = strdup(path);
	if (copy == NULL)
		return err_oom(err);
	/* The root itself is there; an empty path is mkdir()'s to refuse. */
	for (char *p = copy + (copy[0] == '/');; p++) {
		if (*p != '/' && *p != '\0')
			continue;
		char end = *p;
		*p = '\0';
		if (mkdir(copy, 0777) < 0 && errno != EEXIST && (end == '\0' || errno != EROFS))
			return err_sys(err, "cannot create directory '%s'", copy);
		if (end == '\0')
			return 0;
		*p = end;
	}
}
