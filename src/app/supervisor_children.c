/* What happens to one worker happens to no other one: that is what they are for. */
#include "app/supervisor_children.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/run_dir.h"
#include "base/err.h"
#include "base/num.h"

enum child_state { CHILD_WAITS, CHILD_STARTING, CHILD_READY, CHILD_RESTING, CHILD_LEAVING };

struct child {
	struct list link;
	struct supervisor_children *all; /* borrowed: owns it */
	struct supervisor_generation gen;
	unsigned index;
	enum child_state state;
	pid_t pid; /* 0: it does not run */
	bool says;
	bool was_ready; /* once, in any life */
	uint64_t started_ms, pause_ms;
	struct ev_timer timer; /* RESTING: start; LEAVING: it has had its time */
	int ready_fd;	       /* owned; -1 unless STARTING */
	struct ev_io *ready;   /* owned */
};

struct supervisor_children {
	struct ev *ev;
	struct supervisor_children_opt opt;
	struct list children; /* owned */
	size_t n;
};

uint64_t supervisor_pause(uint64_t last_ms, uint64_t lived_ms)
{
	if (last_ms == 0 || lived_ms >= SUPERVISOR_LIFE_MS)
		return SUPERVISOR_PAUSE_FIRST_MS;
	return MIN(last_ms * 2, (uint64_t)SUPERVISOR_PAUSE_LAST_MS);
}

static struct child *child_of(struct list *link)
{
	return CONTAINER_OF(link, struct child, link);
}

static const struct socket_table *child_sockets(const struct child *c)
{
	return c->all->opt.sockets(c->all->opt.arg, c->gen.number);
}

/* ---- starting one ---- */

static bool child_is_ours(const char *name)
{
	static const char *const ours[] = {
		WORKER_ENV "=",	  WORKER_ENV_DIR "=", WORKER_ENV_SOCKETS "=", "KAREZ_SUPERVISOR=",
		"NOTIFY_SOCKET=", "WATCHDOG_USEC=",   "WATCHDOG_PID=",	      "LISTEN_PID=",
		"LISTEN_FDS=",	  "LISTEN_FDNAMES=",
	};

	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		if (str_starts(str_of(name), str_of(ours[i])))
			return true;
	return false;
}

/* What a process is started with; all is freed by child_start_free(). */
struct child_start {
	char **argv, **envp;
	char *own[4]; /* texts made for it */
	int ready[2];
};

static char *child_text(const char *name, const char *value)
{
	size_t cap = strlen(name) + strlen(value) + 2;
	char *text = malloc(cap);

	if (text != NULL)
		str_printf(text, cap, "%s=%s", name, value);
	return text;
}

static void child_start_free(struct child_start *s)
{
	for (size_t i = 0; i < ARRAY_LEN(s->own); i++)
		free(s->own[i]);
	free(s->argv);
	free(s->envp);
	for (size_t i = 0; i < ARRAY_LEN(s->ready); i++)
		if (s->ready[i] >= 0)
			close(s->ready[i]);
}

static int child_start_texts(const struct child *c, struct child_start *s)
{
	char numbers[64], path[RUN_DIR_FILE_TEXT];
	char *sockets = socket_table_format(child_sockets(c));

	str_printf(numbers, sizeof numbers, "%u %d %d", c->index, c->says, s->ready[1]);
	run_dir_config(c->all->opt.dir, c->gen.number, path);
	s->own[0] = child_text(WORKER_ENV, numbers);
	s->own[1] = child_text(WORKER_ENV_DIR, c->all->opt.dir);
	s->own[2] = sockets != NULL ? child_text(WORKER_ENV_SOCKETS, sockets) : NULL;
	s->own[3] = child_text("--config", path);
	free(sockets);
	for (size_t i = 0; i < ARRAY_LEN(s->own); i++)
		if (s->own[i] == NULL)
			return ERR_NOMEM;
	return 0;
}

static size_t child_count(char *const *texts)
{
	size_t n = 0;

	while (texts[n] != NULL)
		n++;
	return n;
}

