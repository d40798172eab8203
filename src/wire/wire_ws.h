/*
 * WebSocket as a wire, over any other wire: binary messages become a stream of bytes, however they
 * are cut.
 *
 * The wire starts where the handshake has ended. What a message or a frame announces is never
 * allocated, so they may be of any size. A ping is answered, the newest one only; pongs are passed
 * over. A close frame with code 1000, or without one, is an ordinary end; 4000 plus the number of
 * an ERR_* breaks the wire with that error, and so does closing it with one on the other side. A
 * peer that ends the wire below without a close frame breaks it with ERR_RESET, one that breaks the
 * rules of RFC 6455 with ERR_PROTO; it is told 1002, or 1003 for a message of text.
 *
 * After a close frame of ours the other direction goes on, as with every wire, until the peer has
 * sent its own. Source: RFC 6455 5 (framing), 7 (closing). No extension is spoken.
 */
#ifndef KAREZ_WIRE_WIRE_WS_H
#define KAREZ_WIRE_WIRE_WS_H

#include "wire/wire.h"

/*
 * What one write takes at most: all that a session gathers for one. It becomes one frame, and waits
 * here when the wire below does not take it. Bytes.
 */
#define WIRE_WS_FRAME (544 * 1024)

/* A closed wire goes on delivering what it had taken for so long, in milliseconds. */
#define WIRE_WS_DELIVER_MS 10000

/* So long, and for so many bytes, a peer may go on before it must have answered our close frame. */
#define WIRE_WS_CLOSE_MS  2000
#define WIRE_WS_CLOSE_MAX (1024 * 1024)

/*
 * Speak WebSocket on a wire. A client masks what it sends, as a server must not.
 *   lower  owned by the new wire on success, the caller's on failure; nothing may have been lent
 * from it. Returns 0 or ERR_NOMEM.
 */
int wire_ws_server(struct ev *ev, struct wire *lower, struct wire **out) MUST_CHECK;
int wire_ws_client(struct ev *ev, struct wire *lower, struct wire **out) MUST_CHECK;

#endif
