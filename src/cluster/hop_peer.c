/*
 * Nodes that we dial: sessions to them, and which of these takes the next visitor.
 *
 * There is at most one attempt to connect at a time. As long as there is no session visitors wait
 * for it (hop_wire.c); after a failure all of them leave at once, and nobody is sent there for a
 * while, for the next node, or an answer, is worth more to them than another try. An attempt is
 * over when the other side has said its own id: an address may have been given to somebody else.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cluster/hop_inside.h"
#include "cluster/hop_wire.h"

/* A session with more streams, or that has lately moved so much, is loaded. */
#define LOADED_STREAMS 64
#define LOADED_BYTES   (2 * 1024 * 1024)

/* A session that nobody has used for so long, in milliseconds, is closed. */
#define IDLE_MS 60000

/* The longest time for which a node is avoided, in milliseconds; each failure doubles it. */
#define AVOID_MAX_MS 5000

/* Sessions to a node that is said to be gone must answer within so many milliseconds. */
#define GONE_MS 2000

/* One session. */
struct hop_link {
	struct hop *hop;
	struct hop_peer *peer;	 /* weak: NULL when that is gone, streams go on */
	struct list link;	 /* in peer->links or hop->orphans; in none while it is greeting */
	struct session *session; /* owned */
	struct ev_timer idle;
	uint64_t used_ms;
	char id[NODE_ID_TEXT]; /* whose it is */
};

struct hop_peer {
	struct hop *hop;
	struct list link; /* in hop->peers */
	void *arg;
	char id[NODE_ID_TEXT];
	char addr[ROSTER_ADDR_TEXT];
	bool local;
	struct list links; /* ready ones */
	size_t n_links;
	struct hop_dial *dial;	   /* owned; the attempt under way is this, */
	struct hop_link *greeting; /* or this, owned */
	struct ev_timer deadline;  /* of the attempt */
	struct ev_timer avoid;	   /* set: nobody is sent there, and nobody dials */
	uint32_t avoid_ms;	   /* the next time */
	struct ev_timer look;	   /* somebody was asked for a sign of life */
	struct hop_waiters waiters;
	struct ev_task tell;
	enum peer_state told;
};

/* ---- how well it is reached ---- */

static bool link_is_open(const struct hop_link *l)
{
	return !l->session->is_draining;
}

static enum peer_state peer_judge(const struct hop_peer *p)
{
	bool draining = false, late = false;

	LIST_FOR_EACH (link, &p->links) {
		const struct hop_link *l = CONTAINER_OF(link, struct hop_link, link);

		if (!link_is_open(l))
			draining = true;
		else if (session_is_late(l->session))
			late = true;
		else
			return PEER_GOOD;
	}
	if (late)
		return PEER_LATE;
	if (ev_timer_is_set(&p->avoid))
		return PEER_UNREACHABLE;
	return draining ? PEER_DRAINING : PEER_GOOD;
}

static void peer_on_tell(void *arg)
{
	struct hop_peer *p = arg;
	enum peer_state now = peer_judge(p);

	if (now == p->told)
		return;
	p->told = now;
	p->hop->opt.state(p->hop->opt.arg, p, now);
}

/* Something may have changed: told at the end of the turn, never from inside a call. */
static void peer_changed(struct hop_peer *p)
{
	ev_task_run(p->hop->ev, &p->tell);
}

/* As long as somebody is asked for a sign of life. */
static void peer_on_look(void *arg)
{
	struct hop_peer *p = arg;
	bool asked = false;

	LIST_FOR_EACH (link, &p->links)
		asked |= CONTAINER_OF(link, struct hop_link, link)->session->asked_ms != 0;
	if (asked)
		ev_timer_set(p->hop->ev, &p->look, SESSION_LATE_MS);
	peer_on_tell(p);
}

/* Whoever was silent for a while shows that it lives, or others go first. */
static void peer_rouse(struct hop_peer *p, struct session *s)
{
	if (s->asked_ms == 0 && ev_now_ms(s->ev) - s->heard_ms > SESSION_QUIET_MS)
		session_ping(s, 0);
	if (s->asked_ms != 0 && !ev_timer_is_set(&p->look))
		ev_timer_set(p->hop->ev, &p->look, SESSION_LATE_MS);
}

static void peer_on_avoided(void *arg)
{
	peer_changed(arg);
}

