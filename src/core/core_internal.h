/* What the files of the core share: private to core/. */
#ifndef KAREZ_CORE_CORE_INTERNAL_H
#define KAREZ_CORE_CORE_INTERNAL_H

#include "base/map.h"
#include "core/core.h"
#include "core/digest.h"
#include "core/record.h"
#include "ev/log_pace.h"

/*
 * Questions under way at most, by kind: each has one call at the store at a time, so together they
 * are fewer than the store takes (STORE_PENDING_MAX).
 */
#define CORE_LOGINS_MAX	   192
#define CORE_ATTACHES_MAX  192
#define CORE_LOOKUPS_MAX   320
#define CORE_MANAGES_MAX   256
#define CORE_REFRESHES_MAX 32
#define CORE_PLACES_MAX	   17
#define CORE_DROPS_MAX	   8

/* Accounts that strangers may make: so many at once, then one more each second. */
#define CORE_REGISTER_BURST    256
#define CORE_REGISTER_EVERY_MS 1000

/* Others who change the same records at the same moment: how often we look again. */
#define CORE_TRIES_MAX 16

/* How often the records behind what lives here are read again: another node may have changed them.
 */
#define CORE_REFRESH_MS 10000

/* The same while the store tells what is written, and nothing has passed by: for what it does not
 * tell of, such as the time of a record that is over. */
#define CORE_REFRESH_WHOLE_MS 60000

struct core_call;
struct news;
struct refresh;
struct temporaries;
struct txn;

/* The next step of a call: the store has answered. It may free the call. */
typedef void (*core_step_fn)(struct core_call *call, const struct store_answer *answer);

enum core_call_kind {
	CORE_LOGIN,
	CORE_ATTACH,
	CORE_LOOKUP,
	CORE_MANAGE,
	CORE_REFRESH,
	CORE_NEWS,
	CORE_PLACE, /* place_list.c */
	CORE_DROP,  /* temporary.c */
	CORE_CALL_KINDS,
};

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

/* The key of the fingerprints: a record, so that all nodes of a store share it. */
struct secret {
	bool loaded;
	uint8_t key[DIGEST_LEN]; /* until it is loaded: the one to store if there is none */
};

struct core {
	struct ev *ev;
	struct core_opt opt;
	struct map tunnels; /* of struct tunnel, by name */
	struct map hosts;   /* of struct tunnel_host, by custom domain */
	struct map members; /* of struct member, by who they are */
	struct map grants;  /* of struct grant, by "<account>/<credential>" */
	struct map owners;  /* of struct owner, by account */
	struct map places;  /* of struct place, by tunnel */
	struct map ports;   /* of struct port_hold, by port: place_port.c */
	struct map snis;    /* of struct place_name, "a.example" or "*.example" */
	struct map agents;  /* of struct agent_seen, by "<account>/<agent>": seen.c */
	struct map remotes; /* of struct remotes, by tunnel: peer.c */
	struct list peers;  /* of core_peer.link */
	size_t n_peers;	    /* at most CORE_PEERS_MAX */
	/* the same; a place tells which of them it is at: peer_place(). NULL: a free one */
	struct core_peer *peer_slots[CORE_PEERS_MAX];
	struct list told; /* of tunnel_told.link: peer_tell.c */
	struct ev_task tell;
	struct list counted; /* of owner.counted: quota.c */
	struct ev_task count;
	struct list unserved; /* of tunnel.unserved, who was used longest ago stands first */
	struct ev_timer unserved_timer;
	bool draining;		 /* see core_drain_begin() */
	size_t n_members;	 /* also those that were expelled and have not left */
	struct list visitors;	 /* of core_visitor.link */
	struct list gone_agents; /* of agent_seen.link, who went first stands first */
	size_t n_gone_agents;	 /* at most MANAGE_AGENTS_MAX */
	struct list calls;
	size_t n_calls[CORE_CALL_KINDS];
	struct list asks; /* of ask.link: ask.c */
	size_t n_asks;	  /* at most MANAGE_ASKS_MAX */
	size_t ask_bytes; /* of answers that have not ended, at most ASK_BYTES_MAX */
	struct log_pace ask_pace;
	struct secret secret;
	uint64_t place_number, member_number, rounds; /* given last */
	uint64_t loop_key[2];
	unsigned register_left;		 /* accounts that may be made now */
	uint64_t register_ms;		 /* when register_left was counted last */
	struct refresh *refresh;	 /* owned */
	struct news *news;		 /* owned */
	struct places *placing;		 /* owned: what place.c keeps */
	struct temporaries *temporaries; /* owned; NULL: the core is going */
	size_t n_watching;		 /* members that want to hear of what they have served */
	size_t n_lists;			 /* of MANAGE_LISTS_MAX */
	struct member *rechecked;	 /* weak: its leaving clears it; see tunnel_recheck() */
	struct member *assigning;	 /* the same, see place_assign() */
};

