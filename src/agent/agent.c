/*
 * Decides what a loss means: wait and come back, ask for an account anew, ask for another name, or
 * give up because the server has said its last word.
 */
#include "agent/agent.h"

#include <stdlib.h>
#include <string.h>

#include "agent/control.h"
#include "agent/target.h"
#include "agent/uplink.h"
#include "base/err.h"

/* A tunnel as it stands. */
struct agent_place {
	struct target target;
	char text[URL_TEXT_MAX];     /* the target, as it is remembered and shown */
	char name[HOSTNAME_MAX + 1]; /* "" while none is known */
	char url[CONTROL_URL_MAX];   /* where it was last reached */
	bool asked;		     /* the name is a person's wish: no other one will do */
	bool over;		     /* refused or taken away for good */
	uint32_t attached;	     /* bit n: by carrier n */
};

struct agent {
	struct ev *ev;
	struct agent_opt opt;
	char server[URL_TEXT_MAX]; /* as it is remembered */
	uint64_t epoch;
	struct memory_credential credential;
	bool renewed; /* an account was asked for anew since the last success */
	struct mux_budget budget;
	struct targets *targets;		    /* owned */
	struct agent_place *places;		    /* owned: [opt.n_tunnels] */
	struct uplink *uplinks[AGENT_SESSIONS_MAX]; /* owned: [opt.n_sessions] */
	struct ev_timer sleep;
	uint64_t slept_loop_ms; /* the two clocks when they were last compared */
	int64_t slept_wall_ms;
	struct ev_timer deadline; /* of stopping */
	bool stopping, ended;
	bool mute; /* being freed: nobody listens */
};

static const struct str agent_stopped = {"the agent was stopped", 21};

/* ---- the end ---- */

static void agent_close(struct agent *a, int why, struct str reason)
{
	ev_timer_stop(a->ev, &a->sleep);
	ev_timer_stop(a->ev, &a->deadline);
	for (unsigned i = 0; i < a->opt.n_sessions; i++) {
		uplink_free(a->uplinks[i], why, reason);
		a->uplinks[i] = NULL;
	}
	targets_free(a->targets);
	a->targets = NULL;
}

static void agent_end(struct agent *a, int code, const char *reason)
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
	ev_free_later(a->ev, a->places);
	ev_free_later(a->ev, a);
}

/* ---- memory ---- */

static void agent_note_memory(struct agent *a, int e)
{
	if (e != 0)
		log_warn(a->opt.log, "event=not-remembered reason=\"%s\"",
			 memory_why(a->opt.memory));
}

