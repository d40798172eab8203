/* Find it on a thread, then look at the conditions, then send what they leave. */
#include "agent/site.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/site_find.h"
#include "agent/site_page.h"
#include "agent/site_send.h"
#include "agent/site_type.h"
#include "base/err.h"
#include "proto/http_cond.h"
#include "proto/http_date.h"
#include "proto/url_path.h"

/* Bytes of our heads, at most, without a Location: fixed texts and numbers. */
#define SITE_HEAD_MAX 1024

/* Bytes of an entity-tag, NUL included: three numbers. */
#define SITE_ETAG_MAX 64

/* Fields of one answer, at most. */
#define SITE_FIELDS_MAX 12

/* One request until its answer begins. */
struct site_ask {
	struct site_job job; /* first */
	struct ev *ev;
	struct site_work *work;
	struct http_conn *conn; /* borrowed; NULL: it is gone */
	struct site_find_opt find;
	char *root, *path;	 /* owned: what find points to */
	char *query;		 /* owned: with its "?", or "" */
	struct buf asked;	 /* a head with the conditions and ranges that were sent */
	struct site_found found; /* set by the job */
	int found_e;
	bool is_head, has_body;
};

static void site_ask_free(struct site_ask *a)
{
	site_found_clear(&a->found);
	buf_free(&a->asked);
	free(a->root);
	free(a->path);
	free(a->query);
	free(a);
}

/* ---- heads ---- */

/* The fields of an answer, and room for their texts. */
struct site_fields {
	struct http_field v[SITE_FIELDS_MAX];
	size_t n;
	char date[HTTP_DATE_TEXT], modified[HTTP_DATE_TEXT], etag[SITE_ETAG_MAX];
	char range[HTTP_RANGE_TEXT];
};

static void site_fields_add(struct site_fields *f, const char *name, struct str value)
{
	CHECK(f->n < SITE_FIELDS_MAX);
	f->v[f->n++] = (struct http_field){.name = str_of(name), .value = value};
}

static void site_fields_begin(struct site_fields *f, struct ev *ev)
{
	f->n = 0;
	http_date_format(ev_wall_ms(ev) / 1000, f->date);
	site_fields_add(f, "Date", str_of(f->date));
	f->v[f->n++] = site_page_nosniff;
}

static void site_say_error(struct http_conn *c, struct ev *ev, int e)
{
	switch (e) {
	case ERR_INVAL: site_page_say(c, ev, 400, "the path is malformed", NULL); break;
	case ERR_TOOBIG:
	case ERR_NOTFOUND: site_page_say(c, ev, 404, "there is no such file here", NULL); break;
	case ERR_DENIED: site_page_say(c, ev, 403, "this may not be read", NULL); break;
	case ERR_TARGET: site_page_say(c, ev, 503, "the directory is not there now", NULL); break;
	case ERR_NOMEM:
	case ERR_NOFILE:
		site_page_say(c, ev, 503, "too busy right now, try again later", NULL);
		break;
	default: site_page_say(c, ev, 500, "it cannot be read", NULL); break;
	}
}

/* ---- sending ---- */

/* Write the head of a 200 or 206 in front of what the answer has already. */
static int site_write_head(const struct site_ask *a, unsigned status, uint64_t length,
			   const struct site_fields *f, struct buf *out)
{
	char head[SITE_HEAD_MAX];
	struct http_writer w;
	size_t len;
	int e;

	http_write_begin(&w, head, sizeof head);
	http_write_status(&w, status, (struct str){0});
	for (size_t i = 0; i < f->n; i++)
		http_write_field(&w, f->v[i].name, f->v[i].value);
	http_write_number(&w, STR("Content-Length"), length);
	if (a->has_body || http_conn_must_close(a->conn))
		http_write_field(&w, STR("Connection"), STR("close"));
	if ((e = http_write_end(&w, &len)) != 0)
		return e;
	return buf_unshift(out, head, len, SITE_PAGE_MAX + SITE_PIECE + SITE_HEAD_MAX);
}

/* Send the body that was found, or parts of the file; nothing of either for HEAD. */
static void site_send_found(struct site_ask *a, unsigned status, const struct site_parts *parts,
			    const struct site_fields *f)
{
	struct site_send_opt opt = {
		.ev = a->ev,
		.work = a->work,
		.conn = a->conn,
		.fd = -1,
		.parts = *parts,
		.after = a->has_body ? HTTP_CLOSE_UNREAD : HTTP_KEEP,
	};
	uint64_t length = a->found.body.len + site_parts_length(parts);
	int e;

	if (a->is_head) {
		opt.parts.ranges.n = 0;
	} else {
		opt.out = a->found.body;
		opt.fd = a->found.file.fd;
		a->found.body = (struct buf){0};
		a->found.file.fd = -1;
	}
	if ((e = site_write_head(a, status, length, f, &opt.out)) == 0)
		e = site_send(&opt);
	if (e != 0) {
		if (opt.fd >= 0)
			close(opt.fd);
		buf_free(&opt.out);
		site_say_error(a->conn, a->ev, e);
	}
}

