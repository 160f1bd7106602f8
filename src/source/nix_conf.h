/* SPDX-License-Identifier: MIT */
#ifndef SOURCE_NIX_CONF_H
#define SOURCE_NIX_CONF_H

/* What of nix.conf concerns binary caches (Nix, "nix.conf", substituters and what they name). */

#include "base/err.h"
#include "base/vec.h"

struct nix_conf {
	struct strvec substituters;
	struct strvec trusted_keys;
	char *netrc_file; /* NULL: not named */
	/* Likewise; without it $NIX_SSL_CERT_FILE, else $SSL_CERT_FILE (Nix,
	 * src/libstore/globals.cc). */
	char *ssl_cert_file;
	unsigned negative_ttl_s; /* narinfo-cache-negative-ttl */
};

#define NIX_CONF_NEGATIVE_TTL_S 3600

#define AUTO_NIX_CONF AUTO(nix_conf_done) struct nix_conf
void nix_conf_done(struct nix_conf *conf);

/*
 * Reads $NIX_CONF_DIR/nix.conf, or /etc/nix/nix.conf, and what it includes. A file that is not
 * there says nothing. ERR_IO; ERR_LIMIT for includes in a circle; ERR_USAGE for a value that is no
 * number where one belongs.
 */
int nix_conf_read(struct nix_conf *ret, struct err *err);

#endif
