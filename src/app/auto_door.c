/*
 * Look, and look again when there is more. Most connections bring enough with them when they are
 * accepted, and cost one system call here; only the others get memory and a timer. Bytes that have
 * been looked at stay where they are and would make the socket ready all the time, so the kernel is
 * told for how many we wait.
 */
#include "app/auto_door.h"

#include <stdlib.h>

#include "base/err.h"
#include "ev/log_pace.h"
#include "net/net_peek.h"
#include "net/net_sock.h"

/* When the kernel says that there is more and there is not, which it may when its memory is short:
 * how long it is not asked, in milliseconds. */
#define AUTO_DOOR_REST_MS 50

struct auto_door {
	struct ev *ev;
	struct auto_door_opt opt;
	struct log_pace pace;
	struct list waiting; /* owned: of auto_guest.link, the oldest first */
	size_t n_waiting;
};

/* A connection; on the stack as long as it need not wait. */
struct auto_guest {
	struct list link;
	struct auto_door *door;
	int fd; /* owned */
	struct proxy_visitor who;
	bool proxied;	  /* its header has been read */
	size_t seen;	  /* bytes that are there and decide nothing */
	size_t waits_for; /* bytes, as the kernel knows it; 1: any */
	struct ev_io *io; /* owned */
	struct ev_timer late, rest;
	uint64_t since_ms; /* of its silence, or of its first byte */
};

/* ---- one look ---- */

/*
 * A PROXY header begins what is there.
 * Returns 0 (it has been taken away), ERR_AGAIN, or why the connection ends.
 */
static int auto_guest_read_header(struct auto_guest *g, struct str in)
{
	struct proxy_header h;
	size_t used;
	int e;

	if (g->proxied)
		return ERR_PROTO;
	if (!proxy_reader_trusts(g->door->opt.proxy, &g->who.peer))
		return ERR_DENIED;
	if ((e = proxy_protocol_parse(in, &h, &used)) != 0)
		return e == ERR_AGAIN && in.len >= PROXY_V2_MAX ? ERR_TOOBIG : e;
	if ((e = net_skip(g->fd, used)) != 0)
		return e;
	if (!h.local) {
		g->who.peer = h.src;
		g->who.local = h.dst;
		g->who.tls = h.tls;
	}
	g->proxied = true;
	g->seen = 0;
	return 0;
}

/*
 * What is it?
 *   *what  set on success: not FIRST_PROXY.
 * Returns 0, ERR_AGAIN (more must come than g->seen bytes), or why the connection ends.
 */
static int auto_guest_look(struct auto_guest *g, enum first_words *what)
{
	char *bytes = ev_scratch(g->door->ev, EV_SCRATCH_NET);
	size_t n;
	int e;

	do {
		n = 0;
		e = net_peek(g->fd, bytes, PROXY_V2_MAX, &n);
		if (e != 0 && e != ERR_AGAIN)
			return e;
		g->seen = n;
		if ((e = first_words_tell((struct str){bytes, n}, what)) != 0)
			return e;
		if (*what != FIRST_PROXY)
			return g->door->opt.must_proxy && !g->proxied ? ERR_PROTO : 0;
		e = auto_guest_read_header(g, (struct str){bytes, n});
	} while (e == 0);
	return e;
}

/* ---- the ends ---- */

static void auto_door_say(struct auto_door *d, const struct visit_end *peer, int e)
{
	static const char lost[] = "the connection ended before its first words";

	if (!log_pace_take(&d->pace, d->ev, d->opt.log))
		return;
	log_info(d->opt.log, "event=refused peer=%s code=%s msg=\"%s\"", peer->ip, err_name(e),
		 e == ERR_DENIED    ? "only --trusted-proxies may speak the PROXY protocol"
		 : e == ERR_TIMEOUT ? "its first words, or its PROXY header, did not come in time"
		 : e == ERR_LIMIT   ? "too many connections whose first words did not come"
		 : e == ERR_PROTO || e == ERR_TOOBIG ? "what came is no good PROXY header"
						     : lost);
}

static void auto_guest_wait_for(struct auto_guest *g, size_t n)
{
	if (g->waits_for != n)
		net_wait_for(g->fd, n);
	g->waits_for = n;
}

/* Nothing of it is left to us but the descriptor. */
static int auto_guest_release(struct auto_guest *g)
{
	struct auto_door *d = g->door;

	if (list_linked(&g->link)) {
		list_del(&g->link);
		d->n_waiting--;
		ev_timer_stop(d->ev, &g->late);
		ev_timer_stop(d->ev, &g->rest);
		ev_io_free(g->io);
		ev_free_later(d->ev, g); /* readable until the turn ends */
	}
	return g->fd;
}

static void auto_guest_refuse(struct auto_guest *g, int e)
{
	/* who looks only whether we are there says nothing, and nothing is said of it */
	bool looks = g->seen == 0 && (e == ERR_EOF || e == ERR_RESET || e == ERR_TIMEOUT);

	if (!looks)
		auto_door_say(g->door, &g->who.peer, e);
	net_close(auto_guest_release(g), e != ERR_EOF);
}

