/* SPDX-License-Identifier: MIT */
#include "serve/machines.h"

#include "test.h"

#include <string.h>

#define S ((uint64_t)1000000)
#define MAC "52:54:00:00:00:01"

static void saw(struct machine *m, const char *step, bool boot_loader, uint64_t now_us)
{
	const struct machine_event event = {
		.step = step, .boot_loader = boot_loader, .bytes = 10, .elapsed_us = S / 2};
	assert_non_null(m);
	machine_saw(m, &event, now_us);
}

static void assert_step(const struct machine *m, size_t i, const char *name, double began)
{
	assert_true(i < m->step_count);
	assert_string_equal(m->steps[i].name, name);
	assert_int_equal(m->steps[i].began_us, (uint64_t)(began * 1e6));
}

static struct member member_at(uint8_t last, uint8_t id)
{
	struct member member = {.id = {{id}}, .address = {.port = 8470}};
	const uint8_t ip[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, last};
	memcpy(member.address.ip, ip, sizeof(ip));
	return member;
}

static struct machine *join(struct machines *machines, const struct member *member,
	const char *system, uint64_t serial, uint64_t now_us)
{
	const struct machine_join join = {.member = *member, .system = system, .serial = serial};
	return machines_join(machines, &join, now_us);
}

static struct message heartbeat(const char *step, uint64_t origin_bytes)
{
	struct message m = {.type = MESSAGE_HEARTBEAT};
	m.heartbeat.step = (char *)step;
	m.heartbeat.percent = 5;
	m.heartbeat.counters[COUNTER_ORIGIN_BYTES] = origin_bytes;
	m.heartbeat.counters[COUNTER_READS] = origin_bytes > 0;
	return m;
}

/* DHCP, TFTP, script, kernel, initrd, then the node by the same address. */
static struct machine *boot(struct machines *machines, uint64_t t)
{
	saw(machines_get(machines, MAC, NULL, t), "dhcp", false, t);
	saw(machines_get(machines, MAC, NULL, t + S), "dhcp", true, t + S);
	saw(machines_get(machines, MAC, "10.0.0.7", t + 2 * S), "tftp", true, t + 2 * S);
	struct machine *m = machines_get(machines, NULL, "10.0.0.7", t + 3 * S);
	saw(m, "script", true, t + 3 * S);
	saw(m, "kernel", true, t + 4 * S);
	saw(m, "initrd", true, t + 5 * S);
	machine_set_system(m, "abc-system");
	return m;
}

static void one_boot(void **state)
{
	(void)state;
	struct machines machines;
	machines_init(&machines);
	struct machine *m = boot(&machines, 100 * S);
	assert_int_equal(machines.len, 1);
	assert_int_equal(m->began_us, 100 * S);
	assert_int_equal(m->step_count, 5);
	assert_step(m, 0, "dhcp", 100);
	assert_step(m, 1, "tftp", 101.5);
	assert_step(m, 4, "initrd", 104.5);
	assert_int_equal(m->steps[4].bytes, 10);

	struct member member = member_at(7, 1);
	assert_ptr_equal(join(&machines, &member, "/nix/store/abc-system", 3, 107 * S), m);
	assert_int_equal(machines.len, 1);
	assert_true(m->linked);
	struct message beat = heartbeat("trees", 0);
	assert_true(machine_beats(m, &beat, 108 * S));
	assert_false(machine_beats(m, &beat, 109 * S));
	beat = heartbeat("ready", 5000);
	assert_true(machine_beats(m, &beat, 110 * S));
	assert_string_equal(m->step, "ready");
	assert_int_equal(m->step_count, 9);
	assert_step(m, 5, "stage 1", 105);
	assert_int_equal(m->steps[5].ended_us, 107 * S);
	assert_step(m, 7, "ready", 110);
	assert_step(m, 8, "first read", 110);
	assert_false(machine_beats(m, &beat, 111 * S)); /* "ready" is no new step after it */
	assert_int_equal(machine_rate(m, 111 * S), 5000 / 3);
	machines_done(&machines);
}