void hop_peer_heard(struct hop_peer *p)
{
	if (p == NULL || !ev_timer_is_set(&p->avoid))
		return;
	ev_timer_stop(p->hop->ev, &p->avoid);
	peer_changed(p);
}

void hop_peers_heard(struct hop *h, const char *id)
{
	LIST_FOR_EACH (link, &h->peers) {
		struct hop_peer *p = CONTAINER_OF(link, struct hop_peer, link);

		if (strcmp(p->id, id) == 0)
			hop_peer_heard(p);
	}
}

/* ---- one session ---- */

/* Out of its list and out of memory; the session has gone, or goes by the caller. */
static void link_release(struct hop_link *l)
{
	struct hop_peer *p = l->peer;

	if (p != NULL && p->greeting == l)
		p->greeting = NULL;
	else if (p != NULL)
		p->n_links--;
	list_del(&l->link);
	ev_timer_stop(l->hop->ev, &l->idle);
	ev_free_later(l->hop->ev, l);
	if (p != NULL)
		peer_changed(p);
}

static void link_close(struct hop_link *l, int why)
{
	struct session *s = l->session;

	link_release(l);
	session_close(s, why, str_of(err_text(why)));
}

/* One of its streams is the control stream. */
static void link_on_idle(void *arg)
{
	struct hop_link *l = arg;
	uint64_t now = ev_now_ms(l->hop->ev);

	if (l->session->n_streams > 1)
		l->used_ms = now;
	if (now - l->used_ms >= IDLE_MS)
		link_close(l, 0);
	else
		ev_timer_set(l->hop->ev, &l->idle, IDLE_MS - (now - l->used_ms));
}

/* ---- attempts ---- */

static bool peer_is_trying(const struct hop_peer *p)
{
	return p->dial != NULL || p->greeting != NULL;
}

/* The attempt is over, and came to nothing. */
static void peer_failed(struct hop_peer *p, int why, const char *more)
{
	struct hop *h = p->hop;
	struct hop_wire *w;

	ev_timer_stop(h->ev, &p->deadline);
	hop_end_cancel(h->end, p->dial);
	p->dial = NULL;
	log_info(h->opt.log, "event=hop-failed node=%s addr=%s why=%s msg=\"%s\"", p->id, p->addr,
		 err_name(why), *more == '\0' ? err_text(why) : more);
	ev_timer_set(h->ev, &p->avoid, p->avoid_ms);
	p->avoid_ms = MIN(2 * p->avoid_ms, (uint32_t)AVOID_MAX_MS);
	while ((w = hop_waiters_first(&p->waiters)) != NULL)
		hop_wire_fail(w, ERR_NOSESSION);
	peer_changed(p);
}

static void peer_on_deadline(void *arg)
{
	struct hop_peer *p = arg;

	if (p->greeting != NULL)
		link_close(p->greeting, ERR_TIMEOUT);
	peer_failed(p, ERR_TIMEOUT, "");
}

/* Here is a session: all who wait get their streams. */
static void peer_serve(struct hop_peer *p, struct hop_link *l)
{
	struct hop_wire *w;
	struct wire *stream;

	while ((w = hop_waiters_first(&p->waiters)) != NULL) {
		if (session_open(l->session, hop_wire_visit(w), &stream) == 0)
			hop_wire_join(w, stream);
		else
			hop_wire_fail(w, ERR_NOSESSION);
	}
}

/* The other side has said who it is. */
static void link_greeted(struct hop_link *l, const struct hop_line *line)
{
	struct hop_peer *p = l->peer;
	struct hop *h = l->hop;

	if (strcmp(line->node, p->id) != 0 || strcmp(line->to, h->opt.self) != 0) {
		link_close(l, ERR_AUTH);
		peer_failed(p, ERR_AUTH, "another node is there");
		return;
	}
	ev_timer_stop(h->ev, &p->deadline);
	p->greeting = NULL;
	list_push(&p->links, &l->link);
	p->n_links++;
	p->avoid_ms = HOP_AVOID_MS;
	l->used_ms = ev_now_ms(h->ev);
	ev_timer_set(h->ev, &l->idle, IDLE_MS);
	log_info(h->opt.log, "event=hop-up node=%s addr=%s version=%s sessions=%zu", p->id, p->addr,
		 line->version, p->n_links);
	peer_serve(p, l);
	peer_changed(p);
}

