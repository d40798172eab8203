/* Changes records by the API of some node; the others have to hear of it. */
#include <string.h>

#include "base/err.h"
#include "sim/fleet.h"

static const struct {
	const char *name, *method, *path, *body;
} acts[FLEET_ACTS] = {
	[FLEET_KICK] = {"kick", "POST", "/disconnect", ""},
	[FLEET_DROP] = {"drop", "DELETE", "", ""},
	[FLEET_OFF] = {"off", "PATCH", "", "{\"enabled\":false}"},
	[FLEET_ON] = {"on", "PATCH", "", "{\"enabled\":true}"},
};

static struct wire *clerk_dial(void *arg)
{
	struct fleet *f = arg;
	struct fleet_node *n = fleet_node_any(f);

	if (n == NULL)
		return NULL;
	f->clerk.node = n->index;
	return fleet_node_dial(n, CABLE_CLERK, 0);
}

static void clerk_ask(void *arg, struct call *out)
{
	struct fleet *f = arg;
	struct fleet_clerk *k = &f->clerk;

	str_printf(k->path, sizeof k->path, "/v1/tunnels/%s%s", k->tunnel->name, acts[k->act].path);
	*out = (struct call){.method = acts[k->act].method,
			     .path = k->path,
			     .token = f->tokens[k->tunnel->account],
			     .body = acts[k->act].body};
}

static bool clerk_on_answer(void *arg, unsigned status, struct str body)
{
	struct fleet *f = arg;
	struct fleet_clerk *k = &f->clerk;

	stage_note(&f->stage, "clerk %s %s by node %u: %u", acts[k->act].name, k->tunnel->name,
		   k->node, status);
	/* 404: it was asked before, and the answer was lost; or it changed hands */
	if (status != 200 && status != 204 && status != 404)
		stage_fail(&f->stage, "%s of %s was answered %u: " STR_FMT, acts[k->act].name,
			   k->tunnel->name, status, STR_ARG(body));
	k->tunnel->touched_ms = ev_now_ms(f->stage.ev);
	if (status == 404 && k->act == FLEET_OFF)
		k->tunnel->off = false;
	return true;
}

void fleet_clerk_begin(struct fleet *f, enum fleet_act act, struct fleet_tunnel *t)
{
	struct fleet_clerk *k = &f->clerk;

	if (k->caller.busy || t->account == FLEET_NOBODY)
		return;
	stage_note(&f->stage, "clerk begins %s %s", acts[act].name, t->name);
	k->act = act;
	k->tunnel = t;
	t->touched_ms = ev_now_ms(f->stage.ev);
	t->off = act == FLEET_OFF || (t->off && act == FLEET_KICK);
	if (act == FLEET_DROP)
		t->freed = t->freed_ever = true;
	caller_begin(&k->caller);
}

void fleet_clerk_init(struct fleet *f)
{
	f->clerk.caller = (struct caller){.stage = &f->stage,
					  .host = FLEET_DOMAIN,
					  .dial = clerk_dial,
					  .ask = clerk_ask,
					  .answered = clerk_on_answer,
					  .arg = f};
	caller_init(&f->clerk.caller);
}
