/* One direction of copying: limits, filters, what is left over, and who failed. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "wire/pump.h"
#include "wire/wire_mem.h"

/* A source and a destination whose far ends the test holds. */
struct rig {
	struct ev *ev;
	struct wire *src, *dst;	      /* the pump's */
	struct wire *writer, *reader; /* the test's */
	struct pump pump;
};

static void rig_open(struct rig *r, size_t dst_cap)
{
	struct wire_mem_opt in = {.cap = 1 << 20}, out = {.cap = dst_cap};

	*r = (struct rig){NULL};
	assert_int_equal(ev_sim_new(1, &r->ev), 0);
	assert_int_equal(wire_mem_pair(r->ev, &in, &r->writer, &r->src), 0);
	assert_int_equal(wire_mem_pair(r->ev, &out, &r->dst, &r->reader), 0);
	r->pump = (struct pump){.src = r->src, .dst = r->dst, .left = UINT64_MAX};
}

static void rig_close(struct rig *r)
{
	pump_free(&r->pump);
	wire_close(r->src, 0);
	wire_close(r->dst, 0);
	wire_close(r->writer, 0);
	wire_close(r->reader, 0);
	ev_sim_run_for(r->ev, 10);
	ev_free(r->ev);
}

static void rig_send(struct rig *r, struct str s)
{
	assert_int_equal(wire_write_all(r->writer, s), 0);
	ev_sim_run_for(r->ev, 1);
}

static enum pump_state rig_run(struct rig *r)
{
	enum pump_state state = pump_run(&r->pump);

	ev_sim_run_for(r->ev, 1);
	return state;
}

/* The next bytes at the destination must be these. */
static void rig_expect(struct rig *r, struct str want)
{
	struct str in;

	assert_int_equal(wire_read(r->reader, SIZE_MAX, &in), 0);
	assert_int_equal(in.len, want.len);
	assert_memory_equal(in.p, want.p, want.len);
}

static void test_bytes_pass_until_the_end(void **state)
{
	struct rig r;

	rig_open(&r, 0);
	assert_int_equal(rig_run(&r), PUMP_RUNNING); /* nothing there */
	assert_true(r.pump.want_read && !r.pump.want_write);
	rig_send(&r, STR("hello "));
	rig_send(&r, STR("world"));
	assert_int_equal(rig_run(&r), PUMP_RUNNING);
	rig_expect(&r, STR("hello world"));
	assert_int_equal(r.pump.n_bytes, 11);
	wire_shut(r.writer);
	ev_sim_run_for(r.ev, 1);
	assert_int_equal(rig_run(&r), PUMP_EOF);
	assert_false(r.pump.want_read || r.pump.want_write);
	assert_int_equal(rig_run(&r), PUMP_EOF); /* and stays */
	rig_close(&r);
}

static void test_a_limit(void **state)
{
	static const struct {
		const char *why;
		uint64_t left;
		struct str sent, passed, rest;
		enum pump_state want;
	} cases[] = {
		{"fewer bytes than the limit", 5, {"abc", 3}, {"abc", 3}, {"", 0}, PUMP_RUNNING},
		{"just as many", 3, {"abc", 3}, {"abc", 3}, {"", 0}, PUMP_END},
		{"more: the rest stays unread", 2, {"abc", 3}, {"ab", 2}, {"c", 1}, PUMP_END},
		{"none at all", 0, {"abc", 3}, {"", 0}, {"abc", 3}, PUMP_END},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig r;
		struct str in = {"", 0};

		rig_open(&r, 0);
		r.pump.left = cases[i].left;
		rig_send(&r, cases[i].sent);
		assert_int_equal(rig_run(&r), cases[i].want);
		if (cases[i].passed.len > 0)
			rig_expect(&r, cases[i].passed);
		if (cases[i].rest.len > 0)
			assert_int_equal(wire_read(r.src, SIZE_MAX, &in), 0);
		assert_true(str_eq(in, cases[i].rest));
		rig_close(&r);
	}
}

