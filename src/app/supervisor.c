/* The order of things is all there is to it: new workers accept before old ones are told to go, and
 * nothing that may fail happens after something that cannot be taken back. */
#include "app/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/node.h"
#include "app/notify.h"
#include "app/pid_file.h"
#include "app/run_dir.h"
#include "app/socket_plan.h"
#include "app/state_dir.h"
#include "app/supervisor_check.h"
#include "app/supervisor_config.h"
#include "app/supervisor_state.h"
#include "base/err.h"
#include "net/net_listen.h"

/* Beyond the time to drain that a worker has by its options, in milliseconds. */
#define LEAVE_GRACE_MS 5000
/* Time to drain when no configuration can be read that says it. */
#define DRAIN_UNKNOWN_MS 30000
/* The loop turns once in so many milliseconds, with nothing to do. */
#define STAY_MS 86400000

enum supervisor_step {
	SUPERVISOR_STARTING,
	SUPERVISOR_SERVING,
	SUPERVISOR_CHECKING, /* a process judges the configuration */
	SUPERVISOR_RENEWING, /* a new generation starts */
	SUPERVISOR_DRAINING,
};

/* What may be asked for while something else is under way. */
enum supervisor_wish { WISH_NONE, WISH_RELOAD, WISH_REPLACE };

struct supervisor {
	struct supervisor_opt opt;
	struct config_input in;
	struct log log;
	struct ev *ev;			      /* owned */
	struct supervisor_children *children; /* owned */
	struct supervisor_check *check;	      /* owned, NULL unless CHECKING */
	struct notify notify;
	struct pid_file pid;
	char dir[WORKER_DIR_TEXT];
	int dir_held; /* owned: see run_dir_make(); -1: inherited, and not known */
	enum supervisor_step step;
	enum supervisor_wish doing, wish;
	/* What is in force; config NULL: before the first one, or it cannot be read */
	unsigned generation;
	struct supervisor_config *config; /* owned */
	struct socket_table sockets;	  /* owned, and inherited by workers */
	/* What will be, while STARTING or RENEWING */
	struct supervisor_config *next;	  /* owned */
	struct socket_table next_sockets; /* those that `sockets` has not are owned */
	struct ev_timer deadline;	  /* of RENEWING; of the moments before DRAINING goes on */
	bool leaves;			  /* DRAINING: the doors are still to be closed */
	struct ev_signal *signals[5];	  /* owned */
	struct ev_timer stay;		  /* the loop ends when nothing but signals could come */
	int code;
};

static uint64_t supervisor_drain_ms(const struct supervisor *s)
{
	return s->config != NULL ? s->config->set.drain_ms : DRAIN_UNKNOWN_MS;
}

/* ---- sockets ---- */

/* See supervisor_children_opt.sockets. */
static const struct socket_table *supervisor_on_sockets(void *arg, unsigned generation)
{
	struct supervisor *s = arg;

	return generation > s->generation ? &s->next_sockets : &s->sockets;
}

/* Say which ones are new. */
static void supervisor_say_sockets(struct supervisor *s, const struct socket_table *t,
				   const struct socket_table *old)
{
	char text[NET_ADDR_TEXT];
	struct net_addr addr;

	for (size_t i = 0; i < t->n; i++)
		if (!socket_table_has(old, t->v[i].fd) && net_listen_adopt(t->v[i].fd, &addr) == 0)
			log_info(&s->log, "event=listen address=%s shared=1",
				 net_addr_format(&addr, text));
}

/* ---- a new generation ---- */

static void supervisor_forget_next(struct supervisor *s)
{
	char path[RUN_DIR_FILE_TEXT];

	run_dir_config(s->dir, s->generation + 1, path);
	(void)!unlink(path);
	socket_table_close(&s->next_sockets, &s->sockets);
	supervisor_config_free(s->next);
	s->next = NULL;
}

/*
 * Read the configuration, open its sockets, start its workers.
 *   why  [SUPERVISOR_CONFIG_WHY] set on failure; then all is as it was.
 */
