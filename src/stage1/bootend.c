/* SPDX-License-Identifier: MIT */
/*
 * By the manager's own configuration, not by the environment that we start it with: the init of a
 * scripted system clears that (stage-2-init.sh: `exec env -`), and /run is the same for every kind.
 * No unit, so nothing to be ordered, and no program that a system would have to have.
 */
#include "stage1/bootend.h"

#include "base/mem.h"
#include "base/outfile.h"
#include "base/path.h"
#include "stage1/sysfile.h"

#include <string.h>

#define SOCKET "snowboot/notify" /* as the system sees it: /run/SOCKET */

int bootend_prepare(const char *run, struct err *err)
{
	/* The system's own drop-ins add to the list; the names of theirs and ours do not clash. */
	static const char text[] = "# written by snowboot, which hears so when the system is up\n"
				   "[Manager]\nManagerEnvironment=NOTIFY_SOCKET=/run/" SOCKET "\n";
	AUTO_FREE char *socket = path_printf(err, "%s/" SOCKET, run);
	AUTO_FREE char *dir = path_printf(err, "%s/systemd/system.conf.d", run);
	AUTO_FREE char *file = path_printf(err, "%s/systemd/system.conf.d/50-snowboot.conf", run);
	if (socket == NULL || dir == NULL || file == NULL)
		return -1;
	if (!sysfile_exists(socket))
		return 0;
	ERR_SCOPE(err, "cannot ask the system to tell when it is up");
	if (path_mkdirs(dir, err) < 0)
		return -1;
	return outfile_write(file, text, strlen(text), err);
}
