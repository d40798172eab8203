/* What threshold's automation asks and hears, and that a refused list has changed nothing. */
#include "unit/api/api_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "api/api_threshold.h"
#include "base/err.h"

/* ---- entries ---- */

#define TLS_PORT 8443

static const struct {
	const char *why, *entry;
	int e;
	const char *words; /* of a refusal */
	const char *back;  /* what is told about it; NULL: the same */
} entries[] = {
	{"of 2018",
	 "{\"ClientIdentifier\":\"TestClient1\",\"FrontEndListenPort\":9000,\"BackEndPort\":9001,"
	 "\"HaProxyProxyProtocol\":true}",
	 0, NULL, NULL},
	{"of 2020",
	 "{\"ClientIdentifier\":\"TestClient1\",\"ListenPort\":9000,\"ListenAddress\":\"127.0.0."
	 "1\","
	 "\"ListenHostnameGlob\":\"*\",\"BackEndService\":\"fooService\","
	 "\"HaProxyProxyProtocol\":true}",
	 0, NULL, NULL},
	{"of 2021",
	 "{\"ClientId\":\"t.TestClient1\",\"ListenPort\":9000,\"BackEndService\":\"fooService\"}",
	 0, NULL, NULL},
	{"all addresses",
	 "{\"ClientId\":\"a\",\"ListenPort\":9000,\"ListenAddress\":\"0.0.0.0\","
	 "\"BackEndService\":\"x\"}",
	 0, NULL, NULL},
	{"the same in IPv6",
	 "{\"ClientId\":\"a\",\"ListenPort\":9000,\"ListenAddress\":\"::\",\"BackEndService\":"
	 "\"x\"}",
	 0, NULL, NULL},
	{"an address in its usual form",
	 "{\"ClientId\":\"a\",\"ListenPort\":9000,\"ListenAddress\":\"0:0::1\","
	 "\"BackEndService\":\"x\"}",
	 0, NULL,
	 "{\"ClientId\":\"a\",\"ListenPort\":9000,\"ListenAddress\":\"::1\","
	 "\"BackEndService\":\"x\"}"},
	{"a name",
	 "{\"ClientId\":\"a\",\"ListenPort\":8443,\"ListenHostnameGlob\":\"*.a.example\","
	 "\"BackEndService\":\"x\",\"HaProxyProxyProtocol\":false}",
	 0, NULL, NULL},
	{"no service is called after the port", "{\"ClientId\":\"a\",\"ListenPort\":9000}", 0, NULL,
	 NULL},
	{"a port as a text", "{\"ClientId\":\"a\",\"ListenPort\":9000,\"BackEndPort\":\"9001\"}", 0,
	 NULL, "{\"ClientId\":\"a\",\"ListenPort\":9000,\"BackEndPort\":9001}"},
	{"null is not there",
	 "{\"ClientId\":\"a\",\"ListenPort\":9000,\"BackEndService\":\"x\",\"ListenAddress\":null}",
	 0, NULL, "{\"ClientId\":\"a\",\"ListenPort\":9000,\"BackEndService\":\"x\"}"},

	{"a word", "\"x\"", ERR_PROTO, "", NULL},
	{"a text for a port", "{\"ClientId\":\"a\",\"ListenPort\":\"9000\"}", ERR_PROTO, "", NULL},
	{"a number for a client", "{\"ClientId\":1,\"ListenPort\":9000}", ERR_PROTO, "", NULL},
	{"a text for a flag",
	 "{\"ClientId\":\"a\",\"ListenPort\":9000,\"HaProxyProxyProtocol\":\"yes\"}", ERR_PROTO, "",
	 NULL},
	{"a number for a service", "{\"ClientId\":\"a\",\"ListenPort\":9,\"BackEndService\":9}",
	 ERR_PROTO, "", NULL},
	{"no client", "{\"ListenPort\":9000}", ERR_NOTFOUND, "Client  Not Found", NULL},
	{"no port", "{\"ClientId\":\"a\"}", ERR_INVAL,
	 "Bad Request: ListenPort must be a port from 1 to 65535.", NULL},
	{"port 0", "{\"ClientId\":\"a\",\"ListenPort\":0}", ERR_INVAL,
	 "Bad Request: ListenPort must be a port from 1 to 65535.", NULL},
	{"a greater one", "{\"ClientId\":\"a\",\"ListenPort\":65536}", ERR_INVAL,
	 "Bad Request: ListenPort must be a port from 1 to 65535.", NULL},
	{"a service's port that is none",
	 "{\"ClientId\":\"a\",\"ListenPort\":9000,\"BackEndPort\":0}", ERR_INVAL,
	 "Bad Request: BackEndPort must be a port from 1 to 65535.", NULL},
	{"no address", "{\"ClientId\":\"a\",\"ListenPort\":9000,\"ListenAddress\":\"asdf\"}",
	 ERR_INVAL, "Bad Request: \"asdf\" is not an IP address.", NULL},
	{"a name on a port without TLS",
	 "{\"ClientId\":\"a\",\"ListenPort\":9000,\"ListenHostnameGlob\":\"a.example\"}", ERR_INVAL,
	 "Bad Request: names are read from TLS on port 8443, not on port 9000.", NULL},
	{"a slip", "{\"ClientId\":\"a\",\"ListenPort\":9000,\"ListenHostname\":\"a.example\"}",
	 ERR_INVAL, "Bad Request: \"ListenHostname\" is not a member of a tunnel.", NULL},
	{"no name at all", "{\"ClientId\":\"a\",\"ListenPort\":9000,\"\":\"127.0.0.1\"}", ERR_INVAL,
	 "Bad Request: \"\" is not a member of a tunnel.", NULL},
	{"the same twice", "{\"ClientId\":\"a\",\"ClientIdentifier\":\"b\",\"ListenPort\":9000}",
	 ERR_INVAL,
	 "Bad Request: \"ClientId\" and \"ClientIdentifier\" are the same; leave one of the two "
	 "out.",
	 NULL},
};