static void agent_remember_name(struct agent *a, const struct agent_place *p)
{
	const char *name = p->name[0] != '\0' ? p->name : NULL;
	char known[HOSTNAME_MAX + 1];

	if (a->opt.memory == NULL)
		return;
	memory_name(a->opt.memory, a->server, p->text, known);
	if (strcmp(known, p->name) != 0)
		agent_note_memory(a, memory_set_name(a->opt.memory, a->server, p->text, name));
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

static unsigned agent_n_up(const struct agent *a)
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

/* u has no session: when does it try again, and who is told? */
static void agent_come_back(struct agent *a, struct uplink *u, const struct uplink_failure *f)
{
	struct agent_offline o = {.e = f->e,
				  .spoken = f->spoken,
				  .lost = f->was_up,
				  .reason = f->reason};

	for (size_t i = 0; i < a->opt.n_tunnels; i++)
		a->places[i].attached &= ~(UINT32_C(1) << uplink_carrier(u));
	if (a->ended || a->stopping)
		return;
	if (agent_n_up(a) > 0) {
		log_info(a->opt.log, "event=carrier-lost carrier=%u reason=\"%s\" said=\"%s\"",
			 uplink_carrier(u), err_text(f->e), f->reason);
		(void)uplink_retry(u);
		return;
	}
	if (!agent_other_tries(a, u))
		o.retry_ms = uplink_retry(u);
	else if (!f->was_up)
		return; /* the one that tries will tell */
	a->opt.events->offline(a->opt.arg, &o);
}

static void agent_on_ask(void *arg, struct uplink *u, struct upgrade_ask *ask)
{
	struct agent *a = arg;

	ask->token = str_of(a->credential.token);
	ask->certificate = a->opt.certificate;
	ask->agent = a->opt.id;
	ask->epoch = a->epoch;
}

static void agent_on_down(void *arg, struct uplink *u, const struct uplink_failure *f)
{
	struct agent *a = arg;

	if (a->ended)
		return;
	if (f->spoken && f->e == ERR_DISCONNECTED && !a->stopping)
		agent_end(a, f->e, f->reason); /* a person wants us gone, not one of our sessions */
	else if (!f->spoken || !control_is_final(f->e) || agent_n_up(a) > 0 || a->stopping)
		agent_come_back(a, u, f);
	else if (f->e == ERR_AUTH && agent_renew_account(a))
		uplink_start(u);
	else
		agent_end(a, f->e, f->reason);
}

static void agent_on_draining(void *arg, struct uplink *u)
{
	agent_come_back(arg, u,
			&(struct uplink_failure){.e = ERR_DRAIN, .was_up = true, .reason = ""});
}

static void agent_fail(struct agent *a, struct uplink *u, const struct uplink_failure *f)
{
	uplink_drop(u, f->e, STR("attaching failed"));
	agent_come_back(a, u, f);
}

/* ---- tunnels ---- */

static int agent_attach(struct agent *a, struct uplink *u, size_t i)
{
	struct agent_place *p = &a->places[i];
	struct control_attach attach = {.ref = i + 1,
					.kind = STR("http"),
					.name = str_of(p->name),
					.target = str_of(p->text)};
	struct buf line = {0};
	int e;

	attach.target.len = MIN(attach.target.len, 255);
	if ((e = control_attach(&attach, &line)) == 0)
		e = uplink_tell(u, buf_str(&line));
	buf_free(&line);
	return e;
}

static void agent_on_up(void *arg, struct uplink *u, const struct upgrade_answer *answer)
{
	struct agent *a = arg;
	int e = 0;

	agent_keep_account(a, answer);
	for (size_t i = 0; i < a->opt.n_tunnels && e == 0; i++)
		if (!a->places[i].over)
			e = agent_attach(a, u, i);
	if (e != 0)
		agent_fail(a, u, &(struct uplink_failure){.e = e, .was_up = true, .reason = ""});
}

/* Every tunnel has its name: the other sessions can attach to them. */
static void agent_start_others(struct agent *a)
{
	for (size_t i = 0; i < a->opt.n_tunnels; i++)
		if (a->places[i].url[0] == '\0' && !a->places[i].over)
			return;
	for (unsigned i = 0; i < a->opt.n_sessions; i++)
		if (uplink_is_idle(a->uplinks[i]))
			uplink_start(a->uplinks[i]);
}

/* This tunnel is not to be had. */
static void agent_lose(struct agent *a, size_t i, int code, const char *reason)
{
	bool any = false;

	a->places[i].over = true;
	a->places[i].attached = 0;
	for (size_t k = 0; k < a->opt.n_tunnels; k++)
		any = any || !a->places[k].over;
	if (!any) {
		agent_end(a, code, reason);
		return;
	}
	a->opt.events->lost(a->opt.arg, i, code, reason);
	if (!a->ended && !a->stopping)
		agent_start_others(a); /* it may have been the last one they waited for */
}

static void agent_on_attached(struct agent *a, struct uplink *u, const struct control_line *line)
{
	struct agent_place *p = &a->places[line->ref - 1];
	struct agent_online o = {.tunnel = line->ref - 1, .name = p->name, .url = p->url};
	bool was_online = p->attached != 0;

	if (was_online && strcmp(p->name, line->name) != 0) { /* the others serve another one */
		agent_fail(a, u,
			   &(struct uplink_failure){.e = ERR_PROTO,
						    .was_up = true,
						    .reason = "it gave us another name"});
		return;
	}
	p->attached |= UINT32_C(1) << uplink_carrier(u);
	a->renewed = false;
	o.target = &p->target.to;
	o.again = strcmp(p->url, line->url) == 0;
	str_printf(p->name, sizeof p->name, "%s", line->name);
	str_printf(p->url, sizeof p->url, "%s", line->url);
	agent_remember_name(a, p);
	if (!was_online)
		a->opt.events->online(a->opt.arg, &o);
	if (!a->ended && !a->stopping)
		agent_start_others(a);
}

static void agent_on_refused(struct agent *a, struct uplink *u, const struct control_line *line)
{
	struct agent_place *p = &a->places[line->ref - 1];
	bool name_taken =
		line->code == ERR_EXISTS || line->code == ERR_RESERVED || line->code == ERR_INVAL;
	struct uplink_failure f = {.e = line->code,
				   .spoken = true,
				   .was_up = true,
				   .reason = line->reason};

	if (name_taken && !p->asked && p->name[0] != '\0' && p->attached == 0) {
		p->name[0] = '\0'; /* the old one is somebody else's now: any will do */
		agent_remember_name(a, p);
		if ((f.e = agent_attach(a, u, line->ref - 1)) == 0)
			return;
	} else if (control_is_final(line->code)) {
		agent_lose(a, line->ref - 1, line->code, line->reason);
		return;
	}
	agent_fail(a, u, &f);
}

static void agent_on_detached(struct agent *a, struct uplink *u, const struct control_line *line)
{
	for (size_t i = 0; i < a->opt.n_tunnels; i++) {
		struct agent_place *p = &a->places[i];

		if (p->over || strcmp(p->name, line->name) != 0)
			continue;
		if (control_is_final(line->code))
			agent_lose(a, i, line->code, line->reason);
		else
			agent_fail(a, u,
				   &(struct uplink_failure){.e = line->code,
							    .spoken = true,
							    .was_up = true,
							    .reason = line->reason});
		return;
	}
}

static void agent_on_told(void *arg, struct uplink *u, struct str text)
{
	struct agent *a = arg;
	struct control_line line;

	if (a->ended || a->stopping)
		return;
	if (control_parse(text, &line) != 0) {
		agent_fail(a, u,
			   &(struct uplink_failure){.e = ERR_PROTO,
						    .was_up = true,
						    .reason = "a control line is wrong"});
		return;
	}
	if (line.op == CONTROL_DETACHED) {
		agent_on_detached(a, u, &line);
		return;
	}
	if (line.op == CONTROL_UNKNOWN || line.ref == 0 || line.ref > a->opt.n_tunnels ||
	    a->places[line.ref - 1].over)
		return;
	if (line.op == CONTROL_ATTACHED)
		agent_on_attached(a, u, &line);
	else
		agent_on_refused(a, u, &line);
}

/* ---- visitors ---- */

static void agent_on_visit(void *arg, struct uplink *u, const struct visit *visit, struct wire *w)
{
	struct agent *a = arg;

	if (a->ended) {
		wire_close(w, ERR_DRAIN);
		return;
	}
	for (size_t i = 0; i < a->opt.n_tunnels; i++) {
		struct agent_place *p = &a->places[i];

		if (visit->ingress == VISIT_HTTP && !p->over && p->name[0] != '\0' &&
		    strcmp(p->name, visit->tunnel) == 0) {
			targets_serve(a->targets, &p->target, w);
			return;
		}
	}
	wire_close(w, ERR_NOTFOUND);
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

/* ---- sleep ---- */

/* The clock of the loop stands still while a machine sleeps; the other one does not. */
/* Does a tunnel still wait for the server's answer on this session? */
static bool agent_awaits_answer(const struct agent *a, const struct uplink *u)
{
	for (size_t i = 0; i < a->opt.n_tunnels; i++)
		if (!a->places[i].over &&
		    !(a->places[i].attached & (UINT32_C(1) << uplink_carrier(u))))
			return true;
	return false;
}

/* A server that pings but never answers is as good as dead. */
static void agent_check_answers(struct agent *a)
{
	static const struct uplink_failure silent = {.e = ERR_TIMEOUT,
						     .was_up = true,
						     .reason = "it does not answer our request"};

	for (unsigned i = 0; i < a->opt.n_sessions; i++)
		if (uplink_up_ms(a->uplinks[i]) > AGENT_ATTACH_MS &&
		    agent_awaits_answer(a, a->uplinks[i]))
			agent_fail(a, a->uplinks[i], &silent);
}

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

static void agent_on_stopped(void *arg)
{
	agent_end(arg, 0, "");
}

static void agent_on_idle(void *arg)
{
	struct agent *a = arg;

	if (a->stopping && !a->ended)
		ev_timer_set(a->ev, &a->deadline, 0);
}

static void agent_detach_all(struct agent *a, struct uplink *u)
{
	for (size_t i = 0; i < a->opt.n_tunnels; i++) {
		struct buf line = {0};

		/* If it cannot be told, closing the session tells it. */
		if (a->places[i].attached & (UINT32_C(1) << uplink_carrier(u)) &&
		    control_detach(str_of(a->places[i].name), &line) == 0)
			(void)!uplink_tell(u, buf_str(&line));
		buf_free(&line);
	}
}

void agent_stop(struct agent *a)
{
	if (a->stopping || a->ended)
		return;
	a->stopping = true;
	for (unsigned i = 0; i < a->opt.n_sessions; i++) {
		uplink_rest(a->uplinks[i]);
		agent_detach_all(a, a->uplinks[i]);
		uplink_drain(a->uplinks[i]);
	}
	ev_timer_set(a->ev, &a->deadline, targets_running(a->targets) > 0 ? AGENT_STOP_MS : 0);
}

/* ---- birth ---- */

static const struct uplink_owner agent_uplink_owner = {
	.ask = agent_on_ask,
	.up = agent_on_up,
	.down = agent_on_down,
	.draining = agent_on_draining,
	.told = agent_on_told,
	.visit = agent_on_visit,
};

static int agent_make_places(struct agent *a)
{
	for (size_t i = 0; i < a->opt.n_tunnels; i++) {
		const struct agent_tunnel *t = &a->opt.tunnels[i];
		struct agent_place *p = &a->places[i];

		p->target.to = t->target;
		url_format(&t->target, p->text);
		p->asked = t->name != NULL;
		if (p->asked && hostname_tunnel(str_of(t->name), p->name) != 0)
			return ERR_INVAL;
		if (!p->asked && a->opt.memory != NULL)
			memory_name(a->opt.memory, a->server, p->text, p->name);
	}
	a->opt.tunnels = NULL; /* copied */
	return 0;
}

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
				    .server = a->opt.server,
				    .budget = &a->budget,
				    .owner = &agent_uplink_owner,
				    .arg = a};
	int e;

	if (a->opt.events->request != NULL)
		targets.request = agent_on_request;
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

	CHECK(opt->n_tunnels > 0 && opt->n_tunnels <= AGENT_TUNNELS_MAX);
	CHECK(opt->n_sessions > 0 && opt->n_sessions <= AGENT_SESSIONS_MAX);
	if (a == NULL)
		goto out;
	a->ev = ev;
	a->opt = *opt;
	a->budget.cap = AGENT_BUDGET;
	a->epoch = agent_make_epoch(a);
	a->slept_wall_ms = ev_wall_ms(ev);
	a->slept_loop_ms = ev_now_ms(ev);
	a->sleep = (struct ev_timer){.fn = agent_on_sleep_check, .arg = a};
	a->deadline = (struct ev_timer){.fn = agent_on_stopped, .arg = a};
	url_format(opt->server, a->server);
	if ((a->places = calloc(opt->n_tunnels, sizeof *a->places)) == NULL)
		goto out;
	if ((e = agent_make_places(a)) != 0 || (e = agent_make_credential(a)) != 0 ||
	    (e = agent_make_parts(a)) != 0)
		goto out;
	ev_timer_set(ev, &a->sleep, AGENT_SLEEP_CHECK_MS);
	uplink_start(a->uplinks[0]);
	MOVE(*out, a);
out:
	agent_free(a);
	return e;
}
