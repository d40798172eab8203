/* Asks one node; the others have to find out by themselves. */
#include "sim/clerk.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "proto/http_head.h"
#include "proto/json.h"
#include "sim/world.h"

#define AGAIN_MS 300
/* The API must answer within so long, whatever happens to the nodes meanwhile. */
#define BOUND_MS 60000
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
	uint64_t now = ev_now_ms(k->world->ev);

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

static void clerk_hang_up(struct clerk *k)
{
	if (k->wire != NULL)
		wire_close(k->wire, 0);
	k->wire = NULL;
	buf_free(&k->in);
	buf_free(&k->out);
	k->scanned = 0;
	ev_timer_stop(k->world->ev, &k->again);
}

static void clerk_lose(struct clerk *k)
{
	clerk_hang_up(k);
	if (ev_now_ms(k->world->ev) - k->since_ms > BOUND_MS)
		world_fail(k->world, "the API has not answered %s %u", acts[k->act].name, k->which);
	ev_timer_set(k->world->ev, &k->again, AGAIN_MS);
}

static void clerk_take_token(struct clerk *k, struct str body)
{
	struct host *h = &k->world->hosts[k->which];
	struct json *j = NULL;
	struct str token, id;

	if (json_parse(body, BODY_MAX, &j) != 0 || json_get_text(j, "token", &token) != 0 ||
	    json_get_text(j, "id", &id) != 0 || str_copy(h->token, sizeof h->token, token) != 0 ||
	    str_copy(h->credential, sizeof h->credential, id) != 0)
		world_fail(k->world, "a new token is none: " STR_FMT, STR_ARG(body));
	json_free(j);
}

static void clerk_on_answer(struct clerk *k, unsigned status, struct str body)
{
	/* what it is about may have gone, or changed hands, since the world heard of it */
	bool gone = status == 404 && acts[k->act].idempotent;

	world_note(k->world, "clerk %s %u by node %u: %u", acts[k->act].name, k->which, k->node,
		   status);
	if (status == 503) { /* it is going down */
		clerk_lose(k);
		return;
	}
	if (status != acts[k->act].good && !gone) {
		world_fail(k->world, "%s %u was answered %u: " STR_FMT, acts[k->act].name, k->which,
			   status, STR_ARG(body));
		return;
	}
	if (gone && k->act == ACT_REVOKE && k->n_tries == 1)
		world_fail(k->world, "the token of host %u was not there", k->which);
	if (k->act == ACT_TOKEN)
		clerk_take_token(k, body);
	clerk_after(k, gone);
	k->busy = false;
	clerk_hang_up(k);
}

/* Returns false when the call is over. */
static bool clerk_read(struct clerk *k)
{
	struct http_response res;
	struct str in, body;
	int e;

	while ((e = wire_read(k->wire, BODY_MAX, &in)) == 0)
		CHECK(buf_add(&k->in, in.p, in.len, SIZE_MAX) == 0);
	if (k->in.len > 0 &&
	    http_response_parse(buf_str(&k->in), HTTP_GET, &k->scanned, &res) == 0 &&
	    k->in.len >= res.head.len + res.head.content_length) {
		body = (struct str){buf_str(&k->in).p + res.head.len,
				    (size_t)res.head.content_length};
		clerk_on_answer(k, res.status, body);
		return false;
	}
	if (e != ERR_AGAIN)
		clerk_lose(k);
	return e == ERR_AGAIN;
}

static void clerk_run(struct clerk *k)
{
	struct str rest = buf_str(&k->out);
	struct iovec iov = {.iov_base = (char *)(uintptr_t)rest.p, .iov_len = rest.len};
	size_t taken;

	if (rest.len > 0 && wire_write(k->wire, &iov, 1, &taken) == 0)
		buf_take(&k->out, taken);
	if (clerk_read(k))
		wire_want(k->wire, WIRE_READ | (k->out.len > 0 ? WIRE_WRITE : 0));
}

static void clerk_on_ready(void *arg, struct wire *w, int events)
{
	clerk_run(arg);
}

static void clerk_on_broken(void *arg, struct wire *w, int why)
{
	clerk_lose(arg);
}

static const struct wire_owner clerk_owner = {clerk_on_ready, clerk_on_broken};

