#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "unit/agent/agent_rig.h"
#include "wire/wire_mem.h"

/* ---- coming up ---- */

static void test_first_session_learns_the_name(void **state)
{
	struct rig r;

	rig_open(&r);
	rig_start(&r);
	assert_int_equal(r.n_online, 1);
	assert_string_equal(r.url, "http://8bv2.localhost:8080");
	assert_false(r.again);
	assert_int_equal(fake_n_up(&r.fake), 2);
	assert_string_equal(r.fake.sessions[0].attached, "");
	assert_string_equal(r.fake.sessions[1].attached, "8bv2");
	assert_int_equal(r.fake.sessions[0].carrier, 0);
	assert_int_equal(r.fake.sessions[1].carrier, 1);
	assert_string_equal(r.fake.agent, "agent-1");
	assert_string_equal(r.fake.epoch, "1767225600000");
	assert_string_equal(r.fake.path, "/v1/connect");
	assert_string_equal(r.fake.host, "localhost:8080");
	rig_run(&r, 3600 * 1000); /* nothing more is said in an hour */
	assert_int_equal(r.n_online, 1);
	assert_int_equal(r.n_offline, 0);
	assert_int_equal(r.fake.n_dials, 2);
	rig_close(&r);
}

static void test_server_under_a_path(void **state)
{
	struct rig r;

	rig_open(&r);
	assert_int_equal(url_parse(STR("http://localhost:8080/karez/"), &r.server, NULL), 0);
	rig_start(&r);
	assert_string_equal(r.fake.path, "/karez/v1/connect");
	assert_int_equal(r.n_online, 1);
	rig_close(&r);
}

static void test_two_tunnels(void **state)
{
	struct rig r;

	rig_open(&r);
	r.tunnels[0].name = "one";
	r.tunnels[1] = r.tunnels[0];
	r.tunnels[1].name = "Two";
	r.opt.n_tunnels = 2;
	rig_start(&r);
	assert_int_equal(r.n_online, 2);
	assert_string_equal(r.name, "two");
	assert_int_equal(r.fake.sessions[1].n_attached, 2);
	fake_tell(&r.fake, "{\"op\":\"detached\",\"name\":\"one\",\"code\":\"DELETED\"}");
	rig_run(&r, 1000);
	assert_int_equal(r.n_lost, 1);
	assert_int_equal(r.n_ended, 0);
	fake_tell(&r.fake, "{\"op\":\"detached\",\"name\":\"two\",\"code\":\"DELETED\"}");
	rig_run(&r, 1000);
	assert_int_equal(r.n_ended, 1);
	rig_close(&r);
}

/* Every session says what the tunnel is to be, but only the first one of all means to change it. */
static void test_wishes_travel(void **state)
{
	static const struct {
		const char *why;
		enum agent_kind kind;
		const char *name, *wish;
		const char *want; /* the end of the line, but for "again" */
	} cases[] = {
		{"a web server", AGENT_HTTP, NULL, "", "\"target\":\"http://localhost:3000\""},
		{"a port", AGENT_TCP, "db", "\"port\":9000",
		 "\"kind\":\"tcp\",\"name\":\"db\",\"target\":\"http://localhost:3000\","
		 "\"port\":9000"},
		{"a TLS name", AGENT_TLS, "a", "\"tls\":\"end\",\"proxy_protocol\":\"v2\"",
		 "\"kind\":\"tls\",\"name\":\"a\",\"target\":\"http://localhost:3000\","
		 "\"tls\":\"end\",\"proxy_protocol\":\"v2\""},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig r;

		rig_open(&r);
		r.tunnels[0].kind = cases[i].kind;
		r.tunnels[0].name = cases[i].name;
		r.tunnels[0].wish = str_of(cases[i].wish);
		rig_start(&r);
		assert_int_equal(r.n_urls, 1);
		wire_mem_cut(fake_up(&r.fake, 0)->cable);
		wire_mem_cut(fake_up(&r.fake, 1)->cable);
		rig_run(&r, 2000);
		assert_int_equal(r.fake.n_sessions, 4);
		for (int k = 0; k < 4; k++) {
			const char *line = r.fake.sessions[k].attach_line;
			char end[FAKE_TEXT];

			str_printf(end, sizeof end, "%s%s}", cases[i].want,
				   k > 0 ? ",\"again\":true" : "");
			if (!str_ends_nocase(str_of(line), str_of(end)))
				fail_msg("%s, %d: %s", cases[i].why, k, line);
		}
		rig_close(&r);
	}
}

