/*
 * Request smuggling lives on heads that two programs read differently. So this reader knows one
 * grammar, gives up on everything beside it with a sentence that says why, and hands out spans;
 * what leaves karez is written anew from them (http_write). It allocates nothing and looks at each
 * byte about once: this is the hot path of every request.
 */
#include "proto/http_head.h"

#include <string.h>

#include "base/err.h"
#include "base/num.h"
#include "proto/hostname.h"
#include "proto/http_char.h"

/* Where the reader stands: p <= end, and the bytes before end are CRLF CRLF. */
struct http_cursor {
	const char *p, *end;
	struct http_head *head;
	uint64_t twice; /* bit id: a known field that came more than once */
};

_Static_assert(HTTP_FIELD_IDS <= 64, "http_cursor.twice has a bit for each known field");
_Static_assert(HTTP_FIELDS_MAX < 256, "http_head.first counts in bytes");

static int http_head_refuse(struct http_head *h, int e, unsigned status, const char *why)
{
	h->refusal = (struct http_refusal){(uint16_t)status, why};
	return e;
}

static int http_head_malformed(struct http_head *h, const char *why)
{
	return http_head_refuse(h, ERR_PROTO, 400, why);
}

/*
 * Find the empty line, from where the last call left off.
 *   *len  set to the length of the head.
 * Returns 0, ERR_AGAIN, ERR_PROTO (a bare LF: no later byte makes that good), ERR_TOOBIG.
 */
static int http_head_find_end(struct str bytes, size_t *scanned, struct http_head *h)
{
	size_t limit = MIN(bytes.len, HTTP_HEAD_MAX), i = *scanned;
	const char *lf;

	while (i < limit && (lf = memchr(bytes.p + i, '\n', limit - i)) != NULL) {
		i = (size_t)(lf - bytes.p) + 1;
		if (i < 2 || lf[-1] != '\r')
			return http_head_malformed(h, "a line ends in LF without CR");
		if (i >= 4 && lf[-2] == '\n') {
			h->len = i;
			return 0;
		}
	}
	*scanned = limit;
	if (limit == HTTP_HEAD_MAX)
		return http_head_refuse(h, ERR_TOOBIG, 431, "the head is longer than 64 KiB");
	return ERR_AGAIN;
}

/* Read one line "name: value" into the next free field; the cursor moves behind it. */
static int http_head_field(struct http_cursor *c)
{
	struct http_head *h = c->head;
	struct http_field *f = &h->fields[h->n_fields];
	const char *p = c->p, *tail;

	if (h->n_fields == HTTP_FIELDS_MAX)
		return http_head_refuse(h, ERR_TOOBIG, 431, "more than 128 fields");
	f->name.p = p;
	p = http_char_skip(p, c->end, HTTP_CHAR_TOKEN);
	f->name.len = (size_t)(p - f->name.p);
	if (*p != ':' || f->name.len == 0) {
		if (f->name.len == 0 && (*p == ' ' || *p == '\t'))
			return http_head_malformed(h, "a line begins with a space");
		if (*p == ' ' || *p == '\t')
			return http_head_malformed(h, "a space follows a field name");
		return http_head_malformed(h, "a field has no proper name");
	}
	p++;
	while (*p == ' ' || *p == '\t')
		p++;
	f->value.p = p;
	tail = p = http_char_skip_value(p, c->end);
	if (p[0] != '\r' || p[1] != '\n')
		return http_head_malformed(h, "a control character in a field value");
	while (tail > f->value.p && (tail[-1] == ' ' || tail[-1] == '\t'))
		tail--;
	f->value.len = (size_t)(tail - f->value.p);
	http_field_classify(f);
	h->n_fields++;
	c->p = p + 2;
	return 0;
}

/* Read all field lines and the empty line; note which known fields there are. */
static int http_head_fields(struct http_cursor *c)
{
	struct http_head *h = c->head;
	uint8_t id;
	int e;

	h->n_fields = 0;
	memset(h->first, 0, sizeof h->first);
	while (*c->p != '\r') {
		if ((e = http_head_field(c)) != 0)
			return e;
		id = h->fields[h->n_fields - 1].id;
		if (id == HTTP_FIELD_OTHER)
			continue;
		if (h->first[id] == 0)
			h->first[id] = (uint8_t)h->n_fields;
		else
			c->twice |= UINT64_C(1) << id;
	}
	if (c->end - c->p != 2)
		return http_head_malformed(h, "a CR without LF");
	return 0;
}

