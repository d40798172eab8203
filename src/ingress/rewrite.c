/* Heads in, heads out; nothing is copied that was not understood. */
#include "ingress/rewrite.h"

#include <string.h>

#include "base/err.h"
#include "proto/forwarded.h"

/* Enough for the fields we add ourselves, without the lists of trusted proxies. */
#define OWN_FIELDS 2048

/* The lists of a trusted proxy: X-Forwarded-For, Forwarded, Via. */
#define CHAINS (3 * REWRITE_CHAIN_MAX)

/* Source: RFC 8586. */
static const struct str loop_name = {"CDN-Loop", 8};

/* Room in out for a head of about the length of h; *w writes there. */
static int rewrite_begin(struct http_writer *w, struct buf *out, const struct http_head *h,
			 size_t more)
{
	size_t room = http_write_room(h) + more + OWN_FIELDS;
	char *at;
	int e;

	if ((e = buf_room(out, room, REWRITE_MAX, &at)) != 0)
		return e;
	http_write_begin(w, at, room);
	return 0;
}

static int rewrite_end(struct http_writer *w, struct buf *out)
{
	size_t len;
	int e = http_write_end(w, &len);

	if (e == 0)
		buf_added(out, len);
	return e;
}

/* ---- what the other side is told about the way ---- */

/*
 * All values of a list field, joined; of too many those that stand last, which our neighbours
 * wrote. *whole  set to whether these are all.
 */
static struct str rewrite_chain(const struct http_head *h, enum http_field_id id,
				char text[REWRITE_CHAIN_MAX], bool *whole)
{
	size_t len = 0;

	*whole = true;
	for (const struct http_field *f = http_head_find(h, id); f != NULL;
	     f = http_head_find_next(h, f)) {
		if (f->value.len == 0)
			continue;
		if (len > 0 && len + 2 + f->value.len <= REWRITE_CHAIN_MAX) {
			memcpy(text + len, ", ", 2);
			len += 2;
		} else if (len > 0) {
			*whole = false;
			len = 0;
		}
		if (f->value.len > REWRITE_CHAIN_MAX) {
			*whole = false;
			continue;
		}
		memcpy(text + len, f->value.p, f->value.len);
		len += f->value.len;
	}
	return (struct str){text, len};
}

/* All values of a list field that came, joined, and one more. */
static void rewrite_list(struct http_writer *w, const struct http_head *h, enum http_field_id id,
			 struct str name, struct str last)
{
	char text[REWRITE_CHAIN_MAX + 2 + FORWARDED_MAX];
	struct str joined;
	bool whole;

	joined = rewrite_chain(h, id, text, &whole);
	if (joined.len > 0 && last.len <= FORWARDED_MAX) {
		memcpy(text + joined.len, ", ", 2);
		memcpy(text + joined.len + 2, last.p, last.len);
		last = (struct str){text, joined.len + 2 + last.len};
	}
	http_write_field(w, name, last);
}

/* A trusted proxy's word for it, else our own. */
static void rewrite_fact(struct http_writer *w, const struct http_head *h, enum http_field_id id,
			 bool trusted, struct str ours)
{
	const struct http_field *f = trusted ? http_head_find(h, id) : NULL;

	http_write_field(w, http_field_name(id), f != NULL ? f->value : ours);
}

