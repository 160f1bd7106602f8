/* SPDX-License-Identifier: MIT */
#ifndef BASE_OUTFILE_H
#define BASE_OUTFILE_H

/*
 * A file that appears whole or not at all: written without a name, fsync'ed, and named by
 * outfile_commit(). What is not committed goes with outfile_done(), or with the process.
 */

#include "base/err.h"
#include "base/mem.h"

struct outfile {
	int fd; /* write here; -1 when not open */
	char *path;
	char *temp; /* NULL: it has no name yet */
};

#define OUTFILE_INIT \
	{ \
		.fd = -1 \
	}
#define AUTO_OUTFILE AUTO(outfile_done) struct outfile

/*
 * Opens the temporary file. The final name is `path`; an existing file is replaced at commit.
 * ERR_USAGE when something else is there (a directory, a device, a pipe), which a rename would
 * destroy or fail on.
 */
int outfile_open(struct outfile *out, const char *path, struct err *err);
/* fsync, a name, fsync of the directory. */
int outfile_commit(struct outfile *out, struct err *err);
void outfile_done(struct outfile *out);

/* The whole cycle for contents that are at hand. */
int outfile_write(const char *path, const void *data, size_t size, struct err *err);

#endif
