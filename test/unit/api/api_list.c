/* What a tunnel of each kind says, and whole lists: all of it is done, or nothing. */
#include "unit/api/api_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

/* ---- members ---- */

#define FULL_TCP                                                                          \
	"{\"kind\":\"tcp\",\"ingress\":{\"tcp\":{\"port\":2222,\"bind\":\"127.0.0.1\"}}," \
	"\"target\":{\"service\":\"sshd\",\"proxy_protocol\":\"v2\"},"                    \
	"\"transport\":{\"agents\":[\"home\",\"spare\"],\"drain\":5,\"policy\":\"failover\"}}"

static const struct {
	const char *why, *what, *body;
	unsigned status;
	const char *member, *want; /* a number: what api_rig_number() says */
} members[] = {
	{"a tcp tunnel", "PUT /v1/tunnels/ssh", FULL_TCP, 201, "urls.0", "tcp://127.0.0.1:2222"},
	{"its port", "GET /v1/tunnels/ssh", NULL, 200, "ingress.tcp.port", "2222"},
	{"its address", "GET /v1/tunnels/ssh", NULL, 200, "ingress.tcp.bind", "127.0.0.1"},
	{"its service", "GET /v1/tunnels/ssh", NULL, 200, "target.service", "sshd"},
	{"its header", "GET /v1/tunnels/ssh", NULL, 200, "target.proxy_protocol", "v2"},
	{"its agents", "GET /v1/tunnels/ssh", NULL, 200, "transport.agents.1", "spare"},
	{"how long it drains", "GET /v1/tunnels/ssh", NULL, 200, "transport.drain", "5"},
	{"it is found by HTTP nowhere", "GET /v1/tunnels/ssh", NULL, 200, "ingress.http.url", ""},
	{"it moves to another agent", "PATCH /v1/tunnels/ssh",
	 "{\"transport\":{\"agents\":[\"spare\"]}}", 200, "transport.agents.0", "spare"},
	{"and keeps its port", "GET /v1/tunnels/ssh", NULL, 200, "ingress.tcp.port", "2222"},
	{"a port that another tunnel has", "PUT /v1/tunnels/ssh2",
	 "{\"kind\":\"tcp\",\"ingress\":{\"tcp\":{\"port\":2222}}}", 409, "field",
	 "ingress.tcp.port"},
	{"a port that another program has", "PUT /v1/tunnels/ssh2",
	 "{\"kind\":\"tcp\",\"ingress\":{\"tcp\":{\"port\":9999}}}", 409, "field",
	 "ingress.tcp.port"},
	{"an address that is none", "PUT /v1/tunnels/ssh2",
	 "{\"kind\":\"tcp\",\"ingress\":{\"tcp\":{\"bind\":\"x\"}}}", 400, "field",
	 "ingress.tcp.bind"},
	{"any free port", "PUT /v1/tunnels/any", "{\"kind\":\"tcp\"}", 201, "kind", "tcp"},
	{"a tls tunnel", "PUT /v1/tunnels/app",
	 "{\"kind\":\"tls\",\"domains\":[\"*.a.example\"],\"ingress\":{\"tls\":{\"mode\":\"end\"}}"
	 "}",
	 201, "domains.0", "*.a.example"},
	{"its mode", "GET /v1/tunnels/app", NULL, 200, "ingress.tls.mode", "end"},
	{"where it is reached", "GET /v1/tunnels/app", NULL, 200, "urls.0",
	 "tls://*.a.example:8443"},
	{"exposr's way to say it", "PUT /v1/tunnel/old",
	 "{\"ingress\":{\"sni\":{\"enabled\":true,\"url\":\"x\"}}}", 201, "kind", "tls"},
	{"an http tunnel's domains by their other name", "PUT /v1/tunnels/web",
	 "{\"domains\":[\"b.example\"]}", 201, "ingress.http.alt_names.0", "b.example"},
	{"its URLs", "GET /v1/tunnels/web", NULL, 200, "ingress.http.urls.1",
	 "http://b.example:8080"},
	{"the same by both names", "PUT /v1/tunnels/web",
	 "{\"domains\":[\"b.example\"],\"ingress\":{\"http\":{\"alt_names\":[\"B.example\"]}}}",
	 200, "urls.1", "http://b.example:8080"},
};

static void check(struct api_rig *r, const char *why, const char *member, const char *want)
{
	char number[24];
	uint64_t n = api_rig_number(r, member);

	str_printf(number, sizeof number, "%llu", (unsigned long long)n);
	if (strcmp(n == UINT64_MAX ? api_rig_text(r, member) : number, want) != 0)
		fail_msg("%s: %s is \"%s\"\n%s", why, member,
			 n == UINT64_MAX ? api_rig_text(r, member) : number, r->got);
}

