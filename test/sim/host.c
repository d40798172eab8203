/* Runs agents over the simulated network, and judges what they are told. */
#include "sim/host.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "sim/world.h"

/* Targets listen at this port and the ones above. */
#define SEAT_PORT 1000
/* Where a seat's target is after a move, in ports. */
#define SEAT_MOVE 10
/* A visit that was on its way to where a target was has got there, or given up. */
#define SEAT_LATE_MS (TARGET_TIMEOUT_MS + 1000)
/* After so long, at most, somebody starts an agent again that was sent away, in milliseconds. */
#define AGAIN_MAX_MS 15000
/* The same for one that waits for a name that somebody else has, once it is free. */
#define FREE_MAX_MS 2000

/* ---- dialling ---- */

static struct site *run_site(const struct run *r, const struct dial_to *to)
{
	return &r->host->seats[(to->port - SEAT_PORT) % SEAT_MOVE].site;
}

/* A visitor goes where the target is, or was when the visitor came. */
static void run_check_move(const struct run *r, unsigned port)
{
	unsigned seat = (port - SEAT_PORT) % SEAT_MOVE, move = (port - SEAT_PORT) / SEAT_MOVE;
	struct stage *stage = &r->host->world->stage;

	if (move != r->move[seat] && (r->left_ms[seat][move] == 0 ||
				      ev_now_ms(stage->ev) - r->left_ms[seat][move] > SEAT_LATE_MS))
		stage_fail(stage, "run %u.%u sends a visitor of seat %u where it was long ago",
			   r->host->index, r->life.number, seat);
}

static enum dial_state run_look(struct dialler *d, const struct dial_to *to)
{
	const struct run *r = (struct run *)d;
	enum site_mood mood;

	if (to->server)
		return ev_now_ms(d->stage->ev) < r->host->unplugged_until_ms ? DIAL_HANGS
									     : DIAL_CONNECTS;
	mood = run_site(r, to)->mood;
	return mood == SITE_HANGS     ? DIAL_HANGS
	       : mood == SITE_REFUSES ? DIAL_REFUSED
				      : DIAL_CONNECTS;
}

static struct wire *run_connect(struct dialler *d, const struct dial_to *to)
{
	struct host *h = ((struct run *)d)->host;
	struct wire *a, *b;

	if (to->server)
		return world_dial_node(h->world, CABLE_SESSION, h->node, h->index);
	run_check_move((struct run *)d, to->port);
	cable_new(d->stage, CABLE_TARGET, h->index, &a, &b);
	site_accept(run_site((struct run *)d, to), b);
	return a;
}

/* ---- what the agent says ---- */

static void run_on_gone(struct life *l)
{
	struct run *r = (struct run *)l;
	struct host *h = r->host;

	if (h->run == r)
		h->run = NULL;
	list_del(&r->link);
}

static int run_account(const struct run *r)
{
	return r->host->account >= 0 ? r->host->account : 1000 + (int)r->life.number;
}

/* Whose tunnel is that? */
static size_t run_seat(const struct run *r, uint32_t id)
{
	for (size_t i = 0; i < r->host->n_seats; i++)
		if (r->id[i] == id)
			return i;
	stage_fail(&r->host->world->stage, "run %u.%u is told of a tunnel that it has removed",
		   r->host->index, r->life.number);
	return 0;
}

static void run_on_online(void *arg, const struct agent_online *o)
{
	struct run *r = arg;
	struct host *h = r->host;
	size_t seat = run_seat(r, o->tunnel);
	struct seat *s = &h->seats[seat];
	char *name = r->name[seat];

	stage_note(&h->world->stage, "run %u.%u online %s", h->index, r->life.number, o->name);
	r->online = true;
	if (name[0] != '\0' && strcmp(name, o->name) != 0)
		stage_fail(&h->world->stage, "run %u.%u had the name %s and now has %s", h->index,
			   r->life.number, name, o->name);
	if (s->asked[0] != '\0' && strcmp(s->asked, o->name) != 0)
		stage_fail(&h->world->stage, "run %u.%u asked for %s and got %s", h->index,
			   r->life.number, s->asked, o->name);
	world_own(h->world, o->name, run_account(r));
	str_printf(name, HOST_NAME_TEXT, "%s", o->name);
	for (unsigned i = 0; i < s->n_had; i++)
		if (strcmp(s->had[i], name) == 0)
			return;
	CHECK(s->n_had < HOST_NAMES_MAX);
	memcpy(s->had[s->n_had++], name, HOST_NAME_TEXT);
	if (h->account >= 0) /* from now on by its name, as with a memory */
		memcpy(s->asked, name, HOST_NAME_TEXT);
}

static void run_on_offline(void *arg, const struct agent_offline *o)
{
	struct run *r = arg;

	r->online = false;
	stage_note(&r->host->world->stage, "run %u.%u offline %s", r->host->index, r->life.number,
		   err_name(o->e));
}

