/* Files of tunnels: what the API is sent for them, where they are wrong, and what they change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "cli/cli_list.h"

/* ---- what is sent ---- */

static const struct {
	const char *why, *file;
	const char *want; /* the body without {"tunnels":}; or NULL, then */
	const char *said; /* what stands against it */
} files[] = {
	{"none at all", "[]", "[]", NULL},
	{"the same as a member", "tunnels: []\n", "[]", NULL},
	{"all short forms",
	 "- name: ssh\n  kind: tcp\n  port: 2222\n  bind: '::'\n  target: localhost:22\n"
	 "  service: sshd\n  agents: [home, spare]\n  proxy_protocol: v2\n  policy: failover\n"
	 "  max_sessions: 4\n  drain: 2m\n  allow: [10.0.0.0/8]\n  deny: []\n  enabled: off\n",
	 "[{\"name\":\"ssh\",\"kind\":\"tcp\",\"enabled\":false,\"ingress\":{\"tcp\":{\"port\":"
	 "2222,"
	 "\"bind\":\"::\"}},\"target\":{\"url\":\"localhost:22\",\"service\":\"sshd\","
	 "\"proxy_protocol\":\"v2\"},\"transport\":{\"agents\":[\"home\",\"spare\"],"
	 "\"policy\":\"failover\",\"max_connections\":4,\"drain\":120},"
	 "\"visitors\":{\"allow\":[\"10.0.0.0/8\"],\"deny\":[]}}]",
	 NULL},
	{"TLS with domains", "- {kind: tls, domains: ['*.a.example', x.a.example], tls: end}",
	 "[{\"kind\":\"tls\",\"domains\":[\"*.a.example\",\"x.a.example\"],"
	 "\"ingress\":{\"tls\":{\"mode\":\"end\"}}}]",
	 NULL},
	{"the API's own form, and what it tells besides",
	 "{\"tunnels\":[{\"id\":\"a\",\"name\":\"a\",\"kind\":\"http\",\"enabled\":true,"
	 "\"urls\":[\"http://a.x\"],\"connection\":{\"connected\":false},\"transport\":"
	 "{\"connect_url\":\"http://x\",\"drain\":30},\"ingress\":{\"http\":{\"enabled\":true,"
	 "\"url\":\"http://a.x\",\"urls\":[],\"alt_names\":[\"b.x\"]}},\"target\":{\"url\":\"\"},"
	 "\"visitors\":{\"basic\":[{\"user\":\"anna\"}],\"bearer\":2},\"owner\":\"z\","
	 "\"created_at\":\"x\"}],\"cursor\":null}",
	 "[{\"name\":\"a\",\"kind\":\"http\",\"enabled\":true,\"domains\":[\"b.x\"],"
	 "\"target\":{\"url\":\"\"},\"transport\":{\"drain\":30},"
	 "\"visitors\":{\"basic\":[{\"user\":\"anna\"}],\"bearer\":2}}]",
	 NULL},
	{"a number where a text is meant", "- name: 8080\n  service: 1\n",
	 "[{\"name\":\"8080\",\"target\":{\"service\":\"1\"}}]", NULL},
	{"nothing is not said", "- name: a\n  service:\n  agents: ~\n", "[{\"name\":\"a\"}]", NULL},
	{"users and tokens", "- users: [{user: anna, password: x}]\n  tokens: [0123456789abcdef]\n",
	 "[{\"visitors\":{\"basic\":[{\"user\":\"anna\",\"password\":\"x\"}],"
	 "\"bearer\":[\"0123456789abcdef\"]}}]",
	 NULL},
	{"the same twice, said alike", "- drain: 60\n  transport: {drain: 1m}\n",
	 "[{\"transport\":{\"drain\":60}}]", NULL},

	{"an empty file deletes nothing", "", NULL, "f: expected a list of tunnels; [] for none"},
	{"nor does a word", "~\n", NULL, "f:1:1: expected a list of tunnels; [] for none"},
	{"one tunnel is no list", "name: a\n", NULL, "f:1:1: expected a list of tunnels, or"},
	{"an entry that is a word", "- a\n", NULL, "f:1:3: expected a tunnel"},
	{"no YAML", "- [\n", NULL, "f:2:1: "},
	{"a slip", "- name: a\n  kinds: tcp\n", NULL,
	 "f:2:3: there is no \"kinds\" here; did you mean kind?"},
	{"a slip further down", "- transport:\n    polizy: x\n", NULL,
	 "f:2:5: there is no \"polizy\" here"},
	{"a short form further down", "- transport: {name: x}\n", NULL,
	 "f:1:15: there is no \"name\" here"},
	{"a list for one value", "- name: [a]\n", NULL, "f:1:9: must be one value"},
	{"one value for a list", "- agents: a\n", NULL, "f:1:11: must be a list"},
	{"a list in a list", "- agents: [[a]]\n", NULL, "f:1:12: must be a text"},
	{"a word for a port", "- port: ssh\n", NULL, "f:1:9: must be a number"},
	{"half a second", "- drain: 500ms\n", NULL, "f:1:10: must be a span of whole seconds"},
	{"no flag", "- enabled: perhaps\n", NULL, "f:1:12: must be true or false"},
	{"a user that is a word", "- users: [anna]\n", NULL, "f:1:11: a user is"},
	{"a user with more", "- users: [{user: a, name: b}]\n", NULL, "f:1:21: a user is"},
	{"a word for an object", "- ingress: http\n", NULL, "f:1:12: must be a mapping"},
	{"twice, and not alike", "- drain: 60\n  transport: {drain: 5}\n", NULL,
	 "f:2:22: line 1 says otherwise"},
	{"a name and another id", "- {name: a, id: b}\n", NULL, "f:1:17: line 1 says otherwise"},
};

