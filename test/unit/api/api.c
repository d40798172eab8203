/* Every route once with success, and what versions, pages, stores and the end do to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_route.h"
#include "base/err.h"
#include "unit/api/api_rig.h"

static void start(struct api_rig *r)
{
	api_rig_new(r, CORE_OPEN);
}

/* ---- all routes succeed ---- */

/* "$N" in a path or body is what a row with keep N found under `member`. */
static const struct step {
	const char *why;
	enum api_asker_kind who;
	const char *what, *body;
	unsigned status;
	const char *member, *want; /* want NULL: anything; kept if keep is not 0 */
	unsigned keep;
} steps[] = {
	{"it is up", NOBODY, "GET /v1/health", NULL, 200, "status", "ok"},
	{"it is ready", NOBODY, "GET /v1/ready", NULL, 200, "status", "ready"},
	{"what it is", NOBODY, "GET /v1/version", NULL, 200, "registration", "open"},
	{"how SSH reaches it", NOBODY, "GET /v1/ssh", NULL, 200, "host_keys.1.fingerprint",
	 "SHA256:def"},
	{"exposr's probe", NOBODY, "GET /ping", NULL, 200},
	{"exposr's other probe", NOBODY, "GET /health", NULL, 200},
	{"the document", NOBODY, "GET /v1/openapi.json", NULL, 200, "openapi", "3.1.0"},

	{"a stranger makes an account", NOBODY, "POST /v1/account", NULL, 201, "id", NULL, 1},
	{"with a name", NOBODY, "POST /v1/account", "{\"name\":\"anna\"}", 201, "token"},
	{"one's own", USER, "GET /v1/account", NULL, 200, "id"},
	{"renamed", USER, "PATCH /v1/account", "{\"name\":\"tim\"}", 200, "name", "tim"},

	{"one's credentials", USER, "GET /v1/credentials", NULL, 200, "credentials.0.type"},
	{"a token", USER, "POST /v1/credentials",
	 "{\"type\":\"token\",\"name\":\"ci\",\"scope\":{\"tunnels\":[\"demo\",\"*.tim\"],"
	 "\"kinds\":[\"http\"],\"ports\":[\"2000-2010\",\"443\"],"
	 "\"expires_at\":\"2090-01-01T00:00:00Z\"}}",
	 201, "id", NULL, 2},
	{"it is there", USER, "GET /v1/credentials/$2", NULL, 200, "scope.ports.1", "443"},
	{"and its tunnels", USER, "GET /v1/credentials/$2", NULL, 200, "scope.tunnels.1", "*.tim"},
	{"and its time", USER, "GET /v1/credentials/$2", NULL, 200, "scope.expires_at",
	 "2090-01-01T00:00:00.000Z"},
	{"it is changed", USER, "PATCH /v1/credentials/$2", "{\"name\":\"cd\",\"scope\":{}}", 200,
	 "name", "cd"},
	{"the scope was replaced whole", USER, "GET /v1/credentials/$2", NULL, 200,
	 "scope.expires_at", ""},
	{"it is revoked", USER, "DELETE /v1/credentials/$2", NULL, 204},
	{"the one presented", USER, "GET /v1/credentials/self", NULL, 200, "type", "token"},
	{"a certificate's name", ADMIN, "POST /v1/admin/accounts/$1/credentials",
	 "{\"type\":\"certificate\",\"subject\":\"agent7\"}", 201, "type", "certificate"},

	{"a tunnel with a random name", USER, "POST /v1/tunnels", NULL, 201, "name", NULL, 3},
	{"it is there", USER, "GET /v1/tunnels/$3", NULL, 200, "id"},
	{"one with a name", USER, "POST /v1/tunnels", "{\"name\":\"Demo\"}", 201, "name", "demo"},
	{"one by PUT", USER, "PUT /v1/tunnels/one",
	 "{\"target\":{\"url\":\"http://127.0.0.1:3000\"},\"transport\":{\"policy\":\"failover\","
	 "\"max_connections\":3,\"ws\":{\"enabled\":true}},\"headers\":{\"rewrite\":true},"
	 "\"ingress\":{\"sni\":{\"enabled\":false}},"
	 "\"visitors\":{\"basic\":[{\"user\":\"anna\",\"password\":\"secret1\"}],"
	 "\"bearer\":[\"0123456789abcdef\"],\"allow\":[\"10.0.0.0/8\"],\"deny\":[\"10.1.0.0/"
	 "16\"]}}",
	 201, "transport.policy", "failover"},
	{"its URL", USER, "GET /v1/tunnels/one", NULL, 200, "ingress.http.url",
	 "http://one.localhost:8080"},
	{"where agents connect", USER, "GET /v1/tunnels/one", NULL, 200, "transport.connect_url",
	 "http://api.localhost:8080/v1/connect"},
	{"its visitors", USER, "GET /v1/tunnels/one", NULL, 200, "visitors.basic.0.user", "anna"},
	{"its target is patched", USER, "PATCH /v1/tunnels/one",
	 "{\"target\":{\"url\":\"http://127.0.0.1:4000\"}}", 200, "target.url",
	 "http://127.0.0.1:4000"},
	{"fields of its heads", USER, "PATCH /v1/tunnels/one",
	 "{\"headers\":{\"host\":\"a.local\",\"request_add\":[\"X-A:1\",\"X-B: "
	 "2\"],\"response_remove\":"
	 "[\"Server\"]}}",
	 200, "headers.request_add.0", "X-A: 1"},
	{"the other way to say Host is over", USER, "GET /v1/tunnels/one", NULL, 200,
	 "headers.host", "a.local"},
	{"a user whose hash is known", USER, "PATCH /v1/tunnels/one",
	 "{\"visitors\":{\"basic\":[{\"user\":\"bert\",\"hash\":\"$scrypt$ln=14,r=8,p=1$"
	 "AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}]}}",
	 200, "visitors.basic.0.user", "bert"},
	{"the rest stays", USER, "GET /v1/tunnels/one", NULL, 200, "visitors.allow.0",
	 "10.0.0.0/8"},
	{"one's tunnels", USER, "GET /v1/tunnels", NULL, 200, "tunnels.0.name"},
	{"nobody is connected", USER, "GET /v1/tunnels/one/sessions", NULL, 200, "sessions"},
	{"nobody visits", USER, "GET /v1/tunnels/one/visitors", NULL, 200, "visitors"},
	{"nobody to disconnect", USER, "POST /v1/tunnels/one/disconnect", NULL, 200},
	{"an administrator sees it", ADMIN, "GET /v1/admin/tunnels/one", NULL, 200, "name", "one"},
	{"and all", ADMIN, "GET /v1/admin/tunnels", NULL, 200, "tunnels.0.name"},
	{"and disconnects it", ADMIN, "POST /v1/admin/tunnels/one/disconnect",
	 "{\"reason\":\"maintenance\"}", 200},
	{"and deletes it", ADMIN, "DELETE /v1/admin/tunnels/one", NULL, 204},
	{"it is deleted", USER, "DELETE /v1/tunnels/demo", NULL, 204},

	{"one's agents", USER, "GET /v1/agents", NULL, 200, "agents"},
	{"everybody's agents", ADMIN, "GET /v1/admin/agents", NULL, 200, "agents"},
	{"the whole list", USER, "PUT /v1/tunnels?dry_run=false",
	 "{\"tunnels\":[{\"name\":\"first\",\"target\":{\"service\":\"web\"}}]}", 200,
	 "tunnels.0.target.service", "web"},
	{"everybody's whole list, as if", ADMIN, "PUT /v1/admin/tunnels?dry_run=true",
	 "{\"tunnels\":[]}", 200, "tunnels"},
	{"nothing has come of it", USER, "GET /v1/tunnels/first", NULL, 200, "name", "first"},
	{"exposr: made", USER, "PUT /v1/tunnel/old", "{}", 201, "id", "old"},
	{"exposr: read", USER, "GET /v1/tunnel/old", NULL, 200, "id", "old"},
	{"exposr: patched", USER, "PATCH /v1/tunnel/old", "{\"target\":{\"url\":\"tcp://a:1\"}}",
	 200, "id", "old"},
	{"exposr: disconnected", USER, "POST /v1/tunnel/old/disconnect", NULL, 200},
	{"exposr: all tunnels", ADMIN, "GET /v1/admin/tunnel?count=1&verbose=true", NULL, 200,
	 "tunnels.0.id"},
	{"exposr: one of them", ADMIN, "GET /v1/admin/tunnel/old", NULL, 200, "id", "old"},
	{"exposr: it is disconnected", ADMIN, "POST /v1/admin/tunnel/old/disconnect", NULL, 200},
	{"exposr: it is deleted", ADMIN, "DELETE /v1/admin/tunnel/old", NULL, 204},
	{"exposr: made again", USER, "PUT /v1/tunnel/old", "{}", 201, "id", "old"},
	{"exposr: deleted", USER, "DELETE /v1/tunnel/old", NULL, 204},

	{"the register call", USER, "GET /v1/open?name=quick&target=3000", NULL, 200, "command",
	 "karez http PORT --server http://localhost:8080 --name quick"},
	{"once more", USER, "POST /v1/open?name=quick", NULL, 200, "url",
	 "http://quick.localhost:8080"},
	{"by a stranger", NOBODY, "POST /v1/open", NULL, 200, "token"},

	{"all accounts", ADMIN, "GET /v1/admin/accounts?limit=2", NULL, 200, "accounts.1.id"},
	{"one more", ADMIN, "POST /v1/admin/accounts", "{\"name\":\"new\"}", 201, "id", NULL, 4},
	{"it is there", ADMIN, "GET /v1/admin/accounts/$4", NULL, 200, "name", "new"},
	{"it is switched off", ADMIN, "PATCH /v1/admin/accounts/$4",
	 "{\"enabled\":false,\"reason\":\"spam\",\"quota\":{\"tunnels\":5}}", 200, "reason",
	 "spam"},
	{"exposr: all accounts", ADMIN, "GET /v1/admin/account?count=1", NULL, 200,
	 "accounts.0.id"},
	{"exposr: one of them", ADMIN, "GET /v1/admin/account/$4", NULL, 200, "id"},
	{"exposr: switched on", ADMIN, "PUT /v1/admin/account/$4/disable", "{\"disable\":false}",
	 200, "reason", ""},
	{"exposr: made", ADMIN, "POST /v1/admin/account", NULL, 201, "id", NULL, 5},
	{"exposr: deleted", ADMIN, "DELETE /v1/admin/account/$5", NULL, 204},
	{"its credentials", ADMIN, "GET /v1/admin/accounts/$4/credentials", NULL, 200,
	 "credentials.0.id", NULL, 6},
	{"one is revoked", ADMIN, "DELETE /v1/admin/accounts/$4/credentials/$6", NULL, 204},
	{"it is deleted", ADMIN, "DELETE /v1/admin/accounts/$4", NULL, 204},
	{"an invitation", ADMIN, "POST /v1/admin/invitations",
	 "{\"name\":\"team\",\"uses\":3,\"expires_at\":null}", 201, "id", NULL, 7},
	{"invitations", ADMIN, "GET /v1/admin/invitations", NULL, 200, "invitations.0.name",
	 "team"},
	{"it is withdrawn", ADMIN, "DELETE /v1/admin/invitations/$7", NULL, 204},
	{"the node", ADMIN, "GET /v1/admin/node", NULL, 200, "store", "memory"},
	{"that it is alone", ADMIN, "GET /v1/admin/nodes", NULL, 200, "nodes.0.version",
	 KAREZ_VERSION},

	{"a new number", OTHER, "POST /v1/account/number", NULL, 201, "account_id_hr"},
	{"an account goes", OTHER, "DELETE /v1/account", NULL, 204},
};

