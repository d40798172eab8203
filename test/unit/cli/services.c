/* Services files: what they publish, what the server hears of it, and where they are wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "cli/services_internal.h"

/* A hash that shows what it was made of; some passwords have none. */
static int fake_hash(void *arg, struct str password, char *out, size_t cap)
{
	if (str_eq(password, STR("bad")))
		return ERR_INVAL;
	if (str_eq(password, STR("huge")))
		return ERR_NOMEM;
	str_printf(out, cap, "#" STR_FMT, STR_ARG(password));
	return 0;
}

static const struct services_opt usual = {.hash = fake_hash};

/* "name kind target wish" of every service, a line each. */
static void tell(const struct services *s, struct buf *out)
{
	char target[URL_TEXT_MAX];

	for (size_t i = 0; i < s->n; i++) {
		url_format(&s->v[i].target, target);
		assert_int_equal(buf_printf(out, 65536, "%s %s %s ", s->v[i].name,
					    tunnel_word_kinds[s->v[i].kind], target),
				 0);
		assert_int_equal(services_wish_text(&s->v[i], NULL, out), 0);
		assert_int_equal(buf_add(out, "\n", 1, 65536), 0);
	}
}

/* ---- what is right ---- */

static const struct {
	const char *why, *id, *file, *want;
} goods[] = {
	{"an empty file", NULL, "", ""},
	{"comments only", NULL, "# none yet\n", ""},
	{"an empty mapping", NULL, "{}", ""},
	{"a long file without services", "tim", "id: a\nservices:\n", ""},
	{"what mdm-tunnel's users wrote", NULL, "{\"hello-world\": 9000, \"websockets\": 9001}",
	 "hello-world http http://localhost:9000 {}\nwebsockets http http://localhost:9001 {}\n"},
	{"under an id", "Tim", "Hello-World: 9000\n",
	 "hello-world.tim http http://localhost:9000 {}\n"},
	{"the id of the file", NULL, "id: tim\nservices: {a: 1}\n",
	 "a.tim http http://localhost:1 {}\n"},
	{"a person's id counts before it", "eve", "id: tim\nservices: {a: 1}\n",
	 "a.eve http http://localhost:1 {}\n"},
	{"a service called services, and one called id", NULL, "services: 1\nid: 2\n",
	 "services http http://localhost:1 {}\nid http http://localhost:2 {}\n"},
	{"all kinds of targets in short", NULL,
	 "a: printer.lan:631\nb: https://10.0.0.1\nc: tcp://h:22\nd: tls://h:993\n"
	 "e: unix:/run/a.sock\nf: file:///\n",
	 "a http http://printer.lan:631 {}\nb http https://10.0.0.1 {}\nc tcp tcp://h:22 {}\n"
	 "d tcp tls://h:993 {}\ne http unix:/run/a.sock {}\nf http file:/// {}\n"},
	{"digits are a name", NULL, "8080: 8080\n", "8080 http http://localhost:8080 {}\n"},
	{"a tcp tunnel", NULL,
	 "ssh: {kind: tcp, target: 22, port: 2222, bind: '::1', proxy_protocol: v2}",
	 "ssh tcp tcp://localhost:22 "
	 "{\"port\":2222,\"bind\":\"::1\",\"proxy_protocol\":\"v2\"}\n"},
	{"the target of a long form says the kind, too", NULL, "ssh: {target: tcp://h:22, port: 0}",
	 "ssh tcp tcp://h:22 {\"port\":0}\n"},
	{"a tls tunnel", NULL,
	 "m: {kind: tls, target: tls://h:993, tls: end, domains: [a.example, '*.b.example']}",
	 "m tls tls://h:993 {\"domains\":[\"a.example\",\"*.b.example\"],\"tls\":\"end\"}\n"},
	{"a pool", NULL,
	 "a: {target: 1, policy: failover, max-sessions: 4, drain: 2m, priority: 7}",
	 "a http http://localhost:1 "
	 "{\"policy\":\"failover\",\"max_sessions\":4,\"drain_ms\":120000}\n"},
	{"who is let in", NULL,
	 "a:\n  target: 1\n  users: [{user: anna, password: x}, {password: y, user: bob}]\n"
	 "  tokens: [0123456789abcdef]\n  allow: 10.0.0.0/8\n  deny: []\n"
	 "  auth_url: http://auth.lan/check\n",
	 "a http http://localhost:1 {\"visitors\":{\"basic\":[{\"user\":\"anna\",\"hash\":\"#x\"},"
	 "{\"user\":\"bob\",\"hash\":\"#y\"}],\"bearer\":[\"0123456789abcdef\"],"
	 "\"allow\":[\"10.0.0.0/8\"],\"deny\":[],\"auth_url\":\"http://auth.lan/check\"}}\n"},
	{"headers, in any order", NULL,
	 "a:\n  response_header_remove: [Server]\n  request-header-add: ['X-A: b', 'X-B:']\n"
	 "  target: 1\n  request-header-remove: Cookie\n  host-header: app.example.org\n"
	 "  response-header-add: 'X-C: d: e'\n",
	 "a http http://localhost:1 {\"headers\":{\"rewrite\":false,\"host\":\"app.example.org\","
	 "\"request_add\":[\"X-A: b\",\"X-B:\"],\"request_remove\":[\"Cookie\"],"
	 "\"response_add\":[\"X-C: d: e\"],\"response_remove\":[\"Server\"]}}\n"},
	{"Host as the target's own", NULL, "a: {target: 1, host_header: rewrite}",
	 "a http http://localhost:1 {\"headers\":{\"rewrite\":true,\"host\":\"\"}}\n"},
	{"a name of its own has no id behind it", "tim",
	 "My app_1: {target: 1, name: Shop.example}\n",
	 "shop.example http http://localhost:1 {}\n"},
	{"switched off", NULL, "a: {target: 1, enabled: no}\nb: 2\n",
	 "b http http://localhost:2 {}\n"},
	{"what is off takes no name", NULL, "a: {target: 1, enabled: no}\nA: 2\n",
	 "a http http://localhost:2 {}\n"},
	{"nothing is not said", NULL, "a: {target: 1, port: , kind: ~}\n",
	 "a http http://localhost:1 {}\n"},
};

