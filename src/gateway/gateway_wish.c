/* A member that is there and wrong is never taken for one that is missing: the agent hears which.
 */
#include "gateway/gateway_wish.h"

#include "base/err.h"
#include "core/tunnel_json.h"

/* One line being read; the first refusal stays. */
struct gateway_reader {
	const struct json *line;
	struct gateway_wish *out;
	char *reason; /* [CORE_REASON_TEXT] */
	int e;
};

static void gateway_wish_refuse(struct gateway_reader *r, const char *key, const char *must)
{
	r->e = ERR_INVAL;
	str_printf(r->reason, CORE_REASON_TEXT, "%s must be %s", key, must);
}

/* Is there such a text? Then *out is set. */
static bool gateway_wish_text(struct gateway_reader *r, const char *key, const char *must,
			      struct str *out)
{
	int e = r->e != 0 ? ERR_NOTFOUND : json_get_text(r->line, key, out);

	if (e != 0 && e != ERR_NOTFOUND)
		gateway_wish_refuse(r, key, must);
	return e == 0;
}

/* Is there such a number? must: "a number from 0 to 65535". */
static bool gateway_wish_number(struct gateway_reader *r, const char *key, uint64_t min,
				uint64_t max, uint64_t *out)
{
	int e = r->e != 0 ? ERR_NOTFOUND : json_get_number(r->line, key, max, out);
	char must[80];

	if (e == ERR_NOTFOUND || (e == 0 && *out >= min))
		return e == 0;
	str_printf(must, sizeof must, "a number from %llu to %llu", (unsigned long long)min,
		   (unsigned long long)max);
	gateway_wish_refuse(r, key, must);
	return false;
}

/* Is it there, and true? */
static bool gateway_wish_flag(struct gateway_reader *r, const char *key)
{
	bool is = false;
	int e = r->e != 0 ? ERR_NOTFOUND : json_get_bool(r->line, key, &is);

	if (e != 0 && e != ERR_NOTFOUND)
		gateway_wish_refuse(r, key, "true or false");
	return e == 0 && is;
}

/* ---- an attach ---- */

static void gateway_wish_kind(struct gateway_reader *r)
{
	struct str s;

	r->out->wish.kind = TUNNEL_HTTP;
	if (!gateway_wish_text(r, "kind", "a text", &s) || s.len == 0 ||
	    tunnel_kind_parse(s, &r->out->wish.kind) == 0)
		return;
	r->e = ERR_UNSUPPORTED;
	str_printf(r->reason, CORE_REASON_TEXT,
		   "this server has no tunnels of this kind, only \"http\", \"tcp\" and \"tls\"");
}

static void gateway_wish_place(struct gateway_reader *r)
{
	struct manage_tunnel_change *c = &r->out->change;
	uint64_t n;
	struct str s;

	if (gateway_wish_number(r, "port", 0, UINT16_MAX, &n)) {
		c->set |= MANAGE_T_PORT;
		c->to.port = (uint16_t)n;
	}
	if (!gateway_wish_text(r, "bind", "a text", &s))
		return;
	c->set |= MANAGE_T_BIND;
	if (str_copy(c->to.bind, sizeof c->to.bind, s) != 0)
		gateway_wish_refuse(r, "bind", "an IP address, \"localhost\" or \"\"");
}

static void gateway_wish_domains(struct gateway_reader *r)
{
	struct manage_tunnel_change *c = &r->out->change;
	const struct json *list;
	struct str s;
	int e = r->e != 0 ? ERR_NOTFOUND : json_get_list(r->line, "domains", &list);
	char must[80];

	if (e == ERR_NOTFOUND)
		return;
	str_printf(must, sizeof must, "a list of at most %d host names", RECORD_ALT_NAMES_MAX);
	if (e != 0 || json_count(list) > RECORD_ALT_NAMES_MAX) {
		gateway_wish_refuse(r, "domains", must);
		return;
	}
	c->set |= MANAGE_T_ALT_NAMES;
	c->to.n_alt_names = json_count(list);
	for (size_t i = 0; i < c->to.n_alt_names; i++)
		if (json_text(json_at(list, i), &s) != 0 ||
		    str_copy(c->to.alt_names[i], sizeof c->to.alt_names[i], s) != 0)
			gateway_wish_refuse(r, "domains", must);
}

