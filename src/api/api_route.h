/* The routes of the API: one table from which requests are served and the document is written. */
#ifndef KAREZ_API_API_ROUTE_H
#define KAREZ_API_API_ROUTE_H

#include "api/api_schema.h"
#include "proto/http_head.h"

struct api_call;

/* Names in braces that one path may have, and bytes of all methods of a path as text. */
#define API_PARAMS_MAX	  2
#define API_ALLOW_TEXT	  64
#define API_SUCCESSES_MAX 2

/* Who may call a route. */
enum api_who {
	API_ANYBODY,  /* a credential is not looked at */
	API_MAYBE,    /* anybody; a credential is judged if there is one */
	API_ANY_OPEN, /* the same, but who has none gets an account on the fly, where that is open
		       */
	API_ACCOUNT,  /* an account */
	API_ADMIN,    /* an administrator's */
};

/* Query parameters: bits of api_route.query, and their places in api_call.query. */
enum api_param_id {
	API_Q_LIMIT,
	API_Q_CURSOR,
	API_Q_COUNT,
	API_Q_VERBOSE,
	API_Q_REASON,
	API_Q_NAME,
	API_Q_TARGET,
	API_Q_DRY_RUN,
	API_QUERIES,
};

struct api_param {
	const char *name;
	enum api_type type; /* API_TEXT, API_NUMBER, API_BOOL */
	uint64_t min, max;  /* as in api_field */
	const char *help;
};

/* By enum api_param_id. */
extern const struct api_param api_route_params[API_QUERIES];

/* Bits of api_route.flags. */
enum {
	API_ITEM = 1,	 /* answers with one item and its ETag; If-None-Match gives 304 */
	API_MATCH = 2,	 /* If-Match counts */
	API_CREATES = 4, /* If-None-Match: * counts */
	API_NEEDS_BODY = 8,
	API_WHOLE = 16,	    /* the body's API_REQUIRED members must be there */
	API_OLD = 32,	    /* exposr's path for what has another one here */
	API_PLAIN = 64,	    /* answers with text, and 404 when it is not so */
	API_LOCATION = 128, /* tells where the new item is */
	API_NODE = 256,	    /* about the process: answered while it ends, too */
	API_CACHED = 512,   /* may be kept for a while */
	API_LARGE = 1024,   /* a body of API_LARGE_BODY_MAX, not read before its sender is known */
	API_WORDS = 2048, /* threshold's: refusals are plain text; a body is left to the handler */
	API_ASKS = 4096,  /* all nodes are asked: the list has "missing" when some do not answer */
};

struct api_route {
	enum http_method method;
	const char *path; /* "/v1/tunnels/{name}" */
	enum api_who who;
	const char *id; /* operationId; names it in the log */
	const char *tag, *summary;
	unsigned query;			 /* bits 1 << API_Q_* */
	const struct api_schema *body;	 /* NULL: none is taken */
	const struct api_schema *answer; /* NULL: no content, or not ours to describe */
	const char *list; /* the answer is a list, or a page of one, in this member */
	uint16_t success[API_SUCCESSES_MAX];
	unsigned flags;
	void (*run)(struct api_call *call);
};

/* All of them. */
extern const struct api_route api_route_table[];
extern const size_t api_route_n;

struct api_route_match {
	const struct api_route *route;
	struct str params[API_PARAMS_MAX]; /* as they stand in the path, escapes and all */
	char allow[API_ALLOW_TEXT];	   /* "GET, HEAD, OPTIONS": what the path knows */
};

/*
 * Find the route of a method and path. HEAD is served as GET.
 *   path  without the query.
 * Returns 0, ERR_NOTFOUND (no such path), ERR_UNSUPPORTED (not this method: see out->allow).
 */
int api_route_find(enum http_method method, struct str path,
		   struct api_route_match *out) MUST_CHECK;

#endif
