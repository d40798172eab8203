/*
 * Tunnels that were made on the way, by whoever asked for visitors without a name: their records go
 * when nobody serves them any more.
 *
 * Whoever attaches to such a record writes it, so a drop that was decided on what is no longer true
 * meets another version and lets it be. What cannot be dropped, or was not because the process
 * ended, goes at the next start: nobody serves anything then.
 *
 * Where there are other nodes, all of that waits: an agent that has gone here may have come there,
 * and it takes a moment until that is known. What a node leaves behind that dies is looked for by
 * those who miss it. Without a word between them several karezd on one store take each other's
 * temporary tunnels away; their agents are told, and make new ones.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/peer_internal.h"
#include "core/tunnel_txn.h"

/* Tunnels that wait to be dropped; more are left to the next start. */
#define TEMPORARY_WAITING_MAX 16384

/* Where there are other nodes: how long after its last session one is dropped, and how long after a
 * start, or a node's end, the rest is looked for. What was changed within that time stays. */
#define TEMPORARY_WAIT_MS 10000
#define TEMPORARY_LOOK_MS 30000

struct temporaries {
	struct core *core;
	struct list waiting, running; /* of temporary_drop.link, owned */
	size_t n_waiting, n_running;
	struct ev_timer timer; /* the first that waits may go */
	struct ev_timer look;  /* see temporary_look() */
	bool looking;
};

/* One that nobody serves any more. */
struct temporary_drop {
	struct list link;
	struct temporaries *of;
	struct txn *txn; /* owned */
	uint64_t version, due_ms;
	bool dropped; /* by this run */
	char account[CORE_ID_TEXT];
	char name[];
};

static bool temporary_is_served(struct core *c, const char *name)
{
	const struct tunnel *t = tunnel_find(c, str_of(name));

	return (t != NULL && t->n_serving > 0) || peer_find(c, str_of(name)) != NULL;
}

bool temporary_is_idle(struct core *c, const struct record_tunnel *r)
{
	return r->temporary && !temporary_is_served(c, r->name);
}

/* Are there other nodes, as far as we know? */
static bool temporary_has_others(const struct core *c)
{
	return c->opt.cluster.serves != NULL;
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
	if (temporary_is_served(d->of->core, d->name))
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
	uint64_t now = ev_now_ms(l->core->ev);
	struct temporary_drop *d;
	int e;

	while (!list_empty(&l->waiting) && l->n_running < CORE_DROPS_MAX) {
		d = CONTAINER_OF(l->waiting.next, struct temporary_drop, link);
		if (d->due_ms > now) { /* as are all behind it */
			ev_timer_set(l->core->ev, &l->timer, d->due_ms - now);
			return;
		}
		list_del(&d->link);
		l->n_waiting--;
		l->n_running++;
		list_push(&l->running, &d->link);
		opt.arg = d;
		if ((e = txn_start(&opt, &d->txn)) != 0)
			temporary_end(d, e);
	}
}

static void temporary_on_timer(void *arg)
{
	temporary_next(arg);
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
		temporary_look(c);
		return;
	}
	d->of = l;
	d->version = version;
	d->due_ms = ev_now_ms(c->ev) + (temporary_has_others(c) ? TEMPORARY_WAIT_MS : 0);
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
	int64_t now_ms;	     /* wall clock: when it began */
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
	if (temporary_has_others(w->core) && r.updated_ms > w->now_ms - TEMPORARY_LOOK_MS)
		return 0; /* or is about to be */
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
	w->now_ms = ev_wall_ms(c->ev);
	if (temporary_walk_go(w) == 0)
		return 0;
	free(w);
	return ERR_NOMEM;
}

static void temporary_on_looked(void *arg, int e)
{
	struct core *c = arg;

	if (c->temporaries != NULL)
		c->temporaries->looking = false;
}

static void temporary_on_look(void *arg)
{
	struct temporaries *l = arg;

	/* when it cannot be begun, the next node that goes, or the next start, comes to it */
	l->looking = temporary_start(l->core, temporary_on_looked, l->core) == 0;
}

void temporary_look(struct core *c)
{
	struct temporaries *l = c->temporaries;

	if (l != NULL && temporary_has_others(c) && !l->looking && !ev_timer_is_set(&l->look))
		ev_timer_set(c->ev, &l->look, TEMPORARY_LOOK_MS);
}

/* ---- life ---- */

int temporary_new(struct core *c, struct temporaries **out)
{
	struct temporaries *l = calloc(1, sizeof *l);

	if (l == NULL)
		return ERR_NOMEM;
	l->core = c;
	l->timer = (struct ev_timer){.fn = temporary_on_timer, .arg = l};
	l->look = (struct ev_timer){.fn = temporary_on_look, .arg = l};
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
	ev_timer_stop(l->core->ev, &l->timer);
	ev_timer_stop(l->core->ev, &l->look);
	while ((link = list_pop(&l->running)) != NULL) {
		struct temporary_drop *d = CONTAINER_OF(link, struct temporary_drop, link);

		txn_cancel(d->txn);
		free(d);
	}
	while ((link = list_pop(&l->waiting)) != NULL)
		free(CONTAINER_OF(link, struct temporary_drop, link));
	free(l);
}
