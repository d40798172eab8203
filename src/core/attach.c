/*
 * A session asks for a tunnel: find its record, or make it, then serve it.
 *
 * A name belongs to one account together with all that stands under the same last label: the first
 * tunnel under "tim" claims the label, and the claim, the tunnel and the account's count are
 * written in one batch or not at all. Records are made one after the other on a node, so only other
 * nodes can come between; then we look again.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/core_internal.h"
#include "core/names.h"

/* Random names that are tried before they grow by a character. */
#define TRIES_PER_LENGTH 3

struct attach {
	struct core_call call; /* first: the two are the same pointer */
	struct member *member; /* borrowed: its leaving cancels us */
	struct list link;      /* in member->attaches */
	struct list turn;      /* in core->making */
	void (*done)(void *arg, const struct core_attached *result);
	void *arg;
	bool random;
	unsigned tries;
	uint64_t claim_version;
	struct store_record account_rec; /* its value is in account_value */
	struct buf account_value;	 /* owned: the account with one tunnel more */
	int refused;			 /* why it cannot be, found before it began */
	char name[HOSTNAME_MAX + 1];
	char target[RECORD_TARGET_MAX + 1];
	char reason[CORE_REASON_TEXT];
};

static void attach_on_start(void *arg);
static void attach_on_turn(void *arg);
static void attach_make(struct attach *a);

static struct attach *attach_of(struct core_call *call)
{
	return (struct attach *)call;
}

/* The next one in line may make its record. */
static void attach_leave_line(struct attach *a)
{
	struct core *c = a->call.core;
	bool first = c->making.next == &a->turn;

	if (!list_linked(&a->turn))
		return;
	list_del(&a->turn);
	if (first && !list_empty(&c->making))
		ev_task_run(c->ev, &CONTAINER_OF(c->making.next, struct attach, turn)->call.task);
}

static void attach_free(struct attach *a)
{
	attach_leave_line(a);
	core_call_end(&a->call);
	list_del(&a->link);
	buf_free(&a->account_value);
	free(a);
}

void attach_cancel_all(struct member *m)
{
	while (!list_empty(&m->attaches))
		attach_free(CONTAINER_OF(m->attaches.next, struct attach, link));
}

/* ---- answers ---- */

