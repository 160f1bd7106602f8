/* SPDX-License-Identifier: MIT */
/*
 * A narinfo that is taken can be written and taken again, and says the same; its paths are store
 * paths. The same bytes are tried as nix-cache-info.
 */
#include "target.h"

#include "nix/content_address.h"
#include "nix/narinfo.h"
#include "nix/store_path.h"

#include <string.h>

#define HASH "0c0v5k3dmhqjfq4m3hv3l2a2rlf4wxyb"

static void check(const struct narinfo *info)
{
	struct err err = ERR_INIT;
	AUTO_BUF text = {0}, print = {0}, again_print = {0};
	AUTO_NARINFO again = {0};
	expect(strncmp(info->path, "/nix/store/" HASH, strlen("/nix/store/" HASH)) == 0);
	for (size_t i = 0; i < info->refs.len; i++)
		expect(store_path_check(info->refs.items[i], "/nix/store", &err) == 0);
	expect(narinfo_format(info, &text, &err) == 0);
	expect(text.len > NARINFO_TEXT_MAX ||
		narinfo_parse(
			(const char *)text.data, text.len, HASH, "/nix/store", &again, &err) == 0);
	if (again.path == NULL)
		return;
	expect(narinfo_fingerprint(info, &print, &err) == 0);
	expect(narinfo_fingerprint(&again, &again_print, &err) == 0);
	expect(print.len == again_print.len &&
		memcmp(print.data, again_print.data, print.len) == 0);
	expect(strcmp(info->url, again.url) == 0 && info->sigs.len == again.sigs.len);
}

/* A content address that makes another store path says which: of that one it is held to the NAR. */
static void check_address(const struct narinfo *info)
{
	struct err err = ERR_INIT;
	enum content_check check;
	struct digest digest;
	if (content_address_check(info, "/nix/store", &check, &digest, &err) == 0)
		return;
	expect(err.kind == ERR_CORRUPT || err.kind == ERR_NOMEM);
	const char *hash = strstr(err.msg, "store path, '");
	if (hash == NULL || strlen(hash) < strlen("store path, '") + strlen(HASH) ||
		strvec_has(&info->refs, info->path)) /* it would be another reference */
		return;
	struct narinfo right = *info;
	right.path = strdup(info->path);
	expect(right.path != NULL);
	memcpy(right.path + strlen("/nix/store/"), hash + strlen("store path, '"), strlen(HASH));
	err_reset(&err);
	if (content_address_check(&right, "/nix/store", &check, &digest, &err) < 0)
		expect(strstr(err.msg, "is not that of its NarHash") != NULL);
	free(right.path);
}

bool target_run(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	AUTO_NARINFO info = {0};
	uint32_t priority;
	bool good = cache_info_parse((const char *)data, size, "/nix/store", &priority, &err) == 0;
	if (!good) {
		expect(err.kind == ERR_CORRUPT || err.kind == ERR_LIMIT ||
			err.kind == ERR_UNSUPPORTED || err.kind == ERR_NOMEM);
		err_reset(&err);
	}
	if (narinfo_parse((const char *)data, size, HASH, "/nix/store", &info, &err) < 0) {
		expect(err.kind == ERR_CORRUPT || err.kind == ERR_LIMIT ||
			err.kind == ERR_UNSUPPORTED || err.kind == ERR_NOMEM);
		expect(err.msg[0] != '\0');
		return good;
	}
	check(&info);
	if (info.ca != NULL)
		check_address(&info);
	return true;
}
