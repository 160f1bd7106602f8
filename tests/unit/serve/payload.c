/* SPDX-License-Identifier: MIT */
#include "serve/payload.h"

#include "test.h"

#define MIB ((uint64_t)1 << 20)

static void assert_chosen(
	unsigned memory_mib, uint64_t image, enum root_kind root, const char *reason)
{
	const struct client client = {.memory_mib = memory_mib};
	char got[PAYLOAD_REASON_SIZE];
	assert_int_equal(payload_choose(&client, image, got), root);
	assert_string_equal(got, reason);
}

static void where_the_root_lies(void **state)
{
	(void)state;
	assert_chosen(0, 1, ROOT_NET, "over the network: its memory is unknown");
	assert_chosen(4096, 1024 * MIB, ROOT_COPY,
		"in memory: the image has 1024 MiB, at most a quarter of its 4096 MiB of memory");
	assert_chosen(4095, 1024 * MIB, ROOT_NET,
		"over the network: the image has 1024 MiB, more than a quarter of its 4095 MiB of "
		"memory");
	assert_chosen(65536, 1025 * MIB, ROOT_NET,
		"over the network: the image has 1025 MiB, more than 1024 MiB");
}

static void assert_refused(const struct client *client, const struct payload *payload,
	const char *message, const char *hint)
{
	struct err err = ERR_INIT;
	assert_int_equal(payload_check(client, payload, &err), -1);
	assert_string_equal(err.hint, hint);
	assert_err(&err, ERR_UNSUPPORTED, message);
}

static void assert_taken(const struct client *client, const struct payload *payload)
{
	struct err err = ERR_INIT;
	assert_ok(payload_check(client, payload, &err));
}

static void memory(void **state)
{
	(void)state;
	struct client client = {.firmware = FIRMWARE_BIOS};
	struct payload p = {.root = ROOT_RAM,
		.kernel = 10 * MIB,
		.initrd = 500 * MIB,
		.memory = 1600 * MIB,
		.image = 450 * MIB,
		.system = "x86_64-linux"};
	assert_taken(&client, &p); /* unknown */
	client.memory_mib = 1599;
	assert_taken(&client, &p); /* what the firmware keeps is not counted */
	client.memory_mib = 1024;
	assert_refused(&client, &p,
		"this machine has 1024 MiB of memory, and needs at least 1600 MiB",
		"with --root net it would need less");
	client.firmware = FIRMWARE_EFI;
	client.memory_mib = 1700;
	assert_refused(&client, &p,
		"this machine has 1700 MiB of memory, and needs at least 2100 MiB",
		"with --root net it would need less");
	p.root = ROOT_NET;
	p.initrd = 12 * MIB;
	assert_taken(&client, &p);
	client.memory_mib = 256;
	assert_refused(
		&client, &p, "this machine has 256 MiB of memory, and needs at least 430 MiB", "");
	p.root = ROOT_COPY;
	client.memory_mib = 512;
	assert_refused(&client, &p,
		"this machine has 512 MiB of memory, and needs at least 880 MiB",
		"with --root net it would need less");
}

static void old_firmware(void **state)
{
	(void)state;
	struct client client = {.firmware = FIRMWARE_BIOS, .memory_mib = 65536, .arch = "i386"};
	struct payload p = {.root = ROOT_RAM, .initrd = 2048 * MIB, .system = "x86_64-linux"};
	static const char message[] =
		"the initrd has 2048 MiB, and this firmware loads less than 2048 MiB";
	static const char hint[] = "with --root net it would be small";
	assert_refused(&client, &p, message, hint);
	client.firmware = FIRMWARE_EFI;
	assert_refused(&client, &p, message, hint);
	p.initrd--;
	assert_taken(&client, &p);
	p.initrd++;
	snprintf(client.arch, sizeof(client.arch), "x86_64");
	assert_taken(&client, &p);
}

static void another_architecture(void **state)
{
	(void)state;
	struct client client = {.arch = "arm64"};
	struct payload p = {.system = "x86_64-linux"};
	assert_refused(&client, &p,
		"this machine's boot loader is for arm64, the system for x86_64-linux",
		"make an entry for it that names a system of its kind");
	p.system = "aarch64-linux";
	assert_taken(&client, &p);
	snprintf(client.arch, sizeof(client.arch), "sparc");
	assert_taken(&client, &p);
	client.arch[0] = '\0';
	assert_taken(&client, &p);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(where_the_root_lies),
		cmocka_unit_test(memory),
		cmocka_unit_test(old_firmware),
		cmocka_unit_test(another_architecture),
	};
	return TEST_MAIN(tests);
}
