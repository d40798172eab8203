/* What the files of the roster share. */
#ifndef KAREZ_CLUSTER_ROSTER_INTERNAL_H
#define KAREZ_CLUSTER_ROSTER_INTERNAL_H

#include "base/map.h"
#include "cluster/roster.h"
#include "core/digest.h"
#include "ev/log_pace.h"
#include "proto/node_message.h"

/* ---- roster_seal.c: whom to believe ---- */

/* Numbers that came already; all zero: none. */
struct roster_window {
	uint64_t high; /* the highest */
	uint64_t bits; /* bit n: high - n came */
};

/* Does it come for the first time, and is it not too old to know? n > 0. */
bool roster_window_take(struct roster_window *w, uint64_t n) MUST_CHECK;

/* Nothing up to n counts any more. */
void roster_window_from(struct roster_window *w, uint64_t n);

/* The key of seals, from the cluster's: what else that is used for tells nothing of this one.
 * Returns 0 or ERR_NOMEM. */
int roster_seal_key(const uint8_t key[ROSTER_KEY_LEN], uint8_t out[DIGEST_LEN]) MUST_CHECK;

/* Seal what the pen has written, in place; NODE_MESSAGE_SEAL bytes of room must be behind it.
 * Returns 0 or ERR_NOMEM. */
int roster_seal(const uint8_t key[DIGEST_LEN], struct pen *pen, struct str *out) MUST_CHECK;

/* The sealed part of a message, if the seal is right. Returns 0, ERR_AUTH, ERR_NOMEM. */
int roster_unseal(const uint8_t key[DIGEST_LEN], struct str message, struct str *out) MUST_CHECK;

/* ---- roster_list.c: what we serve ---- */

/* How far somebody has been told the list. */
struct roster_feed {
	struct list link;  /* list.feeds, while it is used */
	struct list *next; /* the item to be told next, or the list's head */
	uint64_t at;	   /* all changes up to here are told */
};

struct roster_list {
	struct map items;     /* by key: struct roster_item */
	struct list order;    /* the same by their last change */
	struct list removed;  /* of these, those that are not there any more */
	struct list feeds;    /* struct roster_feed */
	uint64_t seq;	      /* the last change */
	uint64_t floor;	      /* of the last removal that was forgotten */
	size_t n, n_accounts; /* that are there: tunnels, accounts */
	size_t n_removed;
};

void roster_list_init(struct roster_list *l, const uint8_t seed[16]);
void roster_list_free(struct roster_list *l);

/*
 * A tunnel is served so, an account has these sessions here.
 *   kind  NODE_ITEM_SERVES, NODE_ITEM_HOLDS.
 *   name  at most HOSTNAME_MAX bytes, as an item's.
 *   text  its entry, what it has; empty: not any more.
 * Returns 0 (also when nothing is new) or ERR_NOMEM.
 */
int roster_list_set(struct roster_list *l, enum node_message_item_kind kind, struct str name,
		    struct str text) MUST_CHECK;

/* From the change after `since` on; what was under way for this feed is over. */
void roster_feed_begin(struct roster_list *l, struct roster_feed *f, uint64_t since);
void roster_feed_end(struct roster_feed *f);

/*
 * Write the next piece.
 *   m    its span is set here; the rest by the caller.
 *   *to  where the feed is once this was sent: for roster_feed_move().
 */
void roster_feed_write(const struct roster_list *l, const struct roster_feed *f,
		       struct node_message *m, struct pen *pen, struct roster_feed *to);
void roster_feed_move(struct roster_feed *f, const struct roster_feed *to);

/* ---- roster_copy.c: what others serve ---- */

struct roster_peer;

/* A copy of another node's list. */
struct roster_copy {
	struct map names;    /* of tunnels: struct roster_copy_item */
	struct map accounts; /* struct roster_copy_held */
	uint64_t at;	     /* it is right for all changes up to here */
	uint64_t head;	     /* the highest that was heard of */
	uint64_t start;	     /* the list's last change when it was told from its beginning */
	unsigned pass;	     /* which telling from the beginning; items of older ones may be gone */
	bool sweeping;	     /* there are such items */
	bool full;	     /* it has more than we keep */
	bool asked;	     /* a want is under way, or more is to come by itself */
	struct ev_timer again; /* when it must have come */
};

