/* Reading, listing and dropping tunnels. */
#include "core/manage.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/manage_internal.h"
#include "core/tunnel_txn.h"

/* Tunnels that one transaction of a list reads; it may read TXN_READS_MAX records. */
#define LIST_STEP 50

/* Transactions of one list: an account may have many that its credential must not see. */
#define LIST_STEPS_MAX 16

/* ---- the tunnel that a call is about ---- */

static int manage_tunnel_none(struct manage *m)
{
	return manage_refuse(m, ERR_NOTFOUND, NULL, "there is no such tunnel");
}

int manage_tunnel(struct manage *m, struct txn *t, const struct manage_tunnel_ask *ask,
		  struct record_tunnel *out, const struct store_record **rec)
{
	struct access_ask may = {.act = ACCESS_ACCOUNT};
	char name[HOSTNAME_MAX + 1];
	int e = manage_access(m, &may); /* whoever may nothing learns nothing */

	if (e != 0)
		return e;
	if (hostname_tunnel(ask->name, name) != 0)
		return manage_tunnel_none(m);
	if ((e = tunnel_txn_get(t, str_of(name), out, rec)) != 0)
		return e == ERR_NOTFOUND ? manage_tunnel_none(m) : e;
	may = (struct access_ask){.act = ask->act,
				  .account = out->account,
				  .tunnel = str_of(name),
				  .kind = out->kind,
				  .port = out->port};
	e = manage_access(m, &may);
	if (e == ERR_NOTFOUND || (e != 0 && strcmp(out->account, m->who.account) != 0))
		return manage_tunnel_none(m);
	return e;
}

/* ---- one ---- */

struct manage_one {
	struct manage m; /* first */
	char name[HOSTNAME_MAX + 1];
	uint64_t expected;
	struct record_tunnel r;
};

static struct manage_one *manage_one_new(struct core *c, const struct manage_asker *by,
					 struct str name)
{
	struct manage_one *o = manage_new(c, by, sizeof *o);

	if (o != NULL && str_copy(o->name, sizeof o->name, name) != 0)
		o->name[0] = '\0'; /* no tunnel has such a name */
	return o;
}

static int manage_get_run(struct txn *t, void *arg)
{
	struct manage_one *o = arg;
	const struct store_record *rec;
	int e;

	o->m.reason[0] = '\0';
	e = manage_tunnel(&o->m, t, &(struct manage_tunnel_ask){ACCESS_READ, str_of(o->name)},
			  &o->r, &rec);
	if (e != 0)
		return e;
	o->m.answer.version = rec->version;
	o->m.answer.tunnels = &o->r;
	o->m.answer.n = 1;
	return 0;
}

struct manage *manage_tunnel_get(struct core *c, const struct manage_asker *by, struct str name)
{
	return manage_begin((struct manage *)manage_one_new(c, by, name), manage_get_run);
}

static int manage_drop_run(struct txn *t, void *arg)
{
	struct manage_one *o = arg;
	const struct store_record *rec;
	int e;

	o->m.reason[0] = '\0';
	e = manage_tunnel(&o->m, t, &(struct manage_tunnel_ask){ACCESS_CHANGE, str_of(o->name)},
			  &o->r, &rec);
	if (e == 0)
		e = manage_expect(&o->m, o->expected, rec->version);
	return e != 0 ? e : tunnel_txn_drop(t, &o->r);
}

static void manage_drop_next(struct manage *m, int e)
{
	struct manage_one *o = (struct manage_one *)m;

	if (e == 0)
		log_info(m->core->opt.log, "event=tunnel-deleted tunnel=%s account=%s by=%s",
			 o->r.name, o->r.account, m->who.account);
	manage_end(m, e);
}

struct manage *manage_tunnel_drop(struct core *c, const struct manage_asker *by, struct str name,
				  uint64_t expected)
{
	struct manage_one *o = manage_one_new(c, by, name);

	if (o != NULL) {
		o->expected = expected;
		o->m.next = manage_drop_next;
	}
	return manage_begin((struct manage *)o, manage_drop_run);
}

/* ---- many ---- */

/* A record as it was read: taken apart only when all are there, since that takes much more room. */
struct manage_raw {
	char *name, *value; /* owned */
	size_t value_len;
};

struct manage_list {
	struct manage m; /* first */
	bool all, more;
	size_t limit, n, steps;
	char after[HOSTNAME_MAX + 1]; /* the last name that was looked at */
	struct manage_raw raw[MANAGE_PAGE_MAX];
	struct record_tunnel *tunnels; /* owned */
};

static void manage_list_clean(struct manage *m)
{
	struct manage_list *l = (struct manage_list *)m;

	for (size_t i = 0; i < l->n; i++) {
		free(l->raw[i].name);
		free(l->raw[i].value);
	}
	free(l->tunnels);
}

static int manage_list_keep(struct manage_list *l, const struct store_record *rec)
{
	struct manage_raw raw = {.name = str_dup(rec->key), .value = str_dup(rec->value)};

	if (raw.name == NULL || raw.value == NULL) {
		free(raw.name);
		free(raw.value);
		return ERR_NOMEM;
	}
	raw.value_len = rec->value.len;
	l->raw[l->n++] = raw;
	return 0;
}

