/* What is there, what is wanted, and what becomes of the two. */
#include "core/tunnel_edit.h"

#include <string.h>

#include "base/err.h"
#include "core/names.h"

/* ---- the name ---- */

void tunnel_edit_name(struct tunnel_edit *x, struct str name)
{
	struct core *c = x->m->core;

	x->name_e = 0;
	x->random = name.len == 0;
	if (x->random) {
		tunnel_txn_random(c->ev, x->n_names++, x->name);
		return;
	}
	x->name_e = names_check(name, c->opt.domain, x->name, x->name_reason);
	if (x->name_e != 0 && str_copy(x->name, sizeof x->name, name) != 0)
		x->name[0] = '\0';
}

static int edit_taken(struct tunnel_edit *x)
{
	char reason[CORE_REASON_TEXT];

	x->taken = true;
	tunnel_txn_taken(str_of(x->name), reason);
	return manage_refuse(x->m, ERR_EXISTS, "name", "%s", reason);
}

/* ---- what is there ---- */

static bool edit_is_own(const struct tunnel_edit *x, const char *account)
{
	return strcmp(account, x->m->who.account) == 0;
}

/* May the asker make it? Asked first in any case, so that whoever may nothing learns nothing. */
static int edit_may_make(struct tunnel_edit *x)
{
	struct access_ask ask = {.act = ACCESS_CHANGE,
				 .account = edit_is_own(x, x->account) ? NULL : x->account,
				 .tunnel = x->random ? STR("") : str_of(x->name),
				 .kind = x->set & MANAGE_T_KIND ? x->to->kind : TUNNEL_HTTP};

	return manage_access(x->m, &ask);
}

/* It is there: whose is it, and is that what was expected? */
static int edit_existing(struct tunnel_edit *x)
{
	struct access_ask ask = {.act = ACCESS_CHANGE,
				 .account = x->old->account,
				 .tunnel = x->rec->key,
				 .kind = x->old->kind,
				 .port = x->old->port};
	bool own = edit_is_own(x, x->old->account);
	int e = manage_access(x->m, &ask);

	if (e != 0 && !own)
		return edit_taken(x);
	if (e != 0)
		return e;
	if (!own && (x->mode == MANAGE_CREATE || x->mode == MANAGE_ENSURE))
		return edit_taken(x);
	if (x->random) /* nobody meant that one */
		return edit_taken(x);
	if (x->mode == MANAGE_CREATE)
		return manage_refuse(x->m, ERR_EXISTS, "name",
				     "there is a tunnel \"%s\" already; change that one", x->name);
	return manage_expect(x->m, x->expected, x->rec->version);
}

/* Which tunnel of the account has the route that is asked for? ERR_NOTFOUND: none. */
static int edit_route_name(struct tunnel_edit *x, struct txn *t, char out[HOSTNAME_MAX + 1])
{
	struct record_domain d = {.account = ""};
	struct record_route route = {.account = ""};
	char key[RECORD_ROUTE_TEXT];
	bool own;
	int e = ERR_NOTFOUND;

	if (x->to->kind == TUNNEL_TCP && (x->set & MANAGE_T_PORT) && x->to->port != 0) {
		str_printf(key, sizeof key, "tcp/%u", x->to->port);
		e = tunnel_txn_route(t, str_of(key), &route);
	} else if ((x->set & MANAGE_T_ALT_NAMES) && x->to->n_alt_names > 0) {
		e = tunnel_txn_domain(t, x->to->alt_names[0], &d);
		memcpy(route.account, d.account, sizeof route.account);
		memcpy(route.tunnel, d.tunnel, sizeof route.tunnel);
	}
	own = e == 0 && strcmp(route.account, x->account) == 0;
	memcpy(out, route.tunnel, sizeof route.tunnel);
	return e != 0 || own ? e : ERR_NOTFOUND;
}

