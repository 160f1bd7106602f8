/* SPDX-License-Identifier: MIT */
#ifndef HTTP_RANGE_H
#define HTTP_RANGE_H

/* Byte ranges and validators: RFC 9110, sections 13 and 14. */

#include <stdbool.h>
#include <stdint.h>

enum http_range_result {
	HTTP_RANGE_WHOLE,         /* none, not understood, or several: send everything */
	HTTP_RANGE_PART,          /* send [off, off + len) */
	HTTP_RANGE_UNSATISFIABLE, /* begins beyond the end: 416 */
};

/*
 * Reads the value of a Range field (NULL: none) against `size` bytes. Several ranges are answered
 * with the whole, as section 14.2 allows: no boot loader asks for them, and multipart answers are
 * what overloads servers (CVE-2011-3192).
 */
enum http_range_result http_range_parse(
	const char *value, uint64_t size, uint64_t *ret_off, uint64_t *ret_len);

/*
 * True when the list of an If-None-Match field has `etag` (with its quotes) by weak comparison, or
 * is "*".
 */
bool http_etag_listed(const char *list, const char *etag);

/*
 * True when an If-Range field lets the Range count: strong comparison, so a weak tag or a date
 * (which we never send) does not.
 */
bool http_if_range_holds(const char *value, const char *etag);

#endif
