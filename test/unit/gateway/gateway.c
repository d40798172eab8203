/* Who may have a session: requests that are refused, and logins that take long. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "proto/json.h"
#include "unit/gateway/gateway_rig.h"
#include "wire/wire_mem.h"

/* ---- refusals ---- */

static void test_refusals(void **state)
{
	static const struct {
		const char *why, *request;
		unsigned status;
		const char *code, *field, *value; /* field: one that must be there */
	} cases[] = {
		{"a token nobody knows", ASK("Authorization: Bearer kz_x\r\n"), 401, "AUTH",
		 "WWW-Authenticate", "Bearer"},
		{"another scheme", ASK("Authorization: Basic eDp5\r\n"), 401, "AUTH",
		 "WWW-Authenticate", "Bearer"},
		{"an empty token is no wish for an account", ASK("Authorization: Bearer\r\n"), 401,
		 "AUTH", "WWW-Authenticate", "Bearer"},
		{"two credentials", ASK("Authorization: Bearer a\r\nAuthorization: Bearer b\r\n"),
		 401, "AUTH", NULL, NULL},
		{"a certificate that has not come is no wish for an account",
		 ASK("Karez-Proof: certificate\r\n"), 401, "AUTH", "WWW-Authenticate", "Bearer"},
		{"another version",
		 "GET /v1/connect HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
		 "Upgrade: karez/2\r\n\r\n",
		 426, "UNSUPPORTED", "Upgrade", "karez/1, websocket"},
		{"no upgrade", "GET /v1/connect?x HTTP/1.1\r\nHost: a\r\n\r\n", 426, "UNSUPPORTED",
		 "Upgrade", "karez/1, websocket"},
		{"another method",
		 "POST /v1/connect HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 405, "INVAL",
		 "Allow", "GET"},
		{"a body", ASK("Content-Length: 3\r\n") "abc", 400, "INVAL", NULL, NULL},
		{"no agent", ASK_TOP "Karez-Epoch: 1\r\nKarez-Carrier: 0\r\n\r\n", 400, "INVAL",
		 NULL, NULL},
		{"an agent with a space", ASK_TOP ASK_WHO("a b", "1", "0") "\r\n", 400, "INVAL",
		 NULL, NULL},
		{"an agent of 65 letters",
		 ASK_TOP ASK_WHO(
			 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "1",
			 "0") "\r\n",
		 400, "INVAL", NULL, NULL},
		{"two agents", ASK("Karez-Agent: other\r\n"), 400, "INVAL", NULL, NULL},
		{"no epoch", ASK_TOP "Karez-Agent: a\r\nKarez-Carrier: 0\r\n\r\n", 400, "INVAL",
		 NULL, NULL},
		{"a negative epoch", ASK_TOP ASK_WHO("a", "-1", "0") "\r\n", 400, "INVAL", NULL,
		 NULL},
		{"an epoch of 2^63", ASK_TOP ASK_WHO("a", "9223372036854775808", "0") "\r\n", 400,
		 "INVAL", NULL, NULL},
		{"carrier 64", ASK_TOP ASK_WHO("a", "1", "64") "\r\n", 400, "INVAL", NULL, NULL},
		{"no carrier", ASK_TOP "Karez-Agent: a\r\nKarez-Epoch: 0\r\n\r\n", 400, "INVAL",
		 NULL, NULL},
	};
	struct world w;

	world_open(&w);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct json *j = NULL;
		struct str code, text;
		struct agent a;
		uint64_t status;
		char value[128];
		const char *body;

		agent_dial(&a, &w);
		agent_send(&a, cases[i].request);
		if (agent_answer(&a) != cases[i].status)
			fail_msg("%s: %s", cases[i].why, a.answer);
		assert_string_equal(agent_field(&a, "Cache-Control", value), "no-store");
		assert_string_equal(agent_field(&a, "Content-Type", value),
				    "application/problem+json");
		if (cases[i].field != NULL)
			assert_string_equal(agent_field(&a, cases[i].field, value), cases[i].value);
		body = strstr(a.answer, "\r\n\r\n") + 4;
		assert_int_equal(json_parse(str_of(body), 4096, &j), 0);
		assert_int_equal(json_get_number(j, "status", 999, &status), 0);
		assert_int_equal(status, cases[i].status);
		assert_int_equal(json_get_text(j, "code", &code), 0);
		assert_true(str_eq(code, str_of(cases[i].code)));
		assert_int_equal(json_get_text(j, "title", &text), 0);
		assert_int_equal(json_get_text(j, "detail", &text), 0);
		json_free(j);
		agent_hang_up(&a);
		assert_int_equal(gateway_n_sessions(w.gateway), 0);
	}
	world_close(&w);
}

