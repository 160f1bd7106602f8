/* SPDX-License-Identifier: MIT */
/* Lines of "name = words", "#" begins a comment, "include FILE" and "!include FILE" (Nix,
 * src/libutil/config.cc). A later line replaces an earlier one; "extra-" adds to it. */
#include "source/nix_conf.h"

#include "base/fd.h"
#include "base/path.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

enum { CONF_MAX = 1 << 20, INCLUDES_MAX = 8 };

void nix_conf_done(struct nix_conf *conf)
{
	strvec_done(&conf->substituters);
	strvec_done(&conf->trusted_keys);
	free(conf->netrc_file);
	free(conf->ssl_cert_file);
	*conf = (struct nix_conf){0};
}

static int set_words(struct strvec *vec, const char *words, bool extra, struct err *err)
{
	if (!extra) {
		strvec_done(vec);
		*vec = (struct strvec){0};
	}
	for (const char *p = words; *p != '\0';) {
		size_t len = strcspn(p, " \t");
		if (len > 0 && strvec_push_n(vec, p, len, err) < 0)
			return -1;
		p += len;
		p += strspn(p, " \t");
	}
	return 0;
}

static int set_text(char **ret, const char *value, struct err *err)
{
	free(*ret);
	*ret = strdup(value);
	return *ret != NULL ? 0 : err_oom(err);
}

static int set_seconds(unsigned *ret, const char *name, const char *value, struct err *err)
{
	char *end;
	errno = 0;
	unsigned long seconds = strtoul(value, &end, 10);
	if (errno != 0 || !isdigit((unsigned char)value[0]) || *end != '\0' || seconds > INT_MAX)
		return err_raise(err, ERR_USAGE, "%s in nix.conf is '%s', not a number of seconds",
			name, value);
	*ret = (unsigned)seconds;
	return 0;
}

static int set(struct nix_conf *conf, const char *name, const char *value, struct err *err)
{
	bool extra = strncmp(name, "extra-", 6) == 0;
	if (extra)
		name += 6;
	if (strcmp(name, "substituters") == 0 || strcmp(name, "binary-caches") == 0)
		return set_words(&conf->substituters, value, extra, err);
	if (strcmp(name, "trusted-public-keys") == 0 ||
		strcmp(name, "binary-cache-public-keys") == 0)
		return set_words(&conf->trusted_keys, value, extra, err);
	if (strcmp(name, "netrc-file") == 0)
		return set_text(&conf->netrc_file, value, err);
	if (strcmp(name, "ssl-cert-file") == 0)
		return set_text(&conf->ssl_cert_file, value, err);
	if (strcmp(name, "narinfo-cache-negative-ttl") == 0)
		return set_seconds(&conf->negative_ttl_s, name, value, err);
	return 0;
}

static int read_file(
	struct nix_conf *conf, const char *path, bool must, unsigned depth, struct err *err);

static int include(struct nix_conf *conf, const char *from, const char *name, bool must,
	unsigned depth, struct err *err)
{
	const char *slash = strrchr(from, '/');
	AUTO_FREE char *path = name[0] == '/' || slash == NULL
		? strdup(name)
		: path_printf(err, "%.*s/%s", (int)(slash - from), from, name);
	if (path == NULL)
		return err_clean(err) ? err_oom(err) : -1;
	return read_file(conf, path, must, depth + 1, err);
}

static int read_line(
	struct nix_conf *conf, const char *path, char *line, unsigned depth, struct err *err)
{
	line[strcspn(line, "#")] = '\0';
	line += strspn(line, " \t\r");
	size_t len = strlen(line);
	while (len > 0 && strchr(" \t\r", line[len - 1]) != NULL)
		line[--len] = '\0';
	size_t name_len = strcspn(line, " \t=");
	char *value = line + name_len;
	value += strspn(value, " \t");
	bool is_setting = *value == '=';
	if (is_setting)
		value += 1 + strspn(value + 1, " \t");
	line[name_len] = '\0';
	if (is_setting)
		return set(conf, line, value, err);
	bool must = strcmp(line, "include") == 0;
	if (must || strcmp(line, "!include") == 0)
		return include(conf, path, value, must, depth, err);
	return 0; /* Nix itself complains about such a line */
}

static int read_file(
	struct nix_conf *conf, const char *path, bool must, unsigned depth, struct err *err)
{
	AUTO_BUF text = {0};
	struct err tried = ERR_INIT;
	if (depth > INCLUDES_MAX)
		return err_raise(err, ERR_LIMIT, "'%s' is included from more than %d files", path,
			INCLUDES_MAX);
	if (fd_read_file(AT_FDCWD, path, CONF_MAX, &text, &tried) < 0) {
		if (tried.kind == ERR_NOT_FOUND && !must)
			return 0;
		*err = tried;
		return -1;
	}
	char *str = buf_str(&text, err);
	if (str == NULL)
		return -1;
	for (char *save = NULL, *line = strtok_r(str, "\n", &save); line != NULL;
		line = strtok_r(NULL, "\n", &save))
		if (read_line(conf, path, line, depth, err) < 0)
			return -1;
	return 0;
}

static int read_environment(struct nix_conf *conf, struct err *err)
{
	static const char *const names[] = {"NIX_SSL_CERT_FILE", "SSL_CERT_FILE"};
	for (size_t i = 0; i < ARRAY_LEN(names) && conf->ssl_cert_file == NULL; i++) {
		const char *value = getenv(names[i]);
		if (value != NULL && value[0] != '\0' &&
			set_text(&conf->ssl_cert_file, value, err) < 0)
			return -1;
	}
	return 0;
}

int nix_conf_read(struct nix_conf *ret, struct err *err)
{
	AUTO_NIX_CONF conf = {.negative_ttl_s = NIX_CONF_NEGATIVE_TTL_S};
	const char *dir = getenv("NIX_CONF_DIR");
	AUTO_FREE char *path = path_printf(err, "%s/nix.conf", dir != NULL ? dir : "/etc/nix");
	if (path == NULL || read_environment(&conf, err) < 0 ||
		read_file(&conf, path, false, 0, err) < 0)
		return -1;
	*ret = conf;
	conf = (struct nix_conf){0};
	return 0;
}
