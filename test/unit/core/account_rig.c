/* What an answer lends is copied, so that a test can look at it afterwards. */
#include "unit/core/account_rig.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"

static const char *account_rig_id(const struct manage_answer *a, size_t i)
{
	if (a->accounts != NULL)
		return a->accounts[i].id;
	if (a->credentials != NULL)
		return a->credentials[i].id;
	return a->invites != NULL ? a->invites[i].id : "";
}

static void account_rig_on_done(void *arg, const struct manage_answer *a)
{
	struct told_account *t = arg;

	t->calls++;
	t->e = a->e;
	t->created = a->created;
	t->version = a->version;
	t->more = a->more;
	str_printf(t->reason, sizeof t->reason, "%s", a->e != 0 ? a->reason : "");
	str_printf(t->field, sizeof t->field, "%s", a->field != NULL ? a->field : "");
	memcpy(t->number, a->number, sizeof t->number);
	memcpy(t->token, a->token, sizeof t->token);
	if (a->e != 0)
		return;
	t->n = a->n;
	if (a->after != NULL)
		str_printf(t->after, sizeof t->after, "%s", a->after);
	for (size_t i = 0; i < a->n && i < MANAGE_PAGE_MAX; i++)
		str_printf(t->ids[i], CORE_ID_TEXT, "%s", account_rig_id(a, i));
	if (a->n > 0 && a->accounts != NULL)
		t->account = a->accounts[0];
	if (a->n > 0 && a->credentials != NULL)
		t->credential = a->credentials[0];
	if (a->n > 0 && a->invites != NULL)
		t->invite = a->invites[0];
}

struct manage_asker account_rig_by(struct told_account *t, const struct access_who *who)
{
	memset(t, 0, sizeof *t);
	return (struct manage_asker){.who = who, .done = account_rig_on_done, .arg = t};
}

void account_rig_wait(struct core_rig *r, struct told_account *t, const struct manage *asked)
{
	assert_non_null(asked);
	assert_int_equal(t->calls, 0);
	core_rig_run(r);
	assert_int_equal(t->calls, 1);
	assert_true(t->e == 0 ? t->reason[0] == '\0' : strlen(t->reason) > 10);
}

struct told_account account_rig_make(struct core_rig *r, const struct access_who *who,
				     const char *invitation)
{
	struct manage_new_account a = {.invitation = str_of(invitation), .name = STR("somebody")};
	struct told_account t;
	struct manage_asker by = account_rig_by(&t, who);

	account_rig_wait(r, &t, manage_account_make(r->core, &by, &a));
	return t;
}

struct told_account account_rig_token(struct core_rig *r, const struct access_who *who,
				      const struct access_scope *scope)
{
	struct manage_new_credential n = {.type = CREDENTIAL_TOKEN, .name = STR("laptop")};
	struct told_account t;
	struct manage_asker by = account_rig_by(&t, who);

	if (scope != NULL)
		n.scope = *scope;
	account_rig_wait(r, &t, manage_credential_make(r->core, &by, STR(""), &n));
	return t;
}

struct told_account account_rig_revoke(struct core_rig *r, const struct access_who *who,
				       const char *id)
{
	struct told_account t;
	struct manage_asker by = account_rig_by(&t, who);

	account_rig_wait(r, &t, manage_credential_drop(r->core, &by, STR(""), str_of(id)));
	return t;
}

struct told_account account_rig_change(struct core_rig *r, const struct access_who *who,
				       const char *account, const struct manage_account_change *ch)
{
	struct told_account t;
	struct manage_asker by = account_rig_by(&t, who);

	account_rig_wait(r, &t, manage_account_change(r->core, &by, str_of(account), ch));
	return t;
}

struct told_account account_rig_get(struct core_rig *r, const struct access_who *who,
				    const char *account)
{
	struct told_account t;
	struct manage_asker by = account_rig_by(&t, who);

	account_rig_wait(r, &t, manage_account_get(r->core, &by, str_of(account)));
	return t;
}

struct told_account account_rig_drop(struct core_rig *r, const struct access_who *who,
				     const char *account)
{
	struct told_account t;
	struct manage_asker by = account_rig_by(&t, who);

	account_rig_wait(r, &t, manage_account_drop(r->core, &by, str_of(account), STORE_ANY));
	return t;
}

struct access_who account_rig_login(struct core_rig *r, const char *secret)
{
	struct told_login told = core_rig_login(r, str_of(secret));

	assert_int_equal(told.result.e, 0);
	return told.result.who;
}

void account_rig_on_started(void *arg, const struct core_started *result)
{
	struct told_start *t = arg;

	t->calls++;
	t->result = *result;
	str_printf(t->reason, sizeof t->reason, "%s", result->reason);
}

void account_rig_start(struct core_rig *r, struct access_who *admin)
{
	struct told_start t = {0};

	assert_int_equal(core_start(r->core, account_rig_on_started, &t), 0);
	core_rig_run(r);
	assert_int_equal(t.calls, 1);
	assert_int_equal(t.result.e, 0);
	*admin = account_rig_login(r, t.result.token);
	assert_true(admin->admin);
}

struct counted {
	struct str prefix;
	size_t n;
};

static void account_rig_on_page(void *arg, const struct store_answer *answer)
{
	struct counted *c = arg;

	assert_int_equal(answer->e, 0);
	assert_false(answer->more);
	for (size_t i = 0; i < answer->n; i++)
		c->n += str_starts(answer->recs[i].key, c->prefix);
}

size_t account_rig_count(struct core_rig *r, const char *kind, const char *prefix)
{
	struct store_page page = {.kind = str_of(kind), .limit = STORE_PAGE_MAX};
	struct counted c = {.prefix = str_of(prefix)};

	assert_int_equal(store_list(r->store, page, account_rig_on_page, &c), 0);
	core_rig_run(r);
	return c.n;
}
