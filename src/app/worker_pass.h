/* A worker's part in handing visitors to the worker that serves them: see pass_door.h. */
#ifndef KAREZ_APP_WORKER_PASS_H
#define KAREZ_APP_WORKER_PASS_H

#include "app/node.h"
#include "app/pass_door.h"
#include "app/worker.h"

/* Embedded in its owner, where it stays; all zero: there are no other workers. */
struct worker_pass {
	struct pass_way way;
	struct pass_home home;
	char claims[WORKER_DIR_TEXT + 16]; /* for port_socket_opt */
};

/* Let ports hand visitors on, before they are opened. Harmless without workers. */
void worker_pass_ports(struct worker_pass *p, const struct worker *w,
		       struct port_socket_opt *ports);

struct worker_pass_opt {
	struct ev *ev;
	struct log *log;
	struct node *node;	   /* outlives it, as ports */
	struct port_socket *ports; /* NULL: there are none */
	const char *domain, *api_host;
	bool tls; /* node_open_tls() came before */
};

/* Begin to take visitors of others, and to hand ours on; before the doors open. Only for a worker.
 * Returns as pass_new(). */
int worker_pass_open(struct worker_pass *p, const struct worker *w,
		     const struct worker_pass_opt *opt) MUST_CHECK;

/* For door_opt.way. */
const struct pass_way *worker_pass_way(const struct worker_pass *p);

/* After the doors are closed, and before the node and the ports are freed. */
void worker_pass_close(struct worker_pass *p);

#endif
