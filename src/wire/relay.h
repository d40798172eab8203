/* Two wires joined: copies both ways, keeps half-close, counts, and says when it is over. */
#ifndef KAREZ_WIRE_RELAY_H
#define KAREZ_WIRE_RELAY_H

#include "wire/pump.h"

struct relay;

/* What may be sent before the relaying begins, in bytes. */
#define RELAY_FIRST_MAX (128 * 1024)

/* How a relay ended. */
struct relay_result {
	uint64_t a_to_b, b_to_a; /* bytes */
	int why;		 /* 0: both sides finished; else an ERR_* */
};

struct relay_opt {
	struct wire *a, *b; /* the relay owns both from the moment relay_new() succeeds */
	uint32_t idle_ms;   /* no byte either way for so long ends it with ERR_TIMEOUT; 0: never */
	/* Told once, when both wires are closed; the relay is gone afterwards. May be NULL. */
	void (*done)(void *arg, const struct relay_result *result);
	void *arg;
	/* Bytes for b before what a has to say: copied, counted as a's, not shown to the filter;
	 * RELAY_FIRST_MAX at most. */
	struct str first;
	bool a_ended; /* a has finished sending, and b was told; then nothing may be `first` */
	/* Once b has taken a byte of a's, a sees a reset whatever has broken b: what b did with it
	 * nobody knows, and it must not look as if b had never been there. */
	bool b_may_have_acted;
	/* See or change what passes; NULL: nobody looks. They must not set *end. */
	pump_filter_fn *ab_filter, *ba_filter;
	void *filter_arg; /* of both */
};

/* Returns 0 or ERR_NOMEM (then the wires are still the caller's). */
int relay_new(struct ev *ev, const struct relay_opt *opt, struct relay **out) MUST_CHECK;

/* What it has carried until now; why is 0. */
void relay_carried(const struct relay *r, struct relay_result *out);

/* End it now; done() is not called. why as for wire_close(). NULL is allowed. */
void relay_close(struct relay *r, int why);

#endif