/* The destination has no room: the pump holds nothing and reads nothing. */
static void test_a_slow_reader_stops_the_source(void **state)
{
	static char big[200000];
	struct rig r;
	struct str in;

	rig_open(&r, 1000);
	rig_send(&r, (struct str){big, sizeof big});
	assert_int_equal(rig_run(&r), PUMP_RUNNING);
	assert_int_equal(r.pump.n_bytes, 1000);
	assert_true(r.pump.want_write && !r.pump.want_read);
	assert_int_equal(r.pump.pending.size, 0);
	assert_int_equal(rig_run(&r), PUMP_RUNNING); /* asking again changes nothing */
	assert_int_equal(r.pump.n_bytes, 1000);
	for (uint64_t got = 0; got < sizeof big; got += in.len) {
		assert_int_equal(wire_read(r.reader, SIZE_MAX, &in), 0);
		ev_sim_run_for(r.ev, 1);
		assert_int_equal(rig_run(&r), PUMP_RUNNING);
		assert_int_equal(r.pump.pending.size, 0);
	}
	assert_int_equal(r.pump.n_bytes, sizeof big);
	rig_close(&r);
}

/* One turn is not for one pump alone. */
static void test_a_turn_has_a_budget(void **state)
{
	static char big[700000];
	struct wire_mem_opt out = {.cap = 4 << 20};
	struct wire_mem_opt in = {.cap = 4 << 20};
	struct rig r = {NULL};

	assert_int_equal(ev_sim_new(1, &r.ev), 0);
	assert_int_equal(wire_mem_pair(r.ev, &in, &r.writer, &r.src), 0);
	assert_int_equal(wire_mem_pair(r.ev, &out, &r.dst, &r.reader), 0);
	r.pump = (struct pump){.src = r.src, .dst = r.dst, .left = UINT64_MAX};
	for (int i = 0; i < 3; i++)
		rig_send(&r, (struct str){big, sizeof big});
	assert_int_equal(rig_run(&r), PUMP_RUNNING);
	assert_int_equal(r.pump.n_bytes, PUMP_TURN_BYTES);
	assert_true(r.pump.want_read); /* it is told again, as there is more */
	assert_int_equal(rig_run(&r), PUMP_RUNNING);
	assert_int_equal(r.pump.n_bytes, 2 * PUMP_TURN_BYTES);
	rig_close(&r);
}

static void test_who_failed(void **state)
{
	struct rig r;

	rig_open(&r, 0);
	wire_mem_cut(r.src);
	assert_int_equal(rig_run(&r), PUMP_FAILED);
	assert_true(r.pump.failed_src);
	assert_int_equal(r.pump.e, ERR_RESET);
	rig_close(&r);

	rig_open(&r, 0);
	rig_send(&r, STR("for nobody"));
	wire_mem_cut(r.dst);
	assert_int_equal(rig_run(&r), PUMP_FAILED);
	assert_false(r.pump.failed_src);
	assert_false(r.pump.want_read || r.pump.want_write);
	rig_close(&r);
}

/* ---- filters ---- */

/* Frames every piece of up to 10 bytes as "<n>:", ends after '.', refuses '!', ends the source with
 * "$". */
static int filter_frame(void *arg, struct str *in, struct pump_out *out, bool *end)
{
	if (in->p == NULL) {
		out->iov[out->n_iov++] = (struct iovec){(char *)(uintptr_t) "$", 1};
		return 0;
	}
	while (in->len > 0 && out->n_iov + 2 <= PUMP_IOV && !*end) {
		struct str dot = {in->p, MIN(in->len, (size_t)10)};
		char *text = out->text[out->n_iov];

		if (str_find(dot, '!') < dot.len)
			return ERR_PROTO;
		if (str_find(dot, '.') < dot.len) {
			dot.len = str_find(dot, '.') + 1;
			*end = true;
		}
		out->iov[out->n_iov] =
			(struct iovec){text, str_printf(text, PUMP_TEXT, "%zu:", dot.len)};
		out->iov[out->n_iov + 1] = (struct iovec){(char *)(uintptr_t)dot.p, dot.len};
		out->n_iov += 2;
		in->p += dot.len;
		in->len -= dot.len;
	}
	return 0;
}

