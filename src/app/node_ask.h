/*
 * Other nodes ask who is here: each question is a stream that comes by the hop, and its answer ends
 * it. What is answered is the core's to say, core_answer().
 */
#ifndef KAREZ_APP_NODE_ASK_H
#define KAREZ_APP_NODE_ASK_H

#include "core/core.h"

struct node_asks;

/* How long an answer may take to go out, in milliseconds: whoever asks waits for MANAGE_ASK_MS. */
#define NODE_ASK_MS 5000
/* Answers on the way to one node, as many as it asks for at once (MANAGE_ASKS_MAX); and bytes of
 * them to all. One more is refused. */
#define NODE_ASKS_MAX	   64
#define NODE_ASK_BYTES_MAX (100 * CORE_ANSWER_MAX)

/* core: borrowed: outlives it. Returns 0 or ERR_NOMEM. */
int node_asks_new(struct ev *ev, struct core *core, struct node_asks **out) MUST_CHECK;

/* Answers that are on their way are broken off. NULL is allowed. */
void node_asks_free(struct node_asks *a);

/*
 * Answer.
 *   visit  with VISIT_NODE, from the node that its via names last; for the call.
 *   w      ours from now on.
 */
void node_asks_serve(struct node_asks *a, const struct visit *visit, struct wire *w);

#endif
