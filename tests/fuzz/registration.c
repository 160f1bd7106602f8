/* SPDX-License-Identifier: MIT */
/*
 * What a foreign cache says of a path ends up in the registration text that nix-store --load-db
 * reads: read as it reads it, the text has the same paths with the same references, and not a line
 * more.
 */
#include "target.h"

#include "nix/narinfo.h"
#include "nix/registration.h"

#include <stdio.h>
#include <string.h>

#define HASH "0c0v5k3dmhqjfq4m3hv3l2a2rlf4wxyb"

/* The path and what it refers to, of which nothing else is known. */
static void fill(const struct narinfo *info, struct closure *closure)
{
	size_t refs = info->refs.len;
	closure->items = calloc(refs + 1, sizeof(*closure->items));
	expect(closure->items != NULL);
	struct path_info *own = &closure->items[refs];
	own->refs = calloc(refs + 1, sizeof(*own->refs));
	expect(own->refs != NULL);
	closure->len = refs + 1;
	for (size_t i = 0; i < refs; i++) {
		bool self = strcmp(info->refs.items[i], info->path) == 0;
		closure->items[i].path = strdup(info->refs.items[i]);
		own->refs[own->ref_count++] = self ? refs : i;
	}
	own->path = strdup(info->path);
	own->deriver = info->deriver != NULL ? strdup(info->deriver) : NULL;
	own->nar_hash = info->nar_hash;
	own->nar_size = info->nar_size;
}

/* The next line is `want`. */
static void expect_text(char **text, const char *want)
{
	char *line = *text, *end = strchr(line, '\n');
	expect(end != NULL);
	*end = '\0';
	expect(strcmp(line, want) == 0);
	*text = end + 1;
}

static void expect_number(char **text, unsigned long long want)
{
	char number[32];
	snprintf(number, sizeof(number), "%llu", want);
	expect_text(text, number);
}

static void check(const struct closure *closure, char *text)
{
	for (size_t i = 0; i < closure->len; i++) {
		const struct path_info *info = &closure->items[i];
		char hash[DIGEST_HEX_SIZE];
		expect_text(&text, info->path);
		expect_text(&text, digest_hex(&info->nar_hash, hash));
		expect_number(&text, info->nar_size);
		expect_text(&text, info->deriver != NULL ? info->deriver : "");
		expect_number(&text, info->ref_count);
		for (size_t r = 0; r < info->ref_count; r++)
			expect_text(&text, closure->items[info->refs[r]].path);
	}
	expect(*text == '\0');
}

bool target_run(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	AUTO_NARINFO info = {0};
	AUTO_CLOSURE closure = {0};
	AUTO_BUF text = {0};
	if (narinfo_parse((const char *)data, size, HASH, "/nix/store", &info, &err) < 0)
		return false;
	fill(&info, &closure);
	expect(registration_encode(&closure, &text, &err) == 0);
	char *copy = buf_take_str(&text, &err);
	expect(copy != NULL);
	check(&closure, copy);
	free(copy);
	return true;
}
