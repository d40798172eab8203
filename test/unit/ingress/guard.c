/* Who is let in: addresses and credentials, whatever the method, and when the tunnel changes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "ingress/guard_basic.h"
#include "ingress_rig.h"

/* "sesame" and "open sesame", cheap: hashlib.scrypt(..., salt=b"0123456789abcdef", n=16, r=8, p=1)
 */
#define HASH_ANNA \
	"$scrypt$ln=4,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$rz3WVe/oArfw8/O+Vc3+BHc/+hjqI8xHnPKAiHbAfWY"
#define HASH_BEN \
	"$scrypt$ln=4,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$E3DrZV6ijGCu1r0zcdaeyEqn3K0hsKnlSsaZ3yFrMJk"

#define BASIC_ANNA    "Authorization: Basic YW5uYTpzZXNhbWU=\r\n"      /* anna:sesame */
#define BASIC_WRONG   "Authorization: Basic YW5uYTpzZXNhbUU=\r\n"      /* anna:sesamE */
#define BASIC_NOBODY  "Authorization: Basic bm9ib2R5OnNlc2FtZQ==\r\n"  /* nobody:sesame */
#define BASIC_BEN     "authorization: BASIC  YmVuOm9wZW4gc2VzYW1l\r\n" /* ben:open sesame */
#define BASIC_CROSSED "Authorization: Basic YmVuOnNlc2FtZQ==\r\n"      /* ben:sesame */

static void let_in(bool users, bool bearers)
{
	struct rights *r = &W->core.demo.rights;

	if (users) {
		r->n_users = 2;
		strcpy(r->users[0].name, "anna");
		strcpy(r->users[0].hash, HASH_ANNA);
		strcpy(r->users[1].name, "ben");
		strcpy(r->users[1].hash, HASH_BEN);
	}
	if (bearers) {
		r->n_bearers = 2;
		assert_int_equal(core_fingerprint(&W->core, STR("token-of-carla-0123"),
						  r->bearers[0]),
				 0);
		assert_int_equal(core_fingerprint(&W->core, STR("token-of-dora-01234"),
						  r->bearers[1]),
				 0);
	}
	rig_changed();
}

static void add_block(struct cidr *list, size_t *n, const char *block)
{
	assert_int_equal(cidr_parse(str_of(block), &list[(*n)++]), 0);
}

/* Send a request and say whether it has come to the target. */
static bool comes_in(const char *request)
{
	int i = W->core.demo.n_dials;
	bool in;

	far_say(&W->visitor, request);
	in = i < W->core.demo.n_dials;
	if (in) {
		assert_true(W->target[i].n_got > 0);
		expect_not_in(W->visitor.got, "HTTP/1.1");
	} else {
		expect_in(W->visitor.got, "HTTP/1.1");
	}
	return in;
}

static bool comes_in_with(const char *fields)
{
	char request[1000];

	snprintf(request, sizeof request, GET "%s\r\n", fields);
	return comes_in(request);
}

/* ---- addresses ---- */