static void check_back(size_t i, const struct api_threshold_entry *x, const struct json *entry)
{
	const char *want = entries[i].back != NULL ? entries[i].back : entries[i].entry;
	struct json *list = NULL;
	struct buf text = {0};
	char all[1024];

	assert_int_equal(json_new_list(&list), 0);
	assert_int_equal(api_threshold_write(&x->to, TLS_PORT, entry, list), 0);
	assert_int_equal(json_write(list, 4096, &text), 0);
	str_printf(all, sizeof all, "[%s]", want);
	if (!str_eq(buf_str(&text), str_of(all)))
		fail_msg("%s: " STR_FMT, entries[i].why, STR_ARG(buf_str(&text)));
	buf_free(&text);
	json_free(list);
}

static void test_entries(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
		char words[API_THRESHOLD_WORDS] = "", text[1024];
		struct api_threshold_entry x;
		struct json *list = NULL;
		int e;

		str_printf(text, sizeof text, "[%s]", entries[i].entry);
		assert_int_equal(json_parse(str_of(text), sizeof text, &list), 0);
		e = api_threshold_read(json_at(list, 0), TLS_PORT, &x, words);
		if (e != entries[i].e || (e != 0 && strcmp(words, entries[i].words) != 0))
			fail_msg("%s: %d %s", entries[i].why, e, words);
		if (e == 0)
			check_back(i, &x, json_at(list, 0));
		json_free(list);
	}
}

/* What an entry is here. */
static void test_records(void **state)
{
	static const char text[] =
		"[{\"ClientId\":\"a\",\"ListenPort\":9000,\"ListenAddress\":\"::1\","
		"\"BackEndPort\":22,"
		"\"HaProxyProxyProtocol\":true},{\"ClientId\":\"b\",\"ListenPort\":8443,"
		"\"ListenHostnameGlob\":\"*.a.example\",\"ListenAddress\":\"::1\","
		"\"BackEndService\":\"web\"}]";
	char words[API_THRESHOLD_WORDS];
	struct api_threshold_entry x;
	struct json *list = NULL;

	assert_int_equal(json_parse(str_of(text), sizeof text, &list), 0);
	assert_int_equal(api_threshold_read(json_at(list, 0), TLS_PORT, &x, words), 0);
	assert_int_equal(x.to.kind, TUNNEL_TCP);
	assert_int_equal(x.to.port, 9000);
	assert_string_equal(x.to.bind, "::1");
	assert_string_equal(x.to.service, "port22");
	assert_string_equal(x.to.agents[0], "a");
	assert_int_equal(x.to.n_agents, 1);
	assert_int_equal(x.to.proxy, TUNNEL_PROXY_V1);
	assert_true(x.to.enabled);
	assert_int_equal(api_threshold_read(json_at(list, 1), TLS_PORT, &x, words), 0);
	assert_int_equal(x.to.kind, TUNNEL_TLS);
	assert_int_equal(x.to.tls, TUNNEL_TLS_PASS);
	assert_int_equal(x.to.port, 0);
	assert_string_equal(x.to.bind, "");
	assert_string_equal(x.to.alt_names[0], "*.a.example");
	assert_int_equal(x.to.proxy, TUNNEL_PROXY_NONE);
	assert_int_equal(api_threshold_read(json_at(list, 1), 0, &x, words), ERR_INVAL);
	assert_non_null(strstr(words, "no listener that reads TLS"));
	json_free(list);
}

