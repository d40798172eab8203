#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "agent/rforward_socks.h"
#include "agent/rforward_visit.h"
#include "base/err.h"
#include "unit/agent/fake_server.h"
#include "wire/wire_mem.h"

/* A visitor, what became of him, and what was told. */
struct scene {
	struct ev *ev;
	struct fake fake;
	struct rforward_visits *visits;
	struct target target;
	struct wire *wire; /* the visitor's end */
	char got[256];
	size_t n_got;
	bool eof;
	int why;
	unsigned n_accepted, n_state, n_connection;
	int state_e, connection_e;
	char connection[128];
};

static struct scene *the_scene;

static void scene_on_accept(struct wire *w)
{
	the_scene->n_accepted++;
}

static void scene_on_state(void *arg, const struct url *to, int e)
{
	struct scene *s = arg;

	s->n_state++;
	s->state_e = e;
}

static void scene_on_connection(void *arg, const struct target_connection *c)
{
	struct scene *s = arg;

	s->n_connection++;
	s->connection_e = c->why;
	str_printf(s->connection, sizeof s->connection, "%s -> %s:%u up=%llu down=%llu",
		   c->visitor->ip, c->to->host, c->to->port, (unsigned long long)c->up,
		   (unsigned long long)c->down);
}

static void scene_on_ready(void *arg, struct wire *w, int events)
{
	struct scene *s = arg;
	struct str in;
	int e;

	while ((e = wire_read(w, 4096, &in)) == 0) {
		assert_true(s->n_got + in.len < sizeof s->got);
		memcpy(s->got + s->n_got, in.p, in.len);
		s->n_got += in.len;
	}
	s->eof = s->eof || e == ERR_EOF;
	if (e != ERR_AGAIN)
		wire_want(w, 0);
}

static void scene_on_broken(void *arg, struct wire *w, int why)
{
	((struct scene *)arg)->why = why;
}

static const struct wire_owner scene_owner = {scene_on_ready, scene_on_broken};

static void scene_open(struct scene *s)
{
	struct rforward_visits_opt opt = {.state = scene_on_state,
					  .connection = scene_on_connection,
					  .accept = scene_on_accept};

	memset(s, 0, sizeof *s);
	the_scene = s;
	assert_int_equal(ev_sim_new(1, &s->ev), 0);
	fake_init(&s->fake, s->ev);
	opt.net = &s->fake.net;
	opt.arg = s;
	assert_int_equal(url_parse(STR("tcp://localhost:3000"), &s->target.to, NULL), 0);
	assert_int_equal(rforward_visits_new(s->ev, &opt, &s->visits), 0);
}

static void scene_come(struct scene *s, bool socks, size_t max_write)
{
	struct wire_mem_opt opt = {.delay_ms = 1, .max_write = max_write};
	struct visit v = {.ingress = VISIT_TCP, .tunnel = "ssh"};
	struct wire *theirs;

	s->n_got = 0;
	s->eof = false;
	s->why = 0;
	assert_int_equal(visit_end_set(&v.visitor, STR("192.0.2.9"), 4711), 0);
	assert_int_equal(wire_mem_pair(s->ev, &opt, &s->wire, &theirs), 0);
	wire_own(s->wire, &scene_owner, s);
	wire_want(s->wire, WIRE_READ);
	rforward_visits_serve(s->visits, socks ? NULL : &s->target, &v, theirs);
}

static void scene_say(struct scene *s, const char *bytes, size_t len)
{
	assert_int_equal(wire_write_all(s->wire, (struct str){bytes, len}), 0);
}

static void scene_run(struct scene *s, uint64_t ms)
{
	ev_sim_run_for(s->ev, ms);
}

static void scene_close(struct scene *s)
{
	wire_close(s->wire, 0);
	rforward_visits_free(s->visits);
	fake_fini(&s->fake);
	scene_run(s, 100000);
	ev_free(s->ev);
}

/* ---- a fixed target ---- */

