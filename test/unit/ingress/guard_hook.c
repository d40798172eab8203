/* Services that decide about visitors: what they are asked, what they may say, how they may fail.
 */
#include "ingress/guard_hook.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "ingress_rig.h"
#include "wire/wire_mem.h"

#define YES "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

static void open_with_hook(void)
{
	rig_open();
	strcpy(W->core.demo.rights.auth_url, "http://auth.example:8080/check");
	rig_changed();
}

static void open_with_operator(void)
{
	rig_open_with(&(struct http_ingress_opt){.auth_url = "https://sso.example/ask"});
}

/* What the service is asked by a plain request. */
static struct far *asked(void)
{
	int n = W->n_hooks;

	far_say(&W->visitor, GET "Remote-User: root\r\nX-Auth-Role: root\r\nCookie: s=1\r\n"
				 "X-Original-URL: /root\r\nX_Rewrite_Url: /root\r\n"
				 "X-Forwarded-Uri: /root\r\nX-Forwarded-User: root\r\n\r\n");
	assert_int_equal(W->n_hooks, n + 1);
	return W->hook[n];
}

static bool came_in(void)
{
	return W->core.demo.n_dials > 0;
}

static void test_a_yes(void **state)
{
	struct far *hook;

	open_with_hook();
	hook = asked();
	assert_string_equal(W->hook_url.host, "auth.example");
	assert_int_equal(W->hook_url.port, 8080);
	expect_in(hook->got, "GET /check HTTP/1.1\r\nHost: auth.example:8080\r\n");
	expect_in(hook->got, "\r\nCookie: s=1\r\n");
	expect_in(hook->got, "\r\nX-Original-URL: http://demo.example/p?q=1\r\n");
	expect_in(hook->got, "\r\nX-Karez-Tunnel: demo\r\n");
	expect_in(hook->got, "\r\nX-Forwarded-For: 192.0.2.7\r\n");
	expect_not_in(hook->got, "root");
	assert_false(came_in());
	far_say(hook,
		"HTTP/1.1 200 OK\r\nRemote-User: anna\r\nX-Auth-Group: a\r\nX-Auth-Group: b\r\n"
		"X-Other: no\r\nSet-Cookie: no=1\r\nContent-Length: 3\r\n\r\nyes");
	assert_true(came_in());
	expect_in(W->target[0].got, "GET /p?q=1 HTTP/1.1\r\nHost: demo.example\r\n");
	expect_in(W->target[0].got, "\r\nRemote-User: anna\r\n");
	expect_in(W->target[0].got, "\r\nX-Auth-Group: a\r\nX-Auth-Group: b\r\n");
	expect_not_in(W->target[0].got, "root");
	expect_not_in(W->target[0].got, "X-Other");
	expect_not_in(W->target[0].got, "no=1");
	far_say(&W->target[0], YES);
	expect_in(W->visitor.got, "HTTP/1.1 200 OK\r\n");
	rig_close();
}

