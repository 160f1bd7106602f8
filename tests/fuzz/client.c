/* SPDX-License-Identifier: MIT */
/* Whatever a boot loader says of its machine: names are canonical, and nothing could end a line. */
#include "target.h"

#include "serve/client.h"

#include <ctype.h>
#include <string.h>

static void expect_line(const char *text)
{
	for (; text != NULL && *text != '\0'; text++)
		expect(!iscntrl((unsigned char)*text));
}

bool target_run(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	AUTO_CLIENT client = {0};
	char *query = strndup((const char *)data, size); /* a request's is a string */
	expect(query != NULL);
	int r = client_read(query, &client, &err);
	free(query);
	if (r < 0) {
		expect(err.kind == ERR_CORRUPT);
		return false;
	}
	for (enum identity_kind kind = 0; kind < IDENTITIES; kind++) {
		enum identity_kind again;
		char name[IDENTITY_NAME_SIZE], text[IDENTITY_TEXT_SIZE];
		if (client.who.text[kind][0] == '\0')
			continue;
		expect_line(client.who.text[kind]);
		identity_name(kind, client.who.text[kind], name);
		expect(identity_parse(name, &again, text) && again == kind);
		expect(strcmp(text, client.who.text[kind]) == 0);
	}
	expect_line(client.prefix);
	expect_line(client.suffix);
	return client.said;
}
