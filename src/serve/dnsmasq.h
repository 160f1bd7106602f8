/* SPDX-License-Identifier: MIT */
#ifndef SERVE_DNSMASQ_H
#define SERVE_DNSMASQ_H

/* dnsmasq as a child that dies with us, and what its log says about clients. */

#include "serve/dhcp.h"

#include <stdbool.h>
#include <sys/types.h>

struct event_base;
struct dnsmasq;

struct dnsmasq_callbacks {
	/* A line of its log, without date and name: "DHCPACK(br0) 10.55.0.7 52:54:…". */
	void (*line)(const char *line, void *data);
	/* It ended by itself; `failure` says how, with its last words. */
	void (*ended)(const struct err *failure, void *data);
	void *data;
};

/* ERR_IO without the permissions to serve DHCP, with the way out. */
int dnsmasq_permitted(const struct dhcp_config *config, struct err *err);

/*
 * Starts dnsmasq and waits until it serves. Its configuration and leases lie in a temporary folder
 * of their own. ERR_IO without the permissions, ERR_NOT_FOUND when it is not installed, ERR_AGAIN
 * when another DHCP server has the port: each with the way out.
 */
int dnsmasq_start(struct event_base *base, const struct dhcp_config *config,
	const struct dnsmasq_callbacks *callbacks, struct dnsmasq **ret, struct err *err);
/* Ends it and removes its folder. NULL is fine; returns NULL. */
struct dnsmasq *dnsmasq_stop(struct dnsmasq *dnsmasq);

/*
 * What a log line tells of a client; what it does not say is empty. "told to boot" names no client:
 * it is the one of the line before.
 */
struct dnsmasq_step {
	char client[48], mac[24], subject[256];
	const char *note; /* static, or NULL */
};

/* True when a line is a step of a client's DHCP. Lines begin as `line` above gives them. */
bool dnsmasq_parse(const char *line, struct dnsmasq_step *ret);

#endif