/* ---- calls ---- */

static const char *said(struct api_rig *r)
{
	const char *end = strstr(r->got, "\r\n\r\n");

	return end == NULL ? "" : end + 4;
}

static void start(struct api_rig *r, struct fake *f)
{
	struct core_agent agent = {.id = "TestClient1", .epoch = 1};

	api_rig_new_with_ports(r);
	r->manage = true;
	fake_join(f, &r->core, &r->who[USER], &agent);
}

static void test_paths(void **state)
{
	static const struct {
		const char *why;
		enum api_asker_kind who;
		const char *what;
		unsigned status;
		const char *body, *allow;
	} cases[] = {
		{"is it up", NOBODY, "GET /ping", 200, "pong", ""},
		{"not by POST", USER, "POST /ping", 405, "405 Method Not Allowed, see Allow",
		 "GET, HEAD"},
		{"no list of clients is made", USER, "PUT /clients", 405,
		 "405 Method Not Allowed, see Allow", "GET, HEAD"},
		{"the list is not deleted", USER, "DELETE /tunnels", 405,
		 "405 Method Not Allowed, see Allow", "GET, HEAD, PUT"},
		{"nothing else is here", USER, "GET /client", 404,
		 "404 Not Found, try /clients, /tunnels or /ping, or the API below /v1", ""},
		{"nor what exposr's programs ask", USER, "GET /health", 404,
		 "404 Not Found, try /clients, /tunnels or /ping, or the API below /v1", ""},
		{"no tunnels", USER, "GET /tunnels", 200, "[]", ""},
	};
	struct api_rig r;
	struct fake f;

	start(&r, &f);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (api_rig_ask(&r, cases[i].who, cases[i].what, NULL) != cases[i].status ||
		    strcmp(said(&r), cases[i].body) != 0 ||
		    strcmp(api_rig_field(&r, "Allow"), cases[i].allow) != 0)
			fail_msg("%s: %s", cases[i].why, r.got);
	}
	assert_int_equal(api_rig_ask(&r, NOBODY, "GET /clients", NULL), 401);
	assert_string_equal(api_rig_field(&r, "Content-Type"), "text/plain; charset=utf-8");
	assert_string_equal(api_rig_field(&r, "WWW-Authenticate"), "Bearer");
	assert_int_equal(api_rig_ask(&r, USER, "GET /v1/tunnels", NULL), 200);
	assert_int_equal(api_rig_ask(&r, USER, "GET /v1/nothing", NULL), 404);
	assert_string_equal(api_rig_text(&r, "code"), "NOTFOUND"); /* as elsewhere */
	assert_int_equal(api_rig_ask(&r, USER, "GET /ping", NULL), 200);
	fake_leave(&f);
	api_rig_free(&r);
}

static void test_clients(void **state)
{
	struct core_agent agent = {.id = "TestClient1", .epoch = 2};
	struct api_rig r;
	struct fake f;

	start(&r, &f);
	assert_int_equal(api_rig_ask(&r, USER, "GET /clients", NULL), 200);
	assert_string_equal(said(&r), "{\"TestClient1\":{\"CurrentState\":\"ClientConnected\","
				      "\"LastState\":\"ClientUnknown\"}}");
	assert_int_equal(api_rig_ask(&r, OTHER, "GET /clients", NULL), 200);
	assert_string_equal(said(&r), "{}");
	fake_leave(&f);
	assert_int_equal(api_rig_ask(&r, USER, "GET /clients", NULL), 200);
	assert_string_equal(said(&r), "{\"TestClient1\":{\"CurrentState\":\"ClientDisconnected\","
				      "\"LastState\":\"ClientConnected\"}}");
	fake_join(&f, &r.core, &r.who[USER], &agent);
	assert_int_equal(api_rig_ask(&r, USER, "GET /clients", NULL), 200);
	assert_string_equal(said(&r), "{\"TestClient1\":{\"CurrentState\":\"ClientConnected\","
				      "\"LastState\":\"ClientDisconnected\"}}");
	fake_leave(&f);
	api_rig_free(&r);
}

