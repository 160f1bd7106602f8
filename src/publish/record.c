/* SPDX-License-Identifier: MIT */
/* The record's text begins with a line that says what it is and ends with "end". */
#include "publish/record.h"

#include "base/path.h"

#include <string.h>

#define FIRST_LINE "snowboot-published 1"
#define LAST_LINE "end"
#define RECORD_MAX ((size_t)256 << 20) /* a line has some 80 bytes */

static int damaged(const char *name, struct err *err)
{
	err_raise(err, ERR_CORRUPT, "the record of '%s' is damaged", name);
	return err_hint(err, "publish '%s' again to have it written anew", name);
}

static int decode(char *text, const char *name, struct strvec *files, struct err *err)
{
	char *save = NULL;
	const char *line = strtok_r(text, "\n", &save);
	if (line == NULL || strcmp(line, FIRST_LINE) != 0)
		return damaged(name, err);
	while ((line = strtok_r(NULL, "\n", &save)) != NULL) {
		if (strcmp(line, LAST_LINE) == 0)
			return 0;
		if (strvec_push(files, line, err) < 0)
			return -1;
	}
	return damaged(name, err);
}

int record_read(struct target *target, const char *name, struct strvec *ret, struct err *err)
{
	AUTO_FREE char *path = path_printf(err, RECORD_FOLDER "%s", name);
	AUTO_BUF text = {0};
	if (path == NULL)
		return -1;
	int found = target->ops->get(target, path, RECORD_MAX, &text, err);
	if (found <= 0)
		return found;
	char *str = buf_str(&text, err);
	return str == NULL || decode(str, name, ret, err) < 0 ? -1 : 1;
}

int record_write(struct target *target, const char *name, struct strvec *files, struct err *err)
{
	AUTO_FREE char *path = path_printf(err, RECORD_FOLDER "%s", name);
	AUTO_BUF text = {0};
	strvec_sort(files);
	if (path == NULL || buf_put_str(&text, FIRST_LINE "\n", err) < 0)
		return -1;
	for (size_t i = 0; i < files->len; i++)
		if ((i == 0 || strcmp(files->items[i], files->items[i - 1]) != 0) &&
			buf_printf(&text, err, "%s\n", files->items[i]) < 0)
			return -1;
	if (buf_put_str(&text, LAST_LINE "\n", err) < 0)
		return -1;
	const struct target_file file = {
		.name = path, .data = text.data, .size = text.len, .type = "text/plain"};
	return target->ops->put(target, &file, err);
}
