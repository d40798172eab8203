/* All the ways in which a call ends: with an item, a page of a list, nothing, or a problem. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/api_internal.h"
#include "base/base64.h"
#include "base/err.h"
#include "base/num.h"
#include "http/http_problem.h"

/* Fields of an answer of ours, at most. */
#define API_FIELDS_MAX 4

static const struct http_field api_nosniff =
	HTTP_PROBLEM_FIELD("X-Content-Type-Options", "nosniff");

/* ---- answers ---- */

static void api_log(const struct api_call *call, unsigned status)
{
	log_debug(call->api->opt.log, "event=api call=%s status=%u account=%s", call->route->id,
		  status, call->known ? call->who.account : "-");
}

static void api_etag(uint64_t version, char out[API_ETAG_TEXT])
{
	str_printf(out, API_ETAG_TEXT, "\"%llx\"", (unsigned long long)version);
}

static void api_send(struct api_call *call, const struct api_answer *a, struct str body)
{
	struct http_field fields[API_FIELDS_MAX] = {HTTP_PROBLEM_FIELD("Cache-Control", "no-store"),
						    api_nosniff};
	struct http_page page = {.status = a->status, .body = body, .fields = fields};
	struct http_conn *c = call->conn;
	char etag[API_ETAG_TEXT];

	page.n_fields = 2;
	if (a->version != 0) {
		api_etag(a->version, etag);
		fields[page.n_fields++] =
			(struct http_field){.name = STR("ETag"), .value = str_of(etag)};
	}
	if (a->location != NULL)
		fields[page.n_fields++] =
			(struct http_field){.name = STR("Location"), .value = str_of(a->location)};
	if (body.len > 0)
		page.content_type = STR("application/json");
	api_log(call, a->status);
	http_conn_reply(c, &page);
	api_call_free(call);
}

void api_reply(struct api_call *call, const struct api_answer *a)
{
	struct buf body = {0};
	int e = 0;

	if (a->body != NULL) {
		e = json_write(*a->body, API_ANSWER_MAX, &body);
		json_free(*a->body);
		*a->body = NULL;
	}
	if (e != 0)
		api_refuse_memory(call);
	else
		api_send(call, a, buf_str(&body));
	buf_free(&body);
}

void api_tell_none(struct api_call *call, const struct manage_answer *answer)
{
	api_reply(call, &(struct api_answer){.status = 204});
}

void api_reply_bytes(struct api_call *call, struct str type, struct str body)
{
	bool cached = call->route->flags & API_CACHED;
	const struct http_field fields[] = {
		{.name = STR("Cache-Control"),
		 .value = cached ? STR("public, max-age=300") : STR("no-store")},
		api_nosniff,
	};
	struct http_page page = {.status = 200,
				 .content_type = type,
				 .body = body,
				 .fields = fields,
				 .n_fields = ARRAY_LEN(fields)};

	api_log(call, page.status);
	http_conn_reply(call->conn, &page);
	api_call_free(call);
}

/* Does If-None-Match name this version? Compared weakly. Source: RFC 9110 13.1.2. */
static bool api_has_already(const struct api_call *call, uint64_t version)
{
	struct str rest = call->when.none, tag;
	char etag[API_ETAG_TEXT];

	if (str_eq(rest, STR("*")))
		return true;
	api_etag(version, etag);
	while (http_field_list_next(&rest, &tag)) {
		if (str_starts(tag, STR("W/")))
			tag = (struct str){tag.p + 2, tag.len - 2};
		if (str_eq(tag, str_of(etag)))
			return true;
	}
	return false;
}

void api_reply_item(struct api_call *call, const struct manage_answer *answer, struct json **body)
{
	struct api_answer a = {.status = 200, .body = body, .version = answer->version};

	if (call->when.none.len > 0 && api_has_already(call, answer->version)) {
		json_free(*body);
		*body = NULL;
		a.body = NULL;
		a.status = 304;
	}
	api_reply(call, &a);
}

/* What is told beside the list of all nodes. */
static int api_reply_asked(const struct api_call *call, const struct manage_answer *answer,
			   struct json *j)
{
	struct json *missing = NULL;
	int e = 0;

	if (call->route->answer == &api_schema_visitor)
		e = json_set_number(j, "count", answer->total);
	if (e != 0 || answer->n_missing == 0 || (e = json_new_list(&missing)) != 0)
		return e;
	for (size_t i = 0; i < answer->n_missing && e == 0; i++)
		e = json_add_text(missing, str_of(answer->missing[i]));
	if (e == 0)
		e = json_set(j, "missing", &missing);
	json_free(missing);
	return e;
}

void api_reply_list(struct api_call *call, const struct manage_answer *answer, int e,
		    struct json **list)
{
	char cursor[BASE64_TEXT(STORE_KEY_MAX)];
	struct str after = str_of(answer->after);
	struct json *j = NULL;

