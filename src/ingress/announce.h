/* The PROXY header that tells a target who its visitor is: the first bytes of a stream. */
#ifndef KAREZ_INGRESS_ANNOUNCE_H
#define KAREZ_INGRESS_ANNOUNCE_H

#include "core/record.h"
#include "ev/ev.h"
#include "proto/proxy_protocol.h"

/* Numbers of visitors: random bits that tell nodes and their lives apart, and a counter. A value
 * inside its owner. */
struct announce_ids {
	uint64_t node;
	uint32_t last;
};

/* Bytes of such a number as text, 16 and 8 hex digits, NUL included. */
#define ANNOUNCE_ID_TEXT 25

void announce_ids_init(struct announce_ids *ids, struct ev *ev);
void announce_id_format(const struct announce_ids *ids, uint32_t n, char out[ANNOUNCE_ID_TEXT]);

/* What is told. All borrowed for the call. */
struct announce {
	enum tunnel_proxy version; /* not TUNNEL_PROXY_NONE */
	const struct visit *visit;
	struct str alpn;	 /* may be empty */
	const char *tls_version; /* "TLSv1.3"; may be NULL */
	const char *id;		 /* as announce_id_format() writes it */
};

/*
 * Write the header.
 *   *len  set to its bytes.
 * Source: the PROXY protocol's specification, see proxy_protocol.h.
 */
void announce_write(const struct announce *a, uint8_t out[PROXY_WRITE_MAX], size_t *len);

#endif
