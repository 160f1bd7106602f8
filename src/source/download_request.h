/* SPDX-License-Identifier: MIT */
#ifndef SOURCE_DOWNLOAD_REQUEST_H
#define SOURCE_DOWNLOAD_REQUEST_H

/* One try of a download: how curl is asked, and what its answer means. Nobody else includes this
 * but download.c. */

#include "source/download.h"

#include <curl/curl.h>

struct download_request {
	CURL *curl; /* NULL: none is under way */
	struct curl_slist *headers;
	const char *url; /* borrowed */
	size_t header_bytes;
	char error[CURL_ERROR_SIZE];
};

struct download_ask {
	const char *url;
	const struct download_auth *auth;
	const char *netrc, *tls_trust; /* or NULL */
	unsigned stall_s;
	uint64_t from; /* bytes that are there already */
	curl_write_callback on_body;
	void *user;
};

/* Adds the request to `multi`. ERR_NOMEM. */
int download_request_begin(struct download_request *request, const struct download_ask *ask,
	CURLM *multi, struct err *err);
/* The answer is an error, and its body a text about it. */
bool download_request_refused(const struct download_request *request);
/* The answer begins where it was asked to. */
bool download_request_resumed(const struct download_request *request);
/* What the end of it means: 0 it is whole (*err untouched), -1 and *err it failed, 1 and *err it
 * failed but may succeed another time. Drops the request. */
int download_request_end(
	struct download_request *request, CURLM *multi, CURLcode code, struct err *err);
/* Forgets it, whatever its state. */
void download_request_drop(struct download_request *request, CURLM *multi);

#endif
