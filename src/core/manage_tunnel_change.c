/*
 * Making and changing tunnels. A domain that is new to a tunnel is proven by the DNS before it is
 * written: the transaction that finds it unproven ends without a change, the DNS is asked, and the
 * same transaction is tried again with what it said.
 */
#include "core/manage.h"

#include <string.h>

#include "base/err.h"
#include "core/domain.h"
#include "core/manage_internal.h"
#include "core/names.h"
#include "core/tunnel_txn.h"
#include "proto/url.h"

/* Members as the API calls them. */
#define FIELD_ALT_NAMES "ingress.http.alt_names"
#define FIELD_AUTH_URL	"visitors.auth_url"
#define FIELD_BASIC	"visitors.basic"

/* Times that the DNS is asked, when others change the same domains meanwhile. */
#define ROUNDS_MAX 3

struct change {
	struct manage m; /* first */
	struct manage_tunnel_change ch;
	char name[HOSTNAME_MAX + 1];
	int name_e; /* why it is no name */
	char name_reason[CORE_REASON_TEXT];
	bool random;
	unsigned tries; /* of random names */
	int64_t now_ms;
	struct txn *txn;	     /* borrowed: for its own end */
	struct record_tunnel old, r; /* as it was (if !made), as it will be */
	bool made;
	bool must_ask; /* proofs says what */
	unsigned rounds;
	struct core_call asking; /* as long as the DNS is asked */
	struct domain_proofs proofs;
};

/* ---- what is asked for ---- */

static int change_check_name(struct change *c)
{
	if (c->name_e == 0)
		return 0;
	return manage_refuse(&c->m, c->name_e, "name", "%s", c->name_reason);
}

/* Lower case, no dot at the end. In place. Returns 0 or ERR_INVAL. */
static int change_normalise_alt_name(struct change *c, char name[HOSTNAME_MAX + 1])
{
	struct hostname_authority a;
	struct str wanted = str_of(name), host;
	char out[HOSTNAME_MAX + 1];

	if (hostname_split(wanted, &a) != 0 || a.kind != HOSTNAME_NAME ||
	    str_find(wanted, ':') != wanted.len || hostname_normalise(wanted, out, &host) != 0)
		return manage_refuse(&c->m, ERR_INVAL, FIELD_ALT_NAMES,
				     "a custom domain is a host name such as app.example.org, "
				     "without scheme, port and path");
	memcpy(name, out, sizeof out);
	return 0;
}

/* Returns 0 or ERR_INVAL. */
static int change_check_alt_names(struct change *c)
{
	struct record_tunnel *to = &c->ch.to;
	struct str domain = str_of(c->m.core->opt.domain), under;

	for (size_t i = 0; i < to->n_alt_names; i++)
		if (change_normalise_alt_name(c, to->alt_names[i]) != 0)
			return ERR_INVAL;
	for (size_t i = 0; i < to->n_alt_names; i++) {
		struct str host = str_of(to->alt_names[i]);

		for (size_t k = 0; k < i; k++)
			if (strcmp(to->alt_names[k], to->alt_names[i]) == 0)
				return manage_refuse(&c->m, ERR_INVAL, FIELD_ALT_NAMES,
						     "\"" STR_FMT "\" stands twice in the list",
						     STR_ARG(host));
		if (str_eq(host, domain) || hostname_under(host, domain, &under))
			return manage_refuse(&c->m, ERR_INVAL, FIELD_ALT_NAMES,
					     "\"" STR_FMT
					     "\" lies under this server's own domain; only names "
					     "elsewhere can be custom domains",
					     STR_ARG(host));
	}
	return 0;
}

static int change_check_policy(struct change *c)
{
	const struct record_tunnel *to = &c->ch.to;

	if ((c->ch.set & MANAGE_T_KIND) && to->kind != TUNNEL_HTTP)
		return manage_refuse(&c->m, ERR_UNSUPPORTED, "kind",
				     "this server has no tunnels of this kind yet");
	if ((c->ch.set & MANAGE_T_POLICY) && to->policy >= TUNNEL_POLICIES)
		return manage_refuse(&c->m, ERR_INVAL, "transport.policy",
				     "the policy is one of least-conn, round-robin, failover");
	if ((c->ch.set & MANAGE_T_SESSIONS_MAX) &&
	    (to->sessions_max < 1 || to->sessions_max > RECORD_SESSIONS_MAX))
		return manage_refuse(&c->m, ERR_INVAL, "transport.max_connections",
				     "a tunnel is served by 1 to %d sessions", RECORD_SESSIONS_MAX);
	return 0;
}

