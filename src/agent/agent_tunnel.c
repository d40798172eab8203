/*
 * Asking the server for the tunnels that are wanted, over each session, and what its answers mean.
 *
 * A session asks for a tunnel once at a time, and for so many at a time as the server takes; the
 * others wait in its queue. Each attach has a number of its own, so an answer is never taken for
 * that to another one. What is to change in a record is said by one session, and the others follow
 * when it has its answer: two that say it at once could undo each other, or make two tunnels of one
 * that has no name yet.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/agent_internal.h"
#include "base/err.h"
#include "base/show.h"

/* Bytes of a hint about a target that a server takes. */
#define AGENT_HINT_MAX 255

static const char *const agent_tunnel_kinds[] = {
	[AGENT_HTTP] = "http",
	[AGENT_TCP] = "tcp",
	[AGENT_TLS] = "tls",
};

/* ---- memory ---- */

void agent_tunnel_key(const struct agent_place *p, char out[AGENT_KEY_TEXT])
{
	char text[URL_TEXT_MAX];

	url_format(&p->target->to, text);
	if (p->kind == AGENT_HTTP)
		str_printf(out, AGENT_KEY_TEXT, "%s", text);
	else
		str_printf(out, AGENT_KEY_TEXT, "%s %s", agent_tunnel_kinds[p->kind], text);
}

static void agent_tunnel_remember(struct agent *a, const struct agent_place *p)
{
	char key[AGENT_KEY_TEXT], known[HOSTNAME_MAX + 1];

	if (a->opt.memory == NULL)
		return;
	agent_tunnel_key(p, key);
	memory_name(a->opt.memory, a->server, key, known);
	if (strcmp(known, p->name) != 0 &&
	    memory_set_name(a->opt.memory, a->server, key, p->name) != 0)
		log_warn(a->opt.log, "event=not-remembered reason=\"%s\"",
			 memory_why(a->opt.memory));
}

/* ---- who asks for what ---- */

static struct agent_carrier *agent_tunnel_carrier(struct agent *a, const struct uplink *u)
{
	return &a->carriers[uplink_carrier(u)];
}

static void agent_tunnel_set_attached(struct agent_place *p, unsigned carrier, bool attached)
{
	struct agent_carrier *c = &p->agent->carriers[carrier];
	uint32_t bit = UINT32_C(1) << carrier;

	c->n_attached += (size_t)attached - (size_t)((p->attached & bit) != 0);
	p->attached = attached ? p->attached | bit : p->attached & ~bit;
}

static void agent_tunnel_set_state(struct agent_place *p, unsigned carrier,
				   enum agent_seat_state state)
{
	struct agent_carrier *c = &p->agent->carriers[carrier];
	struct agent_seat *s = &p->seats[carrier];

	if (s->state == state)
		return;
	list_del(&s->link);
	c->n_asked += (size_t)(state == AGENT_SEAT_ASKED) - (size_t)(s->state == AGENT_SEAT_ASKED);
	s->state = state;
	if (state == AGENT_SEAT_DUE)
		list_push(&c->due, &s->link);
	else if (state == AGENT_SEAT_ASKED)
		list_push(&c->asked, &s->link);
}

/* Does the server know what its record shall be, and under which name? */
static bool agent_tunnel_is_settled(const struct agent_place *p)
{
	return p->taken == p->revision && p->name[0] != '\0';
}

/* The session that is to say what the record shall be; -1: none, or not yet. */
static int agent_tunnel_leader(const struct agent_place *p)
{
	const struct agent *a = p->agent;
	int leader = -1;

	for (unsigned i = 0; i < a->opt.n_sessions; i++) {
		const struct agent_seat *s = &p->seats[i];
		bool attached = p->attached & UINT32_C(1) << i;

		if (s->state == AGENT_SEAT_ASKED) {
			if (!s->again || p->name[0] == '\0')
				return -1; /* its answer is waited for */
		} else if (uplink_is_up(a->uplinks[i]) &&
			   (leader < 0 || (attached && !(p->attached & UINT32_C(1) << leader)))) {
			leader = (int)i;
		}
	}
	return leader;
}

void agent_tunnel_plan(struct agent_place *p)
{
	struct agent *a = p->agent;
	bool rests = p->gone || p->over || ev_timer_is_set(&p->retry) || a->stopping || a->leaving;
	bool settled = agent_tunnel_is_settled(p), any = false;
	int leader;

	if (a->ended)
		return;
	leader = rests || settled ? -1 : agent_tunnel_leader(p);
	for (unsigned i = 0; i < a->opt.n_sessions; i++) {
		const struct agent_seat *s = &p->seats[i];
		bool stale = !(p->attached & UINT32_C(1) << i) || s->revision != p->revision;
		bool due =
			settled ? !rests && stale && uplink_is_up(a->uplinks[i]) : (int)i == leader;

		if (s->state != AGENT_SEAT_ASKED)
			agent_tunnel_set_state(p, i, due ? AGENT_SEAT_DUE : AGENT_SEAT_IDLE);
		any = any || s->state == AGENT_SEAT_DUE;
	}
	if (any)
		ev_task_run(a->ev, &a->feed);
}

