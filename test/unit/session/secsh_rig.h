/*
 * A node's session of SSH and a client of it, over a socket pair on a real loop. The client is a
 * link too, so it can be anything from well-behaved to hostile.
 */
#ifndef KAREZ_UNIT_SECSH_RIG_H
#define KAREZ_UNIT_SECSH_RIG_H

#include "session/secsh_wire.h"

#define RIG_FORWARDS 80
#define RIG_TEXT     4096

struct rig;

/* The client. */
struct rig_peer {
	struct secsh_link link; /* first */
	struct rig *rig;
	bool connected, asked_none, up;
	/* Log in: SSH_AUTH_AGAIN until it is decided. */
	int (*login)(struct rig_peer *p);
	int login_result;
	int (*const *steps)(struct rig_peer *p);
	size_t n_steps;
	ssh_channel channel, second; /* the test's own */
	struct ssh_channel_callbacks_struct callbacks;
	/* Called after packets were handled, when it has been admitted. */
	void (*go_on)(struct rig_peer *p);
	/* A visitor has come; NULL: taken and kept in served. */
	void (*visit)(struct rig_peer *p, ssh_message m);
};

struct rig_forward {
	uint64_t id;
	char address[SECSH_ADDRESS_MAX + 1];
	uint16_t port;
};

/* What the node's owner has been told, and how it behaves. */
struct rig {
	struct ev *ev;
	struct session *node;  /* NULL when it has ended */
	struct rig_peer *peer; /* NULL: there is none, or it has ended */
	bool gone;	       /* it has, and why: */
	int gone_why;
	char gone_reason[SESSION_REASON_MAX + 1];
	struct wire *served[16]; /* the client's ends of visits */
	size_t n_served;
	ssh_key key; /* of the client */
	struct secsh_share *share;
	ssh_message unanswered; /* of a test's own */
	unsigned methods, tries_max;

	bool admits, admits_later, grants_later;
	const char *banner;
	int logins;
	struct secsh_login last; /* its texts: */
	char user[SECSH_USER_MAX + 1], text[RIG_TEXT];
	uint8_t blob[RIG_TEXT];
	struct rig_forward forwards[RIG_FORWARDS];
	size_t n_unforwarded; /* refused without asking; why, and which port, the last one was: */
	int unforwarded_why;
	uint16_t unforwarded_port;
	size_t n_forwards, n_cancelled;
	uint64_t cancelled;
	int looking, worded;
	char command[SECSH_COMMAND_MAX + 1], typed[RIG_TEXT], refused[RIG_TEXT];
	size_t n_typed;
	char shown[RIG_TEXT]; /* to the client */
	size_t n_shown;
	bool is_blind; /* it does not read what it is shown */
	bool terminal, left;
	bool over;
	int why;
	char reason[SESSION_REASON_MAX + 1];

	/* Between the two ends: nothing, or a path of ours. */
	struct rig_path *path; /* NULL: they are joined */
	int raw;	       /* our end of the node's connection when there is no client; -1 */

	bool (*until)(struct rig *r);
	struct ev_timer deadline, tick;
	unsigned n_ticks;
	void *arg; /* the test's own */
};

/* For a whole program: the host keys, in a directory that is removed again. */
int rig_setup(void **state);
int rig_teardown(void **state);
struct secsh_keys *rig_keys(void);

/* A loop, a node's session and a client that is about to connect and to log in by a key. */
struct rig *rig_new(void);
/* The same, with what the node offers: bits 1 << SECSH_*. */
struct rig *rig_new_methods(unsigned methods);
/* The same over a connected pair of descriptors, which become its own. */
struct rig *rig_new_fds(const int fd[2]);
/* The same, but the bytes go through rig_carry(): so many at a time in each direction. */
struct rig *rig_new_path(size_t piece);
/* A node's session, and r->raw to write to it. */
struct rig *rig_new_raw(void);
int rig_login_by_key(struct rig_peer *p);
/* On a path: may bytes pass to the node, and to the client? */
void rig_let(struct rig *r, bool to_node, bool to_client);
/* All ends, whatever has happened. */
void rig_free(struct rig *r);

/* Run the loop until it holds; fails the test after ten seconds of it. */
void rig_run(struct rig *r, bool (*until)(struct rig *r));
/* Run the loop for so long. */
void rig_run_ms(struct rig *r, uint64_t ms);

bool rig_is_up(struct rig *r);
bool rig_is_over(struct rig *r); /* the node's session has ended */
bool rig_is_gone(struct rig *r); /* the client's has */

/*
 * One after the other, whenever the client may go on: each returns SSH_AGAIN to be called again.
 * Fails the test when one returns SSH_ERROR.
 */
void rig_steps(struct rig *r, int (*const *steps)(struct rig_peer *p), size_t n_steps);

/* Connected, admitted, and the forward address:port granted as tunnel "demo". */
void rig_start(struct rig *r, const char *address, uint16_t port);

/* A visit of this tunnel. */
int rig_visit(struct rig *r, const char *tunnel, struct wire **out);

#endif
