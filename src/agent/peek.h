/*
 * Watching the requests of one visitor's stream as they pass, for the lines that `karez` prints.
 *
 * It only looks: what it does not understand (garbage, more requests on the way than it remembers)
 * makes it look away for the rest of the stream, and the bytes pass all the same.
 */
#ifndef KAREZ_AGENT_PEEK_H
#define KAREZ_AGENT_PEEK_H

#include "wire/pump.h"

/* Bytes of a request's path that are kept, with the NUL; the rest is cut. */
#define PEEK_PATH_MAX 1024

/* Requests of one stream that wait for their answer, at most: pipelining is rare. */
#define PEEK_WAITING_MAX 16

struct peek;

/* A request that is over. */
struct peek_request {
	const char *method; /* NUL-terminated token */
	const char *path;   /* NUL-terminated path and query; as sent, so never trusted */
	unsigned status;    /* 0: the stream ended before there was an answer */
	uint64_t ms;	    /* from the end of its head to the end of the answer */
	uint64_t up, down;  /* bytes of content: of the request, and of the answer */
	bool cut;	    /* the stream ended in the middle of the answer */
};

/*
 *   request  told at the end of each request; borrowed for the call.
 * Returns 0 or ERR_NOMEM.
 */
int peek_new(struct ev *ev, void (*request)(void *arg, const struct peek_request *r), void *arg,
	     struct peek **out) MUST_CHECK;

/* Filters for a relay, with the peek as their argument: from the visitor, and to it. */
pump_filter_fn peek_up;
pump_filter_fn peek_down;

/* The stream is over: what still runs is told as it stands. NULL is allowed. */
void peek_free(struct peek *p);

#endif
