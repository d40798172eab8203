/* One request as it is planned: what the visitor sends, and what the target is to answer. */
#ifndef KAREZ_SIM_QUEST_H
#define KAREZ_SIM_QUEST_H

#include "sim/dice.h"

enum quest_how {
	QUEST_LENGTH,  /* the answer has a Content-Length */
	QUEST_CHUNKED, /* it comes in chunks */
	QUEST_CLOSE,   /* it ends with the connection */
	QUEST_NOTHING, /* 204 */
	QUEST_HEAD,    /* a HEAD: the length, and no body */
	QUEST_UPGRADE, /* 101, then every byte comes back */
};

/* A value; both sides look it up by its id, which travels in the path. */
struct quest {
	unsigned id;
	unsigned name; /* whose tunnel is asked, in world->names */
	unsigned ip;   /* the visitor's address */
	enum quest_how how;
	bool once;	   /* a method that must not be done twice */
	bool minor_0;	   /* HTTP/1.0 */
	bool up_chunked;   /* the request's body comes in chunks */
	bool expect;	   /* it waits for 100-continue */
	bool early;	   /* the target answers before it has read the body, and closes */
	bool cut;	   /* the target ends in the middle of its answer */
	uint32_t up, down; /* bytes of the bodies */
	uint32_t wait_ms;  /* the target thinks before it answers */
	uint32_t gap_ms;   /* and rests between two pieces of it */
	unsigned n_served; /* how often a target has seen it */
};

struct world;

/* Draw a request to a tunnel; borrowed until the world ends. calm: a plain one that must succeed.
 */
struct quest *quest_new(struct world *w, unsigned name, unsigned ip, bool calm);

/* NULL when there is none. */
struct quest *quest_find(struct world *w, unsigned id);

const char *quest_method(const struct quest *q);

/* Fill with the bytes of a body from its byte number `at` on; answer: the target's. */
void quest_fill(const struct quest *q, bool answer, uint64_t at, char *out, size_t len);

/* Are these the bytes? */
bool quest_match(const struct quest *q, bool answer, uint64_t at, const char *p, size_t len);

#endif
