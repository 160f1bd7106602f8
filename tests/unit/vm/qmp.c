/* SPDX-License-Identifier: MIT */
#include "vm/qmp.h"

#include "base/fd.h"
#include "base/mem.h"

#include "test.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define GREETING "{\"QMP\": {\"version\": {\"qemu\": {\"major\": 7}}, \"capabilities\": []}}\r\n"
#define READY GREETING "{\"return\": {}}\n"

/*
 * A peer that says everything it has to say at once and then listens; what it heard comes back from
 * peer_heard(). With `closes` it hangs up instead of listening.
 */
struct peer {
	int far;
	struct qmp *qmp;
};

static void peer_done(struct peer *peer)
{
	qmp_free(peer->qmp);
	fd_close_ptr(&peer->far);
}

static int peer_open(struct peer *ret, const char *says, struct err *err)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	ret->far = pair[1];
	assert_int_equal(write(pair[1], says, strlen(says)), strlen(says));
	return qmp_new(&pair[0], 200, &ret->qmp, err);
}

static void peer_heard(struct peer *peer, const char *want)
{
	char text[512] = "";
	ssize_t n = read(peer->far, text, sizeof(text) - 1);
	assert_true(n >= 0);
	assert_string_equal(text, want);
}

static void commands(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO(peer_done) struct peer peer = {.far = -1};
	assert_ok(peer_open(
		&peer, READY "{\"return\": {\"status\": \"running\"}}\n{\"return\": {}}\n", &err));
	json_t *status = NULL;
	assert_ok(qmp_execute(peer.qmp, "query-status", NULL, 200, &status, &err));
	assert_string_equal(json_string_value(json_object_get(status, "status")), "running");
	json_decref(status);
	assert_ok(qmp_execute(peer.qmp, "set_link",
		json_pack("{s:s, s:b}", "name", "net0", "up", 0), 200, NULL, &err));
	peer_heard(&peer,
		"{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"query-status\"}\n"
		"{\"execute\":\"set_link\",\"arguments\":{\"name\":\"net0\",\"up\":false}}\n");
}

static void refusals(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO(peer_done) struct peer peer = {.far = -1};
	assert_ok(peer_open(&peer,
		READY "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"no such\"}}\n"
		      "{\"id\": 1}\nnot json\n[]\n",
		&err));
	assert_int_equal(qmp_execute(peer.qmp, "nope", NULL, 200, NULL, &err), -1);
	assert_err(&err, ERR_IO, "QEMU refuses 'nope': CommandNotFound: no such");
	assert_int_equal(qmp_execute(peer.qmp, "odd", NULL, 200, NULL, &err), -1);
	assert_err(&err, ERR_CORRUPT, "QEMU's monitor answers 'odd' with neither result nor error");
	assert_int_equal(qmp_execute(peer.qmp, "odd", NULL, 200, NULL, &err), -1);
	assert_err(&err, ERR_CORRUPT,
		"command 'odd': QEMU's monitor sent no JSON: '[' or '{' expected near 'not'");
	assert_int_equal(qmp_execute(peer.qmp, "odd", NULL, 200, NULL, &err), -1);
	assert_err(&err, ERR_CORRUPT, "command 'odd': QEMU's monitor sent no JSON object");
	assert_int_equal(qmp_execute(peer.qmp, "late", NULL, 20, NULL, &err), -1);
	assert_err(&err, ERR_AGAIN, "command 'late': QEMU's monitor does not answer in time");
	fd_close_ptr(&peer.far);
	assert_int_equal(qmp_wait_event(peer.qmp, "STOP", 200, NULL, &err), -1);
	assert_err(&err, ERR_IO, "waiting for event 'STOP': QEMU closed its monitor");
}

static void events(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO(peer_done) struct peer peer = {.far = -1};
	/* Some arrive while an answer is awaited, one later. */
	assert_ok(peer_open(&peer,
		READY "{\"event\": \"RESUME\"}\n{\"event\": \"NIC_RX_FILTER_CHANGED\"}\n"
		      "{\"event\": \"RESET\", \"data\": {\"guest\": true}}\n{\"return\": {}}\n",
		&err));
	assert_ok(qmp_execute(peer.qmp, "cont", NULL, 200, NULL, &err));
	json_t *event = NULL;
	assert_ok(qmp_wait_event(peer.qmp, "RESET", 0, &event, &err));
	assert_true(json_is_true(json_object_get(json_object_get(event, "data"), "guest")));
	json_decref(event);
	static const char later[] = "{\"event\": \"SHUTDOWN\"}\n";
	assert_int_equal(write(peer.far, later, strlen(later)), strlen(later));
	assert_ok(qmp_wait_event(peer.qmp, "SHUTDOWN", 200, NULL, &err));
	assert_int_equal(qmp_wait_event(peer.qmp, "RESUME", 20, NULL, &err), -1);
	assert_err(&err, ERR_AGAIN,
		"waiting for event 'RESUME': QEMU's monitor does not answer in time");
}

static void bad_greetings(void **state)
{
	(void)state;
	static const struct {
		const char *says, *message;
		enum err_kind kind;
	} cases[] = {
		{"", "QEMU's monitor does not answer in time", ERR_AGAIN},
		{"{\"QMP\": {", "QEMU's monitor does not answer in time", ERR_AGAIN},
		{"{\"hello\": 1}\n", "QEMU's monitor does not greet as QMP", ERR_CORRUPT},
		{GREETING, "command 'qmp_capabilities': QEMU's monitor does not answer in time",
			ERR_AGAIN},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		AUTO(peer_done) struct peer peer = {.far = -1};
		assert_int_equal(peer_open(&peer, cases[i].says, &err), -1);
		assert_err(&err, cases[i].kind, cases[i].message);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands),
		cmocka_unit_test(refusals),
		cmocka_unit_test(events),
		cmocka_unit_test(bad_greetings),
	};
	return TEST_MAIN(tests);
}