static void test_addresses(void **state)
{
	static const struct {
		const char *why, *allow, *deny, *peer, *fields;
		bool in;
	} cases[] = {
		{"allowed", "192.0.2.0/24", NULL, "192.0.2.7", "", true},
		{"not allowed", "198.51.100.0/24", NULL, "192.0.2.7", "", false},
		{"denied", NULL, "192.0.2.7", "192.0.2.7", "", false},
		{"somebody else is denied", NULL, "192.0.2.8", "192.0.2.7", "", true},
		{"deny is stronger", "192.0.2.0/24", "192.0.2.7", "192.0.2.7", "", false},
		{"IPv6", "2001:db8::/32", NULL, "2001:db8::1", "", true},
		{"a stranger's word is not believed", "192.0.2.0/24", NULL, "203.0.113.1",
		 "X-Forwarded-For: 192.0.2.7\r\n", false},
		{"a proxy's word is", "192.0.2.0/24", NULL, "10.0.0.1",
		 "X-Forwarded-For: 192.0.2.7\r\n", true},
		{"and what it says last counts", "192.0.2.0/24", NULL, "10.0.0.1",
		 "X-Forwarded-For: 192.0.2.7, 203.0.113.1\r\n", false},
		{"a proxy's denied visitor", NULL, "203.0.113.1", "10.0.0.1",
		 "X-Forwarded-For: 192.0.2.7, 203.0.113.1\r\n", false},
		{"a proxy that does not know who it is", NULL, "203.0.113.1", "10.0.0.1",
		 "X-Forwarded-For: unknown\r\n", false},
		{"an address that is not known", NULL, "203.0.113.1", NULL, "", false},
	};
	struct cidr proxy;

	assert_int_equal(cidr_parse(STR("10.0.0.0/8"), &proxy), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rights *r;

		print_message("# %s\n", cases[i].why);
		rig_open_with(&(struct http_ingress_opt){.trusted = &proxy, .n_trusted = 1});
		r = &W->core.demo.rights;
		if (cases[i].allow != NULL)
			add_block(r->allow, &r->n_allow, cases[i].allow);
		if (cases[i].deny != NULL)
			add_block(r->deny, &r->n_deny, cases[i].deny);
		rig_changed();
		W->peer = (struct visit_end){0};
		if (cases[i].peer != NULL)
			assert_int_equal(visit_end_set(&W->peer, str_of(cases[i].peer), 5), 0);
		rig_connect();
		assert_int_equal(comes_in_with(cases[i].fields), cases[i].in);
		if (!cases[i].in) {
			expect_in(W->visitor.got, "HTTP/1.1 403 Forbidden\r\n");
			expect_in(W->visitor.got, "Cache-Control: no-store\r\n");
			expect_not_in(W->visitor.got, "WWW-Authenticate");
			assert_false(W->visitor.eof);
		}
		rig_close();
	}
}

/* ---- credentials ---- */

static void test_credentials(void **state)
{
	static const struct {
		const char *why;
		bool users, bearers;
		const char *fields;
		unsigned status; /* 0: it comes in */
	} cases[] = {
		{"a user", true, false, BASIC_ANNA, 0},
		{"another one, in another spelling", true, false, BASIC_BEN, 0},
		{"no credential", true, false, "", 401},
		{"a wrong password", true, false, BASIC_WRONG, 401},
		{"a user nobody knows", true, false, BASIC_NOBODY, 401},
		{"somebody else's password", true, false, BASIC_CROSSED, 401},
		{"not base64", true, false, "Authorization: Basic a:b\r\n", 401},
		{"no colon", true, false, "Authorization: Basic YW5uYQ==\r\n", 401},
		{"a scheme alone", true, false, "Authorization: Basic\r\n", 401},
		{"an empty field", true, false, "Authorization:\r\n", 401},
		{"a token where passwords are asked for", true, false,
		 "Authorization: Bearer token-of-carla-0123\r\n", 401},
		{"a password where tokens are asked for", false, true, BASIC_ANNA, 401},
		{"a token", false, true, "Authorization: Bearer token-of-dora-01234\r\n", 0},
		{"in another spelling", false, true,
		 "authorization:bearer   token-of-carla-0123 \r\n", 0},
		{"a wrong token", false, true, "Authorization: Bearer token-of-carla-0124\r\n",
		 401},
		{"an empty token", false, true, "Authorization: Bearer\r\n", 401},
		{"either will do: a password", true, true, BASIC_ANNA, 0},
		{"either will do: a token", true, true,
		 "Authorization: Bearer token-of-carla-0123\r\n", 0},
		{"both at once are no good", true, true,
		 BASIC_ANNA "Authorization: Bearer token-of-carla-0123\r\n", 400},
		{"nor is the same twice", true, false, BASIC_ANNA BASIC_ANNA, 400},
		{"nor one that Connection names", true, false,
		 "Connection: authorization\r\n" BASIC_ANNA BASIC_WRONG, 400},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char status[32];

		print_message("# %s\n", cases[i].why);
		rig_open();
		let_in(cases[i].users, cases[i].bearers);
		snprintf(status, sizeof status, "HTTP/1.1 %u ", cases[i].status);
		assert_int_equal(comes_in_with(cases[i].fields), cases[i].status == 0);
		if (cases[i].status == 0) { /* it was ours, nobody else's */
			expect_not_in(W->target[0].got, "uthorization");
		} else {
			expect_in(W->visitor.got, status);
			assert_false(W->visitor.eof);
		}
		assert_int_equal(
			count_in(W->visitor.got,
				 "WWW-Authenticate: Basic realm=\"demo\", charset=\"UTF-8\"\r\n"),
			cases[i].status == 401 && cases[i].users);
		assert_int_equal(count_in(W->visitor.got,
					  "WWW-Authenticate: Bearer realm=\"demo\"\r\n"),
				 cases[i].status == 401 && cases[i].bearers);
		rig_close();
	}
}

