/* getaddrinfo cannot be broken off: a thread that is late finishes alone, and nobody hears of it.
 */
#include "net/net_name.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

bool net_name_is_here(struct str host)
{
	return str_eq_nocase(host, STR("localhost")) || str_ends_nocase(host, STR(".localhost"));
}

/* The thread's while it runs. */
struct net_name_job {
	struct net_name *owner; /* weak: the end of the question clears it */
	struct ev_work *work;
	char *host; /* owned */
	int e;
};

struct net_name {
	struct ev *ev;
	void (*done)(void *arg, int e);
	void *arg;
	struct net_name_job *job; /* weak while the thread has it */
	struct ev_timer deadline;
	struct ev_task task; /* of a name that nobody need be asked about */
};

static void net_name_release(struct net_name *n)
{
	if (n->job != NULL) {
		n->job->owner = NULL;
		ev_work_forget(n->ev, n->job->work);
	}
	ev_timer_stop(n->ev, &n->deadline);
	ev_task_cancel(&n->task);
	ev_free_later(n->ev, n);
}

void net_name_cancel(struct net_name *n)
{
	if (n != NULL)
		net_name_release(n);
}

static void net_name_finish(struct net_name *n, int e)
{
	void (*done)(void *, int) = n->done;
	void *arg = n->arg;

	net_name_release(n);
	done(arg, e);
}

static void net_name_on_deadline(void *arg)
{
	net_name_finish(arg, ERR_TIMEOUT);
}

static void net_name_on_task(void *arg)
{
	net_name_finish(arg, 0);
}

/* On the thread. A failure for the moment is no word about the name. */
static void net_name_run(void *arg)
{
	struct net_name_job *j = arg;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;

	switch (getaddrinfo(j->host, NULL, &hints, &list)) {
	case 0: j->e = 0; break;
	case EAI_NONAME:
	case EAI_NODATA:
	case EAI_ADDRFAMILY: j->e = ERR_NOTFOUND; break;
	case EAI_MEMORY: j->e = ERR_NOMEM; break;
	default: j->e = ERR_RESOLVE; break;
	}
	if (list != NULL)
		freeaddrinfo(list);
}

static void net_name_on_run(void *arg)
{
	struct net_name_job *j = arg;
	struct net_name *n = j->owner;

	if (n != NULL) {
		n->job = NULL;
		net_name_finish(n, j->e);
	}
	free(j->host);
	free(j);
}

static int net_name_start(struct net_name *n, const char *host)
{
	struct net_name_job *j = calloc(1, sizeof *j);

	if (j == NULL)
		return ERR_NOMEM;
	j->owner = n;
	if ((j->host = strdup(host)) == NULL ||
	    ev_work_start(n->ev, net_name_run, net_name_on_run, j, &j->work) != 0) {
		free(j->host);
		free(j);
		return ERR_NOMEM;
	}
	n->job = j;
	return 0;
}

int net_name_ask(struct ev *ev, const struct net_name_opt *opt, struct net_name **out)
{
	struct net_name *n = calloc(1, sizeof *n);
	struct str host = str_of(opt->host);

	if (n == NULL)
		return ERR_NOMEM;
	n->ev = ev;
	n->done = opt->done;
	n->arg = opt->arg;
	n->deadline = (struct ev_timer){.fn = net_name_on_deadline, .arg = n};
	n->task = (struct ev_task){.fn = net_name_on_task, .arg = n};
	if (net_name_is_here(host)) {
		ev_task_run(ev, &n->task);
	} else if (net_name_start(n, opt->host) != 0) {
		free(n);
		return ERR_NOMEM;
	}
	ev_timer_set(ev, &n->deadline, opt->timeout_ms);
	*out = n;
	return 0;
}
