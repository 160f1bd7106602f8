/* SPDX-License-Identifier: MIT */
/*
 * `snowboot show`: what a system package is and what would boot. It makes nothing, so how small an
 * image gets is not known here, only how large it is at most. A pool is needed only for a system
 * that comes from a cache, of which it fetches what it looks at.
 */
#include "base/path.h"
#include "carrier/netboot.h"
#include "cli/pool_options.h"
#include "cli/progress.h"
#include "cli/source_options.h"
#include "system/generations.h"
#include "system/link.h"
#include "system/system.h"

#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* Everything there is to show. */
struct facts {
	struct acquirer *acquirer;
	struct pool *pool; /* NULL: none is needed */
	struct acquired acquired;
	struct system system;
	const struct closure *closure; /* what was acquired */
	uint64_t size;                 /* of the closure, bytes */
	uint64_t kernel_size;          /* bytes */
	size_t *largest;               /* items of the closure, largest first */
	size_t largest_count;
	bool in_profile;
	struct generations generations;
	char *params; /* joined */
	char *command_line;
};

static void facts_done(struct facts *f)
{
	system_done(&f->system);
	acquired_done(&f->acquired);
	pool_close(f->pool);
	acquirer_close(f->acquirer);
	free(f->largest);
	generations_done(&f->generations);
	free(f->params);
	free(f->command_line);
}

static int compare_sizes(const void *a, const void *b, void *data)
{
	const struct path_info *items = data;
	const struct path_info *x = &items[*(const size_t *)a], *y = &items[*(const size_t *)b];
	if (x->nar_size != y->nar_size)
		return x->nar_size < y->nar_size ? 1 : -1;
	return strcmp(x->path, y->path);
}

static int rank_paths(struct facts *f, size_t max, struct err *err)
{
	size_t n = f->closure->len;
	f->largest = calloc(n + 1, sizeof(*f->largest));
	if (f->largest == NULL)
		return err_oom(err);
	for (size_t i = 0; i < n; i++)
		f->largest[i] = i;
	qsort_r(f->largest, n, sizeof(*f->largest), compare_sizes, f->closure->items);
	f->largest_count = n < max ? n : max;
	return 0;
}

static int measure_kernel(struct facts *f, const struct store_view *view, struct err *err)
{
	struct stat st;
	AUTO_FREE char *real = link_file(view, f->system.kernel, err);
	if (real == NULL)
		return -1;
	if (stat(real, &st) < 0)
		return err_sys(err, "cannot look at '%s'", f->system.kernel);
	f->kernel_size = (uint64_t)st.st_size;
	return 0;
}

static int look_up(const struct cli_args *args, struct facts *f, struct err *err)
{
	struct pool_params params;
	const char *name = args->operands.items[0];
	if (cli_acquirer(args, &f->acquirer, err) < 0 || cli_pool_params(args, &params, err) < 0)
		return -1;
	int here = acquire_is_here(f->acquirer, name, err);
	if (here < 0 || (here == 0 && cli_open_pool(args, 0, &f->pool, err) < 0))
		return -1;
	const struct acquire_into into = {.pool = f->pool,
		.params = &params,
		.system = &f->system,
		.look = true,
		.progress = args->progress};
	return acquire(f->acquirer, name, &into, &f->acquired, err);
}

/* Of the profile that the name is or leads to, if it is one. */
static int list_generations(
	const struct store_view *view, const char *name, struct facts *f, struct err *err)
{
	AUTO_FREE char *link = NULL;
	int found = acquire_find_link(f->acquirer, name, &link, err);
	if (found > 0)
		found = generations_list(view, link, &f->generations, err);
	if (found < 0)
		return -1;
	f->in_profile = found > 0;
	return 0;
}

static int gather(const struct cli_args *args, struct facts *f, struct err *err)
{
	long long largest;
	if (cli_number(args, "largest", 0, 1000000, 10, &largest, err) < 0 ||
		look_up(args, f, err) < 0)
		return -1;
	f->closure = &f->acquired.closure;
	const struct store_view view = {.dir = f->closure->store_dir,
		.real_dir = f->closure->real_dir,
		.supply = acquired_supply(&f->acquired)};
	if (rank_paths(f, (size_t)largest, err) < 0 || measure_kernel(f, &view, err) < 0 ||
		list_generations(&view, args->operands.items[0], f, err) < 0)
		return -1;
	f->size = closure_nar_size(f->closure);
	f->params = strvec_join(&f->system.params, " ", err);
	if (f->params == NULL)
		return -1;
	f->command_line = netboot_cmdline(&f->system, NULL, err);
	return f->command_line != NULL ? 0 : -1;
}

