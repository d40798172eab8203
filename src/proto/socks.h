/*
 * SOCKS, the proxy's side: what a visitor asks for, and what it is told. CONNECT only, nobody is
 * asked who he is.
 *
 * Source: RFC 1928 (version 5), "SOCKS: A protocol for TCP proxy across firewalls" by Ying-Da Lee
 * (version 4), "SOCKS 4A" by the same.
 */
#ifndef KAREZ_PROTO_SOCKS_H
#define KAREZ_PROTO_SOCKS_H

#include "proto/hostname.h"

enum {
	SOCKS_USER_MAX = 255, /* bytes of the user that version 4 names, and nobody looks at */
	/* Bytes of the longest message: 4a with the longest user and host. */
	SOCKS_READ_MAX = 8 + SOCKS_USER_MAX + 1 + HOSTNAME_MAX + 2,
	SOCKS_SAY_MAX = 12, /* bytes of the longest answer: to a greeting and a request at once */
};

/* What is said, all zero before the first byte. A value. */
struct socks {
	uint8_t version; /* 4 or 5; 0: not known yet */
	bool greeted;	 /* version 5: the methods were agreed upon */
	/* Where to, once socks_read() has returned 0. */
	enum hostname_kind kind;
	char host[HOSTNAME_MAX + 1]; /* lower case, no trailing dot */
	uint16_t port;		     /* not 0 */
};

/* Bytes to be sent. */
struct socks_say {
	uint8_t bytes[SOCKS_SAY_MAX];
	size_t len; /* 0: nothing */
};

/*
 * Read on.
 *   in     what the visitor has said and was not used yet.
 *   *used  how much of it is used up; what follows a request is for the target.
 *   *say   to be sent now, whatever is returned.
 * Returns 0 (the request is there; socks_answer() is the next thing to be said), ERR_AGAIN (more is
 * needed), or, to be followed by the end: ERR_UNSUPPORTED (another command, only methods with a
 * password), ERR_INVAL (the host is no name or address, or the port is 0), ERR_TOOBIG (longer than
 * SOCKS_READ_MAX), ERR_PROTO (no SOCKS).
 */
int socks_read(struct socks *s, struct str in, size_t *used, struct socks_say *say) MUST_CHECK;

/*
 * Make the answer to a request.
 *   e  0: it is connected; else an ERR_*: why not.
 */
void socks_answer(const struct socks *s, int e, struct socks_say *say);

#endif
