/* The forms differ in how many parts they have and in whether the last one is a path: one row each.
 */
#include "proto/ssh_spec.h"

#include <string.h>

#include "base/err.h"
#include "base/num.h"
#include "proto/cidr.h"

/* Parts of the longest form. */
#define SSH_SPEC_PARTS 4

/* One part as it was typed. */
struct ssh_spec_field {
	struct str text; /* without brackets */
	bool bracketed;
};

enum ssh_spec_part { PART_NONE, PART_ADDRESS, PART_PORT, PART_HOST, PART_HOSTPORT, PART_SOCKET };

static const struct ssh_spec_form {
	size_t n;
	bool path; /* the last part begins with a slash */
	enum ssh_spec_part parts[SSH_SPEC_PARTS];
} ssh_spec_forms[] = {
	{1, false, {PART_PORT}},
	{2, false, {PART_ADDRESS, PART_PORT}},
	{2, true, {PART_PORT, PART_SOCKET}},
	{3, false, {PART_PORT, PART_HOST, PART_HOSTPORT}},
	{3, true, {PART_ADDRESS, PART_PORT, PART_SOCKET}},
	{4, false, {PART_ADDRESS, PART_PORT, PART_HOST, PART_HOSTPORT}},
};

static int ssh_spec_refuse(const char **why, const char *reason)
{
	if (why != NULL)
		*why = reason;
	return ERR_INVAL;
}

/* ---- parts ---- */

static bool ssh_spec_is_number(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return s.len > 0;
}

/* What a server may be asked to listen at, for it to judge: an IP address or something like a name.
 */
static int ssh_spec_address(struct ssh_spec_field f, struct ssh_spec *out, const char **why)
{
	uint8_t ip[16];
	bool ok = f.text.len <= HOSTNAME_MAX;

	if (f.bracketed && cidr_ip_parse(f.text, ip) != 0)
		return ssh_spec_refuse(
			why, "the address of the server in brackets is not an IP address");
	if (str_eq(f.text, STR("*")))
		f.text.len = 0;
	for (size_t i = 0; i < f.text.len && ok && !f.bracketed; i++) {
		char c = ascii_lower(f.text.p[i]);

		ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
		     c == '_';
	}
	if (!ok)
		return ssh_spec_refuse(why, "the address of the server is neither a name nor an IP "
					    "address");
	return str_copy(out->address, sizeof out->address, f.text);
}

static int ssh_spec_port(struct ssh_spec_field f, struct ssh_spec *out, const char **why)
{
	uint64_t port;

	if (num_parse(f.text, UINT16_MAX, &port) != 0 || f.bracketed)
		return ssh_spec_refuse(why, "the port that the server listens on must be 0-65535");
	out->port = (uint16_t)port;
	return 0;
}

static int ssh_spec_host(struct ssh_spec_field f, struct ssh_spec *out, const char **why)
{
	struct hostname_authority a = {.kind = HOSTNAME_IPV6, .host = f.text};
	uint8_t ip[16];

	if (f.text.len == 0)
		return ssh_spec_refuse(why, "the host of the target is missing");
	if (f.bracketed && (cidr_ip_parse(f.text, ip) != 0 || str_find(f.text, ':') == f.text.len))
		return ssh_spec_refuse(why,
				       "the host of the target in brackets is not an IPv6 address");
	if (!f.bracketed && hostname_split_resolvable(f.text, &a) != 0)
		return ssh_spec_refuse(
			why, "the host of the target is neither a host name nor an IP address");
	out->to.kind = a.kind;
	for (size_t i = 0; i < a.host.len; i++)
		out->to.host[i] = ascii_lower(a.host.p[i]);
	return 0;
}

static int ssh_spec_hostport(struct ssh_spec_field f, struct ssh_spec *out, const char **why)
{
	uint64_t port;

	if (num_parse(f.text, UINT16_MAX, &port) != 0 || port == 0 || f.bracketed)
		return ssh_spec_refuse(why, "the port of the target must be 1-65535");
	out->to.port = (uint16_t)port;
	return 0;
}

static int ssh_spec_socket(struct ssh_spec_field f, struct ssh_spec *out, const char **why)
{
	char text[URL_UNIX_MAX + 16];

	if (f.text.len > URL_UNIX_MAX)
		return ssh_spec_refuse(why, "the path of the target's socket has at most 107 "
					    "bytes");
	str_printf(text, sizeof text, "unix://" STR_FMT, STR_ARG(f.text));
	if (url_parse(str_of(text), &out->to, NULL) != 0)
		return ssh_spec_refuse(
			why, "the path of the target's socket is too short or has control "
			     "characters");
	return 0;
}

static int ssh_spec_part(enum ssh_spec_part part, struct ssh_spec_field f, struct ssh_spec *out,
			 const char **why)
{
	switch (part) {
	case PART_ADDRESS: return ssh_spec_address(f, out, why);
	case PART_PORT: return ssh_spec_port(f, out, why);
	case PART_HOST: return ssh_spec_host(f, out, why);
	case PART_HOSTPORT: return ssh_spec_hostport(f, out, why);
	case PART_SOCKET: return ssh_spec_socket(f, out, why);
	case PART_NONE: break;
	}
	return 0;
}

