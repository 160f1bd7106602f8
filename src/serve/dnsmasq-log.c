/* SPDX-License-Identifier: MIT */
/* dnsmasq's log lines (2.80 to 2.90) as steps of clients. What is not one is left out. */
#include "serve/dnsmasq.h"

#include "serve/journal.h"

#include <stdio.h>
#include <string.h>

/* Digits and a space stand before each DHCP line: the transaction, by option log-dhcp. */
static const char *skip_transaction(const char *line)
{
	size_t digits = strspn(line, "0123456789");
	return digits > 0 && line[digits] == ' ' ? line + digits + 1 : line;
}

static bool parse_dhcp(const char *p, struct dnsmasq_step *step)
{
	char interface[32];
	if (sscanf(p, "DHCPACK(%31[^)]) %47s %23s %255s", interface, step->client, step->mac,
		    step->subject) >= 3) {
		step->note = "has its address";
		return true;
	}
	if (sscanf(p, "DHCPOFFER(%31[^)]) %47s %23s", interface, step->client, step->mac) == 3) {
		step->note = "offered an address";
		return true;
	}
	if (sscanf(p, "PXE(%31[^)]) %23s %255s", interface, step->mac, step->subject) == 3 &&
		strcmp(step->subject, "proxy") == 0) {
		step->subject[0] = '\0';
		step->note = "answered as a proxy";
		return true;
	}
	if (sscanf(p, "PXE(%31[^)]) %47s %23s %255s", interface, step->client, step->mac,
		    step->subject) == 4) {
		step->note = "asked the boot server";
		return true;
	}
	if (sscanf(p, "bootfile name: %255s", step->subject) == 1) {
		step->note = "told to boot";
		return true;
	}
	return false;
}

bool dnsmasq_parse(const char *line, struct dnsmasq_step *ret)
{
	struct dnsmasq_step step = {0};
	bool found = parse_dhcp(skip_transaction(line), &step);
	if (found)
		*ret = step;
	return found;
}