/* Member names as they were used; GET uses those of 2021. */
static void test_put(void **state)
{
	static const char list[] =
		"[{\"ClientId\":\"TestClient1\",\"ListenPort\":9000,\"BackEndService\":"
		"\"fooService\","
		"\"HaProxyProxyProtocol\":true},{\"ClientIdentifier\":\"TestClient1\","
		"\"ListenPort\":8443,\"ListenHostnameGlob\":\"*.a.example\",\"BackEndPort\":443}]";
	struct api_rig r;
	struct fake f;
	char *was, *now;

	start(&r, &f);
	assert_int_equal(api_rig_ask(&r, USER, "PUT /v1/tunnels/web", "{}"), 201);
	assert_int_equal(api_rig_ask(&r, USER, "PUT /tunnels", list), 200);
	assert_string_equal(said(&r), list);
	assert_string_equal(api_rig_field(&r, "Content-Type"), "application/json");
	assert_int_equal(api_rig_ask(&r, USER, "GET /tunnels", NULL), 200);
	assert_non_null(strstr(said(&r), "{\"ClientId\":\"TestClient1\",\"ListenPort\":9000,"
					 "\"BackEndService\":\"fooService\","
					 "\"HaProxyProxyProtocol\":true}"));
	assert_non_null(
		strstr(said(&r),
		       "{\"ClientId\":\"TestClient1\",\"ListenPort\":8443,"
		       "\"ListenHostnameGlob\":\"*.a.example\",\"BackEndService\":\"port443\","
		       "\"HaProxyProxyProtocol\":false}"));
	assert_int_equal(r.n_ports, 1);
	/* the same once more changes no record, and http tunnels are not in it */
	assert_int_equal(api_rig_ask(&r, USER, "GET /v1/tunnels", NULL), 200);
	assert_int_equal(api_rig_count(&r, "tunnels"), 3);
	was = str_dup(str_of(said(&r)));
	assert_int_equal(api_rig_ask(&r, USER, "PUT /tunnels", list), 200);
	assert_int_equal(api_rig_ask(&r, USER, "GET /v1/tunnels", NULL), 200);
	now = str_dup(str_of(said(&r)));
	assert_string_equal(was, now);
	/* what was told can be given back */
	assert_int_equal(api_rig_ask(&r, USER, "GET /tunnels", NULL), 200);
	free(was);
	was = str_dup(str_of(said(&r)));
	assert_int_equal(api_rig_ask(&r, USER, "PUT /tunnels", was), 200);
	assert_int_equal(api_rig_ask(&r, USER, "GET /v1/tunnels", NULL), 200);
	assert_string_equal(said(&r), now);
	assert_int_equal(api_rig_ask(&r, USER, "PUT /tunnels", "[]"), 200);
	assert_string_equal(said(&r), "[]");
	assert_int_equal(r.n_ports, 0);
	assert_int_equal(api_rig_ask(&r, USER, "GET /v1/tunnels/web", NULL), 200);
	free(was);
	free(now);
	fake_leave(&f);
	api_rig_free(&r);
}

#define ENTRY(client, port, more)                                                  \
	"{\"ClientId\":\"" client "\",\"ListenPort\":" port ",\"BackEndService\":" \
	"\"fooService\"" more "}"

static void test_refused(void **state)
{
	static const struct {
		const char *why, *type, *body;
		unsigned status;
		const char *words;
	} cases[] = {
		{"not JSON by its name", "text/plain", "[]", 415,
		 "415 Unsupported Media Type: Content-Type must be application/json"},
		{"not JSON", "application/json", "[{", 422,
		 "422 Unprocessable Entity: Can't Parse JSON"},
		{"an object", "application/json", "{}", 422,
		 "422 Unprocessable Entity: Can't Parse JSON"},
		{"nothing", "application/json", "", 422,
		 "422 Unprocessable Entity: Can't Parse JSON"},
		{"another type", "application/json", "[{\"ClientId\":[]}]", 422,
		 "422 Unprocessable Entity: Can't Parse JSON"},
		{"a client that was never here", "application/json",
		 "[" ENTRY("TestClient1", "9001", "") "," ENTRY("X", "9002", "") "]", 404,
		 "Client X Not Found"},
		{"a client that cannot be", "application/json", "[" ENTRY("a b", "9001", "") "]",
		 404, "Client a b Not Found"},
		{"an address that is none", "application/json",
		 "[" ENTRY("TestClient1", "9001", ",\"ListenAddress\":\"x\"") "]", 400,
		 "Bad Request: \"x\" is not an IP address."},
		{"a port that another program has", "application/json",
		 "[" ENTRY("TestClient1", "9001", "") "," ENTRY("TestClient1", "9999", "") "]", 409,
		 "Port Conflict Port 9999 already in use"},
		{"a port that somebody else's tunnel has", "application/json",
		 "[" ENTRY("TestClient1", "9100", "") "]", 409,
		 "Port Conflict Port 9100 already in use"},
		{"a port twice", "application/json",
		 "[" ENTRY("TestClient1", "9001", "") "," ENTRY("TestClient1", "9001", "") "]", 409,
		 "Port Conflict Port 9001 already in use"},
	};
	struct api_rig r;
	struct fake f;
	char *was, *now;

	start(&r, &f);
	assert_int_equal(api_rig_ask(&r, OTHER, "PUT /v1/tunnels/theirs",
				     "{\"kind\":\"tcp\",\"ingress\":{\"tcp\":{\"port\":9100}}}"),
			 201);
	assert_int_equal(api_rig_ask(&r, USER, "PUT /tunnels",
				     "[" ENTRY("TestClient1", "9000", "") "]"),
			 200);
	assert_int_equal(api_rig_ask(&r, USER, "GET /v1/tunnels", NULL), 200);
	was = str_dup(str_of(said(&r)));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char request[1024];
		size_t n = str_printf(request, sizeof request,
				      "PUT /tunnels HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
				      "%s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s",
				      r.token[USER], cases[i].type, strlen(cases[i].body),
				      cases[i].body);

		if (api_rig_send(&r, request, n) != cases[i].status ||
		    strcmp(said(&r), cases[i].words) != 0)
			fail_msg("%s: %s", cases[i].why, r.got);
		assert_string_equal(api_rig_field(&r, "Content-Type"), "text/plain; charset=utf-8");
		assert_int_equal(api_rig_ask(&r, USER, "GET /v1/tunnels", NULL), 200);
		now = str_dup(str_of(said(&r)));
		assert_string_equal(now, was);
		free(now);
		assert_int_equal(r.n_ports, 2);
	}
	free(was);
	fake_leave(&f);
	api_rig_free(&r);
}