/* A tunnel that is found by its route has been asked for as if by its name. */
static int edit_by_route(struct tunnel_edit *x, struct txn *t)
{
	char name[HOSTNAME_MAX + 1];
	int e = edit_route_name(x, t, name);

	x->random = true;
	if (e == 0)
		e = tunnel_txn_get(t, str_of(name), x->old, &x->rec);
	if (e != 0)
		return e == ERR_NOTFOUND ? 0 : e;
	x->found =
		strcmp(x->old->account, x->account) == 0 && x->old->kind == x->to->kind &&
		(x->old->kind == TUNNEL_TCP ? x->old->port == x->to->port
					    : record_tunnel_has_host(x->old, x->to->alt_names[0]));
	if (x->found) {
		x->random = false;
		memcpy(x->name, name, sizeof x->name);
	}
	return 0;
}

/* A temporary tunnel that nobody serves keeps its owner from nothing. */
static bool edit_is_idle(const struct tunnel_edit *x)
{
	bool own = edit_is_own(x, x->old->account) && edit_is_own(x, x->account);
	bool other =
		x->mode == MANAGE_ENSURE && (x->set & MANAGE_T_KIND) && x->old->kind != x->to->kind;

	return own && !x->random && (x->mode == MANAGE_CREATE || other) &&
	       temporary_is_idle(x->m->core, x->old);
}

int tunnel_edit_find(struct tunnel_edit *x, struct txn *t)
{
	struct manage_tunnel_ask ask = {ACCESS_CHANGE, str_of(x->name)};
	int e;

	x->made = x->taken = x->same = x->found = false;
	x->idle[0] = '\0';
	if (x->mode == MANAGE_PATCH) {
		e = manage_tunnel(x->m, t, &ask, x->old, &x->rec);
		return e != 0 ? e : manage_expect(x->m, x->expected, x->rec->version);
	}
	if (x->by_route && (e = edit_by_route(x, t)) != 0)
		return e;
	if ((e = edit_may_make(x)) != 0)
		return e;
	if (x->name_e != 0)
		return manage_refuse(x->m, x->name_e, "name", "%s", x->name_reason);
	e = tunnel_txn_get(t, str_of(x->name), x->old, &x->rec);
	if (e == 0 && !edit_is_idle(x))
		return edit_existing(x);
	if (e == 0)
		e = tunnel_txn_drop(t, x->old);
	if (e != 0 && e != ERR_NOTFOUND)
		return e;
	x->made = true;
	x->rec = NULL;
	return manage_expect(x->m, x->expected, 0);
}

int tunnel_edit_read_old(struct tunnel_edit *x)
{
	return x->made ? 0 : record_read_tunnel(x->rec->key, x->rec->value, x->old);
}

/* ---- what it will be ---- */

static const char *edit_hash_of(const struct rights *r, const char *user)
{
	for (size_t i = 0; i < r->n_users; i++)
		if (strcmp(r->users[i].name, user) == 0)
			return r->users[i].hash;
	return NULL;
}

/* A user without a hash keeps the one that is there. */
static int edit_set_users(struct tunnel_edit *x)
{
	struct rights *r = &x->r->rights;

	memcpy(r->users, x->to->rights.users, sizeof r->users);
	r->n_users = x->to->rights.n_users;
	for (size_t i = 0; i < r->n_users; i++) {
		const char *kept;

		if (r->users[i].hash[0] != '\0')
			continue;
		kept = x->made ? NULL : edit_hash_of(&x->old->rights, r->users[i].name);
		if (kept == NULL)
			return manage_refuse(x->m, ERR_INVAL, "visitors.basic",
					     "\"%s\" is new here and needs a password",
					     r->users[i].name);
		memcpy(r->users[i].hash, kept, sizeof r->users[i].hash);
	}
	return 0;
}

static void edit_set_rights(struct rights *r, const struct rights *to, unsigned set)
{
	if (set & MANAGE_T_BEARERS) {
		memcpy(r->bearers, to->bearers, sizeof r->bearers);
		r->n_bearers = to->n_bearers;
	}
	if (set & MANAGE_T_ALLOW) {
		memcpy(r->allow, to->allow, sizeof r->allow);
		r->n_allow = to->n_allow;
	}
	if (set & MANAGE_T_DENY) {
		memcpy(r->deny, to->deny, sizeof r->deny);
		r->n_deny = to->n_deny;
	}
	if (set & MANAGE_T_AUTH_URL)
		memcpy(r->auth_url, to->auth_url, sizeof r->auth_url);
}

