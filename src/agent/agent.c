/*
 * Decides what a loss means: wait and come back, ask for an account anew, ask for another name, or
 * give up because the server has said its last word.
 */
#include "agent/agent_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

_Static_assert(AGENT_SESSIONS_MAX <= UPLINK_CARRIERS_MAX, "each session has its numbers");

static const struct str agent_stopped = {"the agent was stopped", 21};

/* ---- the end ---- */

static void agent_close(struct agent *a, int why, struct str reason)
{
	ev_timer_stop(a->ev, &a->sleep);
	ev_timer_stop(a->ev, &a->deadline);
	ev_timer_stop(a->ev, &a->rest);
	agent_spread_stop(a);
	ev_task_cancel(&a->feed);
	for (unsigned i = 0; i < a->opt.n_sessions; i++) {
		uplink_free(a->uplinks[i], why, reason);
		a->uplinks[i] = NULL;
	}
	agent_place_free_all(a);
	agent_offer_free_all(a);
	targets_free(a->targets);
	a->targets = NULL;
}

void agent_end(struct agent *a, int code, const char *reason)
{
	if (a->ended)
		return;
	a->ended = true;
	agent_close(a, ERR_EOF, agent_stopped);
	a->opt.events->ended(a->opt.arg, code, reason);
}

void agent_free(struct agent *a)
{
	if (a == NULL)
		return;
	a->ended = a->mute = true;
	agent_close(a, ERR_EOF, agent_stopped);
	ev_free_later(a->ev, a->offered);
	ev_free_later(a->ev, a);
}

/* No session and no visit any more? */
static void agent_leave_look(struct agent *a)
{
	if (a->leaving && !a->ended && agent_n_up(a) == 0 && targets_running(a->targets) == 0)
		ev_timer_set(a->ev, &a->deadline, 0);
}

void agent_leave(struct agent *a, const struct control_line *word)
{
	uint64_t now = ev_now_ms(a->ev), drain_ms = word->drain_ms;

	/* visits of a tunnel that went just before this one may have time, too */
	if (targets_running(a->targets) > 0 && a->drains_until_ms > now + drain_ms)
		drain_ms = a->drains_until_ms - now;
	if (drain_ms == 0) {
		agent_end(a, word->code, word->reason);
		return;
	}
	log_info(a->opt.log, "event=leaving drain_ms=%u code=%s reason=\"%s\"", (unsigned)drain_ms,
		 err_name(word->code), word->reason);
	a->leaving = true;
	a->leave_code = word->code;
	str_printf(a->leave_reason, sizeof a->leave_reason, "%s", word->reason);
	for (unsigned i = 0; i < a->opt.n_sessions; i++)
		uplink_rest(a->uplinks[i]);
	ev_timer_set(a->ev, &a->deadline, drain_ms + AGENT_LEAVE_MS);
}

/* ---- memory ---- */

static void agent_note_memory(struct agent *a, int e)
{
	if (e != 0)
		log_warn(a->opt.log, "event=not-remembered reason=\"%s\"",
			 memory_why(a->opt.memory));
}

/* The server has made an account for us. */
static void agent_keep_account(struct agent *a, const struct upgrade_answer *answer)
{
	struct memory_credential *c = &a->credential;

	if (answer->token[0] == '\0' || a->opt.certificate)
		return;
	str_printf(c->token, sizeof c->token, "%s", answer->token);
	str_printf(c->account, sizeof c->account, "%s", answer->account);
	c->automatic = true;
	if (a->opt.memory != NULL)
		agent_note_memory(a, memory_set_credential(a->opt.memory, a->server, c));
}

/* A session works. */
static void agent_on_proven(void *arg, struct uplink *u, bool websocket)
{
	struct agent *a = arg;

	if (a->opt.transport != AGENT_AUTO || a->websocket == websocket)
		return;
	a->websocket = websocket;
	if (a->opt.memory != NULL)
		agent_note_memory(a, memory_set_websocket(a->opt.memory, a->server, websocket));
}

