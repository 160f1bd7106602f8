/* SPDX-License-Identifier: MIT */
/*
 * Several keys are for rotation: sign with the old and the new one until every machine was booted
 * with an initramfs that knows the new one, then drop the old one.
 */
#include "serve/signer.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/outfile.h"
#include "base/path.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_FILE_MAX 4096 /* bytes */
#define KEYS_MAX 8        /* a manifest is small */

void signer_done(struct signer *signer)
{
	VEC_FOREACH(key, &signer->keys)
		secret_key_done(key);
	VEC_FOREACH(key, &signer->trusted)
		public_key_done(key);
	vec_done(&signer->keys);
	vec_done(&signer->trusted);
}

char *signer_default_dir(struct err *err)
{
	if (geteuid() == 0)
		return path_printf(err, "/var/lib/snowboot");
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	if (state != NULL && state[0] == '/')
		return path_printf(err, "%s/snowboot", state);
	if (home != NULL && home[0] == '/')
		return path_printf(err, "%s/.local/state/snowboot", home);
	err_raise(err, ERR_NOT_FOUND, "there is no home directory to keep the signing key in");
	err_hint(err, "name a directory with --state DIR");
	return NULL;
}

/* Takes the key over on success. */
static int add(struct signer *signer, struct secret_key *take_key, struct err *err)
{
	struct public_key trusted = {0};
	VEC_FOREACH(key, &signer->keys)
		if (strcmp(key->name, take_key->name) == 0)
			return err_raise(err, ERR_USAGE, "two keys have the name '%s'", key->name);
	if (secret_key_public(take_key, &trusted, err) < 0)
		return -1;
	if (vec_push(&signer->trusted, trusted, err) < 0) {
		public_key_done(&trusted);
		return -1;
	}
	if (vec_push(&signer->keys, *take_key, err) < 0)
		return -1;
	*take_key = (struct secret_key){0};
	return 0;
}

static int read_key(struct signer *signer, const char *path, struct err *err)
{
	ERR_SCOPE(err, "key '%s'", path);
	AUTO_BUF text = {0};
	AUTO(secret_key_done) struct secret_key key = {0};
	if (fd_read_file(AT_FDCWD, path, KEY_FILE_MAX, &text, err) < 0)
		return -1;
	const char *str = buf_str(&text, err);
	int r = str == NULL ? -1 : secret_key_parse(str, &key, err);
	explicit_bzero(text.data, text.len);
	return r < 0 ? -1 : add(signer, &key, err);
}

/* Nobody but us may read it, at no moment: the mode is set before a byte is written. */
static int write_secret(const char *path, const char *text, struct err *err)
{
	AUTO_OUTFILE out = OUTFILE_INIT;
	if (outfile_open(&out, path, err) < 0)
		return -1;
	if (fchmod(out.fd, 0600) < 0)
		return err_sys(err, "cannot protect '%s'", path);
	if (fd_write_full(out.fd, text, strlen(text), path, err) < 0 ||
		fd_write_full(out.fd, "\n", 1, path, err) < 0)
		return -1;
	return outfile_commit(&out, err);
}

/* The name says whose key it is; "-1" leaves room for its successors, as is Nix's custom. */
static int generate(const char *path, struct err *err)
{
	char host[65] = "";
	if (gethostname(host, sizeof(host) - 1) < 0 || host[0] == '\0')
		memcpy(host, "origin", sizeof("origin"));
	AUTO_FREE char *name = path_printf(err, "snowboot-%s-1", host);
	AUTO(secret_key_done) struct secret_key key = {0};
	if (name == NULL || secret_key_generate(name, &key, err) < 0)
		return -1;
	char *text = secret_key_format(&key, err);
	if (text == NULL)
		return -1;
	int r = write_secret(path, text, err);
	explicit_bzero(text, strlen(text));
	free(text);
	if (r == 0)
		log_info("made a key to sign with, '%s'", path);
	return r;
}

static int own_key(struct signer *signer, const char *state_dir, struct err *err)
{
	AUTO_FREE char *path = path_printf(err, "%s/key", state_dir);
	if (path == NULL)
		return -1;
	if (access(path, F_OK) < 0 && generate(path, err) < 0)
		return -1;
	return read_key(signer, path, err);
}

static int write_public(const struct signer *signer, const char *state_dir, struct err *err)
{
	AUTO_FREE char *path = path_printf(err, "%s/key.pub", state_dir);
	AUTO_BUF text = {0};
	if (path == NULL)
		return -1;
	VEC_FOREACH(key, &signer->trusted) {
		AUTO_FREE char *line = public_key_format(key, err);
		if (line == NULL || buf_printf(&text, err, "%s\n", line) < 0)
			return -1;
	}
	return outfile_write(path, text.data, text.len, err);
}

int signer_open(
	const struct strvec *files, const char *state_dir, struct signer *ret, struct err *err)
{
	AUTO_SIGNER signer = {0};
	if (files->len > KEYS_MAX)
		return err_raise(err, ERR_USAGE, "%zu keys > max %d", files->len, KEYS_MAX);
	if (path_mkdirs(state_dir, err) < 0)
		return err_hint(err, "name another directory with --state DIR");
	for (size_t i = 0; i < files->len; i++)
		if (read_key(&signer, files->items[i], err) < 0)
			return -1;
	if (files->len == 0 && own_key(&signer, state_dir, err) < 0)
		return -1;
	if (write_public(&signer, state_dir, err) < 0)
		return -1;
	*ret = signer;
	signer = (struct signer){0};
	return 0;
}
