/* SPDX-License-Identifier: MIT */
/* The codec. Every string of a packet ends with a NUL within it; what does not is refused. */
#include "tftp/packet.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* What is left of a packet. */
struct rest {
	const uint8_t *p;
	size_t len;
};

static uint16_t get_16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put_16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* The next string, or NULL when none ends here. */
static const char *next_string(struct rest *rest)
{
	const uint8_t *end = rest->len > 0 ? memchr(rest->p, 0, rest->len) : NULL;
	if (end == NULL)
		return NULL;
	const char *s = (const char *)rest->p;
	rest->len -= (size_t)(end - rest->p) + 1;
	rest->p = end + 1;
	return s;
}

static bool has_control(const char *s)
{
	for (; *s != '\0'; s++)
		if ((uint8_t)*s < 0x20 || *s == 0x7f)
			return true;
	return false;
}

/* Decimal digits only, within the bounds; 0 for anything else. */
static uint32_t number_of(const char *value, uint32_t min, uint32_t max)
{
	uint32_t v = 0;
	if (value[0] == '\0' || strlen(value) > 6)
		return 0;
	for (; *value != '\0'; value++) {
		if (*value < '0' || *value > '9')
			return 0;
		v = v * 10 + (uint32_t)(*value - '0');
	}
	return v >= min && v <= max ? v : 0;
}

/* The bounds are those of the RFC named in struct tftp_request. */
static void take_option(struct tftp_request *r, const char *name, const char *value)
{
	if (strcasecmp(name, "blksize") == 0)
		r->block_size = number_of(value, 8, 65464);
	else if (strcasecmp(name, "timeout") == 0)
		r->timeout_s = number_of(value, 1, 255);
	else if (strcasecmp(name, "windowsize") == 0)
		r->window = number_of(value, 1, 65535);
	else if (strcasecmp(name, "tsize") == 0)
		r->wants_size = true;
}

static enum tftp_mode mode_of(const char *mode)
{
	if (strcasecmp(mode, "octet") == 0)
		return TFTP_MODE_OCTET;
	return strcasecmp(mode, "netascii") == 0 ? TFTP_MODE_NETASCII : TFTP_MODE_OTHER;
}

int tftp_request_decode(const uint8_t *data, size_t size, struct tftp_request *ret, struct err *err)
{
	if (size < 2 || (get_16(data) != TFTP_READ && get_16(data) != TFTP_WRITE))
		return 0;
	struct rest rest = {data + 2, size - 2};
	struct tftp_request r = {.write = get_16(data) == TFTP_WRITE};
	const char *name = next_string(&rest);
	const char *mode = name != NULL ? next_string(&rest) : NULL;
	if (mode == NULL)
		return err_raise(err, ERR_CORRUPT, "the request ends before its mode");
	if (strlen(name) > TFTP_NAME_MAX)
		return err_raise(err, ERR_CORRUPT, "the file name has %zu bytes > max %d",
			strlen(name), TFTP_NAME_MAX);
	if (has_control(name))
		return err_raise(err, ERR_CORRUPT, "the file name has a control character");
	memcpy(r.name, name, strlen(name));
	r.mode = mode_of(mode);
	/* Old clients pad their request with zeros: what is no pair any more ends the list. */
	for (const char *option; (option = next_string(&rest)) != NULL;) {
		const char *value = next_string(&rest);
		if (value == NULL)
			break;
		take_option(&r, option, value);
	}
	*ret = r;
	return 1;
}

int tftp_request_path(
	const struct tftp_request *request, char ret[TFTP_NAME_MAX + 1], struct err *err)
{
	char path[TFTP_NAME_MAX + 1];
	size_t len = 0;
	for (const char *p = request->name; *p != '\0';) {
		p += strspn(p, "/\\");
		size_t part = strcspn(p, "/\\");
		if ((part == 1 && p[0] == '.') || (part == 2 && memcmp(p, "..", 2) == 0))
			return err_raise(
				err, ERR_USAGE, "the file name has a part '%.*s'", (int)part, p);
		if (part > 0 && len > 0)
			path[len++] = '/';
		memcpy(path + len, p, part);
		len += part;
		p += part;
	}
	if (len == 0)
		return err_raise(err, ERR_USAGE, "the file name is empty");
	memcpy(ret, path, len);
	ret[len] = '\0';
	return 0;
}

bool tftp_reply_decode(const uint8_t *data, size_t size, struct tftp_reply *ret)
{
	if (size < TFTP_HEAD || (get_16(data) != TFTP_ACK && get_16(data) != TFTP_ERROR))
		return false;
	struct tftp_reply r = {
		.opcode = (enum tftp_opcode)get_16(data), .number = get_16(data + 2)};
	/* Some end their text with the packet instead of a NUL. */
	for (size_t i = 0; r.opcode == TFTP_ERROR && i < TFTP_TEXT_MAX && TFTP_HEAD + i < size &&
		data[TFTP_HEAD + i] != 0;
		i++) {
		uint8_t c = data[TFTP_HEAD + i];
		r.text[i] = c < 0x20 || c >= 0x7f ? '?' : (char)c;
	}
	*ret = r;
	return true;
}

static void put_option(uint8_t *out, size_t *len, const char *name, uint64_t value)
{
	int n = snprintf(
		(char *)out + *len, TFTP_OPTIONS_MAX - *len, "%s%c%" PRIu64, name, 0, value);
	*len += (size_t)n + 1;
}

size_t tftp_put_options(uint8_t out[TFTP_OPTIONS_MAX], const struct tftp_options *o)
{
	size_t len = 2;
	put_16(out, TFTP_OPTIONS);
	if (o->block_size != 0)
		put_option(out, &len, "blksize", o->block_size);
	if (o->timeout_s != 0)
		put_option(out, &len, "timeout", o->timeout_s);
	if (o->window != 0)
		put_option(out, &len, "windowsize", o->window);
	if (o->has_size)
		put_option(out, &len, "tsize", o->size);
	return len;
}

size_t tftp_put_block(uint8_t out[TFTP_HEAD], uint16_t number)
{
	put_16(out, TFTP_DATA);
	put_16(out + 2, number);
	return TFTP_HEAD;
}

size_t tftp_put_error(
	uint8_t out[TFTP_HEAD + TFTP_TEXT_MAX + 1], enum tftp_code code, const char *text)
{
	size_t len = strnlen(text, TFTP_TEXT_MAX);
	put_16(out, TFTP_ERROR);
	put_16(out + 2, code);
	memcpy(out + TFTP_HEAD, text, len);
	out[TFTP_HEAD + len] = 0;
	return TFTP_HEAD + len + 1;
}