static void test_answers(void **state)
{
	static const struct {
		const char *why, *answer;
		bool ends;	  /* the service closes behind it */
		const char *want; /* at the visitor; NULL: it comes in */
	} cases[] = {
		{"204", "HTTP/1.1 204 No Content\r\n\r\n", false, NULL},
		{"a yes in chunks",
		 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n0\r\n\r\n",
		 false, NULL},
		{"a yes until the end", "HTTP/1.0 200 OK\r\n\r\nyes", true, NULL},
		{"a yes after hints", "HTTP/1.1 103 Early Hints\r\n\r\n" YES, false, NULL},
		{"no",
		 "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: "
		 "3\r\n\r\nno!",
		 false, "\r\n\r\nno!"},
		{"no, in chunks",
		 "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nno!\r\n0\r\n\r\n",
		 false, "Content-Length: 3\r\n\r\nno!"},
		{"no, until the end", "HTTP/1.0 403 No\r\n\r\nno!", true, "\r\n\r\nno!"},
		{"who are you?",
		 "HTTP/1.1 401 Who\r\nWWW-Authenticate: Digest a\r\nContent-Length: 0\r\n\r\n",
		 false, "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest a\r\n"},
		{"log in there",
		 "HTTP/1.1 302 Found\r\nLocation: https://login.example/?r=1\r\nContent-Length: "
		 "0\r\n\r\n",
		 false, "HTTP/1.1 302 Found\r\nLocation: https://login.example/?r=1\r\n"},
		{"304 means nothing here", "HTTP/1.1 304 Not Modified\r\n\r\n", false,
		 "HTTP/1.1 502 "},
		{"404 neither", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", false,
		 "HTTP/1.1 502 "},
		{"500", "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", false, "HTTP/1.1 502 "},
		{"429 is not for the visitor", "HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n",
		 false, "HTTP/1.1 502 "},
		{"another protocol", "SSH-2.0-x\r\n", false, "HTTP/1.1 502 "},
		{"nothing at all", "", true, "HTTP/1.1 502 "},
		{"a head that is cut", "HTTP/1.1 200 OK\r\nConte", true, "HTTP/1.1 502 "},
		{"a yes that is cut", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nye", true,
		 "HTTP/1.1 502 "},
		{"a yes whose chunk is cut",
		 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nye", true,
		 "HTTP/1.1 502 "},
		{"broken chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
		 false, "HTTP/1.1 502 "},
		{"an ambiguous length",
		 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: "
		 "chunked\r\n\r\n0\r\n\r\n",
		 false, "HTTP/1.1 502 "},
		{"another protocol is offered",
		 "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
		 false, "HTTP/1.1 502 "},
		{"hints without end",
		 "HTTP/1.1 103 A\r\n\r\nHTTP/1.1 103 A\r\n\r\nHTTP/1.1 103 A\r\n\r\nHTTP/1.1 103 "
		 "A\r\n\r\n"
		 "HTTP/1.1 103 A\r\n\r\nHTTP/1.1 103 A\r\n\r\nHTTP/1.1 103 A\r\n\r\nHTTP/1.1 103 "
		 "A\r\n\r\n"
		 "HTTP/1.1 103 A\r\n\r\n" YES,
		 false, "HTTP/1.1 502 "},
		{"HTTP/2", "HTTP/2 200 OK\r\n\r\n", false, "HTTP/1.1 502 "},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct far *hook;

		print_message("# %s\n", cases[i].why);
		open_with_hook();
		hook = asked();
		far_say(hook, cases[i].answer);
		if (cases[i].ends)
			far_close(hook, 0);
		assert_int_equal(came_in(), cases[i].want == NULL);
		if (cases[i].want != NULL) {
			expect_in(W->visitor.got, cases[i].want);
			assert_int_equal(count_in(W->visitor.got, "HTTP/1.1 "), 1);
			assert_false(W->visitor.eof);
		}
		if (cases[i].want != NULL && strcmp(cases[i].want, "HTTP/1.1 502 ") == 0)
			expect_in(W->logged, "event=hook-failed whose=tunnel name=demo error=");
		rig_close();
	}
}

/* One byte at a time, it is the same. */
static void test_every_drop_counts(void **state)
{
	static const char answer[] =
		"HTTP/1.1 103 A\r\n\r\nHTTP/1.1 200 OK\r\nRemote-User: anna\r\n"
		"Transfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n0\r\n\r\n";
	struct far *hook;

	open_with_hook();
	hook = asked();
	for (size_t i = 0; i + 1 < sizeof answer; i++) {
		assert_false(came_in());
		far_say(hook, (char[]){answer[i], '\0'});
	}
	assert_true(came_in());
	expect_in(W->target[0].got, "\r\nRemote-User: anna\r\n");
	rig_close();
}

