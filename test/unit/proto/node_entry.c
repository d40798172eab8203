/* What a node says that it serves: written, and read strictly. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "base/err.h"
#include "proto/node_entry.h"

static void test_round(void **state)
{
	static const struct {
		const char *why, *text;
		struct node_entry e;
		unsigned sessions;
	} cases[] = {
		{"one agent, one session",
		 "1;0;abc:19f:1",
		 {.up = true, .n_agents = 1, .agents = {{0xabc, 0x19f, 1}}},
		 1},
		{"its target is down, and it is a reserve",
		 "0;a;abc:19f:1",
		 {.priority = 10, .n_agents = 1, .agents = {{0xabc, 0x19f, 1}}},
		 1},
		{"it has a route",
		 "3;0;abc:19f:1",
		 {.up = true, .route = true, .n_agents = 1, .agents = {{0xabc, 0x19f, 1}}},
		 1},
		{"two agents, several sessions",
		 "1;ffffffff;0:0:3,ffffffffffffffff:ffffffffffffffff:8000000000000001",
		 {.up = true,
		  .priority = UINT32_MAX,
		  .n_agents = 2,
		  .agents = {{0, 0, 3}, {UINT64_MAX, UINT64_MAX, 0x8000000000000001}}},
		 4},
		{"two processes of one agent",
		 "1;0;1:1:1,1:2:1",
		 {.up = true, .n_agents = 2, .agents = {{1, 1, 1}, {1, 2, 1}}},
		 2},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[NODE_ENTRY_TEXT];
		struct node_entry e;

		print_message("%s\n", cases[i].why);
		assert_int_equal(node_entry_format(&cases[i].e, text), strlen(cases[i].text));
		assert_string_equal(text, cases[i].text);
		memset(&e, 0, sizeof e);
		assert_int_equal(node_entry_parse(str_of(text), &e), 0);
		assert_memory_equal(&e, &cases[i].e, sizeof e);
		assert_int_equal(node_entry_sessions(&e), cases[i].sessions);
	}
}

/* The longest one fits its array. */
static void test_longest(void **state)
{
	struct node_entry e = {.up = true, .priority = UINT32_MAX}, again;
	char text[NODE_ENTRY_TEXT];
	size_t len;

	for (e.n_agents = 0; e.n_agents < NODE_ENTRY_AGENTS_MAX; e.n_agents++)
		e.agents[e.n_agents] =
			(struct node_entry_agent){UINT64_MAX, UINT64_MAX - e.n_agents, UINT64_MAX};
	len = node_entry_format(&e, text);
	assert_int_equal(strlen(text), len);
	assert_true(len < NODE_ENTRY_TEXT - 1);
	assert_int_equal(node_entry_parse((struct str){text, len}, &again), 0);
	assert_int_equal(node_entry_sessions(&again), 64 * 64);
	memcpy(text + len, ",1:1:1", 7);
	assert_int_equal(node_entry_parse((struct str){text, len + 6}, &again), ERR_PROTO);
}

static void test_refused(void **state)
{
	static const struct {
		const char *why, *text;
	} cases[] = {
		{"nothing", ""},
		{"no agents", "1;0;"},
		{"no priority", "1;abc:19f:1"},
		{"only up", "1"},
		{"two flags", "4;0;1:1:1"},
		{"a flag of two digits", "01;0;1:1:1"},
		{"a priority above 32 bits", "1;100000000;1:1:1"},
		{"upper case", "1;0;A:1:1"},
		{"a leading zero", "1;0;01:1:1"},
		{"no session", "1;0;1:1:0"},
		{"two numbers", "1;0;1:1"},
		{"four numbers", "1;0;1:1:1:1"},
		{"a comma at the end", "1;0;1:1:1,"},
		{"a comma in front", "1;0;,1:1:1"},
		{"a process twice", "1;0;1:1:1,2:1:1,1:1:2"},
		{"17 digits", "1;0;11111111111111111:1:1"},
		{"a space", "1;0; 1:1:1"},
		{"a newline", "1;0;1:1:1\n"},
		{"more behind", "1;0;1:1:1;"},
	};
	struct node_entry e;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s\n", cases[i].why);
		assert_int_equal(node_entry_parse(str_of(cases[i].text), &e), ERR_PROTO);
	}
	assert_int_equal(node_entry_parse((struct str){NULL, 0}, &e), ERR_PROTO);
}

