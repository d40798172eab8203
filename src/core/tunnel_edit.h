/*
 * One tunnel as somebody wants it to be, within a transaction: what is there, whether the asker
 * may, what it will be, its port, its records. Single changes and whole lists are made of the same.
 *
 * The functions belong into a transaction's run and return 0, ERR_AGAIN, one of the store's errors,
 * or a refusal that stands in the call's answer. They are free to be run again: what is kept from
 * one run to the next is the name, and the port that was chosen and taken.
 */
#ifndef KAREZ_CORE_TUNNEL_EDIT_H
#define KAREZ_CORE_TUNNEL_EDIT_H

#include "core/manage_internal.h"
#include "core/place.h"
#include "core/tunnel_txn.h"

/* Ports that are tried when one is to be chosen. */
#define TUNNEL_EDIT_PORTS_MAX 32

struct tunnel_edit {
	/* Set before the first run. */
	struct manage *m; /* borrowed: the call that it is part of */
	enum manage_mode mode;
	bool keep;
	bool by_route, temporary; /* see manage_tunnel_change() */
	unsigned set;
	struct record_tunnel *to;    /* borrowed: what is set; brought into its usual form */
	struct record_tunnel *old;   /* borrowed: room for what is there */
	struct record_tunnel *r;     /* borrowed: room for what it will be */
	uint64_t expected;	     /* its version */
	char account[CORE_ID_TEXT];  /* whose it is, if it is made */
	char name[HOSTNAME_MAX + 1]; /* see tunnel_edit_name() */
	bool random;		     /* nobody asked for this name */
	int name_e;		     /* why it is no name */
	char name_reason[CORE_REASON_TEXT];
	/*
	 * Does this transaction take that route away from this tunnel, later on? For lists; may be
	 * NULL: it does not.
	 */
	bool (*leaves)(void *arg, const char *tunnel, const char *route);
	void *arg; /* of leaves */

	/* Of this run. */
	const struct store_record *rec; /* what is there, as it is stored; NULL: it is made */
	bool made;
	bool same;  /* what is there says all of it already */
	bool taken; /* the name is somebody else's */
	bool found; /* by its route */
	/* A temporary tunnel that nobody serves, and that has the port: it goes. "": none. */
	char idle[HOSTNAME_MAX + 1];

	/* Kept. */
	unsigned n_names;	  /* random ones that were tried */
	unsigned n_ports;	  /* the same */
	uint16_t chosen;	  /* the port that is being tried; 0: none yet */
	struct reservation *held; /* owned: a port, by what follows; see tunnel_edit_release() */
	uint16_t held_port;
	char held_bind[RECORD_BIND_TEXT];
};

/* ---- tunnel_edit.c ---- */

/* What it is called. name: as asked for, any case; empty: a random one is drawn. */
void tunnel_edit_name(struct tunnel_edit *x, struct str name);

/* Find what is there: fills rec, made and *old; ERR_EXISTS, ERR_NOTFOUND, ERR_CONFLICT by mode. */
int tunnel_edit_find(struct tunnel_edit *x, struct txn *t) MUST_CHECK;

/* Make *r what it will be, of what is there and what is wanted; its port is still 0 when it is to
 * be chosen. After tunnel_edit_check(). */
int tunnel_edit_merge(struct tunnel_edit *x) MUST_CHECK;

/* Read *old again: another edit has used its room. */
int tunnel_edit_read_old(struct tunnel_edit *x) MUST_CHECK;

/* Write *r: the tunnel, its route and what is owned; without custom domains. */
int tunnel_edit_write(struct tunnel_edit *x, struct txn *t) MUST_CHECK;

/* Take and leave custom domains; they are proven. */
int tunnel_edit_write_domains(struct tunnel_edit *x, struct txn *t) MUST_CHECK;

/* ---- tunnel_edit_check.c ---- */

/* Is what is wanted well formed? Brings x->to into its usual form. */
int tunnel_edit_check(struct tunnel_edit *x) MUST_CHECK;

/* Does it fit a tunnel of this kind? */
int tunnel_edit_check_kind(struct tunnel_edit *x, enum tunnel_kind kind) MUST_CHECK;

/* What the API calls the custom domains of such a tunnel. */
const char *tunnel_edit_domains_field(enum tunnel_kind kind);

/* ---- tunnel_edit_port.c ---- */

/*
 * The port of *r, when it is new to the tunnel: choose one if it is 0, see that it is nobody's, and
 * hold it.
 */
int tunnel_edit_port(struct tunnel_edit *x, struct txn *t) MUST_CHECK;

/* Give back what is held. Harmless when nothing is. */
void tunnel_edit_release(struct tunnel_edit *x);

#endif