/* The only field with that id: NULL in *out if there is none, ERR_PROTO if there are several. */
static int http_head_only(const struct http_cursor *c, enum http_field_id id, const char *why,
			  const struct http_field **out)
{
	*out = http_head_find(c->head, id);
	if (c->twice >> id & 1)
		return http_head_malformed(c->head, why);
	return 0;
}

/* Content-Length and Transfer-Encoding to framing, or HTTP_BODY_NONE. Source: RFC 9112 6. */
static int http_head_framing(const struct http_cursor *c)
{
	struct http_head *h = c->head;
	const struct http_field *length, *coding;
	int e;

	h->framing = HTTP_BODY_NONE;
	h->has_length = false;
	h->content_length = 0;
	if ((e = http_head_only(c, HTTP_FIELD_CONTENT_LENGTH, "several Content-Length fields",
				&length)) != 0 ||
	    (e = http_head_only(c, HTTP_FIELD_TRANSFER_ENCODING, "several Transfer-Encoding fields",
				&coding)) != 0)
		return e;
	if (length != NULL && coding != NULL)
		return http_head_malformed(h, "both Content-Length and Transfer-Encoding");
	if (coding != NULL) {
		if (h->minor == 0)
			return http_head_malformed(h, "Transfer-Encoding in HTTP/1.0");
		if (!str_eq_nocase(coding->value, STR("chunked")))
			return http_head_malformed(h,
						   "a Transfer-Encoding that is not \"chunked\"");
		h->framing = HTTP_BODY_CHUNKED;
	}
	if (length != NULL) {
		if (num_parse(length->value, INT64_MAX, &h->content_length) != 0)
			return http_head_malformed(h, "a Content-Length that is not a number");
		h->framing = HTTP_BODY_LENGTH;
		h->has_length = true;
	}
	return 0;
}

/* Mark the fields that Connection names. What the message needs to be understood stays. */
static void http_head_mark_hop(struct http_head *h, struct str name)
{
	for (size_t i = 0; i < h->n_fields; i++) {
		struct http_field *f = &h->fields[i];

		if (!(f->flags & (HTTP_F_FRAMING | HTTP_F_HOST)) && str_eq_nocase(f->name, name))
			f->flags |= HTTP_F_HOP;
	}
}

struct http_options {
	bool close, keep_alive, upgrade;
};

/* Read one Connection field into *o. *n counts the options of all of them. */
static int http_head_options(struct http_head *h, struct str value, struct http_options *o,
			     size_t *n)
{
	struct str name;

	while (http_field_list_next(&value, &name)) {
		if (++*n > HTTP_CONNECTION_MAX)
			return http_head_refuse(h, ERR_TOOBIG, 431, "Connection lists too much");
		if (str_eq_nocase(name, STR("close")))
			o->close = true;
		else if (str_eq_nocase(name, STR("keep-alive")))
			o->keep_alive = true;
		else if (str_eq_nocase(name, STR("upgrade")))
			o->upgrade = true;
		else if (http_field_name_ok(name))
			http_head_mark_hop(h, name);
		else
			return http_head_malformed(h, "Connection lists what is not a name");
	}
	return 0;
}

/* Connection and Upgrade: keep_alive, upgrade, hop-by-hop fields. Source: RFC 9110 7.6.1, 7.8. */
static int http_head_connection(const struct http_cursor *c)
{
	struct http_head *h = c->head;
	struct http_options o = {0};
	const struct http_field *f;
	size_t n = 0;
	int e;

	for (f = http_head_find(h, HTTP_FIELD_CONNECTION); f != NULL; f = http_head_find_next(h, f))
		if ((e = http_head_options(h, f->value, &o, &n)) != 0)
			return e;
	h->keep_alive = !o.close && (h->minor == 1 || o.keep_alive);
	h->upgrade = (struct str){0};
	if ((e = http_head_only(c, HTTP_FIELD_UPGRADE, "several Upgrade fields", &f)) != 0)
		return e;
	if (f != NULL && o.upgrade && h->minor == 1)
		h->upgrade = f->value;
	return 0;
}