static void test_a_visit(void **state)
{
	struct scene s;

	scene_open(&s);
	s.fake.target_says = "hello";
	scene_come(&s, false, 0);
	assert_int_equal(s.n_accepted, 0); /* not before the target is reached */
	scene_say(&s, "abc", 3);
	wire_shut(s.wire);
	scene_run(&s, 100);
	assert_int_equal(s.n_accepted, 1);
	assert_int_equal(s.fake.target.n_got, 3);
	assert_true(s.fake.target.eof && s.eof);
	assert_int_equal(s.n_got, 5);
	assert_int_equal(s.n_connection, 1);
	assert_string_equal(s.connection, "192.0.2.9 -> localhost:3000 up=3 down=5");
	assert_int_equal(s.connection_e, 0);
	assert_int_equal(rforward_visits_running(s.visits), 0);
	scene_close(&s);
}

static void test_a_target_that_is_not_there(void **state)
{
	static const int errors[] = {ERR_REFUSED, ERR_REFUSED, ERR_TIMEOUT};
	struct scene s;

	scene_open(&s);
	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		s.fake.target_error = errors[i];
		scene_come(&s, false, 0);
		scene_run(&s, 100);
		assert_int_equal(s.n_accepted, 0);
		assert_int_equal(s.why, ERR_RESET);
		assert_int_equal(s.connection_e, errors[i]);
		assert_int_equal(s.n_state, 1); /* told once */
		wire_close(s.wire, 0);
	}
	s.fake.target_error = 0;
	scene_come(&s, false, 0);
	scene_run(&s, 100);
	assert_int_equal(s.n_state, 2);
	assert_int_equal(s.state_e, 0);
	scene_close(&s);
}

static void test_who_leaves_while_we_connect(void **state)
{
	static const char ask[] = "\5\1\0\5\1\0\1\300\0\2\1\0\120";

	for (int socks = 0; socks < 2; socks++) {
		struct scene s;

		scene_open(&s);
		s.fake.target_hangs = true;
		scene_come(&s, socks, 0);
		if (socks)
			scene_say(&s, ask, sizeof ask - 1);
		scene_run(&s, 100);
		assert_int_equal(rforward_visits_running(s.visits), 1);
		wire_close(s.wire, ERR_RESET);
		s.wire = NULL;
		scene_run(&s, 100);
		assert_int_equal(s.fake.n_cancelled, 1);
		assert_int_equal(rforward_visits_running(s.visits), 0);
		assert_int_equal(s.n_connection, 1);
		scene_close(&s);
	}
}

static void test_too_many(void **state)
{
	struct wire *all[RFORWARD_VISITS_MAX];
	struct scene s;

	scene_open(&s);
	s.fake.target_hangs = true;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		scene_come(&s, false, 0);
		all[i] = s.wire;
	}
	assert_int_equal(rforward_visits_running(s.visits), RFORWARD_VISITS_MAX);
	scene_come(&s, false, 0);
	scene_run(&s, 10);
	assert_int_equal(s.why, ERR_RESET);
	assert_int_equal(rforward_visits_running(s.visits), RFORWARD_VISITS_MAX);
	rforward_visits_free(s.visits);
	s.visits = NULL;
	assert_int_equal(s.n_connection, RFORWARD_VISITS_MAX);
	assert_int_equal(s.connection_e, ERR_CLOSED);
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		wire_close(all[i], 0);
	scene_close(&s);
}

/* ---- SOCKS ---- */

#define BYTES(literal)                          \
	{                                       \
		(literal), sizeof(literal) - 1, \
	}

static const struct {
	const char *why;
	struct str says;
	int target_error;
	struct str hears;
	const char *target_gets; /* NULL: it is not reached */
	int e;
} talks[] = {
	{"5, and bytes for the target at once", BYTES("\5\1\0\5\1\0\3\1a\0\120early"), 0,
	 BYTES("\5\0\5\0\0\1\0\0\0\0\0\0welcome"), "early", 0},
	{"4", BYTES("\4\1\0\120\300\0\2\1me\0x"), 0, BYTES("\0\132\0\0\0\0\0\0welcome"), "x", 0},
	{"4a", BYTES("\4\1\0\120\0\0\0\1\0a\0"), 0, BYTES("\0\132\0\0\0\0\0\0welcome"), "", 0},
	{"a target that refuses", BYTES("\5\1\0\5\1\0\3\1a\0\120early"), ERR_REFUSED,
	 BYTES("\5\0\5\5\0\1\0\0\0\0\0\0"), NULL, ERR_REFUSED},
	{"a command that is none of ours", BYTES("\5\1\0\5\2\0\1\1\1\1\1\0\120"), 0,
	 BYTES("\5\0\5\7\0\1\0\0\0\0\0\0"), NULL, ERR_UNSUPPORTED},
	{"passwords only", BYTES("\5\1\2"), 0, BYTES("\5\377"), NULL, ERR_UNSUPPORTED},
	{"HTTP", BYTES("GET / HTTP/1.1\r\n\r\n"), 0, BYTES(""), NULL, ERR_PROTO},
};