static void test_not_a_name(void **state)
{
	struct rig r;

	rig_open(&r);
	r.tunnels[0].name = "a_b";
	assert_int_equal(agent_new(r.ev, &r.opt, &r.agent), ERR_INVAL);
	rig_close(&r);
}

/* ---- coming back ---- */

static void test_reconnect_keeps_the_name(void **state)
{
	struct rig r;

	rig_open(&r);
	rig_start(&r);
	wire_mem_cut(fake_up(&r.fake, 0)->cable);
	wire_mem_cut(fake_up(&r.fake, 1)->cable);
	r.fake.random = "other";
	rig_run(&r, 2000);
	assert_int_equal(r.n_offline, 1);
	assert_int_equal(r.offline_e, ERR_RESET);
	assert_int_equal(r.n_online, 2);
	assert_true(r.again);
	assert_string_equal(r.name, "8bv2");
	assert_int_equal(fake_n_up(&r.fake), 2);
	for (int i = 0; i < 2; i++)
		assert_string_equal(fake_up(&r.fake, i)->attached, "8bv2");
	assert_string_equal(r.fake.epoch, "1767225600000");
	rig_close(&r);
}

static void test_one_lost_carrier_is_nobodys_business(void **state)
{
	struct rig r;

	for (int carrier = 0; carrier < 2; carrier++) {
		rig_open(&r);
		rig_start(&r);
		wire_mem_cut(fake_up(&r.fake, carrier)->cable);
		rig_run(&r, 2000);
		assert_int_equal(r.n_offline, 0);
		assert_int_equal(r.n_online, 1);
		assert_int_equal(fake_n_up(&r.fake), 2);
		assert_int_equal(r.fake.n_dials, 3);
		assert_string_equal(fake_up(&r.fake, carrier)->attached, "8bv2");
		rig_close(&r);
	}
}

static void test_only_one_tries_and_ever_more_rarely(void **state)
{
	static const uint32_t base[] = {250, 425, 722, 1227, 2085, 3544, 6024, 10240, 15000, 15000};
	struct rig r;
	uint64_t start;
	size_t first;

	rig_open(&r);
	rig_start(&r);
	rig_run(&r, 20000);
	r.fake.dial_error = ERR_REFUSED;
	fake_close_all(&r.fake, ERR_EOF, "");
	first = r.fake.n_dials;
	rig_run(&r, 120000);
	assert_int_equal(r.offline_e, ERR_REFUSED);
	assert_true(r.fake.n_dials >= first + ARRAY_LEN(base));
	/* told for the loss and for each attempt but the one under way */
	assert_in_range(r.n_offline, r.fake.n_dials - first, r.fake.n_dials - first + 2);
	for (size_t i = 1; i < ARRAY_LEN(base); i++) {
		uint64_t gap = r.fake.dial_ms[first + i] - r.fake.dial_ms[first + i - 1];

		/* one wait after each failure, plus the millisecond that failing takes */
		assert_in_range(gap, base[i] * 7 / 10, base[i] * 13 / 10 + 2);
	}
	r.fake.dial_error = 0;
	rig_run(&r, 20000);
	assert_int_equal(r.n_online, 2);
	assert_int_equal(fake_n_up(&r.fake), 2);

	/* it worked for long enough: the next wait is short again */
	rig_run(&r, 10000);
	fake_close_all(&r.fake, ERR_EOF, "");
	first = r.fake.n_dials;
	start = ev_now_ms(r.ev);
	rig_run(&r, 1000);
	assert_in_range(r.fake.dial_ms[first] - start, 175, 340);
	rig_close(&r);
}

static void test_a_server_that_fails_at_once_is_not_trampled(void **state)
{
	struct rig r;

	rig_open(&r);
	r.opt.n_sessions = 1;
	rig_start(&r);
	for (int i = 0; i < 6; i++) {
		fake_close_all(&r.fake, ERR_EOF, "");
		rig_run(&r, 8000);
		assert_int_equal(fake_n_up(&r.fake), 1);
	}
	fake_close_all(&r.fake, ERR_EOF, "");
	rig_run(&r, 20);
	assert_true(r.retry_ms > 1000);
	rig_close(&r);
}

/* ---- what the server says instead ---- */

