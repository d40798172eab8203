/* A typing error should cost one look at the message, not one at the manual. */
#include "config/guess.h"

#define WORD_MAX 64 /* longer words are no typing errors, and the table stays on the stack */

static char guess_fold(char c)
{
	return c == '_' ? '-' : ascii_lower(c);
}

size_t guess_distance(struct str a, struct str b)
{
	/* Three rows of the table are alive at a time: the one before last is for swaps. */
	size_t rows[3][WORD_MAX + 1], *before = rows[0], *last = rows[1], *row = rows[2], *spare;

	if (a.len > WORD_MAX || b.len > WORD_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= b.len; j++)
		last[j] = before[j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		char ca = guess_fold(a.p[i - 1]);

		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			char cb = guess_fold(b.p[j - 1]);

			row[j] = MIN(last[j] + 1, row[j - 1] + 1);
			row[j] = MIN(row[j], last[j - 1] + (ca == cb ? 0 : 1));
			if (i > 1 && j > 1 && ca == guess_fold(b.p[j - 2]) &&
			    guess_fold(a.p[i - 2]) == cb)
				row[j] = MIN(row[j], before[j - 2] + 1);
		}
		spare = before;
		before = last;
		last = row;
		row = spare;
	}
	return last[b.len];
}

void guess_offer(struct guess *g, const char *candidate)
{
	struct str c = str_of(candidate);
	size_t d = guess_distance(g->word, c);

	if (d > (MAX(g->word.len, c.len) + 1) / 3 || (g->best != NULL && d >= g->distance))
		return;
	g->best = candidate;
	g->distance = d;
}