static void test_files(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char why[CLI_LIST_WHY], want[2048];
		struct cli_list l = {0};
		struct json *body = NULL;
		struct buf text = {0};
		int e = cli_list_parse("f", str_of(files[i].file), &l, why);

		if (files[i].want == NULL) {
			if (e != ERR_INVAL ||
			    strncmp(why, files[i].said, strlen(files[i].said)) != 0)
				fail_msg("%s: %d %s", files[i].why, e, why);
			cli_list_free(&l);
			continue;
		}
		if (e != 0)
			fail_msg("%s: %s", files[i].why, why);
		str_printf(want, sizeof want, "{\"tunnels\":%s}", files[i].want);
		assert_int_equal(cli_list_body(&l, &body), 0);
		assert_int_equal(json_write(body, 4096, &text), 0);
		if (!str_eq(buf_str(&text), str_of(want)))
			fail_msg("%s: " STR_FMT, files[i].why, STR_ARG(buf_str(&text)));
		buf_free(&text);
		json_free(body);
		cli_list_free(&l);
	}
}

static void test_too_many(void **state)
{
	char why[CLI_LIST_WHY];
	struct cli_list l = {0};
	struct buf file = {0};

	for (int i = 0; i <= CLI_LIST_TUNNELS_MAX; i++)
		assert_int_equal(buf_add(&file, "- {}\n", 5, 1 << 20), 0);
	assert_int_equal(cli_list_parse("f", buf_str(&file), &l, why), ERR_INVAL);
	assert_string_equal(why, "f:1:1: 1001 tunnels are too many: 1000 are the most");
	cli_list_free(&l);
	buf_free(&file);
}

static void test_no_file(void **state)
{
	char why[CLI_LIST_WHY];
	struct cli_list l = {0};

	assert_int_equal(cli_list_read("/nonexistent/x", &l, why), ERR_INVAL);
	assert_string_equal(why, "/nonexistent/x cannot be read: No such file or directory");
	cli_list_free(&l);
}

/* ---- where a refusal points to ---- */

static void test_places(void **state)
{
	static const struct {
		const char *why, *field;
		int e;
		unsigned line, col;
		const char *rest;
	} cases[] = {
		{"a value", "tunnels.1.ingress.tcp.port", 0, 3, 9, "ingress.tcp.port"},
		{"an item", "tunnels.1.transport.agents.0", 0, 4, 12, "transport.agents.0"},
		{"one that is not there", "tunnels.1.transport.agents.7", 0, 4, 11,
		 "transport.agents.7"},
		{"by its other path", "tunnels.0.ingress.http.alt_names", 0, 1, 25,
		 "ingress.http.alt_names"},
		{"what is not said is the tunnel", "tunnels.0.name", 0, 1, 3, "name"},
		{"the tunnel itself", "tunnels.1", 0, 2, 3, ""},
		{"one that is not there", "tunnels.2.name", ERR_NOTFOUND, 0, 0, NULL},
		{"no tunnel", "dry_run", ERR_NOTFOUND, 0, 0, NULL},
		{"nothing", "", ERR_NOTFOUND, 0, 0, NULL},
	};
	static const char file[] = "- {kind: http, domains: [a.example]}\n"
				   "- kind: tcp\n  port: 22\n  agents: [x]\n";
	char why[CLI_LIST_WHY];
	struct cli_list l = {0};

	assert_int_equal(cli_list_parse("f", str_of(file), &l, why), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct cli_list_place at = {0};
		int e = cli_list_find_place(&l, cases[i].field, &at);

		if (e != cases[i].e ||
		    (e == 0 && (at.node->line != cases[i].line || at.node->col != cases[i].col ||
				strcmp(at.rest, cases[i].rest) != 0)))
			fail_msg("%s: %d %u:%u", cases[i].why, e, at.node ? at.node->line : 0,
				 at.node ? at.node->col : 0);
	}
	cli_list_free(&l);
}

/* ---- what changes ---- */

