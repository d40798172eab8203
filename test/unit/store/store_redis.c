/* The Redis store: the suite on a real server, then what only a server that is elsewhere can do. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "store/store_redis.h"
#include "suite/store_server.h"
#include "suite/store_suite.h"

/* Every write is on the disk before it is answered, so kill -9 loses none. */
static struct store_server server = {.args = {"--appendonly", "yes", "--appendfsync", "always"}};

static void redis_fresh(char *where, size_t cap)
{
	store_server_where(&server, where, cap);
}

static void redis_clean(const char *where)
{
}

static const struct store_maker redis = {
	.name = "store suite, redis",
	.loop = ev_new,
	.fresh = redis_fresh,
	.clean = redis_clean,
};

/* As redis_fresh, with an option. */
static void redis_fresh_wait(char *where, size_t cap)
{
	store_server_where(&server, where, cap);
	str_printf(where + strlen(where), cap - strlen(where), "&wait=1");
}

static const struct store_maker redis_wait = {
	.name = "redis that waits for replicas",
	.loop = ev_new,
	.fresh = redis_fresh_wait,
	.clean = redis_clean,
};

static void say(struct store_rig *t, const char *words)
{
	store_server_say(&server, t->where, words, NULL, 0);
}

/* ---- helpers: time passes on the real clock, until something is the case ---- */

static void stop_on_timer(void *arg)
{
	ev_stop(arg);
}

static void run_for(struct store_rig *t, uint64_t ms)
{
	struct ev_timer timer = {.fn = stop_on_timer, .arg = t->ev};

	ev_timer_set(t->ev, &timer, ms);
	while (ev_timer_is_set(&timer))
		ev_run(t->ev);
}

/* Until writes work again; fails after `ms`. Returns the version of the first one. */
static uint64_t back_within(struct store_rig *t, uint64_t ms)
{
	uint64_t until = ev_now_ms(t->ev) + ms;
	const struct store_told *told;

	while ((told = store_rig_put(t, store_rig_rec("probe", "k", "v"), STORE_ANY))->answer.e !=
	       0) {
		if (ev_now_ms(t->ev) > until)
			fail_msg("%s after %u ms", err_name(told->answer.e), (unsigned)ms);
		run_for(t, 20);
	}
	return told->recs[0].version;
}

/* Ask for n writes of "kind/I" and as many reads, and do not wait. */
static void ask_many(struct store_rig *t, const char *kind, unsigned n)
{
	char key[16];

	for (unsigned i = 0; i < n; i++) {
		struct store_record rec;

		str_printf(key, sizeof key, "%06u", i);
		rec = store_rig_rec(kind, key, key);
		assert_int_equal(store_put(t->store, &rec, 0, store_rig_on_answer,
					   store_rig_ask(t)),
				 0);
		assert_int_equal(store_get(t->store, rec.kind, rec.key, store_rig_on_answer,
					   store_rig_ask(t)),
				 0);
	}
}

/* ---- scripts ---- */

/* Somebody flushes the scripts while calls are under way: nobody notices. */
static void test_scripts_flushed(void **state)
{
	struct store_rig *t = *state;
	unsigned first;

	for (int round = 0; round < 3; round++) {
		store_rig_put(t, store_rig_rec("probe", "k", "v"), STORE_ANY);
		say(t, "SCRIPT FLUSH");
		first = t->n_asked;
		ask_many(t, round == 0 ? "a" : round == 1 ? "b" : "c", 100);
		store_rig_wait(t);
		for (unsigned i = first; i < t->n_asked; i++) {
			assert_int_equal(t->told[i].answer.e, 0);
			assert_int_equal(t->told[i].order, i + 1);
		}
	}
	assert_int_equal(t->n_errors, 0);
}

