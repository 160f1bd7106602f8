/* SPDX-License-Identifier: MIT */
/*
 * U-Boot as it is delivered, on an emulated ARM machine with nothing but a card: by DHCP and TFTP
 * it finds our script, the extlinux.conf of its machine, kernel and initrd, and has their bytes.
 * The kernel is the fixture's, which is none for ARM: how it starts is not looked at here.
 */
#include "lab.h"

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"

#include "test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAC "52:54:00:5b:00:02"
#define MAC_NAME "01-52-54-00-5b-00-02"
#define PROMPT "=> *$"
#define TIMEOUT_MS 120000
/* qemu_arm64's memory begins at 0x40000000; the first part has U-Boot's own things. */
#define LOAD_ADDRESS "0x44000000"

/* Types a command and waits for the prompt after it; what `pattern` (if any) matched before. */
static int type(struct lab *lab, const char *command, const char *pattern, char **ret_match,
	struct err *err)
{
	AUTO_FREE char *line = path_printf(err, "%s\n", command);
	if (line == NULL || console_send(lab_console(lab), line, err) < 0)
		return -1;
	if (pattern != NULL &&
		console_expect(lab_console(lab), pattern, TIMEOUT_MS, ret_match, err) < 0)
		return err_prefix(err, "after '%s'", command);
	if (console_expect(lab_console(lab), PROMPT, TIMEOUT_MS, NULL, err) < 0)
		return err_prefix(err, "after '%s'", command);
	lab_step(lab, "%s", command);
	return 0;
}

static int start(struct lab *lab, const char *system, struct err *err)
{
	const struct machine m = {.firmware = FIRMWARE_UBOOT,
		.cpu = "cortex-a57",
		.memory_mib = 1024,
		/* U-Boot 2023.01 misreads the address of QEMU's virtio cards. */
		.nics = {{.model = "e1000", .mac = MAC, .rom = NIC_ROM_NONE}}};
	AUTO_STRVEC words = {0};
	AUTO_FREE char *state = path_printf(err, "%s/state", lab->dir);
	if (state == NULL || strvec_push(&words, system, err) < 0 ||
		strvec_push(&words, "--state", err) < 0 || strvec_push(&words, state, err) < 0 ||
		lab_serve_words(lab, &words, err) < 0 || lab_start(lab, &m, err) < 0)
		return -1;
	lab_step(lab, "the server serves, the machine is on");
	return 0;
}

/* U-Boot's default boot command, as at a board whose disks are empty. */
static int boot_by_default(struct lab *lab, const char *system, struct err *err)
{
	const char *name = path_basename(system);
	struct console *c = lab_console(lab);
	AUTO_FREE char *kernel = path_printf(err, "Retrieving file: /boot/%s/bzImage", name);
	AUTO_FREE char *initrd = path_printf(err, "Retrieving file: /boot/%s/initrd", name);
	AUTO_FREE char *append = path_printf(err,
		"append: .*init=%s/init .*snowboot.origin=http://" LAB_HOST ":8080 "
		"BOOTIF=" MAC_NAME,
		system);
	if (kernel == NULL || initrd == NULL || append == NULL)
		return -1;
	const char *const seen[] = {"Filename 'boot.scr.uimg'", "Executing script at",
		"Retrieving file: pxelinux.cfg/" MAC_NAME, "Config file .* found", initrd, kernel,
		append};
	for (size_t i = 0; i < ARRAY_LEN(seen); i++)
		if (console_expect(c, seen[i], TIMEOUT_MS, NULL, err) < 0)
			return err_prefix(err, "waiting for '%s'", seen[i]);
	lab_step(lab, "script, extlinux.conf, kernel and initrd by the default boot command");
	return 0;
}

/* To the prompt: the kernel is not for this machine, so U-Boot goes on to other ways and gives up.
 */
static int reach_prompt(struct lab *lab, struct err *err)
{
	if (console_send(lab_console(lab), "\003", err) < 0)
		return -1;
	if (console_expect(lab_console(lab), PROMPT, TIMEOUT_MS, NULL, err) < 0 ||
		type(lab, "setenv autoload no", NULL, NULL, err) < 0)
		return -1;
	return type(lab, "dhcp", "DHCP client bound", NULL, err);
}

