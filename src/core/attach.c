/*
 * A session asks for a tunnel: find its record, or make it, then serve it.
 *
 * All that is read and written is one transaction; who serves what changes only when it is over. A
 * random name that turns out to be taken is another name and another transaction. What an agent
 * wants to stand in the record besides its target is a change like any other, made in its account's
 * name, after which the tunnel is served.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/manage.h"
#include "core/names.h"
#include "core/tunnel_txn.h"

/* A change that is refused may name several hosts. */
#define ATTACH_REASON_TEXT (CORE_REASON_TEXT * 5)

struct attach {
	struct txn *txn;       /* owned */
	struct manage *change; /* owned: instead of a transaction of our own */
	struct member *member; /* borrowed: its leaving cancels us */
	struct list link;      /* in member->attaches */
	void (*done)(void *arg, const struct core_attached *result);
	void *arg;
	bool random;
	bool again; /* a record that is there stays as it is */
	bool by_route, temporary;
	enum tunnel_kind kind; /* as asked for */
	unsigned priority;
	unsigned tries; /* of random names */
	int refused;	/* why it cannot be, found before it began */
	bool made;	/* the record is new */
	bool hint_only; /* what is written is only a hint: it may fail */
	int64_t now_ms; /* wall clock */
	uint64_t version;
	struct record_tunnel r; /* as it was read, or made */
	char name[HOSTNAME_MAX + 1];
	char target[RECORD_TARGET_MAX + 1];
	char reason[ATTACH_REASON_TEXT];
};

static void attach_free(struct attach *a)
{
	txn_cancel(a->txn);
	manage_cancel(a->change);
	list_del(&a->link);
	free(a);
}

void attach_cancel_all(struct member *m)
{
	if (m->core->rechecked == m)
		m->core->rechecked = NULL;
	while (!list_empty(&m->attaches))
		attach_free(CONTAINER_OF(m->attaches.next, struct attach, link));
}

/* ---- answers ---- */

static void attach_answer(struct attach *a, int e)
{
	void (*done)(void *, const struct core_attached *) = a->done;
	const struct core *c = a->member->core;
	struct core_attached result = {.e = e};
	char words[ATTACH_REASON_TEXT] = "";
	void *arg = a->arg;

	if (e != 0 && a->reason[0] == '\0')
		core_store_reason(e, a->reason);
	if (e != 0)
		memcpy(words, a->reason, sizeof words);
	if (a->member->opt.kind == CORE_SESSION_SSH)
		names_cut_option(words);
	result.reason = words;
	memcpy(result.name, a->name, sizeof result.name);
	result.port = e == 0 ? a->r.port : 0;
	while (e == 0 && result.n_urls < CORE_URLS_MAX &&
	       core_url(c, &a->r, result.n_urls, result.urls[result.n_urls]) == 0)
		result.n_urls++;
	attach_free(a);
	done(arg, &result);
}

/* ---- may it be? ---- */

/*
 * Asked before the records are looked at, and again when they have been written.
 *   port  of a tcp tunnel, once it is known.
 */
static int attach_may(struct attach *a, uint16_t port)
{
	struct member *m = a->member;
	struct access_ask ask = {.act = ACCESS_SERVE,
				 .tunnel = a->random ? STR("") : str_of(a->name),
				 .kind = a->kind,
				 .port = port,
				 .now_ms = ev_wall_ms(m->core->ev)};

	a->reason[0] = '\0';
	if (m->expelled) {
		str_printf(a->reason, sizeof a->reason, "%s", m->reason);
		return m->why;
	}
	return access_decide(&m->grant->who, &ask, a->reason);
}

/* The record is there and ours. */
static int attach_serve(struct attach *a)
{
	struct tunnel_serve_opt opt = {.priority = a->priority};
	struct member *m = a->member;
	int e = attach_may(a, a->r.port);

	if (e != 0)
		return e;
	if (m->n_serving >= CORE_TUNNELS_PER_SESSION &&
	    tunnel_find_serving(m, str_of(a->name)) == NULL) {
		str_printf(a->reason, sizeof a->reason,
			   "one session serves %d tunnels at most; run another karez for the rest",
			   CORE_TUNNELS_PER_SESSION);
		return ERR_LIMIT;
	}
	return tunnel_serve(m, &a->r, a->version, &opt, a->reason);
}

/* ---- records ---- */

static int attach_refuse(struct attach *a, int e, const char *reason)
{
	str_printf(a->reason, sizeof a->reason, "%s", reason);
	return e;
}

/* May the tunnel that is there be served by whoever asks for it? */
static int attach_judge(struct attach *a)
{
	if (strcmp(a->r.account, a->member->grant->who.account) != 0)
		return tunnel_txn_taken(str_of(a->name), a->reason);
	if (!a->r.enabled)
		return attach_refuse(
			a, ERR_DISABLED,
			"this tunnel is switched off; switch it on before it is served");
	if (a->r.kind != a->kind)
		return attach_refuse(
			a, ERR_INVAL,
			"this name belongs to a tunnel of another kind; choose another with "
			"--name");
	return 0;
}

static int attach_to_existing(struct attach *a, struct txn *t, const struct store_record *rec)
{
	int e = attach_judge(a);
	bool stays = a->r.temporary; /* it is asked for by its name */

	a->version = rec->version;
	if (e != 0)
		return e;
	if (stays || (!a->again && strcmp(a->r.target, a->target) != 0)) {
		if (!a->again)
			memcpy(a->r.target, a->target, sizeof a->r.target);
		a->r.temporary = false;
		e = tunnel_txn_put(t, rec, &a->r);
		a->hint_only = e == 0 && !stays;
		if (e != 0 && e != ERR_AGAIN && !stays)
			txn_discard(t); /* no hint then, and nothing half done */
	}
	return e == ERR_AGAIN || stays ? e : 0;
}