static void test_goods(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(goods); i++) {
		struct services_opt opt = {.id = goods[i].id, .hash = fake_hash};
		char why[SERVICES_WHY];
		struct services s = {0};
		struct buf said = {0};

		if (services_parse("f", str_of(goods[i].file), &opt, &s, why) != 0)
			fail_msg("%s: %s", goods[i].why, why);
		tell(&s, &said);
		if (!str_eq(buf_str(&said), str_of(goods[i].want)))
			fail_msg("%s: " STR_FMT, goods[i].why, STR_ARG(buf_str(&said)));
		buf_free(&said);
		services_free(&s);
	}
}

/* What the agent keeps to itself. */
static void test_agents_own(void **state)
{
	char why[SERVICES_WHY];
	struct services s = {0};
	const struct services_entry *x;

	assert_int_equal(services_parse("f",
					STR("id: tim\nindex: yes\nserver: https://k.example\n"
					    "services:\n"
					    "  a: 1\n"
					    "  b:\n"
					    "    target-insecure: on\n"
					    "    target: https://h\n"
					    "    priority: 9\n"
					    "    proxy_protocol: v1\n"
					    "    health: /up\n"
					    "    health_interval: 1500ms\n"
					    "    health_rise: 4\n"
					    "    health_fall: 5\n"
					    "  c: {target: 2, health: tcp}\n"),
					&usual, &s, why),
			 0);
	assert_string_equal(s.path, "f");
	assert_string_equal(s.id, "tim");
	assert_true(s.index && s.n_servers == 1 && s.servers[0].scheme == URL_HTTPS);
	assert_int_equal(s.n, 3);
	x = &s.v[0];
	assert_string_equal(x->service, "a");
	assert_true(!x->insecure && x->priority == 0 && x->proxy == 0);
	assert_int_equal(x->health.kind, HEALTH_NONE);
	assert_true(x->line == 5 && x->col == 3 && x->target_line == 5 && x->target_col == 6);
	x = &s.v[1];
	assert_true(x->insecure && x->priority == 9 && x->proxy == 1);
	assert_int_equal(x->health.kind, HEALTH_HTTP);
	assert_string_equal(x->health.path, "/up");
	assert_true(x->health.interval_ms == 1500 && x->health.rise == 4 && x->health.fall == 5);
	assert_true(x->line == 6 && x->target_line == 8 && x->target_col == 13);
	assert_int_equal(s.v[2].health.kind, HEALTH_TCP);
	services_free(&s);
}