static int supervisor_begin(struct supervisor *s, bool first, char *why)
{
	struct supervisor_generation gen = {.number = s->generation + 1, .one_first = first};
	struct socket_plan *plan = NULL;
	char path[RUN_DIR_FILE_TEXT];
	int e;

	run_dir_config(s->dir, gen.number, path);
	if ((e = supervisor_config_freeze(&s->in, path, &s->next, why)) != 0)
		goto out;
	gen.n = MAX(karezd_workers(&s->next->set), 1u);
	gen.leave_ms = s->next->set.drain_ms + LEAVE_GRACE_MS;
	if ((plan = calloc(1, sizeof *plan)) == NULL) {
		e = ERR_NOMEM;
		str_printf(why, SUPERVISOR_CONFIG_WHY, "%s", err_text(e));
		goto out;
	}
	socket_plan_of(&s->next->set, plan);
	if ((first && (e = socket_plan_match(plan, &s->sockets, why)) != 0) ||
	    (e = socket_plan_open(plan, &s->sockets, &s->next_sockets, why)) != 0)
		goto out;
	if ((e = supervisor_children_begin(s->children, &gen)) != 0)
		str_printf(why, SUPERVISOR_CONFIG_WHY,
			   "cannot start the workers: %s; too many older ones still drain",
			   err_text(e));
out:
	if (e != 0)
		supervisor_forget_next(s);
	else
		supervisor_say_sockets(s, &s->next_sockets, &s->sockets);
	free(plan);
	return e;
}

static void supervisor_again(struct supervisor *s);

/* A reload is over; why NULL: it is in force. */
static void supervisor_reloaded(struct supervisor *s, const char *why)
{
	if (why == NULL)
		log_info(&s->log, "event=reload generation=%u workers=%u msg=\"in force\"",
			 s->generation, MAX(karezd_workers(&s->config->set), 1u));
	else
		log_error(&s->log, "event=reload msg=\"%s; everything stays as it is\"", why);
	pid_file_tell(&s->pid, why == NULL ? "ok" : why);
	s->step = SUPERVISOR_SERVING;
	s->doing = WISH_NONE;
	notify_ready(&s->notify);
	supervisor_again(s);
}

/* The new generation is not wanted after all. */
static void supervisor_give_up(struct supervisor *s, const char *why)
{
	ev_timer_stop(s->ev, &s->deadline);
	supervisor_children_abort(s->children, s->generation + 1);
	supervisor_forget_next(s);
	supervisor_reloaded(s, why);
}

static void supervisor_on_ready(void *arg, unsigned generation)
{
	struct supervisor *s = arg;
	bool first = s->step == SUPERVISOR_STARTING;
	char path[RUN_DIR_FILE_TEXT];

	if ((!first && s->step != SUPERVISOR_RENEWING) || generation != s->generation + 1)
		return;
	ev_timer_stop(s->ev, &s->deadline);
	supervisor_children_retire(s->children, s->generation);
	run_dir_config(s->dir, s->generation, path);
	(void)!unlink(path);
	s->generation = generation;
	socket_table_close(&s->sockets, &s->next_sockets);
	s->sockets = s->next_sockets;
	s->next_sockets.n = 0;
	supervisor_config_free(s->config);
	MOVE(s->config, s->next);
	s->log.level = (enum log_level)s->config->set.log_level;
	notify_status(&s->notify, "tunnels under %s", s->config->set.domain);
	if (!first) {
		supervisor_reloaded(s, NULL);
		return;
	}
	log_info(&s->log, "event=ready workers=%u", karezd_workers(&s->config->set));
	s->step = SUPERVISOR_SERVING;
	notify_ready(&s->notify);
	supervisor_again(s);
}

static void supervisor_drain(struct supervisor *s);
static void supervisor_hide(struct supervisor *s, struct socket_table *t);

static void supervisor_on_failed(void *arg, unsigned generation, int code)
{
	struct supervisor *s = arg;

	if (s->step == SUPERVISOR_STARTING) {
		s->code = code != 0 ? code : 1;
		supervisor_drain(s);
	} else if (s->step == SUPERVISOR_RENEWING && generation > s->generation) {
		supervisor_give_up(s, "a worker does not start, see above");
	}
}

static void supervisor_on_gone(void *arg)
{
	struct supervisor *s = arg;

	if (s->step != SUPERVISOR_DRAINING || supervisor_children_n(s->children) > 0)
		return;
	log_info(&s->log, "event=stop msg=\"all workers have ended\"");
	ev_stop(s->ev);
}

static void supervisor_on_deadline(void *arg)
{
	struct supervisor *s = arg;

	if (s->step == SUPERVISOR_RENEWING) {
		supervisor_give_up(s, "the new workers are not ready in time");
	} else if (s->step == SUPERVISOR_DRAINING && s->leaves) {
		s->leaves = false;
		supervisor_hide(s, &s->sockets);
		ev_timer_set(s->ev, &s->deadline, NODE_DRAIN_LEAST_MS);
	} else if (s->step == SUPERVISOR_DRAINING) {
		supervisor_children_retire(s->children, UINT32_MAX);
		supervisor_on_gone(s);
	}
}

/* ---- another program in our place ---- */