	if (e != 0 || (e = json_new_object(&j)) != 0 ||
	    (e = json_set(j, call->route->list, list)) != 0)
		goto out;
	if ((call->route->flags & API_ASKS) && (e = api_reply_asked(call, answer, j)) != 0)
		goto out;
	if (!(call->route->query & 1u << API_Q_CURSOR)) {
		; /* it is whole */
	} else if (answer->more && after.len <= STORE_KEY_MAX) {
		base64_encode(BASE64_URL, after.p, after.len, cursor);
		e = json_set_text(j, "cursor", str_of(cursor));
	} else {
		e = json_set_null(j, "cursor");
	}
out:
	json_free(*list);
	*list = NULL;
	if (e == 0) {
		api_reply(call, &(struct api_answer){.status = 200, .body = &j});
	} else {
		json_free(j);
		api_refuse_memory(call);
	}
}

/* ---- refusals ---- */

/* As threshold's automation wants it: words, no problem details. */
static void api_answer_words(struct http_conn *c, unsigned status, const char *words,
			     const char *allow)
{
	struct http_field fields[4] = {HTTP_PROBLEM_FIELD("Cache-Control", "no-store"),
				       api_nosniff};
	struct http_page page = {.status = status,
				 .content_type = STR("text/plain; charset=utf-8"),
				 .body = str_of(words),
				 .fields = fields,
				 .n_fields = 2};

	if (allow != NULL)
		fields[page.n_fields++] =
			(struct http_field){.name = STR("Allow"), .value = str_of(allow)};
	if (status == 401)
		fields[page.n_fields++] =
			(struct http_field)HTTP_PROBLEM_FIELD("WWW-Authenticate", "Bearer");
	else if (status == 429 || status == 503)
		fields[page.n_fields++] = (struct http_field)HTTP_PROBLEM_FIELD("Retry-After", "5");
	http_conn_reply(c, &page);
}

/* The entry of a list that a field lies in: 3 of "tunnels.3.name". */
static bool api_problem_entry(const struct api_call *call, const char *field, size_t *out)
{
	struct str rest = str_of(field), step;
	uint64_t n;

	if (!(call->route->flags & API_LARGE) || !str_next(&rest, '.', &step) ||
	    !str_eq(step, STR("tunnels")) || !str_next(&rest, '.', &step) ||
	    num_parse(step, MANAGE_LIST_MAX, &n) != 0)
		return false;
	*out = (size_t)n;
	return true;
}

static void api_problem(struct api_call *call, const struct http_problem *p)
{
	struct http_problem out = *p;
	size_t entry;

	if (out.status == 0)
		out.status = http_problem_status(p->code);
	out.extra = &api_nosniff;
	out.n_extra = 1;
	if (api_problem_entry(call, p->field, &entry))
		out.entry = &entry;
	api_log(call, out.status);
	if (call->route->flags & API_WORDS)
		api_answer_words(call->conn, out.status, p->detail, NULL);
	else
		http_problem_reply(call->conn, &out);
	api_call_free(call);
}

void api_refuse(struct api_call *call, int e, const char *field, const char *fmt, ...)
{
	struct api_fault fault;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(fault.detail, sizeof fault.detail, fmt, ap);
	va_end(ap);
	api_problem(call,
		    &(struct http_problem){.code = e, .detail = fault.detail, .field = field});
}

void api_refuse_fault(struct api_call *call, const struct api_fault *fault)
{
	struct http_problem p = {.code = fault->e, .detail = fault->detail};

	if (fault->field[0] != '\0')
		p.field = fault->field;
	if (fault->e == ERR_TOOBIG)
		p.status = 400; /* not the body's length: its depth */
	api_problem(call, &p);
}

void api_refuse_answer(struct api_call *call, const struct manage_answer *answer)
{
	struct http_problem p = {.code = answer->e,
				 .detail = answer->reason,
				 .field = answer->field};
	const struct api_condition *when = &call->when;
	char field[API_FIELD_TEXT];

	if ((call->route->flags & API_LARGE) && answer->entry != SIZE_MAX) {
		str_printf(field, sizeof field, "tunnels.%zu%s%s", answer->entry,
			   answer->field == NULL ? "" : ".",
			   answer->field == NULL ? "" : answer->field);
		p.field = field;
	}
	if ((answer->e == ERR_CONFLICT && (when->match || when->match_any)) ||
	    (answer->e == ERR_EXISTS && when->none_any))
		p.status = 412;
	api_problem(call, &p);
}

void api_refuse_status(struct api_call *call, unsigned status, int e, const char *detail)
{
	api_problem(call, &(struct http_problem){.status = status, .code = e, .detail = detail});
}

void api_refuse_busy(struct api_call *call)
{
	api_refuse_status(call, 503, ERR_LIMIT,
			  "the server has too much to do at the moment; try again");
}

void api_refuse_memory(struct api_call *call)
{
	api_refuse(call, ERR_NOMEM, NULL, "the server is out of memory; try again later");
}

void api_refuse_early(struct http_conn *c, const struct api_early *early)
{
	struct http_field extra[2] = {api_nosniff};
	struct http_problem p = {.status = early->status,
				 .code = early->e,
				 .detail = early->detail,
				 .extra = extra,
				 .n_extra = 1};

	if (early->words) {
		api_answer_words(c, p.status != 0 ? p.status : http_problem_status(p.code),
				 early->detail, early->allow);
		return;
	}
	if (early->allow != NULL)
		extra[p.n_extra++] =
			(struct http_field){.name = STR("Allow"), .value = str_of(early->allow)};
	http_problem_reply(c, &p);
}
