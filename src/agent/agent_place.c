/*
 * The tunnels that are wanted, by whoever has the agent: each keeps all it was told, its target,
 * its check and its counts, from agent_add() to agent_remove().
 */
#include <stdlib.h>
#include <string.h>

#include "agent/agent_internal.h"
#include "base/err.h"
#include "base/map.h"

/* ---- finding ---- */

static struct list *agent_place_names(struct agent *a, const char *name)
{
	/* Names are few, so whoever chooses them gains nothing by choosing the same list. */
	static const uint64_t key[2] = {0};

	return &a->names[siphash(key, name, strlen(name)) % AGENT_LISTS];
}

void agent_place_set_name(struct agent_place *p, const char *name)
{
	list_del(&p->by_name);
	if (name != p->name)
		str_printf(p->name, sizeof p->name, "%s", name);
	if (p->name[0] != '\0')
		list_push(agent_place_names(p->agent, p->name), &p->by_name);
}

struct agent_place *agent_place_named(struct agent *a, const char *name)
{
	LIST_FOR_EACH (link, agent_place_names(a, name)) {
		struct agent_place *p = CONTAINER_OF(link, struct agent_place, by_name);

		if (!p->over && strcmp(p->name, name) == 0)
			return p;
	}
	return NULL;
}

/* A door for HTTP leads to tunnels for HTTP only, and no other door does. */
static bool agent_place_takes(const struct agent_place *p, enum visit_ingress in)
{
	switch (in) {
	case VISIT_HTTP: return p->kind == AGENT_HTTP;
	case VISIT_TCP: return p->kind != AGENT_HTTP; /* also what was inside TLS */
	case VISIT_SNI: return p->kind == AGENT_TLS;
	case VISIT_UDP:
	case VISIT_NODE: break;
	}
	return false;
}

struct target *agent_place_find(struct agent *a, const struct visit *visit)
{
	struct target *last = NULL;

	LIST_FOR_EACH (link, agent_place_names(a, visit->tunnel)) {
		struct agent_place *p = CONTAINER_OF(link, struct agent_place, by_name);

		if (!agent_place_takes(p, visit->ingress) || strcmp(p->name, visit->tunnel) != 0)
			continue;
		if (!p->over)
			return p->target;
		if (p->drains)
			last = p->target;
	}
	return last;
}

static struct agent_place *agent_place_of(const struct agent *a, uint32_t id)
{
	LIST_FOR_EACH (link, &a->ids[id % AGENT_LISTS]) {
		struct agent_place *p = CONTAINER_OF(link, struct agent_place, by_id);

		if (p->id == id)
			return p;
	}
	return NULL;
}

void agent_place_weigh(struct agent_place *p)
{
	struct agent *a = p->agent;
	bool wanted = !p->gone && !p->over;
	bool unknown = wanted && p->url[0] == '\0' && !ev_timer_is_set(&p->retry);

	a->n_wanted += (size_t)wanted - (size_t)p->is_wanted;
	a->n_unknown += (size_t)unknown - (size_t)p->is_unknown;
	p->is_wanted = wanted;
	p->is_unknown = unknown;
}

/* ---- what a place is told ---- */

/* What is made of a struct agent_tunnel before anything changes. */
struct agent_made {
	char *wish, *path;     /* owned */
	struct target *target; /* owned */
	struct health *health; /* owned */
};

static void agent_made_free(struct agent *a, struct agent_made *m)
{
	health_free(m->health);
	target_drop(a->ev, m->target);
	free(m->wish);
	free(m->path);
}

/*
 * Its texts are copied, its check begins.
 *   to  the target to check: m->target or the one that stays; NULL: the check goes on as it is.
 */
static int agent_made_fill(struct agent_place *p, const struct agent_tunnel *t,
			   const struct target *to, struct agent_made *m)
{
	struct health_owner owner = {.net = p->agent->opt.net,
				     .proxy = t->proxy,
				     .changed = agent_tunnel_on_health,
				     .arg = p};
	struct health_opt check = t->health;

	if ((m->wish = str_dup(t->wish)) == NULL ||
	    (check.path != NULL && (m->path = str_dup(str_of(check.path))) == NULL))
		return ERR_NOMEM;
	if (to == NULL || check.kind == HEALTH_NONE)
		return 0;
	check.path = m->path;
	owner.to = &to->to;
	owner.insecure = to->insecure;
	return health_new(p->agent->ev, &check, &owner, &m->health);
}

/* What was there before goes; the check is set by whoever knows whether it begins anew. */
static void agent_place_take(struct agent_place *p, const struct agent_tunnel *t,
			     struct agent_made *m)
{
	free(p->wish);
	MOVE(p->wish, m->wish);
	p->priority = t->priority;
	if (m->target != NULL) {
		target_drop(p->agent->ev, p->target);
		MOVE(p->target, m->target);
	}
}

