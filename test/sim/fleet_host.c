/* Runs agents over the simulated network, and judges what they are told. */
#include "sim/fleet_host.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "sim/fleet.h"
#include "sim/fleet_rules.h"

/* Who was sent away is started again after so long, at most, in milliseconds. */
#define AGAIN_MAX_MS 10000

static struct stage *host_stage(const struct fleet_host *h)
{
	return &h->fleet->stage;
}

static uint64_t host_now(const struct fleet_host *h)
{
	return ev_now_ms(host_stage(h)->ev);
}

/* ---- dialling ---- */

/* By its port; NULL: nobody takes it. */
static struct fleet_node *run_node(const struct fleet_host *h, uint16_t port)
{
	if (port < FLEET_NODE_PORT)
		return fleet_node_any(h->fleet);
	return &h->fleet->nodes[port - FLEET_NODE_PORT];
}

static enum dial_state run_look(struct dialler *d, const struct dial_to *to)
{
	const struct fleet_host *h = ((struct fleet_run *)d)->host;
	uint64_t now = host_now(h);

	if (!to->server)
		return DIAL_CONNECTS;
	if (now < h->unplugged_until_ms)
		return DIAL_HANGS;
	if (to->port >= FLEET_NODE_PORT &&
	    now < h->fleet->nodes[to->port - FLEET_NODE_PORT].dark_ms)
		return DIAL_HANGS;
	return DIAL_CONNECTS;
}

static struct wire *run_connect(struct dialler *d, const struct dial_to *to)
{
	struct fleet_host *h = ((struct fleet_run *)d)->host;
	struct fleet_node *n;
	struct wire *a, *b;

	if (to->server) {
		n = run_node(h, to->port);
		return n == NULL ? NULL : fleet_node_dial(n, CABLE_SESSION, h->index);
	}
	cable_new(d->stage, CABLE_TARGET, h->index, &a, &b);
	fleet_target_accept(&h->target, b, to->port);
	return a;
}

/* ---- what the agent says ---- */

static void run_on_gone(struct life *l)
{
	((struct fleet_run *)l)->host->run = NULL;
}

static void run_on_online(void *arg, const struct agent_online *o)
{
	struct fleet_run *r = arg;
	struct fleet_host *h = r->host;
	struct fleet_tunnel *t = h->seats[o->tunnel - 1];

	stage_note(host_stage(h), "run %u.%u online %s", h->index, r->life.number, o->name);
	if (strcmp(o->name, t->name) != 0)
		stage_fail(host_stage(h), "host %u asked for %s and got %s", h->index, t->name,
			   o->name);
	r->online[o->tunnel - 1] = true;
	fleet_rules_own(h->fleet, t, h->account);
}

static void run_on_offline(void *arg, const struct agent_offline *o)
{
	struct fleet_run *r = arg;

	memset(r->online, 0, sizeof r->online);
	stage_note(host_stage(r->host), "run %u.%u offline %s", r->host->index, r->life.number,
		   err_name(o->e));
}

static void run_judge(struct fleet_run *r, unsigned seat, int code, const char *reason)
{
	struct fleet_host *h = r->host;

	if (!fleet_rules_may_lose(h, h->seats[seat], code))
		stage_fail(host_stage(h), "run %u.%u lost %s: %s: %s", h->index, r->life.number,
			   h->seats[seat]->name, err_name(code), reason);
}

static void run_on_lost(void *arg, uint32_t id, int code, const char *reason)
{
	struct fleet_run *r = arg;

	stage_note(host_stage(r->host), "run %u.%u lost %s %s", r->host->index, r->life.number,
		   r->host->seats[id - 1]->name, err_name(code));
	r->lost[id - 1] = true;
	r->online[id - 1] = false;
	run_judge(r, id - 1, code, reason);
}

static void run_on_ended(void *arg, int code, const char *reason)
{
	struct fleet_run *r = arg;
	struct fleet_host *h = r->host;

	stage_note(host_stage(h), "run %u.%u ended %s %s", h->index, r->life.number, err_name(code),
		   reason);
	if (!r->life.stopping) {
		for (unsigned i = 0; i < h->n_seats; i++)
			if (!r->lost[i])
				run_judge(r, i, code, reason);
		if (!h->fleet->calm)
			ev_timer_set(host_stage(h)->ev, &h->start,
				     1 + dice_length(&host_stage(h)->dice, AGAIN_MAX_MS));
	}
	life_bury(&r->life);
}

static const struct agent_events run_events = {
	.online = run_on_online,
	.offline = run_on_offline,
	.lost = run_on_lost,
	.ended = run_on_ended,
	.target = life_on_target,
};

/* ---- life ---- */

static void run_want(const struct fleet_host *h, unsigned seat, char wish[64],
		     struct agent_tunnel *out)
{
	const struct fleet_tunnel *t = h->seats[seat];
	char text[40];
	size_t len = str_printf(wish, 64, "\"max_sessions\":40");

