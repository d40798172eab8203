/*
 * What credentials allow, as long as sessions live from them: one owner for each account, one grant
 * for each credential. Whoever changes their records, here or on another node, changes what stands
 * here, and sessions that may not be any more end in the same turn.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/manage_internal.h"
#include "proto/time_text.h"

/* The wall clock may be set while we wait: look again at least so often. */
#define GRANT_LOOK_MS 3600000

static const char revoked[] = "this credential has been revoked";

/* ---- finding ---- */

struct owner *grant_find_owner(struct core *c, struct str account)
{
	struct map_entry *e = map_get(&c->owners, account);

	return e == NULL ? NULL : CONTAINER_OF(e, struct owner, entry);
}

static struct grant *grant_find(struct core *c, struct str key)
{
	struct map_entry *e = map_get(&c->grants, key);

	return e == NULL ? NULL : CONTAINER_OF(e, struct grant, entry);
}

/* ---- ending sessions ---- */

static void grant_expel(struct grant *g, int why, const char *reason)
{
	LIST_FOR_EACH (link, &g->members)
		member_expel(CONTAINER_OF(link, struct member, of_grant), why, reason);
}

static void grant_expel_all(struct owner *o, int why, const char *reason)
{
	LIST_FOR_EACH (link, &o->grants)
		grant_expel(CONTAINER_OF(link, struct grant, of_owner), why, reason);
}

/* Is its time up? If not, look again when it is. */
static void grant_watch(struct grant *g)
{
	struct core *c = g->owner->core;
	int64_t until = g->who.scope.until_ms, now = ev_wall_ms(c->ev);
	char reason[CORE_REASON_TEXT], when[TIME_TEXT];

	ev_timer_stop(c->ev, &g->over);
	if (until == 0)
		return;
	if (now < until) {
		ev_timer_set(c->ev, &g->over, (uint64_t)MIN(until - now, GRANT_LOOK_MS));
		return;
	}
	time_text_format(until, when);
	str_printf(reason, sizeof reason, "this credential was good until %s", when);
	grant_expel(g, ERR_AUTH, reason);
}

static void grant_on_time(void *arg)
{
	grant_watch(arg);
}

/* ---- life ---- */

static int owner_new(struct core *c, const struct access_who *who, struct owner **out)
{
	struct owner *o = calloc(1, sizeof *o);
	int e;

	if (o == NULL)
		return ERR_NOMEM;
	o->core = c;
	o->sessions_max = who->sessions_max;
	list_init(&o->grants);
	memcpy(o->account, who->account, sizeof o->account);
	o->entry.key = str_of(o->account);
	if ((e = map_put(&c->owners, &o->entry)) != 0)
		free(o);
	else
		*out = o;
	return e;
}

static void owner_free(struct owner *o)
{
	map_del(&o->core->owners, &o->entry);
	quota_gone(o);
}

static void grant_free(struct grant *g)
{
	struct owner *o = g->owner;

	ev_timer_stop(o->core->ev, &g->over);
	map_del(&o->core->grants, &g->entry);
	list_del(&g->of_owner);
	free(g);
	if (list_empty(&o->grants))
		owner_free(o);
}

static int grant_new(struct core *c, const struct access_who *who, struct grant **out)
{
	struct owner *o = grant_find_owner(c, str_of(who->account));
	struct grant *g = calloc(1, sizeof *g);
	size_t n;
	int e = ERR_NOMEM;

	if (g == NULL || (o == NULL && (e = owner_new(c, who, &o)) != 0))
		goto out;
	g->owner = o;
	g->who = *who;
	g->over = (struct ev_timer){.fn = grant_on_time, .arg = g};
	list_init(&g->members);
	n = str_printf(g->key, sizeof g->key, "%s/%s", who->account, who->credential);
	g->entry.key = (struct str){g->key, n};
	if ((e = map_put(&c->grants, &g->entry)) != 0)
		goto out;
	list_push(&o->grants, &g->of_owner);
	o->version = 0; /* this one has not heard of it: the record counts anew */
	grant_watch(g);
	*out = g;
	/* what has changed since the login is learnt at once */
	refresh_add(c, RECORD_ACCOUNT, str_of(o->account));
	refresh_add(c, RECORD_CREDENTIAL, g->entry.key);
	return 0;
out:
	free(g);
	if (o != NULL && list_empty(&o->grants))
		owner_free(o);
	return e;
}