static void agent_place_take_check(struct agent_place *p, const struct agent_tunnel *t,
				   struct agent_made *m)
{
	char *old = (char *)(uintptr_t)p->check.path;

	health_free(p->health);
	p->health = NULL;
	if (old != NULL)
		ev_free_later(p->agent->ev, old); /* the check that ends may still look at it */
	MOVE(p->health, m->health);
	p->check = t->health;
	MOVE(p->check.path, m->path);
	p->proxy = t->proxy;
	p->why[0] = '\0';
}

/* Returns 0, or why this is no tunnel that can be wanted. */
static int agent_place_check(struct agent *a, const struct agent_tunnel *t,
			     char name[HOSTNAME_MAX + 1])
{
	name[0] = '\0';
	if (t->name != NULL && hostname_tunnel(str_of(t->name), name) != 0)
		return ERR_INVAL;
	return control_wish_check(t->wish);
}

static void agent_place_on_retry(void *arg)
{
	struct agent_place *p = arg;

	agent_place_weigh(p);
	agent_tunnel_plan(p);
}

static struct agent_place *agent_place_alloc(struct agent *a, enum agent_kind kind)
{
	struct agent_place *p = calloc(1, sizeof *p + a->opt.n_sessions * sizeof p->seats[0]);

	if (p == NULL)
		return NULL;
	p->agent = a;
	p->kind = kind;
	p->revision = 1;
	p->retry = (struct ev_timer){.fn = agent_place_on_retry, .arg = p};
	for (unsigned i = 0; i < a->opt.n_sessions; i++)
		p->seats[i].place = p;
	return p;
}

/* By which a tunnel's name is remembered: its kind, unless that is http, and its target. */
static void agent_place_name_it(struct agent_place *p, const char *asked)
{
	struct agent *a = p->agent;
	char known[HOSTNAME_MAX + 1];

	p->asked = asked[0] != '\0';
	if (p->asked) {
		agent_place_set_name(p, asked);
	} else if (a->opt.memory != NULL) {
		char key[AGENT_KEY_TEXT];

		agent_tunnel_key(p, key);
		memory_name(a->opt.memory, a->server, key, known);
		agent_place_set_name(p, known);
	}
}

static int agent_place_make(struct agent *a, const struct agent_tunnel *t, struct agent_place **out)
{
	char name[HOSTNAME_MAX + 1];
	struct agent_made made = {0};
	struct agent_place *p;
	int e;

	if ((e = agent_place_check(a, t, name)) != 0)
		return e;
	if (name[0] != '\0' && agent_place_named(a, name) != NULL)
		return ERR_INVAL;
	if (a->n_places >= AGENT_TUNNELS_MAX)
		return ERR_LIMIT;
	if ((p = agent_place_alloc(a, t->kind)) == NULL)
		return ERR_NOMEM;
	if ((e = target_new(&t->target, t->insecure, NULL, &made.target)) != 0 ||
	    (e = agent_made_fill(p, t, made.target, &made)) != 0) {
		agent_made_free(a, &made);
		free(p);
		return e;
	}
	agent_place_take(p, t, &made);
	agent_place_take_check(p, t, &made);
	agent_place_name_it(p, name);
	p->id = ++a->last_id;
	list_push(&a->places, &p->link);
	list_push(&a->ids[p->id % AGENT_LISTS], &p->by_id);
	a->n_places++;
	agent_place_weigh(p);
	*out = p;
	return 0;
}

int agent_add(struct agent *a, const struct agent_tunnel *t, uint32_t *id)
{
	struct agent_place *p;
	int e;

	if (a->ended || a->stopping || a->leaving)
		return ERR_CLOSED;
	if ((e = agent_place_make(a, t, &p)) != 0)
		return e;
	*id = p->id;
	agent_tunnel_plan(p);
	agent_wake(a);
	return 0;
}

/* ---- changes ---- */

static bool agent_place_same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool agent_place_same_check(const struct agent_place *p, const struct agent_tunnel *t)
{
	const struct health_opt *a = &p->check, *b = &t->health;

	return a->kind == b->kind && a->interval_ms == b->interval_ms && a->rise == b->rise &&
	       a->fall == b->fall && p->proxy == t->proxy &&
	       agent_place_same_text(a->path, b->path);
}

static bool agent_place_same_url(const struct url *a, const struct url *b)
{
	char x[URL_TEXT_MAX], y[URL_TEXT_MAX];

	url_format(a, x);
	url_format(b, y);
	return strcmp(x, y) == 0;
}

/* What the server knows of it has changed, or it was refused: it is asked for anew. */
static void agent_place_ask_anew(struct agent_place *p)
{
	p->revision++;
	if (p->over)
		p->url[0] = '\0';
	p->over = p->drains = p->kept = false;
	p->code = p->told = 0;
	p->reason[0] = '\0';
	agent_tunnel_no_retry(p);
	agent_place_weigh(p);
	agent_tunnel_plan(p);
	agent_wake(p->agent);
}