/*
 * The credential was refused. One that was made on the fly is forgotten: the server has lost its
 * records, or we stored it for another server at the same URL.
 * Returns false when it was given by a person, or asking anew was tried already.
 */
static bool agent_renew_account(struct agent *a)
{
	struct memory_credential *c = &a->credential;

	if (!c->automatic || a->renewed)
		return false;
	a->renewed = true;
	if (a->opt.memory != NULL) {
		agent_note_memory(a, memory_drop_credential(a->opt.memory, a->server, c->token));
		memory_credential(a->opt.memory, a->server, c);
	} else {
		*c = (struct memory_credential){.automatic = true};
	}
	return true;
}

/* ---- sessions ---- */

unsigned agent_n_up(const struct agent *a)
{
	unsigned n = 0;

	for (unsigned i = 0; i < a->opt.n_sessions; i++)
		n += uplink_is_up(a->uplinks[i]);
	return n;
}

/* Is another one than u on its way up? */
static bool agent_other_tries(const struct agent *a, const struct uplink *u)
{
	for (unsigned i = 0; i < a->opt.n_sessions; i++)
		if (a->uplinks[i] != u && !uplink_is_idle(a->uplinks[i]) &&
		    !uplink_is_up(a->uplinks[i]))
			return true;
	return false;
}

static void agent_tell_offline(struct agent *a, const struct agent_offline *o)
{
	a->offline = true;
	a->offline_e = o->e;
	str_printf(a->offline_reason, sizeof a->offline_reason, "%s", o->reason);
	a->retry_at_ms = o->retry_ms == 0 ? 0 : ev_now_ms(a->ev) + o->retry_ms;
	a->opt.events->offline(a->opt.arg, o);
}

/* What was done by its session is over. */
static void agent_forget_session(struct agent *a, struct uplink *u)
{
	agent_tunnel_down(a, u);
	agent_offer_down(a, u);
	agent_spread_down(a, u);
}

/* u has no session: when does it try again, and who is told? */
static void agent_come_back(struct agent *a, struct uplink *u, const struct uplink_failure *f)
{
	struct agent_offline o = {.e = f->e,
				  .spoken = f->spoken,
				  .lost = f->was_up,
				  .reason = f->reason};

	agent_forget_session(a, u);
	agent_leave_look(a);
	if (a->ended || a->stopping || a->leaving || !agent_wants(a))
		return;
	if (agent_n_up(a) > 0) {
		log_info(a->opt.log, "event=carrier-lost carrier=%u reason=\"%s\" said=\"%s\"",
			 uplink_carrier(u), err_text(f->e), f->reason);
		(void)agent_spread_again(a, u, f);
		return;
	}
	if (!agent_other_tries(a, u))
		o.retry_ms = agent_spread_again(a, u, f);
	if (o.retry_ms == 0 && !f->was_up)
		return; /* this one tries on, or the one that tries will tell */
	agent_tell_offline(a, &o);
}

static void agent_on_ask(void *arg, struct uplink *u, struct upgrade_ask *ask)
{
	struct agent *a = arg;

	ask->token = str_of(a->credential.token);
	ask->certificate = a->opt.certificate;
	ask->agent = a->opt.id;
	ask->epoch = a->epoch;
	agent_spread_format(a, u, a->nodes);
	ask->nodes = a->nodes;
	ask->websocket =
		a->opt.transport == AGENT_AUTO ? a->websocket : a->opt.transport == AGENT_WEBSOCKET;
}

/* The server ends a session when others have the last tunnel of it: each of those was told. */
static bool agent_has_lost_all(const struct agent *a, const struct uplink_failure *f)
{
	return f->e == ERR_REPLACED && a->opt.stays;
}