/* Where it is, what is to become of it, and by whose token. */
static const char *clerk_write(const struct clerk *k, char path[200], char body[200])
{
	struct world *w = k->world;
	bool off = k->act == ACT_ACCOUNT_OFF || k->act == ACT_TUNNEL_OFF;
	const struct host *h;

	body[0] = '\0';
	if (k->act <= ACT_ACCOUNT_ON) {
		str_printf(path, 200, "/v1/admin/accounts/%s", w->accounts[k->which].id);
		str_printf(body, 200, "{\"enabled\":%s}", off ? "false" : "true");
		return w->admin;
	}
	if (k->act <= ACT_TOKEN) {
		h = &w->hosts[k->which];
		if (k->act == ACT_REVOKE) {
			str_printf(path, 200, "/v1/admin/accounts/%s/credentials/%s",
				   w->accounts[h->account].id, h->credential);
			return w->admin;
		}
		str_printf(path, 200, "/v1/credentials");
		str_printf(body, 200, "{\"type\":\"token\"}");
		return w->accounts[h->account].token;
	}
	str_printf(path, 200, "/v1/tunnels/%s%s", w->names[k->which].text,
		   k->act == ACT_TUNNEL_KICK ? "/disconnect" : "");
	if (k->act != ACT_TUNNEL_DROP && k->act != ACT_TUNNEL_KICK)
		str_printf(body, 200, "{\"enabled\":%s}", off ? "false" : "true");
	return w->accounts[w->names[k->which].account].token;
}

static void clerk_try(void *arg)
{
	struct clerk *k = arg;
	struct world *w = k->world;
	char path[200], body[200], text[900];
	const char *token;
	size_t len;

	k->node = dice_range(&w->dice, 0, w->n_nodes - 1);
	if ((k->wire = world_dial_node(w, CABLE_CLERK, k->node, 0)) == NULL) {
		clerk_lose(k);
		return;
	}
	k->n_tries++;
	token = clerk_write(k, path, body);
	len = str_printf(text, sizeof text,
			 "%s %s HTTP/1.1\r\nHost: " WORLD_DOMAIN "\r\nAuthorization: Bearer %s\r\n"
			 "Connection: close\r\n",
			 acts[k->act].method, path, token);
	if (body[0] != '\0')
		len += str_printf(text + len, sizeof text - len,
				  "Content-Type: application/json\r\nContent-Length: %zu\r\n",
				  strlen(body));
	str_printf(text + len, sizeof text - len, "\r\n%s", body);
	CHECK(buf_add(&k->out, text, strlen(text), SIZE_MAX) == 0);
	wire_own(k->wire, &clerk_owner, k);
	clerk_run(k);
}

static void clerk_begin(struct world *w, enum act act, unsigned which)
{
	struct clerk *k = &w->clerk;

	world_note(w, "clerk begins %s %u", acts[act].name, which);
	k->act = act;
	k->which = which;
	k->busy = true;
	k->n_tries = 0;
	k->since_ms = ev_now_ms(w->ev);
	clerk_before(k);
	ev_timer_set(w->ev, &k->again, 0);
}

/* ---- what to do ---- */

/* One that others may not have while the account itself is off. */
static bool clerk_may_touch(const struct world *w, int account)
{
	return account >= 0 && account < WORLD_ACCOUNTS && !w->accounts[account].ban.asked;
}

static void clerk_act_on_host(struct world *w)
{
	unsigned i = dice_range(&w->dice, 0, (uint32_t)w->n_hosts - 1);
	const struct host *h = &w->hosts[i];

	if (!clerk_may_touch(w, h->account))
		return;
	/* long enough for it to be told apart from an old one that still works */
	if (!h->ban.asked)
		clerk_begin(w, ACT_REVOKE, i);
	else if (ev_now_ms(w->ev) > h->ban.off_ms + 2 * CLERK_SETTLE_MS)
		clerk_begin(w, ACT_TOKEN, i);
}

static void clerk_act_on_tunnel(struct world *w)
{
	const struct world_name *shared = world_find(w, WORLD_SHARED);
	unsigned i = dice_range(&w->dice, 0, (uint32_t)w->n_names - 1);
	uint32_t roll = dice_range(&w->dice, 0, 2);
	const struct world_name *n;

	if (shared != NULL && dice_chance(&w->dice, 50)) {
		i = (unsigned)(shared - w->names);
		roll = dice_range(&w->dice, 0, 1); /* others wait for it */
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
	unsigned i = dice_range(&w->dice, 0, WORLD_ACCOUNTS - 1);

	clerk_begin(w, w->accounts[i].ban.asked ? ACT_ACCOUNT_ON : ACT_ACCOUNT_OFF, i);
}

void clerk_act(struct world *w)
{
	uint32_t roll = dice_range(&w->dice, 0, 9);

	if (w->clerk.busy)
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
	if (w->clerk.busy)
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
	w->clerk.world = w;
	w->clerk.again = (struct ev_timer){.fn = clerk_try, .arg = &w->clerk};
}

void clerk_end(struct world *w)
{
	clerk_hang_up(&w->clerk);
	w->clerk.busy = false;
}
