/* What a browser says of a user and a password. Source: RFC 7617. */
#ifndef KAREZ_PROTO_BASIC_AUTH_H
#define KAREZ_PROTO_BASIC_AUTH_H

#include "base/str.h"

/* Bytes of "user:password", at most: longer ones cannot be right. */
#define BASIC_AUTH_MAX 512

/*
 * Read the credentials of the scheme Basic.
 *   text             what follows "Basic" in Authorization, spaces around it allowed: base64.
 *   room             [BASIC_AUTH_MAX] gets the bytes; whoever has it wipes it.
 *   *user, *password  set on success; they borrow from room, may be empty, are not terminated. The
 *                    user ends at the first ':'. No control characters; whether it is UTF-8 is
 *                    not looked at.
 * Returns 0, ERR_PROTO (not base64, no ':', a control character) or ERR_TOOBIG.
 * Source: RFC 7617 2.
 */
int basic_auth_parse(struct str text, char room[BASIC_AUTH_MAX], struct str *user,
		     struct str *password) MUST_CHECK;

/*
 * Take an Authorization value apart: "Scheme rest".
 *   *rest  set to what follows, without spaces around it; may be empty.
 * Returns the scheme; empty when there is none. Source: RFC 9110 11.4.
 */
struct str basic_auth_scheme(struct str value, struct str *rest);

#endif