static void agent_on_down(void *arg, struct uplink *u, const struct uplink_failure *f)
{
	struct agent *a = arg;

	if (a->ended)
		return;
	if (f->spoken && f->e == ERR_DISCONNECTED && !a->stopping)
		agent_end(a, f->e, f->reason); /* a person wants us gone, not one of our sessions */
	else if (!f->spoken || !control_is_final(f->e) || agent_n_up(a) > 0 || a->stopping ||
		 a->leaving || agent_has_lost_all(a, f))
		agent_come_back(a, u, f);
	else if (f->e == ERR_AUTH && agent_renew_account(a))
		uplink_start(u);
	else
		agent_end(a, f->e, f->reason);
}

static void agent_on_left(void *arg, struct uplink *u)
{
	agent_forget_session(arg, u);
}

static void agent_on_draining(void *arg, struct uplink *u)
{
	agent_come_back(arg, u,
			&(struct uplink_failure){.e = ERR_DRAIN, .was_up = true, .reason = ""});
}

void agent_fail(struct agent *a, struct uplink *u, const struct uplink_failure *f)
{
	uplink_drop(u, f->e, STR("attaching failed"));
	agent_come_back(a, u, f);
}

void agent_start_others(struct agent *a)
{
	if (a->ended || a->stopping || a->leaving || a->n_unknown > 0 || !agent_wants(a) ||
	    agent_n_up(a) == 0)
		return;
	for (unsigned i = 0; i < a->opt.n_sessions; i++)
		if (uplink_is_idle(a->uplinks[i]))
			uplink_start(a->uplinks[i]);
}

/* ---- nothing to serve ---- */

bool agent_wants(const struct agent *a)
{
	return a->n_wanted > 0 || a->opt.n_services > 0;
}

void agent_wake(struct agent *a)
{
	ev_timer_stop(a->ev, &a->rest);
	a->resting = false;
	for (unsigned i = 0; i < a->opt.n_sessions; i++)
		if (!uplink_is_idle(a->uplinks[i]))
			return; /* there is one, or will be */
	uplink_start(a->uplinks[0]);
}

/* Visits that still run keep their sessions. */
static void agent_on_rest(void *arg)
{
	struct agent *a = arg;

	if (agent_wants(a) || targets_running(a->targets) > 0)
		return;
	a->resting = true;
	a->offline = false;
	for (unsigned i = 0; i < a->opt.n_sessions; i++) {
		uplink_rest(a->uplinks[i]);
		uplink_drop(a->uplinks[i], ERR_EOF, STR("the agent serves nothing now"));
		agent_forget_session(a, a->uplinks[i]);
	}
}

void agent_rest_look(struct agent *a)
{
	if (!a->ended && !a->stopping && !a->leaving && !a->resting && !agent_wants(a))
		ev_timer_set(a->ev, &a->rest, AGENT_REST_MS);
}

/* ---- lines ---- */

static void agent_on_up(void *arg, struct uplink *u, const struct upgrade_answer *answer)
{
	struct agent *a = arg;
	int e;

	log_info(a->opt.log, "event=session-open carrier=%u transport=%s node=%s",
		 uplink_carrier(u), answer->websocket ? "websocket" : "upgrade", answer->node);
	agent_spread_up(a, u, answer);
	agent_keep_account(a, answer);
	a->offline = false;
	a->by_websocket = answer->websocket;
	if ((e = agent_tunnel_up(a, u)) == 0)
		e = agent_offer_tell(a, u);
	if (e != 0) {
		agent_fail(a, u, &(struct uplink_failure){.e = e, .was_up = true, .reason = ""});
		return;
	}
	if (a->opt.n_services > 0 && agent_n_up(a) == 1 && a->opt.events->offering != NULL)
		a->opt.events->offering(a->opt.arg, a->offered_once);
	a->offered_once = true;
	if (agent_tunnel_awaits(a, u))
		return; /* the answers to the attaches decide how it goes on */
	a->renewed = false;
	agent_start_others(a);
}

