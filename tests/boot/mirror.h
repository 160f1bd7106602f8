/* SPDX-License-Identifier: MIT */
#ifndef MIRROR_H
#define MIRROR_H

/*
 * Other people's servers in a lab: nginx shows a folder at http://10.77.0.1, dnsmasq gives out
 * addresses and the URL of the script in that folder. No process of ours has a part in it.
 */

#include "lab.h"

struct mirror {
	char *dir; /* in the lab's: www, and what the servers write */
	struct child *web, *dhcp;
};

/* Publishes the system to the folder as it is, then starts both servers. Skips without them. */
int mirror_start(struct lab *lab, const char *system, struct mirror *ret, struct err *err);
void mirror_done(struct mirror *mirror);
#define AUTO_MIRROR AUTO(mirror_done) struct mirror

/* Bytes that went to nodes so far: all but what iPXE fetched. */
int mirror_node_bytes(const struct mirror *mirror, long long *ret, struct err *err);

#endif