void agent_tunnel_no_retry(struct agent_place *p)
{
	ev_timer_stop(p->agent->ev, &p->retry);
	backoff_reset(&p->backoff);
}

/* ---- attaching ---- */

static int agent_tunnel_attach(struct agent *a, struct uplink *u, struct agent_place *p)
{
	struct agent_seat *s = &p->seats[uplink_carrier(u)];
	char text[URL_TEXT_MAX], hint[AGENT_HINT_MAX + 1];
	struct control_attach attach = {.ref = a->last_ref + 1,
					.kind = str_of(agent_tunnel_kinds[p->kind]),
					.name = str_of(p->name),
					.wish = str_of(p->wish),
					.priority = p->priority,
					.again = p->taken == p->revision};
	struct buf line = {0};
	int e;

	url_format(&p->target->to, text);
	attach.target = (struct str){hint, show_line(hint, sizeof hint, str_of(text))};
	if ((e = control_attach(&attach, &line)) == 0)
		e = uplink_tell(u, buf_str(&line));
	buf_free(&line);
	if (e != 0)
		return e;
	s->ref = ++a->last_ref;
	s->revision = p->revision;
	s->again = attach.again;
	s->asked_ms = ev_now_ms(a->ev);
	agent_tunnel_set_state(p, uplink_carrier(u), AGENT_SEAT_ASKED);
	return 0;
}

/* Send what is due and may be sent. A session that takes no more lines now goes on when it has had
 * an answer. */
static int agent_tunnel_feed(struct agent *a, struct uplink *u)
{
	struct agent_carrier *c = agent_tunnel_carrier(a, u);
	int e = 0;

	while (e == 0 && !list_empty(&c->due) && c->n_asked < AGENT_ATTACHES_MAX)
		e = agent_tunnel_attach(a, u,
					CONTAINER_OF(c->due.next, struct agent_seat, link)->place);
	return e == ERR_LIMIT && c->n_asked > 0 ? 0 : e;
}

static void agent_tunnel_on_feed(void *arg)
{
	struct agent *a = arg;

	for (unsigned i = 0; i < a->opt.n_sessions && !a->ended; i++) {
		struct uplink *u = a->uplinks[i];
		int e = uplink_is_up(u) ? agent_tunnel_feed(a, u) : 0;

		if (e != 0)
			agent_fail(a, u,
				   &(struct uplink_failure){.e = e, .was_up = true, .reason = ""});
	}
}

void agent_tunnel_init(struct agent *a)
{
	a->feed = (struct ev_task){.fn = agent_tunnel_on_feed, .arg = a};
	for (unsigned i = 0; i < AGENT_SESSIONS_MAX; i++) {
		list_init(&a->carriers[i].due);
		list_init(&a->carriers[i].asked);
	}
}

int agent_tunnel_up(struct agent *a, struct uplink *u)
{
	LIST_FOR_EACH (link, &a->places) {
		struct agent_place *p = CONTAINER_OF(link, struct agent_place, link);

		ev_timer_stop(a->ev, &p->retry); /* a session that is new is asked at once */
		agent_place_weigh(p);
		agent_tunnel_plan(p);
	}
	return agent_tunnel_feed(a, u);
}

void agent_tunnel_down(struct agent *a, const struct uplink *u)
{
	unsigned carrier = uplink_carrier(u);

	LIST_FOR_EACH_SAFE (link, &a->places) {
		struct agent_place *p = CONTAINER_OF(link, struct agent_place, link);

		agent_tunnel_set_state(p, carrier, AGENT_SEAT_IDLE);
		agent_tunnel_set_attached(p, carrier, false);
		if (p->attached == 0)
			ev_timer_stop(a->ev, &p->retry);
		agent_place_weigh(p);
		agent_tunnel_plan(p);
	}
	LIST_FOR_EACH_SAFE (link, &a->gone) {
		struct agent_place *p = CONTAINER_OF(link, struct agent_place, link);

		agent_tunnel_set_state(p, carrier, AGENT_SEAT_IDLE);
		agent_place_bury(p);
	}
}

bool agent_tunnel_awaits(const struct agent *a, const struct uplink *u)
{
	const struct agent_carrier *c = &a->carriers[uplink_carrier(u)];

	return c->n_asked > 0 || !list_empty(&c->due);
}

bool agent_tunnel_oldest_ms(const struct agent *a, const struct uplink *u, uint64_t *ms)
{
	const struct agent_carrier *c = &a->carriers[uplink_carrier(u)];

	if (list_empty(&c->asked))
		return false;
	*ms = CONTAINER_OF(c->asked.next, struct agent_seat, link)->asked_ms;
	return true;
}

