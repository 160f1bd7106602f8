/* SPDX-License-Identifier: MIT */
/*
 * The reader of machine files. Strict: a misspelt key that is passed over would boot a machine with
 * something else than its owner wrote. jansson knows the line of broken syntax; for a value of the
 * wrong kind the line of its key is looked up, which a flat object makes easy.
 */
#include "rules/rule.h"

#include "base/buf.h"
#include "base/hex.h"

#include <jansson.h>
#include <string.h>

struct file {
	const char *text;
	size_t len;
};

void rule_done(struct rule *rule)
{
	free(rule->system);
	free(rule->specialisation);
	free(rule->params);
	free(rule->device_tree);
	*rule = (struct rule){0};
}

static unsigned line_at(const struct file *file, size_t off)
{
	unsigned line = 1;
	for (size_t i = 0; i < off && i < file->len; i++)
		line += file->text[i] == '\n';
	return line;
}

/* The line of a key, or 1: it may be written with escapes. */
static unsigned line_of(const struct file *file, const char *key)
{
	size_t len = strlen(key);
	for (size_t i = 0; len + 2 <= file->len && i <= file->len - len - 2; i++) {
		const char *p = file->text + i, *end = file->text + file->len;
		if (p[0] != '"' || memcmp(p + 1, key, len) != 0 || p[len + 1] != '"')
			continue;
		const char *colon = p + len + 2;
		while (colon < end && strchr(" \t\r\n", *colon) != NULL)
			colon++;
		if (colon < end && *colon == ':')
			return line_at(file, i);
	}
	return 1;
}

/* Paths, names and words end up in kernel command lines and in iPXE scripts. */
static bool is_plain(const char *text, const char *refused)
{
	for (const char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f || strchr(refused, *p) != NULL)
			return false;
	return text[0] != '\0';
}

static int get_text(
	const struct file *file, const char *key, const json_t *value, char **ret, struct err *err)
{
	const char *text = json_string_value(value);
	if (text == NULL)
		return err_raise(
			err, ERR_CORRUPT, "line %u: '%s' is not a string", line_of(file, key), key);
	if (!is_plain(text, ""))
		return err_raise(err, ERR_CORRUPT,
			"line %u: '%s' is empty or has a control character", line_of(file, key),
			key);
	*ret = strdup(text);
	return *ret == NULL ? err_oom(err) : 0;
}

static int get_system(
	const struct file *file, const json_t *value, struct rule *rule, struct err *err)
{
	return get_text(file, "system", value, &rule->system, err);
}

static int get_specialisation(
	const struct file *file, const json_t *value, struct rule *rule, struct err *err)
{
	const char *name = json_string_value(value);
	if (name != NULL && (strchr(name, '/') != NULL || name[0] == '.'))
		return err_raise(err, ERR_CORRUPT, "line %u: '%s' is no name of a specialisation",
			line_of(file, "specialisation"), name);
	return get_text(file, "specialisation", value, &rule->specialisation, err);
}

static int get_params(
	const struct file *file, const json_t *value, struct rule *rule, struct err *err)
{
	static const char key[] = "kernel-params";
	AUTO_BUF words = {0};
	if (!json_is_array(value))
		return err_raise(err, ERR_CORRUPT, "line %u: '%s' is not an array of words",
			line_of(file, key), key);
	for (size_t i = 0; i < json_array_size(value); i++) {
		const char *word = json_string_value(json_array_get(value, i));
		if (word == NULL || !is_plain(word, " "))
			return err_raise(err, ERR_CORRUPT,
				"line %u: '%s' has at %zu what is no word", line_of(file, key), key,
				i);
		if (strncmp(word, "init=", 5) == 0)
			return err_raise(err, ERR_CORRUPT,
				"line %u: '%s' has 'init=', which the system decides",
				line_of(file, key), key);
		if (buf_printf(&words, err, "%s%s", i > 0 ? " " : "", word) < 0)
			return -1;
	}
	if (words.len > RULE_PARAMS_MAX)
		return err_raise(err, ERR_LIMIT, "line %u: '%s' has %zu bytes > max %d",
			line_of(file, key), key, words.len, RULE_PARAMS_MAX);
	if (words.len == 0)
		return 0;
	rule->params = buf_take_str(&words, err);
	return rule->params == NULL ? -1 : 0;
}

static int get_device_tree(
	const struct file *file, const json_t *value, struct rule *rule, struct err *err)
{
	static const char key[] = "device-tree";
	if (get_text(file, key, value, &rule->device_tree, err) < 0)
		return -1;
	const char *name = rule->device_tree;
	if (name[0] == '/' || strstr(name, "..") != NULL || strpbrk(name, " \\$") != NULL)
		return err_raise(err, ERR_CORRUPT, "line %u: '%s' is no name of a device tree",
			line_of(file, key), name);
	return 0;
}

static int get_once(
	const struct file *file, const json_t *value, struct rule *rule, struct err *err)
{
	if (!json_is_boolean(value))
		return err_raise(err, ERR_CORRUPT, "line %u: 'once' is not true or false",
			line_of(file, "once"));
	rule->once = json_is_true(value);
	return 0;
}

/* For people: JSON has no comments. */
static int get_comment(
	const struct file *file, const json_t *value, struct rule *rule, struct err *err)
{
	(void)rule;
	if (!json_is_string(value))
		return err_raise(err, ERR_CORRUPT, "line %u: 'comment' is not a string",
			line_of(file, "comment"));
	return 0;
}

static const struct key {
	const char *name;
	int (*get)(
		const struct file *file, const json_t *value, struct rule *rule, struct err *err);
} keys[] = {
	{"system", get_system},
	{"specialisation", get_specialisation},
	{"kernel-params", get_params},
	{"device-tree", get_device_tree},
	{"once", get_once},
	{"comment", get_comment},
};

static int get(const struct file *file, const char *name, const json_t *value, struct rule *rule,
	struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (strcmp(keys[i].name, name) == 0)
			return keys[i].get(file, value, rule, err);
	err_raise(err, ERR_CORRUPT, "line %u: '%.64s' is no key of a machine file",
		line_of(file, name), name);
	return err_hint(err,
		"there are system, specialisation, kernel-params, device-tree, once and comment");
}

static int get_all(const struct file *file, json_t *root, struct rule *rule, struct err *err)
{
	const char *name;
	json_t *value;
	if (!json_is_object(root))
		return err_raise(err, ERR_CORRUPT, "line 1: this is not an object {…}");
	json_object_foreach(root, name, value)
	{
		if (!is_plain(name, ""))
			return err_raise(err, ERR_CORRUPT,
				"line 1: a key is empty or has a control character");
		if (get(file, name, value, rule, err) < 0)
			return -1;
	}
	if (rule->system == NULL)
		return err_raise(err, ERR_CORRUPT, "line 1: the object lacks 'system'");
	return 0;
}

int rule_parse(const char *text, size_t len, struct rule *ret, struct err *err)
{
	const struct file file = {text, len};
	AUTO_RULE rule = {0};
	json_error_t error;
	if (len > RULE_FILE_MAX)
		return err_raise(err, ERR_LIMIT, "a machine file has %zu bytes > max %d", len,
			RULE_FILE_MAX);
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (root == NULL)
		return err_raise(err, ERR_CORRUPT, "line %d: %s", error.line > 0 ? error.line : 1,
			is_plain(error.text, "") ? error.text : "this is not JSON");
	int r = get_all(&file, root, &rule, err);
	json_decref(root);
	if (r < 0)
		return -1;
	*ret = rule;
	rule = (struct rule){0};
	return 0;
}
