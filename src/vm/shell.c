/* SPDX-License-Identifier: MIT */
/*
 * A command's output is framed by lines that begin with the control character SOH (\001). It is
 * typed as the four characters "\001" for printf to expand, so the terminal's echo of what we
 * type can never be taken for the frame.
 */
#include "vm/shell.h"

#include "base/path.h"
#include "vm/deadline.h"

#include <stdlib.h>
#include <string.h>

/* N_TTY_BUF_SIZE of Linux is 4096: a longer line is cut without a word. */
#define COMMAND_MAX 3500

/* A line that login(1) threw away, or that a kernel's message tore, is typed again after this. */
#define AGAIN_MS 15000

int shell_adopt(struct console *c, unsigned timeout_ms, struct err *err)
{
	ERR_SCOPE(err, "setting up the shell");
	uint64_t deadline = deadline_in(timeout_ms);
	for (;;) {
		/* The first line may be seen by a shell that is still reading its profile. */
		if (console_send(c,
			    "\nstty -echo cols 1000 2>/dev/null; PS1= PS2= PROMPT_COMMAND=; "
			    "dmesg -n 1 2>/dev/null; printf '\\001ready\\n'\n",
			    err) < 0)
			return -1;
		unsigned left = (unsigned)deadline_left_ms(deadline);
		bool last = left <= AGAIN_MS;
		int r = console_expect(c, "\001ready\n", last ? left : AGAIN_MS, NULL, err);
		if (r == 0 || last || err->kind != ERR_AGAIN)
			return r;
		err_reset(err);
	}
}

int shell_login(struct console *c, const char *user, const char *password, unsigned timeout_ms,
	struct err *err)
{
	uint64_t deadline = deadline_in(timeout_ms);
	/* What boots may go on to talk on the same line. */
	if (console_expect(c, "login: ", timeout_ms, NULL, err) < 0)
		return -1;
	AUTO_FREE char *line = path_printf(err, "%s\n", user);
	if (line == NULL || console_send(c, line, err) < 0)
		return -1;
	if (password != NULL) {
		AUTO_FREE char *secret = path_printf(err, "%s\n", password);
		if (secret == NULL ||
			console_expect(c, "[Pp]assword: ", (unsigned)deadline_left_ms(deadline),
				NULL, err) < 0 ||
			console_send(c, secret, err) < 0)
			return -1;
	}
	/* A prompt is the sign that login(1) has thrown away what was typed before it. One that
	 * something else was said behind is not seen: then a shell is there when that has come. */
	unsigned left = (unsigned)deadline_left_ms(deadline);
	if (console_expect(c, "[#$] *$", left / 4, NULL, err) < 0) {
		if (err->kind != ERR_AGAIN)
			return -1;
		err_reset(err);
	}
	return shell_adopt(c, (unsigned)deadline_left_ms(deadline), err);
}

int shell_run(struct console *c, const char *command, unsigned timeout_ms, int *ret_status,
	char **ret_output, struct err *err)
{
	ERR_SCOPE(err, "running '%.100s'", command);
	if (strlen(command) > COMMAND_MAX)
		return err_raise(err, ERR_USAGE, "a command of %zu bytes > max %d for a terminal",
			strlen(command), COMMAND_MAX);
	AUTO_FREE char *line = path_printf(err,
		"printf '\\001begin\\n'; { %s\n} 2>&1 </dev/null; printf '\\n\\001end %%d\\n' $?\n",
		command);
	if (line == NULL || console_send(c, line, err) < 0)
		return -1;
	uint64_t deadline = deadline_in(timeout_ms);
	AUTO_FREE char *status = NULL;
	if (console_expect(c, "^\001begin\n", timeout_ms, NULL, err) < 0 ||
		console_expect(c, "^\001end ([0-9]+)\n", (unsigned)deadline_left_ms(deadline),
			&status, err) < 0)
		return -1;
	const char *text = console_before(c);
	const char *end = strstr(text, "\n\001end ");
	while (*text == '\n')
		text++;
	while (end > text && end[-1] == '\n')
		end--;
	char *output = end > text ? strndup(text, (size_t)(end - text)) : strdup("");
	if (output == NULL)
		return err_oom(err);
	*ret_status = (int)strtol(status, NULL, 10);
	if (ret_output != NULL)
		*ret_output = output;
	else
		free(output);
	return 0;
}

int shell_must(struct console *c, const char *command, unsigned timeout_ms, char **ret_output,
	struct err *err)
{
	int status;
	AUTO_FREE char *output = NULL;
	if (shell_run(c, command, timeout_ms, &status, &output, err) < 0)
		return -1;
	if (status != 0)
		return err_raise(
			err, ERR_IO, "'%.200s' ended with status %d: %s", command, status, output);
	if (ret_output != NULL)
		*ret_output = TAKE_PTR(output);
	return 0;
}
