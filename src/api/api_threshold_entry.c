/* Three generations of member names mean the same thing, and an answer uses those of the question.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/api_threshold.h"
#include "base/err.h"
#include "base/num.h"
#include "proto/cidr.h"

/* What an entry may hold, by its place in api_threshold_names. */
enum api_threshold_member {
	THRESHOLD_CLIENT,
	THRESHOLD_PORT,
	THRESHOLD_ADDRESS,
	THRESHOLD_GLOB,
	THRESHOLD_SERVICE,
	THRESHOLD_PROXY,
	THRESHOLD_MEMBERS,
};

/* Each by its name of 2021, and by the one that it had before. */
static const char *const api_threshold_names[THRESHOLD_MEMBERS][2] = {
	[THRESHOLD_CLIENT] = {"ClientId", "ClientIdentifier"},
	[THRESHOLD_PORT] = {"ListenPort", "FrontEndListenPort"},
	[THRESHOLD_ADDRESS] = {"ListenAddress", NULL},
	[THRESHOLD_GLOB] = {"ListenHostnameGlob", NULL},
	[THRESHOLD_SERVICE] = {"BackEndService", "BackEndPort"},
	[THRESHOLD_PROXY] = {"HaProxyProxyProtocol", NULL},
};

/* The values of an entry; NULL: not there. */
struct api_threshold_values {
	const struct json *v[THRESHOLD_MEMBERS];
	bool old[THRESHOLD_MEMBERS]; /* by its old name */
};

static int api_threshold_say(char words[API_THRESHOLD_WORDS], int e, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
static int api_threshold_say(char words[API_THRESHOLD_WORDS], int e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, API_THRESHOLD_WORDS, fmt, ap);
	va_end(ap);
	return e;
}

/* ---- reading ---- */

static bool api_threshold_find(struct str name, size_t *member, bool *old)
{
	for (size_t i = 0; i < THRESHOLD_MEMBERS; i++)
		for (size_t k = 0; k < 2; k++)
			if (name.len > 0 && str_eq(name, str_of(api_threshold_names[i][k]))) {
				*member = i;
				*old = k == 1;
				return true;
			}
	return false;
}

/* Could threshold have read it? */
static bool api_threshold_is_typed(const struct json *value, size_t member, bool old)
{
	enum json_kind kind = json_kind(value);

	switch (member) {
	case THRESHOLD_PORT: return kind == JSON_IS_NUMBER;
	case THRESHOLD_PROXY: return kind == JSON_IS_BOOL;
	case THRESHOLD_SERVICE: return kind == JSON_IS_TEXT || (old && kind == JSON_IS_NUMBER);
	default: return kind == JSON_IS_TEXT;
	}
}

static int api_threshold_values(const struct json *json, struct api_threshold_values *out,
				char words[API_THRESHOLD_WORDS])
{
	const struct json *value;
	struct str name;
	void *at = NULL;
	size_t i;
	bool old;

	*out = (struct api_threshold_values){0};
	if (json_kind(json) != JSON_IS_OBJECT)
		return ERR_PROTO;
	while (json_each(json, &at, &name, &value)) {
		if (!api_threshold_find(name, &i, &old))
			return api_threshold_say(words, ERR_INVAL,
						 "Bad Request: \"%.40s\" is not a member of a "
						 "tunnel.",
						 name.p);
		if (out->v[i] != NULL)
			return api_threshold_say(words, ERR_INVAL,
						 "Bad Request: \"%s\" and \"%s\" are the same; "
						 "leave one of the two out.",
						 api_threshold_names[i][0],
						 api_threshold_names[i][1]);
		if (json_kind(value) == JSON_IS_NULL)
			continue;
		if (!api_threshold_is_typed(value, i, old))
			return ERR_PROTO;
		out->v[i] = value;
		out->old[i] = old;
	}
	return 0;
}

/* A text member; empty if it is not there. */
static struct str api_threshold_text(const struct api_threshold_values *v, size_t member)
{
	struct str s = STR("");

	if (v->v[member] != NULL)
		(void)!json_text(v->v[member], &s);
	return s;
}

/* A port, as a number or a text. Returns 0 or ERR_INVAL. */
static int api_threshold_port(const struct json *j, uint16_t *out)
{
	uint64_t n = 0;
	struct str s;
	int e = ERR_INVAL;

	if (j != NULL)
		e = json_text(j, &s) == 0 ? num_parse(s, UINT16_MAX, &n)
					  : json_number(j, UINT16_MAX, &n);
	*out = (uint16_t)n;
	return e == 0 && n > 0 ? 0 : ERR_INVAL;
}

