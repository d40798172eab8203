/* Checks of a target: what counts as well, how often it must be so, and that nothing is left. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "agent/health.h"
#include "base/err.h"
#include "unit/agent/fake_server.h"

struct check {
	struct ev *ev;
	struct fake fake;
	struct url to;
	struct health_opt opt; /* to be changed before check_start() */
	struct health_owner owner;
	struct health *health;
	unsigned n_changed;
	char why[HEALTH_WHY_MAX];
};

static void check_on_changed(void *arg, bool up, const char *why)
{
	struct check *c = arg;

	assert_int_equal(up, health_is_up(c->health));
	c->n_changed++;
	str_printf(c->why, sizeof c->why, "%s", why);
}

static void check_open(struct check *c, const char *target)
{
	memset(c, 0, sizeof *c);
	assert_int_equal(ev_sim_new(7, &c->ev), 0);
	fake_init(&c->fake, c->ev);
	assert_int_equal(url_parse_target(str_of(target), URL_TCP, &c->to, NULL), 0);
	c->opt = (struct health_opt){.kind = HEALTH_HTTP, .path = "/up?x=1", .interval_ms = 1000};
	c->owner = (struct health_owner){.net = &c->fake.net,
					 .to = &c->to,
					 .changed = check_on_changed,
					 .arg = c};
}

static void check_start(struct check *c)
{
	assert_int_equal(health_new(c->ev, &c->opt, &c->owner, &c->health), 0);
}

static void check_close(struct check *c)
{
	unsigned n = c->n_changed;

	health_free(c->health);
	fake_fini(&c->fake);
	ev_sim_run_for(c->ev, 100000);
	assert_int_equal(c->n_changed, n);
	ev_free(c->ev);
}

static const struct {
	const char *why, *says; /* NULL: nothing */
	int error, breaks;
	enum health_kind kind;
	const char *want; /* NULL: well */
} results[] = {
	{"200", "HTTP/1.1 200 OK\r\n\r\n", 0, 0, HEALTH_HTTP, NULL},
	{"a redirect", "HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", 0, 0, HEALTH_HTTP, NULL},
	{"an old server", "HTTP/1.0 204 No Content\r\n\r\n", 0, 0, HEALTH_HTTP, NULL},
	{"an interim answer first", "HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 0, 0,
	 HEALTH_HTTP, NULL},
	{"503", "HTTP/1.1 503 Busy\r\n\r\n", 0, 0, HEALTH_HTTP, "it answered 503 to GET /up?x=1"},
	{"404", "HTTP/1.1 404 No\r\n\r\n", 0, 0, HEALTH_HTTP, "it answered 404 to GET /up?x=1"},
	{"an upgrade that nobody asked for",
	 "HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", 0, 0, HEALTH_HTTP,
	 "its answer is not HTTP"},
	{"no HTTP", "SSH-2.0-x\r\n", 0, 0, HEALTH_HTTP, "its answer is not HTTP"},
	{"interim answers without an end",
	 "HTTP/1.1 102 P\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 102 P\r\n\r\n"
	 "HTTP/1.1 102 P\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 102 P\r\n\r\n"
	 "HTTP/1.1 102 P\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
	 0, 0, HEALTH_HTTP, "its answer is not HTTP"},
	{"an end instead of an answer", "", 0, 0, HEALTH_HTTP,
	 "it ended the connection without an answer"},
	{"half a head", "HTTP/1.1 200 OK\r\n", 0, 0, HEALTH_HTTP,
	 "it ended the connection without an answer"},
	{"silence", NULL, 0, 0, HEALTH_HTTP, "no answer within 1.0 s"},
	{"refused", NULL, ERR_REFUSED, 0, HEALTH_HTTP, "connection refused"},
	{"it breaks", NULL, 0, ERR_CERT, HEALTH_HTTP, "the certificate is not acceptable"},
	{"it takes a connection and says nothing", NULL, 0, 0, HEALTH_TCP, NULL},
	{"it takes none", NULL, ERR_REFUSED, 0, HEALTH_TCP, "connection refused"},
};

static void test_results(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(results); i++) {
		struct check c;

		check_open(&c, "http://a.example:8080");
		c.opt.kind = results[i].kind;
		c.fake.target_says = results[i].says;
		c.fake.target_error = results[i].error;
		c.fake.target_breaks = results[i].breaks;
		check_start(&c);
		assert_true(health_is_up(c.health)); /* as long as nobody knows better */
		ev_sim_run_for(c.ev, 1600);
		if (health_is_up(c.health) != (results[i].want == NULL) ||
		    c.n_changed != (results[i].want != NULL) ||
		    strcmp(c.why, results[i].want == NULL ? "" : results[i].want) != 0)
			fail_msg("%s: %u changes, %s", results[i].why, c.n_changed, c.why);
		check_close(&c);
	}
}

