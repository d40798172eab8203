/* What the end of a stream says about its target. */
#ifndef KAREZ_INGRESS_REFUSAL_H
#define KAREZ_INGRESS_REFUSAL_H

#include <stdbool.h>

/*
 * Did the agent end a stream, opened for this visitor, because it could not connect to its target?
 * Then another session may be asked.
 *   why  an ERR_*.
 */
bool refusal_is_clean(int why);

/*
 * Is that certain? Some reasons are also those of a connection that was there and broke before the
 * target's first byte, so it may have seen what must not be done twice.
 */
bool refusal_is_certain(int why);

#endif
