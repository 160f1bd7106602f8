/* SPDX-License-Identifier: MIT */
/*
 * For the static program alone, never in the library: libevent refers to these, and glibc's own
 * would bring the name service switch with its dynamic loader. The client never calls them: it
 * resolves through evdns, which takes numbers for ports.
 */
#include <stddef.h>

struct addrinfo;
struct servent;
struct protoent;

/* What netdb.h declares, without its other contents. */
int getaddrinfo(
	const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **ret);
void freeaddrinfo(struct addrinfo *list);
const char *gai_strerror(int error);
struct servent *getservbyname(const char *name, const char *protocol);
struct protoent *getprotobynumber(int protocol);

int getaddrinfo(
	const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **ret)
{
	(void)node;
	(void)service;
	(void)hints;
	(void)ret;
	return -4; /* EAI_FAIL */
}

void freeaddrinfo(struct addrinfo *list)
{
	(void)list;
}

const char *gai_strerror(int error)
{
	(void)error;
	return "names are not resolved in this program";
}

struct servent *getservbyname(const char *name, const char *protocol)
{
	(void)name;
	(void)protocol;
	return NULL;
}

struct protoent *getprotobynumber(int protocol)
{
	(void)protocol;
	return NULL;
}