/* The session of an account that owes an answer for longest, NULL when there is none. */
static struct member *grant_find_ghost(const struct owner *o)
{
	struct member *ghost = NULL;

	LIST_FOR_EACH (of_owner, &o->grants) {
		const struct grant *g = CONTAINER_OF(of_owner, struct grant, of_owner);

		LIST_FOR_EACH (of_grant, &g->members) {
			struct member *m = CONTAINER_OF(of_grant, struct member, of_grant);

			if (member_is_ghost(m) &&
			    (ghost == NULL ||
			     m->opt.session->heard_ms < ghost->opt.session->heard_ms))
				ghost = m;
		}
	}
	return ghost;
}

void grant_rouse(const struct owner *o)
{
	LIST_FOR_EACH (of_owner, &o->grants) {
		const struct grant *g = CONTAINER_OF(of_owner, struct grant, of_owner);

		LIST_FOR_EACH (of_grant, &g->members) {
			struct member *m = CONTAINER_OF(of_grant, struct member, of_grant);

			if (!m->expelled)
				member_rouse(m);
		}
	}
}

/* One that owes an answer gives way. Was there one? */
static bool grant_oust_ghost(struct owner *o)
{
	struct member *ghost = grant_find_ghost(o);

	if (ghost == NULL)
		grant_rouse(o);
	else
		member_expel(ghost, ERR_REPLACED,
			     "this connection did not answer any more, and gave way to another one "
			     "of its account");
	return ghost != NULL;
}

/* Is there room for one more session? *n: those that count. */
static bool grant_has_room(struct member *m, const struct access_who *who, struct owner *o,
			   size_t *n)
{
	struct quota_ask ask = {.account = who->account,
				.owner = o,
				.member = m,
				.max = o == NULL ? who->sessions_max : o->sessions_max};

	if (!quota_is_full(m->core, &ask, n))
		return true;
	if (o != NULL && *n > ask.max)
		grant_rouse(o); /* one less would not do */
	else if (o != NULL && grant_oust_ghost(o) && !quota_is_full(m->core, &ask, n))
		return true;
	quota_refused(m->core, who->account);
	return false;
}

int grant_join(struct member *m, const struct access_who *who, char reason[CORE_REASON_TEXT])
{
	struct core *c = m->core;
	struct owner *o = grant_find_owner(c, str_of(who->account));
	struct access_ask ask = {.act = ACCESS_CONNECT, .now_ms = ev_wall_ms(c->ev)};
	struct manage_key key;
	struct grant *g = grant_find(c, manage_credential_key(&key, who->account, who->credential));
	size_t n;
	int e;

	if (g != NULL && g->revoked) {
		str_printf(reason, CORE_REASON_TEXT, "%s", revoked);
		return ERR_AUTH;
	}
	/* what is known here is newer than the login */
	if ((e = access_decide(g != NULL ? &g->who : who, &ask, reason)) != 0)
		return e;
	if (!grant_has_room(m, who, o, &n)) {
		str_printf(reason, CORE_REASON_TEXT,
			   "this account has %zu sessions, which is its limit; end one of them "
			   "first, or ask the server's operator for more",
			   n);
		return ERR_LIMIT;
	}
	if (g == NULL && (e = grant_new(c, who, &g)) != 0) {
		core_store_reason(e, reason);
		return e;
	}
	m->grant = g;
	list_push(&g->members, &m->of_grant);
	g->owner->n_members++;
	quota_changed(g->owner);
	return 0;
}

void grant_leave(struct member *m)
{
	struct grant *g;

	if ((g = m->grant) == NULL)
		return;
	m->grant = NULL;
	list_del(&m->of_grant);
	if (!m->expelled) {
		g->owner->n_members--;
		quota_changed(g->owner);
	}
	if (list_empty(&g->members) && !g->held)
		grant_free(g);
}

/* ---- records ---- */

/* Each member asks anew for each tunnel; their owners may make any of them leave meanwhile. */
static void grant_recheck(struct grant *g)
{
	struct list todo, *link;

	list_init(&todo);
	list_splice(&todo, &g->members);
	g->held = true;
	while ((link = list_pop(&todo)) != NULL) {
		struct member *m = CONTAINER_OF(link, struct member, of_grant);

		list_push(&g->members, link);
		if (!m->expelled)
			tunnel_recheck(m);
	}
	g->held = false;
	if (list_empty(&g->members))
		grant_free(g);
}