static int change_check_target(struct change *c)
{
	char target[RECORD_TARGET_MAX + 1], reason[CORE_REASON_TEXT];

	if (tunnel_txn_check_target(str_of(c->ch.to.target), target, reason) == 0)
		return 0;
	return manage_refuse(&c->m, ERR_INVAL, "target.url", "%s", reason);
}

bool core_allows_hook(const struct core *c, const struct url *hook)
{
	const struct core_opt *opt = &c->opt;
	char authority[HOSTNAME_AUTHORITY_MAX + 1];

	url_format_authority(hook, authority);
	for (size_t i = 0; i < opt->n_auth_hosts; i++)
		if (strcmp(opt->auth_hosts[i], "*") == 0 ||
		    hostname_authority_same(str_of(opt->auth_hosts[i]), str_of(authority),
					    url_default_port(hook->scheme)))
			return true;
	return false;
}

static int change_check_auth_url(struct change *c)
{
	struct str text = str_of(c->ch.to.rights.auth_url);
	const char *why;
	struct url u;

	if (text.len == 0)
		return 0;
	if (url_parse(text, &u, &why) != 0)
		return manage_refuse(&c->m, ERR_INVAL, FIELD_AUTH_URL, "this is not a URL: %s",
				     why);
	if ((u.scheme != URL_HTTP && u.scheme != URL_HTTPS) || u.websocket)
		return manage_refuse(&c->m, ERR_INVAL, FIELD_AUTH_URL,
				     "the service is asked by HTTP: its URL begins with http:// or "
				     "https://");
	if (!core_allows_hook(c->m.core, &u))
		return manage_refuse(
			&c->m, ERR_DENIED, FIELD_AUTH_URL,
			"this server asks no service at \"%.253s\"; its operator allows "
			"hosts with --auth-hosts",
			u.host);
	return 0;
}

static bool change_user_ok(const struct rights *r, size_t i)
{
	const char *name = r->users[i].name;

	for (const char *p = name; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f || *p == ':')
			return false;
	for (size_t k = 0; k < i; k++)
		if (strcmp(r->users[k].name, name) == 0)
			return false;
	return name[0] != '\0';
}

static int change_check_users(struct change *c)
{
	for (size_t i = 0; i < c->ch.to.rights.n_users; i++)
		if (!change_user_ok(&c->ch.to.rights, i))
			return manage_refuse(&c->m, ERR_INVAL, FIELD_BASIC,
					     "each user has a name of his own, without ':' and "
					     "control characters");
	return 0;
}

static int change_check(struct change *c)
{
	unsigned set = c->ch.set;
	int e = change_check_policy(c);

	if (e == 0 && (set & MANAGE_T_TARGET))
		e = change_check_target(c);
	if (e == 0 && (set & MANAGE_T_ALT_NAMES))
		e = change_check_alt_names(c);
	if (e == 0 && (set & MANAGE_T_AUTH_URL))
		e = change_check_auth_url(c);
	if (e == 0 && (set & MANAGE_T_USERS))
		e = change_check_users(c);
	return e;
}

/* ---- what it will be ---- */

static const char *change_hash_of(const struct rights *r, const char *user)
{
	for (size_t i = 0; i < r->n_users; i++)
		if (strcmp(r->users[i].name, user) == 0)
			return r->users[i].hash;
	return NULL;
}

/* A user without a hash keeps the one that is there. */
static int change_set_users(struct change *c)
{
	struct rights *r = &c->r.rights;

	memcpy(r->users, c->ch.to.rights.users, sizeof r->users);
	r->n_users = c->ch.to.rights.n_users;
	for (size_t i = 0; i < r->n_users; i++) {
		const char *kept;

		if (r->users[i].hash[0] != '\0')
			continue;
		kept = c->made ? NULL : change_hash_of(&c->old.rights, r->users[i].name);
		if (kept == NULL)
			return manage_refuse(&c->m, ERR_INVAL, FIELD_BASIC,
					     "\"%s\" is new here and needs a password",
					     r->users[i].name);
		memcpy(r->users[i].hash, kept, sizeof r->users[i].hash);
	}
	return 0;
}

static void change_set_rights(struct rights *r, const struct rights *to, unsigned set)
{
	if (set & MANAGE_T_BEARERS) {
		memcpy(r->bearers, to->bearers, sizeof r->bearers);
		r->n_bearers = to->n_bearers;
	}
	if (set & MANAGE_T_ALLOW) {
		memcpy(r->allow, to->allow, sizeof r->allow);
		r->n_allow = to->n_allow;
	}
	if (set & MANAGE_T_DENY) {
		memcpy(r->deny, to->deny, sizeof r->deny);
		r->n_deny = to->n_deny;
	}
	if (set & MANAGE_T_AUTH_URL)
		memcpy(r->auth_url, to->auth_url, sizeof r->auth_url);
}

