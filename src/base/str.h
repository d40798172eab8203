/* A borrowed run of bytes, and the text functions that work on it. */
#ifndef KAREZ_BASE_STR_H
#define KAREZ_BASE_STR_H

#include "base/util.h"

/* Borrowed bytes: not NUL-terminated, p may be NULL when len is 0. A value; copy it freely. */
struct str {
	const char *p;
	size_t len;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
#define STR_FMT	     "%.*s"
#define STR_ARG(s)   (int)(s).len, (s).p

/* The bytes of a NUL-terminated text; NULL gives the empty str. */
struct str str_of(const char *text);

bool str_eq(struct str a, struct str b);

/* Equal but for the case of A-Z (ASCII only, no locale). */
bool str_eq_nocase(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_ends_nocase(struct str s, struct str suffix);

/* Without spaces and tabs at either end. */
struct str str_trim(struct str s);

/* First position of c, or s.len. */
size_t str_find(struct str s, char c);

/*
 * Split off what stands before the first `sep`; *rest becomes what follows it.
 *   rest  in: what is left; out: shortened, p NULL when nothing was left after the last piece.
 * Returns false when rest->p is NULL already.
 */
bool str_next(struct str *rest, char sep, struct str *piece);

/*
 * A NUL-terminated copy; the caller frees it. NULL when memory is gone.
 */
char *str_dup(struct str s) MUST_CHECK;

/*
 * Copy into a fixed array and terminate it.
 *   cap  size of dst in bytes, including the NUL.
 * Returns 0 or ERR_TOOBIG (dst is then the empty text).
 */
int str_copy(char *dst, size_t cap, struct str s) MUST_CHECK;

/* printf that cuts at cap; always terminates; returns the bytes written without the NUL. */
size_t str_printf(char *dst, size_t cap, const char *fmt, ...) PRINTF_LIKE(3, 4);

static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

#endif