/* What there is, as the API tells it. */
static const char now_text[] =
	"[{\"name\":\"web\",\"kind\":\"http\",\"enabled\":true,\"ingress\":{\"http\":{\"enabled\":"
	"true,"
	"\"alt_names\":[\"app.example.org\"]}},\"target\":{\"url\":\"http://localhost:3000\","
	"\"service\":\"\",\"proxy_protocol\":\"none\"},\"transport\":{\"max_connections\":64,"
	"\"policy\":\"least-conn\",\"agents\":[],\"drain\":30},\"headers\":{\"rewrite\":false},"
	"\"visitors\":{\"basic\":[{\"user\":\"anna\"}],\"bearer\":1,\"allow\":[\"10.0.0.1/32\"],"
	"\"deny\":[],\"auth_url\":\"\"}},"
	"{\"name\":\"k3x9\",\"kind\":\"tcp\",\"enabled\":true,\"domains\":[],\"ingress\":{\"tcp\":"
	"{\"port\":2222,\"bind\":\"::1\"}},\"target\":{\"service\":\"sshd\"},\"transport\":"
	"{\"agents\":[\"home\"],\"drain\":30}}]";

/* What the file has besides, so that only one thing is looked at. */
#define WEB                                                                                   \
	"- {name: Web, target: 'http://localhost:3000', domains: [App.Example.org.], allow: " \
	"[10.0.0.1], users: [{user: anna}], tokens: 1"
#define SSH "- {kind: tcp, port: 2222, bind: '0:0::1', service: sshd, agents: [home]"

static const struct {
	const char *why, *file, *want;
	size_t n_same;
} diffs[] = {
	{"all as it is", WEB "}\n" SSH "}\n", "", 2},
	{"the order does not count", SSH "}\n" WEB "}\n", "", 2},
	{"nothing is wanted", "[]", "- web\n- k3x9\n", 0},
	{"one more", WEB "}\n" SSH "}\n- {name: new, kind: tls, tls: end}\n",
	 "+ new (kind: tls; tls: end)\n", 2},
	{"one with a random name", WEB "}\n" SSH "}\n- {}\n", "+ (a random name) (kind: http)\n",
	 2},
	{"another service", WEB "}\n" SSH ", drain: 1m}\n", "~ k3x9 (drain: 30 -> 60)\n", 1},
	{"by its name", WEB "}\n- {name: k3x9, kind: tcp, port: 0, agents: [spare, home]}\n",
	 "~ k3x9 (bind: ::1 -> \"\"; service: sshd -> \"\"; agents: home -> spare, home)\n", 1},
	{"another port is another tunnel, unless it has the name",
	 WEB "}\n- {kind: tcp, port: 2223}\n",
	 "+ (a random name) (kind: tcp; port: 2223)\n- k3x9\n", 1},
	{"no domains any more",
	 "- {name: web, target: 'http://localhost:3000', allow: [10.0.0.1/32], "
	 "users: [{user: anna}], tokens: 1}\n" SSH "}\n",
	 "~ web (domains: app.example.org -> \"\")\n", 1},
	{"found by its domains", "- {domains: [app.example.org]}\n" SSH "}\n",
	 "~ web (target: http://localhost:3000 -> \"\"; users: anna -> \"\"; tokens: 1 -> 0; "
	 "allow: 10.0.0.1/32 -> \"\")\n",
	 1},
	{"a new password is not told",
	 "- {name: web, target: 'http://localhost:3000', domains: "
	 "[app.example.org], allow: [10.0.0.1/32], users: [{user: "
	 "anna, password: geheim}], tokens: [0123456789abcdef]}\n" SSH "}\n",
	 "~ web (users: anna -> anna with a new password; tokens: 1 -> 1 new ones)\n", 1},
	{"switched off", WEB ", enabled: false}\n" SSH "}\n", "~ web (enabled: yes -> no)\n", 1},
	{"one tunnel is not two", SSH "}\n" SSH "}\n" WEB "}\n",
	 "+ (a random name) (kind: tcp; port: 2222; bind: ::1; service: sshd; agents: home)\n", 2},
};

static void test_diffs(void **state)
{
	struct json *now = NULL;

	assert_int_equal(json_parse(str_of(now_text), 1 << 16, &now), 0);
	for (size_t i = 0; i < ARRAY_LEN(diffs); i++) {
		char why[CLI_LIST_WHY];
		struct cli_list_plan plan = {0};
		struct cli_list l = {0};
		struct buf text = {0};

		if (cli_list_parse("f", str_of(diffs[i].file), &l, why) != 0)
			fail_msg("%s: %s", diffs[i].why, why);
		assert_int_equal(cli_list_compare(&l, now, &plan), 0);
		for (size_t k = 0; k < plan.n; k++) {
			if (plan.v[k].what == CLI_LIST_SAME)
				continue;
			assert_int_equal(cli_list_tell(&plan.v[k], &text), 0);
			assert_int_equal(buf_add(&text, "\n", 1, 1 << 16), 0);
		}
		if (!str_eq(buf_str(&text), str_of(diffs[i].want)) ||
		    plan.n_same != diffs[i].n_same)
			fail_msg("%s: %zu\n" STR_FMT, diffs[i].why, plan.n_same,
				 STR_ARG(buf_str(&text)));
		buf_free(&text);
		cli_list_plan_free(&plan);
		cli_list_free(&l);
	}
	json_free(now);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),	cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_no_file), cmocka_unit_test(test_places),
		cmocka_unit_test(test_diffs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