/* Put what is set over what is there, or over what is usual. */
static int change_merge(struct change *c)
{
	const struct record_tunnel *to = &c->ch.to;
	unsigned set = c->ch.set;
	struct record_tunnel *r = &c->r;

	if (c->made || c->ch.mode != MANAGE_PATCH)
		tunnel_txn_usual(r, str_of(c->name), c->made ? c->m.who.account : c->old.account,
				 c->now_ms);
	else
		*r = c->old;
	r->updated_ms = c->now_ms;
	if (!c->made)
		r->created_ms = c->old.created_ms;
	if (set & MANAGE_T_KIND)
		r->kind = to->kind;
	if (set & MANAGE_T_ENABLED)
		r->enabled = to->enabled;
	if (set & MANAGE_T_TARGET)
		memcpy(r->target, to->target, sizeof r->target);
	if (set & MANAGE_T_ALT_NAMES) {
		memcpy(r->alt_names, to->alt_names, sizeof r->alt_names);
		r->n_alt_names = to->n_alt_names;
	}
	if (set & MANAGE_T_POLICY)
		r->policy = to->policy;
	if (set & MANAGE_T_SESSIONS_MAX)
		r->sessions_max = to->sessions_max;
	if (set & MANAGE_T_REWRITE)
		r->rewrite = to->rewrite;
	change_set_rights(&r->rights, &to->rights, set);
	return set & MANAGE_T_USERS ? change_set_users(c) : 0;
}

/* ---- custom domains ---- */

static bool change_has(const struct record_tunnel *r, const char *host)
{
	for (size_t i = 0; i < r->n_alt_names; i++)
		if (strcmp(r->alt_names[i], host) == 0)
			return true;
	return false;
}

static struct domain_proof *change_proof(struct change *c, const char *host)
{
	for (size_t i = 0; i < c->proofs.n; i++)
		if (strcmp(c->proofs.list[i].host, host) == 0)
			return &c->proofs.list[i];
	return NULL;
}

/* What must be found for a host, and for whoever has it now. */
static int change_claims(struct change *c, struct txn *t, struct domain_proof *p)
{
	struct domain_claimant who = {c->r.account, c->r.name, c->m.core->opt.domain};
	struct record_domain d;
	const uint8_t *key;
	int e;

	if ((e = txn_secret(t, &key)) != 0 ||
	    (e = domain_claim(key, &who, p->host, &p->claim)) != 0)
		return e;
	e = tunnel_txn_domain(t, p->host, &d);
	if (e != 0 || strcmp(d.account, c->r.account) == 0)
		return e == ERR_NOTFOUND ? 0 : e;
	who.account = d.account;
	who.name = d.tunnel;
	return domain_claim(key, &who, p->host, &p->old);
}

static int change_unproven(struct change *c, const struct domain_proof *p)
{
	if (p->e != 0)
		return manage_refuse(&c->m, ERR_INVAL, FIELD_ALT_NAMES,
				     "\"%s\" is not proven to be yours, and the DNS gave no answer "
				     "(%s): see that there is a record \"%s CNAME %s\", or "
				     "\"_karez.%s TXT %s\", and try again",
				     p->host, err_text(p->e), p->host, p->claim.target, p->host,
				     p->claim.text);
	return manage_refuse(&c->m, ERR_INVAL, FIELD_ALT_NAMES,
			     "\"%s\" is not proven to be yours: make a DNS record \"%s CNAME %s\", "
			     "or \"_karez.%s TXT %s\", and try again when it can be seen",
			     p->host, p->host, p->claim.target, p->host, p->claim.text);
}

/*
 * May the tunnel have a host that is new to it?
 *   fresh  what must be found, as the records say now.
 * Returns 0, ERR_AGAIN (the DNS must be asked), or why not.
 */
static int change_judge_host(struct change *c, const struct domain_proof *fresh)
{
	const struct domain_proof *p = change_proof(c, fresh->host);

	if (p == NULL || memcmp(&p->claim, &fresh->claim, sizeof p->claim) != 0 ||
	    memcmp(&p->old, &fresh->old, sizeof p->old) != 0)
		return ERR_AGAIN;
	if (!p->proven)
		return change_unproven(c, p);
	if (p->old.text[0] != '\0' && p->old_proven)
		return manage_refuse(
			&c->m, ERR_EXISTS, FIELD_ALT_NAMES,
			"\"%s\" is a custom domain of somebody else, whose proof still "
			"stands in the DNS; have it removed there first",
			p->host);
	return 0;
}

