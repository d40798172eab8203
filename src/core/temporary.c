/*
 * Tunnels that were made on the way, by whoever asked for visitors without a name: their records go
 * when nobody serves them any more.
 *
 * Whoever attaches to such a record writes it, so a drop that was decided on what is no longer true
 * meets another version and lets it be. What cannot be dropped, or was not because the process
 * ended, goes at the next start: nobody serves anything then. Several karezd may share one store,
 * and one that starts takes the temporary tunnels of the others with it: who serves a record is
 * known nowhere but in the process that does. Their agents are told, and make new ones.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/tunnel_txn.h"

/* Tunnels that wait to be dropped; more are left to the next start. */
#define TEMPORARY_WAITING_MAX 16384

struct temporaries {
	struct core *core;
	struct list waiting, running; /* of temporary_drop.link, owned */
	size_t n_waiting, n_running;
};

/* One that nobody serves any more. */
struct temporary_drop {
	struct list link;
	struct temporaries *of;
	struct txn *txn; /* owned */
	uint64_t version;
	bool dropped; /* by this run */
	char account[CORE_ID_TEXT];
	char name[];
};

bool temporary_is_idle(struct core *c, const struct record_tunnel *r)
{
	return r->temporary && core_tunnel(c, str_of(r->name)) == NULL;
}

static void temporary_say(struct core *c, const char *name, const char *account)
{
	log_info(c->opt.log, "event=tunnel-deleted tunnel=%s account=%s temporary=yes", name,
		 account);
}

/* ---- when the last session has gone ---- */

static int temporary_run(struct txn *t, void *arg)
{
	struct temporary_drop *d = arg;
	const struct store_record *rec;
	struct record_tunnel r;
	int e;

	d->dropped = false;
	if (core_tunnel(d->of->core, str_of(d->name)) != NULL)
		return 0;
	if ((e = tunnel_txn_get(t, str_of(d->name), &r, &rec)) != 0)
		return e == ERR_NOTFOUND ? 0 : e;
	/* somebody else's word counts; what is older than we know was not read from the store, so
	 * the drop of it fails, and it is read anew */
	if (rec->version > d->version || (rec->version == d->version && !r.temporary))
		return 0;
	d->dropped = true;
	memcpy(d->account, r.account, sizeof d->account);
	return tunnel_txn_drop(t, &r);
}

static void temporary_next(struct temporaries *l);

static void temporary_end(struct temporary_drop *d, int e)
{
	struct temporaries *l = d->of;
	struct core *c = l->core;

	if (e != 0)
		log_warn(c->opt.log, "event=tunnel-kept tunnel=%s temporary=yes code=%s", d->name,
			 err_name(e));
	else if (d->dropped)
		temporary_say(c, d->name, d->account);
	list_del(&d->link);
	l->n_running--;
	free(d);
}

static void temporary_on_done(void *arg, int e)
{
	struct temporary_drop *d = arg;
	struct temporaries *l = d->of;

	temporary_end(d, e);
	temporary_next(l);
}

static void temporary_next(struct temporaries *l)
{
	struct txn_opt opt = {.core = l->core,
			      .kind = CORE_DROP,
			      .run = temporary_run,
			      .done = temporary_on_done};
	struct temporary_drop *d;
	int e;

	while (!list_empty(&l->waiting) && l->n_running < CORE_DROPS_MAX) {
		d = CONTAINER_OF(list_pop(&l->waiting), struct temporary_drop, link);
		l->n_waiting--;
		l->n_running++;
		list_push(&l->running, &d->link);
		opt.arg = d;
		if ((e = txn_start(&opt, &d->txn)) != 0)
			temporary_end(d, e);
	}
}

void temporary_left(struct core *c, const char *name, uint64_t version)
{
	struct temporaries *l = c->temporaries;
	size_t size = strlen(name) + 1;
	struct temporary_drop *d;

	if (l == NULL)
		return;
	d = l->n_waiting < TEMPORARY_WAITING_MAX ? calloc(1, sizeof *d + size) : NULL;
	if (d == NULL) {
		log_warn(c->opt.log, "event=tunnel-kept tunnel=%s temporary=yes code=%s", name,
			 err_name(ERR_LIMIT));
		return;
	}
	d->of = l;
	d->version = version;
	memcpy(d->name, name, size);
	list_push(&l->waiting, &d->link);
	l->n_waiting++;
	temporary_next(l);
}