void roster_copy_init(struct roster_peer *p);
void roster_copy_free(struct roster_peer *p);

/* A beat or welcome, a piece of the list. */
void roster_copy_beat(struct roster_peer *p, const struct node_message *m);

/* Adds the account's sessions there to *out. */
void roster_copy_held(const struct roster_copy *c, struct str account,
		      const struct node_entry_agent *own, struct core_held *out);
void roster_copy_changes(struct roster_peer *p, const struct node_message *m);

/* ---- roster_meet.c: who is there ---- */

/* A stranger who was asked to prove that it lives. All zero: none. */
struct roster_call {
	char id[NODE_ID_TEXT];
	uint64_t epoch;
	char nonce[NODE_MESSAGE_NONCE + 1];
	uint64_t since_ms, asked_ms;
};

/* Another node. */
struct roster_peer {
	struct roster *r; /* borrowed: owns us */
	struct map_entry by_id;
	struct roster_node said;
	uint64_t said_count; /* number of the message that said so */
	struct roster_window heard, orders;
	uint64_t met_ms, met_count; /* when its answer came that proved it alive, and its number */
	struct roster_copy copy;
	struct roster_feed feed; /* of our list, to it */
	struct list turn;	 /* r->wanting, while the feed is used */
};

struct roster_peer *roster_find(const struct roster *r, const char *id);

/* A message of somebody who is not known, or of another process than the one that is. */
void roster_meet(struct roster *r, const struct node_message *m);

/* A challenge of somebody. */
void roster_answer(struct roster *r, const struct node_message *m);

/* What it says of itself. Returns 0 or ERR_TOOBIG (then nothing of it counts). */
int roster_hear_said(struct roster_peer *p, const struct node_message *m) MUST_CHECK;

/* It is gone; and who has this id has to prove itself anew. Harmless when it is not known. */
void roster_lose(struct roster *r, const char *id, const char *why);

/* Without a word to the owner. */
void roster_peer_free(struct roster_peer *p);

/* ---- roster.c ---- */

struct roster_order {
	struct list link;
	struct core_order order;
	uint64_t number;
	unsigned left; /* times that it is told */
};

struct roster {
	struct ev *ev;
	struct log *log; /* borrowed, as these three */
	struct bus *bus;
	const struct roster_owner *owner;
	void *arg;
	uint8_t key[DIGEST_LEN];
	struct roster_node self;
	uint64_t count;	     /* of the last message */
	struct map peers;    /* by id: struct roster_peer, owned */
	struct list wanting; /* struct roster_peer whose feeds are not at the end */
	struct roster_list list;
	struct roster_feed live; /* what was told to all */
	struct roster_call calls[ROSTER_CALLS_MAX];
	uint64_t answers_ms; /* when this second began, */
	unsigned n_answers;  /* and answers to strangers in it */
	uint64_t rooms_ms;   /* the same for roster_room() */
	unsigned n_rooms;
	struct list orders; /* struct roster_order, owned */
	size_t n_orders;
	uint64_t order_number; /* of the last one */
	struct buf wrote;      /* items that are told at the end of the turn */
	struct ev_timer beat, pump;
	struct ev_task flush;
	bool started, beat_now;
	struct log_pace pace;
	struct roster_counts counts;
	char out[BUS_MESSAGE_MAX]; /* the message that is being written */
};

/* Begin a message: the next number, and room for the seal. */
struct pen roster_begin(struct roster *r, enum node_message_kind kind, const char *to,
			struct node_message *m);

/* Write what we say of ourselves. */
void roster_fill_said(const struct roster *r, struct node_message *m);

/* Seal and send it to m->to. Returns as bus_send(). */
int roster_send(struct roster *r, const struct node_message *m, struct pen *pen);

/* A message that counts for nothing. */
void roster_refuse(struct roster *r, uint64_t *count, const char *why, const char *from);

/* May one more of *n be sent? max a second; *since_ms: when this second began. */
bool roster_may(const struct roster *r, uint64_t *since_ms, unsigned *n, unsigned max);

/* More of our list is to be told. */
void roster_pump_soon(struct roster *r);

#endif