static void supervisor_inherit(struct supervisor *s, bool on)
{
	socket_table_inherit(&s->sockets, on);
	if (s->pid.fd >= 0)
		(void)fcntl(s->pid.fd, F_SETFD, on ? 0 : FD_CLOEXEC);
}

/* The environment with our state in it, NULL without memory. more: NAME=value. */
static char **supervisor_environment(const struct supervisor *s, char *more)
{
	char **envp, *const *from = s->opt.envp;
	size_t n = 0, kept = 0;

	while (from[n] != NULL)
		n++;
	if ((envp = calloc(n + 2, sizeof *envp)) == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (!str_starts(str_of(from[i]), STR(SUPERVISOR_STATE_ENV "=")))
			envp[kept++] = from[i];
	envp[kept] = more;
	return envp;
}

/* Returns only when it fails: why. Signals wait until the other program has its handlers. */
static const char *supervisor_exec(struct supervisor *s)
{
	struct supervisor_state state = {.generation = s->generation,
					 .pid_fd = s->pid.fd,
					 .n_reloads = s->pid.n_reloads,
					 .sockets = s->sockets};
	struct buf text = {.mem = NULL};
	char *more = NULL, **envp = NULL;
	sigset_t all, before;
	int errnum = ENOMEM;

	str_printf(state.dir, sizeof state.dir, "%s", s->dir);
	if (supervisor_state_write(&state, s->children, &text) != 0 ||
	    asprintf(&more, SUPERVISOR_STATE_ENV "=" STR_FMT, STR_ARG(buf_str(&text))) < 0) {
		more = NULL;
		goto out;
	}
	if ((envp = supervisor_environment(s, more)) == NULL)
		goto out;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	supervisor_inherit(s, true);
	execvpe(s->opt.argv[0], s->opt.argv, envp);
	errnum = errno;
	supervisor_inherit(s, false);
	sigprocmask(SIG_SETMASK, &before, NULL);
out:
	buf_free(&text);
	free(more);
	free(envp);
	return strerror(errnum);
}

/* ---- reading the configuration again ---- */

static void supervisor_on_checked(void *arg, const char *why)
{
	struct supervisor *s = arg;
	char reason[SUPERVISOR_CONFIG_WHY];
	int e = 0;

	supervisor_check_free(s->check);
	s->check = NULL;
	if (why == NULL && s->doing == WISH_REPLACE) {
		log_info(&s->log, "event=replace program=%s", s->opt.argv[0]);
		why = supervisor_exec(s);
	} else if (why == NULL) {
		s->step = SUPERVISOR_RENEWING;
		ev_timer_set(s->ev, &s->deadline, SUPERVISOR_READY_MS);
		if ((e = supervisor_begin(s, false, reason)) != 0) {
			ev_timer_stop(s->ev, &s->deadline);
			why = reason;
		}
	}
	if (why != NULL)
		supervisor_reloaded(s, why);
}

static void supervisor_want(struct supervisor *s, enum supervisor_wish wish)
{
	struct supervisor_check_opt opt = {.program = wish == WISH_REPLACE ? s->opt.argv[0]
									   : "/proc/self/exe",
					   .argv = s->opt.argv,
					   .envp = s->opt.envp,
					   .sockets = &s->sockets,
					   .done = supervisor_on_checked,
					   .arg = s};
	int e;

	if (s->step != SUPERVISOR_SERVING) {
		s->wish = MAX(s->wish, wish);
		return;
	}
	s->doing = wish;
	notify_reloading(&s->notify);
	s->step = SUPERVISOR_CHECKING;
	if ((e = supervisor_check_new(s->ev, &opt, &s->check)) != 0)
		supervisor_reloaded(s, err_text(e));
}

/* What was asked for meanwhile. */
static void supervisor_again(struct supervisor *s)
{
	enum supervisor_wish wish = s->wish;

	s->wish = WISH_NONE;
	if (wish != WISH_NONE)
		supervisor_want(s, wish);
}

/* ---- the end ---- */

/*
 * Nobody new shall find our sockets, but who is there already is accepted still, by the workers; so
 * they are told a moment later. Those of a service manager it keeps, with whoever waits there.
 */
static void supervisor_hide(struct supervisor *s, struct socket_table *t)
{
	struct socket_table left = {.n = 0};

	for (size_t i = 0; i < t->n; i++) {
		struct socket_entry *at = &t->v[i];
		struct str addr = str_of(at->addr);
		int e = 0;

		if (at->foreign)
			e = ERR_DENIED;
		else if (str_starts(addr, STR("unix:")))
			(void)!unlink(addr.p + 5);
		else
			e = net_listen_hide(at->fd);
		if (e == 0 && socket_table_add(&left, at->fd, true, at->addr) == 0)
			continue;
		close(at->fd);
	}
	*t = left;
}

static void supervisor_drain(struct supervisor *s)
{
	bool started = s->step != SUPERVISOR_STARTING;
	uint64_t delay_ms;

	supervisor_check_free(s->check);
	s->check = NULL;
	if (s->step == SUPERVISOR_RENEWING) {
		supervisor_children_abort(s->children, s->generation + 1);
		supervisor_forget_next(s);
	}
	s->step = SUPERVISOR_DRAINING;
	delay_ms = started && s->config != NULL ? s->config->set.drain_delay_ms : 0;
	log_info(&s->log, "event=drain delay_ms=%llu timeout_ms=%llu", (unsigned long long)delay_ms,
		 (unsigned long long)supervisor_drain_ms(s));
	notify_stopping(&s->notify, delay_ms + supervisor_drain_ms(s) + LEAVE_GRACE_MS);
	s->leaves = started;
	if (delay_ms > 0)
		supervisor_children_announce(s->children);
	ev_timer_set(s->ev, &s->deadline, delay_ms);
}

static void supervisor_on_term(void *arg)
{
	struct supervisor *s = arg;

	if (s->step != SUPERVISOR_DRAINING) {
		supervisor_drain(s);
		return;
	}
	log_warn(&s->log, "event=stop msg=\"second signal, stopping at once\"");
	supervisor_children_retire(s->children, UINT32_MAX);
	supervisor_children_cut(s->children);
	supervisor_on_gone(s);
}

static void supervisor_on_hangup(void *arg)
{
	supervisor_want(arg, WISH_RELOAD);
}

static void supervisor_on_replace(void *arg)
{
	supervisor_want(arg, WISH_REPLACE);
}

static void supervisor_on_child(void *arg)
{
	struct supervisor *s = arg;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (!supervisor_check_reaped(s->check, pid, status))
			(void)supervisor_children_reaped(s->children, pid, status);
}

/* ---- the start ---- */

static void supervisor_on_stay(void *arg)
{
	struct supervisor *s = arg;

	ev_timer_set(s->ev, &s->stay, STAY_MS);
}

static int supervisor_fail(const char *why)
{
	fprintf(stderr, "karezd: %s\n", why);
	return 1;
}

static int supervisor_open(struct supervisor *s)
{
	static const struct {
		int number;
		void (*fn)(void *arg);
	} signals[] = {{SIGTERM, supervisor_on_term},
		       {SIGINT, supervisor_on_term},
		       {SIGHUP, supervisor_on_hangup},
		       {SIGUSR2, supervisor_on_replace},
		       {SIGCHLD, supervisor_on_child}};
	struct supervisor_children_opt children = {.argv = s->opt.argv,
						   .envp = s->opt.envp,
						   .dir = s->dir,
						   .log = &s->log,
						   .sockets = supervisor_on_sockets,
						   .ready = supervisor_on_ready,
						   .failed = supervisor_on_failed,
						   .gone = supervisor_on_gone,
						   .arg = s};
	sigset_t none;

	if (ev_new(&s->ev) != 0 || supervisor_children_new(s->ev, &children, &s->children) != 0)
		return supervisor_fail("cannot start: no event loop");
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		if (ev_signal_new(s->ev, signals[i].number, signals[i].fn, s, &s->signals[i]) != 0)
			return supervisor_fail("cannot start: no signal handlers");
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL); /* see supervisor_exec() */
	return 0;
}

