/* Is what somebody wants of a tunnel well formed, and does it fit its kind? Fields are named as the
 * API calls them. */
#include <string.h>

#include "base/err.h"
#include "core/names.h"
#include "core/tunnel_edit.h"
#include "proto/url.h"

#define FIELD_ALT_NAMES "ingress.http.alt_names"
#define FIELD_DOMAINS	"domains"
#define FIELD_AUTH_URL	"visitors.auth_url"
#define FIELD_BASIC	"visitors.basic"
#define FIELD_BIND	"ingress.tcp.bind"
#define FIELD_AGENTS	"transport.agents"
#define FIELD_HOST	"headers.host"

const char *tunnel_edit_domains_field(enum tunnel_kind kind)
{
	return kind == TUNNEL_HTTP ? FIELD_ALT_NAMES : FIELD_DOMAINS;
}

/* ---- custom domains ---- */

/* What "*" stands before, or the name itself. */
static struct str check_base(struct str name)
{
	return str_starts(name, STR("*.")) ? (struct str){name.p + 2, name.len - 2} : name;
}

/* Lower case, no dot at the end. In place. Returns 0 or ERR_INVAL. */
static int check_domain(struct tunnel_edit *x, enum tunnel_kind kind, char name[HOSTNAME_MAX + 1])
{
	const char *field = tunnel_edit_domains_field(kind);
	struct str wanted = str_of(name), base = check_base(wanted), host;
	bool wild = base.len < wanted.len;
	struct hostname_authority a;
	char out[HOSTNAME_MAX + 1];

	if (wild && kind == TUNNEL_HTTP)
		return manage_refuse(x->m, ERR_INVAL, field,
				     "only tls tunnels have domains with a star; name each host");
	if (hostname_split(base, &a) != 0 || a.kind != HOSTNAME_NAME ||
	    str_find(base, ':') != base.len || hostname_normalise(base, out, &host) != 0 ||
	    (wild && (host.len + 2 > HOSTNAME_MAX || str_find(host, '.') == host.len)))
		return manage_refuse(x->m, ERR_INVAL, field,
				     "a custom domain is a host name such as app.example.org%s, "
				     "without scheme, port and path",
				     kind == TUNNEL_TLS ? " or *.example.org" : "");
	memmove(name + (wild ? 2 : 0), host.p, host.len);
	name[host.len + (wild ? 2 : 0)] = '\0';
	return 0;
}

static int check_domain_alone(struct tunnel_edit *x, const char *field, size_t i)
{
	const struct record_tunnel *to = x->to;
	struct str domain = str_of(x->m->core->opt.domain), under;
	struct str host = check_base(str_of(to->alt_names[i]));

	for (size_t k = 0; k < i; k++)
		if (strcmp(to->alt_names[k], to->alt_names[i]) == 0)
			return manage_refuse(x->m, ERR_INVAL, field,
					     "\"%s\" stands twice in the list", to->alt_names[i]);
	if (names_own(x->m->core->opt.domain, x->m->core->opt.api_host, str_of(to->alt_names[i])))
		return manage_refuse(
			x->m, ERR_INVAL, field,
			"\"%s\" is this server's own name; only names elsewhere can be "
			"custom domains",
			to->alt_names[i]);
	if (str_eq(host, domain) || hostname_under(host, domain, &under))
		return manage_refuse(x->m, ERR_INVAL, field,
				     "\"%s\" lies under this server's own domain; only names "
				     "elsewhere can be custom domains",
				     to->alt_names[i]);
	return 0;
}

static int check_domains(struct tunnel_edit *x, enum tunnel_kind kind)
{
	struct record_tunnel *to = x->to;
	int e = 0;

	for (size_t i = 0; i < to->n_alt_names && e == 0; i++)
		e = check_domain(x, kind, to->alt_names[i]);
	for (size_t i = 0; i < to->n_alt_names && e == 0; i++)
		e = check_domain_alone(x, tunnel_edit_domains_field(kind), i);
	return e;
}

/* ---- words and numbers ---- */

static int check_kind(struct tunnel_edit *x)
{
	const struct core_opt *opt = &x->m->core->opt;

	if (x->to->kind == TUNNEL_TCP && opt->ports.take == NULL)
		return manage_refuse(x->m, ERR_UNSUPPORTED, "kind",
				     "this server has no ports for tcp tunnels; its operator gives "
				     "them with --tcp-ports");
	if (x->to->kind == TUNNEL_TLS && opt->tls_port == 0)
		return manage_refuse(x->m, ERR_UNSUPPORTED, "kind",
				     "this server listens nowhere for TLS; its operator does that "
				     "with --listen tls:ADDRESS");
	return 0;
}

