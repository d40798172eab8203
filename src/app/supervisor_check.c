/* What a new configuration, or a new program, would do at its start must not happen to the process
 * that serves. */
#include "app/supervisor_check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/supervisor_state.h"
#include "base/err.h"
#include "base/show.h"

struct supervisor_check {
	struct ev *ev;
	void (*done)(void *arg, const char *why);
	void *arg;
	pid_t pid;
	int said;	       /* owned: what it writes */
	struct ev_io *reading; /* owned */
	struct ev_timer deadline;
	bool late;
	char text[SUPERVISOR_CHECK_TEXT];
	size_t len;
};

/* What is beyond the room is thrown away. */
static void supervisor_check_read(struct supervisor_check *c)
{
	char bytes[1024];
	ssize_t n;

	while ((n = read(c->said, bytes, sizeof bytes)) > 0) {
		size_t kept = MIN((size_t)n, sizeof c->text - 1 - c->len);

		memcpy(c->text + c->len, bytes, kept);
		c->len += kept;
	}
	if (n == 0)
		ev_io_want(c->reading, 0);
}

static void supervisor_check_on_said(void *arg, int events)
{
	supervisor_check_read(arg);
}

static void supervisor_check_on_late(void *arg)
{
	struct supervisor_check *c = arg;

	c->late = true;
	kill(c->pid, SIGKILL);
}

/* What happens in the new process: karezd check ..., and its words go to the pipe. */
static _Noreturn void supervisor_check_exec(const struct supervisor_check_opt *opt, char **argv,
					    char **envp, int said)
{
	static const int usual[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR2, SIGCHLD};
	sigset_t none;

	for (size_t i = 0; i < ARRAY_LEN(usual); i++)
		signal(usual[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (dup2(said, STDERR_FILENO) >= 0 && dup2(STDERR_FILENO, STDOUT_FILENO) >= 0)
		execvpe(opt->program, argv, envp);
	_exit(126);
}

/* argv with more[0] behind the first word, and the environment with more[1] as well. */
static int supervisor_check_words(const struct supervisor_check_opt *opt, char *const more[2],
				  char ***argv, char ***envp)
{
	char *command = more[0];
	size_t n = 0, m = 0;

	while (opt->argv[n] != NULL)
		n++;
	while (opt->envp[m] != NULL)
		m++;
	*argv = calloc(n + 3, sizeof **argv);
	*envp = calloc(m + 2, sizeof **envp);
	if (*argv == NULL || *envp == NULL)
		return ERR_NOMEM;
	(*argv)[0] = n > 0 ? opt->argv[0] : command;
	(*argv)[1] = command;
	for (size_t i = 1; i < n; i++)
		(*argv)[i + 1] = opt->argv[i];
	for (size_t i = m = 0; opt->envp[i] != NULL; i++)
		if (!str_starts(str_of(opt->envp[i]), STR(SUPERVISOR_STATE_ENV "=")))
			(*envp)[m++] = opt->envp[i];
	(*envp)[m] = more[1];
	return 0;
}

static int supervisor_check_fork(struct supervisor_check *c, const struct supervisor_check_opt *opt,
				 int said)
{
	char **argv = NULL, **envp = NULL, *table = socket_table_format(opt->sockets);
	char command[] = "check", *more[2] = {command, NULL};
	sigset_t all, before;
	int e = ERR_NOMEM;

	if (table == NULL || asprintf(&more[1], SUPERVISOR_CHECK_ENV "=%s", table) < 0)
		more[1] = NULL;
	if (more[1] == NULL || (e = supervisor_check_words(opt, more, &argv, &envp)) != 0)
		goto out;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	if ((c->pid = fork()) == 0)
		supervisor_check_exec(opt, argv, envp, said);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (c->pid < 0) {
		e = err_from_errno(errno);
		c->pid = 0;
	}
out:
	free(table);
	free(more[1]);
	free(argv);
	free(envp);
	return e;
}

int supervisor_check_new(struct ev *ev, const struct supervisor_check_opt *opt,
			 struct supervisor_check **out)
{
	struct supervisor_check *c = calloc(1, sizeof *c);
	int fds[2] = {-1, -1}, e = ERR_NOMEM;

	if (c == NULL)
		return e;
	c->ev = ev;
	c->said = -1;
	c->done = opt->done;
	c->arg = opt->arg;
	c->deadline = (struct ev_timer){.fn = supervisor_check_on_late, .arg = c};
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) {
		e = err_from_errno(errno);
		goto out;
	}
	c->said = fds[0];
	(void)fcntl(fds[1], F_SETFL, 0); /* whoever writes there expects to be able to */
	if ((e = ev_io_new(ev, c->said, supervisor_check_on_said, c, &c->reading)) != 0 ||
	    (e = supervisor_check_fork(c, opt, fds[1])) != 0)
		goto out;
	ev_io_want(c->reading, EV_READ);
	ev_timer_set(ev, &c->deadline, SUPERVISOR_CHECK_MS);
	MOVE(*out, c);
out:
	if (fds[1] >= 0)
		close(fds[1]);
	supervisor_check_free(c);
	return e;
}

bool supervisor_check_reaped(struct supervisor_check *c, pid_t pid, int status)
{
	char why[SUPERVISOR_CHECK_TEXT];
	struct str line;

	if (c == NULL || c->pid != pid)
		return false;
	c->pid = 0;
	supervisor_check_read(c);
	line = (struct str){c->text, str_find((struct str){c->text, c->len}, '\n')};
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		c->done(c->arg, NULL);
		return true;
	}
	if (c->late)
		line = STR("the check of the configuration takes too long");
	else if (line.len == 0)
		line = STR("the program that would check the configuration does not run");
	show_quoted(why, sizeof why, line);
	c->done(c->arg, why);
	return true;
}

void supervisor_check_free(struct supervisor_check *c)
{
	if (c == NULL)
		return;
	ev_timer_stop(c->ev, &c->deadline);
	ev_io_free(c->reading);
	if (c->said >= 0)
		close(c->said);
	if (c->pid > 0)
		kill(c->pid, SIGKILL); /* reaped with the others */
	ev_free_later(c->ev, c);
}
