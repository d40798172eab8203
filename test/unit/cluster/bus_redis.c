/* The Redis bus: the suite on a real server, then what a server and strangers do to it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cluster/bus_redis.h"
#include "suite/bus_suite.h"
#include "suite/store_server.h"

#define SOON_MS 5000

/* Does not keep anything: so it comes back empty. */
static struct store_server server = {.args = {"--appendonly", "no"}};
static char where[256];

static void redis_begin(void)
{
	store_server_where(&server, where, sizeof where);
}

static void redis_end(void)
{
}

static int redis_make(struct ev *ev, struct log *log, const char *id, struct bus **out)
{
	return bus_redis_new(ev, log, where, id, out);
}

static const struct bus_maker redis = {
	.name = "bus suite, redis",
	.begin = redis_begin,
	.end = redis_end,
	.make = redis_make,
};

static void say(const char *words)
{
	store_server_say(&server, where, words, NULL, 0);
}

/* Publish on the channel of all; what: without spaces. */
static void publish(const char *what)
{
	char words[500];

	str_printf(words, sizeof words, "PUBLISH karez:{store}:bus/%s %s", strstr(where, "db=") + 3,
		   what);
	say(words);
}

/* ---- Redis goes away ---- */

/* While it is away nobody is gone. It comes back empty, and all meet again; who has died meanwhile
 * is gone, when it has had all of its time. */
static void test_redis_comes_back_empty(void **state)
{
	struct bus_rig *t = *state;
	uint64_t back;

	bus_rig_meet(t, 3);
	store_server_kill(&server);
	bus_rig_until(t, SOON_MS, !t->nodes[0].up && !t->nodes[1].up && !t->nodes[2].up);
	assert_int_equal(bus_rig_send(&t->nodes[0], NULL, STR("x")), ERR_CLOSED);
	t->nodes[2].silent = true;
	bus_rig_run(t, BUS_GONE_MS + 1000);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(t->nodes[i].n_gone, 0);
		bus_rig_forget(&t->nodes[i]);
	}
	bus_rig_leave(&t->nodes[2]);
	store_server_start(&server);
	back = ev_now_ms(t->ev);
	bus_rig_until(t, SOON_MS, bus_rig_knows(&t->nodes[0], 1) && bus_rig_knows(&t->nodes[1], 0));
	assert_int_equal(t->nodes[0].n_up, 2);
	bus_rig_until(t, BUS_GONE_MS + SOON_MS, bus_rig_gone(&t->nodes[0], 2) == 1);
	assert_true(ev_now_ms(t->ev) - back > BUS_GONE_MS - 1000);
	assert_int_equal(bus_rig_gone(&t->nodes[0], 1), 0);
	assert_int_equal(t->n_errors, 3); /* one a node */
	assert_int_equal(t->n_infos, 2);
	assert_non_null(strstr(t->said, "works again"));
}

static void test_redis_is_paused(void **state)
{
	struct bus_rig *t = *state;

	bus_rig_meet(t, 2);
	kill(server.pid, SIGSTOP);
	bus_rig_until(t, 3 * SOON_MS, !t->nodes[0].up && !t->nodes[1].up);
	bus_rig_run(t, 2000);
	kill(server.pid, SIGCONT);
	bus_rig_forget(&t->nodes[0]);
	bus_rig_until(t, 2 * SOON_MS, bus_rig_knows(&t->nodes[0], 1));
	bus_rig_run(t, 3000);
	assert_int_equal(t->nodes[0].n_gone + t->nodes[1].n_gone, 0);
}

/* One of the two connections breaks: both work again, and nobody is gone. */
static void test_a_connection_breaks(void **state)
{
	static const char *const kills[] = {"CLIENT KILL TYPE pubsub", "CLIENT KILL TYPE normal"};
	struct bus_rig *t = *state;

	for (unsigned i = 0; i < ARRAY_LEN(kills); i++) {
		print_message("  %s\n", kills[i]);
		if (i == 0)
			bus_rig_meet(t, 2);
		say(kills[i]);
		bus_rig_until(t, SOON_MS, t->nodes[0].n_down == i + 1 && t->nodes[0].up);
		bus_rig_until(t, SOON_MS, t->nodes[1].n_down == i + 1 && t->nodes[1].up);
		assert_int_equal(bus_rig_send(&t->nodes[0], NULL, str_of(kills[i])), 0);
		bus_rig_until(t, SOON_MS, bus_rig_heard(&t->nodes[1], str_of(kills[i])) == 1);
	}
	assert_int_equal(t->nodes[0].n_gone + t->nodes[1].n_gone, 0);
}

