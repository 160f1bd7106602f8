/* SPDX-License-Identifier: MIT */
/* modprobe, as far as the kernel and a rescue shell need it. */
#include "stage1/modprobe.h"

#include "base/log.h"
#include "stage1/cmdline.h"
#include "stage1/modules.h"
#include "stage1/sysfile.h"

#include <string.h>
#include <sys/utsname.h>

static int load_one(struct modules *modules, const char *name, struct err *err)
{
	if (modules_find(modules, name) != NULL)
		return modules_load(modules, name, err);
	int r = modules_load_alias(modules, name, err);
	return r == 0 ? modules_load(modules, name, err) : r;
}

static int load_all(char **names, struct err *err)
{
	struct utsname kernel;
	uname(&kernel);
	AUTO_FREE char *text = sysfile_read("/proc/cmdline");
	AUTO(cmdline_done) struct cmdline cmdline = {0};
	AUTO(modules_done) struct modules modules = {0};
	if (cmdline_parse(text != NULL ? text : "", &cmdline, err) < 0 ||
		modules_read("", kernel.release, &cmdline, &modules, err) < 0)
		return -1;
	for (; *names != NULL; names++)
		if (load_one(&modules, *names, err) < 0)
			return -1;
	return 0;
}

int modprobe_main(int argc, char **argv)
{
	bool quiet = false;
	int i = 1;
	for (; i < argc && argv[i][0] == '-'; i++) {
		quiet |= strcmp(argv[i], "-q") == 0;
		if (strcmp(argv[i], "--") == 0) {
			i++;
			break;
		}
	}
	struct err err = ERR_INIT;
	if (load_all(argv + i, &err) == 0)
		return 0;
	if (!quiet)
		log_error("modprobe: %s", err.msg);
	return 1;
}
