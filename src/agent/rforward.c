/* Dial, log in, ask for the forwards; each step may fail, and then the next one is to wait. */
#include "agent/rforward.h"

#include <stdlib.h>
#include <string.h>

#include "agent/backoff.h"
#include "agent/rforward_visit.h"
#include "base/err.h"
#include "net/net_connect.h"
#include "net/net_sock.h"

enum rforward_state {
	RFORWARD_WAITS, /* for the back-off to end, or for its first attempt */
	RFORWARD_DIALS, /* connecting */
	RFORWARD_RUNS,	/* there is a session, logged in or not */
	RFORWARD_OVER,
};

/* A forward as it stands. */
struct rforward_place {
	struct ssh_spec spec;
	struct target target; /* not of SOCKS */
	uint16_t asked;	      /* for which port this session was asked; 0: any */
	uint16_t port;	      /* which one the server gave last; 0: none, or not any more */
	bool granted;	      /* the last answer that was told was yes */
	bool told;	      /* one was told */

	/* the answer of this session */
	bool answered;
	int e;
	uint16_t got;
};

struct rforward {
	struct ev *ev;
	struct rforward_opt opt;
	enum rforward_state state;
	struct secsh_agent *agent;	/* owned */
	struct rforward_visits *visits; /* owned; NULL when OVER */
	struct net_connect *connect;	/* owned while DIALS */
	struct session *session;	/* owned while RUNS */
	struct rforward_place *places;	/* owned: [opt.n_specs] */
	struct backoff backoff;
	struct ev_timer timer; /* WAITS: the end of it */
	struct ev_task task;   /* for what is not done in a call of others */
	bool is_up;	       /* every forward was answered, and one at least was granted */
	bool was_up;	       /* it was so once */
	uint64_t up_ms;	       /* since when it is so */
	uint64_t lost_ms;      /* when the last session that was up was lost */
	bool mute;	       /* being freed: nobody listens */
	int code;	       /* OVER */
	char reason[SESSION_REASON_MAX + 1];
};

/* ---- the end ---- */

static void rforward_drop(struct rforward *r)
{
	struct session *s = NULL;

	MOVE(s, r->session);
	session_close(s, 0, STR(""));
}

/* Visits first: each wire is closed by whoever has it. */
static void rforward_rest(struct rforward *r)
{
	ev_timer_stop(r->ev, &r->timer);
	ev_task_cancel(&r->task);
	net_connect_cancel(r->connect);
	r->connect = NULL;
	rforward_visits_free(r->visits);
	r->visits = NULL;
	rforward_drop(r);
}

/* Told at the end of the turn: whoever is told may free us, and here we are in a call of others. */
static void rforward_end(struct rforward *r, int code, struct str reason)
{
	if (r->state == RFORWARD_OVER)
		return;
	r->state = RFORWARD_OVER;
	rforward_rest(r);
	r->code = code;
	str_printf(r->reason, sizeof r->reason, STR_FMT, STR_ARG(reason));
	ev_task_run(r->ev, &r->task);
}

/* ---- no session ---- */

static void rforward_down(struct rforward *r, int e, struct str reason)
{
	char text[SESSION_REASON_MAX + 1];
	struct rforward_offline o = {.e = e, .lost = r->is_up, .reason = text};
	uint64_t now = ev_now_ms(r->ev);

	if (r->is_up) {
		r->lost_ms = now;
		if (now - r->up_ms >= RFORWARD_STEADY_MS)
			backoff_reset(&r->backoff);
	}
	r->is_up = false;
	r->state = RFORWARD_WAITS;
	o.retry_ms = backoff_next(&r->backoff, r->ev);
	ev_timer_set(r->ev, &r->timer, o.retry_ms);
	str_printf(text, sizeof text, STR_FMT, STR_ARG(reason));
	r->opt.events->offline(r->opt.arg, &o);
}

static void rforward_on_closed(void *arg, int why, struct str reason)
{
	struct rforward *r = arg;

	if (r->state != RFORWARD_RUNS)
		return;
	r->session = NULL;
	if (why == ERR_AUTH || why == ERR_CERT)
		rforward_end(r, why, reason);
	else
		rforward_down(r, why, reason);
}

/* ---- the answers ---- */