/* ---- the whole ---- */

/*
 * Take the next part off.
 *   *rest  shortened; p NULL behind the last one.
 */
static int ssh_spec_take(struct str *rest, struct ssh_spec_field *out, const char **why)
{
	struct str s = *rest;
	size_t end;

	*out = (struct ssh_spec_field){.bracketed = s.len > 0 && s.p[0] == '['};
	if (s.len > 0 && s.p[0] == '/') { /* a path has the rest, colons and all */
		out->text = s;
		rest->p = NULL;
		return 0;
	}
	if (!out->bracketed) {
		(void)str_next(rest, ':', &out->text);
		return 0;
	}
	end = str_find(s, ']');
	if (end == s.len)
		return ssh_spec_refuse(why, "a bracket is opened and not closed");
	out->text = (struct str){s.p + 1, end - 1};
	*rest = (struct str){s.p + end + 1, s.len - end - 1};
	if (rest->len == 0)
		rest->p = NULL;
	else if (rest->p[0] != ':')
		return ssh_spec_refuse(why, "a colon must follow the closing bracket");
	else
		*rest = (struct str){rest->p + 1, rest->len - 1};
	return 0;
}

static const struct ssh_spec_form *ssh_spec_form(const struct ssh_spec_field *f, size_t n)
{
	bool path = n > 0 && !f[n - 1].bracketed && str_starts(f[n - 1].text, STR("/"));

	for (size_t i = 0; i < ARRAY_LEN(ssh_spec_forms); i++)
		if (ssh_spec_forms[i].n == n && ssh_spec_forms[i].path == path)
			return &ssh_spec_forms[i];
	return NULL;
}

/* What was meant by parts that are not what their form says? Only where the answer of the part
 * would lead astray. */
static const char *ssh_spec_guess(const struct ssh_spec_field *f, size_t n)
{
	if (n == 2 && ssh_spec_is_number(f[0].text) && !ssh_spec_is_number(f[1].text))
		return "the port of the target is missing, as in 8080:localhost:3000";
	if (n == 3 && !ssh_spec_is_number(f[0].text) && ssh_spec_is_number(f[1].text))
		return "the port of the target is missing, as in ADDRESS:8080:localhost:3000";
	return NULL;
}

int ssh_spec_parse(struct str s, struct ssh_spec *out, const char **why)
{
	struct ssh_spec_field f[SSH_SPEC_PARTS];
	struct ssh_spec spec = {.address = "localhost",
				.to = {.scheme = URL_TCP, .kind = HOSTNAME_NAME, .path = "/"}};
	const struct ssh_spec_form *form;
	struct str rest = s;
	const char *guess;
	size_t n = 0;
	int e = 0;

	if (s.len == 0)
		return ssh_spec_refuse(why, "it is empty: expected PORT:HOST:HOSTPORT");
	if (s.p[0] == '/') {
		(void)ssh_spec_refuse(why, "a socket on the server's side cannot be asked for: "
					   "give a port");
		return ERR_UNSUPPORTED;
	}
	while (rest.p != NULL && e == 0) {
		if (n == SSH_SPEC_PARTS)
			return ssh_spec_refuse(
				why, "it has too many parts: an IPv6 address stands in brackets, "
				     "as in 8080:[::1]:3000");
		e = ssh_spec_take(&rest, &f[n++], why);
	}
	if (e != 0)
		return e;
	if ((form = ssh_spec_form(f, n)) == NULL)
		return ssh_spec_refuse(why, "a path has no place there: expected PORT:/PATH");
	if ((guess = ssh_spec_guess(f, n)) != NULL && !form->path)
		return ssh_spec_refuse(why, guess);
	for (size_t i = 0; i < n && e == 0; i++)
		e = ssh_spec_part(form->parts[i], f[i], &spec, why);
	if (e != 0)
		return e;
	if ((spec.socks = !form->path && n <= 2))
		spec.to = (struct url){0};
	*out = spec;
	return 0;
}

const char *ssh_spec_target(const struct ssh_spec *s, char out[SSH_SPEC_TEXT])
{
	char text[URL_TEXT_MAX];
	struct str shown;

	if (s->socks) {
		str_printf(out, SSH_SPEC_TEXT, "a SOCKS proxy");
		return out;
	}
	url_format(&s->to, text);
	shown = str_of(text);
	if (str_starts(shown, STR("tcp://")))
		shown = (struct str){shown.p + 6, shown.len - 6};
	str_printf(out, SSH_SPEC_TEXT, STR_FMT, STR_ARG(shown));
	return out;
}

const char *ssh_spec_address_text(const struct ssh_spec *s, char out[SSH_SPEC_ADDRESS_TEXT])
{
	bool six = strchr(s->address, ':') != NULL;

	str_printf(out, SSH_SPEC_ADDRESS_TEXT, "%s%s%s", six ? "[" : "",
		   s->address[0] == '\0' ? "*" : s->address, six ? "]" : "");
	return out;
}
