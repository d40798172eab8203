/* Every way in which a request is refused: by its path, method, credential, query, body, version.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "unit/api/api_rig.h"

static void start(struct api_rig *r)
{
	api_rig_new(r, CORE_OPEN);
}

/* ---- refusals ---- */

static const struct {
	const char *why;
	enum api_asker_kind who;
	const char *what, *extra, *body;
	unsigned status;
	const char *code, *field;
} refusals[] = {
	{"no such path", USER, "GET /v1/nothing", "", NULL, 404, "NOTFOUND", ""},
	{"a path that ends too early", USER, "GET /v1/tunnels/a/", "", NULL, 404, "NOTFOUND", ""},
	{"an empty name", USER, "GET /v1/tunnels/", "", NULL, 404, "NOTFOUND", ""},
	{"no such method", USER, "PATCH /v1/tunnels", "", "{}", 405, "UNSUPPORTED", ""},
	{"a method of nobody", USER, "BREW /v1/tunnels", "", NULL, 405, "UNSUPPORTED", ""},
	{"a bad escape in the path", USER, "GET /v1/tunnels/%zz", "", NULL, 400, "INVAL", ""},
	{"a NUL in the path", USER, "GET /v1/tunnels/%00", "", NULL, 400, "INVAL", ""},

	{"no credential", NOBODY, "GET /v1/account", "", NULL, 401, "AUTH", ""},
	{"an unknown one", STRANGER, "GET /v1/account", "", NULL, 401, "AUTH", ""},
	{"an unknown one where none is needed", STRANGER, "POST /v1/account", "", NULL, 401, "AUTH",
	 ""},
	{"two", USER, "GET /v1/account", "Authorization: Bearer x\r\n", NULL, 401, "AUTH", ""},
	{"another scheme", NOBODY, "GET /v1/account", "Authorization: Basic eDp5\r\n", NULL, 401,
	 "AUTH", ""},
	{"an empty one", NOBODY, "GET /v1/account", "Authorization: Bearer\r\n", NULL, 401, "AUTH",
	 ""},
	{"not an administrator", USER, "GET /v1/admin/node", "", NULL, 403, "DENIED", ""},
	{"nor of the nodes", USER, "GET /v1/admin/nodes", "", NULL, 403, "DENIED", ""},
	{"not an administrator, of the rest", USER, "GET /v1/admin/accounts", "", NULL, 403,
	 "DENIED", ""},

	{"an unknown parameter", USER, "GET /v1/tunnels?limt=5", "", NULL, 400, "INVAL", "limt"},
	{"one of another route", USER, "GET /v1/account?limit=5", "", NULL, 400, "INVAL", "limit"},
	{"one twice", USER, "GET /v1/tunnels?limit=5&limit=5", "", NULL, 400, "INVAL", "limit"},
	{"a page of nothing", USER, "GET /v1/tunnels?limit=0", "", NULL, 400, "INVAL", "limit"},
	{"too large a page", USER, "GET /v1/tunnels?limit=101", "", NULL, 400, "INVAL", "limit"},
	{"no number", USER, "GET /v1/tunnels?limit=x", "", NULL, 400, "INVAL", "limit"},
	{"no cursor", USER, "GET /v1/tunnels?cursor=%21", "", NULL, 400, "INVAL", "cursor"},
	{"an empty cursor", USER, "GET /v1/tunnels?cursor=", "", NULL, 400, "INVAL", "cursor"},
	{"a bad escape in the query", USER, "GET /v1/tunnels?cursor=%x", "", NULL, 400, "INVAL",
	 ""},
	{"a line end in a reason", USER, "DELETE /v1/tunnels/a/sessions/1?reason=a%0Ab", "", NULL,
	 400, "INVAL", "reason"},

	{"no body", USER, "PUT /v1/tunnels/a", "", NULL, 400, "INVAL", ""},
	{"no body where a member is needed", USER, "POST /v1/credentials", "", NULL, 400, "INVAL",
	 ""},
	{"not JSON", USER, "PUT /v1/tunnels/a", "", "{", 400, "PROTO", ""},
	{"a list", USER, "PUT /v1/tunnels/a", "", "[]", 400, "INVAL", ""},
	{"a member twice", USER, "PUT /v1/tunnels/a", "", "{\"kind\":\"http\",\"kind\":\"http\"}",
	 400, "PROTO", ""},
	{"an unknown member", USER, "PUT /v1/tunnels/a", "", "{\"targt\":1}", 400, "INVAL",
	 "targt"},
	{"one further down", USER, "PUT /v1/tunnels/a", "", "{\"ingress\":{\"http\":{\"x\":1}}}",
	 400, "INVAL", "ingress.http.x"},
	{"one where none is known", USER, "POST /v1/account/number", "", "{\"x\":1}", 400, "INVAL",
	 "x"},
	{"another kind", USER, "PUT /v1/tunnels/a", "", "{\"kind\":\"udp\"}", 400, "INVAL", "kind"},
	{"a kind that is not there yet", USER, "PUT /v1/tunnels/a", "", "{\"kind\":\"tcp\"}", 501,
	 "UNSUPPORTED", "kind"},
	{"exposr's other ingress means a kind, too", USER, "PUT /v1/tunnels/a", "",
	 "{\"ingress\":{\"sni\":{\"enabled\":true}}}", 501, "UNSUPPORTED", "kind"},
	{"but not two kinds at once", USER, "PUT /v1/tunnels/a", "",
	 "{\"ingress\":{\"http\":{\"enabled\":true},\"sni\":{\"enabled\":true}}}", 400, "INVAL",
	 "ingress.sni.enabled"},
	{"nor another one", USER, "PUT /v1/tunnels/a", "",
	 "{\"kind\":\"http\",\"ingress\":{\"sni\":{\"enabled\":true}}}", 400, "INVAL",
	 "ingress.sni.enabled"},
	{"domains by both names, and not the same", USER, "PUT /v1/tunnels/a", "",
	 "{\"domains\":[\"a.example\"],\"ingress\":{\"http\":{\"alt_names\":[]}}}", 400, "INVAL",
	 "domains"},
	{"a port that is none", USER, "PUT /v1/tunnels/a", "",
	 "{\"ingress\":{\"tcp\":{\"port\":65536}}}", 400, "INVAL", "ingress.tcp.port"},
	{"a mode of TLS that is none", USER, "PUT /v1/tunnels/a", "",
	 "{\"ingress\":{\"tls\":{\"mode\":\"on\"}}}", 400, "INVAL", "ingress.tls.mode"},
	{"a version that is none", USER, "PUT /v1/tunnels/a", "",
	 "{\"target\":{\"proxy_protocol\":\"v3\"}}", 400, "INVAL", "target.proxy_protocol"},
	{"a day and a second", USER, "PUT /v1/tunnels/a", "", "{\"transport\":{\"drain\":86401}}",
	 400, "INVAL", "transport.drain"},
	{"ports of an account upside down", ADMIN, "PATCH /v1/admin/accounts/x", "",
	 "{\"ports\":[\"443\",\"20-10\"]}", 400, "INVAL", "ports.1"},
	{"a list without its member", USER, "PUT /v1/tunnels", "", "{}", 400, "INVAL", "tunnels"},
	{"an entry of a list", USER, "PUT /v1/tunnels", "",
	 "{\"tunnels\":[{},{\"target\":{\"url\":\"http://\"}}]}", 400, "INVAL",
	 "tunnels.1.target.url"},
	{"an account where there is only one's own", USER, "PUT /v1/tunnels", "",
	 "{\"tunnels\":[{\"account\":\"x\"}]}", 400, "INVAL", "tunnels.0.account"},
	{"perhaps a dry run", USER, "PUT /v1/tunnels?dry_run=1", "", "{\"tunnels\":[]}", 400,
	 "INVAL", "dry_run"},
	{"everybody's list", USER, "PUT /v1/admin/tunnels", "", "{\"tunnels\":[]}", 403, "DENIED",
	 ""},
	{"everybody's agents", USER, "GET /v1/admin/agents", "", NULL, 403, "DENIED", ""},
	{"both on and off", USER, "PUT /v1/tunnels/a", "",
	 "{\"enabled\":true,\"ingress\":{\"http\":{\"enabled\":false}}}", 400, "INVAL",
	 "ingress.http.enabled"},
	{"another name than the path's", USER, "PUT /v1/tunnels/a", "", "{\"name\":\"b\"}", 400,
	 "INVAL", "name"},
	{"another id", USER, "PATCH /v1/tunnels/a", "", "{\"id\":\"b\"}", 400, "INVAL", "id"},
	{"no name at all", USER, "PUT /v1/tunnels/a_b!", "", "{}", 400, "INVAL", "name"},
	{"a reserved name", USER, "PUT /v1/tunnels/www", "", "{}", 403, "RESERVED", "name"},
	{"a certificate of one's own", USER, "POST /v1/credentials", "",
	 "{\"type\":\"certificate\",\"subject\":\"agent7\"}", 403, "DENIED", "type"},
	{"no target", USER, "PUT /v1/tunnels/a", "", "{\"target\":{\"url\":\"http://\"}}", 400,
	 "INVAL", "target.url"},
	{"no block of addresses", USER, "PUT /v1/tunnels/a", "",
	 "{\"visitors\":{\"allow\":[\"10.0.0.0/8\",\"10.0.0.1/8\"]}}", 400, "INVAL",
	 "visitors.allow.1"},
	{"a user without a password", USER, "PUT /v1/tunnels/a", "",
	 "{\"visitors\":{\"basic\":[{\"user\":\"anna\"}]}}", 400, "INVAL", "visitors.basic"},
	{"a user without a name", USER, "PUT /v1/tunnels/a", "",
	 "{\"visitors\":{\"basic\":[{\"password\":\"x\"}]}}", 400, "INVAL",
	 "visitors.basic.0.user"},
	{"a user twice", USER, "PUT /v1/tunnels/a", "",
	 "{\"visitors\":{\"basic\":[{\"user\":\"a\",\"password\":\"x\"},"
	 "{\"user\":\"a\",\"password\":\"y\"}]}}",
	 400, "INVAL", "visitors.basic.1.user"},
	{"a colon in a user's name", USER, "PUT /v1/tunnels/a", "",
	 "{\"visitors\":{\"basic\":[{\"user\":\"a:b\",\"password\":\"x\"}]}}", 400, "INVAL",
	 "visitors.basic.0.user"},
	{"a short token", USER, "PUT /v1/tunnels/a", "",
	 "{\"visitors\":{\"bearer\":[\"0123456789abcde\"]}}", 400, "INVAL", "visitors.bearer.0"},
	{"tokens that nobody knows", USER, "POST /v1/tunnels", "", "{\"visitors\":{\"bearer\":2}}",
	 400, "INVAL", "visitors.bearer"},
	{"the same by PUT", USER, "PUT /v1/tunnels/a", "", "{\"visitors\":{\"bearer\":2}}", 400,
	 "INVAL", "visitors.bearer"},
	{"a field that is the server's", USER, "PUT /v1/tunnels/a", "",
	 "{\"headers\":{\"request_add\":[\"X-A: b\",\"Via: c\"]}}", 400, "INVAL",
	 "headers.request_add.1"},
	{"two ways to say Host", USER, "PUT /v1/tunnels/a", "",
	 "{\"headers\":{\"host\":\"a\",\"rewrite\":true}}", 400, "INVAL", "headers.host"},
	{"a password and its hash", USER, "PUT /v1/tunnels/a", "",
	 "{\"visitors\":{\"basic\":[{\"user\":\"a\",\"password\":\"b\",\"hash\":\"c\"}]}}", 400,
	 "INVAL", "visitors.basic.0.hash"},
	{"a hash that costs more", USER, "PUT /v1/tunnels/a", "",
	 "{\"visitors\":{\"basic\":[{\"user\":\"a\",\"hash\":\"$scrypt$ln=16,r=8,p=1$"
	 "AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}]}}",
	 400, "INVAL", "visitors.basic.0.hash"},
	{"a hook that is not allowed", USER, "PUT /v1/tunnels/a", "",
	 "{\"visitors\":{\"auth_url\":\"http://10.0.0.1/\"}}", 403, "DENIED", "visitors.auth_url"},
	{"a custom domain without a resolver", USER, "PUT /v1/tunnels/a", "",
	 "{\"ingress\":{\"http\":{\"alt_names\":[\"app.example.org\"]}}}", 501, "UNSUPPORTED",
	 "ingress.http.alt_names"},
	{"a type of credential", USER, "POST /v1/credentials", "", "{\"type\":\"number\"}", 400,
	 "INVAL", "type"},
	{"no type", USER, "POST /v1/credentials", "", "{\"name\":\"x\"}", 400, "INVAL", "type"},
	{"a key of a token", USER, "POST /v1/credentials", "", "{\"type\":\"token\",\"key\":\"x\"}",
	 400, "INVAL", "key"},
	{"no key", USER, "POST /v1/credentials", "", "{\"type\":\"ssh-key\"}", 400, "INVAL", "key"},
	{"a broken key", USER, "POST /v1/credentials", "",
	 "{\"type\":\"ssh-key\",\"key\":\"ssh-ed25519 AAAA\"}", 400, "INVAL", "key"},
	{"no subject", USER, "POST /v1/credentials", "", "{\"type\":\"certificate\"}", 400, "INVAL",
	 "subject"},
	{"a scope of no tunnel", USER, "POST /v1/credentials", "",
	 "{\"type\":\"token\",\"scope\":{\"tunnels\":[\"a b\"]}}", 400, "INVAL", "scope.tunnels.0"},
	{"ports upside down", USER, "POST /v1/credentials", "",
	 "{\"type\":\"token\",\"scope\":{\"ports\":[\"20-10\"]}}", 400, "INVAL", "scope.ports.0"},
	{"port 0", USER, "POST /v1/credentials", "",
	 "{\"type\":\"token\",\"scope\":{\"ports\":[\"0\"]}}", 400, "INVAL", "scope.ports.0"},
	{"no time", USER, "POST /v1/credentials", "",
	 "{\"type\":\"token\",\"scope\":{\"expires_at\":\"soon\"}}", 400, "INVAL",
	 "scope.expires_at"},
	{"more than its own account's name", USER, "PATCH /v1/account", "", "{\"admin\":true}", 400,
	 "INVAL", "admin"},
	{"disable what?", ADMIN, "PUT /v1/admin/account/x/disable", "", "{\"reason\":\"x\"}", 400,
	 "INVAL", "disable"},
	{"no uses", ADMIN, "POST /v1/admin/invitations", "", "{\"uses\":0}", 400, "INVAL", "uses"},

	{"no such tunnel", USER, "GET /v1/tunnels/nobodys", "", NULL, 404, "NOTFOUND", ""},
	{"no such tunnel to change", USER, "PATCH /v1/tunnels/nobodys", "", "{}", 404, "NOTFOUND",
	 ""},
	{"no such tunnel to delete", USER, "DELETE /v1/tunnels/nobodys", "", NULL, 404, "NOTFOUND",
	 ""},
	{"no such tunnel to disconnect", USER, "POST /v1/tunnels/nobodys/disconnect", "", NULL, 404,
	 "NOTFOUND", ""},
	{"no such session", USER, "DELETE /v1/tunnels/mine/sessions/77", "", NULL, 404, "NOTFOUND",
	 ""},
	{"session 0 is not all of them", USER, "DELETE /v1/tunnels/mine/sessions/0", "", NULL, 404,
	 "NOTFOUND", ""},
	{"no such credential", USER, "GET /v1/credentials/nobodys", "", NULL, 404, "NOTFOUND", ""},
	{"no such account", ADMIN, "GET /v1/admin/accounts/nobodys", "", NULL, 404, "NOTFOUND", ""},
	{"no such invitation", ADMIN, "DELETE /v1/admin/invitations/nobodys", "", NULL, 404,
	 "NOTFOUND", ""},
	{"somebody else's tunnel is not there", OTHER, "GET /v1/tunnels/mine", "", NULL, 404,
	 "NOTFOUND", ""},
	{"nor can it be changed", OTHER, "PATCH /v1/tunnels/mine", "", "{}", 404, "NOTFOUND", ""},
	{"nor deleted", OTHER, "DELETE /v1/tunnels/mine", "", NULL, 404, "NOTFOUND", ""},
	{"nor disconnected", OTHER, "POST /v1/tunnels/mine/disconnect", "", NULL, 404, "NOTFOUND",
	 ""},
	{"nor looked into", OTHER, "GET /v1/tunnels/mine/visitors", "", NULL, 404, "NOTFOUND", ""},
	{"its name is taken", OTHER, "PUT /v1/tunnels/mine", "", "{}", 409, "EXISTS", "name"},
	{"made twice", USER, "POST /v1/tunnels", "", "{\"name\":\"mine\"}", 409, "EXISTS", "name"},
	{"the register call for a taken name", OTHER, "GET /v1/open?name=mine", "", NULL, 409,
	 "EXISTS", "name"},

	{"another version to replace", USER, "PUT /v1/tunnels/mine", "If-Match: \"1\"\r\n", "{}",
	 412, "CONFLICT", ""},
	{"another version to change", USER, "PATCH /v1/tunnels/mine", "If-Match: \"1\"\r\n", "{}",
	 412, "CONFLICT", ""},
	{"another version to delete", USER, "DELETE /v1/tunnels/mine", "If-Match: \"1\"\r\n", NULL,
	 412, "CONFLICT", ""},
	{"another version of the account", USER, "PATCH /v1/account", "If-Match: \"1\"\r\n",
	 "{\"name\":\"x\"}", 412, "CONFLICT", ""},
	{"a weak tag matches nothing", USER, "DELETE /v1/tunnels/mine", "If-Match: W/\"1\"\r\n",
	 NULL, 412, "CONFLICT", ""},
	{"nor does any other text", USER, "PUT /v1/tunnels/new", "If-Match: \"x\"\r\n", "{}", 412,
	 "CONFLICT", ""},
	{"* wants one that is there", USER, "PUT /v1/tunnels/new", "If-Match: *\r\n", "{}", 412,
	 "NOTFOUND", ""},
	{"a new one only", USER, "PUT /v1/tunnels/mine", "If-None-Match: *\r\n", "{}", 412,
	 "EXISTS", "name"},
	{"several versions", USER, "DELETE /v1/tunnels/mine", "If-Match: \"1\", \"2\"\r\n", NULL,
	 400, "INVAL", "If-Match"},
	{"versions where there are none", USER, "POST /v1/tunnels", "If-Match: \"1\"\r\n", "{}",
	 400, "INVAL", "If-Match"},
	{"a new one where none is made", USER, "DELETE /v1/tunnels/mine", "If-None-Match: *\r\n",
	 NULL, 400, "INVAL", "If-None-Match"},
};

