/* SPDX-License-Identifier: MIT */
/*
 * The child. It runs as nobody from its first instruction, with three capabilities handed through
 * exec as ambient ones: dnsmasq changing its user by itself would clear the death signal
 * (prctl(2), PR_SET_PDEATHSIG), and a DHCP server that outlives us would send clients to nobody.
 */
#include "serve/dnsmasq.h"

#include "base/fd.h"
#include "base/outfile.h"
#include "base/path.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_MS 5000
#define STOP_MS 2000
/* The number that every Linux gives to a user who owns nothing. */
#define NOBODY 65534
#define CAPABILITIES (1u << CAP_NET_BIND_SERVICE | 1u << CAP_NET_ADMIN | 1u << CAP_NET_RAW)

struct dnsmasq {
	struct dnsmasq_callbacks callbacks;
	pid_t pid; /* 0: ended */
	int log;   /* its standard output and error */
	char *dir;
	struct event *readable;
	char line[1024];
	size_t line_len;
	char last[1024]; /* the last line: what it says when it gives up */
	bool started;
};

static int get_capabilities(uint32_t *ret_effective, struct err *err)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	if (syscall(SYS_capget, &header, data) < 0)
		return err_sys(err, "cannot read our capabilities");
	*ret_effective = data[0].effective;
	return 0;
}

int dnsmasq_permitted(const struct dhcp_config *config, struct err *err)
{
	uint32_t effective = 0;
	if (get_capabilities(&effective, err) < 0)
		return -1;
	if ((effective & CAPABILITIES) == CAPABILITIES)
		return 0;
	err_raise(err, ERR_IO, "no permission to serve DHCP on '%s'", config->interface->name);
	return err_hint(err,
		"run as root (or with CAP_NET_ADMIN, CAP_NET_RAW and CAP_NET_BIND_SERVICE), or "
		"pass --dhcp off and let your own DHCP server name %s",
		config->script_url);
}

/*
 * dnsmasq binds with SO_REUSEPORT, so that a second one would start and take half the questions.
 * Bound to the device, as it binds: servers on other interfaces do not matter.
 */
static int check_port(
	const struct interface *interface, uint16_t port, const char *what, struct err *err)
{
	const struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
	AUTO_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface->name,
			(socklen_t)strlen(interface->name)) < 0)
		return err_sys(err, "cannot look at UDP port %u of '%s'", port, interface->name);
	if (bind(fd, (const struct sockaddr *)&any, sizeof(any)) == 0)
		return 0;
	err_sys(err, "cannot serve %s on '%s', UDP port %u", what, interface->name, port);
	if (err->sys != EADDRINUSE)
		return -1;
	err->kind = ERR_AGAIN;
	return err_hint(err,
		"another server has this port ('ss -lunp' names it): stop it, or pass "
		"--dhcp off and let it name our script");
}

static int check_ports(const struct dhcp_config *config, struct err *err)
{
	if (check_port(config->interface, 67, "DHCP", err) < 0)
		return -1;
	return config->mode == DHCP_PROXY ? check_port(config->interface, 4011, "proxy DHCP", err)
					  : 0;
}

/* Between fork and exec: only system calls. Says on standard error which one failed. */
static const char *become_nobody(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{.effective = CAPABILITIES,
		.permitted = CAPABILITIES,
		.inheritable = CAPABILITIES}};
	if (geteuid() == 0) {
		if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
			return "cannot keep capabilities";
		if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
			setresuid(NOBODY, NOBODY, NOBODY) < 0)
			return "cannot become nobody";
	}
	if (syscall(SYS_capset, &header, data) < 0)
		return "cannot set capabilities";
	for (unsigned cap = 0; cap < 32; cap++)
		if ((CAPABILITIES & 1u << cap) != 0 &&
			prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return "cannot hand capabilities on";
	return NULL;
}

