/*
 * The OpenAPI document, written once at the start from the tables that requests are served by: what
 * it says is what is done. Source: OpenAPI 3.1.0, JSON Schema 2020-12.
 */
#include "api/api_internal.h"
#include "base/err.h"

/* Bytes of the document. */
#define DOCUMENT_MAX (1024 * 1024)

/* What has been made so far; the first error stays, and what is made after it is thrown away. */
struct api_doc {
	struct api *api;
	struct json *schemas; /* borrowed: in the components, by name */
	int e;
};

/* ---- making ---- */

static struct json *doc_object(struct api_doc *d)
{
	struct json *j = NULL;

	if (d->e == 0)
		d->e = json_new_object(&j);
	return j;
}

static struct json *doc_list(struct api_doc *d)
{
	struct json *j = NULL;

	if (d->e == 0)
		d->e = json_new_list(&j);
	return j;
}

static void doc_text(struct api_doc *d, struct json *j, const char *key, const char *value)
{
	if (d->e == 0)
		d->e = json_set_text(j, key, str_of(value));
}

static void doc_number(struct api_doc *d, struct json *j, const char *key, uint64_t value)
{
	if (d->e == 0)
		d->e = json_set_number(j, key, value);
}

static void doc_true(struct api_doc *d, struct json *j, const char *key)
{
	if (d->e == 0)
		d->e = json_set_bool(j, key, true);
}

/* v is taken over in any case. */
static void doc_put(struct api_doc *d, struct json *j, const char *key, struct json *v)
{
	if (d->e == 0)
		d->e = json_set(j, key, &v);
	json_free(v);
}

static void doc_add(struct api_doc *d, struct json *list, struct json *v)
{
	if (d->e == 0)
		d->e = json_add(list, &v);
	json_free(v);
}

static void doc_add_text(struct api_doc *d, struct json *list, const char *value)
{
	if (d->e == 0)
		d->e = json_add_text(list, str_of(value));
}

/* {key: value} */
static struct json *doc_pair(struct api_doc *d, const char *key, const char *value)
{
	struct json *j = doc_object(d);

	doc_text(d, j, key, value);
	return j;
}

/* {key: v} */
static struct json *doc_wrap(struct api_doc *d, const char *key, struct json *v)
{
	struct json *j = doc_object(d);

	doc_put(d, j, key, v);
	return j;
}

/* ---- schemas ---- */

static struct json *doc_schema_ref(struct api_doc *d, const struct api_schema *s);

static void doc_type(struct api_doc *d, struct json *j, const char *type, bool nullable)
{
	struct json *types;

	if (!nullable) {
		doc_text(d, j, "type", type);
		return;
	}
	types = doc_list(d);
	doc_add_text(d, types, type);
	doc_add_text(d, types, "null");
	doc_put(d, j, "type", types);
}

static void doc_words(struct api_doc *d, struct json *j, const char *const *words)
{
	struct json *list = doc_list(d);

	for (; *words != NULL; words++)
		doc_add_text(d, list, *words);
	doc_put(d, j, "enum", list);
}

/* Bounds of what is told only are not promised. */
static void doc_text_bounds(struct api_doc *d, struct json *j, const struct api_field *f,
			    uint64_t min, uint64_t max)
{
	if (f->words != NULL) {
		doc_words(d, j, f->words);
		return;
	}
	if (f->flags & API_READ_ONLY)
		return;
	if (min > 0)
		doc_number(d, j, "minLength", min);
	doc_number(d, j, "maxLength", max);
}

static struct json *doc_list_of(struct api_doc *d, const struct api_field *f)
{
	struct json *items, *either, *j = doc_pair(d, "type", "array");

