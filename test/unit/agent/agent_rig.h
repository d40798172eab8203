/* An agent in front of a fake server, and what it says. */
#ifndef KAREZ_TEST_UNIT_AGENT_AGENT_RIG_H
#define KAREZ_TEST_UNIT_AGENT_AGENT_RIG_H

#include "agent/agent.h"
#include "unit/agent/fake_server.h"

struct rig {
	struct ev *ev;
	struct fake fake;
	struct log log;
	struct url server, others[3];
	struct agent_tunnel tunnels[2];
	struct agent_service
		services[2];  /* web: port 3000, ssh: port 22; not offered unless asked */
	struct agent_opt opt; /* to be changed before rig_start() */
	struct agent *agent;

	unsigned n_online, n_offline, n_lost, n_ended, n_target, n_request;
	unsigned n_kept, n_delayed;
	uint32_t lost_id, kept_id, delayed_id, online_id;
	int lost_code, kept_code, delayed_code;
	unsigned n_offering, n_assigned, n_taken, n_unknown, n_connection, n_health;
	size_t n_urls;
	char assigned[FAKE_TEXT];   /* "demo web 3000", "demo web -" without a target */
	char taken[FAKE_TEXT];	    /* "demo REPLACED why" */
	char unknown[FAKE_TEXT];    /* "demo web" */
	char connection[FAKE_TEXT]; /* "192.0.2.1:4711 3000 up=1 down=2 OK" */
	char health[FAKE_TEXT];	    /* "up", "down why" */
	char name[FAKE_TEXT], url[FAKE_TEXT];
	bool again;
	int offline_e, ended_code, target_e;
	bool offline_spoken;
	uint32_t retry_ms;
	uint64_t ended_ms;
	char reason[FAKE_TEXT];
	char request[FAKE_TEXT]; /* "GET /a 200" */
};

/* A server at http://localhost:8080, one tunnel to http://localhost:3000, two sessions. */
void rig_open(struct rig *r);

/* The same, with other random numbers. */
void rig_open_seed(struct rig *r, uint64_t seed);

/* Make the agent and let a second pass. */
void rig_start(struct rig *r);

void rig_run(struct rig *r, uint64_t ms);

/* Free everything; whatever the agent does after that is a fault. */
void rig_close(struct rig *r);

#endif
