/*
 * Every right is decided here and nowhere else, so that there is one place to read and to test. It
 * is asked for each stream: without a limit in the scope it compares a few words and is done.
 */
#include "core/access.h"

#include <string.h>

#include "base/err.h"
#include "proto/time_text.h"

/* ---- scopes ---- */

bool access_scope_is_limited(const struct access_scope *s)
{
	return s->kinds != 0 || s->tunnels[0] != '\0' || s->n_ports != 0;
}

bool access_scope_same(const struct access_scope *a, const struct access_scope *b)
{
	if (a->kinds != b->kinds || a->until_ms != b->until_ms || a->n_ports != b->n_ports ||
	    strcmp(a->tunnels, b->tunnels) != 0)
		return false;
	for (size_t i = 0; i < a->n_ports; i++)
		if (a->ports[i].first != b->ports[i].first || a->ports[i].last != b->ports[i].last)
			return false;
	return true;
}

/* One word of a scope's tunnels: a name, or "*.tim". */
static bool access_name_fits(struct str word, struct str name)
{
	if (!str_starts(word, STR("*.")))
		return str_eq(word, name);
	word.p++;
	word.len--;
	return name.len > word.len && memcmp(name.p + name.len - word.len, word.p, word.len) == 0;
}

static bool access_has_tunnel(const struct access_scope *s, struct str name)
{
	struct str rest = str_of(s->tunnels), word;

	while (str_next(&rest, ' ', &word))
		if (access_name_fits(word, name))
			return true;
	return false;
}

bool access_has_port(const struct access_ports *ports, size_t n, uint16_t port)
{
	for (size_t i = 0; i < n; i++)
		if (port >= ports[i].first && port <= ports[i].last)
			return true;
	return false;
}

/* Is there a port that both have? */
static bool access_overlap(const struct access_who *who)
{
	const struct access_scope *s = &who->scope;

	for (size_t i = 0; i < s->n_ports; i++)
		for (size_t k = 0; k < who->n_ports; k++)
			if (s->ports[i].first <= who->ports[k].last &&
			    who->ports[k].first <= s->ports[i].last)
				return true;
	return s->n_ports == 0 || who->n_ports == 0;
}

/* ---- sentences ---- */

static int access_over(const struct access_who *who, char reason[CORE_REASON_TEXT])
{
	char when[TIME_TEXT];

	time_text_format(who->scope.until_ms, when);
	str_printf(reason, CORE_REASON_TEXT,
		   "this credential was good until %s; make a new one with its account", when);
	return ERR_AUTH;
}

static int access_hidden(char reason[CORE_REASON_TEXT])
{
	str_printf(reason, CORE_REASON_TEXT,
		   "there is no such thing, or it belongs to somebody else");
	return ERR_NOTFOUND;
}

static int access_wrong_tunnel(const struct access_scope *s, struct str name,
			       char reason[CORE_REASON_TEXT])
{
	int shown = (int)strnlen(s->tunnels, 100);

	str_printf(reason, CORE_REASON_TEXT,
		   name.len == 0 ? "this credential is limited to certain tunnels (%.*s%s); ask "
				   "for one of them by its name"
				 : "this credential is limited to other tunnels (%.*s%s); use one "
				   "that is good for this one",
		   shown, s->tunnels, s->tunnels[shown] != '\0' ? "..." : "");
	return ERR_DENIED;
}

/* ---- decisions ---- */

static int access_decide_scope(const struct access_scope *s, const struct access_ask *ask,
			       char reason[CORE_REASON_TEXT])
{
	if (s->kinds != 0 && (s->kinds & 1u << ask->kind) == 0) {
		str_printf(reason, CORE_REASON_TEXT,
			   "this credential is not good for tunnels of the kind %s",
			   tunnel_kind_name(ask->kind));
		return ERR_DENIED;
	}
	if (s->tunnels[0] != '\0' && !access_has_tunnel(s, ask->tunnel))
		return access_wrong_tunnel(s, ask->tunnel, reason);
	if (s->n_ports == 0 || ask->kind != TUNNEL_TCP || ask->port == 0 ||
	    access_has_port(s->ports, s->n_ports, ask->port))
		return 0;
	str_printf(reason, CORE_REASON_TEXT, "this credential is not good for port %u", ask->port);
	return ERR_DENIED;
}