static void test_refusals(void **state)
{
	struct api_rig r;

	start(&r);
	assert_int_equal(api_rig_ask(&r, USER, "PUT /v1/tunnels/mine", "{}"), 201);
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		unsigned status = api_rig_ask_with(&r, refusals[i].who, refusals[i].what,
						   refusals[i].extra, refusals[i].body);

		if (status != refusals[i].status ||
		    strcmp(api_rig_text(&r, "code"), refusals[i].code) != 0 ||
		    strcmp(api_rig_text(&r, "field"), refusals[i].field) != 0)
			fail_msg("%s: %s: %u\n%s", refusals[i].why, refusals[i].what, status,
				 r.got);
		assert_string_equal(api_rig_text(&r, "error"), refusals[i].code);
		assert_true(strlen(api_rig_text(&r, "detail")) > 5);
		assert_string_equal(api_rig_field(&r, "X-Content-Type-Options"), "nosniff");
		assert_string_equal(api_rig_field(&r, "Cache-Control"), "no-store");
		if (status == 401)
			assert_string_equal(api_rig_field(&r, "WWW-Authenticate"), "Bearer");
	}
	/* none of them has changed anything */
	assert_int_equal(api_rig_ask(&r, USER, "GET /v1/tunnels", NULL), 200);
	assert_int_equal(api_rig_count(&r, "tunnels"), 1);
	assert_int_equal(api_rig_ask(&r, USER, "GET /v1/credentials", NULL), 200);
	api_rig_free(&r);
}

