/* Agents that prove who they are by certificates: whose name counts, and when one is over. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "unit/core/account_rig.h"
#include "unit/gateway/gateway_rig.h"
#include "unit/wire/tls_certs.h"
#include "wire/wire_mem.h"
#include "wire/wire_tls.h"

/* The simulated clock starts in 2026. */
static const struct tls_certs_row rows[] = {
	{"ca", NULL, NULL, 2020, 2090},
	{"localhost", "ca", "DNS:localhost", 2020, 2090},
	{"TestClient1@example.org", "ca", "IP:127.0.0.9", 2020, 2027},
	{"plain", "ca", "IP:127.0.0.9", 2020, 2090},
	{"joe+x@example.org", "ca", "IP:127.0.0.9", 2020, 2090},
	{"stranger", "ca", "IP:127.0.0.9", 2020, 2090},
};

/* When the first of the agents' certificates ends. */
#define END_MS INT64_C(1798761600000) /* 2027 begins */

struct secure {
	struct world w;
	struct tls_context *server;
};

static void secure_open(struct secure *s, const struct tls_certs *certs)
{
	char ca[TLS_CERTS_PATH], cert[TLS_CERTS_PATH], key[TLS_CERTS_PATH], why[TLS_CONTEXT_WHY];
	struct tls_context_server opt = {.cert_file = tls_certs_path(certs, "localhost.pem", cert),
					 .key_file = tls_certs_path(certs, "localhost.key", key),
					 .client_ca_file = tls_certs_path(certs, "ca.pem", ca)};
	struct manage_new_credential subjects[] = {{.type = CREDENTIAL_CERTIFICATE,
						    .shown = STR("*@example.org")},
						   {.type = CREDENTIAL_CERTIFICATE,
						    .shown = STR("plain")}};
	struct told_account told;
	struct manage_asker by;
	struct access_who who;

	world_open(&s->w);
	core_rig_account(&s->w.r, &who);
	who.admin = true;
	for (size_t i = 0; i < ARRAY_LEN(subjects); i++) {
		by = account_rig_by(&told, &who);
		account_rig_wait(&s->w.r, &told,
				 manage_credential_make(s->w.r.core, &by, STR(""), &subjects[i]));
		assert_int_equal(told.e, 0);
	}
	assert_int_equal(tls_context_new_server(&opt, &s->server, why), 0);
}

static void secure_close(struct secure *s)
{
	world_close(&s->w);
	tls_context_free(s->server);
}

/* ---- the far end ---- */

static void secure_on_request(void *arg, struct http_conn *c, const struct http_request *req)
{
	gateway_request(((struct world *)arg)->gateway, c, req);
}

static void secure_on_ready(void *arg, struct wire *w, int events)
{
	wire_want(w, 0);
}

static void secure_on_broken(void *arg, struct wire *w, int why)
{
}

static const struct wire_owner secure_wire_owner = {secure_on_ready, secure_on_broken};

static void secure_on_closed(void *arg, struct session *session, int why, struct str reason)
{
	struct agent *a = arg;

	a->closed = true;
	a->session = NULL;
	a->why = why;
	str_printf(a->reason, sizeof a->reason, STR_FMT, STR_ARG(reason));
}

static const struct session_owner secure_session_owner = {.closed = secure_on_closed};

/* Ask for a session over TLS, showing a certificate. Returns the answer's status. */
static unsigned secure_ask(struct agent *a, struct secure *s, const struct tls_certs *certs,
			   const char *cert, const char *id)
{
	struct http_conn_opt conn = {.deadlines = &s->w.deadlines,
				     .request = secure_on_request,
				     .arg = &s->w};
	char ca[TLS_CERTS_PATH], file[64], cert_file[TLS_CERTS_PATH], key_file[TLS_CERTS_PATH];
	struct tls_context_client opt = {.ca_file = tls_certs_path(certs, "ca.pem", ca)};
	struct wire_tls_opt client_opt = {.host = "localhost"};
	struct wire *raw_client, *raw_server, *server;
	struct ev *ev = s->w.r.ev;
	char why[TLS_CONTEXT_WHY], request[512];
	struct tls_context *client;
	struct http_conn *c;

	memset(a, 0, sizeof *a);
	a->world = &s->w;
	str_printf(file, sizeof file, "%s.pem", cert);
	opt.cert_file = tls_certs_path(certs, file, cert_file);
	str_printf(file, sizeof file, "%s.key", cert);
	opt.key_file = tls_certs_path(certs, file, key_file);
	assert_int_equal(tls_context_new_client(&opt, &client, why), 0);
	assert_int_equal(visit_end_set(&conn.peer, STR("192.0.2.7"), 4711), 0);
	assert_int_equal(wire_mem_pair(ev, &(struct wire_mem_opt){0}, &raw_client, &raw_server), 0);
	assert_int_equal(wire_tls_client(ev, raw_client, client, &client_opt, &a->wire), 0);
	assert_int_equal(wire_tls_server(ev, raw_server, s->server, NULL, &server), 0);
	tls_context_free(client);
	wire_own(a->wire, &secure_wire_owner, a);
	assert_int_equal(http_conn_new(ev, server, &conn, &c), 0);
	wire_want(a->wire, WIRE_READ);
	world_run(&s->w); /* the handshake */
	str_printf(request, sizeof request,
		   ASK_TOP "Karez-Agent: %s\r\nKarez-Epoch: 1\r\nKarez-Carrier: 0\r\n"
			   "Karez-Proof: certificate\r\n\r\n",
		   id);
	agent_send(a, request);
	return agent_answer(a);
}

