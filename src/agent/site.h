/*
 * A directory as a web site: read-only, for GET and HEAD, with lists of what is there, ranges and
 * conditions. Every request looks at the disk anew, so a directory that is replaced is seen at
 * once. Hidden files (a dot in front) are not there, but for /.well-known.
 */
#ifndef KAREZ_AGENT_SITE_H
#define KAREZ_AGENT_SITE_H

#include "agent/site_work.h"
#include "http/http_conn.h"

/* What is shown. A value; lives as long as its connections. */
struct site {
	struct ev *ev;
	struct site_work *work; /* borrowed: outlives what is asked of it */
	const char *root;	/* NUL-terminated path of the directory; borrowed */
	bool plain;		/* as for site_tree_open(); for tests */
};

/* Answer a request, now or later; as http_conn_opt.request. Source: RFC 9110 9.3.1, 13, 14, 15. */
void site_request(const struct site *s, struct http_conn *c, const struct http_request *req);

#endif
