/* What the files of the core share: private to core/. */
#ifndef KAREZ_CORE_CORE_INTERNAL_H
#define KAREZ_CORE_CORE_INTERNAL_H

#include "base/map.h"
#include "core/core.h"
#include "core/digest.h"
#include "core/record.h"

/* Questions under way at most, by kind: together no more than the store takes (STORE_PENDING_MAX).
 */
#define CORE_LOGINS_MAX	  256
#define CORE_ATTACHES_MAX 256
#define CORE_LOOKUPS_MAX  448

/* Accounts that strangers may make: so many at once, then one more each second. */
#define CORE_REGISTER_BURST    256
#define CORE_REGISTER_EVERY_MS 1000

/* Others who change the same records at the same moment: how often we look again. */
#define CORE_TRIES_MAX 16

struct core_call;

/* The next step of a call: the store has answered. It may free the call. */
typedef void (*core_step_fn)(struct core_call *call, const struct store_answer *answer);

enum core_call_kind { CORE_LOGIN, CORE_ATTACH, CORE_LOOKUP, CORE_CALL_KINDS };

/*
 * The head of a question that is answered later. It lives in core->calls until core_call_end();
 * all its steps run from the loop, so they may answer at once.
 */
struct core_call {
	struct list link;
	struct core *core;
	enum core_call_kind kind;
	struct ev_task task; /* the first step, or the next one of our own */
	core_step_fn step;
	bool asked; /* the store owes an answer */
	/* The core is going: answer ERR_CLOSED and free it. */
	void (*closed)(struct core_call *call);
};

/* The key of the tokens' fingerprints: a record, so that all nodes of a store share it. */
struct secret {
	bool loaded, loading;
	unsigned tries; /* other nodes that were faster, in this loading */
	uint8_t key[DIGEST_LEN];
	struct list waiting; /* of account_login.line */
};

struct core {
	struct ev *ev;
	struct core_opt opt;
	struct map tunnels; /* of struct tunnel, by name */
	struct map members; /* of struct member, by who they are */
	size_t n_members;   /* also those that were expelled and have not left */
	struct list calls;
	size_t n_calls[CORE_CALL_KINDS];
	struct secret secret;
	struct list making; /* of attach.turn: who makes a record; the first one is at it */
	uint64_t places, member_number; /* given last */
	uint64_t loop_key[2];
	unsigned register_left; /* accounts that may be made now */
	uint64_t register_ms;	/* when register_left was counted last */
};

struct member {
	struct map_entry entry; /* in core->members unless expelled */
	struct core *core;
	struct member_opt opt;
	char account[CORE_ACCOUNT_TEXT];
	uint64_t number;
	struct list serving; /* of serving.of_member */
	size_t n_serving;
	struct list attaches; /* of attach.link */
	struct ev_task expel;
	bool expelled;
	char who[CORE_ACCOUNT_TEXT + CORE_AGENT_TEXT + 48];
};

/* One member serves one tunnel. */
struct serving {
	struct list of_member;
	struct list of_tunnel; /* the one that was dialled last stands last */
	struct member *member;
	struct tunnel *tunnel;
	uint64_t place; /* its number, see tunnel_choose() */
	uint64_t tried; /* the dial that has failed here */
};

struct tunnel {
	struct map_entry entry;
	struct core *core;
	struct list serving; /* of serving.of_tunnel */
	size_t n_serving;
	uint64_t dials; /* so far */
	char name[HOSTNAME_MAX + 1];
};

/* ---- core.c ---- */

/*
 * Start a call whose first step is run at the end of this turn.
 * Returns 0 or ERR_LIMIT (too many of its kind).
 */
int core_call_begin(struct core *c, struct core_call *call, enum core_call_kind kind,
		    void (*start)(void *call)) MUST_CHECK;

/* It will be answered now, or never: forget it. The caller frees it. */
void core_call_end(struct core_call *call);

/* The store's calls, with `step` as what comes next. Errors as the store's, made fit for callers.
 */
int core_call_get(struct core_call *call, struct str kind, struct str key,
		  core_step_fn step) MUST_CHECK;
int core_call_put(struct core_call *call, const struct store_record *rec, uint64_t expected,
		  core_step_fn step) MUST_CHECK;
int core_call_batch(struct core_call *call, const struct store_write *writes, size_t n,
		    core_step_fn step) MUST_CHECK;

/* A store's error as callers may see it: what would mean something else to an agent is ERR_IO. */
int core_store_err(int e);

/* A sentence for a person about such an error. */
void core_store_reason(int e, char reason[CORE_REASON_TEXT]);

/* ---- tunnel.c ---- */

/*
 * Let a member serve a tunnel; its own agent's older processes lose it.
 *   name    normalised; the record belongs to the member's account.
 *   reason  filled on failure.
 * Returns 0 (also when it does already), ERR_REPLACED, ERR_LIMIT, ERR_NOMEM.
 */
int tunnel_serve(struct member *m, const char *name, char reason[CORE_REASON_TEXT]) MUST_CHECK;

/* One member serves it no longer. Frees s. event: "detach" or "replaced", for the log. */
void tunnel_leave(struct serving *s, const char *event);

/* The member's place in a tunnel, NULL if it has none. */
struct serving *tunnel_find_serving(struct member *m, struct str name);

/* ---- attach.c ---- */

/* See member_attach(). */
int attach_begin(struct member *m, struct str name, struct str target,
		 void (*done)(void *arg, const struct core_attached *result), void *arg) MUST_CHECK;

/* The member goes: its questions are never answered. */
void attach_cancel_all(struct member *m);

/* ---- account.c ---- */

/* The core goes. */
void account_forget_secret(struct core *c);

#endif
