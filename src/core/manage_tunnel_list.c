/*
 * A whole list of tunnels in place of what is there: one transaction. It reads all that is there,
 * finds out what each entry means, asks ahead for what will be read, has domains proven, takes
 * ports, and then drops and writes in this order, so that what one tunnel gives up another one may
 * have. Effects come when all of it is written, in one turn. Before that, the loop is left to
 * others again and again: what they change is seen by the records' versions when all is written,
 * and ports are held from the moment in which they were found free.
 */
#include "core/manage.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/there.h"
#include "core/tunnel_edit.h"
#include "core/tunnel_proofs.h"

/* One that is wanted. */
struct entry {
	struct tunnel_edit edit;
	struct map_entry by_name; /* in replace.wanted */
	bool nameless;
	bool chooses; /* its port is not said */
	char drawn[HOSTNAME_MAX + 1];
};

/* A custom domain of an entry. */
struct entry_host {
	struct map_entry entry; /* in replace.hosts */
};

struct replace {
	struct manage m; /* first */
	struct manage_tunnel_list opt;
	struct entry *entries;	      /* owned; [opt.n] */
	struct record_tunnel *to, *r; /* owned; [opt.n]: as wanted, as they will be */
	struct record_tunnel old;     /* room for the one that is looked at */
	struct tunnel_proofs proofs;
	struct there there;
	struct map wanted;	      /* of entry.by_name */
	struct map hosts;	      /* of entry_host.entry */
	struct entry_host *host_room; /* owned; for all of them */
	bool *ports;		      /* owned; [65536]: an entry has it */
	size_t n_made, n_changed, n_dropped;

	/* Where the run is. */
	size_t step, at; /* in its steps, and in what the step is for each of */
	int result;	 /* of this step so far */
	bool waits;	 /* for records that steps before have asked for */
	bool paused;
};

/*
 * A step of the run: once for all; for each entry; or for each tunnel that is to go. One that waits
 * for a record, or for the DNS, does not stop the others of its step. Returns 0, ERR_AGAIN,
 * ERR_RESOLVE, or what is wrong.
 */
struct replace_step {
	int (*all)(struct replace *l, struct txn *t);
	int (*each)(struct replace *l, struct txn *t, struct entry *en);
	int (*gone)(struct replace *l, struct txn *t, const struct there_tunnel *is);
	unsigned in_one_go; /* so many hold the loop for about 1 ms; 0: all of them do not */
	bool gathers;	    /* while it waits, the next step is taken: it asks for records, too */
};

/* ---- what the steps are made of ---- */

static struct entry *replace_wanted(const struct replace *l, struct str name)
{
	struct map_entry *e = map_get(&l->wanted, name);

	return e == NULL ? NULL : CONTAINER_OF(e, struct entry, by_name);
}

/* Is it to go? */
static bool replace_goes(const struct replace *l, const struct there_tunnel *is)
{
	return replace_wanted(l, is->by_name.key) == NULL &&
	       !(l->opt.keep_http && is->kind == TUNNEL_HTTP);
}

/* Does it have another route, or none, when all is written? */
static bool replace_leaves(void *arg, const char *tunnel, const char *route)
{
	const struct replace *l = arg;
	const struct there_tunnel *is = there_find(&l->there, str_of(tunnel));
	const struct entry *en = replace_wanted(l, str_of(tunnel));
	char key[RECORD_ROUTE_TEXT];

	if (is == NULL)
		return false; /* it is not ours to change */
	if (en == NULL)
		return replace_goes(l, is);
	return !record_route_key(en->edit.r, key) || strcmp(key, route) != 0;
}

/* ---- who asks, what is there ---- */

static int replace_may(struct replace *l, struct txn *t)
{
	struct access_ask ask = {.act = l->opt.all ? ACCESS_ADMIN : ACCESS_ACCOUNT};
	int e = manage_access(&l->m, &ask);

	return e != 0 ? e : txn_line(t, l->m.who.account);
}

static int replace_read(struct replace *l, struct txn *t)
{
	int e = there_read(&l->there, t, l->opt.all ? NULL : l->m.who.account);

	if (e != ERR_TOOBIG)
		return e;
	return manage_refuse(
		&l->m, e, NULL,
		"there are more than %d tunnels, too many to be replaced at once; delete "
		"some of them first",
		THERE_MAX);
}

/* ---- what the entries say, and their names ---- */

