/* Which protocol a connection speaks, by the first bytes of whoever has opened it. */
#ifndef KAREZ_PROTO_FIRST_WORDS_H
#define KAREZ_PROTO_FIRST_WORDS_H

#include "base/str.h"

enum first_words {
	FIRST_TLS,   /* a record of the handshake: RFC 8446 5.1 */
	FIRST_HTTP,  /* a method, the preface of HTTP/2, and all that is nothing else */
	FIRST_SSH,   /* "SSH-": RFC 4253 4.2 */
	FIRST_PROXY, /* "PROXY " or the signature of version 2: proxy-protocol.txt 2.1, 2.2 */
};

/* So many bytes tell all of them apart. */
#define FIRST_WORDS_MAX 12

/*
 * Tell them apart by as few bytes as decide.
 *   in    [len] bytes from the first one of the connection; may be empty.
 *   *out  set on success. More bytes never change it.
 * Returns 0 or ERR_AGAIN: more must come, which is never said of FIRST_WORDS_MAX bytes.
 */
int first_words_tell(struct str in, enum first_words *out) MUST_CHECK;

#endif
