/* Notes of what belongs to an account: it can be listed by its owner, and goes with them. */
#include "core/manage_internal.h"

int owned_put(struct txn *t, const char *account, struct str kind, struct str key)
{
	struct manage_key owned;

	return txn_put(t, RECORD_OWNED, manage_owned_key(&owned, account, kind, key), STR("{}"));
}

int owned_drop(struct txn *t, const char *account, struct str kind, struct str key)
{
	struct manage_key owned;

	return txn_drop(t, RECORD_OWNED, manage_owned_key(&owned, account, kind, key));
}