static void test_members(void **state)
{
	struct api_rig r;

	api_rig_new_with_ports(&r);
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		if (api_rig_ask(&r, USER, members[i].what, members[i].body) != members[i].status)
			fail_msg("%s: %u\n%s", members[i].why, r.status, r.got);
		check(&r, members[i].why, members[i].member, members[i].want);
	}
	api_rig_free(&r);
}

/* What was read of any kind can be written back. */
static void test_read_write(void **state)
{
	static const char *const bodies[] = {
		FULL_TCP, "{\"kind\":\"tls\",\"domains\":[\"*.a.example\"]}",
		"{\"ingress\":{\"http\":{\"alt_names\":[\"b.example\"]}}}"};
	struct api_rig r;
	char *body, etag[64];

	api_rig_new_with_ports(&r);
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		assert_int_equal(api_rig_ask(&r, USER, "PUT /v1/tunnels/a", bodies[i]), 201);
		assert_int_equal(api_rig_ask(&r, USER, "GET /v1/tunnels/a", NULL), 200);
		body = str_dup(str_of(strstr(r.got, "\r\n\r\n") + 4));
		str_printf(etag, sizeof etag, "%s", api_rig_field(&r, "ETag"));
		assert_int_equal(api_rig_ask(&r, USER, "PUT /v1/tunnels/a", body), 200);
		free(body);
		assert_int_equal(api_rig_ask(&r, USER, "GET /v1/tunnels/a", NULL), 200);
		assert_int_equal(api_rig_ask(&r, USER, "DELETE /v1/tunnels/a", NULL), 204);
	}
	api_rig_free(&r);
}

static void test_accounts_ports(void **state)
{
	char what[128];
	struct api_rig r;

	api_rig_new_with_ports(&r);
	str_printf(what, sizeof what, "PATCH /v1/admin/accounts/%s", r.who[USER].account);
	assert_int_equal(api_rig_ask(&r, ADMIN, what, "{\"ports\":[\"2000-2010\",\"3000\"]}"), 200);
	assert_string_equal(api_rig_text(&r, "ports.0"), "2000-2010");
	assert_string_equal(api_rig_text(&r, "ports.1"), "3000");
	assert_int_equal(api_rig_ask(&r, USER, "PUT /v1/tunnels/a",
				     "{\"kind\":\"tcp\",\"ingress\":{\"tcp\":{\"port\":2011}}}"),
			 403);
	assert_int_equal(api_rig_ask(&r, USER, "PUT /v1/tunnels/a",
				     "{\"kind\":\"tcp\",\"ingress\":{\"tcp\":{\"port\":2010}}}"),
			 201);
	assert_int_equal(api_rig_ask(&r, ADMIN, what, "{\"ports\":[]}"), 200);
	assert_int_equal(api_rig_count(&r, "ports"), 0);
	api_rig_free(&r);
}

/* ---- lists ---- */

#define TCP(name, port) \
	"{\"name\":\"" name "\",\"kind\":\"tcp\",\"ingress\":{\"tcp\":{\"port\":" port "}}}"

static void names_are(struct api_rig *r, enum api_asker_kind who, const char *want)
{
	char names[256] = "";
	size_t n = 0;

	assert_int_equal(api_rig_ask(r, who, "GET /v1/tunnels?limit=100", NULL), 200);
	for (size_t i = 0; i < api_rig_count(r, "tunnels"); i++) {
		char path[32];

		str_printf(path, sizeof path, "tunnels.%zu.name", i);
		n += str_printf(names + n, sizeof names - n, "%s ", api_rig_text(r, path));
	}
	assert_string_equal(names, want);
}

