/* Two wires joined: half-close, idleness, counters, broken sides, slow readers. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "wire/relay.h"
#include "wire/wire_mem.h"

/* visitor <-> a [relay] b <-> target */
struct rig {
	struct ev *ev;
	struct wire *visitor, *target;
	struct relay *relay;
	int n_done;
	struct relay_result result;
};

static void rig_on_done(void *arg, const struct relay_result *result)
{
	struct rig *r = arg;

	r->n_done++;
	r->result = *result;
	r->relay = NULL;
}

/* The wires; *opt lacks them yet. */
static void rig_wires(struct rig *r, size_t cap, struct relay_opt *opt)
{
	struct wire_mem_opt mem = {.cap = cap};

	*r = (struct rig){NULL};
	assert_int_equal(ev_sim_new(1, &r->ev), 0);
	assert_int_equal(wire_mem_pair(r->ev, &mem, &r->visitor, &opt->a), 0);
	assert_int_equal(wire_mem_pair(r->ev, &mem, &opt->b, &r->target), 0);
}

static void rig_relay(struct rig *r, const struct relay_opt *opt)
{
	assert_int_equal(relay_new(r->ev, opt, &r->relay), 0);
	ev_sim_run_for(r->ev, 1);
}

static void rig_open(struct rig *r, size_t cap, uint32_t idle_ms)
{
	struct relay_opt opt = {.idle_ms = idle_ms, .done = rig_on_done, .arg = r};

	rig_wires(r, cap, &opt);
	rig_relay(r, &opt);
}

static void rig_close(struct rig *r)
{
	relay_close(r->relay, ERR_CLOSED);
	wire_close(r->visitor, 0);
	wire_close(r->target, 0);
	ev_sim_run_for(r->ev, 10);
	ev_free(r->ev);
}

static void rig_pass(struct rig *r, struct wire *from, struct wire *to, struct str s)
{
	struct str in;

	assert_int_equal(wire_write_all(from, s), 0);
	ev_sim_run_for(r->ev, 1);
	assert_int_equal(wire_read(to, SIZE_MAX, &in), 0);
	assert_true(str_eq(in, s));
	assert_int_equal(wire_read(to, SIZE_MAX, &in), ERR_AGAIN);
}

static void test_both_ways_and_counted(void **state)
{
	struct rig r;
	struct str in;

	rig_open(&r, 0, 0);
	rig_pass(&r, r.visitor, r.target, STR("question"));
	rig_pass(&r, r.target, r.visitor, STR("a long answer"));
	wire_shut(r.visitor);
	wire_shut(r.target);
	ev_sim_run_for(r.ev, 1);
	assert_int_equal(r.n_done, 1);
	assert_int_equal(r.result.why, 0);
	assert_int_equal(r.result.a_to_b, 8);
	assert_int_equal(r.result.b_to_a, 13);
	assert_int_equal(wire_read(r.target, SIZE_MAX, &in), ERR_EOF);
	assert_int_equal(wire_read(r.visitor, SIZE_MAX, &in), ERR_EOF);
	rig_close(&r);
}

static void test_half_close(void **state)
{
	for (int side = 0; side < 2; side++) {
		struct rig r;
		struct wire *first, *second;
		struct str in;

		rig_open(&r, 0, 0);
		first = side == 0 ? r.visitor : r.target;
		second = side == 0 ? r.target : r.visitor;
		assert_int_equal(wire_write_all(first, STR("last words")), 0);
		wire_shut(first);
		ev_sim_run_for(r.ev, 1);
		assert_int_equal(wire_read(second, SIZE_MAX, &in), 0);
		assert_true(str_eq(in, STR("last words")));
		assert_int_equal(wire_read(second, SIZE_MAX, &in), ERR_EOF);
		assert_int_equal(r.n_done, 0);
		rig_pass(&r, second, first, STR("still talking"));
		ev_sim_run_for(r.ev, 1000000); /* as long as it likes */
		rig_pass(&r, second, first, STR("and again"));
		wire_shut(second);
		ev_sim_run_for(r.ev, 1);
		assert_int_equal(wire_read(first, SIZE_MAX, &in), ERR_EOF);
		assert_int_equal(r.n_done, 1);
		assert_int_equal(r.result.why, 0);
		rig_close(&r);
	}
}

