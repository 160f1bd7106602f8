/* SPDX-License-Identifier: MIT */
/*
 * What nodes tell on their links: to the machines' model, to the boot profiles, to the journal. And
 * where a chunk lies that one of them asks for.
 */
#include "base/log.h"
#include "base/path.h"
#include "carrier/netroot.h"
#include "serve/parts.h"

#include <stdio.h>
#include <string.h>

/* A boot's touches count for the profile until the system is up, and at most this long. */
#define TOUCHES_US ((uint64_t)600 * 1000000)

/* What is kept per link, as hub_node_user(). */
struct sailor {
	struct node_id id;
	struct digest catalog;   /* of the system whose boot is followed */
	struct profile_run *run; /* NULL: not yet, or not any more */
	bool again;              /* it has joined before in this boot, here or elsewhere */
	bool booted;             /* its touches do not count any more */
	bool compared;           /* its serial, with ours */
	uint64_t joined_us;
};

static const struct chunk_place *find(
	const struct digest *chunk, const struct object_set **ret_set, void *data)
{
	struct origin *o = data;
	const struct chunk_place *place = NULL;
	struct boot *boot = systems_chunk(o->systems, chunk, &place);
	if (boot != NULL)
		*ret_set = &boot->objects;
	return place;
}

/* Of the machine whose link this is; NULL when it joined by another one since. */
static struct machine *machine_of(struct origin *o, const struct hub_node *node)
{
	struct machine *m;
	TAILQ_FOREACH(m, &o->machines.list, entry)
		if (m->owner == node)
			return m;
	return NULL;
}

static void tell(struct origin *o, const struct machine *m, const char *subject, const char *note)
{
	const struct journal_step step = {
		.step = "node",
		.client = m->address[0] != '\0' ? m->address : NULL,
		.mac = m->mac[0] != '\0' ? m->mac : NULL,
		.subject = subject,
		.note = note,
	};
	origin_step(o, &step);
}

static void joined(struct origin *o, struct hub_node *node, const struct node_address *address,
	const struct message *message)
{
	struct sailor *sailor = hub_node_user(node);
	bool again = sailor != NULL;
	if (!again)
		sailor = calloc(1, sizeof(*sailor));
	if (sailor == NULL)
		return; /* without memory it is served, but not shown */
	hub_node_set_user(node, sailor);
	const char *system = message->join.system != NULL ? message->join.system : "";
	struct machine_join join = {
		.member = message->join.member, .system = system, .serial = message->join.serial};
	memcpy(join.mac, message->join.mac, sizeof(join.mac));
	uint16_t port = join.member.address.port;
	join.member.address = *address; /* where it really is; what it says is for peers */
	join.member.address.port = port;
	uint64_t now_us = hub_now_us();
	struct machine *m = machines_join(&o->machines, &join, now_us);
	if (m == NULL)
		return;
	m->owner = node;
	sailor->id = join.member.id;
	if (!again) {
		sailor->again = message->join.tracker != 0;
		sailor->joined_us = now_us;
	}
	char note[64];
	snprintf(
		note, sizeof(note), "joined, issue %llu", (unsigned long long)message->join.serial);
	tell(o, m, system[0] != '\0' ? path_basename(system) : NULL, note);
}

/* The last issue of what a node may have asked for: its system by name, or the default one. */
static int last_issue(const struct origin *o, const char *system, uint64_t *ret, struct err *err)
{
	const struct boot_options *boot = o->options.boot;
	const char *alias = boot->alias != NULL ? boot->alias : "default";
	uint64_t own, by_alias;
	if (netroot_last_serial(boot->state_dir, system, &own, err) < 0 ||
		netroot_last_serial(boot->state_dir, alias, &by_alias, err) < 0)
		return -1;
	*ret = own > by_alias ? own : by_alias;
	return 0;
}

/* What it boots; NULL: that is not made yet, or not served any more. */
static const struct boot *boot_of(struct origin *o, const struct machine *m)
{
	const struct version *version = m != NULL && m->system != NULL
		? systems_find(o->systems, m->system, strlen(m->system))
		: NULL;
	return version != NULL ? version->boot : NULL;
}

