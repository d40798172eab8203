/* What SSH sessions of a node share: who waits, for how long, and who holds too much. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "session/secsh_share.h"

#define MS ((uint64_t)1000000)

/* One that always has something to read, which costs so much. */
struct one {
	struct world *world;
	struct secsh_part part;
	char name;
	uint64_t cost_ns;
	bool costly, own;
	unsigned n_read, n_called;
	size_t holds, allowed;
	struct ev_task again;
	struct one *leaves; /* when it reads: this one goes */
};

struct world {
	struct ev *ev;
	struct secsh_share *share;
	struct one ones[4];
	char order[64]; /* who has read */
};

static void one_pump(void *arg)
{
	struct one *o = arg;
	size_t n = strlen(o->world->order);

	if (!secsh_part_may_read(&o->part, o->costly))
		return;
	if (n + 1 < sizeof o->world->order)
		o->world->order[n] = o->name;
	o->n_read++;
	if (o->leaves != NULL)
		secsh_part_leave(&o->leaves->part);
	secsh_part_spend(&o->part, o->cost_ns, o->own);
}

static void one_soon(void *arg)
{
	struct one *o = arg;

	o->n_called++;
	o->allowed = secsh_part_hold(&o->part, o->holds);
}

static const struct secsh_part_owner one_owner = {one_pump, one_soon};

static void one_on_again(void *arg)
{
	one_pump(arg);
}

/* Everybody who need not wait reads, every ms. */
static void world_run(struct world *w, unsigned ms)
{
	for (unsigned i = 0; i < ms; i++) {
		for (size_t k = 0; k < ARRAY_LEN(w->ones); k++)
			if (w->ones[k].part.share != NULL && !w->ones[k].part.waits)
				ev_task_run(w->ev, &w->ones[k].again);
		(void)ev_sim_run_for(w->ev, 1);
	}
}

static void world_begin(struct world *w, size_t n)
{
	memset(w, 0, sizeof *w);
	assert_int_equal(ev_sim_new(1, &w->ev), 0);
	assert_int_equal(secsh_share_new(w->ev, &w->share), 0);
	for (size_t i = 0; i < n; i++) {
		struct one *o = &w->ones[i];

		o->world = w;
		o->name = (char)('a' + i);
		o->again = (struct ev_task){.fn = one_on_again, .arg = o};
		secsh_part_join(&o->part, w->share, &one_owner, o);
	}
}

static void world_end(struct world *w)
{
	for (size_t i = 0; i < ARRAY_LEN(w->ones); i++) {
		ev_task_cancel(&w->ones[i].again);
		secsh_part_leave(&w->ones[i].part);
		secsh_part_leave(&w->ones[i].part);
	}
	secsh_share_free(w->share);
	ev_free(w->ev);
}

static void test_time(void **state)
{
	static const struct {
		const char *why;
		size_t n; /* of the same kind */
		uint64_t cost_ns;
		bool costly, own;
		unsigned least, most; /* reads in a second, of all together */
	} cases[] = {
		{"one that carries bytes is not slowed", 1, 1 * MS, false, false, 1000, 1000},
		{"one exchanges keys: a fifth, and what may be used at once", 1, 1 * MS, true, true,
		 180, 225},
		{"a stranger: half", 1, 1 * MS, true, false, 490, 525},
		{"strangers: half, together", 4, 1 * MS, true, false, 490, 525},
		{"those who exchange keys: half, together", 4, 1 * MS, true, true, 480, 525},
		{"what is cheap is not slowed much", 1, MS / 100, true, false, 900, 1000},
		{"a stop of the whole process is not put down to one", 1, 5000 * MS, true, true, 2,
		 3},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world w;
		unsigned n = 0;

		world_begin(&w, cases[i].n);
		for (size_t k = 0; k < cases[i].n; k++) {
			w.ones[k].cost_ns = cases[i].cost_ns;
			w.ones[k].costly = cases[i].costly;
			w.ones[k].own = cases[i].own;
		}
		world_run(&w, 1000);
		for (size_t k = 0; k < cases[i].n; k++)
			n += w.ones[k].n_read;
		if (n < cases[i].least || n > cases[i].most)
			fail_msg("%s: %u reads", cases[i].why, n);
		world_end(&w);
	}
}