static const char *kind_text(enum system_kind kind)
{
	switch (kind) {
	case SYSTEM_SCRIPTED:
		return "its init is a script, which activates it and starts systemd";
	case SYSTEM_SYSTEMD:
		return "made for a systemd initrd, activated by prepare-root";
	case SYSTEM_NIXOS_INIT:
		return "made for a systemd initrd, activated by nixos-init";
	}
	return "";
}

static void put_row(const char *name, const char *value)
{
	printf("%-16s %s\n", name, value != NULL ? value : "none");
}

static void put_system(const struct facts *f)
{
	const struct system *s = &f->system;
	char size[16];
	put_row("System", s->path);
	put_row("Label", s->label);
	printf("%-16s %s: %s\n", "Kind", system_kind_name(s->kind), kind_text(s->kind));
	put_row("Platform", s->double_);
	put_row("Described by", s->synthesized ? "its files (there is no boot.json)" : "boot.json");
	printf("%-16s %s (%s)\n", "Kernel", s->kernel, progress_format_bytes(f->kernel_size, size));
	put_row("Kernel release", s->kernel_release);
	put_row("Parameters", f->params);
	put_row("Init", s->init);
	put_row("Own initrd", s->initrd);
	printf("%-16s %zu paths, %s\n", "Closure", f->closure->len,
		progress_format_bytes(f->size, size));
}

static void put_lists(const struct facts *f)
{
	const struct system *s = &f->system;
	char size[16];
	if (s->specialisations.len > 0)
		printf("\nSpecialisations\n");
	for (size_t i = 0; i < s->specialisations.len; i++)
		printf("  %-14s %s\n", s->specialisations.items[i],
			s->specialisation_paths.items[i]);
	if (f->largest_count > 0)
		printf("\nLargest paths\n");
	for (size_t i = 0; i < f->largest_count; i++) {
		const struct path_info *info = &f->closure->items[f->largest[i]];
		printf("%12s  %s\n", progress_format_bytes(info->nar_size, size),
			path_basename(info->path));
	}
}

static void put_generations(const struct facts *f)
{
	if (!f->in_profile)
		return;
	printf("\nGenerations of %s\n", f->generations.profile);
	for (size_t i = 0; i < f->generations.len; i++) {
		const struct generation *g = &f->generations.items[i];
		time_t made = (time_t)g->time;
		struct tm tm;
		char text[32] = "";
		if (localtime_r(&made, &tm) != NULL)
			(void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &tm);
		printf("%c %5llu  %-16s  %s\n", g->current ? '*' : ' ',
			(unsigned long long)g->number, text,
			g->path != NULL ? path_basename(g->path) : "(not in the store any more)");
	}
}

static void put_boot(const struct facts *f)
{
	char size[16], max[16];
	printf("\nWhat would boot from the network\n");
	printf("  %-14s %s\n", "kernel", f->system.kernel);
	printf("  %-14s snowboot's own stage 1 in place of the system's initrd, of which only the "
	       "microcode is kept\n",
		"initramfs");
	printf("  %-14s %s\n", "command line", f->command_line);
	(void)progress_format_bytes(f->size, size);
	(void)progress_format_bytes(INITRAMFS_IMAGE_MAX, max);
	if (f->size <= INITRAMFS_IMAGE_MAX)
		printf("  %-14s less than %s: fetched as it is touched (--root net), or in the "
		       "initramfs (--root ram, at most %s)\n",
			"image", size, max);
	else
		printf("  %-14s fetched as it is touched (--root net); in the initramfs (--root "
		       "ram, at most %s) if %s compress to %.0f %%: 'snowboot build squashfs' "
		       "tells\n",
			"image", max, size, 100.0 * (double)INITRAMFS_IMAGE_MAX / (double)f->size);
}

/* NULL stands for a value that there is none of. */
static json_t *text_or_null(const char *text)
{
	return text != NULL ? json_string(text) : json_null();
}

static json_t *strings_json(const struct strvec *strings)
{
	json_t *array = json_array();
	for (size_t i = 0; i < strings->len; i++)
		json_array_append_new(array, json_string(strings->items[i]));
	return array;
}

