/* Records of tunnels: what is written is read back, what is not understood is refused or kept. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "core/record.h"

static struct str text(const char *s)
{
	return str_of(s);
}

static void test_usual(void **state)
{
	struct record_tunnel r;

	assert_int_equal(record_read_tunnel(STR("a.b"), text("{\"account\":\"x\"}"), &r), 0);
	assert_string_equal(r.name, "a.b");
	assert_string_equal(r.account, "x");
	assert_int_equal(r.kind, TUNNEL_HTTP);
	assert_true(r.enabled);
	assert_int_equal(r.policy, TUNNEL_LEAST_CONN);
	assert_int_equal(r.sessions_max, RECORD_SESSIONS_MAX);
	assert_true(rights_is_empty(&r.rights));
	assert_int_equal(r.n_alt_names, 0);
	assert_string_equal(r.target, "");
	assert_int_equal(r.port, 0);
	assert_string_equal(r.bind, "");
	assert_int_equal(r.tls, TUNNEL_TLS_PASS);
	assert_int_equal(r.proxy, TUNNEL_PROXY_NONE);
	assert_string_equal(r.service, "");
	assert_int_equal(r.n_agents, 0);
	assert_int_equal(r.drain_ms, RECORD_DRAIN_USUAL);
}

static void put(struct record_tunnel *r, enum header_edit what, const char *entry)
{
	struct http_field f;
	const char *why;

	assert_int_equal(header_edit_split(what, str_of(entry), &f, &why), 0);
	assert_int_equal(header_edits_put(&r->edits, what, &f), 0);
}

static void full(struct record_tunnel *r)
{
	*r = (struct record_tunnel){.name = "demo",
				    .account = "x",
				    .kind = TUNNEL_HTTP,
				    .target = "http://localhost:3000",
				    .alt_names = {"a.example", "b.example"},
				    .n_alt_names = 2,
				    .policy = TUNNEL_FAILOVER,
				    .sessions_max = 3,
				    .temporary = true,
				    .rewrite = true,
				    .proxy = TUNNEL_PROXY_V1,
				    .service = "web",
				    .agents = {"laptop", "desk"},
				    .n_agents = 2,
				    .drain_ms = 0,
				    .created_ms = 1,
				    .updated_ms = INT64_C(1800000000000)};
	put(r, HEADER_REQUEST_REMOVE, "Cookie");
	put(r, HEADER_REQUEST_ADD, "X-A: \"b\"");
	put(r, HEADER_REQUEST_ADD, "X-Empty:");
	put(r, HEADER_RESPONSE_ADD, "X-B: c");
	r->rights.n_users = 2;
	str_printf(r->rights.users[0].name, RIGHTS_USER_TEXT, "anna");
	str_printf(r->rights.users[0].hash, RIGHTS_HASH_TEXT, "$scrypt$ln=14,r=8,p=1$a$b");
	str_printf(r->rights.users[1].name, RIGHTS_USER_TEXT, "bert \"the\" builder");
	str_printf(r->rights.users[1].hash, RIGHTS_HASH_TEXT, "$scrypt$ln=14,r=8,p=1$c$d");
	r->rights.n_bearers = 1;
	memset(r->rights.bearers[0], 'f', DIGEST_HEX_TEXT - 1);
	assert_int_equal(cidr_parse(STR("10.0.0.0/8"), &r->rights.allow[r->rights.n_allow++]), 0);
	assert_int_equal(cidr_parse(STR("::1"), &r->rights.allow[r->rights.n_allow++]), 0);
	assert_int_equal(cidr_parse(STR("10.1.0.0/16"), &r->rights.deny[r->rights.n_deny++]), 0);
	str_printf(r->rights.auth_url, RIGHTS_URL_TEXT, "https://auth.example/check");
}

static void test_round_trip(void **state)
{
	struct record_tunnel r, back;
	struct buf first = {0}, second = {0};

	full(&r);
	assert_int_equal(record_write_tunnel(STR(""), &r, &first), 0);
	assert_int_equal(record_read_tunnel(STR("demo"), buf_str(&first), &back), 0);
	assert_memory_equal(&back, &r, sizeof r);

	/* rights and changes that are taken away leave nothing behind */
	memset(&r.rights, 0, sizeof r.rights);
	memset(&r.edits, 0, sizeof r.edits);
	r.n_alt_names = 0;
	memset(r.alt_names, 0, sizeof r.alt_names);
	assert_int_equal(record_write_tunnel(buf_str(&first), &r, &second), 0);
	assert_int_equal(record_read_tunnel(STR("demo"), buf_str(&second), &back), 0);
	assert_memory_equal(&back, &r, sizeof r);
	assert_int_equal(buf_add(&second, "", 1, SIZE_MAX), 0);
	assert_null(strstr(buf_str(&second).p, "rights"));
	assert_null(strstr(buf_str(&second).p, "headers"));
	assert_null(strstr(buf_str(&second).p, "alt_names"));
	assert_null(strstr(buf_str(&second).p, "port\""));
	buf_free(&first);
	buf_free(&second);
}

