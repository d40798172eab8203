/* Asking: every kind of answer, none, lies, and queries that end in the middle of it. */
#include "net/net_dns.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "dns_server.h"
#include "net/net_sock.h"

#define LONG_MS 60000 /* never reached, however slow the machine */

struct rig;

struct ask {
	struct rig *rig;
	struct net_dns_query *query;
	struct net_dns_answer answer; /* texts: not kept */
	char texts[4][64];
	int calls;
	void (*then)(struct ask *a); /* inside of the callback; may be NULL */
	struct ask *other;	     /* what `then` works on */
};

struct rig {
	struct ev *ev;
	struct net_dns *dns;
	struct dns_server server;
	struct ask ask;
	int n_answers, stop_at; /* the loop is stopped after so many answers */
};

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof *rig);

	assert_non_null(rig);
	signal(SIGPIPE, SIG_IGN); /* as net_dns.h wants it */
	assert_int_equal(ev_new(&rig->ev), 0);
	dns_server_start(&rig->server, rig->ev, "127.0.0.1:0");
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	net_dns_free(rig->dns);
	dns_server_stop(&rig->server);
	ev_free(rig->ev);
	free(rig);
	return 0;
}

static void rig_open(struct rig *rig, const char *const *servers, size_t n, uint32_t timeout_ms)
{
	struct net_dns_opt opt = {.ev = rig->ev,
				  .servers = servers,
				  .n_servers = n,
				  .timeout_ms = timeout_ms};

	assert_int_equal(net_dns_new(&opt, &rig->dns), 0);
}

static void rig_open_own(struct rig *rig, uint32_t timeout_ms)
{
	const char *servers[] = {rig->server.at};

	rig_open(rig, servers, 1, timeout_ms);
}

static void ask_on_answer(void *arg, const struct net_dns_answer *answer)
{
	struct ask *a = arg;

	a->calls++;
	a->answer = *answer;
	assert_int_equal(answer->e == 0, answer->n > 0);
	for (size_t i = 0; i < MIN(answer->n, ARRAY_LEN(a->texts)); i++)
		assert_int_equal(str_copy(a->texts[i], sizeof a->texts[i], answer->texts[i]), 0);
	a->query = NULL;
	if (++a->rig->n_answers == a->rig->stop_at)
		ev_stop(a->rig->ev);
	if (a->then != NULL)
		a->then(a);
}

static int ask(struct rig *rig, struct ask *a, enum net_dns_type type, const char *name)
{
	int calls = a->calls, e;

	a->rig = rig;
	e = net_dns_ask(rig->dns, type, str_of(name), ask_on_answer, a, &a->query);
	assert_int_equal(a->calls, calls); /* never before it returns */
	return e;
}

static void run_for(struct rig *rig, int answers)
{
	rig->stop_at = rig->n_answers + answers;
	ev_run(rig->ev);
	assert_int_equal(rig->n_answers, rig->stop_at);
}

static void ask_and_wait(struct rig *rig, enum net_dns_type type, const char *name)
{
	rig->ask = (struct ask){0};
	assert_int_equal(ask(rig, &rig->ask, type, name), 0);
	run_for(rig, 1);
}

static void assert_answer(const struct ask *a, int e, const char *const *texts, bool more)
{
	size_t n = 0;

	assert_int_equal(a->calls, 1);
	assert_int_equal(a->answer.e, e);
	for (; n < 4 && texts[n] != NULL; n++)
		assert_string_equal(a->texts[n], texts[n]);
	assert_int_equal(a->answer.n, n);
	assert_int_equal(a->answer.more, more);
}

