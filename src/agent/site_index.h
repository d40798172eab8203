/*
 * The page on which an agent lists what it serves: for people as HTML, for programs as JSON.
 *
 * A tunnel leads to it when its target is a URL_SERVICES (`struct url to = {.scheme = URL_SERVICES,
 * .path = "/"}`, which url_format() writes as "karez+services:"), and the agent's net is a
 * site_net that was told whom to ask for the list (site_net_opt.services).
 */
#ifndef KAREZ_AGENT_SITE_INDEX_H
#define KAREZ_AGENT_SITE_INDEX_H

#include "http/http_conn.h"

/* The list while it is being made. */
struct site_index;

/* A service. All NUL-terminated, any bytes, borrowed for the call; shown as text, so whoever reads
 * the page learns them: say nothing that visitors should not know, such as a target's address. */
struct site_index_row {
	const char *name;
	const char *
		url; /* where visitors reach it; "" if nowhere; http:// and https:// become links */
	const char *kind;  /* "http", "tcp", "tls" */
	const char *state; /* a word or two: "online", "target is down" */
	bool well;	   /* the state is as it should be */
};

/* Add a service; they stand in the order in which they are added. What does not fit on a page is
 * left out, and the page says so. */
void site_index_add(struct site_index *x, const struct site_index_row *row);

/* Who knows the services: calls site_index_add() for each. */
struct site_index_opt {
	struct ev *ev;
	void (*list)(void *arg, struct site_index *x);
	void *arg;
};

/*
 * Answer the request in hand: GET or HEAD of "/" with the page, or with
 * {"services":[{"name","url","kind","state","well"}]} if Accept names application/json before
 * text/html; anything else with 404 or 405.
 */
void site_index_request(const struct site_index_opt *opt, struct http_conn *c,
			const struct http_request *req);

#endif