/* The greatest record fits. */
static void test_greatest(void **state)
{
	struct record_tunnel r = {.enabled = true, .sessions_max = 64};
	char value[HEADER_EDIT_VALUE_MAX];
	const struct http_field f = {.name = STR("X"), .value = {value, sizeof value}};
	struct buf out = {0};

	memset(r.account, 'a', sizeof r.account - 1);
	memset(r.host, 'h', sizeof r.host - 1);
	memset(value, '"', sizeof value);
	while (header_edits_put(&r.edits, HEADER_REQUEST_ADD, &f) == 0)
		;
	memset(r.target, 't', sizeof r.target - 1);
	for (r.n_alt_names = 0; r.n_alt_names < RECORD_ALT_NAMES_MAX; r.n_alt_names++)
		memset(r.alt_names[r.n_alt_names], 'n', HOSTNAME_MAX);
	for (size_t i = 0; i < RIGHTS_USERS_MAX; i++) {
		memset(r.rights.users[i].name, '\\', RIGHTS_USER_TEXT - 1);
		memset(r.rights.users[i].hash, 'h', RIGHTS_HASH_TEXT - 1);
		r.rights.n_users++;
	}
	for (size_t i = 0; i < RIGHTS_BLOCKS_MAX; i++) {
		assert_int_equal(cidr_parse(STR("2001:db8:1111:2222:3333:4444:5555:6666"),
					    &r.rights.allow[r.rights.n_allow++]),
				 0);
		r.rights.deny[r.rights.n_deny++] = r.rights.allow[0];
	}
	for (size_t i = 0; i < RIGHTS_BEARERS_MAX; i++)
		memset(r.rights.bearers[r.rights.n_bearers++], 'f', DIGEST_HEX_TEXT - 1);
	memset(r.rights.auth_url, 'u', RIGHTS_URL_TEXT - 1);
	memset(r.bind, 'b', sizeof r.bind - 1);
	memset(r.service, 's', sizeof r.service - 1);
	while (r.n_agents < RECORD_AGENTS_MAX)
		memset(r.agents[r.n_agents++], 'a', CORE_AGENT_TEXT - 1);
	assert_int_equal(record_write_tunnel(STR(""), &r, &out), 0);
	buf_free(&out);
}

static void test_unknown_members_stay(void **state)
{
	struct record_tunnel r;
	struct buf out = {0};

	full(&r);
	assert_int_equal(record_write_tunnel(STR("{\"account\":\"y\",\"pet\":\"cat\"}"), &r, &out),
			 0);
	assert_int_equal(buf_add(&out, "", 1, SIZE_MAX), 0);
	assert_non_null(strstr(buf_str(&out).p, "\"pet\":\"cat\""));
	assert_non_null(strstr(buf_str(&out).p, "\"account\":\"x\""));
	buf_free(&out);
	assert_int_equal(record_write_tunnel(STR("{\"a\":"), &r, &out), ERR_IO);
	str_printf(r.target, sizeof r.target, "\xff");
	assert_int_equal(record_write_tunnel(STR(""), &r, &out), ERR_INVAL);
	buf_free(&out);
}