	str_printf(text, sizeof text, "%s://10.0.0.1:%u", t->tcp ? "tcp" : "http",
		   FLEET_TARGET_PORT + seat);
	*out = (struct agent_tunnel){.kind = t->tcp ? AGENT_TCP : AGENT_HTTP, .name = t->name};
	CHECK(url_parse(str_of(text), &out->target, NULL) == 0);
	if (t->tcp)
		str_printf(wish + len, 64 - len, ",\"port\":%u", t->port);
	out->wish = str_of(wish);
}

static void fleet_host_start(struct fleet_host *h)
{
	struct fleet *f = h->fleet;
	struct fleet_run *r = must_calloc(1, sizeof *r);
	struct agent_tunnel tunnels[FLEET_SEATS_MAX];
	char wishes[FLEET_SEATS_MAX][64];
	struct agent_opt opt = {.id = h->id,
				.token = f->tokens[h->account],
				.server = &h->servers[0],
				.others = h->servers + 1,
				.n_others = h->n_servers - 1,
				.tunnels = tunnels,
				.n_tunnels = h->n_seats,
				.n_sessions = h->n_sessions,
				.events = &run_events,
				.arg = r};

	life_init(&r->life, &f->stage, h->index, ++f->run_number);
	r->life.dialler.look = run_look;
	r->life.dialler.connect = run_connect;
	r->life.gone = run_on_gone;
	r->host = h;
	for (unsigned i = 0; i < h->n_seats; i++)
		run_want(h, i, wishes[i], &tunnels[i]);
	h->run = r;
	life_start(&r->life, &opt);
}

static void host_on_start(void *arg)
{
	struct fleet_host *h = arg;

	if (h->run == NULL)
		fleet_host_start(h);
}

static bool host_has_cable(const struct fleet_host *h, const struct cable *c)
{
	if (c->kind == CABLE_TARGET)
		return c->host == h->index;
	return c->kind == CABLE_SESSION && c->host % FLEET_HOSTS_MAX == h->index;
}

/* silent: nobody hears that its sessions have ended. */
static void host_end_run(struct fleet_host *h, bool silent, uint32_t back_ms)
{
	LIST_FOR_EACH_SAFE (link, &host_stage(h)->cables) {
		struct cable *c = CONTAINER_OF(link, struct cable, link);

		if (!host_has_cable(h, c))
			continue;
		if (silent && c->kind == CABLE_SESSION)
			cable_freeze(c, FLEET_DARK_MS);
		else
			cable_cut(c);
	}
	life_release(&h->run->life);
	life_again(host_stage(h), &h->start, back_ms);
}

void fleet_host_kill(struct fleet_host *h, uint32_t back_ms)
{
	if (h->run == NULL)
		return;
	stage_note(host_stage(h), "kill run %u.%u back_ms=%u", h->index, h->run->life.number,
		   back_ms);
	host_end_run(h, false, back_ms);
}

void fleet_host_vanish(struct fleet_host *h, uint32_t back_ms)
{
	if (h->run == NULL)
		return;
	stage_note(host_stage(h), "run %u.%u vanishes back_ms=%u", h->index, h->run->life.number,
		   back_ms);
	host_end_run(h, true, back_ms);
}

void fleet_host_stop(struct fleet_host *h, uint32_t back_ms)
{
	if (h->run == NULL || h->run->life.stopping)
		return;
	life_stop(&h->run->life, &h->start, back_ms);
}

void fleet_host_unplug(struct fleet_host *h, uint32_t ms)
{
	stage_note(host_stage(h), "unplug host %u ms=%u", h->index, ms);
	h->unplugged_until_ms = MAX(h->unplugged_until_ms, host_now(h) + ms);
	LIST_FOR_EACH (link, &host_stage(h)->cables) {
		struct cable *c = CONTAINER_OF(link, struct cable, link);

		if (c->kind == CABLE_SESSION && host_has_cable(h, c))
			cable_freeze(c, ms);
	}
}

bool fleet_host_asks(const struct fleet_host *h, const struct fleet_tunnel *t)
{
	for (unsigned i = 0; i < h->n_seats; i++)
		if (h->seats[i] == t)
			return true;
	return false;
}

/* Does another tunnel have its port, or may it, after it was deleted? */
static bool host_port_is_taken(const struct fleet_host *h, const struct fleet_tunnel *t)
{
	const struct fleet *f = h->fleet;

	for (unsigned i = 0; i < f->n_tunnels; i++)
		if (&f->tunnels[i] != t && t->tcp && f->tunnels[i].port == t->port &&
		    f->tunnels[i].account != FLEET_NOBODY)
			return true;
	return false;
}

/* Does somebody of another account ask for it? */
static bool host_has_rival(const struct fleet_host *h, const struct fleet_tunnel *t)
{
	for (unsigned i = 0; i < h->fleet->n_hosts; i++)
		if (h->fleet->hosts[i].account != h->account &&
		    fleet_host_asks(&h->fleet->hosts[i], t))
			return true;
	return false;
}