static void test_list(void **state)
{
	struct api_rig r;
	char etag[64];

	api_rig_new_with_ports(&r);
	assert_int_equal(api_rig_ask(&r, OTHER, "PUT /v1/tunnels/theirs", "{}"), 201);
	assert_int_equal(api_rig_ask(&r, USER, "PUT /v1/tunnels",
				     "{\"tunnels\":[" TCP("b", "2001") "," TCP("a", "2002") "]}"),
			 200);
	assert_string_equal(api_rig_text(&r, "tunnels.0.name"), "b"); /* in its order */
	assert_string_equal(api_rig_text(&r, "tunnels.1.urls.0"), "tcp://localhost:2002");
	assert_null(strstr(r.got, "\"cursor\""));
	assert_int_equal(r.n_ports, 2);
	assert_int_equal(api_rig_ask(&r, USER, "GET /v1/tunnels/a", NULL), 200);
	str_printf(etag, sizeof etag, "%s", api_rig_field(&r, "ETag"));
	/* a dry run says so and does nothing */
	assert_int_equal(api_rig_ask(&r, USER, "PUT /v1/tunnels?dry_run=true",
				     "{\"tunnels\":[" TCP("c", "2003") "]}"),
			 200);
	assert_string_equal(api_rig_text(&r, "tunnels.0.name"), "c");
	names_are(&r, USER, "a b ");
	/* two change places, one goes, one comes, without a name */
	assert_int_equal(
		api_rig_ask(
			&r, USER, "PUT /v1/tunnels",
			"{\"tunnels\":[" TCP(
				"a",
				"2002") ",{\"kind\":\"tcp\",\"ingress\":{\"tcp\":{\"port\":2001}},"
					"\"target\":{\"service\":\"x\"}}]}"),
		200);
	assert_string_equal(api_rig_text(&r, "tunnels.1.name"), "b"); /* by its port */
	assert_string_equal(api_rig_text(&r, "tunnels.1.target.service"), "x");
	assert_int_equal(api_rig_ask(&r, USER, "GET /v1/tunnels/a", NULL), 200);
	assert_string_equal(api_rig_field(&r, "ETag"), etag); /* it was as it is */
	assert_int_equal(api_rig_ask(&r, USER, "PUT /v1/tunnels", "{\"tunnels\":[]}"), 200);
	assert_int_equal(api_rig_count(&r, "tunnels"), 0);
	names_are(&r, USER, "");
	names_are(&r, OTHER, "theirs ");
	assert_int_equal(r.n_ports, 0);
	api_rig_free(&r);
}

static const struct {
	const char *why, *entries;
	unsigned status;
	uint64_t entry; /* UINT64_MAX: none */
	const char *field;
} refused[] = {
	{"a member that is not there", "{},{\"targt\":1}", 400, 1, "tunnels.1.targt"},
	{"what a tunnel's body may not say", "{},{},{\"visitors\":{\"allow\":[\"x\"]}}", 400, 2,
	 "tunnels.2.visitors.allow.0"},
	{"a port in use", TCP("a", "2002") "," TCP("b", "9999"), 409, 1,
	 "tunnels.1.ingress.tcp.port"},
	{"a port twice", TCP("a", "2002") "," TCP("b", "2002"), 409, 1,
	 "tunnels.1.ingress.tcp.port"},
	{"a name twice", TCP("a", "2002") "," TCP("a", "2003"), 400, 1, "tunnels.1.name"},
	{"a name of somebody else's", TCP("a", "2002") ",{\"name\":\"theirs\"}", 409, 1,
	 "tunnels.1.name"},
	{"tokens that a new tunnel does not have", "{\"name\":\"new\",\"visitors\":{\"bearer\":3}}",
	 400, 0, "tunnels.0.visitors.bearer"},
	{"nor one without a name", "{\"visitors\":{\"bearer\":3}}", 400, 0,
	 "tunnels.0.visitors.bearer"},
	{"no list", "\"a\"", 400, 0, "tunnels.0"},
};

static void test_refused(void **state)
{
	struct api_rig r;
	char *before;

	api_rig_new_with_ports(&r);
	assert_int_equal(api_rig_ask(&r, OTHER, "PUT /v1/tunnels/theirs", "{}"), 201);
	assert_int_equal(api_rig_ask(&r, USER, "PUT /v1/tunnels",
				     "{\"tunnels\":[" TCP("a", "2001") "]}"),
			 200);
	before = core_rig_get(&r.core, "tunnel", "a");
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		char body[1024], *now;

		str_printf(body, sizeof body, "{\"tunnels\":[%s]}", refused[i].entries);
		if (api_rig_ask(&r, USER, "PUT /v1/tunnels", body) != refused[i].status ||
		    api_rig_number(&r, "entry") != refused[i].entry ||
		    strcmp(api_rig_text(&r, "field"), refused[i].field) != 0)
			fail_msg("%s: %s", refused[i].why, r.got);
		now = core_rig_get(&r.core, "tunnel", "a");
		assert_string_equal(now, before);
		free(now);
		assert_int_equal(r.n_ports, 1);
	}
	names_are(&r, USER, "a ");
	free(before);
	api_rig_free(&r);
}

