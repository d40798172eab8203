/* "Did you mean ...?": the known word that is nearest to an unknown one. */
#ifndef KAREZ_CONFIG_GUESS_H
#define KAREZ_CONFIG_GUESS_H

#include "base/str.h"

/* A search going on. Set the word and leave the rest zero. */
struct guess {
	struct str word;  /* what somebody typed */
	const char *best; /* the nearest candidate so far, borrowed; NULL when none is near */
	size_t distance;  /* to best; no meaning while best is NULL */
};

/*
 * Keep a candidate if it is nearer than what was offered before. Near means that about a third of
 * the letters are wrong at most. Upper and lower case are the same, and so are "_" and "-".
 *   candidate  NUL-terminated.
 */
void guess_offer(struct guess *g, const char *candidate);

/*
 * How many letters must be added, dropped, changed or swapped with their neighbour to get from one
 * word to the other; SIZE_MAX when either is longer than 64 bytes.
 * Source: Damerau 1964, in the form "optimal string alignment".
 */
size_t guess_distance(struct str a, struct str b);

#endif