	if (f->of != NULL) {
		items = doc_schema_ref(d, f->of);
	} else if (f->flags & API_NUMBERS) {
		items = doc_pair(d, "type", "integer");
	} else {
		items = doc_pair(d, "type", "string");
		doc_text_bounds(d, items, f, 1, f->text_max);
	}
	doc_put(d, j, "items", items);
	doc_number(d, j, "maxItems", f->max);
	if (!(f->flags & API_COUNTED))
		return j;
	either = doc_list(d);
	doc_add(d, either, j);
	j = doc_pair(d, "type", "integer");
	doc_number(d, j, "minimum", 0);
	doc_add(d, either, j);
	return doc_wrap(d, "oneOf", either);
}

static struct json *doc_value(struct api_doc *d, const struct api_field *f)
{
	struct json *j;

	switch (f->type) {
	case API_OBJECT: return doc_schema_ref(d, f->of);
	case API_LIST: return doc_list_of(d, f);
	default: j = doc_object(d); break;
	}
	if (f->type == API_TEXT) {
		doc_type(d, j, "string", f->flags & API_NULLABLE);
		doc_text_bounds(d, j, f, f->min, f->max);
	} else if (f->type == API_TIME) {
		doc_type(d, j, "string", f->flags & API_NULLABLE);
		doc_text(d, j, "format", "date-time");
	} else if (f->type == API_NUMBER) {
		doc_text(d, j, "type", "integer");
		doc_number(d, j, "minimum", f->min);
		if (!(f->flags & API_READ_ONLY))
			doc_number(d, j, "maximum", f->max);
	} else {
		doc_text(d, j, "type", "boolean");
	}
	return j;
}

static struct json *doc_field(struct api_doc *d, const struct api_field *f)
{
	struct json *j = doc_value(d, f);

	doc_text(d, j, "description", f->help);
	if (f->flags & API_READ_ONLY)
		doc_true(d, j, "readOnly");
	if (f->flags & API_WRITE_ONLY)
		doc_true(d, j, "writeOnly");
	if (f->flags & API_IGNORED)
		doc_true(d, j, "deprecated");
	return j;
}

static struct json *doc_schema(struct api_doc *d, const struct api_schema *s)
{
	struct json *j = doc_pair(d, "type", "object");
	struct json *fields = doc_object(d), *required = doc_list(d);
	const struct api_field *f;

	if (s->help != NULL)
		doc_text(d, j, "description", s->help);
	for (size_t i = 0; (f = api_schema_field(s, i)) != NULL; i++) {
		doc_put(d, fields, f->name, doc_field(d, f));
		if (f->flags & API_REQUIRED)
			doc_add_text(d, required, f->name);
	}
	doc_put(d, j, "properties", fields);
	if (json_count(required) > 0)
		doc_put(d, j, "required", required);
	else
		json_free(required);
	if (d->e == 0)
		d->e = json_set_bool(j, "additionalProperties", false);
	return j;
}

/* A reference; the schema itself is put where it points to, once. */
static struct json *doc_schema_ref(struct api_doc *d, const struct api_schema *s)
{
	const struct json *there;
	char ref[80];

	str_printf(ref, sizeof ref, "#/components/schemas/%s", s->name);
	if (d->e == 0 && json_get_object(d->schemas, s->name, &there) != 0)
		doc_put(d, d->schemas, s->name, doc_schema(d, s));
	return doc_pair(d, "$ref", ref);
}

/* ---- parameters ---- */

struct doc_param {
	const char *name, *in, *help;
	bool required;
};

/* schema is taken over in any case. */
static void doc_add_param(struct api_doc *d, struct json *list, const struct doc_param *p,
			  struct json *schema)
{
	struct json *j = doc_pair(d, "name", p->name);

	doc_text(d, j, "in", p->in);
	doc_text(d, j, "description", p->help);
	if (p->required)
		doc_true(d, j, "required");
	doc_put(d, j, "schema", schema);
	doc_add(d, list, j);
}

