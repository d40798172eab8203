/* What the files of the SSH door share: private to gateway/. */
#ifndef KAREZ_GATEWAY_GATEWAY_SSH_H
#define KAREZ_GATEWAY_GATEWAY_SSH_H

#include "gateway/gateway_internal.h"
#include "proto/ssh_forward.h"
#include "proto/ssh_words.h"
#include "session/secsh_node.h"

/*
 * The words of a command come behind the forwards: so long these wait for somebody to look, as
 * `ssh -N` never does, and so long for the words of whoever has begun to.
 */
#define GATEWAY_SSH_HOLD_MS 250
#define GATEWAY_SSH_LOOK_MS 5000

/*
 * A stock client cannot be told to go elsewhere first, and its tunnels are gone from the moment its
 * session ends until it has dialled again, if it does at all. So while the server drains a session
 * goes on serving whoever comes. It ends when no visitor has been there for a moment and its
 * tunnels are served by another node as well, for then nobody misses it; or for longer, for then
 * nobody comes any more, and the sooner its client dials again the better; or when the drain is
 * over.
 */
#define GATEWAY_SSH_QUIET_MS  1000
#define GATEWAY_SSH_UNUSED_MS 5000
/* It is looked so often. */
#define GATEWAY_SSH_LEAVE_MS 250

/* Forwards that were too many, and are kept beside the others until somebody reads that. */
#define GATEWAY_SSH_EXCESS_MAX 16

/* Bytes of what a peer said, as it is shown: cut there, NUL included. */
#define GATEWAY_SSH_SHOWN 128

/* One connection, from its first byte to its end. */
struct gateway_ssh {
	struct gateway_entry entry; /* first; in gateway->starts until it has logged in */
	struct ev_timer grace;	    /* for logging in */
	struct ev_timer hold;	    /* for words to come */
	struct ev_timer idle;
	struct ev_timer leave; /* while the server drains */
	uint64_t used_ms;      /* then: when it was last seen that a visitor was served */
	bool open; /* it has logged in, and is one of gateway->sessions */

	/* who it is */
	struct login *login; /* owned; NULL: nothing is being judged */
	uint8_t net[16];     /* the address, or its /64 */
	enum secsh_method method;
	char user[SECSH_USER_MAX];
	size_t user_len;
	char fingerprint[64];	       /* of the key that was last tried; may be empty */
	struct buf certificate;	       /* that was last tried; empty: none */
	char number[CORE_NUMBER_TEXT]; /* of an account made now, until it was shown */

	/* what it serves */
	struct list forwards; /* of gateway_ssh_forward, oldest first */
	size_t n_forwards;    /* SECSH_FORWARDS_MAX and GATEWAY_SSH_EXCESS_MAX at most */
	size_t n_attaches;    /* GATEWAY_ATTACHES_MAX at most */
	bool settled;	      /* nobody has to wait for words */
	bool spoiled;	      /* the words were wrong, or asked for help: no forward is made */
	bool named;	      /* the word name= has been used */
	bool named_by_user;   /* and the user's name */
	struct ssh_words words;

	/* who looks */
	bool looking;  /* somebody does */
	bool shown;    /* and has said how: lines can be written */
	bool terminal; /* lines for people, as things happen */
};

/* What became of a request. */
enum gateway_ssh_state {
	GATEWAY_SSH_HELD,  /* it waits for words */
	GATEWAY_SSH_READ,  /* it is understood, and needs a name */
	GATEWAY_SSH_ASKED, /* the core has not answered yet */
	GATEWAY_SSH_SERVED,
	GATEWAY_SSH_REFUSED, /* the peer knows; kept for whoever looks later */
};

struct gateway_ssh_forward {
	struct list link;
	struct gateway_ssh *ssh; /* borrowed: its end frees us */
	enum gateway_ssh_state state;
	uint64_t id; /* of the request */
	char address[SECSH_ADDRESS_MAX];
	size_t address_len;
	uint16_t port;
	struct ssh_forward wanted;
	bool stays;	/* its tunnel has a name that was asked for: its record stays */
	bool by_user;	/* it is tried under the user's name */
	bool unasked;	/* its address is what ssh sends when nobody says one */
	bool cancelled; /* while it was asked */
	int why;	/* of REFUSED */
	char *reason;	/* owned; NULL: memory was short, or there is none */
	char tunnel[HOSTNAME_MAX + 1];
	char (*urls)[CORE_URL_TEXT]; /* owned; [n_urls] */
	size_t n_urls;
};

/* ---- gateway_ssh.c: the door ---- */

/* May one more line about what peers ask for be logged? */
bool gateway_ssh_may_log(const struct gateway_ssh *s);

/* ---- gateway_ssh_session.c: from the login to the end ---- */

/* Somebody has logged in: it becomes a session, or is told why not. */
void gateway_ssh_begin(struct gateway_ssh *s, const struct core_login *login);

/* Tell the peer why and end it; also before it has logged in. */
void gateway_ssh_end(struct gateway_ssh *s, int why, struct str reason);

/* Something has come or gone: may it stay for ever? */
void gateway_ssh_watch(struct gateway_ssh *s);

extern const struct secsh_node_owner gateway_ssh_owner;

/* A login, as secsh_node_owner has it: gateway_ssh.c. */
void gateway_ssh_on_try(void *arg, const struct secsh_login *l);

/* ---- gateway_ssh_forward.c ---- */

/* As secsh_node_owner and member_owner have them. */
void gateway_ssh_on_forward(void *arg, uint64_t id, struct str address, uint16_t port);
void gateway_ssh_on_unforwarded(void *arg, int e, struct str address, uint16_t port);
void gateway_ssh_on_cancelled(void *arg, uint64_t id);
void gateway_ssh_on_detached(void *arg, const char *tunnel, int why, const char *reason,
			     uint64_t drain_ms);

/* Nobody has to wait for words any more: all that is held goes on. */
void gateway_ssh_settle(struct gateway_ssh *s);

/* Forwards in one state. */
size_t gateway_ssh_n(const struct gateway_ssh *s, enum gateway_ssh_state state);

/* Somebody has read why. */
void gateway_ssh_forget_refused(struct gateway_ssh *s);

/* The session has ended, its member has left: forget them all. */
void gateway_ssh_forget(struct gateway_ssh *s);

/* ---- gateway_ssh_screen.c: what a person, or a program, reads ---- */

/* Nothing is written while nobody reads. */
void gateway_ssh_screen_served(struct gateway_ssh *s, const struct visit *visit,
			       const struct core_served *what);
void gateway_ssh_screen_forward(struct gateway_ssh *s, const struct gateway_ssh_forward *f);
void gateway_ssh_screen_refused(struct gateway_ssh *s, const struct gateway_ssh_forward *f);
/* code: an ERR_*; 0: the peer itself has given it up. reason: NUL-terminated ASCII. */
void gateway_ssh_screen_detached(struct gateway_ssh *s, const char *tunnel, int code,
				 const char *reason);

/* All that is known when somebody begins to look. Forgets the refusals and the number. */
void gateway_ssh_screen_begin(struct gateway_ssh *s);

/* Why it was refused; never NULL. */
const char *gateway_ssh_reason(const struct gateway_ssh_forward *f);

/* A line for people; programs get nothing. */
void gateway_ssh_screen_say(struct gateway_ssh *s, const char *text);

#endif
