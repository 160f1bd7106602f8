/* SPDX-License-Identifier: MIT */
#ifndef SOURCE_DOWNLOAD_H
#define SOURCE_DOWNLOAD_H

/*
 * Many files at once from http, https and file URLs, by libcurl: its proxies, netrc, TLS and AWS
 * signatures. One thread moves all bytes; whoever wants a file reads it as it comes. What is not
 * read yet is bounded for each file, and the sender waits.
 */

#include "base/err.h"
#include "base/mem.h"

#include <stddef.h>
#include <stdint.h>

/* Bytes of one file that may wait to be read. */
#define DOWNLOAD_WINDOW ((size_t)2 << 20)

/* Bytes a second; what is slower for some time is given up. */
#define DOWNLOAD_SLOWEST 1024

/* Keys for AWS Signature Version 4. */
struct download_auth {
	char *key_id, *secret;
	char *token;  /* of a session, or NULL */
	char *region; /* "us-east-1" */
};
void download_auth_done(struct download_auth *auth);

struct downloader_params {
	const char *netrc; /* a file, or NULL: the user's own */
	const char *
		tls_trust; /* a file of the certificates that TLS believes, or NULL: the system's */
	unsigned stall_s;  /* less than 1 KiB/s for so long is a failure */
};

struct downloader;
struct download;

int downloader_new(
	const struct downloader_params *params, struct downloader **ret, struct err *err);
/* Ends the thread. All downloads must have been stopped. NULL is fine; returns NULL. */
struct downloader *downloader_free(struct downloader *downloader);

/* Begins to fetch. `auth` (NULL: none) outlives the download. */
int download_start(struct downloader *downloader, const char *url, const struct download_auth *auth,
	struct download **ret, struct err *err);
/*
 * Waits for bytes: up to `max`, none only at the end. ERR_NOT_FOUND when there is no such file
 * (HTTP 403, 404 and 410 too, as for Nix: a bucket that may not be listed answers 403 for it),
 * ERR_IO for everything that still fails after some tries; both name the URL. What broke off goes
 * on where it was.
 */
int download_read(
	struct download *download, void *data, size_t max, size_t *ret_len, struct err *err);
/* Ends it, finished or not. NULL is fine; returns NULL. */
struct download *download_stop(struct download *download);
const char *download_url(const struct download *download);

#endif