/* ---- what is wrong ---- */

static const struct {
	const char *why, *file, *said;
} bads[] = {
	{"a list", "- a\n", "f:1:1: expected services, a line each, as in hello-world: 9000"},
	{"a word", "9000\n", "f:1:1: expected services, a line each, as in hello-world: 9000"},
	{"no YAML", "a: 1\nb: [\n", "f:3:1: did not find expected node content"},
	{"a bomb", "a: &a {b: 1}\nc: [*a, *a]\n", "f:1:4: anchors are not allowed"},
	{"the same key twice", "a: 1\nb: 2\na: 3\n", "f:3:1: the key stands in line 1 already"},
	{"the same name twice", "a: 1\nb: 2\nA: 3\n",
	 "f:3:1: this service has the name a, and so has the one at 1:1"},
	{"the same name by name", "a: 1\nb: {target: 1, name: A}\n",
	 "f:2:1: this service has the name a, and so has the one at 1:1"},
	{"the index page's name", "id: tim\nindex: on\nservices:\n  a: {target: 1, name: tim}\n",
	 "f:4:3: this service has the name tim, which is that of the index page"},
	{"an index page without a name", "services: {a: 1}\nindex: yes\n",
	 "f:2:1: the index page needs an id, whose name it gets: \"id\", or --id"},
	{"an underscore", "my_app: 1\n",
	 "f:1:1: \"my_app\" cannot be a name because of '_': only letters, digits and hyphens can; "
	 "\"name\" gives the tunnel another one"},
	{"an umlaut", "b\xc3\xbc: 1\n",
	 "f:1:1: \"b\xc3\xbc\" cannot be a name because of '\xc3\xbc': only letters, digits and "
	 "hyphens can; \"name\" gives the tunnel another one"},
	{"a line break", "\"a\\nb\": 1\n",
	 "f:1:1: \"a\\x0ab\" cannot be a name because of '\\x0a': only letters, digits and hyphens "
	 "can; \"name\" gives the tunnel another one"},
	{"the same behind a name", "\"a\\nb\": {target: 1, name: x}\n",
	 "f:1:1: \"a\\x0ab\" cannot be what a service is called: it has control characters"},
	{"a hyphen at the end", "a-: 1\n",
	 "f:1:1: \"a-\" cannot be a name: it begins or ends with a hyphen"},
	{"no name", "'': 1\n",
	 "f:1:1: \"\" cannot be a name: expected 1-63 letters, digits and hyphens"},
	{"no target in short", "a:\n", "f:1:1: \"a\" has no target, as in target: 9000"},
	{"no target in long", "a:\n  kind: tcp\n",
	 "f:1:1: \"a\" has no target, as in target: 9000"},
	{"a list of targets", "a: [1, 2]\n",
	 "f:1:4: expected a port, HOST:PORT, a URL, or \"target: ...\" and so on"},
	{"a port that is none", "a: 65536\n",
	 "f:1:4: \"65536\" is not a target: the port must be 1-65535"},
	{"a path", "a: http://h/x\n",
	 "f:1:4: \"http://h/x\" is not a target: it must not have a path, because visitors choose "
	 "the path"},
	{"a directory that is not there", "a: file:///nonexistent/x\n",
	 "f:1:4: \"file:///nonexistent/x\" cannot be shown: there is no such directory"},
	{"what only the agent itself has", "a: 'karez+services:'\n",
	 "f:1:4: \"karez+services:\" is not a target: it must be PORT, HOST:PORT, http://, "
	 "https://, "
	 "unix: or file:"},
	{"a tcp target of an http tunnel", "a: {kind: http, target: tcp://h:1}\n",
	 "f:1:25: \"tcp://h:1\" is not a target: it must be PORT, HOST:PORT, http://, https://, "
	 "unix: or file:"},
	{"an http target of a tcp tunnel", "a: {kind: tcp, target: http://h}\n",
	 "f:1:24: \"http://h\" is not a target: it must be PORT, HOST:PORT, tcp://, tls:// or "
	 "unix:"},
	{"a slip in a key", "a:\n  target: 1\n  hdrain: 5\n",
	 "f:3:3: there is no \"hdrain\" here; did you mean drain?"},
	{"a key of nothing", "a: {target: 1, xyzzyxyzzy: 5}\n",
	 "f:1:16: there is no \"xyzzyxyzzy\" here"},
	{"a slip at the top", "services: {}\nserfer: x\n",
	 "f:2:1: there is no \"serfer\" here; did you mean server?"},
	{"a slip in a kind", "a: {target: 1, kind: htpp}\n",
	 "f:1:22: \"htpp\" is none of http, tcp, tls; did you mean http?"},
	{"two words for one thing", "a:\n  target: 1\n  domain: b.c\n  domains: [d.e]\n",
	 "f:4:3: line 3 says this already"},
	{"the same with a hyphen", "a:\n  target: 1\n  max-sessions: 1\n  max_sessions: 1\n",
	 "f:4:3: line 3 says this already"},
	{"a port for http", "a: {target: 1, port: 2}\n",
	 "f:1:16: only tcp tunnels have \"port\", and this one is http"},
	{"tls for http", "a: {target: 1, tls: end}\n",
	 "f:1:16: only tls tunnels have \"tls\", and this one is http"},
	{"a domain for tcp", "a: {target: tcp://h:1, domain: b.c}\n",
	 "f:1:24: only http and tls tunnels have \"domains\", and this one is tcp"},
	{"a password for tcp", "a: {target: tcp://h:1, users: []}\n",
	 "f:1:24: only http tunnels have \"users\", and this one is tcp"},
	{"a star for http", "a: {target: 1, domains: [b.c, '*.b.c']}\n",
	 "f:1:31: \"*.b.c\": only tls tunnels have domains with a star; name each host"},
	{"TLS twice", "a: {kind: tls, target: tls://h:1}\n",
	 "f:1:24: this target would get the visitors' own TLS inside another one: write it without "
	 "tls://, or end their TLS with tls: end"},
	{"PROXY for a directory", "a: {target: file:///, proxy_protocol: v1}\n",
	 "f:1:23: a directory has no use for the PROXY protocol"},
	{"no certificate to look at", "a: {target: 1, target_insecure: true}\n",
	 "f:1:16: the target shows no certificate: it is neither https:// nor tls://"},
	{"how often, but not how", "a: {target: 1, health_rise: 2}\n",
	 "f:1:16: the target is not checked: \"health\" says how"},
	{"a number above", "a: {target: 1, max_sessions: 65}\n",
	 "f:1:30: \"65\" is not a number from 1 to 64"},
	{"a number below", "a: {target: 1, max_sessions: 0}\n",
	 "f:1:30: \"0\" is not a number from 1 to 64"},
	{"a time below", "a: {target: 1, health: tcp, health_interval: 1ms}\n",
	 "f:1:46: \"1ms\" is not a time from 500ms to 1h, as 30s"},
	{"no time", "a: {target: 1, drain: soon}\n",
	 "f:1:23: \"soon\" is not a time from 0s to 24h, as 30s"},
	{"no flag", "a: {target: 1, enabled: perhaps}\n", "f:1:25: must be true or false"},
	{"a list for one value", "a: {target: [1]}\n", "f:1:13: must be one value"},
	{"a mapping for a list", "a: {target: 1, domains: {}}\n", "f:1:25: must be a list"},
	{"a list in a list", "a: {target: 1, deny: [[]]}\n", "f:1:23: must be one value"},
	{"too many of them",
	 "a: {target: 1, domains: [a.b,a.b,a.b,a.b,a.b,a.b,a.b,a.b,a.b,a.b,a.b]}",
	 "f:1:66: too many: 10 are the most"},
	{"no host", "a: {target: 1, domain: a b}\n",
	 "f:1:24: \"a b\" is not a host name: expected one as app.example.org or *.example.org"},
	{"no check", "a: {target: 1, health: udp}\n",
	 "f:1:24: \"udp\" is not a check: expected tcp, or a path as /health"},
	{"no block", "a: {target: 1, allow: [10.0.0.1/8]}\n",
	 "f:1:24: \"10.0.0.1/8\" is not an address or a block of them: expected 192.0.2.7 or "
	 "10.0.0.0/8"},
	{"a token is not repeated", "a: {target: 1, tokens: [secret]}\n",
	 "f:1:25: a token has 16 to 128 letters, digits and signs, no spaces"},
	{"a user without a password", "a: {target: 1, users: [{user: a}]}\n",
	 "f:1:24: a user is \"user\" and \"password\""},
	{"a user with a colon", "a: {target: 1, users: [{user: 'a:b', password: x}]}\n",
	 "f:1:31: \"a:b\" is not a user name: expected 1-63 bytes without a colon"},
	{"a password of nothing", "a: {target: 1, users: [{user: a, password: ''}]}\n",
	 "f:1:44: a password has 1 to 512 bytes"},
	{"a user twice",
	 "a:\n  target: 1\n  users:\n    - {user: a, password: x}\n"
	 "    - {user: a, password: y}\n",
	 "f:5:14: this user stands in line 4 already"},
	{"a password without a hash", "a: {target: 1, users: [{user: a, password: bad}]}\n",
	 "f:1:44: this password cannot be used: not a valid value"},
	{"a header without a colon", "a: {target: 1, request_header_add: [X-A]}\n",
	 "f:1:37: \"X-A\" is not a header: expected \"Name: value\""},
	{"a header with a line break", "a: {target: 1, request_header_add: \"X-A: b\\r\\nX: c\"}\n",
	 "f:1:36: \"X-A:\" is not a header: expected \"Name: value\""},
	{"a header's value is not repeated",
	 "a: {target: 1, request_header_add: 'Authorization Bearer hush'}\n",
	 "f:1:36: \"Authorization\" is not a header: expected \"Name: value\""},
	{"nor a password in a target", "a: http://me:hush@a.example\n",
	 "f:1:4: is not a target: a user name or password has no place here"},
	{"nor one in another URL", "a: {target: 1, auth_url: 'http://me:hush@a.example'}\n",
	 "f:1:26: is not the URL of a service: a user name or password has no place here"},
	{"a header's name with a colon", "a: {target: 1, response_header_remove: ['A:']}\n",
	 "f:1:41: \"A:\" is not the name of a header, such as X-Powered-By"},
	{"no Host", "a: {target: 1, host_header: a/b}\n",
	 "f:1:29: \"a/b\" is not a Host: expected rewrite, keep, or a name as app.example.org"},
	{"no id", "id: a_b\nservices: {}\n",
	 "f:1:5: \"a_b\" is not a name: expected letters, digits and hyphens, as in demo or "
	 "demo.tim"},
	{"no server in a list", "server: [http://b, tcp://a:1]\nservices: {}\n",
	 "f:1:20: \"tcp://a:1\" is not the URL of a server: it must start with http:// or "
	 "https://"},
	{"more servers than may be",
	 "server: [http://a, http://b, http://c, http://d, http://e, "
	 "http://f, http://g, http://h, http://i]\nservices: {}\n",
	 "f:1:90: too many: 8 are the most"},
	{"servers by their names", "server: {a: http://a}\nservices: {}\n",
	 "f:1:9: must be a list"},
	{"no server", "server: tcp://a:1\nservices: {}\n",
	 "f:1:9: \"tcp://a:1\" is not the URL of a server: it must start with http:// or https://"},
	{"what is off is read, too", "a: {target: 0, enabled: no}\n",
	 "f:1:13: \"0\" is not a target: the port must be 1-65535"},
};

