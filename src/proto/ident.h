/* What agents and services are called: names that stand in a header, a path or a file as they are.
 */
#ifndef KAREZ_PROTO_IDENT_H
#define KAREZ_PROTO_IDENT_H

#include "base/str.h"

/* Bytes of one, NUL included. */
#define IDENT_TEXT 65

/* Is it 1-64 of A-Z a-z 0-9 . _ -? Source: doc/session-protocol.md. */
bool ident_ok(struct str name);

#endif
