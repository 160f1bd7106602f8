/* SPDX-License-Identifier: MIT */
#include "status/page.h"

#include "test.h"

#include <string.h>

static void assert_page(const char *json, const char *want)
{
	struct err err = ERR_INIT;
	AUTO_BUF out = {0};
	assert_ok(status_page("h:1", json, strlen(json), &out, &err));
	assert_string_equal(buf_str(&out, &err), want);
}

static void origin(void **state)
{
	(void)state;
	assert_page("{\"role\":\"origin\",\"version\":\"1\",\"uptime\":61,\"systems\":[{\"system\":"
		    "\"/nix/store/6kkdxxpd5c3wrg31c5i5ngfjcx3jm1wi-nixos-system-a-1\",\"default\":"
		    "true,\"state\":\"failed\",\"failure\":\"no kernel\"}],\"machines\":[{"
		    "\"address\":\"10.0.0.7\",\"system\":\"b\",\"step\":\"kernel\",\"percent\":42,"
		    "\"seconds\":3,\"rate\":1500000,\"linked\":true,\"bytes\":{\"peer\":2000},"
		    "\"counters\":{\"hedges\":4}}]}",
		"Origin at h:1, snowboot 1, up 1 min 1 s\n"
		"  a-1 (default), failed: no kernel\n"
		"  sent: boot files 0, objects 0, chunks 0\n"
		"\n"
		"MACHINE          SYSTEM                 STEP                   TIME        RATE   "
		" "
		"MEMORY      DISK      PEER    ORIGIN PEERS HEDGES  REDIR  WAITS  EVICT\n"
		"10.0.0.7         b                      kernel 42 %           3.0 s    1.5 MB/s   "
		"      0         0    2.0 kB         0     0      4      0      0      0\n");
}

static void node(void **state)
{
	(void)state;
	assert_page(
		"{\"version\":\"1\",\"system\":\"x\",\"serial\":3,\"step\":\"trees\",\"percent\":7,"
		"\"time\":{\"up_us\":2500000},\"received\":{\"peer_bytes\":1000},\"swarm\":{"
		"\"origin_up\":1,\"links\":2},\"reads\":{\"waiting\":0,\"memory\":{\"reads\":4,"
		"\"bytes\":4000,\"latency\":[0,3,0,1]}}}",
		"Node at h:1, snowboot 1, up 2.5 s\n"
		"  x, issue 3\n"
		"  trees 7 %\n"
		"  received: from peers 1.0 kB, from the origin 0; given to peers 0\n"
		"  cache: memory 0, disk 0, evicted 0\n"
		"  swarm: 0 members, 2 links, origin reachable, hedges 0, redirects 0, lease waits "
		"0\n"
		"\n"
		"  READS        COUNT      BYTES      MEDIAN <        99 % <\n"
		"  memory           4     4.0 kB      0.032 ms      0.128 ms\n");
}

static void no_json(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF out = {0};
	assert_int_equal(status_page("h", "<p>", 3, &out, &err), -1);
	assert_err(&err, ERR_CORRUPT, "the answer is no JSON: '[' or '{' expected near '<'");
	assert_page("{\"role\":\"origin\",\"machines\":3}",
		"Origin at h:1, snowboot , up 0.0 s\n"
		"  sent: boot files 0, objects 0, chunks 0\n"
		"\nNo machine was seen yet.\n");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(origin),
		cmocka_unit_test(node),
		cmocka_unit_test(no_json),
	};
	return TEST_MAIN(tests);
}