static void attach_answer(struct attach *a, int e, const char *reason)
{
	void (*done)(void *, const struct core_attached *) = a->done;
	const struct core_opt *opt = &a->call.core->opt;
	struct core_attached result = {.e = e};
	char words[CORE_REASON_TEXT];
	void *arg = a->arg;

	str_printf(words, sizeof words, "%s", e != 0 ? reason : "");
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

static void attach_fail(struct attach *a, int e)
{
	char reason[CORE_REASON_TEXT];

	core_store_reason(e, reason);
	attach_answer(a, e, reason);
}

static void attach_taken(struct attach *a, struct str label)
{
	char reason[CORE_REASON_TEXT];

	str_printf(reason, sizeof reason,
		   "the name \"%.*s\" is taken by somebody else; choose another with --name",
		   (int)MIN(label.len, (size_t)HOSTNAME_LABEL_MAX * 2), label.p);
	attach_answer(a, ERR_EXISTS, reason);
}

static void attach_on_core_gone(struct core_call *call)
{
	attach_fail(attach_of(call), ERR_CLOSED);
}

/* The record is there and ours. */
static void attach_serve(struct attach *a)
{
	struct member *m = a->member;
	char reason[CORE_REASON_TEXT];
	int e;

	attach_leave_line(a);
	if (m->expelled) {
		attach_answer(a, ERR_REPLACED,
			      "this connection was replaced by a newer one of the same agent");
		return;
	}
	if (m->n_serving >= CORE_TUNNELS_PER_SESSION &&
	    tunnel_find_serving(m, str_of(a->name)) == NULL) {
		str_printf(reason, sizeof reason,
			   "one session serves %d tunnels at most; run another karez for the rest",
			   CORE_TUNNELS_PER_SESSION);
		attach_answer(a, ERR_LIMIT, reason);
		return;
	}
	e = tunnel_serve(m, a->name, reason);
	attach_answer(a, e, reason);
}

/* ---- a record that is there ---- */

static void attach_on_target_kept(struct core_call *call, const struct store_answer *answer)
{
	struct attach *a = attach_of(call);

	/* Somebody changed the record: it may be switched off now. Other errors spoil only a hint.
	 */
	if (answer->e == ERR_CONFLICT && ++a->tries < CORE_TRIES_MAX)
		attach_on_start(a);
	else
		attach_serve(a);
}

static void attach_keep_target(struct attach *a, const struct store_record *rec)
{
	struct store_record changed = *rec;
	struct buf value = {0};
	int e = record_change_target(rec->value, a->target, &value);

	if (e == 0) {
		changed.value = buf_str(&value);
		e = core_call_put(&a->call, &changed, rec->version, attach_on_target_kept);
	}
	buf_free(&value);
	if (e != 0)
		attach_serve(a);
}

static void attach_on_record(struct core_call *call, const struct store_answer *answer)
{
	struct attach *a = attach_of(call);
	struct record_tunnel r;
	int e = answer->e;

	if (e == ERR_NOTFOUND) {
		attach_on_turn(a);
		return;
	}
	if (e != 0 || (e = record_read_tunnel(answer->recs[0].value, &r)) != 0)
		attach_fail(a, core_store_err(e));
	else if (strcmp(r.account, a->member->account) != 0)
		attach_taken(a, str_of(a->name));
	else if (!r.enabled)
		attach_answer(a, ERR_DISABLED,
			      "this tunnel is switched off; switch it on before it is served");
	else if (!r.http)
		attach_answer(a, ERR_INVAL,
			      "this name belongs to a tunnel of another kind; choose another with "
			      "--name");
	else if (strcmp(r.target, a->target) != 0)
		attach_keep_target(a, &answer->recs[0]);
	else
		attach_serve(a);
}

/* ---- a record that is to be made ---- */

static void attach_on_made(struct core_call *call, const struct store_answer *answer)
{
	struct attach *a = attach_of(call);

	if (answer->e == 0) {
		attach_serve(a);
		return;
	}
	if (answer->e != ERR_CONFLICT) {
		attach_fail(a, core_store_err(answer->e));
		return;
	}
	buf_free(&a->account_value);
	if (++a->tries >= CORE_TRIES_MAX)
		attach_fail(a, ERR_LIMIT);
	else if (a->random)
		attach_make(a);
	else {
		attach_leave_line(a); /* it may have been made for us: by our other session */
		attach_on_start(a);
	}
}

static void attach_write(struct attach *a)
{
	struct record_tunnel r = {.enabled = true, .created_ms = ev_wall_ms(a->call.core->ev)};
	struct str last = names_last_label(str_of(a->name));
	struct buf claim = {0}, tunnel = {0};
	struct store_write writes[3] = {0};
	int e;

	memcpy(r.account, a->member->account, sizeof r.account);
	memcpy(r.target, a->target, sizeof r.target);
	if ((e = record_write_claim(r.account, &claim)) != 0 ||
	    (e = record_write_tunnel(&r, &tunnel)) != 0)
		goto out;
	writes[0].rec =
		(struct store_record){.kind = RECORD_CLAIM, .key = last, .value = buf_str(&claim)};
	writes[0].expected = a->claim_version;
	writes[1].rec = (struct store_record){.kind = RECORD_TUNNEL,
					      .key = str_of(a->name),
					      .value = buf_str(&tunnel)};
	writes[2].rec = (struct store_record){.kind = RECORD_ACCOUNT,
					      .key = str_of(r.account),
					      .value = buf_str(&a->account_value)};
	writes[2].expected = a->account_rec.version;
	e = core_call_batch(&a->call, writes, ARRAY_LEN(writes), attach_on_made);
out:
	buf_free(&claim);
	buf_free(&tunnel);
	if (e != 0)
		attach_fail(a, e);
}

static void attach_on_claim(struct core_call *call, const struct store_answer *answer)
{
	struct attach *a = attach_of(call);
	char account[CORE_ACCOUNT_TEXT];
	int e = answer->e;

	a->claim_version = 0;
	if (e == ERR_NOTFOUND) {
		attach_write(a);
		return;
	}
	if (e != 0 || (e = record_read_claim(answer->recs[0].value, account)) != 0) {
		attach_fail(a, core_store_err(e));
	} else if (strcmp(account, a->member->account) != 0) {
		attach_taken(a, names_last_label(str_of(a->name)));
	} else {
		a->claim_version = answer->recs[0].version;
		attach_write(a);
	}
}

/* May the account have one more? */
static int attach_count(struct attach *a, const struct store_record *rec, char *reason)
{
	struct record_account r;
	int e;

	if ((e = record_read_account(rec->value, &r)) != 0) {
		core_store_reason(e, reason);
		return e;
	}
	if (!r.enabled) {
		str_printf(reason, CORE_REASON_TEXT,
			   "this account has been switched off; ask the server's operator why");
		return ERR_DISABLED;
	}
	if (r.n_tunnels >= CORE_TUNNELS_PER_ACCOUNT) {
		str_printf(reason, CORE_REASON_TEXT,
			   "this account has %d tunnels, which is the limit; use one of them with "
			   "--name",
			   CORE_TUNNELS_PER_ACCOUNT);
		return ERR_LIMIT;
	}
	a->account_rec.version = rec->version;
	buf_free(&a->account_value);
	e = record_change_tunnels(rec->value, r.n_tunnels + 1, &a->account_value);
	if (e != 0)
		core_store_reason(e, reason);
	return e;
}

static void attach_on_account(struct core_call *call, const struct store_answer *answer)
{
	struct attach *a = attach_of(call);
	char reason[CORE_REASON_TEXT];
	int e;

	if (answer->e == ERR_NOTFOUND) {
		attach_answer(a, ERR_DISABLED, "this account has been deleted");
		return;
	}
	if (answer->e != 0) {
		attach_fail(a, core_store_err(answer->e));
		return;
	}
	if ((e = attach_count(a, &answer->recs[0], reason)) != 0) {
		attach_answer(a, e, reason);
		return;
	}
	if (a->random) {
		names_random(a->call.core->ev, NAMES_RANDOM_MIN + a->tries / TRIES_PER_LENGTH,
			     a->name);
		a->claim_version = 0;
		attach_write(a);
		return;
	}
	e = core_call_get(call, RECORD_CLAIM, names_last_label(str_of(a->name)), attach_on_claim);
	if (e != 0)
		attach_fail(a, e);
}

static void attach_make(struct attach *a)
{
	int e = core_call_get(&a->call, RECORD_ACCOUNT, str_of(a->member->account),
			      attach_on_account);

	if (e != 0)
		attach_fail(a, e);
}

/* Get into the line, or go to work when we stand first in it. */
static void attach_on_turn(void *arg)
{
	struct attach *a = arg;
	struct core *c = a->call.core;

	if (!list_linked(&a->turn)) {
		list_push(&c->making, &a->turn);
		a->call.task.fn = attach_on_turn;
	}
	if (c->making.next == &a->turn)
		attach_make(a);
}

/* ---- the beginning ---- */

static void attach_on_start(void *arg)
{
	struct attach *a = arg;
	int e;

	if (a->refused != 0) {
		attach_answer(a, a->refused, a->reason);
		return;
	}
	if (a->random) {
		attach_on_turn(a);
		return;
	}
	e = core_call_get(&a->call, RECORD_TUNNEL, str_of(a->name), attach_on_record);
	if (e != 0)
		attach_fail(a, e);
}

static int attach_check_target(struct str target, char out[RECORD_TARGET_MAX + 1],
			       char reason[CORE_REASON_TEXT])
{
	for (size_t i = 0; i < target.len && target.len <= RECORD_TARGET_MAX; i++)
		if ((unsigned char)target.p[i] < ' ' || target.p[i] == 0x7f)
			target.len = SIZE_MAX;
	if (target.len <= RECORD_TARGET_MAX)
		return str_copy(out, RECORD_TARGET_MAX + 1, target);
	str_printf(reason, CORE_REASON_TEXT,
		   "the target's description must be one line of at most %d bytes",
		   RECORD_TARGET_MAX);
	return ERR_INVAL;
}

int attach_begin(struct member *m, struct str name, struct str target,
		 void (*done)(void *arg, const struct core_attached *result), void *arg)
{
	struct attach *a = calloc(1, sizeof *a);
	int e;

	if (a == NULL)
		return ERR_NOMEM;
	a->call.closed = attach_on_core_gone;
	a->member = m;
	a->done = done;
	a->arg = arg;
	a->random = name.len == 0;
	a->refused = attach_check_target(target, a->target, a->reason);
	if (a->refused == 0 && !a->random)
		a->refused = names_check(name, m->core->opt.domain, a->name, a->reason);
	if ((e = core_call_begin(m->core, &a->call, CORE_ATTACH, attach_on_start)) != 0) {
		free(a);
		return e;
	}
	list_push(&m->attaches, &a->link);
	return 0;
}
