/*
 * A net that also reaches what is no host: directories (URL_FILE) and the list of services
 * (URL_SERVICES). Behind such a target stands an HTTP server inside the agent, at the other end of
 * a wire in memory; so relaying, counting, health checks and the lines about requests are those of
 * any target. Whatever else is dialled goes to the net inside.
 */
#ifndef KAREZ_AGENT_SITE_NET_H
#define KAREZ_AGENT_SITE_NET_H

#include "agent/agent_net.h"
#include "agent/site_index.h"

/* Bytes under way between a visitor and the server inside, each way, at most. */
#define SITE_NET_CAP (64 * 1024)

struct site_net_opt {
	struct agent_net *inner; /* borrowed: outlives this */
	/* As site_index_opt; NULL: there is no list, and a URL_SERVICES is ERR_UNSUPPORTED. */
	void (*services)(void *arg, struct site_index *x);
	void *arg;
	bool plain; /* as for site_tree_open(); for tests */
};

/*
 * dial() of a URL_FILE fails with ERR_NOTFOUND (there is no such directory), ERR_INVAL (it is no
 * directory), ERR_DENIED, ERR_TIMEOUT (the disk does not answer), ERR_NOFILE, ERR_NOMEM, ERR_IO.
 * Returns 0 or ERR_NOMEM.
 */
int site_net_new(struct ev *ev, const struct site_net_opt *opt, struct agent_net **out) MUST_CHECK;

/* All its attempts must be over; connections that still run are cut. NULL is allowed. */
void site_net_free(struct agent_net *net);

/*
 * Is the directory of a URL_FILE there? Blocking: for the start.
 * Returns 0; or an ERR_* as dial() does, and *why a static clause ("there is no such directory").
 */
int site_net_check(const struct url *to, const char **why) MUST_CHECK;

#endif
