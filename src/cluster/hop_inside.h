/* What the files of the hop share: private to cluster/hop*. */
#ifndef KAREZ_CLUSTER_HOP_INSIDE_H
#define KAREZ_CLUSTER_HOP_INSIDE_H

#include "cluster/hop.h"
#include "cluster/hop_net.h"
#include "ev/log_pace.h"
#include "session/mux.h"

struct hop {
	struct ev *ev;
	struct hop_opt opt;
	struct hop_end *end; /* owned */
	struct mux_budget out_budget, in_budget;
	struct list peers;   /* of hop_peer */
	struct list orphans; /* of hop_link: sessions to nodes that are gone, while streams run */
	struct list greeting, guests; /* of hop_guest: who has not, and who has said who it is */
	size_t n_greeting, n_guests;
	struct log_pace pace; /* of lines about those who are refused */
	bool draining;
};

/* ---- hop_line.c: the first line on the control stream, both ways ---- */

/* Bytes of one, at most; of what a later version may add, too. */
#define HOP_LINE_MAX 1024

/* Who speaks, and to whom. */
struct hop_line {
	char node[NODE_ID_TEXT], to[NODE_ID_TEXT];
	char version[ROSTER_VERSION_TEXT];
};

/* Write ours. Returns its bytes. */
size_t hop_line_format(const char *node, const char *to, char out[HOP_LINE_MAX]);

/* Returns 0, ERR_UNSUPPORTED (a line of another kind), ERR_PROTO, ERR_TOOBIG, ERR_NOMEM. */
int hop_line_parse(struct str line, struct hop_line *out) MUST_CHECK;

/* ---- hop_guest.c: nodes that have dialled us ---- */

void hop_guest_on_accepted(void *arg, struct wire *w, const char *peer);
void hop_guest_on_refused(void *arg, const char *peer, int e);

/* All of them take no new streams / go now. */
void hop_guests_drain(struct hop *h);
void hop_guests_free(struct hop *h);

/* ---- hop_peer.c: nodes that we dial ---- */

/* This node has dialled us, and said who it is: there is a way to it. */
void hop_peers_heard(struct hop *h, const char *id);

/* Sessions to nodes that are gone end now. */
void hop_orphans_free(struct hop *h);

#endif