/* More tunnels than one page. */
static void test_pages(void **state)
{
	struct buf list = {0};
	struct api_rig r;
	struct fake f;
	char request[256];
	size_t n;

	start(&r, &f);
	str_printf(request, sizeof request, "PATCH /v1/admin/accounts/%s", r.who[USER].account);
	assert_int_equal(api_rig_ask(&r, ADMIN, request, "{\"quota\":{\"tunnels\":500}}"), 200);
	for (int i = 0; i < 120; i++)
		assert_int_equal(buf_printf(&list, 1 << 20, "%s" ENTRY("TestClient1", "%d", ""),
					    i == 0 ? "[" : ",", 3000 + i),
				 0);
	assert_int_equal(buf_add(&list, "]", 1, 1 << 20), 0);
	n = str_printf(request, sizeof request,
		       "PUT /tunnels HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
		       "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
		       r.token[USER], list.len);
	{
		struct buf all = {0};

		assert_int_equal(buf_add(&all, request, n, 1 << 20), 0);
		assert_int_equal(buf_add(&all, buf_str(&list).p, list.len, 1 << 20), 0);
		(void)api_rig_send(&r, buf_str(&all).p, all.len);
		if (api_rig_wait(&r, 1000) != 200)
			fail_msg("%s", r.got);
		buf_free(&all);
	}
	assert_true(str_eq(str_of(said(&r)), buf_str(&list)));
	assert_int_equal(r.n_ports, 120);
	assert_int_equal(api_rig_ask(&r, USER, "GET /tunnels", NULL), 200);
	assert_int_equal(json_count(r.body), 120);
	buf_free(&list);
	fake_leave(&f);
	api_rig_free(&r);
}

/* Wherever a call is when its connection ends, nothing of it stays. */
static void test_gone(void **state)
{
	struct api_rig r;
	struct fake f;

	start(&r, &f);
	r.core.judge = core_rig_hold_all;
	assert_int_equal(api_rig_ask(&r, USER, "GET /tunnels", NULL), 0);
	api_rig_hang_up(&r);
	assert_int_equal(api_rig_ask(&r, USER, "PUT /tunnels",
				     "[" ENTRY("TestClient1", "9000", "") "]"),
			 0);
	api_rig_hang_up(&r);
	assert_int_equal(api_rig_ask(&r, USER, "PUT /tunnels",
				     "[" ENTRY("TestClient1", "9000", "") "]"),
			 0);
	api_free(r.api);
	r.api = NULL;
	assert_int_equal(api_rig_wait(&r, 10), 503);
	assert_string_equal(said(&r), "the server is shutting down; try again");
	core_rig_release(&r.core);
	fake_leave(&f);
	api_rig_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries), cmocka_unit_test(test_records),
		cmocka_unit_test(test_paths),	cmocka_unit_test(test_clients),
		cmocka_unit_test(test_put),	cmocka_unit_test(test_refused),
		cmocka_unit_test(test_pages),	cmocka_unit_test(test_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
