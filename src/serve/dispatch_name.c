/* SPDX-License-Identifier: MIT */
/* Parts become file names and URLs, so what may stand in them is counted up, not excluded. */
#include "serve/dispatch_name.h"

#include "base/path.h"

#include <string.h>

void dispatch_name_done(struct dispatch_name *name)
{
	for (size_t i = 0; i < ARRAY_LEN(name->parts); i++)
		free(name->parts[i]);
	free(name->path);
}

/* What may be part of a file name and of a URL. */
static bool is_part(const char *text, size_t len)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+:";
	return len > 0 && len <= 255 && text[0] != '.' && strspn(text, allowed) >= len;
}

bool dispatch_name_is_part(const char *text)
{
	return is_part(text, strlen(text));
}

int dispatch_name_parse(const char *rest, struct dispatch_name *ret, struct err *err)
{
	static const struct {
		const char *word;
		size_t parts;
	} kinds[] = {
		[DISPATCH_PROFILE] = {"profile/", 1},
		[DISPATCH_CONFIGURATION] = {"configuration/", 1},
		[DISPATCH_HYDRA] = {"hydra/", 4},
	};
	size_t kind = 0, len;
	while (kind < ARRAY_LEN(kinds) &&
		strncmp(rest, kinds[kind].word, strlen(kinds[kind].word)) != 0)
		kind++;
	if (kind == ARRAY_LEN(kinds))
		return 0;
	ret->kind = (enum dispatch_kind)kind;
	const char *p = rest + strlen(kinds[kind].word);
	for (size_t i = 0; i < kinds[kind].parts; i++, p += len) {
		p += i > 0 && *p == '/';
		len = strcspn(p, "/");
		if (!is_part(p, len))
			return 0;
		ret->parts[i] = strndup(p, len);
		if (ret->parts[i] == NULL)
			return err_oom(err);
	}
	ret->log = kind != DISPATCH_PROFILE && strcmp(p, "/log") == 0;
	if (*p != '\0' && !ret->log)
		return 0;
	ret->path = path_printf(err, "/dispatch/%.*s", (int)(p - rest), rest);
	return ret->path != NULL ? 1 : -1;
}
