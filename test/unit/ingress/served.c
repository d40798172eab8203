/* What somebody who watches their tunnel is told of each request. */
#include <string.h>

#include "base/err.h"
#include "ingress_rig.h"

#define UP GET "Connection: Upgrade\r\nUpgrade: x\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"

/* What somebody who watches is told when a request is over. */
static void test_each_end(void **state)
{
	static const struct {
		const char *why, *ask, *answer;
		int target_e; /* the target's end breaks with that; 0: it stays */
		const char *more, *want;
	} cases[] = {
		{"an answer", GET "\r\n", OK "hello", 0, NULL,
		 "GET /p?q=1 200 up=0 down=5 ms=10 OK at 7\n"},
		{"a request with content",
		 "POST /a HTTP/1.1\r\nHost: demo.example\r\nContent-Length: 3\r\n\r\nabc",
		 "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", 0, NULL,
		 "POST /a 404 up=3 down=2 ms=10 OK at 7\n"},
		{"interim answers are not the answer", GET "\r\n",
		 "HTTP/1.1 103 Early Hints\r\n\r\n" OK "hello", 0, NULL,
		 "GET /p?q=1 200 up=0 down=5 ms=10 OK at 7\n"},
		{"a target that fails", GET "\r\n", NULL, ERR_TARGET, NULL,
		 "GET /p?q=1 502 up=0 down=0 ms=10 TARGET at 7\n"},
		{"an answer that is cut short", GET "\r\n", OK "he", ERR_RESET, NULL,
		 "GET /p?q=1 200 up=0 down=2 ms=20 RESET at 7\n"},
		{"HTTP is left", UP,
		 "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", 0,
		 "more", "GET /p?q=1 101 up=4 down=0 ms=30 RESET at 7\n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		rig_open();
		W->core.watched = true;
		far_say(&W->visitor, cases[i].ask);
		assert_string_equal(W->core.served, "");
		if (cases[i].answer != NULL)
			far_say(&W->target[0], cases[i].answer);
		if (cases[i].target_e != 0)
			rig_break(0, cases[i].target_e);
		if (cases[i].more != NULL) {
			far_say(&W->visitor, cases[i].more);
			assert_string_equal(W->core.served, "");
			far_close(&W->visitor, ERR_RESET);
		}
		if (strcmp(W->core.served, cases[i].want) != 0)
			fail_msg("%s: %s", cases[i].why, W->core.served);
		rig_close();
	}
}

/* Whoever begins to watch is told of what begins then; a path is kept up to a bound. */
static void test_later_and_bounds(void **state)
{
	static char ask[5000];
	size_t n;

	rig_open();
	far_say(&W->visitor, GET "\r\n");
	W->core.watched = true;
	far_say(&W->target[0], OK "hello");
	assert_string_equal(W->core.served, "");
	n = str_printf(ask, sizeof ask, "GET /");
	memset(ask + n, 'a', 4000);
	str_printf(ask + n + 4000, sizeof ask - n - 4000,
		   " HTTP/1.1\r\nHost: demo.example\r\n\r\n");
	far_say(&W->visitor, ask);
	far_say(&W->target[0], OK "hello");
	assert_int_equal(count_in(W->core.served, "GET /"), 1);
	assert_int_equal(count_in(W->core.served, "a"), 2047 + 1); /* and that of "at" */
	rig_close();

	rig_open(); /* a visitor that is there at the end */
	W->core.watched = true;
	far_say(&W->visitor, GET "\r\n");
	rig_end_ingress();
	expect_in(W->core.served, "GET /p?q=1 0 up=0 down=0 ms=10 RESET at 7\n");
	rig_close();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_end),
		cmocka_unit_test(test_later_and_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