static void auto_guest_go(struct auto_guest *g, enum first_words what)
{
	const struct auto_door_opt *opt = &g->door->opt;
	int fd = g->fd;

	auto_guest_wait_for(g, 1);
	auto_guest_release(g);
	if (what == FIRST_SSH && !opt->ssh)
		what = FIRST_HTTP;
	opt->come(opt->arg, fd, what, &g->who);
}

/* Is it known what silence means? Where a header must come first, not before that. */
static bool auto_guest_may_be_ssh(const struct auto_guest *g)
{
	return g->seen == 0 && g->door->opt.ssh && (g->proxied || !g->door->opt.must_proxy);
}

/* No longer waited for. */
static void auto_guest_settle(struct auto_guest *g, int e)
{
	if (auto_guest_may_be_ssh(g))
		auto_guest_go(g, FIRST_SSH);
	else
		auto_guest_refuse(g, e);
}

/* ---- those who are waited for ---- */

static void auto_guest_wait(struct auto_guest *g)
{
	struct ev *ev = g->door->ev;
	uint32_t ms = auto_guest_may_be_ssh(g) ? g->door->opt.silence_ms : g->door->opt.wait_ms;
	uint64_t gone = ev_now_ms(ev) - g->since_ms;

	auto_guest_wait_for(g, g->seen + 1);
	ev_io_want(g->io, EV_READ);
	ev_timer_set(ev, &g->late, gone < ms ? ms - gone : 0);
}

static void auto_guest_look_again(struct auto_guest *g)
{
	size_t seen = g->seen;
	bool proxied = g->proxied;
	enum first_words what;
	int e = auto_guest_look(g, &what);

	if (e == 0) {
		auto_guest_go(g, what);
	} else if (e != ERR_AGAIN) {
		auto_guest_refuse(g, e);
	} else if (net_peer_finished(g->fd)) {
		auto_guest_refuse(g, ERR_EOF);
	} else if (g->seen == seen && g->proxied == proxied) {
		ev_io_want(g->io, 0);
		ev_timer_set(g->door->ev, &g->rest, AUTO_DOOR_REST_MS);
	} else {
		if (seen == 0 || g->proxied != proxied)
			g->since_ms = ev_now_ms(g->door->ev);
		auto_guest_wait(g);
	}
}

static void auto_guest_on_ready(void *arg, int events)
{
	struct auto_guest *g = arg;

	if (events & EV_ERROR)
		auto_guest_refuse(g, net_error(g->fd) == 0 ? ERR_IO : ERR_RESET);
	else
		auto_guest_look_again(g);
}

static void auto_guest_on_rest(void *arg)
{
	auto_guest_look_again(arg);
}

static void auto_guest_on_late(void *arg)
{
	auto_guest_settle(arg, ERR_TIMEOUT);
}

static int auto_door_keep(struct auto_door *d, const struct auto_guest *here)
{
	struct auto_guest *g;
	int e;

	if (d->n_waiting >= d->opt.waiting_max)
		auto_guest_settle(CONTAINER_OF(d->waiting.next, struct auto_guest, link),
				  ERR_LIMIT);
	if ((g = calloc(1, sizeof *g)) == NULL)
		return ERR_NOMEM;
	*g = *here;
	if ((e = ev_io_new(d->ev, g->fd, auto_guest_on_ready, g, &g->io)) != 0) {
		free(g);
		return e;
	}
	g->late = (struct ev_timer){.fn = auto_guest_on_late, .arg = g};
	g->rest = (struct ev_timer){.fn = auto_guest_on_rest, .arg = g};
	list_push(&d->waiting, &g->link);
	d->n_waiting++;
	auto_guest_wait(g);
	return 0;
}

/* ---- the door ---- */

void auto_door_serve(struct auto_door *d, int fd, const struct proxy_visitor *ends)
{
	struct auto_guest g = {
		.door = d, .fd = fd, .who = *ends, .waits_for = 1, .since_ms = ev_now_ms(d->ev)};
	enum first_words what;
	int e;

	if (d->opt.must_proxy && !proxy_reader_trusts(d->opt.proxy, &g.who.peer)) {
		g.seen = 1; /* it is said, also when he has not spoken */
		auto_guest_refuse(&g, ERR_DENIED);
		return;
	}
	e = auto_guest_look(&g, &what);
	if (e == 0)
		auto_guest_go(&g, what);
	else if (e != ERR_AGAIN || (e = auto_door_keep(d, &g)) != 0)
		auto_guest_refuse(&g, e);
}

size_t auto_door_load(const struct auto_door *d)
{
	return d->n_waiting;
}

int auto_door_new(struct ev *ev, const struct auto_door_opt *opt, struct auto_door **out)
{
	struct auto_door *d = calloc(1, sizeof *d);

	if (d == NULL)
		return ERR_NOMEM;
	d->ev = ev;
	d->opt = *opt;
	if (opt->waiting_max == 0)
		d->opt.waiting_max = AUTO_DOOR_WAITING_MAX;
	if (opt->silence_ms == 0)
		d->opt.silence_ms = AUTO_DOOR_SILENCE_MS;
	list_init(&d->waiting);
	*out = d;
	return 0;
}

void auto_door_free(struct auto_door *d)
{
	if (d == NULL)
		return;
	LIST_FOR_EACH_SAFE (link, &d->waiting)
		net_close(auto_guest_release(CONTAINER_OF(link, struct auto_guest, link)), true);
	ev_free_later(d->ev, d);
}