static const struct uplink_failure agent_wrong_line = {.e = ERR_PROTO,
						       .was_up = true,
						       .reason = "a control line is wrong"};

static void agent_on_nodes(struct agent *a, struct uplink *u, struct str text)
{
	if (agent_spread_on_nodes(a, text) != 0)
		agent_fail(a, u, &agent_wrong_line);
}

static void agent_on_told(void *arg, struct uplink *u, struct str text)
{
	struct agent *a = arg;
	struct control_line line;

	if (a->ended || a->stopping)
		return;
	if (control_parse(text, &line) != 0) {
		agent_fail(a, u, &agent_wrong_line);
		return;
	}
	switch (line.op) {
	case CONTROL_ATTACHED:
	case CONTROL_REFUSED: agent_tunnel_on_answer(a, u, &line); break;
	case CONTROL_ASSIGNED: agent_offer_on_assigned(a, u, &line); break;
	case CONTROL_DETACHED:
		if (!agent_tunnel_on_detached(a, u, &line))
			agent_offer_on_detached(a, u, &line);
		break;
	case CONTROL_NODES: agent_on_nodes(a, u, text); break;
	case CONTROL_UNKNOWN: break;
	}
}

/* A session that cannot be told is dying: the next one is told anew. */
void agent_tell_health(struct agent *a, uint32_t attached, const char *name, bool up)
{
	struct buf line = {0};

	if (control_health(str_of(name), up, &line) != 0)
		return;
	for (unsigned i = 0; i < a->opt.n_sessions; i++)
		if (attached & agent_bit(a->uplinks[i]))
			(void)!uplink_tell(a->uplinks[i], buf_str(&line));
	buf_free(&line);
}

void agent_on_health(struct agent *a, const struct url *to, bool up, const char *why)
{
	if (!a->mute && a->opt.events->health != NULL)
		a->opt.events->health(a->opt.arg, to, up, why);
}

/* ---- visitors ---- */

/* The server's record names what we do not have: say so here as well, but not for every visitor. */
static void agent_on_unknown(struct agent *a, const struct visit *visit)
{
	uint64_t now = ev_now_ms(a->ev);

	if (a->unknown_ms != 0 && now - a->unknown_ms < AGENT_UNKNOWN_MS)
		return;
	a->unknown_ms = MAX(now, 1);
	log_info(a->opt.log, "event=visit-refused tunnel=%s service=%s in=%s code=%s",
		 visit->tunnel, visit->service, visit_ingress_name(visit->ingress),
		 err_name(ERR_NOTFOUND));
	if (a->opt.events->unknown != NULL)
		a->opt.events->unknown(a->opt.arg, visit->tunnel, visit->service);
}

static void agent_on_visit(void *arg, struct uplink *u, const struct visit *visit, struct wire *w)
{
	struct agent *a = arg;
	struct target *t = NULL;

	if (a->ended) {
		wire_close(w, ERR_DRAIN);
		return;
	}
	if (visit->service[0] == '\0')
		t = agent_place_find(a, visit);
	if (t == NULL)
		t = agent_offer_find(a, visit);
	if (t != NULL) {
		targets_serve(a->targets, t, visit, w);
		return;
	}
	wire_close(w, ERR_NOTFOUND);
	agent_on_unknown(a, visit);
}

static void agent_on_target(void *arg, const struct url *to, int e)
{
	struct agent *a = arg;

	if (!a->mute)
		a->opt.events->target(a->opt.arg, to, e);
}

static void agent_on_request(void *arg, const struct peek_request *r)
{
	struct agent *a = arg;

	if (!a->mute)
		a->opt.events->request(a->opt.arg, r);
}

static void agent_on_connection(void *arg, const struct target_connection *c)
{
	struct agent *a = arg;

	if (!a->mute)
		a->opt.events->connection(a->opt.arg, c);
}

