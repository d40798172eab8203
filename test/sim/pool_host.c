/* Runs agents over the simulated network, and judges what they are told. */
#include "sim/pool_host.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "sim/pool.h"
#include "sim/pool_rules.h"

/* Targets listen at this port and the ones above. */
#define TARGET_PORT 1000
/* All sessions of an agent are there again so long after one of them has broken, in milliseconds.
 */
#define WHOLE_MS 30000
/* Whatever a thawed cable held has arrived, and been answered, in milliseconds. */
#define THAW_MS 1500
/* News of a tunnel may be as late as a cable is silent. */
#define LATE_MS 120000

static struct stage *host_stage(const struct pool_host *h)
{
	return &h->pool->stage;
}

static uint64_t host_now(const struct pool_host *h)
{
	return ev_now_ms(host_stage(h)->ev);
}

/* ---- dialling ---- */

static enum dial_state run_look(struct dialler *d, const struct dial_to *to)
{
	struct pool_host *h = ((struct pool_run *)d)->host;

	if (to->server)
		return host_now(h) < h->unplugged_until_ms ? DIAL_HANGS : DIAL_CONNECTS;
	switch (h->targets[to->port - TARGET_PORT].mood) {
	case TARGET_HANGS: h->pool->hung_ms = host_now(h); return DIAL_HANGS;
	case TARGET_REFUSES: return DIAL_REFUSED;
	default: return DIAL_CONNECTS;
	}
}

static struct wire *run_connect(struct dialler *d, const struct dial_to *to)
{
	struct pool_host *h = ((struct pool_run *)d)->host;
	struct wire *a, *b;

	if (to->server)
		return pool_dial_node(h->pool, CABLE_SESSION, h->node, h->index);
	cable_new(d->stage, CABLE_TARGET, h->index, &a, &b);
	pool_target_accept(&h->targets[to->port - TARGET_PORT], b);
	return a;
}

/* ---- what the agent says ---- */

static void run_on_gone(struct life *l)
{
	struct pool_host *h = ((struct pool_run *)l)->host;

	h->run = NULL;
	h->gone_ms = host_now(h);
}

static void run_on_online(void *arg, const struct agent_online *o)
{
	struct pool_run *r = arg;
	struct pool_host *h = r->host;
	unsigned t = r->seats[o->tunnel - 1];

	stage_note(host_stage(h), "run %u.%u online %s", h->index, r->life.number, o->name);
	if (strcmp(o->name, h->pool->tunnels[t].name) != 0)
		stage_fail(host_stage(h), "host %u asked for %s and got %s", h->index,
			   h->pool->tunnels[t].name, o->name);
	r->seat_ms[t] = host_now(h);
}

static void run_on_offline(void *arg, const struct agent_offline *o)
{
	struct pool_run *r = arg;

	stage_note(host_stage(r->host), "run %u.%u offline %s", r->host->index, r->life.number,
		   err_name(o->e));
	r->up_ms = 0;
	memset(r->seat_ms, 0, sizeof r->seat_ms);
}

static void run_on_offering(void *arg, bool again)
{
	struct pool_run *r = arg;

	stage_note(host_stage(r->host), "run %u.%u offers", r->host->index, r->life.number);
	r->up_ms = host_now(r->host);
}

/* The server has said that this agent does not serve a tunnel: was that right? */
static void run_judge(struct pool_run *r, unsigned t, int code, const char *reason)
{
	struct pool_host *h = r->host;

	if (!pool_rules_may_take(h, t, code, LATE_MS))
		stage_fail(host_stage(h), "run %u.%u lost %s: %s: %s", h->index, r->life.number,
			   h->pool->tunnels[t].name, err_name(code), reason);
}

static void run_on_lost(void *arg, uint32_t id, int code, const char *reason)
{
	struct pool_run *r = arg;
	unsigned t = r->seats[id - 1];

	stage_note(host_stage(r->host), "run %u.%u lost %s %s", r->host->index, r->life.number,
		   r->host->pool->tunnels[t].name, err_name(code));
	r->lost[t] = true;
	r->seat_ms[t] = 0;
	run_judge(r, t, code, reason);
}

