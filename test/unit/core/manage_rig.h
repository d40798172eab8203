/* Calls behind the API, made and waited for. */
#ifndef KAREZ_TEST_UNIT_CORE_MANAGE_RIG_H
#define KAREZ_TEST_UNIT_CORE_MANAGE_RIG_H

#include "core/manage.h"
#include "unit/core/core_rig.h"
#include "unit/core/dns_rig.h"

/* What a call about tunnels was answered. */
struct told_manage {
	unsigned calls;
	int e;
	char reason[2048], field[64];
	bool created, more;
	uint64_t version;
	size_t n;
	struct record_tunnel tunnel; /* the first one */
	char names[2048];	     /* of all, a space after each */
	char after[HOSTNAME_MAX + 1];
	struct core_session_info sessions[8];
	struct core_visitor_info visitors[8];
};

/* A core with three accounts; "root" is an administrator. Agents of ann and bob are connected. */
struct manage_rig {
	struct core_rig r;
	struct dns_rig dns;
	struct access_who ann, bob, root;
	struct fake a, b;
};

void manage_rig_new(struct manage_rig *g);
void manage_rig_free(struct manage_rig *g);

/* For callers that look at the middle of a call. */
struct manage_asker manage_rig_asker(const struct access_who *who, struct told_manage *told);

struct told_manage manage_rig_get(struct manage_rig *g, const struct access_who *who,
				  const char *name);
struct told_manage manage_rig_drop(struct manage_rig *g, const struct access_who *who,
				   const char *name, uint64_t expected);
struct told_manage manage_rig_change(struct manage_rig *g, const struct access_who *who,
				     const char *name, const struct manage_tunnel_change *ch);

/* Set one custom domain, or several with a space between two. */
struct told_manage manage_rig_alt_names(struct manage_rig *g, const struct access_who *who,
					const char *name, const char *hosts);

/* Is there such a record? */
bool manage_rig_has(struct manage_rig *g, const char *kind, const char *key);
bool manage_rig_owns(struct manage_rig *g, const struct access_who *who, const char *what);

#endif
