/* What every kind of store must do, run on each of them. */
#ifndef KAREZ_TEST_SUITE_STORE_SUITE_H
#define KAREZ_TEST_SUITE_STORE_SUITE_H

#include "suite/store_rig.h"

/* Run the whole suite. Returns how many of its tests failed. */
int store_suite(const struct store_maker *maker);

#endif
