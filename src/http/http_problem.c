/*
 * Every refusal leaves through here, so that a person reads a reason and a script a stable code,
 * whichever room says no.
 */
#include "http/http_problem.h"

#include <string.h>

#include "base/err.h"
#include "proto/json.h"

/* Bytes of a body: two texts of which every byte is escaped as \u00XX, and the rest. */
#define HTTP_PROBLEM_MAX (2 * 6 * HTTP_PROBLEM_TEXT_MAX + 1024)

/* By ERR_*. 503: not the request's fault, the same one may work in a moment. */
static const uint16_t http_problem_statuses[] = {
	[ERR_NOMEM] = 503,     [ERR_AGAIN] = 503,	[ERR_EOF] = 503,
	[ERR_RESET] = 503,     [ERR_REFUSED] = 503,	[ERR_TIMEOUT] = 503,
	[ERR_UNREACH] = 503,   [ERR_RESOLVE] = 503,	[ERR_PROTO] = 400,
	[ERR_TOOBIG] = 413,    [ERR_INVAL] = 400,	[ERR_NOTFOUND] = 404,
	[ERR_EXISTS] = 409,    [ERR_CONFLICT] = 409,	[ERR_DENIED] = 403,
	[ERR_LIMIT] = 429,     [ERR_NOFILE] = 503,	[ERR_IO] = 503,
	[ERR_CLOSED] = 503,    [ERR_TLS] = 503,		[ERR_CERT] = 403,
	[ERR_AUTH] = 401,      [ERR_LOOP] = 508,	[ERR_NOROUTE] = 404,
	[ERR_NOSESSION] = 503, [ERR_TARGET] = 502,	[ERR_DISABLED] = 403,
	[ERR_REPLACED] = 409,  [ERR_DRAIN] = 503,	[ERR_FULL] = 507,
	[ERR_INUSE] = 409,     [ERR_DEAD] = 503,	[ERR_RESERVED] = 403,
	[ERR_DELETED] = 404,   [ERR_UNSUPPORTED] = 501, [ERR_DISCONNECTED] = 409,
};

unsigned http_problem_status(int e)
{
	if (e < 0 || (size_t)e >= ARRAY_LEN(http_problem_statuses) || http_problem_statuses[e] == 0)
		return 500;
	return http_problem_statuses[e];
}

/* A text that cannot be told is left out: the rest still says what happened. */
static int http_problem_set_text(struct json *j, const char *key, const char *text)
{
	int e;

	if (text == NULL || strnlen(text, HTTP_PROBLEM_TEXT_MAX + 1) > HTTP_PROBLEM_TEXT_MAX)
		return 0;
	e = json_set_text(j, key, str_of(text));
	return e == ERR_INVAL ? 0 : e;
}

static int http_problem_write(const struct http_problem *p, unsigned status, struct buf *body)
{
	struct json *j = NULL;
	int e;

	if ((e = json_new_object(&j)) == 0 &&
	    (e = json_set_text(j, "type", STR("about:blank"))) == 0 &&
	    (e = json_set_text(j, "title", str_of(err_text(p->code)))) == 0 &&
	    (e = json_set_number(j, "status", status)) == 0 &&
	    (e = http_problem_set_text(j, "detail", p->detail)) == 0 &&
	    (e = json_set_text(j, "code", str_of(err_name(p->code)))) == 0 &&
	    (e = json_set_text(j, "error", str_of(err_name(p->code)))) == 0 &&
	    (e = http_problem_set_text(j, "field", p->field)) == 0 &&
	    (p->entry == NULL || (e = json_set_number(j, "entry", *p->entry)) == 0))
		e = json_write(j, HTTP_PROBLEM_MAX, body);
	json_free(j);
	return e;
}

/* The field that a status asks for; NULL: none. Source: RFC 9110 11.6.1, 7.8, 10.2.3. */
static const struct http_field *http_problem_status_field(unsigned status)
{
	static const struct http_field auth = HTTP_PROBLEM_FIELD("WWW-Authenticate", "Bearer");
	static const struct http_field upgrade = HTTP_PROBLEM_FIELD("Connection", "Upgrade");
	static const struct http_field retry = HTTP_PROBLEM_FIELD("Retry-After", "5");

	switch (status) {
	case 401: return &auth;
	case 426: return &upgrade;
	case 429:
	case 503: return &retry;
	default: return NULL;
	}
}

void http_problem_reply(struct http_conn *c, const struct http_problem *p)
{
	struct http_field fields[2 + HTTP_PROBLEM_EXTRA] = {
		HTTP_PROBLEM_FIELD("Cache-Control", "no-store")};
	struct http_page page = {.fields = fields, .n_fields = 1};
	const struct http_field *more;
	struct buf body = {0};

	CHECK(p->n_extra <= HTTP_PROBLEM_EXTRA);
	page.status = p->status != 0 ? p->status : http_problem_status(p->code);
	for (size_t i = 0; i < p->n_extra; i++)
		fields[page.n_fields++] = p->extra[i];
	if ((more = http_problem_status_field(page.status)) != NULL)
		fields[page.n_fields++] = *more;
	if (http_problem_write(p, page.status, &body) == 0) {
		page.content_type = STR("application/problem+json");
		page.body = buf_str(&body);
	}
	http_conn_reply(c, &page);
	buf_free(&body);
}
