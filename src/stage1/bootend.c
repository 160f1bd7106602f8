/* SPDX-License-Identifier: MIT */
/*
 * By the manager's own configuration, not by the environment that we start it with: the init of a
 * scripted system clears that (stage-2-init.sh: `exec env -`), and /run is the same for every kind.
 * No unit, so nothing to be ordered, and no program that a system would have to have.
 */
#include "stage1/bootend.h"

#include "base/fd.h"
#include "base/mem.h"
#include "base/outfile.h"
#include "base/path.h"
#include "node/bootend.h"
#include "stage1/sysfile.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define SOCKET "snowboot/" BOOTEND_SOCKET /* as the system sees it: /run/SOCKET */

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

int bootend_tell(const char *run, struct err *err)
{
	static const char text[] = BOOTEND_HANDED_OVER "\n";
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	AUTO_FREE char *socket_path = path_printf(err, "%s/" SOCKET, run);
	if (socket_path == NULL)
		return -1;
	if (!sysfile_exists(socket_path))
		return 0;
	if (strlen(socket_path) >= sizeof(addr.sun_path))
		return err_raise(err, ERR_LIMIT, "socket '%s' has %zu bytes > max %zu", socket_path,
			strlen(socket_path), sizeof(addr.sun_path) - 1);
	memcpy(addr.sun_path, socket_path, strlen(socket_path) + 1);
	AUTO_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	/* Nothing waits for it: a node that was just killed may have left a full queue. */
	if (fd < 0 ||
		sendto(fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL,
			(struct sockaddr *)&addr, sizeof(addr)) < 0)
		return err_sys(err, "cannot tell '%s' that stage 2 begins", socket_path);
	return 0;
}
