/* The small pages that an agent makes itself: one look, text of strangers made harmless. */
#ifndef KAREZ_AGENT_SITE_PAGE_H
#define KAREZ_AGENT_SITE_PAGE_H

#include "http/http_conn.h"

/* Bytes of a page, at most; what would make it longer is left out, and the page says so. */
#define SITE_PAGE_MAX (512 * 1024)

/* The type of these pages. */
#define SITE_PAGE_TYPE "text/html; charset=utf-8"

/* Fields that a page has: [SITE_PAGE_FIELDS]. The page's own style is allowed,
 * nothing else, should a browser ever be made to see a script in it. */
#define SITE_PAGE_FIELDS 2
extern const struct http_field site_page_fields[SITE_PAGE_FIELDS];

/* What every answer has besides: a browser is not to guess what a file is. */
extern const struct http_field site_page_nosniff;

/*
 * Answer the request in hand with a sentence: a refusal, or a redirection.
 *   why   without a full stop.
 *   more  one more field; NULL: none.
 */
void site_page_say(struct http_conn *c, struct ev *ev, unsigned status, const char *why,
		   const struct http_field *more);

/*
 * Append some text as it is to be seen: UTF-8, with nothing that HTML, a terminal or the eye could
 * take for more than text (see base/show.h).
 * All here: return 0, ERR_TOOBIG (above `cap`; something may have been added), ERR_NOMEM.
 */
int site_page_text(struct buf *b, size_t cap, struct str text) MUST_CHECK;

/*
 * Begin a page: head, style, heading and the start of a table with its head.
 *   title    of the page; heading: HTML, trusted.
 *   columns  [3] their heads; trusted.
 */
int site_page_begin(struct buf *b, struct str title, struct str heading,
		    const char *const columns[3]) MUST_CHECK;

/* End the table and the page. note: HTML below the table; trusted, may be "". There is always room
 * for it behind SITE_PAGE_MAX. */
int site_page_end(struct buf *b, const char *note) MUST_CHECK;

#endif
