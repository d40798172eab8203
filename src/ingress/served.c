/*
 * The words of a request are gone when its end is known: a copy is made, but only while somebody
 * watches, so that all others pay nothing for it.
 */
#include "ingress/served.h"

#include <stdlib.h>
#include <string.h>

void served_begin(struct served *s, struct core *c, struct ev *ev, const struct http_request *req)
{
	struct str method = req->method_name, path = req->path;

	if (!core_is_watched(c))
		return;
	path.len = MIN(path.len, (size_t)SERVED_PATH_MAX);
	if ((s->words = calloc(1, method.len + path.len + 2)) == NULL)
		return;
	memcpy(s->words, method.p, method.len);
	if (path.len > 0)
		memcpy(s->words + method.len + 1, path.p, path.len);
	s->ev = ev;
	s->began_ms = ev_now_ms(ev);
}

/* Bytes of content. */
static uint64_t served_content(uint64_t pumped, uint64_t head)
{
	return pumped - MIN(pumped, head);
}

void served_tell(struct served *s, struct core *c, const struct core_visitor *v,
		 const struct served_end *end)
{
	struct core_served what = {.method = s->words,
				   .status = s->status,
				   .up = served_content(end->up, s->head_up),
				   .down = served_content(end->down, s->head_down),
				   .why = end->why};

	if (s->words == NULL)
		return;
	what.path = s->words + strlen(s->words) + 1;
	what.ms = ev_now_ms(s->ev) - s->began_ms;
	core_visitor_served(c, v, &what);
	free(s->words);
	s->words = NULL;
}

void served_tell_connection(struct core *c, const struct core_visitor *v,
			    const struct served_end *end)
{
	struct core_served what = {.ms = end->ms,
				   .up = end->up,
				   .down = end->down,
				   .why = end->why};

	core_visitor_served(c, v, &what);
}
