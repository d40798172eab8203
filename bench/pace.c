/*
 * Small requests at a fixed rate, and how long each took. It exists because wrk sends the next
 *request when the last answer came, so a relay that stalls is asked less and looks better
 *(coordinated omission). Here request i is due at begin + i / rate whatever happened to the ones
 *before it; it goes out on any connection that is free, or waits for one, and its time counts from
 *the moment it was due.
 *
 *	pace -a 127.0.0.1:PORT -H host -p /path -b BODY -r RATE [-c CONNECTIONS] [-d SECONDS] [-w
 *WARM]
 *
 * Each answer must be 200 with exactly BODY. The first WARM seconds are not counted. When it may,
 *the program runs with a real-time priority, so that what it measures is the relay's delay and not
 *its own turn on a busy core. One line of JSON: count, p50/p90/p99/max in microseconds, reconnects,
 *realtime.
 */
#include "common.h"

#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

#define CONNS_CAP 1024
#define GRACE_NS  (20 * NS_PER_S) /* how long the last answers may take before that is a failure */

struct conn {
	int fd;	     /* owned */
	int64_t due; /* when the request in flight was due; 0 while free */
	size_t have;
	char mem[HEAD_CAP];
};

struct pace {
	struct sockaddr_in addr;
	const char *body;
	char request[512];
	int request_len, epfd;
	int n_conns, n_free, n_reconnects;
	int64_t begin, count_from, step; /* ns */
	long n_total, n_due, n_begun, n_done;
	long n_taken;	/* entries of took */
	int64_t *took;	/* owned, [n_total] ns */
	int *free_list; /* owned, [n_conns] indexes of free connections */
	struct conn *conns;
};

static void conn_dial(struct pace *p, int i)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
	struct conn *c = &p->conns[i];

	c->fd = common_dial(&p->addr);
	c->have = 0;
	if (epoll_ctl(p->epfd, EPOLL_CTL_ADD, c->fd, &ev) == -1)
		common_die("pace: epoll_ctl: %s", strerror(errno));
}

static void conn_begin(struct pace *p, int i, int64_t due)
{
	struct conn *c = &p->conns[i];

	c->due = due;
	if (send(c->fd, p->request, (size_t)p->request_len, MSG_NOSIGNAL) != p->request_len)
		common_die("pace: send: %s", strerror(errno));
}

/* The answer is whole: check it, note its time. */
static void conn_done(struct pace *p, int i, const struct common_head *head)
{
	struct conn *c = &p->conns[i];

	if (head->status != 200 || strlen(p->body) != (size_t)head->body_len ||
	    memcmp(c->mem + head->len, p->body, (size_t)head->body_len) != 0)
		common_die("pace: a wrong answer: %.*s", (int)c->have, c->mem);
	if (c->due >= p->count_from)
		p->took[p->n_taken++] = common_now() - c->due;
	p->n_done++;
	c->due = 0;
	c->have = 0;
	if (head->closes) {
		close(c->fd);
		conn_dial(p, i);
		p->n_reconnects++;
	}
	p->free_list[p->n_free++] = i;
}

static void conn_on_readable(struct pace *p, int i)
{
	struct conn *c = &p->conns[i];
	struct common_head head;
	ssize_t n = recv(c->fd, c->mem + c->have, HEAD_CAP - c->have, MSG_DONTWAIT);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 && c->due != 0)
		common_die("pace: no answer: %s", n == 0 ? "closed" : strerror(errno));
	if (n <= 0) { /* an idle connection may be closed by the other side */
		close(c->fd);
		conn_dial(p, i);
		p->n_reconnects++;
		return;
	}
	c->have += (size_t)n;
	if (c->due == 0)
		common_die("pace: an answer nobody asked for: %.*s", (int)c->have, c->mem);
	if (!common_head(c->mem, c->have, &head)) {
		if (c->have == HEAD_CAP)
			common_die("pace: the answer's head does not end");
		return;
	}
	if (head.body_len < 0 || (size_t)head.body_len > HEAD_CAP - head.len)
		common_die("pace: a wrong answer: %.*s", (int)c->have, c->mem);
	if (c->have >= head.len + (size_t)head.body_len)
		conn_done(p, i, &head);
}

/* Wait for answers until `until`; with no connection in need of one that is a plain sleep. */
static void pace_wait(struct pace *p, int64_t until)
{
	struct epoll_event evs[64];
	int64_t left = until - common_now();
	struct timespec ts;
	int i, n;

	if (left < 0)
		left = 0;
	ts = (struct timespec){left / NS_PER_S, left % NS_PER_S};
	n = epoll_pwait2(p->epfd, evs, 64, &ts, NULL);
	if (n == -1 && errno != EINTR)
		common_die("pace: epoll_pwait2: %s", strerror(errno));
	for (i = 0; i < n; i++)
		conn_on_readable(p, (int)evs[i].data.u32);
}