/* Does an agent of another account ask for this name? */
static bool run_has_rival(const struct run *r, const char *name)
{
	const struct world *w = r->host->world;

	for (unsigned i = 0; i < w->n_hosts; i++)
		for (size_t s = 0; s < w->hosts[i].n_seats; s++)
			if (w->hosts[i].account != r->host->account &&
			    strcmp(w->hosts[i].seats[s].asked, name) == 0)
				return true;
	return false;
}

/* Has the clerk taken something away from it? */
static bool run_is_taken(const struct run *r, int code)
{
	const struct host *h = r->host;
	const struct world *w = h->world;

	if (h->account < 0 || (code != ERR_AUTH && code != ERR_DISABLED && code != ERR_DELETED &&
			       code != ERR_DISCONNECTED))
		return false;
	if (code == ERR_AUTH)
		return ban_excuses(&h->ban, r->life.since_ms);
	if (code == ERR_DISABLED && ban_excuses(&w->accounts[h->account].ban, r->life.since_ms))
		return true;
	for (size_t i = 0; i < h->n_seats; i++) {
		const char *name = r->name[i][0] != '\0' ? r->name[i] : h->seats[i].asked;
		const struct world_name *n = world_find(w, name);

		if (n != NULL && ban_excuses(&n->ban, r->life.since_ms))
			return true;
	}
	return false;
}

/* The server has said its last word about a tunnel: was it right? */
static void run_judge(struct run *r, size_t seat, int code, const char *reason)
{
	struct host *h = r->host;
	const char *asked = h->seats[seat].asked;

	if (run_is_taken(r, code)) {
		r->taken = true;
		return;
	}

	if (code == ERR_EXISTS && run_has_rival(r, asked) &&
	    (world_owner(h->world, asked) != run_account(r) || world_find(h->world, asked)->freed))
		return; /* never its own ghost; or the next owner has not heard of it yet */
	if (code == ERR_REPLACED && h->run != r)
		return; /* by a newer run */
	stage_fail(&h->world->stage, "run %u.%u lost seat %zu (%s): %s: %s", h->index,
		   r->life.number, seat, h->seats[seat].asked, err_name(code), reason);
}

static void run_on_lost(void *arg, uint32_t id, int code, const char *reason)
{
	struct run *r = arg;
	size_t tunnel = run_seat(r, id);

	stage_note(&r->host->world->stage, "run %u.%u lost seat %zu %s", r->host->index,
		   r->life.number, tunnel, err_name(code));
	r->lost[tunnel] = true;
	run_judge(r, tunnel, code, reason);
	if (r->taken && r->host->run == r)
		ev_timer_set(r->host->world->stage.ev, &r->host->again,
			     dice_length(&r->host->world->stage.dice, AGAIN_MAX_MS));
}

static void run_on_ended(void *arg, int code, const char *reason)
{
	struct run *r = arg;
	struct host *h = r->host;

	stage_note(&h->world->stage, "run %u.%u ended %s %s", h->index, r->life.number,
		   err_name(code), reason);
	if (!(code == 0 && r->life.stopping)) {
		for (size_t i = 0; i < h->n_seats; i++)
			if (!r->lost[i] && r->id[i] != 0)
				run_judge(r, i, code, reason);
		h->over = h->over || (h->run == r && !r->taken);
		if (h->run == r && r->taken && !ev_timer_is_set(&h->start))
			ev_timer_set(h->world->stage.ev, &h->start,
				     1 + dice_length(&h->world->stage.dice, AGAIN_MAX_MS));
	}
	life_bury(&r->life);
}

static void run_on_request(void *arg, const struct peek_request *req)
{
	struct run *r = arg;

	stage_note(&r->host->world->stage, "run %u.%u saw %s %s status=%u down=%llu cut=%d",
		   r->host->index, r->life.number, req->method, req->path, req->status,
		   (unsigned long long)req->down, req->cut);
}

static const struct agent_events quiet_events = {
	.online = run_on_online,
	.offline = run_on_offline,
	.lost = run_on_lost,
	.ended = run_on_ended,
	.target = life_on_target,
};

static const struct agent_events watching_events = {
	.online = run_on_online,
	.offline = run_on_offline,
	.lost = run_on_lost,
	.ended = run_on_ended,
	.target = life_on_target,
	.request = run_on_request,
};

/* ---- life ---- */

/* What is wanted of a seat now. */
static void run_want(const struct run *r, size_t seat, struct agent_tunnel *out)
{
	const struct seat *s = &r->host->seats[seat];
	char text[32];

	*out = (struct agent_tunnel){.name = s->asked[0] != '\0' ? s->asked : NULL};
	str_printf(text, sizeof text, "http://10.0.0.1:%zu",
		   SEAT_PORT + SEAT_MOVE * r->move[seat] + seat);
	CHECK(url_parse(str_of(text), &out->target, NULL) == 0);
}