static void test_a_filter(void **state)
{
	static const struct {
		const char *why;
		struct str sent, passed, rest;
		enum pump_state want;
	} cases[] = {
		{"adds to what passes", {"abc", 3}, {"3:abc", 5}, {"", 0}, PUMP_RUNNING},
		{"makes several of one",
		 {"0123456789abc", 13},
		 {"10:01234567893:abc", 18},
		 {"", 0},
		 PUMP_RUNNING},
		{"ends with its input", {"ab.", 3}, {"3:ab.", 5}, {"", 0}, PUMP_END},
		{"ends before its input does: the rest belongs to something else",
		 {"ab.next", 7},
		 {"3:ab.", 5},
		 {"next", 4},
		 PUMP_END},
		{"refuses", {"ab!", 3}, {"", 0}, {"", 0}, PUMP_FAILED},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig r;
		struct str in = {"", 0};

		rig_open(&r, 0);
		r.pump.filter = filter_frame;
		rig_send(&r, cases[i].sent);
		assert_int_equal(rig_run(&r), cases[i].want);
		if (cases[i].passed.len > 0)
			rig_expect(&r, cases[i].passed);
		if (cases[i].rest.len > 0)
			assert_int_equal(wire_read(r.src, SIZE_MAX, &in), 0);
		assert_true(str_eq(in, cases[i].rest));
		if (cases[i].want == PUMP_FAILED)
			assert_true(r.pump.failed_src && r.pump.e == ERR_PROTO);
		rig_close(&r);
	}
}

static void test_a_filter_is_told_the_end(void **state)
{
	struct rig r;

	rig_open(&r, 0);
	r.pump.filter = filter_frame;
	rig_send(&r, STR("abc"));
	wire_shut(r.writer);
	ev_sim_run_for(r.ev, 1);
	assert_int_equal(rig_run(&r), PUMP_EOF);
	rig_expect(&r, STR("3:abc$"));
	rig_close(&r);
}

/* Puts '-' after every byte and '$' at the end, however the bytes come. */
static int filter_dash(void *arg, struct str *in, struct pump_out *out, bool *end)
{
	for (; in->len > 0 && out->n_iov + 2 <= PUMP_IOV; in->p++, in->len--) {
		out->iov[out->n_iov++] = (struct iovec){(char *)(uintptr_t)in->p, 1};
		out->iov[out->n_iov++] = (struct iovec){(char *)(uintptr_t) "-", 1};
	}
	if (in->p == NULL)
		out->iov[out->n_iov++] = (struct iovec){(char *)(uintptr_t) "$", 1};
	return 0;
}

/*
 * More comes out than goes in and than there is room for: what is refused keeps its order, is no
 * more than one read made, and the end of the source waits behind it.
 */
static void test_a_filter_that_is_refused(void **state)
{
	static const size_t caps[] = {1, 2, 7, 100, 1000};
	static char sent[2000];
	struct str in;

	for (size_t i = 0; i < sizeof sent; i++)
		sent[i] = (char)('a' + i % 26);
	for (size_t c = 0; c < ARRAY_LEN(caps); c++) {
		const size_t total = 2 * sizeof sent + 1;
		size_t got = 0;
		struct rig r;

		rig_open(&r, caps[c]);
		r.pump.filter = filter_dash;
		rig_send(&r, (struct str){sent, sizeof sent});
		wire_shut(r.writer);
		ev_sim_run_for(r.ev, 1);
		while (got < total) {
			enum pump_state now = rig_run(&r);

			assert_true(now == PUMP_RUNNING || now == PUMP_EOF);
			assert_true(r.pump.pending.len <= caps[c] + 1);
			assert_int_equal(wire_read(r.reader, SIZE_MAX, &in), 0);
			for (size_t i = 0; i < in.len; i++, got++)
				assert_int_equal(in.p[i], got == total - 1 ? '$'
							  : got % 2 == 1   ? '-'
									   : sent[got / 2]);
			ev_sim_run_for(r.ev, 1);
		}
		assert_int_equal(rig_run(&r), PUMP_EOF);
		assert_int_equal(r.pump.n_bytes, total);
		rig_close(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_pass_until_the_end),
		cmocka_unit_test(test_a_limit),
		cmocka_unit_test(test_a_slow_reader_stops_the_source),
		cmocka_unit_test(test_a_turn_has_a_budget),
		cmocka_unit_test(test_who_failed),
		cmocka_unit_test(test_a_filter),
		cmocka_unit_test(test_a_filter_is_told_the_end),
		cmocka_unit_test(test_a_filter_that_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
