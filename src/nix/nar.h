/* SPDX-License-Identifier: MIT */
#ifndef NIX_NAR_H
#define NIX_NAR_H

/*
 * Writing NARs, the form in which Nix hashes store paths: a tree of directories, files and symlinks
 * without owners, times or modes beyond "executable" (Nix, src/libutil/archive.cc; E. Dolstra's
 * thesis, figure 5.2).
 *
 * A NAR is written front to back into a sink, either at once from the disk (nar_write_path()) or
 * piece by piece by a caller that reads the files for other reasons too and wants to read them
 * once:
 *
 *   nar_begin(sink)                            once
 *   nar_file(sink, size, executable)           then `size` bytes of contents straight into the sink
 *   nar_file_end(sink, size)
 *   nar_symlink(sink, target, len)
 *   nar_directory(sink)                        then for each name, sorted by bytes:
 *     nar_entry(sink, name, len)               then one file, symlink or directory
 *     nar_entry_end(sink)
 *   nar_directory_end(sink)
 *
 * These functions keep no state, so the calls' order is the caller's to keep.
 */

#include "base/digest.h"
#include "base/err.h"
#include "base/vec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the bytes go. write() gets `data` and takes all `len` bytes, or fails. */
struct nar_sink {
	int (*write)(void *data, const void *bytes, size_t len, struct err *err);
	void *data;
};

int nar_begin(const struct nar_sink *sink, struct err *err);
int nar_file(const struct nar_sink *sink, uint64_t size, bool executable, struct err *err);
/* Pads contents of `size` bytes and ends the file. */
int nar_file_end(const struct nar_sink *sink, uint64_t size, struct err *err);
int nar_symlink(const struct nar_sink *sink, const char *target, size_t len, struct err *err);
int nar_directory(const struct nar_sink *sink, struct err *err);
int nar_entry(const struct nar_sink *sink, const char *name, size_t len, struct err *err);
int nar_entry_end(const struct nar_sink *sink, struct err *err);
int nar_directory_end(const struct nar_sink *sink, struct err *err);

/* A sink that hashes. */
struct nar_hasher {
	struct sha256_ctx ctx;
	uint64_t size; /* bytes so far */
};

void nar_hasher_init(struct nar_hasher *hasher);
/* Borrows `hasher` for as long as the sink is used. */
struct nar_sink nar_hasher_sink(struct nar_hasher *hasher);
struct digest nar_hasher_finish(struct nar_hasher *hasher);

/* The names in a directory, without "." and "..", sorted by bytes as a NAR wants them. Appends. */
int nar_list_directory(const char *path, struct strvec *names, struct err *err);

/*
 * Writes the NAR of what lies at `path`, which is not followed when it is a symlink. ERR_CORRUPT
 * for a file that ends before its size, ERR_UNSUPPORTED for what is no file, directory or symlink.
 */
int nar_write_path(const char *path, const struct nar_sink *sink, struct err *err);

#endif
