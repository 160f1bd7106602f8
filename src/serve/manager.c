/* SPDX-License-Identifier: MIT */
/* Lines of NAME=VALUE in a datagram to $NOTIFY_SOCKET; sockets from descriptor 3 on for
 * $LISTEN_PID. */
#include "serve/manager.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */

static long number(const char *name)
{
	const char *text = getenv(name);
	char *end;
	long value = text != NULL ? strtol(text, &end, 10) : 0;
	return text != NULL && *text != '\0' && *end == '\0' ? value : 0;
}

int manager_socket(int *ret_fd, struct err *err)
{
	long pid = number("LISTEN_PID"), count = number("LISTEN_FDS");
	int listens = 0, type = 0;
	socklen_t size = sizeof(int);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (pid != (long)getpid() || count <= 0)
		return 0;
	if (count != 1)
		return err_raise(err, ERR_USAGE,
			"the service manager hands over %ld sockets > max 1", count);
	if (fcntl(FIRST_FD, F_SETFD, FD_CLOEXEC) < 0 ||
		getsockopt(FIRST_FD, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
		getsockopt(FIRST_FD, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0)
		return err_sys(err, "what the service manager hands over is no socket");
	if (type != SOCK_STREAM || listens == 0) {
		err_raise(err, ERR_USAGE,
			"the socket of the service manager is not one that listens");
		return err_hint(err, "the unit needs ListenStream= and Accept=no");
	}
	*ret_fd = FIRST_FD;
	return 1;
}

void manager_tell(const char *state)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path != NULL ? strlen(path) : 0;
	if (len < 2 || len >= sizeof(addr.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(addr.sun_path, path, len);
	if (path[0] == '@')
		addr.sun_path[0] = '\0'; /* the abstract name space: unix(7) */
	AUTO_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		(void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&addr,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
}

void manager_tell_reloading(void)
{
	char text[64];
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld",
		(long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	manager_tell(text);
}