static void test_idle(void **state)
{
	struct rig r;
	struct str in;

	rig_open(&r, 0, 1000);
	for (int i = 0; i < 20; i++) { /* a byte now and then keeps it alive */
		ev_sim_run_for(r.ev, 900);
		rig_pass(&r, i % 2 ? r.visitor : r.target, i % 2 ? r.target : r.visitor, STR("x"));
	}
	assert_int_equal(r.n_done, 0);
	ev_sim_run_for(r.ev, 2000);
	assert_int_equal(r.n_done, 1);
	assert_int_equal(r.result.why, ERR_TIMEOUT);
	assert_int_equal(wire_read(r.visitor, 1, &in), ERR_RESET);
	assert_int_equal(wire_read(r.target, 1, &in), ERR_RESET);
	rig_close(&r);

	rig_open(&r, 0, 0); /* without a limit it waits for ever */
	ev_sim_run_for(r.ev, UINT32_MAX);
	assert_int_equal(r.n_done, 0);
	rig_close(&r);
}

static void test_a_side_breaks(void **state)
{
	for (int side = 0; side < 2; side++) {
		struct rig r;
		struct str in;

		rig_open(&r, 0, 0);
		rig_pass(&r, r.visitor, r.target, STR("x"));
		wire_mem_cut(side == 0 ? r.visitor : r.target);
		ev_sim_run_for(r.ev, 1);
		assert_int_equal(r.n_done, 1);
		assert_int_equal(r.result.why, ERR_RESET);
		assert_int_equal(r.result.a_to_b, 1);
		assert_int_equal(wire_read(side == 0 ? r.target : r.visitor, 1, &in), ERR_RESET);
		rig_close(&r);
	}
}

/* A visitor that has gone for good ends the download that nobody reads. */
static void test_a_reader_that_left(void **state)
{
	struct rig r;
	int rounds = 0;

	rig_open(&r, 0, 0);
	wire_close(r.visitor, 0);
	r.visitor = NULL;
	while (r.n_done == 0) {
		assert_true(++rounds < 100);
		(void)!wire_write_all(r.target, STR("more and more of it"));
		ev_sim_run_for(r.ev, 1);
	}
	assert_int_equal(r.result.why, ERR_RESET);
	rig_close(&r);
}

/* The target writes for ever, the visitor does not read: it stops, and goes on when the visitor
 * does. */
static void test_slow_reader(void **state)
{
	static char big[4096];
	const size_t cap = 64 * 1024;
	struct iovec iov = {big, sizeof big};
	struct rig r;
	struct str in;
	size_t sent = 0, got = 0, taken;

	rig_open(&r, cap, 0);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(wire_write(r.target, &iov, 1, &taken), 0);
		sent += taken;
		ev_sim_run_for(r.ev, 1);
	}
	assert_true(sent <= 2 * cap); /* what the two wires hold, nothing in the relay */
	assert_true(sent > cap);
	while (got < sent) {
		assert_int_equal(wire_read(r.visitor, 1000, &in), 0);
		got += in.len;
		ev_sim_run_for(r.ev, 1);
	}
	assert_int_equal(got, sent);
	assert_true(wire_room(r.target) > 0);
	rig_close(&r);
}

static void test_close_tells_nobody(void **state)
{
	struct rig r;
	struct str in;

	rig_open(&r, 0, 1000);
	relay_close(r.relay, ERR_DELETED);
	r.relay = NULL;
	ev_sim_run_for(r.ev, 10000);
	assert_int_equal(r.n_done, 0);
	assert_int_equal(wire_read(r.visitor, 1, &in), ERR_RESET);
	relay_close(NULL, 0); /* harmless */
	rig_close(&r);
}

/* Wires that count what is done to them. */
struct counted {
	struct wire_ops ops;
	const struct wire_ops *inner;
	int n_reads, n_writes, n_shuts;
	int closed; /* for this reason; 0 at first */
};

static int counted_read(struct wire *w, size_t max, struct str *out)
{
	struct counted *c = CONTAINER_OF((uintptr_t)w->ops, struct counted, ops);

	c->n_reads++;
	return c->inner->read(w, max, out);
}

static void counted_shut(struct wire *w)
{
	struct counted *c = CONTAINER_OF((uintptr_t)w->ops, struct counted, ops);

	c->n_shuts++;
	c->inner->shut(w);
}

static int counted_write(struct wire *w, const struct iovec *iov, int n_iov, size_t *taken)
{
	struct counted *c = CONTAINER_OF((uintptr_t)w->ops, struct counted, ops);

	c->n_writes++;
	return c->inner->write(w, iov, n_iov, taken);
}

