/* The gateway on virtual time: real HTTP, real muxes, memory wires, a memory store, and far ends.
 */
#ifndef KAREZ_TEST_UNIT_GATEWAY_GATEWAY_RIG_H
#define KAREZ_TEST_UNIT_GATEWAY_GATEWAY_RIG_H

#include "gateway/gateway.h"
#include "session/mux.h"
#include "unit/core/core_rig.h"

struct world {
	struct core_rig r;
	struct gateway *gateway;
	struct gateway_opt opt;
	struct http_deadlines deadlines;
	struct mux_budget budget; /* of the agents */
};

/* The far end of one connection. */
struct agent {
	struct world *world;
	struct wire *wire;	 /* until the session has it */
	struct session *session; /* NULL when it is dead */
	struct str head;	 /* of the answer, in answer[] */
	char answer[4096];
	unsigned n_visits, n_draining, n_lines;
	char visited[HOSTNAME_MAX + 1];
	bool serves;	     /* it takes a visit instead of refusing it */
	struct wire *served; /* owned: the last one */
	char lines[16][4096]; /* the latest ones, by n_lines */
	bool closed;
	int why;
	char reason[512];
};

/* A gateway for 8 sessions at most, registration open. */
void world_open(struct world *w);
void world_close(struct world *w);

/* 50 ms. */
void world_run(struct world *w);

/* A fresh connection, and what is written to it. */
void agent_dial(struct agent *a, struct world *w);
void agent_send(struct agent *a, const char *request);

/* The answer's status; its text stands in a->answer. 0 when there is none. */
unsigned agent_answer(struct agent *a);

/* The value of a field of the answer; "" when it is missing. */
const char *agent_field(const struct agent *a, const char *name, char out[128]);

/* Whatever it is in the middle of. */
void agent_hang_up(struct agent *a);

#define ASK_TOP                                                                  \
	"GET /v1/connect HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n" \
	"Upgrade: karez/1\r\n"
#define ASK_WHO(id, epoch, carrier) \
	"Karez-Agent: " id "\r\nKarez-Epoch: " epoch "\r\nKarez-Carrier: " carrier "\r\n"

/* A whole request. */
#define ASK(more) ASK_TOP ASK_WHO("laptop", "1", "0") more "\r\n"

/*
 * Connect as an agent until the session stands.
 *   token  may be empty.
 *   made   gets the token of an account made now; may be NULL.
 */
void agent_connect(struct agent *a, struct world *w, const char *who, const char *token,
		   char made[128]);

/* The same without a token, by WebSocket. */
void agent_connect_websocket(struct agent *a, struct world *w, const char *who);

/* Send a control line and wait; the last one that came, "" when none did. */
void agent_tell(struct agent *a, const char *line);
const char *agent_last(const struct agent *a);

#endif
