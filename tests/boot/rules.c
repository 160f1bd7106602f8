/* SPDX-License-Identifier: MIT */
/*
 * Which machine boots what: a machine file with a specialisation and a kernel parameter, once;
 * after the machine came up with it, and started again, the default.
 */
#include "guest.h"
#include "lab.h"
#include "netroot_guest.h"

#include "base/outfile.h"
#include "base/path.h"
#include "vm/shell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAC "52:54:00:5b:02:11"
#define WORD "snowboot.test=once"
#define SHORT_MS 60000

static const struct machine machine = {.memory_mib = 1024,
	.nics = {{.model = "vmxnet3", .mac = MAC, .rom = NIC_ROM_IPXE, .boot = true}}};

/* Runs `system`, and its command line has our word or not. */
static int expect(struct lab_client *client, const char *system, bool word, struct err *err)
{
	AUTO_FREE char *command = path_printf(err,
		"test \"$(readlink -f /run/current-system)\" = %s && %sgrep -qw " WORD
		" /proc/cmdline",
		system, word ? "" : "! ");
	AUTO_FREE char *output = NULL;
	return command == NULL
		? -1
		: shell_must(vm_console(client->vm), command, SHORT_MS, &output, err);
}

/* The directory: this machine's file, and the default. */
static char *make_machines(struct lab *lab, const char *system, struct err *err)
{
	AUTO_FREE char *dir = path_printf(err, "%s/machines", lab->dir);
	AUTO_FREE char *file = path_printf(err, "%s/machines/" MAC ".json", lab->dir);
	AUTO_FREE char *link = path_printf(err, "%s/machines/default", lab->dir);
	AUTO_FREE char *text = path_printf(err,
		"{\"system\": \"%s\", \"specialisation\": \"quiet\", \"kernel-params\": [\"" WORD
		"\"], \"once\": true}\n",
		system);
	if (dir == NULL || file == NULL || link == NULL || text == NULL ||
		path_mkdirs(dir, err) < 0 || outfile_write(file, text, strlen(text), err) < 0)
		return NULL;
	(void)unlink(link); /* of an earlier run; symlink() says what is wrong */
	if (symlink(system, link) < 0) {
		err_sys(err, "cannot make '%s'", link);
		return NULL;
	}
	return TAKE_PTR(dir);
}

static int serve(struct lab *lab, const char *machines, struct err *err)
{
	AUTO_FREE char *state = path_printf(err, "%s/state", lab->dir);
	AUTO_STRVEC words = {0};
	if (state == NULL || strvec_push(&words, "--machines", err) < 0 ||
		strvec_push(&words, machines, err) < 0 || strvec_push(&words, "--state", err) < 0 ||
		strvec_push(&words, state, err) < 0)
		return -1;
	return lab_serve_words(lab, &words, err);
}

static int await_used_up(struct lab *lab, struct lab_client *client, struct err *err)
{
	for (unsigned i = 0; i < 60; i++) {
		AUTO_FREE char *log = lab_server_log(lab, err);
		if (log == NULL || netroot_wait(client, 500, err) < 0)
			return -1;
		if (strstr(log, "what it was given for once is used up") != NULL)
			return 0;
	}
	return err_raise(err, ERR_AGAIN, "the server does not hear that the machine came up");
}

static int run(struct lab *lab, struct err *err)
{
	AUTO_FREE char *system = lab_fixture("scripted");
	AUTO_FREE char *path = path_printf(err, "%s/specialisation/quiet", system);
	AUTO_FREE char *special = path != NULL ? realpath(path, NULL) : NULL;
	if (special == NULL)
		return path == NULL ? -1 : err_sys(err, "cannot follow '%s'", path);
	AUTO_FREE char *machines = make_machines(lab, system, err);
	AUTO_LAB_CLIENT first = LAB_CLIENT_INIT, second = LAB_CLIENT_INIT;
	if (machines == NULL || serve(lab, machines, err) < 0 ||
		lab_client_start(lab, "once", &machine, &first, err) < 0 ||
		netroot_expect_running(&first, err) < 0 || expect(&first, special, true, err) < 0)
		return -1;
	lab_step(lab, "runs the specialisation, with our word");
	if (await_used_up(lab, &first, err) < 0 || netroot_poweroff(&first, err) < 0)
		return -1;
	lab_step(lab, "it is used up");
	lab_client_done(&first);
	if (lab_client_start(lab, "default", &machine, &second, err) < 0 ||
		netroot_expect_running(&second, err) < 0 || expect(&second, system, false, err) < 0)
		return -1;
	lab_step(lab, "runs the default");
	return netroot_poweroff(&second, err);
}

int main(void)
{
	struct err err = ERR_INIT;
	AUTO_LAB lab = {.tap_fd = -1, .turn_fd = -1};
	if (lab_open(&lab, "rules", &err) < 0 || run(&lab, &err) < 0) {
		fprintf(stderr, "FAILED: %s\n", err.msg);
		printf("logs are in %s\n", lab.dir != NULL ? lab.dir : "nowhere");
		return 1;
	}
	return 0;
}
