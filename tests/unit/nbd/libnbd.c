/* SPDX-License-Identifier: MIT */
/* Real clients on a unix socket: nbdinfo, nbdcopy and nbdsh of libnbd. */
#include "client.h"

#include "base/path.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* Answers after a turn of the loop, the last come first, so that order is never kept. */
struct server {
	struct event_base *base;
	struct nbd_export export;
	struct event *tick;
	struct nbd_read *reads[1024];
	size_t count;
};

static void server_read(struct nbd_read *read, uint64_t off, uint32_t len, void *data)
{
	struct server *server = data;
	client_pattern(nbd_read_buffer(read), off, len);
	server->reads[server->count++] = read;
	event_active(server->tick, EV_TIMEOUT, 1);
}

static void on_tick(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	struct server *server = data;
	while (server->count > 0)
		nbd_read_answer(server->reads[--server->count], 0);
}

static void server_closed(struct nbd_connection *connection, const struct err *failure, void *data)
{
	(void)failure;
	struct server *server = data;
	size_t kept = 0;
	for (size_t i = 0; i < server->count; i++)
		if (nbd_read_connection(server->reads[i]) != connection)
			server->reads[kept++] = server->reads[i];
	server->count = kept;
}

/* A process that serves the pattern on `path` until it is killed. */
static pid_t serve(const char *path)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	static struct server server;
	struct err err = ERR_INIT;
	struct nbd_listener *listener;
	server.base = event_base_new();
	server.tick = event_new(server.base, -1, 0, on_tick, &server);
	server.export = (struct nbd_export){.name = "system",
		.size = CLIENT_SIZE,
		.block_size = 4096,
		.read = server_read,
		.closed = server_closed,
		.data = &server};
	if (nbd_listener_new(server.base, path, &server.export, &listener, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		_exit(1);
	}
	event_base_dispatch(server.base);
	_exit(0);
}

static void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static char *socket_path(void)
{
	struct err err = ERR_INIT;
	char *path = path_printf(&err, "%s/nbd", test_tmpdir());
	assert_non_null(path);
	return path;
}

static void await(const char *path)
{
	for (int i = 0; i < 500 && access(path, F_OK) < 0; i++)
		usleep(10000);
}

static void clients(void **state)
{
	(void)state;
	AUTO_FREE char *path = socket_path();
	const char *dir = test_tmpdir();
	uint8_t *pattern = malloc(CLIENT_SIZE);
	client_pattern(pattern, 0, CLIENT_SIZE);
	test_write(dir, "want", pattern, CLIENT_SIZE);
	free(pattern);
	pid_t pid = serve(path);
	await(path);
	test_shell("nbdinfo --json 'nbd+unix:///system?socket=%s' >%s/info", path, dir);
	test_shell("grep -q '\"export-size\": 8388608' %s/info", dir);
	test_shell("grep -q '\"is_read_only\": true' %s/info", dir);
	test_shell("grep -q '\"protocol\": \"newstyle-fixed\"' %s/info", dir);
	test_shell("grep -q '\"block_size_preferred\": 4096' %s/info", dir);
	test_shell("nbdinfo --list 'nbd+unix://?socket=%s' | grep -q '^export=\"system\"'", path);
	test_shell("! nbdinfo 'nbd+unix:///other?socket=%s' 2>/dev/null", path);
	/* Four connections, 64 requests on each. */
	test_shell("nbdcopy -C 4 -R 64 --request-size=65536 'nbd+unix:///system?socket=%s' "
		   "%s/got && cmp %s/want %s/got",
		path, dir, dir, dir);
	stop(pid);
}

/* Many requests at once, of which the later are answered first; errors; the end. */
static void script(void **state)
{
	(void)state;
	static const char text[] =
		"import nbd\n"
		"h.connect_uri(uri)\n"
		"want = open(image, 'rb').read()\n"
		"bufs = [nbd.Buffer(3000) for i in range(500)]\n"
		"cookies = [h.aio_pread(b, i * 4099) for i, b in enumerate(bufs)]\n"
		"while h.aio_in_flight() > 0: h.poll(-1)\n"
		"for i, c in enumerate(cookies):\n"
		"    assert h.aio_command_completed(c)\n"
		"    assert bufs[i].to_bytearray() == want[i * 4099:i * 4099 + 3000], i\n"
		"h.set_strict_mode(0)\n"
		"def fails(call, errno):\n"
		"    try: call()\n"
		"    except nbd.Error as e: assert e.errno == errno, e\n"
		"    else: assert False\n"
		"fails(lambda: h.pwrite(b'x' * 100000, 0), 'EPERM')\n"
		"fails(lambda: h.pread(2, len(want) - 1), 'EINVAL')\n"
		"fails(lambda: h.trim(512, 0), 'EPERM')\n"
		"fails(lambda: h.zero(512, 0), 'EPERM')\n"
		"h.flush()\n"
		"assert h.pread(512, 512) == want[512:1024]\n"
		"h.shutdown()\n";
	AUTO_FREE char *path = socket_path();
	const char *dir = test_tmpdir();
	uint8_t *pattern = malloc(CLIENT_SIZE);
	client_pattern(pattern, 0, CLIENT_SIZE);
	test_write(dir, "want", pattern, CLIENT_SIZE);
	free(pattern);
	test_write(dir, "script.py", text, sizeof(text) - 1);
	pid_t pid = serve(path);
	await(path);
	/* Debian's python3 has the module, whatever other one comes first in PATH. */
	test_shell("PATH=/usr/bin:$PATH nbdsh -c 'uri=\"nbd+unix:///system?socket=%s\"; "
		   "image=\"%s/want\"' "
		   "-c 'exec(open(\"%s/script.py\").read())'",
		path, dir, dir);
	stop(pid);
}

static void socket_file(void **state)
{
	(void)state;
	AUTO_FREE char *path = socket_path();
	struct err err = ERR_INIT;
	struct event_base *base = event_base_new();
	struct nbd_listener *listener = NULL, *second = NULL;
	const struct nbd_export export = {.size = 4096, .block_size = 4096};
	/* A killed program leaves its socket; the next one takes the place. */
	pid_t pid = serve(path);
	await(path);
	stop(pid);
	assert_int_equal(access(path, F_OK), 0);
	assert_ok(nbd_listener_new(base, path, &export, &listener, &err));
	test_shell("[ $(stat -c %%a '%s') = 600 ]", path);
	char msg[300];
	snprintf(msg, sizeof(msg), "another program listens on '%s'", path);
	assert_int_equal(nbd_listener_new(base, path, &export, &second, &err), -1);
	assert_err(&err, ERR_AGAIN, msg);
	nbd_listener_free(listener);
	assert_int_equal(access(path, F_OK), -1);
	/* A file of another kind is nobody's left-over. */
	test_shell("echo precious > '%s'", path);
	assert_int_equal(nbd_listener_new(base, path, &export, &second, &err), -1);
	assert_err(&err, ERR_AGAIN, msg);
	char long_path[120];
	memset(long_path, 'a', sizeof(long_path));
	long_path[sizeof(long_path) - 1] = '\0';
	assert_int_equal(nbd_listener_new(base, long_path, &export, &second, &err), -1);
	snprintf(msg, sizeof(msg), "the socket's path '%s' is too long: 119 bytes > max 107",
		long_path);
	assert_err(&err, ERR_LIMIT, msg);
	event_base_free(base);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clients),
		cmocka_unit_test(script),
		cmocka_unit_test(socket_file),
	};
	return TEST_MAIN(tests);
}
