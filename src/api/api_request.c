/* What a request says besides its body, copied into the call: the bytes it came in go at once. */
#include <string.h>

#include "api/api_internal.h"
#include "base/base64.h"
#include "base/err.h"
#include "base/num.h"
#include "proto/query.h"

/* Bytes of a credential as it is presented: the longest is a token, or a number in base64. */
#define CREDENTIAL_MAX 512

/* No record has it. */
#define VERSION_NEVER (STORE_ANY - 1)

/* Memory of a call that is given out piece by piece. */
struct api_room {
	char *at;
	size_t left;
};

/* ---- fields ---- */

static const struct http_field *api_request_field(const struct http_head *h, struct str name,
						  const struct http_field *after)
{
	size_t i = after == NULL ? 0 : (size_t)(after - h->fields) + 1;

	for (; i < h->n_fields; i++)
		if (str_eq_nocase(h->fields[i].name, name))
			return &h->fields[i];
	return NULL;
}

bool api_request_has_body(const struct http_request *req)
{
	const struct http_head *h = &req->head;

	return h->framing == HTTP_BODY_CHUNKED ||
	       (h->framing == HTTP_BODY_LENGTH && h->content_length > 0);
}

bool api_request_is_json(const struct http_request *req)
{
	const struct http_field *f = http_head_find(&req->head, HTTP_FIELD_CONTENT_TYPE);
	struct str type;

	if (f == NULL || http_head_find_next(&req->head, f) != NULL)
		return false;
	type = str_trim((struct str){f->value.p, str_find(f->value, ';')});
	return str_eq_nocase(type, STR("application/json"));
}

size_t api_request_room(const struct http_request *req)
{
	size_t n = req->path.len + 2 * (API_PARAMS_MAX + API_QUERIES);

	for (size_t i = 0; i < req->head.n_fields; i++) {
		const struct http_field *f = &req->head.fields[i];

		if (f->id == HTTP_FIELD_AUTHORIZATION ||
		    str_eq_nocase(f->name, STR("If-None-Match")))
			n += f->value.len + 1;
	}
	return n;
}

/* ---- texts ---- */

static struct str api_room_copy(struct api_room *room, struct str s)
{
	struct str out = {room->at, s.len};

	CHECK(s.len < room->left); /* api_request_room() has counted it */
	if (s.len > 0)
		memcpy(room->at, s.p, s.len);
	room->at[s.len] = '\0';
	room->at += s.len + 1;
	room->left -= s.len + 1;
	return out;
}

/* Undo the escapes of a part of the target. Returns 0 or ERR_INVAL. */
static int api_room_decode(struct api_room *room, struct str s,
			   int (*decode)(struct str in, char *out, size_t cap, size_t *len),
			   struct str *out)
{
	size_t len;
	int e = decode(s, room->at, room->left, &len);

	if (e != 0)
		return ERR_INVAL;
	*out = (struct str){room->at, len};
	room->at += len + 1;
	room->left -= len + 1;
	return 0;
}

/* ---- the query ---- */

static int api_request_param(const struct api_route *route, struct str name)
{
	for (int i = 0; i < API_QUERIES; i++)
		if ((route->query & 1u << i) && str_eq(name, str_of(api_route_params[i].name)))
			return i;
	return -1;
}

static int api_request_check_param(const struct api_param *p, struct str value,
				   struct api_fault *fault)
{
	uint64_t n;

	if (p->type == API_NUMBER) {
		if (num_parse(value, p->max, &n) == 0 && n >= p->min)
			return 0;
		return api_fault_set(fault, ERR_INVAL, p->name,
				     "must be a number from %llu to %llu",
				     (unsigned long long)p->min, (unsigned long long)p->max);
	}
	if (p->type == API_BOOL)
		return str_eq(value, STR("true")) || str_eq(value, STR("false"))
			       ? 0
			       : api_fault_set(fault, ERR_INVAL, p->name, "must be true or false");
	if (value.len < p->min || value.len > p->max)
		return api_fault_set(fault, ERR_INVAL, p->name,
				     "must have %llu to %llu bytes, not %zu",
				     (unsigned long long)p->min, (unsigned long long)p->max,
				     value.len);
	for (size_t i = 0; i < value.len; i++)
		if ((unsigned char)value.p[i] < ' ' || value.p[i] == 0x7f)
			return api_fault_set(fault, ERR_INVAL, p->name,
					     "must not hold control characters");
	return 0;
}

static int api_request_read_pair(struct api_call *call, struct api_room *room, struct str raw_name,
				 struct str raw_value, struct api_fault *fault)
{
	struct str name, value;
	int i;

	if (api_room_decode(room, raw_name, query_decode, &name) != 0 ||
	    api_room_decode(room, raw_value, query_decode, &value) != 0)
		return api_fault_set(fault, ERR_INVAL, NULL,
				     "the query holds a %% that is not followed by two "
				     "hexadecimal digits, or a NUL");
	i = api_request_param(call->route, name);
	if (i < 0)
		return api_fault_set(fault, ERR_INVAL, name.p,
				     "this route has no such query parameter");
	if (call->query[i].p != NULL)
		return api_fault_set(fault, ERR_INVAL, name.p, "is given twice");
	call->query[i] = value;
	return api_request_check_param(&api_route_params[i], value, fault);
}

static int api_request_read_query(struct api_call *call, struct api_room *room, struct str query,
				  struct api_fault *fault)
{
	struct str name, value, cursor;
	uint64_t limit = API_LIMIT_USUAL;
	size_t len;
	int e;