/* What the account may have counts when a port is taken, not when it is given back. */
static int access_decide_port(const struct access_who *who, const struct access_ask *ask,
			      char reason[CORE_REASON_TEXT])
{
	if (ask->kind != TUNNEL_TCP || ask->account != NULL)
		return 0;
	if (ask->port == 0 && !access_overlap(who))
		str_printf(reason, CORE_REASON_TEXT,
			   "no port may be chosen for this credential: its own ports are none of "
			   "those of its account; ask the server's operator for others");
	else if (ask->port != 0 && who->n_ports > 0 &&
		 !access_has_port(who->ports, who->n_ports, ask->port))
		str_printf(reason, CORE_REASON_TEXT,
			   "this account may not have port %u; ask the server's operator for it, "
			   "or take one that it may have",
			   ask->port);
	else
		return 0;
	return ERR_DENIED;
}

static int access_decide_tunnel(const struct access_who *who, const struct access_ask *ask,
				char reason[CORE_REASON_TEXT])
{
	bool limited = access_scope_is_limited(&who->scope);
	int e;

	if (ask->account != NULL && strcmp(ask->account, who->account) != 0) {
		bool may = ask->act == ACCESS_READ || ask->act == ACCESS_CHANGE;

		return may && who->admin && !limited ? 0 : access_hidden(reason);
	}
	if (limited && (e = access_decide_scope(&who->scope, ask, reason)) != 0)
		return e;
	return access_decide_port(who, ask, reason);
}

static int access_decide_account(const struct access_who *who, const struct access_ask *ask,
				 char reason[CORE_REASON_TEXT])
{
	bool limited = access_scope_is_limited(&who->scope);

	if (ask->account != NULL && strcmp(ask->account, who->account) != 0)
		return who->admin && !limited ? 0 : access_hidden(reason);
	if (ask->act == ACCESS_ACCOUNT || !limited)
		return 0;
	str_printf(reason, CORE_REASON_TEXT,
		   "this credential is limited to certain tunnels, kinds or ports; the account "
		   "needs one without a limit");
	return ERR_DENIED;
}

static int access_decide_admin(const struct access_who *who, char reason[CORE_REASON_TEXT])
{
	if (!who->admin)
		str_printf(reason, CORE_REASON_TEXT,
			   "only administrators of this server may do this");
	else if (access_scope_is_limited(&who->scope))
		str_printf(reason, CORE_REASON_TEXT,
			   "this credential is limited to certain tunnels, kinds or ports; "
			   "administrators need one without a limit");
	else
		return 0;
	return ERR_DENIED;
}

int access_decide(const struct access_who *who, const struct access_ask *ask,
		  char reason[CORE_REASON_TEXT])
{
	if (!who->enabled) {
		str_printf(reason, CORE_REASON_TEXT,
			   "this account has been switched off; ask the server's operator why");
		return ERR_DISABLED;
	}
	if (who->scope.until_ms != 0 && ask->now_ms >= who->scope.until_ms)
		return access_over(who, reason);
	switch (ask->act) {
	case ACCESS_CONNECT: return 0;
	case ACCESS_SERVE:
	case ACCESS_OPEN:
	case ACCESS_READ:
	case ACCESS_CHANGE: return access_decide_tunnel(who, ask, reason);
	case ACCESS_ACCOUNT:
	case ACCESS_ACCOUNT_CHANGE: return access_decide_account(who, ask, reason);
	case ACCESS_ADMIN: return access_decide_admin(who, reason);
	case ACCESS_ACTS: break;
	}
	CHECK(false); /* an act that nobody has thought about is nobody's right */
	return ERR_DENIED;
}
