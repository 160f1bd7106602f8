/* SPDX-License-Identifier: MIT */
/*
 * `snowboot build`: images as files. It puts a closure into the pool, has its image composed, and
 * writes that where the user wants it; what an image consists of is the carriers' business.
 */
#include "base/log.h"
#include "base/outfile.h"
#include "base/path.h"
#include "carrier/netboot.h"
#include "carrier/root.h"
#include "carrier/uki.h"
#include "cli/pool_options.h"
#include "cli/progress.h"
#include "cli/source_options.h"
#include "serve/script.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* What every kind of image is made from. */
struct order {
	const struct cli_args *args;
	const char *output;
	struct acquirer *acquirer;
	struct pool *pool;
	struct pool_params params;
	struct acquired acquired;
	struct timespec begun;
};

#define AUTO_ORDER AUTO(order_done) struct order

static void order_done(struct order *order)
{
	acquired_done(&order->acquired);
	pool_close(order->pool);
	acquirer_close(order->acquirer);
}

static int read_options(const struct cli_args *args, struct order *order, struct err *err)
{
	if (cli_pool_params(args, &order->params, err) < 0)
		return -1;
	order->output = cli_option(args, "output", NULL);
	if (order->output != NULL)
		return 0;
	err_raise(err, ERR_USAGE, "no output is named");
	return err_hint(err, "say -o FILE");
}

/*
 * Finds the closure and brings what is missing of it into the pool. With `ret_system`, it must be
 * that of a system.
 */
static int prepare(const struct cli_args *args, struct order *order, struct system *ret_system,
	struct err *err)
{
	order->args = args;
	clock_gettime(CLOCK_MONOTONIC, &order->begun);
	if (read_options(args, order, err) < 0 || cli_acquirer(args, &order->acquirer, err) < 0 ||
		cli_open_pool(args, 0, &order->pool, err) < 0)
		return -1;
	const struct acquire_into into = {.pool = order->pool,
		.params = &order->params,
		.system = ret_system,
		.progress = args->progress};
	return acquire(order->acquirer, args->operands.items[0], &into, &order->acquired, err);
}

static int write_image(
	const struct order *order, const char *path, const struct image *image, struct err *err)
{
	AUTO_OUTFILE out = OUTFILE_INIT;
	ERR_SCOPE(err, "writing '%s'", path);
	if (outfile_open(&out, path, err) < 0 ||
		image_write(image, out.fd, order->args->progress, err) < 0)
		return -1;
	return outfile_commit(&out, err);
}

static int report(const struct order *order, uint64_t size, const struct digest *id,
	json_t *take_more, struct err *err)
{
	double seconds = progress_seconds_since(&order->begun);
	uint64_t nar_size = closure_nar_size(&order->acquired.closure);
	char a[16], b[16], hex[DIGEST_HEX_SIZE];
	if (order->args->json) {
		json_t *object = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:f}", "path",
			order->acquired.path, "output", order->output, "id", digest_hex(id, hex),
			"paths", (json_int_t)order->acquired.closure.len, "nar_size",
			(json_int_t)nar_size, "size", (json_int_t)size, "seconds", seconds);
		if (object != NULL && take_more != NULL)
			(void)json_object_update(object, take_more);
		json_decref(take_more);
		return cli_put_json(object, err);
	}
	json_decref(take_more);
	if (!order->args->quiet)
		printf("%s: %zu store paths, %s in %s, %.1f s\n", order->output,
			order->acquired.closure.len, progress_format_bytes(nar_size, a),
			progress_format_bytes(size, b), seconds);
	return 0;
}

static int run_squashfs(const struct cli_args *args, struct err *err)
{
	AUTO_ORDER order = {0};
	AUTO_ROOT root = {0};
	if (prepare(args, &order, NULL, err) < 0 ||
		root_compose(order.pool, &order.acquired.closure, &order.params, &root, err) < 0 ||
		write_image(&order, order.output, &root.image, err) < 0)
		return -1;
	/* The image is there; that the next one takes some milliseconds longer is no failure. */
	struct err tolerated = ERR_INIT;
	if (root_remember(order.pool, &root, &tolerated) < 0)
		log_ignored(&tolerated);
	return report(&order, root.image.size, &root.id, NULL, err);
}