/* ---- sleep ---- */

/* A server that pings but never answers is as good as dead. */
static void agent_check_answers(struct agent *a)
{
	static const struct uplink_failure silent = {.e = ERR_TIMEOUT,
						     .was_up = true,
						     .reason = "it does not answer our request"};

	uint64_t now = ev_now_ms(a->ev), asked;

	for (unsigned i = 0; i < a->opt.n_sessions && !a->ended; i++)
		if (agent_tunnel_oldest_ms(a, a->uplinks[i], &asked) &&
		    now - asked > AGENT_ATTACH_MS)
			agent_fail(a, a->uplinks[i], &silent);
}

/* The clock of the loop stands still while a machine sleeps; the other one does not. */
static void agent_on_sleep_check(void *arg)
{
	struct agent *a = arg;
	uint64_t loop_ms = ev_now_ms(a->ev);
	int64_t wall_ms = ev_wall_ms(a->ev);
	int64_t ahead = wall_ms - a->slept_wall_ms - (int64_t)(loop_ms - a->slept_loop_ms);

	a->slept_loop_ms = loop_ms;
	a->slept_wall_ms = wall_ms;
	ev_timer_set(a->ev, &a->sleep, AGENT_SLEEP_CHECK_MS);
	if (!a->stopping)
		agent_check_answers(a);
	if (a->ended || ahead < AGENT_SLEPT_MS)
		return;
	log_info(a->opt.log, "event=woke-up slept_ms=%lld", (long long)ahead);
	for (unsigned i = 0; i < a->opt.n_sessions; i++) {
		uplink_ping(a->uplinks[i], AGENT_WAKE_PING_MS);
		uplink_hurry(a->uplinks[i]);
	}
}

/* ---- stopping ---- */

static void agent_on_deadline(void *arg)
{
	struct agent *a = arg;

	if (a->stopping)
		agent_end(a, 0, "");
	else
		agent_end(a, a->leave_code, a->leave_reason);
}

static void agent_on_idle(void *arg)
{
	struct agent *a = arg;

	if (a->stopping && !a->ended)
		ev_timer_set(a->ev, &a->deadline, 0);
	agent_leave_look(a);
	agent_rest_look(a);
}

void agent_stop(struct agent *a)
{
	if (a->stopping || a->ended)
		return;
	a->stopping = true;
	ev_timer_stop(a->ev, &a->rest);
	for (unsigned i = 0; i < a->opt.n_sessions; i++) {
		uplink_rest(a->uplinks[i]);
		agent_tunnel_detach_all(a, a->uplinks[i]);
		uplink_drain(a->uplinks[i]);
	}
	ev_timer_set(a->ev, &a->deadline, targets_running(a->targets) > 0 ? AGENT_STOP_MS : 0);
}

void agent_state(const struct agent *a, struct agent_state *out)
{
	uint64_t now = ev_now_ms(a->ev);

	*out = (struct agent_state){.transport = "", .resting = a->resting, .reason = ""};
	if (a->ended)
		return;
	out->sessions = agent_n_up(a);
	out->nodes = agent_spread_n_nodes(a);
	if (out->sessions > 0)
		out->transport = a->by_websocket ? "websocket" : "upgrade";
	else if (a->offline) {
		out->offline = true;
		out->e = a->offline_e;
		out->reason = a->offline_reason;
		out->retry_ms = a->retry_at_ms > now ? (uint32_t)(a->retry_at_ms - now) : 0;
	}
}

/* ---- birth ---- */

static const struct uplink_owner agent_uplink_owner = {
	.to = agent_spread_to,
	.ask = agent_on_ask,
	.up = agent_on_up,
	.moved = agent_spread_moved,
	.left = agent_on_left,
	.proven = agent_on_proven,
	.down = agent_on_down,
	.draining = agent_on_draining,
	.told = agent_on_told,
	.visit = agent_on_visit,
};

