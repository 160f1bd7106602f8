/* SPDX-License-Identifier: MIT */
/*
 * The kernel command line as words. It knows how the kernel quotes, and nothing of what the words
 * mean.
 */
#include "stage1/cmdline.h"

#include <ctype.h>
#include <string.h>

void cmdline_done(struct cmdline *cmdline)
{
	strvec_done(&cmdline->words);
}

/*
 * One word from *at on. A double quote anywhere hides blanks until the next one. Quotes are dropped
 * where the kernel drops them: around the whole word, and around a value; others stay.
 */
static char *next_word(const char **at, struct err *err)
{
	const char *p = *at;
	bool quoted = false;
	while (*p != '\0' && (quoted || !isspace((unsigned char)*p)))
		quoted ^= *p++ == '"';
	const char *begin = *at, *end = p;
	*at = p;
	if (*begin == '"') {
		begin++;
		if (end > begin && end[-1] == '"')
			end--;
	}
	char *word = strndup(begin, (size_t)(end - begin));
	if (word == NULL) {
		err_oom(err);
		return NULL;
	}
	char *value = strchr(word, '=');
	if (value == NULL || value[1] != '"')
		return word;
	size_t len = strlen(value + 2);
	memmove(value + 1, value + 2, len + 1);
	if (len > 0 && value[len] == '"')
		value[len] = '\0';
	return word;
}

int cmdline_parse(const char *text, struct cmdline *ret, struct err *err)
{
	AUTO(cmdline_done) struct cmdline cmdline = {0};
	for (;;) {
		while (isspace((unsigned char)*text))
			text++;
		if (*text == '\0')
			break;
		char *word = next_word(&text, err);
		if (word != NULL && strcmp(word, "--") == 0) {
			free(word);
			break;
		}
		if (strvec_push_take(&cmdline.words, word, err) < 0)
			return -1;
	}
	*ret = cmdline;
	cmdline = (struct cmdline){0};
	return 0;
}

const char *cmdline_value(const char *word, const char *key)
{
	size_t len = strlen(key);
	return strncmp(word, key, len) == 0 && word[len] == '=' ? word + len + 1 : NULL;
}

const char *cmdline_get(const struct cmdline *cmdline, const char *key)
{
	const char *found = NULL;
	for (size_t i = 0; i < cmdline->words.len; i++) {
		const char *value = cmdline_value(cmdline->words.items[i], key);
		if (value != NULL)
			found = value;
	}
	return found;
}

size_t cmdline_count(const struct cmdline *cmdline, const char *key)
{
	size_t count = 0;
	for (size_t i = 0; i < cmdline->words.len; i++)
		count += cmdline_value(cmdline->words.items[i], key) != NULL;
	return count;
}

static bool is_yes(const char *value)
{
	static const char *const yes[] = {"1", "y", "yes", "true", "on"};
	for (size_t i = 0; i < ARRAY_LEN(yes); i++)
		if (strcmp(value, yes[i]) == 0)
			return true;
	return false;
}

bool cmdline_flag(const struct cmdline *cmdline, const char *key)
{
	bool flag = false;
	for (size_t i = 0; i < cmdline->words.len; i++) {
		const char *word = cmdline->words.items[i];
		const char *value = cmdline_value(word, key);
		if (strcmp(word, key) == 0)
			flag = true;
		else if (value != NULL)
			flag = is_yes(value);
	}
	return flag;
}