static void run_on_ended(void *arg, int code, const char *reason)
{
	struct pool_run *r = arg;
	struct pool_host *h = r->host;

	stage_note(host_stage(h), "run %u.%u ended %s %s", h->index, r->life.number, err_name(code),
		   reason);
	if (!r->life.stopping)
		for (unsigned i = 0; i < r->n_seats; i++)
			if (!r->lost[r->seats[i]])
				run_judge(r, r->seats[i], code, reason);
	life_bury(&r->life);
}

static void run_on_assigned(void *arg, const struct agent_assigned *t)
{
	struct pool_run *r = arg;

	stage_note(host_stage(r->host), "run %u.%u is given %s", r->host->index, r->life.number,
		   t->name);
}

static void run_on_taken(void *arg, const char *name, int code, const char *reason)
{
	struct pool_run *r = arg;
	const struct pool *p = r->host->pool;

	stage_note(host_stage(r->host), "run %u.%u gives back %s %s", r->host->index,
		   r->life.number, name, err_name(code));
	for (unsigned t = 0; t < p->n_tunnels; t++)
		if (strcmp(p->tunnels[t].name, name) == 0)
			run_judge(r, t, code, reason);
}

static const struct agent_events run_events = {
	.online = run_on_online,
	.offline = run_on_offline,
	.lost = run_on_lost,
	.ended = run_on_ended,
	.target = life_on_target,
	.offering = run_on_offering,
	.assigned = run_on_assigned,
	.taken = run_on_taken,
};

/* ---- life ---- */

static void run_set_target(struct url *to, unsigned t)
{
	char text[32];

	str_printf(text, sizeof text, "tcp://10.0.0.1:%u", TARGET_PORT + t);
	CHECK(url_parse(str_of(text), to, NULL) == 0);
}

static void run_set_health(const struct pool_host *h, unsigned t, struct health_opt *out)
{
	if (h->checked[t])
		*out = (struct health_opt){.kind = HEALTH_TCP,
					   .interval_ms = POOL_HEALTH_MS,
					   .rise = POOL_HEALTH_RISE,
					   .fall = POOL_HEALTH_FALL};
}

void pool_host_start(struct pool_host *h)
{
	struct pool *p = h->pool;
	struct pool_run *r = must_calloc(1, sizeof *r);
	struct agent_tunnel tunnels[POOL_TUNNELS_MAX] = {0};
	struct agent_service services[POOL_TUNNELS_MAX] = {0};
	struct agent_opt opt = {.id = h->id,
				.token = p->token,
				.server = &r->server,
				.tunnels = tunnels,
				.services = services,
				.n_sessions = h->n_sessions,
				.events = &run_events,
				.arg = r};

	life_init(&r->life, &p->stage, h->index, ++p->run_number);
	r->life.dialler.look = run_look;
	r->life.dialler.connect = run_connect;
	r->life.gone = run_on_gone;
	r->host = h;
	CHECK(url_parse(STR("http://" POOL_DOMAIN), &r->server, NULL) == 0);
	for (unsigned t = 0; t < p->n_tunnels; t++) {
		if (h->has[t] && p->tunnels[t].by_name) {
			struct agent_tunnel *to = &tunnels[opt.n_tunnels++];

			to->kind = AGENT_TCP;
			to->name = p->tunnels[t].name;
			run_set_target(&to->target, t);
			run_set_health(h, t, &to->health);
			r->seats[r->n_seats++] = t;
		} else if (h->has[t]) {
			struct agent_service *to = &services[opt.n_services++];

			to->name = p->tunnels[t].name;
			run_set_target(&to->target, t);
			run_set_health(h, t, &to->health);
		}
	}
	h->run = r;
	life_start(&r->life, &opt);
}

static void host_on_start(void *arg)
{
	struct pool_host *h = arg;

	if (h->run == NULL)
		pool_host_start(h);
}

/* Its streams break now; not all of its sessions may be there again at once. */
static void host_break(struct pool_host *h)
{
	h->broke_ms = host_now(h);
	if (h->n_sessions > 1)
		h->hazy_ms = MAX(h->hazy_ms, host_now(h) + WHOLE_MS);
}

void pool_host_kill(struct pool_host *h, uint32_t back_ms)
{
	if (h->run == NULL)
		return;
	stage_note(host_stage(h), "kill run %u.%u back_ms=%u", h->index, h->run->life.number,
		   back_ms);
	h->broke_ms = host_now(h);
	LIST_FOR_EACH (link, &host_stage(h)->cables) {
		struct cable *c = CONTAINER_OF(link, struct cable, link);

		if ((c->kind == CABLE_SESSION || c->kind == CABLE_TARGET) && c->host == h->index)
			cable_cut(c);
	}
	life_release(&h->run->life);
	life_again(host_stage(h), &h->start, back_ms);
}

