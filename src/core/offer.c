/*
 * Agents that do not ask for tunnels but offer: they serve whatever of their account names them, or
 * names nobody and a service that they have. What that is follows from the records at any time.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/place.h"

static bool offer_has(const struct member *m, const char *service)
{
	const char *p = m->services;

	for (; p != NULL && *p != '\0'; p += strlen(p) + 1)
		if (strcmp(p, service) == 0)
			return true;
	return false;
}

bool offer_fits(const struct member *m, const struct offer_terms *t)
{
	if (!m->offers)
		return false;
	for (size_t i = 0; i < t->n_agents; i++)
		if (strcmp(t->agents[i], m->opt.agent.id) == 0)
			return true;
	return t->n_agents == 0 && t->service[0] != '\0' && offer_has(m, t->service);
}

void offer_give(struct member *m, const struct record_tunnel *r, uint64_t version)
{
	struct access_ask ask = {.act = ACCESS_SERVE,
				 .tunnel = str_of(r->name),
				 .kind = r->kind,
				 .port = r->port,
				 .now_ms = ev_wall_ms(m->core->ev)};
	struct tunnel_serve_opt opt = {.priority = m->priority, .assigned = true};
	char reason[CORE_REASON_TEXT];
	int e = access_decide(&m->grant->who, &ask, reason);

	if (e == 0 && m->n_serving >= CORE_TUNNELS_PER_SESSION)
		e = ERR_LIMIT;
	if (e == 0)
		e = tunnel_serve(m, r, version, &opt, reason);
	if (e == 0)
		m->opt.owner->assigned(m->opt.arg, r->name, r->service);
	else
		log_debug(m->core->opt.log, "event=not-assigned tunnel=%s agent=%s why=%s", r->name,
			  m->opt.agent.id, err_name(e));
}

static struct serving *offer_find_unfit(struct member *m)
{
	LIST_FOR_EACH (link, &m->serving) {
		struct serving *s = CONTAINER_OF(link, struct serving, of_member);

		if (s->assigned && !place_keeps(s))
			return s;
	}
	return NULL;
}

void offer_withdraw(struct member *m)
{
	struct core *c = m->core;
	struct serving *s;

	while (c->assigning == m && (s = offer_find_unfit(m)) != NULL)
		tunnel_take_away(s, ERR_REPLACED, "this agent does not offer its service any more");
}

void offer_look(struct member *m)
{
	if (m->offers && !m->expelled)
		ev_task_run(m->core->ev, &m->assign);
}

void offer_end(struct member *m)
{
	if (m->core->assigning == m)
		m->core->assigning = NULL;
	ev_task_cancel(&m->assign);
	free(m->services);
	m->services = NULL;
	m->offers = false;
}

/* ---- the offer ---- */

/* Returns 0 or ERR_TOOBIG; *size is what all names need. */
static int offer_measure(const struct str *services, size_t n, size_t *size)
{
	*size = 1;
	if (n > CORE_SERVICES_MAX)
		return ERR_TOOBIG;
	for (size_t i = 0; i < n; i++) {
		if (services[i].len == 0 || services[i].len >= RECORD_SERVICE_TEXT ||
		    memchr(services[i].p, '\0', services[i].len) != NULL)
			return ERR_TOOBIG;
		*size += services[i].len + 1;
	}
	return 0;
}

int offer_set(struct member *m, const struct str *services, size_t n, unsigned priority)
{
	size_t size, at = 0;
	char *names;
	int e = offer_measure(services, n, &size);

	if (e != 0)
		return e;
	if ((names = calloc(1, size)) == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++) {
		memcpy(names + at, services[i].p, services[i].len);
		at += services[i].len + 1;
	}
	free(m->services);
	m->services = names;
	m->offers = true;
	m->priority = priority;
	offer_look(m);
	return 0;
}