static const struct {
	const char *why, *refuse;
	int ended, offline; /* the code of one of them */
} refusals[] = {
	{"the token is not known", "401 AUTH no such token", ERR_AUTH, 0},
	{"registration is closed", "403 DENIED ask for a token", ERR_DENIED, 0},
	{"the account is switched off", "403 DISABLED pay first", ERR_DISABLED, 0},
	{"another protocol version", "426 UNSUPPORTED update karez", ERR_UNSUPPORTED, 0},
	{"too many sessions", "429 LIMIT later", 0, ERR_LIMIT},
	{"the server is stopping", "503 DRAIN later", 0, ERR_DRAIN},
	{"the store is not there", "500 IO later", 0, ERR_IO},
};

static void test_refusals(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		struct rig r;

		rig_open(&r);
		r.fake.refuse = refusals[i].refuse;
		r.opt.token = "typed";
		rig_start(&r);
		print_message("# %s\n", refusals[i].why);
		assert_string_equal(r.fake.token, "typed");
		assert_int_equal(r.n_ended, refusals[i].ended != 0);
		assert_int_equal(r.ended_code, refusals[i].ended);
		assert_int_equal(r.offline_e, refusals[i].offline);
		assert_int_equal(r.offline_spoken, refusals[i].offline != 0);
		assert_true(strlen(r.reason) > 4);
		rig_run(&r, 60000);
		if (refusals[i].ended != 0) /* after a 426 the other transport is tried, too */
			assert_int_equal(r.fake.n_dials,
					 refusals[i].ended == ERR_UNSUPPORTED ? 2 : 1);
		else
			assert_in_range(r.fake.n_dials, 5, 20);
		rig_close(&r);
	}
}

static const struct {
	const char *why, *raw;
} strangers[] = {
	{"another web server", "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello"},
	{"JSON, but not ours", "HTTP/1.1 400 Bad\r\nContent-Length: 13\r\n\r\n{\"error\":\"x\"}"},
	{"a code that nobody knows",
	 "HTTP/1.1 403 No\r\nContent-Length: 15\r\n\r\n{\"code\":\"MOON\"}"},
	{"no HTTP at all", "SSH-2.0-OpenSSH_9.2\r\n"},
	{"another upgrade",
	 "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"},
	{"101 without an upgrade", "HTTP/1.1 101 Switching\r\n\r\n"},
	{"a page without an end", "HTTP/1.1 200 OK\r\n\r\n<html>"},
	{"two lengths", "HTTP/1.1 403 No\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"},
	{"ever more interim answers",
	 "HTTP/1.1 102 P\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 102 P\r\n\r\n"
	 "HTTP/1.1 102 P\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 102 P\r\n\r\n"
	 "HTTP/1.1 102 P\r\n\r\n"},
	{"a token that is too long",
	 "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: karez/1\r\nKarez-Token: "
	 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	 "xxx"
	 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	 "xxx"
	 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	 "xxx"
	 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	 "xxx"
	 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	 "xxx"
	 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	 "xxx"
	 "\r\n\r\n"},
};

static void test_what_is_not_karezd(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(strangers); i++) {
		struct rig r;

		rig_open(&r);
		r.fake.raw = strangers[i].raw;
		rig_start(&r);
		print_message("# %s: %s\n", strangers[i].why, r.reason);
		assert_true(r.n_offline > 0);
		assert_int_equal(r.n_ended, 0);
		assert_int_equal(r.offline_e, ERR_PROTO);
		assert_false(r.offline_spoken);
		assert_non_null(strstr(r.reason, "not karezd"));
		rig_close(&r);
	}
}

static void test_a_server_that_says_nothing(void **state)
{
	struct rig r;

	rig_open(&r);
	r.fake.raw = "";
	rig_start(&r);
	assert_int_equal(r.offline_e, ERR_EOF);
	rig_close(&r);

	rig_open(&r);
	r.opt.transport = AGENT_UPGRADE;
	assert_int_equal(agent_new(r.ev, &r.opt, &r.agent), 0);
	rig_run(&r, 1);
	wire_mem_freeze(r.fake.sessions[0].cable, true);
	rig_run(&r, 9900);
	assert_int_equal(r.n_offline, 0);
	rig_run(&r, 200);
	assert_int_equal(r.n_offline, 1);
	assert_int_equal(r.offline_e, ERR_TIMEOUT);
	rig_close(&r);

	rig_open(&r); /* it pings, but never answers what it is asked */
	r.fake.silent_lines = true;
	assert_int_equal(agent_new(r.ev, &r.opt, &r.agent), 0);
	rig_run(&r, AGENT_ATTACH_MS);
	assert_int_equal(r.n_offline, 0);
	r.fake.silent_lines = false;
	rig_run(&r, 2 * AGENT_SLEEP_CHECK_MS);
	assert_int_equal(r.offline_e, ERR_TIMEOUT);
	assert_int_equal(r.n_online, 1);
	rig_close(&r);
}

