/* SPDX-License-Identifier: MIT */
/* A disk that hangs, dies, is full, read-only, rotten, pulled out or somebody else's: the reader
 * gets a miss, never wrong bytes, and how long it waited is printed. */
#include "cache/foreign.h"
#include "lab.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define MIB (1ull << 20)
#define COUNT 60u

static const char *chunks_of(const char *dir)
{
	static char path[256];
	snprintf(path, sizeof(path), "%s/chunks", dir);
	return path;
}

/* A cache with chunks 0 … COUNT - 1 on its disk. */
static void fill(struct lab *lab, const char *dir, unsigned disk_ms)
{
	lab_open(lab, dir, 32 * MIB, disk_ms);
	for (uint64_t i = 0; i < COUNT; i++)
		lab_put(lab, i);
	lab_settle(lab);
	assert_int_equal(lab_stat(lab).disk_chunks, COUNT);
}

/* How many of them are there; *ret_worst_ms is the longest that one read took. */
static unsigned count_timed(struct lab *lab, double *ret_worst_ms)
{
	unsigned found = 0;
	*ret_worst_ms = 0;
	for (uint64_t i = 0; i < COUNT; i++) {
		found += lab_get(lab, i);
		if (lab->stall_ms > *ret_worst_ms)
			*ret_worst_ms = lab->stall_ms;
	}
	return found;
}

static unsigned count_found(struct lab *lab)
{
	double worst;
	return count_timed(lab, &worst);
}

static void wait_usable(struct lab *lab)
{
	for (unsigned i = 0; i < 400 && !lab_stat(lab).disk_usable; i++)
		lab_run(lab, NULL, 25);
	assert_true(lab_stat(lab).disk_usable);
}

static void hanging(void **state)
{
	(void)state;
	struct lab lab;
	fill(&lab, test_tmpdir(), 100);
	pid_t helper = lab_helper();
	kill(helper, SIGSTOP);
	assert_false(lab_get(&lab, 1));
	double first = lab.stall_ms;
	assert_false(lab_get(&lab, 2));
	double next = lab.stall_ms;
	print_message("helper stopped: first read %.0f ms, next %.1f ms\n", first, next);
	assert_true(first < 100 + 150);
	assert_true(next < 50);
	assert_false(lab_stat(&lab).disk_usable);
	kill(helper, SIGCONT);
	wait_usable(&lab);
	assert_true(lab_get(&lab, 2));
	assert_true(lab_stat(&lab).disk_slow >= 1);
	/* For good: it is ended, and another one takes its place. */
	lab_log_begin();
	kill(helper, SIGSTOP);
	assert_false(lab_get(&lab, 3));
	lab_run(&lab, NULL, 4500);
	wait_usable(&lab);
	assert_int_not_equal(lab_helper(), helper);
	assert_int_equal(count_found(&lab), COUNT);
	assert_string_equal(lab_log.last + strlen(lab_log.last) - 6, " again");
	assert_int_equal(lab_log.count, 2);
	lab_close(&lab);
	log_setup(LOG_LEVEL_INFO, NULL, NULL);
}

/* Closing waits for no longer than it is told to. */
static void hanging_at_the_end(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct lab lab;
	fill(&lab, test_tmpdir(), 100);
	kill(lab_helper(), SIGSTOP);
	lab_put(&lab, 1000);
	double begun = lab_now_ms();
	lab.cache = cache_close(lab.cache, 300);
	double took = lab_now_ms() - begun;
	print_message("closing took %.0f ms\n", took);
	assert_true(took < 500);
	event_base_free(lab.base);
	assert_true(err_clean(&err));
}

