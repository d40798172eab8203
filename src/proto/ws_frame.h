/*
 * WebSocket's framing: heads of frames, masking, and what the codes of a close frame mean to us.
 *
 * Source: RFC 6455 5 and 7.4. No extension is known, so no reserved bit may be set.
 */
#ifndef KAREZ_PROTO_WS_FRAME_H
#define KAREZ_PROTO_WS_FRAME_H

#include "base/str.h"

/* Bytes of the longest head, and of the longest payload of a control frame. */
#define WS_HEAD_MAX    14
#define WS_CONTROL_MAX 125

enum ws_op {
	WS_CONTINUATION = 0,
	WS_TEXT = 1,
	WS_BINARY = 2,
	WS_CLOSE = 8,
	WS_PING = 9,
	WS_PONG = 10,
};

/* What a peer may be told, and tells, at the end. Source: RFC 6455 7.4.1. */
enum ws_code {
	WS_CODE_END = 1000,	/* an ordinary end */
	WS_CODE_PROTO = 1002,	/* a frame that may not be */
	WS_CODE_TYPE = 1003,	/* a message that is not binary */
	WS_CODE_NONE = 1005,	/* the close frame had no code; never sent */
	WS_CODE_INVALID = 1007, /* first and last of those by which a peer says that we are wrong */
	WS_CODE_EXTENSION = 1010,
	WS_CODE_ERR = 4000, /* plus the number of an ERR_*: our own */
};

/* The head of a frame. A value. */
struct ws_head {
	enum ws_op op;
	bool fin;	/* the last one of its message */
	bool masked;	/* its payload is, by key */
	uint8_t key[4]; /* of a masked one */
	uint64_t len;	/* bytes of payload, below 2^63 */
};

static inline bool ws_is_control(enum ws_op op)
{
	return (op & 8) != 0;
}

/*
 * Read the head of a frame.
 *   bytes   from its first one on; what follows the head does not count.
 *   masked  whether frames of this direction must be; the others are refused.
 *   *used   set on success: bytes of the head, at most WS_HEAD_MAX.
 * Returns 0, ERR_AGAIN (a good head so far; never with WS_HEAD_MAX bytes), ERR_PROTO (an unknown
 * kind of frame, a reserved bit, a length that is not written in the shortest way or has its top
 * bit set, a control frame that is in parts or too long). Source: RFC 6455 5.1, 5.2, 5.5.
 */
int ws_head_read(struct str bytes, bool masked, struct ws_head *out, size_t *used) MUST_CHECK;

/*
 * Write the head of a frame.
 *   out  [WS_HEAD_MAX]
 * Returns the bytes written.
 */
size_t ws_head_write(const struct ws_head *h, uint8_t *out);

/*
 * Mask a piece of a payload, or take its mask away, which is the same.
 *   to    [len]; may be `from`, or bytes in front of it that overlap.
 *   from  [len]
 *   at    bytes of the payload that stand before this piece.
 * Source: RFC 6455 5.3.
 */
void ws_mask(void *to, const void *from, size_t len, const uint8_t key[4], uint64_t at);

/* The code that ends a connection for this reason: an ERR_*, or 0. */
uint16_t ws_code_of(int e);

/*
 * What a code means: 0 for an ordinary end, ERR_PROTO when it finds fault with us, an ERR_* of ours
 * that can end a wire, ERR_RESET for anything else.
 */
int ws_code_error(uint16_t code);

/*
 * Read the payload of a close frame; the words in it are not looked at.
 *   *code  set on success; WS_CODE_NONE when it is empty.
 * Returns 0 or ERR_PROTO (half a code, or one that may not be sent). Source: RFC 6455 5.5.1, 7.4.
 */
int ws_code_read(struct str payload, uint16_t *code) MUST_CHECK;

#endif
