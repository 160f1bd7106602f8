/* SPDX-License-Identifier: MIT */
/* The one table of commands. */
#include "cli/command.h"

extern const struct command cmd_build_initrd;
extern const struct command cmd_build_netboot;
extern const struct command cmd_build_squashfs;
extern const struct command cmd_build_uki;
extern const struct command cmd_completion;
extern const struct command cmd_copy;
extern const struct command cmd_explain;
extern const struct command cmd_key_generate, cmd_key_public;
extern const struct command cmd_node;
extern const struct command cmd_manifest_show, cmd_manifest_verify;
extern const struct command cmd_publish;
extern const struct command cmd_serve;
extern const struct command cmd_show;
extern const struct command cmd_status;
extern const struct command cmd_pool_add, cmd_pool_stat, cmd_pool_verify, cmd_pool_gc;
extern const struct command cmd_vm;

const struct command *const commands[] = {
	&cmd_show,
	&cmd_build_squashfs,
	&cmd_build_initrd,
	&cmd_build_netboot,
	&cmd_build_uki,
	&cmd_serve,
	&cmd_publish,
	&cmd_copy,
	&cmd_node,
	&cmd_status,
	&cmd_explain,
	&cmd_vm,
	&cmd_pool_add,
	&cmd_pool_stat,
	&cmd_pool_verify,
	&cmd_pool_gc,
	&cmd_manifest_show,
	&cmd_manifest_verify,
	&cmd_key_generate,
	&cmd_key_public,
	&cmd_completion,
	NULL,
};