static void run_child(pid_t parent, int log, char *const argv[])
{
	static const char *const usual[] = {
		"/usr/sbin/dnsmasq", "/run/current-system/sw/bin/dnsmasq"};
	const char *failed = "cannot set up";
	sigset_t none;
	sigemptyset(&none);
	if (dup2(log, STDOUT_FILENO) >= 0 && dup2(log, STDERR_FILENO) >= 0)
		failed = become_nobody();
	if (failed == NULL &&
		(prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) < 0 || getppid() != parent))
		failed = "our parent is gone";
	if (failed == NULL) {
		(void)sigprocmask(SIG_SETMASK, &none, NULL); /* cannot fail with these arguments */
		execvp(argv[0], argv);
		for (size_t i = 0; i < ARRAY_LEN(usual) && errno == ENOENT; i++)
			execv(usual[i], argv);
		failed = errno == ENOENT ? "dnsmasq is not installed" : strerror(errno);
	}
	if (write(STDERR_FILENO, failed, strlen(failed)) < 0 || write(STDERR_FILENO, "\n", 1) < 0)
		_exit(126);
	_exit(127);
}

static int spawn(struct dnsmasq *d, const char *config_file, struct err *err)
{
	int pipe_fds[2];
	AUTO_FREE char *conf = path_printf(err, "--conf-file=%s", config_file);
	if (conf == NULL)
		return -1;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_sys(err, "cannot create a pipe");
	d->log = pipe_fds[0];
	AUTO_FD int log = pipe_fds[1];
	char *const argv[] = {(char *)"dnsmasq", (char *)"--keep-in-foreground",
		(char *)"--pid-file=", conf, NULL};
	pid_t parent = getpid();
	d->pid = fork();
	if (d->pid < 0) {
		d->pid = 0;
		return err_sys(err, "cannot start dnsmasq");
	}
	if (d->pid == 0)
		run_child(parent, log, argv);
	if (fcntl(d->log, F_SETFL, O_NONBLOCK) < 0)
		return err_sys(err, "cannot set up the pipe from dnsmasq");
	return 0;
}

/* "dnsmasq-dhcp[123]: words" → "words"; the child's own failures come without. */
static const char *message_of(const char *line)
{
	const char *end = strstr(line, "]: ");
	return strncmp(line, "dnsmasq", 7) == 0 && end != NULL ? end + 3 : line;
}

static void take_line(struct dnsmasq *d)
{
	d->line[d->line_len] = '\0';
	d->line_len = 0;
	const char *message = message_of(d->line);
	if (strncmp(message, "dnsmasq: ", 9) == 0)
		message += 9;
	/* dnsmasq begins its last words with an empty line */
	if (message[0] == '\0')
		return;
	snprintf(d->last, sizeof(d->last), "%s", message);
	if (strncmp(message, "started, version", 16) == 0)
		d->started = true;
	else if (d->callbacks.line != NULL && d->started)
		d->callbacks.line(message, d->callbacks.data);
}

/* Reads what is there: false at the end of its output. */
static bool read_log(struct dnsmasq *d)
{
	char text[4096];
	ssize_t n = read(d->log, text, sizeof(text));
	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR);
	for (ssize_t i = 0; i < n; i++) {
		if (text[i] == '\n')
			take_line(d);
		else if (d->line_len < sizeof(d->line) - 1)
			d->line[d->line_len++] = text[i];
	}
	return true;
}

static int diagnose_end(struct dnsmasq *d, int status, struct err *err)
{
	if (strcmp(d->last, "dnsmasq is not installed") == 0) {
		err_raise(err, ERR_NOT_FOUND, "dnsmasq is not installed");
		return err_hint(err,
			"install it (Debian: dnsmasq-base, NixOS: pkgs.dnsmasq), or "
			"pass --dhcp off");
	}
	if (WIFSIGNALED(status))
		err_raise(err, ERR_IO, "dnsmasq was killed by signal %d; it last said: %s",
			WTERMSIG(status), d->last);
	else
		err_raise(err, ERR_IO, "dnsmasq ended with status %d: %s", WEXITSTATUS(status),
			d->last);
	return -1;
}

/* Collects the child, which has closed its output or was told to end; kills it after a while. */
static int collect(struct dnsmasq *d)
{
	int status = 0;
	for (int ms = 0; d->pid > 0; ms += 10) {
		pid_t pid = waitpid(d->pid, &status, WNOHANG);
		if (pid == d->pid || (pid < 0 && errno != EINTR))
			break;
		if (ms == STOP_MS)
			kill(d->pid, SIGKILL);
		nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
	}
	d->pid = 0;
	return status;
}

