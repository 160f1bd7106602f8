/* SPDX-License-Identifier: MIT */
#ifndef STATUS_PAGE_H
#define STATUS_PAGE_H

/* What /v1/status of an origin or a node answers, as a page of text for people. */

#include "base/buf.h"

/* `source` is what the first line names. ERR_CORRUPT when it is no such JSON. */
int status_page(
	const char *source, const void *json, size_t size, struct buf *out, struct err *err);

#endif