static void test_talks(void **state)
{
	for (size_t k = 0; k < 2 * ARRAY_LEN(talks); k++) {
		size_t i = k / 2;
		struct scene s;

		print_message("# %s%s\n", talks[i].why, k % 2 ? ", byte by byte" : "");
		scene_open(&s);
		s.fake.target_error = talks[i].target_error;
		s.fake.target_says = "welcome";
		scene_come(&s, true, k % 2);
		assert_int_equal(s.n_accepted, 1); /* else he could not say anything */
		for (size_t n = 0; n < talks[i].says.len && s.why == 0; n++) {
			scene_say(&s, talks[i].says.p + n, 1);
			if (k % 2)
				scene_run(&s, 5);
		}
		if (talks[i].e == 0)
			wire_shut(s.wire);
		scene_run(&s, 200);
		assert_int_equal(s.n_got, talks[i].hears.len);
		assert_memory_equal(s.got, talks[i].hears.p, s.n_got);
		assert_true(s.eof);
		assert_int_equal(s.fake.n_targets, talks[i].target_gets != NULL);
		if (talks[i].target_gets != NULL) {
			assert_int_equal(s.fake.target.n_got, strlen(talks[i].target_gets));
			assert_memory_equal(s.fake.target.got, talks[i].target_gets,
					    s.fake.target.n_got);
			assert_true(s.fake.target.eof);
		}
		/* who never said where to has made no connection */
		assert_int_equal(s.n_connection, talks[i].e == 0 || talks[i].e == ERR_REFUSED);
		if (s.n_connection > 0)
			assert_int_equal(s.connection_e, talks[i].e);
		assert_int_equal(s.n_state, 0);
		scene_close(&s);
	}
}

static void test_who_says_nothing(void **state)
{
	struct scene s;

	scene_open(&s);
	scene_come(&s, true, 0);
	scene_say(&s, "\5\1\0", 3);
	scene_run(&s, RFORWARD_SOCKS_MS - 100);
	assert_int_equal(rforward_visits_running(s.visits), 1);
	assert_int_equal(s.n_got, 2);
	scene_run(&s, 200);
	assert_int_equal(rforward_visits_running(s.visits), 0);
	assert_int_equal(s.why, ERR_RESET);
	scene_close(&s);
}

static void test_who_ends_before_he_asks(void **state)
{
	struct scene s;

	scene_open(&s);
	scene_come(&s, true, 0);
	scene_say(&s, "\5\1", 2);
	wire_shut(s.wire);
	scene_run(&s, 100);
	assert_int_equal(rforward_visits_running(s.visits), 0);
	assert_int_equal(s.n_connection, 0);
	scene_close(&s);
}

static void test_all_end_with_their_owner(void **state)
{
	struct wire *first;
	struct scene s;

	scene_open(&s);
	s.fake.target_hangs = true;
	scene_come(&s, true, 0);
	first = s.wire;
	scene_come(&s, true, 0);
	scene_say(&s, "\4\1\0\120\300\0\2\1\0", 9);
	scene_run(&s, 100);
	assert_int_equal(rforward_visits_running(s.visits), 2);
	rforward_visits_free(s.visits);
	s.visits = NULL;
	scene_run(&s, 100);
	assert_int_equal(s.n_connection, 1);
	assert_int_equal(s.why, ERR_RESET);
	assert_int_equal(s.connection_e, ERR_CLOSED);
	wire_close(first, 0);
	scene_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_visit),
		cmocka_unit_test(test_a_target_that_is_not_there),
		cmocka_unit_test(test_who_leaves_while_we_connect),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_talks),
		cmocka_unit_test(test_who_says_nothing),
		cmocka_unit_test(test_who_ends_before_he_asks),
		cmocka_unit_test(test_all_end_with_their_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
