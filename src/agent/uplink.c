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
	UPLINK_UP,
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
	struct session *old;	 /* draining beside the next one, or NULL */
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

/* The session is no longer the current one. */
static struct session *uplink_leave_session(struct uplink *u)
{
	struct session *s = NULL;

	MOVE(s, u->session);
	ev_timer_stop(u->ev, &u->timer);
	if (ev_now_ms(u->ev) - u->up_since_ms >= UPLINK_STEADY_MS)
		backoff_reset(&u->backoff);
	u->state = UPLINK_RESTS;
	return s;
}

static void uplink_on_draining(void *arg, struct session *s)
{
	struct uplink *u = arg;

	if (s != u->session)
		return;
	session_close(u->old, ERR_DRAIN, STR("another session drains already"));
	u->old = uplink_leave_session(u);
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

	if (s == u->old) {
		u->old = NULL;
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

static void uplink_on_answer(void *arg, const struct upgrade_answer *a)
{
	struct mux_opt mux = {.role = MUX_AGENT, .owner = &uplink_session_owner};
	struct uplink *u = arg;
	struct uplink_failure f = {.e = a->e, .spoken = a->spoken, .reason = a->reason};

	u->upgrade = NULL;
	if (a->e != 0 && uplink_fall_back(u, a->e, a->spoken))
		return;
	mux.budget = u->opt.budget;
	mux.arg = u;
	if (a->e == 0 && (f.e = mux_new(u->ev, a->wire, &mux, &u->session)) != 0)
		wire_close(a->wire, f.e);
	if (f.e != 0) {
		uplink_down(u, &f);
		return;
	}
	u->state = UPLINK_UP;
	u->up_since_ms = ev_now_ms(u->ev);
	u->proven = false;
	ev_timer_set(u->ev, &u->timer, UPLINK_PROVEN_MS);
	u->opt.owner->up(u->opt.arg, u, a);
}

static void uplink_ask(struct uplink *u, struct wire *w)
{
	struct upgrade_opt opt = {.net = u->opt.net, .done = uplink_on_answer, .arg = u};
	int e;

	opt.ask = (struct upgrade_ask){.server = u->opt.server, .carrier = u->opt.carrier};
	u->opt.owner->ask(u->opt.arg, u, &opt.ask);
	if (u->fell_back)
		opt.ask.websocket = u->websocket;
	u->websocket = opt.ask.websocket;
	u->state = UPLINK_ASKS;
	if ((e = upgrade_start(u->ev, w, &opt, &u->upgrade)) != 0) {
		wire_close(w, e);
		uplink_down(u, &(struct uplink_failure){.e = e, .reason = ""});
	}
}

static void uplink_on_dialled(void *arg, int e, struct wire *w)
{
	struct uplink *u = arg;

	u->dial = NULL;
	if (e == 0)
		uplink_ask(u, w);
	else
		uplink_down(u, &(struct uplink_failure){.e = e,
							.reason = agent_net_explain(u->opt.net,
										    u->opt.server,
										    NULL)});
}

static void uplink_dial(struct uplink *u)
{
	struct agent_dial_opt opt = {.to = u->opt.server,
				     .server = true,
				     .timeout_ms = UPLINK_DIAL_MS,
				     .done = uplink_on_dialled,
				     .arg = u};
	int e;

	ev_timer_stop(u->ev, &u->timer);
	u->state = UPLINK_DIALS;
	if ((e = agent_net_dial(u->opt.net, &opt, &u->dial)) != 0)
		uplink_down(u, &(struct uplink_failure){.e = e, .reason = ""});
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

uint32_t uplink_retry(struct uplink *u)
{
	uint32_t ms = backoff_next(&u->backoff, u->ev);

	CHECK(u->state == UPLINK_RESTS);
	u->state = UPLINK_WAITS;
	ev_timer_set(u->ev, &u->timer, ms);
	return ms;
}

void uplink_hurry(struct uplink *u)
{
	if (u->state == UPLINK_WAITS)
		uplink_begin(u);
}

void uplink_rest(struct uplink *u)
{
	if (u->state == UPLINK_UP)
		return;
	ev_timer_stop(u->ev, &u->timer);
	agent_net_cancel(u->opt.net, u->dial);
	u->dial = NULL;
	upgrade_cancel(u->upgrade);
	u->upgrade = NULL;
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

unsigned uplink_carrier(const struct uplink *u)
{
	return u->opt.carrier;
}

void uplink_ping(struct uplink *u, uint32_t deadline_ms)
{
	if (u->session != NULL)
		session_ping(u->session, deadline_ms);
	if (u->old != NULL)
		session_ping(u->old, deadline_ms);
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
	u->timer = (struct ev_timer){.fn = uplink_on_timer, .arg = u};
	*out = u;
	return 0;
}

void uplink_free(struct uplink *u, int why, struct str reason)
{
	if (u == NULL)
		return;
	session_close(u->session, why, reason);
	u->session = NULL;
	session_close(u->old, why, reason);
	u->old = NULL;
	u->state = UPLINK_RESTS;
	uplink_rest(u);
	ev_free_later(u->ev, u);
}
