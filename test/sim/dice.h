/* The simulation's own random numbers: from the seed alone, whatever the code under test draws. */
#ifndef KAREZ_SIM_DICE_H
#define KAREZ_SIM_DICE_H

#include "base/util.h"

/* A value. */
struct dice {
	uint64_t state;
};

/* Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (SplitMix64). */
static inline uint64_t dice_next(struct dice *d)
{
	uint64_t z = d->state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/* A number in [low, high]. */
static inline uint32_t dice_range(struct dice *d, uint32_t low, uint32_t high)
{
	return low + (uint32_t)(dice_next(d) % ((uint64_t)high - low + 1));
}

/* True so many times in a hundred. */
static inline bool dice_chance(struct dice *d, uint32_t percent)
{
	return dice_next(d) % 100 < percent;
}

/* A length up to `max` whose every order of magnitude is as likely as the others; sometimes 0. */
static inline uint32_t dice_length(struct dice *d, uint32_t max)
{
	uint32_t bits = 0, n;

	while ((max >> bits) > 0)
		bits++;
	bits = dice_range(d, 0, bits);
	if (bits == 0)
		return 0;
	n = dice_range(d, 1u << (bits - 1), (1u << bits) - 1);
	return MIN(n, max);
}

#endif