static void gateway_wish_words(struct gateway_reader *r)
{
	static const char tls[] = "\"pass\" or \"end\"";
	static const char proxy[] = "\"none\", \"v1\" or \"v2\"";
	static const char policy[] = "\"least-conn\", \"round-robin\" or \"failover\"";
	struct manage_tunnel_change *c = &r->out->change;
	struct str s;

	if (gateway_wish_text(r, "tls", tls, &s)) {
		c->set |= MANAGE_T_TLS;
		if (record_parse_tls(s, &c->to.tls) != 0)
			gateway_wish_refuse(r, "tls", tls);
	}
	if (gateway_wish_text(r, "proxy_protocol", proxy, &s)) {
		c->set |= MANAGE_T_PROXY;
		if (record_parse_proxy(s, &c->to.proxy) != 0)
			gateway_wish_refuse(r, "proxy_protocol", proxy);
	}
	if (gateway_wish_text(r, "policy", policy, &s)) {
		c->set |= MANAGE_T_POLICY;
		if (record_parse_policy(s, &c->to.policy) != 0)
			gateway_wish_refuse(r, "policy", policy);
	}
}

static void gateway_wish_numbers(struct gateway_reader *r)
{
	struct manage_tunnel_change *c = &r->out->change;
	uint64_t n;

	if (gateway_wish_number(r, "max_sessions", 1, RECORD_SESSIONS_MAX, &n)) {
		c->set |= MANAGE_T_SESSIONS_MAX;
		c->to.sessions_max = n;
	}
	if (gateway_wish_number(r, "drain_ms", 0, RECORD_DRAIN_MAX, &n)) {
		c->set |= MANAGE_T_DRAIN;
		c->to.drain_ms = n;
	}
	if (gateway_wish_number(r, "priority", 0, GATEWAY_PRIORITY_MAX, &n))
		r->out->wish.priority = (unsigned)n;
}

/* An object that is there; whatever else stands there is read as one, and refused. */
static const struct json *gateway_wish_object(const struct gateway_reader *r, const char *key)
{
	struct str name;
	const struct json *value;
	void *at = NULL;

	while (json_each(r->line, &at, &name, &value))
		if (str_eq(name, str_of(key)) && json_kind(value) != JSON_IS_NULL)
			return value;
	return NULL;
}

/* Whom it lets in, and what it changes in heads. */
static void gateway_wish_shared(struct gateway_reader *r, const struct core *core)
{
	struct manage_tunnel_change *c = &r->out->change;
	struct tunnel_json t = {.core = core, .to = &c->to};

	if (r->e != 0)
		return;
	r->e = tunnel_json_visitors(&t, gateway_wish_object(r, "visitors"));
	if (r->e == 0)
		r->e = tunnel_json_headers(&t, gateway_wish_object(r, "headers"));
	if (r->e != 0)
		str_printf(r->reason, CORE_REASON_TEXT, "%s%s%s", t.field,
			   t.field[0] == '\0' ? "" : " ", t.detail);
	c->set |= t.set;
}

int gateway_wish_read(const struct core *core, const struct json *line, struct gateway_wish *out,
		      char reason[CORE_REASON_TEXT])
{
	struct gateway_reader r = {line, out, reason, 0};
	struct core_wish *wish = &out->wish;

	*out = (struct gateway_wish){.change = {.mode = MANAGE_ENSURE}};
	reason[0] = '\0';
	if (!gateway_wish_text(&r, "name", "a text", &wish->name))
		wish->name = STR("");
	if (!gateway_wish_text(&r, "target", "a text", &wish->target))
		wish->target = STR("");
	gateway_wish_kind(&r);
	gateway_wish_place(&r);
	gateway_wish_domains(&r);
	gateway_wish_words(&r);
	gateway_wish_numbers(&r);
	gateway_wish_shared(&r, core);
	wish->again = gateway_wish_flag(&r, "again");
	if (out->change.set != 0)
		wish->change = &out->change;
	return r.e;
}

/* ---- an offer ---- */

int gateway_wish_read_offer(const struct json *line, struct str *services, size_t *n,
			    unsigned *priority, char reason[CORE_REASON_TEXT])
{
	struct gateway_reader r = {.line = line, .reason = reason};
	const struct json *list;
	char must[80];
	uint64_t number = 0;

	*n = 0;
	reason[0] = '\0';
	str_printf(must, sizeof must, "a list of at most %d names of 1-%d bytes", CORE_SERVICES_MAX,
		   RECORD_SERVICE_TEXT - 1);
	if (json_get_list(line, "services", &list) != 0 || json_count(list) > CORE_SERVICES_MAX)
		gateway_wish_refuse(&r, "services", must);
	for (; r.e == 0 && *n < json_count(list); ++*n)
		if (json_text(json_at(list, *n), &services[*n]) != 0 || services[*n].len == 0 ||
		    services[*n].len >= RECORD_SERVICE_TEXT)
			gateway_wish_refuse(&r, "services", must);
	(void)gateway_wish_number(&r, "priority", 0, GATEWAY_PRIORITY_MAX, &number);
	*priority = (unsigned)number;
	return r.e;
}