static void supervisor_take_pid(struct supervisor *s, const char *state_dir)
{
	char why[PID_FILE_TEXT];
	int e = pid_file_take(&s->pid, state_dir, why);

	if (e != 0)
		log_warn(&s->log, "event=pid-file error=%s msg=\"%s\"", err_name(e), why);
}

/* From nothing. */
static int supervisor_start(struct supervisor *s)
{
	char why[SUPERVISOR_CONFIG_WHY], state_dir[PID_FILE_PATH];
	struct supervisor_config *now;

	if (supervisor_config_load(&s->in, &now, why) != 0)
		return supervisor_fail(why);
	state_dir_find(now->set.state_dir, state_dir, sizeof state_dir);
	s->log.level = (enum log_level)now->set.log_level;
	supervisor_config_free(now);
	s->sockets = s->opt.given->sockets;
	s->opt.given->sockets.n = 0;
	if (run_dir_make(state_dir, s->dir, &s->dir_held, why) != 0 ||
	    supervisor_begin(s, true, why) != 0)
		return supervisor_fail(why);
	supervisor_take_pid(s, state_dir);
	notify_status(&s->notify, "waiting for the workers");
	return 0;
}

/* What was is known again; whatever is wrong now, those workers go on. */
static int supervisor_adopt(struct supervisor *s, const struct supervisor_state *was)
{
	struct supervisor_generation gen = {.n = 0};
	struct str rest = was->workers, line;
	char path[RUN_DIR_FILE_TEXT], why[SUPERVISOR_CONFIG_WHY];
	struct net_addr addr;

	str_printf(s->dir, sizeof s->dir, "%s", was->dir);
	s->generation = was->generation;
	s->sockets = was->sockets;
	s->pid.fd = was->pid_fd;
	s->pid.n_reloads = was->n_reloads;
	if (s->pid.fd >= 0)
		(void)fcntl(s->pid.fd, F_SETFD, FD_CLOEXEC);
	for (size_t i = 0; i < s->sockets.n; i++)
		if (net_listen_adopt(s->sockets.v[i].fd, &addr) != 0)
			return ERR_PROTO;
	run_dir_config(s->dir, s->generation, path);
	if (supervisor_config_thaw(&s->in, path, &s->config, why) != 0)
		s->config = NULL;
	else
		s->log.level = (enum log_level)s->config->set.log_level;
	gen.leave_ms = supervisor_drain_ms(s) + LEAVE_GRACE_MS;
	while (str_next(&rest, '\n', &line))
		if (line.len > 0 && supervisor_children_read(s->children, line, &gen) != 0)
			return ERR_PROTO;
	return 0;
}

