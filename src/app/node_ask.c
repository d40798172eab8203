/*
 * An answer is made at once and waits here until it has gone out, so what a slow asker costs is
 * counted: by node, and in bytes.
 */
#include "app/node_ask.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

struct node_asks {
	struct ev *ev;
	struct core *core; /* borrowed: outlives us */
	struct list list;  /* struct node_ask, owned */
	size_t bytes;	   /* that they have still to send */
};

/* One answer on its way. */
struct node_ask {
	struct list link;
	struct node_asks *asks;
	struct wire *wire; /* owned */
	struct buf text;   /* owned */
	struct ev_timer deadline;
	char node[NODE_ID_TEXT]; /* whom it is for */
};

static void node_ask_end(struct node_ask *k, int why)
{
	struct node_asks *a = k->asks;

	a->bytes -= k->text.len;
	ev_timer_stop(a->ev, &k->deadline);
	list_del(&k->link);
	wire_close(k->wire, why);
	buf_free(&k->text);
	free(k);
}

static void node_ask_run(struct node_ask *k)
{
	size_t before = k->text.len;
	int e = wire_write_buf(k->wire, &k->text);

	k->asks->bytes -= before - k->text.len;
	if (e == 0 && k->text.len > 0) {
		wire_want(k->wire, WIRE_WRITE);
		return;
	}
	if (e == 0)
		wire_shut(k->wire);
	node_ask_end(k, e);
}

static void node_ask_on_ready(void *arg, struct wire *w, int events)
{
	node_ask_run(arg);
}

static void node_ask_on_broken(void *arg, struct wire *w, int why)
{
	node_ask_end(arg, why);
}

static void node_ask_on_deadline(void *arg)
{
	node_ask_end(arg, ERR_TIMEOUT);
}

static const struct wire_owner node_ask_owner = {node_ask_on_ready, node_ask_on_broken};

/* How many answers are on the way to this node? */
static size_t node_asks_n(const struct node_asks *a, const char *node)
{
	size_t n = 0;

	LIST_FOR_EACH (link, &a->list)
		n += strcmp(CONTAINER_OF(link, struct node_ask, link)->node, node) == 0;
	return n;
}

/* Returns 0, or why there will be no answer; the wire is the caller's then. */
static int node_asks_begin(struct node_asks *a, const struct visit *visit, struct wire *w)
{
	struct node_ask *k = calloc(1, sizeof *k);
	int e = ERR_NOMEM;

	if (k == NULL)
		goto out;
	/* whoever has passed it on last, see hop_guest.c */
	str_printf(k->node, sizeof k->node, "%s", visit_via_last(visit));
	e = ERR_LIMIT;
	if (node_asks_n(a, k->node) >= NODE_ASKS_MAX)
		goto out;
	if ((e = core_answer(a->core, visit, &k->text)) != 0)
		goto out;
	e = ERR_LIMIT;
	if (a->bytes + k->text.len > NODE_ASK_BYTES_MAX)
		goto out;
	k->asks = a;
	k->wire = w;
	k->deadline = (struct ev_timer){.fn = node_ask_on_deadline, .arg = k};
	list_push(&a->list, &k->link);
	a->bytes += k->text.len;
	ev_timer_set(a->ev, &k->deadline, NODE_ASK_MS);
	wire_own(w, &node_ask_owner, k);
	node_ask_run(k);
	return 0;
out:
	if (k != NULL)
		buf_free(&k->text);
	free(k);
	return e;
}

void node_asks_serve(struct node_asks *a, const struct visit *visit, struct wire *w)
{
	int e = node_asks_begin(a, visit, w);

	if (e != 0)
		wire_close(w, e);
}

/* ---- life ---- */

int node_asks_new(struct ev *ev, struct core *core, struct node_asks **out)
{
	struct node_asks *a = calloc(1, sizeof *a);

	if (a == NULL)
		return ERR_NOMEM;
	a->ev = ev;
	a->core = core;
	list_init(&a->list);
	*out = a;
	return 0;
}

void node_asks_free(struct node_asks *a)
{
	if (a == NULL)
		return;
	LIST_FOR_EACH_SAFE (link, &a->list)
		node_ask_end(CONTAINER_OF(link, struct node_ask, link), ERR_CLOSED);
	free(a);
}
