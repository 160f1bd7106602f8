/* SPDX-License-Identifier: MIT */
/*
 * machine-id from the firmware, byte for byte as systemd takes it (src/shared/id128-util.c
 * id128_get_product(): the text of product_uuid without its dashes), so that whoever asks in stage
 * 2 is the machine that asked in stage 1.
 */
#include "stage1/machine_id.h"

#include "base/digest.h"
#include "base/fd.h"
#include "base/hex.h"
#include "base/path.h"
#include "stage1/sysfile.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What boards are sold with whose makers set nothing: many machines have it, so it names none. */
static const char *const never_set[] = {
	"00000000000000000000000000000000", "ffffffffffffffffffffffffffffffff",
	"03000200040005000006000700080009", /* AMI's example */
};

bool machine_id_parse(const char *text, uint8_t ret[static MACHINE_ID_SIZE])
{
	char digits[2 * MACHINE_ID_SIZE + 1];
	size_t len = 0;
	for (; *text != '\0'; text++) {
		if (*text == '-')
			continue;
		if (len == 2 * MACHINE_ID_SIZE)
			return false;
		digits[len++] = *text >= 'A' && *text <= 'F' ? (char)(*text - 'A' + 'a') : *text;
	}
	digits[len] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(never_set); i++)
		if (strcmp(digits, never_set[i]) == 0)
			return false;
	return len == 2 * MACHINE_ID_SIZE && hex_decode(digits, len, ret, MACHINE_ID_SIZE);
}

/* A random one's marks (RFC 4122 §4.4), as machine-id(5) wants them. */
static void from_mac(const uint8_t mac[static 6], uint8_t ret[static MACHINE_ID_SIZE])
{
	static const char label[] = "snowboot machine";
	uint8_t seed[sizeof(label) + 6];
	memcpy(seed, label, sizeof(label));
	memcpy(seed + sizeof(label), mac, 6);
	struct digest digest = digest_of(seed, sizeof(seed));
	memcpy(ret, digest.bytes, MACHINE_ID_SIZE);
	ret[6] = (uint8_t)((ret[6] & 0x0f) | 0x40);
	ret[8] = (uint8_t)((ret[8] & 0x3f) | 0x80);
}

int machine_id_find(const char *sys, const struct cmdline *cmdline, const uint8_t mac[static 6],
	uint8_t ret[static MACHINE_ID_SIZE], struct err *err)
{
	static const uint8_t unknown[6];
	const char *given = cmdline_get(cmdline, "systemd.machine_id");
	if (given != NULL && machine_id_parse(given, ret))
		return 0;
	AUTO_FREE char *path = path_printf(err, "%s/class/dmi/id/product_uuid", sys);
	if (path == NULL)
		return -1;
	AUTO_FREE char *uuid = sysfile_read(path);
	if (uuid != NULL && machine_id_parse(uuid, ret))
		return 0;
	if (memcmp(mac, unknown, sizeof(unknown)) == 0) {
		err_raise(err, ERR_NOT_FOUND,
			"neither firmware nor BOOTIF= tell who this machine is");
		return err_hint(err, "boot with systemd.machine_id= and 32 hexadecimal digits");
	}
	from_mac(mac, ret);
	return 0;
}

int machine_id_write(const char *root, const uint8_t id[static MACHINE_ID_SIZE], struct err *err)
{
	char text[2 * MACHINE_ID_SIZE + 2];
	struct stat st;
	AUTO_FREE char *path = path_printf(err, "%s/etc/machine-id", root);
	if (path == NULL)
		return -1;
	/* An empty one, or "uninitialized", is for systemd to fill: machine-id(5). */
	if (lstat(path, &st) == 0 && (!S_ISREG(st.st_mode) || st.st_size >= 32))
		return 0;
	hex_encode(id, MACHINE_ID_SIZE, text);
	memcpy(text + 2 * MACHINE_ID_SIZE, "\n", 2);
	AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0444);
	if (fd < 0)
		return err_sys(err, "cannot write '%s'", path);
	if (fchmod(fd, 0444) < 0)
		return err_sys(err, "cannot set the mode of '%s'", path);
	return fd_write_full(fd, text, sizeof(text) - 1, path, err);
}