/*
 * A node with a later issue than was ever made here has it from an origin that counts for itself.
 * The files are asked, not the boot: a server that shares them may have made one since. Once per
 * link, as soon as the boot is made, and told once for each serial.
 */
static void compare_serial(struct origin *o, const struct machine *m, struct sailor *sailor)
{
	struct err err = ERR_INIT;
	uint64_t last;
	const struct boot *boot = sailor->compared ? NULL : boot_of(o, m);
	if (boot == NULL || m->serial <= o->told_serial)
		return;
	sailor->compared = true;
	if (m->serial <= boot->own.serial)
		return;
	if (last_issue(o, m->system, &last, &err) < 0) {
		log_ignored(&err);
		return;
	}
	if (m->serial <= last)
		return;
	o->told_serial = m->serial;
	log_warning("machine '%s' has issue %llu of '%s', but '%s' has made only %llu: an origin "
		    "with the same key counts elsewhere, and machines refuse the lower one; let "
		    "both share a state directory (--state)",
		m->address, (unsigned long long)m->serial, m->system, o->options.boot->state_dir,
		(unsigned long long)last);
}

/* What it boots, which is followed from when it is known: after a start of ours that takes a while.
 */
static const struct boot *followed(
	struct origin *o, const struct hub_node *node, struct sailor *sailor)
{
	struct err err = ERR_INIT;
	if (sailor->run != NULL)
		return systems_catalog(o->systems, &sailor->catalog);
	const struct boot *boot = boot_of(o, machine_of(o, node));
	if (boot == NULL)
		return NULL;
	sailor->catalog = boot->catalog_digest;
	if (profile_run_begin(o->profiles, &sailor->catalog, &sailor->id, sailor->again,
		    &sailor->run, &err) == 0)
		return boot;
	sailor->booted = true; /* others tell what a boot touches */
	log_ignored(&err);
	return NULL;
}

static void is_up(struct sailor *sailor)
{
	sailor->booted = true;
	sailor->run = profile_run_end(sailor->run, true);
}

static void touched(struct origin *o, struct hub_node *node, const struct message *message)
{
	struct sailor *sailor = hub_node_user(node);
	if (sailor == NULL || sailor->booted)
		return;
	const struct boot *boot = followed(o, node, sailor);
	if (boot == NULL)
		return;
	VEC_FOREACH(chunk, &message->touches) {
		struct err err = ERR_INIT;
		const struct chunk_place *place = object_set_chunk(&boot->objects, &chunk->digest);
		if (place != NULL && place->member != UINT32_MAX &&
			profile_run_touch(sailor->run, &chunk->digest, &err) < 0)
			log_ignored(&err);
	}
}

static void beat(struct origin *o, struct hub_node *node, const struct message *message)
{
	struct machine *m = machine_of(o, node);
	struct sailor *sailor = hub_node_user(node);
	if (m == NULL)
		return;
	if (sailor != NULL)
		compare_serial(o, m, sailor);
	bool other = machine_beats(m, message, hub_now_us());
	bool up = strcmp(m->step, "multi-user") == 0;
	if (other)
		tell(o, m, NULL, m->step);
	if (other && up)
		choice_came_up(o, m);
	if (sailor != NULL && (up || hub_now_us() - sailor->joined_us > TOUCHES_US))
		is_up(sailor);
}

static void heard(struct hub_node *node, const struct node_address *address,
	const struct message *message, void *data)
{
	struct origin *o = data;
	if (message->type == MESSAGE_JOIN)
		joined(o, node, address, message);
	else if (message->type == MESSAGE_HEARTBEAT)
		beat(o, node, message);
	else if (message->type == MESSAGE_TOUCHES)
		touched(o, node, message);
}

static void gone(struct hub_node *node, void *data)
{
	struct origin *o = data;
	struct machine *m = machine_of(o, node);
	if (m != NULL) {
		machine_leaves(m, hub_now_us());
		if (!o->stopping)
			tell(o, m, NULL, "its link is gone");
	}
	struct sailor *sailor = hub_node_user(node);
	if (sailor != NULL)
		profile_run_end(sailor->run, false);
	free(sailor);
}

const struct hub_ops crew_ops = {.find = find, .heard = heard, .gone = gone};
