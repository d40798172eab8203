/*
 * Memory that ends: one allocation of the code under test fails, the one that was asked for. The
 * linker leads malloc(), calloc(), realloc() and strdup() of this program here (--wrap, see
 * meson.build), and nghttp2 is given the same. Not jansson, which forgets a byte when a buffer of
 * its own cannot grow, and reads on past the end. must_calloc() is what tests and simulations use:
 * it never fails.
 */
#ifndef KAREZ_SIM_SCARCE_MEMORY_H
#define KAREZ_SIM_SCARCE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* Once, before anything else. */
void scarce_init(void);

/* From now on the n-th allocation fails, the first is 0, and `more` that follow. */
void scarce_arm(size_t n, size_t more);

/* None fails any more. Returns true if one has. */
bool scarce_disarm(void);

/* What the test itself allocates until it is let go does not count; can be nested. */
void scarce_hold(void);
void scarce_let(void);

/* Where the last one has failed, for whoever reads of it: as addr2line takes it. */
void scarce_show(void);

#endif
