/* SPDX-License-Identifier: MIT */
/* Nobody else in an initramfs knows of name servers: what the network told us is all there is. */
#include "stage1/resolver.h"

#include "base/fd.h"
#include "base/log.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

void resolver_write(const struct net_state *state)
{
	char text[256] = "", server[INET6_ADDRSTRLEN];
	size_t len = 0;
	for (size_t i = 0; i < ARRAY_LEN(state->dns); i++)
		if (state->dns[i].s_addr != 0 &&
			inet_ntop(AF_INET, &state->dns[i], server, sizeof(server)) != NULL)
			len += (size_t)snprintf(
				text + len, sizeof(text) - len, "nameserver %s\n", server);
	if (!IN6_IS_ADDR_UNSPECIFIED(&state->dns6) &&
		inet_ntop(AF_INET6, &state->dns6, server, sizeof(server)) != NULL)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "nameserver %s\n", server);
	(void)mkdir("/etc", 0755); /* open() tells */
	AUTO_FD int fd = open("/etc/resolv.conf", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	struct err err = ERR_INIT;
	if (fd >= 0 && fd_write_full(fd, text, len, "/etc/resolv.conf", &err) < 0)
		log_ignored(&err);
}
