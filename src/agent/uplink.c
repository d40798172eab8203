/* Dial, ask, speak HTTP/2; each step may fail, and then the next one is to wait. */
#include "agent/uplink.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"

enum uplink_state {
	UPLINK_RESTS, /* until it is told otherwise */
	UPLINK_WAITS, /* for the back-off to end */
	UPLINK_DIALS, /* connecting */
	UPLINK_ASKS,  /* the request for a session is on its way */
	UPLINK_UP,    /* dial or upgrade set: it looks for another one meanwhile */
};

/* A session beside the current one. */
struct uplink_old {
	struct session *session;
	unsigned number;
	bool ours;	   /* we have left it, so we end it */
	uint64_t since_ms; /* when it became an old one */
};

struct uplink {
	struct ev *ev;
	struct uplink_opt opt;
	enum uplink_state state;
	struct backoff backoff;
	struct ev_timer timer;	 /* WAITS: the end of it; UP: its transport is proven */
	struct agent_dial *dial; /* DIALS */
	struct upgrade *upgrade; /* ASKS */
	struct session *session; /* UP */
	struct uplink_old old[UPLINK_OLD_MAX]; /* the oldest first; [n_old] */
	unsigned n_old;
	struct ev_timer look;  /* set while some of old are ours */
	struct url to;	       /* of this attempt, or session */
	unsigned number, next; /* of the session; of the attempt: see uplink_choose_number() */
	uint64_t up_since_ms;
	bool websocket;	 /* the transport of this attempt, or session */
	bool fell_back;	 /* and it is not the one that was tried first in this round */
	bool other_next; /* the next round begins with the other one */
	bool proven;	 /* UP: this session has proven its transport */
	bool ever;	 /* one has, so there is no haste */
};

static void uplink_dial(struct uplink *u);

static void uplink_down(struct uplink *u, const struct uplink_failure *f)
{
	u->state = UPLINK_RESTS;
	u->opt.owner->down(u->opt.arg, u, f);
}

/* ---- the transport ---- */

/*
 * Does this failure look as if something on the way did not understand the transport? Nobody who
 * speaks karez says these things, with one exception: a 426 means that our Upgrade did not arrive,
 * or that the server knows none of this kind.
 */
static bool uplink_blames_transport(const struct uplink *u, int e, bool spoken)
{
	if (u->opt.fixed)
		return false;
	switch (e) {
	case ERR_UNSUPPORTED: return true;
	case ERR_PROTO:
	case ERR_RESET:
	case ERR_EOF:
	case ERR_TIMEOUT:
	case ERR_DEAD: return !spoken;
	default: return false;
	}
}

/*
 * Try the other transport, once a round: at once as long as no session was ever had, for somebody
 * waits for the first one; later a server that is gone should not be asked twice, and the next
 * round begins with it. Returns whether it is tried now.
 */
static bool uplink_fall_back(struct uplink *u, int e, bool spoken)
{
	if (u->fell_back || !uplink_blames_transport(u, e, spoken))
		return false;
	if (u->ever && !spoken) { /* what was said would be final */
		u->other_next = true;
		return false;
	}
	u->fell_back = true;
	u->websocket = !u->websocket;
	uplink_dial(u);
	return true;
}

/* A new round of attempts: with what ask() will name, unless that has just failed. */
static void uplink_begin(struct uplink *u)
{
	u->to = *u->opt.owner->to(u->opt.arg, u);
	u->fell_back = u->other_next;
	u->websocket = u->other_next != u->websocket;
	u->other_next = false;
	uplink_dial(u);
}

static void uplink_prove(struct uplink *u)
{
	if (u->proven)
		return;
	u->proven = u->ever = true;
	ev_timer_stop(u->ev, &u->timer);
	u->opt.owner->proven(u->opt.arg, u, u->websocket);
}

/* ---- the session ---- */

static void uplink_on_visit(void *arg, struct session *s, const struct visit *visit, struct wire *w)
{
	struct uplink *u = arg;

	u->opt.owner->visit(u->opt.arg, u, visit, w);
}

static void uplink_on_told(void *arg, struct session *s, struct str line)
{
	struct uplink *u = arg;

	if (s != u->session)
		return;
	uplink_prove(u);
	u->opt.owner->told(u->opt.arg, u, line);
}

