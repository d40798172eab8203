/* The key by which a WebSocket server shows that it has understood. Source: RFC 6455 4.1, 4.2.2. */
#ifndef KAREZ_WIRE_WS_KEY_H
#define KAREZ_WIRE_WS_KEY_H

#include "base/str.h"
#include "ev/ev.h"

/* Bytes with their NUL: a key, and the answer to one. */
#define WS_KEY_TEXT    25
#define WS_ACCEPT_TEXT 29

/* Draw a key for one handshake. */
void ws_key_new(struct ev *ev, char out[WS_KEY_TEXT]);

/*
 * The answer to a key.
 *   key  as it was sent: any bytes.
 * Returns 0, ERR_INVAL (not 16 bytes in base64), ERR_NOMEM.
 */
int ws_key_accept(struct str key, char out[WS_ACCEPT_TEXT]) MUST_CHECK;

#endif
