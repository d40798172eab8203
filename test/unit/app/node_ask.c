/* Answers to other nodes' questions, on their way out: whole, in pieces, too slow, too many. */
#include "app/node_ask.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "wire/wire_mem.h"

#define ASKERS_MAX 256

/* What the core says; whose words is not the matter here. */
static size_t answer_len;
static int answer_e;

int core_answer(struct core *c, const struct visit *visit, struct buf *answer)
{
	char *at;

	assert_string_equal(visit->service, "agents");
	if (answer_e != 0)
		return answer_e;
	assert_int_equal(buf_room(answer, answer_len, CORE_ANSWER_MAX, &at), 0);
	memset(at, 'x', answer_len);
	buf_added(answer, answer_len);
	return 0;
}

/* One who has asked. */
struct asker {
	struct wire *wire; /* NULL: it has gone */
	size_t n;
	int e; /* ERR_EOF: all has come; 0: not yet */
};

static struct ev *ev;
static struct node_asks *asks;
static struct asker askers[ASKERS_MAX];
static size_t n_askers;

static void asker_end(struct asker *a, int e)
{
	a->e = e;
	wire_close(a->wire, 0);
	a->wire = NULL;
}

static void asker_on_ready(void *arg, struct wire *w, int events)
{
	struct asker *a = arg;
	struct str in;
	int e;

	while ((e = wire_read(w, 65536, &in)) == 0)
		a->n += in.len;
	if (e != ERR_AGAIN)
		asker_end(a, e);
}

static void asker_on_broken(void *arg, struct wire *w, int why)
{
	asker_end(arg, why);
}

static const struct wire_owner asker_owner = {asker_on_ready, asker_on_broken};

/* from: the last who has passed it on. reads: he does. */
static struct asker *ask(const char *from, bool reads)
{
	struct visit visit = {.ingress = VISIT_NODE, .tunnel = "agents", .service = "agents"};
	const struct wire_mem_opt opt = {.cap = 4096, .delay_ms = 2};
	struct asker *a = &askers[n_askers++];
	struct wire *ours;

	assert_true(n_askers <= ASKERS_MAX);
	*a = (struct asker){.wire = NULL};
	str_printf(visit.via, sizeof visit.via, "%s", from);
	assert_int_equal(wire_mem_pair(ev, &opt, &a->wire, &ours), 0);
	wire_own(a->wire, &asker_owner, a);
	wire_shut(a->wire);
	wire_want(a->wire, reads ? WIRE_READ : 0);
	node_asks_serve(asks, &visit, ours);
	return a;
}

static int rig_new(void **state)
{
	answer_len = 100;
	answer_e = 0;
	n_askers = 0;
	assert_int_equal(ev_sim_new(1, &ev), 0);
	assert_int_equal(node_asks_new(ev, NULL, &asks), 0);
	return 0;
}

static int rig_free(void **state)
{
	node_asks_free(asks);
	for (size_t i = 0; i < n_askers; i++)
		wire_close(askers[i].wire, 0);
	ev_free(ev);
	return 0;
}

#define A "aaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbb"

static void test_sizes(void **state)
{
	static const size_t sizes[] = {1, 4096, 4097, 100000, CORE_ANSWER_MAX};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct asker *a;

		answer_len = sizes[i];
		a = ask(A, true);
		ev_sim_run_for(ev, 2000);
		assert_int_equal(a->e, ERR_EOF);
		assert_int_equal(a->n, sizes[i]);
	}
}

static void test_refused(void **state)
{
	struct asker *a;

	answer_e = ERR_UNSUPPORTED;
	a = ask(A, true);
	ev_sim_run_for(ev, 10);
	assert_int_equal(a->n, 0);
	assert_true(a->e != 0 && a->e != ERR_EOF);
}

/* Whoever does not take his answer does not keep it here. */
static void test_slow(void **state)
{
	struct asker *a;

	answer_len = 100000;
	a = ask(A, false);
	ev_sim_run_for(ev, NODE_ASK_MS - 100);
	assert_int_equal(a->e, 0);
	wire_want(a->wire, WIRE_READ);
	ev_sim_run_for(ev, 90);
	assert_int_equal(a->e, ERR_EOF);

	a = ask(A, false);
	ev_sim_run_for(ev, NODE_ASK_MS + 100);
	assert_int_not_equal(a->e, 0);
	assert_int_not_equal(a->e, ERR_EOF);

	a = ask(A, false);
	wire_mem_cut(a->wire);
	ev_sim_run_for(ev, 10);
	assert_int_not_equal(a->e, 0);
}

static void test_too_many(void **state)
{
	static const char *const others[] = {B, A "," B, ""};
	struct asker *a;

	answer_len = 10000;
	for (size_t i = 0; i < NODE_ASKS_MAX; i++)
		(void)ask(i % 2 == 0 ? A : B "," A, false);
	a = ask(A, true);
	ev_sim_run_for(ev, 50);
	assert_int_equal(a->n, 0);
	assert_int_not_equal(a->e, 0);
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		a = ask(others[i], true);
		ev_sim_run_for(ev, 50);
		assert_int_equal(a->n, answer_len);
	}
	print_message("when they have gone there is room again\n");
	for (size_t i = 0; i < NODE_ASKS_MAX; i++)
		wire_want(askers[i].wire, WIRE_READ);
	ev_sim_run_for(ev, 50);
	a = ask(A, true);
	ev_sim_run_for(ev, 50);
	assert_int_equal(a->n, answer_len);
}

static void test_too_much(void **state)
{
	char from[NODE_ID_TEXT];
	struct asker *a;
	size_t n;

	answer_len = CORE_ANSWER_MAX;
	for (n = 0; n < ASKERS_MAX - 1; n++) {
		str_printf(from, sizeof from, "%016zx", n);
		a = ask(from, false);
		ev_sim_run_for(ev, 5);
		if (a->wire == NULL || a->e != 0)
			break;
	}
	/* each has some bytes less, which stand in the wire */
	assert_true(n >= NODE_ASK_BYTES_MAX / CORE_ANSWER_MAX);
	assert_true(n <= NODE_ASK_BYTES_MAX / CORE_ANSWER_MAX + 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sizes, rig_new, rig_free),
		cmocka_unit_test_setup_teardown(test_refused, rig_new, rig_free),
		cmocka_unit_test_setup_teardown(test_slow, rig_new, rig_free),
		cmocka_unit_test_setup_teardown(test_too_many, rig_new, rig_free),
		cmocka_unit_test_setup_teardown(test_too_much, rig_new, rig_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
