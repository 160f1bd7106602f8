/* SPDX-License-Identifier: MIT */
#ifndef PUBLISH_S3_H
#define PUBLISH_S3_H

/* Pieces of the S3 protocol that need no network. */

#include "publish/target.h"

/*
 * Reads one page of ListObjectsV2's answer (Amazon S3 API, version 2006-03-01): adds keys without
 * `prefix` to the list. 1 and *ret_token, which the caller owns, when there are more pages; 0 when
 * there are not. ERR_CORRUPT for anything that is no such answer.
 */
int s3_list_page(const char *xml, const char *prefix, struct target_list *list, char **ret_token,
	struct err *err);

/* What an error answer says about itself: "AccessDenied: Access Denied"; caller owns; NULL when it
 * says nothing or there is no memory. */
char *s3_error_text(const char *xml);

/* Appends text with everything but letters, digits and -._~ (and '/', unless `slashes` is false) as
 * %XX, as SigV4 wants a path and a query to be. */
int s3_escape(const char *text, bool slashes, struct buf *out, struct err *err);

#endif
