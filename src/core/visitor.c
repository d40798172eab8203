/* Who is being served now: a list that costs a visitor two pointers. */
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
