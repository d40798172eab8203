/* One call of the API after another, each repeated until it is answered. */
#ifndef KAREZ_SIM_CALLER_H
#define KAREZ_SIM_CALLER_H

#include "sim/stage.h"
#include "wire/wire.h"

/* What is asked for. Texts are borrowed until the answer. */
struct call {
	const char *method, *path;
	const char *token;
	const char *body; /* JSON; "": none */
};

struct caller {
	/* Set by the owner. */
	struct stage *stage;
	const char *host; /* the server's name */
	/* A fresh wire to some node; NULL: it is down. */
	struct wire *(*dial)(void *arg);
	/* Every try: what to ask. */
	void (*ask)(void *arg, struct call *out);
	/* Returns false when it must be asked again. */
	bool (*answered)(void *arg, unsigned status, struct str body);
	void *arg;

	bool busy;
	unsigned n_tries;
	uint64_t since_ms;
	struct wire *wire; /* owned; NULL between two tries */
	struct buf out, in;
	size_t scanned;
	struct ev_timer again;
};

/* After the first members have been set. */
void caller_init(struct caller *c);

/* Begin a call soon; none is under way. */
void caller_begin(struct caller *c);

/* Forget what is under way. */
void caller_end(struct caller *c);

#endif