/* The command line with another --config behind it: the last one counts. */
static int child_start_new(const struct child *c, struct child_start *s)
{
	char *const *argv = c->all->opt.argv, *const *envp = c->all->opt.envp;
	size_t n = child_count(argv), kept = 0;

	*s = (struct child_start){.ready = {-1, -1}};
	if (pipe2(s->ready, O_CLOEXEC) != 0) {
		s->ready[0] = s->ready[1] = -1;
		return err_from_errno(errno);
	}
	s->argv = calloc(n + 2, sizeof *s->argv);
	s->envp = calloc(child_count(envp) + 4, sizeof *s->envp);
	if (s->argv == NULL || s->envp == NULL || child_start_texts(c, s) != 0)
		return ERR_NOMEM;
	memcpy(s->argv, argv, n * sizeof *argv);
	s->argv[n] = s->own[3];
	for (size_t i = 0; envp[i] != NULL; i++)
		if (!child_is_ours(envp[i]))
			s->envp[kept++] = envp[i];
	for (size_t i = 0; i < 3; i++)
		s->envp[kept++] = s->own[i];
	return 0;
}

/*
 * In the new process. The keyboard and a hang-up are the supervisor's business; and when that is
 * killed nobody would ever end us.
 */
static _Noreturn void child_exec(const struct child *c, const struct child_start *s,
				 pid_t supervisor, const sigset_t *mask)
{
	static const int ignored[] = {SIGINT, SIGHUP, SIGUSR2}, usual[] = {SIGTERM, SIGCHLD};

	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		signal(ignored[i], SIG_IGN);
	for (size_t i = 0; i < ARRAY_LEN(usual); i++)
		signal(usual[i], SIG_DFL);
	sigprocmask(SIG_SETMASK, mask, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() == supervisor) {
		socket_table_inherit(child_sockets(c), true);
		(void)fcntl(s->ready[1], F_SETFD, 0);
		execve("/proc/self/exe", s->argv, s->envp);
	}
	_exit(126);
}

static void child_rest(struct child *c, uint64_t lived_ms);
static void child_on_ready(void *arg, int events);

static int child_fork(struct child *c, struct child_start *s)
{
	pid_t self = getpid();
	sigset_t all, before;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before); /* our handlers are not for the new process */
	if ((c->pid = fork()) == 0)
		child_exec(c, s, self, &before);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (c->pid > 0)
		return 0;
	c->pid = 0;
	return err_from_errno(errno);
}

static void child_end_ready(struct child *c)
{
	ev_io_free(c->ready);
	c->ready = NULL;
	if (c->ready_fd >= 0)
		close(c->ready_fd);
	c->ready_fd = -1;
}

static void child_start(struct child *c)
{
	struct child_start s;
	int e = child_start_new(c, &s);

	c->started_ms = ev_now_ms(c->all->ev);
	if (e == 0 && (e = ev_io_new(c->all->ev, s.ready[0], child_on_ready, c, &c->ready)) == 0 &&
	    (e = child_fork(c, &s)) == 0) {
		c->state = CHILD_STARTING;
		c->ready_fd = s.ready[0];
		s.ready[0] = -1;
		ev_io_want(c->ready, EV_READ);
		c->says = false; /* once is enough */
		log_debug(c->all->opt.log, "event=worker-start worker=%u pid=%d", c->index,
			  (int)c->pid);
	} else {
		log_error(c->all->opt.log, "event=worker-start worker=%u error=%s msg=\"%s\"",
			  c->index, err_name(e), err_text(e));
		child_end_ready(c);
		child_rest(c, 0);
	}
	child_start_free(&s);
}

static void child_on_timer(void *arg)
{
	struct child *c = arg;

	if (c->state == CHILD_RESTING) {
		child_start(c);
	} else if (c->state == CHILD_LEAVING && c->pid > 0) {
		log_warn(c->all->opt.log,
			 "event=worker-late worker=%u pid=%d msg=\"it does not end, killing it\"",
			 c->index, (int)c->pid);
		kill(c->pid, SIGKILL);
	}
}