static char kept[8][128];

/* Put what was kept in place of "$N". */
static void fill(const char *text, char *out, size_t cap)
{
	size_t n = 0;

	for (; *text != '\0' && n + 1 < cap; text++) {
		if (text[0] == '$' && text[1] >= '1' && text[1] <= '7') {
			n += str_printf(out + n, cap - n, "%s", kept[*++text - '0']);
			continue;
		}
		out[n++] = *text;
	}
	out[n] = '\0';
}

/* Which row of the table was it? */
static size_t route_of(const char *what)
{
	static const struct {
		const char *name;
		enum http_method method;
	} methods[] = {{"GET ", HTTP_GET},
		       {"PUT ", HTTP_PUT},
		       {"POST ", HTTP_POST},
		       {"PATCH ", HTTP_PATCH},
		       {"DELETE ", HTTP_DELETE}};
	struct api_route_match m;

	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		struct str path = str_of(what);
		size_t len = strlen(methods[i].name);

		if (strncmp(what, methods[i].name, len) != 0)
			continue;
		path = (struct str){path.p + len, path.len - len};
		path.len = str_find(path, '?');
		assert_int_equal(api_route_find(methods[i].method, path, &m), 0);
		return (size_t)(m.route - api_route_table);
	}
	fail_msg("%s", what);
	return 0;
}