static void site_send_listing(struct site_ask *a)
{
	static const struct site_parts none = {.ranges = {.n = 0}};
	struct site_fields f;

	site_fields_begin(&f, a->ev);
	site_fields_add(&f, "Content-Type", STR(SITE_PAGE_TYPE));
	for (size_t i = 0; i < SITE_PAGE_FIELDS; i++)
		f.v[f.n++] = site_page_fields[i];
	site_send_found(a, 200, &none, &f);
}

/* ---- conditions and ranges ---- */

/* Fields that are looked at once the file is known. */
static const char *const site_asks[] = {
	"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since",
	"If-Range", "Range",
};

/* Keep those of a request, as a head of its own: the request is gone when the file is found. */
static int site_keep_asked(const struct http_request *req, struct buf *out)
{
	size_t room = http_write_room(&req->head) + 64, len = 0, n = 0;
	struct http_writer w;
	char *at;
	int e;

	if ((e = buf_room(out, room, room, &at)) != 0)
		return e;
	http_write_begin(&w, at, room);
	http_write_request(&w, STR("GET"), STR("/"));
	http_write_field(&w, STR("Host"), STR("a"));
	for (size_t i = 0; i < ARRAY_LEN(site_asks); i++) {
		struct str name = str_of(site_asks[i]);
		const struct http_field *f = NULL;

		while ((f = http_cond_field(&req->head, name, f)) != NULL) {
			http_write_field(&w, f->name, f->value);
			n++;
		}
	}
	if ((e = http_write_end(&w, &len)) == 0 && n > 0)
		buf_added(out, len);
	else
		buf_free(out);
	return e;
}

/* What is to be sent of a file: sets the parts and the fields that speak of them. Returns the
 * status. */
static unsigned site_choose_parts(const struct site_ask *a, const struct http_head *asked,
				  const struct http_validators *v, struct site_parts *p,
				  struct site_fields *f)
{
	const struct http_field *range = http_cond_field(asked, STR("Range"), NULL);
	enum http_range_want want = HTTP_RANGE_WHOLE;

	/* Of HEAD a range means nothing: RFC 9110 14.2. */
	if (range != NULL && !a->is_head && http_cond_field(asked, STR("Range"), range) == NULL &&
	    http_cond_range(asked, v))
		want = http_range_parse(range->value, p->size, &p->ranges);
	if (want == HTTP_RANGE_WHOLE) {
		p->ranges = (struct http_ranges){.n = p->size > 0, .v = {{0, p->size}}};
		return 200;
	}
	if (want == HTTP_RANGE_PARTS && p->ranges.n > 1) {
		uint64_t draw[2];

		ev_random(a->ev, draw, sizeof draw);
		str_printf(p->boundary, sizeof p->boundary, "%016" PRIx64 "%016" PRIx64, draw[0],
			   draw[1]);
		return 206;
	}
	http_range_format(want == HTTP_RANGE_PARTS ? &p->ranges.v[0] : NULL, p->size, f->range);
	site_fields_add(f, "Content-Range", str_of(f->range));
	return want == HTTP_RANGE_PARTS ? 206 : 416;
}

/* The file as it was found tells what it is by its place, length and time. */
static void site_validate(const struct site_ask *a, struct site_fields *f,
			  struct http_validators *v)
{
	const struct site_file *file = &a->found.file;

	str_printf(f->etag, sizeof f->etag, "\"%" PRIx64 "-%" PRIx64 "-%" PRIx64 "\"", file->inode,
		   file->size, (uint64_t)file->modified_ns);
	*v = (struct http_validators){.etag = str_of(f->etag),
				      .modified_s = file->modified_ns / 1000000000,
				      .now_s = ev_wall_ms(a->ev) / 1000};
	site_fields_add(f, "ETag", v->etag);
	site_fields_add(f, "Accept-Ranges", STR("bytes"));
	site_fields_add(f, "Cache-Control", STR("no-cache"));
	/* no date of the future: RFC 9110 8.8.2.1 */
	v->has_modified = v->modified_s >= 0 && v->modified_s <= v->now_s;
	if (!v->has_modified)
		return;
	http_date_format(v->modified_s, f->modified);
	site_fields_add(f, "Last-Modified", str_of(f->modified));
}

/* An answer without content of its own: 304, 412, 416. */
static void site_reply_bare(struct site_ask *a, unsigned status, const struct site_fields *f)
{
	struct http_page page = {.status = status, .fields = f->v, .n_fields = f->n};

	http_conn_reply(a->conn, &page);
}

