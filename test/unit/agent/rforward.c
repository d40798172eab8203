#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "agent/backoff.h"
#include "agent/rforward.h"
#include "base/err.h"
#include "net/net_listen.h"
#include "net/net_sock.h"
#include "unit/agent/fake_secsh.h"
#include "unit/agent/fake_server.h"

/* Forwards of a test: one fixed, one any, one SOCKS. */
static const char *const spec_texts[] = {"8080:localhost:3000", "*:0:localhost:3000", "1080"};

struct scene {
	struct ev *ev;
	struct fake fake;
	struct ssh_spec specs[SECSH_SPECS_MAX];
	struct rforward *r;

	unsigned n_up, n_again, n_answered, n_offline, n_connection, n_ended;
	char answers[512]; /* "8080 ok, 0 refused" */
	int offline_e, ended_code;
	bool offline_lost;
	uint32_t retry_ms;
	char reason[256];
};

static void scene_on_up(void *arg, bool again)
{
	struct scene *s = arg;

	s->n_up++;
	s->n_again += again;
}

static void scene_on_answered(void *arg, const struct rforward_answer *a)
{
	struct scene *s = arg;
	size_t at = strlen(s->answers);

	s->n_answered++;
	assert_ptr_not_equal(a->spec, NULL);
	assert_int_equal(a->spec->port, s->specs[a->i].port);
	str_printf(s->answers + at, sizeof s->answers - at, "%s%u %s", at > 0 ? ", " : "", a->port,
		   a->e == 0 ? "ok" : "refused");
}

static void scene_on_offline(void *arg, const struct rforward_offline *o)
{
	struct scene *s = arg;

	s->n_offline++;
	s->offline_e = o->e;
	s->offline_lost = o->lost;
	s->retry_ms = o->retry_ms;
	str_printf(s->reason, sizeof s->reason, "%s", o->reason);
}

static void scene_on_target(void *arg, const struct url *to, int e)
{
}

static void scene_on_connection(void *arg, const struct target_connection *c)
{
	((struct scene *)arg)->n_connection++;
}

static void scene_on_ended(void *arg, int code, const char *reason)
{
	struct scene *s = arg;

	s->n_ended++;
	s->ended_code = code;
	str_printf(s->reason, sizeof s->reason, "%s", reason);
}

static const struct rforward_events scene_events = {
	.up = scene_on_up,
	.answered = scene_on_answered,
	.offline = scene_on_offline,
	.target = scene_on_target,
	.connection = scene_on_connection,
	.ended = scene_on_ended,
};

/* A server that gives port 43047 to whoever asks for any. */
static void scene_open(struct scene *s, struct ev *ev)
{
	memset(s, 0, sizeof *s);
	fake_secsh = (struct fake_secsh){.fd = -1, .free = 43047};
	s->ev = ev;
	if (ev == NULL)
		assert_int_equal(ev_sim_new(1, &s->ev), 0);
	fake_init(&s->fake, s->ev);
	for (size_t i = 0; i < ARRAY_LEN(spec_texts); i++)
		assert_int_equal(ssh_spec_parse(str_of(spec_texts[i]), &s->specs[i], NULL), 0);
}

static void scene_start(struct scene *s, size_t n)
{
	struct rforward_opt opt = {.net = &s->fake.net,
				   .specs = s->specs,
				   .n_specs = n,
				   .events = &scene_events,
				   .arg = s};
	char why[SECSH_WHY_TEXT];

	assert_int_equal(rforward_new(s->ev, &opt, &s->r, why), 0);
}

static void scene_run(struct scene *s, uint64_t ms)
{
	ev_sim_run_for(s->ev, ms);
}

/* Free everything; whatever happens after that is a fault. */
static void scene_close(struct scene *s)
{
	unsigned n = s->n_offline + s->n_ended + s->n_connection + s->n_up + s->n_answered;

	rforward_free(s->r);
	fake_fini(&s->fake);
	scene_run(s, 100000);
	assert_int_equal(n, s->n_offline + s->n_ended + s->n_connection + s->n_up + s->n_answered);
	assert_false(fake_secsh.up);
	ev_free(s->ev);
}

/* ---- coming up ---- */

static void test_forwards_are_asked_for(void **state)
{
	struct scene s;

	scene_open(&s, NULL);
	scene_start(&s, 3);
	assert_int_equal(fake_secsh.n_starts, 0); /* not before the loop runs */
	scene_run(&s, 100);
	assert_string_equal(fake_secsh.asked, "localhost:8080 :0 localhost:1080");
	assert_string_equal(s.answers, "8080 ok, 43047 ok, 1080 ok");
	assert_int_equal(s.n_up, 1);
	assert_int_equal(s.n_again, 0);
	scene_close(&s);
}

