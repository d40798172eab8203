/* Which transport is tried, when the other one is, and what is remembered of it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/uplink.h"
#include "base/err.h"
#include "unit/agent/agent_rig.h"
#include "wire/wire_mem.h"

#define NOT_FOUND "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello"

/* ---- what does not let a session pass ---- */

static const struct {
	const char *why, *raw, *refuse;
	bool silent, dies;
} breakers[] = {
	{"it knows no such page", NOT_FOUND},
	{"it closes the connection", ""},
	{"it answers as if nothing was asked", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"},
	{"it wants another upgrade", "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n"},
	{"it is no HTTP", "* OK IMAP4\r\n"},
	{"it takes our upgrade away, so karezd asks for one", NULL, "426 UNSUPPORTED upgrade"},
	{"it says nothing", NULL, NULL, .silent = true},
	{"it lets the answer pass and nothing more", NULL, NULL, .dies = true},
};

static void break_one(struct rig *r, size_t i, bool websocket)
{
	r->fake.raw = breakers[i].raw;
	r->fake.refuse = breakers[i].refuse;
	r->fake.silent = breakers[i].silent;
	r->fake.dies = breakers[i].dies;
	r->fake.for_upgrade = !websocket;
	r->fake.for_websocket = websocket;
}

static void test_falls_back(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(breakers); i++) {
		struct rig r;

		print_message("# %s\n", breakers[i].why);
		rig_open(&r);
		break_one(&r, i, false);
		rig_start(&r);
		rig_run(&r, 11000);
		assert_int_equal(r.n_online, 1);
		assert_int_equal(r.n_offline, breakers[i].dies); /* there was a session */
		assert_int_equal(r.n_ended, 0);
		assert_int_equal(fake_n_up(&r.fake), 2);
		assert_true(fake_up(&r.fake, 0)->websocket && fake_up(&r.fake, 1)->websocket);
		assert_int_equal(r.fake.n_asks, 3); /* the second carrier knows what works */
		assert_int_equal(r.fake.n_websocket, 2);
		rig_close(&r);
	}
}

/* The server's own words, and a server that nobody reaches, are not the transport's fault. */
static void test_does_not_fall_back(void **state)
{
	static const struct {
		const char *why, *refuse;
		int dial_error;
	} cases[] = {
		{"the credential is wrong", "401 AUTH no", 0},
		{"registration is closed", "403 DENIED no", 0},
		{"there are too many", "429 LIMIT later", 0},
		{"it is shutting down", "503 DRAIN later", 0},
		{"it is too slow itself", "503 TIMEOUT later", 0},
		{"nobody listens", NULL, ERR_REFUSED},
		{"the name is not known", NULL, ERR_RESOLVE},
		{"it cannot be connected in time", NULL, ERR_TIMEOUT},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig r;

		print_message("# %s\n", cases[i].why);
		rig_open(&r);
		r.fake.refuse = cases[i].refuse;
		r.fake.dial_error = cases[i].dial_error;
		assert_int_equal(agent_new(r.ev, &r.opt, &r.agent), 0);
		rig_run(&r, 100);
		assert_int_equal(r.fake.n_dials, 1);
		rig_run(&r, 10000);
		assert_int_equal(r.fake.n_websocket, 0);
		rig_close(&r);
	}
}

/* Where nothing works, each round has two attempts and is told once. */
static void test_one_more_attempt_a_round(void **state)
{
	struct rig r;

	rig_open(&r);
	r.fake.raw = NOT_FOUND;
	assert_int_equal(agent_new(r.ev, &r.opt, &r.agent), 0);
	rig_run(&r, 100);
	assert_int_equal(r.fake.n_asks, 2);
	assert_int_equal(r.fake.n_websocket, 1);
	assert_int_equal(r.n_offline, 1);
	assert_int_equal(r.offline_e, ERR_PROTO);
	assert_true(r.retry_ms > 0);
	rig_run(&r, r.retry_ms + 100);
	assert_int_equal(r.fake.n_asks, 4);
	assert_int_equal(r.n_offline, 2);
	rig_close(&r);
}

/* A network that takes our upgrade away may be met at any time: the last word of karezd is none. */
static void test_another_network(void **state)
{
	struct rig r;

	rig_open(&r);
	rig_start(&r);
	r.fake.refuse = "426 UNSUPPORTED upgrade";
	r.fake.for_upgrade = true;
	wire_mem_cut(fake_up(&r.fake, 0)->cable);
	wire_mem_cut(fake_up(&r.fake, 1)->cable);
	rig_run(&r, 5000);
	assert_int_equal(r.n_ended, 0);
	assert_int_equal(fake_n_up(&r.fake), 2);
	assert_true(fake_up(&r.fake, 0)->websocket && fake_up(&r.fake, 1)->websocket);
	rig_close(&r);
}

/* A server that was there and is gone is asked once a round, by the one and the other in turn. */
static void test_takes_turns_later(void **state)
{
	struct rig r;
	size_t before, n = 0;

	rig_open(&r);
	r.opt.n_sessions = 1;
	rig_start(&r);
	before = r.fake.n_dials;
	r.fake.n_asks = 0;
	r.fake.raw = "";
	wire_mem_cut(fake_up(&r.fake, 0)->cable);
	for (; n < 6; n++) {
		rig_run(&r, 1);
		while (r.fake.n_asks == n)
			rig_run(&r, 10);
		assert_int_equal(r.fake.n_asks, n + 1);
		assert_int_equal(r.fake.n_websocket, (n + 1) / 2);
	}
	assert_int_equal(r.fake.n_dials - before, n);
	r.fake.for_upgrade = true; /* now only WebSocket works */
	rig_run(&r, 20000);
	assert_int_equal(fake_n_up(&r.fake), 1);
	assert_true(fake_up(&r.fake, 0)->websocket);
	rig_close(&r);
}