static void site_send_file(struct site_ask *a)
{
	struct str name = a->found.index ? STR(SITE_INDEX) : str_of(a->path);
	struct site_parts parts = {.type = site_type_of(name), .size = a->found.file.size};
	char type[64 + SITE_BOUNDARY_MAX];
	struct http_validators v;
	struct http_request req;
	struct site_fields f;
	unsigned status = 200;
	size_t scanned = 0;

	site_fields_begin(&f, a->ev);
	site_validate(a, &f, &v);
	if (a->asked.len > 0) {
		if (http_request_parse(buf_str(&a->asked), &scanned, &req) != 0) {
			site_page_say(a->conn, a->ev, 400, "the conditions are too long", NULL);
			return;
		}
		switch (http_cond_check(&req.head, &v)) {
		case HTTP_COND_SAME: site_reply_bare(a, 304, &f); return;
		case HTTP_COND_FAILED: site_reply_bare(a, 412, &f); return;
		case HTTP_COND_GO: break;
		}
		status = site_choose_parts(a, &req.head, &v, &parts, &f);
	} else if (a->found.file.fd >= 0) {
		parts.ranges = (struct http_ranges){.n = 1, .v = {{0, parts.size}}};
	}
	if (status == 416) {
		site_reply_bare(a, 416, &f);
		return;
	}
	str_printf(type, sizeof type, "multipart/byteranges; boundary=%s", parts.boundary);
	site_fields_add(&f, "Content-Type", parts.boundary[0] != '\0' ? str_of(type) : parts.type);
	site_send_found(a, status, &parts, &f);
}

/* A directory is asked for without its slash, and links in it would lead elsewhere. */
static void site_redirect(struct site_ask *a)
{
	struct http_field location = {.name = STR("Location")};
	struct str query = str_of(a->query);
	struct buf to = {0};
	size_t cap = 3 * SITE_PATH_MAX + HTTP_TARGET_MAX;
	int e;

	/* written anew from the names: "//host" must not come out of it */
	if ((e = buf_add(&to, "/", 1, cap)) == 0 &&
	    (e = url_path_write(&to, cap, str_of(a->path))) == 0 &&
	    (e = buf_add(&to, "/", 1, cap)) == 0)
		e = buf_add(&to, query.p, query.len, cap);
	location.value = buf_str(&to);
	if (e == 0)
		site_page_say(a->conn, a->ev, 301, "a directory ends with a slash", &location);
	else
		site_say_error(a->conn, a->ev, e);
	buf_free(&to);
}

/* ---- one request ---- */

/* On a thread. */
static void site_on_thread(struct site_job *job)
{
	struct site_ask *a = (struct site_ask *)job;

	a->found_e = site_find(&a->find, &a->found);
}

static void site_on_found(struct site_job *job, int e)
{
	struct site_ask *a = (struct site_ask *)job;

	if (e == 0)
		e = a->found_e;
	if (a->conn == NULL) {
		site_ask_free(a);
		return;
	}
	http_conn_on_gone(a->conn, NULL, NULL);
	if (e != 0)
		site_say_error(a->conn, a->ev, e);
	else if (a->found.kind == SITE_DIRECTORY)
		site_redirect(a);
	else if (a->found.kind == SITE_LISTING)
		site_send_listing(a);
	else
		site_send_file(a);
	site_ask_free(a);
}

static void site_on_gone(void *arg)
{
	struct site_ask *a = arg;

	a->conn = NULL;
	site_job_drop(&a->job);
}

static int site_ask_new(const struct site *s, const struct http_request *req, const char *path,
			const struct url_path *p, struct site_ask **out)
{
	struct site_ask *a = calloc(1, sizeof *a);
	int e = ERR_NOMEM;

	if (a == NULL)
		return ERR_NOMEM;
	*a = (struct site_ask){.job = {.work = site_on_thread, .done = site_on_found},
			       .ev = s->ev,
			       .work = s->work,
			       .found = {.file = {.fd = -1}},
			       .root = str_dup(str_of(s->root)),
			       .path = str_dup((struct str){path, p->len}),
			       .query = str_dup(p->query),
			       .is_head = req->method == HTTP_HEAD,
			       .has_body = req->head.framing == HTTP_BODY_CHUNKED ||
					   req->head.content_length > 0};
	if (a->root != NULL && a->path != NULL && a->query != NULL)
		e = site_keep_asked(req, &a->asked);
	if (e != 0) {
		site_ask_free(a);
		return e;
	}
	a->find = (struct site_find_opt){.root = a->root,
					 .path = a->path,
					 .slash = p->slash,
					 .small = !a->is_head && a->asked.len == 0,
					 .plain = s->plain};
	*out = a;
	return 0;
}

void site_request(const struct site *s, struct http_conn *c, const struct http_request *req)
{
	static const struct http_field allow = {.name = STR("Allow"), .value = STR("GET, HEAD")};
	struct str target = req->path;
	char path[SITE_PATH_MAX];
	struct site_ask *a = NULL;
	struct url_path p;
	int e;

	if (req->method != HTTP_GET && req->method != HTTP_HEAD) {
		site_page_say(c, s->ev, 405, "files here can only be read", &allow);
		return;
	}
	if (req->form == HTTP_FORM_ABSOLUTE && (target.len == 0 || target.p[0] != '/'))
		target = STR("/");
	e = url_path_read(target, path, sizeof path, &p);
	if (e == 0 && p.hidden)
		e = ERR_NOTFOUND;
	if (e == 0)
		e = site_ask_new(s, req, path, &p, &a);
	if (e != 0) {
		site_say_error(c, s->ev, e);
		return;
	}
	a->conn = c;
	http_conn_on_gone(c, site_on_gone, a);
	site_work_run(s->work, &a->job);
}