static void doc_path_params(struct api_doc *d, struct json *list, struct str path)
{
	struct str segment;
	char name[40];

	while (str_next(&path, '/', &segment)) {
		struct doc_param p = {.name = name, .in = "path", .required = true};

		if (!str_starts(segment, STR("{")))
			continue;
		str_printf(name, sizeof name, STR_FMT, (int)segment.len - 2, segment.p + 1);
		p.help = "Which one";
		doc_add_param(d, list, &p, doc_pair(d, "type", "string"));
	}
}

static void doc_query_params(struct api_doc *d, struct json *list, unsigned query)
{
	for (int i = 0; i < API_QUERIES; i++) {
		const struct api_param *q = &api_route_params[i];
		struct doc_param p = {.name = q->name, .in = "query", .help = q->help};
		struct json *schema;

		if (!(query & 1u << i))
			continue;
		if (q->type == API_BOOL) {
			schema = doc_pair(d, "type", "boolean");
		} else {
			bool number = q->type == API_NUMBER;

			schema = doc_pair(d, "type", number ? "integer" : "string");
			doc_number(d, schema, number ? "minimum" : "minLength", q->min);
			doc_number(d, schema, number ? "maximum" : "maxLength", q->max);
		}
		doc_add_param(d, list, &p, schema);
	}
}

static void doc_header_params(struct api_doc *d, struct json *list, const struct api_route *r)
{
	static const struct doc_param match = {"If-Match", "header",
					       "The ETag that must be there, or *; else 412"};
	static const struct doc_param none = {"If-None-Match", "header",
					      "ETags that are known: 304 if it is one of them"};
	static const struct doc_param create = {"If-None-Match", "header",
						"*: only if there is none yet; else 412"};

	if (r->flags & API_MATCH)
		doc_add_param(d, list, &match, doc_pair(d, "type", "string"));
	if ((r->flags & API_ITEM) && r->method == HTTP_GET)
		doc_add_param(d, list, &none, doc_pair(d, "type", "string"));
	if (r->flags & API_CREATES)
		doc_add_param(d, list, &create, doc_pair(d, "const", "*"));
}

static void doc_params(struct api_doc *d, struct json *op, const struct api_route *r)
{
	struct json *list = doc_list(d);

	doc_path_params(d, list, str_of(r->path));
	doc_query_params(d, list, r->query);
	doc_header_params(d, list, r);
	if (json_count(list) > 0)
		doc_put(d, op, "parameters", list);
	else
		json_free(list);
}

/* ---- answers ---- */

static struct json *doc_content(struct api_doc *d, const char *type, struct json *schema)
{
	return doc_wrap(d, type, doc_wrap(d, "schema", schema));
}

/* Nodes that did not answer; not there when all have. */
static struct json *doc_missing(struct api_doc *d)
{
	struct json *j = doc_pair(d, "type", "array");

	doc_put(d, j, "items", doc_pair(d, "type", "string"));
	doc_text(d, j, "description",
		 "Nodes that did not answer in time: what is only there is not in the list");
	return j;
}

/* The page of a list, and what stands beside it. */
static struct json *doc_page(struct api_doc *d, const struct api_route *r)
{
	struct json *fields = doc_object(d), *items = doc_pair(d, "type", "array");
	struct json *cursor = doc_object(d), *j = doc_pair(d, "type", "object");
	struct json *required = doc_list(d);

	doc_put(d, items, "items", doc_schema_ref(d, r->answer));
	doc_put(d, fields, r->list, items);
	doc_add_text(d, required, r->list);
	doc_type(d, cursor, "string", true);
	doc_text(d, cursor, "description", "Where the next page begins; null: there is none");
	if (r->query & 1u << API_Q_CURSOR) {
		doc_put(d, fields, "cursor", cursor);
		doc_add_text(d, required, "cursor");
	} else {
		json_free(cursor);
	}
	if (r->answer == &api_schema_visitor)
		doc_put(d, fields, "count", doc_pair(d, "type", "integer"));
	if (r->flags & API_ASKS)
		doc_put(d, fields, "missing", doc_missing(d));
	doc_put(d, j, "properties", fields);
	doc_put(d, j, "required", required);
	return j;
}

