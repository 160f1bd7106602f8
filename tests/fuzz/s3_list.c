/* SPDX-License-Identifier: MIT */
/* A list of a bucket that is read has names that came from it, each of which is found again. */
#include "target.h"

#include "publish/s3.h"

#include <string.h>

bool target_run(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	AUTO_TARGET_LIST list = {0};
	AUTO_FREE char *token = NULL;
	AUTO_FREE char *xml = strndup((const char *)data, size);
	expect(xml != NULL);
	int r = s3_list_page(xml, "p/", &list, &token, &err);
	expect((r < 0) == !err_clean(&err) && (r > 0) == (token != NULL));
	target_list_sort(&list);
	VEC_FOREACH(entry, &list.entries) {
		expect(strlen(entry->name) < size);
		expect(strcmp(target_list_find(&list, entry->name)->name, entry->name) == 0);
	}
	AUTO_FREE char *text = s3_error_text(xml);
	/* The message may stand within the code, and is then told twice. */
	expect(text == NULL || strlen(text) <= 2 * strlen(xml) + 2);
	return r >= 0 || text != NULL;
}