static void rewrite_forwarding(struct http_writer *w, const struct http_request *req,
			       const struct rewrite_from *from)
{
	static const struct http_head nothing;
	const struct http_head *believed = from->trusted ? &req->head : &nothing;
	struct str ip = str_of(from->peer->ip), proto = from->tls ? STR("https") : STR("http");
	struct forwarded element = {.for_ip = ip, .host = req->host, .proto = proto};
	struct hostname_authority host;
	char text[FORWARDED_MAX], port[8], via[64];
	size_t len;
	uint16_t n = from->tls ? 443 : 80;

	if (hostname_split(req->host, &host) == 0 && host.port != 0)
		n = host.port;
	len = str_printf(port, sizeof port, "%u", n);
	rewrite_list(w, believed, HTTP_FIELD_X_FORWARDED_FOR, STR("X-Forwarded-For"), ip);
	rewrite_fact(w, believed, HTTP_FIELD_X_REAL_IP, from->trusted, ip);
	rewrite_fact(w, believed, HTTP_FIELD_X_FORWARDED_PROTO, from->trusted, proto);
	rewrite_fact(w, believed, HTTP_FIELD_X_FORWARDED_HOST, from->trusted, req->host);
	rewrite_fact(w, believed, HTTP_FIELD_X_FORWARDED_PORT, from->trusted,
		     (struct str){port, len});
	if (forwarded_format(&element, text, sizeof text, &len) == 0)
		rewrite_list(w, believed, HTTP_FIELD_FORWARDED, STR("Forwarded"),
			     (struct str){text, len});
	len = str_printf(via, sizeof via, "1.%u %s", req->head.minor, from->mark);
	rewrite_list(w, believed, HTTP_FIELD_VIA, STR("Via"), (struct str){via, len});
	/* one line more of a list that nobody on the way takes away, as we do with a stranger's Via
	 */
	http_write_field(w, loop_name, str_of(from->mark));
}

void rewrite_visitor(const struct http_head *h, const struct rewrite_from *from,
		     const struct cidr *proxies, size_t n, struct visit_end *out)
{
	char text[REWRITE_CHAIN_MAX];
	struct forwarded element;
	struct str rest;
	bool whole;
	int e;

	*out = *from->peer;
	if (!from->trusted)
		return;
	rest = rewrite_chain(h, HTTP_FIELD_X_FORWARDED_FOR, text, &whole);
	while ((e = forwarded_prev_xff(&rest, &element)) == 0) {
		if (visit_end_set(out, element.for_ip, 0) != 0)
			return; /* "unknown", or not an address */
		if (!cidr_match_text(proxies, n, element.for_ip))
			return;
	}
	if (e != ERR_NOTFOUND || !whole)
		*out = (struct visit_end){0};
}

/* ---- names that are not for everybody ---- */

/*
 * Does a name begin like this? What is no letter or digit counts as '-': targets that make
 * variables of names cannot tell them apart. lower  NUL-terminated.
 */
static bool rewrite_begins(struct str name, const char *lower)
{
	size_t i;

	for (i = 0; lower[i] != '\0'; i++) {
		char c = i < name.len ? ascii_lower(name.p[i]) : '\0';

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '\0')
			c = '-';
		if (c != lower[i])
			return false;
	}
	return true;
}

bool rewrite_is_identity(struct str name)
{
	static const char *const whole[] = {"remote-user", "remote-groups", "remote-name",
					    "remote-email"};

	if (rewrite_begins(name, "x-auth-"))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(whole); i++)
		if (name.len == strlen(whole[i]) && rewrite_begins(name, whole[i]))
			return true;
	return false;
}

/*
 * What a hook is told by us alone. A target that believes a visitor about it would do something
 * else than what the hook was asked about: some take the path from X-Original-URL.
 */
static bool rewrite_is_ours(struct str name)
{
	return rewrite_begins(name, "x-original-") || rewrite_begins(name, "x-rewrite-") ||
	       rewrite_begins(name, "x-karez-");
}

/* The same, but for those that a trusted proxy may say to the target: X-Forwarded-User. */
static bool rewrite_is_proxys(struct str name)
{
	return rewrite_begins(name, "x-forwarded-");
}

/* What a hook is not told in the visitor's words: also what would change its answer's form. */
static bool rewrite_is_not_asked(struct str name)
{
	return rewrite_is_identity(name) || rewrite_is_ours(name) || rewrite_is_proxys(name) ||
	       rewrite_begins(name, "if-") || str_eq_nocase(name, STR("expect")) ||
	       str_eq_nocase(name, STR("range")) || str_eq_nocase(name, STR("accept-encoding"));
}

/* What the target is not told in the visitor's words when a hook has let it in. */
static bool rewrite_is_judged(struct str name, const struct rewrite_from *from)
{
	return rewrite_is_identity(name) || rewrite_is_ours(name) ||
	       (!from->trusted && rewrite_is_proxys(name));
}

/* ---- requests ---- */