/*
 * "HTTP/1.x" at p.
 *   n  bytes that may be read there.
 * Returns 0, ERR_PROTO, ERR_UNSUPPORTED; h->minor is set on success.
 */
static int http_head_version(struct http_head *h, const char *p, size_t n)
{
	if (n < 8 || memcmp(p, "HTTP/", 5) != 0 || p[5] < '0' || p[5] > '9' || p[6] != '.' ||
	    p[7] < '0' || p[7] > '9')
		return http_head_malformed(h, "the first line is not one of HTTP");
	if (p[5] != '1' || p[7] > '1')
		return http_head_refuse(h, ERR_UNSUPPORTED, 505, "not HTTP/1.0 or HTTP/1.1");
	h->minor = (uint8_t)(p[7] - '0');
	return 0;
}

static enum http_method http_request_method(struct str name)
{
	static const struct str names[] = {
		[HTTP_OTHER] = {"", 0},
#define METHOD(name) [HTTP_##name] = {#name, sizeof #name - 1},
#include "proto/http_method.def"
#undef METHOD
	};

	for (size_t i = 1; i < ARRAY_LEN(names); i++)
		if (str_eq(name, names[i]))
			return (enum http_method)i;
	return HTTP_OTHER;
}

/* Absolute form: "http://authority/path?query". Source: RFC 9112 3.2.2, RFC 9110 4.2. */
static int http_request_absolute(struct http_request *r)
{
	struct str rest = r->target;
	size_t scheme_len = str_find(rest, ':'), i = 0;

	r->form = HTTP_FORM_ABSOLUTE;
	r->scheme = (struct str){rest.p, scheme_len};
	rest = (struct str){rest.p + scheme_len, rest.len - scheme_len};
	if ((!str_eq_nocase(r->scheme, STR("http")) && !str_eq_nocase(r->scheme, STR("https"))) ||
	    !str_starts(rest, STR("://")))
		return http_head_malformed(&r->head, "a request target of no known form");
	rest = (struct str){rest.p + 3, rest.len - 3};
	while (i < rest.len && rest.p[i] != '/' && rest.p[i] != '?')
		i++;
	r->authority = (struct str){rest.p, i};
	r->path = (struct str){rest.p + i, rest.len - i};
	if (!hostname_authority_ok(r->authority))
		return http_head_malformed(&r->head, "no valid host in the request target");
	return 0;
}

/* Authority form, for CONNECT only: "host:port". Source: RFC 9112 3.2.3. */
static int http_request_authority(struct http_request *r)
{
	struct hostname_authority a;

	r->form = HTTP_FORM_AUTHORITY;
	r->authority = r->target;
	if (hostname_split(r->target, &a) != 0 || a.port == 0)
		return http_head_malformed(&r->head, "CONNECT without host and port");
	return 0;
}

static int http_request_target(struct http_request *r)
{
	r->path = r->scheme = r->authority = (struct str){0};
	if (r->method == HTTP_CONNECT)
		return http_request_authority(r);
	if (r->target.p[0] == '/') {
		r->form = HTTP_FORM_ORIGIN;
		r->path = r->target;
		return 0;
	}
	if (str_eq(r->target, STR("*"))) {
		r->form = HTTP_FORM_ASTERISK;
		r->path = r->target;
		if (r->method != HTTP_OPTIONS)
			return http_head_malformed(&r->head,
						   "\"*\" with another method than OPTIONS");
		return 0;
	}
	return http_request_absolute(r);
}