/* Give up what is under way. */
static void uplink_cancel(struct uplink *u)
{
	agent_net_cancel(u->opt.net, u->dial);
	u->dial = NULL;
	upgrade_cancel(u->upgrade);
	u->upgrade = NULL;
}

/* The session is no longer the current one. */
static struct session *uplink_leave_session(struct uplink *u)
{
	struct session *s = NULL;

	uplink_cancel(u);
	MOVE(s, u->session);
	ev_timer_stop(u->ev, &u->timer);
	if (ev_now_ms(u->ev) - u->up_since_ms >= UPLINK_STEADY_MS)
		backoff_reset(&u->backoff);
	u->state = UPLINK_RESTS;
	return s;
}

/* ---- sessions beside the current one ---- */

static void uplink_forget_old(struct uplink *u, unsigned i)
{
	memmove(&u->old[i], &u->old[i + 1], (u->n_old - i - 1) * sizeof u->old[0]);
	u->n_old--;
}

/* The current session becomes an old one; who has too many ends the oldest. */
static struct session *uplink_keep_old(struct uplink *u, bool ours)
{
	struct uplink_old *o;

	if (u->n_old == UPLINK_OLD_MAX) {
		session_close(u->old[0].session, ERR_DRAIN, STR("too many sessions drain"));
		uplink_forget_old(u, 0);
	}
	o = &u->old[u->n_old++];
	*o = (struct uplink_old){.number = u->number, .ours = ours, .since_ms = ev_now_ms(u->ev)};
	if (ours && !ev_timer_is_set(&u->look))
		ev_timer_set(u->ev, &u->look, UPLINK_LOOK_MS);
	return o->session = uplink_leave_session(u);
}

/* Those that we have left, and that the server has heard of, end with their last visit. One stream
 * is the lines'. */
static void uplink_on_look(void *arg)
{
	struct uplink *u = arg;
	uint64_t now = ev_now_ms(u->ev);
	bool more = false;

	for (unsigned i = u->n_old; i-- > 0;) {
		struct uplink_old *o = &u->old[i];

		if (!o->ours)
			continue;
		if (now - o->since_ms < UPLINK_HEARD_MS || o->session->n_streams > 1) {
			more = true;
			continue;
		}
		session_close(o->session, ERR_EOF, STR("the agent has another session now"));
		uplink_forget_old(u, i);
	}
	if (more)
		ev_timer_set(u->ev, &u->look, UPLINK_LOOK_MS);
}

/* The number that the server knows the next session by: that of the last one, which may be its
 * ghost, unless it or an old one still lives. */
static unsigned uplink_choose_number(const struct uplink *u)
{
	for (unsigned k = 0; k <= UPLINK_OLD_MAX; k++) {
		unsigned n = (u->number + k * UPLINK_CARRIERS_MAX) %
			     ((UPLINK_OLD_MAX + 1) * UPLINK_CARRIERS_MAX);
		bool lives = u->session != NULL && u->number == n;

		for (unsigned i = 0; i < u->n_old; i++)
			lives = lives || u->old[i].number == n;
		if (!lives)
			return n;
	}
	CHECK(!"one of the numbers is free");
	return u->number;
}

static void uplink_on_draining(void *arg, struct session *s)
{
	struct uplink *u = arg;

	if (s != u->session)
		return;
	(void)uplink_keep_old(u, false);
	u->opt.owner->draining(u->opt.arg, u);
}

/*
 * Is the reason of a dead session the server's word? Some codes also stand for what the kernel says
 * about the carrier; those count only with words of the server behind them.
 */
static bool uplink_was_said(int why, struct str reason)
{
	switch (why) {
	case ERR_AUTH:
	case ERR_DISABLED:
	case ERR_DELETED:
	case ERR_REPLACED:
	case ERR_DISCONNECTED: return true;
	default: return reason.len > 0;
	}
}

static void uplink_on_closed(void *arg, struct session *s, int why, struct str reason)
{
	struct uplink *u = arg;
	char text[SESSION_REASON_MAX + 1];
	struct uplink_failure f = {.e = why, .was_up = true, .reason = text};

	for (unsigned i = 0; i < u->n_old; i++)
		if (s == u->old[i].session) {
			uplink_forget_old(u, i);
			return;
		}
	f.spoken = uplink_was_said(why, reason);
	str_printf(text, sizeof text, STR_FMT, STR_ARG(reason));
	u->other_next = !u->proven && uplink_blames_transport(u, why, f.spoken);
	(void)uplink_leave_session(u);
	uplink_down(u, &f);
}

