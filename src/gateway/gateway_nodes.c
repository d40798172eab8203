/*
 * Several sessions of an agent are worth more with several nodes: so each node says who it is, how
 * many there are, and where agents reach just one of them, where there is such an address.
 * Source: doc/session-protocol.md 1 and 3.
 */
#include "base/err.h"
#include "gateway/gateway_internal.h"
#include "proto/json.h"

/* A line that is being made. */
struct gateway_nodes_pen {
	struct json *list;
	size_t n;
	int e;
};

static size_t gateway_nodes_count(const struct gateway *g)
{
	return MAX(g->opt.nodes->count(g->opt.nodes->arg), 1);
}

void gateway_nodes_write(const struct gateway *g, struct http_writer *w)
{
	size_t n;

	if (g->opt.nodes == NULL)
		return;
	http_write_field(w, STR("Karez-Node"), str_of(g->opt.nodes->self));
	if ((n = gateway_nodes_count(g)) > 1)
		http_write_number(w, STR("Karez-Nodes"), n);
}

static void gateway_nodes_add(void *to, const char *id, const char *url)
{
	struct gateway_nodes_pen *p = to;
	struct json *j = NULL;

	if (p->e != 0 || p->n >= GATEWAY_NODES_MAX)
		return;
	if ((p->e = json_new_object(&j)) == 0 && (p->e = json_set_text(j, "id", str_of(id))) == 0 &&
	    (p->e = json_set_text(j, "url", str_of(url))) == 0)
		p->e = json_add(p->list, &j);
	json_free(j);
	p->n++;
}

/* *n_urls  of the nodes in it. Returns 0 or an error: then out has nothing. */
static int gateway_nodes_make(const struct gateway *g, struct buf *out, size_t *n_urls)
{
	const struct gateway_nodes *nodes = g->opt.nodes;
	struct gateway_nodes_pen p = {0};
	struct json *j = NULL;

	if ((p.e = json_new_object(&j)) == 0 && (p.e = json_new_list(&p.list)) == 0)
		nodes->each(nodes->arg, gateway_nodes_add, &p);
	if (p.e == 0 && (p.e = json_set_text(j, "op", STR("nodes"))) == 0 &&
	    (p.e = json_set_number(j, "count", gateway_nodes_count(g))) == 0 &&
	    (p.e = json_set(j, "nodes", &p.list)) == 0)
		p.e = json_write(j, SESSION_LINE_MAX, out);
	*n_urls = p.n;
	json_free(p.list);
	json_free(j);
	return p.e;
}

void gateway_nodes_line(const struct gateway *g, struct buf *out)
{
	size_t n_urls = 0;

	if (g->opt.nodes == NULL || gateway_nodes_count(g) < 2)
		return;
	if (gateway_nodes_make(g, out, &n_urls) != 0 || n_urls == 0)
		buf_free(out);
}

void gateway_nodes_changed(struct gateway *g)
{
	struct buf line = {0};
	size_t n_urls;

	if (g->opt.nodes == NULL || gateway_nodes_make(g, &line, &n_urls) != 0)
		return;
	if (g->nodes.len == 0 && gateway_nodes_count(g) < 2) {
		/* who has not been told of others knows of none */
	} else if (!str_eq(buf_str(&line), buf_str(&g->nodes))) {
		buf_free(&g->nodes);
		g->nodes = line;
		line = (struct buf){0};
		gateway_entry_tell_all(g, buf_str(&g->nodes));
	}
	buf_free(&line);
}