static void link_on_told(void *arg, struct session *s, struct str text)
{
	struct hop_link *l = arg;
	struct hop_peer *p = l->peer;
	struct hop_line line;
	int e;

	if (p == NULL || p->greeting != l)
		return; /* of a later version */
	if ((e = hop_line_parse(text, &line)) != 0) {
		link_close(l, e);
		peer_failed(p, e, "");
		return;
	}
	link_greeted(l, &line);
}

static void link_on_draining(void *arg, struct session *s)
{
	struct hop_link *l = arg;

	if (l->peer != NULL)
		peer_changed(l->peer);
}

static void link_on_closed(void *arg, struct session *s, int why, struct str reason)
{
	struct hop_link *l = arg;
	struct hop_peer *p = l->peer;
	bool greeting = p != NULL && p->greeting == l;
	char more[128];

	link_release(l);
	str_printf(more, sizeof more, STR_FMT, STR_ARG(reason));
	if (greeting)
		peer_failed(p, why, more);
	else
		log_info(l->hop->opt.log, "event=hop-down node=%s why=%s msg=\"%s\"", l->id,
			 err_name(why), *more == '\0' ? err_text(why) : more);
}

static const struct session_owner link_session_owner = {
	.told = link_on_told,
	.draining = link_on_draining,
	.closed = link_on_closed,
};

/* A session on a wire that was dialled; w is taken over. Returns 0 or ERR_NOMEM. */
static int peer_greet(struct hop_peer *p, struct wire *w)
{
	struct hop *h = p->hop;
	struct hop_link *l = calloc(1, sizeof *l);
	struct mux_opt opt = {.role = MUX_NODE,
			      .whole = true,
			      .budget = &h->out_budget,
			      .owner = &link_session_owner,
			      .arg = l};
	char ours[HOP_LINE_MAX];
	struct str line = {ours, hop_line_format(h->opt.self, p->id, ours)};
	int e = ERR_NOMEM;

	if (l == NULL || (e = mux_new(h->ev, w, &opt, &l->session)) != 0) {
		wire_close(w, e);
		free(l);
		return e;
	}
	l->hop = h;
	l->peer = p;
	l->idle = (struct ev_timer){.fn = link_on_idle, .arg = l};
	memcpy(l->id, p->id, sizeof l->id);
	p->greeting = l;
	if ((e = session_tell(l->session, line)) != 0)
		link_close(l, e);
	return e;
}

static void peer_on_dialled(void *arg, int e, struct wire *w)
{
	struct hop_peer *p = arg;

	p->dial = NULL;
	if (e != 0 || (e = peer_greet(p, w)) != 0)
		peer_failed(p, e, "");
}

/* Returns 0 (also when an attempt is under way), ERR_NOSESSION (it is avoided), ERR_NOMEM. */
static int peer_try(struct hop_peer *p)
{
	struct hop_dial_opt opt = {.addr = p->addr,
				   .local = p->local,
				   .timeout_ms = HOP_CONNECT_MS,
				   .done = peer_on_dialled,
				   .arg = p};
	int e;

	if (peer_is_trying(p))
		return 0;
	if (ev_timer_is_set(&p->avoid))
		return ERR_NOSESSION;
	if ((e = hop_end_dial(p->hop->end, &opt, &p->dial)) != 0)
		return e;
	ev_timer_set(p->hop->ev, &p->deadline, HOP_CONNECT_MS);
	return 0;
}

/* ---- visitors ---- */

static uint64_t link_bulk(const struct hop_link *l)
{
	return session_lately(l->session) / LOADED_BYTES;
}

static bool link_is_loaded(const struct hop_link *l)
{
	return l->session->n_streams > LOADED_STREAMS || link_bulk(l) > 0;
}

static bool link_is_better(const struct hop_link *a, const struct hop_link *b)
{
	bool late = session_is_late(a->session);

	if (late != session_is_late(b->session))
		return !late;
	if (link_bulk(a) != link_bulk(b))
		return link_bulk(a) < link_bulk(b);
	return a->session->n_streams < b->session->n_streams;
}

/* The session for the next visitor; of equals the oldest, so that those that are not needed any
 * more fall idle. NULL: there is none. */
static struct hop_link *peer_best(const struct hop_peer *p)
{
	struct hop_link *best = NULL;

	LIST_FOR_EACH (link, &p->links) {
		struct hop_link *l = CONTAINER_OF(link, struct hop_link, link);

		if (link_is_open(l) && (best == NULL || link_is_better(l, best)))
			best = l;
	}
	return best;
}

