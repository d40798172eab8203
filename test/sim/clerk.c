/* Asks one node; the others have to find out by themselves. */
#include "sim/clerk.h"

#include <string.h>

#include "base/err.h"
#include "proto/json.h"
#include "sim/world.h"

#define BODY_MAX 65536

static const struct {
	const char *name, *method;
	unsigned good;
	bool idempotent; /* the second time it is gone already */
} acts[ACTS] = {
	[ACT_ACCOUNT_OFF] = {"account-off", "PATCH", 200, false},
	[ACT_ACCOUNT_ON] = {"account-on", "PATCH", 200, false},
	[ACT_REVOKE] = {"revoke", "DELETE", 204, true},
	[ACT_TOKEN] = {"token", "POST", 201, false},
	[ACT_TUNNEL_OFF] = {"tunnel-off", "PATCH", 200, true},
	[ACT_TUNNEL_ON] = {"tunnel-on", "PATCH", 200, true},
	[ACT_TUNNEL_DROP] = {"tunnel-drop", "DELETE", 204, true},
	[ACT_TUNNEL_KICK] = {"tunnel-kick", "POST", 200, true},
};

/* ---- what must be true ---- */

bool ban_excuses(const struct ban *b, uint64_t since_ms)
{
	return b->asked || (b->on_ms != 0 && since_ms <= b->on_ms + CLERK_SETTLE_MS);
}

bool ban_forbids(const struct ban *b, unsigned node, uint64_t at_ms)
{
	return b->off_ms != 0 && at_ms > b->off_ms + (node == b->node ? 0 : CLERK_SETTLE_MS);
}

static struct ban *clerk_ban(const struct clerk *k)
{
	struct world *w = k->world;

	if (k->act <= ACT_ACCOUNT_ON)
		return &w->accounts[k->which].ban;
	if (k->act <= ACT_TOKEN)
		return &w->hosts[k->which].ban;
	return &w->names[k->which].ban;
}

/* Before it is asked: it may happen from now on. */
static void clerk_before(struct clerk *k)
{
	struct ban *b = clerk_ban(k);

	b->asked = true;
	if (k->act != ACT_ACCOUNT_OFF && k->act != ACT_REVOKE && k->act != ACT_TUNNEL_OFF)
		b->off_ms = 0;
	if (k->act == ACT_TUNNEL_DROP)
		k->world->names[k->which].freed = k->world->names[k->which].freed_ever = true;
}

/* It is done. gone: there was nothing to do it to. */
static void clerk_after(struct clerk *k, bool gone)
{
	bool off = k->act == ACT_ACCOUNT_OFF || k->act == ACT_REVOKE || k->act == ACT_TUNNEL_OFF;
	struct ban *b = clerk_ban(k);
	uint64_t now = ev_now_ms(k->world->stage.ev);

	if (off && (!gone || k->act == ACT_REVOKE)) {
		b->off_ms = now;
		b->node = k->node;
	} else {
		b->off_ms = 0;
		b->asked = false;
		b->on_ms = now;
	}
	if (k->act == ACT_TUNNEL_DROP)
		host_tell_free(k->world, k->world->names[k->which].text);
}

/* ---- one call ---- */

static void clerk_take_token(struct clerk *k, struct str body)
{
	struct host *h = &k->world->hosts[k->which];
	struct json *j = NULL;
	struct str token, id;

	if (json_parse(body, BODY_MAX, &j) != 0 || json_get_text(j, "token", &token) != 0 ||
	    json_get_text(j, "id", &id) != 0 || str_copy(h->token, sizeof h->token, token) != 0 ||
	    str_copy(h->credential, sizeof h->credential, id) != 0)
		stage_fail(&k->world->stage, "a new token is none: " STR_FMT, STR_ARG(body));
	json_free(j);
}

/* See caller. */
static bool clerk_on_answer(void *arg, unsigned status, struct str body)
{
	struct clerk *k = arg;
	/* what it is about may have gone, or changed hands, since the world heard of it */
	bool gone = status == 404 && acts[k->act].idempotent;

	stage_note(&k->world->stage, "clerk %s %u by node %u: %u", acts[k->act].name, k->which,
		   k->node, status);
	if (status != acts[k->act].good && !gone)
		stage_fail(&k->world->stage, "%s %u was answered %u: " STR_FMT, acts[k->act].name,
			   k->which, status, STR_ARG(body));
	if (gone && k->act == ACT_REVOKE && k->caller.n_tries == 1)
		stage_fail(&k->world->stage, "the token of host %u was not there", k->which);
	if (k->act == ACT_TOKEN)
		clerk_take_token(k, body);
	clerk_after(k, gone);
	return true;
}

