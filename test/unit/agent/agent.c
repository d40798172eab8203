#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
	rig_run(&r, 20);
	assert_in_range(r.retry_ms, 175, 325);
	rig_close(&r);
}

static void test_a_server_that_fails_at_once_is_not_trampled(void **state)
{
	struct rig r;

	rig_open(&r);
	rig_start(&r);
	for (int i = 0; i < 6; i++) {
		fake_close_all(&r.fake, ERR_EOF, "");
		rig_run(&r, 8000);
		assert_int_equal(fake_n_up(&r.fake), 2);
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
		if (refusals[i].ended != 0)
			assert_int_equal(r.fake.n_dials, 1);
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
	assert_int_equal(agent_new(r.ev, &r.opt, &r.agent), 0);
	rig_run(&r, 1);
	wire_mem_freeze(r.fake.sessions[0].cable, true);
	rig_run(&r, 9900);
	assert_int_equal(r.n_offline, 0);
	rig_run(&r, 200);
	assert_int_equal(r.n_offline, 1);
	assert_int_equal(r.offline_e, ERR_TIMEOUT);
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

/* ---- accounts and names that are remembered ---- */

struct remembered {
	struct rig rig;
	char dir[64], file[128];
	struct memory *memory;
};

static void remembered_open(struct remembered *m)
{
	char why[MEMORY_WHY_MAX];

	rig_open(&m->rig);
	str_printf(m->dir, sizeof m->dir, "/tmp/karez-agent-XXXXXX");
	assert_non_null(mkdtemp(m->dir));
	str_printf(m->file, sizeof m->file, "%s/" MEMORY_FILE, m->dir);
	assert_int_equal(memory_open(m->rig.ev, m->dir, &m->memory, why), 0);
	m->rig.opt.memory = m->memory;
}

static void remembered_close(struct remembered *m)
{
	rig_close(&m->rig);
	memory_close(m->memory);
	assert_int_equal(unlink(m->file), 0);
	assert_int_equal(rmdir(m->dir), 0);
}

static void test_an_account_on_the_fly_is_kept(void **state)
{
	struct memory_credential c;
	char name[HOSTNAME_MAX + 1];
	struct remembered m;

	remembered_open(&m);
	rig_start(&m.rig);
	assert_string_equal(m.rig.fake.token, "a-fresh-token"); /* the second carrier's */
	memory_credential(m.memory, "http://localhost:8080", &c);
	assert_string_equal(c.token, "a-fresh-token");
	assert_string_equal(c.account, "AAAA-1");
	assert_true(c.automatic);
	memory_name(m.memory, "http://localhost:8080", "http://localhost:3000", name);
	assert_string_equal(name, "8bv2");

	/* the next run asks for the same name with the same token */
	agent_free(m.rig.agent);
	rig_run(&m.rig, 1000);
	m.rig.fake.random = "other";
	rig_start(&m.rig);
	assert_string_equal(m.rig.fake.token, "a-fresh-token");
	assert_string_equal(m.rig.name, "8bv2");
	remembered_close(&m);
}

static void test_a_server_that_lost_its_records(void **state)
{
	struct memory_credential c = {.token = "old", .automatic = true};
	struct remembered m;

	remembered_open(&m);
	assert_int_equal(memory_set_credential(m.memory, "http://localhost:8080", &c), 0);
	assert_int_equal(memory_set_name(m.memory, "http://localhost:8080", "http://localhost:3000",
					 "mine"),
			 0);
	m.rig.fake.refuse = "401 AUTH no such token";
	m.rig.fake.only_token = "";
	rig_start(&m.rig);
	/* the old token is refused, none is taken, the new one is refused on the other carrier */
	assert_int_equal(m.rig.n_online, 1);
	assert_string_equal(m.rig.name, "mine"); /* it was free */
	assert_int_equal(m.rig.n_ended, 0);
	memory_credential(m.memory, "http://localhost:8080", &c);
	assert_string_equal(c.token, "a-fresh-token");
	remembered_close(&m);
}

static void test_an_account_is_asked_for_anew_only_once(void **state)
{
	struct memory_credential c = {.token = "old", .automatic = true};
	struct remembered m;

	remembered_open(&m);
	assert_int_equal(memory_set_credential(m.memory, "http://localhost:8080", &c), 0);
	m.rig.fake.refuse = "401 AUTH no such token";
	rig_start(&m.rig);
	assert_int_equal(m.rig.fake.n_asks, 2);
	assert_int_equal(m.rig.n_ended, 1);
	assert_int_equal(m.rig.ended_code, ERR_AUTH);
	remembered_close(&m);
}

static void test_a_given_credential_is_not_replaced(void **state)
{
	struct memory_credential c = {.token = "given", .automatic = false};
	struct remembered m;

	remembered_open(&m);
	assert_int_equal(memory_set_credential(m.memory, "http://localhost:8080", &c), 0);
	m.rig.fake.refuse = "401 AUTH no such token";
	m.rig.fake.only_token = "";
	rig_start(&m.rig);
	assert_int_equal(m.rig.fake.n_asks, 1);
	assert_int_equal(m.rig.ended_code, ERR_AUTH);
	memory_credential(m.memory, "http://localhost:8080", &c);
	assert_string_equal(c.token, "given");
	remembered_close(&m);
}

static void test_a_remembered_name_that_is_taken(void **state)
{
	char name[HOSTNAME_MAX + 1];
	struct remembered m;

	remembered_open(&m);
	assert_int_equal(memory_set_name(m.memory, "http://localhost:8080", "http://localhost:3000",
					 "mine"),
			 0);
	m.rig.fake.no_name = "EXISTS somebody else has it";
	m.rig.fake.no_name_of = "mine";
	rig_start(&m.rig);
	assert_int_equal(m.rig.n_ended, 0);
	assert_string_equal(m.rig.name, "8bv2");
	memory_name(m.memory, "http://localhost:8080", "http://localhost:3000", name);
	assert_string_equal(name, "8bv2");
	remembered_close(&m);
}

/* ---- sleep and drain ---- */

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

static struct wire *a_visit_for(struct rig *r, const char *tunnel, enum visit_ingress in)
{
	struct visit v = {.ingress = in};
	struct wire *w = NULL;

	str_printf(v.tunnel, sizeof v.tunnel, "%s", tunnel);
	assert_int_equal(session_open(fake_up(&r->fake, 0)->session, &v, &w), 0);
	return w;
}

/* The visitor's end. */
struct visitor {
	struct wire *wire;
	struct fake_target end; /* the same bookkeeping */
};

static void visitor_on_ready(void *arg, struct wire *w, int events)
{
	struct visitor *v = arg;
	struct str in;
	int e;

	while ((e = wire_read(w, 4096, &in)) == 0) {
		assert_true(v->end.n_got + in.len < sizeof v->end.got);
		memcpy(v->end.got + v->end.n_got, in.p, in.len);
		v->end.n_got += in.len;
	}
	if (e == ERR_EOF) {
		v->end.eof = true;
		wire_want(w, 0);
	}
}

static void visitor_on_broken(void *arg, struct wire *w, int why)
{
	((struct visitor *)arg)->end.why = why;
}

static const struct wire_owner visitor_owner = {visitor_on_ready, visitor_on_broken};

static void visitor_come(struct visitor *v, struct rig *r, const char *tunnel,
			 enum visit_ingress in)
{
	*v = (struct visitor){.wire = a_visit_for(r, tunnel, in)};
	wire_own(v->wire, &visitor_owner, v);
	wire_want(v->wire, WIRE_READ);
	assert_int_equal(wire_write_all(v->wire, STR("GET /a HTTP/1.1\r\nHost: a\r\n\r\n")), 0);
}

static void test_drain_keeps_what_runs(void **state)
{
	struct visitor v;
	struct rig r;

	rig_open(&r);
	rig_start(&r);
	visitor_come(&v, &r, "8bv2", VISIT_HTTP);
	rig_run(&r, 100);
	for (int i = 0; i < 2; i++)
		session_drain(fake_up(&r.fake, i)->session);
	rig_run(&r, 3000);
	assert_int_equal(r.n_offline, 1);
	assert_int_equal(r.offline_e, ERR_DRAIN);
	assert_int_equal(r.n_online, 2);
	assert_int_equal(fake_n_up(&r.fake), 4); /* two old ones, two new ones */
	assert_int_equal(wire_write_all(r.fake.target.wire,
					STR("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")),
			 0);
	rig_run(&r, 100);
	assert_int_equal(v.end.n_got, 40);
	assert_int_equal(v.end.why, 0);
	wire_close(v.wire, 0);
	/* the old ones go, even with harsh words, and nobody minds */
	for (int i = 0; i < 2; i++) {
		session_close(r.fake.sessions[i].session, ERR_REPLACED, STR("old"));
		r.fake.sessions[i].session = NULL;
	}
	rig_run(&r, 1000);
	assert_int_equal(r.n_ended, 0);
	assert_int_equal(r.n_offline, 1);
	rig_close(&r);
}

/* ---- visitors ---- */

static void test_a_visit(void **state)
{
	struct visitor v;
	struct rig r;

	rig_open(&r);
	r.fake.target_says = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
	rig_start(&r);
	visitor_come(&v, &r, "8bv2", VISIT_HTTP);
	wire_shut(v.wire);
	rig_run(&r, 1000);
	assert_string_equal(r.fake.target.got, "GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_true(r.fake.target.eof);
	v.end.got[v.end.n_got] = '\0';
	assert_string_equal(v.end.got, r.fake.target_says);
	assert_true(v.end.eof);
	assert_int_equal(v.end.why, 0);
	assert_int_equal(r.n_request, 1);
	assert_string_equal(r.request, "GET /a 200");
	assert_int_equal(r.n_target, 0);
	wire_close(v.wire, 0);
	rig_close(&r);
}

static const struct {
	const char *why;
	int target_error;
	const char *tunnel;
	enum visit_ingress in;
	int want;
} failures[] = {
	{"nobody listens", ERR_REFUSED, "8bv2", VISIT_HTTP, ERR_REFUSED},
	{"no answer in time", ERR_TIMEOUT, "8bv2", VISIT_HTTP, ERR_TIMEOUT},
	{"no route", ERR_UNREACH, "8bv2", VISIT_HTTP, ERR_UNREACH},
	{"no such host", ERR_RESOLVE, "8bv2", VISIT_HTTP, ERR_RESOLVE},
	{"no more descriptors", ERR_NOFILE, "8bv2", VISIT_HTTP, ERR_NOFILE},
	{"no permission for the socket", ERR_DENIED, "8bv2", VISIT_HTTP, ERR_DENIED},
	{"no such socket", ERR_NOTFOUND, "8bv2", VISIT_HTTP, ERR_REFUSED},
	{"anything else", ERR_IO, "8bv2", VISIT_HTTP, ERR_TARGET},
	{"a name that is not ours", 0, "other", VISIT_HTTP, ERR_NOTFOUND},
	{"a door that is not ours", 0, "8bv2", VISIT_TCP, ERR_NOTFOUND},
};

static void test_failures_go_back_as_reasons(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
		struct visitor v;
		struct rig r;

		rig_open(&r);
		rig_start(&r);
		r.fake.target_error = failures[i].target_error;
		print_message("# %s\n", failures[i].why);
		for (int k = 0; k < 2; k++) {
			visitor_come(&v, &r, failures[i].tunnel, failures[i].in);
			rig_run(&r, 100);
			assert_int_equal(v.end.why, failures[i].want);
			wire_close(v.wire, 0);
		}
		/* the person is told once, and once more when it works */
		assert_int_equal(r.n_target, failures[i].target_error != 0);
		assert_int_equal(r.target_e, failures[i].target_error);
		r.fake.target_error = 0;
		visitor_come(&v, &r, "8bv2", VISIT_HTTP);
		rig_run(&r, 100);
		assert_int_equal(r.n_target, failures[i].target_error != 0 ? 2 : 0);
		assert_int_equal(r.target_e, 0);
		wire_close(v.wire, 0);
		rig_close(&r);
	}
}

static void test_a_visitor_who_leaves_while_we_connect(void **state)
{
	struct visitor v;
	struct rig r;

	rig_open(&r);
	rig_start(&r);
	r.fake.target_hangs = true;
	visitor_come(&v, &r, "8bv2", VISIT_HTTP);
	rig_run(&r, 100);
	assert_int_equal(r.fake.n_cancelled, 0);
	wire_close(v.wire, ERR_RESET);
	rig_run(&r, 100);
	assert_int_equal(r.fake.n_cancelled, 1);
	assert_int_equal(r.fake.n_targets, 0);
	rig_close(&r);
}

static void test_a_lost_session_ends_its_visits(void **state)
{
	struct visitor v;
	struct rig r;

	rig_open(&r);
	rig_start(&r);
	visitor_come(&v, &r, "8bv2", VISIT_HTTP);
	rig_run(&r, 100);
	assert_non_null(r.fake.target.wire);
	wire_mem_cut(fake_up(&r.fake, 0)->cable);
	rig_run(&r, 100);
	assert_null(r.fake.target.wire);
	assert_string_equal(r.request, "GET /a 0");
	wire_close(v.wire, 0);
	rig_close(&r);
}

/* ---- stopping ---- */

static void test_stop_says_good_bye(void **state)
{
	struct rig r;
	uint64_t start;

	rig_open(&r);
	rig_start(&r);
	start = ev_now_ms(r.ev);
	agent_stop(r.agent);
	agent_stop(r.agent);
	rig_run(&r, 2000);
	assert_int_equal(r.n_ended, 1);
	assert_int_equal(r.ended_code, 0);
	assert_in_range(r.ended_ms - start, 0, 10);
	assert_int_equal(r.n_offline, 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(r.fake.sessions[i].n_detached, 1);
		assert_int_equal(r.fake.sessions[i].closed_why, ERR_EOF);
		assert_string_equal(r.fake.sessions[i].closed_reason, "the agent was stopped");
	}
	rig_close(&r);
}

static void test_stop_lets_a_visit_finish(void **state)
{
	static const struct {
		const char *why;
		uint64_t finishes_ms; /* 0: never */
		uint64_t least, most;
	} rows[] = {
		{"a short request ends it early", 200, 200, 300},
		{"a long one is cut", 0, AGENT_STOP_MS, AGENT_STOP_MS + 10},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct visitor v;
		struct rig r;
		uint64_t start;

		rig_open(&r);
		rig_start(&r);
		visitor_come(&v, &r, "8bv2", VISIT_HTTP);
		wire_shut(v.wire);
		rig_run(&r, 100);
		start = ev_now_ms(r.ev);
		agent_stop(r.agent);
		print_message("# %s\n", rows[i].why);
		if (rows[i].finishes_ms != 0) {
			rig_run(&r, rows[i].finishes_ms);
			assert_int_equal(r.n_ended, 0);
			assert_int_equal(wire_write_all(r.fake.target.wire, STR("done")), 0);
			wire_shut(r.fake.target.wire);
		}
		rig_run(&r, 1000);
		assert_int_equal(r.n_ended, 1);
		assert_in_range(r.ended_ms - start, rows[i].least, rows[i].most);
		assert_int_equal(v.end.n_got, rows[i].finishes_ms != 0 ? 4 : 0);
		wire_close(v.wire, 0);
		rig_close(&r);
	}
}

static void test_stop_at_any_moment(void **state)
{
	for (uint64_t ms = 0; ms < 60; ms++) {
		struct rig r;

		rig_open(&r);
		assert_int_equal(agent_new(r.ev, &r.opt, &r.agent), 0);
		rig_run(&r, ms);
		agent_stop(r.agent);
		rig_run(&r, 2000);
		assert_int_equal(r.n_ended, 1);
		assert_int_equal(r.ended_code, 0);
		rig_close(&r);

		rig_open(&r);
		assert_int_equal(agent_new(r.ev, &r.opt, &r.agent), 0);
		rig_run(&r, ms);
		rig_close(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_session_learns_the_name),
		cmocka_unit_test(test_server_under_a_path),
		cmocka_unit_test(test_two_tunnels),
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
		cmocka_unit_test(test_a_wrong_control_line),
		cmocka_unit_test(test_an_account_on_the_fly_is_kept),
		cmocka_unit_test(test_a_server_that_lost_its_records),
		cmocka_unit_test(test_an_account_is_asked_for_anew_only_once),
		cmocka_unit_test(test_a_given_credential_is_not_replaced),
		cmocka_unit_test(test_a_remembered_name_that_is_taken),
		cmocka_unit_test(test_a_machine_that_slept),
		cmocka_unit_test(test_waking_up_does_not_wait),
		cmocka_unit_test(test_a_clock_that_is_set_a_little),
		cmocka_unit_test(test_drain_keeps_what_runs),
		cmocka_unit_test(test_a_visit),
		cmocka_unit_test(test_failures_go_back_as_reasons),
		cmocka_unit_test(test_a_visitor_who_leaves_while_we_connect),
		cmocka_unit_test(test_a_lost_session_ends_its_visits),
		cmocka_unit_test(test_stop_says_good_bye),
		cmocka_unit_test(test_stop_lets_a_visit_finish),
		cmocka_unit_test(test_stop_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