static void renewals_are_no_boots(void **state)
{
	(void)state;
	struct machines machines;
	machines_init(&machines);
	struct machine *m = boot(&machines, 100 * S);
	saw(m, "dhcp", false, 106 * S); /* stage 1 asks for itself */
	assert_int_equal(m->boots, 1);
	assert_int_equal(m->step_count, 5);
	/* The next boot begins with its own DHCP. */
	boot(&machines, 1000 * S);
	assert_int_equal(m->boots, 2);
	assert_int_equal(m->began_us, 1000 * S);
	assert_int_equal(m->step_count, 5);
	machines_done(&machines);
}

static void the_same_step_in_pieces(void **state)
{
	(void)state;
	struct machines machines;
	machines_init(&machines);
	struct machine *m = boot(&machines, 100 * S);
	saw(m, "initrd", true, 106 * S);
	assert_int_equal(m->step_count, 5);
	assert_int_equal(m->steps[4].bytes, 20);
	assert_int_equal(m->steps[4].ended_us, 106 * S);
	machines_done(&machines);
}

/* Firmware that boots by HTTP fetches one file, in pieces perhaps. */
static void one_file(void **state)
{
	(void)state;
	struct machines machines;
	machines_init(&machines);
	struct machine *m = machines_get(&machines, MAC, "10.0.0.7", 100 * S);
	for (unsigned boot = 1; boot <= 2; boot++) {
		uint64_t t = boot * 100 * S;
		saw(m, "dhcp", false, t);
		saw(m, "dhcp", true, t + S);
		saw(m, "uki", true, t + 3 * S);
		saw(m, "uki", true, t + 4 * S);
		machine_set_system(m, "abc-system");
		assert_int_equal(m->boots, boot);
		assert_int_equal(m->step_count, 2);
		assert_step(m, 1, "uki", 100 * boot + 2.5);
		assert_int_equal(m->steps[1].bytes, 20);
	}
	/* Its node has another address, and is known as the only one that is due. */
	struct member member = member_at(8, 1);
	assert_ptr_equal(join(&machines, &member, "/nix/store/abc-system", 3, 207 * S), m);
	assert_step(m, 2, "stage 1", 204);
	/* With a DHCP server that we do not hear, the file is the begin. */
	saw(m, "uki", true, 300 * S);
	assert_int_equal(m->boots, 3);
	assert_int_equal(m->step_count, 1);
	assert_step(m, 0, "uki", 299.5);
	machines_done(&machines);
}

static void an_address_is_leased_once(void **state)
{
	(void)state;
	struct machines machines;
	machines_init(&machines);
	struct machine *a = machines_get(&machines, MAC, "10.0.0.7", S);
	struct machine *b = machines_get(&machines, "52:54:00:00:00:02", "10.0.0.8", S);
	assert_null(machines_leased(&machines, "10.0.0.7")); /* it only came from there */
	assert_null(machines_leased(&machines, ""));
	machines_lease(&machines, a, "10.0.0.7");
	machines_lease(&machines, b, "10.0.0.8");
	assert_ptr_equal(machines_leased(&machines, "10.0.0.7"), a);
	machines_lease(&machines, b, "10.0.0.7");
	assert_ptr_equal(machines_leased(&machines, "10.0.0.7"), b);
	assert_null(machines_leased(&machines, "10.0.0.8"));
	machines_done(&machines);
}

static void a_node_by_another_address(void **state)
{
	(void)state;
	struct machines machines;
	machines_init(&machines);
	struct machine *m = boot(&machines, 100 * S);
	struct member member = member_at(99, 1);
	assert_ptr_equal(join(&machines, &member, "/nix/store/abc-system", 1, 107 * S), m);
	assert_string_equal(m->address, "10.0.0.7");
	/* Another system's node is another machine. */
	struct member other = member_at(98, 2);
	struct machine *n = join(&machines, &other, "/nix/store/def-system", 1, 108 * S);
	assert_ptr_not_equal(n, m);
	assert_string_equal(n->address, "10.0.0.98");
	/* The first one again, by its id, after its link broke. */
	machine_leaves(m, 110 * S);
	assert_ptr_equal(join(&machines, &member, "/nix/store/abc-system", 1, 111 * S), m);
	assert_ptr_equal(machines_find(&machines, "52:54:00:00:00:01", 17), m);
	assert_ptr_equal(machines_find(&machines, "01000000000000000000000000000000", 32), m);
	assert_null(machines_find(&machines, "10.0.0.1", 8));
	machines_done(&machines);
}

