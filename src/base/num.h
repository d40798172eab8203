/* Numbers, sizes and durations as people write them. */
#ifndef KAREZ_BASE_NUM_H
#define KAREZ_BASE_NUM_H

#include "base/str.h"

/*
 * A decimal number: digits only, no sign, no space, no leading zero but "0" itself.
 * Returns 0, ERR_INVAL (not a number), ERR_TOOBIG (above max).
 */
int num_parse(struct str s, uint64_t max, uint64_t *out) MUST_CHECK;

/* Hexadecimal digits only, 1-16 of them, either case. Returns 0, ERR_INVAL, ERR_TOOBIG. */
int num_parse_hex(struct str s, uint64_t *out) MUST_CHECK;

/* The same as printf's "%llx" writes it: lower case, no leading zero but "0" itself. Returns 0,
 * ERR_INVAL, ERR_TOOBIG. */
int num_parse_hex_exact(struct str s, uint64_t *out) MUST_CHECK;

/*
 * A duration: a number with "ms", "s", "m", "h" or "d"; a bare number is seconds; "0" alone is 0.
 *   *ms  set in milliseconds.
 * Returns 0, ERR_INVAL, ERR_TOOBIG (above 100 days).
 */
int num_parse_duration(struct str s, uint64_t *ms) MUST_CHECK;

/*
 * A size in bytes: a number with an optional "K", "M" or "G" (powers of 1024; "KiB", "MiB", "GiB"
 * mean the same). Returns 0, ERR_INVAL, ERR_TOOBIG (above 2^53).
 */
int num_parse_size(struct str s, uint64_t *bytes) MUST_CHECK;

#endif