static void test_damage(void **state)
{
	static const struct {
		const char *why, *more;
	} cases[] = {
		{"an unknown kind", ",\"kind\":\"gopher\""},
		{"a kind that is no text", ",\"kind\":1"},
		{"an unknown policy", ",\"policy\":\"best\""},
		{"an unknown way of TLS", ",\"kind\":\"tls\",\"tls\":\"half\""},
		{"TLS that is no text", ",\"tls\":true"},
		{"an unknown PROXY protocol", ",\"proxy_protocol\":\"v3\""},
		{"a tcp tunnel without a port", ",\"kind\":\"tcp\""},
		{"a port that is none", ",\"kind\":\"tcp\",\"port\":0"},
		{"a port that is too great", ",\"kind\":\"tcp\",\"port\":65536"},
		{"a port that is a text", ",\"kind\":\"tcp\",\"port\":\"9000\""},
		{"an address that is too long",
		 ",\"bind\":\"0123456789012345678901234567890123456789012345\""},
		{"a service that is no text", ",\"service\":1"},
		{"an agent that is no text", ",\"agents\":[1]"},
		{"agents that are no list", ",\"agents\":\"a\""},
		{"seventeen agents",
		 ",\"agents\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\",\"11\","
		 "\"12\",\"13\",\"14\",\"15\",\"16\",\"17\"]"},
		{"a time that is no number", ",\"drain_ms\":\"5s\""},
		{"enabled is no flag", ",\"enabled\":\"yes\""},
		{"a limit that is no number", ",\"sessions_max\":\"many\""},
		{"custom domains that are no list", ",\"alt_names\":\"a.example\""},
		{"a custom domain that is no text", ",\"alt_names\":[1]"},
		{"eleven custom domains",
		 ",\"alt_names\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\","
		 "\"11\"]"},
		{"headers that are no object", ",\"headers\":[]"},
		{"a host that is no text", ",\"headers\":{\"host\":1}"},
		{"a field that is no text", ",\"headers\":{\"request_add\":[1]}"},
		{"a field that breaks the line",
		 ",\"headers\":{\"response_add\":[\"X: a\\r\\nY: b\"]}"},
		{"rights that are no object", ",\"rights\":[]"},
		{"a user without a hash", ",\"rights\":{\"users\":[{\"name\":\"a\"}]}"},
		{"a user without a name", ",\"rights\":{\"users\":[{\"hash\":\"a\"}]}"},
		{"a user that is no object", ",\"rights\":{\"users\":[1]}"},
		{"an empty hash", ",\"rights\":{\"users\":[{\"name\":\"a\",\"hash\":\"\"}]}"},
		{"a block that is none", ",\"rights\":{\"deny\":[\"10.0.0.0/99\"]}"},
		{"a list that is none", ",\"rights\":{\"allow\":{}}"},
		{"a bearer that is no text", ",\"rights\":{\"bearers\":[{}]}"},
		{"a hook that is no text", ",\"rights\":{\"auth_url\":[]}"},
	};
	static const char *const nothing[] = {"",
					      "[]",
					      "{}",
					      "{\"account\":\"\"}",
					      "{\"account\":1}",
					      "{\"account\":\"1234567890123456\"}"};
	struct record_tunnel r;
	char value[512];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		str_printf(value, sizeof value, "{\"account\":\"x\"%s}", cases[i].more);
		if (record_read_tunnel(STR("demo"), text(value), &r) != ERR_IO)
			fail_msg("%s", cases[i].why);
	}
	for (size_t i = 0; i < ARRAY_LEN(nothing); i++)
		assert_int_equal(record_read_tunnel(STR("demo"), text(nothing[i]), &r), ERR_IO);
}

static void test_limits_are_kept(void **state)
{
	struct record_tunnel r;

	assert_int_equal(record_read_tunnel(STR("a"), STR("{\"account\":\"x\",\"sessions_max\":0}"),
					    &r),
			 0);
	assert_int_equal(r.sessions_max, 1);
	assert_int_equal(record_read_tunnel(STR("a"),
					    STR("{\"account\":\"x\",\"sessions_max\":9999}"), &r),
			 0);
	assert_int_equal(r.sessions_max, RECORD_SESSIONS_MAX);
}

