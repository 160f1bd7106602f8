/* SPDX-License-Identifier: MIT */
/* What a server of files answers, over real sockets. */
#include "fixture.h"

static void plain(void **state)
{
	(void)state;
	struct fixture *f = open_fixture();
	int fd = client();
	ASK(f, fd, "\0\1file\0octet");
	take_file(f, fd, 512, f->file, FILE_LEN);
	wait_done(f, 1);
	assert_string_equal(f->failure, "");
	assert_int_equal(f->last.sent, FILE_LEN);
	assert_int_equal(f->last.len, FILE_LEN);
	assert_true(f->last.elapsed_us > 0);
	assert_int_equal(tftp_server_clients(f->server), 0);
	close(fd);
	close_fixture(f);
}

static void options(void **state)
{
	(void)state;
	struct fixture *f = open_fixture();
	uint8_t packet[2048];
	static const char want[] = "\0\6blksize\0001468\0tsize\000100000";
	int fd = client();
	ASK(f, fd, "\0\1\\file\0octet\0tsize\0000\0blksize\0008192\0rollover\0000");
	assert_int_equal(hear(f, fd, packet), sizeof(want));
	assert_memory_equal(packet, want, sizeof(want));
	ack(fd, 0);
	take_file(f, fd, 1468, f->file, FILE_LEN);
	wait_done(f, 1);
	assert_string_equal(f->failure, "");
	close(fd);
	close_fixture(f);
}

/* What EDK2 does first. */
static void only_the_size(void **state)
{
	(void)state;
	struct fixture *f = open_fixture();
	uint8_t packet[2048];
	static const uint8_t error[] = "\0\5\0\10User aborted";
	int fd = client();
	ASK(f, fd, "\0\1file\0octet\0tsize\0000");
	assert_int_equal(hear(f, fd, packet), 15);
	assert_memory_equal(packet, "\0\6tsize\000100000", 15);
	assert_int_equal(send(fd, error, sizeof(error), 0), sizeof(error));
	wait_done(f, 1);
	assert_string_equal(f->failure, "the client only asked for its size");
	assert_int_equal(f->last.sent, 0);
	close(fd);
	close_fixture(f);
}

static void refusals(void **state)
{
	(void)state;
	struct fixture *f = open_fixture();
	static const struct {
		const char *packet;
		size_t len;
		unsigned code;
		const char *text;
	} cases[] = {
		{"\0\1none\0octet", 13, 1, "there is no 'none'"},
		{"\0\1../x\0octet", 13, 2, "the file name has a part '..'"},
		{"\0\1\0octet", 9, 2, "the file name is empty"},
		{"\0\2file\0octet", 13, 2, "nothing can be written here"},
		{"\0\1file\0netascii", 16, 4,
			"files are sent as they are: ask in binary mode (octet)"},
		{"\0\1file\0mail", 12, 4, "files are sent as they are: ask in binary mode (octet)"},
		{"\0\1file", 7, 4, "the request ends before its mode"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int fd = client();
		ask(f, fd, cases[i].packet, cases[i].len);
		assert_error(f, fd, cases[i].code, cases[i].text);
		wait_done(f, (unsigned)i + 1);
		assert_string_equal(f->failure, cases[i].text);
		assert_int_equal(f->last.len, 0);
		close(fd);
	}
	assert_int_equal(f->handled, 1);
	close_fixture(f);
}

/* What is no request is not answered, and hurts no transfer. */
static void garbage(void **state)
{
	(void)state;
	struct fixture *f = open_fixture();
	uint8_t packet[2048];
	static const uint8_t junk[] = {0, 3, 0, 1, 'x'}, odd[] = {0xff};
	int fd = client(), other = client();
	ASK(f, other, "\0\5\0\1no");
	ASK(f, other, "\0\4\0\1");
	ASK(f, other, "");
	ASK(f, fd, "\0\1file\0octet");
	assert_int_equal(hear(f, fd, packet), 516);
	assert_int_equal(send(fd, junk, sizeof(junk), 0), sizeof(junk));
	assert_int_equal(send(fd, odd, sizeof(odd), 0), sizeof(odd));
	ack(fd, 7);
	ack(fd, 1);
	assert_int_equal(hear(f, fd, packet), 516);
	assert_int_equal(packet[3], 2);
	assert_int_equal(recv(other, packet, sizeof(packet), 0), -1);
	assert_int_equal(f->handled, 1);
	static const uint8_t error[] = "\0\5\0\3disk\nfull";
	assert_int_equal(send(fd, error, sizeof(error), 0), sizeof(error));
	wait_done(f, 1);
	assert_string_equal(f->failure, "the client broke it off: error 3, disk?full");
	assert_int_equal(f->last.sent, 512);
	close(fd);
	close(other);
	close_fixture(f);
}

/* Nobody else's acknowledgement moves a transfer. */
static void strangers(void **state)
{
	(void)state;
	struct fixture *f = open_fixture();
	uint8_t packet[2048];
	int fd = client(), stranger = client();
	ASK(f, fd, "\0\1file\0octet");
	assert_int_equal(hear(f, fd, packet), 516);
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);
	assert_int_equal(getpeername(fd, (struct sockaddr *)&peer, &len), 0);
	assert_int_equal(connect(stranger, (struct sockaddr *)&peer, sizeof(peer)), 0);
	ack(stranger, 1);
	for (int i = 0; i < 100; i++)
		turn(f);
	assert_int_equal(recv(fd, packet, sizeof(packet), 0), -1);
	ack(fd, 1);
	assert_int_equal(hear(f, fd, packet), 516);
	close(fd);
	close(stranger);
	close_fixture(f);
}

