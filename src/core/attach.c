/*
 * A session asks for a tunnel: find its record, or make it, then serve it.
 *
 * All that is read and written is one transaction; who serves what changes only when it is over. A
 * random name that turns out to be taken is another name and another transaction.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/core_internal.h"
#include "core/names.h"
#include "core/tunnel_txn.h"

struct attach {
	struct txn *txn;       /* owned */
	struct member *member; /* borrowed: its leaving cancels us */
	struct list link;      /* in member->attaches */
	void (*done)(void *arg, const struct core_attached *result);
	void *arg;
	bool random;
	unsigned tries; /* of random names */
	int refused;	/* why it cannot be, found before it began */
	bool made;	/* the record is new */
	bool hint_only; /* what is written is only a hint: it may fail */
	int64_t now_ms; /* wall clock */
	uint64_t version;
	struct record_tunnel r; /* as it was read, or made */
	char name[HOSTNAME_MAX + 1];
	char target[RECORD_TARGET_MAX + 1];
	char reason[CORE_REASON_TEXT];
};

static void attach_free(struct attach *a)
{
	txn_cancel(a->txn);
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
	const struct core_opt *opt = &a->member->core->opt;
	struct core_attached result = {.e = e};
	char words[CORE_REASON_TEXT] = "";
	void *arg = a->arg;

	if (e != 0 && a->reason[0] == '\0')
		core_store_reason(e, a->reason);
	if (e != 0)
		memcpy(words, a->reason, sizeof words);
	result.reason = words;
	memcpy(result.name, a->name, sizeof result.name);
	if (e == 0 && opt->url_port != 0)
		str_printf(result.url, sizeof result.url, "%s://%s.%s:%u", opt->url_scheme, a->name,
			   opt->domain, opt->url_port);
	else if (e == 0)
		str_printf(result.url, sizeof result.url, "%s://%s.%s", opt->url_scheme, a->name,
			   opt->domain);
	attach_free(a);
	done(arg, &result);
}

/* ---- may it be? ---- */

/* Asked before the records are looked at, and again when they have been written. */
static int attach_may(struct attach *a)
{
	struct member *m = a->member;
	struct access_ask ask = {.act = ACCESS_SERVE,
				 .tunnel = a->random ? STR("") : str_of(a->name),
				 .kind = TUNNEL_HTTP,
				 .now_ms = ev_wall_ms(m->core->ev)};

	a->reason[0] = '\0';
	if (m->expelled) {
		memcpy(a->reason, m->reason, sizeof a->reason);
		return m->why;
	}
	return access_decide(&m->grant->who, &ask, a->reason);
}

/* The record is there and ours. */
static int attach_serve(struct attach *a)
{
	struct member *m = a->member;
	int e = attach_may(a);

	if (e != 0)
		return e;
	if (m->n_serving >= CORE_TUNNELS_PER_SESSION &&
	    tunnel_find_serving(m, str_of(a->name)) == NULL) {
		str_printf(a->reason, sizeof a->reason,
			   "one session serves %d tunnels at most; run another karez for the rest",
			   CORE_TUNNELS_PER_SESSION);
		return ERR_LIMIT;
	}
	return tunnel_serve(m, &a->r, a->version, a->reason);
}

/* ---- records ---- */

static int attach_refuse(struct attach *a, int e, const char *reason)
{
	str_printf(a->reason, sizeof a->reason, "%s", reason);
	return e;
}

static int attach_to_existing(struct attach *a, struct txn *t, const struct store_record *rec)
{
	a->version = rec->version;
	if (strcmp(a->r.account, a->member->grant->who.account) != 0)
		return tunnel_txn_taken(str_of(a->name), a->reason);
	if (!a->r.enabled)
		return attach_refuse(
			a, ERR_DISABLED,
			"this tunnel is switched off; switch it on before it is served");
	if (a->r.kind != TUNNEL_HTTP)
		return attach_refuse(
			a, ERR_INVAL,
			"this name belongs to a tunnel of another kind; choose another with "
			"--name");
	if (strcmp(a->r.target, a->target) != 0) {
		memcpy(a->r.target, a->target, sizeof a->r.target);
		a->hint_only = tunnel_txn_put(t, rec, &a->r) == 0;
	}
	return 0;
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
	if ((e = attach_may(a)) != 0)
		return e;
	e = tunnel_txn_get(t, str_of(a->name), &a->r, &rec);
	if (e == ERR_NOTFOUND)
		return attach_to_new(a, t);
	if (e == 0 && a->random)
		return tunnel_txn_taken(str_of(a->name), a->reason);
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

/* ---- the beginning ---- */

int attach_begin(struct member *m, struct str name, struct str target,
		 void (*done)(void *arg, const struct core_attached *result), void *arg)
{
	struct attach *a = calloc(1, sizeof *a);
	int e;

	if (a == NULL)
		return ERR_NOMEM;
	a->member = m;
	a->done = done;
	a->arg = arg;
	a->random = name.len == 0;
	a->now_ms = ev_wall_ms(m->core->ev);
	a->refused = tunnel_txn_check_target(target, a->target, a->reason);
	if (a->refused == 0 && !a->random)
		a->refused = names_check(name, m->core->opt.domain, a->name, a->reason);
	if ((e = attach_start(a)) != 0) {
		free(a);
		return e;
	}
	list_push(&m->attaches, &a->link);
	return 0;
}