/* A check that begins anew takes its target for well. */
static void agent_place_check_anew(struct agent_place *p, const struct agent_tunnel *t,
				   struct agent_made *m)
{
	bool was_up = health_is_up(p->health);

	agent_place_take_check(p, t, m);
	if (!was_up)
		agent_tell_health(p->agent, p->attached, p->name, true);
}

int agent_change(struct agent *a, uint32_t id, const struct agent_tunnel *t)
{
	struct agent_place *p = agent_place_of(a, id);
	char name[HOSTNAME_MAX + 1];
	struct agent_made made = {0};
	bool moved, redirected, rechecked, reworded;
	int e;

	if (a->ended || a->stopping || a->leaving)
		return ERR_CLOSED;
	if (p == NULL)
		return ERR_NOTFOUND;
	if ((e = agent_place_check(a, t, name)) != 0)
		return e;
	if (t->kind != p->kind || (t->name != NULL) != p->asked ||
	    (p->asked && strcmp(name, p->name) != 0) ||
	    (p->over && p->asked && agent_place_named(a, name) != NULL))
		return ERR_INVAL;
	moved = !agent_place_same_url(&t->target, &p->target->to);
	redirected = moved || t->insecure != p->target->insecure;
	rechecked = redirected || p->over || !agent_place_same_check(p, t);
	reworded =
		moved || p->over || t->priority != p->priority || !str_eq(t->wish, str_of(p->wish));
	if (redirected)
		e = target_new(&t->target, t->insecure, p->target, &made.target);
	if (e == 0)
		e = agent_made_fill(p, t,
				    !rechecked	 ? NULL
				    : redirected ? made.target
						 : p->target,
				    &made);
	if (e == 0) {
		/* the old check looks at the old target until it has ended */
		if (rechecked)
			agent_place_check_anew(p, t, &made);
		agent_place_take(p, t, &made);
		if (reworded)
			agent_place_ask_anew(p);
	}
	agent_made_free(a, &made);
	return e;
}

/* ---- the end ---- */

/* All memory of it is the loop's; it is in no list. */
static void agent_place_free(struct agent_place *p)
{
	struct agent *a = p->agent;

	health_free(p->health);
	p->health = NULL;
	target_drop(a->ev, p->target);
	p->target = NULL;
	ev_free_later(a->ev, p->wish);
	ev_free_later(a->ev, (char *)(uintptr_t)p->check.path);
	ev_free_later(a->ev, p);
}

void agent_place_bury(struct agent_place *p)
{
	for (unsigned i = 0; i < p->agent->opt.n_sessions; i++)
		if (p->seats[i].state != AGENT_SEAT_IDLE)
			return;
	list_del(&p->link);
	agent_place_free(p);
}

void agent_remove(struct agent *a, uint32_t id)
{
	struct agent_place *p = agent_place_of(a, id);

	if (p == NULL)
		return;
	agent_tunnel_detach(p);
	agent_tunnel_no_retry(p);
	health_free(p->health);
	p->health = NULL;
	list_del(&p->by_id);
	list_del(&p->by_name);
	list_del(&p->link);
	a->n_places--;
	p->gone = true;
	list_push(&a->gone, &p->link);
	agent_place_weigh(p);
	agent_tunnel_plan(p);
	agent_place_bury(p);
	agent_start_others(a);
	agent_rest_look(a);
}

int agent_place_make_all(struct agent *a)
{
	struct agent_place *p;
	int e = 0;

	for (size_t i = 0; i < a->opt.n_tunnels && e == 0; i++)
		e = agent_place_make(a, &a->opt.tunnels[i], &p);
	a->opt.tunnels = NULL; /* copied */
	return e;
}

void agent_place_free_all(struct agent *a)
{
	struct list *lists[] = {&a->places, &a->gone};

	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		LIST_FOR_EACH_SAFE (link, lists[i]) {
			struct agent_place *p = CONTAINER_OF(link, struct agent_place, link);

			ev_timer_stop(a->ev, &p->retry);
			list_del(&p->by_id);
			list_del(&p->by_name);
			list_del(&p->link);
			agent_place_free(p);
		}
	a->n_places = 0;
}

/* ---- a look ---- */

bool agent_look(const struct agent *a, uint32_t id, struct agent_look *out)
{
	const struct agent_place *p = agent_place_of(a, id);

	if (p == NULL)
		return false;
	*out = (struct agent_look){.name = p->name,
				   .url = p->url,
				   .target = &p->target->to,
				   .online = p->attached != 0,
				   .over = p->over,
				   .code = p->code,
				   .reason = p->reason,
				   .checked = p->health != NULL,
				   .up = health_is_up(p->health),
				   .why = p->why,
				   .target_e = p->target->e};
	target_count(p->target, &out->count);
	return true;
}