/* What only one kind has leaves with the kind. */
static void test_kinds(void **state)
{
	struct record_tunnel r, back;
	struct buf tcp = {0}, tls = {0}, http = {0};

	full(&r);
	r.kind = TUNNEL_TCP;
	r.port = 65535;
	str_printf(r.bind, sizeof r.bind, "2001:db8::1");
	assert_int_equal(record_write_tunnel(STR(""), &r, &tcp), 0);
	assert_int_equal(record_read_tunnel(STR("demo"), buf_str(&tcp), &back), 0);
	assert_memory_equal(&back, &r, sizeof r);
	r.kind = TUNNEL_TLS;
	r.port = 0;
	memset(r.bind, 0, sizeof r.bind);
	r.tls = TUNNEL_TLS_END;
	assert_int_equal(record_write_tunnel(buf_str(&tcp), &r, &tls), 0);
	assert_int_equal(record_read_tunnel(STR("demo"), buf_str(&tls), &back), 0);
	assert_memory_equal(&back, &r, sizeof r);
	r.kind = TUNNEL_HTTP;
	assert_int_equal(record_write_tunnel(buf_str(&tls), &r, &http), 0);
	assert_int_equal(record_read_tunnel(STR("demo"), buf_str(&http), &back), 0);
	assert_int_equal(back.tls, TUNNEL_TLS_PASS);
	buf_free(&tcp);
	buf_free(&tls);
	buf_free(&http);
	/* of another kind a port means nothing */
	assert_int_equal(record_read_tunnel(STR("a"), STR("{\"account\":\"x\",\"port\":9}"), &r),
			 0);
	assert_int_equal(r.port, 0);
}