static int api_threshold_read_client(const struct api_threshold_values *v,
				     struct api_threshold_entry *out,
				     char words[API_THRESHOLD_WORDS])
{
	struct str id = api_threshold_text(v, THRESHOLD_CLIENT);

	out->to.n_agents = 1;
	if (id.len > 0 && str_copy(out->to.agents[0], sizeof out->to.agents[0], id) == 0)
		return 0;
	return api_threshold_say(words, ERR_NOTFOUND, "Client %.100s Not Found", id.p);
}

/* All addresses, however that is said, are those that the server listens on. */
static int api_threshold_read_address(const struct api_threshold_values *v,
				      struct api_threshold_entry *out,
				      char words[API_THRESHOLD_WORDS])
{
	static const uint8_t any4[16] = {[10] = 0xff, [11] = 0xff}, any6[16] = {0};
	struct str s = api_threshold_text(v, THRESHOLD_ADDRESS);
	uint8_t ip[16];

	if (s.len == 0)
		return 0;
	if (cidr_ip_parse(s, ip) != 0)
		return api_threshold_say(words, ERR_INVAL,
					 "Bad Request: \"%.100s\" is not an IP address.", s.p);
	if (memcmp(ip, any4, sizeof ip) != 0 && memcmp(ip, any6, sizeof ip) != 0)
		(void)cidr_ip_format(ip, out->to.bind);
	return 0;
}

/* Without a name the service is called after a port, as threshold's clients do. */
static int api_threshold_read_service(const struct api_threshold_values *v,
				      struct api_threshold_entry *out,
				      char words[API_THRESHOLD_WORDS])
{
	bool old = v->old[THRESHOLD_SERVICE];
	struct str s = old ? STR("") : api_threshold_text(v, THRESHOLD_SERVICE);
	uint16_t port = out->port;

	if (old && api_threshold_port(v->v[THRESHOLD_SERVICE], &port) != 0)
		return api_threshold_say(
			words, ERR_INVAL,
			"Bad Request: BackEndPort must be a port from 1 to 65535.");
	if (s.len == 0)
		str_printf(out->to.service, sizeof out->to.service, "port%u", port);
	else if (str_copy(out->to.service, sizeof out->to.service, s) != 0)
		return api_threshold_say(
			words, ERR_INVAL,
			"Bad Request: a BackEndService has at most %zu characters.",
			sizeof out->to.service - 1);
	return 0;
}

/* A glob that is not for every name makes it a tunnel that is found by the TLS server name. */
static int api_threshold_read_glob(const struct api_threshold_values *v, uint16_t tls_port,
				   struct api_threshold_entry *out, char words[API_THRESHOLD_WORDS])
{
	struct str glob = api_threshold_text(v, THRESHOLD_GLOB);
	struct record_tunnel *to = &out->to;

	to->kind = glob.len == 0 || str_eq(glob, STR("*")) ? TUNNEL_TCP : TUNNEL_TLS;
	if (to->kind == TUNNEL_TCP) {
		to->port = out->port;
		return 0;
	}
	if (tls_port == 0)
		return api_threshold_say(words, ERR_INVAL,
					 "Bad Request: this server has no listener that reads TLS, "
					 "which \"%.100s\" needs.",
					 glob.p);
	if (out->port != tls_port)
		return api_threshold_say(words, ERR_INVAL,
					 "Bad Request: names are read from TLS on port %u, not on "
					 "port %u.",
					 tls_port, out->port);
	to->bind[0] = '\0'; /* it has no listener of its own */
	to->n_alt_names = 1;
	if (str_copy(to->alt_names[0], sizeof to->alt_names[0], glob) == 0)
		return 0;
	return api_threshold_say(words, ERR_INVAL, "Bad Request: \"%.100s\" is too long a name.",
				 glob.p);
}