static void counted_close(struct wire *w, int why)
{
	struct counted *c = CONTAINER_OF((uintptr_t)w->ops, struct counted, ops);

	c->closed = why;
	c->inner->close(w, why);
}

static void counted_on(struct counted *c, struct wire *w)
{
	*c = (struct counted){.ops = *w->ops, .inner = w->ops};
	c->ops.read = counted_read;
	c->ops.write = counted_write;
	c->ops.shut = counted_shut;
	c->ops.close = counted_close;
	w->ops = &c->ops;
}

static void test_first(void **state)
{
	static const struct {
		const char *why, *said, *want;
		bool shut;
	} cases[] = {
		{"the visitor says nothing", "", "first ", false},
		{"the visitor has said something", "then", "first then", false},
		{"the visitor has finished", "", "first ", true},
		{"the visitor has said something and finished", "then", "first then", true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig r;
		char first[] = "first ";
		struct relay_opt opt = {.done = rig_on_done, .arg = &r, .first = {first, 6}};
		struct counted counted;
		struct str in;

		rig_wires(&r, 0, &opt);
		counted_on(&counted, opt.b);
		if (cases[i].said[0] != '\0')
			assert_int_equal(wire_write_all(r.visitor, str_of(cases[i].said)), 0);
		if (cases[i].shut)
			wire_shut(r.visitor);
		ev_sim_run_for(r.ev, 1);
		assert_int_equal(relay_new(r.ev, &opt, &r.relay), 0);
		memset(first, '-', sizeof first); /* it was copied */
		ev_sim_run_for(r.ev, 1);
		assert_int_equal(counted.n_writes, 1);
		assert_int_equal(wire_read(r.target, SIZE_MAX, &in), 0);
		if (!str_eq(in, str_of(cases[i].want)))
			fail_msg("%s: \"" STR_FMT "\"", cases[i].why, STR_ARG(in));
		assert_int_equal(wire_read(r.target, 1, &in), cases[i].shut ? ERR_EOF : ERR_AGAIN);
		rig_pass(&r, r.target, r.visitor, STR("answer"));
		if (!cases[i].shut) {
			rig_pass(&r, r.visitor, r.target, STR("!"));
			wire_shut(r.visitor);
		}
		wire_shut(r.target);
		ev_sim_run_for(r.ev, 1);
		assert_int_equal(r.n_done, 1);
		assert_int_equal(r.result.why, 0);
		assert_int_equal(r.result.a_to_b, strlen(cases[i].want) + !cases[i].shut);
		assert_int_equal(r.result.b_to_a, 6);
		rig_close(&r);
	}
}

/* The longest, through a target that takes little at a time, in order with what follows. */
static void test_first_of_a_slow_target(void **state)
{
	static char first[RELAY_FIRST_MAX];
	struct rig r;
	struct relay_opt opt = {.done = rig_on_done, .arg = &r, .first = {first, sizeof first}};
	struct str in;
	size_t got = 0;

	for (size_t i = 0; i < sizeof first; i++)
		first[i] = (char)(i * 31 >> 3);
	rig_wires(&r, 1000, &opt);
	assert_int_equal(wire_write_all(r.visitor, STR("then")), 0);
	rig_relay(&r, &opt);
	while (got < sizeof first + 4) {
		assert_int_equal(wire_read(r.target, 700, &in), 0);
		for (size_t i = 0; i < in.len; i++, got++)
			assert_int_equal(in.p[i], got < sizeof first ? first[got]
								     : "then"[got - sizeof first]);
		ev_sim_run_for(r.ev, 1);
	}
	relay_close(r.relay, 0);
	r.relay = NULL;
	rig_close(&r);
}

/* The filter sees what a says, not what goes first. */
static int upper_filter(void *arg, struct str *in, struct pump_out *out, bool *end)
{
	char *upper = arg;

	if (in->p == NULL)
		return 0;
	assert_true(in->len <= 8);
	for (size_t i = 0; i < in->len; i++)
		upper[i] = (char)(in->p[i] - ('a' - 'A'));
	out->iov[out->n_iov++] = (struct iovec){upper, in->len};
	*in = (struct str){in->p + in->len, 0};
	return 0;
}

static void test_first_is_not_filtered(void **state)
{
	struct rig r;
	char upper[8];
	struct relay_opt opt = {.first = STR("first "),
				.ab_filter = upper_filter,
				.filter_arg = upper};
	struct str in;

	rig_wires(&r, 0, &opt);
	assert_int_equal(wire_write_all(r.visitor, STR("then")), 0);
	rig_relay(&r, &opt);
	assert_int_equal(wire_read(r.target, SIZE_MAX, &in), 0);
	assert_true(str_eq(in, STR("first THEN")));
	rig_close(&r);
}

/* Half of it is over already: the relay reads nothing of a, and shuts b no second time. */
static void test_a_has_ended(void **state)
{
	struct rig r;
	struct relay_opt opt = {.done = rig_on_done, .arg = &r, .a_ended = true};
	struct counted a, b;
	struct str in;

	rig_wires(&r, 0, &opt);
	counted_on(&a, opt.a);
	counted_on(&b, opt.b);
	assert_int_equal(wire_write_all(opt.b, STR("question")), 0);
	wire_shut(opt.b);
	rig_relay(&r, &opt);
	ev_sim_run_for(r.ev, 1000000); /* waiting costs no turn of the loop */
	assert_int_equal(r.n_done, 0);
	assert_int_equal(wire_read(r.target, SIZE_MAX, &in), 0);
	assert_int_equal(wire_read(r.target, SIZE_MAX, &in), ERR_EOF);
	rig_pass(&r, r.target, r.visitor, STR("answer"));
	wire_shut(r.target);
	ev_sim_run_for(r.ev, 1);
	assert_int_equal(wire_read(r.visitor, SIZE_MAX, &in), ERR_EOF);
	assert_int_equal(r.n_done, 1);
	assert_int_equal(r.result.why, 0);
	assert_int_equal(r.result.a_to_b, 0);
	assert_int_equal(r.result.b_to_a, 6);
	assert_int_equal(a.n_reads, 0);
	assert_int_equal(b.n_shuts, 1);
	rig_close(&r);
}

/* Nobody reads of a visitor that has ended, and still its reset is the end. */
static void test_a_has_ended_and_breaks(void **state)
{
	struct rig r;
	struct relay_opt opt = {.done = rig_on_done, .arg = &r, .a_ended = true};
	struct str in;

	rig_wires(&r, 0, &opt);
	rig_relay(&r, &opt);
	wire_close(r.visitor, ERR_RESET);
	r.visitor = NULL;
	ev_sim_run_for(r.ev, 1);
	assert_int_equal(r.n_done, 1);
	assert_int_equal(r.result.why, ERR_RESET);
	assert_int_equal(wire_read(r.target, 1, &in), ERR_RESET);
	rig_close(&r);
}

static void test_what_b_may_have_done(void **state)
{
	static const struct {
		const char *why, *said;
		bool may;
		int want; /* what a is told when b is broken by a timeout */
	} cases[] = {
		{"b has not had a byte", "", true, ERR_TIMEOUT},
		{"b has had some", "pay", true, ERR_RESET},
		{"it does not matter", "pay", false, ERR_TIMEOUT},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig r;
		struct relay_opt opt = {.done = rig_on_done,
					.arg = &r,
					.b_may_have_acted = cases[i].may};
		struct relay_result carried;
		struct counted a, b;

		rig_wires(&r, 0, &opt);
		counted_on(&a, opt.a);
		counted_on(&b, opt.b);
		rig_relay(&r, &opt);
		assert_int_equal(wire_write_all(r.visitor, str_of(cases[i].said)), 0);
		ev_sim_run_for(r.ev, 1);
		relay_carried(r.relay, &carried);
		assert_int_equal(carried.a_to_b, strlen(cases[i].said));
		assert_int_equal(carried.b_to_a, 0);
		opt.b->owner->broken(opt.b->arg, opt.b, ERR_TIMEOUT);
		if (a.closed != cases[i].want)
			fail_msg("%s: %s", cases[i].why, err_name(a.closed));
		assert_int_equal(b.closed, ERR_TIMEOUT);
		assert_int_equal(r.result.why, ERR_TIMEOUT);
		rig_close(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways_and_counted),
		cmocka_unit_test(test_half_close),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_a_side_breaks),
		cmocka_unit_test(test_a_reader_that_left),
		cmocka_unit_test(test_slow_reader),
		cmocka_unit_test(test_close_tells_nobody),
		cmocka_unit_test(test_first),
		cmocka_unit_test(test_first_of_a_slow_target),
		cmocka_unit_test(test_first_is_not_filtered),
		cmocka_unit_test(test_a_has_ended),
		cmocka_unit_test(test_a_has_ended_and_breaks),
		cmocka_unit_test(test_what_b_may_have_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
