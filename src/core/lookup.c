/* Why nobody serves a name: asked of the store for each visitor that no session can take. */
#include <stdlib.h>

#include "base/err.h"
#include "core/core_internal.h"

struct core_lookup {
	struct core_call call; /* first: the two are the same pointer */
	void (*done)(void *arg, int e);
	void *arg;
	char name[HOSTNAME_MAX + 1]; /* "": what was asked for is no name */
};

static void lookup_answer(struct core_lookup *l, int e)
{
	void (*done)(void *, int) = l->done;
	void *arg = l->arg;

	core_lookup_cancel(l);
	done(arg, e);
}

static void lookup_on_core_gone(struct core_call *call)
{
	lookup_answer((struct core_lookup *)call, ERR_CLOSED);
}

static int lookup_judge(struct core_lookup *l, const struct store_answer *answer)
{
	struct record_tunnel r;
	int e;

	if (core_tunnel(l->call.core, str_of(l->name)) != NULL)
		return 0;
	if (answer->e == ERR_NOTFOUND)
		return ERR_NOROUTE;
	if (answer->e != 0)
		return core_store_err(answer->e);
	if ((e = record_read_tunnel(answer->recs[0].value, &r)) != 0)
		return e;
	return r.enabled ? ERR_NOSESSION : ERR_DISABLED;
}

static void lookup_on_record(struct core_call *call, const struct store_answer *answer)
{
	struct core_lookup *l = (struct core_lookup *)call;

	lookup_answer(l, lookup_judge(l, answer));
}

static void lookup_on_start(void *arg)
{
	struct core_lookup *l = arg;
	struct str name = str_of(l->name);
	int e = 0;

	if (name.len == 0)
		lookup_answer(l, ERR_NOROUTE);
	else if (core_tunnel(l->call.core, name) != NULL)
		lookup_answer(l, 0);
	else if ((e = core_call_get(&l->call, RECORD_TUNNEL, name, lookup_on_record)) != 0)
		lookup_answer(l, e);
}

struct core_lookup *core_lookup(struct core *c, struct str name, void (*done)(void *arg, int e),
				void *arg)
{
	struct core_lookup *l = calloc(1, sizeof *l);

	if (l == NULL)
		return NULL;
	l->call.closed = lookup_on_core_gone;
	l->done = done;
	l->arg = arg;
	if (hostname_tunnel(name, l->name) != 0)
		l->name[0] = '\0';
	if (core_call_begin(c, &l->call, CORE_LOOKUP, lookup_on_start) != 0) {
		free(l);
		return NULL;
	}
	return l;
}

void core_lookup_cancel(struct core_lookup *l)
{
	core_call_end(&l->call);
	free(l);
}
