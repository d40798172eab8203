/* Changes of tunnels and of whole lists, on fake ports and a DNS of the test's own; wishes are
 * texts. */
#ifndef KAREZ_TEST_UNIT_CORE_EDIT_RIG_H
#define KAREZ_TEST_UNIT_CORE_EDIT_RIG_H

#include "core/manage.h"
#include "unit/core/dns_rig.h"
#include "unit/core/place_rig.h"

/* What a call was answered. */
struct told_edit {
	unsigned calls;
	int e;
	char reason[2048], field[64];
	size_t entry, n;
	bool created;
	uint64_t version;
	struct record_tunnel tunnels[4]; /* the first ones */
	char names[1024];		 /* of all of them, a space after each; cut */
};

/* Ann, Bob, and an administrator. Ports 9000-9100 are given to tunnels, TLS is at port 443. */
struct edit_rig {
	struct place_rig p; /* first */
	struct dns_rig dns;
	struct access_who root;
};

void edit_rig_new(struct edit_rig *g);
void edit_rig_free(struct edit_rig *g);

/* Begin anew with other options of the core: g->p.r.opt. */
void edit_rig_restart(struct edit_rig *g);

/*
 * What is wanted, as words: "kind=tcp port=9000 domain=a.example domain=b.example service=web".
 * Also: bind, tls, proxy, agent, drain (ms), target, enabled, rewrite, policy, sessions, user,
 * bearer, auth, allow, host, request_add ("A:b") and the other lists, name, account. One without a
 * value sets an empty list or text.
 */
struct edit_wish {
	struct manage_tunnel_change ch;
	char name[HOSTNAME_MAX + 1], account[CORE_ID_TEXT];
};
void edit_rig_wish(const char *words, struct edit_wish *out);

/* Change a tunnel and wait for the answer. */
struct told_edit edit_rig_change(struct edit_rig *g, const struct access_who *who,
				 enum manage_mode mode, const char *name, const char *words);

/* The same without waiting. */
struct manage *edit_rig_begin(struct edit_rig *g, const struct access_who *who,
			      enum manage_mode mode, const char *name, const char *words,
			      struct told_edit *told);

struct told_edit edit_rig_drop(struct edit_rig *g, const struct access_who *who, const char *name);

/* Replace a list: entries with ';' between two. flags: "all", "known", "dry", "keep", "rest" in any
 * order.
 */
struct told_edit edit_rig_replace(struct edit_rig *g, const struct access_who *who,
				  const char *flags, const char *entries);
struct manage *edit_rig_begin_replace(struct edit_rig *g, const struct access_who *who,
				      const char *flags, const char *entries,
				      struct told_edit *told);

/* The value of a record; "" when there is none. Borrowed until the next call. */
const char *edit_rig_record(struct edit_rig *g, const char *kind, const char *key);

/* Whose a route is: "ssh"; "" when it is nobody's. Its note of ownership must agree. */
const char *edit_rig_route(struct edit_rig *g, const char *key);

/* All tunnels of an account that can be read, "name/kind/port " in order of their names. */
const char *edit_rig_tunnels(struct edit_rig *g, const struct access_who *who);

#endif