/* What all requests leave out, and write themselves. */
#define REWRITE_NEVER \
	(HTTP_F_HOP | HTTP_F_FRAMING | HTTP_F_ALIAS | HTTP_F_HOST | HTTP_F_FORWARDING | HTTP_F_VIA)

/* Path and query as the target sees them. */
static struct str rewrite_target(const struct http_request *req, char room[HTTP_TARGET_MAX + 2])
{
	struct str target = req->path;

	if (target.len > 0 && (target.p[0] == '/' || target.p[0] == '*'))
		return target;
	room[0] = '/';
	if (target.len > 0)
		memcpy(room + 1, target.p, target.len);
	return (struct str){room, target.len + 1};
}

/* The scheme that the visitor used, as far as we can know. */
static struct str rewrite_scheme(const struct http_request *req, const struct rewrite_from *from)
{
	const struct http_field *f = NULL;

	if (from->trusted)
		f = http_head_find(&req->head, HTTP_FIELD_X_FORWARDED_PROTO);
	if (f != NULL && str_eq_nocase(f->value, STR("https")))
		return STR("https");
	if (f != NULL && str_eq_nocase(f->value, STR("http")))
		return STR("http");
	return from->tls ? STR("https") : STR("http");
}

/* Whose origin becomes which. */
struct rewrite_origin {
	struct str scheme, host; /* the visitor's */
	char target[16 + HOSTNAME_AUTHORITY_MAX];
	char authority[HOSTNAME_AUTHORITY_MAX + 1]; /* of the target */
};

static void rewrite_set_origin(struct rewrite_origin *o, const struct http_request *req,
			       const struct rewrite_from *from, const struct url *target)
{
	o->scheme = rewrite_scheme(req, from);
	o->host = req->host;
	url_format_authority(target, o->authority);
	str_printf(o->target, sizeof o->target, "%s://%s", url_is_tls(target) ? "https" : "http",
		   o->authority);
}

/* Does a URL begin with the origin that the visitor used? What follows it: *rest. */
static bool rewrite_is_own(const struct rewrite_origin *o, struct str url, struct str *rest)
{
	size_t n = o->scheme.len + 3, end = n;

	if (url.len < n || !str_eq_nocase((struct str){url.p, o->scheme.len}, o->scheme) ||
	    memcmp(url.p + o->scheme.len, "://", 3) != 0)
		return false;
	while (end < url.len && url.p[end] != '/' && url.p[end] != '?' && url.p[end] != '#')
		end++;
	*rest = (struct str){url.p + end, url.len - end};
	return hostname_authority_same((struct str){url.p + n, end - n}, o->host,
				       str_eq(o->scheme, STR("https")) ? 443 : 80);
}

/* One Origin or Referer. */
static void rewrite_write_origin(struct http_writer *w, const struct http_field *f,
				 const struct rewrite_origin *o)
{
	char text[HTTP_TARGET_MAX];
	struct str rest;
	size_t len;

	if (!rewrite_is_own(o, f->value, &rest)) {
		http_write_field(w, f->name, f->value);
		return;
	}
	len = str_printf(text, sizeof text, "%s", o->target);
	if (rest.len > sizeof text - len)
		rest.len = 0; /* a Referer may be cut to the origin: RFC 9110 10.1.3 */
	if (rest.len > 0)
		memcpy(text + len, rest.p, rest.len);
	http_write_field(w, f->name, (struct str){text, len + rest.len});
}

/* What the tunnel adds. */
static void rewrite_add(struct http_writer *w, struct str edits, enum header_edit what)
{
	struct http_field f;
	size_t at = 0;

	while (header_edits_next(edits, what, &at, &f))
		http_write_field(w, f.name, f.value);
}