static int replace_check(struct replace *l, struct txn *t, struct entry *en)
{
	struct tunnel_edit *x = &en->edit;
	int e = tunnel_edit_check(x);

	if (e != 0)
		return e;
	return tunnel_edit_check_kind(x, x->set & MANAGE_T_KIND ? x->to->kind : TUNNEL_HTTP);
}

static int replace_want(struct replace *l, struct entry *en)
{
	if (replace_wanted(l, str_of(en->edit.name)) != NULL)
		return manage_refuse(&l->m, ERR_INVAL, "name", "\"%s\" stands twice in the list",
				     en->edit.name);
	en->by_name.key = str_of(en->edit.name);
	return map_put(&l->wanted, &en->by_name);
}

static int replace_named(struct replace *l, struct txn *t, struct entry *en)
{
	return en->nameless || en->edit.name_e != 0 ? 0 : replace_want(l, en);
}

/* A random one, the same in each run. */
static void replace_draw(struct replace *l, struct entry *en)
{
	for (unsigned i = 0; i < CORE_TRIES_MAX; i++) {
		if (en->drawn[0] != '\0' && replace_wanted(l, str_of(en->drawn)) == NULL)
			break; /* nobody else of the list has it */
		tunnel_edit_name(&en->edit, STR(""));
		memcpy(en->drawn, en->edit.name, sizeof en->drawn);
	}
	memcpy(en->edit.name, en->drawn, sizeof en->edit.name);
	en->edit.random = true;
}

/* Whatever stands in the same place keeps its name. */
static int replace_nameless(struct replace *l, struct txn *t, struct entry *en)
{
	struct tunnel_edit *x = &en->edit;
	const struct there_tunnel *is;
	struct record_tunnel place;

	if (!en->nameless)
		return 0;
	place = *x->to;
	place.kind = x->set & MANAGE_T_KIND ? x->to->kind : TUNNEL_HTTP;
	place.port = x->set & MANAGE_T_PORT ? x->to->port : 0;
	place.n_alt_names = x->set & MANAGE_T_ALT_NAMES ? x->to->n_alt_names : 0;
	memcpy(place.account, x->account, sizeof place.account);
	is = there_at(&l->there, &place);
	if (is != NULL && replace_wanted(l, is->by_name.key) == NULL) {
		x->random = false;
		if (str_copy(x->name, sizeof x->name, is->by_name.key) != 0)
			return ERR_IO;
	} else {
		replace_draw(l, en);
	}
	return replace_want(l, en);
}

/* ---- what they will be ---- */

/* Of a list of all accounts: is there such an account? */
static int replace_check_account(struct replace *l, struct txn *t, const struct tunnel_edit *x)
{
	const struct store_record *rec;
	struct record_account a;
	int e;

	if (!l->opt.all || !x->made)
		return 0;
	e = account_get(t, str_of(x->account), &a, &rec);
	if (e != ERR_NOTFOUND)
		return e;
	return manage_refuse(&l->m, e, "account", "there is no such account");
}

static int replace_plan(struct replace *l, struct txn *t, struct entry *en)
{
	struct tunnel_edit *x = &en->edit;
	char reason[CORE_REASON_TEXT];
	int e = tunnel_edit_find(x, t);

	if (e == 0 && !x->made && strcmp(x->old->account, x->account) != 0) {
		tunnel_txn_taken(str_of(x->name), reason);
		return manage_refuse(&l->m, ERR_EXISTS, "name", "%s", reason);
	}
	if (e != 0 || (e = replace_check_account(l, t, x)) != 0 || (e = tunnel_edit_merge(x)) != 0)
		return e;
	if (x->same)
		*x->r = *x->old;
	en->chooses = x->r->kind == TUNNEL_TCP && x->r->port == 0;
	l->n_made += x->made;
	l->n_changed += !x->made && !x->same;
	return 0;
}

/* Room for what is compared. */
static int replace_compare(struct replace *l, struct txn *t)
{
	size_t n = 1;

	for (size_t i = 0; i < l->opt.n; i++)
		n += l->r[i].n_alt_names;
	memset(l->ports, 0, (UINT16_MAX + 1) * sizeof l->ports[0]);
	free(l->host_room);
	l->host_room = calloc(n, sizeof l->host_room[0]);
	return l->host_room == NULL ? ERR_NOMEM : 0;
}

