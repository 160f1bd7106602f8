/* SPDX-License-Identifier: MIT */
/*
 * Every store path of the fixtures, each way: dumped by Nix, read and restored by us, dumped by Nix
 * again; dumped by us, restored by Nix, dumped by us again. All is streamed, as one has 5 GiB.
 */
#include "base/path.h"
#include "nix/nar.h"
#include "nix/nar_reader.h"
#include "nix/nar_restore.h"
#include "test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What was done already, since systems share most of their paths. */
static struct strvec done;
static const char *dir;

static int read_pipe(void *data, void *bytes, size_t max, size_t *ret_len, struct err *err)
{
	FILE *pipe = data;
	*ret_len = fread(bytes, 1, max, pipe);
	return ferror(pipe) ? err_raise(err, ERR_IO, "cannot read from nix-store") : 0;
}

/* A sink that hashes what it hands on. */
struct tee {
	FILE *pipe;
	struct nar_hasher hasher;
};

static int write_pipe(void *data, const void *bytes, size_t len, struct err *err)
{
	struct tee *tee = data;
	sha256_update(&tee->hasher.ctx, len, bytes);
	tee->hasher.size += len;
	return fwrite(bytes, 1, len, tee->pipe) == len
		? 0
		: err_raise(err, ERR_IO, "cannot write to nix-store");
}

static FILE *start(const char *mode, const char *fmt, const char *path)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *command = path_printf(&err, fmt, path);
	assert_non_null(command);
	FILE *pipe = popen(command, mode);
	assert_non_null(pipe);
	return pipe;
}

/* From Nix to us and back. Gives the NAR's hash. */
static struct digest from_nix(const char *path, const char *restored)
{
	struct err err = ERR_INIT;
	char hex[DIGEST_HEX_SIZE];
	uint64_t size;
	FILE *pipe = start("r", "nix-store --dump '%s'", path);
	const struct nar_input input = {read_pipe, pipe};
	AUTO_NAR_READER *reader = NULL;
	assert_ok(nar_reader_new(&input, UINT64_MAX, &reader, &err));
	assert_ok(nar_restore(reader, restored, &err));
	struct digest digest = nar_reader_hash(reader, &size);
	assert_int_equal(pclose(pipe), 0);
	AUTO_FREE char *again =
		test_shell_output("nix-store --dump '%s' | sha256sum | cut -c-64", restored);
	if (strcmp(again, digest_hex(&digest, hex)) != 0)
		fail_msg("'%s' is another NAR when we have restored it", path);
	return digest;
}

/* From us to Nix and back: the same NAR, of that hash. */
static void to_nix(const char *path, const char *restored, const struct digest *want)
{
	struct err err = ERR_INIT;
	struct tee tee = {.pipe = start("w", "nix-store --restore '%s'", restored)};
	const struct nar_sink sink = {write_pipe, &tee};
	struct nar_hasher hasher;
	nar_hasher_init(&tee.hasher);
	nar_hasher_init(&hasher);
	assert_ok(nar_write_path(path, &sink, &err));
	assert_int_equal(pclose(tee.pipe), 0);
	const struct nar_sink hash_sink = nar_hasher_sink(&hasher);
	assert_ok(nar_write_path(restored, &hash_sink, &err));
	struct digest ours = nar_hasher_finish(&tee.hasher), theirs = nar_hasher_finish(&hasher);
	if (!digest_equal(&ours, want) || !digest_equal(&theirs, want))
		fail_msg("'%s' is another NAR when Nix has restored ours", path);
}

static void assert_round_trip(const char *path)
{
	struct err err = ERR_INIT;
	if (strvec_has(&done, path))
		return;
	assert_ok(strvec_push(&done, path, &err));
	AUTO_FREE char *ours = path_printf(&err, "%s/ours", dir);
	AUTO_FREE char *theirs = path_printf(&err, "%s/theirs", dir);
	struct digest digest = from_nix(path, ours);
	test_shell("rm -rf '%s'", ours);
	to_nix(path, theirs, &digest);
	test_shell("rm -rf '%s'", theirs);
}

static void each_path_of(const char *const *fixtures)
{
	dir = test_tmpdir();
	for (; *fixtures != NULL; fixtures++)
		test_each_path(*fixtures, assert_round_trip);
	printf("%zu store paths\n", done.len);
	strvec_done(&done);
}

static void systems(void **state)
{
	(void)state;
	static const char *const fixtures[] = {"scripted", "scripted-2", "systemd", "nixos-init",
		"networkd", "dhcpcd", "manager", "arm64", NULL};
	each_path_of(fixtures);
}

static void odd(void **state)
{
	(void)state;
	static const char *const fixtures[] = {"odd", NULL};
	each_path_of(fixtures);
}

static void more(void **state)
{
	(void)state;
	static const char *const fixtures[] = {"odd-many", "desktop", NULL};
	each_path_of(fixtures);
}

/* 5 GiB in one file. */
static void large(void **state)
{
	(void)state;
	static const char *const fixtures[] = {"odd-big", NULL};
	each_path_of(fixtures);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(systems),
		cmocka_unit_test(odd),
		cmocka_unit_test(more),
		cmocka_unit_test(large),
	};
	/* Nothing of it is to last, and most paths fit into memory; one has 5 GiB. */
	bool is_large = argc > 1 && strcmp(argv[1], "large") == 0;
	if (!is_large && access("/dev/shm", W_OK) == 0)
		(void)setenv("TMPDIR", "/dev/shm", 0);
	return TEST_MAIN(tests);
}