static void test_answers(void **state)
{
	static const struct {
		const char *why;
		enum net_dns_type type;
		const char *name;
		int e;
		const char *texts[4];
		bool more;
	} cases[] = {
		{"a text", NET_DNS_TXT, "txt.test", 0, {"karez=1"}, false},
		{"any case, a dot at the end", NET_DNS_TXT, "TXT.Test.", 0, {"karez=1"}, false},
		{"a name with an underscore", NET_DNS_TXT, "_karez.app.test", 0, {"proof"}, false},
		{"several strings", NET_DNS_TXT, "joined.test", 0, {"karez=1"}, false},
		{"two records", NET_DNS_TXT, "two.test", 0, {"v=spf1 -all", "karez=2"}, false},
		{"a chain in one answer",
		 NET_DNS_CNAME,
		 "whole.test",
		 0,
		 {"x.test", "y.test"},
		 false},
		{"a chain link by link",
		 NET_DNS_CNAME,
		 "step.test",
		 0,
		 {"step2.test", "step3.test"},
		 false},
		{"a chain that comes back",
		 NET_DNS_CNAME,
		 "circle.test",
		 0,
		 {"circle2.test"},
		 false},
		{"a chain to nowhere", NET_DNS_CNAME, "dangling.test", 0, {"gone.test"}, false},
		{"a chain whose end cannot be asked about: what is known",
		 NET_DNS_CNAME,
		 "half.test",
		 0,
		 {"fail.test"},
		 true},
		{"no alias", NET_DNS_CNAME, "txt.test", ERR_NOTFOUND, {0}, false},
		{"addresses of both kinds",
		 NET_DNS_ADDR,
		 "addr.test",
		 0,
		 {"192.0.2.1", "192.0.2.2", "2001:db8::1"},
		 false},
		{"IPv6 only", NET_DNS_ADDR, "six.test", 0, {"2001:db8::6"}, false},
		{"IPv4, and nobody knows of IPv6",
		 NET_DNS_ADDR,
		 "four.test",
		 0,
		 {"192.0.2.4"},
		 true},
		{"no address", NET_DNS_ADDR, "empty.test", ERR_NOTFOUND, {0}, false},
		{"no such name", NET_DNS_TXT, "nobody.test", ERR_NOTFOUND, {0}, false},
		{"no such name has no address",
		 NET_DNS_ADDR,
		 "nobody.test",
		 ERR_NOTFOUND,
		 {0},
		 false},
		{"nothing of that type", NET_DNS_TXT, "empty.test", ERR_NOTFOUND, {0}, false},
		{"a name that is never asked for (RFC 7686)",
		 NET_DNS_TXT,
		 "txt.onion",
		 ERR_NOTFOUND,
		 {0},
		 false},
		{"SERVFAIL", NET_DNS_TXT, "fail.test", ERR_REFUSED, {0}, false},
		{"REFUSED", NET_DNS_ADDR, "refuse.test", ERR_REFUSED, {0}, false},
		{"NOTIMP", NET_DNS_CNAME, "notimp.test", ERR_REFUSED, {0}, false},
		{"FORMERR", NET_DNS_TXT, "formerr.test", ERR_PROTO, {0}, false},
		{"a code that nobody knows", NET_DNS_TXT, "strange.test", ERR_PROTO, {0}, false},
		{"truncated: whole over TCP", NET_DNS_TXT, "tcp.test", 0, {"over TCP"}, false},
		{"too long for UDP: whole over TCP",
		 NET_DNS_TXT,
		 "long.test",
		 0,
		 {"over TCP"},
		 false},
		{"truncated, and TCP breaks off",
		 NET_DNS_TXT,
		 "hang.test",
		 ERR_REFUSED,
		 {0},
		 false},
		{"others' answers first", NET_DNS_TXT, "wrong.test", 0, {"right"}, false},
		{"cut short", NET_DNS_TXT, "cut.test", ERR_PROTO, {0}, false},
		{"a name that points to itself", NET_DNS_TXT, "point.test", ERR_PROTO, {0}, false},
	};
	struct rig *rig = *state;

	rig_open_own(rig, LONG_MS);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s\n", cases[i].why);
		ask_and_wait(rig, cases[i].type, cases[i].name);
		assert_answer(&rig->ask, cases[i].e, cases[i].texts, cases[i].more);
	}
}