void pool_host_stop(struct pool_host *h, uint32_t back_ms)
{
	if (h->run == NULL || h->run->life.stopping)
		return;
	h->broke_ms = host_now(h) + AGENT_STOP_MS + 300;
	life_stop(&h->run->life, &h->start, back_ms);
}

void pool_host_cut(struct pool_host *h, struct cable *c)
{
	host_break(h);
	cable_cut(c);
}

void pool_host_freeze(struct pool_host *h, struct cable *c, uint32_t ms)
{
	uint64_t now = host_now(h);

	h->hazy_ms = MAX(h->hazy_ms, now + ms + (h->n_sessions > 1 ? WHOLE_MS : THAW_MS));
	/* a session is given up while it is silent; a target is waited for */
	h->pool->stall_ms = MAX(h->pool->stall_ms, now + (c->kind == CABLE_TARGET ? ms : 0));
	cable_freeze(c, ms);
}

void pool_host_unplug(struct pool_host *h, uint32_t ms)
{
	stage_note(host_stage(h), "unplug host %u ms=%u", h->index, ms);
	h->unplugged_until_ms = MAX(h->unplugged_until_ms, host_now(h) + ms);
	LIST_FOR_EACH (link, &host_stage(h)->cables) {
		struct cable *c = CONTAINER_OF(link, struct cable, link);

		if (c->kind == CABLE_SESSION && c->host == h->index)
			pool_host_freeze(h, c, ms);
	}
}

void pool_host_set_mood(struct pool_host *h, unsigned tunnel, enum target_mood mood)
{
	struct pool_target *t = &h->targets[tunnel];

	if (t->mood == mood)
		return;
	if (t->mood == TARGET_HANGS)
		h->pool->hung_ms = host_now(h);
	t->mood = mood;
	t->mood_ms = host_now(h);
	stage_note(host_stage(h), "target %u.%u mood=%d", h->index, tunnel, mood);
}

void pool_host_look(struct pool_host *h)
{
	const struct pool *p = h->pool;
	bool again = h->run == NULL && !ev_timer_is_set(&h->start);

	for (unsigned t = 0; t < p->n_tunnels; t++) {
		const struct terms *x = terms_now(&p->tunnels[t]);

		if (!h->has[t] || !p->tunnels[t].by_name || (h->run != NULL && !h->run->lost[t]))
			continue;
		/* every node has heard of it */
		if (terms_on(x) && terms_allow(x, h->index) && x->known_ms != 0 &&
		    host_now(h) > x->known_ms + POOL_SETTLE_MS && (again || h->run != NULL)) {
			if (h->run != NULL && !h->run->life.stopping)
				pool_host_stop(h, 0);
			else if (h->run == NULL)
				ev_timer_set(host_stage(h)->ev, &h->start, 1);
			return;
		}
	}
}

void pool_host_end(struct pool_host *h)
{
	ev_timer_stop(host_stage(h)->ev, &h->start);
	if (h->run != NULL)
		life_release(&h->run->life);
	for (unsigned t = 0; t < POOL_TUNNELS_MAX; t++)
		pool_target_close_all(&h->targets[t]);
}

/* ---- birth ---- */

void pool_host_init(struct pool *p, unsigned index)
{
	struct pool_host *h = &p->hosts[index];
	struct dice *d = &p->stage.dice;
	unsigned any = dice_range(d, 0, p->n_tunnels - 1);

	h->pool = p;
	h->index = index;
	h->node = dice_chance(d, 70) ? 0 : dice_range(d, 0, p->n_nodes - 1);
	h->n_sessions = dice_chance(d, 60) ? 1 : 2;
	str_printf(h->id, sizeof h->id, "agent%u", index);
	h->start = (struct ev_timer){.fn = host_on_start, .arg = h};
	for (unsigned t = 0; t < POOL_TUNNELS_MAX; t++) {
		pool_target_init(&h->targets[t], p, index, t);
		if (t >= p->n_tunnels)
			continue;
		h->has[t] = t == any || dice_chance(d, 75);
		h->checked[t] = dice_chance(d, 50);
	}
}
