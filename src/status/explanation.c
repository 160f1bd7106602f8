/* SPDX-License-Identifier: MIT */
/* Which entries are about a machine, how each stands, and what comes out of it. */
#include "status/explanation.h"

#include "base/mem.h"
#include "status/amount.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text != NULL ? text : "";
}

static const char *size_of(const json_t *object, const char *key, char out[AMOUNT_SIZE])
{
	json_int_t bytes = json_integer_value(json_object_get(object, key));
	return amount_bytes(bytes > 0 ? (uint64_t)bytes : 0, out);
}

static int put_machine(const json_t *machine, struct buf *out, struct err *err)
{
	static const char *const kinds[] = {"mac", "uuid", "serial", "asset"};
	if (buf_put_str(out, "machine\n", err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const char *text = text_of(machine, kinds[i]);
		if (buf_printf(out, err, "  %-8s  %s\n", kinds[i],
			    text[0] != '\0' ? text : "unknown") < 0)
			return -1;
	}
	return 0;
}

static int put_rules(const json_t *root, struct buf *out, struct err *err)
{
	const json_t *rule, *name;
	size_t i;
	const char *dir = text_of(root, "directory");
	if (buf_printf(out, err, "rules%s%s\n", dir[0] != '\0' ? " in " : "", dir) < 0)
		return -1;
	json_array_foreach(json_object_get(root, "rules"), i, rule)
	{
		const char *entry = text_of(rule, "entry");
		if (buf_printf(out, err, "  %-8s  %-24s  %s\n", text_of(rule, "standing"),
			    entry[0] != '\0' ? entry : "(first SYSTEM)", text_of(rule, "why")) < 0)
			return -1;
	}
	json_int_t others = json_integer_value(json_object_get(root, "others"));
	if (others > 0 &&
		buf_printf(out, err, "  %lld %s of other machines\n", (long long)others,
			others == 1 ? "entry is" : "entries are") < 0)
		return -1;
	json_array_foreach(json_object_get(root, "ignored"), i, name)
	{
		const char *text = json_string_value(name);
		if (text != NULL &&
			buf_printf(out, err, "  '%s' has not the name of a machine\n", text) < 0)
			return -1;
	}
	return 0;
}

static int put_boots(const json_t *boots, struct buf *out, struct err *err)
{
	char kernel[AMOUNT_SIZE], initrd[AMOUNT_SIZE];
	const char *special = text_of(boots, "specialisation"), *state = text_of(boots, "state");
	if (buf_printf(out, err, "boots\n  system    %s\n", text_of(boots, "system")) < 0)
		return -1;
	if (special[0] != '\0' && buf_printf(out, err, "  special   %s\n", special) < 0)
		return -1;
	if (json_is_true(json_object_get(boots, "once")) &&
		buf_put_str(out, "  once      until the machine reports that it came up\n", err) <
			0)
		return -1;
	if (strcmp(state, "ready") != 0)
		return buf_printf(out, err, "  state     %s%s%s\n", state,
			text_of(boots, "failure")[0] != '\0' ? ": " : "",
			text_of(boots, "failure"));
	return buf_printf(out, err,
		"  root      %s\n  kernel    %s, %s; initrd %s\n  cmdline   %s\n",
		text_of(boots, "root"), text_of(boots, "kernel"),
		size_of(boots, "kernel_bytes", kernel), size_of(boots, "initrd_bytes", initrd),
		text_of(boots, "cmdline"));
}

static int put(const json_t *root, struct buf *out, struct err *ret_failure, struct err *err)
{
	const json_t *boots = json_object_get(root, "boots");
	if (!json_is_object(root) || !json_is_array(json_object_get(root, "rules")))
		return err_raise(err, ERR_CORRUPT, "the answer explains nothing");
	if (put_machine(json_object_get(root, "machine"), out, err) < 0 ||
		put_rules(root, out, err) < 0)
		return -1;
	if (json_is_object(boots))
		return put_boots(boots, out, err) < 0 ? -1 : 1;
	const char *hint = text_of(root, "hint");
	(void)err_raise(ret_failure, ERR_NOT_FOUND, "%s", text_of(root, "failure"));
	if (hint[0] != '\0')
		(void)err_hint(ret_failure, "%s", hint);
	return 0;
}

int explanation_put(
	const void *json, size_t size, struct buf *out, struct err *ret_failure, struct err *err)
{
	json_error_t error;
	json_t *root = json_loadb(json, size, 0, &error);
	if (root == NULL)
		return err_raise(err, ERR_CORRUPT, "the answer is no JSON: line %d: %s", error.line,
			error.text);
	int r = put(root, out, ret_failure, err);
	json_decref(root);
	return r;
}
