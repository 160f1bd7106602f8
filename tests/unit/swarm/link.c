/* SPDX-License-Identifier: MIT */
/* A link that is open: frames, bounds, limits, ends. Dialling one is link_dial.c. */
#include "link_fixture.h"

/* Bytes of a frame with a whole part: length, type, id, offset, and the chunk's. */
#define PART_FRAME (13 + LINK_PART_SIZE)

/* An accepted link with a small buffer in the kernel; `early` came with the request. */
static void accept_with(struct fixture *f, const void *early, size_t len)
{
	struct err err = ERR_INIT;
	struct link_params p = params(f);
	int fds[2], small = 4096;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	f->fd = fds[1];
	assert_ok(link_accept(&p, fds[0], early, len, &f->link, &err));
	assert_string_equal(f->log, "");
}

static void send_part(struct fixture *f, uint32_t id)
{
	static const uint8_t bytes[LINK_PART_SIZE];
	link_send(f->link,
		&(struct message){.type = MESSAGE_PART,
			.part = {.id = id, .len = sizeof(bytes), .bytes = bytes}});
}

static void frames_come_in_pieces(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF bytes = {0};
	uint8_t data[300] = {7};
	add_cancel(&bytes, 1);
	add(&bytes, &(struct message){.type = MESSAGE_LEAVE});
	add(&bytes,
		&(struct message){.type = MESSAGE_PART,
			.part = {.id = 2, .len = sizeof(data), .bytes = data}});
	add_cancel(&bytes, 3);
	accept_with(f, NULL, 0);
	for (size_t i = 0; i < bytes.len; i++) {
		put(f, bytes.data + i, 1);
		event_base_loop(f->base, EVLOOP_NONBLOCK);
	}
	expect(f, "cancel 1 leave part 2:300 cancel 3 ");
	assert_int_equal(link_control_bytes(f->link), bytes.len - 300);
	/* All at once, and the half of another one. */
	put(f, bytes.data, bytes.len);
	put(f, bytes.data, 5);
	expect(f, "cancel 1 leave part 2:300 cancel 3 ");
	put(f, bytes.data + 5, 4);
	expect(f, "cancel 1 ");
}

/* What came behind the request is read first, and never from within link_accept(). */
static void early_bytes_come_first(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF bytes = {0};
	add_cancel(&bytes, 1);
	add_cancel(&bytes, 2);
	accept_with(f, bytes.data, 12);
	expect(f, "cancel 1 ");
	put(f, bytes.data + 12, bytes.len - 12);
	expect(f, "cancel 2 ");
}

/* Two good frames, the bytes in question, and a good one that is not looked at any more. */
static void cut_at(void **state, const char *bytes, size_t len, const char *msg)
{
	struct fixture *f = *state;
	AUTO_BUF all = {0};
	struct err err = ERR_INIT;
	add_cancel(&all, 1);
	add_cancel(&all, 2);
	assert_ok(buf_put(&all, bytes, len, &err));
	add_cancel(&all, 3);
	accept_with(f, NULL, 0);
	put(f, all.data, all.len);
	expect_down(f, "cancel 1 cancel 2 down ", ERR_CORRUPT, msg);
	close(f->fd);
}

static void garbage_cuts(void **state)
{
	cut_at(state, "GET / HTTP/1.1\r\n\r\n", 18,
		"link: frame of 542393671 bytes, min 1, max 262140");
	cut_at(state, "\0\0\0\0", 4, "link: frame of 0 bytes, min 1, max 262140");
	/* One byte more than the largest: nobody waits for the rest of it. */
	cut_at(state, "\xfd\xff\3\0\4", 5, "link: frame of 262141 bytes, min 1, max 262140");
	cut_at(state, "\1\0\0\0\x63", 5, "link: unknown message 99");
	cut_at(state, "\2\0\0\0\4x", 6, "link: frame goes on behind its end");
}

static void a_frame_of_the_largest_size_is_waited_for(void **state)
{
	struct fixture *f = *state;
	accept_with(f, NULL, 0);
	static uint8_t bytes[LINK_FRAME_MAX];
	put_le32(bytes, LINK_FRAME_MAX - 4);
	bytes[4] = MESSAGE_LEAVE;
	for (size_t at = 0; at < sizeof(bytes);) {
		ssize_t n =
			send(f->fd, bytes + at, sizeof(bytes) - at, MSG_DONTWAIT | MSG_NOSIGNAL);
		at += n > 0 ? (size_t)n : 0;
		if (at < sizeof(bytes))
			assert_string_equal(f->log, "");
		turn(f);
	}
	expect_down(f, "down ", ERR_CORRUPT, "link: frame goes on behind its end");
}

/* Thousands may connect, and what each has not sent to its end is kept. */
static void a_frame_that_is_too_large_here_cuts(void **state)
{
	struct fixture *f = *state;
	f->limits.frame_max = LINK_FRAME_SMALL;
	accept_with(f, NULL, 0);
	put(f, "\xfc\x7f\0\0", 4);
	turn(f);
	assert_string_equal(f->log, "");
	close(f->fd);
	f->link = link_free(f->link);
	accept_with(f, NULL, 0);
	put(f, "\xfd\x7f\0\0", 4);
	expect_down(f, "down ", ERR_CORRUPT, "link: frame of 32769 bytes > max 32768");
	close(f->fd);
}

static void refused_messages_cut(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF bytes = {0};
	for (uint32_t id = 1; id < 4; id++)
		add_cancel(&bytes, id);
	f->refuse_at = 2;
	accept_with(f, NULL, 0);
	put(f, bytes.data, bytes.len);
	expect_down(f, "cancel 1 cancel 2 down ", ERR_UNTRUSTED, "that is too much");
}