static void run_add(struct run *r, size_t seat)
{
	struct agent_tunnel t;

	run_want(r, seat, &t);
	if (r->name[seat][0] != '\0')
		t.name = r->name[seat];
	CHECK(agent_add(r->life.agent, &t, &r->id[seat]) == 0);
}

/* Its target moves, or its record is to be another one, or nothing of it is new. */
static void run_change(struct run *r, size_t seat)
{
	struct dice *d = &r->host->world->stage.dice;
	struct agent_look look;
	struct agent_tunnel t;
	char name[HOST_NAME_TEXT], wish[32];

	CHECK(agent_look(r->life.agent, r->id[seat], &look));
	str_printf(name, sizeof name, "%s", look.name);
	if (dice_chance(d, 60)) {
		r->left_ms[seat][r->move[seat]] = MAX(ev_now_ms(r->host->world->stage.ev), 1);
		r->move[seat] = (r->move[seat] + 1) % HOST_MOVES;
	}
	run_want(r, seat, &t);
	str_printf(wish, sizeof wish, "\"max_sessions\":%u", dice_range(d, 40, 44));
	t.wish = dice_chance(d, 50) ? str_of(wish) : STR("");
	if (agent_change(r->life.agent, r->id[seat], &t) == 0)
		return;
	t.name = t.name == NULL ? name : NULL; /* what has its name now was not asked for, or was */
	CHECK(agent_change(r->life.agent, r->id[seat], &t) == 0);
}

/* It serves on what the newest run removes: only who wants the same takes its place. */
static bool host_has_twin(const struct host *h)
{
	return h->runs.next != h->runs.prev;
}

void host_edit(struct host *h)
{
	struct dice *d = &h->world->stage.dice;
	size_t seat = dice_range(d, 0, (uint32_t)h->n_seats - 1);
	struct run *r = h->run;

	if (r == NULL || r->life.stopping || r->lost[seat] || h->over)
		return;
	if (r->id[seat] == 0) {
		stage_note(&h->world->stage, "run %u.%u adds seat %zu", h->index, r->life.number,
			   seat);
		run_add(r, seat);
	} else if (dice_chance(d, 40) && !host_has_twin(h)) {
		stage_note(&h->world->stage, "run %u.%u removes seat %zu", h->index, r->life.number,
			   seat);
		agent_remove(r->life.agent, r->id[seat]);
		r->id[seat] = 0;
	} else {
		stage_note(&h->world->stage, "run %u.%u changes seat %zu", h->index, r->life.number,
			   seat);
		run_change(r, seat);
	}
}

bool host_rests(const struct host *h)
{
	struct agent_state s;

	agent_state(h->run->life.agent, &s);
	return s.resting;
}

void host_add_all(struct host *h)
{
	for (size_t i = 0; h->run != NULL && !h->run->life.stopping && i < h->n_seats; i++)
		if (h->run->id[i] == 0 && !h->run->lost[i])
			run_add(h->run, i);
}

void host_start(struct host *h)
{
	struct world *w = h->world;
	struct run *r = must_calloc(1, sizeof *r);
	struct agent_tunnel tunnels[HOST_SEATS_MAX] = {0};
	struct agent_opt opt = {.id = h->id,
				.server = &r->server,
				.tunnels = tunnels,
				.n_tunnels = h->n_seats,
				.n_sessions = h->n_sessions,
				.stays = h->stays,
				.events = dice_chance(&w->stage.dice, 50) ? &watching_events
									  : &quiet_events,
				.arg = r};

	life_init(&r->life, &w->stage, h->index, ++w->run_number);
	r->life.dialler.look = run_look;
	r->life.dialler.connect = run_connect;
	r->life.gone = run_on_gone;
	r->host = h;
	CHECK(url_parse(STR("http://" WORLD_DOMAIN), &r->server, NULL) == 0);
	for (size_t i = 0; i < h->n_seats; i++) {
		run_want(r, i, &tunnels[i]);
		r->id[i] = (uint32_t)i + 1;
	}
	if (h->account >= 0)
		opt.token = h->token;
	list_push(&h->runs, &r->link);
	h->run = r;
	life_start(&r->life, &opt);
}

static void host_on_start(void *arg)
{
	struct host *h = arg;

	if (h->run == NULL && !h->over)
		host_start(h);
}

static void host_on_again(void *arg)
{
	struct host *h = arg;

	if (h->run != NULL && h->run->taken && !h->run->life.stopping)
		host_kill(h, 0);
}