/* The visitor's fields, but for those that are taken away or changed. */
static void rewrite_fields(struct http_writer *w, const struct http_head *h,
			   const struct rewrite_from *from, const struct rewrite_how *how,
			   const struct rewrite_origin *o)
{
	static const struct rewrite_pass nothing;
	const struct rewrite_pass *pass = how->pass != NULL ? how->pass : &nothing;

	for (size_t i = 0; i < h->n_fields; i++) {
		const struct http_field *f = &h->fields[i];

		if ((f->flags & REWRITE_NEVER) != 0 ||
		    (f->id == HTTP_FIELD_AUTHORIZATION && pass->drop_authorization) ||
		    (pass->judged && rewrite_is_judged(f->name, from)) ||
		    header_edits_has(how->edits, HEADER_REQUEST_REMOVE, f->name))
			continue;
		if (o != NULL && (f->id == HTTP_FIELD_ORIGIN || f->id == HTTP_FIELD_REFERER))
			rewrite_write_origin(w, f, o);
		else
			http_write_field(w, f->name, f->value);
	}
	for (size_t i = 0; i < pass->n_fields; i++)
		http_write_field(w, pass->fields[i].name, pass->fields[i].value);
	rewrite_add(w, how->edits, HEADER_REQUEST_ADD);
}

/* Bytes that the rights, the tunnel and the target's origin may add. */
static size_t rewrite_more(const struct http_request *req, const struct rewrite_how *how)
{
	size_t more = how->host.len;

	if (how->edits.len > 0)
		more += header_edits_room(how->edits, HEADER_REQUEST_ADD);
	for (size_t i = 0; how->pass != NULL && i < how->pass->n_fields; i++)
		more += how->pass->fields[i].name.len + how->pass->fields[i].value.len + 4;
	if (how->target == NULL)
		return more;
	more += sizeof((struct rewrite_origin *)0)->target;
	for (size_t i = 0; i < req->head.n_fields; i++)
		if (req->head.fields[i].id == HTTP_FIELD_ORIGIN ||
		    req->head.fields[i].id == HTTP_FIELD_REFERER)
			more += sizeof((struct rewrite_origin *)0)->target;
	return more;
}

int rewrite_request(struct buf *out, const struct http_request *req,
		    const struct rewrite_from *from, const struct rewrite_how *how)
{
	static const struct rewrite_how as_it_is;
	struct rewrite_origin origin, *o = NULL;
	char path[HTTP_TARGET_MAX + 2];
	struct http_writer w;
	int e;

	how = how != NULL ? how : &as_it_is;
	if ((e = rewrite_begin(&w, out, &req->head,
			       (from->trusted ? CHAINS : 0) + rewrite_more(req, how))) != 0)
		return e;
	if (how->target != NULL) {
		o = &origin;
		rewrite_set_origin(o, req, from, how->target);
	}
	http_write_request(&w, req->method_name, rewrite_target(req, path));
	if (o != NULL)
		http_write_field(&w, STR("Host"), str_of(o->authority));
	else if (how->host.len > 0)
		http_write_field(&w, STR("Host"), how->host);
	else if (req->host.len > 0)
		http_write_field(&w, STR("Host"), req->host);
	if (o == NULL && how->pass == NULL && how->edits.len == 0)
		http_write_fields(&w, &req->head, HTTP_F_HOST | HTTP_F_FORWARDING | HTTP_F_VIA);
	else
		rewrite_fields(&w, &req->head, from, how, o);
	http_write_framing(&w, &req->head);
	rewrite_forwarding(&w, req, from);
	if (req->head.upgrade.len > 0) {
		http_write_field(&w, STR("Connection"), STR("Upgrade"));
		http_write_field(&w, STR("Upgrade"), req->head.upgrade);
	}
	return rewrite_end(&w, out);
}

/* The whole URL that the visitor asked for. */
static void rewrite_original_url(struct http_writer *w, const struct http_request *req,
				 const struct rewrite_from *from, struct str target)
{
	char text[16 + HOSTNAME_AUTHORITY_MAX + HTTP_TARGET_MAX + 2];
	struct pen pen = pen_on(text, sizeof text);

	pen_str(&pen, rewrite_scheme(req, from));
	pen_str(&pen, STR("://"));
	pen_str(&pen, req->host);
	if (!str_eq(target, STR("*"))) /* RFC 9110 7.1 */
		pen_str(&pen, target);
	CHECK(!pen.full);
	http_write_field(w, STR("X-Original-URL"), (struct str){text, pen_len(&pen)});
}