static int peer_wait(struct hop_peer *p, const struct visit *visit, struct wire **out)
{
	int e;

	if (p->waiters.n >= HOP_WAITING_MAX)
		return ERR_LIMIT;
	if ((e = peer_try(p)) != 0)
		return e;
	return hop_wire_new(p->hop->ev, &p->waiters, visit, out);
}

int hop_peer_open(struct hop_peer *p, const struct visit *visit, struct wire **out)
{
	struct hop_link *l = peer_best(p);
	int e;

	if (l == NULL)
		return peer_wait(p, visit, out);
	/* One more for those who come next; that it cannot be had does not matter. */
	if (p->n_links < HOP_SESSIONS_MAX && (link_is_loaded(l) || session_is_late(l->session)))
		(void)!peer_try(p);
	peer_rouse(p, l->session);
	e = session_open(l->session, visit, out);
	if (e == ERR_DRAIN) /* it is dead, and we are to hear of that in a moment */
		return peer_wait(p, visit, out);
	if (e == 0)
		l->used_ms = ev_now_ms(p->hop->ev);
	return e;
}

/* ---- life ---- */

/* Where it is reached; ERR_INVAL: nowhere. */
static int peer_place(struct hop_peer *p, const struct roster_node *n)
{
	const struct hop_opt *opt = &p->hop->opt;

	p->local = opt->machine != NULL && *opt->machine != '\0' && *n->local != '\0' &&
		   strcmp(opt->machine, n->machine) == 0;
	if (!p->local && (opt->key == NULL || *n->hop == '\0'))
		return ERR_INVAL;
	memcpy(p->addr, p->local ? n->local : n->hop, sizeof p->addr);
	return 0;
}

int hop_peer_new(struct hop *h, const struct roster_node *n, void *arg, struct hop_peer **out)
{
	struct hop_peer *p = calloc(1, sizeof *p);

	if (p == NULL)
		return ERR_NOMEM;
	p->hop = h;
	p->arg = arg;
	memcpy(p->id, n->id, sizeof p->id);
	if (peer_place(p, n) != 0) {
		free(p);
		return ERR_INVAL;
	}
	p->avoid_ms = HOP_AVOID_MS;
	list_push(&h->peers, &p->link);
	list_init(&p->links);
	list_init(&p->waiters.list);
	p->deadline = (struct ev_timer){.fn = peer_on_deadline, .arg = p};
	p->avoid = (struct ev_timer){.fn = peer_on_avoided, .arg = p};
	p->look = (struct ev_timer){.fn = peer_on_look, .arg = p};
	p->tell = (struct ev_task){.fn = peer_on_tell, .arg = p};
	*out = p;
	return 0;
}

void *hop_peer_arg(const struct hop_peer *p)
{
	return p->arg;
}

/*
 * Its streams go on while its session lives: that somebody has lost the bus does not mean that its
 * visitors have lost anything.
 */
static void link_orphan(struct hop_link *l)
{
	l->peer = NULL;
	list_del(&l->link);
	if (l->session->n_streams <= 1) {
		link_close(l, 0);
		return;
	}
	list_push(&l->hop->orphans, &l->link);
	session_ping(l->session, GONE_MS);
}

void hop_peer_free(struct hop_peer *p)
{
	struct hop_wire *w;

	if (p == NULL)
		return;
	list_del(&p->link);
	if (p->greeting != NULL)
		link_close(p->greeting, ERR_CLOSED);
	hop_end_cancel(p->hop->end, p->dial);
	LIST_FOR_EACH_SAFE (link, &p->links)
		link_orphan(CONTAINER_OF(link, struct hop_link, link));
	while ((w = hop_waiters_first(&p->waiters)) != NULL)
		hop_wire_fail(w, ERR_NOSESSION);
	ev_timer_stop(p->hop->ev, &p->deadline);
	ev_timer_stop(p->hop->ev, &p->avoid);
	ev_timer_stop(p->hop->ev, &p->look);
	ev_task_cancel(&p->tell);
	ev_free_later(p->hop->ev, p);
}

void hop_orphans_free(struct hop *h)
{
	LIST_FOR_EACH_SAFE (link, &h->orphans)
		link_close(CONTAINER_OF(link, struct hop_link, link), ERR_CLOSED);
}
