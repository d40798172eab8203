/*
 * What a TLS client says first: read without decrypting anything, to find out whom it wants.
 *
 * Its bytes may be split into any number of segments and of TLS records; the caller keeps them and
 * asks again with more.
 */
#ifndef KAREZ_PROTO_CLIENT_HELLO_H
#define KAREZ_PROTO_CLIENT_HELLO_H

#include "proto/hostname.h"

/* Bytes that a ClientHello with all its record headers may have. */
#define CLIENT_HELLO_MAX (64 * 1024)

/* Bytes of the names of the protocols that the client offers, as TLS writes them. */
#define CLIENT_HELLO_ALPN_MAX 256

/* A value. */
struct client_hello {
	/* Lower case, no dot at the end; "": none was sent, or an IP address, which is none. */
	char sni[HOSTNAME_MAX + 1];
	uint8_t alpn[CLIENT_HELLO_ALPN_MAX]; /* names, each after a byte with its length */
	size_t alpn_len;		     /* 0: none, or too many to be kept */
};

/*
 * Read what has come so far.
 *   in    [len] bytes from the first one of the connection.
 *   *out  set on success.
 * Returns 0, ERR_AGAIN (more must come), ERR_TOOBIG (it cannot end within CLIENT_HELLO_MAX),
 * ERR_PROTO (no TLS ClientHello; a name that is no host name; an extension that breaks its frame,
 * or comes twice). The first byte that cannot belong to a ClientHello is told at once. Source: RFC
 * 8446 4.1.2, 5.1; RFC 6066 3; RFC 7301 3.1.
 */
int client_hello_parse(struct str in, struct client_hello *out) MUST_CHECK;

/*
 * After ERR_AGAIN: before how many bytes, counted from the first one, is there no use in asking
 * again? Who sends a long one byte by byte costs a few looks then, and not one for every byte; what
 * cannot belong to a ClientHello is told when so many have come. At most CLIENT_HELLO_MAX.
 */
size_t client_hello_least(struct str in);

/* A fatal alert in clear, as a server may send before it has said anything: [CLIENT_HELLO_ALERT]
 * bytes. Source: RFC 8446 6. */
#define CLIENT_HELLO_ALERT 7
enum client_hello_alert {
	CLIENT_HELLO_UNEXPECTED = 10,
	CLIENT_HELLO_HANDSHAKE_FAILURE = 40,
	CLIENT_HELLO_DECODE_ERROR = 50,
	CLIENT_HELLO_INTERNAL_ERROR = 80,
	CLIENT_HELLO_UNRECOGNIZED_NAME = 112,
};
void client_hello_refuse(enum client_hello_alert alert, uint8_t out[CLIENT_HELLO_ALERT]);

#endif
