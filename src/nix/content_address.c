/* SPDX-License-Identifier: MIT */
/*
 * How a store path's name follows from its content address. Forms: "text:sha256:HASH" for a file
 * that Nix wrote itself, "fixed:[r:]ALGORITHM:HASH" for what was fetched or added, where "r:" means
 * that the NAR is hashed and not the file.
 */
#include "nix/content_address.h"

#include "base/hex.h"
#include "nix/hash_text.h"
#include "nix/nix32.h"
#include "nix/store_path.h"

#include <string.h>

enum { STORE_HASH_SIZE = 20 };

struct address {
	bool is_text, recursive, is_sha256;
	const char *hash;     /* "sha256:…", what stands behind the method */
	struct digest digest; /* when is_sha256 */
};

static bool take_prefix(const char **text, const char *prefix)
{
	size_t len = strlen(prefix);
	if (strncmp(*text, prefix, len) != 0)
		return false;
	*text += len;
	return true;
}

static bool parse(const char *ca, struct address *ret)
{
	struct address a = {0};
	if (take_prefix(&ca, "text:"))
		a.is_text = true;
	else if (!take_prefix(&ca, "fixed:"))
		return false;
	else
		a.recursive = take_prefix(&ca, "r:");
	a.hash = ca;
	a.is_sha256 = strncmp(ca, "sha256", 6) == 0;
	if (a.is_sha256 && !hash_text_parse(ca, strlen(ca), &a.digest))
		return false;
	if (a.is_text && !a.is_sha256)
		return false;
	*ret = a;
	return true;
}

/* Appends what a path of that type and hash is made from, and folds it into the name's digits. */
static int make_hash(struct buf *type, const struct digest *inner, const char *store_dir,
	const char *name, char out[STORE_PATH_HASH_LEN + 1], struct err *err)
{
	char hex[DIGEST_HEX_SIZE];
	uint8_t folded[STORE_HASH_SIZE] = {0};
	if (buf_printf(type, err, ":sha256:%s:%s:%s", digest_hex(inner, hex), store_dir, name) < 0)
		return -1;
	struct digest digest = digest_of(type->data, type->len);
	for (size_t i = 0; i < DIGEST_SIZE; i++)
		folded[i % STORE_HASH_SIZE] ^= digest.bytes[i];
	nix32_encode(folded, sizeof(folded), out);
	return 0;
}

/* "text" or "source", with the references behind it; a reference to itself is the word "self". */
static int put_type(
	const struct narinfo *info, const struct address *address, struct buf *out, struct err *err)
{
	bool self = false;
	if (buf_put_str(out, address->is_text ? "text" : "source", err) < 0)
		return -1;
	for (size_t i = 0; i < info->refs.len; i++) {
		if (strcmp(info->refs.items[i], info->path) == 0)
			self = true;
		else if (buf_printf(out, err, ":%s", info->refs.items[i]) < 0)
			return -1;
	}
	return self ? buf_put_str(out, ":self", err) : 0;
}

static int expected_hash(const struct narinfo *info, const struct address *address,
	const char *store_dir, char out[STORE_PATH_HASH_LEN + 1], struct err *err)
{
	AUTO_BUF type = {0}, fixed = {0};
	const char *name = info->path + strlen(store_dir) + 1 + STORE_PATH_HASH_LEN + 1;
	if (address->is_text || (address->recursive && address->is_sha256)) {
		if (put_type(info, address, &type, err) < 0)
			return -1;
		return make_hash(&type, &address->digest, store_dir, name, out, err);
	}
	char hex[DIGEST_HEX_SIZE];
	digest_hex(&address->digest, hex);
	if (buf_printf(&fixed, err, "fixed:out:%ssha256:%s:", address->recursive ? "r:" : "", hex) <
			0 ||
		buf_put_str(&type, "output:out", err) < 0)
		return -1;
	struct digest inner = digest_of(fixed.data, fixed.len);
	return make_hash(&type, &inner, store_dir, name, out, err);
}

static bool refers_to_itself(const struct narinfo *info)
{
	return strvec_has(&info->refs, info->path);
}

int content_address_check(const struct narinfo *info, const char *store_dir,
	enum content_check *ret, struct digest *ret_hash, struct err *err)
{
	struct address address;
	char hash[STORE_PATH_HASH_LEN + 1];
	*ret = CONTENT_UNKNOWN;
	/* Other algorithms, and forms of later versions of Nix, are left to signatures. */
	if (!parse(info->ca, &address) || !address.is_sha256)
		return 0;
	if (expected_hash(info, &address, store_dir, hash, err) < 0)
		return -1;
	if (strncmp(info->path + strlen(store_dir) + 1, hash, STORE_PATH_HASH_LEN) != 0)
		return err_raise(err, ERR_CORRUPT,
			"the content address '%s' makes another store path, '%s-…'", info->ca,
			hash);
	/* A path that contains its own name is hashed without it, which only Nix does. */
	if (refers_to_itself(info))
		return 0;
	if (address.recursive && !digest_equal(&address.digest, &info->nar_hash))
		return err_raise(err, ERR_CORRUPT,
			"the content address '%s' is not that of its NarHash", info->ca);
	*ret = address.recursive ? CONTENT_IS_NAR : CONTENT_IS_FILE;
	*ret_hash = address.digest;
	return 0;
}