static void child_rest(struct child *c, uint64_t lived_ms)
{
	c->state = CHILD_RESTING;
	c->pause_ms = supervisor_pause(c->pause_ms, lived_ms);
	ev_timer_set(c->all->ev, &c->timer, c->pause_ms);
}

static void child_free(struct child *c)
{
	child_end_ready(c);
	ev_timer_stop(c->all->ev, &c->timer);
	list_del(&c->link);
	c->all->n--;
	ev_free_later(c->all->ev, c);
}

/* ---- becoming ready ---- */

static void child_on_generation(struct supervisor_children *all, unsigned generation)
{
	LIST_FOR_EACH (link, &all->children) {
		struct child *c = child_of(link);

		/* one of a generation that was given up may have this number, and still end */
		if (c->gen.number == generation && c->state != CHILD_LEAVING && !c->was_ready)
			return;
	}
	all->opt.ready(all->opt.arg, generation);
}

static void child_start_waiting(struct supervisor_children *all, unsigned generation)
{
	LIST_FOR_EACH (link, &all->children) {
		struct child *c = child_of(link);

		if (c->gen.number == generation && c->state == CHILD_WAITS)
			child_start(c);
	}
}

static void child_on_ready(void *arg, int events)
{
	struct child *c = arg;
	bool first = !c->was_ready;
	char byte;

	if (read(c->ready_fd, &byte, 1) != 1) {
		child_end_ready(c); /* its end will be told */
		return;
	}
	child_end_ready(c);
	if (c->state != CHILD_STARTING)
		return;
	c->state = CHILD_READY;
	c->was_ready = true;
	if (!first)
		return;
	child_start_waiting(c->all, c->gen.number);
	child_on_generation(c->all, c->gen.number);
}

/* ---- ending ---- */

static void child_tell(struct child *c)
{
	if (c->state == CHILD_LEAVING)
		return;
	if (c->pid == 0) {
		child_free(c);
		return;
	}
	c->state = CHILD_LEAVING;
	child_end_ready(c);
	kill(c->pid, SIGTERM);
	ev_timer_set(c->all->ev, &c->timer, c->gen.leave_ms);
}

void supervisor_children_retire(struct supervisor_children *c, unsigned generation)
{
	LIST_FOR_EACH_SAFE (link, &c->children)
		if (child_of(link)->gen.number <= generation)
			child_tell(child_of(link));
}

void supervisor_children_abort(struct supervisor_children *c, unsigned generation)
{
	LIST_FOR_EACH_SAFE (link, &c->children)
		if (child_of(link)->gen.number >= generation)
			child_tell(child_of(link));
}

/* One that is not far enough to hear it has ignored this signal since before it was started. */
void supervisor_children_announce(struct supervisor_children *c)
{
	LIST_FOR_EACH (link, &c->children)
		if (child_of(link)->pid > 0 && child_of(link)->state != CHILD_LEAVING)
			kill(child_of(link)->pid, SIGUSR2);
}

void supervisor_children_cut(struct supervisor_children *c)
{
	LIST_FOR_EACH (link, &c->children)
		if (child_of(link)->pid > 0)
			kill(child_of(link)->pid, SIGUSR1);
}