/* Nothing is kept between questions. */
static void test_no_cache(void **state)
{
	struct rig *rig = *state;

	rig_open_own(rig, LONG_MS);
	ask_and_wait(rig, NET_DNS_TXT, "txt.test");
	ask_and_wait(rig, NET_DNS_TXT, "txt.test");
	assert_int_equal(rig->server.n_asked, 2);
}

static void test_bad_names(void **state)
{
	static const char *const names[] = {"", ".", "a..b", "-a.test", "192.0.2.1", "a\\.b.test"};
	struct rig *rig = *state;

	rig_open_own(rig, LONG_MS);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		print_message("\"%s\"\n", names[i]);
		assert_int_equal(ask(rig, &rig->ask, NET_DNS_TXT, names[i]), ERR_INVAL);
		assert_null(rig->ask.query);
	}
	ask_and_wait(rig, NET_DNS_TXT, "txt.test");
	assert_int_equal(rig->server.n_asked, 1);
}

static void test_time_out(void **state)
{
	static const enum net_dns_type types[] = {NET_DNS_TXT, NET_DNS_CNAME, NET_DNS_ADDR};
	struct rig *rig = *state;

	rig_open_own(rig, 30);
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		ask_and_wait(rig, types[i], "silent.test");
		assert_answer(&rig->ask, ERR_TIMEOUT, (const char *[4]){0}, false);
	}
}

static void test_a_lost_question_is_asked_again(void **state)
{
	struct rig *rig = *state;

	rig_open_own(rig, 3000); /* a second for the first try */
	ask_and_wait(rig, NET_DNS_TXT, "lost.test");
	assert_answer(&rig->ask, 0, (const char *[4]){"found"}, false);
	assert_int_equal(rig->server.n_asked, 2);
}

/* ---- servers ---- */

static void test_server_texts(void **state)
{
	static const struct {
		const char *why, *server;
		int want;
	} cases[] = {
		{"an address", "127.0.0.1", 0},
		{"with a port", "127.0.0.1:5353", 0},
		{"IPv6", "::1", 0},
		{"IPv6 with a port", "[::1]:5353", 0},
		{"a name", "localhost", ERR_INVAL},
		{"a name with a port", "localhost:53", ERR_INVAL},
		{"nothing", "", ERR_INVAL},
		{"a port alone", ":53", ERR_INVAL},
		{"port 0", "127.0.0.1:0", ERR_INVAL},
		{"a port too high", "127.0.0.1:65536", ERR_INVAL},
		{"a path", "unix:/run/dns", ERR_INVAL},
		{"two of them", "127.0.0.1,127.0.0.2", ERR_INVAL},
	};
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *servers[] = {"127.0.0.1", cases[i].server};
		struct net_dns_opt opt = {.ev = rig->ev, .servers = servers, .n_servers = 2};
		struct net_dns *d = NULL;

		print_message("%s\n", cases[i].why);
		assert_int_equal(net_dns_new(&opt, &d), cases[i].want);
		assert_int_equal(d == NULL, cases[i].want != 0);
		net_dns_free(d);
	}
	net_dns_free(NULL);
}

static void test_number_of_servers(void **state)
{
	static const char *const servers[NET_DNS_SERVERS_MAX + 1] = {"127.0.0.1", "127.0.0.2",
								     "127.0.0.3", "127.0.0.4",
								     "127.0.0.5", "127.0.0.6",
								     "127.0.0.7", "127.0.0.8",
								     "127.0.0.9"};
	struct rig *rig = *state;
	struct net_dns_opt opt = {.ev = rig->ev, .servers = servers};
	struct net_dns *d = NULL;

	opt.n_servers = NET_DNS_SERVERS_MAX + 1;
	assert_int_equal(net_dns_new(&opt, &d), ERR_LIMIT);
	assert_null(d);
	opt.n_servers = NET_DNS_SERVERS_MAX;
	assert_int_equal(net_dns_new(&opt, &d), 0);
	net_dns_free(d);
	opt.n_servers = 0; /* those of the system, which are not asked here */
	assert_int_equal(net_dns_new(&opt, &d), 0);
	net_dns_free(d);
}

