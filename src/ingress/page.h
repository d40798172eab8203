/* The pages that a visitor sees when there is no answer from the tunnel: short, and in words that
 * help. */
#ifndef KAREZ_INGRESS_PAGE_H
#define KAREZ_INGRESS_PAGE_H

#include "http/http_conn.h"

/* What kind of text the visitor likes best, by its Accept. */
enum page_kind { PAGE_TEXT, PAGE_HTML, PAGE_JSON };

enum page_kind page_kind_of(const struct http_request *req);

/*
 * Answer with the page of an error.
 *   e     ERR_NOROUTE (404), ERR_NOSESSION (503), ERR_DISABLED (403), ERR_LOOP (508),
 * ERR_UNSUPPORTED (501), ERR_LIMIT, ERR_NOMEM, ERR_NOFILE (503), ERR_PROTO (400); any other is a
 * target that failed (502). host  as the visitor asked, may be empty.
 */
void page_reply(struct http_conn *c, int e, enum page_kind kind, struct str host);

/* The status of that page. */
unsigned page_status(int e);

/* Why the rights of a tunnel let somebody not in. */
enum page_refusal {
	PAGE_ADDRESS,	 /* 403: not from there */
	PAGE_CREDENTIAL, /* 401: none, or not the right one */
	PAGE_AMBIGUOUS,	 /* 400: several Authorization fields */
	PAGE_HOOK,	 /* 502: the service that decides does not answer */
};

/*
 * Answer with the page of a refusal.
 *   fields  borrowed: [n_fields] that are added, PAGE_FIELDS_MAX at most.
 */
#define PAGE_FIELDS_MAX 4
struct page_refused {
	enum page_refusal why;
	enum page_kind kind;
	struct str host; /* as the visitor asked, may be empty */
	const struct http_field *fields;
	size_t n_fields;
};
void page_refuse(struct http_conn *c, const struct page_refused *r);

#endif
