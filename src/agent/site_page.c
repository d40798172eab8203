/* No script, no picture, no font: it must be readable on a phone, on a train, and in curl. */
#include "agent/site_page.h"

#include <string.h>

#include "base/err.h"
#include "base/show.h"
#include "proto/http_date.h"

/* Room for the end of a page behind SITE_PAGE_MAX. */
#define SITE_PAGE_TAIL 1024

#define SITE_FIELD(n, v)                                                     \
	{                                                                    \
		.name = {(n), sizeof(n) - 1}, .value = {(v), sizeof(v) - 1 } \
	}

const struct http_field site_page_fields[SITE_PAGE_FIELDS] = {
	SITE_FIELD("Content-Security-Policy",
		   "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"),
	SITE_FIELD("Cache-Control", "no-cache"),
};

const struct http_field site_page_nosniff = SITE_FIELD("X-Content-Type-Options", "nosniff");

static const char site_page_head[] =
	"<!doctype html>\n"
	"<html lang=\"en\"><head><meta charset=\"utf-8\">"
	"<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
	"<meta name=\"color-scheme\" content=\"light dark\">\n<title>";

static const char site_page_style[] =
	"</title>\n<style>"
	":root{--ink:#222;--soft:#6b6b6b;--line:#e3e3e3;--paper:#fff;--link:#0b57d0}"
	"@media(prefers-color-scheme:dark){:root{--ink:#ddd;--soft:#999;--line:#333;"
	"--paper:#1a1a1a;--link:#8ab4f8}}"
	"body{font:1rem/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;"
	"color:var(--ink);background:var(--paper)}"
	"h1{font-size:1.25rem;font-weight:600;overflow-wrap:anywhere}"
	"a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}"
	"table{width:100%;border-collapse:collapse}"
	"th,td{padding:.35rem .5rem;text-align:left;vertical-align:top;"
	"border-bottom:1px solid var(--line)}"
	"th{font-weight:400;font-size:.85rem;color:var(--soft)}"
	"th:first-child,td:first-child{padding-left:0;overflow-wrap:anywhere}"
	"th:last-child,td:last-child{padding-right:0}"
	".n{text-align:right;white-space:nowrap;color:var(--soft)}.s{color:var(--soft)}"
	".bad{color:#c5221f}@media(prefers-color-scheme:dark){.bad{color:#f28b82}}"
	"p{color:var(--soft);font-size:.85rem}"
	"@media(max-width:34rem){.w{display:none}}"
	"</style></head>\n<body><h1>";

static struct str site_page_escape(char c)
{
	switch (c) {
	case '&': return STR("&amp;");
	case '<': return STR("&lt;");
	case '>': return STR("&gt;");
	case '"': return STR("&quot;");
	case '\'': return STR("&#39;");
	default: return STR("");
	}
}

int site_page_text(struct buf *b, size_t cap, struct str text)
{
	while (text.len > 0) {
		char one[8];
		size_t n = show_visible(one, text);
		struct str escape = site_page_escape(one[0]), out = str_of(one);
		int e;

		if (escape.len > 0)
			out = escape;
		if ((e = buf_add(b, out.p, out.len, cap)) != 0)
			return e;
		text = (struct str){text.p + n, text.len - n};
	}
	return 0;
}

int site_page_begin(struct buf *b, struct str title, struct str heading,
		    const char *const columns[3])
{
	int e = buf_add(b, site_page_head, sizeof site_page_head - 1, SITE_PAGE_MAX);

	if (e == 0)
		e = site_page_text(b, SITE_PAGE_MAX, title);
	if (e == 0)
		e = buf_add(b, site_page_style, sizeof site_page_style - 1, SITE_PAGE_MAX);
	if (e == 0)
		e = buf_add(b, heading.p, heading.len, SITE_PAGE_MAX);
	if (e == 0)
		e = buf_printf(b, SITE_PAGE_MAX,
			       "</h1>\n<table><thead><tr><th>%s<th class=n>%s<th class=\"n w\">%s"
			       "</thead><tbody>\n",
			       columns[0], columns[1], columns[2]);
	return e;
}

int site_page_end(struct buf *b, const char *note)
{
	CHECK(strlen(note) < SITE_PAGE_TAIL - 100);
	return buf_printf(b, SITE_PAGE_MAX + SITE_PAGE_TAIL,
			  "</tbody></table>\n%s%s%s</body></html>\n", note[0] != '\0' ? "<p>" : "",
			  note, note[0] != '\0' ? "</p>\n" : "");
}

void site_page_say(struct http_conn *c, struct ev *ev, unsigned status, const char *why,
		   const struct http_field *more)
{
	struct http_field fields[3] = {{.name = STR("Date")}, site_page_nosniff};
	char text[200], date[HTTP_DATE_TEXT];
	struct http_page page = {.status = status,
				 .content_type = STR("text/plain; charset=utf-8"),
				 .fields = fields,
				 .n_fields = 2};

	http_date_format(ev_wall_ms(ev) / 1000, date);
	fields[0].value = str_of(date);
	if (more != NULL)
		fields[page.n_fields++] = *more;
	page.body.p = text;
	page.body.len = str_printf(text, sizeof text, "%u " STR_FMT ": %s.\n", status,
				   STR_ARG(http_status_reason(status)), why);
	http_conn_reply(c, &page);
}