/* A port of this machine that nobody reads. */
static int silent_server(char at[NET_ADDR_TEXT])
{
	struct net_addr addr;
	int fd = dns_server_bind("127.0.0.1:0", &addr);

	assert_true(fd >= 0);
	net_addr_format(&addr, at);
	return fd;
}

static void test_the_first_server_is_dead(void **state)
{
	struct rig *rig = *state;
	char at[NET_ADDR_TEXT];
	const char *servers[] = {at, rig->server.at};
	int fd = silent_server(at);

	print_message("it is silent\n");
	rig_open(rig, servers, 2, 6000); /* a second for the first one */
	ask_and_wait(rig, NET_DNS_TXT, "txt.test");
	assert_answer(&rig->ask, 0, (const char *[4]){"karez=1"}, false);

	print_message("it is gone\n");
	close(fd);
	ask_and_wait(rig, NET_DNS_TXT, "txt.test");
	assert_answer(&rig->ask, 0, (const char *[4]){"karez=1"}, false);
}

static void test_no_server_is_there(void **state)
{
	struct rig *rig = *state;
	char at[NET_ADDR_TEXT];
	const char *servers[] = {at};

	close(silent_server(at));
	rig_open(rig, servers, 1, LONG_MS);
	ask_and_wait(rig, NET_DNS_TXT, "txt.test");
	assert_answer(&rig->ask, ERR_REFUSED, (const char *[4]){0}, false);
}

static void test_ipv6_server(void **state)
{
	struct rig *rig = *state;
	struct net_addr addr;
	int fd = dns_server_bind("[::1]:0", &addr);

	if (fd < 0)
		skip();
	close(fd);
	dns_server_stop(&rig->server);
	dns_server_start(&rig->server, rig->ev, "[::1]:0");
	rig_open_own(rig, LONG_MS);
	ask_and_wait(rig, NET_DNS_TXT, "tcp.test");
	assert_answer(&rig->ask, 0, (const char *[4]){"over TCP"}, false);
}

/* It has no descriptors to watch: asking fails, it does not hang. */
static void test_simulated_loop(void **state)
{
	struct rig *rig = *state;
	struct ev *real = rig->ev;

	assert_int_equal(ev_sim_new(1, &rig->ev), 0);
	rig_open_own(rig, 0);
	ask_and_wait(rig, NET_DNS_TXT, "txt.test");
	assert_answer(&rig->ask, ERR_REFUSED, (const char *[4]){0}, false);
	net_dns_free(rig->dns);
	rig->dns = NULL;
	ev_free(rig->ev);
	rig->ev = real;
}

/* ---- cancel, free, many ---- */

static void test_cancel(void **state)
{
	struct rig *rig = *state;
	struct ask gone = {0};

	net_dns_cancel(NULL);
	rig_open_own(rig, LONG_MS);
	assert_int_equal(ask(rig, &gone, NET_DNS_TXT, "txt.test"), 0);
	net_dns_cancel(gone.query);
	ask_and_wait(rig, NET_DNS_TXT, "two.test");
	assert_int_equal(rig->server.n_asked, 2); /* the server has answered both */
	assert_int_equal(rig->ask.answer.n, 2);
	assert_int_equal(gone.calls, 0);
}

static void ask_cancel_other(struct ask *a)
{
	net_dns_cancel(a->other->query);
}

static void ask_free_all(struct ask *a)
{
	net_dns_free(a->rig->dns);
	a->rig->dns = NULL;
}

