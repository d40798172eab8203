/*
 * The one shape in which karez says no over HTTP, and the one table from an error to a status.
 * Source: RFC 9457 (problem details).
 */
#ifndef KAREZ_HTTP_HTTP_PROBLEM_H
#define KAREZ_HTTP_HTTP_PROBLEM_H

#include "http/http_conn.h"

#define HTTP_PROBLEM_TEXT_MAX 1024 /* bytes of a detail or a field's name */
#define HTTP_PROBLEM_EXTRA    4	   /* more fields of the answer's head */

/* A field of two literals, as an initializer. */
#define HTTP_PROBLEM_FIELD(n, v)                                             \
	{                                                                    \
		.name = {(n), sizeof(n) - 1}, .value = {(v), sizeof(v) - 1 } \
	}

/* A value; all texts borrowed for the call. */
struct http_problem {
	unsigned status;     /* 0: http_problem_status(code) */
	int code;	     /* an ERR_* */
	const char *detail;  /* a sentence for a person without a full stop; NULL: none */
	const char *field;   /* the member of the body or query that is at fault; NULL: none */
	const size_t *entry; /* of a list in the body: the one that is at fault; NULL: none */
	const struct http_field *extra; /* [n_extra], at most HTTP_PROBLEM_EXTRA */
	size_t n_extra;
};

/*
 * Answer the request in hand with a problem: application/problem+json with the members type, title
 * (of the code), status, detail, code, error (the same as code, where scripts for exposr look),
 * field and entry. A detail or field that is not UTF-8 or longer than HTTP_PROBLEM_TEXT_MAX is left
 * out. Cache-Control always comes with it; WWW-Authenticate with 401, Connection: Upgrade with 426,
 * Retry-After with 429 and 503.
 */
void http_problem_reply(struct http_conn *c, const struct http_problem *p);

/*
 * The status of a request that failed with this error; 500 for 0 and for numbers without a meaning
 * to whoever asked. ERR_PROTO is taken for the fault of the request. A reserved name is 403, not
 * 409: nobody holds it, and asking again later does not help.
 *   e  an ERR_*.
 * Source: RFC 9110 15.5, 15.6, RFC 6585 4 (429), RFC 4918 11.5 (507), RFC 5842 7.2 (508).
 */
unsigned http_problem_status(int e);

#endif
