/* An agent in front of a fake server, and what it says. */
#ifndef KAREZ_TEST_UNIT_AGENT_AGENT_RIG_H
#define KAREZ_TEST_UNIT_AGENT_AGENT_RIG_H

#include "agent/agent.h"
#include "unit/agent/fake_server.h"

struct rig {
	struct ev *ev;
	struct fake fake;
	struct log log;
	struct url server;
	struct agent_tunnel tunnels[2];
	struct agent_opt opt; /* to be changed before rig_start() */
	struct agent *agent;

	unsigned n_online, n_offline, n_lost, n_ended, n_target, n_request;
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

/* Make the agent and let a second pass. */
void rig_start(struct rig *r);

void rig_run(struct rig *r, uint64_t ms);

/* Free everything; whatever the agent does after that is a fault. */
void rig_close(struct rig *r);

#endif
