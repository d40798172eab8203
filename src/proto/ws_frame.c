/*
 * Our own framing and not wslay's: that takes a mask away byte by byte, which would more than
 * double what a session costs per byte. See doc/decisions/0008.
 */
#include "proto/ws_frame.h"

#include <string.h>

#include "base/err.h"

/* Lengths from here on are written in two bytes, and from there on in eight. */
#define LEN_2 126
#define LEN_8 65536

/* What is masked at a time, wherever it stands: compilers make words of a loop, not vectors,
 * without -O3. */
typedef uint64_t ws_vector __attribute__((vector_size(16), aligned(1), may_alias));

static uint64_t ws_number(const uint8_t *p, size_t len)
{
	uint64_t n = 0;

	for (size_t i = 0; i < len; i++)
		n = n << 8 | p[i];
	return n;
}

static bool ws_op_ok(unsigned op, bool fin)
{
	switch (op) {
	case WS_CONTINUATION:
	case WS_TEXT:
	case WS_BINARY: return true;
	case WS_CLOSE:
	case WS_PING:
	case WS_PONG: return fin;
	default: return false;
	}
}

int ws_head_read(struct str bytes, bool masked, struct ws_head *out, size_t *used)
{
	const uint8_t *p = (const uint8_t *)bytes.p;
	struct ws_head h = {.masked = masked};
	size_t n_len, len;

	if (bytes.len == 0)
		return ERR_AGAIN;
	h.fin = (p[0] & 0x80) != 0;
	if ((p[0] & 0x70) != 0 || !ws_op_ok(p[0] & 15, h.fin))
		return ERR_PROTO;
	h.op = (enum ws_op)(p[0] & 15);
	if (bytes.len == 1)
		return ERR_AGAIN;
	h.len = p[1] & 127;
	if (((p[1] & 0x80) != 0) != masked || (ws_is_control(h.op) && h.len > WS_CONTROL_MAX))
		return ERR_PROTO;
	n_len = h.len < LEN_2 ? 0 : h.len == LEN_2 ? 2 : 8;
	len = 2 + n_len;
	if (n_len == 8 && bytes.len > 2 && (p[2] & 0x80) != 0)
		return ERR_PROTO;
	if (bytes.len < len)
		return ERR_AGAIN;
	if (n_len > 0) {
		h.len = ws_number(p + 2, n_len);
		if (h.len < (n_len == 2 ? LEN_2 : LEN_8))
			return ERR_PROTO;
	}
	if (masked) {
		if (bytes.len < len + sizeof h.key)
			return ERR_AGAIN;
		memcpy(h.key, p + len, sizeof h.key);
		len += sizeof h.key;
	}
	*out = h;
	*used = len;
	return 0;
}

size_t ws_head_write(const struct ws_head *h, uint8_t *out)
{
	size_t n_len = h->len < LEN_2 ? 0 : h->len < LEN_8 ? 2 : 8, at = 2;

	out[0] = (uint8_t)((h->fin ? 0x80 : 0) | (unsigned)h->op);
	out[1] = (uint8_t)((h->masked ? 0x80 : 0) | (n_len == 0	  ? (unsigned)h->len
						     : n_len == 2 ? LEN_2
								  : LEN_2 + 1u));
	for (size_t i = n_len; i-- > 0;)
		out[at++] = (uint8_t)(h->len >> (8 * i));
	if (h->masked) {
		memcpy(out + at, h->key, sizeof h->key);
		at += sizeof h->key;
	}
	return at;
}

void ws_mask(void *to, const void *from, size_t len, const uint8_t key[4], uint64_t at)
{
	const uint8_t *p = from;
	uint8_t *q = to, turned[sizeof(uint64_t)];
	ws_vector v;
	uint64_t word;
	size_t i = 0;

	for (size_t k = 0; k < sizeof turned; k++)
		turned[k] = key[(at + k) & 3];
	memcpy(&word, turned, sizeof word);
	v = (ws_vector){word, word};
	for (; i + 4 * sizeof v <= len; i += 4 * sizeof v) {
		const ws_vector *a = (const ws_vector *)(p + i);
		ws_vector *b = (ws_vector *)(q + i);

		b[0] = a[0] ^ v;
		b[1] = a[1] ^ v;
		b[2] = a[2] ^ v;
		b[3] = a[3] ^ v;
	}
	for (; i < len; i++)
		q[i] = p[i] ^ turned[i & 3];
}

/* ---- the end ---- */

uint16_t ws_code_of(int e)
{
	switch (e) {
	case 0:
	case ERR_EOF: return WS_CODE_END;
	case ERR_PROTO: return WS_CODE_PROTO;
	default: return (uint16_t)(WS_CODE_ERR + e);
	}
}

int ws_code_error(uint16_t code)
{
	int e = code - WS_CODE_ERR;

	if (code == WS_CODE_END || code == WS_CODE_NONE)
		return 0;
	if (code == WS_CODE_PROTO || code == WS_CODE_TYPE ||
	    (code >= WS_CODE_INVALID && code <= WS_CODE_EXTENSION))
		return ERR_PROTO;
	if (e <= 0 || strcmp(err_name(e), "UNKNOWN") == 0 || e == ERR_AGAIN || e == ERR_EOF)
		return ERR_RESET;
	return e;
}

int ws_code_read(struct str payload, uint16_t *code)
{
	uint64_t n;

	*code = WS_CODE_NONE;
	if (payload.len == 0)
		return 0;
	if (payload.len == 1)
		return ERR_PROTO;
	n = ws_number((const uint8_t *)payload.p, 2);
	if (n < 1000 || n >= 5000 || (n >= 1004 && n <= 1006) || (n >= 1015 && n < 3000))
		return ERR_PROTO;
	*code = (uint16_t)n;
	return 0;
}
