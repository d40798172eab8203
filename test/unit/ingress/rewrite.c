/* Heads on their way: what is changed, what is taken away, and who the visitor is. */
#include "ingress/rewrite.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "ingress_rig.h"

/* A head, and the memory that it stands in. */
struct asked {
	struct http_request req;
	char bytes[HTTP_HEAD_MAX];
};

static struct asked *ask(const char *fields)
{
	struct asked *a = calloc(1, sizeof *a);
	size_t scanned = 0, len;

	len = str_printf(a->bytes, sizeof a->bytes,
			 "GET /p?q=1 HTTP/1.1\r\nHost: demo.example\r\n%s\r\n", fields);
	assert_int_equal(http_request_parse((struct str){a->bytes, len}, &scanned, &a->req), 0);
	return a;
}

static const struct visit_end peer = {.ip = "192.0.2.7", .port = 4711};

static char *head_text(struct buf *b)
{
	char *text = str_dup(buf_str(b));

	buf_free(b);
	return text;
}

static void test_header_policy(void **state)
{
	static const struct {
		const char *why, *target;
		bool tls;
		const char *fields, *want, *not_want;
	} cases[] = {
		{"Host is the target's", "http://127.0.0.1:3000", false, "",
		 "\r\nHost: 127.0.0.1:3000\r\n", "\r\nHost: demo.example"},
		{"the visitor's is told", "http://127.0.0.1:3000", false, "",
		 "\r\nx-forwarded-host: demo.example\r\n", NULL},
		{"the scheme's own port is left out", "http://app.local:80", false, "",
		 "\r\nHost: app.local\r\n", NULL},
		{"an IPv6 target", "http://[::1]:3000", false, "", "\r\nHost: [::1]:3000\r\n",
		 NULL},
		{"our origin", "http://localhost:3000", false, "Origin: http://demo.example\r\n",
		 "\r\nOrigin: http://localhost:3000\r\n", "Origin: http://demo"},
		{"our origin with its port", "http://localhost:3000", false,
		 "Origin: http://demo.example:80\r\n", "\r\nOrigin: http://localhost:3000\r\n",
		 NULL},
		{"any case", "http://localhost:3000", false, "origin: HTTP://Demo.Example\r\n",
		 "\r\norigin: http://localhost:3000\r\n", NULL},
		{"an https target", "https://a.internal", false, "Origin: http://demo.example\r\n",
		 "\r\nOrigin: https://a.internal\r\n", NULL},
		{"over TLS ours is https", "http://localhost:3000", true,
		 "Origin: https://demo.example\r\n", "\r\nOrigin: http://localhost:3000\r\n", NULL},
		{"and http is not ours", "http://localhost:3000", true,
		 "Origin: http://demo.example\r\n", "\r\nOrigin: http://demo.example\r\n", NULL},
		{"another port", "http://localhost:3000", false,
		 "Origin: http://demo.example:81\r\n", "\r\nOrigin: http://demo.example:81\r\n",
		 NULL},
		{"another name that begins like ours", "http://localhost:3000", false,
		 "Origin: http://demo.example.evil\r\n", "\r\nOrigin: http://demo.example.evil\r\n",
		 NULL},
		{"a user in front of it", "http://localhost:3000", false,
		 "Referer: http://demo.example@evil/\r\n",
		 "\r\nReferer: http://demo.example@evil/\r\n", NULL},
		{"no origin", "http://localhost:3000", false, "Origin: null\r\n",
		 "\r\nOrigin: null\r\n", NULL},
		{"an empty one", "http://localhost:3000", false, "Origin:\r\n", "\r\nOrigin: \r\n",
		 NULL},
		{"Referer keeps what follows", "http://localhost:3000", false,
		 "Referer: http://demo.example/a/b?u=http://demo.example/\r\n",
		 "\r\nReferer: http://localhost:3000/a/b?u=http://demo.example/\r\n", NULL},
		{"Referer with nothing behind it", "http://localhost:3000", false,
		 "Referer: http://demo.example\r\n", "\r\nReferer: http://localhost:3000\r\n",
		 NULL},
		{"a strange Referer", "http://localhost:3000", false,
		 "Referer: https://search.example/?q=demo.example\r\n",
		 "\r\nReferer: https://search.example/?q=demo.example\r\n", NULL},
		{"nobody asked for it", NULL, false, "Origin: http://demo.example\r\n",
		 "\r\nHost: demo.example\r\nOrigin: http://demo.example\r\n", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct asked *a = ask(cases[i].fields);
		struct rewrite_from from = {.peer = &peer, .tls = cases[i].tls, .mark = "m"};
		struct rewrite_how how = {0};
		struct buf out = {0};
		struct url target;
		char *text;

		print_message("# %s\n", cases[i].why);
		if (cases[i].target != NULL) {
			assert_int_equal(url_parse(str_of(cases[i].target), &target, NULL), 0);
			how.target = &target;
		}
		assert_int_equal(rewrite_request(&out, &a->req, &from, &how), 0);
		text = head_text(&out);
		expect_in(text, cases[i].want);
		if (cases[i].not_want != NULL)
			expect_not_in(text, cases[i].not_want);
		free(text);
		free(a);
	}
}

/* As many origins as a head may have, each growing. */
static void test_a_head_that_grows_fits(void **state)
{
	struct rewrite_from from = {.peer = &peer, .mark = "m"};
	char fields[HTTP_HEAD_MAX] = "", host[600];
	struct rewrite_how how = {0};
	struct buf out = {0};
	struct url target;
	struct asked *a;
	char *text;

	for (int i = 0; i < HTTP_FIELDS_MAX - 1; i++)
		strcat(fields, "Origin: http://demo.example\r\n");
	str_printf(host, sizeof host, "https://%060d.%060d.%060d.%060d.test:12345", 1, 2, 3, 4);
	assert_int_equal(url_parse(str_of(host), &target, NULL), 0);
	how.target = &target;
	a = ask(fields);
	assert_int_equal(rewrite_request(&out, &a->req, &from, &how), 0);
	text = head_text(&out);
	assert_int_equal(count_in(text, ".test:12345\r\n"), HTTP_FIELDS_MAX);
	free(text);
	free(a);
}

/* As many fields as a tunnel may add, to a head that is as full as may be; and what hooks say. */
static void test_edits(void **state)
{
	static const struct http_field said[] = {{.name = {"X-Auth-User", 11}, .value = {"a", 1}}};
	static const struct {
		const char *why, *remove, *add, *fields, *want, *not_want;
	} cases[] = {
		{"nothing of it is there", "Cookie", "", "X-A: 1\r\n", "\r\nX-A: 1\r\n", NULL},
		{"any case", "cookie", "", "COOKIE: 1\r\ncookie: 2\r\nCookies: 3\r\n",
		 "\r\nCookies: 3\r\n", "OOKIE:"},
		{"a spelling that a CGI could take for it", "X-Secret", "",
		 "X_Secret: 1\r\nx.secret: 2\r\n", "Host: demo.example\r\nX-Auth-User: a\r\n",
		 "ecret"},
		{"put in place of", "X-A", "X-A: ours", "X-A: theirs\r\n", "\r\nX-A: ours\r\n",
		 "theirs"},
		{"what a hook has said stays", "X-Auth-User", "", "X-Auth-User: root\r\n",
		 "\r\nX-Auth-User: a\r\n", "root"},
		{"an empty value", "Cookie", "X-Empty:", "", "\r\nX-Empty: \r\n", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rewrite_from from = {.peer = &peer, .mark = "m"};
		struct rewrite_pass pass = {.fields = said, .n_fields = 1};
		struct asked *a = ask(cases[i].fields);
		struct header_edits edits = {0};
		struct rewrite_how how = {.pass = &pass};
		struct http_field f;
		struct buf out = {0};
		const char *why;
		char *text;

		assert_int_equal(header_edit_check(HEADER_REQUEST_REMOVE, str_of(cases[i].remove),
						   &f, &why),
				 0);
		assert_int_equal(header_edits_put(&edits, HEADER_REQUEST_REMOVE, &f), 0);
		if (cases[i].add[0] != '\0') {
			assert_int_equal(header_edit_check(HEADER_REQUEST_ADD, str_of(cases[i].add),
							   &f, &why),
					 0);
			assert_int_equal(header_edits_put(&edits, HEADER_REQUEST_ADD, &f), 0);
		}
		how.edits = header_edits_str(&edits);
		print_message("# %s\n", cases[i].why);
		assert_int_equal(rewrite_request(&out, &a->req, &from, &how), 0);
		text = head_text(&out);
		expect_in(text, cases[i].want);
		if (cases[i].not_want != NULL)
			expect_not_in(text, cases[i].not_want);
		free(text);
		free(a);
	}
}

static void test_all_edits_fit(void **state)
{
	struct rewrite_from from = {.peer = &peer, .mark = "m", .trusted = true};
	char fields[HTTP_HEAD_MAX - 100], value[HEADER_EDIT_VALUE_MAX];
	struct http_field f = {.name = STR("X-A"), .value = {value, sizeof value}};
	struct header_edits edits = {0};
	struct rewrite_how how = {.host = STR("app.local")};
	struct buf out = {0};
	struct asked *a;

	memset(value, 'v', sizeof value);
	while (header_edits_put(&edits, HEADER_REQUEST_ADD, &f) == 0)
		;
	how.edits = header_edits_str(&edits);
	memset(fields, 'x', sizeof fields);
	memcpy(fields, "X-Long: ", 8);
	memcpy(fields + sizeof fields - 3, "\r\n", 3);
	a = ask(fields);
	assert_int_equal(rewrite_request(&out, &a->req, &from, &how), 0);
	assert_true(out.len > HTTP_HEAD_MAX + 2000);
	buf_free(&out);
	free(a);
}

static void test_what_rights_take_away_and_add(void **state)
{
	static const struct http_field said[] = {
		{.name = {"Remote-User", 11}, .value = {"anna", 4}},
		{.name = {"X-Auth-Group", 12}, .value = {"a, b", 4}},
	};
	static const char fields[] =
		"Authorization: Basic QTpi\r\nRemote-User: root\r\nremote_user: root\r\n"
		"REMOTE-GROUPS: root\r\nRemote-Name: root\r\nRemote-Email: root\r\nRemote.User: "
		"root\r\n"
		"X-Auth-Token: root\r\nx_auth-id: root\r\nRemote-Users: kept\r\nX-Author: kept\r\n";
	static const struct {
		const char *why;
		struct rewrite_pass pass;
		size_t n_root, n_authorization, n_anna;
	} cases[] = {
		{"nothing", {0}, 8, 1, 0},
		{"the credential was for us", {.drop_authorization = true}, 8, 0, 0},
		{"a hook that said nothing", {.judged = true}, 0, 1, 0},
		{"a hook that said who it is",
		 {.judged = true, .fields = said, .n_fields = ARRAY_LEN(said)},
		 0,
		 1,
		 1},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rewrite_from from = {.peer = &peer, .mark = "m"};
		struct rewrite_how how = {.pass = &cases[i].pass};
		struct asked *a = ask(fields);
		struct buf out = {0};
		char *text;

		print_message("# %s\n", cases[i].why);
		assert_int_equal(rewrite_request(&out, &a->req, &from, &how), 0);
		text = head_text(&out);
		assert_int_equal(count_in(text, ": root\r\n"), cases[i].n_root);
		assert_int_equal(count_in(text, "Authorization: Basic QTpi\r\n"),
				 cases[i].n_authorization);
		assert_int_equal(count_in(text, "\r\nRemote-User: anna\r\n"), cases[i].n_anna);
		assert_int_equal(count_in(text, ": kept\r\n"), 2);
		free(text);
		free(a);
	}
}

static void test_names_of_identity(void **state)
{
	static const struct {
		const char *name;
		bool is;
	} cases[] = {
		{"Remote-User", true},	   {"remote_user", true}, {"REMOTE~USER", true},
		{"Remote-Email", true},	   {"Remote-Name", true}, {"Remote-Groups", true},
		{"X-Auth-Anything", true}, {"x_auth_", true},	  {"X-Auth", false},
		{"Remote-Users", false},   {"Remote-Use", false}, {"Remote", false},
		{"XX-Auth-User", false},   {"User", false},	  {"RemoteUser", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("# %s\n", cases[i].name);
		assert_int_equal(rewrite_is_identity(str_of(cases[i].name)), cases[i].is);
	}
}

/* Trusted: 10.0.0.0/8 and the peer, 192.0.2.7, unless the case says it is a stranger. */
static void test_where_the_visitor_is(void **state)
{
	static const struct {
		const char *why;
		bool trusted;
		const char *fields, *ip;
		uint16_t port;
	} cases[] = {
		{"a stranger speaks for itself", false, "X-Forwarded-For: 198.51.100.1\r\n",
		 "192.0.2.7", 4711},
		{"a proxy names its visitor", true, "X-Forwarded-For: 198.51.100.1\r\n",
		 "198.51.100.1", 0},
		{"what the visitor said itself stands further left", true,
		 "X-Forwarded-For: 10.9.9.9, 203.0.113.9, 198.51.100.1\r\n", "198.51.100.1", 0},
		{"a proxy behind a proxy", true, "X-Forwarded-For: 198.51.100.1, 10.0.0.1\r\n",
		 "198.51.100.1", 0},
		{"in two fields", true,
		 "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 10.0.0.1\r\n", "198.51.100.1",
		 0},
		{"with ports and brackets", true,
		 "X-Forwarded-For: [2001:db8::1]:99, 10.0.0.1:5\r\n", "2001:db8::1", 0},
		{"an IPv4 address in IPv6", true, "X-Forwarded-For: ::ffff:198.51.100.1\r\n",
		 "198.51.100.1", 0},
		{"only proxies: the first", true, "X-Forwarded-For: 10.0.0.2, 10.0.0.1\r\n",
		 "10.0.0.2", 0},
		{"a proxy that says nothing", true, "", "192.0.2.7", 4711},
		{"a proxy that does not know", true, "X-Forwarded-For: unknown\r\n", "", 0},
		{"nonsense", true, "X-Forwarded-For: 198.51.100.1, a b\r\n", "", 0},
		{"Forwarded does not count", true,
		 "Forwarded: for=203.0.113.9\r\nX-Forwarded-For: 198.51.100.1\r\n", "198.51.100.1",
		 0},
		{"nor does X-Real-IP", true, "X-Real-IP: 203.0.113.9\r\n", "192.0.2.7", 4711},
	};
	struct cidr proxies[2];

	assert_int_equal(cidr_parse(STR("10.0.0.0/8"), &proxies[0]), 0);
	assert_int_equal(cidr_parse(STR("192.0.2.7"), &proxies[1]), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rewrite_from from = {.peer = &peer,
					    .trusted = cases[i].trusted,
					    .mark = "m"};
		struct asked *a = ask(cases[i].fields);
		struct visit_end got;

		print_message("# %s\n", cases[i].why);
		rewrite_visitor(&a->req.head, &from, proxies, 2, &got);
		assert_string_equal(got.ip, cases[i].ip);
		assert_int_equal(got.port, cases[i].port);
		free(a);
	}
}

/* A list too long to be passed on must not hide what our own proxy has added to it. */
static void test_long_chains(void **state)
{
	static const struct {
		const char *why;
		size_t n_first; /* bytes of what the visitor has sent */
		const char *more, *ip;
		bool passed; /* the proxy's word reaches the target */
	} cases[] = {
		{"it just fits", REWRITE_CHAIN_MAX - 14, "198.51.100.1", "198.51.100.1", true},
		{"the visitor's part is dropped", REWRITE_CHAIN_MAX - 13, "198.51.100.1",
		 "198.51.100.1", true},
		{"it is too long alone", 2 * REWRITE_CHAIN_MAX, "198.51.100.1", "198.51.100.1",
		 true},
		{"nothing is left of it", 2 * REWRITE_CHAIN_MAX, NULL, "", false},
		{"and nothing but proxies", 2 * REWRITE_CHAIN_MAX, "10.0.0.1", "", true},
	};
	struct cidr proxies[2];

	assert_int_equal(cidr_parse(STR("10.0.0.0/8"), &proxies[0]), 0);
	assert_int_equal(cidr_parse(STR("192.0.2.7"), &proxies[1]), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rewrite_from from = {.peer = &peer, .trusted = true, .mark = "m"};
		char fields[3 * REWRITE_CHAIN_MAX], want[64];
		struct buf out = {0};
		struct visit_end got;
		struct asked *a;
		char *text;
		size_t n;

		print_message("# %s\n", cases[i].why);
		n = str_printf(fields, sizeof fields, "X-Forwarded-For: ");
		for (size_t k = 0; k < cases[i].n_first; k += 5)
			memcpy(fields + n + k, "9::9,", 5);
		n += cases[i].n_first;
		fields[n - 1] = '9';
		n += str_printf(fields + n, sizeof fields - n, "\r\n");
		if (cases[i].more != NULL)
			str_printf(fields + n, sizeof fields - n, "X-Forwarded-For: %s\r\n",
				   cases[i].more);
		a = ask(fields);
		rewrite_visitor(&a->req.head, &from, proxies, 2, &got);
		assert_string_equal(got.ip, cases[i].ip);
		assert_int_equal(rewrite_request(&out, &a->req, &from, NULL), 0);
		text = head_text(&out);
		str_printf(want, sizeof want, "%s, 192.0.2.7\r\n",
			   cases[i].more != NULL ? cases[i].more : "");
		assert_int_equal(strstr(text, want) != NULL, cases[i].passed);
		free(text);
		free(a);
	}
}

static void test_the_question_to_a_hook(void **state)
{
	static const char fields[] =
		"Cookie: s=1\r\nAuthorization: Bearer t\r\nUser-Agent: curl\r\nAccept: "
		"text/html\r\n"
		"Connection: Upgrade, X-Hop\r\nX-Hop: no\r\nUpgrade: websocket\r\n"
		"Content-Length: 5\r\nExpect: 100-continue\r\nRange: bytes=1-2\r\nIf-None-Match: "
		"no\r\n"
		"if-modified-since: no\r\nAccept-Encoding: gzip\r\nX-Original-Method: no\r\n"
		"X_Original_URL: no\r\nX-Forwarded-Uri: no\r\nX-Forwarded-For: no\r\n"
		"X-Karez-Tunnel: no\r\nRemote-User: no\r\nX-Auth-User: no\r\n";
	static const char *const there[] = {
		"GET /check HTTP/1.1\r\nHost: auth.example:8080\r\n",
		"\r\nCookie: s=1\r\n",
		"\r\nAuthorization: Bearer t\r\n",
		"\r\nUser-Agent: curl\r\n",
		"\r\nAccept: text/html\r\n",
		"\r\nX-Original-Method: GET\r\n",
		"\r\nX-Original-URL: https://demo.example/p?q=1\r\n",
		"\r\nX-Forwarded-Method: GET\r\n",
		"\r\nX-Forwarded-Uri: /p?q=1\r\n",
		"\r\nX-Karez-Tunnel: demo\r\n",
		"\r\nX-Forwarded-For: 192.0.2.7\r\n",
		"\r\nx-forwarded-proto: https\r\n",
		"\r\nx-forwarded-host: demo.example\r\n",
		"\r\nCDN-Loop: m\r\n",
	};
	static const char *const gone[] = {": no\r\n",	   "Upgrade",	       "Content-Length",
					   "100-continue", "bytes=1-2",	       "gzip",
					   "Connection",   "Transfer-Encoding"};
	struct rewrite_from from = {.peer = &peer, .tls = true, .mark = "m"};
	struct rewrite_question q = {.tunnel = "demo"};
	struct asked *a = ask(fields);
	struct buf out = {0};
	struct url hook;
	char *text;

	assert_int_equal(url_parse(STR("http://auth.example:8080/check"), &hook, NULL), 0);
	q.hook = &hook;
	assert_int_equal(rewrite_ask(&out, &a->req, &from, &q), 0);
	text = head_text(&out);
	for (size_t i = 0; i < ARRAY_LEN(there); i++)
		expect_in(text, there[i]);
	for (size_t i = 0; i < ARRAY_LEN(gone); i++)
		expect_not_in(text, gone[i]);
	free(text);
	q.drop_authorization = true;
	assert_int_equal(rewrite_ask(&out, &a->req, &from, &q), 0);
	text = head_text(&out);
	expect_not_in(text, "Bearer");
	free(text);
	free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header_policy),
		cmocka_unit_test(test_a_head_that_grows_fits),
		cmocka_unit_test(test_edits),
		cmocka_unit_test(test_all_edits_fit),
		cmocka_unit_test(test_what_rights_take_away_and_add),
		cmocka_unit_test(test_names_of_identity),
		cmocka_unit_test(test_where_the_visitor_is),
		cmocka_unit_test(test_long_chains),
		cmocka_unit_test(test_the_question_to_a_hook),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
