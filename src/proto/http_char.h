/* Which bytes may stand where in HTTP/1: one table for all that read or write it. */
#ifndef KAREZ_PROTO_HTTP_CHAR_H
#define KAREZ_PROTO_HTTP_CHAR_H

#include "base/str.h"

/* Classes of a byte. A set of bits. */
enum http_char {
	HTTP_CHAR_TOKEN = 1,  /* RFC 9110 5.6.2 */
	HTTP_CHAR_VALUE = 2,  /* space, tab, visible, obs-text: RFC 9110 5.5 */
	HTTP_CHAR_TARGET = 4, /* visible ASCII but '#': wider than RFC 3986, as browsers need */
};

extern const uint8_t http_char_class[256];

static inline bool http_char_is(char c, enum http_char class)
{
	return (http_char_class[(unsigned char)c] & class) != 0;
}

/* The first byte in [p, end) that is not of the class, or end. */
const char *http_char_skip(const char *p, const char *end, enum http_char class);

/* The same as HTTP_CHAR_VALUE for long runs: eight bytes at a time. */
const char *http_char_skip_value(const char *p, const char *end);

#endif
