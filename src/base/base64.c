/* Tokens, fingerprints, keys and records: everything that is bytes here travels as text there. */
#include "base/base64.h"

#include "base/err.h"

size_t base64_encode(enum base64_alphabet a, const void *bytes, size_t len, char *out)
{
	static const char common[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	const char *last = a == BASE64_URL ? "-_" : "+/";
	const uint8_t *in = bytes;
	size_t n = 0;

	for (size_t i = 0; i < len; i += 3) {
		size_t have = MIN(len - i, (size_t)3);
		uint32_t bits = (uint32_t)in[i] << 16;

		if (have > 1)
			bits |= (uint32_t)in[i + 1] << 8;
		if (have > 2)
			bits |= in[i + 2];
		for (size_t j = 0; j <= have; j++) {
			unsigned v = bits >> (18 - 6 * j) & 63;

			out[n++] = v < 62 ? common[v] : last[v - 62];
		}
		for (size_t j = have; j < 3 && a == BASE64; j++)
			out[n++] = '=';
	}
	out[n] = '\0';
	return n;
}

/* 0-63, or -1. */
static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	return c == '/' || c == '_' ? 63 : -1;
}

int base64_decode(struct str text, void *out, size_t cap, size_t *len)
{
	uint8_t *bytes = out;
	uint32_t bits = 0;
	size_t n = 0, pad = 0;

	while (pad < 2 && text.len > 0 && text.p[text.len - 1] == '=') {
		text.len--;
		pad++;
	}
	if (text.len % 4 == 1 || (pad > 0 && (text.len + pad) % 4 != 0))
		return ERR_PROTO;
	for (size_t i = 0; i < text.len; i++) {
		int v = base64_value(text.p[i]);

		if (v < 0)
			return ERR_PROTO;
		bits = bits << 6 | (uint32_t)v;
		if (i % 4 == 0)
			continue;
		if (n == cap)
			return ERR_TOOBIG;
		bytes[n++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
	}
	/* one text for the same bytes: what the last letter has beyond them is zero */
	if ((text.len % 4 == 2 && (bits & 15) != 0) || (text.len % 4 == 3 && (bits & 3) != 0))
		return ERR_PROTO;
	*len = n;
	return 0;
}
