/* Who is there at all nodes, asked at one; nodes that do not answer, or answer what cannot be. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "core/ask.h"
#include "core/manage.h"
#include "unit/core/peer_rig.h"
#include "wire/wire_mem.h"

/* What a node does when it is asked. */
enum manner { ANSWERS, REFUSES, BREAKS, SILENT, ENDS_AT_ONCE, BABBLES, NEVER_ENDS };

static struct peer_rig w;
static enum manner manners[PEER_RIG_N];
static struct wire *held[8]; /* of those who are silent */
static size_t n_held;

/* ---- the other nodes ---- */

static int on_asked(struct peer_node *n, const struct visit *visit, struct wire **out)
{
	static char words[CORE_ANSWER_MAX + 1];
	const struct wire_mem_opt opt = {.cap = 2 * CORE_ANSWER_MAX, .delay_ms = 3};
	enum manner manner = manners[n - w.node];
	char text[VISIT_MAX + 1];
	struct buf answer = {0};
	struct wire *ours;
	size_t len;

	assert_int_equal(visit_format(visit, text, &len), 0);
	if (manner == REFUSES)
		return ERR_NOSESSION;
	assert_int_equal(wire_mem_pair(w.r.ev, &opt, out, &ours), 0);
	memset(words, '[', sizeof words);
	switch (manner) {
	case ANSWERS:
		assert_int_equal(core_answer(n->rig.core, visit, &answer), 0);
		assert_int_equal(wire_write_all(ours, buf_str(&answer)), 0);
		buf_free(&answer);
		break;
	case BABBLES: assert_int_equal(wire_write_all(ours, STR("{\"rows\":7}")), 0); break;
	case NEVER_ENDS:
		assert_int_equal(wire_write_all(ours, (struct str){words, sizeof words}), 0);
		break;
	default: break;
	}
	if (manner == BREAKS) {
		wire_close(ours, ERR_UNSUPPORTED);
	} else if (manner == SILENT || manner == NEVER_ENDS) {
		assert_true(n_held < ARRAY_LEN(held));
		held[n_held++] = ours;
	} else {
		wire_shut(ours);
		wire_close(ours, 0);
	}
	return 0;
}

static void rig_new(void)
{
	memset(manners, 0, sizeof manners);
	n_held = 0;
	peer_rig_new(&w);
	for (int i = 0; i < PEER_RIG_N; i++)
		w.node[i].asked = on_asked;
}

static void rig_free(void)
{
	while (n_held > 0)
		wire_close(held[--n_held], 0);
	for (int i = 0; i < PEER_RIG_N; i++) {
		assert_int_equal(w.node[i].rig.core->n_asks, 0);
		assert_int_equal(w.node[i].rig.core->ask_bytes, 0);
	}
	peer_rig_free(&w);
}

/* ---- what a person is told ---- */

struct told {
	unsigned calls;
	int e;
	size_t n, total;
	char words[512]; /* of sessions "a:laptop ", of agents "laptop:2@ab ", of visitors "b:4711 "
			  */
	char missing[64]; /* "bc" */
	bool more;
	uint64_t numbers[8];
};

static char letter(const char *id)
{
	return id[0];
}