static void step(struct api_rig *r, const struct step *s)
{
	char what[256], body[512];
	unsigned status;

	fill(s->what, what, sizeof what);
	if (s->body != NULL)
		fill(s->body, body, sizeof body);
	status = api_rig_ask(r, s->who, what, s->body == NULL ? NULL : body);
	if (status != s->status)
		fail_msg("%s: %s: %u\n%s", s->why, what, status, r->got);
	if (s->want != NULL && strcmp(api_rig_text(r, s->member), s->want) != 0)
		fail_msg("%s: %s: %s is \"%s\"", s->why, what, s->member,
			 api_rig_text(r, s->member));
	if (s->keep != 0)
		str_printf(kept[s->keep], sizeof kept[0], "%s", api_rig_text(r, s->member));
	if (s->keep != 0)
		assert_true(kept[s->keep][0] != '\0');
	assert_string_equal(api_rig_field(r, "X-Content-Type-Options"), "nosniff");
	if (strstr(what, "openapi") == NULL)
		assert_string_equal(api_rig_field(r, "Cache-Control"), "no-store");
}

static void test_every_route(void **state)
{
	bool seen[200] = {0};
	struct api_rig r;

	assert_true(api_route_n < ARRAY_LEN(seen));
	start(&r);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		char what[256];

		step(&r, &steps[i]);
		fill(steps[i].what, what, sizeof what);
		seen[route_of(what)] = true;
	}
	api_rig_free(&r);
	for (size_t i = 0; i < api_route_n; i++) /* the rest are in tests of their own */
		if (!seen[i] && strcmp(api_route_table[i].id, "getNumberToken") != 0 &&
		    strcmp(api_route_table[i].id, "endSession") != 0)
			fail_msg("nobody has asked for %s", api_route_table[i].id);
}