bool fleet_host_should(const struct fleet_host *h, const struct fleet_tunnel *t)
{
	if (t->freed && host_has_rival(h, t))
		return false; /* nobody can say which of them has got it */
	return fleet_host_asks(h, t) && !t->off && !host_port_is_taken(h, t) &&
	       (t->account == h->account || t->account == FLEET_NOBODY || t->freed);
}

bool fleet_host_serves(const struct fleet_host *h, const struct fleet_tunnel *t)
{
	struct agent_state state;

	if (h->run == NULL || h->run->life.stopping)
		return false;
	agent_state(h->run->life.agent, &state);
	for (unsigned i = 0; i < h->n_seats; i++)
		if (h->seats[i] == t)
			return h->run->online[i] && state.sessions == h->n_sessions;
	return false;
}

void fleet_host_look(struct fleet_host *h)
{
	bool again = false;

	for (unsigned i = 0; i < h->n_seats; i++)
		again = again ||
			(fleet_host_should(h, h->seats[i]) && (h->run == NULL || h->run->lost[i]));
	if (!again || ev_timer_is_set(&h->start))
		return;
	if (h->run != NULL)
		fleet_host_stop(h, 0);
	else
		ev_timer_set(host_stage(h)->ev, &h->start, 1);
}

void fleet_host_end(struct fleet_host *h)
{
	ev_timer_stop(host_stage(h)->ev, &h->start);
	if (h->run != NULL)
		life_release(&h->run->life);
	fleet_target_close_all(&h->target);
}

/* ---- birth ---- */

static void host_add_server(struct fleet_host *h, int node)
{
	char text[60];

	if (node < 0)
		str_printf(text, sizeof text, "http://" FLEET_DOMAIN);
	else
		str_printf(text, sizeof text, "http://" FLEET_DOMAIN ":%d", FLEET_NODE_PORT + node);
	CHECK(url_parse(str_of(text), &h->servers[h->n_servers++], NULL) == 0);
}

/* A balancer that leads to any of them; all of them, from some node on; or one alone. */
static void host_draw_servers(struct fleet_host *h)
{
	struct dice *d = &host_stage(h)->dice;
	uint32_t roll = dice_range(d, 0, 99);
	unsigned first = dice_range(d, 0, h->fleet->n_nodes - 1);

	if (roll < 40)
		host_add_server(h, -1);
	for (unsigned i = 0; roll >= 40 && i < (roll < 80 ? h->fleet->n_nodes : 1); i++)
		host_add_server(h, (int)((first + i) % h->fleet->n_nodes));
}

/* A tunnel that is asked for, perhaps by others, too; by other accounts seldom. */
static struct fleet_tunnel *host_draw_tunnel(struct fleet_host *h)
{
	struct fleet *f = h->fleet;
	struct dice *d = &f->stage.dice;
	bool tcp = dice_chance(d, 35), rival = dice_chance(d, 15);
	unsigned which = dice_range(d, 0, 1);
	int owner = rival ? 9 : h->account;
	struct fleet_tunnel *t;
	char name[32];

	str_printf(name, sizeof name, "%s%u-a%d", tcp ? "port" : "web", which, owner);
	for (unsigned i = 0; i < f->n_tunnels; i++)
		if (strcmp(f->tunnels[i].name, name) == 0)
			return &f->tunnels[i];
	t = &f->tunnels[f->n_tunnels++];
	CHECK(f->n_tunnels <= FLEET_TUNNELS_MAX);
	*t = (struct fleet_tunnel){.tcp = tcp, .account = FLEET_NOBODY};
	str_printf(t->name, sizeof t->name, "%s", name);
	if (tcp) /* two tunnels may want one port */
		t->port = (uint16_t)(FLEET_PORT_FIRST +
				     (dice_chance(d, 10) ? 0 : f->n_tunnels % FLEET_PORTS));
	return t;
}

void fleet_host_init(struct fleet *f, unsigned index)
{
	struct fleet_host *h = &f->hosts[index];
	struct dice *d = &f->stage.dice;
	unsigned n = dice_range(d, 1, FLEET_SEATS_MAX);

	h->fleet = f;
	h->index = index;
	h->account = dice_chance(d, 75) ? 0 : 1;
	h->n_sessions = dice_range(d, 1, 3);
	str_printf(h->id, sizeof h->id, "agent%u", index);
	h->start = (struct ev_timer){.fn = host_on_start, .arg = h};
	host_draw_servers(h);
	fleet_target_init(&h->target, h);
	for (unsigned i = 0; i < n; i++) {
		struct fleet_tunnel *t = host_draw_tunnel(h);

		if (!fleet_host_asks(h, t))
			h->seats[h->n_seats++] = t;
	}
	ev_timer_set(f->stage.ev, &h->start, dice_length(d, 3000));
}
