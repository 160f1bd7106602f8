/* SPDX-License-Identifier: MIT */
/*
 * One child process: fork, exec, wait by pidfd (Linux 5.3), kill by pid. Its output goes to a
 * memfd rather than a pipe, so that nobody has to read while it runs and it never blocks on us.
 */
#include "vm/child.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct child {
	pid_t pid;
	int pidfd;
	int output; /* memfd */
	bool ended;
	int status; /* valid when ended */
};

/* In the child, between fork and exec: async-signal-safe calls only; errno goes up the pipe. */
static void become(char *const *argv, const int *fds, size_t fd_count, int output, int report,
	pid_t parent) __attribute__((noreturn));
static void become(
	char *const *argv, const int *fds, size_t fd_count, int output, int report, pid_t parent)
{
	/* A group of its own, so that Ctrl-C at our terminal reaches us alone and we decide. */
	bool ok = setpgid(0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0;
	if (getppid() != parent)
		_exit(127); /* it died before prctl() */
	sigset_t none;
	sigemptyset(&none);
	ok = ok && sigprocmask(SIG_SETMASK, &none, NULL) == 0;
	signal(SIGPIPE, SIG_DFL); /* an ignored signal would stay ignored behind exec */
	int null = open("/dev/null", O_RDONLY);
	ok = ok && null >= 0 && dup2(null, 0) == 0 && dup2(output, 1) == 1 && dup2(output, 2) == 2;
	for (size_t i = 0; i < fd_count; i++)
		ok = ok && fcntl(fds[i], F_SETFD, 0) == 0;
	if (ok)
		execvp(argv[0], argv);
	int cause = errno;
	(void)!write(report, &cause, sizeof(cause)); /* nobody is left to tell */
	_exit(127);
}

static int start(
	struct child *c, char *const *argv, const int *fds, size_t fd_count, struct err *err)
{
	c->output = memfd_create("output", MFD_CLOEXEC);
	if (c->output < 0)
		return err_sys(err, "cannot create a memory file");
	/* Both 1 and 2 append, so neither overwrites the other. */
	if (fcntl(c->output, F_SETFL, O_APPEND) < 0)
		return err_sys(err, "cannot set O_APPEND");
	int pipe_fds[2];
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_sys(err, "cannot create a pipe");
	AUTO_FD int report = pipe_fds[0];
	AUTO_FD int report_write = pipe_fds[1];
	pid_t parent = getpid();
	c->pid = fork();
	if (c->pid < 0)
		return err_sys(err, "cannot fork");
	if (c->pid == 0)
		become(argv, fds, fd_count, c->output, report_write, parent);
	close(TAKE_FD(report_write));
	c->pidfd = pidfd_open(c->pid, 0);
	if (c->pidfd < 0)
		return err_sys(err, "cannot open a pidfd");
	int cause;
	size_t len;
	if (fd_read_full(report, &cause, sizeof(cause), "a pipe", &len, err) < 0)
		return -1;
	return len == 0 ? 0 : err_errno(err, cause, "cannot run '%s'", argv[0]);
}

int child_start(const struct strvec *argv, const int *fds, size_t fd_count, struct child **ret,
	struct err *err)
{
	/* exec wants a NULL behind the last argument. */
	AUTO_FREE char **args = calloc(argv->len + 1, sizeof(*args));
	struct child *c = calloc(1, sizeof(*c));
	if (args == NULL || c == NULL) {
		free(c);
		return err_oom(err);
	}
	for (size_t i = 0; i < argv->len; i++)
		args[i] = argv->items[i];
	*c = (struct child){.pid = -1, .pidfd = -1, .output = -1};
	if (start(c, args, fds, fd_count, err) < 0) {
		child_free(c);
		return -1;
	}
	*ret = c;
	return 0;
}

void child_free(struct child *c)
{
	if (c == NULL)
		return;
	if (c->pid > 0 && !c->ended) {
		kill(c->pid, SIGKILL);
		while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	fd_close_ptr(&c->pidfd);
	fd_close_ptr(&c->output);
	free(c);
}

void child_free_ptr(struct child **c)
{
	child_free(*c);
	*c = NULL;
}

pid_t child_pid(const struct child *c)
{
	return c->pid;
}

int child_pidfd(const struct child *c)
{
	return c->pidfd;
}

int child_signal(struct child *c, int signal, struct err *err)
{
	if (c->ended || kill(c->pid, signal) == 0 || errno == ESRCH)
		return 0;
	return err_sys(err, "cannot send signal %d to process %d", signal, (int)c->pid);
}

int child_wait(struct child *c, unsigned timeout_ms, int *ret_status, struct err *err)
{
	if (!c->ended) {
		struct pollfd p = {.fd = c->pidfd, .events = POLLIN};
		int n = poll(&p, 1, timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms);
		if (n == 0 || (n < 0 && errno == EINTR))
			return 1;
		if (n < 0 || waitpid(c->pid, &c->status, 0) != c->pid)
			return err_sys(err, "cannot wait for process %d", (int)c->pid);
		c->ended = true;
	}
	*ret_status = c->status;
	return 0;
}

char *child_status_text(int status, struct err *err)
{
	if (WIFSIGNALED(status))
		return path_printf(err, "was killed by signal %d (%s)", WTERMSIG(status),
			strsignal(WTERMSIG(status)));
	return path_printf(err, "exited with status %d", WEXITSTATUS(status));
}

int child_output(const struct child *c, size_t max_bytes, char **ret, struct err *err)
{
	struct stat st;
	if (fstat(c->output, &st) < 0)
		return err_sys(err, "cannot look at a memory file");
	size_t size = (uint64_t)st.st_size < max_bytes ? (size_t)st.st_size : max_bytes;
	AUTO_FREE char *text = malloc(size + 1);
	if (text == NULL)
		return err_oom(err);
	size_t len;
	if (fd_pread_full(c->output, text, size, (uint64_t)st.st_size - size, "a memory file", &len,
		    err) < 0)
		return -1;
	while (len > 0 && text[len - 1] == '\n')
		len--;
	text[len] = '\0';
	*ret = TAKE_PTR(text);
	return 0;
}
