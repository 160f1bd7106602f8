/* SPDX-License-Identifier: MIT */
/*
 * A fuzz target as a plain test: every file of the corpus, every truncation of it, and every file
 * with each byte flipped, up to a bound; each change also mended, where the target knows how.
 * Sanitizers, or the target's own checks, say whether something is wrong. A file of the corpus must
 * be a good input, so that a seed of an old layout is noticed; one whose name begins with
 * "refused-" must not.
 */
#include "target.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SIZE (64 * 1024)

/* On a heap block of its own, so that a sanitizer sees a read one byte too far. */
static bool run(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size > 0 ? size : 1);
	memcpy(copy, data, size);
	bool good = target_run(copy, size);
	free(copy);
	return good;
}

/* A changed input: as it is, and with its counts and checksums put right. How many runs it took. */
static size_t run_changed(const uint8_t *data, size_t size)
{
	(void)run(data, size);
	if (target_mend == NULL)
		return 1;
	uint8_t *copy = malloc(size > 0 ? size : 1);
	memcpy(copy, data, size);
	(void)run(copy, target_mend(copy, size));
	free(copy);
	return 2;
}

static size_t run_file(const char *path, bool want_good)
{
	static uint8_t data[MAX_SIZE];
	FILE *file = fopen(path, "rb");
	if (file == NULL) {
		perror(path);
		exit(1);
	}
	size_t size = fread(data, 1, sizeof(data), file), runs = 1;
	fclose(file);
	if (run(data, size) != want_good) {
		fprintf(stderr, "'%s' should be %s\n", path, want_good ? "taken" : "refused");
		exit(1);
	}
	for (size_t i = 0; i < size; i++) {
		runs += run_changed(data, i);
		data[i] ^= (uint8_t)(1 + i % 255);
		runs += run_changed(data, size);
		data[i] ^= (uint8_t)(1 + i % 255);
	}
	return runs;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 1;
	DIR *dir = opendir(argv[1]);
	if (dir == NULL) {
		perror(argv[1]);
		return 1;
	}
	size_t files = 0, runs = 0;
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		char path[4096];
		snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
		if (entry->d_name[0] == '.')
			continue;
		files++;
		runs += run_file(path, strncmp(entry->d_name, "refused-", 8) != 0);
	}
	closedir(dir);
	printf("%zu inputs from %zu files\n", runs, files);
	return files == 0;
}
