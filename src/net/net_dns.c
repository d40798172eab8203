/*
 * The seam over c-ares: its sockets become the loop's, its time-outs a timer, and its callbacks,
 * in which nothing may be freed, become tasks at the end of the turn.
 */
#include "net/net_dns.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "net/net_addr.h"
#include "net/net_dns_answer.h"

/*
 * Every server is tried so often, and waits twice as long the second time: 3 * n_servers times the
 * first wait is the time for the whole question.
 */
#define NET_DNS_TRIES 2
#define NET_DNS_WAITS 3

struct net_dns {
	struct ev *ev;	      /* borrowed: outlives us */
	ares_channel channel; /* owned */
	bool has_library;     /* ares_library_init() is to be undone */
	uint32_t timeout_ms;
	struct ev_timer timer; /* when c-ares wants to look at its time-outs */
	struct list watches;   /* owned: its sockets */
	struct list queries;   /* owned */
	size_t n_busy;	       /* queries, and flights without one */
};

struct net_dns_watch {
	struct list link;
	struct net_dns *d; /* borrowed: frees us */
	struct ev_io *io;  /* owned */
	int fd;		   /* c-ares's */
};

/* One question under way in c-ares, which cannot drop a single one: it may outlive its query. */
struct net_dns_flight {
	struct net_dns *d;	 /* borrowed: ends all flights before it ends */
	struct net_dns_query *q; /* weak: net_dns_query_release() clears it */
};

struct net_dns_query {
	struct list link;
	struct net_dns *d; /* borrowed: frees us */
	enum net_dns_type type;
	void (*fn)(void *arg, const struct net_dns_answer *answer);
	void *arg;
	struct net_dns_flight *flight; /* weak: net_dns_on_answer() clears it */
	struct ev_timer deadline;
	struct ev_task task; /* the flight has landed */
	int e;		     /* of the last flight */
	int record;	     /* what it asked for: ns_t_* */
	char name[NET_DNS_NAME_MAX + 1];
	char step[NET_DNS_NAME_MAX + 1]; /* the name that is asked about now */
	struct net_dns_found found;
};

/* ---- sockets and time-outs of c-ares ---- */

/* After every call into c-ares. */
static void net_dns_rearm(struct net_dns *d)
{
	struct timeval tv, *left = ares_timeout(d->channel, NULL, &tv);

	if (left == NULL)
		ev_timer_stop(d->ev, &d->timer);
	else /* it rounds down: come when the time is over */
		ev_timer_set(d->ev, &d->timer,
			     (uint64_t)left->tv_sec * 1000 + (uint64_t)left->tv_usec / 1000 + 1);
}