static void grant_set_ports(struct grant *g, const struct record_account *r)
{
	size_t size = r->n_ports * sizeof r->ports[0];

	if (g->who.n_ports == r->n_ports && memcmp(g->who.ports, r->ports, size) == 0)
		return;
	memcpy(g->who.ports, r->ports, size);
	g->who.n_ports = r->n_ports;
	g->ports_changed = true;
}

static struct grant *grant_find_changed(struct owner *o)
{
	LIST_FOR_EACH (link, &o->grants) {
		struct grant *g = CONTAINER_OF(link, struct grant, of_owner);

		if (g->ports_changed)
			return g;
	}
	return NULL;
}

/* All sessions of an account may go meanwhile, and the owner with them. */
static void grant_recheck_ports(struct core *c, struct str account)
{
	struct owner *o;
	struct grant *g;

	while ((o = grant_find_owner(c, account)) != NULL && (g = grant_find_changed(o)) != NULL) {
		g->ports_changed = false;
		grant_recheck(g);
	}
}

static void grant_set_account(struct owner *o, const struct record_account *r)
{
	char reason[CORE_REASON_TEXT];

	o->sessions_max = r->quota.sessions;
	LIST_FOR_EACH (link, &o->grants) {
		struct grant *g = CONTAINER_OF(link, struct grant, of_owner);

		g->who.admin = r->admin;
		g->who.enabled = r->enabled;
		grant_set_ports(g, r);
	}
	if (r->enabled) {
		grant_recheck_ports(o->core, str_of(r->id));
		return;
	}
	account_off_reason(r, reason);
	grant_expel_all(o, r->deleting ? ERR_DELETED : ERR_DISABLED, reason);
}

void grant_on_account(struct core *c, const struct store_record *rec)
{
	struct owner *o = grant_find_owner(c, rec->key);
	struct record_account r;
	int e;

	if (o == NULL)
		return;
	if (rec->version == 0) {
		LIST_FOR_EACH (link, &o->grants)
			CONTAINER_OF(link, struct grant, of_owner)->who.enabled = false;
		grant_expel_all(o, ERR_DELETED, "this account has been deleted");
	} else if (rec->version != o->version) {
		if ((e = record_read_account(rec->key, rec->value, &r)) != 0) {
			refresh_unread(c, e);
			return;
		}
		o->version = rec->version;
		grant_set_account(o, &r);
	}
}

void grant_on_lost(struct core *c, const struct store_record *rec)
{
	struct owner *o = str_eq(rec->kind, RECORD_ACCOUNT) ? grant_find_owner(c, rec->key) : NULL;
	struct grant *g = str_eq(rec->kind, RECORD_CREDENTIAL) ? grant_find(c, rec->key) : NULL;

	if (o == NULL && g == NULL)
		return;
	log_warn(c->opt.log, "event=record-lost kind=" STR_FMT " key=" STR_FMT, STR_ARG(rec->kind),
		 STR_ARG(rec->key));
	if (o != NULL)
		grant_expel_all(o, ERR_IO, "the server's store has lost this account");
	else
		grant_expel(g, ERR_IO, "the server's store has lost this credential");
}

static void grant_set_credential(struct grant *g, const struct record_credential *r)
{
	struct core *c = g->owner->core;
	uint64_t proof = siphash(c->loop_key, r->proof, strlen(r->proof));
	bool renewed = g->proof != 0 && g->proof != proof;
	bool changed = !access_scope_same(&g->who.scope, &r->scope);

	g->proof = proof;
	g->who.scope = r->scope;
	if (renewed)
		grant_expel(g, ERR_AUTH, revoked);
	grant_watch(g);
	if (changed)
		grant_recheck(g);
}

void grant_on_credential(struct core *c, const struct store_record *rec)
{
	struct grant *g = grant_find(c, rec->key);
	struct record_credential r;
	int e;

	if (g == NULL)
		return;
	if (rec->version == 0) {
		g->revoked = true;
		grant_expel(g, ERR_AUTH, revoked);
	} else if (rec->version != g->version) {
		if ((e = record_read_credential(rec->key, rec->value, &r)) != 0) {
			refresh_unread(c, e);
			return;
		}
		g->version = rec->version;
		grant_set_credential(g, &r);
	}
}