/* Has another entry the same port or domain? */
static int replace_single(struct replace *l, struct txn *t, struct entry *en)
{
	const struct record_tunnel *r = en->edit.r;
	size_t used = l->hosts.n;
	int e;

	if (r->port != 0 && l->ports[r->port])
		return manage_refuse(&l->m, ERR_INUSE, "ingress.tcp.port",
				     "port %u belongs to another tunnel of the list", r->port);
	l->ports[r->port] = r->port != 0;
	for (size_t i = 0; i < r->n_alt_names; i++) {
		struct map_entry *host = &l->host_room[used + i].entry;

		host->key = str_of(r->alt_names[i]);
		if (map_get(&l->hosts, host->key) != NULL)
			return manage_refuse(&l->m, ERR_INVAL, tunnel_edit_domains_field(r->kind),
					     "\"%s\" stands twice in the list", r->alt_names[i]);
		if ((e = map_put(&l->hosts, host)) != 0)
			return e;
	}
	return 0;
}

static int replace_agents(struct replace *l, struct txn *t, struct entry *en)
{
	const struct record_tunnel *r = en->edit.r;

	for (size_t i = 0; l->opt.known_agents && i < r->n_agents; i++)
		if (seen_find(l->m.core, r->account, r->agents[i]) == NULL &&
		    !there_names(&l->there, r->account, r->agents[i]))
			return manage_refuse(&l->m, ERR_NOTFOUND, "transport.agents",
					     "no agent of this account called \"%s\" has ever been "
					     "here",
					     r->agents[i]);
	return 0;
}

/* May the asker delete what is not in the list? */
static int replace_may_drop(struct replace *l, struct txn *t, const struct there_tunnel *is)
{
	struct access_ask ask = {.act = ACCESS_CHANGE,
				 .account = is->account,
				 .tunnel = is->by_name.key,
				 .kind = is->kind,
				 .port = is->port,
				 .now_ms = ev_wall_ms(l->m.core->ev)};
	char reason[CORE_REASON_TEXT];
	int e = access_decide(&l->m.who, &ask, reason);

	if (e != 0)
		return manage_refuse(&l->m, e, NULL,
				     "the tunnel \"" STR_FMT "\" is not in the list, but "
				     "cannot be deleted: %s",
				     STR_ARG(is->by_name.key), reason);
	l->n_dropped++;
	return 0;
}

/* ---- ports ---- */

static int replace_port_said(struct replace *l, struct txn *t, struct entry *en)
{
	struct tunnel_edit *x = &en->edit;
	int e = x->same || en->chooses ? 0 : tunnel_edit_read_old(x);

	return x->same || en->chooses || e != 0 ? e : tunnel_edit_port(x, t);
}

static int replace_port_chosen(struct replace *l, struct txn *t, struct entry *en)
{
	int e = en->chooses ? tunnel_edit_read_old(&en->edit) : 0;

	return !en->chooses || e != 0 ? e : tunnel_edit_port(&en->edit, t);
}

/* ---- records ---- */

static int replace_ahead(struct replace *l, struct txn *t, struct entry *en)
{
	struct tunnel_edit *x = &en->edit;
	int e = x->same ? 0 : tunnel_edit_read_old(x);

	return x->same || e != 0 ? e : tunnel_txn_ahead(t, x->made ? NULL : x->old, x->r);
}

static int replace_ahead_gone(struct replace *l, struct txn *t, const struct there_tunnel *is)
{
	int e = record_read_tunnel(is->rec->key, is->rec->value, &l->old);

	return e != 0 ? e : tunnel_txn_ahead(t, &l->old, NULL);
}

/* ---- domains: before any port is taken, since the DNS may be long in answering ---- */

static int replace_prove(struct replace *l, struct txn *t, struct entry *en)
{
	struct tunnel_edit *x = &en->edit;
	int e = x->same ? 0 : tunnel_edit_read_old(x);

	l->proofs.drawn = x->random && x->made;
	return x->same || e != 0 ? e
				 : tunnel_proofs_need(&l->proofs, t, x->r, x->made ? NULL : x->old);
}

static int replace_drop(struct replace *l, struct txn *t, const struct there_tunnel *is)
{
	int e = record_read_tunnel(is->rec->key, is->rec->value, &l->old);

	return e != 0 ? e : tunnel_txn_drop(t, &l->old);
}

static int replace_write_one(struct replace *l, struct txn *t, struct entry *en)
{
	struct tunnel_edit *x = &en->edit;
	int e;

	if ((e = tunnel_edit_read_old(x)) != 0 || (e = tunnel_edit_write(x, t)) != 0)
		return e;
	return tunnel_edit_write_domains(x, t);
}

static int replace_write_changed(struct replace *l, struct txn *t, struct entry *en)
{
	return en->edit.made || en->edit.same ? 0 : replace_write_one(l, t, en);
}