static void secure_connect(struct agent *a, struct secure *s, const struct tls_certs *certs,
			   const char *cert, const char *id)
{
	struct mux_opt opt = {.role = MUX_AGENT,
			      .budget = &s->w.budget,
			      .owner = &secure_session_owner,
			      .arg = a};

	assert_int_equal(secure_ask(a, s, certs, cert, id), 101);
	assert_int_equal(mux_new(s->w.r.ev, a->wire, &opt, &a->session), 0);
	a->wire = NULL;
	world_run(&s->w);
}

/* ---- whose name ---- */

static void test_the_name_of_the_agent(void **state)
{
	static const struct {
		const char *why, *cert, *id;
		unsigned status;
		const char *says, *logs;
	} cases[] = {
		{"the agent of the certificate", "TestClient1@example.org", "TestClient1", 101, "",
		 ""},
		{"another agent", "TestClient1@example.org", "x", 403,
		 "the certificate is for the agent \\\"TestClient1\\\", but this agent calls "
		 "itself "
		 "\\\"x\\\"; give --agent TestClient1",
		 "event=login-refused agent=x certificate=\"TestClient1@example.org\" "
		 "peer=192.0.2.7 peer_port=4711 code=DENIED"},
		{"a name that is no account's", "stranger", "x", 401, "\"code\":\"AUTH\"",
		 "event=login-refused agent=x certificate=\"stranger\" peer=192.0.2.7 "
		 "peer_port=4711 code=AUTH"},
		{"in another case it is another agent", "TestClient1@example.org", "testclient1",
		 403, "give --agent TestClient1", "code=DENIED"},
		{"a certificate of no agent", "plain", "anybody", 101, "", ""},
		{"a mail address that can be no agent", "joe+x@example.org", "laptop", 101, "", ""},
	};
	struct secure s;

	secure_open(&s, *state);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct agent a;

		print_message("  %s\n", cases[i].why);
		s.w.r.last_line[0] = '\0';
		assert_int_equal(secure_ask(&a, &s, *state, cases[i].cert, cases[i].id),
				 cases[i].status);
		if (cases[i].status != 101) {
			assert_non_null(strstr(a.answer, cases[i].says));
			assert_non_null(strstr(s.w.r.last_line, cases[i].logs));
		}
		wire_close(a.wire, 0);
		world_run(&s.w);
	}
	secure_close(&s);
}

/* ---- the end of one ---- */

static void test_one_that_ends_takes_its_session_along(void **state)
{
	struct agent ends, stays, by_token;
	struct secure s;

	secure_open(&s, *state);
	secure_connect(&ends, &s, *state, "TestClient1@example.org", "TestClient1");
	secure_connect(&stays, &s, *state, "plain", "other");
	agent_connect(&by_token, &s.w, ASK_WHO("third", "1", "0"), "", NULL);
	assert_int_equal(gateway_n_sessions(s.w.gateway), 3);
	gateway_recheck(s.w.gateway);
	world_run(&s.w);
	assert_int_equal(gateway_n_sessions(s.w.gateway), 3);

	ev_sim_jump_wall(s.w.r.ev, END_MS - ev_wall_ms(s.w.r.ev));
	world_run(&s.w);
	assert_false(ends.closed); /* nobody has looked */
	gateway_recheck(s.w.gateway);
	world_run(&s.w);
	assert_true(ends.closed);
	assert_int_equal(ends.why, ERR_CERT);
	assert_string_equal(ends.reason,
			    "the certificate \"TestClient1@example.org\" is not good any more: "
			    "certificate expired on 2027-01-01");
	assert_false(stays.closed);
	assert_false(by_token.closed);
	assert_int_equal(gateway_n_sessions(s.w.gateway), 2);
	agent_hang_up(&by_token);
	session_close(stays.session, 0, STR(""));
	world_run(&s.w);
	gateway_recheck(s.w.gateway); /* nobody is there */
	secure_close(&s);
}

/* One is ended while others wait to be looked at, and the gateway goes in the middle of it. */
static void test_many_are_looked_at_in_turn(void **state)
{
	struct agent agents[8];
	struct secure s;
	char id[16];

	secure_open(&s, *state);
	for (size_t i = 0; i < ARRAY_LEN(agents); i++) {
		str_printf(id, sizeof id, "agent-%zu", i);
		if (i % 2 == 0)
			secure_connect(&agents[i], &s, *state, "TestClient1@example.org",
				       "TestClient1");
		else
			secure_connect(&agents[i], &s, *state, "plain", id);
	}
	ev_sim_jump_wall(s.w.r.ev, END_MS - ev_wall_ms(s.w.r.ev));
	gateway_recheck(s.w.gateway);
	gateway_recheck(s.w.gateway);
	world_run(&s.w);
	for (size_t i = 0; i < ARRAY_LEN(agents); i++) {
		assert_int_equal(agents[i].closed, i % 2 == 0);
		if (agents[i].session != NULL)
			session_close(agents[i].session, 0, STR(""));
	}
	gateway_recheck(s.w.gateway);
	secure_close(&s);
}

static int certificate_setup(void **state)
{
	static struct tls_certs certs;

	tls_certs_make(&certs, rows, ARRAY_LEN(rows));
	*state = &certs;
	return 0;
}

static int certificate_teardown(void **state)
{
	tls_certs_remove(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_name_of_the_agent),
		cmocka_unit_test(test_one_that_ends_takes_its_session_along),
		cmocka_unit_test(test_many_are_looked_at_in_turn),
	};

	return cmocka_run_group_tests_name("gateway certificate", tests, certificate_setup,
					   certificate_teardown);
}
