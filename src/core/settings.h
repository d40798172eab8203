/*
 * What the ingress must know of a tunnel's record: one immutable piece of memory, shared by those
 * who hold it. See struct tunnel_settings.
 */
#ifndef KAREZ_CORE_SETTINGS_H
#define KAREZ_CORE_SETTINGS_H

#include "core/core.h"
#include "core/record.h"

/* From a record, with one reference. Returns 0 or ERR_NOMEM. */
int settings_new(const struct record_tunnel *r, uint64_t version,
		 struct tunnel_settings **out) MUST_CHECK;

/* One more reference, for whoever keeps it beyond the turn. Returns s. */
struct tunnel_settings *settings_ref(const struct tunnel_settings *s);

/* One less; with the last one it goes at the end of the turn. NULL is allowed. */
void settings_unref(struct ev *ev, struct tunnel_settings *s);

#endif