/* A Redis that is no master any more is left, though it closes no connection. */
static void test_a_master_steps_down(void **state)
{
	struct bus_rig *t = *state;

	bus_rig_meet(t, 2);
	say("REPLICAOF 127.0.0.1 1");
	bus_rig_until(t, SOON_MS, !t->nodes[0].up && !t->nodes[1].up);
	say("REPLICAOF NO ONE");
	bus_rig_until(t, SOON_MS, t->nodes[0].up && t->nodes[1].up);
	assert_int_equal(t->nodes[0].n_gone + t->nodes[1].n_gone, 0);
}

/* It has forgotten the script: a beat is lost, not the bus. */
static void test_scripts_are_flushed(void **state)
{
	struct bus_rig *t = *state;

	bus_rig_meet(t, 2);
	say("SCRIPT FLUSH");
	bus_rig_run(t, 2 * BUS_BEAT_MS);
	bus_rig_forget(&t->nodes[0]);
	bus_rig_until(t, 2 * BUS_BEAT_MS, bus_rig_knows(&t->nodes[0], 1));
	assert_int_equal(t->nodes[0].n_down, 0);
	assert_int_equal(t->n_warns, 0);
}

/* No room for leases: beats are published all the same, and it is said once. */
static void test_redis_is_full(void **state)
{
	struct bus_rig *t = *state;

	bus_rig_meet(t, 2);
	say("CONFIG SET maxmemory 1");
	bus_rig_run(t, BUS_GONE_MS + BUS_BEAT_MS);
	bus_rig_forget(&t->nodes[0]);
	bus_rig_until(t, 2 * BUS_BEAT_MS, bus_rig_knows(&t->nodes[0], 1));
	say("CONFIG SET maxmemory 0");
	assert_int_equal(t->nodes[0].n_gone + t->nodes[1].n_gone, 0);
	assert_int_equal(t->n_warns, 2);
	assert_non_null(strstr(t->said, "OOM"));
}

/* ---- strangers ---- */

/* Channels know no databases; two clusters in one Redis do not hear each other. */
static void test_another_database(void **state)
{
	struct bus_rig *t = *state;

	bus_rig_meet(t, 2);
	redis_begin();
	bus_rig_come(t, 2);
	bus_rig_come(t, 3);
	bus_rig_until(t, SOON_MS, bus_rig_knows(&t->nodes[2], 3));
	bus_rig_run(t, BUS_BEAT_MS + 200);
	assert_false(bus_rig_knows(&t->nodes[0], 2));
	assert_false(bus_rig_knows(&t->nodes[2], 0));
}

static void test_what_strangers_publish(void **state)
{
	static const struct {
		const char *why, *what, *heard;
	} cases[] = {
		{"nothing", "x", NULL},
		{"less than a head", "m000000000000000a000000000000000", NULL},
		{"an id that is none", "mzz0000000000000a0000000000000000lie", NULL},
		{"a kind that is none", "q000000000000000a0000000000000000lie", NULL},
		{"as if it were us", "m00000000000000000000000000000000lie", NULL},
		{"as if it were a node: for others to judge",
		 "m000000000000000a0000000000000000truth", "truth"},
		{"a beat of nobody", "b000000000000000b0000000000000001boo", "boo"},
	};
	struct bus_rig *t = *state;

	bus_rig_meet(t, 1);
	bus_rig_until(t, SOON_MS, t->nodes[0].up);
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("  %s\n", cases[i].why);
		publish(cases[i].what);
		if (cases[i].heard != NULL)
			bus_rig_until(t, SOON_MS,
				      bus_rig_heard(&t->nodes[0], str_of(cases[i].heard)) == 1);
	}
	assert_int_equal(t->nodes[0].n_heard, 2);
	/* they have no lease, and they do not beat */
	bus_rig_until(t, BUS_GONE_MS + SOON_MS, t->nodes[0].n_gone == 2);
}

