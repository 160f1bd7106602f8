/* SPDX-License-Identifier: MIT */
/*
 * One list, looked through: some thousand machines at most, and who is heard of moves to the front.
 * A boot begins with the first step of a boot loader after a later step was seen.
 */
#include "serve/machines.h"

#include "base/hex.h"
#include "base/path.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOIN_WINDOW_US ((uint64_t)120 * 1000000) /* from the initrd to the node's first word */
#define DHCP_WINDOW_US ((uint64_t)30 * 1000000)  /* from DHCP to the boot loader's next step */
#define RATE_WINDOW_US ((uint64_t)10 * 1000000)

void machines_init(struct machines *machines)
{
	*machines = (struct machines){0};
	TAILQ_INIT(&machines->list);
}

static void drop(struct machines *machines, struct machine *m)
{
	TAILQ_REMOVE(&machines->list, m, entry);
	machines->len--;
	free(m->system);
	free(m->failure);
	free(m);
}

void machines_done(struct machines *machines)
{
	if (machines->list.tqh_last == NULL) /* never begun */
		return;
	for (struct machine *m; (m = TAILQ_FIRST(&machines->list)) != NULL;)
		drop(machines, m);
}

static void make_place(struct machines *machines)
{
	struct machine *m;
	TAILQ_FOREACH_REVERSE(m, &machines->list, machine_list, entry)
	{
		if (!m->linked) {
			drop(machines, m);
			return;
		}
	}
}

static struct machine *add(struct machines *machines, uint64_t now_us)
{
	struct machine *m = calloc(1, sizeof(*m));
	if (m == NULL)
		return NULL;
	if (machines->len >= MACHINES_MAX)
		make_place(machines);
	m->began_us = now_us;
	m->seen_us = now_us;
	m->moved_us = now_us;
	TAILQ_INSERT_HEAD(&machines->list, m, entry);
	machines->len++;
	return m;
}

static struct machine *touch(struct machines *machines, struct machine *m, uint64_t now_us)
{
	m->seen_us = now_us;
	TAILQ_REMOVE(&machines->list, m, entry);
	TAILQ_INSERT_HEAD(&machines->list, m, entry);
	return m;
}

static bool same(const char *a, const char *b)
{
	return b != NULL && b[0] != '\0' && strcmp(a, b) == 0;
}

struct machine *machines_get(
	struct machines *machines, const char *mac, const char *address, uint64_t now_us)
{
	struct machine *m, *found = NULL;
	TAILQ_FOREACH(m, &machines->list, entry) {
		if (same(m->mac, mac)) {
			found = m;
			break;
		}
		/* An address may have another owner by now: its hardware address decides. */
		bool other = mac != NULL && mac[0] != '\0' && m->mac[0] != '\0';
		if (found == NULL && !other && same(m->address, address))
			found = m;
	}
	if (found == NULL)
		found = add(machines, now_us);
	if (found == NULL)
		return NULL;
	if (mac != NULL && mac[0] != '\0')
		snprintf(found->mac, sizeof(found->mac), "%s", mac);
	if (address != NULL && address[0] != '\0' && !found->linked)
		snprintf(found->address, sizeof(found->address), "%s", address);
	return touch(machines, found, now_us);
}

void machines_lease(struct machines *machines, struct machine *machine, const char *address)
{
	struct machine *m;
	TAILQ_FOREACH(m, &machines->list, entry)
		if (same(m->lease, address))
			m->lease[0] = '\0';
	snprintf(machine->lease, sizeof(machine->lease), "%s", address);
}

const struct machine *machines_leased(const struct machines *machines, const char *address)
{
	const struct machine *m;
	TAILQ_FOREACH(m, &machines->list, entry)
		if (same(m->lease, address))
			break;
	return m;
}

struct machine *machines_find(struct machines *machines, const char *text, size_t len)
{
	struct machine *m;
	char id[2 * sizeof(m->member.id.bytes) + 1];
	TAILQ_FOREACH(m, &machines->list, entry) {
		hex_encode(m->member.id.bytes, sizeof(m->member.id.bytes), id);
		const char *names[] = {m->address, m->mac, m->has_id ? id : ""};
		for (size_t i = 0; i < ARRAY_LEN(names); i++)
			if (len > 0 && strlen(names[i]) == len &&
				strncasecmp(names[i], text, len) == 0)
				return m;
	}
	return NULL;
}