/* ---- what an earlier process has left ---- */

struct temporary_walk {
	struct core *core;
	void (*done)(void *arg, int e);
	void *arg;
	bool found, dropped; /* by this run: a note; its tunnel */
	char account[CORE_ID_TEXT];
	size_t after_len, last_len;
	char after[STORE_KEY_MAX];    /* the note before */
	char last[STORE_KEY_MAX + 1]; /* this one */
};

/* The tunnel of one note. A damaged record stays: whoever owns it sees it, and may delete it. */
static int temporary_walk_one(struct temporary_walk *w, struct txn *t, struct str name)
{
	const struct store_record *rec;
	struct record_tunnel r;
	int e = tunnel_txn_get(t, name, &r, &rec);

	if (e == ERR_NOTFOUND || (e == 0 && !r.temporary))
		return txn_drop(t, RECORD_TEMPORARY, name);
	if (e != 0)
		return e == ERR_IO ? 0 : e;
	if (!temporary_is_idle(w->core, &r))
		return 0; /* somebody was quicker than we */
	w->dropped = true;
	memcpy(w->account, r.account, sizeof w->account);
	return tunnel_txn_drop(t, &r);
}

static int temporary_walk_run(struct txn *t, void *arg)
{
	struct temporary_walk *w = arg;
	struct store_page page = {.kind = RECORD_TEMPORARY,
				  .after = {w->after, w->after_len},
				  .limit = 1};
	struct txn_page found;
	int e;

	w->found = w->dropped = false;
	if ((e = txn_list(t, &page, &found)) != 0)
		return e;
	if (found.n == 0)
		return 0;
	w->found = true;
	w->last_len = found.recs[0].key.len;
	memcpy(w->last, found.recs[0].key.p, w->last_len);
	w->last[w->last_len] = '\0';
	return temporary_walk_one(w, t, found.recs[0].key);
}

static void temporary_walk_end(struct temporary_walk *w, int e)
{
	void (*done)(void *, int) = w->done;
	void *arg = w->arg;

	if (e != 0 && e != ERR_CLOSED) {
		log_warn(w->core->opt.log, "event=tunnels-kept temporary=yes code=%s", err_name(e));
		e = 0; /* they take room, and that is all */
	}
	free(w);
	done(arg, e);
}

static int temporary_walk_go(struct temporary_walk *w);

static void temporary_walk_on_done(void *arg, int e)
{
	struct temporary_walk *w = arg;

	if (e == 0 && w->dropped)
		temporary_say(w->core, w->last, w->account);
	if (e == 0 && w->found) {
		memcpy(w->after, w->last, w->last_len);
		w->after_len = w->last_len;
		if ((e = temporary_walk_go(w)) == 0)
			return;
	}
	temporary_walk_end(w, e);
}

/* A large one: an account may have many pages of tunnels. */
static int temporary_walk_go(struct temporary_walk *w)
{
	struct txn_opt opt = {.core = w->core,
			      .kind = CORE_MANAGE,
			      .large = true,
			      .run = temporary_walk_run,
			      .done = temporary_walk_on_done,
			      .arg = w};
	struct txn *t;

	return txn_start(&opt, &t);
}

int temporary_start(struct core *c, void (*done)(void *arg, int e), void *arg)
{
	struct temporary_walk *w = calloc(1, sizeof *w);

	if (w == NULL)
		return ERR_NOMEM;
	w->core = c;
	w->done = done;
	w->arg = arg;
	if (temporary_walk_go(w) == 0)
		return 0;
	free(w);
	return ERR_NOMEM;
}

/* ---- life ---- */

int temporary_new(struct core *c, struct temporaries **out)
{
	struct temporaries *l = calloc(1, sizeof *l);

	if (l == NULL)
		return ERR_NOMEM;
	l->core = c;
	list_init(&l->waiting);
	list_init(&l->running);
	*out = l;
	return 0;
}

void temporary_free(struct temporaries *l)
{
	struct list *link;

	if (l == NULL)
		return;
	while ((link = list_pop(&l->running)) != NULL) {
		struct temporary_drop *d = CONTAINER_OF(link, struct temporary_drop, link);

		txn_cancel(d->txn);
		free(d);
	}
	while ((link = list_pop(&l->waiting)) != NULL)
		free(CONTAINER_OF(link, struct temporary_drop, link));
	free(l);
}
