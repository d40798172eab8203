/* The life of a management call: who asks is copied, transactions come one after the other, and the
 * answer is given once. */
#include "core/manage.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/manage_internal.h"
#include "core/names.h"
#include "proto/time_text.h"

void *manage_new(struct core *c, const struct manage_asker *by, size_t size)
{
	struct manage *m = calloc(1, size);

	if (m == NULL)
		return NULL;
	m->core = c;
	m->kind = CORE_MANAGE;
	m->answer.entry = SIZE_MAX;
	m->done = by->done;
	m->arg = by->arg;
	if (by->who != NULL) {
		m->who = *by->who;
		m->known = true;
	}
	return m;
}

static void manage_free(struct manage *m)
{
	txn_cancel(m->txn);
	if (m->clean != NULL)
		m->clean(m);
	explicit_bzero(&m->answer, sizeof m->answer);
	free(m);
}

void manage_end(struct manage *m, int e)
{
	m->answer.e = e;
	if (e != 0 && m->reason[0] == '\0')
		core_store_reason(e, m->reason);
	m->answer.reason = m->reason;
	m->done(m->arg, &m->answer);
	manage_free(m);
}

static void manage_tell_nobody(void *arg, const struct manage_answer *answer)
{
}

void manage_cancel(struct manage *m)
{
	if (m != NULL && m->to_the_end && m->txn != NULL)
		m->done = manage_tell_nobody;
	else if (m != NULL)
		manage_free(m);
}

static void manage_on_txn(void *arg, int e)
{
	struct manage *m = arg;

	m->txn = NULL;
	if (m->next != NULL)
		m->next(m, e);
	else
		manage_end(m, e);
}

static int manage_start(struct manage *m, int (*run)(struct txn *t, void *m))
{
	struct txn_opt opt = {.core = m->core,
			      .kind = m->kind,
			      .large = m->large,
			      .run = run,
			      .done = manage_on_txn,
			      .arg = m};

	return txn_start(&opt, &m->txn);
}

struct manage *manage_begin(struct manage *m, int (*run)(struct txn *t, void *m))
{
	if (m == NULL || manage_start(m, run) == 0)
		return m;
	manage_free(m);
	return NULL;
}

void manage_go(struct manage *m, int (*run)(struct txn *t, void *m))
{
	int e = manage_start(m, run);

	if (e != 0)
		manage_end(m, e);
}

/* ---- what the calls share ---- */

int manage_refuse(struct manage *m, int e, const char *field, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(m->reason, sizeof m->reason, fmt, ap);
	va_end(ap);
	if (m->kind != CORE_ATTACH)
		names_cut_option(m->reason);
	m->answer.field = field;
	return e;
}

int manage_access(struct manage *m, const struct access_ask *ask)
{
	struct access_ask now = *ask;

	if (!m->known)
		return manage_refuse(m, ERR_AUTH, NULL,
				     "this needs a credential: \"Authorization: Bearer <token>\"");
	now.now_ms = ev_wall_ms(m->core->ev);
	return access_decide(&m->who, &now, m->reason);
}

int manage_account(struct manage *m, struct str account, enum access_act act,
		   char out[CORE_ID_TEXT])
{
	struct access_ask ask = {.act = act};
	bool own = account.len == 0 || (m->known && str_eq(account, str_of(m->who.account)));
	int e;

	if (!own)
		ask.act = ACCESS_ADMIN;
	if ((e = manage_access(m, &ask)) != 0)
		/* whoever may not see an account does not learn whether it is there */
		return own || e != ERR_DENIED
			       ? e
			       : manage_refuse(m, ERR_NOTFOUND, NULL, "there is no such account");
	if (str_copy(out, CORE_ID_TEXT, own ? str_of(m->who.account) : account) != 0)
		return manage_refuse(m, ERR_NOTFOUND, NULL, "there is no such account");
	return 0;
}

int manage_expect(struct manage *m, uint64_t expected, uint64_t version)
{
	if (expected == STORE_ANY || expected == version)
		return 0;
	return manage_refuse(m, ERR_CONFLICT, NULL,
			     "somebody has changed it meanwhile; read it again and decide anew");
}

int manage_lasts(struct manage *m, const char *field, int64_t until_ms)
{
	int64_t mine = m->who.scope.until_ms;
	char when[TIME_TEXT];

	if (mine == 0 || (until_ms != 0 && until_ms <= mine))
		return 0;
	time_text_format(mine, when);
	return manage_refuse(m, ERR_DENIED, field,
			     "this credential is good until %s, so it makes nothing that is good "
			     "for longer; use one that does not end",
			     when);
}

struct str manage_credential_key(struct manage_key *k, const char *account, const char *credential)
{
	size_t n = str_printf(k->text, sizeof k->text, "%s/%s", account, credential);

	return (struct str){k->text, n};
}

struct str manage_owned_key(struct manage_key *k, const char *account, struct str kind,
			    struct str key)
{
	size_t n = str_printf(k->text, sizeof k->text, "%s/" STR_FMT "/" STR_FMT, account,
			      STR_ARG(kind), STR_ARG(key));

	return (struct str){k->text, n};
}