static void test_others_are_not_slowed(void **state)
{
	struct world w;

	world_begin(&w, 3);
	for (int i = 0; i < 2; i++) {
		w.ones[i].cost_ns = 3 * MS;
		w.ones[i].costly = true;
		w.ones[i].own = i == 1;
	}
	world_run(&w, 500);
	assert_int_equal(w.ones[2].n_read, 500);
	assert_true(w.ones[0].n_read > 20 && w.ones[1].n_read > 20);
	world_end(&w);
}

static void test_the_queue_keeps_its_order(void **state)
{
	struct world w;

	world_begin(&w, 3);
	for (int i = 0; i < 3; i++) {
		w.ones[i].cost_ns = 21 * MS;
		w.ones[i].costly = true;
	}
	world_run(&w, 500);
	assert_memory_equal(w.order, "abcabcabc", 9);
	world_end(&w);
}

static void test_one_leaves_while_it_waits(void **state)
{
	struct world w;

	world_begin(&w, 3);
	for (int i = 0; i < 3; i++) {
		w.ones[i].cost_ns = 30 * MS;
		w.ones[i].costly = true;
	}
	w.ones[1].leaves = &w.ones[2]; /* from within its turn, the next in the queue */
	world_run(&w, 500);
	assert_memory_equal(w.order, "ababab", 6);
	assert_int_equal(w.ones[2].n_read, 0);
	world_end(&w);
}

static void test_how_long_it_waited(void **state)
{
	struct world w;
	struct one *o = &w.ones[0];

	world_begin(&w, 1);
	o->cost_ns = 40 * MS; /* 20 more than there are: 100 ms of rest */
	o->costly = o->own = true;
	one_pump(o);
	assert_true(o->part.waits);
	assert_int_equal(secsh_part_waited(&o->part), 0);
	(void)ev_sim_run_for(w.ev, 60);
	assert_true(o->part.waits);
	o->cost_ns = 0;
	(void)ev_sim_run_for(w.ev, 60);
	assert_false(o->part.waits);
	assert_in_range(secsh_part_waited(&o->part), 100, 102);
	assert_int_equal(secsh_part_waited(&o->part), 0);
	world_end(&w);
}

static void test_memory(void **state)
{
	struct world w;
	struct one *big = &w.ones[0], *small = &w.ones[1];

	world_begin(&w, 4);
	world_run(&w, SECSH_CALL_MS); /* or the first call would be too early */
	big->holds = SECSH_HELD_ALL;
	assert_int_equal(secsh_part_hold(&big->part, big->holds), SIZE_MAX);
	small->holds = 4096;
	assert_int_equal(secsh_part_hold(&small->part, small->holds), SECSH_HELD_ALL / 4);
	assert_int_equal(big->n_called, 1); /* though nothing came from it */
	assert_int_equal(big->allowed, SECSH_HELD_ALL / 4);
	assert_int_equal(small->n_called + w.ones[2].n_called, 0);
	assert_int_equal(secsh_part_hold(&small->part, small->holds), SECSH_HELD_ALL / 4);
	assert_int_equal(big->n_called, 1); /* not that often */
	world_run(&w, SECSH_CALL_MS);
	assert_int_equal(secsh_part_hold(&small->part, small->holds), SECSH_HELD_ALL / 4);
	assert_int_equal(big->n_called, 2);
	secsh_part_leave(&big->part); /* and all it held */
	assert_int_equal(secsh_part_hold(&small->part, small->holds), SIZE_MAX);
	world_end(&w);
}

static void test_no_share(void **state)
{
	struct secsh_part p = {.share = NULL};

	secsh_part_join(&p, NULL, &one_owner, NULL);
	secsh_part_spend(&p, 1000 * MS, true);
	assert_true(secsh_part_may_read(&p, true));
	assert_int_equal(secsh_part_waited(&p), 0);
	assert_int_equal(secsh_part_hold(&p, SIZE_MAX / 2), SIZE_MAX);
	secsh_part_leave(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_others_are_not_slowed),
		cmocka_unit_test(test_the_queue_keeps_its_order),
		cmocka_unit_test(test_one_leaves_while_it_waits),
		cmocka_unit_test(test_how_long_it_waited),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_no_share),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
