/* SPDX-License-Identifier: MIT */
#ifndef MANIFEST_KEY_H
#define MANIFEST_KEY_H

/*
 * Ed25519 keys and signatures (RFC 8032) as Nix writes them: NAME:BASE64. A secret key is 64 bytes,
 * the seed and then the public key (libsodium's form; Nix src/libutil/signature, `nix key`).
 */

#include "base/err.h"
#include "base/vec.h"

#include <stddef.h>
#include <stdint.h>

struct public_key {
	char *name;
	uint8_t bytes[32];
};

struct secret_key {
	char *name;
	uint8_t seed[32];
	uint8_t public_bytes[32];
};

struct signature {
	char *name; /* of the key */
	uint8_t bytes[64];
};

typedef VEC(struct public_key) public_keys;

void public_key_done(struct public_key *key);
void secret_key_done(struct secret_key *key); /* wipes it */
void signature_done(struct signature *signature);

/* Read one line, blanks around it allowed. ERR_CORRUPT says what a key looks like, never the key.
 */
int public_key_parse(const char *text, struct public_key *ret, struct err *err);
int secret_key_parse(const char *text, struct secret_key *ret, struct err *err);
int signature_parse(const char *text, struct signature *ret, struct err *err);
/* Caller owns; NULL with ERR_NOMEM. */
char *public_key_format(const struct public_key *key, struct err *err);
char *secret_key_format(const struct secret_key *key, struct err *err);
char *signature_format(const struct signature *signature, struct err *err);

/* A new one from the kernel's random numbers. ERR_USAGE for a name that Nix would not take. */
int secret_key_generate(const char *name, struct secret_key *ret, struct err *err);
int secret_key_public(const struct secret_key *key, struct public_key *ret, struct err *err);

int key_sign(const struct secret_key *key, const void *data, size_t size, struct signature *ret,
	struct err *err);
bool key_verify(const struct public_key *key, const struct signature *signature, const void *data,
	size_t size);

#endif