/* ---- versions ---- */

static void test_versions(void **state)
{
	char tag[128], match[256];
	struct api_rig r;

	start(&r);
	assert_int_equal(api_rig_ask_with(&r, USER, "PUT /v1/tunnels/a", "If-None-Match: *\r\n",
					  "{}"),
			 201);
	str_printf(tag, sizeof tag, "%s", api_rig_field(&r, "ETag"));
	assert_int_equal(api_rig_ask(&r, USER, "GET /v1/tunnels/a", NULL), 200);
	assert_string_equal(api_rig_field(&r, "ETag"), tag);
	str_printf(match, sizeof match, "If-None-Match: \"zz\", W/%s\r\n", tag);
	assert_int_equal(api_rig_ask_with(&r, USER, "GET /v1/tunnels/a", match, NULL), 304);
	assert_string_equal(api_rig_field(&r, "ETag"), tag);
	assert_string_equal(api_rig_field(&r, "Content-Length"), "");
	assert_null(r.body);
	assert_int_equal(api_rig_ask_with(&r, USER, "GET /v1/tunnels/a", "If-None-Match: *\r\n",
					  NULL),
			 304);
	str_printf(match, sizeof match, "If-Match: %s\r\n", tag);
	assert_int_equal(api_rig_ask_with(&r, USER, "PATCH /v1/tunnels/a", match,
					  "{\"enabled\":false}"),
			 200);
	assert_string_not_equal(api_rig_field(&r, "ETag"), tag);
	assert_int_equal(api_rig_ask_with(&r, USER, "PUT /v1/tunnels/a", match, "{}"), 412);
	assert_int_equal(api_rig_ask_with(&r, USER, "PUT /v1/tunnels/b", match, "{}"), 412);
	assert_int_equal(api_rig_ask_with(&r, USER, "PUT /v1/tunnels/b", "If-Match: \"0\"\r\n",
					  "{}"),
			 412);
	assert_int_equal(api_rig_ask_with(&r, USER, "PUT /v1/tunnels/a", "If-Match: *\r\n", "{}"),
			 200);
	assert_true(api_rig_bool(&r, "enabled"));
	str_printf(match, sizeof match, "If-Match: %s\r\n", api_rig_field(&r, "ETag"));
	assert_int_equal(api_rig_ask_with(&r, USER, "DELETE /v1/tunnels/a", match, NULL), 204);
	api_rig_free(&r);
}

/* What was read, changed and written back is the same but for the change. */
static void test_read_edit_write(void **state)
{
	static const char made[] =
		"{\"visitors\":{\"basic\":[{\"user\":\"anna\",\"password\":\"pass word\"}],"
		"\"bearer\":[\"0123456789abcdef\",\"fedcba9876543210\"]},"
		"\"transport\":{\"max_connections\":5}}";
	struct api_rig r;
	char *body, *was, *now, *rights;

	start(&r);
	assert_int_equal(api_rig_ask(&r, USER, "PUT /v1/tunnels/a", made), 201);
	was = core_rig_get(&r.core, "tunnel", "a");
	assert_non_null(strstr(was, "$scrypt$"));
	assert_null(strstr(was, "pass word"));
	assert_null(strstr(was, "0123456789abcdef"));
	assert_int_equal(api_rig_ask(&r, USER, "GET /v1/tunnels/a", NULL), 200);
	assert_int_equal(api_rig_number(&r, "visitors.bearer"), 2);
	body = str_dup(str_of(strstr(r.got, "\r\n\r\n") + 4));
	assert_null(strstr(body, "scrypt"));
	assert_int_equal(api_rig_ask(&r, USER, "PUT /v1/tunnels/a", body), 200);
	assert_int_equal(api_rig_number(&r, "visitors.bearer"), 2);
	assert_int_equal(api_rig_number(&r, "transport.max_connections"), 5);
	now = core_rig_get(&r.core, "tunnel", "a");
	rights = strstr(was, "\"rights\":");
	strstr(rights, "]}")[2] = '\0';
	assert_non_null(strstr(now, rights));
	free(body);
	free(was);
	free(now);
	api_rig_free(&r);
}