static void test_methods(void **state)
{
	struct api_rig r;

	start(&r);
	assert_int_equal(api_rig_ask(&r, NOBODY, "PATCH /v1/tunnels", "{}"), 405);
	assert_string_equal(api_rig_field(&r, "Allow"), "GET, HEAD, POST, PUT, OPTIONS");
	assert_int_equal(api_rig_ask(&r, NOBODY, "OPTIONS /v1/tunnels/x", NULL), 204);
	assert_string_equal(api_rig_field(&r, "Allow"), "GET, HEAD, PUT, PATCH, DELETE, OPTIONS");
	assert_int_equal(api_rig_ask(&r, USER, "HEAD /v1/account", NULL), 200);
	assert_null(r.body);
	assert_true(strlen(api_rig_field(&r, "ETag")) > 2);
	assert_int_equal(api_rig_ask(&r, USER, "GET /v1/connect", NULL), 418); /* the gateway's */
	api_rig_free(&r);
}

/* ---- bodies ---- */

static unsigned send_body(struct api_rig *r, const char *type, size_t pad)
{
	size_t cap = pad + 1024, n;
	char *request = must_calloc(1, cap);
	unsigned status;

	n = str_printf(request, cap,
		       "PUT /v1/tunnels/a HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
		       "%s\r\n%sContent-Length: %zu\r\n\r\n{",
		       r->token[USER], type, pad + 2);
	memset(request + n, ' ', pad);
	request[n + pad] = '}';
	status = api_rig_send(r, request, n + pad + 1);
	free(request);
	return status;
}

