/* The document says what the table says: every route of it, nothing else, nothing dangling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "api/api_route.h"
#include "base/err.h"
#include "unit/api/api_rig.h"

static void start(struct api_rig *r)
{
	api_rig_new(r, CORE_OPEN);
	assert_int_equal(api_rig_ask(r, NOBODY, "GET /v1/openapi.json", NULL), 200);
	assert_non_null(r->body);
}

static const struct json *object(const struct json *j, const char *key)
{
	const struct json *out;

	return json_get_object(j, key, &out) == 0 ? out : NULL;
}

static const char *method_name(enum http_method m)
{
	return m == HTTP_GET	 ? "get"
	       : m == HTTP_PUT	 ? "put"
	       : m == HTTP_POST	 ? "post"
	       : m == HTTP_PATCH ? "patch"
				 : "delete";
}

static void test_routes(void **state)
{
	const struct json *paths, *item, *op;
	struct str path, method, id;
	void *at = NULL, *inner;
	struct api_rig r;
	size_t n = 0;

	start(&r);
	paths = object(r.body, "paths");
	for (size_t i = 0; i < api_route_n; i++) {
		const struct api_route *route = &api_route_table[i];

		item = object(paths, route->path);
		op = object(item, method_name(route->method));
		if (op == NULL || json_get_text(op, "operationId", &id) != 0 ||
		    !str_eq(id, str_of(route->id)))
			fail_msg("%s %s", method_name(route->method), route->path);
		assert_int_equal(object(op, "requestBody") != NULL, route->body != NULL);
		assert_non_null(object(object(op, "responses"), "default"));
		for (size_t k = 0; k < i; k++) /* names of operations are not given twice */
			assert_string_not_equal(route->id, api_route_table[k].id);
	}
	while (json_each(paths, &at, &path, &item)) {
		inner = NULL;
		while (json_each(item, &inner, &method, &op))
			n++;
	}
	assert_int_equal(n, api_route_n);
	api_rig_free(&r);
}

/* Every reference leads somewhere. Returns how many there are. */
static size_t check_refs(const struct json *root, const struct json *j)
{
	const struct json *value;
	struct str key, ref, part;
	void *at = NULL;
	size_t n = 0;

	if (json_kind(j) == JSON_IS_LIST)
		for (size_t i = 0; i < json_count(j); i++)
			n += check_refs(root, json_at(j, i));
	if (json_kind(j) != JSON_IS_OBJECT)
		return n;
	while (json_each(j, &at, &key, &value))
		n += check_refs(root, value);
	if (json_get_text(j, "$ref", &ref) != 0)
		return n;
	assert_true(str_next(&ref, '/', &part));
	assert_true(str_eq(part, STR("#")));
	for (value = root; str_next(&ref, '/', &part);) {
		char name[64];

		assert_int_equal(str_copy(name, sizeof name, part), 0);
		if ((value = object(value, name)) == NULL)
			fail_msg("nothing at %s", name);
	}
	return n + 1;
}

static void test_references(void **state)
{
	struct api_rig r;

	start(&r);
	assert_true(check_refs(r.body, r.body) > api_route_n);
	api_rig_free(&r);
}

/* Words of the document are those that the core reads. */
static void test_words(void **state)
{
	const struct api_schema *s = &api_schema_tunnel;
	struct str word;

	for (size_t i = 0; i < s->n_fields; i++) {
		if (strcmp(s->fields[i].name, "kind") != 0)
			continue;
		for (size_t k = 0; k < TUNNEL_KINDS; k++)
			assert_string_equal(s->fields[i].words[k], tunnel_kind_name(k));
		assert_null(s->fields[i].words[TUNNEL_KINDS]);
	}
	s = &api_schema_credential;
	for (size_t i = 0; i < s->n_fields; i++) {
		if (strcmp(s->fields[i].name, "type") != 0)
			continue;
		for (size_t k = 0; k < CREDENTIAL_TYPES; k++)
			assert_string_equal(s->fields[i].words[k], record_credential_type(k));
		assert_null(s->fields[i].words[CREDENTIAL_TYPES]);
	}
	s = &api_schema_credential_new;
	for (size_t i = 0; i < s->n_fields; i++)
		for (const char *const *w = s->fields[i].words; w != NULL && *w != NULL; w++) {
			enum credential_type type;

			word = str_of(*w);
			assert_int_equal(record_parse_credential_type(word, &type), 0);
			assert_int_not_equal(type, CREDENTIAL_NUMBER);
		}
	for (size_t k = 0; k < TUNNEL_POLICIES; k++)
		assert_non_null(record_policy(k));
}

/* What a route is found by. */
static void test_finding(void **state)
{
	static const struct {
		const char *why;
		enum http_method method;
		const char *path, *id;
		int e;
	} cases[] = {
		{"a plain path", HTTP_GET, "/v1/account", "getAccount", 0},
		{"HEAD is GET", HTTP_HEAD, "/v1/account", "getAccount", 0},
		{"a name", HTTP_PATCH, "/v1/tunnels/a%2Fb", "changeTunnel", 0},
		{"two names", HTTP_DELETE, "/v1/tunnels/a/sessions/5", "endSession", 0},
		{"no such method", HTTP_POST, "/v1/tunnels/a", NULL, ERR_UNSUPPORTED},
		{"an unknown method", HTTP_OTHER, "/v1/tunnels/a", NULL, ERR_UNSUPPORTED},
		{"case counts", HTTP_GET, "/v1/Account", NULL, ERR_NOTFOUND},
		{"no empty name", HTTP_GET, "/v1/tunnels//sessions", NULL, ERR_NOTFOUND},
		{"nothing behind it", HTTP_GET, "/v1/account/", NULL, ERR_NOTFOUND},
		{"nothing before it", HTTP_GET, "//v1/account", NULL, ERR_NOTFOUND},
		{"not half of it", HTTP_GET, "/v1", NULL, ERR_NOTFOUND},
		{"nothing", HTTP_GET, "", NULL, ERR_NOTFOUND},
		{"braces are no name", HTTP_GET, "{name}", NULL, ERR_NOTFOUND},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct api_route_match m;
		int e = api_route_find(cases[i].method, str_of(cases[i].path), &m);

		if (e != cases[i].e || (e == 0 && strcmp(m.route->id, cases[i].id) != 0))
			fail_msg("%s: %d", cases[i].why, e);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_finding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