static void test_closed_registration(void **state)
{
	struct world w;
	struct agent a;

	world_open(&w);
	gateway_free(w.gateway);
	core_rig_free(&w.r);
	core_rig_new(&w.r, false);
	w.opt.core = w.r.core;
	assert_int_equal(gateway_new(w.r.ev, &w.opt, &w.gateway), 0);
	agent_dial(&a, &w);
	agent_send(&a, ASK(""));
	assert_int_equal(agent_answer(&a), 403);
	assert_non_null(strstr(a.answer, "\"code\":\"DENIED\""));
	assert_non_null(strstr(a.answer, "--token-file"));
	agent_hang_up(&a);
	world_close(&w);
}

static void test_store_fails(void **state)
{
	struct world w;
	struct agent a;

	world_open(&w);
	w.r.judge = core_rig_fail_all;
	w.r.judge_e = ERR_DENIED;
	agent_dial(&a, &w);
	agent_send(&a, ASK(""));
	assert_int_equal(agent_answer(&a), 503);
	assert_non_null(strstr(a.answer, "\"code\":\"IO\""));
	assert_non_null(strstr(a.answer, "Retry-After: "));
	agent_hang_up(&a);
	world_close(&w);
}

/* ---- WebSocket ---- */

#define WS(upgrade, more)                                                                    \
	"GET /v1/connect HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, upgrade\r\n" \
	"Upgrade: " upgrade "\r\n" ASK_WHO("laptop", "1", "0") more "\r\n"
#define WS_KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define WS_13  "Sec-WebSocket-Version: 13\r\n"
#define WS_OUR "Sec-WebSocket-Protocol: karez.1\r\n"

static void test_websocket_handshakes(void **state)
{
	static const struct {
		const char *why, *request;
		unsigned status;
		const char *field, *value;
	} cases[] = {
		{"as an agent asks", WS("websocket", WS_13 WS_KEY WS_OUR), 101,
		 "Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
		{"the protocol is agreed upon", WS("WebSocket", WS_13 WS_KEY WS_OUR), 101,
		 "Sec-WebSocket-Protocol", "karez.1"},
		{"it is chosen among others",
		 WS("websocket", WS_13 WS_KEY "Sec-WebSocket-Protocol: a\r\n"
					      "Sec-WebSocket-Protocol: b, karez.1\r\n"),
		 101, "Sec-WebSocket-Protocol", "karez.1"},
		{"none is offered", WS("websocket", WS_13 WS_KEY), 101, "Sec-WebSocket-Protocol",
		 ""},
		{"others are offered",
		 WS("websocket", WS_13 WS_KEY "Sec-WebSocket-Protocol: karez.2\r\n"), 101,
		 "Sec-WebSocket-Protocol", ""},
		{"no extension is taken",
		 WS("websocket", WS_13 WS_KEY "Sec-WebSocket-Extensions: permessage-deflate\r\n"),
		 101, "Sec-WebSocket-Extensions", ""},
		{"our own upgrade is better", WS("websocket, karez/1", WS_13 WS_KEY WS_OUR), 101,
		 "Upgrade", "karez/1"},
		{"no version", WS("websocket", WS_KEY), 426, "Sec-WebSocket-Version", "13"},
		{"an old version", WS("websocket", "Sec-WebSocket-Version: 8\r\n" WS_KEY), 426,
		 "Sec-WebSocket-Version", "13"},
		{"two versions", WS("websocket", WS_13 WS_13 WS_KEY), 426, "Sec-WebSocket-Version",
		 "13"},
		{"no key", WS("websocket", WS_13), 400, "Upgrade", ""},
		{"two keys", WS("websocket", WS_13 WS_KEY WS_KEY), 400, "Upgrade", ""},
		{"a key of 15 bytes",
		 WS("websocket", WS_13 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n"), 400,
		 "Upgrade", ""},
		{"a body", WS("websocket", WS_13 WS_KEY "Content-Length: 1\r\n") "x", 400,
		 "Upgrade", ""},
		{"a credential that nobody knows",
		 WS("websocket", WS_13 WS_KEY "Authorization: Bearer kz_x\r\n"), 401, "Upgrade",
		 ""},
	};
	struct world w;

	world_open(&w);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char value[128];
		struct agent a;

		agent_dial(&a, &w);
		agent_send(&a, cases[i].request);
		if (agent_answer(&a) != cases[i].status)
			fail_msg("%s: %s", cases[i].why, a.answer);
		if (strcmp(agent_field(&a, cases[i].field, value), cases[i].value) != 0)
			fail_msg("%s: %s: %s", cases[i].why, cases[i].field, value);
		agent_hang_up(&a);
		world_run(&w);
		assert_int_equal(gateway_n_sessions(w.gateway), 0);
	}
	world_close(&w);
}

/* A session of it, from its first line to its end, which has the same reason by both ways. */
static void test_websocket_session(void **state)
{
	struct world w;
	struct agent a;

	world_open(&w);
	agent_connect_websocket(&a, &w, ASK_WHO("laptop", "1", "0"));
	assert_int_equal(gateway_n_sessions(w.gateway), 1);
	agent_tell(&a, "{\"op\":\"attach\",\"ref\":1,\"name\":\"demo\"}");
	assert_non_null(strstr(agent_last(&a), "\"op\":\"attached\""));
	gateway_free(w.gateway);
	w.gateway = NULL;
	world_run(&w);
	assert_true(a.closed);
	assert_int_equal(a.why, ERR_DRAIN);
	world_close(&w);
}

/* ---- logins that take long ---- */

static void test_too_many_logins(void **state)
{
	struct agent a[8], late;
	struct world w;

	world_open(&w);
	w.r.judge = core_rig_hold_all;
	for (int i = 0; i < 8; i++) {
		agent_dial(&a[i], &w);
		agent_send(&a[i], ASK(""));
		assert_int_equal(agent_answer(&a[i]), 0);
	}
	agent_dial(&late, &w);
	agent_send(&late, ASK(""));
	assert_int_equal(agent_answer(&late), 503);
	assert_non_null(strstr(late.answer, "\"code\":\"LIMIT\""));
	agent_hang_up(&late);
	core_rig_release(&w.r);
	world_run(&w);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(agent_answer(&a[i]), 101);
		agent_hang_up(&a[i]);
	}
	world_close(&w);
}