static void test_servers(void **state)
{
	static const struct {
		const char *why, *text;
		size_t n;
	} cases[] = {
		{"none", "services: {}\n", 0},
		{"nothing said", "server:\nservices: {}\n", 0},
		{"an empty list", "server: []\nservices: {}\n", 0},
		{"one", "server: https://a.example\nservices: {}\n", 1},
		{"one in a list", "server: [https://a.example]\nservices: {}\n", 1},
		{"three", "server:\n- https://a.example\n- http://b\n- http://c:1\nservices: {}\n",
		 3},
		{"as many as may be",
		 "server: [https://a.example, http://b, http://c, http://d, "
		 "http://e, http://f, http://g, http://h]\nservices: {}\n",
		 8},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char why[SERVICES_WHY];
		struct services s = {0};

		print_message("# %s\n", cases[i].why);
		assert_int_equal(services_parse("f", str_of(cases[i].text), &usual, &s, why), 0);
		assert_int_equal(s.n_servers, cases[i].n);
		if (s.n_servers > 0)
			assert_string_equal(s.servers[0].host, "a.example");
		if (s.n_servers > 1)
			assert_string_equal(s.servers[1].host, "b");
		services_free(&s);
	}
}

static void test_bads(void **state)
{
	size_t failed = 0;

	for (size_t i = 0; i < ARRAY_LEN(bads); i++) {
		char why[SERVICES_WHY];
		struct services s = {0};
		int e = services_parse("f", str_of(bads[i].file), &usual, &s, why);

		if (e != ERR_INVAL || strcmp(why, bads[i].said) != 0) {
			print_error("%s: %d %s\n", bads[i].why, e, why);
			failed++;
		}
		services_free(&s);
	}
	assert_int_equal(failed, 0);
}

