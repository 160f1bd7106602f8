/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_SWAPSPEC_H
#define STAGE1_SWAPSPEC_H

/* What snowboot.swap= asks for, and the header of a swap area. */

#include "base/err.h"
#include "base/vec.h"

#include <stdbool.h>
#include <stdint.h>

enum swap_kind {
	SWAP_ZRAM,   /* compressed, in memory */
	SWAP_AUTO,   /* every swap area on a disk */
	SWAP_DEVICE, /* /dev/… */
	SWAP_LABEL,
	SWAP_UUID,
};

struct swap_item {
	enum swap_kind kind;
	char *name;          /* device, label or UUID; NULL for the first two kinds */
	uint64_t size_bytes; /* zram: its size, or 0 */
	unsigned percent;    /* zram: its size in percent of the memory, when size_bytes is 0 */
	bool done;           /* set by who enables it */
};

struct swap_list {
	VEC(struct swap_item) items;
};

void swap_list_done(struct swap_list *list);
/* Reads "zram[:SIZE[K|M|G]|:N%],auto,/dev/…,LABEL=…,UUID=…". ERR_USAGE names the item. */
int swap_list_parse(const char *text, struct swap_list *ret, struct err *err);

#define SWAP_HEADER_SIZE 4096 /* bytes: one page on every machine we run on */
#define SWAP_UUID_TEXT 37     /* with the NUL */

struct swap_header {
	char uuid[SWAP_UUID_TEXT];
	char label[17];
};

/*
 * Reads a first page: false when it is no swap area. One that holds a suspended system has another
 * signature (S1SUSPEND) and is none. Linux include/linux/swap.h union swap_header.
 */
bool swap_header_read(const uint8_t page[SWAP_HEADER_SIZE], struct swap_header *ret);
/* Writes the first page of an area of size_bytes, with neither label nor UUID. */
void swap_header_write(uint64_t size_bytes, uint8_t page[SWAP_HEADER_SIZE]);
/* True when the item names the area with that header at that device. */
bool swap_item_matches(
	const struct swap_item *item, const char *device, const struct swap_header *header);

#endif