static void helper_killed(void **state)
{
	(void)state;
	struct lab lab;
	fill(&lab, test_tmpdir(), 100);
	lab_log_begin();
	kill(lab_helper(), SIGKILL);
	lab_get(&lab, 1);
	print_message("helper killed: read %.1f ms\n", lab.stall_ms);
	assert_true(lab.stall_ms < 250);
	lab_run(&lab, NULL, 50);
	wait_usable(&lab);
	assert_int_equal(count_found(&lab), COUNT);
	/* Again and again: said once, and the pauses grow. */
	for (unsigned i = 0; i < 3; i++) {
		kill(lab_helper(), SIGKILL);
		lab_run(&lab, NULL, 50);
		wait_usable(&lab);
	}
	unsigned complaints = lab_log.count;
	print_message("%u log lines for 4 deaths\n", complaints);
	assert_int_equal(complaints, 2);
	lab_close(&lab);
	log_setup(LOG_LEVEL_INFO, NULL, NULL);
}

static void rotten(void **state)
{
	(void)state;
	struct lab lab;
	const char *dir = test_tmpdir();
	fill(&lab, dir, 0);
	int fd = open(chunks_of(dir), O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	/* A bit every 256 KiB of the first 3 MiB: it hits records, and not all. */
	for (off_t off = LAYOUT_ZONES_OFF + 30000; off < (off_t)(LAYOUT_ZONES_OFF + 3 * MIB);
		off += 256 * 1024) {
		uint8_t byte;
		assert_int_equal(pread(fd, &byte, 1, off), 1);
		byte ^= 0x10;
		assert_int_equal(pwrite(fd, &byte, 1, off), 1);
	}
	close(fd);
	double worst;
	unsigned found = count_timed(&lab, &worst);
	struct cache_stat stat = lab_stat(&lab);
	print_message("%u of %u chunks are rotten, worst read %.1f ms\n", (unsigned)stat.rotten,
		COUNT, worst);
	assert_true(worst < 250);
	assert_true(stat.rotten >= 5 && stat.rotten <= 12);
	assert_int_equal(found + stat.rotten, COUNT);
	assert_int_equal(stat.disk_chunks, found);
	/* Fetched again, they are as good as new. */
	for (uint64_t i = 0; i < COUNT; i++)
		lab_put(&lab, i);
	lab_settle(&lab);
	assert_int_equal(count_found(&lab), COUNT);
	lab_close(&lab);
	lab_open(&lab, dir, 32 * MIB, 0);
	assert_int_equal(count_found(&lab), COUNT);
	lab_close(&lab);
}

static void first_block_lost(void **state)
{
	(void)state;
	struct lab lab;
	const char *dir = test_tmpdir();
	fill(&lab, dir, 0);
	cache_note_set(lab.cache, "serial", "7", 1);
	lab_close(&lab);
	int fd = open(chunks_of(dir), O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "garbage", 7, 20), 7);
	close(fd);
	lab_open(&lab, dir, 32 * MIB, 0);
	assert_int_equal(lab_stat(&lab).disk_chunks, 0);
	assert_int_equal(cache_note(lab.cache, "serial")->len, 0);
	lab_put(&lab, 1);
	lab_settle(&lab);
	assert_true(lab_get(&lab, 1));
	lab_close(&lab);
}

static void pulled_out(void **state)
{
	(void)state;
	struct lab lab;
	const char *dir = test_tmpdir();
	fill(&lab, dir, 100);
	assert_int_equal(truncate(chunks_of(dir), LAYOUT_ZONES_OFF + MIB), 0);
	double worst;
	unsigned found = count_timed(&lab, &worst);
	print_message("cut off: %u of %u left, worst read %.1f ms\n", found, COUNT, worst);
	assert_true(found > 0 && found < COUNT);
	assert_true(worst < 250);
	lab_close(&lab);
}