static json_t *closure_json(const struct facts *f)
{
	json_t *largest = json_array();
	for (size_t i = 0; i < f->largest_count; i++) {
		const struct path_info *info = &f->closure->items[f->largest[i]];
		json_array_append_new(largest,
			json_pack("{s:s, s:I}", "path", info->path, "nar_size",
				(json_int_t)info->nar_size));
	}
	return json_pack("{s:I, s:I, s:o}", "paths", (json_int_t)f->closure->len, "nar_size",
		(json_int_t)f->size, "largest", largest);
}

static json_t *specialisations_json(const struct system *s)
{
	json_t *map = json_object();
	for (size_t i = 0; i < s->specialisations.len; i++)
		json_object_set_new(map, s->specialisations.items[i],
			json_string(s->specialisation_paths.items[i]));
	return map;
}

static json_t *profile_json(const struct facts *f)
{
	if (!f->in_profile)
		return json_null();
	json_t *list = json_array();
	for (size_t i = 0; i < f->generations.len; i++) {
		const struct generation *g = &f->generations.items[i];
		json_array_append_new(list,
			json_pack("{s:I, s:s, s:o, s:I, s:b}", "number", (json_int_t)g->number,
				"link", g->link, "path", text_or_null(g->path), "time",
				(json_int_t)g->time, "current", g->current));
	}
	return json_pack("{s:s, s:o}", "path", f->generations.profile, "generations", list);
}

static json_t *system_json(const struct system *s)
{
	return json_pack("{s:s, s:s, s:s, s:o, s:s, s:b, s:o, s:o, s:s, s:o, s:o}", "system",
		s->path, "kind", system_kind_name(s->kind), "label", s->label, "nixos_version",
		text_or_null(s->nixos_version), "platform", s->double_, "synthesized",
		s->synthesized, "initrd", text_or_null(s->initrd), "kernel_params",
		strings_json(&s->params), "init", s->init, "kernel_modules",
		text_or_null(s->kernel_modules), "specialisations", specialisations_json(s));
}

static int put_json(const struct facts *f, struct err *err)
{
	const struct system *s = &f->system;
	json_t *object = system_json(s);
	json_t *kernel = json_pack("{s:s, s:o, s:I}", "path", s->kernel, "release",
		text_or_null(s->kernel_release), "size", (json_int_t)f->kernel_size);
	json_t *boot = json_pack("{s:s, s:I, s:b}", "command_line", f->command_line,
		"image_size_max", (json_int_t)INITRAMFS_IMAGE_MAX, "image_fits",
		f->size <= INITRAMFS_IMAGE_MAX);
	json_t *profile = profile_json(f);
	/* Any of these is NULL, and setting it fails, when memory ran out or text is not UTF-8. */
	bool whole = json_object_set_new(object, "kernel", kernel) == 0 &&
		json_object_set_new(object, "closure", closure_json(f)) == 0 &&
		json_object_set_new(object, "profile", profile) == 0 &&
		json_object_set_new(object, "boot", boot) == 0;
	AUTO_FREE char *text = whole ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	if (text == NULL)
		return err_raise(err, ERR_UNSUPPORTED, "'%s' cannot be written as JSON", s->path);
	puts(text);
	return 0;
}

static int run(const struct cli_args *args, struct err *err)
{
	AUTO(facts_done) struct facts facts = {0};
	if (gather(args, &facts, err) < 0)
		return -1;
	if (args->json)
		return put_json(&facts, err);
	put_system(&facts);
	put_lists(&facts);
	put_generations(&facts);
	put_boot(&facts);
	return 0;
}

static const struct cli_option options[] = {
	{0, "pool", "DIR", "the pool, for what comes from a cache", "@dir"},
	SOURCE_OPTIONS,
	{'n', "largest", "N", "how many of the largest paths to list (10)", NULL},
	{0},
};

extern const struct command cmd_show;
const struct command cmd_show = {
	.name = "show",
	.synopsis = "SYSTEM",
	.summary = "show what a system package is and what would boot",
	.description =
		"Shows the kind of a system package, its kernel, parameters, closure and\n"
		"specialisations, the generations of a profile, and what a network boot of it\n"
		"would be made of.",
	.min_operands = 1,
	.max_operands = 1,
	.options = options,
	.operand_values = "@system",
	.run = run,
};