static int check_words(struct tunnel_edit *x)
{
	const struct record_tunnel *to = x->to;

	if ((x->set & MANAGE_T_POLICY) && to->policy >= TUNNEL_POLICIES)
		return manage_refuse(x->m, ERR_INVAL, "transport.policy",
				     "the policy is one of least-conn, round-robin, failover");
	if ((x->set & MANAGE_T_TLS) && to->tls >= TUNNEL_TLSES)
		return manage_refuse(x->m, ERR_INVAL, "ingress.tls.mode",
				     "TLS is passed through (pass), or ended here (end)");
	if ((x->set & MANAGE_T_PROXY) && to->proxy >= TUNNEL_PROXIES)
		return manage_refuse(x->m, ERR_INVAL, "target.proxy_protocol",
				     "the PROXY protocol is one of none, v1, v2");
	return 0;
}

static int check_numbers(struct tunnel_edit *x)
{
	const struct record_tunnel *to = x->to;

	if ((x->set & MANAGE_T_SESSIONS_MAX) &&
	    (to->sessions_max < 1 || to->sessions_max > RECORD_SESSIONS_MAX))
		return manage_refuse(x->m, ERR_INVAL, "transport.max_connections",
				     "a tunnel is served by 1 to %d sessions", RECORD_SESSIONS_MAX);
	if ((x->set & MANAGE_T_DRAIN) && to->drain_ms > RECORD_DRAIN_MAX)
		return manage_refuse(x->m, ERR_INVAL, "transport.drain",
				     "running connections may go on for %d seconds at most",
				     RECORD_DRAIN_MAX / 1000);
	return 0;
}

/* ---- names on the agents' side ---- */

static int check_service(struct tunnel_edit *x)
{
	struct str service = str_of(x->to->service);

	if (service.len == 0 || ident_ok(service))
		return 0;
	return manage_refuse(x->m, ERR_INVAL, "target.service",
			     "a service has a name of 1 to %d letters, digits, dots, underscores "
			     "and hyphens",
			     RECORD_SERVICE_TEXT - 1);
}

static int check_agents(struct tunnel_edit *x)
{
	const struct record_tunnel *to = x->to;

	if (to->n_agents > RECORD_AGENTS_MAX)
		return manage_refuse(x->m, ERR_INVAL, FIELD_AGENTS,
				     "a tunnel names %d agents at most", RECORD_AGENTS_MAX);
	for (size_t i = 0; i < to->n_agents; i++) {
		if (!ident_ok(str_of(to->agents[i])))
			return manage_refuse(x->m, ERR_INVAL, FIELD_AGENTS,
					     "an agent has an id of 1 to %d letters, digits, dots, "
					     "underscores and hyphens",
					     CORE_AGENT_TEXT - 1);
		for (size_t k = 0; k < i; k++)
			if (strcmp(to->agents[k], to->agents[i]) == 0)
				return manage_refuse(x->m, ERR_INVAL, FIELD_AGENTS,
						     "\"%s\" stands twice in the list",
						     to->agents[i]);
	}
	return 0;
}

/* ---- where it listens, what it is for ---- */

static int check_bind(struct tunnel_edit *x)
{
	char *bind = x->to->bind;
	uint8_t ip[16];

	if (bind[0] == '\0' || strcmp(bind, "localhost") == 0)
		return 0;
	if (cidr_ip_parse(str_of(bind), ip) != 0)
		return manage_refuse(x->m, ERR_INVAL, FIELD_BIND,
				     "\"%s\" is not an IP address; the other choice is "
				     "\"localhost\"",
				     bind);
	cidr_ip_format(ip, bind);
	return 0;
}

static int check_target(struct tunnel_edit *x)
{
	char target[RECORD_TARGET_MAX + 1], reason[CORE_REASON_TEXT];

	if (tunnel_txn_check_target(str_of(x->to->target), target, reason) == 0)
		return 0;
	return manage_refuse(x->m, ERR_INVAL, "target.url", "%s", reason);
}

/* ---- heads ---- */

/* What a target is called may be any name that can be connected to, or a made-up one. */
static int check_host(struct tunnel_edit *x)
{
	const struct record_tunnel *to = x->to;
	struct hostname_authority a;

	if (to->host[0] == '\0')
		return 0;
	if (hostname_split_resolvable(str_of(to->host), &a) != 0)
		return manage_refuse(x->m, ERR_INVAL, FIELD_HOST,
				     "this is no host as a browser names it: \"app.local\", "
				     "\"localhost:3000\"");
	if ((x->set & MANAGE_T_REWRITE) && to->rewrite)
		return manage_refuse(x->m, ERR_INVAL, FIELD_HOST,
				     "Host becomes this, or with headers.rewrite the target's; "
				     "leave one of the two out");
	return 0;
}

/* ---- visitors ---- */

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