static void used_by_another(void **state)
{
	(void)state;
	struct lab first, second;
	const char *dir = test_tmpdir();
	fill(&first, dir, 100);
	lab_log_begin();
	double begun = lab_now_ms();
	lab_open(&second, dir, 32 * MIB, 200);
	print_message("refused after %.0f ms\n", lab_now_ms() - begun);
	assert_false(lab_stat(&second).disk_usable);
	assert_false(lab_get(&second, 1));
	char want[600];
	snprintf(want, sizeof(want),
		"cache '%s': another process uses it, using memory instead of '%s'", dir, dir);
	assert_string_equal(lab_log.last, want);
	assert_int_equal(lab_log.count, 1);
	assert_int_equal(count_found(&first), COUNT);
	lab_close(&first);
	wait_usable(&second); /* it is tried again */
	assert_int_equal(count_found(&second), COUNT);
	lab_close(&second);
	log_setup(LOG_LEVEL_INFO, NULL, NULL);
}

static void need_mounts(void)
{
	const char *dir = test_tmpdir();
	if (mount("tmpfs", dir, "tmpfs", 0, "size=1m") < 0) {
		if (getenv("MUST_RUN") != NULL && strcmp(getenv("MUST_RUN"), "1") == 0)
			fail_msg("must run, but cannot mount a tmpfs");
		print_message("cannot mount a tmpfs here\n");
		skip();
	}
	umount(dir);
}

static void disk_full(void **state)
{
	(void)state;
	need_mounts();
	struct lab lab;
	const char *dir = test_tmpdir();
	assert_int_equal(mount("tmpfs", dir, "tmpfs", 0, "size=9m"), 0);
	lab_log_begin();
	lab_open(&lab, dir, 64 * MIB, 100);
	double worst = 0;
	for (uint64_t i = 0; i < 600; i++) {
		lab_put(&lab, i);
		if (i % 40 == 39)
			lab_settle(&lab);
		lab_get(&lab, i / 2);
		worst = lab.stall_ms > worst ? lab.stall_ms : worst;
	}
	lab_settle(&lab);
	struct cache_stat stat = lab_stat(&lab);
	print_message(
		"full: %u chunks kept, worst read %.1f ms\n", (unsigned)stat.disk_chunks, worst);
	assert_true(worst < 250);
	assert_true(stat.disk_usable && stat.disk_chunks > 20);
	/* It goes on in what it has: the last ones are there. */
	assert_true(lab_get(&lab, 599));
	char want[600];
	snprintf(want, sizeof(want),
		"cannot write to the cache '%s': No space left on device, using what is there",
		dir);
	assert_string_equal(lab_log.last, want);
	assert_int_equal(lab_log.count, 1);
	lab_close(&lab);
	lab_open(&lab, dir, 64 * MIB, 100);
	assert_true(lab_get(&lab, 599));
	lab_close(&lab);
	umount(dir);
	log_setup(LOG_LEVEL_INFO, NULL, NULL);
}