/* Expired records leave Redis by and by, and so do their places in the indexes. */
static void test_sweep(void **state)
{
	struct store_rig *t = *state;
	char key[16], n[16];

	for (int i = 0; i < 300; i++) {
		struct store_record rec;

		str_printf(key, sizeof key, "%03d", i);
		rec = store_rig_rec("x", key, "v");
		rec.expires_ms = i % 10 == 0 ? 0 : 1;
		assert_int_equal(store_rig_put(t, rec, 0)->answer.e, 0);
	}
	store_server_say(&server, t->where, "DBSIZE", n, sizeof n);
	assert_string_equal(n, "33"); /* 30 records, one index, the head, the log */
	store_server_say(&server, t->where, "ZCARD karez:{store}:i:x", n, sizeof n);
	assert_string_equal(n, "30");
	store_server_say(&server, t->where, "EXISTS karez:{store}:expires", n, sizeof n);
	assert_string_equal(n, "0");
}

/* ---- Redis refuses ---- */

static void test_memory_full(void **state)
{
	struct store_rig *t = *state;
	struct store_record rec = store_rig_rec("m", "over", "v");
	struct store_told *told;
	uint64_t number;

	store_rig_put(t, store_rig_rec("m", "k", "v"), 0);
	told = store_rig_ask(t);
	assert_int_equal(store_changes(t->store, 0, store_rig_on_answer, told), 0);
	store_rig_wait(t);
	assert_int_equal(told->answer.n, 1);
	number = told->recs[0].version;
	rec.expires_ms = ev_wall_ms(t->ev) + 1;
	store_rig_put(t, rec, 0);
	run_for(t, 5);
	say(t, "CONFIG SET maxmemory 100kb");
	assert_int_equal(store_rig_put(t, store_rig_rec("m", "new", "v"), 0)->answer.e, ERR_FULL);
	assert_int_equal(store_rig_put(t, store_rig_rec("m", "k", "w"), STORE_ANY)->answer.e,
			 ERR_FULL);
	assert_int_equal(t->n_errors, 1); /* said once, not with every write */
	store_rig_expect(t, "m", "k", "v");
	assert_int_equal(store_rig_drop(t, "m", "k", STORE_ANY)->answer.e, 0);
	assert_int_equal(store_rig_get(t, "m", "k")->answer.e, ERR_NOTFOUND);
	/* there was no room to remember that, so nobody believes to know all */
	told = store_rig_ask(t);
	assert_int_equal(store_changes(t->store, number, store_rig_on_answer, told), 0);
	store_rig_wait(t);
	assert_int_equal(told->answer.e, ERR_CONFLICT);
	say(t, "CONFIG SET maxmemory 0");
	assert_int_equal(store_rig_put(t, store_rig_rec("m", "new", "v"), 0)->answer.e, 0);
	assert_int_equal(store_rig_get(t, "m", "over")->answer.e, ERR_NOTFOUND);
}

static void test_eviction_is_warned_of(void **state)
{
	struct store_rig *t = *state;

	store_rig_get(t, "m", "k");
	assert_int_equal(t->n_warns, 0);
	say(t, "CONFIG SET maxmemory 1gb maxmemory-policy allkeys-lru");
	store_rig_reopen(t);
	store_rig_get(t, "m", "k");
	say(t, "CONFIG SET maxmemory 0 maxmemory-policy noeviction");
	assert_int_equal(t->n_warns, 1);
	assert_non_null(strstr(t->said, "noeviction"));
}

/* A write counts when a replica has it; there is none. */
static void test_wait_without_replicas(void **state)
{
	struct store_rig *t = *state;

	assert_int_equal(store_rig_put(t, store_rig_rec("w", "k", "v"), 0)->answer.e, ERR_IO);
	assert_int_equal(store_rig_put(t, store_rig_rec("w", "k", "v"), 0)->answer.e,
			 ERR_CONFLICT); /* it may or may not be kept: here it is */
	assert_int_equal(store_rig_put(t, store_rig_rec("w", "k", "v"), STORE_ANY)->answer.e,
			 ERR_IO);
	store_rig_expect(t, "w", "k", "v");
	assert_int_equal(t->n_errors, 1);
	assert_non_null(strstr(t->said, "wait=1"));
}