/* From what another program has left. */
static int supervisor_resume(struct supervisor *s)
{
	struct supervisor_state *was = must_calloc(1, sizeof *was);
	char why[SUPERVISOR_CONFIG_WHY], state_dir[PID_FILE_PATH];
	int e = supervisor_state_read(str_of(getenv(SUPERVISOR_STATE_ENV)), was);

	if (e == 0)
		e = supervisor_adopt(s, was);
	unsetenv(SUPERVISOR_STATE_ENV);
	free(was);
	if (e != 0)
		return supervisor_fail(
			"cannot read what the former program has left in " SUPERVISOR_STATE_ENV);
	state_dir_find(s->config != NULL ? s->config->set.state_dir : NULL, state_dir,
		       sizeof state_dir);
	if (s->pid.fd >= 0)
		supervisor_take_pid(s, state_dir);
	supervisor_on_child(s); /* who has ended meanwhile */
	s->step = SUPERVISOR_RENEWING;
	s->doing = WISH_REPLACE;
	ev_timer_set(s->ev, &s->deadline, SUPERVISOR_READY_MS);
	if (supervisor_begin(s, false, why) != 0) {
		ev_timer_stop(s->ev, &s->deadline);
		supervisor_reloaded(s, why);
	}
	return 0;
}

static void supervisor_free(struct supervisor *s)
{
	if (s->ev != NULL) {
		ev_timer_stop(s->ev, &s->deadline);
		ev_timer_stop(s->ev, &s->stay);
		notify_end(&s->notify);
		supervisor_check_free(s->check);
		supervisor_children_free(s->children);
		for (size_t i = 0; i < ARRAY_LEN(s->signals); i++)
			ev_signal_free(s->signals[i]);
		ev_free(s->ev);
	}
	socket_table_close(&s->next_sockets, &s->sockets);
	socket_table_close(&s->sockets, NULL);
	supervisor_config_free(s->next);
	supervisor_config_free(s->config);
	run_dir_remove(s->dir);
	if (s->dir_held >= 0)
		close(s->dir_held);
	pid_file_drop(&s->pid);
	free(s);
}

bool supervisor_was(void)
{
	return getenv(SUPERVISOR_STATE_ENV) != NULL;
}

int supervisor_run(const struct supervisor_opt *opt)
{
	struct supervisor *s = must_calloc(1, sizeof *s);
	int code;

	s->opt = *opt;
	s->in = (struct config_input){opt->argc, opt->argv, opt->envp};
	s->pid.fd = s->dir_held = -1;
	s->deadline = (struct ev_timer){.fn = supervisor_on_deadline, .arg = s};
	s->stay = (struct ev_timer){.fn = supervisor_on_stay, .arg = s};
	log_init_stderr(&s->log, LOG_INFO);
	if ((code = supervisor_open(s)) == 0) {
		notify_begin_here(&s->notify, s->ev);
		code = supervisor_was() ? supervisor_resume(s) : supervisor_start(s);
	}
	if (code == 0) {
		supervisor_on_stay(s);
		ev_run(s->ev);
		code = s->code;
	}
	supervisor_free(s);
	return code;
}