/* ---- of an account ---- */

static void test_held(void **state)
{
	static const struct {
		const char *why, *text;
		struct node_held h;
	} cases[] = {
		{"none", "0;", {0}},
		{"some, of nobody who comes again", "1f;", {.n = 31}},
		{"of one agent",
		 "2;abc:19f:3",
		 {.n = 2, .n_agents = 1, .agents = {{0xabc, 0x19f, 3}}}},
		{"of two processes of it, and others",
		 "9;1:1:1,1:2:8000000000000000",
		 {.n = 9, .n_agents = 2, .agents = {{1, 1, 1}, {1, 2, 0x8000000000000000}}}},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[NODE_HELD_TEXT];
		struct node_held h;

		print_message("%s\n", cases[i].why);
		assert_int_equal(node_held_format(&cases[i].h, text), strlen(cases[i].text));
		assert_string_equal(text, cases[i].text);
		memset(&h, 0, sizeof h);
		assert_int_equal(node_held_parse(str_of(text), &h), 0);
		assert_memory_equal(&h, &cases[i].h, sizeof h);
	}
}

static void test_held_refused(void **state)
{
	static const struct {
		const char *why, *text;
	} cases[] = {
		{"nothing", ""},
		{"no end of the number", "1"},
		{"no number", ";1:1:1"},
		{"a leading zero", "01;"},
		{"above 32 bits", "100000000;"},
		{"fewer than its agents have", "1;1:1:3"},
		{"fewer than two of its agents have", "2;1:1:3,2:1:1"},
		{"no session", "1;1:1:0"},
		{"a process twice", "4;1:1:1,1:1:2"},
		{"a comma at the end", "4;1:1:1,"},
		{"more behind", "4;1:1:1;"},
	};
	char text[NODE_HELD_TEXT + 64];
	struct node_held h = {.n = UINT32_MAX};
	size_t len;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s\n", cases[i].why);
		assert_int_equal(node_held_parse(str_of(cases[i].text), &h), ERR_PROTO);
	}
	assert_int_equal(node_held_parse((struct str){NULL, 0}, &h), ERR_PROTO);

	print_message("the longest one fits its array, and none is longer\n");
	h.n = UINT32_MAX;
	for (h.n_agents = 0; h.n_agents < NODE_HELD_AGENTS_MAX; h.n_agents++)
		h.agents[h.n_agents] =
			(struct node_entry_agent){UINT64_MAX, UINT64_MAX - h.n_agents, UINT64_MAX};
	len = node_held_format(&h, text);
	assert_true(len < NODE_HELD_TEXT - 1);
	assert_int_equal(node_held_parse((struct str){text, len}, &h), 0);
	memcpy(text + len, ",1:1:1", 7);
	assert_int_equal(node_held_parse((struct str){text, len + 6}, &h), ERR_PROTO);
}

static void test_add(void **state)
{
	struct node_entry_agent all[2], a = {7, 1, 1}, b = {7, 2, 4}, c = {8, 1, 1};
	unsigned n = 0;

	assert_true(node_entry_add(all, &n, 2, &a));
	assert_true(node_entry_add(all, &n, 2, &b));
	print_message("one too many\n");
	assert_false(node_entry_add(all, &n, 2, &c));
	print_message("one that is there is none more\n");
	a.carriers = 2;
	assert_true(node_entry_add(all, &n, 2, &a));
	assert_int_equal(n, 2);
	assert_int_equal(all[0].carriers, 3);
	assert_int_equal(all[1].carriers, 4);
}

static void test_agent_id(void **state)
{
	print_message("the same everywhere, today and tomorrow\n");
	assert_true(node_entry_agent_id("a1", "laptop") == node_entry_agent_id("a1", "laptop"));
	print_message("the border between the two counts\n");
	assert_true(node_entry_agent_id("a1", "x") != node_entry_agent_id("a", "1x"));
	assert_true(node_entry_agent_id("a", "b") != node_entry_agent_id("b", "a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),	     cmocka_unit_test(test_longest),
		cmocka_unit_test(test_refused),	     cmocka_unit_test(test_held),
		cmocka_unit_test(test_held_refused), cmocka_unit_test(test_add),
		cmocka_unit_test(test_agent_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