static void test_a_denial_in_its_own_words(void **state)
{
	struct far *hook;

	open_with_hook();
	hook = asked();
	far_say(hook, "HTTP/1.1 401 No\r\nWWW-Authenticate: A\r\nwww-authenticate: B\r\n"
		      "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Type: text/html\r\n"
		      "Content-Encoding: gzip\r\nX-Powered-By: no\r\nServer: no\r\nContent-Length: "
		      "3\r\n\r\nabc");
	expect_in(W->visitor.got, "WWW-Authenticate: A\r\n");
	expect_in(W->visitor.got, "www-authenticate: B\r\n");
	expect_in(W->visitor.got, "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n");
	expect_in(W->visitor.got, "Content-Type: text/html\r\n");
	expect_in(W->visitor.got, "Content-Encoding: gzip\r\n");
	expect_in(W->visitor.got, "Cache-Control: no-store\r\n");
	expect_in(W->visitor.got, "\r\n\r\nabc");
	expect_not_in(W->visitor.got, ": no\r\n");
	rig_close();

	open_with_hook(); /* it may say itself what may be kept */
	hook = asked();
	far_say(hook, "HTTP/1.1 403 No\r\ncache-control: max-age=9\r\nContent-Length: 0\r\n\r\n");
	expect_in(W->visitor.got, "cache-control: max-age=9\r\n");
	expect_not_in(W->visitor.got, "no-store");
	rig_close();
}

/* Too much of anything: a body is left out, a head is no answer. */
static void test_too_much(void **state)
{
	static char text[200000];
	static const struct {
		const char *why, *start, *more, *end;
		size_t times;
		const char *want; /* NULL: it comes in */
	} cases[] = {
		{"as long as may be", "HTTP/1.1 403 No\r\nContent-Length: 16384\r\n\r\n",
		 "xxxxxxxx", "", 2048, "Content-Length: 16384\r\n"},
		{"a byte more", "HTTP/1.1 403 No\r\nContent-Length: 16385\r\n\r\n", "xxxxxxxx", "x",
		 2048,
		 "HTTP/1.1 403 Forbidden\r\nCache-Control: no-store\r\nContent-Length: 0\r\n\r\n"},
		{"a yes with a long body", "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
		 "xxxxxxxx", "", 9000, NULL},
		{"a head that never ends", "HTTP/1.1 200 OK\r\n", "X-A: aaaaaaaaa\r\n", "", 8192,
		 "HTTP/1.1 502 "},
		{"a field of 64 KiB", "HTTP/1.1 200 OK\r\nX-A: ", "aaaaaaaa", "\r\n\r\n", 9000,
		 "HTTP/1.1 502 "},
		{"more to say than may be said", "HTTP/1.1 200 OK\r\n", "X-Auth-A: a\r\n",
		 "Content-Length: 0\r\n\r\n", 17, "HTTP/1.1 502 "},
		{"just as much as may be said", "HTTP/1.1 200 OK\r\n", "X-Auth-A: a\r\n",
		 "Content-Length: 0\r\n\r\n", 16, NULL},
		{"too much in one field", "HTTP/1.1 200 OK\r\nX-Auth-A: ", "aaaaaaaa",
		 "\r\nContent-Length: 0\r\n\r\n", 1024, "HTTP/1.1 502 "},
		{"more cookies than are passed on", "HTTP/1.1 403 No\r\n", "Set-Cookie: a=1\r\n",
		 "Content-Length: 0\r\n\r\n", 100, "HTTP/1.1 403 "},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct far *hook;
		size_t n;

		print_message("# %s\n", cases[i].why);
		open_with_hook();
		hook = asked();
		n = str_printf(text, sizeof text, "%s", cases[i].start);
		for (size_t k = 0; k < cases[i].times; k++)
			n += str_printf(text + n, sizeof text - n, "%s", cases[i].more);
		str_printf(text + n, sizeof text - n, "%s", cases[i].end);
		far_say(hook, text);
		assert_int_equal(came_in(), cases[i].want == NULL);
		if (cases[i].want != NULL)
			expect_in(W->visitor.got, cases[i].want);
		assert_true(count_in(W->visitor.got, "Set-Cookie: ") <= 32);
		rig_close();
	}
}