static void test_a_person_decides(void **state)
{
	for (int websocket = 0; websocket < 2; websocket++) {
		struct rig r;

		rig_open(&r);
		r.opt.transport = websocket ? AGENT_WEBSOCKET : AGENT_UPGRADE;
		rig_start(&r);
		assert_int_equal(r.n_online, 1);
		assert_int_equal(r.fake.n_websocket, websocket ? 2 : 0);
		rig_close(&r);

		for (size_t i = 0; i < ARRAY_LEN(breakers); i++) {
			rig_open(&r);
			r.opt.transport = websocket ? AGENT_WEBSOCKET : AGENT_UPGRADE;
			break_one(&r, i, websocket);
			rig_start(&r);
			rig_run(&r, 30000);
			assert_int_equal(r.n_online, 0);
			assert_true(r.fake.n_asks > 0);
			assert_int_equal(r.fake.n_websocket, websocket ? r.fake.n_asks : 0);
			rig_close(&r);
		}
	}
}

/* What answers to WebSocket must have understood it, and add nothing. */
static void test_wrong_handshakes(void **state)
{
#define SWITCH "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
#define OURS   "Sec-WebSocket-Protocol: karez.1\r\n"
	static const struct {
		const char *why, *raw;
	} cases[] = {
		{"nothing is accepted", SWITCH OURS "\r\n"},
		{"another key is",
		 SWITCH OURS "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"},
		{"our upgrade, which was not asked for",
		 "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: karez/1\r\n\r\n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig r;

		print_message("# %s\n", cases[i].why);
		rig_open(&r);
		r.opt.transport = AGENT_WEBSOCKET;
		r.fake.raw = cases[i].raw;
		rig_start(&r);
		assert_int_equal(r.n_online, 0);
		assert_int_equal(r.offline_e, ERR_PROTO);
		assert_non_null(strstr(r.reason, "not karezd"));
		rig_close(&r);
	}
}

/* ---- memory ---- */

struct remembered {
	struct rig rig;
	char dir[64];
	struct memory *memory;
};

static void remembered_open(struct remembered *m)
{
	char why[MEMORY_WHY_MAX];

	rig_open(&m->rig);
	str_printf(m->dir, sizeof m->dir, "/tmp/karez-uplink-XXXXXX");
	assert_non_null(mkdtemp(m->dir));
	assert_int_equal(memory_open(m->rig.ev, m->dir, &m->memory, why), 0);
	m->rig.opt.memory = m->memory;
}

/* The same agent, started anew. */
static void remembered_again(struct remembered *m)
{
	agent_free(m->rig.agent);
	m->rig.agent = NULL;
	rig_run(&m->rig, 5000);
	m->rig.fake.n_asks = m->rig.fake.n_websocket = 0;
	rig_start(&m->rig);
}

static void remembered_close(struct remembered *m)
{
	char file[128];

	rig_close(&m->rig);
	memory_close(m->memory);
	str_printf(file, sizeof file, "%s/" MEMORY_FILE, m->dir);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(rmdir(m->dir), 0);
}

static void test_what_worked_is_remembered(void **state)
{
	struct remembered m;

	remembered_open(&m);
	break_one(&m.rig, 0, false);
	rig_start(&m.rig);
	assert_true(memory_websocket(m.memory, "http://localhost:8080"));
	assert_false(memory_websocket(m.memory, "http://localhost:8081"));
	remembered_again(&m);
	assert_int_equal(m.rig.fake.n_asks, 2);
	assert_int_equal(m.rig.fake.n_websocket, 2);
	break_one(&m.rig, 0, true); /* now it is the other way round */
	remembered_again(&m);
	assert_int_equal(fake_n_up(&m.rig.fake), 2);
	assert_int_equal(m.rig.fake.n_websocket, 1);
	assert_false(memory_websocket(m.memory, "http://localhost:8080"));
	remembered_close(&m);
}

/* What a person has decided says nothing of what would be best. */
static void test_a_decision_is_not_remembered(void **state)
{
	struct remembered m;

	remembered_open(&m);
	m.rig.opt.transport = AGENT_WEBSOCKET;
	rig_start(&m.rig);
	assert_int_equal(m.rig.fake.n_websocket, 2);
	assert_false(memory_websocket(m.memory, "http://localhost:8080"));
	remembered_close(&m);
}

/* Services may never hear a line: their session is proven by its age. */
static void test_proven_by_age(void **state)
{
	struct remembered m;

	remembered_open(&m);
	m.rig.opt.n_tunnels = 0;
	m.rig.opt.services = m.rig.services;
	m.rig.opt.n_services = 1;
	m.rig.opt.n_sessions = 1;
	break_one(&m.rig, 0, false);
	rig_start(&m.rig);
	assert_int_equal(m.rig.fake.n_asks, 2);
	assert_int_equal(fake_n_up(&m.rig.fake), 1);
	rig_run(&m.rig, UPLINK_PROVEN_MS - 2000);
	assert_false(memory_websocket(m.memory, "http://localhost:8080"));
	rig_run(&m.rig, 3000);
	assert_true(memory_websocket(m.memory, "http://localhost:8080"));
	remembered_close(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_falls_back),
		cmocka_unit_test(test_does_not_fall_back),
		cmocka_unit_test(test_one_more_attempt_a_round),
		cmocka_unit_test(test_another_network),
		cmocka_unit_test(test_takes_turns_later),
		cmocka_unit_test(test_a_person_decides),
		cmocka_unit_test(test_wrong_handshakes),
		cmocka_unit_test(test_what_worked_is_remembered),
		cmocka_unit_test(test_a_decision_is_not_remembered),
		cmocka_unit_test(test_proven_by_age),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
