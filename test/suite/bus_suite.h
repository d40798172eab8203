/* What every kind of bus must do, run on each of them. */
#ifndef KAREZ_TEST_SUITE_BUS_SUITE_H
#define KAREZ_TEST_SUITE_BUS_SUITE_H

#include "suite/bus_rig.h"

/* Run the whole suite. Returns how many of its tests failed. */
int bus_suite(const struct bus_maker *maker);

#endif