static void test_one_refused_of_several(void **state)
{
	struct scene s;

	scene_open(&s, NULL);
	fake_secsh.taken[0] = 8080;
	scene_start(&s, 2);
	scene_run(&s, 100);
	assert_string_equal(s.answers, "8080 refused, 43047 ok");
	assert_int_equal(s.n_up, 1);
	assert_int_equal(s.n_ended, 0);
	scene_close(&s);
}

static void test_one_refused_is_too_many(void **state)
{
	struct scene s;

	scene_open(&s, NULL);
	fake_secsh.taken[0] = 8080;
	fake_secsh.all_or_none = true;
	scene_start(&s, 2);
	scene_run(&s, 100);
	assert_string_equal(s.answers, "8080 refused, 43047 ok");
	assert_int_equal(s.n_up, 0);
	assert_int_equal(s.n_ended, 1);
	assert_int_equal(s.ended_code, ERR_DENIED);
	assert_int_equal(fake_secsh.n_closed, 1);
	scene_close(&s);
}

static void test_all_refused_is_the_end(void **state)
{
	struct scene s;

	scene_open(&s, NULL);
	fake_secsh.refuse_all = true;
	scene_start(&s, 2);
	scene_run(&s, 100000);
	assert_string_equal(s.answers, "8080 refused, 0 refused");
	assert_int_equal(s.n_ended, 1);
	assert_int_equal(s.ended_code, ERR_DENIED);
	assert_int_equal(fake_secsh.n_starts, 1);
	assert_false(fake_secsh.up);
	scene_close(&s);
}

/* ---- the end of a session ---- */

static const struct {
	const char *why;
	int e;
	bool final;
} ends[] = {
	{"no key is known", ERR_AUTH, true},
	{"its key is not known", ERR_CERT, true},
	{"nobody listens", ERR_REFUSED, false},
	{"no such host", ERR_RESOLVE, false},
	{"it stays silent", ERR_TIMEOUT, false},
	{"it is silent for long", ERR_DEAD, false},
	{"it goes away", ERR_CLOSED, false},
	{"it ends without a word", ERR_EOF, false},
	{"it speaks another language", ERR_PROTO, false},
};

static void test_what_ends_it_and_what_does_not(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		struct scene s;

		print_message("# %s\n", ends[i].why);
		scene_open(&s, NULL);
		fake_secsh.dies = ends[i].e;
		scene_start(&s, 1);
		scene_run(&s, 100);
		assert_int_equal(s.n_ended, ends[i].final);
		assert_int_equal(s.n_offline, !ends[i].final);
		assert_int_equal(ends[i].final ? s.ended_code : s.offline_e, ends[i].e);
		assert_string_equal(s.reason, "it is so");
		fake_secsh.dies = 0;
		scene_run(&s, 5000);
		assert_int_equal(s.n_up, !ends[i].final);
		if (!ends[i].final)
			assert_false(s.offline_lost);
		scene_close(&s);
	}
}

static void test_it_waits_longer_each_time(void **state)
{
	struct scene s;
	uint64_t last = 0;

	scene_open(&s, NULL);
	fake_secsh.dies = ERR_REFUSED;
	scene_start(&s, 1);
	scene_run(&s, 60000);
	assert_in_range(fake_secsh.n_starts, 8, 20);
	for (size_t i = 3; i < fake_secsh.n_starts; i += 3) {
		uint64_t wait = fake_secsh.start_ms[i] - fake_secsh.start_ms[i - 1];

		assert_true(wait > last);
		last = wait;
		assert_true(wait <= BACKOFF_MAX_MS * 13 / 10 + 10);
	}
	scene_close(&s);
}

/* ---- coming back ---- */

static void test_it_comes_back_with_the_same_ports(void **state)
{
	struct scene s;

	scene_open(&s, NULL);
	scene_start(&s, 3);
	scene_run(&s, 100);
	fake_secsh.free = 50000; /* nobody shall get it */
	fake_secsh_die(ERR_DEAD, "");
	assert_int_equal(s.n_offline, 1);
	assert_true(s.offline_lost);
	scene_run(&s, 2000);
	assert_string_equal(fake_secsh.asked, "localhost:8080 :43047 localhost:1080");
	assert_int_equal(s.n_answered, 3); /* nothing new is said */
	assert_int_equal(s.n_up, 2);
	assert_int_equal(s.n_again, 1);
	scene_close(&s);
}

