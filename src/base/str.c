/* Text as pointer and length: no locale, no surprise. */
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

struct str str_of(const char *text)
{
	return (struct str){text, text == NULL ? 0 : strlen(text)};
}

bool str_eq(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

bool str_eq_nocase(struct str a, struct str b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	return true;
}

bool str_starts(struct str s, struct str prefix)
{
	return s.len >= prefix.len && str_eq((struct str){s.p, prefix.len}, prefix);
}

bool str_ends_nocase(struct str s, struct str suffix)
{
	if (suffix.len == 0 || s.len < suffix.len)
		return suffix.len == 0;
	return str_eq_nocase((struct str){s.p + (s.len - suffix.len), suffix.len}, suffix);
}

struct str str_trim(struct str s)
{
	while (s.len > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.len--;
	}
	while (s.len > 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
		s.len--;
	return s;
}

size_t str_find(struct str s, char c)
{
	const char *hit = s.len == 0 ? NULL : memchr(s.p, c, s.len);

	return hit == NULL ? s.len : (size_t)(hit - s.p);
}

bool str_next(struct str *rest, char sep, struct str *piece)
{
	size_t n;

	if (rest->p == NULL)
		return false;
	n = str_find(*rest, sep);
	*piece = (struct str){rest->p, n};
	if (n == rest->len)
		*rest = (struct str){NULL, 0};
	else
		*rest = (struct str){rest->p + n + 1, rest->len - n - 1};
	return true;
}

char *str_dup(struct str s)
{
	char *copy = malloc(s.len + 1);

	if (copy == NULL)
		return NULL;
	if (s.len > 0)
		memcpy(copy, s.p, s.len);
	copy[s.len] = '\0';
	return copy;
}

int str_copy(char *dst, size_t cap, struct str s)
{
	if (s.len >= cap) {
		dst[0] = '\0';
		return ERR_TOOBIG;
	}
	if (s.len > 0)
		memcpy(dst, s.p, s.len);
	dst[s.len] = '\0';
	return 0;
}

size_t str_printf(char *dst, size_t cap, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(dst, cap, fmt, ap);
	va_end(ap);
	CHECK(n >= 0);
	return (size_t)n < cap ? (size_t)n : cap - 1;
}