/* Tell an answer if it is news. */
static void rforward_tell(struct rforward *r, struct rforward_place *p)
{
	struct rforward_answer a = {.i = (size_t)(p - r->places),
				    .spec = &p->spec,
				    .e = p->e,
				    .port = p->e == 0 ? p->got : p->spec.port};
	bool news = !p->told || p->granted != (p->e == 0) || (p->e == 0 && p->got != p->port);

	p->told = true;
	p->granted = p->e == 0;
	if (p->granted)
		p->port = p->got;
	if (news)
		r->opt.events->answered(r->opt.arg, &a);
}

/*
 * Forget the allocated ports that are gone: any other one will do. A running session is not asked
 * again, so that takes another one.
 */
static bool rforward_takes_others(struct rforward *r)
{
	bool any = false;

	for (size_t i = 0; i < r->opt.n_specs; i++) {
		struct rforward_place *p = &r->places[i];

		if (p->e != 0 && p->spec.port == 0 && p->asked != 0) {
			p->port = 0;
			any = true;
		}
	}
	return any;
}

/* Every forward was answered. */
static void rforward_settle(struct rforward *r)
{
	uint64_t now = ev_now_ms(r->ev);
	bool all_or_none = secsh_agent_is_all_or_none(r->agent);
	size_t n = 0, refused;

	for (size_t i = 0; i < r->opt.n_specs; i++)
		n += r->places[i].e == 0;
	refused = r->opt.n_specs - n;
	if (rforward_takes_others(r)) {
		rforward_drop(r);
		r->state = RFORWARD_WAITS;
		ev_timer_set(r->ev, &r->timer, 0);
		return;
	}
	if (refused > 0 && (n == 0 || all_or_none) && r->was_up &&
	    now - r->lost_ms < RFORWARD_GHOST_MS) {
		rforward_drop(r);
		rforward_down(r, ERR_DENIED, STR("it refuses the ports that it had given us"));
		return;
	}
	for (size_t i = 0; i < r->opt.n_specs; i++)
		rforward_tell(r, &r->places[i]);
	if (n == 0 || (refused > 0 && all_or_none)) {
		rforward_end(r, ERR_DENIED,
			     n == 0 ? STR("it refuses every remote forward")
				    : STR("it refuses a remote forward"));
		return;
	}
	r->is_up = true;
	r->up_ms = now;
	r->opt.events->up(r->opt.arg, r->was_up);
	r->was_up = true;
}

static bool rforward_all_answered(const struct rforward *r)
{
	for (size_t i = 0; i < r->opt.n_specs; i++)
		if (!r->places[i].answered)
			return false;
	return true;
}

static void rforward_on_forwarded(void *arg, size_t i, int e, uint16_t port)
{
	struct rforward *r = arg;
	struct rforward_place *p = &r->places[i];

	if (r->state != RFORWARD_RUNS)
		return;
	CHECK(i < r->opt.n_specs);
	p->answered = true;
	p->e = e;
	p->got = port;
	if (rforward_all_answered(r))
		ev_task_run(r->ev, &r->task);
}

static void rforward_on_up(void *arg, const char *host, const char *user)
{
}

static void rforward_on_visit(void *arg, size_t i, const struct visit *visit, struct wire *w)
{
	struct rforward *r = arg;

	if (r->state != RFORWARD_RUNS || i >= r->opt.n_specs) {
		wire_close(w, ERR_CLOSED);
		return;
	}
	rforward_visits_serve(r->visits, r->places[i].spec.socks ? NULL : &r->places[i].target,
			      visit, w);
}

static const struct secsh_agent_owner rforward_secsh = {
	.up = rforward_on_up,
	.forwarded = rforward_on_forwarded,
	.visit = rforward_on_visit,
	.closed = rforward_on_closed,
};

/* ---- getting a session ---- */

/* fd: owned; -1: a proxy leads there. */
static void rforward_run(struct rforward *r, int fd)
{
	struct secsh_agent_forward asks[SECSH_SPECS_MAX];
	int e;

	for (size_t i = 0; i < r->opt.n_specs; i++) {
		struct rforward_place *p = &r->places[i];

		p->answered = false;
		p->asked = p->spec.port != 0 ? p->spec.port : p->port;
		asks[i] = (struct secsh_agent_forward){p->spec.address, p->asked};
	}
	if (fd >= 0)
		net_tune(fd, NET_SESSION);
	r->state = RFORWARD_RUNS;
	e = secsh_agent_start(r->agent, fd, asks, r->opt.n_specs, &r->session);
	if (e != 0) {
		net_close(fd, false);
		rforward_down(r, e, STR(""));
	}
}

