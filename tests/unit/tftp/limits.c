/* SPDX-License-Identifier: MIT */
/* Clients that repeat, leave, are too many or too fast. */
#include "fixture.h"

/* A request twice is one; another one from the same port ends the first. */
static void requests_again(void **state)
{
	(void)state;
	struct fixture *f = open_fixture();
	uint8_t packet[2048];
	int fd = client();
	ASK(f, fd, "\0\1later\0octet");
	ASK(f, fd, "\0\1later\0octet");
	for (int i = 0; i < 100; i++)
		turn(f);
	assert_int_equal(f->handled, 1);
	assert_int_equal(tftp_server_clients(f->server), 1);
	ASK(f, fd, "\0\1small\0octet");
	assert_int_equal(hear(f, fd, packet), 9);
	assert_int_equal(f->done, 1);
	assert_string_equal(f->failure, "the client asked anew");
	ack(fd, 1);
	wait_done(f, 2);
	assert_string_equal(f->name, "small");
	close(fd);
	close_fixture(f);
}

static void waits_too_long(void **state)
{
	(void)state;
	const struct tftp_limits limits = {.transfers = 4, .per_client = 4, .wait_s = 0};
	struct fixture *f = open_with(&limits, 0);
	int fd = client();
	ASK(f, fd, "\0\1later\0octet");
	assert_error(f, fd, 0, "this takes too long: ask again");
	assert_int_equal(f->done, 1);
	close(fd);
	close_fixture(f);
}

/* A client that is gone without a word: the kernel tells. One that has all but said so is served.
 */
static void leavers(void **state)
{
	(void)state;
	struct fixture *f = open_fixture();
	int fd = begin(f, "file", 512);
	ack(fd, 1);
	close(fd);
	wait_done(f, 1);
	assert_string_equal(f->failure, "the client left");
	assert_int_equal(f->last.sent, 512);
	close(begin(f, "small", 5));
	wait_done(f, 2);
	assert_string_equal(f->failure, "");
	assert_int_equal(f->last.sent, 5);
	close_fixture(f);
}

/* Our packet was lost: it comes again after a second. */
static void repeats(void **state)
{
	(void)state;
	struct fixture *f = open_fixture();
	uint8_t packet[2048];
	int fd = begin(f, "file", 512);
	ack(fd, 1);
	assert_int_equal(hear(f, fd, packet), 516);
	assert_int_equal(packet[3], 2);
	size_t len = 0;
	for (int i = 0; i < 3 && len == 0; i++)
		len = hear(f, fd, packet);
	assert_int_equal(len, 516);
	assert_int_equal(packet[3], 2);
	close(fd);
	close_fixture(f);
}

/* A client's ninth transfer takes the place of its first; when all places are taken by those who
 * never said a word, the first of them makes place after a while. */
static void limits(void **state)
{
	(void)state;
	const struct tftp_limits few = {.transfers = 3, .per_client = 2, .wait_s = 10};
	struct fixture *f = open_with(&few, 0);
	int fds[3];
	for (size_t i = 0; i < 3; i++)
		fds[i] = begin(f, "file", 512);
	assert_int_equal(tftp_server_clients(f->server), 2);
	assert_int_equal(f->done, 1);
	assert_string_equal(f->failure, "the client began too many others");
	for (size_t i = 0; i < 3; i++)
		close(fds[i]);
	close_fixture(f);
}

static void all_places(void **state)
{
	(void)state;
	const struct tftp_limits one = {.transfers = 1, .per_client = 2, .wait_s = 10};
	struct fixture *f = open_with(&one, 0);
	uint8_t packet[2048];
	int first = begin(f, "file", 512), second = client();
	ASK(f, second, "\0\1small\0octet");
	for (int i = 0; i < 100; i++)
		turn(f);
	assert_int_equal(f->handled, 1); /* it was not answered */
	size_t len = 0;
	for (int i = 0; i < 10 && len == 0; i++) {
		ASK(f, second, "\0\1small\0octet");
		len = hear(f, second, packet);
	}
	assert_int_equal(len, 9);
	assert_string_equal(f->failure, "the client does not answer, and others wait");
	close(first);
	close(second);
	close_fixture(f);
}

/* Turns at an uplink: 100 kB at 200 kB a second, of which 10 go at once. */
static void paced(void **state)
{
	(void)state;
	struct fixture *f = open_with(&TFTP_LIMITS_DEFAULT, 200000);
	int fd = client();
	ASK(f, fd, "\0\1file\0octet");
	take_file(f, fd, 512, f->file, FILE_LEN);
	wait_done(f, 1);
	assert_in_range(f->last.elapsed_us, 300000, 5000000);
	close(fd);
	close_fixture(f);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_again),
		cmocka_unit_test(waits_too_long),
		cmocka_unit_test(leavers),
		cmocka_unit_test(repeats),
		cmocka_unit_test(limits),
		cmocka_unit_test(all_places),
		cmocka_unit_test(paced),
	};
	return TEST_MAIN(tests);
}
