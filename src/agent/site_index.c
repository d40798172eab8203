/* One list, written in one of two ways while it is told. */
#include "agent/site_index.h"

#include "agent/site_page.h"
#include "base/err.h"
#include "proto/http_date.h"
#include "proto/json.h"

/* Bytes of JSON, at most. */
#define SITE_INDEX_JSON_MAX (4 * SITE_PAGE_MAX)

/* Rows of one page, at most: an agent has no more tunnels. */
#define SITE_INDEX_MAX 1024

struct site_index {
	struct buf page;   /* HTML */
	struct json *list; /* NULL: HTML is wanted */
	size_t n;
	bool more; /* not everything is shown */
	int e;	   /* ERR_NOMEM: nothing can be shown */
};

static bool site_index_is_link(struct str url)
{
	return str_starts(url, STR("http://")) || str_starts(url, STR("https://"));
}

/* The name, as a link if it leads somewhere, and the URL below it. */
static int site_index_name(struct buf *b, struct str name, struct str url)
{
	bool link = site_index_is_link(url);
	int e = buf_printf(b, SITE_PAGE_MAX, "<tr><td>%s", link ? "<a href=\"" : "");

	if (e == 0 && link)
		e = site_page_text(b, SITE_PAGE_MAX, url);
	if (e == 0)
		e = buf_printf(b, SITE_PAGE_MAX, "%s<bdi>", link ? "\">" : "");
	if (e == 0)
		e = site_page_text(b, SITE_PAGE_MAX, name);
	if (e == 0)
		e = buf_printf(b, SITE_PAGE_MAX, "</bdi>%s<br><span class=s>", link ? "</a>" : "");
	if (e == 0)
		e = site_page_text(b, SITE_PAGE_MAX, url);
	return e;
}

/* Complete, or not there. */
static int site_index_html(struct buf *b, const struct site_index_row *row)
{
	size_t before = b->len;
	int e = site_index_name(b, str_of(row->name), str_of(row->url));

	if (e == 0)
		e = buf_printf(b, SITE_PAGE_MAX, "</span><td class=\"n%s\">",
			       row->well ? "" : " bad");
	if (e == 0)
		e = site_page_text(b, SITE_PAGE_MAX, str_of(row->state));
	if (e == 0)
		e = buf_printf(b, SITE_PAGE_MAX, "<td class=\"n w\">");
	if (e == 0)
		e = site_page_text(b, SITE_PAGE_MAX, str_of(row->kind));
	if (e == 0)
		e = buf_printf(b, SITE_PAGE_MAX, "\n");
	if (e != 0)
		b->len = before;
	return e;
}

/* A text that is no UTF-8 is not one that JSON can tell. */
static int site_index_set(struct json *obj, const char *key, const char *text)
{
	int e = json_set_text(obj, key, str_of(text));

	return e == ERR_INVAL ? json_set_null(obj, key) : e;
}

static int site_index_json(struct json *list, const struct site_index_row *row)
{
	struct json *obj = NULL;
	int e;

	if ((e = json_new_object(&obj)) == 0 && (e = site_index_set(obj, "name", row->name)) == 0 &&
	    (e = site_index_set(obj, "url", row->url)) == 0 &&
	    (e = site_index_set(obj, "kind", row->kind)) == 0 &&
	    (e = site_index_set(obj, "state", row->state)) == 0 &&
	    (e = json_set_bool(obj, "well", row->well)) == 0)
		e = json_add(list, &obj);
	json_free(obj);
	return e;
}

void site_index_add(struct site_index *x, const struct site_index_row *row)
{
	int e;

	if (x->e != 0 || x->more)
		return;
	if (x->n == SITE_INDEX_MAX) {
		x->more = true;
		return;
	}
	e = x->list != NULL ? site_index_json(x->list, row) : site_index_html(&x->page, row);
	if (e == 0)
		x->n++;
	else if (e == ERR_TOOBIG)
		x->more = true;
	else
		x->e = e;
}

/* Does a program ask? As the pages of the server decide it: the first of the two counts. */
static bool site_index_wants_json(const struct http_request *req)
{
	const struct http_field *accept = http_head_find(&req->head, HTTP_FIELD_ACCEPT);
	struct str rest, element;

	if (accept == NULL)
		return false;
	rest = accept->value;
	while (http_field_list_next(&rest, &element)) {
		struct str type = str_trim((struct str){element.p, str_find(element, ';')});

		if (str_eq_nocase(type, STR("text/html")))
			return false;
		if (str_eq_nocase(type, STR("application/json")))
			return true;
	}
	return false;
}

static int site_index_make_html(const struct site_index_opt *opt, struct site_index *x)
{
	static const char *const columns[] = {"Service", "State", "Kind"};
	int e = site_page_begin(&x->page, STR("Services"), STR("Services"), columns);

	if (e != 0)
		return e;
	opt->list(opt->arg, x);
	if (x->e != 0)
		return x->e;
	return site_page_end(&x->page, x->more	   ? "There are more than are shown."
				       : x->n == 0 ? "There are none now."
						   : "");
}

static int site_index_make_json(const struct site_index_opt *opt, struct site_index *x)
{
	struct json *root = NULL;
	int e;

	if ((e = json_new_list(&x->list)) != 0)
		return e;
	opt->list(opt->arg, x);
	if ((e = x->e) == 0 && (e = json_new_object(&root)) == 0 &&
	    (e = json_set(root, "services", &x->list)) == 0 &&
	    (e = json_write(root, SITE_INDEX_JSON_MAX, &x->page)) == 0)
		e = buf_add(&x->page, "\n", 1, SITE_INDEX_JSON_MAX + 1);
	json_free(root);
	return e;
}

static void site_index_reply(const struct site_index_opt *opt, struct http_conn *c, bool json,
			     struct str body)
{
	struct http_field fields[3 + SITE_PAGE_FIELDS] = {{.name = STR("Date")},
							  {.name = STR("Vary"),
							   .value = STR("Accept")},
							  site_page_nosniff};
	struct http_page page = {.status = 200,
				 .content_type =
					 json ? STR("application/json") : STR(SITE_PAGE_TYPE),
				 .body = body,
				 .fields = fields,
				 .n_fields = ARRAY_LEN(fields)};
	char date[HTTP_DATE_TEXT];

	http_date_format(ev_wall_ms(opt->ev) / 1000, date);
	fields[0].value = str_of(date);
	for (size_t i = 0; i < SITE_PAGE_FIELDS; i++)
		fields[3 + i] = site_page_fields[i];
	http_conn_reply(c, &page);
}

void site_index_request(const struct site_index_opt *opt, struct http_conn *c,
			const struct http_request *req)
{
	static const struct http_field allow = {.name = {"Allow", 5}, .value = {"GET, HEAD", 9}};
	struct str path = {req->path.p, str_find(req->path, '?')};
	bool json = site_index_wants_json(req);
	struct site_index x = {.n = 0};
	int e;

	if (req->method != HTTP_GET && req->method != HTTP_HEAD) {
		site_page_say(c, opt->ev, 405, "this page can only be read", &allow);
		return;
	}
	if (path.len > 0 && !str_eq(path, STR("/"))) {
		site_page_say(c, opt->ev, 404, "there is only one page here", NULL);
		return;
	}
	e = json ? site_index_make_json(opt, &x) : site_index_make_html(opt, &x);
	if (e == 0)
		site_index_reply(opt, c, json, buf_str(&x.page));
	else
		site_page_say(c, opt->ev, 503, "too busy right now, try again later", NULL);
	json_free(x.list);
	buf_free(&x.page);
}
