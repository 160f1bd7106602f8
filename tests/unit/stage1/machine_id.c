/* SPDX-License-Identifier: MIT */
#include "stage1/machine_id.h"

#include "test.h"

#include "base/hex.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const uint8_t mac[6] = {0x52, 0x54, 0, 1, 2, 3}, no_mac[6];

static void assert_id(const uint8_t *id, const char *want)
{
	char text[33];
	hex_encode(id, MACHINE_ID_SIZE, text);
	assert_string_equal(text, want);
}

/* A /sys whose firmware says that. */
static const char *sys_with(const char *uuid)
{
	const char *dir = test_tmpdir();
	test_shell("mkdir -p %s/class/dmi/id && echo '%s' > %s/class/dmi/id/product_uuid", dir,
		uuid, dir);
	return dir;
}

static void find(const char *sys, const char *words, const uint8_t *card, const char *want)
{
	struct err err = ERR_INIT;
	AUTO(cmdline_done) struct cmdline cmdline = {0};
	uint8_t id[MACHINE_ID_SIZE];
	assert_ok(cmdline_parse(words, &cmdline, &err));
	assert_ok(machine_id_find(sys, &cmdline, card, id, &err));
	assert_id(id, want);
}

/* Upper case, as some kernels write it; the text's order, as systemd takes it. */
static void of_the_firmware(void **state)
{
	(void)state;
	find(sys_with("4C4C4544-0042-3510-8054-B7C04F443358"), "", no_mac,
		"4c4c4544004235108054b7c04f443358");
}

static void of_the_command_line(void **state)
{
	(void)state;
	const char *sys = sys_with("4c4c4544-0042-3510-8054-b7c04f443358");
	find(sys, "systemd.machine_id=0123456789abcdef0123456789abcdef", mac,
		"0123456789abcdef0123456789abcdef");
	/* "firmware" is what we do anyway: systemd-firmware, machine-id(5). */
	find(sys, "systemd.machine_id=firmware", mac, "4c4c4544004235108054b7c04f443358");
}

/* Firmware that nobody filled in: then the card names the machine, always the same. */
static void of_the_card(void **state)
{
	(void)state;
	uint8_t first[MACHINE_ID_SIZE], second[MACHINE_ID_SIZE];
	struct err err = ERR_INIT;
	struct cmdline none = {0};
	assert_ok(machine_id_find(
		sys_with("03000200-0400-0500-0006-000700080009"), &none, mac, first, &err));
	assert_ok(machine_id_find("/nonexistent", &none, mac, second, &err));
	assert_memory_equal(first, second, sizeof(first));
	assert_int_equal(first[6] >> 4, 4);
	assert_int_equal(first[8] >> 6, 2);
	assert_int_equal(machine_id_find("/nonexistent", &none, no_mac, first, &err), -1);
	assert_string_equal(err.hint, "boot with systemd.machine_id= and 32 hexadecimal digits");
	assert_err(&err, ERR_NOT_FOUND, "neither firmware nor BOOTIF= tell who this machine is");
}

static void nonsense(void **state)
{
	(void)state;
	uint8_t id[MACHINE_ID_SIZE];
	static const char *const texts[] = {"", "-", "0123", "0123456789abcdef0123456789abcdeg",
		"0123456789abcdef0123456789abcdef0", "00000000-0000-0000-0000-000000000000",
		"FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_false(machine_id_parse(texts[i], id));
}

static void is_written_once(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	uint8_t id[MACHINE_ID_SIZE];
	const char *root = test_tmpdir();
	assert_true(machine_id_parse("0123456789abcdef0123456789abcdef", id));
	test_shell("mkdir %s/etc && echo uninitialized > %s/etc/machine-id", root, root);
	assert_ok(machine_id_write(root, id, &err));
	test_shell("test $(cat %s/etc/machine-id) = 0123456789abcdef0123456789abcdef", root);
	test_shell("test $(stat -c %%a %s/etc/machine-id) = 444", root);
	id[0] = 0xff; /* the system's own stays */
	assert_ok(machine_id_write(root, id, &err));
	test_shell("test $(cat %s/etc/machine-id) = 0123456789abcdef0123456789abcdef", root);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_the_firmware),
		cmocka_unit_test(of_the_command_line),
		cmocka_unit_test(of_the_card),
		cmocka_unit_test(nonsense),
		cmocka_unit_test(is_written_once),
	};
	return TEST_MAIN(tests);
}