/* ---- lists ---- */

static void test_pages(void **state)
{
	char what[512] = "GET /v1/tunnels?limit=10";
	struct api_rig r;
	size_t n = 0;

	start(&r);
	for (int i = 0; i < 23; i++) {
		str_printf(what, sizeof what, "PUT /v1/tunnels/t%02d", i);
		assert_int_equal(api_rig_ask(&r, USER, what, "{}"), 201);
	}
	str_printf(what, sizeof what, "GET /v1/tunnels?limit=10");
	do {
		assert_int_equal(api_rig_ask(&r, USER, what, NULL), 200);
		for (size_t i = 0; i < api_rig_count(&r, "tunnels"); i++, n++) {
			char path[32], want[8];

			str_printf(path, sizeof path, "tunnels.%zu.name", i);
			str_printf(want, sizeof want, "t%02zu", n);
			assert_string_equal(api_rig_text(&r, path), want);
		}
		str_printf(what, sizeof what, "GET /v1/tunnels?limit=10&cursor=%s",
			   api_rig_text(&r, "cursor"));
	} while (api_rig_text(&r, "cursor")[0] != '\0');
	assert_int_equal(n, 23);
	assert_non_null(strstr(r.got, "\"cursor\":null"));
	api_rig_free(&r);
}

/* One that goes with its session says so, until somebody changes it. */
static void test_a_temporary_tunnel(void **state)
{
	struct core_wish wish = {.name = STR("demo"), .target = STR(""), .temporary = true};
	struct core_agent agent = {.id = "ssh-1", .epoch = 1};
	struct told_attach told = {0};
	struct api_rig r;
	struct fake f;

	start(&r);
	fake_join_ssh(&f, &r.core, &r.who[USER], &agent);
	assert_int_equal(member_attach(f.member, &wish, core_rig_on_attached, &told), 0);
	core_rig_run(&r.core);
	assert_int_equal(told.result.e, 0);
	assert_int_equal(api_rig_ask(&r, USER, "GET /v1/tunnels/demo", NULL), 200);
	assert_true(api_rig_bool(&r, "temporary"));
	assert_int_equal(api_rig_ask(&r, USER, "GET /v1/tunnels/demo/sessions", NULL), 200);
	assert_string_equal(api_rig_text(&r, "sessions.0.kind"), "ssh");
	assert_int_equal(api_rig_ask(&r, USER, "PATCH /v1/tunnels/demo", "{\"temporary\":true}"),
			 200); /* it is told, not set */
	assert_false(api_rig_bool(&r, "temporary"));
	fake_leave(&f);
	core_rig_run(&r.core);
	assert_int_equal(api_rig_ask(&r, USER, "GET /v1/tunnels/demo", NULL), 200);
	assert_false(api_rig_bool(&r, "temporary"));
	api_rig_free(&r);
}

/* ---- who is there ---- */

static void test_sessions_and_visitors(void **state)
{
	struct core_agent agent = {.id = "laptop", .epoch = 7, .carrier = 1};
	struct visit visit = {.visitor = {"192.0.2.9", 4711}, .tunnel = "demo", .host = "demo.x"};
	struct core_visitor visitor;
	struct api_rig r;
	struct fake f;
	char what[128];

	start(&r);
	fake_join(&f, &r.core, &r.who[USER], &agent);
	assert_int_equal(core_rig_attach(&f, "demo", "").result.e, 0);
	core_visitor_begin(r.core.core, &visitor, &visit);
	assert_int_equal(api_rig_ask(&r, USER, "GET /v1/tunnels/demo", NULL), 200);
	assert_true(api_rig_bool(&r, "connection.connected"));
	assert_int_equal(api_rig_number(&r, "connection.connections"), 1);
	assert_int_equal(api_rig_number(&r, "connection.visitors"), 1);
	assert_int_equal(api_rig_ask(&r, USER, "GET /v1/tunnels/Demo/visitors", NULL), 200);
	assert_string_equal(api_rig_text(&r, "visitors.0.ip"), "192.0.2.9");
	assert_string_equal(api_rig_text(&r, "visitors.0.protocol"), "http");
	assert_int_equal(api_rig_number(&r, "count"), 1);
	core_visitor_end(&visitor);
	assert_int_equal(api_rig_ask(&r, USER, "GET /v1/tunnels/demo/sessions", NULL), 200);
	assert_string_equal(api_rig_text(&r, "sessions.0.agent"), "laptop");
	assert_string_equal(api_rig_text(&r, "sessions.0.kind"), "mux");
	assert_int_equal(api_rig_number(&r, "sessions.0.epoch"), 7);
	str_printf(what, sizeof what, "DELETE /v1/tunnels/demo/sessions/%llu?reason=go%%20home",
		   (unsigned long long)api_rig_number(&r, "sessions.0.id"));
	assert_int_equal(api_rig_ask(&r, OTHER, what, NULL), 404);
	assert_int_equal(f.n_expelled, 0);
	assert_int_equal(api_rig_ask(&r, USER, what, NULL), 204);
	assert_int_equal(f.n_expelled, 1);
	assert_int_equal(f.why, ERR_DISCONNECTED);
	assert_string_equal(f.reason, "go home");
	assert_int_equal(api_rig_ask(&r, USER, "POST /v1/tunnels/demo/disconnect", NULL), 200);
	assert_false(api_rig_bool(&r, "result"));
	fake_leave(&f);
	api_rig_free(&r);
}

