/* A node's session and a client that takes more than its part: of time, memory, patience. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "session/secsh_wire_inside.h"
#include "unit/session/secsh_rig.h"

#define BULK (1024 * 1024)

static struct secsh_link *node_link(struct rig *r)
{
	return secsh_link_of(r->node);
}

/* ---- bytes that the client sends, and a visitor reads, or does not ---- */

struct bulk {
	struct wire *near; /* the visitor's; NULL when it is closed */
	size_t left, got;
	int broken;
};

static void far_on_ready(void *arg, struct wire *w, int events)
{
	static char bytes[32768];
	struct bulk *b = arg;
	size_t taken = 1;

	while (b->left > 0 && taken > 0) {
		struct iovec iov = {bytes, MIN(b->left, sizeof bytes)};

		if (wire_write(w, &iov, 1, &taken) != 0)
			break;
		b->left -= taken;
	}
	if (b->left == 0)
		wire_want(w, 0);
}

static void near_on_ready(void *arg, struct wire *w, int events)
{
	struct bulk *b = arg;
	struct str in;

	if (wire_read(w, SIZE_MAX, &in) == 0)
		b->got += in.len;
}

static void end_on_broken(void *arg, struct wire *w, int why)
{
	((struct bulk *)arg)->broken = why;
}

static void far_on_broken(void *arg, struct wire *w, int why)
{
}

static const struct wire_owner far_owner = {far_on_ready, far_on_broken};
static const struct wire_owner near_owner = {near_on_ready, end_on_broken};

static bool until_served(struct rig *r)
{
	return r->n_served == 1;
}

static bool until_got(struct rig *r)
{
	const struct bulk *b = r->arg;

	return b->got == BULK;
}

static bool until_broken(struct rig *r)
{
	const struct bulk *b = r->arg;

	return b->broken != 0;
}

static void bulk_begin(struct rig *r, struct bulk *b, size_t n, int near_wants)
{
	*b = (struct bulk){.left = n};
	rig_start(r, "localhost", 80);
	assert_int_equal(rig_visit(r, "demo", &b->near), 0);
	wire_own(b->near, &near_owner, b);
	wire_want(b->near, near_wants);
	rig_run(r, until_served);
	wire_own(r->served[0], &far_owner, b);
	wire_want(r->served[0], WIRE_WRITE);
	r->arg = b;
}

/* ---- time ---- */

/* It exchanges keys again and again, and has used up what is its own. */
static void test_exchanges_of_keys(void **state)
{
	uint64_t often = 64 * 1024;
	struct rig *r = rig_new();
	struct bulk b;
	struct secsh_link *l;

	assert_int_equal(ssh_options_set(r->peer->link.ssh, SSH_OPTIONS_REKEY_DATA, &often), 0);
	rig_run(r, rig_is_up);
	l = node_link(r);
	assert_int_equal(l->n_exchanges, l->seen_exchanges);
	assert_false(l->exchanging);
	l->part.credit_ns = -10 * 1000000;
	l->part.filled_ns = ev_now_ns(r->ev);
	bulk_begin(r, &b, BULK, WIRE_READ);
	rig_run(r, until_got);
	assert_true(l->n_exchanges > 2);
	assert_true(l->part.credit_ns < SECSH_BURST_NS);
	assert_false(r->over);
	wire_close(b.near, 0);
	rig_free(r);
}

static bool until_waits(struct rig *r)
{
	return node_link(r)->part.waits;
}

/* While it waits nothing is read, and its silence is not held against it. */
static void test_waiting_is_not_silence(void **state)
{
	uint64_t often = 64 * 1024;
	struct rig *r = rig_new();
	struct secsh_link *l;
	struct bulk b;

	assert_int_equal(ssh_options_set(r->peer->link.ssh, SSH_OPTIONS_REKEY_DATA, &often), 0);
	rig_run(r, rig_is_up);
	bulk_begin(r, &b, BULK, WIRE_READ);
	l = node_link(r);
	l->part.credit_ns = -40 * 1000000; /* 200 ms */
	l->part.filled_ns = ev_now_ns(r->ev);
	rig_run(r, until_waits);
	session_ping(r->node, 50);
	l->session.heard_ms -= SECSH_DEAD_MS;
	rig_run(r, until_got);
	assert_false(r->over);
	wire_close(b.near, 0);
	rig_free(r);
}

/* Strangers have used up what is theirs: one more waits for its turn, and gets it. */
static void test_strangers(void **state)
{
	struct secsh_part other = {.share = NULL};
	struct rig *r = rig_new();

	secsh_part_join(&other, r->share, NULL, NULL);
	secsh_part_spend(&other, 50 * 1000000, false);
	rig_run(r, until_waits);
	assert_false(rig_is_up(r));
	rig_run(r, rig_is_up);
	assert_false(r->over);
	secsh_part_leave(&other);
	rig_free(r);
}

