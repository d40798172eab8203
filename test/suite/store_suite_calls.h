/* The part of the store suite that is about calls, not records. */
#ifndef KAREZ_TEST_SUITE_STORE_SUITE_CALLS_H
#define KAREZ_TEST_SUITE_STORE_SUITE_CALLS_H

#include "suite/store_rig.h"

/* Returns how many of its tests failed. */
int store_suite_calls(const struct store_maker *maker);

#endif
