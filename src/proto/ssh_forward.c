/*
 * `ssh -R` has one field where others have flags: an address to listen on, as sshd knows it, or
 * what a server of tunnels is asked for. Addresses go first, so that every form that means
 * something to sshd means the same here.
 */
#include "proto/ssh_forward.h"

#include <string.h>

#include "base/err.h"
#include "proto/cidr.h"

/* Ports that are never bound: they mean HTTP. */
enum { SSH_FORWARD_PORT_HTTP = 80, SSH_FORWARD_PORT_HTTPS = 443 };

static int ssh_forward_refuse(const char **why, const char *sentence)
{
	*why = sentence;
	return ERR_INVAL;
}

/* "::1" of "[::1]"; anything else as it is. */
static struct str ssh_forward_bare(struct str address)
{
	struct str in = {address.p + 1, address.len - 2};

	if (address.len < 2 || address.p[0] != '[' || address.p[address.len - 1] != ']' ||
	    str_find(in, ':') == in.len)
		return address;
	return in;
}

/* Is it where to listen? Then it is written down; nothing of it is a name. "0" is the one short
 * form that people type. */
static bool ssh_forward_is_bind(struct str address, struct ssh_forward *out)
{
	uint8_t ip[16];

	if (address.len == 0 || str_eq(address, STR("*")))
		return true;
	if (str_eq(address, STR("0")))
		address = STR("0.0.0.0");
	if (str_eq_nocase(address, STR("localhost"))) {
		memcpy(out->bind, "localhost", sizeof "localhost");
		return true;
	}
	if (cidr_ip_parse(ssh_forward_bare(address), ip) != 0)
		return false;
	cidr_ip_format(ip, out->bind);
	return true;
}

/*
 * Would sshd, which asks getaddrinfo(), read an address where we read none: "127.1", "0x7f000001",
 * "2130706433"? What ends in a number is no host name. lower: [len], without a dot at the end.
 * Source: inet_aton(3), RFC 6943 3.1.1, RFC 3696 2.
 */
static bool ssh_forward_ends_in_number(struct str lower)
{
	struct str label = lower;
	bool hex;

	for (size_t i = lower.len; i > 0; i--)
		if (lower.p[i - 1] == '.') {
			label = (struct str){lower.p + i, lower.len - i};
			break;
		}
	hex = str_starts(label, STR("0x"));
	for (size_t i = hex ? 2 : 0; i < label.len; i++)
		if (!(label.p[i] >= '0' && label.p[i] <= '9') &&
		    !(hex && label.p[i] >= 'a' && label.p[i] <= 'f'))
			return false;
	return label.len > 0;
}

/* A host name of somebody's own; one star may stand in front of it. lower: [len] */
static int ssh_forward_domain(struct str lower, struct ssh_forward *out, const char **why)
{
	struct str host = lower;

	if (str_starts(host, STR("*.")))
		host = (struct str){host.p + 2, host.len - 2};
	if (!hostname_ok(host))
		return ssh_forward_refuse(why,
					  "this is neither an address nor a name: a tunnel's name "
					  "has letters, digits and hyphens");
	if (out->kind == SSH_FORWARD_TCP)
		return ssh_forward_refuse(
			why, "a host name of your own goes with port 80 or 443; a tcp tunnel is "
			     "reached by its port, at any name of this server");
	return str_copy(out->domain, sizeof out->domain, lower);
}

static int ssh_forward_name(struct str address, const char *domain, struct ssh_forward *out,
			    const char **why)
{
	char text[HOSTNAME_MAX + 1];
	struct str lower, name;

	if (address.len > 1 && address.p[address.len - 1] == '.')
		address.len--;
	if (address.len > HOSTNAME_MAX)
		return ssh_forward_refuse(why, "this name is longer than a host name can be");
	for (size_t i = 0; i < address.len; i++)
		text[i] = ascii_lower(address.p[i]);
	lower = (struct str){text, address.len};
	if (str_eq(lower, str_of(domain)))
		return 0;
	if (!hostname_under(lower, str_of(domain), &name)) {
		if (ssh_forward_ends_in_number(lower))
			return ssh_forward_refuse(
				why, "this is a number, neither an address nor a name: write an "
				     "address in full, as 127.0.0.1, and a tunnel that is called "
				     "so with its domain");
		if (str_find(lower, '.') < lower.len)
			return ssh_forward_domain(lower, out, why);
		name = lower;
	}
	if (hostname_tunnel(name, out->name) == 0)
		return 0;
	out->name[0] = '\0';
	return ssh_forward_refuse(why, "this is neither an address nor a name: a tunnel's name has "
				       "up to 63 letters, digits and hyphens");
}

int ssh_forward_read(struct str address, uint32_t port, const char *domain, bool tls,
		     struct ssh_forward *out, const char **why)
{
	*out = (struct ssh_forward){.kind = SSH_FORWARD_TCP};
	*why = NULL;
	if (port > UINT16_MAX)
		return ssh_forward_refuse(why, "there is no port above 65535");
	if (port == SSH_FORWARD_PORT_HTTP || port == SSH_FORWARD_PORT_HTTPS)
		out->kind =
			tls && port == SSH_FORWARD_PORT_HTTPS ? SSH_FORWARD_TLS : SSH_FORWARD_HTTP;
	else
		out->port = (uint16_t)port;
	if (!ssh_forward_is_bind(address, out))
		return ssh_forward_name(address, domain, out, why);
	if (out->kind != SSH_FORWARD_TCP)
		out->bind[0] = '\0';
	return 0;
}
