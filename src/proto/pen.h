/* Writing text into a fixed array: remembers that it did not fit, so that one check at the end
 * does.
 */
#ifndef KAREZ_PROTO_PEN_H
#define KAREZ_PROTO_PEN_H

#include <string.h>

#include "base/str.h"

struct pen {
	char *start, *at, *end; /* borrowed; the room left is [at, end) */
	bool full;		/* something did not fit; nothing was written since */
};

static inline struct pen pen_on(char *out, size_t cap)
{
	return (struct pen){out, out, out + cap, false};
}

static inline void pen_str(struct pen *pen, struct str s)
{
	if (pen->full || s.len > (size_t)(pen->end - pen->at)) {
		pen->full = true;
		return;
	}
	if (s.len > 0)
		memcpy(pen->at, s.p, s.len);
	pen->at += s.len;
}

static inline void pen_char(struct pen *pen, char c)
{
	pen_str(pen, (struct str){&c, 1});
}

/* ":" and a port in decimal. */
static inline void pen_port(struct pen *pen, uint16_t port)
{
	char digits[6];
	size_t at = sizeof digits;

	do {
		digits[--at] = (char)('0' + port % 10);
		port /= 10;
	} while (port != 0);
	digits[--at] = ':';
	pen_str(pen, (struct str){digits + at, sizeof digits - at});
}

static inline size_t pen_len(const struct pen *pen)
{
	return (size_t)(pen->at - pen->start);
}

#endif
