/* What people read repeats what somebody typed, sent or stored, so a terminal must survive it. */
#include "base/show.h"

#include <string.h>

size_t show_decode(struct str s, uint32_t *c)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *p = (const unsigned char *)s.p;
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

	*c = p[0];
	if (n == 1)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4 || n > s.len)
		return 0;
	*c = p[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*c = *c << 6 | (p[i] & 0x3f);
	}
	return *c < least[n] || *c > 0x10ffff || (*c >= 0xd800 && *c <= 0xdfff) ? 0 : n;
}

/* Would a terminal or a YAML reader do more than show it: control, line break, direction, mark? */
static bool show_hidden(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || (c >= 0x200e && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff ||
	       c == 0xfffe || c == 0xffff;
}

size_t show_visible(char dst[8], struct str s)
{
	uint32_t c;
	size_t n = show_decode(s, &c);

	if (n == 0) {
		str_printf(dst, 8, "\\x%02x", (unsigned char)s.p[0]);
		return 1;
	}
	if (show_hidden(c)) {
		str_printf(dst, 8, c < 0x100 ? "\\x%02x" : "\\u%04x", c);
	} else {
		memcpy(dst, s.p, n);
		dst[n] = '\0';
	}
	return n;
}

size_t show_text(char *dst, size_t cap, struct str s)
{
	size_t at = 0;
	char one[8];

	while (s.len > 0) {
		size_t n = show_visible(one, s), len = strlen(one);

		if (at + len >= cap)
			break;
		memcpy(dst + at, one, len);
		at += len;
		s = (struct str){s.p + n, s.len - n};
	}
	dst[at] = '\0';
	return at;
}

size_t show_line(char *dst, size_t cap, struct str s)
{
	size_t at = 0;

	while (s.len > 0) {
		bool white = s.p[0] == '\n' || s.p[0] == '\r' || s.p[0] == '\t';
		uint32_t c;
		size_t n = show_decode(s, &c);
		bool as_is = n > 0 && !show_hidden(c);
		size_t len = as_is ? n : 1;

		if (at + len >= cap)
			break;
		if (as_is)
			memcpy(dst + at, s.p, n);
		else
			dst[at] = white ? ' ' : '?';
		at += len;
		n = MAX(n, (size_t)1);
		s = (struct str){s.p + n, s.len - n};
	}
	dst[at] = '\0';
	return at;
}

size_t show_quoted(char *dst, size_t cap, struct str s)
{
	size_t n = show_line(dst, cap, s);

	for (size_t i = 0; i < n; i++)
		if (dst[i] == '"')
			dst[i] = '\'';
	return n;
}

size_t show_ascii(char *dst, size_t cap, struct str s)
{
	size_t n = MIN(s.len, cap - 1);

	for (size_t i = 0; i < n; i++)
		dst[i] = (char)(s.p[i] >= ' ' && s.p[i] <= '~' ? s.p[i] : '?');
	dst[n] = '\0';
	return n;
}
