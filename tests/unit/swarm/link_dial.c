/* SPDX-License-Identifier: MIT */
/* Dialling a link: the upgrade, and what answers it instead. */
#include "link_fixture.h"

static const char yes[] = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
			  "Upgrade: snowboot-link/1\r\n\r\n";

/* A socket of the test's that a link can dial. */
static int listen_at(struct node_address *ret)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	*ret = (struct node_address){
		.ip = {[10] = 0xff, 0xff, 127, 0, 0, 1}, .port = ntohs(in.sin_port)};
	return fd;
}

/* Dials us and asks for the upgrade; `url`: by name, else by address. */
static void dial(struct fixture *f, bool url)
{
	struct err err = ERR_INIT;
	struct link_params p = params(f);
	struct node_address address;
	char text[NODE_ADDRESS_TEXT_SIZE], want[256], got[256] = "", http[80];
	int listener = listen_at(&address);
	node_address_text(&address, text);
	snprintf(http, sizeof(http), "http://%s", text);
	assert_ok(url ? link_dial_url(&p, NULL, http, &f->link, &err)
		      : link_dial(&p, &address, &f->link, &err));
	f->fd = accept(listener, NULL, NULL);
	assert_true(f->fd >= 0);
	close(listener);
	snprintf(want, sizeof(want),
		"GET /v1/link HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\n"
		"Upgrade: snowboot-link/1\r\n\r\n",
		text);
	take(f, got, strlen(want));
	assert_string_equal(got, want);
	assert_int_equal(link_control_bytes(f->link), strlen(want));
	struct node_address peer = link_peer(f->link);
	address.port = 0;
	assert_memory_equal(&peer, &address, sizeof(peer));
	/* Not a word before the answer. */
	assert_false(link_has_room(f->link));
	link_send(f->link, &(struct message){.type = MESSAGE_LEAVE});
	expect(f, "");
}

static void upgrades(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF bytes = {0};
	struct err err = ERR_INIT;
	assert_ok(buf_put(&bytes, yes, strlen(yes), &err));
	add_cancel(&bytes, 1);
	for (int url = 0; url < 2; url++) {
		dial(f, url);
		uint64_t asked = link_control_bytes(f->link);
		for (size_t i = 0; i < bytes.len - 4; i++) {
			put(f, bytes.data + i, 1);
			event_base_loop(f->base, EVLOOP_NONBLOCK);
		}
		expect(f, "up ");
		put(f, bytes.data + bytes.len - 4, 4);
		expect(f, "cancel 1 ");
		assert_int_equal(link_control_bytes(f->link) - asked, bytes.len);
		link_send(f->link, &(struct message){.type = MESSAGE_LEAVE});
		uint8_t leave[5];
		take(f, leave, sizeof(leave));
		assert_memory_equal(leave, "\1\0\0\0\4", 5);
		close(f->fd);
		/* Whoever was told that there is no room is told that there is. */
		expect_down(f, "room down ", ERR_AGAIN, "link: closed by the other side");
	}
}

/* The answer and what follows it in one piece, as it comes from a quick one. */
static void upgrades_at_once(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF bytes = {0};
	struct err err = ERR_INIT;
	assert_ok(buf_put(&bytes, yes, strlen(yes), &err));
	add_cancel(&bytes, 1);
	add_cancel(&bytes, 2);
	dial(f, false);
	put(f, bytes.data, bytes.len);
	expect(f, "up cancel 1 cancel 2 ");
}

static void answered(void **state, const char *answer, enum err_kind kind, const char *msg)
{
	struct fixture *f = *state;
	dial(f, true);
	put(f, answer, strlen(answer));
	expect_down(f, "down ", kind, msg);
	close(f->fd);
}

static void is_refused(void **state)
{
	answered(state, "HTTP/1.1 404 Not Found\r\n\r\n", ERR_UNSUPPORTED,
		"link: the web server does not know snowboot-link/1 (HTTP status 404)");
	answered(state, "HTTP/1.1 200 OK\r\nUpgrade: snowboot-link/1\r\n\r\n", ERR_UNSUPPORTED,
		"link: the web server does not know snowboot-link/1 (HTTP status 200)");
	answered(state, "HTTP/1.1 101 X\r\nUpgrade: snowboot-link/2\r\n\r\n", ERR_UNSUPPORTED,
		"link: the web server does not know snowboot-link/1 (HTTP status 101)");
	answered(state, "HTTP/1.1 503 Busy\r\n\r\n", ERR_AGAIN,
		"link: refused with HTTP status 503");
	answered(state, "HTTP/1.1 429 Slow Down\r\n\r\n", ERR_AGAIN,
		"link: refused with HTTP status 429");
	answered(state, "220 mail.example ESMTP\r\n\r\n", ERR_CORRUPT,
		"link: the answer is no HTTP");
	answered(state, "HTTP/1.1\r\n\r\n", ERR_CORRUPT, "link: the answer is no HTTP");
}

static void an_endless_answer_is_cut(void **state)
{
	struct fixture *f = *state;
	char bytes[8192] = "HTTP/1.1 101 X\r\nX: ";
	memset(bytes + strlen(bytes), 'x', sizeof(bytes) - strlen(bytes));
	dial(f, false);
	put(f, bytes, sizeof(bytes) - 1);
	expect(f, "");
	put(f, "x", 1);
	expect_down(f, "down ", ERR_CORRUPT, "link: the answer is no HTTP");
}

static void who_does_not_answer_is_cut(void **state)
{
	struct fixture *f = *state;
	f->limits.dial_ms = 300;
	dial(f, false);
	put(f, "HTTP/1.1 101", 12); /* that is no answer yet */
	expect_down(f, "down ", ERR_AGAIN, "link: no answer within 300 ms");
	close(f->fd);
	/* One that answered in time is not bothered by it later. */
	dial(f, false);
	put(f, yes, strlen(yes));
	expect(f, "up ");
	run_for(f, 500);
	expect(f, "");
}

static void nobody_there(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	struct link_params p = params(f);
	struct node_address address;
	close(listen_at(&address));
	assert_ok(link_dial(&p, &address, &f->link, &err));
	assert_string_equal(f->log, "");
	expect_down(f, "down ", ERR_AGAIN, "link: Connection refused");
	assert_int_equal(link_dial_url(&p, NULL, "ftp://x", &f->link, &err), -1);
	assert_err(&err, ERR_USAGE, "'ftp://x' is no URL: it does not begin with 'http://'");
	assert_null(f->link);
	link_free(NULL);
}

/* connect() fails at once where no route leads, as while a machine has no address: that, too, is
 * told from the loop, when its owner has the link. */
static void no_way_there(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	struct link_params p = params(f);
	/* TCP goes to no multicast group (ip(7): ENETUNREACH). */
	const struct node_address group = {.ip = {[10] = 0xff, 0xff, 224, 0, 0, 1}, .port = 1};
	for (int url = 0; url < 2; url++) {
		assert_ok(url ? link_dial_url(&p, NULL, "http://224.0.0.1:1", &f->link, &err)
			      : link_dial(&p, &group, &f->link, &err));
		assert_string_equal(f->log, "");
		expect_down(f, "down ", ERR_AGAIN, "link: Network is unreachable");
		assert_null(f->link);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		CASE(upgrades),
		CASE(upgrades_at_once),
		CASE(is_refused),
		CASE(an_endless_answer_is_cut),
		CASE(who_does_not_answer_is_cut),
		CASE(nobody_there),
		CASE(no_way_there),
	};
	return TEST_MAIN(tests);
}