static void test_login_has_a_deadline(void **state)
{
	struct world w;
	struct agent a;

	world_open(&w);
	w.r.judge = core_rig_hold_all;
	agent_dial(&a, &w);
	agent_send(&a, ASK(""));
	assert_int_equal(agent_answer(&a), 0);
	ev_sim_run_for(w.r.ev, GATEWAY_LOGIN_MS);
	assert_int_equal(agent_answer(&a), 503);
	assert_non_null(strstr(a.answer, "\"code\":\"TIMEOUT\""));
	core_rig_release(&w.r); /* the answer that comes too late */
	world_run(&w);
	assert_int_equal(gateway_n_sessions(w.gateway), 0);
	agent_hang_up(&a);
	agent_connect(&a, &w, ASK_WHO("laptop", "5", "0"), "", NULL);
	agent_hang_up(&a);
	world_close(&w);
}

static void test_agent_goes_while_judged(void **state)
{
	struct world w;
	struct agent a;

	world_open(&w);
	w.r.judge = core_rig_hold_all;
	agent_dial(&a, &w);
	agent_send(&a, ASK(""));
	wire_mem_cut(a.wire);
	agent_hang_up(&a);
	core_rig_release(&w.r);
	world_run(&w);
	assert_int_equal(gateway_n_sessions(w.gateway), 0);
	world_close(&w);
}

static void test_gateway_goes_while_judging(void **state)
{
	struct world w;
	struct agent a;

	world_open(&w);
	w.r.judge = core_rig_hold_all;
	agent_dial(&a, &w);
	agent_send(&a, ASK(""));
	gateway_free(w.gateway);
	w.gateway = NULL;
	world_run(&w);
	assert_int_equal(agent_answer(&a), 503);
	assert_non_null(strstr(a.answer, "\"code\":\"DRAIN\""));
	agent_hang_up(&a);
	core_rig_release(&w.r);
	world_close(&w);
}

static void test_drain_while_judging(void **state)
{
	struct world w;
	struct agent a;

	world_open(&w);
	w.r.judge = core_rig_hold_all;
	agent_dial(&a, &w);
	agent_send(&a, ASK(""));
	gateway_drain(w.gateway);
	core_rig_release(&w.r);
	world_run(&w);
	assert_int_equal(agent_answer(&a), 503);
	assert_non_null(strstr(a.answer, "\"code\":\"DRAIN\""));
	agent_hang_up(&a);
	world_close(&w);
}

static void test_paths(void **state)
{
	static const struct {
		const char *why, *path;
		bool want;
	} cases[] = {
		{"the path", "/v1/connect", true},
		{"with a query", "/v1/connect?a=b", true},
		{"with a slash", "/v1/connect/", false},
		{"longer", "/v1/connected", false},
		{"another", "/", false},
		{"in capitals", "/V1/connect", false},
		{"none, in authority form", "", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_request req = {.path = str_of(cases[i].path)};

		if (gateway_wants(&req) != cases[i].want)
			fail_msg("%s", cases[i].why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_closed_registration),
		cmocka_unit_test(test_store_fails),
		cmocka_unit_test(test_websocket_handshakes),
		cmocka_unit_test(test_websocket_session),
		cmocka_unit_test(test_too_many_logins),
		cmocka_unit_test(test_login_has_a_deadline),
		cmocka_unit_test(test_agent_goes_while_judged),
		cmocka_unit_test(test_gateway_goes_while_judging),
		cmocka_unit_test(test_drain_while_judging),
		cmocka_unit_test(test_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