/* ---- numbers ---- */

static void test_numbers(void **state)
{
	char bare[32], what[128], base64[64];
	struct api_rig r;
	size_t n = 0;

	start(&r);
	for (const char *p = r.number; *p != '\0'; p++)
		if (*p != '-')
			bare[n++] = *p;
	bare[n] = '\0';
	str_printf(what, sizeof what, "GET /v1/account/%s/token", bare);
	assert_int_equal(api_rig_ask(&r, USER, what, NULL), 403); /* a token is not the number */
	str_printf(r.token[USER], CORE_TOKEN_TEXT, "%s", r.number);
	assert_int_equal(api_rig_ask(&r, USER, what, NULL), 201);
	str_printf(base64, sizeof base64, "%s", api_rig_text(&r, "token"));
	assert_true(strlen(base64) == 24);
	str_printf(what, sizeof what, "GET /v1/account/%s/token", r.who[USER].account);
	assert_int_equal(api_rig_ask(&r, USER, what, NULL), 201);
	str_printf(r.token[USER], CORE_TOKEN_TEXT, "%s", base64);
	assert_int_equal(api_rig_ask(&r, USER, what, NULL), 201);
	assert_string_equal(api_rig_text(&r, "token"), base64);
	str_printf(what, sizeof what, "GET /v1/account/%s/token", r.who[OTHER].account);
	assert_int_equal(api_rig_ask(&r, USER, what, NULL), 403);
	/* a new number; the old one is good for nothing */
	assert_int_equal(api_rig_ask(&r, USER, "POST /v1/account/number", NULL), 201);
	assert_true(strlen(api_rig_text(&r, "account_id")) == 16);
	assert_int_equal(api_rig_ask(&r, USER, "GET /v1/account", NULL), 401);
	api_rig_free(&r);
}

/* ---- SSH ---- */

static void test_ssh(void **state)
{
	struct api_rig r;

	start(&r);
	assert_int_equal(api_rig_ask(&r, STRANGER, "GET /v1/ssh", NULL), 200); /* for anybody */
	assert_non_null(strstr(r.got, "{\"host_keys\":[{\"type\":\"ssh-ed25519\",\"fingerprint\":"
				      "\"SHA256:abc\",\"key\":\"ssh-ed25519 AAAA\"},"));
	assert_non_null(strstr(r.got, "],\"ports\":[2222,22]}"));
	api_rig_hang_up(&r);
	api_free(r.api);
	r.opt.ssh = NULL;
	assert_int_equal(api_new(r.core.ev, &r.opt, &r.api), 0);
	assert_int_equal(api_rig_ask(&r, NOBODY, "GET /v1/ssh", NULL), 404);
	assert_string_equal(api_rig_text(&r, "code"), "NOTFOUND");
	assert_string_equal(api_rig_text(&r, "detail"), "this server is not reached by SSH");
	api_rig_free(&r);
}

/* ---- registration ---- */