int rewrite_ask(struct buf *out, const struct http_request *req, const struct rewrite_from *from,
		const struct rewrite_question *q)
{
	char path[HTTP_TARGET_MAX + 2], authority[HOSTNAME_AUTHORITY_MAX + 1];
	struct str target = rewrite_target(req, path);
	size_t more = 2 * target.len + URL_PATH_MAX + 2 * HOSTNAME_AUTHORITY_MAX + HOSTNAME_MAX;
	struct http_writer w;
	int e;

	if ((e = rewrite_begin(&w, out, &req->head, more + (from->trusted ? CHAINS : 0))) != 0)
		return e;
	url_format_authority(q->hook, authority);
	http_write_request(&w, STR("GET"), str_of(q->hook->path));
	http_write_field(&w, STR("Host"), str_of(authority));
	for (size_t i = 0; i < req->head.n_fields; i++) {
		const struct http_field *f = &req->head.fields[i];

		if ((f->flags & REWRITE_NEVER) == 0 && !rewrite_is_not_asked(f->name) &&
		    !(f->id == HTTP_FIELD_AUTHORIZATION && q->drop_authorization))
			http_write_field(&w, f->name, f->value);
	}
	http_write_field(&w, STR("X-Original-Method"), req->method_name);
	rewrite_original_url(&w, req, from, target);
	http_write_field(&w, STR("X-Forwarded-Method"), req->method_name);
	http_write_field(&w, STR("X-Forwarded-Uri"), target);
	http_write_field(&w, STR("X-Karez-Tunnel"), str_of(q->tunnel));
	rewrite_forwarding(&w, req, from);
	return rewrite_end(&w, out);
}

/* ---- answers, and loops ---- */

/* The target's fields, but for those that are taken away, and what is added. */
static void rewrite_answer_fields(struct http_writer *w, const struct http_response *res,
				  struct str edits)
{
	const struct http_head *h = &res->head;

	for (size_t i = 0; i < h->n_fields; i++) {
		const struct http_field *f = &h->fields[i];

		if ((f->flags & (HTTP_F_HOP | HTTP_F_FRAMING | HTTP_F_ALIAS)) == 0 &&
		    !header_edits_has(edits, HEADER_RESPONSE_REMOVE, f->name))
			http_write_field(w, f->name, f->value);
	}
	if (res->status == 101 || res->status >= 200)
		rewrite_add(w, edits, HEADER_RESPONSE_ADD);
}

int rewrite_response(struct buf *out, const struct http_response *res,
		     const struct rewrite_answer *how)
{
	size_t more = 0;
	struct http_writer w;
	int e;

	if (how->edits.len > 0)
		more = header_edits_room(how->edits, HEADER_RESPONSE_ADD);
	if ((e = rewrite_begin(&w, out, &res->head, more)) != 0)
		return e;
	http_write_status(&w, res->status, res->reason);
	if (how->edits.len == 0)
		http_write_fields(&w, &res->head, 0);
	else
		rewrite_answer_fields(&w, res, how->edits);
	if (how->chunked)
		http_write_field(&w, STR("Transfer-Encoding"), STR("chunked"));
	else if (res->head.framing != HTTP_BODY_CHUNKED)
		http_write_framing(&w, &res->head);
	if (res->status == 101) {
		http_write_field(&w, STR("Connection"), STR("Upgrade"));
		http_write_field(&w, STR("Upgrade"), res->head.upgrade);
	} else if (how->close) {
		http_write_field(&w, STR("Connection"), STR("close"));
	} else if (how->keep) {
		http_write_field(&w, STR("Connection"), STR("keep-alive"));
	}
	return rewrite_end(&w, out);
}

bool rewrite_is_loop(const struct http_request *req, const char *mark)
{
	for (size_t i = 0; i < req->head.n_fields; i++) {
		const struct http_field *f = &req->head.fields[i];

		if ((f->id == HTTP_FIELD_VIA || str_eq_nocase(f->name, loop_name)) &&
		    f->value.len > 0 &&
		    memmem(f->value.p, f->value.len, mark, strlen(mark)) != NULL)
			return true;
	}
	return false;
}
