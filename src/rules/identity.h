/* SPDX-License-Identifier: MIT */
#ifndef RULES_IDENTITY_H
#define RULES_IDENTITY_H

/* What a machine is known by: hardware address, UUID, serial number and asset tag (SMBIOS). */

#include <stdbool.h>
#include <stddef.h>

/* In the order in which rules are looked for. */
enum identity_kind {
	IDENTITY_MAC,
	IDENTITY_UUID,
	IDENTITY_SERIAL,
	IDENTITY_ASSET,
	IDENTITIES,
};

#define IDENTITY_TEXT_SIZE 128

/* Each in its canonical form, "" when unknown. */
struct identity {
	char text[IDENTITIES][IDENTITY_TEXT_SIZE];
};

/* "mac", "uuid", "serial", "asset". */
const char *identity_kind_name(enum identity_kind kind);

/*
 * The canonical form of what firmware or a user wrote: "aa:bb:cc:dd:ee:ff" (also from dashes, from
 * bare digits, and from PXELINUX's 01-aa-…), a UUID in lower case, a serial number or asset tag
 * without surrounding blanks. False when it is none: malformed, too long, or what vendors leave
 * there ("To Be Filled By O.E.M.", all zeros), which many machines share.
 */
bool identity_read(enum identity_kind kind, const char *text, char ret[IDENTITY_TEXT_SIZE]);

/*
 * A name as users and entries of the directory write it: a hardware address or UUID as it is, or
 * any kind behind its name: "serial-X", where %2F is '/'. False when it is none.
 */
bool identity_parse(const char *name, enum identity_kind *ret_kind, char ret[IDENTITY_TEXT_SIZE]);

/* The same machine's name, whatever the case of letters. */
bool identity_same(const char *a, const char *b);

/* The inverse of identity_parse(): "serial-AB%2FCD"; a hardware address and a UUID as they are. */
#define IDENTITY_NAME_SIZE (3 * IDENTITY_TEXT_SIZE + 8)
void identity_name(enum identity_kind kind, const char *text, char ret[IDENTITY_NAME_SIZE]);

/* The name of the first that is known; false when none is. */
bool identity_first(const struct identity *who, char ret[IDENTITY_NAME_SIZE]);

#endif