static int replace_write_made(struct replace *l, struct txn *t, struct entry *en)
{
	return en->edit.made ? replace_write_one(l, t, en) : 0;
}

/* ---- the transaction ---- */

/* In this order. What is said of ports comes first, so that nothing of it is chosen for another. */
static const struct replace_step replace_steps[] = {
	{.all = replace_may},
	{.all = replace_read},
	{.each = replace_check},
	{.each = replace_named},
	{.each = replace_nameless},
	{.each = replace_plan, .in_one_go = 128},
	{.all = replace_compare},
	{.each = replace_single},
	{.each = replace_agents},
	{.gone = replace_may_drop},
	{.each = replace_ahead, .in_one_go = 128, .gathers = true},
	{.gone = replace_ahead_gone, .in_one_go = 128},
	{.each = replace_prove, .in_one_go = 128},
	{.each = replace_port_said, .in_one_go = 64},
	{.each = replace_port_chosen, .in_one_go = 64},
	{.gone = replace_drop, .in_one_go = 32},
	{.each = replace_write_changed, .in_one_go = 64, .gathers = true},
	{.each = replace_write_made, .in_one_go = 64},
};

/* The i-th of what the step is for each of. */
static int replace_one(struct replace *l, struct txn *t, const struct replace_step *s, size_t i)
{
	int e;

	if (s->gone != NULL)
		return replace_goes(l, &l->there.tunnels[i]) ? s->gone(l, t, &l->there.tunnels[i])
							     : 0;
	e = s->each(l, t, &l->entries[i]);
	if (e != 0 && e != ERR_AGAIN && l->m.reason[0] != '\0')
		l->m.answer.entry = i;
	return e;
}

static int replace_take(struct replace *l, struct txn *t, const struct replace_step *s)
{
	size_t n = s->gone != NULL ? l->there.n : l->opt.n;
	int e;

	if (s->all != NULL)
		return s->all(l, t);
	while (l->at < n) {
		e = replace_one(l, t, s, l->at);
		if (e == ERR_AGAIN || (e == ERR_RESOLVE && tunnel_proofs_asks(&l->proofs)))
			l->result = l->result == ERR_AGAIN ? l->result : e;
		else if (e != 0)
			return e;
		if (txn_waits(t))
			return ERR_AGAIN;
		l->at++;
		if (s->in_one_go != 0 && l->at % s->in_one_go == 0 && (e = txn_pause(t)) != 0) {
			l->paused = true;
			return e;
		}
	}
	return l->result;
}

static void replace_forget(struct replace *l)
{
	there_forget(&l->there);
	map_free(&l->wanted);
	map_free(&l->hosts);
	l->m.reason[0] = '\0';
	l->m.answer.field = NULL;
	l->m.answer.entry = SIZE_MAX;
	l->n_made = l->n_changed = l->n_dropped = 0;
	l->step = l->at = 0;
	l->result = 0;
	l->waits = false;
}

static int replace_run(struct txn *t, void *arg)
{
	struct replace *l = arg;

	if (!txn_goes_on(t)) {
		replace_forget(l);
		tunnel_proofs_begin(&l->proofs);
	}
	l->paused = false;
	while (l->step < ARRAY_LEN(replace_steps)) {
		const struct replace_step *s = &replace_steps[l->step];
		int e = replace_take(l, t, s);

		if (e != 0 && (e != ERR_AGAIN || l->paused || txn_waits(t) || !s->gathers))
			return e;
		l->waits |= e == ERR_AGAIN;
		if (l->waits && !s->gathers)
			return ERR_AGAIN;
		l->step++;
		l->at = 0;
		l->result = 0;
	}
	if (l->opt.dry_run)
		txn_discard(t);
	return 0;
}

/* ---- its end ---- */

static void replace_done(struct replace *l)
{
	if (!l->opt.dry_run && l->n_made + l->n_changed + l->n_dropped > 0)
		log_info(l->m.core->opt.log,
			 "event=tunnels-replaced made=%zu changed=%zu deleted=%zu by=%s", l->n_made,
			 l->n_changed, l->n_dropped, l->m.who.account);
	l->m.answer.tunnels = l->r;
	l->m.answer.whole = &l->r;
	l->m.answer.n = l->opt.n;
}

/* Is a random name of one entry somebody else's? Then it gets another one. */
static bool replace_redraw(struct replace *l)
{
	size_t i = l->m.answer.entry;
	struct entry *en;

	if (i == SIZE_MAX)
		return false;
	en = &l->entries[i];
	if (!en->edit.random || !en->edit.taken || en->edit.n_names >= CORE_TRIES_MAX)
		return false;
	en->drawn[0] = '\0';
	return true;
}