static void test_what_is_not_asked_for_passes(void **state)
{
	struct rights *r;

	rig_open();
	assert_true(comes_in_with(BASIC_ANNA "Authorization: Other x\r\n"));
	expect_in(W->target[0].got, BASIC_ANNA "Authorization: Other x\r\n");
	rig_close();
	rig_open();
	r = &W->core.demo.rights;
	add_block(r->allow, &r->n_allow, "192.0.2.0/24");
	rig_changed();
	assert_true(comes_in_with(BASIC_ANNA));
	expect_in(W->target[0].got, BASIC_ANNA);
	rig_close();
}

/* The rights hold for every method, for upgrades, and for all forms of a request's target. */
static void test_every_way_in(void **state)
{
	static const struct {
		const char *why, *start, *fields, *body;
	} cases[] = {
		{"GET", "GET / HTTP/1.1", "", ""},
		{"HEAD", "HEAD / HTTP/1.1", "", ""},
		{"OPTIONS", "OPTIONS / HTTP/1.1", "", ""},
		{"OPTIONS *", "OPTIONS * HTTP/1.1", "", ""},
		{"a preflight", "OPTIONS / HTTP/1.1",
		 "Origin: http://a\r\nAccess-Control-Request-Method: PUT\r\n", ""},
		{"POST", "POST / HTTP/1.1", "Content-Length: 3\r\n", "abc"},
		{"a chunked PUT", "PUT / HTTP/1.1", "Transfer-Encoding: chunked\r\n",
		 "3\r\nabc\r\n0\r\n\r\n"},
		{"a method nobody knows", "BREW / HTTP/1.1", "", ""},
		{"an absolute target", "GET http://demo.example/ HTTP/1.1", "", ""},
		{"HTTP/1.0", "GET / HTTP/1.0", "", ""},
		{"a WebSocket", "GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n",
		 ""},
		{"an empty line in front", "\r\nGET / HTTP/1.1", "", ""},
	};
	char request[600];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("# %s\n", cases[i].why);
		rig_open();
		let_in(true, false);
		snprintf(request, sizeof request, "%s\r\nHost: demo.example\r\n%s\r\n%s",
			 cases[i].start, cases[i].fields, cases[i].body);
		assert_false(comes_in(request));
		expect_in(W->visitor.got, "HTTP/1.1 401 Unauthorized\r\n");
		expect_in(W->visitor.got, "WWW-Authenticate: Basic ");
		rig_connect();
		snprintf(request, sizeof request, "%s\r\nHost: demo.example\r\n%s%s\r\n%s",
			 cases[i].start, cases[i].fields, BASIC_ANNA, cases[i].body);
		assert_true(comes_in(request));
		expect_in(W->target[0].got, cases[i].body);
		expect_in(W->target[0].got, "Host: demo.example\r\n");
		expect_not_in(W->target[0].got, "uthorization");
		rig_close();
	}
}

