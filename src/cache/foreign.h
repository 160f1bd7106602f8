/* SPDX-License-Identifier: MIT */
#ifndef CACHE_FOREIGN_H
#define CACHE_FOREIGN_H

#include <stddef.h>
#include <stdint.h>

/* As much of a disk as cache_foreign() looks at, bytes. */
#define FOREIGN_SIZE (128u * 1024)

/* What else lies on a disk with these first bytes, e.g. "an ext4 file system"; NULL when nothing
 * known does. Static storage. */
const char *cache_foreign(const uint8_t *bytes, size_t size);

#endif