static void test_registration(void **state)
{
	char body[256];
	struct api_rig r;

	api_rig_new(&r, CORE_CLOSED);
	assert_int_equal(api_rig_ask(&r, NOBODY, "POST /v1/account", NULL), 403);
	assert_string_equal(api_rig_text(&r, "code"), "DENIED");
	assert_int_equal(api_rig_ask(&r, ADMIN, "POST /v1/account", NULL), 201);
	assert_true(api_rig_ask(&r, NOBODY, "GET /v1/open", NULL) >= 401);
	assert_true(r.status <= 403);
	assert_int_equal(api_rig_ask(&r, NOBODY, "GET /v1/version", NULL), 200);
	assert_string_equal(api_rig_text(&r, "registration"), "closed");
	api_rig_free(&r);

	api_rig_new(&r, CORE_BY_INVITATION);
	assert_int_equal(api_rig_ask(&r, NOBODY, "POST /v1/account", NULL), 403);
	assert_string_equal(api_rig_text(&r, "field"), "invitation");
	assert_int_equal(api_rig_ask(&r, NOBODY, "POST /v1/account", "{\"invitation\":\"wrong\"}"),
			 403);
	assert_int_equal(api_rig_ask(&r, ADMIN, "POST /v1/admin/invitations", "{}"), 201);
	str_printf(body, sizeof body, "{\"invitation\":\"%s\"}", api_rig_text(&r, "code"));
	assert_int_equal(api_rig_ask(&r, NOBODY, "POST /v1/account", body), 201);
	assert_int_equal(api_rig_ask(&r, NOBODY, "POST /v1/account", body), 403); /* used up */
	api_rig_free(&r);
}

/* The account that a failed register call has made does not stay. */
static void test_open(void **state)
{
	struct api_rig r;
	size_t before;

	start(&r);
	r.open = true;
	assert_int_equal(api_rig_ask(&r, NOBODY, "GET /?name=demo", NULL), 200);
	assert_string_equal(api_rig_text(&r, "host"), "demo.localhost");
	assert_string_equal(api_rig_text(&r, "server"), "http://localhost:8080");
	assert_true(strlen(api_rig_text(&r, "token")) > 20);
	assert_true(strlen(api_rig_text(&r, "account_id_hr")) == 19);
	assert_int_equal(api_rig_ask(&r, NOBODY, "GET /other", NULL), 404);
	r.open = false;
	assert_int_equal(api_rig_ask(&r, ADMIN, "GET /v1/admin/accounts?limit=100", NULL), 200);
	before = api_rig_count(&r, "accounts");
	r.open = true;
	assert_int_equal(api_rig_ask(&r, NOBODY, "POST /?name=demo", NULL), 409);
	assert_int_equal(api_rig_ask(&r, NOBODY, "POST /?name=www", NULL), 403);
	assert_int_equal(api_rig_ask(&r, NOBODY, "HEAD /?name=head", NULL), 405);
	/* who may change everybody's tunnels does not get them by this */
	assert_int_equal(api_rig_ask(&r, ADMIN, "POST /?name=demo&target=3000", NULL), 409);
	r.open = false;
	assert_int_equal(api_rig_ask(&r, ADMIN, "GET /v1/admin/accounts?limit=100", NULL), 200);
	assert_int_equal(api_rig_count(&r, "accounts"), before);
	api_rig_free(&r);
}

/* ---- the store, and the end ---- */

static void test_ready(void **state)
{
	struct api_rig r;

	start(&r);
	r.core.judge = core_rig_hold_all; /* it does not answer */
	assert_int_equal(api_rig_ask(&r, NOBODY, "GET /v1/health", NULL), 200);
	assert_int_equal(api_rig_ask(&r, NOBODY, "GET /v1/ready", NULL), 0);
	assert_int_equal(api_rig_wait(&r, API_READY_MS), 503);
	assert_string_equal(api_rig_text(&r, "code"), "TIMEOUT");
	assert_int_equal(api_rig_ask(&r, NOBODY, "GET /health", NULL), 0);
	assert_int_equal(api_rig_wait(&r, API_READY_MS), 404);
	core_rig_release(&r.core);
	assert_int_equal(api_rig_ask(&r, NOBODY, "GET /v1/ready", NULL), 200);
	r.core.judge = core_rig_fail_all;
	r.core.judge_e = ERR_IO;
	assert_int_equal(api_rig_ask(&r, NOBODY, "GET /v1/ready", NULL), 503);
	r.core.judge = NULL;
	r.ready = false;
	assert_int_equal(api_rig_ask(&r, NOBODY, "GET /v1/ready", NULL), 503);
	assert_string_equal(api_rig_text(&r, "detail"), "the test says so");
	assert_int_equal(api_rig_ask(&r, NOBODY, "GET /ping", NULL), 200);
	assert_int_equal(api_rig_ask(&r, NOBODY, "GET /v1/health", NULL), 200);
	assert_int_equal(api_rig_ask(&r, USER, "GET /v1/account", NULL), 200); /* to the end */
	api_rig_free(&r);
}

static int refuse_writes(struct core_rig *r, const struct store_req *req)
{
	return req->verb == STORE_WRITE ? r->judge_e : 0;
}