/* Read "METHOD target HTTP/1.x"; the line is there as a whole. Source: RFC 9112 3. */
static int http_request_line(struct http_cursor *c, struct http_request *r)
{
	const char *method = c->p, *target, *version;
	int e;

	target = http_char_skip(method, c->end, HTTP_CHAR_TOKEN);
	r->method_name = (struct str){method, (size_t)(target - method)};
	if (r->method_name.len == 0 || r->method_name.len > HTTP_METHOD_MAX || *target != ' ')
		return http_head_malformed(c->head, "the first line does not begin with a method");
	r->method = http_request_method(r->method_name);
	target++;
	version = http_char_skip(target, c->end, HTTP_CHAR_TARGET);
	r->target = (struct str){target, (size_t)(version - target)};
	if (r->target.len > HTTP_TARGET_MAX)
		return http_head_refuse(c->head, ERR_TOOBIG, 414,
					"the target is longer than 16 KiB");
	if (*version == '#')
		return http_head_malformed(c->head, "a fragment in the request target");
	if (r->target.len == 0 || *version != ' ')
		return http_head_malformed(c->head, "no proper request target and version");
	version++;
	if ((e = http_head_version(c->head, version, (size_t)(c->end - version))) != 0)
		return e;
	c->p = version + 8;
	if (c->p[0] != '\r' || c->p[1] != '\n')
		return http_head_malformed(c->head, "more than a version ends the first line");
	c->p += 2;
	return http_request_target(r);
}

/* Settle which host is asked for. Source: RFC 9112 3.2, RFC 9110 7.2. */
static int http_request_host(const struct http_cursor *c, struct http_request *r)
{
	struct http_head *h = c->head;
	const struct http_field *f;
	uint16_t port = 80;
	int e;

	if ((e = http_head_only(c, HTTP_FIELD_HOST, "several Host fields", &f)) != 0)
		return e;
	r->host = f == NULL ? r->authority : f->value;
	if (f == NULL)
		return h->minor == 0 ? 0 : http_head_malformed(h, "no Host field");
	if (!hostname_authority_ok(f->value))
		return http_head_malformed(h, "Host is not a host name");
	if (r->authority.len == 0)
		return 0;
	if (r->form == HTTP_FORM_AUTHORITY) {
		struct hostname_authority a;

		if (hostname_split(r->authority, &a) != 0)
			return http_head_malformed(h, "CONNECT without host and port");
		port = a.port;
	} else if (str_eq_nocase(r->scheme, STR("https"))) {
		port = 443;
	}
	if (!hostname_authority_same(f->value, r->authority, port))
		return http_head_malformed(h, "Host contradicts the request target");
	return 0;
}

/*
 * Expect. In HTTP/1.0 it is ignored and not passed on, since what we write is HTTP/1.1, where it
 * would count. Source: RFC 9110 10.1.1.
 */
static int http_request_expect(const struct http_cursor *c, struct http_request *r)
{
	const struct http_field *f = http_head_find(c->head, HTTP_FIELD_EXPECT);

	r->expect_continue = false;
	if (f == NULL)
		return 0;
	if (c->head->minor == 0) {
		http_head_mark_hop(c->head, f->name);
		return 0;
	}
	if (c->twice >> HTTP_FIELD_EXPECT & 1 || !str_eq_nocase(f->value, STR("100-continue")))
		return http_head_refuse(c->head, ERR_UNSUPPORTED, 417,
					"an expectation other than 100-continue");
	r->expect_continue = true;
	return 0;
}

/*
 * The head is not whole yet. Refuse at once what cannot become one: the other side may wait for an
 * answer (another protocol), or never send a line end.
 *   searched  how far the call before had come.
 * Returns ERR_AGAIN or the error.
 */
static int http_request_early(struct str bytes, size_t searched, struct http_request *r)
{
	struct http_cursor c = {.p = bytes.p, .end = bytes.p + bytes.len, .head = &r->head};
	const char *lf;
	int e;

	if (c.p[0] == '\r') {
		if (bytes.len > 1 && c.p[1] != '\n')
			return http_head_malformed(c.head, "a CR without LF");
		c.p += MIN(bytes.len, 2);
	}
	if (c.p == c.end)
		return ERR_AGAIN;
	if (!http_char_is(*c.p, HTTP_CHAR_TOKEN))
		return http_head_malformed(c.head, "the first line does not begin with a method");
	lf = memchr(c.p, '\n', (size_t)(c.end - c.p));
	if (lf == NULL && c.end - c.p > HTTP_METHOD_MAX + HTTP_TARGET_MAX + 12)
		return http_head_refuse(c.head, ERR_TOOBIG, 414,
					"the target is longer than 16 KiB");
	if (lf == NULL || (size_t)(lf - bytes.p) < searched)
		return ERR_AGAIN;
	c.end = lf + 1;
	e = http_request_line(&c, r);
	return e == 0 ? ERR_AGAIN : e;
}