/* Reads the system and composes what boots it from the network. */
static int compose_netboot(const struct cli_args *args, struct order *order,
	struct system *ret_system, struct netboot *ret, struct err *err)
{
	if (prepare(args, order, ret_system, err) < 0)
		return -1;
	const struct netboot_params params = {.system = ret_system,
		.closure = &order->acquired.closure,
		.supply = acquired_supply(&order->acquired),
		.pool = &order->params,
		.modules = cli_option(args, "modules", NULL),
		.append = cli_option(args, "append", NULL)};
	return netboot_compose(order->pool, &params, args->progress, ret, err);
}

/* `size` of the output; `firmware` is what EFI has in memory beside what netboot_memory() counts.
 */
static int report_netboot(const struct order *order, const struct netboot *netboot, uint64_t size,
	uint64_t firmware, struct err *err)
{
	uint64_t initrd = netboot->initrd.image.size, memory = netboot_memory(netboot) + firmware;
	json_t *more = json_pack("{s:I, s:I, s:s, s:I}", "kernel_size",
		(json_int_t)netboot->kernel_size, "initrd_size", (json_int_t)initrd, "command_line",
		netboot->cmdline, "memory", (json_int_t)memory);
	char text[16];
	if (report(order, size, &netboot->id, more, err) < 0)
		return -1;
	if (!order->args->json && !order->args->quiet)
		printf("command line: %s\nmemory needed: %s\n", netboot->cmdline,
			progress_format_bytes(memory, text));
	return 0;
}

static int run_initrd(const struct cli_args *args, struct err *err)
{
	AUTO_ORDER order = {0};
	AUTO_SYSTEM system = {0};
	AUTO_NETBOOT netboot = {0};
	if (compose_netboot(args, &order, &system, &netboot, err) < 0 ||
		write_image(&order, order.output, &netboot.initrd.image, err) < 0)
		return -1;
	return report_netboot(&order, &netboot, netboot.initrd.image.size, 0, err);
}

/* Writes one file of the output directory: an image, or text when that is NULL. */
static int write_into(const struct order *order, const char *name, const struct image *image,
	const struct buf *text, struct err *err)
{
	AUTO_FREE char *path = path_printf(err, "%s/%s", order->output, name);
	if (path == NULL)
		return -1;
	if (image != NULL)
		return write_image(order, path, image, err);
	return outfile_write(path, text->data, text->len, err);
}

static int run_netboot(const struct cli_args *args, struct err *err)
{
	AUTO_ORDER order = {0};
	AUTO_SYSTEM system = {0};
	AUTO_NETBOOT netboot = {0};
	AUTO_IMAGE kernel = {0};
	AUTO_BUF script = {0}, cmdline = {0};
	if (compose_netboot(args, &order, &system, &netboot, err) < 0 ||
		image_append_file(&kernel, netboot.kernel, 0, netboot.kernel_size, err) < 0 ||
		buf_printf(&cmdline, err, "%s\n", netboot.cmdline) < 0 ||
		script_put(path_basename(order.acquired.path), "", netboot.cmdline, &script, err) <
			0)
		return -1;
	/* The script comes last: who finds a new one finds what it names. */
	if (path_mkdirs(order.output, err) < 0 ||
		write_into(&order, "bzImage", &kernel, NULL, err) < 0 ||
		write_into(&order, "initrd", &netboot.initrd.image, NULL, err) < 0 ||
		write_into(&order, "cmdline", NULL, &cmdline, err) < 0 ||
		write_into(&order, "netboot.ipxe", NULL, &script, err) < 0)
		return -1;
	return report_netboot(&order, &netboot, netboot.initrd.image.size, 0, err);
}

static int run_uki(const struct cli_args *args, struct err *err)
{
	AUTO_ORDER order = {0};
	AUTO_SYSTEM system = {0};
	AUTO_NETBOOT netboot = {0};
	AUTO_UKI uki = {0};
	AUTO_IMAGE kernel = {0}, image = {0};
	AUTO_STRVEC stubs = {0};
	if (compose_netboot(args, &order, &system, &netboot, err) < 0 ||
		cli_values(args, "stub", &stubs, err) < 0)
		return -1;
	const struct uki_params params = {
		.system = &system,
		.closure = &order.acquired.closure,
		.supply = acquired_supply(&order.acquired),
		.stubs = &stubs,
		.kernel = netboot.kernel,
		.kernel_size = netboot.kernel_size,
	};
	const struct uki_contents contents = {
		.cmdline = netboot.cmdline, .kernel = &kernel, .initrd = &netboot.initrd.image};
	if (uki_prepare(&params, &uki, err) < 0 ||
		image_append_file(&kernel, netboot.kernel, 0, netboot.kernel_size, err) < 0 ||
		uki_compose(&uki, &contents, &image, err) < 0 ||
		write_image(&order, order.output, &image, err) < 0)
		return -1;
	/* The file as it was loaded, and the program out of it. */
	return report_netboot(&order, &netboot, image.size, 2 * image.size, err);
}