static void disk_read_only(void **state)
{
	(void)state;
	need_mounts();
	struct lab lab;
	const char *dir = test_tmpdir();
	assert_int_equal(mount("tmpfs", dir, "tmpfs", 0, "size=64m"), 0);
	fill(&lab, dir, 100);
	lab_close(&lab);
	assert_int_equal(mount(NULL, dir, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	lab_open(&lab, dir, 32 * MIB, 100);
	double worst;
	assert_int_equal(count_timed(&lab, &worst), COUNT);
	print_message("read-only: worst read %.1f ms\n", worst);
	assert_true(worst < 250);
	lab_put(&lab, 1000);
	cache_note_set(lab.cache, "serial", "8", 1);
	lab_settle(&lab);
	assert_false(lab_get(&lab, 1000));
	assert_int_equal(lab_stat(&lab).disk_errors, 0);
	lab_close(&lab);
	umount(dir);
}

static void unusable(const char *path, const char *message)
{
	struct lab lab;
	char want[1200];
	lab_log_begin();
	lab_open(&lab, path, 0, 100);
	assert_false(lab_stat(&lab).disk_usable);
	snprintf(want, sizeof(want), "cache '%s': %s, using memory instead of '%s'", path, message,
		path);
	assert_string_equal(lab_log.last, want);
	lab_put(&lab, 1);
	assert_false(lab_get(&lab, 1));
	lab_close(&lab);
	log_setup(LOG_LEVEL_INFO, NULL, NULL);
}

static void unusable_paths(void **state)
{
	(void)state;
	char path[256];
	snprintf(path, sizeof(path), "%s/absent/deep", test_tmpdir());
	unusable(path, "cannot open: No such file or directory");
	unusable("/dev/null", "neither a partition, a directory nor a file");
	const char *dir = test_tmpdir();
	test_write(dir, "small", "x", 1);
	snprintf(path, sizeof(path), "%s/small", dir);
	unusable(path, "1 bytes are too few, less than 8388608");
}

/* Attaches a file of 32 MiB to a loop device; NULL when that cannot be done here. */
static char *attach(const char *file)
{
	test_shell("truncate -s 32M %s", file);
	char *device = test_shell_output("losetup -f --show %s 2>/dev/null || true", file);
	if (device[0] != '\0')
		return device;
	free(device);
	if (getenv("MUST_RUN") != NULL && strcmp(getenv("MUST_RUN"), "1") == 0)
		fail_msg("must run, but there are no loop devices");
	return NULL;
}

/* A partition is used as it is; one with something else on it is not touched. */
static void partition(void **state)
{
	(void)state;
	struct lab lab;
	char file[256];
	snprintf(file, sizeof(file), "%s/disk", test_tmpdir());
	char *device = attach(file);
	if (device == NULL)
		skip();
	fill(&lab, device, 100);
	lab_close(&lab);
	lab_open(&lab, device, 0, 100);
	assert_int_equal(lab_stat(&lab).disk_max, 28 * MIB);
	assert_int_equal(count_found(&lab), COUNT);
	/* The medium is gone from under it: what cannot be read is a miss. */
	assert_int_equal(truncate(file, (off_t)(5 * MIB)), 0);
	double worst;
	unsigned found = count_timed(&lab, &worst);
	print_message("device lost: %u of %u, worst read %.1f ms\n", found, COUNT, worst);
	assert_true(found < COUNT && worst < 250);
	lab_close(&lab);
	test_shell("losetup -d %s", device);
	free(device);
	unlink(file);

	device = attach(file);
	assert_non_null(device);
	test_shell("printf '\\123\\357' | dd of=%s bs=1 seek=1080 conv=notrunc status=none", file);
	test_shell("blockdev --flushbufs %s", device);
	unusable(device,
		"there is an ext2, ext3 or ext4 file system on it; "
		"if it is not needed, clear it with 'wipefs --all'");
	test_shell("losetup -d %s", device);
	free(device);
}

static void foreign(void **state)
{
	(void)state;
	static uint8_t bytes[FOREIGN_SIZE];
	assert_null(cache_foreign(bytes, sizeof(bytes)));
	memcpy(bytes + 0x10040, "_BHRfS_M", 8);
	assert_string_equal(cache_foreign(bytes, sizeof(bytes)), "a btrfs file system");
	assert_null(cache_foreign(bytes, 0x10040 + 7));
	memcpy(bytes, "XFSB", 4);
	assert_string_equal(cache_foreign(bytes, sizeof(bytes)), "an XFS file system");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hanging),
		cmocka_unit_test(hanging_at_the_end),
		cmocka_unit_test(helper_killed),
		cmocka_unit_test(rotten),
		cmocka_unit_test(first_block_lost),
		cmocka_unit_test(pulled_out),
		cmocka_unit_test(used_by_another),
		cmocka_unit_test(disk_full),
		cmocka_unit_test(disk_read_only),
		cmocka_unit_test(unusable_paths),
		cmocka_unit_test(partition),
		cmocka_unit_test(foreign),
	};
	return TEST_MAIN(tests);
}
