/* SPDX-License-Identifier: MIT */
/* Signatures of narinfos, by Nix's rules: one good one by a trusted key is enough. */
#include "source/trust.h"

#include "nix/content_address.h"

#include <string.h>

void trust_done(struct trust *trust)
{
	VEC_FOREACH(key, &trust->keys)
		public_key_done(key);
	vec_done(&trust->keys);
}

int trust_add(struct trust *trust, const char *key, struct err *err)
{
	struct public_key parsed = {0};
	if (public_key_parse(key, &parsed, err) < 0) {
		err->kind = err->kind == ERR_CORRUPT ? ERR_USAGE : err->kind;
		return err_prefix(err, "'%.100s'", key);
	}
	if (vec_push(&trust->keys, parsed, err) < 0) {
		public_key_done(&parsed);
		return -1;
	}
	return 0;
}

static bool is_good(
	const struct trust *trust, const struct signature *signature, const struct buf *fingerprint)
{
	VEC_FOREACH(key, &trust->keys)
		if (strcmp(key->name, signature->name) == 0 &&
			key_verify(key, signature, fingerprint->data, fingerprint->len))
			return true;
	return false;
}

/* Whether a key of ours has that name, which ends with the string or at a colon. */
static bool has_key(const struct trust *trust, const char *name)
{
	size_t len = strcspn(name, ":");
	VEC_FOREACH(key, &trust->keys)
		if (strlen(key->name) == len && strncmp(key->name, name, len) == 0)
			return true;
	return false;
}

static int check_signatures(const struct trust *trust, const struct narinfo *info, struct err *err)
{
	AUTO_BUF fingerprint = {0};
	const char *wrong = NULL;
	if (info->sigs.len == 0) {
		err_raise(err, ERR_UNTRUSTED, "it has no signature");
		return err_hint(err, "--no-check-sigs takes it nevertheless");
	}
	if (narinfo_fingerprint(info, &fingerprint, err) < 0)
		return -1;
	for (size_t i = 0; i < info->sigs.len; i++) {
		AUTO(signature_done) struct signature signature = {0};
		struct err none = ERR_INIT;
		const char *text = info->sigs.items[i];
		if (signature_parse(text, &signature, &none) == 0 &&
			is_good(trust, &signature, &fingerprint))
			return 0;
		if (wrong == NULL && has_key(trust, text))
			wrong = text;
	}
	const char *sig = wrong != NULL ? wrong : info->sigs.items[0];
	int len = (int)strcspn(sig, ":");
	if (wrong != NULL)
		return err_raise(err, ERR_UNTRUSTED,
			"it has a wrong signature by the trusted key '%.*s'", len < 255 ? len : 255,
			sig);
	err_raise(err, ERR_UNTRUSTED, "it is signed by a key that is not trusted, '%.*s'",
		len < 255 ? len : 255, sig);
	return err_hint(err,
		"--trusted-key NAME:BASE64 adds a key, as does trusted-public-keys in nix.conf");
}

int trust_check(const struct trust *trust, const struct narinfo *info, const char *store_dir,
	bool *ret_is_file, struct digest *ret_hash, struct err *err)
{
	enum content_check check = CONTENT_UNKNOWN;
	if (info->ca != NULL && content_address_check(info, store_dir, &check, ret_hash, err) < 0)
		return -1;
	*ret_is_file = check == CONTENT_IS_FILE;
	if (trust->anything || check != CONTENT_UNKNOWN)
		return 0;
	return check_signatures(trust, info, err);
}