static const struct {
	const char *why, *no_name;
	bool asked;
	int ended;
	unsigned n_online;
} attaches[] = {
	{"a name of somebody else", "EXISTS it is taken", true, ERR_EXISTS, 0},
	{"a reserved name", "RESERVED it is ours", true, ERR_RESERVED, 0},
	{"a name that will not do", "INVAL too short", true, ERR_INVAL, 0},
	{"the account is switched off", "DISABLED pay first", false, ERR_DISABLED, 0},
	{"too many tunnels: later", "LIMIT no more", true, 0, 0},
	{"no name at all is refused", "EXISTS odd", false, ERR_EXISTS, 0},
};

static void test_attach_refusals(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(attaches); i++) {
		struct rig r;

		rig_open(&r);
		r.tunnels[0].name = attaches[i].asked ? "demo" : NULL;
		r.fake.no_name = attaches[i].no_name;
		rig_start(&r);
		print_message("# %s\n", attaches[i].why);
		assert_int_equal(r.n_ended, attaches[i].ended != 0);
		assert_int_equal(r.ended_code, attaches[i].ended);
		assert_int_equal(r.n_online, attaches[i].n_online);
		if (attaches[i].ended == 0) {
			assert_true(r.n_offline > 0);
			r.fake.no_name = NULL;
			rig_run(&r, 20000);
			assert_int_equal(r.n_online, 1);
			assert_int_equal(fake_n_up(&r.fake), 2);
		}
		rig_close(&r);
	}
}

static const struct {
	const char *why;
	bool close; /* the session, not the tunnel */
	int code;
	const char *name, *reason;
	int ended;
} takings[] = {
	{"a newer agent has it", false, 0, "REPLACED", "it runs elsewhere", ERR_REPLACED},
	{"its owner has deleted it", false, 0, "DELETED", "deleted", ERR_DELETED},
	{"it is switched off", false, 0, "DISABLED", "off", ERR_DISABLED},
	{"it is moved for now", false, 0, "LIMIT", "balance", 0},
	{"the session is replaced", true, ERR_REPLACED, NULL, "newer", ERR_REPLACED},
	{"the credential is revoked", true, ERR_AUTH, NULL, "revoked", ERR_AUTH},
	{"its owner ends it", true, ERR_DISCONNECTED, NULL, "come back on Monday",
	 ERR_DISCONNECTED},
	{"the account is deleted", true, ERR_DELETED, NULL, "deleted", ERR_DELETED},
	{"denied, in words", true, ERR_DENIED, NULL, "go away", ERR_DENIED},
	{"denied by the kernel: no words", true, ERR_DENIED, NULL, "", 0},
	{"the server stops", true, ERR_DRAIN, NULL, "restart", 0},
	{"an error", true, ERR_PROTO, NULL, "", 0},
};

static void test_what_is_taken_away(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(takings); i++) {
		char line[256];
		struct rig r;

		rig_open(&r);
		r.opt.n_sessions = 1;
		r.opt.token = "typed";
		rig_start(&r);
		print_message("# %s\n", takings[i].why);
		if (takings[i].close) {
			fake_close_all(&r.fake, takings[i].code, takings[i].reason);
		} else {
			str_printf(line, sizeof line,
				   "{\"op\":\"detached\",\"name\":\"8bv2\",\"code\":\"%s\","
				   "\"reason\":\"%s\"}",
				   takings[i].name, takings[i].reason);
			fake_tell(&r.fake, line);
		}
		rig_run(&r, 5000);
		assert_int_equal(r.n_ended, takings[i].ended != 0);
		assert_int_equal(r.ended_code, takings[i].ended);
		if (takings[i].ended != 0) {
			assert_string_equal(r.reason, takings[i].reason);
			assert_int_equal(fake_n_up(&r.fake), 0);
		} else {
			assert_int_equal(r.n_offline, 1);
			assert_int_equal(r.n_online, 2);
		}
		rig_close(&r);
	}
}