static void test_every_split_is_judged_alike(void **state)
{
	static const char *const requests[] = {GET BASIC_ANNA "\r\n", GET BASIC_WRONG "\r\n"};

	for (size_t which = 0; which < 2; which++) {
		for (size_t cut = 1; cut < strlen(requests[which]); cut += 3) {
			char part[300];

			rig_open();
			let_in(true, false);
			snprintf(part, sizeof part, "%.*s", (int)cut, requests[which]);
			far_say(&W->visitor, part);
			far_say(&W->visitor, requests[which] + cut);
			assert_int_equal(W->core.demo.n_dials, which == 0);
			if (which == 0)
				expect_in(W->target[0].got, "GET /p?q=1 HTTP/1.1\r\n");
			rig_close();
		}
	}
}

/* ---- what is remembered ---- */

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

static void test_a_password_is_hashed_once(void **state)
{
	rig_open();
	let_in(true, false);
	for (int i = 0; i < 5; i++) {
		far_clear(&W->visitor);
		far_say(&W->visitor, GET BASIC_ANNA "\r\n");
		far_say(&W->target[0], OK);
		expect_in(W->visitor.got, "200 OK");
	}
	assert_int_equal(password_n_jobs(W->passwords), 1);
	for (int i = 0; i < 5; i++)
		far_say(&W->visitor, GET BASIC_WRONG "\r\n");
	assert_int_equal(password_n_jobs(W->passwords), 2);
	for (int i = 0; i < 5; i++)
		far_say(&W->visitor, GET BASIC_NOBODY "\r\n");
	assert_int_equal(password_n_jobs(W->passwords), 3); /* as dear as the other */
	assert_int_equal(count_in(W->visitor.got, "HTTP/1.1 401 "), 10);
	ev_sim_run_for(W->ev, GUARD_BASIC_WRONG_MS);
	rig_connect();
	far_say(&W->visitor, GET BASIC_WRONG "\r\n");
	assert_int_equal(password_n_jobs(W->passwords), 4);
	/* other settings: nothing is remembered of the old ones */
	rig_changed();
	far_say(&W->visitor, GET BASIC_WRONG "\r\n");
	assert_int_equal(password_n_jobs(W->passwords), 5);
	strcpy(W->core.demo.rights.users[0].hash, HASH_BEN);
	rig_changed();
	far_clear(&W->visitor);
	far_say(&W->visitor, GET BASIC_ANNA "\r\n");
	expect_in(W->visitor.got, "HTTP/1.1 401 ");
	assert_int_equal(password_n_jobs(W->passwords), 6);
	rig_close();
}

struct waiter {
	struct guard_basic_wait wait;
	unsigned calls;
	int e;
};

static void waiter_on_done(void *arg, int e)
{
	struct waiter *w = arg;

	w->calls++;
	w->e = e;
}

static int waiter_ask_of(struct guard_basic *b, struct waiter *w, const char *tunnel,
			 const char *password)
{
	const struct guard_basic_ask ask = {.tunnel = str_of(tunnel),
					    .version = 1,
					    .user = STR("anna"),
					    .password = str_of(password),
					    .hash = STR(HASH_ANNA)};

	memset(w, 0, sizeof *w);
	w->wait.done = waiter_on_done;
	w->wait.arg = w;
	return guard_basic_ask(b, &ask, &w->wait);
}

static int waiter_ask(struct guard_basic *b, struct waiter *w, const char *password)
{
	return waiter_ask_of(b, w, "demo", password);
}

