/*
 * Every byte of every head goes through here, so it must be right and quick: a table for single
 * bytes, and arithmetic on eight bytes at once for field values, which are most of a head.
 */
#include "proto/http_char.h"

#include <string.h>

#define V HTTP_CHAR_VALUE
#define G (HTTP_CHAR_VALUE | HTTP_CHAR_TARGET)
#define T (HTTP_CHAR_VALUE | HTTP_CHAR_TARGET | HTTP_CHAR_TOKEN)

const uint8_t http_char_class[256] = {
	['\t'] = V,
	[' '] = V,
	['!'] = T,
	['"'] = G,
	['#'] = HTTP_CHAR_VALUE | HTTP_CHAR_TOKEN,
	['$' ... '\''] = T,
	['(' ... ')'] = G,
	['*' ... '+'] = T,
	[','] = G,
	['-' ... '.'] = T,
	['/'] = G,
	['0' ... '9'] = T,
	[':' ... '@'] = G,
	['A' ... 'Z'] = T,
	['[' ... ']'] = G,
	['^' ... 'z'] = T,
	['{'] = G,
	['|'] = T,
	['}'] = G,
	['~'] = T,
	[0x80 ... 0xff] = V,
};

const char *http_char_skip(const char *p, const char *end, enum http_char class)
{
	while (p < end && http_char_is(*p, class))
		p++;
	return p;
}

/* Is one of the eight bytes below 0x20, or 0x7f? */
static bool http_char_control(uint64_t x)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones * 0x80;
	uint64_t del = x ^ ones * 0x7f;

	return (((x - ones * 0x20) & ~x) | ((del - ones) & ~del)) & tops;
}

const char *http_char_skip_value(const char *p, const char *end)
{
	uint64_t x;
	const char *stop;

	while (end - p >= 8) {
		memcpy(&x, p, sizeof x);
		if (http_char_control(x)) {
			stop = http_char_skip(p, p + 8, HTTP_CHAR_VALUE);
			if (stop != p + 8)
				return stop;
		}
		p += 8;
	}
	return http_char_skip(p, end, HTTP_CHAR_VALUE);
}
