/* Who is being served now: a list that costs a visitor two pointers. */
#include <string.h>

#include "core/core_internal.h"

void core_visitor_begin(struct core *c, struct core_visitor *v, const struct visit *visit)
{
	v->visit = visit;
	v->since_ms = ev_wall_ms(c->ev);
	list_push(&c->visitors, &v->link);
}

void core_visitor_end(struct core_visitor *v)
{
	list_del(&v->link);
}

bool core_is_watched(const struct core *c)
{
	return c->n_watching > 0;
}

void core_visitor_served(struct core *c, const struct core_visitor *v,
			 const struct core_served *what)
{
	const struct tunnel *t;

	if (c->n_watching == 0 || v->place == 0)
		return;
	if ((t = tunnel_find(c, str_of(v->visit->tunnel))) == NULL)
		return;
	LIST_FOR_EACH (link, &t->serving) {
		const struct serving *s = CONTAINER_OF(link, struct serving, of_tunnel);
		struct member *m = s->member;

		if (s->place != v->place)
			continue;
		if (m->opt.watch)
			m->opt.owner->served(m->opt.arg, v->visit, what);
		return;
	}
}

void visitor_leave_place(struct core *c, uint64_t place, uint64_t ms)
{
	LIST_FOR_EACH_SAFE (link, &c->visitors) {
		struct core_visitor *v = CONTAINER_OF(link, struct core_visitor, link);

		if (v->place == place && v->leave != NULL)
			v->leave(v, ms);
	}
}

void visitor_leave_tunnel(struct core *c, const char *tunnel)
{
	LIST_FOR_EACH_SAFE (link, &c->visitors) {
		struct core_visitor *v = CONTAINER_OF(link, struct core_visitor, link);

		if (v->leave != NULL && strcmp(v->visit->tunnel, tunnel) == 0)
			v->leave(v, 0);
	}
}