static void test_bodies(void **state)
{
	static const char json[] = "Content-Type: application/json\r\n";
	static const char chunked[] = "Transfer-Encoding: chunked\r\nContent-Type: "
				      "application/json; charset=utf-8\r\n\r\n"
				      "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n";
	char deep[2048] = "", extra[sizeof chunked + 8];
	struct api_rig r;

	start(&r);
	assert_int_equal(send_body(&r, "", 10), 415);
	assert_string_equal(api_rig_text(&r, "code"), "UNSUPPORTED");
	assert_int_equal(send_body(&r, "Content-Type: text/plain\r\n", 10), 415);
	assert_int_equal(send_body(&r, "Content-Type: APPLICATION/JSON ;x=y\r\n", 10), 201);
	assert_int_equal(send_body(&r, json, API_BODY_MAX - 2), 200);
	assert_int_equal(send_body(&r, json, API_BODY_MAX - 1), 413);
	assert_string_equal(api_rig_text(&r, "code"), "TOOBIG");
	str_printf(extra, sizeof extra, "%s", chunked);
	assert_int_equal(api_rig_ask_with(&r, USER, "PUT /v1/tunnels/a", extra, NULL), 200);
	for (int i = 0; i < 40; i++)
		strcat(deep, "{\"target\":");
	assert_int_equal(api_rig_ask(&r, USER, "PUT /v1/tunnels/a", deep), 400);
	assert_string_equal(api_rig_text(&r, "code"), "TOOBIG");
	/* a body that nobody asked for */
	assert_int_equal(api_rig_ask(&r, USER, "GET /v1/account", "{\"x\":1}"), 200);
	assert_int_equal(api_rig_ask(&r, USER, "DELETE /v1/tunnels/a", "not even JSON"), 204);
	/* one that never comes */
	assert_int_equal(api_rig_ask_with(&r, USER, "PUT /v1/tunnels/a",
					  "Content-Type: application/json\r\nContent-Length: 9\r\n",
					  NULL),
			 0);
	assert_int_equal(api_rig_wait(&r, 20000), 408);
	api_rig_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_methods),
		cmocka_unit_test(test_bodies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
