/* Calls about accounts and credentials, asked and waited for. */
#ifndef KAREZ_TEST_UNIT_CORE_ACCOUNT_RIG_H
#define KAREZ_TEST_UNIT_CORE_ACCOUNT_RIG_H

#include "core/manage.h"
#include "unit/core/core_rig.h"

/* What a call was answered; of lists the ids, and the first item. */
struct told_account {
	unsigned calls;
	int e;
	char reason[512], field[64], after[80];
	bool created, more;
	uint64_t version;
	size_t n;
	char ids[MANAGE_PAGE_MAX][CORE_ID_TEXT];
	struct record_account account;
	struct record_credential credential;
	struct record_invite invite;
	char number[CORE_NUMBER_TEXT], token[CORE_TOKEN_TEXT];
};

/* Who asks (NULL: nobody), told into t. */
struct manage_asker account_rig_by(struct told_account *t, const struct access_who *who);

/* Wait until a call is answered; asked: what the call returned. */
void account_rig_wait(struct core_rig *r, struct told_account *t, const struct manage *asked);

/* Usual calls. */
struct told_account account_rig_make(struct core_rig *r, const struct access_who *who,
				     const char *invitation);
struct told_account account_rig_token(struct core_rig *r, const struct access_who *who,
				      const struct access_scope *scope);
struct told_account account_rig_revoke(struct core_rig *r, const struct access_who *who,
				       const char *id);
struct told_account account_rig_change(struct core_rig *r, const struct access_who *who,
				       const char *account, const struct manage_account_change *ch);
struct told_account account_rig_get(struct core_rig *r, const struct access_who *who,
				    const char *account);
struct told_account account_rig_drop(struct core_rig *r, const struct access_who *who,
				     const char *account);

/* Log in by a token or number; it must work. */
struct access_who account_rig_login(struct core_rig *r, const char *secret);

/* What starting a core has told. */
struct told_start {
	unsigned calls;
	struct core_started result;
	char reason[CORE_REASON_TEXT];
};
void account_rig_on_started(void *arg, const struct core_started *result);

/* Start the core: the administrator, logged in. */
void account_rig_start(struct core_rig *r, struct access_who *admin);

/* All keys of a kind that begin with a text: how many. */
size_t account_rig_count(struct core_rig *r, const char *kind, const char *prefix);

#endif