static void test_bounds(void **state)
{
	char why[SERVICES_WHY];
	struct services s = {0};
	struct buf file = {0};

	for (int i = 0; i < SERVICES_MAX; i++)
		assert_int_equal(buf_printf(&file, 1 << 20, "s%d: 1\n", i), 0);
	assert_int_equal(services_parse("f", buf_str(&file), &usual, &s, why), 0);
	assert_int_equal(s.n, SERVICES_MAX);
	services_free(&s);
	assert_int_equal(buf_printf(&file, 1 << 20, "more: 1\n"), 0);
	assert_int_equal(services_parse("f", buf_str(&file), &usual, &s, why), ERR_INVAL);
	assert_string_equal(why, "f:1001:1: too many services: 1000 are the most");
	services_free(&s);
	while (file.len <= TREE_BYTES_MAX)
		assert_int_equal(buf_add(&file, "# more and more and more\n", 25, 2 << 20), 0);
	assert_int_equal(services_parse("f", buf_str(&file), &usual, &s, why), ERR_TOOBIG);
	assert_string_equal(why, "f:1:1: too big: 1 MiB is the most");
	services_free(&s);
	buf_free(&file);
}

/* Headers of nothing but quotes, each of which is two bytes on the wire. */
static void test_wish_too_long(void **state)
{
	static const char *const lists[] = {"request-header-add", "response-header-add"};
	char why[SERVICES_WHY], quotes[1025];
	struct services s = {0};
	struct buf file = {0};

	memset(quotes, '"', sizeof quotes - 1);
	quotes[sizeof quotes - 1] = '\0';
	assert_int_equal(buf_printf(&file, 1 << 20, "b: 1\na:\n  target: 1\n"), 0);
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		assert_int_equal(buf_printf(&file, 1 << 20, "  %s:\n", lists[i]), 0);
		for (int k = 0; k < 16; k++)
			assert_int_equal(buf_printf(&file, 1 << 20, "    - 'X: %s'\n", quotes), 0);
	}
	assert_int_equal(services_parse("f", buf_str(&file), &usual, &s, why), ERR_INVAL);
	assert_string_equal(why, "f:2:1: all that is said of this service is too long");
	services_free(&s);
	buf_free(&file);
}

