/* SPDX-License-Identifier: MIT */
#ifndef CACHE_DISK_LIFE_H
#define CACHE_DISK_LIFE_H

/* What disk.c (jobs) and disk_life.c (the helper's life) want of each other. */

#include "cache/disk.h"

/* The helper is of no use any more: it is ended, what was asked of it is a miss, and another one
 * is started later. */
void disk_fail(struct disk *disk, const char *why);
/* One answer of opening. */
void disk_learn(struct disk *disk, const struct helper_answer *answer);
/* Tells the cache's owner, once. */
void disk_say_ready(struct disk *disk);

/* The volume is open. */
void disk_opened(struct disk *disk);
/* Answers every waiting read with a miss and forgets the other jobs. */
void disk_drop_jobs(struct disk *disk);
/* False when the helper is gone. */
bool disk_take_answers(struct disk *disk);
void disk_tick(struct disk *disk);

#endif