static void replace_next(struct manage *m, int e)
{
	struct replace *l = (struct replace *)m;

	if (e == ERR_RESOLVE && tunnel_proofs_asks(&l->proofs)) {
		tunnel_proofs_ask(&l->proofs);
		return;
	}
	if (e == ERR_EXISTS && replace_redraw(l)) {
		manage_go(m, l->proofs.run);
		return;
	}
	if (e == 0)
		replace_done(l);
	else if (e == ERR_TOOBIG && m->reason[0] == '\0')
		e = manage_refuse(m, e, NULL,
				  "the list and what it replaces are too long to be written at "
				  "once; do it in several steps");
	manage_end(m, e);
}

static void replace_clean(struct manage *m)
{
	struct replace *l = (struct replace *)m;

	replace_forget(l);
	for (size_t i = 0; l->entries != NULL && i < l->opt.n; i++)
		tunnel_edit_release(&l->entries[i].edit);
	tunnel_proofs_clean(&l->proofs);
	there_free(&l->there);
	free(l->entries);
	free(l->to);
	free(l->r);
	free(l->host_room);
	free(l->ports);
	m->core->n_lists--;
}

/* ---- its beginning ---- */

static void replace_set_entry(struct replace *l, size_t i, const struct manage_tunnel_entry *from)
{
	struct entry *en = &l->entries[i];
	struct tunnel_edit *x = &en->edit;
	struct str own = str_of(l->m.who.account);

	CHECK(from->to->n_alt_names <= RECORD_ALT_NAMES_MAX);
	l->to[i] = *from->to;
	x->m = &l->m;
	x->mode = l->opt.keep_rest ? MANAGE_ENSURE : MANAGE_PUT;
	x->set = from->set;
	x->to = &l->to[i];
	x->r = &l->r[i];
	x->old = &l->old;
	x->expected = STORE_ANY;
	x->leaves = replace_leaves;
	x->arg = l;
	if (str_copy(x->account, sizeof x->account,
		     l->opt.all && from->account.len > 0 ? from->account : own) != 0)
		str_printf(x->account, sizeof x->account, "?"); /* what is no id is nobody's */
	en->nameless = from->name.len == 0;
	if (!en->nameless)
		tunnel_edit_name(x, from->name);
}

/* Returns 0 or ERR_NOMEM. */
static int replace_set(struct replace *l, const struct manage_tunnel_list *from)
{
	size_t n = from->n + 1; /* an empty list has something to point to */

	l->entries = calloc(n, sizeof l->entries[0]);
	l->to = calloc(n, sizeof l->to[0]);
	l->r = calloc(n, sizeof l->r[0]);
	l->ports = calloc(UINT16_MAX + 1, sizeof l->ports[0]);
	if (l->entries == NULL || l->to == NULL || l->r == NULL || l->ports == NULL ||
	    there_init(&l->there, l->m.core) != 0)
		return ERR_NOMEM;
	for (size_t i = 0; i < from->n; i++)
		replace_set_entry(l, i, &from->entries[i]);
	return 0;
}

static int replace_too_many(struct txn *t, void *arg)
{
	struct replace *l = arg;
	int e = replace_may(l, t);

	return e != 0 ? e
		      : manage_refuse(&l->m, ERR_TOOBIG, NULL,
				      "a list has at most %d tunnels; do it in several steps",
				      MANAGE_LIST_MAX);
}

struct manage *manage_tunnel_replace(struct core *c, const struct manage_asker *by,
				     const struct manage_tunnel_list *list)
{
	bool too_many = list->n > MANAGE_LIST_MAX;
	struct replace *l;

	if (c->n_lists == MANAGE_LISTS_MAX || (l = manage_new(c, by, sizeof *l)) == NULL)
		return NULL;
	c->n_lists++;
	l->m.next = replace_next;
	l->m.clean = replace_clean;
	l->m.to_the_end = true; /* what was taken for it must become its own */
	l->m.large = true;
	l->opt = *list;
	l->opt.entries = NULL;
	l->opt.n = too_many ? 0 : list->n;
	l->proofs.m = &l->m;
	l->proofs.run = replace_run;
	map_init(&l->wanted, (const uint8_t *)c->loop_key);
	map_init(&l->hosts, (const uint8_t *)c->loop_key);
	if (!too_many && replace_set(l, list) != 0) {
		replace_clean(&l->m);
		free(l);
		return NULL;
	}
	return manage_begin(&l->m, too_many ? replace_too_many : replace_run);
}