/* "It is gone", says somebody; a look shows that it is not. */
static void test_a_bye_that_is_a_lie(void **state)
{
	struct bus_rig *t = *state;

	bus_rig_meet(t, 2);
	for (unsigned i = 0; i < 50; i++)
		publish("x00000000000000010000000000000000");
	bus_rig_run(t, 500);
	assert_int_equal(bus_rig_send(&t->nodes[1], NULL, STR("here")), 0);
	bus_rig_until(t, SOON_MS, bus_rig_heard(&t->nodes[0], STR("here")) == 1);
	assert_int_equal(t->nodes[0].n_gone, 0);
}

/* What is larger than a message may be is not heard; what is far larger ends the connection. */
static void test_large_things(void **state)
{
	static const struct {
		const char *why;
		size_t len;
		unsigned n_down;
	} cases[] = {
		{"larger than a message", BUS_MESSAGE_MAX + 1000, 0},
		{"far larger", 4 * 1024 * 1024, 1},
	};
	struct bus_rig *t = *state;
	char words[300];

	bus_rig_meet(t, 2);
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("  %s\n", cases[i].why);
		/* words are separated by spaces, so the script has none */
		str_printf(words, sizeof words,
			   "EVAL redis.call('PUBLISH',KEYS[1],ARGV[1]..string.rep('y',%zu)) 1 "
			   "karez:{store}:bus/%s m000000000000000a0000000000000000",
			   cases[i].len, strstr(where, "db=") + 3);
		say(words);
		for (unsigned k = 0; k < 2; k++)
			bus_rig_until(t, SOON_MS,
				      t->nodes[k].n_down == cases[i].n_down && t->nodes[k].up);
		assert_int_equal(bus_rig_send(&t->nodes[1], NULL, str_of(cases[i].why)), 0);
		bus_rig_until(t, SOON_MS, bus_rig_heard(&t->nodes[0], str_of(cases[i].why)) == 1);
	}
	for (size_t i = 0; i < t->nodes[0].n_heard; i++)
		assert_true(t->nodes[0].heard[i].len < 100);
}

static void test_refused(void **state)
{
	static const struct {
		const char *why, *where, *id;
		int want;
	} cases[] = {
		{"TLS", "rediss://127.0.0.1/0", "0000000000000001", ERR_UNSUPPORTED},
		{"no Redis", "memory:", "0000000000000001", ERR_INVAL},
		{"no id", "redis://127.0.0.1/0", "", ERR_INVAL},
		{"an id that is too long", "redis://127.0.0.1/0", "00000000000000011", ERR_INVAL},
	};
	struct bus_rig *t = *state;

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct bus *bus = NULL;

		print_message("  %s\n", cases[i].why);
		assert_int_equal(bus_redis_new(t->ev, &t->log, cases[i].where, cases[i].id, &bus),
				 cases[i].want);
		assert_null(bus);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BUS_RIG_TEST(&redis, test_redis_comes_back_empty),
		BUS_RIG_TEST(&redis, test_redis_is_paused),
		BUS_RIG_TEST(&redis, test_a_connection_breaks),
		BUS_RIG_TEST(&redis, test_a_master_steps_down),
		BUS_RIG_TEST(&redis, test_scripts_are_flushed),
		BUS_RIG_TEST(&redis, test_redis_is_full),
		BUS_RIG_TEST(&redis, test_another_database),
		BUS_RIG_TEST(&redis, test_what_strangers_publish),
		BUS_RIG_TEST(&redis, test_a_bye_that_is_a_lie),
		BUS_RIG_TEST(&redis, test_large_things),
		BUS_RIG_TEST(&redis, test_refused),
	};
	int failed;

	signal(SIGPIPE, SIG_IGN);
	store_server_init(&server);
	store_server_start(&server);
	failed = bus_suite(&redis) + cmocka_run_group_tests_name("redis bus", tests, NULL, NULL);
	store_server_free(&server);
	return failed;
}
