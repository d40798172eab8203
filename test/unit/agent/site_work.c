/* Jobs on real threads: how many at a time, and what becomes of those that nobody needs. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <semaphore.h>
#include <stdatomic.h>

#include "agent/site_work.h"
#include "base/err.h"

#define N_JOBS 12

struct bench;

struct task {
	struct site_job job; /* first */
	struct bench *bench;
	bool worked;
	int e;
};

struct bench {
	struct ev *ev;
	struct site_work *work;
	struct task tasks[N_JOBS];
	sem_t gate; /* a job waits for it */
	atomic_int n_inside, n_most;
	int n_done, stop_at;
	int n_early; /* that were over before the gate was opened */
	bool gated;
	/* looks again and again whether as many stand at the gate as ever may, and acts then */
	struct ev_timer look;
	void (*full)(struct bench *b);
};

static void task_work(struct site_job *job)
{
	struct task *t = (struct task *)job;
	struct bench *b = t->bench;
	int inside = atomic_fetch_add(&b->n_inside, 1) + 1, most = atomic_load(&b->n_most);

	while (inside > most && !atomic_compare_exchange_weak(&b->n_most, &most, inside))
		;
	if (b->gated)
		sem_wait(&b->gate);
	t->worked = true;
	atomic_fetch_sub(&b->n_inside, 1);
}

static void task_done(struct site_job *job, int e)
{
	struct task *t = (struct task *)job;

	t->e = e;
	if (++t->bench->n_done == t->bench->stop_at)
		ev_stop(t->bench->ev);
}

static void bench_open(struct bench *b)
{
	*b = (struct bench){.stop_at = N_JOBS};
	assert_int_equal(ev_new(&b->ev), 0);
	assert_int_equal(site_work_new(b->ev, &b->work), 0);
	assert_int_equal(sem_init(&b->gate, 0, 0), 0);
	for (int i = 0; i < N_JOBS; i++)
		b->tasks[i] = (struct task){.job = {.work = task_work, .done = task_done},
					    .bench = b,
					    .e = -1};
}

static void bench_close(struct bench *b)
{
	site_work_free(b->work);
	ev_free(b->ev);
	sem_destroy(&b->gate);
}

static void bench_start(struct bench *b)
{
	for (int i = 0; i < N_JOBS; i++)
		site_work_run(b->work, &b->tasks[i].job);
	assert_int_equal(b->n_done, 0);
}

static void bench_open_gate(struct bench *b)
{
	for (int i = 0; i < N_JOBS; i++)
		sem_post(&b->gate);
}

static void bench_on_look(void *arg)
{
	struct bench *b = arg;

	if (atomic_load(&b->n_inside) < SITE_WORK_MAX)
		ev_timer_set(b->ev, &b->look, 1);
	else
		b->full(b);
}

/* Run all; full() is called when the first ones stand at the gate. */
static void bench_run_gated(struct bench *b, void (*full)(struct bench *b))
{
	b->gated = true;
	b->full = full;
	b->look = (struct ev_timer){.fn = bench_on_look, .arg = b};
	bench_start(b);
	ev_timer_set(b->ev, &b->look, 1);
	ev_run(b->ev);
}

static void test_a_few_at_a_time(void **state)
{
	struct bench b;

	bench_open(&b);
	bench_run_gated(&b, bench_open_gate);
	assert_int_equal(b.n_done, N_JOBS);
	assert_int_equal(atomic_load(&b.n_most), SITE_WORK_MAX);
	for (int i = 0; i < N_JOBS; i++) {
		assert_true(b.tasks[i].worked);
		assert_int_equal(b.tasks[i].e, 0);
	}
	bench_close(&b);
}

static void test_what_nobody_needs(void **state)
{
	struct bench b;

	bench_open(&b);
	bench_start(&b);
	for (int i = 0; i < N_JOBS; i += 2)
		site_job_drop(&b.tasks[i].job);
	ev_run(b.ev);
	for (int i = 0; i < N_JOBS; i++) {
		assert_int_equal(b.tasks[i].worked, i % 2);
		assert_int_equal(b.tasks[i].e, i % 2 ? 0 : ERR_CLOSED);
	}
	bench_close(&b);
}

/* The gate stays shut until those that nobody needs are over. */
static void bench_on_dropped(void *arg)
{
	struct bench *b = arg;

	b->n_early = b->n_done;
	bench_open_gate(b);
}

/* All that wait but the first of them. */
static void bench_drop_waiting(struct bench *b)
{
	for (int i = SITE_WORK_MAX + 1; i < N_JOBS; i++)
		site_job_drop(&b->tasks[i].job);
	b->look.fn = bench_on_dropped;
	ev_timer_set(b->ev, &b->look, 1);
}

/* A disk that hangs must not make visitors who have left pile up. */
static void test_what_nobody_needs_does_not_wait(void **state)
{
	struct bench b;

	bench_open(&b);
	bench_run_gated(&b, bench_drop_waiting);
	assert_int_equal(b.n_done, N_JOBS);
	assert_int_equal(b.n_early, N_JOBS - SITE_WORK_MAX - 1);
	for (int i = 0; i < N_JOBS; i++) {
		assert_int_equal(b.tasks[i].worked, i <= SITE_WORK_MAX);
		assert_int_equal(b.tasks[i].e, i <= SITE_WORK_MAX ? 0 : ERR_CLOSED);
	}
	bench_close(&b);
}

static void bench_free_work(struct bench *b)
{
	site_work_free(b->work);
	b->work = NULL;
	assert_int_equal(b->n_done, N_JOBS - SITE_WORK_MAX); /* those that waited know */
	bench_open_gate(b);
}

static void test_the_end_while_some_run(void **state)
{
	struct bench b;

	bench_open(&b);
	bench_run_gated(&b, bench_free_work);
	assert_int_equal(b.n_done, N_JOBS);
	for (int i = 0; i < N_JOBS; i++) {
		assert_int_equal(b.tasks[i].worked, i < SITE_WORK_MAX);
		assert_int_equal(b.tasks[i].e, i < SITE_WORK_MAX ? 0 : ERR_CLOSED);
	}
	bench_close(&b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_few_at_a_time),
		cmocka_unit_test(test_what_nobody_needs),
		cmocka_unit_test(test_what_nobody_needs_does_not_wait),
		cmocka_unit_test(test_the_end_while_some_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