/* Two machines that boot at once, each with an address of its own for its node. */
static void a_node_by_its_card(void **state)
{
	(void)state;
	struct machines machines;
	machines_init(&machines);
	struct machine *m = boot(&machines, 100 * S);
	struct machine *other = machines_get(&machines, "52:54:00:00:00:02", "10.0.0.8", 104 * S);
	saw(other, "initrd", true, 106 * S);
	machine_set_system(other, "abc-system");
	/* The node's own DHCP, by the address of its own interface. */
	saw(machines_get(&machines, "4e:00:00:00:00:01", "10.0.0.99", 107 * S), "dhcp", false,
		107 * S);
	assert_int_equal(machines.len, 3);
	const struct machine_join first = {.member = member_at(99, 1),
		.mac = {0x52, 0x54, 0, 0, 0, 1},
		.system = "/nix/store/abc-system",
		.serial = 1};
	assert_ptr_equal(machines_join(&machines, &first, 108 * S), m);
	assert_int_equal(machines.len, 2);
	const struct machine_join second = {.member = member_at(98, 2),
		.mac = {0x52, 0x54, 0, 0, 0, 2},
		.system = "/nix/store/abc-system",
		.serial = 1};
	assert_ptr_equal(machines_join(&machines, &second, 108 * S), other);
	/* One that booted before the server started: its system speaks by its card later. */
	const struct machine_join third = {.member = member_at(97, 3),
		.mac = {0x52, 0x54, 0, 0, 0, 3},
		.system = "/nix/store/abc-system",
		.serial = 1};
	m = machines_join(&machines, &third, 109 * S);
	assert_ptr_equal(machines_find(&machines, "52:54:00:00:00:03", 17), m);
	assert_ptr_equal(machines_get(&machines, "52:54:00:00:00:03", "10.0.0.10", 110 * S), m);
	assert_string_equal(m->system, "abc-system");
	machines_done(&machines);
}

static void a_reboot_is_the_same_machine(void **state)
{
	(void)state;
	struct machines machines;
	machines_init(&machines);
	struct member member = member_at(7, 1);
	struct machine *m = boot(&machines, 100 * S);
	join(&machines, &member, "/nix/store/abc-system", 1, 107 * S);
	/* It reboots; its old link was not missed yet. */
	boot(&machines, 200 * S);
	assert_ptr_equal(join(&machines, &member, "/nix/store/abc-system", 1, 207 * S), m);
	assert_int_equal(machines.len, 1);
	assert_int_equal(m->boots, 2);
	machines_done(&machines);
}

static void two_that_cannot_be_told_apart(void **state)
{
	(void)state;
	struct machines machines;
	machines_init(&machines);
	boot(&machines, 100 * S);
	struct machine *b = machines_get(&machines, "52:54:00:00:00:02", "10.0.0.8", 100 * S);
	saw(b, "script", true, 101 * S);
	saw(b, "initrd", true, 102 * S);
	machine_set_system(b, "abc-system");
	struct member member = member_at(99, 1);
	struct machine *m = join(&machines, &member, "/nix/store/abc-system", 1, 107 * S);
	assert_string_equal(m->address, "10.0.0.99");
	assert_int_equal(machines.len, 3);
	machines_done(&machines);
}

static void bounded(void **state)
{
	(void)state;
	struct machines machines;
	char address[32];
	machines_init(&machines);
	for (unsigned i = 0; i < MACHINES_MAX + 50; i++) {
		snprintf(address, sizeof(address), "10.1.%u.%u", i / 250, i % 250);
		assert_non_null(machines_get(&machines, NULL, address, i));
	}
	assert_int_equal(machines.len, MACHINES_MAX);
	assert_null(machines_find(&machines, "10.1.0.0", 8));
	struct machine *m = machines_get(&machines, NULL, "10.9.9.9", S);
	for (unsigned i = 0; i < 3 * MACHINE_SAMPLES_MAX; i++) {
		struct message beat = heartbeat("ready", i * 100);
		machine_beats(m, &beat, i * S);
		assert_true(m->sample_count <= MACHINE_SAMPLES_MAX);
	}
	assert_int_equal(m->samples[0].at_us, 0);
	assert_int_equal(m->samples[m->sample_count - 1].at_us, (3 * MACHINE_SAMPLES_MAX - 1) * S);
	machines_done(&machines);
}

