/* A server and targets made of memory wires, for the tests of the agent. */
#ifndef KAREZ_TEST_UNIT_AGENT_FAKE_SERVER_H
#define KAREZ_TEST_UNIT_AGENT_FAKE_SERVER_H

#include "agent/agent_net.h"
#include "session/mux.h"

#define FAKE_TEXT     256
#define FAKE_DIALS    64
#define FAKE_SESSIONS 64

/* An attach that is not answered yet. */
struct fake_held {
	uint64_t ref;
	char name[64];
};
#define FAKE_HELD 80

/* A node of a cluster. */
struct fake_node {
	uint16_t port; /* of an address of its own */
	const char *id;
	int dial_error; /* as struct fake has them, but of this one */
	const char *refuse;
};
#define FAKE_NODES 4

/* One connection that an agent has made. */
struct fake_session {
	struct fake *fake;
	struct wire *wire;	 /* owned until the mux has it; for faults it is known for longer */
	struct wire *cable;	 /* weak: the agent's end, to cut or freeze */
	struct session *session; /* NULL: not yet, or no more */
	struct fake_node *node;	 /* that it is with; NULL: there are none */
	char nodes[FAKE_TEXT];	 /* Karez-Nodes */
	unsigned carrier;
	bool websocket;
	uint64_t at_ms;
	int closed_why; /* how the agent ended it */
	char closed_reason[FAKE_TEXT];
	unsigned n_attached, n_detached, n_draining, n_offers, n_health;
	char attached[FAKE_TEXT];    /* the name it attached last */
	char attach_line[FAKE_TEXT]; /* all of that line */
	char offer_line[FAKE_TEXT], health_line[FAKE_TEXT], detach_line[FAKE_TEXT]; /* the last */
	struct fake_held held[FAKE_HELD];
	size_t n_held, n_again; /* attaches that are held; that did not mean to change anything */
};

/* A target's end of a visit. */
struct fake_target {
	struct wire *wire; /* owned; NULL when closed */
	char got[4096];
	size_t n_got;
	bool eof;
	int why;
};

struct fake {
	struct agent_net net; /* first: the two are the same pointer */
	struct ev *ev;
	struct mux_budget budget;

	/* How it behaves; to be changed at any time. */
	int dial_error;		/* of the server: ERR_*, 0: connects */
	const char *raw;	/* answer with these bytes, then the end */
	bool silent;		/* answer nothing, and stay */
	bool dies;		/* accept, and end as soon as the agent has spoken */
	bool for_upgrade;	/* all of raw, silent, dies and refuse concern karez/1 only */
	bool for_websocket;	/* or WebSocket only */
	const char *refuse;	/* "401 AUTH words": refuse a session */
	const char *only_token; /* with refuse: but not this token */
	const char *give;	/* Karez-Token for who comes without one */
	const char *random;	/* the name for who asks for none */
	const char *no_name;	/* "EXISTS words": refuse no_name_of */
	const char *no_name_of; /* this name; NULL: every name */
	bool silent_lines;	/* never answer a line */
	bool hold;		/* answer attaches when fake_release() says so */
	/* [n_nodes], 0: it is one server, which says nothing of nodes. Who dials none of their
	 * ports meets the next one that can be dialled. */
	struct fake_node nodes[FAKE_NODES];
	size_t n_nodes, turn;
	bool stuck; /* who dials none of their ports meets the same one each time */
	int target_error;
	bool target_hangs;
	struct wire *target_near; /* weak: the agent's end of the last one */
	int target_breaks;	  /* it connects, and then its wire breaks with this ERR_* */
	const char *target_says;  /* the target writes this and ends */

	/* What happened. */
	size_t n_dials, n_asks, n_targets, n_cancelled;
	unsigned target_port; /* of the target that was dialled last */
	bool target_insecure;
	size_t n_websocket; /* of n_asks */
	uint64_t dial_ms[FAKE_DIALS];
	uint16_t dial_port[FAKE_DIALS];
	char token[FAKE_TEXT], agent[FAKE_TEXT], epoch[FAKE_TEXT], path[FAKE_TEXT], host[FAKE_TEXT];
	char proof[FAKE_TEXT];
	struct fake_session sessions[FAKE_SESSIONS];
	size_t n_sessions;
	struct fake_target target; /* the last one */
};

void fake_init(struct fake *f, struct ev *ev);

/* Close what the server still has. */
void fake_fini(struct fake *f);

/* The newest session that lives; carrier -1: any. NULL when there is none. */
struct fake_session *fake_up(struct fake *f, int carrier);
unsigned fake_n_up(const struct fake *f);

/* The newest session with a node that lives. NULL when there is none. */
struct fake_session *fake_up_at(struct fake *f, const struct fake_node *n);

/* A node dies: its sessions break, and nobody reaches it. */
void fake_kill(struct fake *f, struct fake_node *n);

/* Answer what is held, the oldest first. */
void fake_release(struct fake *f);

/* Say a control line on every session that lives. */
void fake_tell(struct fake *f, const char *line);

/* End every session with these words, as the server. */
void fake_close_all(struct fake *f, int why, const char *reason);

#endif
