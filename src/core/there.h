/* The tunnels that a list is put in place of: all that is there, read and known by name and place.
 */
#ifndef KAREZ_CORE_THERE_H
#define KAREZ_CORE_THERE_H

#include "core/manage_internal.h"

/* Tunnels that may be replaced at once: so many also when the list is short. */
#define THERE_MAX 4000

struct there_tunnel {
	struct map_entry by_name;	/* its key: the name */
	struct map_entry by_place;	/* its key: see there_at() */
	const struct store_record *rec; /* borrowed: the transaction's, as long as the run lasts */
	enum tunnel_kind kind;
	uint16_t port;
	char account[CORE_ID_TEXT];
	char place[CORE_ID_TEXT + HOSTNAME_MAX + 16];
};

/* Embedded in a call. */
struct there {
	struct there_tunnel *tunnels; /* owned; [n] */
	size_t n;
	size_t looked; /* records that were looked at in this run, also those left out */
	struct map names, places;
	struct map agents; /* of struct there_agent, owned: whom they name */
};

/* Returns 0 or ERR_NOMEM. */
int there_init(struct there *w, const struct core *c) MUST_CHECK;

/* Empty again, for the next run; and for ever. All zero is allowed. */
void there_forget(struct there *w);
void there_free(struct there *w);

/*
 * Read them, in a transaction's run, which may pause in between and then calls this again. One that
 * is damaged is left out.
 *   account  whose; NULL: everybody's.
 * Returns as txn_get(); ERR_TOOBIG: more than THERE_MAX.
 */
int there_read(struct there *w, struct txn *t, const char *account) MUST_CHECK;

/* Borrowed; NULL when there is none. */
const struct there_tunnel *there_find(const struct there *w, struct str name);

/*
 * The one of the same account and kind that has the same port (tcp), or the same custom domains.
 *   r  account, kind, port and alt_names count.
 */
const struct there_tunnel *there_at(const struct there *w, const struct record_tunnel *r);

/* Does one of that account name this agent? */
bool there_names(const struct there *w, const char *account, const char *agent);

#endif