	while (query_next(&query, &name, &value))
		if ((e = api_request_read_pair(call, room, name, value, fault)) != 0)
			return e;
	for (int i = API_Q_LIMIT; i <= API_Q_COUNT; i += API_Q_COUNT - API_Q_LIMIT)
		if (call->query[i].p != NULL)
			(void)!num_parse(call->query[i], MANAGE_PAGE_MAX, &limit);
	call->limit = (size_t)limit;
	cursor = call->query[API_Q_CURSOR];
	if (cursor.p == NULL)
		return 0;
	if (base64_decode(cursor, call->after_text, STORE_KEY_MAX, &len) != 0 || len == 0)
		return api_fault_set(fault, ERR_INVAL, "cursor",
				     "is not one that an answer of this list told");
	call->after = (struct str){call->after_text, len};
	return 0;
}

/* ---- who, and which version ---- */

/*
 * Browsers show a certificate to the server whatever page makes the request, so it must not count
 * for another site's pages, and tunnels are other sites. Source: W3C Fetch Metadata, 2.3.
 */
static bool api_request_is_foreign(const struct http_head *h)
{
	const struct http_field *site = api_request_field(h, STR("Sec-Fetch-Site"), NULL);

	if (site == NULL)
		return api_request_field(h, STR("Origin"), NULL) != NULL;
	return !str_eq(site->value, STR("same-origin")) && !str_eq(site->value, STR("none"));
}

static int api_request_read_certificate(struct api_call *call, const struct http_head *h,
					struct api_fault *fault)
{
	const char *name = http_conn_peer_name(call->conn);

	if (name == NULL)
		return 0;
	if (api_request_is_foreign(h))
		return api_fault_set(fault, ERR_DENIED, NULL,
				     "a certificate does not count for what the page of another "
				     "site asks");
	call->proof = CORE_PROOF_CERTIFICATE;
	call->credential = str_of(name);
	return 0;
}

static int api_request_read_credential(struct api_call *call, struct api_room *room,
				       const struct http_head *h, struct api_fault *fault)
{
	const struct http_field *f = http_head_find(h, HTTP_FIELD_AUTHORIZATION);
	struct str value, scheme;

	if (call->route->who == API_ANYBODY)
		return 0;
	if (f == NULL)
		return api_request_read_certificate(call, h, fault);
	value = f->value;
	if (http_head_find_next(h, f) != NULL || !str_next(&value, ' ', &scheme) ||
	    !str_eq_nocase(scheme, STR("Bearer")) || (value = str_trim(value)).len == 0 ||
	    value.len > CREDENTIAL_MAX)
		return api_fault_set(fault, ERR_AUTH, NULL,
				     "the credential must be one \"Authorization: Bearer "
				     "<token>\"");
	call->proof = CORE_PROOF_BEARER;
	call->credential = api_room_copy(room, value);
	return 0;
}

static int api_request_read_match(struct api_call *call, const struct http_head *h,
				  struct api_fault *fault)
{
	const struct http_field *f = api_request_field(h, STR("If-Match"), NULL);
	struct api_condition *when = &call->when;
	struct str v;

	if (f == NULL || call->route->method == HTTP_GET)
		return 0;
	v = f->value;
	if (!(call->route->flags & API_MATCH))
		return api_fault_set(fault, ERR_INVAL, "If-Match",
				     "this route does not know versions");
	if (str_eq(v, STR("*"))) {
		when->match_any = true;
		return 0;
	}
	if (api_request_field(h, STR("If-Match"), f) != NULL || str_find(v, ',') < v.len)
		return api_fault_set(fault, ERR_INVAL, "If-Match", "must be one ETag, or *");
	when->match = true;
	when->version = VERSION_NEVER; /* a weak one, or none of ours */
	if (v.len > 2 && v.p[0] == '"' && v.p[v.len - 1] == '"' &&
	    (num_parse_hex((struct str){v.p + 1, v.len - 2}, &when->version) != 0 ||
	     when->version == 0)) /* 0 would mean that there is none */
		when->version = VERSION_NEVER;
	when->version = MIN(when->version, VERSION_NEVER);
	return 0;
}

static int api_request_read_none(struct api_call *call, struct api_room *room,
				 const struct http_head *h, struct api_fault *fault)
{
	const struct http_field *f = api_request_field(h, STR("If-None-Match"), NULL);

	if (f == NULL)
		return 0;
	if (call->route->method == HTTP_GET) {
		call->when.none = api_room_copy(room, f->value);
		return 0;
	}
	if (!(call->route->flags & API_CREATES) || !str_eq(f->value, STR("*")))
		return api_fault_set(fault, ERR_INVAL, "If-None-Match",
				     "can only be * here, and only where something is made by "
				     "PUT");
	call->when.none_any = true;
	return 0;
}

uint64_t api_expected(const struct api_call *call)
{
	return call->when.match ? call->when.version : STORE_ANY;
}

int api_request_read(struct api_call *call, const struct http_request *req,
		     const struct api_route_match *match, struct api_fault *fault)
{
	struct api_room room = {call->text, api_request_room(req)};
	size_t question = str_find(req->path, '?');
	struct str query = {0};
	int e;

	call->route = match->route;
	for (size_t i = 0; i < API_PARAMS_MAX; i++)
		if (match->params[i].len > 0 &&
		    api_room_decode(&room, match->params[i], query_unescape, &call->params[i]) != 0)
			return api_fault_set(fault, ERR_INVAL, NULL,
					     "the path holds a %% that is not followed by two "
					     "hexadecimal digits, or a NUL");
	if (question < req->path.len)
		query = (struct str){req->path.p + question + 1, req->path.len - question - 1};
	if ((e = api_request_read_credential(call, &room, &req->head, fault)) != 0 ||
	    (e = api_request_read_query(call, &room, query, fault)) != 0 ||
	    (e = api_request_read_match(call, &req->head, fault)) != 0)
		return e;
	return api_request_read_none(call, &room, &req->head, fault);
}