static void test_asks_for_the_path(void **state)
{
	static const struct {
		const char *why, *target, *host;
		unsigned proxy;
		const char *before;
	} cases[] = {
		{"a host and a port", "http://a.example:8080", "a.example:8080", 0, ""},
		{"an address", "[::1]:80", "[::1]:80", 0, ""},
		{"a socket", "unix:/run/x", "localhost", 0, ""},
		{"a PROXY header first", "10.0.0.1:80", "10.0.0.1:80", 1, "PROXY UNKNOWN\r\n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char want[512];
		struct check c;

		check_open(&c, cases[i].target);
		c.owner.proxy = cases[i].proxy;
		check_start(&c);
		ev_sim_run_for(c.ev, 600);
		str_printf(want, sizeof want, "%sGET /up?x=1 HTTP/1.1\r\nHost: %s\r\n",
			   cases[i].before, cases[i].host);
		if (strncmp(c.fake.target.got, want, strlen(want)) != 0)
			fail_msg("%s: %s", cases[i].why, c.fake.target.got);
		assert_non_null(strstr(c.fake.target.got, "\r\nConnection: close\r\n\r\n"));
		check_close(&c);
	}
}

/* The first failure counts at once; later it takes some in a row, both ways. */
static void test_rise_and_fall(void **state)
{
	static const struct {
		bool well;
		bool up; /* the state afterwards */
	} steps[] = {
		{true, true},	{false, true}, {false, true},  {true, true},
		{false, true},	{false, true}, {false, false}, {true, false},
		{false, false}, {true, false}, {true, true},   {true, true},
	};
	struct check c;

	check_open(&c, "http://a.example:8080");
	c.opt = (struct health_opt){.kind = HEALTH_TCP, .interval_ms = 1000, .rise = 2, .fall = 3};
	check_start(&c);
	ev_sim_run_for(c.ev, 600);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		c.fake.target_error = steps[i].well ? 0 : ERR_REFUSED;
		ev_sim_run_for(c.ev, 1000); /* one check, whatever the jitter adds up to */
		if (health_is_up(c.health) != steps[i].up)
			fail_msg("step %zu", i);
	}
	assert_int_equal(c.n_changed, 2);
	check_close(&c);
}

/* Waits are spread, and a check never begins before the one before has ended. */
static void test_interval(void **state)
{
	struct check c;

	check_open(&c, "http://a.example:8080");
	c.opt = (struct health_opt){.kind = HEALTH_TCP, .interval_ms = 20000};
	check_start(&c);
	ev_sim_run_for(c.ev, 600);
	assert_int_equal(c.fake.n_targets, 1);
	ev_sim_run_for(c.ev, 2000000);
	assert_in_range(c.fake.n_targets, 92, 110);
	c.fake.target_hangs = true; /* 5 s each, within the interval */
	ev_sim_run_for(c.ev, 22000 + HEALTH_CHECK_MS);
	assert_int_equal(c.n_changed, 0);
	ev_sim_run_for(c.ev, 44000 + HEALTH_CHECK_MS);
	assert_int_equal(c.n_changed, 1);
	assert_string_equal(c.why, "no answer within 5.0 s");
	check_close(&c);
}

/* A huge head is not read to its end. */
static void test_bounded(void **state)
{
	static char says[HEALTH_HEAD_MAX + 64];
	struct check c;
	size_t n = str_printf(says, sizeof says, "HTTP/1.1 200 OK\r\nX: ");

	memset(says + n, 'x', sizeof says - n - 1);
	check_open(&c, "http://a.example:8080");
	c.fake.target_says = says;
	check_start(&c);
	ev_sim_run_for(c.ev, 600);
	assert_int_equal(c.n_changed, 1);
	assert_non_null(strstr(c.why, "answer"));
	check_close(&c);
}

static void test_freed_at_any_moment(void **state)
{
	for (uint64_t ms = 0; ms < 1600; ms += 3) {
		struct check c;

		check_open(&c, "http://a.example:8080");
		c.fake.target_hangs = ms % 2 == 0;
		check_start(&c);
		ev_sim_run_for(c.ev, ms);
		check_close(&c);
	}
	health_free(NULL);
	assert_true(health_is_up(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_results),	      cmocka_unit_test(test_asks_for_the_path),
		cmocka_unit_test(test_rise_and_fall), cmocka_unit_test(test_interval),
		cmocka_unit_test(test_bounded),	      cmocka_unit_test(test_freed_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
