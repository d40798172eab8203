/* What the files of a channel's wire share: private to session/secsh_wire*. */
#ifndef KAREZ_SESSION_SECSH_WIRE_INSIDE_H
#define KAREZ_SESSION_SECSH_WIRE_INSIDE_H

#include "session/secsh_wire.h"

/* In which of its link's lists a channel is, and why. */
enum secsh_state {
	SECSH_ASKED,   /* by the peer, not answered: in none, there is no channel */
	SECSH_OPENING, /* by us, not answered: opening */
	SECSH_OPEN,    /* in none */
	SECSH_CLOSING, /* its owner has closed it: closing, until this turn's end */
	SECSH_LEAVING, /* our CLOSE is sent, the peer's has not come: leaving */
	SECSH_GONE,    /* nothing more can be said about it: gone, until it can be freed */
	SECSH_FREED,   /* there is no channel any more */
};

struct secsh_wire {
	struct wire wire;	 /* first: the two are the same pointer */
	struct secsh_link *link; /* weak: NULL when the session is dead */
	enum secsh_state state;
	ssh_channel ch;	 /* owned */
	ssh_message ask; /* owned; SECSH_ASKED */
	struct ssh_channel_callbacks_struct callbacks;
	struct list among; /* in link->wires */
	struct list in;	   /* in the list of its state */
	struct list writer;
	struct list gather; /* in link->gathering */
	unsigned n_large;   /* large packets since bytes last waited for more */
	struct ev_task tell;
	int wanted;
	int why; /* broken, and why */
	uint64_t opened_ms;

	struct buf rx; /* taken from libssh, unread; at most SECSH_HELD_MAX and what came back */
	size_t held;   /* bytes that libssh has, unread */
	struct str rx_direct; /* being delivered right now, in libssh's buffer */
	struct str view;      /* what the last read lent */
	bool view_in_rx, in_direct;
	bool rx_any, rx_eof, rx_closed, eof_read;
	bool is_stream;		  /* counted in n_streams */
	struct secsh_proof proof; /* of the size of the peer's packets */
	bool shut;		  /* by the owner */
	bool shut_sent;		  /* and the peer has been told */
	bool failed;		  /* a write has said that it is broken: no use to go on reading */
	bool told_broken, closed; /* by its owner */
};

/* secsh_wire.c */
void secsh_wire_move(struct secsh_wire *s, enum secsh_state to);
/* Its owner and its channel are gone. */
void secsh_wire_free(struct secsh_wire *s);
/* Tell the owner what holds, now; a task. */
void secsh_wire_tell(void *arg);
/* Tell it at the end of the turn, if there is something to tell. */
void secsh_wire_update(struct secsh_wire *s);
/* It is broken from now on, unless it is already. */
void secsh_wire_break(struct secsh_wire *s, int why);
/* Has the peer's answer to our open come, as far as libssh knows? */
bool secsh_wire_is_answered(struct secsh_wire *s);
void secsh_wire_send_eof(struct secsh_wire *s);
/* It does not want to write any more. */
void secsh_wire_unwrite(struct secsh_wire *s);

#endif