static void net_dns_on_timer(void *arg)
{
	struct net_dns *d = arg;

	ares_process_fd(d->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	net_dns_rearm(d);
}

static void net_dns_on_ready(void *arg, int events)
{
	struct net_dns_watch *w = arg;
	struct net_dns *d = w->d;
	int fd = w->fd; /* w may be freed in the middle of it */

	/* What has failed is shown to c-ares by letting it read and write. */
	if (events & EV_ERROR)
		events = EV_READ | EV_WRITE;
	ares_process_fd(d->channel, events & EV_READ ? fd : ARES_SOCKET_BAD,
			events & EV_WRITE ? fd : ARES_SOCKET_BAD);
	net_dns_rearm(d);
}

/* c-ares has a new socket. Returns 0, or -1: it does without. */
static int net_dns_on_socket(ares_socket_t fd, int type, void *arg)
{
	struct net_dns *d = arg;
	struct net_dns_watch *w = calloc(1, sizeof *w);

	if (w == NULL)
		return -1;
	if (ev_io_new(d->ev, fd, net_dns_on_ready, w, &w->io) != 0) {
		free(w);
		return -1;
	}
	w->d = d;
	w->fd = fd;
	list_push(&d->watches, &w->link);
	return 0;
}

/* Neither readable nor writable: c-ares closes it after this call. */
static void net_dns_on_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct net_dns *d = arg;

	LIST_FOR_EACH_SAFE (it, &d->watches) {
		struct net_dns_watch *w = CONTAINER_OF(it, struct net_dns_watch, link);

		if (w->fd != fd)
			continue;
		if (readable || writable) {
			ev_io_want(w->io, (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
			return;
		}
		list_del(&w->link);
		ev_io_free(w->io);
		free(w);
		return;
	}
}

/* ---- queries ---- */

/* Nothing calls q any more. */
static void net_dns_query_release(struct net_dns_query *q)
{
	struct net_dns *d = q->d;

	if (q->flight != NULL)
		q->flight->q = NULL; /* and it stays counted until it lands */
	else
		d->n_busy--;
	ev_timer_stop(d->ev, &q->deadline);
	ev_task_cancel(&q->task);
	list_del(&q->link);
	net_dns_found_free(&q->found);
	ev_free_later(d->ev, q);
}

void net_dns_cancel(struct net_dns_query *q)
{
	if (q != NULL)
		net_dns_query_release(q);
}

static void net_dns_finish(struct net_dns_query *q, int e)
{
	void (*fn)(void *, const struct net_dns_answer *) = q->fn;
	void *arg = q->arg;
	struct str texts[NET_DNS_TEXTS_MAX];
	struct net_dns_found found = q->found;
	struct net_dns_answer answer = {.texts = texts, .n = found.n, .more = found.more};

	q->found = (struct net_dns_found){0}; /* moved */
	net_dns_query_release(q);
	for (size_t i = 0; i < found.n; i++)
		texts[i] = net_dns_found_text(&found, i);
	if (found.n == 0)
		answer.e = e;
	else if (e != 0 && e != ERR_NOTFOUND)
		answer.more = true; /* what comes after these is not known */
	fn(arg, &answer);
	net_dns_found_free(&found);
}

static int net_dns_status(int status)
{
	switch (status) {
	case ARES_SUCCESS: return 0;
	case ARES_ENODATA:
	case ARES_ENOTFOUND: return ERR_NOTFOUND;
	case ARES_ETIMEOUT: return ERR_TIMEOUT;
	case ARES_ENOMEM: return ERR_NOMEM;
	case ARES_ECONNREFUSED: /* which is what 1.18 says after SERVFAIL, REFUSED and NOTIMP too */
	case ARES_ESERVFAIL:
	case ARES_EREFUSED:
	case ARES_ENOTIMP: return ERR_REFUSED;
	default: return ERR_PROTO;
	}
}

/* Called within c-ares, once for each ares_query(). */
static void net_dns_on_answer(void *arg, int status, int timeouts, unsigned char *bytes, int len)
{
	struct net_dns_flight *f = arg;
	struct net_dns_query *q = f->q;
	struct net_dns *d = f->d;

	free(f);
	if (q == NULL) {
		d->n_busy--;
		return;
	}
	q->flight = NULL;
	q->e = net_dns_status(status);
	/* A name that does not exist may have aliases nevertheless (RFC 6604 2.1). */
	if ((q->e == 0 || q->e == ERR_NOTFOUND) && bytes != NULL)
		q->e = net_dns_answer_read((struct str){(const char *)bytes, (size_t)len}, q->step,
					   q->record, &q->found);
	ev_task_run(d->ev, &q->task);
}

static int net_dns_send(struct net_dns_query *q)
{
	struct net_dns_flight *f = calloc(1, sizeof *f);

	if (f == NULL)
		return ERR_NOMEM;
	f->d = q->d;
	f->q = q;
	q->flight = f; /* before: it may land at once */
	ares_query(q->d->channel, q->step, ns_c_in, q->record, net_dns_on_answer, f);
	net_dns_rearm(q->d);
	return 0;
}

/* What is to be asked next? Returns false when that was all. */
static bool net_dns_next(struct net_dns_query *q)
{
	switch (q->type) {
	case NET_DNS_CNAME:
		if (q->e != 0 || q->found.more)
			return false;
		return str_copy(q->step, sizeof q->step,
				net_dns_found_text(&q->found, q->found.n - 1)) == 0;
	case NET_DNS_ADDR:
		if (q->record == ns_t_aaaa || (q->e != 0 && q->e != ERR_NOTFOUND))
			return false;
		q->record = ns_t_aaaa;
		return true;
	default: return false;
	}
}

static void net_dns_on_landed(void *arg)
{
	struct net_dns_query *q = arg;
	int e = q->e;

	if (net_dns_next(q) && (e = net_dns_send(q)) == 0)
		return;
	net_dns_finish(q, e);
}

static void net_dns_on_deadline(void *arg)
{
	net_dns_finish(arg, ERR_TIMEOUT);
}

static int net_dns_record(enum net_dns_type type)
{
	switch (type) {
	case NET_DNS_TXT: return ns_t_txt;
	case NET_DNS_CNAME: return ns_t_cname;
	default: return ns_t_a;
	}
}

int net_dns_ask(struct net_dns *d, enum net_dns_type type, struct str name,
		void (*fn)(void *arg, const struct net_dns_answer *answer), void *arg,
		struct net_dns_query **out)
{
	struct net_dns_query *q = NULL;
	int e;

	if (d->n_busy == NET_DNS_QUERIES_MAX)
		return ERR_LIMIT;
	if ((q = calloc(1, sizeof *q)) == NULL)
		return ERR_NOMEM;
	if ((e = net_dns_name(name, q->name)) != 0)
		goto fail;
	CHECK(str_copy(q->step, sizeof q->step, str_of(q->name)) == 0);
	q->d = d;
	q->type = type;
	q->record = net_dns_record(type);
	q->fn = fn;
	q->arg = arg;
	q->found.asked = q->name;
	q->deadline = (struct ev_timer){.fn = net_dns_on_deadline, .arg = q};
	q->task = (struct ev_task){.fn = net_dns_on_landed, .arg = q};
	if ((e = net_dns_send(q)) != 0)
		goto fail;
	list_push(&d->queries, &q->link);
	d->n_busy++;
	ev_timer_set(d->ev, &q->deadline, d->timeout_ms);
	if (out != NULL)
		*out = q;
	return 0;
fail:
	free(q);
	return e;
}

/* ---- life ---- */

/* "IP", "IP:PORT" or "[IPv6]:PORT" to what c-ares wants. Returns 0 or ERR_INVAL. */
static int net_dns_server(struct str text, struct ares_addr_port_node *out)
{
	struct net_addr a;

	if (net_addr_from_ip(text, NET_DNS_PORT, &a) != 0 &&
	    (text.len == 0 || text.p[0] == ':' || net_addr_parse(text, &a) != 0))
		return ERR_INVAL;
	out->udp_port = out->tcp_port = net_addr_port(&a);
	if (out->udp_port == 0)
		return ERR_INVAL;
	out->family = a.sa.sa_family;
	if (a.sa.sa_family == AF_INET)
		out->addr.addr4 = a.in.sin_addr;
	else
		memcpy(&out->addr.addr6, &a.in6.sin6_addr, sizeof out->addr.addr6);
	return 0;
}

static int net_dns_set_servers(struct net_dns *d, const struct net_dns_opt *opt)
{
	struct ares_addr_port_node nodes[NET_DNS_SERVERS_MAX] = {0};
	int e;

	for (size_t i = 0; i < opt->n_servers; i++) {
		if ((e = net_dns_server(str_of(opt->servers[i]), &nodes[i])) != 0)
			return e;
		if (i > 0)
			nodes[i - 1].next = &nodes[i];
	}
	return ares_set_servers_ports(d->channel, nodes) == ARES_SUCCESS ? 0 : ERR_NOMEM;
}

static int net_dns_open(struct net_dns *d, size_t n_servers)
{
	int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB |
		   ARES_OPT_NOROTATE;
	/*
	 * No EDNS: a long answer comes over TCP instead. When a server does not know of it, 1.18
	 * moves the bytes of a question that may be queued for sending.
	 */
	struct ares_options o = {
		.timeout = (int)MIN(MAX(d->timeout_ms / (NET_DNS_WAITS * n_servers), 1), INT32_MAX),
		.tries = NET_DNS_TRIES,
		.sock_state_cb = net_dns_on_state,
		.sock_state_cb_data = d};
	int status = ares_init_options(&d->channel, &o, mask);

	if (status != ARES_SUCCESS)
		return status == ARES_ENOMEM ? ERR_NOMEM : ERR_IO;
	ares_set_socket_callback(d->channel, net_dns_on_socket, d);
	return 0;
}

/* The system's servers; how long to wait for each is known only when they are. */
static int net_dns_open_system(struct net_dns *d)
{
	struct ares_addr_port_node *nodes = NULL;
	size_t n = 0;
	int e;

	if ((e = net_dns_open(d, 1)) != 0)
		return e;
	if (ares_get_servers_ports(d->channel, &nodes) != ARES_SUCCESS)
		return ERR_NOMEM;
	for (const struct ares_addr_port_node *node = nodes; node != NULL; node = node->next)
		n++;
	ares_free_data(nodes);
	if (n <= 1)
		return 0;
	ares_destroy(d->channel);
	d->channel = NULL;
	return net_dns_open(d, n);
}

int net_dns_new(const struct net_dns_opt *opt, struct net_dns **out)
{
	struct net_dns *d = NULL;
	int e = ERR_NOMEM;

	if (opt->n_servers > NET_DNS_SERVERS_MAX)
		return ERR_LIMIT;
	if ((d = calloc(1, sizeof *d)) == NULL)
		goto out;
	d->ev = opt->ev;
	d->timeout_ms = opt->timeout_ms != 0 ? opt->timeout_ms : NET_DNS_TIMEOUT_MS;
	d->timer = (struct ev_timer){.fn = net_dns_on_timer, .arg = d};
	list_init(&d->watches);
	list_init(&d->queries);
	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
		goto out;
	d->has_library = true;
	e = opt->n_servers > 0 ? net_dns_open(d, opt->n_servers) : net_dns_open_system(d);
	if (e == 0 && opt->n_servers > 0)
		e = net_dns_set_servers(d, opt);
	if (e != 0)
		goto out;
	MOVE(*out, d);
out:
	net_dns_free(d);
	return e;
}

void net_dns_free(struct net_dns *d)
{
	struct list *link;

	if (d == NULL)
		return;
	while ((link = list_pop(&d->queries)) != NULL)
		net_dns_query_release(CONTAINER_OF(link, struct net_dns_query, link));
	ares_destroy(d->channel); /* lands all flights, closes all sockets */
	CHECK(d->n_busy == 0 && list_empty(&d->watches));
	ev_timer_stop(d->ev, &d->timer);
	if (d->has_library)
		ares_library_cleanup();
	free(d);
}