static const struct session_owner uplink_session_owner = {
	.visit = uplink_on_visit,
	.told = uplink_on_told,
	.draining = uplink_on_draining,
	.closed = uplink_on_closed,
};

int uplink_tell(struct uplink *u, struct str line)
{
	return u->state == UPLINK_UP ? session_tell(u->session, line) : ERR_CLOSED;
}

/* ---- getting one ---- */

static void uplink_is_there(struct uplink *u, struct session *s, const struct upgrade_answer *a)
{
	u->session = s;
	u->number = u->next;
	u->state = UPLINK_UP;
	u->up_since_ms = ev_now_ms(u->ev);
	u->proven = false;
	ev_timer_set(u->ev, &u->timer, UPLINK_PROVEN_MS);
	u->opt.owner->up(u->opt.arg, u, a);
}

/* Returns 0 or why there is no session on this wire, which is closed then. */
static int uplink_make_session(struct uplink *u, struct wire *w, struct session **out)
{
	struct mux_opt mux = {.role = MUX_AGENT,
			      .budget = u->opt.budget,
			      .owner = &uplink_session_owner,
			      .arg = u};
	int e = mux_new(u->ev, w, &mux, out);

	if (e != 0)
		wire_close(w, e);
	return e;
}

/* The answer to an attempt beside the current session. */
static void uplink_on_moved(struct uplink *u, const struct upgrade_answer *a)
{
	struct session *s = NULL;

	if (!u->opt.owner->moved(u->opt.arg, u, a->e == 0 ? a : NULL)) {
		if (a->e == 0)
			wire_close(a->wire, 0);
		return;
	}
	if (uplink_make_session(u, a->wire, &s) != 0)
		return;
	session_drain(uplink_keep_old(u, true));
	u->opt.owner->left(u->opt.arg, u);
	uplink_is_there(u, s, a);
}

static void uplink_on_answer(void *arg, const struct upgrade_answer *a)
{
	struct uplink *u = arg;
	struct uplink_failure f = {.e = a->e, .spoken = a->spoken, .reason = a->reason};
	struct session *s = NULL;

	u->upgrade = NULL;
	if (u->state == UPLINK_UP) {
		uplink_on_moved(u, a);
		return;
	}
	if (a->e != 0 && uplink_fall_back(u, a->e, a->spoken))
		return;
	if (a->e == 0)
		f.e = uplink_make_session(u, a->wire, &s);
	if (f.e != 0)
		uplink_down(u, &f);
	else
		uplink_is_there(u, s, a);
}

/* An attempt has ended without an answer. */
static void uplink_failed(struct uplink *u, int e, const char *reason)
{
	if (u->state == UPLINK_UP)
		(void)u->opt.owner->moved(u->opt.arg, u, NULL);
	else
		uplink_down(u, &(struct uplink_failure){.e = e, .reason = reason});
}

static void uplink_ask(struct uplink *u, struct wire *w)
{
	struct upgrade_opt opt = {.net = u->opt.net, .done = uplink_on_answer, .arg = u};
	int e;

	u->next = uplink_choose_number(u);
	opt.ask = (struct upgrade_ask){.server = &u->to, .carrier = u->next};
	u->opt.owner->ask(u->opt.arg, u, &opt.ask);
	if (u->fell_back || u->state == UPLINK_UP)
		opt.ask.websocket = u->websocket;
	u->websocket = opt.ask.websocket;
	if (u->state != UPLINK_UP)
		u->state = UPLINK_ASKS;
	if ((e = upgrade_start(u->ev, w, &opt, &u->upgrade)) != 0) {
		wire_close(w, e);
		uplink_failed(u, e, "");
	}
}

static void uplink_on_dialled(void *arg, int e, struct wire *w)
{
	struct uplink *u = arg;

	u->dial = NULL;
	if (e == 0)
		uplink_ask(u, w);
	else
		uplink_failed(u, e, agent_net_explain(u->opt.net, &u->to, NULL));
}