static void test_nobody_answers(void **state)
{
	static const struct {
		const char *why;
		int error;
		bool never;
		const char *begin; /* of an answer; NULL: it does not even accept */
	} cases[] = {
		{"refused", ERR_REFUSED, false, NULL},
		{"no such name", ERR_RESOLVE, false, NULL},
		{"it does not accept", 0, true, NULL},
		{"it accepts and is silent", 0, false, ""},
		{"it stops in the head", 0, false, "HTTP/1.1 200 OK\r\nRemote-"},
		{"it stops in the body", 0, false,
		 "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("# %s\n", cases[i].why);
		open_with_hook();
		W->hook_error = cases[i].error;
		W->hook_never = cases[i].never;
		far_say(&W->visitor, GET "\r\n");
		if (cases[i].begin != NULL)
			far_say(W->hook[0], cases[i].begin);
		if (cases[i].error == 0) {
			ev_sim_run_for(W->ev, GUARD_HOOK_MS - 100);
			assert_int_equal(W->visitor.n_got, 0);
			ev_sim_run_for(W->ev, 200);
		}
		expect_in(W->visitor.got, "HTTP/1.1 502 Bad Gateway\r\n");
		expect_in(W->visitor.got,
			  "The service that decides about visitors does not answer");
		assert_false(came_in());
		assert_int_equal(W->n_cancelled, cases[i].never);
		rig_close();
	}
}

/* A byte now and then does not buy more time. */
static void test_drops_do_not_extend_the_deadline(void **state)
{
	struct far *hook;
	int n = 0;

	open_with_hook();
	hook = asked();
	far_say(hook, "HTTP/1.1 200 OK\r\nX-A: ");
	while (W->visitor.n_got == 0 && hook->why == 0 && ++n < 1000)
		far_say(hook, "a");
	assert_true(n > 400 && n < 600);
	expect_in(W->visitor.got, "HTTP/1.1 502 ");
	rig_close();
}

/* ---- connections ---- */

static void test_connections_are_kept(void **state)
{
	struct far *hook;

	open_with_hook();
	hook = asked();
	far_say(hook, YES);
	far_say(&W->target[0], YES);
	for (int i = 0; i < 5; i++) {
		far_clear(hook);
		far_say(&W->visitor, GET "\r\n");
		assert_int_equal(W->n_hooks, 1);
		expect_in(hook->got, "GET /check ");
		far_say(hook, YES);
		far_say(&W->target[0], YES);
	}
	assert_int_equal(count_in(W->visitor.got, "200 OK"), 6);
	ev_sim_run_for(W->ev, 5000);
	rig_connect();
	ev_sim_run_for(W->ev, GUARD_HOOK_IDLE_MS - 5000 - 1000);
	assert_false(hook->eof);
	ev_sim_run_for(W->ev, 2000);
	assert_true(hook->eof); /* long enough */
	rig_close();
}

static void test_what_is_not_kept(void **state)
{
	static const struct {
		const char *why, *answer;
	} cases[] = {
		{"it says close",
		 "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{"bytes behind the answer",
		 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 "},
		{"a body that was not read to its end",
		 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct far *hook;

		print_message("# %s\n", cases[i].why);
		open_with_hook();
		hook = asked();
		far_say(hook, cases[i].answer);
		if (i == 3)
			ev_sim_run_for(W->ev, GUARD_HOOK_MS);
		far_say(&W->visitor, GET "\r\n");
		if (W->core.demo.n_dials > 0) {
			far_say(&W->target[0], YES);
			far_say(&W->visitor, GET "\r\n");
		}
		assert_int_equal(W->n_hooks, 2);
		rig_close();
	}
}

/* It answers before it has read the question: what is left of that would come before the next. */
static void test_an_answer_that_comes_too_early(void **state)
{
	open_with_hook();
	W->mem_cap = 100;
	W->hook_stalled = true;
	far_say(&W->visitor, GET "\r\n");
	assert_int_equal(W->hook[0]->n_got, 0);
	far_say(W->hook[0], YES);
	assert_true(came_in());
	W->hook_stalled = false;
	wire_mem_stall(W->hook[0]->wire, false);
	ev_sim_run_for(W->ev, 10);
	assert_true(W->hook[0]->eof || W->hook[0]->why != 0);
	rig_close();
}

/* The service closes a kept connection just as we ask on it. */
static void test_one_more_try(void **state)
{
	static const struct {
		const char *why, *begin; /* what it says on the old one first */
		int reset, n_hooks;
	} cases[] = {
		{"it closes", "", 0, 2},
		{"it resets", "", ERR_RESET, 2},
		{"it has begun to answer", "HTTP/1.1 2", 0, 1},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("# %s\n", cases[i].why);
		open_with_hook();
		far_say(asked(), YES);
		far_say(&W->target[0], YES);
		far_clear(&W->visitor);
		far_say(&W->visitor, GET "\r\n");
		if (cases[i].begin[0] != '\0')
			far_say(W->hook[0], cases[i].begin);
		far_close(W->hook[0], cases[i].reset);
		assert_int_equal(W->n_hooks, cases[i].n_hooks);
		if (cases[i].n_hooks == 2) {
			expect_in(W->hook[1]->got, "GET /check HTTP/1.1\r\n");
			far_say(W->hook[1], YES);
			far_say(&W->target[0], YES);
			expect_in(W->visitor.got, "200 OK");
		} else {
			expect_in(W->visitor.got, "HTTP/1.1 502 ");
		}
		rig_close();
	}
	open_with_hook(); /* on a new one there is no second try */
	asked();
	far_close(W->hook[0], ERR_RESET);
	assert_int_equal(W->n_hooks, 1);
	expect_in(W->visitor.got, "HTTP/1.1 502 ");
	rig_close();
}

static void hook_on_done(void *arg, const struct guard_hook_answer *a)
{
	++*(int *)arg;
}

static void test_many_are_asked(void **state)
{
	static struct guard_hook *q[GUARD_HOOK_ASKS_MAX];
	struct guard_hook *more;
	struct guard_hooks *h;
	struct url to;
	int n_done = 0;
	struct guard_hook_opt opt = {.to = &to,
				     .head = STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
				     .done = hook_on_done,
				     .arg = &n_done};

	rig_open();
	W->hook_never = true;
	assert_int_equal(url_parse(STR("http://a"), &to, NULL), 0);
	assert_int_equal(guard_hooks_new(W->ev, &W->net, &h), 0);
	for (size_t i = 0; i < ARRAY_LEN(q); i++)
		assert_int_equal(guard_hook_ask(h, &opt, &q[i]), 0);
	assert_int_equal(guard_hook_ask(h, &opt, &more), ERR_LIMIT);
	guard_hook_cancel(q[0]); /* before it is dialled */
	ev_sim_run_for(W->ev, 10);
	guard_hook_cancel(q[1]);
	assert_int_equal(guard_hook_ask(h, &opt, &more), 0);
	ev_sim_run_for(W->ev, GUARD_HOOK_MS + 10);
	assert_int_equal(n_done, GUARD_HOOK_ASKS_MAX - 1);
	guard_hooks_free(h);
	assert_int_equal(guard_hooks_new(W->ev, NULL, &h), 0);
	assert_int_equal(guard_hook_ask(h, &opt, &more), ERR_UNREACH);
	guard_hooks_free(h);
	rig_close();
}

static void test_few_connections_are_kept(void **state)
{
	enum { N = GUARD_HOOK_IDLE_PER_URL + 8 };
	static struct guard_hook *q[N];
	struct guard_hooks *h;
	struct url to;
	int n_done = 0, n_open = 0;
	struct guard_hook_opt opt = {.to = &to,
				     .head = STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
				     .done = hook_on_done,
				     .arg = &n_done};

	rig_open();
	assert_int_equal(url_parse(STR("http://a"), &to, NULL), 0);
	assert_int_equal(guard_hooks_new(W->ev, &W->net, &h), 0);
	for (int i = 0; i < N; i++)
		assert_int_equal(guard_hook_ask(h, &opt, &q[i]), 0);
	ev_sim_run_for(W->ev, 10);
	assert_int_equal(W->n_hooks, N);
	for (int i = 0; i < N; i++)
		far_say(W->hook[i], YES);
	assert_int_equal(n_done, N);
	for (int i = 0; i < N; i++)
		n_open += !W->hook[i]->eof && W->hook[i]->why == 0;
	assert_int_equal(n_open, GUARD_HOOK_IDLE_PER_URL);
	/* another port is another service */
	to.port = 81;
	assert_int_equal(guard_hook_ask(h, &opt, &q[0]), 0);
	ev_sim_run_for(W->ev, 10);
	assert_int_equal(W->n_hooks, N + 1);
	guard_hook_cancel(q[0]);
	guard_hooks_free(h);
	rig_close();
}

/* ---- the operator's hook ---- */

static void test_both_hooks(void **state)
{
	open_with_operator();
	far_say(asked(), "HTTP/1.1 200 OK\r\nRemote-User: anna\r\nX-Auth-Id: 1\r\n"
			 "Content-Length: 0\r\n\r\n");
	assert_true(came_in()); /* no rights of its own */
	expect_in(W->hook[0]->got, "GET /ask HTTP/1.1\r\nHost: sso.example\r\n");
	expect_in(W->target[0].got, "\r\nRemote-User: anna\r\n");
	rig_close();

	open_with_operator();
	strcpy(W->core.demo.rights.auth_url, "http://auth.example:8080/check");
	rig_changed();
	far_say(asked(), "HTTP/1.1 200 OK\r\nRemote-User: anna\r\nX-Auth-Id: 1\r\n"
			 "Content-Length: 0\r\n\r\n");
	assert_false(came_in());
	assert_int_equal(W->n_hooks, 2);
	expect_in(W->hook[1]->got, "GET /check ");
	expect_not_in(W->hook[1]->got, "Remote-User");
	far_say(W->hook[1], "HTTP/1.1 200 OK\r\nremote-user: ben\r\nX-Auth-More: 2\r\n"
			    "Content-Length: 0\r\n\r\n");
	assert_true(came_in());
	expect_in(W->target[0].got, "\r\nX-Auth-Id: 1\r\nremote-user: ben\r\nX-Auth-More: 2\r\n");
	expect_not_in(W->target[0].got, "anna");
	rig_close();

	open_with_operator(); /* its no is the last word */
	strcpy(W->core.demo.rights.auth_url, "http://auth.example:8080/check");
	rig_changed();
	far_say(asked(), "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(W->n_hooks, 1);
	expect_in(W->visitor.got, "HTTP/1.1 403 ");
	rig_close();
}

static void test_credentials_come_first(void **state)
{
	open_with_hook();
	W->core.demo.rights.n_bearers = 1;
	assert_int_equal(core_fingerprint(&W->core, STR("t"), W->core.demo.rights.bearers[0]), 0);
	rig_changed();
	far_say(&W->visitor, GET "\r\n");
	expect_in(W->visitor.got, "HTTP/1.1 401 ");
	assert_int_equal(W->n_hooks, 0);
	far_say(&W->visitor, GET "Authorization: Bearer t\r\n\r\n");
	assert_int_equal(W->n_hooks, 1);
	expect_not_in(W->hook[0]->got, "Authorization"); /* it was ours */
	far_say(W->hook[0], YES);
	expect_not_in(W->target[0].got, "Authorization");
	rig_close();
}

static void test_bodies_and_upgrades_wait(void **state)
{
	open_with_hook();
	far_say(&W->visitor,
		"POST / HTTP/1.1\r\nHost: demo.example\r\nContent-Length: 5\r\n\r\nhel");
	expect_not_in(W->hook[0]->got, "hel");
	far_say(&W->visitor, "lo");
	far_say(W->hook[0], YES);
	expect_in(W->target[0].got, "Content-Length: 5\r\n");
	expect_in(W->target[0].got, "\r\n\r\nhello");
	rig_close();

	open_with_hook();
	far_say(&W->visitor, GET "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly");
	expect_not_in(W->hook[0]->got, "pgrade");
	far_say(W->hook[0], YES);
	expect_in(W->target[0].got, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
	far_say(&W->target[0], "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
			       "Upgrade: websocket\r\n\r\n");
	expect_in(W->target[0].got, "\r\n\r\nearly");
	rig_close();

	open_with_hook();
	far_say(&W->visitor, GET "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly");
	far_say(W->hook[0], "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
	expect_in(W->visitor.got, "HTTP/1.1 403 ");
	assert_false(came_in());
	rig_close();
}

static void test_a_hook_behind_its_own_tunnel(void **state)
{
	struct far *hook;

	open_with_hook();
	hook = asked();
	expect_in(hook->got, "CDN-Loop: 00000000feedbeef\r\n");
	rig_connect(); /* the question comes back to us */
	far_say(&W->visitor, GET "CDN-Loop: 00000000feedbeef\r\n\r\n");
	expect_in(W->visitor.got, "HTTP/1.1 508 ");
	assert_int_equal(W->n_hooks, 1);
	rig_close();
}

/* ---- while it is asked ---- */

enum meanwhile {
	NOTHING,
	LESS,
	STRICTER,
	DENIED,
	AGENT_GONE,
	VISITOR_GONE,
	INGRESS_GONE,
	RESTLESS
};

static void meanwhile(enum meanwhile what)
{
	struct rights *r = &W->core.demo.rights;

	switch (what) {
	case NOTHING: return;
	case LESS: r->auth_url[0] = '\0'; break;
	case STRICTER: r->n_bearers = 1; break;
	case DENIED:
		assert_int_equal(cidr_parse(STR("192.0.2.7"), &r->deny[r->n_deny++]), 0);
		break;
	case AGENT_GONE: W->core.connected = false; return;
	case VISITOR_GONE: far_close(&W->visitor, ERR_RESET); return;
	case INGRESS_GONE: rig_end_ingress(); return;
	case RESTLESS: break;
	}
	rig_changed();
}

static void test_what_happens_meanwhile(void **state)
{
	static const struct {
		const char *why;
		enum meanwhile what;
		const char *want; /* at the visitor */
		bool in;
		int n_hooks;
	} cases[] = {
		{"nothing", NOTHING, "", true, 1},
		{"nobody has to be asked any more", LESS, "", true, 1},
		{"a token is asked for, too", STRICTER, "HTTP/1.1 401 ", false, 1},
		{"the address is denied", DENIED, "HTTP/1.1 403 ", false, 1},
		{"the agent is gone", AGENT_GONE, "HTTP/1.1 503 ", false, 1},
		{"the visitor is gone", VISITOR_GONE, "", false, 1},
		{"the server ends", INGRESS_GONE, "HTTP/1.1 503 ", false, 1},
		{"it changes again and again", RESTLESS, "HTTP/1.1 503 ", false, 1},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct far *hook;

		print_message("# %s\n", cases[i].why);
		open_with_hook();
		W->core.lookup_answer = ERR_NOSESSION;
		hook = asked();
		for (int n = 0; n < (cases[i].what == RESTLESS ? 4 : 1); n++) {
			meanwhile(cases[i].what);
			if (hook->eof || hook->why != 0)
				break; /* nobody waits for it any more */
			far_say(hook, YES);
		}
		assert_int_equal(came_in(), cases[i].in);
		expect_in(W->visitor.got, cases[i].want);
		assert_int_equal(W->n_hooks, cases[i].n_hooks);
		assert_int_equal(W->conn_closed, cases[i].what == VISITOR_GONE);
		rig_close();
	}
}

/* ---- the rest ---- */

static void test_operators_urls(void **state)
{
	static const struct {
		const char *url;
		int want;
	} cases[] = {
		{"http://a", 0},	{"https://a:1/x", 0},	      {"", 0},
		{"ws://a", ERR_INVAL},	{"tcp://a:1", ERR_INVAL},     {"a", ERR_INVAL},
		{"unix:/a", ERR_INVAL}, {"http://u:p@a/", ERR_INVAL}, {"http://a/?q", ERR_INVAL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_ingress_opt opt = {.auth_url = cases[i].url};
		struct http_ingress *in = NULL;

		print_message("# \"%s\"\n", cases[i].url);
		rig_open();
		opt.core = &W->core;
		assert_int_equal(http_ingress_new(W->ev, &opt, &in), cases[i].want);
		http_ingress_free(in);
		rig_close();
	}
}

static void test_a_url_that_was_never_good(void **state)
{
	rig_open();
	strcpy(W->core.demo.rights.auth_url, "tcp://a:1");
	rig_changed();
	far_say(&W->visitor, GET "\r\n");
	expect_in(W->visitor.got, "HTTP/1.1 502 ");
	assert_false(came_in());
	rig_close();
}

/* What the operator has allowed once does not count any more. */
static void test_a_host_that_is_no_longer_allowed(void **state)
{
	open_with_hook();
	W->core.denied_hook = "auth.example";
	far_say(&W->visitor, GET "\r\n");
	expect_in(W->visitor.got, "HTTP/1.1 502 ");
	expect_in(W->logged, "error=DENIED");
	assert_int_equal(W->n_hooks, 0);
	assert_false(came_in());
	rig_close();
}

static void test_the_log_is_not_flooded(void **state)
{
	open_with_hook();
	W->hook_error = ERR_REFUSED;
	for (int i = 0; i < 20; i++)
		far_say(&W->visitor, GET "\r\n");
	assert_int_equal(count_in(W->visitor.got, "HTTP/1.1 502 "), 20);
	assert_int_equal(count_in(W->logged, "event=hook-failed"), 1);
	ev_sim_run_for(W->ev, 1000);
	far_say(&W->visitor, GET "\r\n");
	assert_int_equal(count_in(W->logged, "event=hook-failed"), 2);
	rig_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_yes),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_every_drop_counts),
		cmocka_unit_test(test_a_denial_in_its_own_words),
		cmocka_unit_test(test_too_much),
		cmocka_unit_test(test_nobody_answers),
		cmocka_unit_test(test_drops_do_not_extend_the_deadline),
		cmocka_unit_test(test_connections_are_kept),
		cmocka_unit_test(test_what_is_not_kept),
		cmocka_unit_test(test_an_answer_that_comes_too_early),
		cmocka_unit_test(test_one_more_try),
		cmocka_unit_test(test_many_are_asked),
		cmocka_unit_test(test_few_connections_are_kept),
		cmocka_unit_test(test_both_hooks),
		cmocka_unit_test(test_credentials_come_first),
		cmocka_unit_test(test_bodies_and_upgrades_wait),
		cmocka_unit_test(test_a_hook_behind_its_own_tunnel),
		cmocka_unit_test(test_what_happens_meanwhile),
		cmocka_unit_test(test_operators_urls),
		cmocka_unit_test(test_a_url_that_was_never_good),
		cmocka_unit_test(test_a_host_that_is_no_longer_allowed),
		cmocka_unit_test(test_the_log_is_not_flooded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