/* Returns 0, ERR_AGAIN as a read gave it, ERR_RESOLVE (the DNS must be asked), or why not. */
static int change_prove(struct change *c, struct txn *t)
{
	struct domain_proof ask[RECORD_ALT_NAMES_MAX] = {0};
	size_t n = 0, unsure = 0;
	int e;

	for (size_t i = 0; i < c->r.n_alt_names; i++) {
		struct domain_proof *p = &ask[n];

		if (!c->made && change_has(&c->old, c->r.alt_names[i]))
			continue;
		memcpy(p->host, c->r.alt_names[i], sizeof p->host);
		if ((e = change_claims(c, t, p)) != 0)
			return e;
		n++;
		e = change_judge_host(c, p);
		if (e != 0 && e != ERR_AGAIN)
			return e;
		unsure += e == ERR_AGAIN;
	}
	if (unsure == 0)
		return 0;
	if (c->m.core->opt.resolver.ask == NULL)
		return manage_refuse(&c->m, ERR_UNSUPPORTED, FIELD_ALT_NAMES,
				     "this server has no custom domains: it asks no DNS that could "
				     "prove them");
	if (c->rounds == ROUNDS_MAX)
		return manage_refuse(&c->m, ERR_CONFLICT, FIELD_ALT_NAMES,
				     "others change the same domains at this moment; try again");
	c->must_ask = true;
	c->proofs.n = n;
	memcpy(c->proofs.list, ask, sizeof ask);
	return ERR_RESOLVE;
}

static int change_write_domains(struct change *c, struct txn *t)
{
	int e = 0;

	for (size_t i = 0; e == 0 && !c->made && i < c->old.n_alt_names; i++)
		if (!change_has(&c->r, c->old.alt_names[i]))
			e = tunnel_txn_leave_domain(t, &c->old, c->old.alt_names[i]);
	for (size_t i = 0; e == 0 && i < c->r.n_alt_names; i++)
		if (c->made || !change_has(&c->old, c->r.alt_names[i]))
			e = tunnel_txn_take_domain(t, &c->r, c->r.alt_names[i], c->now_ms);
	return e;
}

/* ---- the transaction ---- */

static int change_taken(struct change *c)
{
	char reason[CORE_REASON_TEXT];

	tunnel_txn_taken(str_of(c->name), reason);
	return manage_refuse(&c->m, ERR_EXISTS, "name", "%s", reason);
}

/* May the asker make it? Asked first in any case, so that whoever may nothing learns nothing. */
static int change_may_make(struct change *c)
{
	struct access_ask ask = {.act = ACCESS_CHANGE,
				 .tunnel = c->random ? STR("") : str_of(c->name),
				 .kind = c->ch.set & MANAGE_T_KIND ? c->ch.to.kind : TUNNEL_HTTP};

	return manage_access(&c->m, &ask);
}

/* It is there: whose is it, and is that what was expected? */
static int change_existing(struct change *c, const struct store_record *rec)
{
	struct access_ask ask = {.act = ACCESS_CHANGE,
				 .account = c->old.account,
				 .tunnel = rec->key,
				 .kind = c->old.kind};
	bool own = strcmp(c->old.account, c->m.who.account) == 0;
	int e = manage_access(&c->m, &ask);

	if (e != 0 && !own)
		return change_taken(c);
	if (e != 0)
		return e;
	if (c->ch.mode == MANAGE_CREATE && !own)
		return change_taken(c);
	if (c->ch.mode == MANAGE_CREATE)
		return manage_refuse(&c->m, ERR_EXISTS, "name",
				     "there is a tunnel \"%s\" already; change that one", c->name);
	return manage_expect(&c->m, c->ch.expected, rec->version);
}

/* Find what is there. *rec stays NULL for a new tunnel. */
static int change_find(struct change *c, struct txn *t, const struct store_record **rec)
{
	struct manage_tunnel_ask ask = {ACCESS_CHANGE, str_of(c->name)};
	int e;

	c->made = false;
	if (c->ch.mode == MANAGE_PATCH) {
		e = manage_tunnel(&c->m, t, &ask, &c->old, rec);
		return e != 0 ? e : manage_expect(&c->m, c->ch.expected, (*rec)->version);
	}
	if ((e = change_may_make(c)) != 0 || (e = change_check_name(c)) != 0)
		return e;
	e = tunnel_txn_get(t, str_of(c->name), &c->old, rec);
	if (e == 0)
		return change_existing(c, *rec);
	if (e != ERR_NOTFOUND)
		return e;
	c->made = true;
	*rec = NULL;
	return manage_expect(&c->m, c->ch.expected, 0);
}

