/* What kind of file it is, for Content-Type. */
#ifndef KAREZ_AGENT_SITE_TYPE_H
#define KAREZ_AGENT_SITE_TYPE_H

#include "base/str.h"

/*
 * The media type of a file.
 *   name  its name or path; only what follows the last dot of the last name counts, in any case.
 * Returns a static text; application/octet-stream for what site_type.def does not know.
 */
struct str site_type_of(struct str name);

#endif
