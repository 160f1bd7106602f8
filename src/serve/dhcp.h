/* SPDX-License-Identifier: MIT */
#ifndef SERVE_DHCP_H
#define SERVE_DHCP_H

/* What dnsmasq is told: who gets an address, and which program to start from where. */

#include "base/buf.h"
#include "serve/interface.h"

enum dhcp_mode {
	DHCP_PROXY, /* another server gives the addresses, we say what to boot */
	DHCP_FULL,  /* we give both: for a network of our own */
	DHCP_OFF,
};

struct dhcp_config {
	enum dhcp_mode mode;
	const struct interface *interface;
	const char *dir;        /* of our own, for the leases */
	const char *bios_file;  /* by TFTP, for BIOS clients */
	const char *efi_file;   /* by TFTP, for 64-bit EFI clients */
	const char *script_url; /* what iPXE then runs */
	const char *uki_url;    /* what firmware fetches that boots by HTTP */
};

/* "proxy", "full" or "off"; ERR_USAGE for anything else. */
int dhcp_mode_parse(const char *text, enum dhcp_mode *ret, struct err *err);

/*
 * The addresses to give away: the longer run beside the interface's own address. ERR_UNSUPPORTED
 * when its network is too small to have one.
 */
int dhcp_range(const struct interface *interface, struct in_addr *ret_first,
	struct in_addr *ret_last, struct err *err);

/* Appends dnsmasq's configuration (2.85 or newer). The mode is not DHCP_OFF. */
int dhcp_config_text(const struct dhcp_config *config, struct buf *out, struct err *err);

/*
 * Finds iPXE: `dir`, or with NULL the folders where distributions put it. *ret_dir is static or
 * `dir`; the file names are static. ERR_NOT_FOUND names the packages that have it.
 */
int dhcp_find_ipxe(const char *dir, const char **ret_dir, const char **ret_bios,
	const char **ret_efi, struct err *err);

#endif
