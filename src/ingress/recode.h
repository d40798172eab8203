/* A body on its way through: taken out of the framing it came in, put into the one it leaves in. */
#ifndef KAREZ_INGRESS_RECODE_H
#define KAREZ_INGRESS_RECODE_H

#include "proto/http_body.h"
#include "wire/pump.h"

/* A value; set by recode_init(). */
struct recode {
	struct http_body in;
	bool chunked_out;
};

/*
 *   framing      of the body that comes.
 *   chunked_out  write chunks; else the bytes alone, whose end is the end of the connection.
 */
void recode_init(struct recode *r, enum http_framing framing, bool chunked_out);

/* A pump_filter_fn; arg is the struct recode. ERR_PROTO and ERR_TOOBIG are the sender's fault. */
int recode_filter(void *arg, struct str *in, struct pump_out *out, bool *end);

#endif