static void test_store_fails(void **state)
{
	static const struct {
		const char *why;
		int e;
		unsigned status;
	} cases[] = {
		{"the disk is full", ERR_FULL, 507},
		{"the store is away", ERR_TIMEOUT, 503},
		{"the store is broken", ERR_IO, 503},
	};
	struct api_rig r;

	start(&r);
	assert_int_equal(api_rig_ask(&r, USER, "PUT /v1/tunnels/a", "{}"), 201);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		r.core.judge = refuse_writes;
		r.core.judge_e = cases[i].e;
		if (api_rig_ask(&r, USER, "PUT /v1/tunnels/a", "{\"enabled\":false}") !=
		    cases[i].status)
			fail_msg("%s: %u", cases[i].why, r.status);
		assert_int_equal(api_rig_ask(&r, USER, "GET /v1/tunnels/a", NULL), 200);
		assert_true(api_rig_bool(&r, "enabled"));
		r.core.judge = NULL;
		assert_int_equal(api_rig_ask(&r, USER, "PUT /v1/tunnels/a", "{}"), 200);
	}
	api_rig_free(&r);
}

/* Wherever a call is when its connection ends, or the API does, nothing of it stays. */
static void test_gone(void **state)
{
	static const char half[] = "PUT /v1/tunnels/a HTTP/1.1\r\nHost: x\r\nContent-Type: "
				   "application/json\r\nContent-Length: 10\r\n\r\n{";
	struct api_rig r;

	start(&r);
	assert_int_equal(api_rig_send(&r, half, sizeof half - 1), 0);
	api_rig_hang_up(&r);
	r.core.judge = core_rig_hold_all;
	assert_int_equal(api_rig_ask(&r, USER, "GET /v1/tunnels", NULL), 0);
	api_rig_hang_up(&r);
	assert_int_equal(api_rig_ask(&r, USER, "PUT /v1/tunnels/b", "{}"), 0);
	api_rig_hang_up(&r);
	assert_int_equal(api_rig_ask(&r, NOBODY, "GET /v1/ready", NULL), 0);
	api_rig_hang_up(&r);
	core_rig_release(&r.core);
	assert_int_equal(api_rig_send(&r, half, sizeof half - 1), 0);
	api_free(r.api);
	r.api = NULL;
	assert_int_equal(api_rig_wait(&r, 10), 503);
	assert_string_equal(api_rig_text(&r, "code"), "DRAIN");
	api_rig_free(&r);
}

/* Whoever sends bodies slowly keeps nobody else out; and what tells how the process is is told in
 * any case. */
static void test_too_many(void **state)
{
	static const char body[] = "Content-Type: application/json\r\nContent-Length: 9\r\n";
	static struct api_rig r;
	struct wire *peers[API_CALLS_MAX];
	struct http_conn *conns[API_CALLS_MAX];

	start(&r);
	r.core.judge = core_rig_hold_all;
	for (size_t i = 0; i < API_CALLS_MAX; i++) {
		/* each waits in vain: for the rest of its body, or for the store */
		if (i < API_BODIES_MAX)
			assert_int_equal(api_rig_ask_with(&r, USER, "PUT /v1/tunnels/a", body,
							  NULL),
					 0);
		else
			assert_int_equal(api_rig_ask(&r, USER, "GET /v1/tunnels", NULL), 0);
		peers[i] = r.peer;
		conns[i] = r.conn;
		r.peer = NULL;
		r.conn = NULL;
		if (i + 1 != API_BODIES_MAX)
			continue;
		assert_int_equal(api_rig_ask(&r, USER, "PUT /v1/tunnels/a", "{}"), 503);
		assert_string_equal(api_rig_text(&r, "code"), "LIMIT");
	}
	assert_int_equal(api_rig_ask(&r, USER, "GET /v1/tunnels", NULL), 503);
	assert_string_equal(api_rig_text(&r, "code"), "LIMIT");
	assert_int_equal(api_rig_ask(&r, NOBODY, "GET /v1/health", NULL), 200);
	for (size_t i = 0; i < API_CALLS_MAX; i++) {
		wire_close(peers[i], 0);
		http_conn_close(conns[i]);
	}
	core_rig_run(&r.core);
	core_rig_release(&r.core);
	assert_int_equal(api_rig_ask(&r, USER, "PUT /v1/tunnels/a", "{}"), 201);
	api_rig_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_route),
		cmocka_unit_test(test_ssh),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_read_edit_write),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_a_temporary_tunnel),
		cmocka_unit_test(test_sessions_and_visitors),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_registration),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_ready),
		cmocka_unit_test(test_store_fails),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