static void test_memory_gone(void **state)
{
	char why[SERVICES_WHY];
	struct services s = {0};

	assert_int_equal(services_parse("f",
					STR("a: {target: 1, users: [{user: a, password: huge}]}"),
					&usual, &s, why),
			 ERR_NOMEM);
	services_free(&s);
}

static void test_no_hash(void **state)
{
	const struct services_opt opt = {0};
	char why[SERVICES_WHY];
	struct services s = {0};
	struct buf said = {0};

	assert_int_equal(services_parse("f",
					STR("a: {target: 1, users: [{user: a, password: bad}]}"),
					&opt, &s, why),
			 0);
	tell(&s, &said);
	assert_non_null(strstr(said.mem + said.off, "{\"user\":\"a\",\"hash\":\"\"}"));
	buf_free(&said);
	services_free(&s);
}

/* ---- a file that changes ---- */

static const struct {
	const char *why, *before, *now;
	bool same;
	const char *wish;
} edits[] = {
	{"nothing", "a: 1", "# more\n\na: {target: localhost:1}", true, "{}"},
	{"the order of keys", "a: {target: 1, drain: 1s, policy: failover}",
	 "a: {policy: failover, drain: 1, target: 1}", true,
	 "{\"policy\":\"failover\",\"drain_ms\":1000}"},
	{"the target", "a: 1", "a: 2", false, "{}"},
	{"the kind", "a: 1", "a: tcp://localhost:1", false, "{}"},
	{"the priority", "a: 1", "a: {target: 1, priority: 1}", false, "{}"},
	{"the health check", "a: {target: 1, health: /a}", "a: {target: 1, health: /b}", false,
	 "{}"},
	{"more is said", "a: 1", "a: {target: 1, domain: b.c}", false, "{\"domains\":[\"b.c\"]}"},
	{"less is said", "a: {target: 1, domain: b.c, drain: 5, max_sessions: 3, policy: failover}",
	 "a: 1", false,
	 "{\"domains\":[],\"policy\":\"least-conn\",\"max_sessions\":64,\"drain_ms\":30000}"},
	{"less of a port", "a: {kind: tcp, target: 1, port: 5, bind: '::'}",
	 "a: {kind: tcp, target: 1}", false, "{\"port\":0,\"bind\":\"\"}"},
	{"some of the rights", "a: {target: 1, allow: '::1', users: [{user: a, password: b}]}",
	 "a: {target: 1, allow: '::1'}", false,
	 "{\"visitors\":{\"allow\":[\"::1\"],\"basic\":[]}}"},
	{"all rights and headers",
	 "a: {target: 1, auth_url: http://a, tokens: [0123456789abcdef], host_header: b.c,"
	 " request_header_add: 'A: b'}",
	 "a: 1", false,
	 "{\"visitors\":{\"bearer\":[],\"auth_url\":\"\"},\"headers\":{\"rewrite\":false,\"host\":"
	 "\"\",\"request_add\":[]}}"},
	{"a word", "a: {target: 1, host_header: rewrite, proxy_protocol: v1}",
	 "a: {target: 1, host_header: b.c}", false,
	 "{\"headers\":{\"rewrite\":false,\"host\":\"b.c\"},\"proxy_protocol\":\"none\"}"},
};