void host_kill(struct host *h, uint32_t back_ms)
{
	if (h->run == NULL)
		return;
	stage_note(&h->world->stage, "kill run %u.%u back_ms=%u", h->index, h->run->life.number,
		   back_ms);
	life_release(&h->run->life);
	life_again(&h->world->stage, &h->start, back_ms);
}

void host_stop(struct host *h, uint32_t back_ms)
{
	if (h->run == NULL || h->run->life.stopping)
		return;
	life_stop(&h->run->life, &h->start, back_ms);
}

void host_unplug(struct host *h, uint32_t ms)
{
	stage_note(&h->world->stage, "unplug host %u ms=%u", h->index, ms);
	h->unplugged_until_ms = ev_now_ms(h->world->stage.ev) + ms;
	LIST_FOR_EACH (link, &h->world->stage.cables) {
		struct cable *c = CONTAINER_OF(link, struct cable, link);

		if (c->kind == CABLE_SESSION && c->host == h->index)
			cable_freeze(c, ms);
	}
}

bool host_may_twin(const struct host *h)
{
	/* one that stays is not ended by its twin: it rests */
	if (h->account < 0 || h->run == NULL || h->run->life.stopping || !h->run->online ||
	    h->stays)
		return false;
	for (size_t i = 0; i < h->n_seats; i++)
		if (h->seats[i].asked[0] == '\0' || h->run->id[i] == 0)
			return false;
	return true;
}

bool host_has_lost(const struct host *h, unsigned name)
{
	const struct run *r = h->run;

	for (size_t i = 0; r != NULL && i < h->n_seats; i++) {
		const char *had = r->name[i][0] != '\0' ? r->name[i] : h->seats[i].asked;

		if (r->lost[i] && strcmp(had, h->world->names[name].text) == 0)
			return true;
	}
	return r == NULL && h->over;
}

static void host_try_again(struct host *h, unsigned seat)
{
	struct world *w = h->world;
	uint32_t ms = 1 + dice_length(&w->stage.dice, FREE_MAX_MS);

	if (h->run == NULL && h->over) {
		h->over = false;
		ev_timer_set(w->stage.ev, &h->start, ms);
	} else if (h->run != NULL && h->run->lost[seat]) {
		h->run->taken = true;
		ev_timer_set(w->stage.ev, &h->again, ms);
	}
}

void host_tell_free(struct world *w, const char *name)
{
	for (unsigned i = 0; i < w->n_hosts; i++)
		for (unsigned s = 0; s < w->hosts[i].n_seats; s++)
			if (strcmp(w->hosts[i].seats[s].asked, name) == 0)
				host_try_again(&w->hosts[i], s);
}

void host_end(struct host *h)
{
	ev_timer_stop(h->world->stage.ev, &h->start);
	ev_timer_stop(h->world->stage.ev, &h->again);
	h->over = true;
	LIST_FOR_EACH_SAFE (link, &h->runs)
		life_release(&CONTAINER_OF(link, struct run, link)->life);
	for (size_t i = 0; i < h->n_seats; i++)
		site_close_all(&h->seats[i].site);
}

/* ---- birth ---- */

static void seat_init(struct host *h, unsigned i)
{
	struct dice *d = &h->world->stage.dice;
	struct seat *s = &h->seats[i];

	site_init(&s->site, h->world, h->index, i);
	if (h->account < 0)
		return; /* each run is somebody else and could not have the name again */
	if (i == 0 && dice_chance(d, 60))
		str_printf(s->asked, sizeof s->asked, WORLD_SHARED);
	else if (dice_chance(d, 50))
		str_printf(s->asked, sizeof s->asked, "seat%u.host%u", i, h->index);
}

void host_init(struct world *w, unsigned index)
{
	struct host *h = &w->hosts[index];

	h->world = w;
	h->index = index;
	h->account = (int)dice_range(&w->stage.dice, 0, WORLD_ACCOUNTS) - 1;
	h->node = dice_range(&w->stage.dice, 0, w->n_nodes - 1);
	h->n_sessions = dice_range(&w->stage.dice, 1, 3);
	h->stays = dice_chance(&w->stage.dice, 50);
	h->n_seats = dice_range(&w->stage.dice, 1, HOST_SEATS_MAX);
	str_printf(h->id, sizeof h->id, "agent%u", index);
	list_init(&h->runs);
	h->start = (struct ev_timer){.fn = host_on_start, .arg = h};
	h->again = (struct ev_timer){.fn = host_on_again, .arg = h};
	if (h->account >= 0) {
		const struct world_account *a = &w->accounts[h->account];

		memcpy(h->token, a->hosts[index].token, sizeof h->token);
		memcpy(h->credential, a->hosts[index].id, sizeof h->credential);
	}
	for (unsigned i = 0; i < h->n_seats; i++)
		seat_init(h, i);
	ev_timer_set(w->stage.ev, &h->start, dice_length(&w->stage.dice, 3000));
}