static int wait_started(struct dnsmasq *d, struct err *err)
{
	struct pollfd poll_fd = {.fd = d->log, .events = POLLIN};
	for (int i = 0; i < START_MS / 100 && !d->started; i++) {
		if (poll(&poll_fd, 1, 100) > 0 && !read_log(d))
			return diagnose_end(d, collect(d), err);
	}
	if (!d->started)
		return err_raise(err, ERR_IO, "dnsmasq did not start within %d s; it last said: %s",
			START_MS / 1000, d->last);
	return 0;
}

static void on_log(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	struct dnsmasq *d = data;
	if (read_log(d))
		return;
	event_del(d->readable);
	struct err err = ERR_INIT;
	if (diagnose_end(d, collect(d), &err) < 0)
		d->callbacks.ended(&err, d->callbacks.data);
}

/* dnsmasq rewrites its leases in place, so the file is all that nobody has to own. */
static int make_leases(const char *dir, struct err *err)
{
	AUTO_FREE char *path = path_printf(err, "%s/leases", dir);
	AUTO_FD int fd = -1;
	if (path == NULL || fd_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, &fd, err) < 0)
		return -1;
	if (geteuid() == 0 && fchown(fd, NOBODY, NOBODY) < 0)
		return err_sys(err, "cannot give '%s' to nobody", path);
	return 0;
}

/*
 * The folder stays ours: in one of nobody's, whoever runs as nobody could put links where we write
 * and remove as root.
 */
static int write_config(
	struct dnsmasq *d, const struct dhcp_config *config, char **ret_file, struct err *err)
{
	char dir[] = "/tmp/snowboot-dnsmasq-XXXXXX";
	if (mkdtemp(dir) == NULL)
		return err_sys(err, "cannot create a temporary folder");
	d->dir = strdup(dir);
	if (d->dir == NULL)
		return err_oom(err);
	struct dhcp_config own = *config;
	own.dir = d->dir;
	AUTO_BUF text = {0};
	AUTO_FREE char *file = path_printf(err, "%s/dnsmasq.conf", dir);
	if (file == NULL || dhcp_config_text(&own, &text, err) < 0 ||
		outfile_write(file, text.data, text.len, err) < 0 || make_leases(dir, err) < 0)
		return -1;
	if (chmod(file, 0644) < 0 || chmod(dir, 0755) < 0)
		return err_sys(err, "cannot make '%s' readable", file);
	*ret_file = TAKE_PTR(file);
	return 0;
}

int dnsmasq_start(struct event_base *base, const struct dhcp_config *config,
	const struct dnsmasq_callbacks *callbacks, struct dnsmasq **ret, struct err *err)
{
	if (dnsmasq_permitted(config, err) < 0 || check_ports(config, err) < 0)
		return -1;
	struct dnsmasq *d = calloc(1, sizeof(*d));
	if (d == NULL)
		return err_oom(err);
	d->callbacks = *callbacks;
	d->log = -1;
	AUTO_FREE char *file = NULL;
	int r = write_config(d, config, &file, err);
	if (r == 0)
		r = spawn(d, file, err);
	if (r == 0)
		r = wait_started(d, err);
	if (r == 0) {
		d->readable = event_new(base, d->log, EV_READ | EV_PERSIST, on_log, d);
		if (d->readable == NULL || event_add(d->readable, NULL) < 0)
			r = err_oom(err);
	}
	if (r < 0)
		dnsmasq_stop(d);
	else
		*ret = d;
	return r;
}

/* The folder holds the two files we know of. */
static void remove_dir(const char *dir)
{
	static const char *const names[] = {"dnsmasq.conf", "leases"};
	struct err ignored = ERR_INIT;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		AUTO_FREE char *path = path_printf(&ignored, "%s/%s", dir, names[i]);
		if (path != NULL)
			(void)unlink(path); /* not there when the start failed before */
	}
	(void)rmdir(dir); /* what is left is in the temporary folder's care */
}

struct dnsmasq *dnsmasq_stop(struct dnsmasq *d)
{
	if (d == NULL)
		return NULL;
	if (d->readable != NULL)
		event_free(d->readable);
	if (d->pid > 0) {
		kill(d->pid, SIGTERM);
		collect(d);
	}
	fd_close_ptr(&d->log);
	if (d->dir != NULL)
		remove_dir(d->dir);
	free(d->dir);
	free(d);
	return NULL;
}
