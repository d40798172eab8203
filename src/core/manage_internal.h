/* What the files of the management calls share: private to core/. */
#ifndef KAREZ_CORE_MANAGE_INTERNAL_H
#define KAREZ_CORE_MANAGE_INTERNAL_H

#include "core/manage.h"
#include "core/txn.h"

/*
 * The head of every call. One transaction at a time; its run gets the call as its arg, fills
 * m->answer, and is free to be run again. Calls that need more steps than one transaction start the
 * next one in `next`.
 */
struct manage {
	struct core *core;
	struct txn *txn; /* owned; NULL between two steps */
	struct access_who who;
	bool known;		  /* somebody has proven something: who counts */
	enum core_call_kind kind; /* among whom it counts: CORE_MANAGE, or an agent's attach */
	bool large;		  /* its transactions are, see struct txn_opt */
	bool to_the_end;	  /* it must not stop half way: who cancels it only hears no more */
	void (*done)(void *arg, const struct manage_answer *answer);
	void *arg;
	struct manage_answer answer;
	/* Set with m->answer.e, see manage_refuse(); long enough for four host names. */
	char reason[CORE_REASON_TEXT * 5];
	/*
	 * The transaction is over with e; NULL: answer. It does one of: manage_go() with the next
	 * one, waits for something else, manage_end().
	 */
	void (*next)(struct manage *m, int e);
	/* Frees what the call owns besides itself, and cancels what it waits for; may be NULL. */
	void (*clean)(struct manage *m);
};

/* A call, all zero but for the head; size: of the struct that begins with it. NULL: no memory. */
void *manage_new(struct core *c, const struct manage_asker *by, size_t size);

/*
 * Start a transaction.
 * Returns m, or NULL when that cannot be: m is freed then. For the end of a manage_*() call.
 */
struct manage *manage_begin(struct manage *m, int (*run)(struct txn *t, void *m));

/* The same for a later step: what cannot be is answered. */
void manage_go(struct manage *m, int (*run)(struct txn *t, void *m));

/* Answer and free: 0, or an error; one without a sentence gets the store's. */
void manage_end(struct manage *m, int e);

/* Put why it may not be into the answer; field may be NULL. Returns e. */
int manage_refuse(struct manage *m, int e, const char *field, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

/* access_decide() for the asker, with its reason in the answer. Nobody known: ERR_AUTH. */
int manage_access(struct manage *m, const struct access_ask *ask) MUST_CHECK;

/*
 * The account that a call is about: the asker's own when empty.
 *   act  ACCESS_ACCOUNT or ACCESS_ACCOUNT_CHANGE for their own; somebody else's needs an
 *        administrator.
 *   out  gets its id.
 * Returns 0, ERR_NOTFOUND (also what no id can be), or what manage_access() says.
 */
int manage_account(struct manage *m, struct str account, enum access_act act,
		   char out[CORE_ID_TEXT]) MUST_CHECK;

/*
 * A text for people: one line of UTF-8, no control characters, spaces around it cut.
 *   cap    bytes of out.
 *   field  what the API calls it.
 * Returns 0 or ERR_INVAL with a reason.
 */
int manage_text(struct manage *m, const char *field, struct str text, size_t cap,
		char *out) MUST_CHECK;

/* The limit of a page, in what may be. */
size_t manage_limit(const struct manage_page *page);

/* Wrong version? Returns 0 or ERR_CONFLICT with a reason. */
int manage_expect(struct manage *m, uint64_t expected, uint64_t version) MUST_CHECK;

/*
 * May the asker make what is good until then (0: for ever)? Whose own credential ends makes nothing
 * that outlives it. Returns 0 or ERR_DENIED with a reason.
 */
int manage_lasts(struct manage *m, const char *field, int64_t until_ms) MUST_CHECK;

/* Which tunnel a call is about, and what for. */
struct manage_tunnel_ask {
	enum access_act act;
	struct str name; /* as asked for, any case */
};

/*
 * The tunnel that a call is about, if the asker may do that to it.
 *   out  gets its record; *rec the same as it is stored, as txn_get() lends it.
 * Returns 0, ERR_NOTFOUND (also for somebody else's), or as txn_get() and manage_access().
 */
int manage_tunnel(struct manage *m, struct txn *t, const struct manage_tunnel_ask *ask,
		  struct record_tunnel *out, const struct store_record **rec) MUST_CHECK;

/* "<account>/<credential>", the key of a credential's record. */
struct manage_key {
	char text[STORE_KEY_MAX + 1];
};
struct str manage_credential_key(struct manage_key *k, const char *account, const char *credential);

/* "<account>/<kind>/<key>", the key of an owned record. */
struct str manage_owned_key(struct manage_key *k, const char *account, struct str kind,
			    struct str key);

/* ---- manage_invite.c ---- */

/*
 * Somebody makes an account by this invitation: it has one use less.
 * Returns 0, ERR_DENIED with a reason (unknown, over and used up alike), or as txn_get().
 */
int manage_invite_use(struct manage *m, struct txn *t, struct str code) MUST_CHECK;

#endif
