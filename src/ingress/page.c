/* One table of situations, three ways to say each. */
#include "ingress/page.h"

#include "base/err.h"

struct page_row {
	int e;
	unsigned status;
	const char *title, *advice;
};

static const struct page_row rows[] = {
	{ERR_NOTFOUND, 404, "There is nothing here",
	 "This is the tunnel server itself; tunnels are names under its domain."},
	{ERR_NOROUTE, 404, "There is no tunnel with this name",
	 "Check the address. If the tunnel is yours, start it with this name."},
	{ERR_NOSESSION, 503, "The tunnel is known, but its agent is not connected",
	 "If the tunnel is yours, start karez on the machine behind it. Otherwise try again "
	 "later."},
	{ERR_DISABLED, 403, "This tunnel is switched off",
	 "Its owner or an administrator has disabled it."},
	{ERR_LOOP, 508, "This tunnel leads back to itself",
	 "Its target is the tunnel's own address. Point the agent at the real service."},
	{ERR_UNSUPPORTED, 501, "This method is not supported",
	 "CONNECT cannot go through a tunnel."},
	{ERR_PROTO, 400, "The request is malformed", "Its body does not keep to HTTP/1.1."},
	{ERR_LIMIT, 503, "Too busy right now",
	 "A limit of this server is reached. Try again later."},
	{ERR_NOMEM, 503, "Too busy right now", "This server is short of memory. Try again later."},
	{ERR_NOFILE, 503, "Too busy right now",
	 "The agent is out of file descriptors. Try again later."},
	{ERR_DRAIN, 503, "The server is being restarted", "Try again in a moment."},
	{ERR_REFUSED, 502, "The service behind the tunnel is not running",
	 "The agent is connected, but its target refuses the connection."},
	{ERR_TIMEOUT, 502, "The service behind the tunnel does not answer",
	 "The agent is connected, but its target did not answer in time."},
	{ERR_RESOLVE, 502, "The service behind the tunnel is not found",
	 "The agent is connected, but its target's host name does not resolve."},
	{ERR_UNREACH, 502, "The service behind the tunnel is not reachable",
	 "The agent is connected, but there is no network path to its target."},
	{0, 502, "The service behind the tunnel did not answer properly",
	 "The agent is connected, but its target closed the connection or does not speak HTTP."},
};

/* The code is that of the error; a hook that fails has none of its own. */
static const struct page_row refusals[] = {
	[PAGE_ADDRESS] = {ERR_DENIED, 403, "You cannot come in from where you are",
			  "The owner of this tunnel lets in certain addresses only."},
	[PAGE_CREDENTIAL] = {ERR_AUTH, 401, "Who are you?",
			     "This tunnel asks for a user name and password, or for a token."},
	[PAGE_AMBIGUOUS] = {ERR_PROTO, 400, "The request is malformed",
			    "It has more than one Authorization field."},
	[PAGE_HOOK] = {ERR_UNREACH, 502, "The service that decides about visitors does not answer",
		       "Nobody is let in meanwhile. Try again later."},
};

static const struct page_row *page_row_of(int e)
{
	const struct page_row *row = rows;

	while (row->e != e && row->e != 0)
		row++;
	return row;
}

enum page_kind page_kind_of(const struct http_request *req)
{
	const struct http_field *accept = http_head_find(&req->head, HTTP_FIELD_ACCEPT);
	struct str rest, element;

	if (accept == NULL)
		return PAGE_TEXT;
	rest = accept->value;
	while (http_field_list_next(&rest, &element)) {
		struct str type = str_trim((struct str){element.p, str_find(element, ';')});

		if (str_eq_nocase(type, STR("text/html")))
			return PAGE_HTML;
		if (str_eq_nocase(type, STR("application/json")) ||
		    str_eq_nocase(type, STR("application/problem+json")))
			return PAGE_JSON;
	}
	return PAGE_TEXT;
}

#define HTML                                                                                     \
	"<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"                      \
	"<meta name=\"viewport\" content=\"width=device-width\"><title>%u %s</title>"            \
	"<style>body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;"     \
	"padding:0 1rem;color:#222;background:#fff}h1{font-size:1.4rem}p{margin:.6rem 0}"        \
	"small{color:#666}@media(prefers-color-scheme:dark){body{color:#ddd;background:#1a1a1a}" \
	"small{color:#999}}</style></head><body><h1>%s</h1><p>%s</p>"                            \
	"<p><small>%u " STR_FMT " &middot; " STR_FMT " &middot; karez</small></p></body></html>\n"

/* Hosts are validated: only letters, digits, dots, hyphens, colons, brackets. Nothing to escape. */
static size_t page_format(char *out, size_t cap, const struct page_row *row, enum page_kind kind,
			  struct str host)
{
	struct str reason = http_status_reason(row->status);

	switch (kind) {
	case PAGE_HTML:
		return str_printf(out, cap, HTML, row->status, row->title, row->title, row->advice,
				  row->status, STR_ARG(reason), STR_ARG(host));
	case PAGE_JSON:
		return str_printf(
			out, cap,
			"{\"status\":%u,\"code\":\"%s\",\"title\":\"%s\",\"detail\":\"%s\","
			"\"host\":\"" STR_FMT "\"}\n",
			row->status, err_name(row->e != 0 ? row->e : ERR_TARGET), row->title,
			row->advice, STR_ARG(host));
	default:
		return str_printf(out, cap, "%u " STR_FMT ": %s (" STR_FMT ").\n%s\n", row->status,
				  STR_ARG(reason), row->title, STR_ARG(host), row->advice);
	}
}

/* What every page has. */
static const struct http_field page_no_store = {.name = {"Cache-Control", 13},
						.value = {"no-store", 8}};
static const struct http_field page_retry = {.name = {"Retry-After", 11}, .value = {"2", 1}};

/* fields: [n] that the row's own do not have. */
static void page_send(struct http_conn *c, const struct page_row *row, const struct page_refused *r)
{
	static const char *const types[] = {"text/plain; charset=utf-8", "text/html; charset=utf-8",
					    "application/problem+json"};
	struct http_field fields[2 + PAGE_FIELDS_MAX] = {page_no_store};
	char text[2048];
	struct http_page page = {.status = row->status,
				 .content_type = str_of(types[r->kind]),
				 .fields = fields,
				 .n_fields = 1};

	if (row->status == 503)
		fields[page.n_fields++] = page_retry;
	CHECK(r->n_fields <= PAGE_FIELDS_MAX);
	for (size_t i = 0; i < r->n_fields; i++)
		fields[page.n_fields++] = r->fields[i];
	page.body = (struct str){text, page_format(text, sizeof text, row, r->kind, r->host)};
	http_conn_reply(c, &page);
}

unsigned page_status(int e)
{
	return page_row_of(e)->status;
}

void page_reply(struct http_conn *c, int e, enum page_kind kind, struct str host)
{
	page_send(c, page_row_of(e), &(struct page_refused){.kind = kind, .host = host});
}

void page_refuse(struct http_conn *c, const struct page_refused *r)
{
	page_send(c, &refusals[r->why], r);
}