static void add(struct told *told, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void add(struct told *told, const char *fmt, ...)
{
	size_t at = strlen(told->words);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(told->words + at, sizeof told->words - at, fmt, ap);
	va_end(ap);
}

static void tell_agent(struct told *told, const struct core_agent_there *a)
{
	add(told, "%s:%zu%s@", a->info.id, a->info.n_sessions, a->info.was_there ? "+" : "");
	for (size_t i = 0; i < a->n_nodes; i++)
		add(told, "%c", letter(a->nodes[i]));
	add(told, " ");
}

static void on_told(void *arg, const struct manage_answer *a)
{
	struct told *told = arg;

	told->calls++;
	told->e = a->e;
	told->n = a->n;
	told->total = a->total;
	told->more = a->more;
	for (size_t i = 0; i < a->n; i++) {
		if (a->sessions != NULL)
			add(told, "%c:%s ", letter(a->sessions[i].node), a->sessions[i].agent);
		if (a->sessions != NULL && i < ARRAY_LEN(told->numbers))
			told->numbers[i] = a->sessions[i].number;
		if (a->visitors != NULL)
			add(told, "%c:%u ", letter(a->visitors[i].node), a->visitors[i].peer.port);
		if (a->agents != NULL)
			tell_agent(told, &a->agents[i]);
	}
	for (size_t i = 0; i < a->n_missing; i++)
		told->missing[i] = letter(a->missing[i]);
}

enum call { SESSIONS, VISITORS, AGENTS, ALL_AGENTS, END };

static struct told told;

static struct manage *begin(int node, const struct access_who *who, enum call call, uint64_t number)
{
	struct manage_asker by = {who, on_told, &told};
	struct core *c = w.node[node].rig.core;

	memset(&told, 0, sizeof told);
	switch (call) {
	case SESSIONS: return manage_sessions(c, &by, STR("demo"));
	case VISITORS: return manage_visitors(c, &by, STR("demo"));
	case AGENTS: return manage_agents(c, &by, false);
	case ALL_AGENTS: return manage_agents(c, &by, true);
	case END: return manage_disconnect(c, &by, STR("demo"), number, STR("go home"));
	}
	return NULL;
}

/* Ask, and wait no longer than an answer takes. */
static void ask(int node, enum call call)
{
	assert_non_null(begin(node, &w.ann, call, 0));
	assert_int_equal(told.calls, 0);
	peer_rig_run(&w, 100);
	assert_int_equal(told.calls, 1);
	assert_int_equal(told.e, 0);
}

static void end(int node, uint64_t number)
{
	assert_non_null(begin(node, &w.ann, END, number));
	peer_rig_run(&w, 100);
	assert_int_equal(told.calls, 1);
	assert_int_equal(told.e, 0);
}

/* ---- all answer ---- */

/* Two by an order that nobody has chosen: the numbers are drawn. */
static void assert_both(const char *x, const char *y)
{
	assert_non_null(strstr(told.words, x));
	assert_non_null(strstr(told.words, y));
	assert_int_equal(strlen(told.words), strlen(x) + strlen(y));
}

static void test_sessions(void **state)
{
	struct fake f, g, other;

	rig_new();
	peer_rig_serve(&w, &f, 0, "laptop");
	peer_rig_serve(&w, &g, 1, "desktop");
	for (int i = 0; i < PEER_RIG_N; i++) { /* also one that serves nothing itself */
		ask(i, SESSIONS);
		assert_both("a:laptop ", "b:desktop ");
		assert_string_equal(told.missing, "");
		assert_true(told.numbers[0] < told.numbers[1]);
		assert_true(told.numbers[0] > UINT32_MAX && told.numbers[1] < 1ULL << 53);
	}
	print_message("who serves nothing of it is not asked\n");
	memset(&w.node[2].visit, 0, sizeof w.node[2].visit);
	ask(0, SESSIONS);
	assert_string_equal(w.node[2].visit.tunnel, "");

	print_message("a node says nothing about what belongs to somebody else by now\n");
	fake_join(&other, &w.node[2].rig, &w.bob, &(struct core_agent){.id = "x", .epoch = 1});
	ask(0, SESSIONS);
	assert_int_equal(told.n, 2);
	fake_leave(&other);
	fake_leave(&f);
	fake_leave(&g);
	peer_rig_run(&w, 1);
	ask(0, SESSIONS);
	assert_int_equal(told.n, 0);
	rig_free();
}

static void test_visitors(void **state)
{
	static struct visit visits[MANAGE_PAGE_MAX + 5];
	static struct core_visitor there[MANAGE_PAGE_MAX + 5];
	struct fake f;

	rig_new();
	peer_rig_serve(&w, &f, 1, "laptop");
	for (size_t i = 0; i < ARRAY_LEN(visits); i++)
		visits[i] = (struct visit){.ingress = VISIT_HTTP,
					   .visitor = {"192.0.2.1", (uint16_t)(4000 + i)},
					   .tunnel = "demo",
					   .host = "demo.localhost"};
	print_message("one is told where it came to, not where it is carried to\n");
	core_visitor_begin(w.node[0].rig.core, &there[0], &visits[0]);
	visits[1] = visits[0];
	memcpy(visits[1].via, peer_rig_ids[0], NODE_ID_TEXT);
	core_visitor_begin(w.node[1].rig.core, &there[1], &visits[1]);
	peer_rig_run(&w, 10);
	core_visitor_begin(w.node[2].rig.core, &there[2], &visits[2]);
	for (int i = 0; i < PEER_RIG_N; i++) {
		ask(i, VISITORS);
		assert_string_equal(told.words, "a:4000 c:4002 ");
		assert_int_equal(told.total, 2);
	}
	print_message("a page, and how many there are\n");
	for (size_t i = 3; i < ARRAY_LEN(visits); i++)
		core_visitor_begin(w.node[2].rig.core, &there[i], &visits[i]);
	ask(1, VISITORS);
	assert_int_equal(told.n, MANAGE_PAGE_MAX);
	assert_int_equal(told.total, MANAGE_PAGE_MAX + 4);
	assert_true(told.more);
	for (size_t i = 0; i < ARRAY_LEN(visits); i++)
		core_visitor_end(&there[i]);
	fake_leave(&f);
	rig_free();
}

static void test_agents(void **state)
{
	struct access_who root;
	struct fake f, g, other;

	rig_new();
	root = w.bob;
	root.admin = true;
	peer_rig_join(&w, &f, 0, "laptop", 1, 0);
	peer_rig_join(&w, &g, 1, "laptop", 1, 1);
	fake_join(&other, &w.node[2].rig, &w.bob, &(struct core_agent){.id = "x", .epoch = 1});
	for (int i = 0; i < PEER_RIG_N; i++) {
		ask(i, AGENTS);
		/* asked here first */
		assert_string_equal(told.words, i == 1 ? "laptop:2@ba " : "laptop:2@ab ");
	}
	print_message("an administrator sees everybody's\n");
	assert_non_null(begin(0, &root, ALL_AGENTS, 0));
	peer_rig_run(&w, 100);
	assert_int_equal(told.n, 2);
	print_message("gone from one, and still at the other\n");
	fake_leave(&g);
	for (int i = 0; i < PEER_RIG_N; i++) {
		ask(i, AGENTS);
		assert_string_equal(told.words, "laptop:1@a ");
	}
	print_message("gone from all\n");
	fake_leave(&f);
	ask(2, AGENTS);
	assert_string_equal(told.words, "laptop:0@ ");
	print_message("back at a third\n");
	peer_rig_run(&w, 10);
	peer_rig_join(&w, &f, 2, "laptop", 2, 0);
	ask(1, AGENTS);
	assert_string_equal(told.words, "laptop:1+@c ");
	fake_leave(&f);
	fake_leave(&other);
	rig_free();
}

/* ---- ending one ---- */

static void test_end(void **state)
{
	struct fake f, g;
	uint64_t number;

	rig_new();
	peer_rig_serve(&w, &f, 0, "laptop");
	peer_rig_serve(&w, &g, 1, "desktop");
	number = member_number(g.member);
	print_message("at a third node, by a number of the second\n");
	end(2, number);
	assert_int_equal(told.n, 1);
	assert_int_equal(w.node[2].n_orders, 1);
	assert_int_equal(g.n_expelled, 1);
	assert_string_equal(g.reason, "go home");
	assert_int_equal(f.n_expelled, 0);
	fake_leave(&g);
	peer_rig_run(&w, 1);

	print_message("a number that nobody has: nobody is told\n");
	end(2, number);
	assert_int_equal(told.n, 0);
	assert_int_equal(w.node[2].n_orders, 1);

	print_message("who does not say what he has is told\n");
	manners[0] = BREAKS;
	end(2, member_number(f.member));
	assert_int_equal(told.n, 0);
	assert_string_equal(told.missing, "a");
	assert_int_equal(f.n_expelled, 1);
	fake_leave(&f);
	peer_rig_run(&w, 1);

	print_message("it is served by nobody\n");
	end(2, number);
	assert_int_equal(told.n, 0);
	assert_int_equal(w.node[2].n_orders, 2);
	rig_free();
}

/* ---- some do not answer ---- */

static void test_missing(void **state)
{
	static const struct {
		const char *why;
		enum manner b;
		bool waits; /* for the deadline */
	} cases[] = {
		{"it cannot be reached", REFUSES, false},
		{"it does not know the question", BREAKS, false},
		{"it says nothing", SILENT, true},
		{"it ends without a word", ENDS_AT_ONCE, false},
		{"it says what is no answer", BABBLES, false},
		{"it says more than any answer has", NEVER_ENDS, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct fake f, g;

		print_message("%s\n", cases[i].why);
		rig_new();
		peer_rig_serve(&w, &f, 0, "laptop");
		peer_rig_serve(&w, &g, 2, "desktop");
		manners[1] = cases[i].b;
		assert_non_null(begin(0, &w.ann, AGENTS, 0));
		peer_rig_run(&w, MANAGE_ASK_MS - 100);
		assert_int_equal(told.calls, !cases[i].waits);
		peer_rig_run(&w, 200);
		assert_int_equal(told.calls, 1);
		assert_int_equal(told.e, 0);
		assert_string_equal(told.words, "desktop:1@c laptop:1@a ");
		assert_string_equal(told.missing, "b");
		fake_leave(&f);
		fake_leave(&g);
		rig_free();
	}
}

/* One that goes while it is asked, or is known to be out of reach. */
static void test_gone(void **state)
{
	rig_new();
	core_peer_set_state(w.node[0].way[1].peer, PEER_UNREACHABLE);
	w.node[2].dies = true;
	ask(0, AGENTS);
	assert_string_equal(told.missing, "bc");
	assert_string_equal(w.node[1].visit.tunnel, "");
	assert_null(w.node[0].way[2].peer);
	rig_free();
}

/* ---- bounds ---- */

static void test_so_many(void **state)
{
	struct manage *calls[MANAGE_ASKS_MAX];
	struct manage_asker by;
	struct told nobody = {0};

	rig_new();
	manners[1] = REFUSES;
	manners[2] = ANSWERS;
	by = (struct manage_asker){&w.ann, on_told, &nobody};
	w.node[2].asked = NULL;
	/* nobody to wait for, but they are not answered before the loop turns */
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		assert_non_null(calls[i] = manage_agents(w.node[0].rig.core, &by, false));
	peer_rig_run(&w, 100);
	assert_int_equal(nobody.calls, MANAGE_ASKS_MAX);
	assert_int_equal(nobody.e, 0);

	print_message("one more than may wait\n");
	w.node[0].rig.core->n_asks += MANAGE_ASKS_MAX;
	assert_non_null(begin(0, &w.ann, AGENTS, 0));
	peer_rig_run(&w, 100);
	assert_int_equal(told.e, ERR_LIMIT);
	w.node[0].rig.core->n_asks -= MANAGE_ASKS_MAX;

	print_message("more bytes than all answers may have\n");
	w.node[2].asked = on_asked;
	w.node[0].rig.core->ask_bytes += ASK_BYTES_MAX;
	ask(0, AGENTS);
	assert_string_equal(told.missing, "bc");
	w.node[0].rig.core->ask_bytes -= ASK_BYTES_MAX;
	rig_free();
}

/* Nobody wants to know any more; the core goes. */
static void test_cancel(void **state)
{
	struct manage *m;

	rig_new();
	manners[1] = manners[2] = SILENT;
	assert_non_null(m = begin(0, &w.ann, AGENTS, 0));
	peer_rig_run(&w, 100);
	assert_int_equal(w.node[0].rig.core->n_asks, 1);
	manage_cancel(m);
	peer_rig_run(&w, 2 * MANAGE_ASK_MS);
	assert_int_equal(told.calls, 0);
	assert_int_equal(w.node[0].rig.core->n_asks, 0);

	assert_non_null(begin(0, &w.ann, AGENTS, 0));
	peer_rig_run(&w, 100);
	for (int i = 0; i < PEER_RIG_N; i++)
		peer_rig_part(&w, i);
	core_free(w.node[0].rig.core);
	w.node[0].rig.core = NULL;
	assert_int_equal(told.calls, 1);
	assert_int_equal(told.e, ERR_CLOSED);
	while (n_held > 0)
		wire_close(held[--n_held], 0);
	peer_rig_free(&w);
}

static void test_questions(void **state)
{
	struct visit visit = {.ingress = VISIT_NODE, .tunnel = "demo", .service = "secrets"};
	struct buf answer = {0};
	struct fake f;

	rig_new();
	peer_rig_serve(&w, &f, 0, "laptop");
	print_message("one of a later version\n");
	assert_int_equal(core_answer(w.node[0].rig.core, &visit, &answer), ERR_UNSUPPORTED);
	print_message("about somebody else's tunnel\n");
	str_printf(visit.service, sizeof visit.service, "sessions");
	memcpy(visit.owner, w.bob.account, sizeof visit.owner);
	assert_int_equal(core_answer(w.node[0].rig.core, &visit, &answer), 0);
	assert_true(str_eq(buf_str(&answer), STR("{\"rows\":[],\"total\":0,\"more\":false}")));
	buf_free(&answer);
	fake_leave(&f);
	rig_free();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sessions),  cmocka_unit_test(test_visitors),
		cmocka_unit_test(test_agents),	  cmocka_unit_test(test_end),
		cmocka_unit_test(test_missing),	  cmocka_unit_test(test_gone),
		cmocka_unit_test(test_so_many),	  cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_questions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