/* Returns 0 or ERR_NOMEM. */
static int uplink_dial_only(struct uplink *u)
{
	struct agent_dial_opt opt = {.to = &u->to,
				     .server = true,
				     .timeout_ms = UPLINK_DIAL_MS,
				     .done = uplink_on_dialled,
				     .arg = u};

	return agent_net_dial(u->opt.net, &opt, &u->dial);
}

static void uplink_dial(struct uplink *u)
{
	int e;

	ev_timer_stop(u->ev, &u->timer);
	u->state = UPLINK_DIALS;
	if ((e = uplink_dial_only(u)) != 0)
		uplink_failed(u, e, "");
}

bool uplink_move(struct uplink *u)
{
	if (u->state != UPLINK_UP || u->dial != NULL || u->upgrade != NULL ||
	    u->n_old == UPLINK_OLD_MAX)
		return false;
	u->to = *u->opt.owner->to(u->opt.arg, u);
	return uplink_dial_only(u) == 0;
}

static void uplink_on_timer(void *arg)
{
	struct uplink *u = arg;

	if (u->state == UPLINK_UP)
		uplink_prove(u);
	else if (u->state == UPLINK_WAITS)
		uplink_begin(u);
}

void uplink_start(struct uplink *u)
{
	if (u->state == UPLINK_RESTS || u->state == UPLINK_WAITS)
		uplink_begin(u);
}

uint32_t uplink_retry(struct uplink *u, uint32_t spread_ms)
{
	uint32_t ms = backoff_next_spread(&u->backoff, u->ev, spread_ms);

	uplink_retry_in(u, ms);
	return ms;
}

void uplink_retry_in(struct uplink *u, uint32_t ms)
{
	CHECK(u->state == UPLINK_RESTS);
	u->state = UPLINK_WAITS;
	ev_timer_set(u->ev, &u->timer, ms);
}

void uplink_hurry(struct uplink *u)
{
	if (u->state == UPLINK_WAITS)
		uplink_begin(u);
}

void uplink_rest(struct uplink *u)
{
	uplink_cancel(u);
	if (u->state == UPLINK_UP)
		return;
	ev_timer_stop(u->ev, &u->timer);
	u->state = UPLINK_RESTS;
}

/* ---- what the agent asks ---- */

void uplink_drop(struct uplink *u, int why, struct str reason)
{
	struct session *s;

	if (u->state != UPLINK_UP)
		return;
	s = uplink_leave_session(u);
	session_close(s, why, reason);
}

bool uplink_is_idle(const struct uplink *u)
{
	return u->state == UPLINK_RESTS;
}

bool uplink_is_up(const struct uplink *u)
{
	return u->state == UPLINK_UP;
}

bool uplink_is_leaving(const struct uplink *u)
{
	return u->n_old > 0;
}

unsigned uplink_carrier(const struct uplink *u)
{
	return u->opt.carrier;
}

void uplink_ping(struct uplink *u, uint32_t deadline_ms)
{
	if (u->session != NULL)
		session_ping(u->session, deadline_ms);
	for (unsigned i = 0; i < u->n_old; i++)
		session_ping(u->old[i].session, deadline_ms);
}

void uplink_drain(struct uplink *u)
{
	if (u->session != NULL)
		session_drain(u->session);
}

int uplink_new(struct ev *ev, const struct uplink_opt *opt, struct uplink **out)
{
	struct uplink *u = calloc(1, sizeof *u);

	if (u == NULL)
		return ERR_NOMEM;
	u->ev = ev;
	u->opt = *opt;
	u->number = opt->carrier;
	u->timer = (struct ev_timer){.fn = uplink_on_timer, .arg = u};
	u->look = (struct ev_timer){.fn = uplink_on_look, .arg = u};
	*out = u;
	return 0;
}

void uplink_free(struct uplink *u, int why, struct str reason)
{
	if (u == NULL)
		return;
	session_close(u->session, why, reason);
	u->session = NULL;
	while (u->n_old > 0)
		session_close(u->old[--u->n_old].session, why, reason);
	ev_timer_stop(u->ev, &u->look);
	u->state = UPLINK_RESTS;
	uplink_rest(u);
	ev_free_later(u->ev, u);
}
