/* SPDX-License-Identifier: MIT */
/*
 * Keys and signatures as text, by nettle's base64 and Ed25519. One value has one spelling: padded,
 * no blanks within, no bits left over. Secrets are wiped, and never stand in a message.
 */
#include "manifest/key.h"

#include "base/path.h"

#include <errno.h>
#include <nettle/base64.h>
#include <nettle/eddsa.h>
#include <string.h>
#include <sys/random.h>

#define KEY_NAME_MAX 255 /* bytes */
#define SECRET_SIZE (ED25519_KEY_SIZE * 2)
#define BYTES_MAX SECRET_SIZE
#define TEXT_MAX BASE64_ENCODE_RAW_LENGTH(BYTES_MAX)

void public_key_done(struct public_key *key)
{
	free(key->name);
	*key = (struct public_key){0};
}

void secret_key_done(struct secret_key *key)
{
	free(key->name);
	explicit_bzero(key, sizeof(*key));
}

void signature_done(struct signature *signature)
{
	free(signature->name);
	*signature = (struct signature){0};
}

/* Nix splits at the first colon and takes what is before it. Blanks would split a list of keys. */
static bool is_key_name(const char *name, size_t len)
{
	if (len == 0 || len > KEY_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~' || name[i] == ':')
			return false;
	return true;
}

/* True when `text` is the one spelling of `size` bytes. */
static bool decode_bytes(const char *text, size_t len, uint8_t *bytes, size_t size)
{
	char again[TEXT_MAX];
	uint8_t room[BASE64_DECODE_LENGTH(TEXT_MAX)];
	struct base64_decode_ctx ctx;
	size_t got = sizeof(room);
	if (len != BASE64_ENCODE_RAW_LENGTH(size))
		return false;
	base64_decode_init(&ctx);
	bool good = base64_decode_update(&ctx, &got, room, len, text) == 1 &&
		base64_decode_final(&ctx) == 1 && got == size;
	if (good) {
		base64_encode_raw(again, size, room);
		good = memcmp(again, text, len) == 0;
	}
	if (good)
		memcpy(bytes, room, size);
	explicit_bzero(room, sizeof(room));
	explicit_bzero(again, sizeof(again));
	explicit_bzero(&ctx, sizeof(ctx));
	return good;
}

/* Reads NAME:BASE64 of `size` bytes; `what` says what it should be. */
static int parse(const char *text, const char *what, uint8_t *bytes, size_t size, char **ret_name,
	struct err *err)
{
	text += strspn(text, " \t\r\n");
	size_t len = strlen(text);
	while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
		len--;
	const char *colon = memchr(text, ':', len);
	size_t name_len = colon != NULL ? (size_t)(colon - text) : 0;
	if (!is_key_name(text, name_len) ||
		!decode_bytes(colon + 1, len - name_len - 1, bytes, size))
		return err_raise(err, ERR_CORRUPT,
			"not a %s: it looks like NAME:BASE64 with %zu bytes behind the colon", what,
			size);
	*ret_name = strndup(text, name_len);
	return *ret_name != NULL ? 0 : err_oom(err);
}

static char *format(const char *name, const uint8_t *bytes, size_t size, struct err *err)
{
	char text[TEXT_MAX + 1];
	base64_encode_raw(text, size, bytes);
	text[BASE64_ENCODE_RAW_LENGTH(size)] = '\0';
	char *line = path_printf(err, "%s:%s", name, text);
	explicit_bzero(text, sizeof(text));
	return line;
}

int public_key_parse(const char *text, struct public_key *ret, struct err *err)
{
	struct public_key key = {0};
	if (parse(text, "public key", key.bytes, sizeof(key.bytes), &key.name, err) < 0)
		return -1;
	*ret = key;
	return 0;
}

int secret_key_parse(const char *text, struct secret_key *ret, struct err *err)
{
	AUTO(secret_key_done) struct secret_key key = {0};
	uint8_t bytes[SECRET_SIZE], own[ED25519_KEY_SIZE];
	if (parse(text, "secret key", bytes, sizeof(bytes), &key.name, err) < 0)
		return -1;
	memcpy(key.seed, bytes, ED25519_KEY_SIZE);
	memcpy(key.public_bytes, bytes + ED25519_KEY_SIZE, ED25519_KEY_SIZE);
	explicit_bzero(bytes, sizeof(bytes));
	/* Signing with a public key that is not the seed's own would give the seed away. */
	ed25519_sha512_public_key(own, key.seed);
	if (memcmp(own, key.public_bytes, sizeof(own)) != 0)
		return err_raise(err, ERR_CORRUPT,
			"secret key '%s' is damaged: its public half does not belong to it",
			key.name);
	*ret = key;
	key.name = NULL;
	return 0;
}

int signature_parse(const char *text, struct signature *ret, struct err *err)
{
	struct signature signature = {0};
	if (parse(text, "signature", signature.bytes, sizeof(signature.bytes), &signature.name,
		    err) < 0)
		return -1;
	*ret = signature;
	return 0;
}

char *public_key_format(const struct public_key *key, struct err *err)
{
	return format(key->name, key->bytes, sizeof(key->bytes), err);
}

char *secret_key_format(const struct secret_key *key, struct err *err)
{
	uint8_t bytes[SECRET_SIZE];
	memcpy(bytes, key->seed, ED25519_KEY_SIZE);
	memcpy(bytes + ED25519_KEY_SIZE, key->public_bytes, ED25519_KEY_SIZE);
	char *line = format(key->name, bytes, sizeof(bytes), err);
	explicit_bzero(bytes, sizeof(bytes));
	return line;
}

char *signature_format(const struct signature *signature, struct err *err)
{
	return format(signature->name, signature->bytes, sizeof(signature->bytes), err);
}

int secret_key_generate(const char *name, struct secret_key *ret, struct err *err)
{
	if (!is_key_name(name, strlen(name))) {
		err_raise(err, ERR_USAGE, "'%s' cannot be the name of a key", name);
		return err_hint(err,
			"take up to %d printable characters without blanks and colons, like "
			"example.org-1",
			KEY_NAME_MAX);
	}
	AUTO(secret_key_done) struct secret_key key = {.name = strdup(name)};
	if (key.name == NULL)
		return err_oom(err);
	/* Waits until the kernel has entropy, and so few bytes are not cut short (getrandom(2)). */
	if (getrandom(key.seed, sizeof(key.seed), 0) != (ssize_t)sizeof(key.seed))
		return err_sys(err, "cannot get random numbers");
	ed25519_sha512_public_key(key.public_bytes, key.seed);
	*ret = key;
	key.name = NULL;
	return 0;
}

int secret_key_public(const struct secret_key *key, struct public_key *ret, struct err *err)
{
	struct public_key public = {.name = strdup(key->name)};
	if (public.name == NULL)
		return err_oom(err);
	memcpy(public.bytes, key->public_bytes, sizeof(public.bytes));
	*ret = public;
	return 0;
}

int key_sign(const struct secret_key *key, const void *data, size_t size, struct signature *ret,
	struct err *err)
{
	struct signature signature = {.name = strdup(key->name)};
	if (signature.name == NULL)
		return err_oom(err);
	ed25519_sha512_sign(key->public_bytes, key->seed, size, data, signature.bytes);
	*ret = signature;
	return 0;
}

bool key_verify(const struct public_key *key, const struct signature *signature, const void *data,
	size_t size)
{
	return strcmp(key->name, signature->name) == 0 &&
		ed25519_sha512_verify(key->bytes, size, data, signature->bytes) == 1;
}