/* One session of several is ended by a person: the agent does not come back with the others. */
static void test_disconnected(void **state)
{
	struct fake_session *s;
	struct rig r;

	rig_open(&r);
	r.opt.n_sessions = 2;
	rig_start(&r);
	rig_run(&r, 2000);
	assert_int_equal(fake_n_up(&r.fake), 2);
	s = fake_up(&r.fake, 0);
	session_close(s->session, ERR_DISCONNECTED, STR("that is enough"));
	s->session = NULL;
	rig_run(&r, 5000);
	assert_int_equal(r.n_ended, 1);
	assert_int_equal(r.ended_code, ERR_DISCONNECTED);
	assert_string_equal(r.reason, "that is enough");
	assert_int_equal(fake_n_up(&r.fake), 0);
	rig_close(&r);
}

static void test_a_wrong_control_line(void **state)
{
	struct rig r;

	rig_open(&r);
	r.opt.n_sessions = 1;
	rig_start(&r);
	fake_tell(&r.fake, "{\"op\":\"later\"}");
	fake_tell(&r.fake,
		  "{\"op\":\"attached\",\"ref\":99,\"name\":\"x\",\"urls\":[\"http://x\"]}");
	fake_tell(&r.fake, "{\"op\":\"detached\",\"name\":\"not-ours\",\"code\":\"DELETED\"}");
	rig_run(&r, 1000);
	assert_int_equal(r.n_offline, 0);
	fake_tell(&r.fake, "gibberish");
	rig_run(&r, 1000);
	assert_int_equal(r.n_offline, 1);
	assert_int_equal(r.offline_e, ERR_PROTO);
	assert_int_equal(r.n_online, 2);
	rig_close(&r);
}

/* ---- sleep ---- */

static void test_a_machine_that_slept(void **state)
{
	struct rig r;

	rig_open(&r);
	rig_start(&r);
	for (int i = 0; i < 2; i++)
		wire_mem_freeze(fake_up(&r.fake, i)->cable, true);
	ev_sim_jump_wall(r.ev, 3600 * 1000);
	rig_run(&r, AGENT_SLEEP_CHECK_MS + AGENT_WAKE_PING_MS + 1000);
	assert_int_equal(r.n_offline, 1);
	assert_int_equal(r.offline_e, ERR_DEAD);
	assert_int_equal(r.n_online, 2);
	rig_close(&r);
}

static void test_waking_up_does_not_wait(void **state)
{
	struct rig r;
	size_t n;

	rig_open(&r);
	r.fake.dial_error = ERR_UNREACH;
	rig_start(&r);
	rig_run(&r, 60000);
	r.fake.dial_error = 0;
	n = r.fake.n_dials;
	ev_sim_jump_wall(r.ev, 60000);
	rig_run(&r, AGENT_SLEEP_CHECK_MS + 100);
	assert_true(r.fake.n_dials > n);
	assert_int_equal(r.n_online, 1);
	rig_close(&r);
}

static void test_a_clock_that_is_set_a_little(void **state)
{
	struct rig r;

	rig_open(&r);
	rig_start(&r);
	for (int i = 0; i < 2; i++)
		wire_mem_freeze(fake_up(&r.fake, i)->cable, true);
	ev_sim_jump_wall(r.ev, 9000);
	rig_run(&r, 4000);
	ev_sim_jump_wall(r.ev, -3600 * 1000);
	rig_run(&r, 4000);
	assert_int_equal(r.n_offline, 0); /* only silence itself is death */
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_session_learns_the_name),
		cmocka_unit_test(test_server_under_a_path),
		cmocka_unit_test(test_two_tunnels),
		cmocka_unit_test(test_wishes_travel),
		cmocka_unit_test(test_not_a_name),
		cmocka_unit_test(test_reconnect_keeps_the_name),
		cmocka_unit_test(test_one_lost_carrier_is_nobodys_business),
		cmocka_unit_test(test_only_one_tries_and_ever_more_rarely),
		cmocka_unit_test(test_a_server_that_fails_at_once_is_not_trampled),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_what_is_not_karezd),
		cmocka_unit_test(test_a_server_that_says_nothing),
		cmocka_unit_test(test_attach_refusals),
		cmocka_unit_test(test_what_is_taken_away),
		cmocka_unit_test(test_disconnected),
		cmocka_unit_test(test_a_wrong_control_line),
		cmocka_unit_test(test_a_machine_that_slept),
		cmocka_unit_test(test_waking_up_does_not_wait),
		cmocka_unit_test(test_a_clock_that_is_set_a_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