/* All records of the answer are here. Damaged ones are left out: their own call says ERR_IO. */
static void manage_list_end(struct manage_list *l)
{
	size_t n = 0;

	if (l->n > 0 && (l->tunnels = calloc(l->n, sizeof *l->tunnels)) == NULL) {
		manage_end(&l->m, ERR_NOMEM);
		return;
	}
	for (size_t i = 0; i < l->n; i++) {
		const struct manage_raw *raw = &l->raw[i];

		if (record_read_tunnel(str_of(raw->name), (struct str){raw->value, raw->value_len},
				       &l->tunnels[n]) == 0)
			n++;
	}
	l->m.answer.tunnels = l->tunnels;
	l->m.answer.n = n;
	l->m.answer.more = l->more;
	l->m.answer.after = l->after;
	manage_end(&l->m, 0);
}

static int manage_list_all_run(struct txn *t, void *arg)
{
	struct manage_list *l = arg;
	struct store_page page = {RECORD_TUNNEL, str_of(l->after), l->limit};
	struct txn_page found;
	int e;

	l->m.reason[0] = '\0';
	if ((e = manage_access(&l->m, &(struct access_ask){.act = ACCESS_ADMIN})) != 0 ||
	    (e = txn_list(t, &page, &found)) != 0)
		return e;
	for (size_t i = 0; i < found.n; i++) {
		if ((e = manage_list_keep(l, &found.recs[i])) != 0 ||
		    (e = str_copy(l->after, sizeof l->after, found.recs[i].key)) != 0)
			return e;
	}
	l->more = found.more;
	return 0;
}

/* May the asker see it? One that cannot be read is not shown. */
static bool manage_list_may(struct manage_list *l, const struct store_record *rec)
{
	struct record_tunnel r;
	struct access_ask ask = {.act = ACCESS_READ, .account = r.account, .tunnel = rec->key};
	bool may;

	if (record_read_tunnel(rec->key, rec->value, &r) != 0)
		return false;
	ask.kind = r.kind;
	ask.port = r.port;
	may = manage_access(&l->m, &ask) == 0;
	l->m.reason[0] = '\0';
	return may;
}

/* The names in one page of what the account owns, after l->after. */
struct manage_names {
	struct str names[LIST_STEP];
	size_t n;
	bool more;
};

static int manage_list_names(struct manage_list *l, struct txn *t, struct manage_names *out)
{
	struct manage_key prefix_key, after_key;
	struct str prefix = manage_owned_key(&prefix_key, l->m.who.account, RECORD_TUNNEL, STR(""));
	struct store_page page = {RECORD_OWNED,
				  manage_owned_key(&after_key, l->m.who.account, RECORD_TUNNEL,
						   str_of(l->after)),
				  LIST_STEP + 1}; /* one more tells whether more follow */
	struct txn_page found;
	int e = txn_list(t, &page, &found);

	if (e != 0)
		return e;
	out->n = 0;
	for (size_t i = 0; i < found.n; i++) {
		struct str key = found.recs[i].key;

		out->more = str_starts(key, prefix);
		if (!out->more || out->n == LIST_STEP)
			return 0;
		out->names[out->n++] = (struct str){key.p + prefix.len, key.len - prefix.len};
	}
	out->more = found.more;
	return 0;
}

static int manage_list_own_run(struct txn *t, void *arg)
{
	const struct store_record *recs[LIST_STEP];
	struct manage_list *l = arg;
	struct manage_names page;
	size_t i;
	int e;

	l->m.reason[0] = '\0';
	if ((e = manage_access(&l->m, &(struct access_ask){.act = ACCESS_ACCOUNT})) != 0 ||
	    (e = manage_list_names(l, t, &page)) != 0)
		return e;
	for (i = 0; i < page.n; i++) {
		e = txn_get(t, RECORD_TUNNEL, page.names[i], &recs[i]);
		if (e == ERR_NOTFOUND)
			recs[i] = NULL; /* it went while we listed */
		else if (e != 0)
			return e;
	}
	for (i = 0; i < page.n && l->n < l->limit; i++) { /* from here on nothing is run again */
		if (recs[i] != NULL && manage_list_may(l, recs[i]) &&
		    (e = manage_list_keep(l, recs[i])) != 0)
			return e;
		if ((e = str_copy(l->after, sizeof l->after, page.names[i])) != 0)
			return ERR_IO;
	}
	l->more = i < page.n || page.more;
	return 0;
}

static void manage_list_next(struct manage *m, int e)
{
	struct manage_list *l = (struct manage_list *)m;

	if (e != 0)
		manage_end(m, e);
	else if (!l->all && l->more && l->n < l->limit && ++l->steps < LIST_STEPS_MAX)
		manage_go(m, manage_list_own_run);
	else
		manage_list_end(l);
}

static int manage_list_refused(struct txn *t, void *arg)
{
	return manage_refuse(arg, ERR_INVAL, "cursor", "this is no cursor of a list of tunnels");
}

struct manage *manage_tunnel_list(struct core *c, const struct manage_asker *by, bool all,
				  const struct manage_page *page)
{
	struct manage_list *l = manage_new(c, by, sizeof *l);

	if (l == NULL)
		return NULL;
	l->m.clean = manage_list_clean;
	l->all = all;
	l->limit = MAX(1, MIN(page->limit, (size_t)MANAGE_PAGE_MAX));
	if ((page->after.len > 0 && hostname_tunnel(page->after, l->after) != 0) ||
	    !str_eq(page->after, str_of(l->after)))
		return manage_begin(&l->m, manage_list_refused);
	l->m.next = manage_list_next;
	return manage_begin(&l->m, all ? manage_list_all_run : manage_list_own_run);
}
