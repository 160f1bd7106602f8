/* SPDX-License-Identifier: MIT */
#ifndef SERVE_SCRIPT_H
#define SERVE_SCRIPT_H

/* The script that iPXE runs. */

#include "base/buf.h"

/*
 * Appends the script that boots <dir>bzImage and <dir>initrd with this kernel command line; `dir`
 * is like "/boot/NAME/", or "" for files beside the script. `name` is what it says that it boots.
 * ERR_UNSUPPORTED for a command line that iPXE would not pass on as it is.
 */
int script_put(
	const char *name, const char *dir, const char *cmdline, struct buf *out, struct err *err);

/* A script for a network root. */
struct script_net {
	const char *name, *dir, *cmdline; /* as above */
	/* URLs instead of <dir>bzImage and <dir>initrd, under whatever name; or both NULL. */
	const char *kernel, *initrd;
	const char *origin; /* what the node in the initramfs asks: "http://HOST:PORT" */
	const char *peer;   /* kernel and initrd come from there ("http://HOST:PORT") and from `dir`
			       when that fails; NULL: from `dir` */
};

/* The same with a network root: adds where the origin is and which card the machine booted by. */
int script_put_net(const struct script_net *script, struct buf *out, struct err *err);

/*
 * The script that asks again at `path`, a path of this server, with what iPXE knows of its machine
 * (serve/client.h). `more` is the query to go on with, as it came, or NULL. ERR_USAGE when it has
 * what iPXE would expand.
 */
int script_put_ask(const char *path, const char *more, struct buf *out, struct err *err);

/*
 * The script that shows these lines and asks again at `path`, which may have a query, after some
 * seconds. What iPXE would take for its own in a line is replaced by '?'.
 */
int script_put_wait(
	const char *lines, const char *path, unsigned seconds, struct buf *out, struct err *err);

#endif
