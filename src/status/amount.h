/* SPDX-License-Identifier: MIT */
#ifndef STATUS_AMOUNT_H
#define STATUS_AMOUNT_H

/* Amounts as people read them. */

#include <stdint.h>

#define AMOUNT_SIZE 24

/* "0", "512 B", "1.5 MB" (powers of 1000); returns `out`. */
char *amount_bytes(uint64_t bytes, char out[AMOUNT_SIZE]);
/* "0.8 s", "3 min 4 s", "2 h 10 min", "4 d 2 h"; returns `out`. */
char *amount_seconds(double seconds, char out[AMOUNT_SIZE]);

#endif