/* One request on every connection, so that no measured one pays for a first use. */
static void pace_open(struct pace *p)
{
	int64_t deadline = common_now() + GRACE_NS;
	int i;

	for (i = 0; i < p->n_conns; i++) {
		conn_dial(p, i);
		conn_begin(p, i, 1); /* due long before count_from, so not counted */
	}
	while (p->n_done < p->n_conns) {
		pace_wait(p, deadline);
		if (common_now() >= deadline)
			common_die("pace: only %ld of %d first answers came", p->n_done,
				   p->n_conns);
	}
	p->n_done = 0;
}

static void pace_run(struct pace *p)
{
	int64_t deadline = p->begin + p->n_total * p->step + GRACE_NS;
	int64_t now;

	while (p->n_done < p->n_total) {
		now = common_now();
		if (now >= deadline)
			common_die("pace: %ld of %ld answers never came", p->n_total - p->n_done,
				   p->n_total);
		while (p->n_due < p->n_total && p->begin + p->n_due * p->step <= now)
			p->n_due++;
		for (; p->n_begun < p->n_due && p->n_free > 0; p->n_begun++)
			conn_begin(p, p->free_list[--p->n_free], p->begin + p->n_begun * p->step);
		pace_wait(p, p->n_due < p->n_total ? p->begin + p->n_due * p->step : deadline);
	}
}

static int pace_compare(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The smallest time that `percent` of the requests did not exceed, in microseconds. */
static double pace_percentile(const struct pace *p, double percent)
{
	long i = (long)((double)p->n_taken * percent / 100);

	return (double)p->took[i < p->n_taken ? i : p->n_taken - 1] / 1000;
}

static bool pace_hurry(void)
{
	struct sched_param param = {.sched_priority = 1};

	prctl(PR_SET_TIMERSLACK, 1UL);
	return sched_setscheduler(0, SCHED_FIFO, &param) == 0;
}

static void pace_options(struct pace *p, int argc, char **argv)
{
	const char *addr = NULL, *host = "", *path = "/";
	double rate = 0, seconds = 5, warm = 1;
	int opt;

	p->n_conns = 16;
	while ((opt = getopt(argc, argv, "a:H:p:b:r:c:d:w:")) != -1) {
		switch (opt) {
		case 'a': addr = optarg; break;
		case 'H': host = optarg; break;
		case 'p': path = optarg; break;
		case 'b': p->body = optarg; break;
		case 'r': rate = atof(optarg); break;
		case 'c': p->n_conns = atoi(optarg); break;
		case 'd': seconds = atof(optarg); break;
		case 'w': warm = atof(optarg); break;
		default: exit(2);
		}
	}
	if (addr == NULL || p->body == NULL || rate <= 0 || seconds <= 0 || warm < 0 ||
	    p->n_conns < 1 || p->n_conns > CONNS_CAP)
		common_die("pace: see the head of pace.c");
	p->addr = common_addr(addr);
	p->request_len = snprintf(p->request, sizeof p->request,
				  "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, host);
	p->step = (int64_t)(1e9 / rate);
	p->n_total = (long)((seconds + warm) * rate);
	p->count_from = (int64_t)(warm * 1e9); /* made absolute when it begins */
}

int main(int argc, char **argv)
{
	struct pace p = {.epfd = epoll_create1(EPOLL_CLOEXEC)};
	bool realtime;

	pace_options(&p, argc, argv);
	p.took = calloc((size_t)p.n_total + 1, sizeof *p.took);
	p.free_list = calloc((size_t)p.n_conns, sizeof *p.free_list);
	p.conns = calloc((size_t)p.n_conns, sizeof *p.conns);
	if (p.took == NULL || p.free_list == NULL || p.conns == NULL)
		common_die("pace: no memory");
	realtime = pace_hurry();
	p.begin = common_now() + 2 * GRACE_NS; /* so that nothing of pace_open is counted */
	p.count_from += p.begin;
	pace_open(&p);
	p.count_from -= p.begin;
	p.begin = common_now() + NS_PER_S / 100;
	p.count_from += p.begin;
	pace_run(&p);
	qsort(p.took, (size_t)p.n_taken, sizeof *p.took, pace_compare);
	if (p.n_taken == 0)
		common_die("pace: nothing was counted");
	printf("{\"count\": %ld, \"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"max\": %.1f, "
	       "\"reconnects\": %d, \"realtime\": %s}\n",
	       p.n_taken, pace_percentile(&p, 50), pace_percentile(&p, 90), pace_percentile(&p, 99),
	       pace_percentile(&p, 100), p.n_reconnects, realtime ? "true" : "false");
	free(p.took);
	free(p.free_list);
	free(p.conns);
	return 0;
}