/* Passwords are hashed, tokens stay, as in a tunnel's own body. */
static void test_secrets(void **state)
{
	struct api_rig r;
	char *was, *now;

	api_rig_new_with_ports(&r);
	assert_int_equal(api_rig_ask(&r, USER, "PUT /v1/tunnels",
				     "{\"tunnels\":[{\"name\":\"a\",\"visitors\":{\"basic\":[{"
				     "\"user\":\"anna\",\"password\":\"pass word\"}],\"bearer\":["
				     "\"0123456789abcdef\",\"fedcba9876543210\"]}}]}"),
			 200);
	was = core_rig_get(&r.core, "tunnel", "a");
	assert_non_null(strstr(was, "$scrypt$"));
	assert_null(strstr(was, "pass word"));
	assert_null(strstr(was, "0123456789abcdef"));
	assert_int_equal(api_rig_ask(&r, USER, "PUT /v1/tunnels",
				     "{\"tunnels\":[{\"name\":\"a\",\"visitors\":{\"basic\":[{"
				     "\"user\":\"anna\"}],\"bearer\":2}}]}"),
			 200);
	assert_int_equal(api_rig_number(&r, "tunnels.0.visitors.bearer"), 2);
	now = core_rig_get(&r.core, "tunnel", "a");
	assert_string_equal(now, was);
	free(was);
	free(now);
	api_rig_free(&r);
}

/* A body of so many bytes, most of them in a target that is too long. */
static unsigned put_large(struct api_rig *r, enum api_asker_kind who, size_t len, const char *end)
{
	char head[256], *request = malloc(len + sizeof head);
	size_t n;

	assert_non_null(request);
	n = str_printf(head, sizeof head,
		       "PUT /v1/tunnels HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
		       "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
		       r->token[who], len);
	memcpy(request, head, n);
	memset(request + n, ' ', len);
	memcpy(request + n + len - strlen(end), end, strlen(end));
	api_rig_send(r, request, n + len);
	free(request);
	return r->status != 0 ? r->status : api_rig_wait(r, 100);
}

static void test_large(void **state)
{
	struct api_rig r;

	api_rig_new_with_ports(&r);
	assert_int_equal(put_large(&r, USER, API_LARGE_BODY_MAX, "{\"tunnels\":[{}]}"), 200);
	assert_int_equal(api_rig_count(&r, "tunnels"), 1);
	assert_int_equal(put_large(&r, USER, API_LARGE_BODY_MAX + 1, "{\"tunnels\":[{}]}"), 413);
	/* nobody's bytes are looked into before it is known whose they are */
	assert_int_equal(put_large(&r, STRANGER, API_BODY_MAX, "{"), 401);
	assert_int_equal(put_large(&r, USER, API_BODY_MAX, "{"), 400);
	api_rig_free(&r);
}

/* Lists that are sent slowly keep out lists of the same account, and nothing else. */
static void test_too_many_large(void **state)
{
	static const char body[] = "Content-Type: application/json\r\nContent-Length: 9\r\n";
	static const struct {
		const char *why;
		enum api_asker_kind who;
		unsigned want;
	} cases[] = {
		{"a stranger's is not read at all", STRANGER, 401},
		{"nor that of nobody", NOBODY, 401},
		{"one that comes slowly", USER, 0},
		{"one more", USER, 0},
		{"too many of one account", USER, 503},
		{"another account is not kept out", OTHER, 0},
		{"nor a stranger told more", STRANGER, 401},
	};
	struct wire *peers[ARRAY_LEN(cases)];
	struct http_conn *conns[ARRAY_LEN(cases)];
	struct api_rig r;

	api_rig_new_with_ports(&r);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		unsigned status = api_rig_ask_with(&r, cases[i].who, "PUT /v1/tunnels", body, NULL);

		if (status != cases[i].want)
			fail_msg("%s: %u", cases[i].why, status);
		peers[i] = r.peer;
		conns[i] = r.conn;
		r.peer = NULL;
		r.conn = NULL;
	}
	assert_int_equal(api_rig_ask(&r, OTHER, "PUT /v1/tunnels", "{\"tunnels\":[]}"), 200);
	assert_int_equal(api_rig_ask(&r, USER, "PUT /v1/tunnels/a", "{}"), 201);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		wire_close(peers[i], 0);
		http_conn_close(conns[i]);
	}
	core_rig_run(&r.core);
	assert_int_equal(api_rig_ask(&r, USER, "PUT /v1/tunnels", "{\"tunnels\":[]}"), 200);
	api_rig_free(&r);
}