/* The last that a boot loader fetches. */
static bool ends_loading(const char *step)
{
	return strcmp(step, "initrd") == 0 || strcmp(step, "uki") == 0;
}

static bool has_step(const struct machine *m, const char *name)
{
	for (size_t i = 0; i < m->step_count; i++)
		if (strcmp(m->steps[i].name, name) == 0)
			return true;
	return false;
}

/* What is known of the node stays until it joins again: it is the same machine. */
static void begin_boot(struct machine *m, uint64_t at_us)
{
	m->began_us = at_us;
	m->step_count = 0;
	m->sample_count = 0;
	m->percent = 0;
	m->boots++;
	m->linked = false; /* its old link was not missed yet; a heartbeat would tell otherwise */
	memset(m->counters, 0, sizeof(m->counters));
}

static void put_step(struct machine *m, const char *name, uint64_t began_us, uint64_t ended_us)
{
	snprintf(m->step, sizeof(m->step), "%s", name);
	if (m->step_count == MACHINE_STEPS_MAX)
		return;
	struct machine_step *step = &m->steps[m->step_count++];
	*step = (struct machine_step){.began_us = began_us, .ended_us = ended_us};
	snprintf(step->name, sizeof(step->name), "%s", name);
}

void machine_saw(struct machine *m, const struct machine_event *event, uint64_t now_us)
{
	uint64_t began_us = now_us - (event->elapsed_us < now_us ? event->elapsed_us : now_us);
	bool dhcp = strcmp(event->step, "dhcp") == 0;
	if (dhcp && !event->boot_loader) {
		if (m->dhcp_us == 0 || now_us - m->dhcp_us > DHCP_WINDOW_US)
			m->dhcp_us = now_us;
		return;
	}
	bool again = has_step(m, "initrd") || has_step(m, "uki") || m->step_count == 0 || m->linked;
	struct machine_step *last = m->step_count > 0 ? &m->steps[m->step_count - 1] : NULL;
	bool repeated = last != NULL && strcmp(last->name, event->step) == 0;
	/* A firmware's only step is its first; in pieces it is still the same boot. */
	bool first = dhcp || strcmp(event->step, "tftp") == 0 ||
		strcmp(event->step, "script") == 0 ||
		(strcmp(event->step, "uki") == 0 && (!repeated || m->dhcp_us != 0));
	if (first && again) {
		bool recent = m->dhcp_us != 0 && now_us - m->dhcp_us <= DHCP_WINDOW_US;
		begin_boot(m, recent && m->dhcp_us < began_us ? m->dhcp_us : began_us);
		if (recent && !dhcp)
			put_step(m, "dhcp", m->dhcp_us, began_us);
	}
	if (dhcp && m->dhcp_us != 0)
		began_us = m->dhcp_us;
	m->dhcp_us = 0;
	m->moved_us = now_us;
	m->percent = 0;
	free(TAKE_PTR(m->failure));
	last = m->step_count > 0 ? &m->steps[m->step_count - 1] : NULL;
	if (last != NULL && strcmp(last->name, event->step) == 0) {
		last->ended_us =
			now_us; /* the same in pieces: several offers, a resumed transfer */
		last->bytes += event->bytes;
		snprintf(m->step, sizeof(m->step), "%s", event->step);
		return;
	}
	put_step(m, event->step, began_us, now_us);
	m->steps[m->step_count - 1].bytes = event->bytes;
}

void machine_transfers(struct machine *m, const char *step, unsigned percent)
{
	snprintf(m->step, sizeof(m->step), "%s", step);
	m->percent = percent;
}

void machine_fails(struct machine *m, const char *why)
{
	free(m->failure);
	m->failure = why != NULL ? strdup(why) : NULL; /* without memory it failed all the same */
	snprintf(m->step, sizeof(m->step), "failed");
}