/* A master that becomes a replica is left; what was asked waits, and works when there is one. */
static void test_replica_is_not_written(void **state)
{
	struct store_rig *t = *state;
	struct store_told *told;

	back_within(t, 3000);
	say(t, "REPLICAOF 127.0.0.1 1");
	ask_many(t, "r", 20);
	told = &t->told[t->n_asked - 1];
	run_for(t, 300);
	assert_int_equal(told->calls, 0);
	say(t, "REPLICAOF NO ONE");
	store_rig_wait(t);
	for (unsigned i = t->n_asked - 40; i < t->n_asked; i++)
		assert_int_equal(t->told[i].answer.e, 0);
	say(t, "REPLICAOF 127.0.0.1 1");
	told = store_rig_put(t, store_rig_rec("r", "k", "v"), 0);
	assert_int_equal(told->answer.e, ERR_TIMEOUT);
	say(t, "REPLICAOF NO ONE");
	back_within(t, 3000);
	assert_int_equal(store_rig_get(t, "r", "k")->answer.e, ERR_NOTFOUND);
	assert_int_equal(t->n_errors, 2);
	assert_int_equal(t->n_infos, 2);
}

/* ---- Redis goes away ---- */

static void kill_on_answer(struct store_told *told)
{
	store_server_kill(&server);
}

/* Killed in the middle: everything is answered, once, in order; what was kept is kept. */
static void test_killed(void **state)
{
	struct store_rig *t = *state;
	unsigned n_kept = 0, n_io = 0, n_timeout = 0;
	uint64_t last, version;
	char key[16];

	last = back_within(t, 3000);
	ask_many(t, "k", 500);
	t->told[t->n_asked - 1 - 600].then = kill_on_answer;
	store_rig_wait(t);
	for (unsigned i = t->n_asked - 1000; i < t->n_asked; i++) {
		const struct store_told *told = &t->told[i];
		bool write =
			told->answer.e == 0 && told->answer.n == 1 && told->recs[0].value.len == 0;

		assert_int_equal(told->order, i + 1);
		n_io += told->answer.e == ERR_IO;
		n_timeout += told->answer.e == ERR_TIMEOUT;
		n_kept += write;
		if (write)
			last = MAX(last, told->recs[0].version);
	}
	print_message("  kept %u, not known %u, not done %u\n", n_kept, n_io, n_timeout);
	assert_true(n_kept >= 200 && n_io <= 300 && n_timeout > 0);
	assert_int_equal(t->n_errors, 1);
	/* Whoever asks now is told at once. */
	version = ev_now_ms(t->ev);
	assert_int_equal(store_rig_get(t, "k", "000000")->answer.e, ERR_TIMEOUT);
	assert_int_equal(store_rig_put(t, store_rig_rec("k", "x", "v"), 0)->answer.e, ERR_TIMEOUT);
	assert_true(ev_now_ms(t->ev) - version < 500);

	store_server_start(&server);
	version = back_within(t, 3000);
	assert_true(version > last + 1000); /* those that may have been lost are not given again */
	assert_int_equal(t->n_errors, 1);
	assert_int_equal(t->n_infos, 1);
	for (unsigned i = 0; i < n_kept; i++) {
		str_printf(key, sizeof key, "%06u", i);
		store_rig_expect(t, "k", key, key);
	}
}

/*
 * Paused: calls end by themselves. When it goes on, the old connection is killed before the new one
 * is used, so that nothing out of its buffer is done later on.
 */
