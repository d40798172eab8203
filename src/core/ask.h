/*
 * Who is there, in the whole cluster: rows of this node and of the others, private to core/.
 *
 * A question to another node is a stream to it (a visit with VISIT_NODE), so it is as well proven
 * and as reliable as a visitor's; the answer is one line of JSON, and ends the stream:
 *
 *	{"rows":[{...}],"total":7,"more":true}
 *
 * Nodes of two versions may ask each other: members that are not known are skipped, and whoever
 * does not know the question refuses the stream.
 */
#ifndef KAREZ_CORE_ASK_H
#define KAREZ_CORE_ASK_H

#include "core/core_internal.h"
#include "core/manage.h"

/* Bytes of answers that are under way to one node, for all its questions: 100 agents' lists. */
#define ASK_BYTES_MAX (100 * CORE_ANSWER_MAX)

enum ask_what { ASK_SESSIONS, ASK_VISITORS, ASK_AGENTS, ASK_WHATS };

/* ---- ask_rows.c ---- */

/* Rows of one kind; a value. The best of them by their order, as many as a page has. */
struct ask_rows {
	enum ask_what what;
	void *v; /* owned; [n] core_session_info, core_visitor_info, or core_agent_there */
	size_t n;
	size_t total; /* that there are */
	bool more;    /* some were left out */
};

/* Whose, and of what. All borrowed. */
struct ask_about {
	enum ask_what what;
	const char *tunnel;  /* not for agents */
	const char *account; /* whose the tunnel is, or the agents are; "": everybody's */
};

void ask_rows_free(struct ask_rows *r);

/* How many a page of them has at most; bytes of one. */
size_t ask_rows_max(enum ask_what what);
size_t ask_rows_size(enum ask_what what);

/* What this node knows by itself; *out is set on success. Returns 0 or ERR_NOMEM. */
int ask_rows_own(struct core *c, const struct ask_about *about, struct ask_rows *out) MUST_CHECK;

/* Say which node they are of; NULL: there is only one. */
void ask_rows_sign(struct ask_rows *r, const char *node);

/* Put the rows of another node with ours; agents that are at both become one. `more` is empty
 * afterwards in any case. Returns 0 or, with r as it was, ERR_NOMEM. */
int ask_rows_join(struct ask_rows *r, struct ask_rows *more) MUST_CHECK;

/* ---- ask_text.c ---- */

/* "sessions". */
struct str ask_word(enum ask_what what);

/* Append the line. Nodes are not in it. Returns 0, ERR_TOOBIG (above CORE_ANSWER_MAX), ERR_NOMEM.
 */
int ask_text_write(const struct ask_rows *r, struct buf *out) MUST_CHECK;

/*
 * Read it, from a node that may be wrong.
 *   *out  set on success; nodes are empty.
 * Returns 0, ERR_PROTO (syntax, a member that is missing or cannot be), ERR_TOOBIG (the text, or
 * more rows than a page has), ERR_NOMEM.
 */
int ask_text_read(struct str text, enum ask_what what, struct ask_rows *out) MUST_CHECK;

/* ---- ask.c ---- */

struct ask;

/* All that has come. Borrowed for the call but for rows->v, which may be taken (and left NULL). */
struct ask_told {
	struct ask_rows *rows;
	const char (*missing)[NODE_ID_TEXT]; /* [n_missing] who has not answered */
	size_t n_missing;
};

struct ask_opt {
	struct ask_about about;
	/* Called once, never before ask_start() returns; the question is freed after it. e: 0, or
	 * ERR_CLOSED: the core is going. */
	void (*done)(void *arg, int e, struct ask_told *told);
	void *arg;
};

/*
 * Ask this node and all others that may know: of sessions those that serve the tunnel.
 * Returns 0, ERR_LIMIT (MANAGE_ASKS_MAX), ERR_NOMEM.
 */
int ask_start(struct core *c, const struct ask_opt *opt, struct ask **out) MUST_CHECK;

/* Never calls back. NULL is allowed. */
void ask_free(struct ask *a);

/* The core is going: all are answered with ERR_CLOSED. */
void ask_free_all(struct core *c);

#endif