int api_threshold_read(const struct json *json, uint16_t tls_port, struct api_threshold_entry *out,
		       char words[API_THRESHOLD_WORDS])
{
	struct api_threshold_values v;
	int e = api_threshold_values(json, &v, words);
	bool proxy = false;

	*out = (struct api_threshold_entry){.json = json};
	out->to.enabled = true;
	if (e != 0)
		return e;
	if (api_threshold_port(v.v[THRESHOLD_PORT], &out->port) != 0)
		return api_threshold_say(words, ERR_INVAL,
					 "Bad Request: ListenPort must be a port from 1 to 65535.");
	(void)!json_get_bool(json, "HaProxyProxyProtocol", &proxy); /* its type was looked at */
	out->to.proxy = proxy ? TUNNEL_PROXY_V1 : TUNNEL_PROXY_NONE;
	if ((e = api_threshold_read_client(&v, out, words)) != 0 ||
	    (e = api_threshold_read_address(&v, out, words)) != 0 ||
	    (e = api_threshold_read_service(&v, out, words)) != 0)
		return e;
	return api_threshold_read_glob(&v, tls_port, out, words);
}

/* ---- writing ---- */

/* The number of a service that is called after a port, or 0. */
static uint64_t api_threshold_service_port(const char *service)
{
	struct str s = str_of(service);
	uint64_t n = 0;

	if (!str_starts(s, STR("port")) ||
	    num_parse((struct str){s.p + 4, s.len - 4}, UINT16_MAX, &n) != 0)
		return 0;
	return n;
}

static int api_threshold_write_service(const struct record_tunnel *r,
				       const struct api_threshold_values *like, struct json *j)
{
	bool old = like->old[THRESHOLD_SERVICE];
	uint64_t port = api_threshold_service_port(r->service);

	return old && port != 0 ? json_set_number(j, "BackEndPort", port)
				: json_set_text(j, "BackEndService", str_of(r->service));
}

/* The address as it was asked for, where the record says "wherever the server listens". */
static int api_threshold_write_address(const struct record_tunnel *r,
				       const struct api_threshold_values *like, struct json *j)
{
	struct str s = str_of(r->bind);

	if (s.len == 0 && like->v[THRESHOLD_ADDRESS] != NULL)
		(void)!json_text(like->v[THRESHOLD_ADDRESS], &s);
	return json_set_text(j, "ListenAddress", s);
}

/* The members that `like` has; without it all that say something. */
static int api_threshold_write_one(const struct record_tunnel *r, uint16_t port, const char *glob,
				   const struct api_threshold_values *like, struct json *list)
{
	const char *client = api_threshold_names[THRESHOLD_CLIENT][like->old[THRESHOLD_CLIENT]];
	const char *listen = api_threshold_names[THRESHOLD_PORT][like->old[THRESHOLD_PORT]];
	bool all = like->v[THRESHOLD_CLIENT] == NULL;
	struct json *j = NULL;
	int e = json_new_object(&j);

	if (e == 0)
		e = json_set_text(j, client, str_of(r->agents[0]));
	if (e == 0)
		e = json_set_number(j, listen, port);
	if (e == 0 && (all ? r->bind[0] != '\0' : like->v[THRESHOLD_ADDRESS] != NULL))
		e = api_threshold_write_address(r, like, j);
	if (e == 0 && (all ? r->kind == TUNNEL_TLS : like->v[THRESHOLD_GLOB] != NULL))
		e = json_set_text(j, "ListenHostnameGlob", str_of(glob));
	if (e == 0 && (all || like->v[THRESHOLD_SERVICE] != NULL))
		e = api_threshold_write_service(r, like, j);
	if (e == 0 && (all || like->v[THRESHOLD_PROXY] != NULL))
		e = json_set_bool(j, "HaProxyProxyProtocol", r->proxy != TUNNEL_PROXY_NONE);
	if (e == 0)
		e = json_add(list, &j);
	json_free(j);
	return e;
}

int api_threshold_write(const struct record_tunnel *r, uint16_t tls_port, const struct json *like,
			struct json *list)
{
	struct api_threshold_values v = {0};
	char words[API_THRESHOLD_WORDS];
	int e = 0;

	if (r->kind == TUNNEL_HTTP || r->n_agents == 0 || r->service[0] == '\0')
		return 0;
	if (like != NULL)
		(void)!api_threshold_values(like, &v, words); /* it was read before */
	if (r->kind == TUNNEL_TCP)
		return api_threshold_write_one(r, r->port, "*", &v, list);
	for (size_t i = 0; i < r->n_alt_names && e == 0; i++)
		e = api_threshold_write_one(r, tls_port, r->alt_names[i], &v, list);
	return e;
}