/* Where it is, and who serves it. */
static void edit_set_place(struct record_tunnel *r, const struct record_tunnel *to, unsigned set)
{
	if (set & MANAGE_T_ALT_NAMES) {
		memcpy(r->alt_names, to->alt_names, sizeof r->alt_names);
		r->n_alt_names = to->n_alt_names;
	}
	if ((set & MANAGE_T_PORT) && to->port != 0)
		r->port = to->port;
	if (set & MANAGE_T_BIND)
		memcpy(r->bind, to->bind, sizeof r->bind);
	if (set & MANAGE_T_TLS)
		r->tls = to->tls;
	if (set & MANAGE_T_PROXY)
		r->proxy = to->proxy;
	if (set & MANAGE_T_SERVICE)
		memcpy(r->service, to->service, sizeof r->service);
	if (set & MANAGE_T_AGENTS) {
		memcpy(r->agents, to->agents, sizeof r->agents);
		r->n_agents = to->n_agents;
	}
	if (set & MANAGE_T_DRAIN)
		r->drain_ms = to->drain_ms;
}

/* What Host becomes: whoever says one of the two means that it is not the other. */
static void edit_set_host(struct record_tunnel *r, const struct record_tunnel *to, unsigned set)
{
	if (set & MANAGE_T_REWRITE)
		r->rewrite = to->rewrite;
	if (set & MANAGE_T_HOST)
		memcpy(r->host, to->host, sizeof r->host);
	if ((set & MANAGE_T_HOST) && r->host[0] != '\0' && !(set & MANAGE_T_REWRITE))
		r->rewrite = false;
	if ((set & MANAGE_T_REWRITE) && r->rewrite && !(set & MANAGE_T_HOST))
		r->host[0] = '\0';
}

static int edit_set_edits(struct tunnel_edit *x)
{
	unsigned lists = (x->set & MANAGE_T_EDITS_ALL) / MANAGE_T_EDITS;

	if (lists == 0 || header_edits_merge(&x->r->edits, &x->to->edits, lists) == 0)
		return 0;
	return manage_refuse(x->m, ERR_TOOBIG, "headers",
			     "all fields that a tunnel adds and removes have %d bytes at most",
			     HEADER_EDIT_BYTES);
}

static void edit_set(struct record_tunnel *r, const struct record_tunnel *to, unsigned set)
{
	if (set & MANAGE_T_ENABLED)
		r->enabled = to->enabled;
	if (set & MANAGE_T_TARGET)
		memcpy(r->target, to->target, sizeof r->target);
	if (set & MANAGE_T_POLICY)
		r->policy = to->policy;
	if (set & MANAGE_T_SESSIONS_MAX)
		r->sessions_max = to->sessions_max;
	edit_set_host(r, to, set);
	edit_set_place(r, to, set);
	edit_set_rights(&r->rights, &to->rights, set);
}

/* What a tunnel of another kind had goes with its kind. */
static void edit_fit_kind(struct record_tunnel *r)
{
	size_t kept = 0;

	if (r->kind != TUNNEL_TCP) {
		r->port = 0;
		r->bind[0] = '\0';
	}
	if (r->kind != TUNNEL_TLS)
		r->tls = TUNNEL_TLS_PASS;
	if (r->kind != TUNNEL_HTTP) {
		r->rewrite = false;
		r->host[0] = '\0';
		r->edits.len = 0;
		r->rights.n_users = r->rights.n_bearers = 0;
		r->rights.auth_url[0] = '\0';
	}
	for (size_t i = 0; i < r->n_alt_names && r->kind != TUNNEL_TCP; i++)
		if (r->kind == TUNNEL_TLS || r->alt_names[i][0] != '*')
			memmove(r->alt_names[kept++], r->alt_names[i], sizeof r->alt_names[0]);
	r->n_alt_names = kept;
}