/* ---- detaching ---- */

/* If it cannot be told, closing the session tells it. */
static void agent_tunnel_tell_detach(struct uplink *u, const char *name)
{
	struct buf line = {0};

	if (control_detach(str_of(name), &line) == 0)
		(void)!uplink_tell(u, buf_str(&line));
	buf_free(&line);
}

void agent_tunnel_detach(struct agent_place *p)
{
	for (unsigned i = 0; i < p->agent->opt.n_sessions; i++) {
		if (p->attached & UINT32_C(1) << i)
			agent_tunnel_tell_detach(p->agent->uplinks[i], p->name);
		agent_tunnel_set_attached(p, i, false);
	}
}

void agent_tunnel_detach_all(struct agent *a, struct uplink *u)
{
	LIST_FOR_EACH (link, &a->places) {
		struct agent_place *p = CONTAINER_OF(link, struct agent_place, link);

		if (p->attached & agent_bit(u))
			agent_tunnel_tell_detach(u, p->name);
	}
}

/* ---- what the server answers ---- */

static void agent_tunnel_set_why(struct agent_place *p, int code, const char *reason)
{
	p->code = code;
	str_printf(p->reason, sizeof p->reason, "%s", reason);
}

/* This tunnel is not to be had. word: code, reason and drain_ms count. */
static void agent_tunnel_lose(struct agent_place *p, const struct control_line *word)
{
	struct agent *a = p->agent;
	uint32_t id = p->id;

	p->over = true;
	p->drains = word->drain_ms > 0;
	if (p->drains)
		a->drains_until_ms = MAX(a->drains_until_ms, ev_now_ms(a->ev) + word->drain_ms);
	agent_tunnel_set_why(p, word->code, word->reason);
	for (unsigned i = 0; i < a->opt.n_sessions; i++)
		agent_tunnel_set_attached(p, i, false);
	health_free(p->health);
	p->health = NULL;
	agent_tunnel_no_retry(p);
	agent_place_weigh(p);
	agent_tunnel_plan(p);
	if (!agent_wants(a) && !a->opt.stays) {
		agent_leave(a, word);
		return;
	}
	a->opt.events->lost(a->opt.arg, id, word->code, word->reason);
	agent_start_others(a); /* it may have been the last one they waited for */
	agent_rest_look(a);
}

/* It is refused for now: others are not to suffer from that. */
static void agent_tunnel_delay(struct agent_place *p, const struct control_line *line)
{
	struct agent *a = p->agent;
	uint32_t id = p->id, ms = backoff_next(&p->backoff, a->ev);
	/* that it is too early, because many ask at once, is nobody's business */
	bool news = p->told != line->code && ms > 2 * BACKOFF_FIRST_MS;
	void (*tell)(void *, uint32_t, int, const char *) =
		p->attached == 0 ? a->opt.events->delayed : a->opt.events->kept;

	if (p->attached == 0 || !agent_tunnel_is_settled(p))
		agent_tunnel_set_why(p, line->code, line->reason);
	else
		tell = NULL; /* other sessions serve it: nobody misses anything */
	ev_timer_set(a->ev, &p->retry, ms);
	agent_place_weigh(p);
	agent_tunnel_plan(p);
	if (news && tell != NULL) {
		p->told = line->code;
		tell(a->opt.arg, id, line->code, line->reason);
	}
	agent_start_others(a);
}

/* What was wished for is refused for good, and the tunnel is served: it stays as it is. */
static void agent_tunnel_keep(struct agent_place *p, const struct control_line *line)
{
	struct agent *a = p->agent;

	agent_tunnel_set_why(p, line->code, line->reason);
	p->taken = p->revision;
	p->kept = true;
	for (unsigned i = 0; i < a->opt.n_sessions; i++)
		if (p->attached & UINT32_C(1) << i && p->seats[i].state != AGENT_SEAT_ASKED)
			p->seats[i].revision = p->revision;
	agent_tunnel_plan(p);
	if (a->opt.events->kept != NULL)
		a->opt.events->kept(a->opt.arg, p->id, line->code, line->reason);
}