/* The answer may come later. */
static void later(void **state)
{
	(void)state;
	struct fixture *f = open_fixture();
	struct err err = ERR_INIT;
	uint64_t sent = 1, len = 1;
	int fd = client();
	ASK(f, fd, "\0\1later\0octet");
	for (int i = 0; i < 1000 && f->parked == NULL; i++)
		turn(f);
	assert_non_null(f->parked);
	tftp_exchange_progress(f->parked, &sent, &len);
	assert_int_equal(len, 0);
	tftp_exchange_set_tag(f->parked, f);
	assert_ptr_equal(tftp_exchange_tag(f->parked), f);
	tftp_exchange_reply(f->parked, http_body_copy("small", 5, NULL, &err));
	take_file(f, fd, 512, (const uint8_t *)"small", 5);
	wait_done(f, 1);
	close(fd);
	close_fixture(f);
}

static void on_drained(void *data)
{
	((struct fixture *)data)->drained = true;
}

static void drains(void **state)
{
	(void)state;
	struct fixture *f = open_fixture();
	uint8_t packet[2048];
	int fd = client();
	ASK(f, fd, "\0\1small\0octet");
	assert_int_equal(hear(f, fd, packet), 9);
	tftp_server_drain(f->server, on_drained, f);
	assert_false(f->drained);
	ack(fd, 1);
	wait_done(f, 1);
	assert_true(f->drained);
	close(fd);
	close_fixture(f);
}

static void port_taken(void **state)
{
	(void)state;
	struct fixture *f = open_fixture();
	struct err err = ERR_INIT;
	struct tftp_server *second = NULL;
	char msg[128];
	const struct tftp_server_config config = {
		.limits = TFTP_LIMITS_DEFAULT, .handle = handle, .done = on_done, .data = f};
	assert_int_equal(tftp_server_new(f->base, (struct sockaddr *)&f->addr, sizeof(f->addr),
				 &config, &second, &err),
		-1);
	assert_string_equal(
		err.hint, "another TFTP server has this port ('ss -lunp' names it): stop it");
	snprintf(msg, sizeof(msg),
		"cannot serve TFTP at '127.0.0.1', UDP port %u: Address already in use",
		ntohs(f->addr.sin_port));
	assert_err(&err, ERR_AGAIN, msg);
	struct sockaddr_in nobodys = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000263)}; /* 192.0.2.99 */
	assert_int_equal(tftp_server_new(f->base, (struct sockaddr *)&nobodys, sizeof(nobodys),
				 &config, &second, &err),
		-1);
	assert_string_equal(
		err.hint, "no interface of this machine has this address ('ip addr' lists them)");
	assert_err(&err, ERR_NOT_FOUND,
		"cannot serve TFTP at '192.0.2.99', UDP port 0: Cannot assign requested address");
	close_fixture(f);
}

/* Any address of IPv6 is any of IPv4; answers come from the address that was asked. */
static void any_address(void **state)
{
	(void)state;
	struct fixture *f = open_fixture();
	struct err err = ERR_INIT;
	uint8_t packet[2048];
	tftp_server_free(f->server);
	f->server = NULL;
	struct sockaddr_in6 any = {.sin6_family = AF_INET6};
	const struct tftp_server_config config = {
		.limits = TFTP_LIMITS_DEFAULT, .handle = handle, .done = on_done, .data = f};
	assert_ok(tftp_server_new(
		f->base, (struct sockaddr *)&any, sizeof(any), &config, &f->server, &err));
	f->addr.sin_port = htons(tftp_server_port(f->server));
	int fd = client();
	ASK(f, fd, "\0\1small\0octet");
	assert_int_equal(hear(f, fd, packet), 9);
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);
	assert_int_equal(getpeername(fd, (struct sockaddr *)&peer, &len), 0);
	assert_int_equal(peer.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	ack(fd, 1);
	wait_done(f, 1);
	close(fd);
	close_fixture(f);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),
		cmocka_unit_test(options),
		cmocka_unit_test(only_the_size),
		cmocka_unit_test(refusals),
		cmocka_unit_test(garbage),
		cmocka_unit_test(strangers),
		cmocka_unit_test(later),
		cmocka_unit_test(drains),
		cmocka_unit_test(port_taken),
		cmocka_unit_test(any_address),
	};
	return TEST_MAIN(tests);
}
