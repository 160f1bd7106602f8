/* SPDX-License-Identifier: MIT */
#ifndef SERVE_SIGNER_H
#define SERVE_SIGNER_H

/* The keys that manifests are signed with: files of the user's, or one that is made once. */

#include "base/vec.h"
#include "manifest/key.h"

struct signer {
	VEC(struct secret_key) keys; /* manifests are signed with all of them */
	public_keys trusted;         /* the same ones, for the machines that boot */
};

#define AUTO_SIGNER AUTO(signer_done) struct signer
void signer_done(struct signer *signer);

/*
 * Reads the key files, or without any `key` in the state directory, which is generated (mode 0600)
 * when it is not there. The public keys are written to `key.pub` beside it, for who verifies.
 */
int signer_open(
	const struct strvec *files, const char *state_dir, struct signer *ret, struct err *err);

/* /var/lib/snowboot for root, else below XDG_STATE_HOME. Caller owns it; NULL with ERR_NOMEM, or
 * ERR_NOT_FOUND without a home. */
char *signer_default_dir(struct err *err);

#endif
