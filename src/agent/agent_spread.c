/*
 * Several sessions are for the day when a node is lost, so they should not be with the same one.
 * Where addresses of the nodes are known the agent chooses; behind a load balancer it can only come
 * again. In both cases what it has stays in use until it has something better, and what many agents
 * would do at the same moment is spread over some seconds.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent_internal.h"
#include "base/err.h"

/* The place of a server that is not in the list any more. */
#define SPREAD_NONE UINT_MAX

static struct agent_post *agent_spread_post(struct agent *a, const struct uplink *u)
{
	return &a->posts[uplink_carrier(u)];
}

/* ---- to whom? ---- */

/* How many of our sessions are with this server? */
static unsigned agent_spread_users(const struct agent *a, unsigned server)
{
	const char *node = a->servers.v[server].node;
	unsigned n = 0;

	for (unsigned i = 0; i < a->opt.n_sessions; i++) {
		const struct agent_post *p = &a->posts[i];

		if (uplink_is_up(a->uplinks[i]))
			n += p->server == server || (node[0] != '\0' && strcmp(node, p->node) == 0);
	}
	return n;
}

/* The best of those that were not tried: with the fewest of our sessions; of equal ones the next
 * after the one that this carrier begins with. Returns SPREAD_NONE if all were tried. */
static unsigned agent_spread_best(const struct agent *a, const struct uplink *u)
{
	const struct agent_post *p = &a->posts[uplink_carrier(u)];
	unsigned best = SPREAD_NONE, fewest = UINT_MAX, n = a->servers.n;

	for (unsigned i = 0; i < n; i++) {
		unsigned server = (uplink_carrier(u) + i) % n;
		unsigned users = agent_spread_users(a, server);

		if (p->tried & UINT32_C(1) << server || users >= fewest)
			continue;
		fewest = users;
		best = server;
	}
	return best;
}

const struct url *agent_spread_to(void *arg, struct uplink *u)
{
	struct agent *a = arg;
	struct agent_post *p = agent_spread_post(a, u);
	unsigned server = agent_spread_best(a, u);

	if (server == SPREAD_NONE || /* who moves had better ask a better one once more */
	    (uplink_is_up(u) && agent_spread_users(a, server) > 0)) {
		p->tried = 0;
		server = agent_spread_best(a, u);
	}
	p->tried |= UINT32_C(1) << server;
	p->target = server;
	return &a->servers.v[server].url;
}

void agent_spread_format(const struct agent *a, const struct uplink *u, char out[AGENT_NODES_TEXT])
{
	size_t len = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < a->opt.n_sessions; i++)
		if (a->uplinks[i] != u && a->posts[i].node[0] != '\0')
			len += str_printf(out + len, AGENT_NODES_TEXT - len, "%s%s",
					  len > 0 ? "," : "", a->posts[i].node);
}

/* ---- coming back ---- */

/* The one that it was with is not to be asked first. */
static void agent_spread_shun(struct agent *a, struct agent_post *p)
{
	if (p->server != SPREAD_NONE)
		p->tried |= UINT32_C(1) << p->server;
	for (unsigned i = a->servers.n_given; i < a->servers.n; i++)
		if (strcmp(a->servers.v[i].node, p->was) == 0)
			p->tried |= UINT32_C(1) << i;
}

/* A session that was lost: where to begin, and when? */
static uint32_t agent_spread_lost(struct agent *a, struct uplink *u, const struct uplink_failure *f)
{
	struct agent_post *p = agent_spread_post(a, u);
	bool cluster = a->n_nodes > 1 || a->servers.n > 1;

	p->tried = 0;
	p->haste = AGENT_HASTE_MAX;
	if (f->e == ERR_DRAIN || f->e == ERR_DEAD || f->e == ERR_TIMEOUT)
		agent_spread_shun(a, p);
	if (f->e == ERR_DRAIN && (uplink_is_leaving(u) || agent_spread_best(a, u) != SPREAD_NONE)) {
		uplink_start(u);
		return 0;
	}
	return uplink_retry(u, cluster ? AGENT_SPREAD_MS : 0);
}

uint32_t agent_spread_again(struct agent *a, struct uplink *u, const struct uplink_failure *f)
{
	struct agent_post *p = agent_spread_post(a, u);

	if (f->was_up)
		return agent_spread_lost(a, u, f);
	if (agent_spread_best(a, u) != SPREAD_NONE) {
		uplink_start(u);
		return 0;
	}
	p->tried = 0;
	if (f->e == ERR_DRAIN && f->spoken && uplink_is_leaving(u) && p->haste > 0) {
		p->haste--;
		uplink_retry_in(u,
				AGENT_HASTE_MS +
					(uint32_t)ev_random_below(a->ev, 2 * AGENT_HASTE_MS + 1));
		return 0;
	}
	return uplink_retry(u, 0);
}

/* ---- moving ---- */

unsigned agent_spread_n_nodes(const struct agent *a)
{
	unsigned n = 0;

	for (unsigned i = 0; i < a->opt.n_sessions; i++) {
		bool first = a->posts[i].node[0] != '\0';

		for (unsigned k = 0; k < i && first; k++)
			first = strcmp(a->posts[i].node, a->posts[k].node) != 0;
		n += first;
	}
	return n;
}

