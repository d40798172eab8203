/* Is there such a host? As far as a machine without a network can tell. */
#include "net/net_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"

struct asked {
	struct ev *ev;
	struct net_name *name;
	int calls, e;
	struct ev_timer end;
};

static void on_done(void *arg, int e)
{
	struct asked *a = arg;

	a->calls++;
	a->e = e;
	ev_stop(a->ev);
}

static void on_end(void *arg)
{
	ev_stop(((struct asked *)arg)->ev);
}

static void ask(struct asked *a, const char *host, uint32_t timeout_ms)
{
	struct net_name_opt opt = {.host = host,
				   .timeout_ms = timeout_ms,
				   .done = on_done,
				   .arg = a};

	*a = (struct asked){0};
	assert_int_equal(ev_new(&a->ev), 0);
	a->end = (struct ev_timer){.fn = on_end, .arg = a};
	assert_int_equal(net_name_ask(a->ev, &opt, &a->name), 0);
	assert_int_equal(a->calls, 0); /* never before it returns */
}

static void test_names_that_are_always_there(void **state)
{
	static const char *const names[] = {"localhost", "LocalHost", "hello.tim.localhost"};
	struct asked a;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		ask(&a, names[i], 60000);
		ev_run(a.ev);
		assert_int_equal(a.calls, 1);
		assert_int_equal(a.e, 0);
		ev_free(a.ev);
	}
}

/* Who has a resolver is told that there is none; who has none that nobody can say. RFC 6761 6.4. */
static void test_a_name_that_is_nowhere(void **state)
{
	struct asked a;

	ask(&a, "nosuch.invalid", 60000);
	ev_run(a.ev);
	assert_int_equal(a.calls, 1);
	assert_true(a.e == ERR_NOTFOUND || a.e == ERR_RESOLVE || a.e == ERR_TIMEOUT);
	ev_free(a.ev);
}

static void test_the_time_is_over(void **state)
{
	struct asked a;

	ask(&a, "nosuch.invalid", 0);
	ev_run(a.ev);
	assert_int_equal(a.calls, 1);
	assert_true(a.e == ERR_TIMEOUT || a.e == ERR_NOTFOUND || a.e == ERR_RESOLVE);
	ev_free(a.ev); /* also when the thread is late */
}

static void test_nobody_wants_to_know(void **state)
{
	struct asked a;

	for (size_t i = 0; i < 2; i++) {
		ask(&a, i == 0 ? "localhost" : "nosuch.invalid", 60000);
		net_name_cancel(a.name);
		ev_timer_set(a.ev, &a.end, 20);
		ev_run(a.ev);
		assert_int_equal(a.calls, 0);
		ev_free(a.ev);
	}
	net_name_cancel(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_that_are_always_there),
		cmocka_unit_test(test_a_name_that_is_nowhere),
		cmocka_unit_test(test_the_time_is_over),
		cmocka_unit_test(test_nobody_wants_to_know),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
