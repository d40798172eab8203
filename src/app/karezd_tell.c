/* Whoever asks for a change wants to know when it is there: a signal alone does not say. */
#include "app/karezd_tell.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "app/pid_file.h"
#include "base/err.h"

/* Milliseconds between two looks at the file. */
#define LOOK_MS 50

static int karezd_tell_drain(struct pid_found *found)
{
	pid_file_wait(found);
	printf("karezd (process %d) has drained and ended\n", (int)found->pid);
	return 0;
}

/* Waiting for what comes of a reload. */
struct karezd_tell {
	struct ev *ev; /* borrowed */
	struct pid_found *found;
	uint64_t before, until_ms;
	struct ev_timer look;
	int code;
};

/* The process's own words, when there are some. Returns false: it goes on. */
static bool karezd_tell_over(struct karezd_tell *t)
{
	struct pid_found *f = t->found;
	int pid = (int)f->pid, e = pid_file_again(f);

	if (e == ERR_NOTFOUND) {
		fprintf(stderr, "karezd: process %d has ended meanwhile\n", pid);
	} else if (e == 0 && f->n_reloads != t->before && strcmp(f->result, "ok") == 0) {
		printf("karezd (process %d) has read its configuration again\n", pid);
		t->code = 0;
	} else if (e == 0 && f->n_reloads != t->before) {
		fprintf(stderr, "karezd: process %d keeps to what it had: %s\n", pid, f->result);
	} else if (ev_now_ms(t->ev) >= t->until_ms) {
		fprintf(stderr,
			"karezd: process %d has not said in time what came of it; see its log\n",
			pid);
	} else {
		return false;
	}
	return true;
}

static void karezd_tell_on_look(void *arg)
{
	struct karezd_tell *t = arg;

	if (karezd_tell_over(t))
		ev_stop(t->ev);
	else
		ev_timer_set(t->ev, &t->look, LOOK_MS);
}

static int karezd_tell_reload(struct pid_found *found, struct ev *ev)
{
	struct karezd_tell t = {.ev = ev,
				.found = found,
				.before = found->n_reloads,
				.until_ms = ev_now_ms(ev) + KAREZD_TELL_MS,
				.look = {.fn = karezd_tell_on_look, .arg = &t},
				.code = 1};

	ev_timer_set(ev, &t.look, LOOK_MS);
	ev_run(ev);
	return t.code;
}

int karezd_tell(struct ev *ev, const char *command, const char *state_dir)
{
	bool drain = strcmp(command, "drain") == 0;
	char why[PID_FILE_TEXT];
	struct pid_found found;
	int code = 1;

	if (pid_file_find(state_dir, &found, why) != 0) {
		fprintf(stderr, "karezd: %s\n", why);
		return 1;
	}
	if (kill(found.pid, drain ? SIGTERM : SIGHUP) != 0)
		fprintf(stderr, "karezd: cannot tell process %d: %s\n", (int)found.pid,
			strerror(errno));
	else
		code = drain ? karezd_tell_drain(&found) : karezd_tell_reload(&found, ev);
	pid_file_close(&found);
	return code;
}
