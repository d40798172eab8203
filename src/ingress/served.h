/* What a request was, for whoever watches their tunnel: kept only while somebody does. */
#ifndef KAREZ_INGRESS_SERVED_H
#define KAREZ_INGRESS_SERVED_H

#include "core/core.h"
#include "proto/http_head.h"

/* Bytes of a path that are kept; what is longer is cut. */
#define SERVED_PATH_MAX 2048

/* A value inside its owner; all zero: nothing is kept. */
struct served {
	struct ev *ev;
	char *words; /* owned: the method, a NUL, the path, a NUL; NULL: nobody watched */
	uint64_t began_ms;
	unsigned status; /* 0: there was no answer yet */
	/* Of what was pumped: no content. */
	uint64_t head_up, head_down;
};

/* A request begins. When memory is short, nobody is told of it. */
void served_begin(struct served *s, struct core *c, struct ev *ev, const struct http_request *req);

/* How it ended. */
struct served_end {
	uint64_t up, down; /* bytes that were pumped, heads and all */
	int why;	   /* 0, or an ERR_* */
	uint64_t ms;	   /* of a connection: how long it was there */
};

/*
 * It is over: whoever watches is told, and what was kept is freed.
 *   v  readable; nobody must find it any more: whoever is told may end its session by that.
 */
void served_tell(struct served *s, struct core *c, const struct core_visitor *v,
		 const struct served_end *end);

/* The same for a connection whose words nobody looked at. */
void served_tell_connection(struct core *c, const struct core_visitor *v,
			    const struct served_end *end);

#endif