/* An account of which sessions live here. */
struct owner {
	struct map_entry entry; /* in core->owners */
	struct core *core;
	char account[CORE_ID_TEXT];
	size_t n_members; /* that are not expelled */
	uint64_t sessions_max;
	uint64_t version;    /* of the record that said so; 0: not read yet */
	struct list grants;  /* of grant.of_owner; it lives as long as one is there */
	struct list counted; /* in core->counted: others are to be told how many there are */
	bool known;	     /* others know that there are some */
	bool gone;	     /* there is none: who tells that frees this */
	uint64_t roused_ms;  /* when they had to show last that they live; 0: never */
	/* Of lines that its agents can cause as often as they like: targets that come and go, and
	 * tunnels that are given to those who offer and taken back. */
	struct log_pace health_pace, offer_pace;
};

/* A credential from which sessions live here, as its record says now. */
struct grant {
	struct map_entry entry; /* in core->grants */
	struct owner *owner;
	struct list of_owner;
	struct access_who who;
	struct list members;  /* of member.of_grant; it lives as long as one is there */
	bool ports_changed;   /* of the account: its members are still to be asked anew */
	bool revoked;	      /* its record is gone */
	bool held;	      /* somebody walks its members: it must not be freed */
	struct ev_timer over; /* when the credential's time is up */
	uint64_t version;     /* of the credential's record; 0: not read yet */
	uint64_t proof;	      /* siphash of its proof: another one is another secret */
	char key[2 * CORE_ID_TEXT];
};

struct member {
	struct map_entry entry; /* in core->members unless expelled */
	struct core *core;
	struct member_opt opt;
	struct grant *grant; /* borrowed: its list of members holds it */
	struct list of_grant;
	uint64_t number;
	uint64_t agent_number; /* the same on every node: node_entry_agent_id() */
	int64_t since_ms;      /* wall clock */
	struct list serving;   /* of serving.of_member */
	size_t n_serving;
	struct list attaches; /* of attach.link */
	bool offers;	      /* see member_offer() */
	unsigned priority;    /* of what it offers */
	char *services; /* owned; names, each with its NUL, one empty at the end; may be NULL */
	uint64_t asked; /* the last round in which it was offered a tunnel */
	struct ev_task assign;
	struct agent_seen *seen; /* borrowed: lives as long as its session does; may be NULL */
	struct ev_task expel;
	bool expelled;
	int why; /* it is expelled for */
	char reason[CORE_REASON_TEXT];
	char who[CORE_ID_TEXT + CORE_AGENT_TEXT + 48];
};

/* One member serves one tunnel. */
struct serving {
	struct list of_member;
	struct list of_tunnel; /* the one that was dialled last stands last */
	struct member *member;
	struct tunnel *tunnel;
	uint64_t place;	   /* its number, see tunnel_choose() */
	uint64_t tried;	   /* the dial that has failed here */
	unsigned priority; /* less is better; of the agents that the record names: their order */
	unsigned wished;   /* what it asked for */
	enum tunnel_kind kind; /* the same */
	bool down;	       /* its target fails its health check */
	bool assigned;	       /* by its offer, not by an attach of its own */
};

/* A custom domain of a tunnel that is served. */
struct tunnel_host {
	struct map_entry entry; /* in core->hosts */
	struct list link;	/* in tunnel->hosts */
	struct tunnel *tunnel;
	char host[HOSTNAME_MAX + 1];
};

