/* SPDX-License-Identifier: MIT */
/*
 * Firmware is not to be believed: serial numbers are often blank or a vendor's placeholder, and a
 * rule for one of those would catch every board of a kind. They count as unknown.
 */
#include "rules/identity.h"

#include "base/hex.h"
#include "base/mem.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MAC_SIZE 6
#define PXELINUX_ETHERNET 0x01 /* hardware type before the address: RFC 1700, "Ethernet" */

static const char *const names[IDENTITIES] = {
	[IDENTITY_MAC] = "mac",
	[IDENTITY_UUID] = "uuid",
	[IDENTITY_SERIAL] = "serial",
	[IDENTITY_ASSET] = "asset",
};

/* Seen in DMI tables of boards that were never given a number of their own. */
static const char *const placeholders[] = {"to be filled by o.e.m.", "default string",
	"not specified", "not applicable", "not available", "none", "n/a", "na", "unknown", "oem",
	"o.e.m.", "system serial number", "chassis serial number", "base board serial number",
	"asset tag", "asset-1234567890", "no asset tag", "no asset information", "0123456789",
	"123456789", "1234567890", "invalid", "empty"};

const char *identity_kind_name(enum identity_kind kind)
{
	return names[kind];
}

static bool all_same(const uint8_t *bytes, size_t len, uint8_t byte)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != byte)
			return false;
	return true;
}

/* Pairs of digits, with the same separator between all of them or none; how many. */
static size_t read_pairs(const char *text, uint8_t *bytes, size_t max)
{
	size_t count = 0;
	char separator = strlen(text) > 2 && strchr(":-", text[2]) != NULL ? text[2] : '\0';
	for (const char *p = text; *p != '\0'; p += 2) {
		if (count > 0 && separator != '\0' && *p++ != separator)
			return 0;
		if (count == max || strnlen(p, 2) < 2 || !hex_decode(p, 2, bytes + count, 1))
			return 0;
		count++;
	}
	return count;
}

static bool read_mac(const char *text, char ret[IDENTITY_TEXT_SIZE])
{
	uint8_t bytes[MAC_SIZE + 1];
	size_t count = read_pairs(text, bytes, sizeof(bytes));
	const uint8_t *mac = bytes;
	if (count == MAC_SIZE + 1 && bytes[0] == PXELINUX_ETHERNET)
		mac++;
	else if (count != MAC_SIZE)
		return false;
	if (all_same(mac, MAC_SIZE, 0) || all_same(mac, MAC_SIZE, 0xff))
		return false;
	snprintf(ret, IDENTITY_TEXT_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		mac[3], mac[4], mac[5]);
	return true;
}

static bool read_uuid(const char *text, char ret[IDENTITY_TEXT_SIZE])
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	char digits[33];
	size_t count = 0;
	if (strlen(text) != sizeof(form) - 1)
		return false;
	for (size_t i = 0; i < sizeof(form) - 1; i++) {
		bool dash = form[i] == '-';
		if (dash ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
			return false;
		if (!dash)
			digits[count++] = text[i];
		ret[i] = (char)tolower((unsigned char)text[i]);
	}
	ret[sizeof(form) - 1] = '\0';
	uint8_t bytes[16];
	return hex_decode(digits, 32, bytes, sizeof(bytes)) && !all_same(bytes, 16, 0) &&
		!all_same(bytes, 16, 0xff);
}

static bool read_tag(const char *text, char ret[IDENTITY_TEXT_SIZE])
{
	text += strspn(text, " \t");
	size_t len = strlen(text);
	while (len > 0 && strchr(" \t", text[len - 1]) != NULL)
		len--;
	if (len == 0 || len >= IDENTITY_TEXT_SIZE)
		return false;
	bool zeros = true;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c < ' ' || c == 0x7f)
			return false;
		zeros = zeros && strchr("0.- xX", c) != NULL;
	}
	memcpy(ret, text, len);
	ret[len] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(placeholders); i++)
		if (strcasecmp(ret, placeholders[i]) == 0)
			return false;
	return !zeros;
}

bool identity_read(enum identity_kind kind, const char *text, char ret[IDENTITY_TEXT_SIZE])
{
	char out[IDENTITY_TEXT_SIZE];
	bool ok = false;
	switch (kind) {
	case IDENTITY_MAC:
		ok = read_mac(text, out);
		break;
	case IDENTITY_UUID:
		ok = read_uuid(text, out);
		break;
	case IDENTITY_SERIAL:
	case IDENTITY_ASSET:
		ok = read_tag(text, out);
		break;
	case IDENTITIES:
		break;
	}
	if (ok)
		memcpy(ret, out, strlen(out) + 1);
	return ok;
}

static bool percent_decode(const char *text, char ret[IDENTITY_TEXT_SIZE])
{
	size_t len = 0;
	for (const char *p = text; *p != '\0'; p++) {
		uint8_t byte = (uint8_t)*p;
		if (*p == '%' && (strnlen(p, 3) < 3 || !hex_decode(p + 1, 2, &byte, 1)))
			return false;
		if (*p == '%')
			p += 2;
		if (byte == 0 || len + 1 == IDENTITY_TEXT_SIZE)
			return false;
		ret[len++] = (char)byte;
	}
	ret[len] = '\0';
	return true;
}

bool identity_parse(const char *name, enum identity_kind *ret_kind, char ret[IDENTITY_TEXT_SIZE])
{
	char text[IDENTITY_TEXT_SIZE];
	for (enum identity_kind kind = 0; kind < IDENTITIES; kind++) {
		size_t len = strlen(names[kind]);
		bool prefixed = strncmp(name, names[kind], len) == 0 && name[len] == '-';
		bool bare = kind == IDENTITY_MAC || kind == IDENTITY_UUID;
		if (prefixed && !percent_decode(name + len + 1, text))
			return false;
		if ((!prefixed && !bare) || !identity_read(kind, prefixed ? text : name, ret))
			continue;
		*ret_kind = kind;
		return true;
	}
	return false;
}

bool identity_same(const char *a, const char *b)
{
	return strcasecmp(a, b) == 0;
}

void identity_name(enum identity_kind kind, const char *text, char ret[IDENTITY_NAME_SIZE])
{
	bool bare = kind == IDENTITY_MAC || kind == IDENTITY_UUID;
	size_t len = bare ? 0 : (size_t)snprintf(ret, IDENTITY_NAME_SIZE, "%s-", names[kind]);
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
		bool plain = *p > ' ' && *p < 0x7f && *p != '/' && *p != '%';
		len += (size_t)snprintf(
			ret + len, IDENTITY_NAME_SIZE - len, plain ? "%c" : "%%%02X", *p);
	}
}

bool identity_first(const struct identity *who, char ret[IDENTITY_NAME_SIZE])
{
	for (enum identity_kind kind = 0; kind < IDENTITIES; kind++) {
		if (who->text[kind][0] == '\0')
			continue;
		identity_name(kind, who->text[kind], ret);
		return true;
	}
	return false;
}
