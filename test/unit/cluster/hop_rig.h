/* Nodes that reach each other by the hop over memory, on virtual time, and what each of them sees.
 */
#ifndef KAREZ_UNIT_CLUSTER_HOP_RIG_H
#define KAREZ_UNIT_CLUSTER_HOP_RIG_H

#include "cluster/hop.h"
#include "sim/mem_hop.h"

#define HOP_RIG_STREAMS 5000

/* One end of a stream. */
struct hop_rig_stream {
	struct wire *w; /* NULL: closed, or not there */
	size_t got;
	bool eof;
	int why; /* broken with; 0: not */
};

struct hop_rig_node {
	struct hop_rig *rig;
	struct hop *hop;
	struct log log;
	char lines[32768]; /* what it has logged */
	size_t lines_len;
	struct roster_node says; /* what others know of it */
	struct hop_peer *peer;	 /* of the node that it dials */
	enum peer_state state;
	size_t n_states; /* how often that was told */
	/* Visitors of others. */
	struct hop_rig_stream served[HOP_RIG_STREAMS];
	size_t n_served;
	struct visit last;
	int refuse; /* answer visitors with this */
	/* Visitors that it sends away; of c and b only by hop_rig_back(). */
	struct hop_rig_stream sent[HOP_RIG_STREAMS];
	size_t n_sent;
};

struct hop_rig {
	struct ev *ev;
	struct mem_hop net;
	struct hop_rig_node a, b, c; /* a dials b; c is somebody else */
};

struct hop_rig *hop_rig_open(void);

/* Ends all nodes, and checks that nothing is left. */
void hop_rig_close(struct hop_rig *r);

void hop_rig_run(struct hop_rig *r, uint64_t ms);

/* a's visitor goes to b and says "hello". Returns what hop_peer_open() did. */
int hop_rig_visit(struct hop_rig *r);

/* A visitor of n, which is b or c, goes to a, and is there when this returns. */
void hop_rig_back(struct hop_rig *r, struct hop_rig_node *n);

/* a gives up b. */
void hop_rig_forget(struct hop_rig *r);

/* A node's process ends. */
void hop_rig_end(struct hop_rig_node *n);

void hop_rig_write(struct hop_rig_stream *s, struct str text);
void hop_rig_hang_up(struct hop_rig_stream *s, int why);

bool hop_rig_logged(const struct hop_rig_node *n, const char *text);

#endif