static int agent_make_credential(struct agent *a)
{
	struct memory_credential *c = &a->credential;

	if (a->opt.token != NULL)
		return str_copy(c->token, sizeof c->token, str_of(a->opt.token));
	if (a->opt.memory != NULL && !a->opt.certificate)
		memory_credential(a->opt.memory, a->server, c);
	return 0;
}

static int agent_make_parts(struct agent *a)
{
	struct targets_opt targets = {.net = a->opt.net,
				      .state = agent_on_target,
				      .idle = agent_on_idle,
				      .arg = a};
	struct uplink_opt uplink = {.net = a->opt.net,
				    .budget = &a->budget,
				    .fixed = a->opt.transport != AGENT_AUTO,
				    .owner = &agent_uplink_owner,
				    .arg = a};
	int e;

	if (a->opt.events->request != NULL)
		targets.request = agent_on_request;
	if (a->opt.events->connection != NULL)
		targets.connection = agent_on_connection;
	if ((e = targets_new(a->ev, &targets, &a->targets)) != 0)
		return e;
	for (unsigned i = 0; i < a->opt.n_sessions; i++) {
		uplink.carrier = i;
		if ((e = uplink_new(a->ev, &uplink, &a->uplinks[i])) != 0)
			return e;
	}
	return 0;
}

static uint64_t agent_make_epoch(struct agent *a)
{
	uint64_t epoch = (uint64_t)ev_wall_ms(a->ev);

	if (a->opt.memory != NULL && memory_next_epoch(a->opt.memory, epoch, &epoch) != 0)
		log_warn(a->opt.log, "event=not-remembered reason=\"%s\"",
			 memory_why(a->opt.memory));
	return epoch;
}

int agent_new(struct ev *ev, const struct agent_opt *opt, struct agent **out)
{
	struct agent *a = calloc(1, sizeof *a);
	int e = ERR_NOMEM;

	CHECK(opt->n_tunnels > 0 || opt->n_services > 0 || opt->stays);
	CHECK(opt->n_tunnels <= AGENT_TUNNELS_MAX && opt->n_services <= AGENT_SERVICES_MAX);
	CHECK(opt->n_others < AGENT_SERVERS_MAX);
	CHECK(opt->n_sessions > 0 && opt->n_sessions <= AGENT_SESSIONS_MAX);
	if (a == NULL)
		goto out;
	a->ev = ev;
	a->opt = *opt;
	a->budget.cap = AGENT_BUDGET;
	a->epoch = agent_make_epoch(a);
	url_format(opt->server, a->server);
	a->websocket = opt->memory != NULL && memory_websocket(opt->memory, a->server);
	a->slept_wall_ms = ev_wall_ms(ev);
	a->slept_loop_ms = ev_now_ms(ev);
	a->sleep = (struct ev_timer){.fn = agent_on_sleep_check, .arg = a};
	a->deadline = (struct ev_timer){.fn = agent_on_deadline, .arg = a};
	a->rest = (struct ev_timer){.fn = agent_on_rest, .arg = a};
	list_init(&a->given);
	list_init(&a->places);
	list_init(&a->gone);
	for (size_t i = 0; i < AGENT_LISTS; i++) {
		list_init(&a->ids[i]);
		list_init(&a->names[i]);
	}
	agent_tunnel_init(a);
	agent_spread_init(a);
	a->opt.others = NULL; /* copied */
	if ((e = agent_place_make_all(a)) != 0 || (e = agent_offer_make_all(a)) != 0 ||
	    (e = agent_make_credential(a)) != 0 || (e = agent_make_parts(a)) != 0)
		goto out;
	ev_timer_set(ev, &a->sleep, AGENT_SLEEP_CHECK_MS);
	if (agent_wants(a))
		agent_wake(a);
	else
		a->resting = true;
	MOVE(*out, a);
out:
	agent_free(a);
	return e;
}