static struct json *doc_success(struct api_doc *d, const struct api_route *r, unsigned status)
{
	struct json *j = doc_pair(d, "description",
				  status == 201	  ? "Made"
				  : status == 204 ? "Done"
						  : "So it is");
	struct json *headers = doc_object(d), *schema;

	if (r->flags & API_ITEM)
		doc_put(d, headers, "ETag", doc_wrap(d, "schema", doc_pair(d, "type", "string")));
	if ((r->flags & API_LOCATION) || (status == 201 && (r->flags & API_CREATES)))
		doc_put(d, headers, "Location",
			doc_wrap(d, "schema", doc_pair(d, "type", "string")));
	doc_put(d, j, "headers", headers);
	if (status == 204)
		return j;
	if (r->flags & API_PLAIN) {
		doc_put(d, j, "content",
			doc_content(d, "text/plain", doc_pair(d, "type", "string")));
		return j;
	}
	schema = r->list != NULL     ? doc_page(d, r)
		 : r->answer != NULL ? doc_schema_ref(d, r->answer)
				     : doc_pair(d, "type", "object");
	doc_put(d, j, "content", doc_content(d, "application/json", schema));
	return j;
}

/* May a request be refused with this status? */
static bool doc_may_be(const struct api_route *r, unsigned status)
{
	bool changes = r->method != HTTP_GET || r->who == API_ANY_OPEN;
	bool proves = r->who != API_ANYBODY;

	switch (status) {
	case 400: return true;
	case 401: return proves;
	case 403: return proves;
	case 404:
		return str_find(str_of(r->path), '{') < str_of(r->path).len ||
		       (r->flags & (API_PLAIN | API_LARGE));
	case 409: return changes;
	case 412: return r->flags & (API_MATCH | API_CREATES);
	case 413: return true;
	case 415: return r->body != NULL;
	case 429: return changes;
	case 501:
		return r->body == &api_schema_tunnel || r->body == &api_schema_tunnels ||
		       r->body == &api_schema_all_tunnels;
	case 503: return true;
	case 507: return changes;
	default: return false;
	}
}

static void doc_responses(struct api_doc *d, struct json *op, const struct api_route *r)
{
	struct json *all = doc_object(d);
	char status[8];

	for (size_t i = 0; i < API_SUCCESSES_MAX && r->success[i] != 0; i++) {
		str_printf(status, sizeof status, "%u", r->success[i]);
		doc_put(d, all, status, doc_success(d, r, r->success[i]));
	}
	if ((r->flags & API_ITEM) && r->method == HTTP_GET)
		doc_put(d, all, "304", doc_pair(d, "description", "The version that is known"));
	for (unsigned s = 400; s <= 507; s++) {
		if (!doc_may_be(r, s))
			continue;
		str_printf(status, sizeof status, "%u", s);
		doc_put(d, all, status, doc_pair(d, "$ref", "#/components/responses/Problem"));
	}
	doc_put(d, all, "default", doc_pair(d, "$ref", "#/components/responses/Problem"));
	doc_put(d, op, "responses", all);
}

/* ---- routes ---- */

static void doc_security(struct api_doc *d, struct json *op, enum api_who who)
{
	struct json *list = doc_list(d);

	if (who == API_MAYBE || who == API_ANY_OPEN)
		doc_add(d, list, doc_object(d));
	if (who != API_ANYBODY) {
		doc_add(d, list, doc_wrap(d, "bearer", doc_list(d)));
		doc_add(d, list, doc_wrap(d, "certificate", doc_list(d)));
	}
	doc_put(d, op, "security", list);
}

static struct json *doc_route(struct api_doc *d, const struct api_route *r)
{
	struct json *op = doc_pair(d, "operationId", r->id), *tags = doc_list(d), *body;

