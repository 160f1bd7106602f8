/* SPDX-License-Identifier: MIT */
/*
 * Whether to boot a manifest. Signatures come first: what nobody vouches for says nothing about
 * names and times. Clocks come last, and only ever make us refuse what the keys allow.
 */
#include "manifest/text.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

static int refuse(
	const struct manifest *manifest, const char *what, const char *name, struct err *err)
{
	return err_raise(err, ERR_UNTRUSTED, "manifest '%s' %s%s%s%s", manifest->name, what,
		name != NULL ? " '" : "", name != NULL ? name : "", name != NULL ? "'" : "");
}

static int check_signatures(
	const struct manifest *manifest, const public_keys *keys, struct err *err)
{
	if (manifest->signatures.len == 0)
		return refuse(manifest, "has no signature", NULL, err);
	AUTO_BUF body = {0};
	if (manifest_encode_body(manifest, &body, err) < 0)
		return -1;
	const char *wrong = NULL;
	VEC_FOREACH(signature, &manifest->signatures) {
		VEC_FOREACH(key, keys) {
			if (strcmp(key->name, signature->name) != 0)
				continue;
			if (key_verify(key, signature, body.data, body.len))
				return 0;
			wrong = key->name;
		}
	}
	if (wrong != NULL)
		return refuse(manifest, "has a wrong signature by the trusted key", wrong, err);
	refuse(manifest, "is signed by a key that is not trusted,",
		manifest->signatures.items[0].name, err);
	return err_hint(
		err, "a machine trusts the keys in its initramfs; elsewhere --key adds one");
}

/* "2026-11-23 14:05:09 UTC" */
static const char *date_text(int64_t seconds, char out[32])
{
	time_t t = (time_t)seconds;
	struct tm tm;
	if (gmtime_r(&t, &tm) == NULL || strftime(out, 32, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
		snprintf(out, 32, "second %" PRId64, seconds);
	return out;
}

/*
 * A clock before the time of issue has lost its battery, and `issued` is nearer to the truth. One
 * that is beyond the expiry may be years ahead: then the origin's Date counts, when it is a time at
 * which this manifest was good.
 */
static int check_time(
	const struct manifest *manifest, const struct manifest_trust *trust, struct err *err)
{
	if (trust->now <= manifest->expires)
		return 0;
	if (trust->origin_now >= manifest->issued && trust->origin_now <= manifest->expires &&
		trust->origin_now != 0)
		return 0;
	char expired[32], now[32], origin[32];
	date_text(manifest->expires, expired);
	date_text(trust->now, now);
	if (trust->origin_now != 0)
		err_raise(err, ERR_UNTRUSTED,
			"manifest '%s' expired at %s: here it is %s, at the origin %s",
			manifest->name, expired, now, date_text(trust->origin_now, origin));
	else
		err_raise(err, ERR_UNTRUSTED, "manifest '%s' expired at %s: here it is %s",
			manifest->name, expired, now);
	return err_hint(
		err, "the origin issues a new one when it is asked; if it did, set the clock");
}

int manifest_check(
	const struct manifest *manifest, const struct manifest_trust *trust, struct err *err)
{
	if (check_signatures(manifest, trust->keys, err) < 0)
		return -1;
	if (strcmp(manifest->name, trust->name) != 0)
		return err_raise(err, ERR_UNTRUSTED, "manifest '%s' came when '%s' was asked for",
			manifest->name, trust->name);
	if (manifest->serial < trust->min_serial) {
		err_raise(err, ERR_UNTRUSTED,
			"manifest '%s' has serial %" PRIu64 ", but this machine has seen %" PRIu64,
			manifest->name, manifest->serial, trust->min_serial);
		return err_hint(err,
			"an old one was sent again, or two origins count apart: they must share "
			"--state; to go back to an old system, issue it anew");
	}
	return check_time(manifest, trust, err);
}