/* Where it is, what is to become of it, and by whose token. */
static const char *clerk_write(struct clerk *k)
{
	struct world *w = k->world;
	bool off = k->act == ACT_ACCOUNT_OFF || k->act == ACT_TUNNEL_OFF;
	char *path = k->path, *body = k->body;
	const struct host *h;

	body[0] = '\0';
	if (k->act <= ACT_ACCOUNT_ON) {
		str_printf(path, sizeof k->path, "/v1/admin/accounts/%s", w->accounts[k->which].id);
		str_printf(body, sizeof k->body, "{\"enabled\":%s}", off ? "false" : "true");
		return w->admin;
	}
	if (k->act <= ACT_TOKEN) {
		h = &w->hosts[k->which];
		if (k->act == ACT_REVOKE) {
			str_printf(path, sizeof k->path, "/v1/admin/accounts/%s/credentials/%s",
				   w->accounts[h->account].id, h->credential);
			return w->admin;
		}
		str_printf(path, sizeof k->path, "/v1/credentials");
		str_printf(body, sizeof k->body, "{\"type\":\"token\"}");
		return w->accounts[h->account].token;
	}
	str_printf(path, sizeof k->path, "/v1/tunnels/%s%s", w->names[k->which].text,
		   k->act == ACT_TUNNEL_KICK ? "/disconnect" : "");
	if (k->act != ACT_TUNNEL_DROP && k->act != ACT_TUNNEL_KICK)
		str_printf(body, sizeof k->body, "{\"enabled\":%s}", off ? "false" : "true");
	return w->accounts[w->names[k->which].account].token;
}

/* See caller. */
static void clerk_ask(void *arg, struct call *out)
{
	struct clerk *k = arg;

	*out = (struct call){.method = acts[k->act].method,
			     .token = clerk_write(k),
			     .path = k->path,
			     .body = k->body};
}

static struct wire *clerk_dial(void *arg)
{
	struct clerk *k = arg;
	struct world *w = k->world;

	k->node = dice_range(&w->stage.dice, 0, w->n_nodes - 1);
	return world_dial_node(w, CABLE_CLERK, k->node, 0);
}

static void clerk_begin(struct world *w, enum act act, unsigned which)
{
	struct clerk *k = &w->clerk;

	stage_note(&w->stage, "clerk begins %s %u", acts[act].name, which);
	k->act = act;
	k->which = which;
	clerk_before(k);
	caller_begin(&k->caller);
}

/* ---- what to do ---- */

/* One that others may not have while the account itself is off. */
static bool clerk_may_touch(const struct world *w, int account)
{
	return account >= 0 && account < WORLD_ACCOUNTS && !w->accounts[account].ban.asked;
}

static void clerk_act_on_host(struct world *w)
{
	unsigned i = dice_range(&w->stage.dice, 0, (uint32_t)w->n_hosts - 1);
	const struct host *h = &w->hosts[i];

	if (!clerk_may_touch(w, h->account))
		return;
	/* long enough for it to be told apart from an old one that still works */
	if (!h->ban.asked)
		clerk_begin(w, ACT_REVOKE, i);
	else if (ev_now_ms(w->stage.ev) > h->ban.off_ms + 2 * CLERK_SETTLE_MS)
		clerk_begin(w, ACT_TOKEN, i);
}

static void clerk_act_on_tunnel(struct world *w)
{
	const struct world_name *shared = world_find(w, WORLD_SHARED);
	unsigned i = dice_range(&w->stage.dice, 0, (uint32_t)w->n_names - 1);
	uint32_t roll = dice_range(&w->stage.dice, 0, 2);
	const struct world_name *n;

	if (shared != NULL && dice_chance(&w->stage.dice, 50)) {
		i = (unsigned)(shared - w->names);
		roll = dice_range(&w->stage.dice, 0, 1); /* others wait for it */
	}
	n = &w->names[i];
	if (!n->known || !clerk_may_touch(w, n->account))
		return;
	if (roll == 0)
		clerk_begin(w, n->ban.asked ? ACT_TUNNEL_ON : ACT_TUNNEL_OFF, i);
	else if (roll == 1)
		clerk_begin(w, ACT_TUNNEL_DROP, i);
	else if (!n->ban.asked)
		clerk_begin(w, ACT_TUNNEL_KICK, i);
}

static void clerk_act_on_account(struct world *w)
{
	unsigned i = dice_range(&w->stage.dice, 0, WORLD_ACCOUNTS - 1);

	clerk_begin(w, w->accounts[i].ban.asked ? ACT_ACCOUNT_ON : ACT_ACCOUNT_OFF, i);
}

void clerk_act(struct world *w)
{
	uint32_t roll = dice_range(&w->stage.dice, 0, 9);

	if (w->clerk.caller.busy)
		return;
	if (roll < 2)
		clerk_act_on_account(w);
	else if (roll < 5)
		clerk_act_on_host(w);
	else
		clerk_act_on_tunnel(w);
}

bool clerk_repair(struct world *w)
{
	if (w->clerk.caller.busy)
		return true;
	for (unsigned i = 0; i < WORLD_ACCOUNTS; i++)
		if (w->accounts[i].ban.asked) {
			clerk_begin(w, ACT_ACCOUNT_ON, i);
			return true;
		}
	for (unsigned i = 0; i < w->n_hosts; i++)
		if (w->hosts[i].ban.asked) {
			clerk_begin(w, ACT_TOKEN, i);
			return true;
		}
	for (unsigned i = 0; i < w->n_names; i++)
		if (w->names[i].ban.asked) {
			clerk_begin(w, ACT_TUNNEL_ON, i);
			return true;
		}
	return false;
}

void clerk_init(struct world *w)
{
	struct clerk *k = &w->clerk;

	k->world = w;
	k->caller = (struct caller){.stage = &w->stage,
				    .host = WORLD_DOMAIN,
				    .dial = clerk_dial,
				    .ask = clerk_ask,
				    .answered = clerk_on_answer,
				    .arg = k};
	caller_init(&k->caller);
}

void clerk_end(struct world *w)
{
	caller_end(&w->clerk.caller);
}
