/* SPDX-License-Identifier: MIT */
/*
 * A node that fills its cache is killed at random instants, and a disk loses power: whatever was
 * not synced is old, new or torn. Afterwards every chunk is compared: none may be wrong, and what
 * was synced must be there. The seed is printed; SNOWBOOT_SEED repeats a run, SNOWBOOT_LONG=1 does
 * more of them.
 */
#include "lab.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define MIB (1ull << 20)
#define UNIVERSE 500u /* chunks, some two and a half times what the disk holds */

static uint64_t seed;

static unsigned rounds(void)
{
	const char *is_long = getenv("SNOWBOOT_LONG");
	return is_long != NULL && strcmp(is_long, "1") == 0 ? 100 : 20;
}

static void begin(void **state)
{
	(void)state;
	const char *given = getenv("SNOWBOOT_SEED");
	seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
	print_message("SNOWBOOT_SEED=%llu\n", (unsigned long long)seed);
}

/* Puts random chunks, reads some and sets a note, until killed. Tells each note that is set. */
static _Noreturn void fill_for_ever(const char *dir, uint64_t random, int notes)
{
	struct lab lab;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	lab_open(&lab, dir, 14 * MIB, 0);
	const struct buf *old = cache_note(lab.cache, "count");
	uint32_t count = 0;
	if (old->len == sizeof(count))
		memcpy(&count, old->data, sizeof(count));
	for (;;) {
		lab_put(&lab, lab_random(&random) % UNIVERSE);
		lab_get(&lab, lab_random(&random) % UNIVERSE);
		count++;
		cache_note_set(lab.cache, "count", &count, sizeof(count));
		lab_run(&lab, NULL, 1);
		if (write(notes, &count, sizeof(count)) != sizeof(count))
			_exit(1);
	}
}

/* Every chunk is right or absent; returns how many are there. */
static unsigned check_all(const char *dir, uint32_t *ret_note)
{
	struct lab lab;
	unsigned found = 0;
	lab_open(&lab, dir, 14 * MIB, 0);
	assert_true(lab_stat(&lab).disk_usable);
	for (uint64_t i = 0; i < UNIVERSE; i++)
		found += lab_get(&lab, i);
	const struct buf *note = cache_note(lab.cache, "count");
	assert_true(note->len == 0 || note->len == sizeof(*ret_note));
	*ret_note = 0;
	if (note->len != 0)
		memcpy(ret_note, note->data, sizeof(*ret_note));
	lab_close(&lab);
	return found;
}

static void killed(void **state)
{
	begin(state);
	const char *dir = test_tmpdir();
	unsigned least = UNIVERSE;
	uint32_t last = 0, note;
	for (unsigned round = 0; round < rounds(); round++) {
		int notes[2], status;
		assert_int_equal(pipe2(notes, O_CLOEXEC | O_NONBLOCK), 0);
		uint64_t random = lab_random(&seed);
		pid_t child = fork();
		if (child == 0)
			fill_for_ever(dir, random, notes[1]);
		close(notes[1]);
		usleep(150000 + (useconds_t)(lab_random(&seed) % 400000));
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
		uint32_t told;
		while (read(notes[0], &told, sizeof(told)) == sizeof(told))
			last = told;
		close(notes[0]);
		unsigned found = check_all(dir, &note);
		/* A note is on its way for some milliseconds; it never goes back behind that. */
		assert_true(note <= last + 1);
		assert_true(note + 200 >= last);
		if (round > 4)
			least = found < least ? found : least;
	}
	print_message("%u kills, never fewer than %u chunks, note %u of %u\n", rounds(), least,
		note, last);
	assert_true(least > 50);
}

static void *slurp(const char *path, size_t *ret_size)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	uint8_t *bytes = malloc((size_t)st.st_size);
	assert_non_null(bytes);
	assert_int_equal(read(fd, bytes, (size_t)st.st_size), st.st_size);
	close(fd);
	*ret_size = (size_t)st.st_size;
	return bytes;
}

/* Each block that changed since the sync is old, new, cut within, or nonsense. */
static void lose_power(uint8_t *now, const uint8_t *synced, size_t size)
{
	for (size_t off = 0; off < size; off += LAYOUT_BLOCK) {
		if (memcmp(now + off, synced + off, LAYOUT_BLOCK) == 0)
			continue;
		size_t cut = lab_random(&seed) % (LAYOUT_BLOCK / 512) * 512;
		switch (lab_random(&seed) % 8) {
		case 0:
		case 1:
		case 2:
			memcpy(now + off, synced + off, LAYOUT_BLOCK);
			break;
		case 3:
			memcpy(now + off, synced + off, cut);
			break;
		case 4:
			memset(now + off, (int)(lab_random(&seed) & 0xff), LAYOUT_BLOCK);
			break;
		default:
			break;
		}
	}
}

static void power_lost(void **state)
{
	begin(state);
	const char *dir = test_tmpdir();
	char path[256];
	snprintf(path, sizeof(path), "%s/chunks", dir);
	uint64_t random = seed;
	unsigned rotten = 0, kept = 0;
	for (unsigned round = 0; round < rounds(); round++) {
		struct lab lab;
		size_t size, size_now;
		lab_open(&lab, dir, 14 * MIB, 0);
		for (unsigned i = 0; i < 30; i++)
			lab_put(&lab, lab_random(&random) % UNIVERSE);
		cache_note_set(lab.cache, "round", &round, sizeof(round));
		lab_close(&lab); /* this syncs */
		uint8_t *synced = slurp(path, &size);
		lab_open(&lab, dir, 14 * MIB, 0);
		unsigned good = 0;
		unsigned more = round % 3 == 0 ? 0 : (unsigned)(lab_random(&random) % 60);
		for (unsigned i = 0; i < more; i++)
			lab_put(&lab, lab_random(&random) % UNIVERSE);
		for (uint64_t i = 0; more == 0 && i < UNIVERSE; i++)
			good += lab_get(&lab, i);
		lab_settle(&lab);
		uint8_t *now = slurp(path, &size_now);
		lab.cache = cache_close(lab.cache, 0);
		event_base_free(lab.base);
		assert_int_equal(size, size_now);
		lose_power(now, synced, size);
		test_write(dir, "chunks", now, size);
		free(now);
		free(synced);

		lab_open(&lab, dir, 14 * MIB, 0);
		unsigned found = 0;
		for (uint64_t i = 0; i < UNIVERSE; i++)
			found += lab_get(&lab, i);
		const struct buf *note = cache_note(lab.cache, "round");
		assert_int_equal(note->len, sizeof(round));
		assert_memory_equal(note->data, &round, sizeof(round));
		rotten += (unsigned)lab_stat(&lab).rotten;
		kept += found;
		if (more == 0)
			assert_int_equal(found, good);
		lab_close(&lab);
	}
	print_message("%u losses of power: %u rotten chunks found out, %u good ones read\n",
		rounds(), rotten, kept);
	assert_true(rotten > 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed),
		cmocka_unit_test(power_lost),
	};
	return TEST_MAIN(tests);
}