/* It was told why it gets nothing; when it asks again and gets something, that is over. */
static void told_why_not(void **state)
{
	(void)state;
	struct machines machines;
	machines_init(&machines);
	struct machine *m = machines_get(&machines, MAC, "10.0.0.7", S);
	saw(m, "script", true, S);
	machine_fails(m, "there is nothing to boot for it");
	assert_string_equal(m->step, "failed");
	assert_string_equal(m->failure, "there is nothing to boot for it");
	saw(m, "script", true, 11 * S);
	assert_string_equal(m->step, "script");
	assert_null(m->failure);
	assert_int_equal(m->step_count, 1);
	machine_fails(m, "it has too little memory");
	struct member member = member_at(7, 1);
	m = join(&machines, &member, "/nix/store/x-system", 1, 30 * S);
	assert_null(m->failure);
	machines_done(&machines);
}

/* A stage 1 that gives up is a step; a boot that is heard of no more is silent after a while. */
static void failed_and_silent(void **state)
{
	(void)state;
	struct machines machines;
	machines_init(&machines);
	struct machine *m = boot(&machines, 100 * S);
	machine_gave_up(m, "no root", 110 * S);
	assert_string_equal(m->step, "failed");
	assert_string_equal(m->failure, "no root");
	assert_step(m, 5, "failed", 110);
	assert_false(machine_is_overdue(m, 5000 * S)); /* more is not to be heard */

	m = boot(&machines, 6000 * S);
	assert_null(m->failure);
	assert_int_equal(m->step_count, 5);
	assert_false(machine_is_overdue(m, 6604 * S));
	assert_true(machine_is_overdue(m, 6605 * S));
	machine_falls_silent(m);
	assert_string_equal(m->step, "silent");
	assert_string_equal(m->failure, "nothing was heard of it for 10 min after 'initrd'");
	assert_false(machine_is_overdue(m, 9000 * S)); /* told once */

	/* Who has a link is not silent, nor who came up and went. */
	struct member member = member_at(7, 1);
	assert_ptr_equal(join(&machines, &member, "/nix/store/abc-system", 3, 9100 * S), m);
	assert_null(m->failure);
	assert_false(machine_is_overdue(m, 99000 * S));
	machine_leaves(m, 99000 * S);
	assert_false(machine_is_overdue(m, 99599 * S));
	assert_true(machine_is_overdue(m, 99600 * S));
	saw(m, "multi-user", false, 99700 * S);
	assert_false(machine_is_overdue(m, 199000 * S));

	/* Who only asked for an address, or for a boot loader, boots something else. */
	m = machines_get(&machines, "52:54:00:00:00:02", "10.0.0.8", 200 * S);
	saw(m, "tftp", true, 200 * S);
	assert_false(machine_is_overdue(m, 5000 * S));
	saw(m, "script", true, 5000 * S);
	assert_true(machine_is_overdue(m, 5600 * S));
	machines_done(&machines);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_boot),
		cmocka_unit_test(renewals_are_no_boots),
		cmocka_unit_test(the_same_step_in_pieces),
		cmocka_unit_test(one_file),
		cmocka_unit_test(an_address_is_leased_once),
		cmocka_unit_test(a_node_by_another_address),
		cmocka_unit_test(a_node_by_its_card),
		cmocka_unit_test(a_reboot_is_the_same_machine),
		cmocka_unit_test(two_that_cannot_be_told_apart),
		cmocka_unit_test(bounded),
		cmocka_unit_test(told_why_not),
		cmocka_unit_test(failed_and_silent),
	};
	return TEST_MAIN(tests);
}
