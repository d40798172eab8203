/*
 * The PROXY protocol, v1 and v2: a header before the first byte of a connection that tells whom it
 * really comes from. Source: haproxy.org, proxy-protocol.txt (2020/03/05), "the specification".
 */
#ifndef KAREZ_PROTO_PROXY_PROTOCOL_H
#define KAREZ_PROTO_PROXY_PROTOCOL_H

#include "proto/visit.h"

/* Bytes of a v1 header; of a v2 header that we read (addresses and TLVs) and of any that we write.
 */
#define PROXY_V1_MAX	107
#define PROXY_V2_MAX	4096
#define PROXY_WRITE_MAX 1024

/* Bytes of a unique id, see PP2_TYPE_UNIQUE_ID, and of an ALPN name. */
#define PROXY_ID_MAX   128
#define PROXY_ALPN_MAX 255

/* A value. */
struct proxy_header {
	unsigned version; /* 1 or 2 */
	/* "LOCAL", "UNKNOWN", AF_UNIX, or an unspecified family or protocol: the connection's own
	 * addresses count, both ends are empty. */
	bool local;
	struct visit_end src, dst;    /* IPv4-mapped IPv6 is shown as IPv4 */
	char sni[HOSTNAME_MAX + 1];   /* PP2_TYPE_AUTHORITY; "": none, or no host name */
	uint8_t alpn[PROXY_ALPN_MAX]; /* PP2_TYPE_ALPN */
	size_t alpn_len;	      /* 0: none */
	uint8_t id[PROXY_ID_MAX];     /* PP2_TYPE_UNIQUE_ID */
	size_t id_len;		      /* 0: none */
	bool tls;		      /* PP2_TYPE_SSL: the visitor spoke TLS to the proxy */
	char tls_version[16];	      /* PP2_SUBTYPE_SSL_VERSION: "TLSv1.3"; may be empty */
};

/*
 * Read a header of either version.
 *   in    [len] bytes from the first one of the connection.
 *   *out  set on success; *used: the bytes of the header.
 * Returns 0, ERR_AGAIN (more must come), ERR_PROTO (no header, or a broken one: a TLV past its end,
 * a wrong checksum, a TLV that we act on twice, ...), ERR_TOOBIG (above PROXY_V1_MAX,
 * PROXY_V2_MAX). The first byte that cannot belong to a header is told at once. Source: the
 * specification 2.1, 2.2.
 */
int proxy_protocol_parse(struct str in, struct proxy_header *out, size_t *used) MUST_CHECK;

/*
 * Write a header.
 *   h     version, src, dst; with version 2 also sni, alpn, id, tls and tls_version. Ends of two
 *         families are both written as IPv6; local, or an end that is not known, makes it LOCAL or
 *         UNKNOWN, with nothing else.
 *   *len  set to the bytes written.
 */
void proxy_protocol_write(const struct proxy_header *h, uint8_t out[PROXY_WRITE_MAX], size_t *len);

#endif