int http_request_parse(struct str bytes, size_t *scanned, struct http_request *out)
{
	struct http_cursor c = {.head = &out->head};
	size_t searched = *scanned;
	int e;

	if (bytes.len == 0)
		return ERR_AGAIN;
	if ((e = http_head_find_end(bytes, scanned, &out->head)) != 0) {
		int early = http_request_early(bytes, searched, out);

		return early == ERR_AGAIN ? e : early;
	}
	c.p = bytes.p;
	c.end = bytes.p + out->head.len;
	if (c.p[0] == '\r' && c.p[1] == '\n')
		c.p += 2;
	if ((e = http_request_line(&c, out)) != 0 || (e = http_head_fields(&c)) != 0 ||
	    (e = http_request_host(&c, out)) != 0 || (e = http_head_framing(&c)) != 0 ||
	    (e = http_head_connection(&c)) != 0)
		return e;
	return http_request_expect(&c, out);
}

/* Read "HTTP/1.x 200 reason"; the space before an empty reason may be missing. */
static int http_response_line(struct http_cursor *c, struct http_response *r)
{
	const char *p = c->p;
	unsigned status = 0;
	int e;

	if ((e = http_head_version(c->head, p, (size_t)(c->end - p))) != 0)
		return e;
	if (c->end - p < 14 || p[8] != ' ')
		return http_head_malformed(c->head, "no status follows the version");
	for (p += 9; p < c->p + 12; p++) {
		if (*p < '0' || *p > '9')
			return http_head_malformed(c->head, "the status is not a number");
		status = status * 10 + (unsigned)(*p - '0');
	}
	if (status < 100 || status > 599)
		return http_head_malformed(c->head, "the status is not within 100-599");
	r->status = status;
	r->reason = (struct str){p, 0};
	if (*p == ' ') {
		r->reason.p = ++p;
		p = http_char_skip_value(p, c->end);
		r->reason.len = (size_t)(p - r->reason.p);
	}
	if (p[0] != '\r' || p[1] != '\n')
		return http_head_malformed(c->head, "the status line is not well-formed");
	c->p = p + 2;
	return 0;
}

/* What the status and the method say about the body. Source: RFC 9112 6.3. */
static void http_response_framing(struct http_response *r, enum http_method asked)
{
	struct http_head *h = &r->head;
	bool tunnel = r->status == 101 || (asked == HTTP_CONNECT && r->status / 100 == 2);
	bool bare = r->status < 200 || r->status == 204;

	/* A length here is a mistake; whoever makes it may send that body, too. */
	if (tunnel || (bare && (h->framing == HTTP_BODY_CHUNKED || h->content_length > 0)))
		h->keep_alive = false;
	if (tunnel || bare) {
		h->has_length = false;
		h->content_length = 0;
	}
	if (tunnel) {
		h->framing = HTTP_BODY_TUNNEL;
	} else if (bare || r->status == 304 || asked == HTTP_HEAD) {
		h->framing = HTTP_BODY_NONE;
	} else if (h->framing == HTTP_BODY_NONE) {
		h->framing = HTTP_BODY_CLOSE;
		h->keep_alive = false;
	}
}

int http_response_parse(struct str bytes, enum http_method asked, size_t *scanned,
			struct http_response *out)
{
	struct http_cursor c = {.head = &out->head};
	size_t n = MIN(bytes.len, 5);
	int e;

	if (bytes.len == 0)
		return ERR_AGAIN;
	if (memcmp(bytes.p, "HTTP/", n) != 0)
		return http_head_malformed(&out->head, "the first line is not one of HTTP");
	if ((e = http_head_find_end(bytes, scanned, &out->head)) != 0)
		return e;
	c.p = bytes.p;
	c.end = bytes.p + out->head.len;
	if ((e = http_response_line(&c, out)) != 0 || (e = http_head_fields(&c)) != 0 ||
	    (e = http_head_framing(&c)) != 0 || (e = http_head_connection(&c)) != 0)
		return e;
	http_response_framing(out, asked);
	return 0;
}

const struct http_field *http_head_find_next(const struct http_head *h, const struct http_field *f)
{
	for (const struct http_field *next = f + 1; next < h->fields + h->n_fields; next++)
		if (next->id == f->id)
			return next;
	return NULL;
}