void machine_gave_up(struct machine *m, const char *why, uint64_t now_us)
{
	put_step(m, "failed", now_us, now_us);
	m->moved_us = now_us;
	m->percent = 0;
	machine_fails(m, why);
}

/* What only asked for an address, or is a node on a host, boots nothing from here. */
static bool boots_from_here(const struct machine *m)
{
	return has_step(m, "script") || has_step(m, "kernel") || has_step(m, "initrd") ||
		has_step(m, "uki");
}

bool machine_is_overdue(const struct machine *m, uint64_t now_us)
{
	return !m->linked && now_us >= m->moved_us + MACHINE_SILENT_US && boots_from_here(m) &&
		!has_step(m, "multi-user") && strcmp(m->step, "failed") != 0 &&
		strcmp(m->step, "silent") != 0;
}

void machine_falls_silent(struct machine *m)
{
	char why[96];
	snprintf(why, sizeof(why), "nothing was heard of it for %u min after '%s'",
		(unsigned)(MACHINE_SILENT_US / 60000000), m->step);
	free(m->failure);
	m->failure = strdup(why); /* without memory it is silent all the same */
	m->percent = 0;
	snprintf(m->step, sizeof(m->step), "silent");
}

void machine_set_system(struct machine *m, const char *name)
{
	if (m->system != NULL && strcmp(m->system, name) == 0)
		return;
	char *copy = strdup(name);
	if (copy == NULL)
		return; /* a name in a status: the next step sets it */
	free(m->system);
	m->system = copy;
}

static struct machine *awaited(struct machines *machines, const char *system, uint64_t now_us)
{
	struct machine *m, *found = NULL;
	TAILQ_FOREACH(m, &machines->list, entry) {
		const struct machine_step *last =
			m->step_count > 0 ? &m->steps[m->step_count - 1] : NULL;
		if (m->linked || last == NULL || !ends_loading(last->name) ||
			now_us - last->ended_us > JOIN_WINDOW_US || !same(system, m->system))
			continue;
		if (found != NULL)
			return NULL; /* two: which of them is unknown */
		found = m;
	}
	return found;
}

/* Without the port, as HTTP has it. */
static void put_address(const struct node_address *address, char out[INET6_ADDRSTRLEN])
{
	struct in6_addr ip;
	memcpy(&ip, address->ip, sizeof(ip));
	if (IN6_IS_ADDR_V4MAPPED(&ip))
		inet_ntop(AF_INET, &ip.s6_addr[12], out, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, &ip, out, INET6_ADDRSTRLEN);
}

/* The machine whose boot loader used that card. */
/* "" for an unknown one. */
static void put_card(const uint8_t mac[6], char text[18])
{
	static const uint8_t unknown[6];
	text[0] = '\0';
	if (memcmp(mac, unknown, sizeof(unknown)) != 0)
		snprintf(text, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
			mac[4], mac[5]);
}

static struct machine *by_card(struct machines *machines, const char *card)
{
	struct machine *m;
	TAILQ_FOREACH(m, &machines->list, entry)
		if (same(m->mac, card))
			return m;
	return NULL;
}