static void test_an_allocated_port_that_is_gone(void **state)
{
	struct scene s;

	scene_open(&s, NULL);
	scene_start(&s, 2);
	scene_run(&s, 100);
	fake_secsh.taken[0] = 43047;
	fake_secsh.free = 50000;
	fake_secsh_die(ERR_DEAD, "");
	scene_run(&s, 2000);
	assert_int_equal(fake_secsh.n_starts, 3); /* a running session is not asked again */
	assert_string_equal(fake_secsh.asked, "localhost:8080 :0");
	assert_string_equal(s.answers, "8080 ok, 43047 ok, 50000 ok");
	assert_int_equal(s.n_offline, 1);
	assert_int_equal(s.n_again, 1);
	/* from now on it is that one */
	fake_secsh.taken[0] = 0;
	fake_secsh_die(ERR_DEAD, "");
	scene_run(&s, 3000);
	assert_string_equal(fake_secsh.asked, "localhost:8080 :50000");
	assert_int_equal(s.n_answered, 3);
	scene_close(&s);
}

static void test_the_ghost_of_our_last_session(void **state)
{
	struct scene s;

	scene_open(&s, NULL);
	scene_start(&s, 1);
	scene_run(&s, 100);
	fake_secsh.taken[0] = 8080;
	fake_secsh_die(ERR_DEAD, "");
	scene_run(&s, 30000);
	assert_int_equal(s.n_ended, 0);
	assert_true(s.n_offline > 3);
	assert_int_equal(s.offline_e, ERR_DENIED);
	fake_secsh.taken[0] = 0; /* the server has noticed */
	scene_run(&s, 25000);
	assert_int_equal(s.n_again, 1);
	assert_string_equal(s.answers, "8080 ok");
	scene_close(&s);
}

static void test_a_port_that_is_lost_for_good(void **state)
{
	struct scene s;

	scene_open(&s, NULL);
	scene_start(&s, 1);
	scene_run(&s, 100);
	fake_secsh.taken[0] = 8080;
	fake_secsh_die(ERR_DEAD, "");
	scene_run(&s, RFORWARD_GHOST_MS + 2 * BACKOFF_MAX_MS);
	assert_string_equal(s.answers, "8080 ok, 8080 refused");
	assert_int_equal(s.n_ended, 1);
	assert_int_equal(s.ended_code, ERR_DENIED);
	scene_close(&s);
}

static void test_one_port_of_two_is_lost(void **state)
{
	struct scene s;

	scene_open(&s, NULL);
	scene_start(&s, 3);
	scene_run(&s, 100);
	fake_secsh.taken[0] = 8080;
	fake_secsh_die(ERR_DEAD, "");
	scene_run(&s, 3000);
	assert_string_equal(s.answers, "8080 ok, 43047 ok, 1080 ok, 8080 refused");
	assert_int_equal(s.n_again, 1);
	fake_secsh.taken[0] = 0;
	fake_secsh_die(ERR_DEAD, "");
	scene_run(&s, 3000);
	assert_string_equal(s.answers, "8080 ok, 43047 ok, 1080 ok, 8080 refused, 8080 ok");
	scene_close(&s);
}

/* ---- visitors ---- */

static void test_a_visitor(void **state)
{
	struct wire *w;
	struct scene s;

	scene_open(&s, NULL);
	s.fake.target_says = "hi";
	scene_start(&s, 3);
	scene_run(&s, 100);
	w = fake_secsh_visit(1);
	assert_int_equal(wire_write_all(w, STR("abc")), 0);
	wire_shut(w);
	scene_run(&s, 100);
	assert_int_equal(s.fake.target.n_got, 3);
	assert_int_equal(fake_secsh.n_accepted, 1);
	wire_close(w, 0);
	/* who comes by the SOCKS forward says where to */
	w = fake_secsh_visit(2);
	assert_int_equal(wire_write_all(w, (struct str){"\4\1\0\120\300\0\2\1\0x", 10}), 0);
	wire_shut(w);
	scene_run(&s, 100);
	assert_int_equal(s.fake.target.n_got, 1);
	wire_close(w, 0);
	scene_run(&s, 100);
	assert_int_equal(s.n_connection, 2);
	scene_close(&s);
}

/* ---- stopping ---- */

static void test_stop(void **state)
{
	static const struct {
		const char *when;
		uint64_t ms;
		int dies;
	} cases[] = {
		{"before it has begun", 0, 0},
		{"while it logs in", 3, 0},
		{"while it is up", 100, 0},
		{"while it waits", 100, ERR_REFUSED},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct wire *w = NULL;
		struct scene s;
		unsigned n;

		print_message("# %s\n", cases[i].when);
		scene_open(&s, NULL);
		fake_secsh.dies = cases[i].dies;
		scene_start(&s, 1);
		scene_run(&s, cases[i].ms);
		n = fake_secsh.n_starts;
		if (s.n_up > 0) {
			w = fake_secsh_visit(0);
			scene_run(&s, 10);
		}
		rforward_stop(s.r);
		rforward_stop(s.r);
		assert_int_equal(s.n_ended, 0); /* not in the call */
		scene_run(&s, 60000);
		assert_int_equal(s.n_ended, 1);
		assert_int_equal(s.ended_code, 0);
		assert_int_equal(s.n_connection, w != NULL);
		assert_int_equal(fake_secsh.n_starts, n);
		assert_false(fake_secsh.up);
		wire_close(w, 0);
		scene_close(&s);
	}
}