static void agent_tunnel_on_attached(struct agent *a, struct uplink *u, struct agent_seat *s,
				     const struct control_line *line)
{
	struct agent_place *p = s->place;
	struct agent_online o = {.tunnel = p->id,
				 .name = p->name,
				 .url = p->url,
				 .target = &p->target->to,
				 .again = strcmp(p->url, line->urls[0]) == 0,
				 .urls = line->urls,
				 .n_urls = line->n_urls};
	bool was_online = p->attached != 0, change = !s->again && s->revision > 1;

	if (was_online && strcmp(p->name, line->name) != 0) { /* the others serve another one */
		agent_fail(a, u,
			   &(struct uplink_failure){.e = ERR_PROTO,
						    .was_up = true,
						    .reason = "it gave us another name"});
		return;
	}
	agent_tunnel_set_attached(p, uplink_carrier(u), true);
	a->renewed = false;
	if (!s->again && s->revision > p->taken)
		p->taken = s->revision;
	p->kept = p->kept && s->again;
	if (!p->kept) {
		p->code = p->told = 0;
		p->reason[0] = '\0';
	}
	backoff_reset(&p->backoff);
	agent_place_set_name(p, line->name);
	str_printf(p->url, sizeof p->url, "%s", line->urls[0]);
	agent_place_weigh(p);
	agent_tunnel_remember(a, p);
	agent_tunnel_plan(p);
	if (!health_is_up(p->health))
		agent_tell_health(a, agent_bit(u), p->name, false);
	if (!was_online || (change && !o.again))
		a->opt.events->online(a->opt.arg, &o);
	agent_start_others(a);
}

/* Can this session serve something else, or will it soon? */
static bool agent_tunnel_is_useful(const struct agent *a, const struct uplink *u)
{
	return a->carriers[uplink_carrier(u)].n_attached > 0 || agent_tunnel_awaits(a, u) ||
	       a->opt.n_services > 0 || a->opt.stays;
}

static void agent_tunnel_on_refused(struct agent *a, struct uplink *u, struct agent_seat *s,
				    const struct control_line *line)
{
	struct agent_place *p = s->place;
	bool name_taken =
		line->code == ERR_EXISTS || line->code == ERR_RESERVED || line->code == ERR_INVAL;
	bool final = control_is_final(line->code);
	struct uplink_failure f = {.e = line->code,
				   .spoken = true,
				   .was_up = true,
				   .reason = line->reason};

	if (s->revision != p->revision) { /* another one is wanted now */
		agent_tunnel_plan(p);
	} else if (name_taken && !p->asked && p->name[0] != '\0' && p->attached == 0) {
		/* The old one is somebody else's now: any will do, and is then remembered. */
		agent_place_set_name(p, "");
		agent_tunnel_plan(p);
	} else if (final && p->attached != 0 && !s->again) {
		agent_tunnel_keep(p, line);
	} else if (final) {
		agent_tunnel_detach(p);
		agent_tunnel_lose(p, line);
	} else if (agent_tunnel_is_useful(a, u)) {
		agent_tunnel_delay(p, line);
	} else {
		agent_fail(a, u, &f);
	}
}

/* It was asked for, and is not wanted any more: the server is told, unless it is wanted again. */
static void agent_tunnel_on_unwanted(struct agent *a, struct uplink *u, struct agent_place *p,
				     const struct control_line *line)
{
	if (line->op == CONTROL_ATTACHED && agent_place_named(a, line->name) == NULL)
		agent_tunnel_tell_detach(u, line->name);
	if (p->gone)
		agent_place_bury(p);
}

void agent_tunnel_on_answer(struct agent *a, struct uplink *u, const struct control_line *line)
{
	struct agent_carrier *c = agent_tunnel_carrier(a, u);
	struct agent_seat *s = NULL;

	LIST_FOR_EACH (link, &c->asked) {
		struct agent_seat *it = CONTAINER_OF(link, struct agent_seat, link);

		if (it->ref == line->ref)
			s = it;
	}
	if (s == NULL)
		return;
	agent_tunnel_set_state(s->place, uplink_carrier(u), AGENT_SEAT_IDLE);
	if (!list_empty(&c->due))
		ev_task_run(a->ev, &a->feed);
	if (s->place->gone || s->place->over)
		agent_tunnel_on_unwanted(a, u, s->place, line);
	else if (line->op == CONTROL_ATTACHED)
		agent_tunnel_on_attached(a, u, s, line);
	else
		agent_tunnel_on_refused(a, u, s, line);
}

bool agent_tunnel_on_detached(struct agent *a, struct uplink *u, const struct control_line *line)
{
	struct agent_place *p = agent_place_named(a, line->name);

	/* one that this session does not serve is an older one of that name */
	if (p == NULL || !(p->attached & agent_bit(u)))
		return false;
	if (!control_is_final(line->code))
		agent_fail(a, u,
			   &(struct uplink_failure){.e = line->code,
						    .spoken = true,
						    .was_up = true,
						    .reason = line->reason});
	else
		agent_tunnel_lose(p, line);
	return true;
}

/* ---- health ---- */

void agent_tunnel_on_health(void *arg, bool up, const char *why)
{
	struct agent_place *p = arg;

	str_printf(p->why, sizeof p->why, "%s", why);
	agent_tell_health(p->agent, p->attached, p->name, up);
	agent_on_health(p->agent, &p->target->to, up, why);
}