static void test_edits(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(edits); i++) {
		char why[SERVICES_WHY];
		struct services a = {0}, b = {0};
		struct buf wish = {0};

		if (services_parse("f", str_of(edits[i].before), &usual, &a, why) != 0 ||
		    services_parse("f", str_of(edits[i].now), &usual, &b, why) != 0)
			fail_msg("%s: %s", edits[i].why, why);
		if (services_same(&a.v[0], &b.v[0]) != edits[i].same)
			fail_msg("%s: is it the same?", edits[i].why);
		assert_int_equal(services_wish_text(&b.v[0], &a.v[0], &wish), 0);
		if (!str_eq(buf_str(&wish), str_of(edits[i].wish)))
			fail_msg("%s: " STR_FMT, edits[i].why, STR_ARG(buf_str(&wish)));
		buf_free(&wish);
		services_free(&a);
		services_free(&b);
	}
}

/* What the agent is given; it takes the wish as it is. */
static void test_tunnel(void **state)
{
	char why[SERVICES_WHY];
	struct services s = {0}, was = {0};
	struct agent_tunnel t;
	struct buf text = {0};

	assert_int_equal(services_parse("f",
					STR("a: {target: https://h, target_insecure: yes, "
					    "priority: 3, proxy_protocol: v2, health: /up}\n"
					    "b: 1\n"),
					&usual, &s, why),
			 0);
	assert_int_equal(services_parse("f", STR("a: {target: 1, domain: b.c}"), &usual, &was, why),
			 0);
	assert_int_equal(services_tunnel(&s.v[1], NULL, &text, &t), 0);
	assert_true(t.wish.len == 0 && !t.insecure && t.kind == AGENT_HTTP);
	assert_string_equal(t.name, "b");
	assert_int_equal(services_tunnel(&s.v[0], &was.v[0], &text, &t), 0);
	assert_true(str_eq(t.wish, STR("\"domains\":[],\"proxy_protocol\":\"v2\"")) ||
		    str_eq(t.wish, STR("\"proxy_protocol\":\"v2\",\"domains\":[]")));
	assert_int_equal(control_wish_check(t.wish), 0);
	assert_true(t.insecure && t.priority == 3 && t.proxy == 2);
	assert_true(t.target.scheme == URL_HTTPS && t.health.kind == HEALTH_HTTP);
	buf_free(&text);
	services_free(&s);
	services_free(&was);
}