static void test_what_cannot_begin(void **state)
{
	struct scene s;
	struct rforward_opt opt = {.specs = s.specs, .events = &scene_events};
	char why[SECSH_WHY_TEXT];

	scene_open(&s, NULL);
	opt.net = &s.fake.net;
	assert_int_equal(rforward_new(s.ev, &opt, &s.r, why), ERR_LIMIT);
	assert_string_equal(why, "1 to 64 remote forwards are possible");
	opt.n_specs = SECSH_SPECS_MAX + 1;
	assert_int_equal(rforward_new(s.ev, &opt, &s.r, why), ERR_LIMIT);
	opt.n_specs = 1;
	fake_secsh.new_error = ERR_INVAL;
	assert_int_equal(rforward_new(s.ev, &opt, &s.r, why), ERR_INVAL);
	assert_string_equal(why, "no such option");
	assert_null(s.r);
	scene_close(&s);
}

/* ---- dialling, with real sockets ---- */

static void server_on_accepted(void *arg, int fd, const struct net_addr *peer)
{
	((struct scene *)arg)->n_connection++;
	net_close(fd, false);
}

/* The first thing that happens ends the loop. */
static void dial_on_up(void *arg, bool again)
{
	struct scene *s = arg;

	s->n_up++;
	ev_stop(s->ev);
}

static void dial_on_offline(void *arg, const struct rforward_offline *o)
{
	scene_on_offline(arg, o);
	ev_stop(((struct scene *)arg)->ev);
}

static void test_dialling(void **state)
{
	const struct rforward_events events = {.up = dial_on_up,
					       .answered = scene_on_answered,
					       .offline = dial_on_offline,
					       .target = scene_on_target,
					       .ended = scene_on_ended};
	struct net_listen_opt server = {.accepted = server_on_accepted};
	struct net_listener *listener = NULL;
	struct rforward_opt opt = {.n_specs = 1, .events = &events};
	char why[SECSH_WHY_TEXT];
	struct net_addr peer;
	struct ev *ev;
	struct scene s;

	assert_int_equal(ev_new(&ev), 0);
	scene_open(&s, ev);
	server.arg = opt.arg = &s;
	opt.net = &s.fake.net;
	opt.specs = s.specs;
	assert_int_equal(net_addr_parse(STR("127.0.0.1:0"), &server.addr), 0);
	assert_int_equal(net_listen(ev, &server, &listener), 0);
	fake_secsh.dialled = true;
	fake_secsh.port = net_addr_port(net_listener_addr(listener));
	assert_int_equal(rforward_new(ev, &opt, &s.r, why), 0);
	ev_run(ev);
	assert_int_equal(s.n_up, 1);
	assert_true(fake_secsh.fd >= 0);
	net_peer(fake_secsh.fd, &peer);
	assert_int_equal(net_addr_port(&peer), fake_secsh.port);
	/* gone, and then nobody listens */
	net_listener_free(listener);
	fake_secsh_die(ERR_EOF, "");
	assert_true(s.offline_lost);
	ev_run(ev);
	ev_run(ev);
	assert_int_equal(s.n_offline, 2);
	assert_int_equal(s.offline_e, ERR_REFUSED);
	assert_false(s.offline_lost);
	rforward_free(s.r);
	fake_fini(&s.fake);
	ev_free(ev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forwards_are_asked_for),
		cmocka_unit_test(test_one_refused_of_several),
		cmocka_unit_test(test_one_refused_is_too_many),
		cmocka_unit_test(test_all_refused_is_the_end),
		cmocka_unit_test(test_what_ends_it_and_what_does_not),
		cmocka_unit_test(test_it_waits_longer_each_time),
		cmocka_unit_test(test_it_comes_back_with_the_same_ports),
		cmocka_unit_test(test_an_allocated_port_that_is_gone),
		cmocka_unit_test(test_the_ghost_of_our_last_session),
		cmocka_unit_test(test_a_port_that_is_lost_for_good),
		cmocka_unit_test(test_one_port_of_two_is_lost),
		cmocka_unit_test(test_a_visitor),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_what_cannot_begin),
		cmocka_unit_test(test_dialling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