/* Is there a node without a session of ours, and is this one the second with its node? */
static bool agent_spread_should_move(const struct agent *a, const struct agent_post *p)
{
	if (a->ended || a->stopping || a->leaving || p->node[0] == '\0' ||
	    agent_spread_n_nodes(a) >= a->n_nodes)
		return false;
	for (const struct agent_post *q = a->posts; q < p; q++)
		if (strcmp(q->node, p->node) == 0)
			return true;
	return false;
}

/* When may it try? */
static uint64_t agent_spread_wait(struct agent *a, struct agent_post *p)
{
	uint64_t now = ev_now_ms(a->ev), most = AGENT_MOVE_MS;

	if (p->n_moves >= AGENT_MOVES_MAX && now - p->moves_ms < AGENT_MOVES_MS)
		return p->moves_ms + AGENT_MOVES_MS - now + ev_random_below(a->ev, AGENT_MOVE_MS);
	for (unsigned i = 0; i < p->n_moves && p->n_moves < AGENT_MOVES_MAX; i++)
		most *= AGENT_MOVE_GROWTH;
	return 1 + ev_random_below(a->ev, most);
}

/* Something has changed: which sessions are to try another node? */
static void agent_spread_look(struct agent *a)
{
	for (unsigned i = 0; i < a->opt.n_sessions; i++) {
		struct agent_post *p = &a->posts[i];

		if (!agent_spread_should_move(a, p))
			ev_timer_stop(a->ev, &p->move);
		else if (!ev_timer_is_set(&p->move))
			ev_timer_set(a->ev, &p->move, agent_spread_wait(a, p));
	}
}

static void agent_spread_on_move(void *arg)
{
	struct agent_post *p = arg;
	struct agent *a = p->agent;

	if (!agent_spread_should_move(a, p))
		return;
	if (p->n_moves > 0 && ev_now_ms(a->ev) - p->moves_ms >= AGENT_MOVES_MS)
		p->n_moves = 0;
	if (p->n_moves == 0)
		p->moves_ms = ev_now_ms(a->ev);
	p->n_moves++;
	if (!uplink_move(a->uplinks[p - a->posts]))
		agent_spread_look(a);
}

bool agent_spread_moved(void *arg, struct uplink *u, const struct upgrade_answer *answer)
{
	struct agent *a = arg;
	bool better = answer != NULL && answer->node[0] != '\0';

	for (unsigned i = 0; i < a->opt.n_sessions && better; i++)
		better = strcmp(a->posts[i].node, answer->node) != 0;
	log_info(a->opt.log, "event=carrier-moved carrier=%u moved=%d node=%s", uplink_carrier(u),
		 better, answer == NULL ? "" : answer->node);
	if (answer != NULL)
		a->n_nodes = answer->n_nodes;
	if (!better)
		agent_spread_look(a);
	return better;
}

/* ---- what is known ---- */

void agent_spread_up(struct agent *a, struct uplink *u, const struct upgrade_answer *answer)
{
	struct agent_post *p = agent_spread_post(a, u);

	memcpy(p->node, answer->node, strlen(answer->node) + 1);
	p->server = p->target;
	p->tried = 0;
	a->n_nodes = answer->n_nodes;
	agent_spread_look(a);
}

void agent_spread_down(struct agent *a, const struct uplink *u)
{
	struct agent_post *p = agent_spread_post(a, u);

	memcpy(p->was, p->node, sizeof p->was);
	p->node[0] = '\0';
	ev_timer_stop(a->ev, &p->move);
	agent_spread_look(a);
}

/* Those that were told of have changed: what is remembered of their places is worth nothing. */
static void agent_spread_forget(struct agent *a)
{
	for (unsigned i = 0; i < a->opt.n_sessions; i++) {
		struct agent_post *p = &a->posts[i];

		p->tried &= (UINT32_C(1) << a->servers.n_given) - 1;
		if (p->server >= a->servers.n_given)
			p->server = SPREAD_NONE;
		if (p->target >= a->servers.n_given)
			p->target = SPREAD_NONE;
	}
}

int agent_spread_on_nodes(struct agent *a, struct str line)
{
	struct control_nodes *nodes = calloc(1, sizeof *nodes);
	int e;

	if (nodes == NULL)
		return 0; /* they are told again when they change */
	if ((e = control_parse_nodes(line, nodes)) == 0) {
		a->n_nodes = nodes->count;
		if (servers_learn(&a->servers, nodes))
			agent_spread_forget(a);
		log_debug(a->opt.log, "event=nodes count=%u addresses=%u", a->n_nodes,
			  a->servers.n - a->servers.n_given);
		agent_spread_look(a);
	}
	free(nodes);
	return e;
}

/* ---- life ---- */

void agent_spread_init(struct agent *a)
{
	servers_init(&a->servers, a->ev, a->opt.server, a->opt.others, a->opt.n_others);
	a->n_nodes = 1;
	for (unsigned i = 0; i < a->opt.n_sessions; i++)
		a->posts[i] = (struct agent_post){
			.agent = a,
			.target = SPREAD_NONE,
			.server = SPREAD_NONE,
			.move = {.fn = agent_spread_on_move, .arg = &a->posts[i]},
		};
}

void agent_spread_stop(struct agent *a)
{
	for (unsigned i = 0; i < a->opt.n_sessions; i++)
		ev_timer_stop(a->ev, &a->posts[i].move);
}
