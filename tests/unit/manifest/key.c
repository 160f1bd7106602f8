/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/hex.h"
#include "base/path.h"
#include "manifest/key.h"

#include <nettle/base64.h>
#include <string.h>

/* RFC 8032 section 7.1: TEST 1, 2, 3 and SHA(abc). */
static const struct {
	const char *seed, *public_bytes, *message, *signature;
} vectors[] = {
	{"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
		"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
		"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc6"
		"1e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
	{"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
		"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
		"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e45"
		"8f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
	{"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
		"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
		"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae"
		"67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
	{"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
		"ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
		"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836"
		"ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
		"dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfd"
		"fbc7c66431e0303dca179c138ac17ad9bef1177331a704"},
};

static void from_hex(const char *text, uint8_t *bytes, size_t size)
{
	assert_true(hex_decode(text, strlen(text), bytes, size));
}

/* "v:" and the base64 of seed and public key, as Nix writes a secret key. */
static char *secret_text(const uint8_t seed[32], const uint8_t public_bytes[32])
{
	struct err err = ERR_INIT;
	uint8_t both[64];
	char text[BASE64_ENCODE_RAW_LENGTH(64) + 1] = {0};
	memcpy(both, seed, 32);
	memcpy(both + 32, public_bytes, 32);
	base64_encode_raw(text, 64, both);
	return path_printf(&err, "v:%s", text);
}

static void rfc_8032(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		uint8_t seed[32], public_bytes[32], message[64], want[64];
		size_t len = strlen(vectors[i].message) / 2;
		from_hex(vectors[i].seed, seed, 32);
		from_hex(vectors[i].public_bytes, public_bytes, 32);
		from_hex(vectors[i].message, message, len);
		from_hex(vectors[i].signature, want, 64);
		AUTO_FREE char *text = secret_text(seed, public_bytes);
		AUTO(secret_key_done) struct secret_key secret = {0};
		AUTO(public_key_done) struct public_key public = {0};
		AUTO(signature_done) struct signature signature = {0};
		/* Parsing derives the public key from the seed and compares. */
		assert_ok(secret_key_parse(text, &secret, &err));
		assert_ok(secret_key_public(&secret, &public, &err));
		assert_memory_equal(public.bytes, public_bytes, 32);
		assert_ok(key_sign(&secret, message, len, &signature, &err));
		assert_memory_equal(signature.bytes, want, 64);
		assert_true(key_verify(&public, &signature, message, len));
		message[0] ^= 1;
		assert_false(key_verify(&public, &signature, message, len > 0 ? len : 1));
		message[0] ^= 1;
		for (size_t b = 0; b < 64; b++) {
			signature.bytes[b] ^= 0x20;
			assert_false(key_verify(&public, &signature, message, len));
			signature.bytes[b] ^= 0x20;
		}
		public.name[0] = 'w';
		assert_false(key_verify(&public, &signature, message, len));
	}
}

static void text_round_trip(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO(secret_key_done) struct secret_key secret = {0}, again = {0}, other = {0};
	AUTO(public_key_done) struct public_key public = {0}, public_again = {0};
	AUTO(signature_done) struct signature signature = {0}, signature_again = {0};
	assert_ok(secret_key_generate("example.org-1", &secret, &err));
	assert_ok(secret_key_generate("example.org-1", &other, &err));
	assert_memory_not_equal(secret.seed, other.seed, 32);
	AUTO_FREE char *text = secret_key_format(&secret, &err);
	AUTO_FREE char *lines = path_printf(&err, " \t%s\n", text);
	assert_ok(secret_key_parse(lines, &again, &err));
	assert_memory_equal(secret.seed, again.seed, 32);
	assert_string_equal(again.name, "example.org-1");
	assert_ok(secret_key_public(&again, &public, &err));
	AUTO_FREE char *public_text = public_key_format(&public, &err);
	assert_ok(public_key_parse(public_text, &public_again, &err));
	assert_memory_equal(public.bytes, public_again.bytes, 32);
	assert_ok(key_sign(&again, "text", 4, &signature, &err));
	AUTO_FREE char *signature_text = signature_format(&signature, &err);
	assert_ok(signature_parse(signature_text, &signature_again, &err));
	assert_true(key_verify(&public_again, &signature_again, "text", 4));
}

#define PUBLIC "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=" /* of the first vector */
#define NOT_PUBLIC "not a public key: it looks like NAME:BASE64 with 32 bytes behind the colon"

static void says_what_a_key_looks_like(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	static const char *const bad[] = {"", "k", "k:", ":" PUBLIC, PUBLIC, "a b:" PUBLIC,
		"k\x01:" PUBLIC, "k:" PUBLIC "=", "k: " PUBLIC, "k:" PUBLIC " x",
		"k:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHUR==",
		"k:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo",
		/* the same bytes, but for bits that stand for nothing */
		"k:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURp=",
		"k:11qYAYKxCrfVS/7TyWQHOg7hcvPa iMlrwIaaPcHURo="};
	struct public_key public;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(public_key_parse(bad[i], &public, &err), -1);
		assert_err(&err, ERR_CORRUPT, NOT_PUBLIC);
	}
	struct secret_key secret;
	assert_int_equal(secret_key_parse("k:" PUBLIC, &secret, &err), -1);
	assert_err(&err, ERR_CORRUPT,
		"not a secret key: it looks like NAME:BASE64 with 64 bytes behind the colon");
	struct signature signature;
	assert_int_equal(signature_parse("k:" PUBLIC, &signature, &err), -1);
	assert_err(&err, ERR_CORRUPT,
		"not a signature: it looks like NAME:BASE64 with 64 bytes behind the colon");
	uint8_t seed[32] = {0}, public_bytes[32];
	from_hex(vectors[0].public_bytes, public_bytes, 32);
	AUTO_FREE char *odd = secret_text(seed, public_bytes);
	assert_int_equal(secret_key_parse(odd, &secret, &err), -1);
	assert_err(&err, ERR_CORRUPT,
		"secret key 'v' is damaged: its public half does not belong to it");
}

static void refuses_bad_names(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct secret_key secret;
	assert_int_equal(secret_key_generate("a:b", &secret, &err), -1);
	assert_string_equal(err.hint,
		"take up to 255 printable characters without blanks and colons, like "
		"example.org-1");
	assert_err(&err, ERR_USAGE, "'a:b' cannot be the name of a key");
	assert_int_equal(secret_key_generate("", &secret, &err), -1);
	assert_err(&err, ERR_USAGE, "'' cannot be the name of a key");
}

/* Keys that Nix made are ours, and it takes ours: the public key it derives is the same. */
static void interoperates_with_nix(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	if (system("nix-store --version >/dev/null 2>&1") != 0)
		test_skip("nix-store is not installed");
	const char *dir = test_tmpdir();
	AUTO(secret_key_done) struct secret_key nix = {0}, own = {0};
	AUTO(public_key_done) struct public_key nix_public = {0}, derived = {0};
	test_shell("cd '%s' && nix-store --generate-binary-cache-key t-1 secret public", dir);
	AUTO_FREE char *secret_text_ = test_shell_output("cat '%s/secret'", dir);
	AUTO_FREE char *public_text = test_shell_output("cat '%s/public'", dir);
	assert_ok(secret_key_parse(secret_text_, &nix, &err));
	assert_ok(public_key_parse(public_text, &nix_public, &err));
	assert_ok(secret_key_public(&nix, &derived, &err));
	assert_memory_equal(nix_public.bytes, derived.bytes, 32);
	assert_string_equal(nix.name, "t-1");
	assert_ok(secret_key_generate("own-1", &own, &err));
	AUTO_FREE char *text = secret_key_format(&own, &err);
	test_write(dir, "own", text, strlen(text));
	AUTO_FREE char *by_nix = test_shell_output("nix --extra-experimental-features nix-command "
						   "key convert-secret-to-public <'%s/own'",
		dir);
	AUTO(public_key_done) struct public_key own_public = {0};
	assert_ok(secret_key_public(&own, &own_public, &err));
	AUTO_FREE char *by_us = public_key_format(&own_public, &err);
	assert_string_equal(by_nix, by_us);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_8032),
		cmocka_unit_test(text_round_trip),
		cmocka_unit_test(says_what_a_key_looks_like),
		cmocka_unit_test(refuses_bad_names),
		cmocka_unit_test(interoperates_with_nix),
	};
	return TEST_MAIN(tests);
}