static void test_many_who_ask_the_same(void **state)
{
	static struct waiter w[GUARD_BASIC_WAITS_MAX + 1];
	struct guard_basic *b;

	rig_open();
	assert_int_equal(guard_basic_new(W->ev, W->passwords, &b), 0);
	for (size_t i = 0; i < GUARD_BASIC_WAITS_MAX; i++)
		assert_int_equal(waiter_ask(b, &w[i], "sesame"), ERR_AGAIN);
	assert_int_equal(waiter_ask(b, &w[GUARD_BASIC_WAITS_MAX], "sesame"), ERR_LIMIT);
	guard_basic_cancel(b, &w[7].wait);
	assert_int_equal(waiter_ask(b, &w[GUARD_BASIC_WAITS_MAX], "other"), ERR_AGAIN);
	guard_basic_cancel(b, &w[GUARD_BASIC_WAITS_MAX].wait); /* nobody is left who asks this */
	guard_basic_cancel(b, &w[GUARD_BASIC_WAITS_MAX].wait);
	ev_sim_run_for(W->ev, 1);
	for (size_t i = 0; i < GUARD_BASIC_WAITS_MAX; i++) {
		assert_int_equal(w[i].calls, i != 7);
		assert_int_equal(w[i].e, 0);
	}
	assert_int_equal(w[GUARD_BASIC_WAITS_MAX].calls, 0);
	assert_int_equal(password_n_jobs(W->passwords), 2);
	assert_int_equal(waiter_ask(b, &w[0], "sesame"), 0);
	guard_basic_free(b);
	rig_close();
}

/* So many wrong ones that those of before are forgotten; the right ones stay, and the other way. */
static void test_memory_is_bounded(void **state)
{
	struct guard_basic *b;
	struct waiter w;
	char password[32];

	rig_open();
	assert_int_equal(guard_basic_new(W->ev, W->passwords, &b), 0);
	assert_int_equal(waiter_ask(b, &w, "sesame"), ERR_AGAIN);
	ev_sim_run_for(W->ev, 0);
	for (int i = 0; i <= GUARD_BASIC_WRONG_MAX; i++) {
		snprintf(password, sizeof password, "%d", i);
		assert_int_equal(waiter_ask(b, &w, password), ERR_AGAIN);
		ev_sim_run_for(W->ev, 0);
		assert_int_equal(w.e, ERR_AUTH);
	}
	assert_int_equal(waiter_ask(b, &w, "1"), ERR_AUTH);
	assert_int_equal(waiter_ask(b, &w, "0"), ERR_AGAIN); /* the oldest went */
	ev_sim_run_for(W->ev, 0);
	assert_int_equal(waiter_ask(b, &w, "sesame"), 0);
	guard_basic_free(b);
	rig_close();
}

/* ---- what happens while somebody waits ---- */

static void test_too_many_passwords(void **state)
{
	struct password_job *jobs[PASSWORD_JOBS_MAX + PASSWORD_QUEUE_MAX];
	const struct password_check check = {STR("x"), STR(HASH_ANNA)};
	struct waiter w[ARRAY_LEN(jobs)], late;
	struct guard_basic *b;

	rig_open();
	assert_int_equal(guard_basic_new(W->ev, W->passwords, &b), 0);
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		char tunnel[16], text[16];

		snprintf(tunnel, sizeof tunnel, "t%zu", i / GUARD_BASIC_CHECKS_PER_TUNNEL);
		snprintf(text, sizeof text, "%zu", i);
		assert_int_equal(waiter_ask_of(b, &w[i], tunnel, text), ERR_AGAIN);
	}
	assert_int_equal(waiter_ask_of(b, &late, "late", "one more"), ERR_LIMIT);
	assert_int_equal(password_check(W->passwords, &check, NULL, NULL, &jobs[0]), ERR_LIMIT);
	for (size_t i = 1; i < ARRAY_LEN(jobs); i++)
		guard_basic_cancel(b, &w[i].wait);
	ev_sim_run_for(W->ev, 1);
	guard_basic_free(b);
	rig_close();
}

