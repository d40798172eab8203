/* From the options of karez to what its agent serves. */
#ifndef KAREZ_APP_KAREZ_TARGETS_H
#define KAREZ_APP_KAREZ_TARGETS_H

#include "agent/agent.h"
#include "app/karez_options.h"

/* What an agent is given. Its texts belong to the options. */
struct karez_targets {
	struct agent_tunnel tunnel;	/* of http, tcp and tls */
	struct buf wish;		/* owned: the tunnel's */
	size_t n_tunnels;		/* 1, or 0 */
	struct agent_service *services; /* owned: [n_services]; of serve */
	size_t n_services;
	bool bare; /* the target was given as a port alone */
	bool tls;  /* TLS is spoken to some target */
};

/* Read what config_load() has checked. It lives as long as the options do. */
void karez_targets_read(const struct config *c, const struct karez_options *set,
			struct karez_targets *out);

/* Harmless on all zero. */
void karez_targets_free(struct karez_targets *t);

#endif
