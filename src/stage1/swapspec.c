/* SPDX-License-Identifier: MIT */
/* The words of snowboot.swap= and the bytes of a swap header; nothing here touches a device. */
#include "stage1/swapspec.h"

#include "base/bytes.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Linux include/linux/swap.h: offsets into the first page. */
enum { OFF_VERSION = 1024, OFF_LAST_PAGE = 1028, OFF_UUID = 1036, OFF_LABEL = 1052 };
static const char signature[] = "SWAPSPACE2"; /* the last 10 bytes of the page */

void swap_list_done(struct swap_list *list)
{
	VEC_FOREACH(item, &list->items)
		free(item->name);
	vec_done(&list->items);
}

static bool parse_number(const char **at, uint64_t *ret)
{
	uint64_t v = 0;
	const char *p = *at;
	for (; *p >= '0' && *p <= '9'; p++)
		if (!mem_mul(v, 10, &v) || !mem_add(v, (uint64_t)(*p - '0'), &v))
			return false;
	if (p == *at || v == 0)
		return false;
	*at = p;
	*ret = v;
	return true;
}

static bool parse_zram_size(const char *text, struct swap_item *item)
{
	uint64_t v;
	if (!parse_number(&text, &v))
		return false;
	if (strcmp(text, "%") == 0) {
		item->percent = (unsigned)v;
		return v <= 400; /* beyond what compression ever gives */
	}
	uint64_t unit = 1;
	if (*text != '\0') {
		const char *units = "KMG";
		const char *letter = strchr(units, *text >= 'a' ? *text - 'a' + 'A' : *text);
		if (letter == NULL || text[1] != '\0')
			return false;
		unit = (uint64_t)1 << (10 * (letter - units + 1));
	}
	return mem_mul(v, unit, &item->size_bytes);
}

static int parse_item(const char *text, struct swap_item *item, struct err *err)
{
	const char *name = NULL;
	*item = (struct swap_item){.kind = SWAP_ZRAM};
	if (strcmp(text, "zram") == 0) {
		item->percent = 50;
	} else if (strncmp(text, "zram:", 5) == 0) {
		if (!parse_zram_size(text + 5, item))
			return err_raise(err, ERR_USAGE, "'%s' has no valid size", text);
	} else if (strcmp(text, "auto") == 0) {
		item->kind = SWAP_AUTO;
	} else if (strncmp(text, "/dev/", 5) == 0) {
		item->kind = SWAP_DEVICE;
		name = text;
	} else if (strncmp(text, "LABEL=", 6) == 0 && text[6] != '\0') {
		item->kind = SWAP_LABEL;
		name = text + 6;
	} else if (strncmp(text, "UUID=", 5) == 0 && text[5] != '\0') {
		item->kind = SWAP_UUID;
		name = text + 5;
	} else {
		return err_raise(err, ERR_USAGE,
			"'%s' is not one of zram, zram:SIZE, auto, /dev/…, LABEL=…, UUID=…", text);
	}
	item->name = name != NULL ? strdup(name) : NULL;
	return name != NULL && item->name == NULL ? err_oom(err) : 0;
}

int swap_list_parse(const char *text, struct swap_list *ret, struct err *err)
{
	ERR_SCOPE(err, "snowboot.swap");
	AUTO(swap_list_done) struct swap_list list = {0};
	AUTO_FREE char *copy = strdup(text);
	if (copy == NULL)
		return err_oom(err);
	char *rest = copy, *word;
	while ((word = strsep(&rest, ",")) != NULL) {
		struct swap_item item;
		if (parse_item(word, &item, err) < 0)
			return -1;
		if (vec_push(&list.items, item, err) < 0) {
			free(item.name);
			return -1;
		}
	}
	*ret = list;
	list = (struct swap_list){0};
	return 0;
}

bool swap_header_read(const uint8_t page[SWAP_HEADER_SIZE], struct swap_header *ret)
{
	size_t len = strlen(signature);
	if (memcmp(page + SWAP_HEADER_SIZE - len, signature, len) != 0)
		return false;
	if (get_le32(page + OFF_VERSION) != 1)
		return false;
	const uint8_t *u = page + OFF_UUID;
	snprintf(ret->uuid, sizeof(ret->uuid),
		"%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1],
		u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14],
		u[15]);
	memcpy(ret->label, page + OFF_LABEL, 16);
	ret->label[16] = '\0';
	return true;
}

void swap_header_write(uint64_t size_bytes, uint8_t page[SWAP_HEADER_SIZE])
{
	memset(page, 0, SWAP_HEADER_SIZE);
	put_le32(page + OFF_VERSION, 1);
	put_le32(page + OFF_LAST_PAGE, (uint32_t)(size_bytes / SWAP_HEADER_SIZE - 1));
	memcpy(page + SWAP_HEADER_SIZE - strlen(signature), signature, strlen(signature));
}

bool swap_item_matches(
	const struct swap_item *item, const char *device, const struct swap_header *header)
{
	switch (item->kind) {
	case SWAP_ZRAM:
		return false;
	case SWAP_AUTO:
		return true;
	case SWAP_DEVICE:
		return strcmp(item->name, device) == 0;
	case SWAP_LABEL:
		return strcmp(item->name, header->label) == 0;
	case SWAP_UUID:
		return strcasecmp(item->name, header->uuid) == 0;
	}
	return false;
}