static int check_auth_url(struct tunnel_edit *x)
{
	struct str text = str_of(x->to->rights.auth_url);
	const char *why;
	struct url u;

	if (text.len == 0)
		return 0;
	if (url_parse(text, &u, &why) != 0)
		return manage_refuse(x->m, ERR_INVAL, FIELD_AUTH_URL, "this is not a URL: %s", why);
	if ((u.scheme != URL_HTTP && u.scheme != URL_HTTPS) || u.websocket)
		return manage_refuse(x->m, ERR_INVAL, FIELD_AUTH_URL,
				     "the service is asked by HTTP: its URL begins with http:// or "
				     "https://");
	if (!core_allows_hook(x->m->core, &u))
		return manage_refuse(
			x->m, ERR_DENIED, FIELD_AUTH_URL,
			"this server asks no service at \"%.253s\"; its operator allows "
			"hosts with --auth-hosts",
			u.host);
	return 0;
}

static bool check_user_ok(const struct rights *r, size_t i)
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

static int check_users(struct tunnel_edit *x)
{
	for (size_t i = 0; i < x->to->rights.n_users; i++)
		if (!check_user_ok(&x->to->rights, i))
			return manage_refuse(x->m, ERR_INVAL, FIELD_BASIC,
					     "each user has a name of his own, without ':' and "
					     "control characters");
	return 0;
}

/* ---- all of it ---- */

int tunnel_edit_check(struct tunnel_edit *x)
{
	static const struct {
		unsigned bit;
		int (*check)(struct tunnel_edit *x);
	} checks[] = {
		{MANAGE_T_KIND, check_kind},	     {MANAGE_T_TARGET, check_target},
		{MANAGE_T_BIND, check_bind},	     {MANAGE_T_SERVICE, check_service},
		{MANAGE_T_AGENTS, check_agents},     {MANAGE_T_USERS, check_users},
		{MANAGE_T_AUTH_URL, check_auth_url}, {MANAGE_T_HOST, check_host},
	};
	int e = check_words(x);

	if (e == 0)
		e = check_numbers(x);
	for (size_t i = 0; i < ARRAY_LEN(checks) && e == 0; i++)
		if (x->set & checks[i].bit)
			e = checks[i].check(x);
	return e;
}

/* What guards HTTP would seem to guard other tunnels, too. */
static const char *check_http_only(const struct tunnel_edit *x)
{
	const struct rights *r = &x->to->rights;

	if ((x->set & MANAGE_T_USERS) && r->n_users > 0)
		return FIELD_BASIC;
	if ((x->set & MANAGE_T_BEARERS) && r->n_bearers > 0)
		return "visitors.bearer";
	if ((x->set & MANAGE_T_AUTH_URL) && r->auth_url[0] != '\0')
		return FIELD_AUTH_URL;
	if ((x->set & MANAGE_T_REWRITE) && x->to->rewrite)
		return "headers.rewrite";
	if ((x->set & MANAGE_T_HOST) && x->to->host[0] != '\0')
		return FIELD_HOST;
	if ((x->set & MANAGE_T_EDITS_ALL) && x->to->edits.len > 0)
		return "headers";
	return NULL;
}

int tunnel_edit_check_kind(struct tunnel_edit *x, enum tunnel_kind kind)
{
	const struct record_tunnel *to = x->to;
	const char *field = kind == TUNNEL_HTTP ? NULL : check_http_only(x);

	if (field != NULL)
		return manage_refuse(
			x->m, ERR_INVAL, field,
			"only http tunnels have this: nothing of what passes through a "
			"%s tunnel is read here; visitors.allow and visitors.deny work "
			"with every kind",
			tunnel_kind_name(kind));
	if (kind != TUNNEL_TCP && (x->set & MANAGE_T_PORT) && to->port != 0)
		return manage_refuse(x->m, ERR_INVAL, "ingress.tcp.port",
				     "only tcp tunnels have a port");
	if (kind != TUNNEL_TCP && (x->set & MANAGE_T_BIND) && to->bind[0] != '\0')
		return manage_refuse(x->m, ERR_INVAL, FIELD_BIND,
				     "only tcp tunnels listen on an address of their own");
	if (kind != TUNNEL_TLS && (x->set & MANAGE_T_TLS) && to->tls != TUNNEL_TLS_PASS)
		return manage_refuse(x->m, ERR_INVAL, "ingress.tls.mode",
				     "only tls tunnels have this");
	if (!(x->set & MANAGE_T_ALT_NAMES) || to->n_alt_names == 0)
		return 0;
	if (kind == TUNNEL_TCP)
		return manage_refuse(x->m, ERR_INVAL, FIELD_DOMAINS,
				     "a tcp tunnel is found by its port; it has no domains");
	return check_domains(x, kind);
}