static void test_paused(void **state)
{
	struct store_rig *t = *state;
	struct store_record rec = store_rig_rec("p", "k", "late");
	static char stats[64 * 1024];
	struct store_told *put, *get;
	uint64_t start;

	assert_int_equal(store_rig_put(t, store_rig_rec("p", "k", "v"), 0)->answer.e, 0);
	say(t, "CONFIG RESETSTAT");
	kill(server.pid, SIGSTOP);
	put = store_rig_ask(t);
	get = store_rig_ask(t);
	start = ev_now_ms(t->ev);
	assert_int_equal(store_put(t->store, &rec, STORE_ANY, store_rig_on_answer, put), 0);
	assert_int_equal(store_get(t->store, rec.kind, rec.key, store_rig_on_answer, get), 0);
	store_rig_wait(t);
	assert_int_equal(put->answer.e, ERR_IO);
	assert_int_equal(get->answer.e, ERR_TIMEOUT);
	assert_in_range(ev_now_ms(t->ev) - start, 1900, 4500);
	run_for(t, 2500);
	start = ev_now_ms(t->ev);
	assert_int_equal(store_rig_get(t, "p", "k")->answer.e, ERR_TIMEOUT);
	assert_true(ev_now_ms(t->ev) - start < 500);
	kill(server.pid, SIGCONT);
	back_within(t, 4500);
	assert_int_equal(store_rig_put(t, store_rig_rec("p", "k", "new"), STORE_ANY)->answer.e, 0);
	run_for(t, 50);
	store_rig_expect(t, "p", "k", "new");
	store_server_say(&server, t->where, "INFO commandstats", stats, sizeof stats);
	assert_non_null(strstr(stats, "cmdstat_client|kill:calls="));
	assert_int_equal(t->n_errors, 1);
	assert_int_equal(t->n_infos, 1);
}

/* Closed, and what is pending forgotten, while Redis is away. */
static void test_closed_while_away(void **state)
{
	struct store_rig *t = *state;
	struct store_record rec = store_rig_rec("c", "k", "v");
	int nobody;

	back_within(t, 3000);
	store_server_kill(&server);
	assert_int_equal(store_put(t->store, &rec, 0, store_rig_on_answer, store_rig_ask(t)), 0);
	assert_int_equal(store_get(t->store, rec.kind, rec.key, store_rig_on_answer, &nobody), 0);
	run_for(t, 100);
	store_forget(t->store, &nobody);
	store_close(t->store);
	t->store = NULL;
	store_rig_wait(t);
	store_server_start(&server);
}

/* A node that starts while Redis is away starts, says so, and works when it is there. */
static void test_opened_while_away(void **state)
{
	struct store_rig *t = *state;
	uint64_t start;

	store_rig_end(t);
	store_server_kill(&server);
	store_rig_open(t);
	assert_int_equal(t->n_warns, 1);
	assert_non_null(strstr(t->said, "cannot be reached"));
	run_for(t, 1); /* opening has blocked, and the loop's clock stands still meanwhile */
	start = ev_now_ms(t->ev);
	assert_int_equal(store_rig_get(t, "s", "k")->answer.e, ERR_TIMEOUT);
	assert_true(ev_now_ms(t->ev) - start < 500);
	store_server_start(&server);
	back_within(t, 3000);
	assert_int_equal(t->n_errors, 0);
	assert_int_equal(t->n_infos, 1);
}

/* ---- opening ---- */

/* Returns the store when that is wanted. */
static struct store *open_as(struct store_rig *t, const char *where, int want, const char *word)
{
	struct store_why why = {""};
	struct store *s = NULL;
	int e = store_open(t->ev, &t->log, where, &s, &why);

	print_message("  %s\n", why.text);
	if (e != want)
		fail_msg("%s instead of %s", err_name(e), err_name(want));
	assert_true((s != NULL) == (want == 0));
	if (want != 0)
		assert_non_null(strstr(why.text, word));
	assert_null(strstr(why.text, "s3cret"));
	assert_null(strstr(t->said, "s3cret"));
	return s;
}