	doc_add_text(d, tags, r->tag);
	doc_put(d, op, "tags", tags);
	doc_text(d, op, "summary", r->summary);
	if (r->flags & API_OLD) {
		doc_text(d, op, "description", "For scripts written for exposr");
		doc_true(d, op, "deprecated");
	}
	doc_params(d, op, r);
	if (r->body != NULL) {
		body = doc_wrap(d, "content",
				doc_content(d, "application/json", doc_schema_ref(d, r->body)));
		if (r->flags & API_NEEDS_BODY)
			doc_true(d, body, "required");
		doc_put(d, op, "requestBody", body);
	}
	doc_responses(d, op, r);
	doc_security(d, op, r->who);
	return op;
}

static const char *doc_method(enum http_method method)
{
	switch (method) {
	case HTTP_GET: return "get";
	case HTTP_PUT: return "put";
	case HTTP_POST: return "post";
	case HTTP_PATCH: return "patch";
	default: return "delete";
	}
}

/* The routes of one path, which begin at `first`; those of a path need not stand together. */
static void doc_path(struct api_doc *d, struct json *paths, size_t first)
{
	struct str path = str_of(api_route_table[first].path);
	struct json *item = doc_object(d);

	for (size_t i = first; i < api_route_n; i++) {
		const struct api_route *r = &api_route_table[i];

		if (str_eq(str_of(r->path), path))
			doc_put(d, item, doc_method(r->method), doc_route(d, r));
	}
	doc_put(d, paths, path.p, item);
}

static void doc_paths(struct api_doc *d, struct json *root)
{
	struct json *paths = doc_object(d);
	const struct json *there;

	for (size_t i = 0; i < api_route_n && d->e == 0; i++)
		if (json_get_object(paths, api_route_table[i].path, &there) != 0)
			doc_path(d, paths, i);
	doc_put(d, root, "paths", paths);
}

/* ---- the whole ---- */

static void doc_head(struct api_doc *d, struct json *root)
{
	struct json *info = doc_pair(d, "title", "karez"), *servers = doc_list(d);

	doc_text(d, info, "version", KAREZ_VERSION);
	doc_text(d, info, "description",
		 "Accounts, credentials and tunnels of a karez server. Lists come in pages; ETags "
		 "guard changes; refusals are problem details (RFC 9457) with a stable code.");
	doc_text(d, root, "openapi", "3.1.0");
	doc_put(d, root, "info", info);
	doc_add(d, servers, doc_pair(d, "url", d->api->base));
	doc_put(d, root, "servers", servers);
}

static void doc_components(struct api_doc *d, struct json *components)
{
	struct json *bearer = doc_pair(d, "type", "http");
	struct json *certificate = doc_pair(d, "type", "mutualTLS");
	struct json *problem = doc_pair(d, "description", "It is refused"), *schemes;

	doc_text(d, bearer, "scheme", "bearer");
	doc_text(d, bearer, "description", "A token, or an account's number");
	doc_text(d, certificate, "description", "A client certificate that an account has");
	schemes = doc_wrap(d, "bearer", bearer);
	doc_put(d, schemes, "certificate", certificate);
	doc_put(d, components, "securitySchemes", schemes);
	doc_put(d, problem, "content",
		doc_content(d, "application/problem+json", doc_schema_ref(d, &api_schema_problem)));
	doc_put(d, components, "responses", doc_wrap(d, "Problem", problem));
}

int api_openapi_write(struct api *a)
{
	struct api_doc d = {.api = a};
	struct json *root = doc_object(&d), *components = doc_object(&d);
	struct json *schemas = doc_object(&d);

	d.schemas = schemas;
	doc_head(&d, root);
	doc_put(&d, components, "schemas", schemas);
	doc_paths(&d, root);
	doc_components(&d, components);
	doc_put(&d, root, "components", components);
	if (d.e == 0)
		d.e = json_write(root, DOCUMENT_MAX, &a->document);
	json_free(root);
	return d.e;
}