/* Another kind needs the right to both. */
static int edit_may_be(struct tunnel_edit *x)
{
	struct access_ask ask = {.act = ACCESS_CHANGE,
				 .account = x->old->account,
				 .tunnel = str_of(x->name),
				 .kind = x->r->kind};

	if (x->made || x->r->kind == x->old->kind)
		return 0;
	if (x->mode == MANAGE_ENSURE)
		return manage_refuse(x->m, ERR_INVAL, "kind",
				     "this name belongs to a tunnel of another kind (%s); choose "
				     "another with --name",
				     tunnel_kind_name(x->old->kind));
	return manage_access(x->m, &ask);
}

int tunnel_edit_merge(struct tunnel_edit *x)
{
	bool stays = !x->made && (x->mode == MANAGE_PATCH || x->mode == MANAGE_ENSURE);
	int64_t now_ms = ev_wall_ms(x->m->core->ev);
	struct record_tunnel *r = x->r;
	int e;

	if (x->keep && !x->made) {
		*r = *x->old;
		r->temporary = x->temporary && r->temporary;
		x->same = r->temporary == x->old->temporary;
		return 0;
	}
	if (stays)
		*r = *x->old;
	else
		tunnel_txn_usual(r, str_of(x->name), x->made ? x->account : x->old->account,
				 now_ms);
	r->updated_ms = now_ms;
	if (!x->made) {
		r->created_ms = x->old->created_ms;
		r->port = x->old->port; /* also of one that is replaced whole */
	}
	if (x->set & MANAGE_T_KIND)
		r->kind = x->to->kind;
	if ((e = edit_may_be(x)) != 0 || (e = tunnel_edit_check_kind(x, r->kind)) != 0)
		return e;
	r->temporary = x->temporary && (x->made || x->old->temporary);
	edit_set(r, x->to, x->found ? x->set & ~(unsigned)MANAGE_T_ALT_NAMES : x->set);
	if ((x->set & MANAGE_T_USERS) && (e = edit_set_users(x)) != 0)
		return e;
	if ((e = edit_set_edits(x)) != 0)
		return e;
	edit_fit_kind(r);
	x->same = !x->made && record_tunnel_same(r, x->old);
	return 0;
}

/* ---- writing ---- */

/* Whoever has the port, and nobody serves it, makes room. */
static int edit_drop_idle(struct tunnel_edit *x, struct txn *t)
{
	const struct store_record *rec;
	struct record_tunnel r;
	int e;

	if (x->idle[0] == '\0')
		return 0;
	e = tunnel_txn_get(t, str_of(x->idle), &r, &rec);
	return e != 0 ? e : tunnel_txn_drop(t, &r);
}

int tunnel_edit_write(struct tunnel_edit *x, struct txn *t)
{
	char reason[CORE_REASON_TEXT] = "";
	int e = edit_drop_idle(x, t);

	if (e == 0)
		e = x->made ? tunnel_txn_make(t, x->r, reason) : tunnel_txn_put(t, x->rec, x->r);
	if (reason[0] == '\0')
		return e;
	x->taken = e == ERR_EXISTS;
	return manage_refuse(x->m, e, x->taken ? "name" : NULL, "%s", reason);
}

int tunnel_edit_write_domains(struct tunnel_edit *x, struct txn *t)
{
	int64_t now_ms = ev_wall_ms(x->m->core->ev);
	int e = 0;

	for (size_t i = 0; e == 0 && !x->made && i < x->old->n_alt_names; i++)
		if (!record_tunnel_has_host(x->r, x->old->alt_names[i]))
			e = tunnel_txn_leave_domain(t, x->old, x->old->alt_names[i]);
	for (size_t i = 0; e == 0 && i < x->r->n_alt_names; i++)
		if (x->made || !record_tunnel_has_host(x->old, x->r->alt_names[i]))
			e = tunnel_txn_take_domain(t, x->r, x->r->alt_names[i], now_ms);
	return e;
}