/* A list may not keep all processors busy with passwords. */
static void test_passwords(void **state)
{
	struct buf body = {0};
	struct api_rig r;
	char request[256];
	size_t n;

	api_rig_new_with_ports(&r);
	assert_int_equal(buf_printf(&body, 1 << 20, "{\"tunnels\":["), 0);
	for (int i = 0; i <= API_LIST_PASSWORDS_MAX; i++)
		assert_int_equal(buf_printf(&body, 1 << 20,
					    "%s{\"visitors\":{\"basic\":[{\"user\":\"a\","
					    "\"password\":\"b\"}]}}",
					    i == 0 ? "" : ","),
				 0);
	assert_int_equal(buf_printf(&body, 1 << 20, "]}"), 0);
	n = str_printf(request, sizeof request,
		       "PUT /v1/tunnels HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
		       "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
		       r.token[USER], body.len);
	{
		struct buf all = {0};

		assert_int_equal(buf_add(&all, request, n, 1 << 20), 0);
		assert_int_equal(buf_add(&all, buf_str(&body).p, body.len, 1 << 20), 0);
		assert_int_equal(api_rig_send(&r, buf_str(&all).p, all.len), 429);
		buf_free(&all);
	}
	assert_int_equal(api_rig_number(&r, "entry"), API_LIST_PASSWORDS_MAX);
	assert_int_equal(password_n_jobs(r.passwords), 0);
	buf_free(&body);
	api_rig_free(&r);
}

/* Of all accounts: whose is said, else it stays with its owner, else it is the asker's. */
static void test_all(void **state)
{
	struct api_rig r;
	char body[1024];

	api_rig_new_with_ports(&r);
	assert_int_equal(api_rig_ask(&r, OTHER, "PUT /v1/tunnels/theirs", "{}"), 201);
	assert_int_equal(api_rig_ask(&r, USER, "PUT /v1/tunnels/mine", "{}"), 201);
	str_printf(body, sizeof body,
		   "{\"tunnels\":[{\"name\":\"theirs\",\"owner\":\"%s\",\"target\":{\"service\":"
		   "\"x\"}},{\"name\":\"new\",\"account\":\"%s\"},{\"name\":\"admins\"}]}",
		   r.who[OTHER].account, r.who[USER].account);
	assert_int_equal(api_rig_ask(&r, ADMIN, "PUT /v1/admin/tunnels", body), 200);
	assert_string_equal(api_rig_text(&r, "tunnels.0.owner"), r.who[OTHER].account);
	names_are(&r, OTHER, "theirs ");
	names_are(&r, USER, "new ");
	names_are(&r, ADMIN, "admins ");
	if (api_rig_ask(&r, ADMIN, "PUT /v1/admin/tunnels",
			"{\"tunnels\":[{\"name\":\"x\",\"account\":\"nobody\"}]}") != 404)
		fail_msg("%s", r.got);
	assert_string_equal(api_rig_text(&r, "field"), "tunnels.0.account");
	names_are(&r, USER, "new ");
	api_rig_free(&r);
}

static void test_agents(void **state)
{
	struct core_agent agent = {.id = "laptop", .epoch = 7, .carrier = 1};
	struct api_rig r;
	struct fake f;

	api_rig_new_with_ports(&r);
	assert_int_equal(api_rig_ask(&r, USER, "GET /v1/agents", NULL), 200);
	assert_int_equal(api_rig_count(&r, "agents"), 0);
	fake_join(&f, &r.core, &r.who[USER], &agent);
	assert_int_equal(api_rig_ask(&r, USER, "GET /v1/agents", NULL), 200);
	assert_string_equal(api_rig_text(&r, "agents.0.id"), "laptop");
	assert_string_equal(api_rig_text(&r, "agents.0.owner"), r.who[USER].account);
	assert_true(api_rig_bool(&r, "agents.0.connected"));
	assert_int_equal(api_rig_number(&r, "agents.0.sessions"), 1);
	assert_int_equal(api_rig_ask(&r, OTHER, "GET /v1/agents", NULL), 200);
	assert_int_equal(api_rig_count(&r, "agents"), 0);
	fake_leave(&f);
	assert_int_equal(api_rig_ask(&r, ADMIN, "GET /v1/admin/agents", NULL), 200);
	assert_string_equal(api_rig_text(&r, "agents.0.id"), "laptop");
	assert_false(api_rig_bool(&r, "agents.0.connected"));
	assert_false(api_rig_bool(&r, "agents.0.returned"));
	api_rig_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_members),	       cmocka_unit_test(test_read_write),
		cmocka_unit_test(test_accounts_ports), cmocka_unit_test(test_list),
		cmocka_unit_test(test_refused),	       cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_large),	       cmocka_unit_test(test_too_many_large),
		cmocka_unit_test(test_passwords),      cmocka_unit_test(test_all),
		cmocka_unit_test(test_agents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