/* A temporary tunnel of another kind that nobody serves makes room. */
static bool attach_is_idle(const struct attach *a)
{
	const struct member *m = a->member;

	return strcmp(a->r.account, m->grant->who.account) == 0 && a->r.kind != a->kind &&
	       temporary_is_idle(m->core, &a->r);
}

static int attach_to_new(struct attach *a, struct txn *t)
{
	tunnel_txn_usual(&a->r, str_of(a->name), a->member->grant->who.account, a->now_ms);
	memcpy(a->r.target, a->target, sizeof a->r.target);
	a->made = true;
	return tunnel_txn_make(t, &a->r, a->reason);
}

static int attach_run(struct txn *t, void *arg)
{
	const struct store_record *rec;
	struct attach *a = arg;
	int e;

	a->made = a->hint_only = false;
	if (a->refused != 0)
		return a->refused;
	if ((e = attach_may(a, 0)) != 0)
		return e;
	e = tunnel_txn_get(t, str_of(a->name), &a->r, &rec);
	if (e == ERR_NOTFOUND)
		return attach_to_new(a, t);
	if (e == 0 && a->random)
		return tunnel_txn_taken(str_of(a->name), a->reason);
	if (e == 0 && attach_is_idle(a))
		return (e = tunnel_txn_drop(t, &a->r)) != 0 ? e : attach_to_new(a, t);
	return e != 0 ? e : attach_to_existing(a, t, rec);
}

static void attach_on_done(void *arg, int e);

static int attach_start(struct attach *a)
{
	struct txn_opt opt = {.core = a->member->core,
			      .kind = CORE_ATTACH,
			      .run = attach_run,
			      .done = attach_on_done,
			      .arg = a};

	if (a->random)
		tunnel_txn_random(opt.core->ev, a->tries, a->name);
	return txn_start(&opt, &a->txn);
}

static void attach_on_written(struct attach *a)
{
	struct member *m = a->member;
	uint64_t version = txn_version(a->txn, RECORD_TUNNEL, str_of(a->name));

	if (version != 0)
		a->version = version;
	if (a->made)
		log_info(m->core->opt.log, "event=tunnel-made tunnel=%s account=%s", a->name,
			 a->r.account);
}

static void attach_on_done(void *arg, int e)
{
	struct attach *a = arg;

	if (e == 0)
		attach_on_written(a);
	a->txn = NULL;
	if (e == ERR_EXISTS && a->random && ++a->tries < CORE_TRIES_MAX) {
		if ((e = attach_start(a)) == 0)
			return;
		a->reason[0] = '\0';
	} else if (e == ERR_EXISTS && a->random) {
		e = attach_refuse(a, ERR_LIMIT,
				  "no free name was found for this tunnel; choose one with --name");
	}
	if (e == 0 || (a->hint_only && e != ERR_CLOSED))
		e = attach_serve(a);
	attach_answer(a, e);
}

/* ---- with a change of the record ---- */

static void attach_on_changed(void *arg, const struct manage_answer *answer)
{
	struct attach *a = arg;
	int e = answer->e;

	a->change = NULL;
	if (e != 0) {
		str_printf(a->reason, sizeof a->reason, "%s", answer->reason);
	} else {
		a->r = answer->tunnels[0];
		a->version = answer->version;
		a->random = false; /* it has a name now, which may be one that was there */
		memcpy(a->name, a->r.name, sizeof a->name);
		e = attach_judge(a);
	}
	if (e == 0)
		e = attach_serve(a);
	attach_answer(a, e);
}

/* Returns 0 or ERR_LIMIT. */
static int attach_start_change(struct attach *a, const struct manage_tunnel_change *wanted)
{
	struct manage_asker by = {&a->member->grant->who, attach_on_changed, a};
	struct manage_tunnel_change ch = {.mode = MANAGE_ENSURE,
					  .keep = a->again,
					  .by_route = a->by_route,
					  .temporary = a->temporary,
					  .expected = STORE_ANY};

	if (wanted != NULL) {
		ch.set = wanted->set;
		ch.to = wanted->to;
	}
	ch.set |= MANAGE_T_KIND | MANAGE_T_TARGET;
	ch.to.kind = a->kind;
	memcpy(ch.to.target, a->target, sizeof ch.to.target);
	a->change = manage_tunnel_change(a->member->core, &by,
					 a->random ? STR("") : str_of(a->name), &ch);
	return a->change == NULL ? ERR_LIMIT : 0;
}

/* ---- the beginning ---- */

int attach_begin(struct member *m, const struct core_wish *wish,
		 void (*done)(void *arg, const struct core_attached *result), void *arg)
{
	struct attach *a = calloc(1, sizeof *a);
	int e;

	if (a == NULL)
		return ERR_NOMEM;
	a->member = m;
	a->done = done;
	a->arg = arg;
	a->random = wish->name.len == 0;
	a->again = wish->again;
	a->by_route = wish->by_route;
	a->temporary = wish->temporary;
	a->kind = wish->kind;
	a->priority = wish->priority;
	a->now_ms = ev_wall_ms(m->core->ev);
	a->refused = tunnel_txn_check_target(wish->target, a->target, a->reason);
	if (a->refused == 0 && !a->random)
		a->refused = names_check(wish->name, m->core->opt.domain, a->name, a->reason);
	if (a->refused == 0 && !m->expelled &&
	    (wish->change != NULL || a->kind != TUNNEL_HTTP || a->temporary))
		e = attach_start_change(a, wish->change);
	else
		e = attach_start(a);
	if (e != 0) {
		free(a);
		return e;
	}
	list_push(&m->attaches, &a->link);
	return 0;
}