static void ask_ask_other(struct ask *a)
{
	assert_int_equal(ask(a->rig, a->other, NET_DNS_TXT, "txt.test"), 0);
}

/* The other one may be under way, or answered but not told yet. */
static void test_cancel_in_callback(void **state)
{
	struct rig *rig = *state;
	struct ask first = {.then = ask_cancel_other}, other = {0};

	first.other = &other;
	rig_open_own(rig, LONG_MS);
	assert_int_equal(ask(rig, &first, NET_DNS_TXT, "txt.test"), 0);
	assert_int_equal(ask(rig, &other, NET_DNS_TXT, "txt.test"), 0);
	run_for(rig, 1);
	ask_and_wait(rig, NET_DNS_TXT, "two.test");
	assert_int_equal(rig->server.n_asked, 3);
	assert_int_equal(first.calls, 1);
	assert_int_equal(other.calls, 0);
}

static void test_ask_in_callback(void **state)
{
	struct rig *rig = *state;
	struct ask first = {.then = ask_ask_other}, other = {0};

	first.other = &other;
	rig_open_own(rig, LONG_MS);
	assert_int_equal(ask(rig, &first, NET_DNS_TXT, "nobody.test"), 0);
	run_for(rig, 2);
	assert_int_equal(first.answer.e, ERR_NOTFOUND);
	assert_answer(&other, 0, (const char *[4]){"karez=1"}, false);
}

static void test_free_in_callback(void **state)
{
	static const char *const names[] = {"txt.test", "silent.test", "hang.test"};
	struct rig *rig = *state;
	struct ask asks[ARRAY_LEN(names)] = {{.then = ask_free_all}};

	rig_open_own(rig, LONG_MS);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(ask(rig, &asks[i], NET_DNS_TXT, names[i]), 0);
	run_for(rig, 1);
	rig_open_own(rig, LONG_MS);
	ask_and_wait(rig, NET_DNS_TXT, "txt.test");
	assert_int_equal(asks[0].calls, 1);
	assert_int_equal(asks[1].calls + asks[2].calls, 0);
}

/* Freed by the deadline of either, with the other's due at the same time. */
static void test_free_at_time_out(void **state)
{
	struct rig *rig = *state;
	struct ask both[2] = {{.then = ask_free_all}, {.then = ask_free_all}};

	rig_open_own(rig, 30);
	assert_int_equal(ask(rig, &both[0], NET_DNS_TXT, "silent.test"), 0);
	assert_int_equal(ask(rig, &both[1], NET_DNS_TXT, "silent.test"), 0);
	run_for(rig, 1);
	rig_open_own(rig, LONG_MS);
	ask_and_wait(rig, NET_DNS_TXT, "txt.test");
	assert_int_equal(both[0].calls + both[1].calls, 1);
	assert_int_equal(both[both[0].calls == 0].answer.e, ERR_TIMEOUT);
}

/* Freed when the server has the question, over UDP and over TCP. */
static void test_free_in_flight(void **state)
{
	static const struct {
		const char *why, *name;
		int n_asked;
	} cases[] = {
		{"over UDP", "addr.test", 1},
		{"over TCP", "tcp.test", 2},
	};
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ask gone = {0};

		print_message("%s\n", cases[i].why);
		rig->server.n_asked = 0;
		rig_open_own(rig, LONG_MS);
		assert_int_equal(ask(rig, &gone, NET_DNS_TXT, cases[i].name), 0);
		rig->server.stop_when_asked = true;
		for (int k = 0; k < cases[i].n_asked; k++)
			ev_run(rig->ev);
		rig->server.stop_when_asked = false;
		assert_int_equal(rig->server.n_asked, cases[i].n_asked);
		net_dns_free(rig->dns);
		rig_open_own(rig, LONG_MS);
		ask_and_wait(rig, NET_DNS_TXT, "txt.test");
		assert_int_equal(gone.calls, 0);
		net_dns_free(rig->dns);
		rig->dns = NULL;
	}
}