static int change_make(struct change *c, struct txn *t)
{
	char reason[CORE_REASON_TEXT] = "";
	int e = tunnel_txn_make(t, &c->r, reason);

	if (reason[0] == '\0')
		return e;
	return manage_refuse(&c->m, e, e == ERR_EXISTS ? "name" : NULL, "%s", reason);
}

static int change_run(struct txn *t, void *arg)
{
	const struct store_record *rec = NULL;
	struct change *c = arg;
	int e;

	c->txn = t;
	c->m.reason[0] = '\0';
	c->m.answer.field = NULL;
	c->must_ask = false;
	if ((e = change_find(c, t, &rec)) != 0 || (e = change_check(c)) != 0 ||
	    (e = change_merge(c)) != 0)
		return e;
	e = rec == NULL ? change_make(c, t) : tunnel_txn_put(t, rec, &c->r);
	if (e == 0)
		e = change_prove(c, t);
	return e != 0 ? e : change_write_domains(c, t);
}

/* ---- its steps ---- */

static struct change *change_of(struct core_call *call)
{
	return CONTAINER_OF(call, struct change, asking);
}

static void change_end_asking(struct change *c)
{
	if (!list_linked(&c->asking.link))
		return;
	core_call_end(&c->asking);
	domain_cancel(&c->proofs);
}

static void change_on_proofs(void *arg)
{
	struct change *c = arg;

	change_end_asking(c);
	manage_go(&c->m, change_run);
}

static void change_on_core_gone(struct core_call *call)
{
	manage_end(&change_of(call)->m, ERR_CLOSED);
}

static void change_on_ask(void *call)
{
	struct change *c = change_of(call);

	c->rounds++;
	c->proofs.resolver = &c->m.core->opt.resolver;
	c->proofs.done = change_on_proofs;
	c->proofs.arg = c;
	if (domain_ask(&c->proofs) != 0)
		manage_end(&c->m, manage_refuse(&c->m, ERR_LIMIT, FIELD_ALT_NAMES,
						"the server asks the DNS too much at the moment; "
						"try again in a while"));
}

static void change_ask(struct change *c)
{
	int e;

	c->asking.closed = change_on_core_gone;
	if ((e = core_call_begin(c->m.core, &c->asking, CORE_MANAGE, change_on_ask)) != 0)
		manage_end(&c->m, e);
}

static void change_done(struct change *c)
{
	log_info(c->m.core->opt.log, "event=%s tunnel=%s account=%s by=%s",
		 c->made ? "tunnel-made" : "tunnel-changed", c->r.name, c->r.account,
		 c->m.who.account);
	c->m.answer.created = c->made;
	c->m.answer.version = txn_version(c->txn, RECORD_TUNNEL, str_of(c->r.name));
	c->m.answer.tunnels = &c->r;
	c->m.answer.n = 1;
	manage_end(&c->m, 0);
}

static void change_next(struct manage *m, int e)
{
	struct change *c = (struct change *)m;

	if (e == ERR_RESOLVE && c->must_ask) {
		change_ask(c);
	} else if (e == ERR_EXISTS && c->random && ++c->tries < CORE_TRIES_MAX) {
		tunnel_txn_random(m->core->ev, c->tries, c->name);
		manage_go(m, change_run);
	} else if (e == ERR_EXISTS && c->random) {
		manage_end(m, manage_refuse(m, ERR_LIMIT, "name",
					    "no free name was found for this tunnel; choose one"));
	} else if (e == 0) {
		change_done(c);
	} else {
		manage_end(m, e);
	}
}

static void change_clean(struct manage *m)
{
	change_end_asking((struct change *)m);
}

struct manage *manage_tunnel_change(struct core *core, const struct manage_asker *by,
				    struct str name, const struct manage_tunnel_change *ch)
{
	struct change *c = manage_new(core, by, sizeof *c);

	if (c == NULL)
		return NULL;
	CHECK(ch->to.n_alt_names <= RECORD_ALT_NAMES_MAX);
	c->ch = *ch;
	c->m.next = change_next;
	c->m.clean = change_clean;
	c->now_ms = ev_wall_ms(core->ev);
	c->random = name.len == 0 && ch->mode == MANAGE_CREATE;
	if (c->random)
		tunnel_txn_random(core->ev, 0, c->name);
	else
		c->name_e = names_check(name, core->opt.domain, c->name, c->name_reason);
	if (c->name_e != 0 && str_copy(c->name, sizeof c->name, name) != 0)
		c->name[0] = '\0';
	return manage_begin(&c->m, change_run);
}