/* It goes while it waits for its turn. */
static void test_strangers_that_go(void **state)
{
	struct secsh_part other = {.share = NULL};
	struct rig *r = rig_new();

	secsh_part_join(&other, r->share, NULL, NULL);
	secsh_part_spend(&other, 50 * 1000000, false);
	rig_run(r, until_waits);
	session_close(r->node, 0, (struct str){NULL, 0});
	r->node = NULL;
	rig_run_ms(r, 120);
	secsh_part_leave(&other);
	rig_free(r);
}

/* ---- memory ---- */

static void many_on(void *arg)
{
}

static const struct secsh_part_owner many_owner = {many_on, many_on};

/* All sessions together hold too much, and there are many. */
static struct secsh_part *many_begin(struct rig *r)
{
	struct secsh_part *many = calloc(SECSH_STREAMS_MAX, sizeof *many);

	assert_non_null(many);
	for (size_t i = 0; i < SECSH_STREAMS_MAX; i++)
		secsh_part_join(&many[i], r->share, &many_owner, NULL);
	(void)secsh_part_hold(&many[0], SECSH_HELD_ALL);
	return many;
}

static void many_end(struct secsh_part *many)
{
	for (size_t i = 0; i < SECSH_STREAMS_MAX; i++)
		secsh_part_leave(&many[i]);
	free(many);
}

static void test_memory_is_short(void **state)
{
	struct rig *r = rig_new();
	struct secsh_part *many;
	struct bulk b;

	rig_run(r, rig_is_up);
	many = many_begin(r);
	bulk_begin(r, &b, BULK, 0);
	rig_run(r, until_broken); /* though it holds much less than one may otherwise */
	assert_int_equal(b.broken, ERR_LIMIT);
	assert_false(r->over);
	wire_close(b.near, 0);
	many_end(many);
	rig_free(r);
}

static bool until_excess(struct rig *r)
{
	return node_link(r)->excess_ms != 0;
}

/* What is broken stays where it is: somebody has not closed it. */
static void test_memory_stays_short(void **state)
{
	struct rig *r = rig_new();
	struct secsh_part *many;
	struct bulk b;

	rig_run(r, rig_is_up);
	many = many_begin(r);
	bulk_begin(r, &b, BULK, 0);
	rig_run(r, until_excess);
	rig_run_ms(r, 20);
	assert_false(r->over);
	node_link(r)->excess_ms = ev_now_ms(r->ev) - SECSH_EXCESS_MS;
	secsh_link_soon(node_link(r));
	rig_run(r, rig_is_over);
	assert_int_equal(r->why, ERR_LIMIT);
	wire_close(b.near, 0);
	many_end(many);
	rig_free(r);
}

/* ---- patience ---- */

static void peer_says_nothing(struct rig_peer *p, ssh_message m)
{
	assert_null(p->rig->unanswered);
	p->rig->unanswered = m;
}

static bool until_unanswered(struct rig *r)
{
	return r->unanswered != NULL;
}

static void test_a_channel_without_an_answer(void **state)
{
	struct rig *r = rig_new();
	struct bulk b = {.left = 0};

	rig_start(r, "localhost", 80);
	r->peer->visit = peer_says_nothing;
	r->arg = &b;
	assert_int_equal(rig_visit(r, "demo", &b.near), 0);
	wire_own(b.near, &near_owner, &b);
	wire_shut(b.near); /* it asks for nothing any more, and would hear of nothing */
	rig_run(r, until_unanswered);
	rig_run_ms(r, 20);
	assert_int_equal(b.broken, 0);
	((struct secsh_wire *)b.near)->opened_ms -= SECSH_OPEN_MS;
	node_link(r)->opening_left = 1;
	secsh_link_soon(node_link(r));
	rig_run(r, until_broken);
	assert_int_equal(b.broken, ERR_TIMEOUT);
	wire_close(b.near, 0);
	assert_int_equal(r->node->n_streams, 0);
	secsh_link_refuse(&r->peer->link, r->unanswered); /* late, and no harm */
	rig_run_ms(r, 20);
	assert_false(r->over);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exchanges_of_keys),
		cmocka_unit_test(test_waiting_is_not_silence),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_strangers_that_go),
		cmocka_unit_test(test_memory_is_short),
		cmocka_unit_test(test_memory_stays_short),
		cmocka_unit_test(test_a_channel_without_an_answer),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