struct tunnel {
	struct map_entry entry;
	struct core *core;
	struct tunnel_settings *settings; /* one reference is ours */
	enum tunnel_policy policy;
	size_t sessions_max;
	struct list hosts;	  /* of tunnel_host.link, owned */
	struct list unserved;	  /* in core->unserved: only other nodes serve it */
	uint64_t used_ms;	  /* then: when a visitor came last */
	struct tunnel_told *told; /* owned until it goes; NULL: this node is alone */
	struct list serving;	  /* of serving.of_tunnel */
	bool temporary;		  /* its record goes when nobody serves it any more */
	size_t n_serving;
	size_t n_up;		    /* of them, those that are not down */
	uint64_t dials;		    /* so far */
	uint16_t port;		    /* of a tcp tunnel */
	char account[CORE_ID_TEXT]; /* whose it is */
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
int core_call_list(struct core_call *call, const struct store_page *page,
		   core_step_fn step) MUST_CHECK;
/* ERR_UNSUPPORTED stays. */
int core_call_changes(struct core_call *call, uint64_t after, core_step_fn step) MUST_CHECK;
int core_call_batch(struct core_call *call, const struct store_write *writes, size_t n,
		    core_step_fn step) MUST_CHECK;

/*
 * A record has been written, or read again: what lives here follows at once.
 *   rec  value empty and version 0: it has been dropped.
 */
void core_on_record(struct core *c, const struct store_record *rec);

/* A store's error as callers may see it: what would mean something else to an agent is ERR_IO. */
int core_store_err(int e);

/* A sentence for a person about such an error. */
void core_store_reason(int e, char reason[CORE_REASON_TEXT]);

/* ---- account.c: what accounts are made of ---- */

/* Number and token of a new account, as text. Source of the letters: none looks like another. */
void account_make_number(struct ev *ev, char out[CORE_NUMBER_TEXT]);
void account_make_token(struct ev *ev, char out[CORE_TOKEN_TEXT]);
void account_make_id(struct ev *ev, char out[CORE_ID_TEXT]);

/*
 * Is this text a number: 16 of its letters in any case, hyphens and spaces anywhere?
 *   out  gets the NUL-terminated letters, upper case.
 * Returns 0 or ERR_INVAL.
 */
#define ACCOUNT_LETTERS 16
int account_read_number(struct str text, char out[ACCOUNT_LETTERS + 1]) MUST_CHECK;

/* What is shown of a token, to tell it from others. */
void account_token_shown(const char *token, char out[RECORD_PUBLIC_TEXT]);

/* May a stranger make one more account now? */
bool account_may_register(struct core *c);

/* Why is it switched off? For a person; cut to fit. */
void account_off_reason(const struct record_account *r, char reason[CORE_REASON_TEXT]);

/* A new account, all random parts made before its transaction starts. A value: wipe it. */
struct account_new {
	struct record_account record;
	char number[CORE_NUMBER_TEXT]; /* "": it gets none */
	char token[CORE_TOKEN_TEXT];
	char token_id[CORE_ID_TEXT];
};
void account_new_make(struct core *c, struct account_new *n);

/* Write it: the account, its number and first token, those of them that it has; and one credential
 * more, which may be NULL. Errors as txn_put(). */
int account_new_write(struct txn *t, const struct account_new *n,
		      const struct record_credential *first) MUST_CHECK;

/* Read and write an account. Return as txn_get() and txn_put(), ERR_IO when it is damaged. */
int account_get(struct txn *t, struct str id, struct record_account *out,
		const struct store_record **rec) MUST_CHECK;
int account_put(struct txn *t, struct str old, const struct record_account *r) MUST_CHECK;

/* ---- credential.c ---- */

/* The id of the credential that an account's number is; bytes of a certificate's name at most. */
#define ACCOUNT_NUMBER_ID      "number"
#define CREDENTIAL_SUBJECT_MAX 200

/* A credential's id; its time of making is set, too. */
void credential_make_id(struct core *c, struct record_credential *r);

/*
 * The key of the proof that a secret makes: "token:<fingerprint>", "number:<fingerprint>".
 * Returns as txn_secret().
 */
int credential_secret_proof(struct txn *t, enum credential_type type, struct str secret,
			    char out[RECORD_PROOF_TEXT]) MUST_CHECK;

/* The same for what is no secret: "ssh-key:SHA256:...", "certificate:<name in lower case>". Cut
 * when it is longer than any that is kept. */
void credential_public_proof(enum credential_type type, struct str text,
			     char out[RECORD_PROOF_TEXT]);

/* Write a credential: old empty: a new one with its proof. Errors as txn_put(). */
int credential_put(struct txn *t, struct str old, const struct record_credential *r) MUST_CHECK;

/* Read one. Returns as txn_get(), ERR_IO when it is damaged. */
int credential_get(struct txn *t, const char *account, const char *id,
		   struct record_credential *out, const struct store_record **rec) MUST_CHECK;

/* The same secret is not good any more: was's proof is dropped, r's is written. */
int credential_renew_proof(struct txn *t, struct str old, const struct record_credential *was,
			   const struct record_credential *r) MUST_CHECK;

/* Drop it with its proof. Errors as txn_drop(). */
int credential_drop(struct txn *t, const struct record_credential *r) MUST_CHECK;

/* ---- owned.c ---- */

/* Note, or forget, that something belongs to an account. Errors as txn_put(). */
int owned_put(struct txn *t, const char *account, struct str kind, struct str key) MUST_CHECK;
int owned_drop(struct txn *t, const char *account, struct str kind, struct str key) MUST_CHECK;

/* ---- grant.c: what credentials allow, as long as sessions live from them ---- */

/*
 * The grant of whoever logged in, made when it is not there. Returns 0, ERR_LIMIT (the account's
 * quota of sessions), ERR_AUTH (revoked meanwhile), ERR_NOMEM, or what access_decide() says.
 */
int grant_join(struct member *m, const struct access_who *who,
	       char reason[CORE_REASON_TEXT]) MUST_CHECK;
void grant_leave(struct member *m);

/* Borrowed; NULL: the account has no session here. */
struct owner *grant_find_owner(struct core *c, struct str account);

/* Those of an account that are silent have to show that they live. */
void grant_rouse(const struct owner *o);

/* Their records have changed, or are gone: sessions that may not be any more end. */
void grant_on_account(struct core *c, const struct store_record *rec);
void grant_on_credential(struct core *c, const struct store_record *rec);

/* Such a record, if it is one of an account or a credential, was lost by the store: its sessions
 * end with ERR_IO, so that their agents come again. rec: kind and key. */
void grant_on_lost(struct core *c, const struct store_record *rec);

/* ---- quota.c: an account's sessions at all nodes ---- */

/* One session more. */
struct quota_ask {
	const char *account;
	const struct owner *owner;   /* NULL: it has none here */
	const struct member *member; /* the one that comes */
	uint64_t max;		     /* that it may have */
};

/*
 * Has the account as many as it may? Those at other nodes that the new one takes the place of do
 * not count.
 *   *n  set to what was counted.
 */
bool quota_is_full(const struct core *c, const struct quota_ask *ask, size_t *n) MUST_CHECK;

/* So one was refused: those elsewhere have to show that they live. */
void quota_refused(struct core *c, const char *account);

/* A session of it has come, or has gone: others are told at the end of the turn. */
void quota_changed(struct owner *o);

/* Its last grant is gone, and it is in no map any more: freed from here. */
void quota_gone(struct owner *o);

void quota_init(struct core *c);

/* Nobody is told any more. */
void quota_end(struct core *c);

/* ---- member.c ---- */

/* It stands in the way of another session of its account: if it was silent, ask for a sign of life
 * now. */
void member_rouse(struct member *m);

/* Does it give way at once? A session of SSH that owes an answer: agents that have a name of their
 * own take the place of their ghosts anyway, and come back when they are no ghosts. */
bool member_is_ghost(const struct member *m);

/* It serves nothing from now on; its owner is told at the end of the turn. */
void member_expel(struct member *m, int why, const char *reason);

/* ---- offer.c ---- */

/* See member_offer(). */
int offer_set(struct member *m, const struct str *services, size_t n, unsigned priority) MUST_CHECK;

/* Who is to serve a tunnel by its offer, as its record says. All borrowed. */
struct offer_terms {
	const char *service;
	const char (*agents)[CORE_AGENT_TEXT]; /* [n_agents] */
	size_t n_agents;
};

/* Is a member that offers to serve it? Whose tunnel it is does not count. */
bool offer_fits(const struct member *m, const struct offer_terms *t);

/* Let a member serve a tunnel by its offer, if that may be; its owner is told, and may make it
 * leave. */
void offer_give(struct member *m, const struct record_tunnel *r, uint64_t version);

/* Take back what a member serves by an offer that does not say so any more. The same. */
void offer_withdraw(struct member *m);

/* Its offer, or what it may, has changed: give it what it is to serve at the end of the turn.
 * Harmless for a member that does not offer. */
void offer_look(struct member *m);

/* The member goes. */
void offer_end(struct member *m);

/* ---- tunnel.c ---- */

/*
 * Let a member serve a tunnel; its own agent's older processes lose it.
 *   r       its record; it belongs to the member's account.
 *   reason  filled on failure.
 * Returns 0 (also when it does already), ERR_REPLACED, ERR_LIMIT, ERR_EXISTS (a later record says
 * that it is somebody else's), ERR_DENIED (the record names other agents), ERR_NOMEM.
 */
struct tunnel_serve_opt {
	unsigned priority; /* counts where the record names no agents */
	bool assigned;
};
int tunnel_serve(struct member *m, const struct record_tunnel *r, uint64_t version,
		 const struct tunnel_serve_opt *opt, char reason[CORE_REASON_TEXT]) MUST_CHECK;

/* One member serves it no longer. Frees s. event: "detach" or "replaced", for the log. */
void tunnel_leave(struct serving *s, const char *event);

/* The same, and its member is told why; its owner may close it in the middle of that. */
void tunnel_take_away(struct serving *s, int code, const char *reason);

/* The member's place in a tunnel, NULL if it has none. */
struct serving *tunnel_find_serving(struct member *m, struct str name);

/* Its agent says whether its target works. */
void tunnel_set_health(struct serving *s, bool up);

/* Its record has changed, or is gone: settings, custom domains and sessions follow. */
void tunnel_on_record(struct core *c, const struct store_record *rec);

/* The same was lost by the store, not deleted: the sessions that serve it end with ERR_IO, so that
 * their agents ask for the name again. Of other kinds than tunnels nothing happens. */
void tunnel_on_lost(struct core *c, const struct store_record *rec);

/* Another node serves it so: sessions of older processes of these agents lose it here. */
void tunnel_on_elsewhere(struct tunnel *t, const struct node_entry *entry);

/* The member's scope has changed: it loses, with ERR_DENIED, what it may not serve any more. */
void tunnel_recheck(struct member *m);

/*
 * May this member do that for this tunnel? Asked for each candidate of each dial, so it is kept
 * cheap: the clock is read only for credentials that end. Returns as access_decide().
 */
int tunnel_ask(const struct tunnel *t, const struct member *m, enum access_act act,
	       char reason[CORE_REASON_TEXT]) MUST_CHECK;

/* ---- tunnel_life.c ---- */

void tunnel_init(struct core *c);

/* As core_tunnel() and core_tunnel_at(), but none is made for that, and it is no visitor who asks:
 * for those who want to know who serves it. */
struct tunnel *tunnel_find(struct core *c, struct str name);
struct tunnel *tunnel_find_at(struct core *c, struct str host);

/* One that is not here yet. Returns 0 or ERR_NOMEM. */
int tunnel_new(struct core *c, const struct record_tunnel *r, uint64_t version,
	       struct tunnel **out) MUST_CHECK;

/*
 * Another node may serve it: let it be here as well, for as long as visitors come.
 *   r  its record. Of a tunnel that is here already nothing changes.
 * Returns it; NULL: nobody serves it, it is switched off, or memory is short.
 */
struct tunnel *tunnel_make(struct core *c, const struct record_tunnel *r, uint64_t version);

/* Make a tunnel what a record says. Returns 0 or, with nothing changed, ERR_NOMEM. */
int tunnel_set(struct tunnel *t, const struct record_tunnel *r, uint64_t version) MUST_CHECK;

/* Sessions have come or gone: when none serves it here, it stays only if another node does. */
void tunnel_settle(struct tunnel *t);

/* No session serves it. */
void tunnel_free(struct tunnel *t);

/* ---- visitor.c ---- */

/* A place is no more: its visitors end within so many milliseconds, see core_visitor.leave(). */
void visitor_leave_place(struct core *c, uint64_t place, uint64_t ms);

/* A tunnel is deleted or switched off: its visitors end now, also those of sessions that it was
 * taken away from before. */
void visitor_leave_tunnel(struct core *c, const char *tunnel);

/* ---- temporary.c ---- */

int temporary_new(struct core *c, struct temporaries **out) MUST_CHECK;
/* What is still to be dropped is left to the next start. NULL is allowed. */
void temporary_free(struct temporaries *l);

/*
 * Nobody serves a temporary tunnel any more: its record is dropped, unless somebody serves it
 * again by then, or has changed it.
 *   version  of the record, as it was known when the last session went.
 */
void temporary_left(struct core *c, const char *name, uint64_t version);

/* A node has gone: what was there only for it is dropped in a while, unless others serve it. */
void temporary_look(struct core *c);

/* Is this a temporary tunnel that nobody serves, here or elsewhere? Then it stands in nobody's way
 * who might use it. */
bool temporary_is_idle(struct core *c, const struct record_tunnel *r);

/*
 * Drop those that an earlier process has left; one that cannot be dropped stays until later.
 *   done  called once, never before this returns: 0, or ERR_CLOSED.
 * Returns 0 or, without a callback, ERR_NOMEM.
 */
int temporary_start(struct core *c, void (*done)(void *arg, int e), void *arg) MUST_CHECK;

/* ---- attach.c ---- */

/* See member_attach(). */
int attach_begin(struct member *m, const struct core_wish *wish,
		 void (*done)(void *arg, const struct core_attached *result), void *arg) MUST_CHECK;

/* The member goes: its questions are never answered. */
void attach_cancel_all(struct member *m);

/* ---- seen.c: agents that are, or were, here ---- */

struct agent_seen {
	struct map_entry entry; /* in core->agents */
	struct list link;	/* in seen.c's order: those without sessions, the oldest first */
	struct core_agent_info info;
	char key[CORE_ID_TEXT + CORE_AGENT_TEXT];
};

void seen_join(struct member *m);
void seen_leave(struct member *m);
/* NULL: it is not, or was too long ago. */
const struct agent_seen *seen_find(struct core *c, const char *account, const char *agent);
void seen_free_all(struct core *c);

/* ---- refresh.c: what other nodes have changed ---- */

int refresh_new(struct core *c, struct refresh **out) MUST_CHECK;
void refresh_free(struct refresh *r);

/* Something lives here whose record is to be read at once, and then again and again. */
void refresh_add(struct core *c, struct str kind, struct str key);

/* The same for what has just been read. */
void refresh_watch(struct core *c);

/* May n more records be told of by core_on_written_elsewhere(), and all be read? */
bool refresh_has_room(const struct core *c, size_t n);

/* What has come of a record was not taken, with this error: for want of memory it is read again
 * soon; one that is damaged stays so. */
void refresh_unread(struct core *c, int e);

/* Does a record of this version say something else than what is known here? Only a later one does,
 * unless the store has lately gone back. */
bool refresh_is_news(const struct core *c, uint64_t version, uint64_t known);

/* ---- news.c: what anybody has written lately ---- */

int news_new(struct core *c, struct news **out) MUST_CHECK;
void news_free(struct news *n);

/* Something lives here that may change: begin to ask, if that has not begun. */
void news_watch(struct core *c);

/* What was written, or told of, may not have been read. */
void news_doubt(struct core *c);

/*
 * Has everything that was written been told, or read since?
 *   served_ms  everything that lives here has been read again in each CORE_REFRESH_MS up to here.
 */
bool news_is_whole(const struct core *c, uint64_t served_ms);

#endif