/* ---- files ---- */

static void test_files(void **state)
{
	char path[] = "/tmp/karez-services-XXXXXX", why[SERVICES_WHY], want[SERVICES_WHY];
	struct services s = {0};
	int fd = mkstemp(path);

	assert_true(fd >= 0 && write(fd, "a: 1\nb: x\n", 10) == 10 && close(fd) == 0);
	assert_int_equal(services_read(path, &usual, &s, why), ERR_INVAL);
	str_printf(want, sizeof want, "%s:2:4: \"x\" is not a target: ", path);
	assert_memory_equal(why, want, strlen(want));
	services_free(&s);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(services_read(path, &usual, &s, why), ERR_NOTFOUND);
	services_free(&s);
	assert_int_equal(services_read("/tmp", &usual, &s, why), ERR_INVAL);
	assert_string_equal(why, "/tmp cannot be read: Is a directory");
	services_free(&s);
}

static void test_default_path(void **state)
{
	char home[] = "/tmp/karez-home-XXXXXX", file[64], path[SERVICES_PATH];
	struct cli_options set = {0};
	FILE *f;

	assert_non_null(mkdtemp(home));
	str_printf(file, sizeof file, "%s/.tunnel-services.json", home);
	assert_int_equal(setenv("HOME", home, 1), 0);
	assert_int_equal(unsetenv("XDG_CONFIG_HOME"), 0);
	services_default_path(&set, path);
	assert_memory_equal(path, home, strlen(home));
	assert_string_equal(path + strlen(home), "/.config/karez/services.yaml");
	assert_non_null(f = fopen(file, "w"));
	assert_int_equal(fclose(f), 0);
	services_default_path(&set, path);
	assert_string_equal(path, file);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(rmdir(home), 0);
	set.config_dir = (char[]){"/etc/k"};
	services_default_path(&set, path);
	assert_string_equal(path, "/etc/k/services.yaml");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_servers),	      cmocka_unit_test(test_goods),
		cmocka_unit_test(test_agents_own),    cmocka_unit_test(test_bads),
		cmocka_unit_test(test_bounds),	      cmocka_unit_test(test_memory_gone),
		cmocka_unit_test(test_wish_too_long), cmocka_unit_test(test_no_hash),
		cmocka_unit_test(test_edits),	      cmocka_unit_test(test_tunnel),
		cmocka_unit_test(test_files),	      cmocka_unit_test(test_default_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
