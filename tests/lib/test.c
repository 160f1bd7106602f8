/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/outfile.h"
#include "base/path.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static char *tmpdirs[64];
static size_t tmpdir_count;

static void remove_tmpdirs(void)
{
	for (size_t i = 0; i < tmpdir_count; i++) {
		char command[512];
		snprintf(command, sizeof(command), "rm -rf '%s'", tmpdirs[i]);
		if (system(command) != 0)
			fprintf(stderr, "cannot remove %s\n", tmpdirs[i]);
		free(tmpdirs[i]);
	}
}

const char *test_tmpdir(void)
{
	assert_true(tmpdir_count < ARRAY_LEN(tmpdirs));
	const char *base = getenv("TMPDIR");
	struct err err = ERR_INIT;
	char *dir = path_printf(&err, "%s/snowboot-test-XXXXXX", base != NULL ? base : "/tmp");
	assert_non_null(dir);
	assert_non_null(mkdtemp(dir));
	if (tmpdir_count == 0)
		atexit(remove_tmpdirs);
	return tmpdirs[tmpdir_count++] = dir;
}

void test_write(const char *dir, const char *name, const void *data, size_t size)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *path = path_printf(&err, "%s/%s", dir, name);
	assert_ok(outfile_write(path, data, size, &err));
}

void test_shell(const char *fmt, ...)
{
	AUTO_FREE char *command = NULL;
	va_list ap;
	va_start(ap, fmt);
	int len = vasprintf(&command, fmt, ap);
	va_end(ap);
	assert_true(len >= 0);
	int status = system(command);
	if (status != 0)
		fail_msg("'%s' ended with status %d", command, status);
}

char *test_shell_output(const char *fmt, ...)
{
	AUTO_FREE char *command = NULL;
	va_list ap;
	va_start(ap, fmt);
	int len = vasprintf(&command, fmt, ap);
	va_end(ap);
	assert_true(len >= 0);
	FILE *pipe = popen(command, "r");
	assert_non_null(pipe);
	struct err err = ERR_INIT;
	AUTO_BUF out = {0};
	char piece[4096];
	size_t n;
	while ((n = fread(piece, 1, sizeof(piece), pipe)) > 0)
		assert_ok(buf_put(&out, piece, n, &err));
	int status = pclose(pipe);
	if (status != 0)
		fail_msg("'%s' ended with status %d", command, status);
	while (out.len > 0 && out.data[out.len - 1] == '\n')
		out.len--;
	return buf_take_str(&out, &err);
}

void test_skip(const char *why)
{
	const char *must = getenv("MUST_RUN");
	bool required = must != NULL && strcmp(must, "1") == 0;
	fprintf(stderr, "%s: %s\n", required ? "FAILED, must run" : "SKIPPED", why);
	exit(required ? 1 : 77);
}

bool test_kernel_died_early(const char *transcript)
{
	struct err err = ERR_INIT;
	AUTO_BUF text = {0};
	if (fd_read_file(AT_FDCWD, transcript, 64 << 20, &text, &err) < 0)
		return false;
	const char *console = buf_str(&text, &err);
	bool died = console != NULL && strstr(console, "Comm: swapper/") != NULL &&
		strstr(console, "Kernel panic") != NULL &&
		strstr(console, "snowboot: read: ") == NULL;
	if (died)
		fprintf(stderr, "the emulated kernel died before it started init, once more\n");
	return died;
}

void test_each_path(const char *fixture, void (*each)(const char *path))
{
	char *paths = test_shell_output(
		"nix-store -qR /var/lib/snowboot/fixtures/%s 2>/dev/null || true", fixture);
	if (paths[0] == '\0')
		test_skip(
			"no fixtures under /var/lib/snowboot/fixtures; fixtures/build makes them");
	for (char *save = NULL, *path = strtok_r(paths, "\n", &save); path != NULL;
		path = strtok_r(NULL, "\n", &save))
		each(path);
	free(paths);
}