#define OPTIONS_OF_ALL(output_arg, output_help, output_values) \
	{'o', "output", output_arg, output_help, output_values}, \
		{0, "pool", "DIR", "the pool (default: $SNOWBOOT_POOL, else the system's cache)", \
			"@dir"}, \
		{'l', "level", "N", "zstd level of what is packed anew, 1 to 19 (6)", NULL}, \
		{'j', "jobs", "N", "threads that pack (all cores)", NULL}, SOURCE_OPTIONS

#define OPTION_MODULES \
	{ \
		'm', "modules", "SET", "kernel modules of stage 1: sets and names (netboot)", \
			"minimal netboot all" \
	}

static const struct cli_option squashfs_options[] = {
	OPTIONS_OF_ALL("FILE", "write the image here", "@file"),
	{0},
};

static const struct cli_option initrd_options[] = {
	OPTIONS_OF_ALL("FILE", "write the initrd here", "@file"),
	OPTION_MODULES,
	{0},
};

#define OPTION_APPEND \
	{ \
		'a', "append", "WORDS", "add to the kernel command line", NULL \
	}

static const struct cli_option netboot_options[] = {
	OPTIONS_OF_ALL("DIR", "write the files into this directory", "@dir"),
	OPTION_MODULES,
	OPTION_APPEND,
	{0},
};

static const struct cli_option uki_options[] = {
	OPTIONS_OF_ALL("FILE", "write the program here", "@file"),
	OPTION_MODULES,
	OPTION_APPEND,
	{0, "stub", "FILE", "systemd's EFI stub, repeatable (the system's, else this machine's)",
		"@file"},
	{0},
};

extern const struct command cmd_build_squashfs;
const struct command cmd_build_squashfs = {
	.name = "build squashfs",
	.synopsis = "SYSTEM",
	.summary = "write the root image of a system",
	.description =
		"Writes the closure of SYSTEM, or of any other store path, as a squashfs image\n"
		"whose root directory holds the store paths. What the pool does not have yet is\n"
		"packed first.",
	.min_operands = 1,
	.max_operands = 1,
	.options = squashfs_options,
	.operand_values = "@system",
	.run = run_squashfs,
};

extern const struct command cmd_build_initrd;
const struct command cmd_build_initrd = {
	.name = "build initrd",
	.synopsis = "SYSTEM",
	.summary = "write an initrd that carries a whole system",
	.description =
		"Writes an initrd with snowboot's stage 1 and the root image of SYSTEM, to be\n"
		"booted with the system's kernel and the command line that is printed.",
	.min_operands = 1,
	.max_operands = 1,
	.options = initrd_options,
	.operand_values = "@system",
	.run = run_initrd,
};

extern const struct command cmd_build_netboot;
const struct command cmd_build_netboot = {
	.name = "build netboot",
	.synopsis = "SYSTEM",
	.summary = "write what any server needs to boot a system over the network",
	.description =
		"Writes kernel, initrd, command line and an iPXE script into a directory, for a\n"
		"web server to serve.",
	.min_operands = 1,
	.max_operands = 1,
	.options = netboot_options,
	.operand_values = "@system",
	.run = run_netboot,
};

extern const struct command cmd_build_uki;
const struct command cmd_build_uki = {
	.name = "build uki",
	.synopsis = "SYSTEM",
	.summary = "write a whole system as one EFI program",
	.description =
		"Writes a unified kernel image: systemd's EFI stub with the system's kernel, the\n"
		"initrd of `build initrd` and the command line in it. EFI firmware starts it from\n"
		"anywhere: a FAT partition, a USB stick, a web server.",
	.min_operands = 1,
	.max_operands = 1,
	.options = uki_options,
	.operand_values = "@system",
	.run = run_uki,
};