struct machine *machines_join(
	struct machines *machines, const struct machine_join *join, uint64_t now_us)
{
	const struct member *member = &join->member;
	char address[INET6_ADDRSTRLEN], card[18];
	put_address(&member->address, address);
	put_card(join->mac, card);
	struct machine *m, *found = NULL, *by_address = NULL;
	TAILQ_FOREACH(m, &machines->list, entry) {
		if (m->has_id && node_id_equal(&m->member.id, &member->id))
			found = m;
		else if (!m->has_id && same(m->address, address))
			by_address = m;
	}
	const char *name = join->system[0] != '\0' ? path_basename(join->system) : "";
	struct machine *booted = by_card(machines, card);
	/* The DHCP of the node's own address came before it, and looked like another machine. */
	if (booted != NULL && by_address != NULL && by_address != booted &&
		by_address->step_count == 0)
		drop(machines, TAKE_PTR(by_address));
	if (booted == NULL)
		booted = by_address != NULL ? by_address : awaited(machines, name, now_us);
	/* A boot that just went by under another address is the same machine's. */
	if (found != NULL && booted != NULL && booted != found)
		drop(machines, TAKE_PTR(found));
	if (found == NULL)
		found = booted != NULL ? booted : add(machines, now_us);
	if (found == NULL)
		return NULL;
	found->has_id = true;
	found->linked = true;
	found->moved_us = now_us;
	free(TAKE_PTR(found->failure));
	found->member = *member;
	found->serial = join->serial;
	if (found->address[0] == '\0')
		snprintf(found->address, sizeof(found->address), "%s", address);
	if (card[0] != '\0') /* whose boot was not seen here: by it others speak of the machine */
		memcpy(found->mac, card, sizeof(card));
	if (name[0] != '\0')
		machine_set_system(found, name);
	/* What lies between the initrd's last byte and the node's first word. */
	const struct machine_step *last =
		found->step_count > 0 ? &found->steps[found->step_count - 1] : NULL;
	if (last != NULL && ends_loading(last->name))
		put_step(found, "stage 1", last->ended_us, now_us);
	return touch(machines, found, now_us);
}

static uint64_t total(const struct machine_sample *sample)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < SOURCES; i++)
		sum += sample->bytes[i];
	return sum;
}

/* When there is no more room, every other sample goes: the begin of a boot is never lost. */
static void put_sample(struct machine *m, uint64_t now_us)
{
	struct machine_sample sample = {.at_us = now_us,
		.bytes = {m->counters[COUNTER_MEMORY_BYTES], m->counters[COUNTER_DISK_BYTES],
			m->counters[COUNTER_PEER_BYTES], m->counters[COUNTER_ORIGIN_BYTES]}};
	size_t n = m->sample_count;
	/* Nothing moved: the flat line gets longer instead of more points. */
	if (n >= 2 && total(&m->samples[n - 1]) == total(&sample) &&
		total(&m->samples[n - 2]) == total(&sample)) {
		m->samples[n - 1].at_us = now_us;
		return;
	}
	if (n == MACHINE_SAMPLES_MAX) {
		n = 0;
		for (size_t i = 0; i < MACHINE_SAMPLES_MAX; i += 2)
			m->samples[n++] = m->samples[i];
	}
	m->samples[n++] = sample;
	m->sample_count = n;
}

bool machine_beats(struct machine *m, const struct message *heartbeat, uint64_t now_us)
{
	const char *step = heartbeat->heartbeat.step != NULL ? heartbeat->heartbeat.step : "";
	bool read = m->counters[COUNTER_READS] > 0;
	m->linked = true;
	m->seen_us = now_us;
	memcpy(m->counters, heartbeat->heartbeat.counters, sizeof(m->counters));
	memcpy(m->member.inventory, heartbeat->heartbeat.inventory, sizeof(m->member.inventory));
	put_sample(m, now_us);
	m->percent = heartbeat->heartbeat.percent;
	char name[sizeof(m->step)];
	snprintf(name, sizeof(name), "%s", step);
	bool other = name[0] != '\0' && strcmp(m->step, name) != 0;
	if (other)
		put_step(m, name, now_us, now_us);
	if (!read && m->counters[COUNTER_READS] > 0) {
		/* Seen by its counter: no step of the node's own, so it is not the present one. */
		put_step(m, "first read", now_us, now_us);
		snprintf(m->step, sizeof(m->step), "%s", name);
	}
	return other;
}

void machine_leaves(struct machine *m, uint64_t now_us)
{
	m->linked = false;
	m->owner = NULL;
	m->seen_us = now_us;
	m->moved_us = now_us;
}

uint64_t machine_rate(const struct machine *m, uint64_t now_us)
{
	if (m->sample_count < 2)
		return 0;
	const struct machine_sample *last = &m->samples[m->sample_count - 1], *first = last;
	while (first > m->samples && now_us - first->at_us < RATE_WINDOW_US)
		first--;
	uint64_t elapsed_us = now_us - first->at_us;
	if (elapsed_us == 0 || total(last) < total(first))
		return 0;
	return (uint64_t)((double)(total(last) - total(first)) * 1e6 / (double)elapsed_us);
}
