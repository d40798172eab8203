/*
 * The services of this side. The server names a service, never an address: what is behind the name
 * is decided here, and a name that is not in the list is refused.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/agent_internal.h"
#include "base/err.h"

static struct agent_offered *agent_offer_named(struct agent *a, const char *name)
{
	for (size_t i = 0; i < a->opt.n_services; i++)
		if (strcmp(a->offered[i].name, name) == 0)
			return &a->offered[i];
	return NULL;
}

/* What serves a tunnel: the service that its record names, or else one that is called as it is. */
static struct agent_offered *agent_offer_for(struct agent *a, const char *tunnel,
					     const char *service)
{
	return agent_offer_named(a, service[0] != '\0' ? service : tunnel);
}

struct target *agent_offer_find(struct agent *a, const struct visit *visit)
{
	struct agent_offered *o = agent_offer_for(a, visit->tunnel, visit->service);

	bool takes = visit->ingress != VISIT_UDP && visit->ingress != VISIT_NODE;

	return o != NULL && takes ? &o->target : NULL;
}

/* ---- the offer ---- */

int agent_offer_tell(struct agent *a, struct uplink *u)
{
	struct str names[AGENT_SERVICES_MAX];
	struct buf line = {0};
	int e;

	if (a->opt.n_services == 0)
		return 0;
	for (size_t i = 0; i < a->opt.n_services; i++)
		names[i] = str_of(a->offered[i].name);
	if ((e = control_offer(names, a->opt.n_services, a->opt.priority, &line)) == 0)
		e = uplink_tell(u, buf_str(&line));
	buf_free(&line);
	return e;
}

/* ---- tunnels that are given to us ---- */

static struct agent_given *agent_offer_given(struct agent *a, const char *name)
{
	LIST_FOR_EACH (link, &a->given) {
		struct agent_given *g = CONTAINER_OF(link, struct agent_given, link);

		if (strcmp(g->name, name) == 0)
			return g;
	}
	return NULL;
}

static void agent_offer_forget(struct agent *a, struct agent_given *g)
{
	list_del(&g->link);
	a->n_given--;
	free(g);
}

void agent_offer_on_assigned(struct agent *a, struct uplink *u, const struct control_line *line)
{
	struct agent_given *g = agent_offer_given(a, line->name);
	struct agent_offered *o = agent_offer_for(a, line->name, line->service);
	struct agent_assigned told = {.name = line->name,
				      .service = line->service,
				      .target = o != NULL ? &o->target.to : NULL};
	bool news = g == NULL || strcmp(g->service, line->service) != 0;

	if (g == NULL) {
		if (a->n_given >= AGENT_ASSIGNED_MAX || (g = calloc(1, sizeof *g)) == NULL)
			return;
		memcpy(g->name, line->name, sizeof g->name);
		list_push(&a->given, &g->link);
		a->n_given++;
	}
	memcpy(g->service, line->service, sizeof g->service);
	g->attached |= agent_bit(u);
	if (o != NULL && !health_is_up(o->health))
		agent_tell_health(a, agent_bit(u), g->name, false);
	if (news && a->opt.events->assigned != NULL)
		a->opt.events->assigned(a->opt.arg, &told);
}

void agent_offer_on_detached(struct agent *a, struct uplink *u, const struct control_line *line)
{
	struct agent_given *g = agent_offer_given(a, line->name);

	if (g == NULL || !(g->attached & agent_bit(u)))
		return;
	g->attached &= ~agent_bit(u);
	if (g->attached != 0)
		return;
	agent_offer_forget(a, g);
	if (a->opt.events->taken != NULL)
		a->opt.events->taken(a->opt.arg, line->name, line->code, line->reason);
}

void agent_offer_down(struct agent *a, const struct uplink *u)
{
	LIST_FOR_EACH_SAFE (link, &a->given) {
		struct agent_given *g = CONTAINER_OF(link, struct agent_given, link);

		g->attached &= ~agent_bit(u);
		if (g->attached == 0)
			agent_offer_forget(a, g); /* to be told anew by the next session */
	}
}

/* ---- health ---- */

static void agent_offer_on_health(void *arg, bool up, const char *why)
{
	struct agent_offered *o = arg;
	struct agent *a = o->agent;

	LIST_FOR_EACH (link, &a->given) {
		struct agent_given *g = CONTAINER_OF(link, struct agent_given, link);

		if (agent_offer_for(a, g->name, g->service) == o)
			agent_tell_health(a, g->attached, g->name, up);
	}
	agent_on_health(a, &o->target.to, up, why);
}

/* ---- life ---- */

static int agent_offer_make(struct agent *a, const struct agent_service *s, struct agent_offered *o)
{
	struct health_owner owner = {.net = a->opt.net,
				     .to = &o->target.to,
				     .changed = agent_offer_on_health,
				     .arg = o};

	if (!ident_ok(str_of(s->name)) || agent_offer_named(a, s->name) != NULL)
		return ERR_INVAL;
	*o = (struct agent_offered){.agent = a, .target = {.to = s->target}};
	str_printf(o->name, sizeof o->name, "%s", s->name);
	if (s->health.kind == HEALTH_NONE)
		return 0;
	return health_new(a->ev, &s->health, &owner, &o->health);
}

int agent_offer_make_all(struct agent *a)
{
	size_t n = a->opt.n_services;
	int e = 0;

	if (n == 0)
		return 0;
	if ((a->offered = calloc(n, sizeof *a->offered)) == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < n && e == 0; i++)
		e = agent_offer_make(a, &a->opt.services[i], &a->offered[i]);
	a->opt.services = NULL; /* copied */
	return e;
}

void agent_offer_free_all(struct agent *a)
{
	for (size_t i = 0; a->offered != NULL && i < a->opt.n_services; i++) {
		health_free(a->offered[i].health);
		a->offered[i].health = NULL;
	}
	while (!list_empty(&a->given))
		agent_offer_forget(a, CONTAINER_OF(a->given.next, struct agent_given, link));
}
