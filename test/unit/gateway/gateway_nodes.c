/* What agents are told of the nodes: at their start, and when it changes. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "unit/gateway/gateway_rig.h"

/* n nodes "n0" and so on, of which n_urls have an address. */
struct cluster {
	size_t n, n_urls;
};

static size_t cluster_count(void *arg)
{
	return ((struct cluster *)arg)->n;
}

static void cluster_each(void *arg, void (*fn)(void *to, const char *id, const char *url), void *to)
{
	const struct cluster *c = arg;
	char id[32], url[64];

	for (size_t i = 0; i < c->n_urls; i++) {
		snprintf(id, sizeof id, "n%zu", i);
		snprintf(url, sizeof url, "https://n%zu.example", i);
		fn(to, id, url);
	}
}

/* A world whose gateway knows of others. */
static void nodes_open(struct world *w, const struct gateway_nodes *nodes)
{
	world_open(w);
	gateway_free(w->gateway);
	world_run(w);
	w->opt.nodes = nodes;
	assert_int_equal(gateway_new(w->r.ev, &w->opt, &w->gateway), 0);
}

#define LINE_0 "{\"op\":\"nodes\",\"count\":"

static void test_at_the_start(void **state)
{
	static const struct {
		const char *why;
		struct cluster cluster;
		const char *count, *line;
	} cases[] = {
		{"it is alone", {1, 0}, "", ""},
		{"it is alone, with an address", {1, 1}, "", ""},
		{"it drains, so nobody is to come", {0, 0}, "", ""},
		{"two behind a balancer", {2, 0}, "2", ""},
		{"two with addresses",
		 {2, 2},
		 "2",
		 LINE_0 "2,\"nodes\":[{\"id\":\"n0\",\"url\":\"https://n0.example\"},"
			"{\"id\":\"n1\",\"url\":\"https://n1.example\"}]}"},
		{"three, one of which has an address",
		 {3, 1},
		 "3",
		 LINE_0 "3,\"nodes\":[{\"id\":\"n0\",\"url\":\"https://n0.example\"}]}"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct cluster c = cases[i].cluster;
		struct gateway_nodes nodes = {"n0", cluster_count, cluster_each, &c};
		struct world w;
		struct agent a;
		char field[128];

		print_message("# %s\n", cases[i].why);
		nodes_open(&w, &nodes);
		agent_connect(&a, &w, ASK_WHO("laptop", "5", "0"), "", NULL);
		assert_string_equal(agent_field(&a, "Karez-Node", field), "n0");
		assert_string_equal(agent_field(&a, "Karez-Nodes", field), cases[i].count);
		assert_string_equal(agent_last(&a), cases[i].line);
		agent_hang_up(&a);
		world_close(&w);
	}
}

static void test_without_a_cluster(void **state)
{
	struct world w;
	struct agent a;
	char field[128];

	world_open(&w);
	gateway_nodes_changed(w.gateway);
	agent_connect(&a, &w, ASK_WHO("laptop", "5", "0"), "", NULL);
	assert_string_equal(agent_field(&a, "Karez-Node", field), "");
	assert_string_equal(agent_field(&a, "Karez-Nodes", field), "");
	gateway_nodes_changed(w.gateway);
	world_run(&w);
	assert_int_equal(a.n_lines, 0);
	agent_hang_up(&a);
	world_close(&w);
}

static void test_changes(void **state)
{
	struct cluster c = {1, 0};
	struct gateway_nodes nodes = {"n0", cluster_count, cluster_each, &c};
	struct world w;
	struct agent a, b;

	nodes_open(&w, &nodes);
	gateway_nodes_changed(w.gateway);
	agent_connect(&a, &w, ASK_WHO("laptop", "5", "0"), "", NULL);
	agent_connect_websocket(&b, &w, ASK_WHO("phone", "5", "0"));
	gateway_nodes_changed(w.gateway);
	world_run(&w);
	assert_int_equal(a.n_lines + b.n_lines, 0);

	c = (struct cluster){2, 0}; /* another one comes */
	gateway_nodes_changed(w.gateway);
	gateway_nodes_changed(w.gateway); /* only its load has changed */
	world_run(&w);
	assert_int_equal(a.n_lines, 1);
	assert_int_equal(b.n_lines, 1);
	assert_string_equal(agent_last(&a), LINE_0 "2,\"nodes\":[]}");
	assert_string_equal(agent_last(&b), agent_last(&a));

	c.n_urls = 1;
	gateway_nodes_changed(w.gateway);
	world_run(&w);
	assert_int_equal(a.n_lines, 2);

	c = (struct cluster){1, 0}; /* it goes: that is news, too */
	gateway_nodes_changed(w.gateway);
	world_run(&w);
	assert_int_equal(a.n_lines, 3);
	assert_string_equal(agent_last(&a), LINE_0 "1,\"nodes\":[]}");
	agent_hang_up(&a);
	agent_hang_up(&b);
	world_close(&w);
}

/* A cluster may be larger than what a line says. */
static void test_many(void **state)
{
	struct cluster c = {300, 300};
	struct gateway_nodes nodes = {"n0", cluster_count, cluster_each, &c};
	struct world w;
	struct agent a;

	nodes_open(&w, &nodes);
	agent_connect(&a, &w, ASK_WHO("laptop", "5", "0"), "", NULL);
	assert_int_equal(a.n_lines, 1);
	assert_memory_equal(agent_last(&a), LINE_0 "300,", strlen(LINE_0 "300,"));
	assert_non_null(strstr(agent_last(&a), "\"n63\""));
	assert_null(strstr(agent_last(&a), "\"n64\""));
	assert_false(a.closed);
	agent_hang_up(&a);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_at_the_start),
		cmocka_unit_test(test_without_a_cluster),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