/* Say how it ended when nobody had told it to, or it did not end as told. */
static void child_log_end(const struct child *c, pid_t pid, int status)
{
	if (WIFSIGNALED(status))
		log_error(c->all->opt.log,
			  "event=worker-died worker=%u pid=%d signal=%d msg=\"%s\"", c->index,
			  (int)pid, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (c->state != CHILD_LEAVING)
		log_error(c->all->opt.log, "event=worker-died worker=%u pid=%d code=%d", c->index,
			  (int)pid, WEXITSTATUS(status));
}

bool supervisor_children_reaped(struct supervisor_children *c, pid_t pid, int status)
{
	struct child *child = NULL;
	enum child_state was;

	LIST_FOR_EACH (link, &c->children)
		if (child_of(link)->pid == pid)
			child = child_of(link);
	if (child == NULL)
		return false;
	was = child->state;
	child_log_end(child, pid, status);
	child_end_ready(child);
	child->pid = 0;
	if (was == CHILD_LEAVING) {
		child_free(child);
		c->opt.gone(c->opt.arg);
	} else if (!child->was_ready && WIFEXITED(status)) {
		child->state = CHILD_WAITS;
		c->opt.failed(c->opt.arg, child->gen.number, WEXITSTATUS(status));
	} else {
		child_rest(child, ev_now_ms(c->ev) - child->started_ms);
	}
	return true;
}

size_t supervisor_children_n(const struct supervisor_children *c)
{
	return c->n;
}

/* ---- all of them ---- */

int supervisor_children_new(struct ev *ev, const struct supervisor_children_opt *opt,
			    struct supervisor_children **out)
{
	struct supervisor_children *c = calloc(1, sizeof *c);

	if (c == NULL)
		return ERR_NOMEM;
	c->ev = ev;
	c->opt = *opt;
	list_init(&c->children);
	*out = c;
	return 0;
}

void supervisor_children_free(struct supervisor_children *c)
{
	if (c == NULL)
		return;
	while (!list_empty(&c->children))
		child_free(child_of(c->children.next));
	ev_free_later(c->ev, c);
}

/* The smallest number that no process has; WORKER_INDEX_MAX: there is none. */
static unsigned child_find_index(const struct supervisor_children *all)
{
	bool used[WORKER_INDEX_MAX] = {false};
	unsigned i = 0;

	LIST_FOR_EACH (link, &all->children)
		used[child_of(link)->index] = true;
	while (i < WORKER_INDEX_MAX && used[i])
		i++;
	return i;
}

static int child_new(struct supervisor_children *all, const struct supervisor_generation *g,
		     unsigned index, struct child **out)
{
	struct child *c;

	if (index >= WORKER_INDEX_MAX)
		return ERR_LIMIT;
	if ((c = calloc(1, sizeof *c)) == NULL)
		return ERR_NOMEM;
	c->all = all;
	c->gen = *g;
	c->index = index;
	c->ready_fd = -1;
	c->timer = (struct ev_timer){.fn = child_on_timer, .arg = c};
	list_push(&all->children, &c->link);
	all->n++;
	*out = c;
	return 0;
}

int supervisor_children_begin(struct supervisor_children *c, const struct supervisor_generation *g)
{
	struct child *child;
	int e = 0;

	if (c->n + g->n > WORKER_INDEX_MAX)
		return ERR_LIMIT;
	for (unsigned i = 0; i < g->n && e == 0; i++) {
		if ((e = child_new(c, g, child_find_index(c), &child)) != 0)
			break;
		child->says = g->one_first && i == 0;
		if (i == 0 || !g->one_first)
			child_start(child);
	}
	if (e != 0)
		supervisor_children_abort(c, g->number);
	return e;
}

int supervisor_children_write(const struct supervisor_children *c, struct buf *out, size_t cap)
{
	int e = 0;

	for (struct list *l = c->children.next; l != &c->children && e == 0; l = l->next) {
		const struct child *child = child_of(l);

		if (child->pid > 0)
			e = buf_printf(out, cap, "%d %u %u %d\n", (int)child->pid, child->index,
				       child->gen.number, child->state == CHILD_LEAVING);
	}
	return e;
}

int supervisor_children_read(struct supervisor_children *c, struct str line,
			     const struct supervisor_generation *g)
{
	static const uint64_t most[] = {INT32_MAX, WORKER_INDEX_MAX - 1, UINT32_MAX, 1};
	uint64_t n[ARRAY_LEN(most)];
	struct child *child;
	struct str word;
	int e;

	for (size_t i = 0; i < ARRAY_LEN(most); i++)
		if (!str_next(&line, ' ', &word) || num_parse(word, most[i], &n[i]) != 0)
			return ERR_PROTO;
	if (line.p != NULL || n[0] == 0)
		return ERR_PROTO;
	if ((e = child_new(c, g, (unsigned)n[1], &child)) != 0)
		return e;
	child->pid = (pid_t)n[0];
	child->gen.number = (unsigned)n[2];
	child->state = CHILD_READY;
	child->was_ready = true;
	child->started_ms = ev_now_ms(c->ev);
	if (n[3] != 0)
		child_tell(child);
	return 0;
}