static void freed_in_a_callback(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF bytes = {0};
	for (uint32_t id = 1; id < 4; id++)
		add_cancel(&bytes, id);
	f->free_at = f->refuse_at = 2; /* and what it returns then does not matter */
	accept_with(f, NULL, 0);
	put(f, bytes.data, bytes.len);
	expect(f, "cancel 1 cancel 2 ");
	char none;
	assert_int_equal(recv(f->fd, &none, 1, MSG_DONTWAIT), 0); /* it is closed */
}

static void room_is_told(void **state)
{
	struct fixture *f = *state;
	accept_with(f, NULL, 0);
	unsigned sent = 0;
	/* The loop does not run: what waits is bounded by two parts. */
	for (; link_has_room(f->link); sent++)
		send_part(f, sent);
	assert_int_equal(sent, 2);
	/* What the kernel takes meanwhile is small, here. */
	for (int i = 0; i < 20; i++, turn(f))
		for (; link_has_room(f->link); sent++)
			send_part(f, sent);
	assert_true(sent < 8);
	assert_false(link_has_room(f->link));
	f->log[0] = '\0';
	for (uint32_t id = 0; id < sent; id++) {
		uint8_t frame[PART_FRAME];
		take(f, frame, sizeof(frame));
		assert_int_equal(get_le32(frame), PART_FRAME - 4);
		assert_int_equal(get_le32(frame + 5), id);
	}
	expect(f, "room "); /* once, and not again: nobody was told no since */
	assert_true(link_has_room(f->link));
	assert_int_equal(link_control_bytes(f->link), sent * 13);
}

static void a_queue_is_bounded(void **state)
{
	struct fixture *f = *state;
	accept_with(f, NULL, 0);
	unsigned sent = 0;
	/* Control frames do not ask for room, and large ones pile up. */
	for (; sent < 600; sent++)
		send_part(f, sent);
	assert_string_equal(f->log, ""); /* never from within */
	expect_down(f, "down ", ERR_LIMIT, "link: more than 8388608 bytes wait to be sent");
}

static void who_takes_nothing_is_cut(void **state)
{
	struct fixture *f = *state;
	f->limits.stall_ms = 500;
	accept_with(f, NULL, 0);
	run_for(f, 700); /* with nothing to send nothing stalls */
	assert_string_equal(f->log, "");
	for (uint32_t id = 0; id < 10; id++)
		send_part(f, id);
	/* Slow is not stalled. */
	for (int i = 0; i < 6; i++) {
		uint8_t some[8192];
		take(f, some, sizeof(some));
		run_for(f, 120);
	}
	assert_string_equal(f->log, "");
	expect_down(f, "down ", ERR_LIMIT, "link: the other side takes nothing");
}

static void who_says_nothing_is_cut(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF bytes = {0};
	add_cancel(&bytes, 1);
	f->limits.idle_ms = 500;
	accept_with(f, NULL, 0);
	for (size_t i = 0; i < bytes.len - 1; i++) { /* one byte each is enough */
		put(f, bytes.data + i, 1);
		run_for(f, 120);
	}
	assert_string_equal(f->log, "");
	expect_down(f, "down ", ERR_AGAIN, "link: the other side is silent");
	close(f->fd);
	f->limits.idle_ms = 0;
	accept_with(f, NULL, 0);
	run_for(f, 700);
	expect(f, "");
}

/* What was said before the end is heard. */
static void the_last_words_are_heard(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF bytes = {0};
	add_cancel(&bytes, 1);
	add_cancel(&bytes, 2);
	accept_with(f, NULL, 0);
	put(f, bytes.data, bytes.len - 1);
	shutdown(f->fd, SHUT_WR);
	expect_down(f, "cancel 1 down ", ERR_AGAIN, "link: closed by the other side");
}

static void closed_while_we_write(void **state)
{
	struct fixture *f = *state;
	accept_with(f, NULL, 0);
	for (uint32_t id = 0; id < 10; id++)
		send_part(f, id);
	uint8_t some[4096];
	take(f, some, sizeof(some));
	close(f->fd);
	f->fd = -1;
	expect(f, "down ");
	assert_null(f->link);
	assert_int_equal(f->why.kind, ERR_AGAIN);
	/* Which of them is seen first is the kernel's choice. */
	if (strcmp(f->why.msg, "link: Broken pipe") != 0 &&
		strcmp(f->why.msg, "link: Connection reset by peer") != 0)
		assert_string_equal(f->why.msg, "link: closed by the other side");
}

static void a_unix_socket_has_no_address(void **state)
{
	struct fixture *f = *state;
	static const struct node_address none;
	accept_with(f, NULL, 0);
	struct node_address peer = link_peer(f->link);
	assert_memory_equal(&peer, &none, sizeof(none));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		CASE(frames_come_in_pieces),
		CASE(early_bytes_come_first),
		CASE(garbage_cuts),
		CASE(a_frame_of_the_largest_size_is_waited_for),
		CASE(a_frame_that_is_too_large_here_cuts),
		CASE(refused_messages_cut),
		CASE(freed_in_a_callback),
		CASE(room_is_told),
		CASE(a_queue_is_bounded),
		CASE(who_takes_nothing_is_cut),
		CASE(who_says_nothing_is_cut),
		CASE(the_last_words_are_heard),
		CASE(closed_while_we_write),
		CASE(a_unix_socket_has_no_address),
	};
	return TEST_MAIN(tests);
}