static void rforward_on_connected(void *arg, int e, int fd)
{
	struct rforward *r = arg;

	r->connect = NULL;
	if (e == 0)
		rforward_run(r, fd);
	else
		rforward_down(r, e, STR(""));
}

static void rforward_dial(struct rforward *r)
{
	uint32_t said_ms = secsh_agent_dial_ms(r->agent);
	struct net_connect_opt opt = {.host = secsh_agent_host(r->agent),
				      .port = secsh_agent_port(r->agent),
				      .timeout_ms = said_ms != 0 ? said_ms : RFORWARD_DIAL_MS,
				      .done = rforward_on_connected,
				      .arg = r};
	int e;

	if (secsh_agent_is_proxied(r->agent)) {
		rforward_run(r, -1);
		return;
	}
	r->state = RFORWARD_DIALS;
	if ((e = net_connect_start(r->ev, &opt, &r->connect)) != 0)
		rforward_down(r, e, STR(""));
}

static void rforward_on_timer(void *arg)
{
	rforward_dial(arg);
}

static void rforward_on_task(void *arg)
{
	struct rforward *r = arg;

	if (r->state == RFORWARD_OVER)
		r->opt.events->ended(r->opt.arg, r->code, r->reason);
	else if (r->state == RFORWARD_RUNS && rforward_all_answered(r))
		rforward_settle(r);
}

/* ---- the visits ---- */

static void rforward_on_target(void *arg, const struct url *to, int e)
{
	struct rforward *r = arg;

	if (!r->mute)
		r->opt.events->target(r->opt.arg, to, e);
}

static void rforward_on_connection(void *arg, const struct target_connection *c)
{
	struct rforward *r = arg;

	if (!r->mute)
		r->opt.events->connection(r->opt.arg, c);
}

/* ---- start ---- */

static int rforward_make_places(struct rforward *r)
{
	r->places = calloc(r->opt.n_specs, sizeof *r->places);
	if (r->places == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < r->opt.n_specs; i++) {
		r->places[i].spec = r->opt.specs[i];
		r->places[i].target.to = r->opt.specs[i].to;
	}
	r->opt.specs = NULL; /* borrowed for the call only */
	return 0;
}

int rforward_new(struct ev *ev, const struct rforward_opt *opt, struct rforward **out, char *why)
{
	struct rforward_visits_opt visits = {.net = opt->net,
					     .state = rforward_on_target,
					     .accept = secsh_agent_accept};
	struct secsh_agent_opt agent = {.where = opt->where,
					.asks = opt->asks,
					.owner = &rforward_secsh};
	struct rforward *r = calloc(1, sizeof *r);
	int e = ERR_NOMEM;

	str_printf(why, SECSH_WHY_TEXT, "%s", err_text(ERR_NOMEM));
	if (r == NULL)
		return e;
	*r = (struct rforward){.ev = ev, .opt = *opt};
	r->opt.where = (struct secsh_agent_where){0};
	r->timer = (struct ev_timer){.fn = rforward_on_timer, .arg = r};
	r->task = (struct ev_task){.fn = rforward_on_task, .arg = r};
	if (opt->n_specs < 1 || opt->n_specs > SECSH_SPECS_MAX) {
		str_printf(why, SECSH_WHY_TEXT, "1 to %d remote forwards are possible",
			   SECSH_SPECS_MAX);
		e = ERR_LIMIT;
		goto out;
	}
	visits.arg = agent.arg = r;
	if (opt->events->connection != NULL)
		visits.connection = rforward_on_connection;
	if ((e = rforward_make_places(r)) != 0 ||
	    (e = rforward_visits_new(ev, &visits, &r->visits)) != 0 ||
	    (e = secsh_agent_new(ev, &agent, &r->agent, why)) != 0)
		goto out;
	ev_timer_set(ev, &r->timer, 0);
	MOVE(*out, r);
out:
	rforward_free(r);
	return e;
}

const char *rforward_host(const struct rforward *r)
{
	return secsh_agent_host(r->agent);
}

const char *rforward_user(const struct rforward *r)
{
	return secsh_agent_user(r->agent);
}

uint16_t rforward_port(const struct rforward *r)
{
	return secsh_agent_port(r->agent);
}

void rforward_stop(struct rforward *r)
{
	rforward_end(r, 0, STR(""));
}

void rforward_free(struct rforward *r)
{
	if (r == NULL)
		return;
	r->mute = true;
	r->state = RFORWARD_OVER;
	rforward_rest(r);
	secsh_agent_free(r->agent);
	free(r->places);
	ev_free_later(r->ev, r);
}
