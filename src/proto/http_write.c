/*
 * The only place that writes HTTP/1 heads, so that what may not leave (hop-by-hop fields, a framing
 * we did not understand, control characters) has one door to be stopped at.
 */
#include "proto/http_write.h"

#include <string.h>

#include "base/err.h"
#include "proto/http_char.h"

#define HTTP_START_LINE_MAX (HTTP_METHOD_MAX + sizeof "  HTTP/1.1\r\n") /* without the target */
#define HTTP_FRAMING_MAX    64 /* "Content-Length: " and 20 digits, or Transfer-Encoding */

void http_write_begin(struct http_writer *w, char *mem, size_t cap)
{
	*w = (struct http_writer){.pen = pen_on(mem, cap)};
}

/* The decimal digits of n at the end of room. */
static struct str http_write_digits(uint64_t n, char room[20])
{
	char *p = room + 20;

	do
		*--p = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	return (struct str){p, (size_t)(room + 20 - p)};
}

void http_write_request(struct http_writer *w, struct str method, struct str target)
{
	const char *end = target.p + target.len;

	if (!http_field_name_ok(method) || target.len == 0 ||
	    http_char_skip(target.p, end, HTTP_CHAR_TARGET) != end)
		w->invalid = true;
	pen_str(&w->pen, method);
	pen_str(&w->pen, STR(" "));
	pen_str(&w->pen, target);
	pen_str(&w->pen, STR(" HTTP/1.1\r\n"));
}

void http_write_status(struct http_writer *w, unsigned status, struct str reason)
{
	char room[20];

	if (status < 100 || status > 599 || !http_field_value_ok(reason))
		w->invalid = true;
	pen_str(&w->pen, STR("HTTP/1.1 "));
	pen_str(&w->pen, http_write_digits(status, room));
	pen_str(&w->pen, STR(" "));
	pen_str(&w->pen, reason.len > 0 ? reason : http_status_reason(status));
	pen_str(&w->pen, STR("\r\n"));
}

void http_write_field(struct http_writer *w, struct str name, struct str value)
{
	if (!http_field_name_ok(name) || !http_field_value_ok(value))
		w->invalid = true;
	pen_str(&w->pen, name);
	pen_str(&w->pen, STR(": "));
	pen_str(&w->pen, value);
	pen_str(&w->pen, STR("\r\n"));
}

void http_write_number(struct http_writer *w, struct str name, uint64_t value)
{
	char room[20];

	http_write_field(w, name, http_write_digits(value, room));
}

void http_write_fields(struct http_writer *w, const struct http_head *h, unsigned drop)
{
	const unsigned never = HTTP_F_HOP | HTTP_F_FRAMING | HTTP_F_ALIAS;

	for (size_t i = 0; i < h->n_fields; i++) {
		const struct http_field *f = &h->fields[i];

		if (f->flags & (never | drop))
			continue;
		pen_str(&w->pen, f->name);
		pen_str(&w->pen, STR(": "));
		pen_str(&w->pen, f->value);
		pen_str(&w->pen, STR("\r\n"));
	}
}

void http_write_framing(struct http_writer *w, const struct http_head *h)
{
	if (h->framing == HTTP_BODY_CHUNKED)
		http_write_field(w, STR("Transfer-Encoding"), STR("chunked"));
	else if (h->has_length)
		http_write_number(w, STR("Content-Length"), h->content_length);
}

int http_write_end(struct http_writer *w, size_t *len)
{
	pen_str(&w->pen, STR("\r\n"));
	*len = w->pen.full || w->invalid ? 0 : pen_len(&w->pen);
	if (w->invalid)
		return ERR_INVAL;
	return w->pen.full ? ERR_TOOBIG : 0;
}

size_t http_write_room(const struct http_head *h)
{
	/* A line "a:b" of 3 bytes and its CRLF grows by the space we write behind the colon. */
	return h->len + h->n_fields + HTTP_START_LINE_MAX + HTTP_FRAMING_MAX;
}

/* May a response with this status have a body, or tell its length? Source: RFC 9110 8.6. */
static bool http_write_has_body(unsigned status)
{
	return status >= 200 && status != 204;
}

static void http_write_page_head(struct http_writer *w, const struct http_page *page)
{
	http_write_status(w, page->status, (struct str){0});
	if (page->content_type.len > 0)
		http_write_field(w, STR("Content-Type"), page->content_type);
	for (size_t i = 0; i < page->n_fields; i++)
		http_write_field(w, page->fields[i].name, page->fields[i].value);
	/* a 304 may tell the length of what it stands for, not that it is 0 */
	if (http_write_has_body(page->status) && (page->status != 304 || page->body.len > 0))
		http_write_number(w, STR("Content-Length"), page->body.len);
	if (page->close)
		http_write_field(w, STR("Connection"), STR("close"));
}

/* Enough for the head of a page. */
static size_t http_write_page_room(const struct http_page *page)
{
	size_t room = HTTP_START_LINE_MAX + http_status_reason(page->status).len +
		      HTTP_FRAMING_MAX + sizeof "Content-Type: \r\nConnection: close\r\n\r\n" +
		      page->content_type.len;

	for (size_t i = 0; i < page->n_fields; i++)
		room += page->fields[i].name.len + page->fields[i].value.len + 4;
	return room;
}

int http_write_page(struct buf *b, size_t cap, const struct http_page *page)
{
	bool body = http_write_has_body(page->status) && !page->head_only && page->status != 304;
	size_t head_room = http_write_page_room(page), head_len;
	struct http_writer w;
	char *at;
	int e;

	if ((e = buf_room(b, head_room + (body ? page->body.len : 0), cap, &at)) != 0)
		return e;
	http_write_begin(&w, at, head_room);
	http_write_page_head(&w, page);
	if ((e = http_write_end(&w, &head_len)) != 0)
		return e;
	if (body && page->body.len > 0)
		memcpy(at + head_len, page->body.p, page->body.len);
	buf_added(b, head_len + (body ? page->body.len : 0));
	return 0;
}

struct str http_status_reason(unsigned status)
{
	switch (status) {
#define STATUS(code, reason) \
	case code:           \
		return STR(reason);
#include "proto/http_status.def"
#undef STATUS
	default: return STR("Unknown");
	}
}
