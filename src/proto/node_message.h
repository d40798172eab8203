/*
 * What nodes tell each other: short texts of lines.
 *
 *	karez/1 <kind> <from> <epoch> <count> <to>	ids of 16 hex digits; to: "*" for all
 *	<word> <value>					what the kind needs
 *	<word> <value>					items: "+", "-", "=" and "wrote"
 *	<seal>						64 hex digits, no newline
 *
 * Kinds, and the words they need:
 *	beat     at				I live, and this is how I am
 *	hello    nonce				whoever you are: do you live now?
 *	welcome  nonce at			I do: your nonce, and what a beat says
 *	changes  span, items "+", "-" and "="	a piece of the list of what I serve, and of whose
 *						sessions I have
 *	want     since				tell me your list from there on
 *	wrote    items "wrote"			records that I have written
 *	order    order tunnel account		to be done by every node; "session"
 *						for "end": only that one
 *	room     account			it has as many sessions as it may: are yours alive?
 *	bye					I go
 *
 * Numbers are hexadecimal, lower case, without leading zeros. Words and kinds that this version
 * does not know are skipped, so that nodes of two versions live together.
 */
#ifndef KAREZ_PROTO_NODE_MESSAGE_H
#define KAREZ_PROTO_NODE_MESSAGE_H

#include "proto/hostname.h"
#include "proto/node_entry.h"
#include "proto/pen.h"

/* Bytes of a seal, of a nonce, and of the longest value of "hop", "local", "machine", "agents",
 * "version", "account", "reason" and "what". */
enum { NODE_MESSAGE_SEAL = 64, NODE_MESSAGE_NONCE = 32, NODE_MESSAGE_TEXT_MAX = 255 };

/* Bytes of the kind and of the key of a record that was written, and of an account in an item, at
 * most. */
enum { NODE_MESSAGE_KIND_MAX = 32, NODE_MESSAGE_KEY_MAX = 400, NODE_MESSAGE_ACCOUNT_MAX = 64 };

enum node_message_kind {
	NODE_MESSAGE_BEAT,
	NODE_MESSAGE_HELLO,
	NODE_MESSAGE_WELCOME,
	NODE_MESSAGE_CHANGES,
	NODE_MESSAGE_WANT,
	NODE_MESSAGE_WROTE,
	NODE_MESSAGE_ORDER,
	NODE_MESSAGE_ROOM,
	NODE_MESSAGE_BYE,
	NODE_MESSAGE_OTHER, /* of a later version; never written */
};

/*
 * A value; texts are borrowed from what was read, empty when they were not said. Every change of a
 * list has a number; the removals up to `floor` are forgotten.
 */
struct node_message {
	enum node_message_kind kind;
	char from[NODE_ID_TEXT];
	char to[NODE_ID_TEXT]; /* "": all */
	uint64_t epoch;	       /* of the sender */
	uint64_t count;	       /* never twice in one epoch; > 0 */
	char nonce[NODE_MESSAGE_NONCE + 1];

	/* "at <told> <head> <floor> <n>": the last change that was told to all, the list's last,
	 * and how many tunnels it has; told <= head.
	 * "span <after> <upto> <head> <floor>": the items are all that was changed last by a change
	 * in (after, upto]; after <= upto <= head. */
	uint64_t told, head, floor, n, after, upto;
	uint64_t since;	     /* "since <n>" */
	uint64_t n_accounts; /* "accounts <n>" of a list; 0 is not said */

	/* What a node says of itself: "hop <text>" and so on; "load <sessions> <visitors>". */
	struct str hop, local, machine, agents, version;
	uint32_t sessions, visitors;
	bool draining; /* "draining 1" */

	uint64_t order; /* "order <n> <what>": the sender's n-th, > 0 */
	struct str what, tunnel, account, reason;
	uint64_t session; /* "session <n>", > 0; 0: not said */

	struct str items; /* for node_message_next() */
};

/* NODE_ITEM_HOLDS is not known to all versions: a beat's "at" does not count such rows. */
enum node_message_item_kind { NODE_ITEM_SERVES, NODE_ITEM_NOT, NODE_ITEM_HOLDS, NODE_ITEM_WROTE };

/* One line of the items; borrowed from them. */
struct node_message_item {
	enum node_message_item_kind kind;
	struct str name; /* a tunnel, lower case; an account; NODE_ITEM_WROTE: the record's kind */
	/* NODE_ITEM_SERVES: its entry; NODE_ITEM_HOLDS: for node_held_parse(), which takes it;
	 * NODE_ITEM_WROTE: the record's key */
	struct str text;
};

/* Is it 16 of 0-9 a-f? */
bool node_message_id_ok(struct str id);

/*
 * Write all but items and seal; pen->full if it does not fit.
 *   m  complete for its kind; words that the kind does not have are not looked at.
 */
void node_message_write(struct pen *pen, const struct node_message *m);

/*
 * Add an item.
 * Returns false if it does not fit, or cannot be written (a key with control characters); then
 * nothing was written, and the pen is as before.
 */
bool node_message_add(struct pen *pen, const struct node_message_item *item) MUST_CHECK;

/* Take a message apart: what is sealed, and the seal. False if it is too short for one. */
bool node_message_split(struct str message, struct str *sealed, struct str *seal) MUST_CHECK;

/*
 * Read what is sealed, items too.
 *   *out  set on success; borrows from s.
 * Returns 0, ERR_UNSUPPORTED (another version's syntax) or ERR_PROTO (syntax; a word twice; one
 * that the kind needs is missing; a name, entry or text that cannot be).
 */
int node_message_parse(struct str s, struct node_message *out) MUST_CHECK;

/*
 * The next item.
 *   items   in: what is left, at first a copy of node_message.items; out: shortened.
 *   *entry  set for NODE_ITEM_SERVES.
 * Returns false at the end.
 */
bool node_message_next(struct str *items, struct node_message_item *item, struct node_entry *entry);

#endif
