/* Which servers an agent goes to: what a person has named, and what of a cluster's words counts. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "agent/servers.h"

static void list_open(struct servers *s, struct ev **ev, uint64_t seed, const char *const *urls)
{
	struct url v[SERVERS_GIVEN_MAX];
	size_t n = 0;

	assert_int_equal(ev_sim_new(seed, ev), 0);
	for (; urls[n] != NULL; n++)
		assert_int_equal(url_parse(str_of(urls[n]), &v[n], NULL), 0);
	servers_init(s, *ev, &v[0], &v[1], n - 1);
}

static void test_given(void **state)
{
	static const char *const urls[] = {"https://a.example",	     "https://b.example",
					   "https://A.example:443/", "https://a.example/x",
					   "http://a.example",	     NULL};
	struct servers s;
	struct ev *ev;

	list_open(&s, &ev, 1, urls);
	assert_int_equal(s.n, 4); /* the third is the first */
	assert_int_equal(s.n_given, 4);
	assert_string_equal(s.v[1].url.host, "b.example");
	assert_string_equal(s.v[2].url.path, "/x");
	ev_free(ev);
}

static void test_what_may_be_used(void **state)
{
	static const struct {
		const char *why, *given, *told;
		bool want;
	} cases[] = {
		{"the same", "https://a.example", "https://a.example", true},
		{"another port", "https://a.example", "https://a.example:8443", true},
		{"a name below it", "https://a.example", "https://n2.a.example", true},
		{"far below it", "https://a.example", "https://x.y.a.example", true},
		{"a name beside it", "https://t.a.example", "https://n2.a.example", false},
		{"one that only ends like it", "https://a.example", "https://bada.example", false},
		{"somebody else", "https://a.example", "https://b.example", false},
		{"the name above it", "https://t.a.example", "https://a.example", false},
		{"an address in our network", "https://a.example", "https://10.0.0.1", false},
		{"the same in clear", "https://a.example", "http://a.example", false},
		{"TLS where a person wanted none", "http://a.example", "https://a.example", false},
		{"clear, as it was given", "http://a.example:8080", "http://n.a.example:80", true},
		{"a local file", "https://a.example", "file:///etc/passwd", false},
		{"a socket", "https://a.example", "unix:/run/docker.sock", false},
		{"a port of its own protocol", "https://a.example", "tcp://a.example:25", false},
		{"the same address", "http://192.0.2.1:80", "http://192.0.2.1:81", true},
		{"one that looks as if below it", "http://2.0.2.1:80", "http://19.2.0.2.1.x",
		 false},
		{"another address", "http://192.0.2.1:80", "http://192.0.2.2:80", false},
		{"the same of version 6", "https://[::1]", "https://[::1]:8443", true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *urls[] = {cases[i].given, NULL};
		struct servers s;
		struct url url;
		struct ev *ev;

		list_open(&s, &ev, 1, urls);
		assert_int_equal(url_parse(str_of(cases[i].told), &url, NULL), 0);
		if (servers_allow(&s, &url) != cases[i].want)
			fail_msg("%s", cases[i].why);
		ev_free(ev);
	}
}

static void told(struct control_nodes *c, unsigned first, unsigned n)
{
	*c = (struct control_nodes){.count = n, .n = n};
	for (unsigned i = 0; i < n; i++) {
		snprintf(c->v[i].id, sizeof c->v[i].id, "node%u", first + i);
		snprintf(c->v[i].url, sizeof c->v[i].url, "https://n%u.a.example", first + i);
	}
}

static void test_learning(void **state)
{
	static const char *const urls[] = {"https://a.example", NULL};
	struct control_nodes c;
	struct servers s;
	struct ev *ev;

	list_open(&s, &ev, 1, urls);
	told(&c, 0, 3);
	assert_true(servers_learn(&s, &c));
	assert_int_equal(s.n, 4);
	assert_int_equal(s.n_given, 1);
	assert_false(servers_learn(&s, &c)); /* the same again */
	told(&c, 1, 3);
	assert_true(servers_learn(&s, &c)); /* one has gone, one has come */
	assert_int_equal(s.n, 4);
	for (unsigned i = 1; i < s.n; i++)
		assert_string_not_equal(s.v[i].node, "node0");
	snprintf(c.v[0].url, sizeof c.v[0].url, "https://elsewhere.example");
	snprintf(c.v[1].url, sizeof c.v[1].url, "no URL");
	assert_true(servers_learn(&s, &c));
	assert_int_equal(s.n, 2);
	assert_string_equal(s.v[1].url.host, "n3.a.example");
	told(&c, 0, 0);
	assert_true(servers_learn(&s, &c));
	assert_int_equal(s.n, 1);
	assert_string_equal(s.v[0].url.host, "a.example");
	ev_free(ev);
}

/* Of more than an agent keeps, each keeps others. */
static void test_agents_differ(void **state)
{
	static const char *const urls[] = {"https://a.example", NULL};
	unsigned kept[CONTROL_NODES_MAX] = {0}, first[CONTROL_NODES_MAX] = {0};
	struct control_nodes c;

	told(&c, 0, CONTROL_NODES_MAX);
	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct servers s;
		struct ev *ev;
		unsigned n;

		list_open(&s, &ev, seed, urls);
		assert_true(servers_learn(&s, &c));
		assert_int_equal(s.n, 1 + SERVERS_LEARNED_MAX);
		for (unsigned i = 1; i < s.n; i++) {
			assert_int_equal(sscanf(s.v[i].node, "node%u", &n), 1);
			kept[n]++;
			first[n] += i == 1;
		}
		ev_free(ev);
	}
	for (unsigned n = 0; n < CONTROL_NODES_MAX; n++) {
		assert_in_range(kept[n], 40, 115); /* 75 on average */
		assert_in_range(first[n], 0, 14);  /* 3 */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_given),
		cmocka_unit_test(test_what_may_be_used),
		cmocka_unit_test(test_learning),
		cmocka_unit_test(test_agents_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