static void test_password(void **state)
{
	struct store_rig *t = *state;
	char where[256];

	say(t, "ACL SETUSER tim on >s3cret-t ~* +@all");
	say(t, "CONFIG SET requirepass s3cret-d");
	open_as(t, t->where, ERR_DENIED, "NOAUTH");
	str_printf(where, sizeof where, "redis+unix://:s3cret-wrong@%s", server.socket);
	open_as(t, where, ERR_DENIED, "WRONGPASS");
	str_printf(where, sizeof where, "redis+unix://tim:s3cret-d@%s", server.socket);
	open_as(t, where, ERR_DENIED, "tim:***@");
	str_printf(where, sizeof where, "redis+unix://tim:s3cret%%2dt@%s", server.socket);
	store_close(open_as(t, where, 0, ""));
	setenv("KAREZ_REDIS_PASSWORD", "s3cret-d", 1);
	store_close(open_as(t, t->where, 0, ""));
	str_printf(where, sizeof where, "redis+unix://tim:s3cret-t@%s", server.socket);
	store_close(open_as(t, where, 0, ""));
	setenv("KAREZ_REDIS_PASSWORD", "s3cret-w", 1);
	open_as(t, t->where, ERR_DENIED, "KAREZ_REDIS_PASSWORD");
	unsetenv("KAREZ_REDIS_PASSWORD");
	store_server_kill(&server); /* what was set by CONFIG is gone */
	store_server_start(&server);
}

/* Redis repeats the words of a command that it does not know. */
static void test_password_is_not_repeated(void **state)
{
	struct store_server deaf = {
		.args = {"--requirepass", "s3cret-d", "--rename-command", "AUTH", ""}};
	struct store_rig *t = *state;
	char where[256];

	store_server_init(&deaf);
	store_server_start(&deaf);
	str_printf(where, sizeof where, "redis+unix://:s3cret-d@%s", deaf.socket);
	open_as(t, where, ERR_DENIED, "AUTH");
	str_printf(where, sizeof where, "redis+unix://tim:s3cret-d@%s", deaf.socket);
	open_as(t, where, ERR_DENIED, "AUTH");
	store_server_free(&deaf);
}

static void test_strangers(void **state)
{
	struct store_rig *t = *state;
	char where[256];

	store_rig_put(t, store_rig_rec("t", "k", "v"), 0);
	say(t, "SET karez:{store}:head 2~x~7");
	open_as(t, t->where, ERR_UNSUPPORTED, "not karez's");
	say(t, "DEL karez:{store}:head");
	say(t, "EVAL redis.call('SET',KEYS[1],table.concat({2,'x',7},string.char(32))) 1 "
	       "karez:{store}:head");
	open_as(t, t->where, ERR_UNSUPPORTED, "a newer karez");
	assert_int_equal(store_rig_put(t, store_rig_rec("t", "k", "w"), STORE_ANY)->answer.e,
			 ERR_IO); /* one that was open already does not write either */
	say(t, "SET karez:{store}:r:t/k garbage");
	assert_int_equal(store_rig_get(t, "t", "k")->answer.e, ERR_IO);
	str_printf(where, sizeof where, "redis+unix://%s?db=5000", server.socket);
	open_as(t, where, ERR_INVAL, "name a database");
	open_as(t, "rediss://localhost", ERR_UNSUPPORTED, "TLS");
	open_as(t, "redis://u:s3cret@[::1", ERR_INVAL, "redis://u:***@[::1");
	open_as(t, "postgres://u:s3cret@h/db", ERR_INVAL, "postgres://u:***@h/db");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_RIG_TEST(&redis, test_scripts_flushed),
		STORE_RIG_TEST(&redis, test_sweep),
		STORE_RIG_TEST(&redis, test_memory_full),
		STORE_RIG_TEST(&redis, test_eviction_is_warned_of),
		STORE_RIG_TEST(&redis_wait, test_wait_without_replicas),
		STORE_RIG_TEST(&redis, test_replica_is_not_written),
		STORE_RIG_TEST(&redis, test_killed),
		STORE_RIG_TEST(&redis, test_paused),
		STORE_RIG_TEST(&redis, test_closed_while_away),
		STORE_RIG_TEST(&redis, test_opened_while_away),
		STORE_RIG_TEST(&redis, test_password),
		STORE_RIG_TEST(&redis, test_password_is_not_repeated),
		STORE_RIG_TEST(&redis, test_strangers),
	};
	int failed;

	signal(SIGPIPE, SIG_IGN); /* as store_redis.h wants it */
	store_server_init(&server);
	store_server_start(&server);
	failed = store_suite(&redis) +
		 cmocka_run_group_tests_name("store, redis", tests, NULL, NULL);
	store_server_free(&server);
	return failed;
}