static void ask_many(struct rig *rig, struct ask *asks, const char *name)
{
	for (int i = 0; i < NET_DNS_QUERIES_MAX; i++) {
		asks[i] = (struct ask){0};
		assert_int_equal(ask(rig, &asks[i], NET_DNS_TXT, name), 0);
	}
	assert_int_equal(ask(rig, &rig->ask, NET_DNS_TXT, name), ERR_LIMIT);
}

static void test_many(void **state)
{
	struct ask *asks = calloc(NET_DNS_QUERIES_MAX, sizeof asks[0]);
	struct rig *rig = *state;

	assert_non_null(asks);
	rig_open_own(rig, 15000); /* should the kernel drop one, it is asked again */
	for (int round = 0; round < 2; round++) {
		ask_many(rig, asks, "txt.test");
		run_for(rig, NET_DNS_QUERIES_MAX);
		for (int i = 0; i < NET_DNS_QUERIES_MAX; i++)
			assert_answer(&asks[i], 0, (const char *[4]){"karez=1"}, false);
	}
	free(asks);
}

/* Whoever asks and cancels in a circle meets the limit too, until the answers are there. */
static void test_cancelled_ones_count(void **state)
{
	enum { LAST = NET_DNS_QUERIES_MAX - 1 };
	struct ask *asks = calloc(NET_DNS_QUERIES_MAX, sizeof asks[0]);
	struct rig *rig = *state;

	assert_non_null(asks);
	rig_open_own(rig, 15000);
	ask_many(rig, asks, "txt.test");
	for (int i = 0; i < LAST; i++)
		net_dns_cancel(asks[i].query);
	assert_int_equal(ask(rig, &rig->ask, NET_DNS_TXT, "txt.test"), ERR_LIMIT);
	run_for(rig, 1);
	for (int i = 0; i < LAST; i++)
		assert_int_equal(asks[i].calls, 0);
	assert_answer(&asks[LAST], 0, (const char *[4]){"karez=1"}, false);
	ask_and_wait(rig, NET_DNS_TXT, "txt.test");
	free(asks);
}

static void test_free_many(void **state)
{
	struct ask *asks = calloc(NET_DNS_QUERIES_MAX, sizeof asks[0]);
	struct rig *rig = *state;

	assert_non_null(asks);
	rig_open_own(rig, LONG_MS);
	ask_many(rig, asks, "silent.test");
	for (int i = 0; i < NET_DNS_QUERIES_MAX / 2; i++)
		net_dns_cancel(asks[i].query);
	net_dns_free(rig->dns);
	rig_open_own(rig, LONG_MS);
	ask_and_wait(rig, NET_DNS_TXT, "txt.test");
	for (int i = 0; i < NET_DNS_QUERIES_MAX; i++)
		assert_int_equal(asks[i].calls, 0);
	free(asks);
}

#define AT_SERVER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		AT_SERVER(test_answers),
		AT_SERVER(test_no_cache),
		AT_SERVER(test_bad_names),
		AT_SERVER(test_time_out),
		AT_SERVER(test_a_lost_question_is_asked_again),
		AT_SERVER(test_server_texts),
		AT_SERVER(test_number_of_servers),
		AT_SERVER(test_the_first_server_is_dead),
		AT_SERVER(test_no_server_is_there),
		AT_SERVER(test_ipv6_server),
		AT_SERVER(test_simulated_loop),
		AT_SERVER(test_cancel),
		AT_SERVER(test_cancel_in_callback),
		AT_SERVER(test_ask_in_callback),
		AT_SERVER(test_free_in_callback),
		AT_SERVER(test_free_at_time_out),
		AT_SERVER(test_free_in_flight),
		AT_SERVER(test_many),
		AT_SERVER(test_cancelled_ones_count),
		AT_SERVER(test_free_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