/* Loads a file with windows of that many blocks and compares its CRC 32 with the host's. */
static int check_file(
	struct lab *lab, const char *path, const char *file, const char *window, struct err *err)
{
	AUTO_FREE char *set = path_printf(err, "setenv tftpwindowsize %s", window);
	AUTO_FREE char *load = path_printf(err, "tftpboot " LOAD_ADDRESS " %s", path);
	AUTO_FREE char *sum = path_printf(err,
		"python3 -c 'import sys, zlib; "
		"print(\"%%08x\" %% zlib.crc32(open(sys.argv[1], \"rb\").read()))' %s",
		file);
	AUTO_FREE char *want = NULL, *got = NULL;
	if (set == NULL || load == NULL || sum == NULL || type(lab, set, NULL, NULL, err) < 0 ||
		type(lab, load, "Bytes transferred = [0-9]+", NULL, err) < 0 ||
		type(lab, "crc32 " LOAD_ADDRESS " $filesize", "==> ([0-9a-f]{8})", &got, err) < 0 ||
		lab_run(sum, &want, err) < 0)
		return -1;
	if (strncmp(want, got, 8) != 0)
		return err_raise(
			err, ERR_CORRUPT, "'%s' has CRC %s instead of %.8s", path, got, want);
	return 0;
}

static int check_files(struct lab *lab, const char *system, struct err *err)
{
	const char *name = path_basename(system);
	AUTO_FREE char *kernel = path_printf(err, "%s/kernel", system);
	AUTO_FREE char *initrd = path_printf(err, "%s/initrd", lab->dir);
	AUTO_FREE char *kernel_name = path_printf(err, "boot/%s/bzImage", name);
	AUTO_FREE char *initrd_name = path_printf(err, "boot/%s/initrd", name);
	AUTO_FREE char *fetch = initrd_name == NULL || initrd == NULL
		? NULL
		: path_printf(
			  err, "curl -fsS -o %s http://" LAB_HOST ":8080/%s", initrd, initrd_name);
	AUTO_FREE char *ignored = NULL;
	if (kernel == NULL || kernel_name == NULL || fetch == NULL ||
		lab_run(fetch, &ignored, err) < 0)
		return -1;
	return check_file(lab, kernel_name, kernel, "1", err) < 0 ||
			check_file(lab, initrd_name, initrd, "32", err) < 0
		? -1
		: 0;
}

/* A file that is not there is told at once: U-Boot would try for 5 s, ten times. */
static int check_miss(struct lab *lab, struct err *err)
{
	return type(lab, "tftpboot " LOAD_ADDRESS " nothing",
		"TFTP error: 'there is no such file' \\(1\\)", NULL, err);
}

static int check_server(struct lab *lab, struct err *err)
{
	AUTO_FREE char *log = lab_server_log(lab, err);
	if (log == NULL)
		return -1;
	static const char *const words[] = {MAC " dhcp: boot.scr.uimg, told to boot",
		MAC " tftp: boot.scr.uimg ", MAC " script: pxelinux.cfg/" MAC_NAME " ",
		MAC " kernel: /boot/", MAC " initrd: /boot/"};
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strstr(log, words[i]) == NULL)
			return err_raise(
				err, ERR_IO, "the server never said '%s': %s", words[i], log);
	return 0;
}

static int run(struct err *err)
{
	AUTO_FREE char *system = lab_fixture("scripted");
	AUTO_LAB lab = {.tap_fd = -1};
	if (lab_open(&lab, "uboot", err) < 0)
		return -1;
	if (start(&lab, system, err) < 0 || boot_by_default(&lab, system, err) < 0 ||
		reach_prompt(&lab, err) < 0 || check_files(&lab, system, err) < 0 ||
		check_miss(&lab, err) < 0 || check_server(&lab, err) < 0 ||
		lab_stop_server(&lab, err) < 0) {
		printf("logs are in %s\n", lab.dir);
		return -1;
	}
	return 0;
}

int main(void)
{
	struct err err = ERR_INIT;
	if (access("/usr/lib/u-boot/qemu_arm64/u-boot.bin", R_OK) < 0)
		test_skip("needs U-Boot: the Debian package u-boot-qemu");
	if (run(&err) < 0) {
		fprintf(stderr, "FAILED: %s\n", err.msg);
		return 1;
	}
	return 0;
}
