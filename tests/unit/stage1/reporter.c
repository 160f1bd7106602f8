/* SPDX-License-Identifier: MIT */
#include "stage1/reporter.h"

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "node/bootend.h"

#include "test.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* A process that answers one request after the other with these status lines, then ends. */
struct server {
	pid_t pid;
	uint16_t port;
	char *log; /* file with the first line of each request */
};

static void serve(int listener, const char *log, const char *const *answers)
{
	FILE *out = fopen(log, "w");
	for (; *answers != NULL; answers++) {
		char text[4096];
		int fd = accept(listener, NULL, NULL);
		ssize_t len = read(fd, text, sizeof(text) - 1);
		text[len > 0 ? len : 0] = '\0';
		fprintf(out, "%.*s\n", (int)strcspn(text, "\r\n"), text);
		dprintf(fd, "HTTP/1.1 %s\r\nContent-Length: 6\r\nConnection: close\r\n\r\nnoted\n",
			*answers);
		close(fd);
	}
	fclose(out);
}

static struct server start(const char *const *answers)
{
	struct err err = ERR_INIT;
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(listen(listener, 8), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
	struct server server = {
		.port = ntohs(addr.sin_port), .log = path_printf(&err, "%s/log", test_tmpdir())};
	server.pid = fork();
	if (server.pid == 0) {
		alarm(30);
		serve(listener, server.log, answers);
		_exit(0);
	}
	close(listener);
	return server;
}

static void assert_requests(struct server *server, const char *want)
{
	assert_int_equal(waitpid(server->pid, NULL, 0), server->pid);
	AUTO_FREE char *got = test_shell_output("cat %s", server->log);
	assert_string_equal(got, want);
	free(server->log);
}

/* A socket on which systemd has spoken already. */
static int hear(void)
{
	struct err err = ERR_INIT;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	static const char up[] = "READY=1\nSTATUS=Startup finished in 3.1s.";
	int fd = -1;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/notify", test_tmpdir());
	assert_ok(node_bootend_listen(addr.sun_path, &fd, &err));
	AUTO_FD int speaker = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(sendto(speaker, up, strlen(up), 0, (struct sockaddr *)&addr, sizeof(addr)),
		strlen(up));
	return fd;
}

static int run(const struct strvec *urls, unsigned patience_ms, struct err *err)
{
	const struct reporter_params params = {
		.urls = urls, .mounts = -1, .pause_ms = 10, .patience_ms = patience_ms};
	return reporter_run(&params, hear(), err);
}

/* The network comes later than the system, and the first server does not know us. */
static void asks_until_it_is_noted(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_STRVEC urls = {0};
	static const char *const answers[] = {
		"503 Service Unavailable", "404 Not Found", "200 OK", NULL};
	struct server server = start(answers);
	AUTO_FREE char *refused = path_printf(&err, "http://127.0.0.1:1/v1/up");
	AUTO_FREE char *url =
		path_printf(&err, "http://127.0.0.1:%u/v1/up?mac=52-54-00-00-00-01", server.port);
	assert_ok(strvec_push(&urls, refused, &err));
	assert_ok(strvec_push(&urls, url, &err));
	assert_ok(run(&urls, 20000, &err));
	assert_requests(&server,
		"GET /v1/up?mac=52-54-00-00-00-01 HTTP/1.1\n"
		"GET /v1/up?mac=52-54-00-00-00-01 HTTP/1.1\n"
		"GET /v1/up?mac=52-54-00-00-00-01 HTTP/1.1");
}

static void gives_up_in_the_end(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_STRVEC urls = {0};
	assert_ok(strvec_push(&urls, "http://127.0.0.1:1/v1/up", &err));
	assert_int_equal(run(&urls, 100, &err), -1);
	assert_err(&err, ERR_AGAIN,
		"cannot tell the server that the system is up: cannot get "
		"'http://127.0.0.1:1/v1/up': cannot connect to '127.0.0.1' port 1: "
		"Connection refused");
}

static void nobody_to_tell(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct cmdline cmdline = {0};
	pid_t pid = -1;
	assert_ok(cmdline_parse("quiet BOOTIF=01-52-54-00-00-00-01", &cmdline, &err));
	assert_ok(reporter_start(&cmdline, test_tmpdir(), &pid, &err));
	assert_int_equal(pid, 0);
	test_shell("! test -e %s/snowboot", test_tmpdir());
	cmdline_done(&cmdline);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asks_until_it_is_noted),
		cmocka_unit_test(gives_up_in_the_end),
		cmocka_unit_test(nobody_to_tell),
	};
	return TEST_MAIN(tests);
}
