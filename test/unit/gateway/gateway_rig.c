/* Both ends of every connection live in one loop, so a test sees all of it at any moment. */
#include "unit/gateway/gateway_rig.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "wire/wire_mem.h"
#include "wire/wire_ws.h"

/* ---- the server's side ---- */

static void world_on_request(void *arg, struct http_conn *c, const struct http_request *req)
{
	struct world *w = arg;

	assert_true(gateway_wants(req));
	gateway_request(w->gateway, c, req);
}

void world_open(struct world *w)
{
	memset(w, 0, sizeof *w);
	core_rig_new(&w->r, true);
	w->budget.cap = 64 << 20;
	w->opt = (struct gateway_opt){.core = w->r.core,
				      .log = &w->r.log,
				      .budget_cap = 64 << 20,
				      .sessions_max = 8};
	assert_int_equal(gateway_new(w->r.ev, &w->opt, &w->gateway), 0);
}

void world_run(struct world *w)
{
	ev_sim_run_for(w->r.ev, 50);
}

void world_close(struct world *w)
{
	gateway_free(w->gateway);
	world_run(w);
	core_rig_free(&w->r);
}

/* ---- the agent's side ---- */

static void agent_on_visit(void *arg, struct session *s, const struct visit *visit, struct wire *w)
{
	struct agent *a = arg;

	a->n_visits++;
	memcpy(a->visited, visit->tunnel, sizeof a->visited);
	if (!a->serves) {
		wire_close(w, ERR_REFUSED);
		return;
	}
	wire_close(a->served, ERR_RESET);
	a->served = w;
}

static void agent_on_told(void *arg, struct session *s, struct str line)
{
	struct agent *a = arg;

	snprintf(a->lines[a->n_lines % 16], sizeof a->lines[0], STR_FMT, STR_ARG(line));
	a->n_lines++;
}

static void agent_on_draining(void *arg, struct session *s)
{
	((struct agent *)arg)->n_draining++;
}

static void agent_on_closed(void *arg, struct session *s, int why, struct str reason)
{
	struct agent *a = arg;

	a->closed = true;
	a->session = NULL;
	a->why = why;
	snprintf(a->reason, sizeof a->reason, STR_FMT, STR_ARG(reason));
}

static const struct session_owner agent_owner = {agent_on_visit, agent_on_told, agent_on_draining,
						 agent_on_closed};

static void agent_on_ready(void *arg, struct wire *w, int events)
{
}

static void agent_on_broken(void *arg, struct wire *w, int why)
{
}

static const struct wire_owner agent_wire_owner = {agent_on_ready, agent_on_broken};

void agent_dial(struct agent *a, struct world *w)
{
	struct http_conn_opt opt = {.deadlines = &w->deadlines,
				    .request = world_on_request,
				    .arg = w};
	struct http_conn *c;
	struct wire *server;

	memset(a, 0, sizeof *a);
	a->world = w;
	assert_int_equal(visit_end_set(&opt.peer, STR("192.0.2.7"), 4711), 0);
	assert_int_equal(wire_mem_pair(w->r.ev, &(struct wire_mem_opt){0}, &a->wire, &server), 0);
	wire_own(a->wire, &agent_wire_owner, a);
	assert_int_equal(http_conn_new(w->r.ev, server, &opt, &c), 0);
}

void agent_send(struct agent *a, const char *request)
{
	assert_int_equal(wire_write_all(a->wire, str_of(request)), 0);
	world_run(a->world);
}

unsigned agent_answer(struct agent *a)
{
	unsigned status = 0;
	size_t len = 0;
	struct str in;
	char *end;

	while (len < sizeof a->answer - 1 &&
	       wire_read(a->wire, sizeof a->answer - 1 - len, &in) == 0) {
		memcpy(a->answer + len, in.p, in.len);
		len += in.len;
		a->answer[len] = '\0';
		end = strstr(a->answer, "\r\n\r\n");
		if (end != NULL && strncmp(a->answer, "HTTP/1.1 101", 12) == 0) {
			wire_unread(a->wire, len - (size_t)(end + 4 - a->answer));
			end[4] = '\0';
			break;
		}
	}
	if (sscanf(a->answer, "HTTP/1.1 %u ", &status) != 1)
		return 0;
	return status;
}

void agent_hang_up(struct agent *a)
{
	session_close(a->session, 0, STR(""));
	wire_close(a->wire, 0);
	a->session = NULL;
	a->wire = NULL;
	world_run(a->world);
}

const char *agent_field(const struct agent *a, const char *name, char out[128])
{
	const char *at = a->answer;

	out[0] = '\0';
	while (out[0] == '\0' && (at = strstr(at, "\r\n")) != NULL) {
		at += 2;
		if (strncasecmp(at, name, strlen(name)) == 0)
			(void)sscanf(at + strlen(name), ": %127[^\r]", out);
	}
	return out;
}

/* The mux starts where the answer has ended. */
static void agent_begin(struct agent *a, struct world *w)
{
	struct mux_opt opt = {.role = MUX_AGENT,
			      .budget = &w->budget,
			      .owner = &agent_owner,
			      .arg = a};

	assert_int_equal(mux_new(w->r.ev, a->wire, &opt, &a->session), 0);
	a->wire = NULL;
	world_run(w);
}

void agent_connect_websocket(struct agent *a, struct world *w, const char *who)
{
	char request[1024];
	struct wire *ws;

	agent_dial(a, w);
	snprintf(request, sizeof request,
		 "GET /v1/connect HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
		 "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
		 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
		 who);
	agent_send(a, request);
	assert_int_equal(agent_answer(a), 101);
	assert_int_equal(wire_ws_client(w->r.ev, a->wire, &ws), 0);
	a->wire = ws;
	agent_begin(a, w);
}

void agent_connect(struct agent *a, struct world *w, const char *who, const char *token,
		   char made[128])
{
	char request[1024];

	agent_dial(a, w);
	snprintf(request, sizeof request, ASK_TOP "%s%s%s%s\r\n", who,
		 token[0] != '\0' ? "Authorization: Bearer " : "", token,
		 token[0] != '\0' ? "\r\n" : "");
	agent_send(a, request);
	assert_int_equal(agent_answer(a), 101);
	if (made != NULL)
		(void)agent_field(a, "Karez-Token", made);
	agent_begin(a, w);
}

void agent_tell(struct agent *a, const char *line)
{
	assert_int_equal(session_tell(a->session, str_of(line)), 0);
	world_run(a->world);
}

const char *agent_last(const struct agent *a)
{
	return a->n_lines == 0 ? "" : a->lines[(a->n_lines - 1) % 16];
}
