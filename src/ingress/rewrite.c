/* Heads in, heads out; nothing is copied that was not understood. */
#include "ingress/rewrite.h"

#include <string.h>

#include "base/err.h"
#include "proto/forwarded.h"

/* Enough for the fields we add ourselves, without the lists of trusted proxies. */
#define OWN_FIELDS 2048

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

/* All values of a list field that came, joined, and one more. */
static void rewrite_list(struct http_writer *w, const struct http_head *h, enum http_field_id id,
			 struct str name, struct str last)
{
	char text[4096];
	struct str joined = {text, 0};

	for (const struct http_field *f = http_head_find(h, id); f != NULL;
	     f = http_head_find_next(h, f)) {
		size_t len;

		if (f->value.len == 0)
			continue;
		if (joined.len + f->value.len + last.len + 4 > sizeof text)
			break; /* a chain of proxies that long is of no use to anybody */
		if (forwarded_append(joined, f->value, text, sizeof text, &len) == 0)
			joined.len = len;
	}
	if (joined.len > 0) {
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

int rewrite_request(struct buf *out, const struct http_request *req,
		    const struct rewrite_from *from)
{
	char path[HTTP_TARGET_MAX + 2];
	struct str target = req->path;
	struct http_writer w;
	int e;

	if ((e = rewrite_begin(&w, out, &req->head, from->trusted ? 3 * 4096 : 0)) != 0)
		return e;
	if (target.len == 0 || (target.p[0] != '/' && target.p[0] != '*')) {
		path[0] = '/';
		memcpy(path + 1, target.p, target.len);
		target = (struct str){path, target.len + 1};
	}
	http_write_request(&w, req->method_name, target);
	if (req->host.len > 0)
		http_write_field(&w, STR("Host"), req->host);
	http_write_fields(&w, &req->head, HTTP_F_HOST | HTTP_F_FORWARDING | HTTP_F_VIA);
	http_write_framing(&w, &req->head);
	rewrite_forwarding(&w, req, from);
	if (req->head.upgrade.len > 0) {
		http_write_field(&w, STR("Connection"), STR("Upgrade"));
		http_write_field(&w, STR("Upgrade"), req->head.upgrade);
	}
	return rewrite_end(&w, out);
}

int rewrite_response(struct buf *out, const struct http_response *res,
		     const struct rewrite_answer *how)
{
	struct http_writer w;
	int e;

	if ((e = rewrite_begin(&w, out, &res->head, 0)) != 0)
		return e;
	http_write_status(&w, res->status, res->reason);
	http_write_fields(&w, &res->head, 0);
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