static void test_same(void **state)
{
	struct record_tunnel a, b;

	full(&a);
#define DIFFERS(change)                                  \
	do {                                             \
		full(&b);                                \
		assert_true(record_tunnel_same(&a, &b)); \
		change;                                  \
		if (record_tunnel_same(&a, &b))          \
			fail_msg("%s", #change);         \
	} while (0)
	DIFFERS(b.name[0]++);
	DIFFERS(b.account[0]++);
	DIFFERS(b.kind++);
	DIFFERS(b.enabled = !b.enabled);
	DIFFERS(b.target[0]++);
	DIFFERS(b.n_alt_names--);
	DIFFERS(b.alt_names[1][0]++);
	DIFFERS(b.policy = TUNNEL_LEAST_CONN);
	DIFFERS(b.sessions_max++);
	DIFFERS(b.temporary = false);
	DIFFERS(b.rewrite = false);
	DIFFERS(b.port++);
	DIFFERS(b.bind[0] = '1');
	DIFFERS(b.tls++);
	DIFFERS(b.proxy++);
	DIFFERS(b.service[0]++);
	DIFFERS(b.n_agents--);
	DIFFERS(b.agents[1][0]++);
	DIFFERS(b.drain_ms++);
	DIFFERS(b.rights.n_users--);
	DIFFERS(b.rights.users[1].name[0]++);
	DIFFERS(b.rights.users[1].hash[0]++);
	DIFFERS(b.rights.n_bearers--);
	DIFFERS(b.rights.bearers[0][0]++);
	DIFFERS(b.rights.n_allow--);
	DIFFERS(b.rights.allow[1].ip[15]++);
	DIFFERS(b.rights.allow[0].bits++);
	DIFFERS(b.rights.deny[0].v4 = false);
	DIFFERS(b.rights.n_deny--);
	DIFFERS(b.rights.auth_url[0]++);
#undef DIFFERS
	full(&b); /* when does not count, nor does what stands behind the end of a text */
	b.created_ms++;
	b.updated_ms++;
	b.service[10] = 'x';
	assert_true(record_tunnel_same(&a, &b));
}

static void test_routes(void **state)
{
	static const struct {
		const char *why;
		struct record_tunnel r;
		const char *want; /* NULL: none */
	} cases[] = {
		{"an http tunnel has none", {.name = "a", .kind = TUNNEL_HTTP}, NULL},
		{"a tcp tunnel: its port",
		 {.name = "a", .kind = TUNNEL_TCP, .port = 9000},
		 "tcp/9000"},
		{"also with a service",
		 {.name = "a", .kind = TUNNEL_TCP, .port = 1, .service = "x"},
		 "tcp/1"},
		{"a tls tunnel: its name", {.name = "a.b", .kind = TUNNEL_TLS}, "name/a.b"},
		{"one that names a service", {.name = "a", .service = "x"}, "name/a"},
		{"one that names agents", {.name = "a", .agents = {"x"}, .n_agents = 1}, "name/a"},
	};
	struct record_route route = {.account = "x", .tunnel = "a.b"}, back;
	struct buf out = {0};
	char key[RECORD_ROUTE_TEXT];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (record_route_key(&cases[i].r, key) != (cases[i].want != NULL) ||
		    strcmp(key, cases[i].want == NULL ? "" : cases[i].want) != 0)
			fail_msg("%s: %s", cases[i].why, key);
	assert_int_equal(record_write_route(&route, &out), 0);
	assert_int_equal(record_read_route(buf_str(&out), &back), 0);
	assert_memory_equal(&route, &back, sizeof route);
	buf_free(&out);
	assert_int_equal(record_read_route(STR("{\"account\":\"x\"}"), &back), ERR_IO);
	assert_int_equal(record_read_route(STR("{\"tunnel\":\"x\"}"), &back), ERR_IO);
	assert_int_equal(record_read_route(STR("["), &back), ERR_IO);
}

static void test_claims_and_domains(void **state)
{
	struct record_domain d = {.account = "x", .tunnel = "a.b", .proven_ms = 7}, back;
	char account[CORE_ID_TEXT];
	struct buf out = {0};

	assert_int_equal(record_write_claim("x", &out), 0);
	assert_int_equal(record_read_claim(buf_str(&out), account), 0);
	assert_string_equal(account, "x");
	buf_free(&out);
	assert_int_equal(record_write_domain(&d, &out), 0);
	assert_int_equal(record_read_domain(buf_str(&out), &back), 0);
	assert_memory_equal(&d, &back, sizeof d);
	buf_free(&out);
	assert_int_equal(record_read_claim(STR("{}"), account), ERR_IO);
	assert_int_equal(record_read_domain(STR("{\"account\":\"x\"}"), &back), ERR_IO);
}

static void test_words(void **state)
{
	enum tunnel_policy p;
	enum tunnel_tls t;
	enum tunnel_proxy x;

	for (unsigned i = 0; i < TUNNEL_TLSES; i++) {
		assert_int_equal(record_parse_tls(str_of(record_tls(i)), &t), 0);
		assert_int_equal(t, i);
	}
	for (unsigned i = 0; i < TUNNEL_PROXIES; i++) {
		assert_int_equal(record_parse_proxy(str_of(record_proxy(i)), &x), 0);
		assert_int_equal(x, i);
	}
	assert_null(record_tls(TUNNEL_TLSES));
	assert_null(record_proxy(TUNNEL_PROXIES));
	assert_int_equal(record_parse_tls(STR("PASS"), &t), ERR_INVAL);
	assert_int_equal(record_parse_proxy(STR(""), &x), ERR_INVAL);
	for (unsigned i = 0; i < TUNNEL_POLICIES; i++) {
		assert_int_equal(record_parse_policy(str_of(record_policy(i)), &p), 0);
		assert_int_equal(p, i);
	}
	assert_null(record_policy(TUNNEL_POLICIES));
	assert_int_equal(record_parse_policy(STR("Failover"), &p), ERR_INVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usual),	 cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_greatest), cmocka_unit_test(test_unknown_members_stay),
		cmocka_unit_test(test_damage),	 cmocka_unit_test(test_limits_are_kept),
		cmocka_unit_test(test_kinds),	 cmocka_unit_test(test_same),
		cmocka_unit_test(test_routes),	 cmocka_unit_test(test_claims_and_domains),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
