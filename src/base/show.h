/*
 * Text that strangers chose, made safe to show: shown, never obeyed.
 *
 * A terminal would obey control characters (C0, DEL, C1), marks that turn the direction of writing,
 * and what is no UTF-8 may be any of them to somebody. How they look instead depends on the place:
 *
 *   show_text    escapes, \xNN or \uNNNN   a terminal: nothing is lost, whoever reads it sees all
 *   show_line    '?'; white space ' '      a sentence inside another one, of people
 *   show_quoted  the same, no '"'          a value between double quotes in a line of the log
 *   show_ascii   '?', also for all UTF-8   where nobody knows what the reader can show
 *
 * All write at most cap - 1 bytes and a NUL; cap is at least 1, and dst not part of s. What does
 * not fit is cut, never in the middle of a character or an escape. All return the bytes written
 * without the NUL.
 */
#ifndef KAREZ_BASE_SHOW_H
#define KAREZ_BASE_SHOW_H

#include "base/str.h"

/*
 * The character that s, not empty, starts with.
 *   *c  set to its code point.
 * Returns its bytes, 0 if it is no UTF-8. Source: RFC 3629 4.
 */
size_t show_decode(struct str s, uint32_t *c) MUST_CHECK;

/*
 * Write the character that s, not empty, starts with, so that a terminal does no more than show it.
 *   dst  [8], terminated: the character itself, \xNN or \uNNNN.
 * Returns how many bytes of s it was. Source: Unicode UAX #9 2 (marks of direction).
 */
size_t show_visible(char dst[8], struct str s);

/* UTF-8 as it is, the rest as \xNN or \uNNNN. A backslash stays: it is for reading, not for
 * decoding. */
size_t show_text(char *dst, size_t cap, struct str s);

/* UTF-8 as it is, a line's end and a tab as ' ', the rest as one '?' a character or stray byte. */
size_t show_line(char *dst, size_t cap, struct str s);

/* The same, and '"' becomes '\''. */
size_t show_quoted(char *dst, size_t cap, struct str s);

/* ' ' to '~' as they are, every other byte as '?'. */
size_t show_ascii(char *dst, size_t cap, struct str s);

#endif