/* Whoever guesses at one tunnel does not keep the visitors of others waiting outside. */
static void test_one_tunnel_has_its_share(void **state)
{
	struct waiter w[GUARD_BASIC_CHECKS_PER_TUNNEL], late;
	struct guard_basic *b;

	rig_open();
	assert_int_equal(guard_basic_new(W->ev, W->passwords, &b), 0);
	for (size_t i = 0; i < ARRAY_LEN(w); i++) {
		char text[16];

		snprintf(text, sizeof text, "guess %zu", i);
		assert_int_equal(waiter_ask_of(b, &w[i], "guessed", text), ERR_AGAIN);
	}
	assert_int_equal(waiter_ask_of(b, &late, "guessed", "one more"), ERR_LIMIT);
	assert_int_equal(waiter_ask_of(b, &late, "other", "sesame"), ERR_AGAIN);
	ev_sim_run_for(W->ev, 1);
	assert_int_equal(late.calls, 1);
	assert_int_equal(late.e, 0);
	assert_int_equal(waiter_ask_of(b, &late, "guessed", "one more"), ERR_AGAIN);
	guard_basic_cancel(b, &late.wait);
	ev_sim_run_for(W->ev, 1);
	guard_basic_free(b);
	rig_close();
}

static void test_a_key_that_is_not_there_yet(void **state)
{
	rig_open();
	let_in(false, true);
	W->core.fingerprint_error = ERR_AGAIN;
	assert_false(comes_in_with("Authorization: Bearer token-of-carla-0123\r\n"));
	expect_in(W->visitor.got, "HTTP/1.1 503 ");
	rig_close();
}

static void test_without_passwords_nobody_comes_in(void **state)
{
	struct guard_basic *b;
	struct waiter w;

	rig_open();
	assert_int_equal(guard_basic_new(W->ev, NULL, &b), 0);
	assert_int_equal(waiter_ask(b, &w, "sesame"), ERR_AUTH);
	guard_basic_free(b);
	rig_close();
}

/* While a request waits for its password, behind 60 others, something ends. */
struct event {
	struct ev_task task;
	bool ingress; /* the whole ingress, not only the visitor's connection */
	int n_checked;
};

static void event_on_task(void *arg)
{
	if (((struct event *)arg)->ingress) {
		http_ingress_free(W->ingress);
		W->ingress = NULL;
	} else {
		http_conn_close(W->conn);
		W->conn = NULL;
	}
}

static void event_on_checked(void *arg, int e)
{
	((struct event *)arg)->n_checked++;
}

static void event_on_request(void *arg)
{
	const struct password_check check = {STR("x"), STR(HASH_ANNA)};
	struct event *event = arg;
	struct password_job *job;

	for (int i = 0; i < 60; i++)
		assert_int_equal(password_check(W->passwords, &check, event_on_checked, event,
						&job),
				 0);
	ev_task_run(W->ev, &event->task);
}

static void test_it_ends_while_a_password_is_hashed(void **state)
{
	for (int ingress = 0; ingress < 2; ingress++) {
		struct event event = {.ingress = ingress};

		rig_open();
		let_in(true, false);
		event.task = (struct ev_task){.fn = event_on_task, .arg = &event};
		W->on_request = event_on_request;
		W->on_request_arg = &event;
		far_say(&W->visitor, GET BASIC_ANNA "\r\n");
		assert_int_equal(event.n_checked, 60);
		assert_int_equal(password_n_jobs(W->passwords), 60); /* ours is not done at all */
		assert_int_equal(W->core.demo.n_dials, 0);
		if (ingress)
			expect_in(W->visitor.got, "HTTP/1.1 503 ");
		else
			assert_int_equal(W->visitor.n_got, 0);
		rig_close();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_credentials),
		cmocka_unit_test(test_what_is_not_asked_for_passes),
		cmocka_unit_test(test_every_way_in),
		cmocka_unit_test(test_every_split_is_judged_alike),
		cmocka_unit_test(test_a_password_is_hashed_once),
		cmocka_unit_test(test_many_who_ask_the_same),
		cmocka_unit_test(test_memory_is_bounded),
		cmocka_unit_test(test_too_many_passwords),
		cmocka_unit_test(test_one_tunnel_has_its_share),
		cmocka_unit_test(test_a_key_that_is_not_there_yet),
		cmocka_unit_test(test_without_passwords_nobody_comes_in),
		cmocka_unit_test(test_it_ends_while_a_password_is_hashed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
