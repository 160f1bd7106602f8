/* SPDX-License-Identifier: MIT */
/*
 * Kernel, initrd and command line of a system that boots into RAM. Everything but the base and a
 * few kilobytes is referenced in store and pool.
 */
#include "carrier/netboot.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "carrier/in_root.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* arch/x86/include/asm/setup.h, Linux 6.12: COMMAND_LINE_SIZE, with its NUL. */
#define CMDLINE_MAX 2047
#define MIB ((uint64_t)1 << 20)

void netboot_done(struct netboot *netboot)
{
	free(TAKE_PTR(netboot->kernel));
	free(TAKE_PTR(netboot->cmdline));
	initramfs_done(&netboot->initrd);
}

/* The word of `text` that starts with `key` ("init="), or NULL; its length is in *ret_len. */
static const char *find_word(const char *text, const char *key, size_t *ret_len)
{
	for (const char *word = text; *word != '\0';) {
		word += strspn(word, " \t\n");
		*ret_len = strcspn(word, " \t\n");
		if (strncmp(word, key, strlen(key)) == 0)
			return word;
		word += *ret_len;
	}
	return NULL;
}

static bool find_dashes(const char *text)
{
	size_t len = 0;
	const char *word = text != NULL ? find_word(text, "--", &len) : NULL;
	return word != NULL && len == 2;
}

/*
 * The kernel unpacks the initramfs into a ramfs when there is a root= or when rootfstype= does not
 * name tmpfs, else into a tmpfs of half the RAM (init_rootfs(), init/do_mounts.c, Linux 6.1), and
 * then an image needs three times its size instead of twice.
 */
static const char *initramfs_words(const char *own, const char *append)
{
	static const char *const keys[] = {"root=", "rootfstype="};
	size_t len;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (find_word(own, keys[i], &len) != NULL ||
			(append != NULL && find_word(append, keys[i], &len) != NULL))
			return "";
	return " rootfstype=ramfs";
}

char *netboot_cmdline(const struct system *system, const char *append, struct err *err)
{
	AUTO_FREE char *own = strvec_join(&system->params, " ", err);
	if (own == NULL)
		return NULL;
	size_t len;
	const char *init = find_word(own, "init=", &len);
	if (init != NULL) {
		err_raise(err, ERR_UNSUPPORTED,
			"the kernel-params of '%s' contain '%.*s', and init= may stand on the "
			"command "
			"line only once",
			system->path, (int)len, init);
		return NULL;
	}
	init = append != NULL ? find_word(append, "init=", &len) : NULL;
	if (init != NULL) {
		err_raise(err, ERR_USAGE,
			"the words to append contain '%.*s', but init= names the system", (int)len,
			init);
		err_hint(err, "boot another system by serving that one");
		return NULL;
	}
	/* What stands behind it are arguments of init (Linux, parse_args()), and so would be ours.
	 */
	const char *dashes = find_dashes(own) ? own : find_dashes(append) ? append : NULL;
	if (dashes != NULL) {
		err_raise(err, ERR_UNSUPPORTED,
			"the kernel parameters '%s' contain '--', which ends them", dashes);
		return NULL;
	}
	AUTO_FREE char *line = path_printf(err, "%s%sinit=%s fstab=no%s%s%s", own,
		own[0] != '\0' ? " " : "", system->init, initramfs_words(own, append),
		append != NULL && append[0] ? " " : "", append != NULL ? append : "");
	if (line != NULL && strlen(line) > CMDLINE_MAX) {
		err_raise(err, ERR_LIMIT,
			"the command line of '%s' has %zu bytes, more than the %d that the kernel "
			"keeps",
			system->path, strlen(line), CMDLINE_MAX);
		return NULL;
	}
	return TAKE_PTR(line);
}

uint64_t netboot_memory(const struct netboot *netboot)
{
	const struct initramfs *initrd = &netboot->initrd;
	uint64_t unpacked = initrd->image.size - initrd->microcode_size + 4 * initrd->base_size;
	uint64_t unpacking = netboot->kernel_size + initrd->image.size + unpacked + 96 * MIB;
	uint64_t running = initrd->root_size + 384 * MIB;
	return unpacking > running ? unpacking : running;
}

int netboot_kernel(
	const struct initramfs_params *params, char **ret_path, uint64_t *ret_size, struct err *err)
{
	const struct system *system = params->system;
	const struct closure *closure = params->closure;
	AUTO_FD int root = -1, fd = -1;
	if (in_root_open_root(closure->store_dir, closure->real_dir, &root, err) < 0 ||
		store_bring(params->supply, system->kernel, BRING_FILE, err) < 0)
		return -1;
	if (in_root_open(root, system->kernel, O_RDONLY, &fd, err) < 0)
		return err_prefix(err, "kernel of '%s'", system->path);
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_sys(err, "cannot read '%s'", system->kernel);
	if (!S_ISREG(st.st_mode))
		return err_raise(err, ERR_CORRUPT, "kernel '%s' is not a file", system->kernel);
	char *path = in_root_path(fd, err);
	if (path == NULL)
		return -1;
	*ret_path = path;
	*ret_size = (uint64_t)st.st_size;
	return 0;
}

/* The kernel is a store path, whose name says what it contains. */
static struct digest make_id(const struct netboot_params *params, const struct netboot *netboot)
{
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	const char *texts[] = {params->system->kernel, netboot->cmdline};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		sha256_update(&ctx, strlen(texts[i]) + 1, (const uint8_t *)texts[i]);
	sha256_update(&ctx, DIGEST_SIZE, netboot->initrd.id.bytes);
	return digest_finish(&ctx);
}

int netboot_compose(struct pool *pool, const struct netboot_params *params,
	struct progress *progress, struct netboot *ret, struct err *err)
{
	AUTO_NETBOOT netboot = {0};
	const struct initramfs_params initrd = {.system = params->system,
		.closure = params->closure,
		.supply = params->supply,
		.modules = params->modules != NULL ? params->modules : "netboot"};
	netboot.cmdline = netboot_cmdline(params->system, params->append, err);
	if (netboot.cmdline == NULL ||
		netboot_kernel(&initrd, &netboot.kernel, &netboot.kernel_size, err) < 0)
		return -1;
	AUTO_ROOT root = {0};
	if (root_compose(pool, params->closure, params->pool, &root, err) < 0)
		return -1;
	/* The image is good; that the next one takes some milliseconds longer is no failure. */
	struct err tolerated = ERR_INIT;
	if (root_remember(pool, &root, &tolerated) < 0)
		log_ignored(&tolerated);
	if (initramfs_compose(pool, &initrd, &root, progress, &netboot.initrd, err) < 0)
		return -1;
	netboot.id = make_id(params, &netboot);
	*ret = netboot;
	netboot = (struct netboot){0};
	return 0;
}
