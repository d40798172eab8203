/* Values that the rows of karezd's options cannot judge by themselves: one by one, then together.
 */
#include "app/karezd_check.h"

#include <sched.h>

#include "app/door.h"
#include "app/karezd_options.h"
#include "app/ssh_door.h"
#include "app/worker.h"
#include "base/err.h"
#include "base/num.h"
#include "core/core.h"
#include "ingress/port_socket.h"
#include "proto/cidr.h"
#include "proto/url.h"
#include "store/store_redis_url.h"

/* ---- one value ---- */

int karezd_check_listen(struct str value, char *reason, size_t cap)
{
	struct door_where where;

	if (door_parse(value, &where) == 0)
		return 0;
	str_printf(reason, cap,
		   "is not an address: expected IP:PORT, [IPV6]:PORT, :PORT or unix:/path, "
		   "perhaps behind \"tls:\", \"proxy:\" or \"proxy:tls:\"; without unix:/path also "
		   "behind \"auto:\" or \"proxy:auto:\"");
	return ERR_INVAL;
}

int karezd_check_manage_listen(struct str value, char *reason, size_t cap)
{
	struct net_addr addr;

	if (net_addr_parse(value, &addr) == 0)
		return 0;
	str_printf(reason, cap,
		   "is not an address: expected IP:PORT, [IPV6]:PORT or :PORT; it "
		   "speaks TLS without being told");
	return ERR_INVAL;
}

int karezd_check_ssh_listen(struct str value, char *reason, size_t cap)
{
	struct net_addr addr;

	if (ssh_door_parse(value, &addr) == 0)
		return 0;
	str_printf(reason, cap, "is not an address: expected IP:PORT, [IPV6]:PORT or :PORT");
	return ERR_INVAL;
}

/* "9000" or "2000-2100"; port 0 is none. */
static int karezd_read_ports(struct str value, struct access_ports *out)
{
	struct str rest = value, first, last;
	uint64_t a, b;

	if (!str_next(&rest, '-', &first))
		return ERR_INVAL;
	last = rest.p != NULL ? rest : first;
	if (num_parse(first, UINT16_MAX, &a) != 0 || num_parse(last, UINT16_MAX, &b) != 0 ||
	    a == 0 || b < a)
		return ERR_INVAL;
	*out = (struct access_ports){.first = (uint16_t)a, .last = (uint16_t)b};
	return 0;
}

int karezd_check_ports(struct str value, char *reason, size_t cap)
{
	struct access_ports ports;

	if (str_eq(value, STR("none")) || karezd_read_ports(value, &ports) == 0)
		return 0;
	str_printf(reason, cap, "is no range of ports: expected 9000, 2000-2100 or none");
	return ERR_INVAL;
}

size_t karezd_tcp_ports(const struct config_list *list, struct access_ports *out)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++)
		if (karezd_read_ports(str_of(list->v[i]), &out[n]) == 0)
			n++;
	return n;
}

int karezd_check_bind(struct str value, char *reason, size_t cap)
{
	uint8_t ip[16];

	if (str_eq(value, STR("*")) || cidr_ip_parse(value, ip) == 0)
		return 0;
	str_printf(reason, cap, "is not an address: expected an IP, or * for every one");
	return ERR_INVAL;
}

int karezd_check_domain(struct str value, char *reason, size_t cap)
{
	if (hostname_ok(value))
		return 0;
	str_printf(reason, cap, "is not a host name");
	return ERR_INVAL;
}

int karezd_check_cidr(struct str value, char *reason, size_t cap)
{
	struct cidr cidr;

	if (cidr_parse(value, &cidr) == 0)
		return 0;
	str_printf(reason, cap, "is not an address or a block of them: expected 10.0.0.0/8, ::1");
	return ERR_INVAL;
}

int karezd_check_url(struct str value, char *reason, size_t cap)
{
	const char *why = NULL;
	struct url url;

	if (url_parse(value, &url, &why) == 0 &&
	    (url.scheme == URL_HTTP || url.scheme == URL_HTTPS))
		return 0;
	str_printf(reason, cap, "is not a web address: %s",
		   why != NULL ? why : "expected http:// or https://");
	return ERR_INVAL;
}

/* "IP", "IP:PORT" or "[IPv6]:PORT". */
int karezd_check_resolver(struct str value, char *reason, size_t cap)
{
	struct hostname_authority a;
	uint8_t ip[16];

	if (cidr_ip_parse(value, ip) == 0 ||
	    (hostname_split(value, &a) == 0 && a.kind != HOSTNAME_NAME))
		return 0;
	str_printf(reason, cap, "is not an address: expected IP, IP:PORT or [IPV6]:PORT");
	return ERR_INVAL;
}

int karezd_check_auth_host(struct str value, char *reason, size_t cap)
{
	if (str_eq(value, STR("*")) || hostname_authority_ok(value))
		return 0;
	str_printf(reason, cap, "is not a host: expected HOST, HOST:PORT or *");
	return ERR_INVAL;
}

/* A name with a password in it is judged when the store is opened: what fails here is shown. */
int karezd_check_store(struct str value, char *reason, size_t cap)
{
	struct store_redis_url url;
	char why[STORE_REDIS_WHY];

	if (str_eq(value, STR("memory:")) ||
	    (str_starts(value, STR("sqlite:")) && value.len > sizeof "sqlite:" - 1))
		return 0;
	if (!store_redis_url_is(value)) {
		str_printf(reason, cap,
			   "is not a store: expected memory: or sqlite:/path, or "
			   "redis://host:port/db");
		return ERR_INVAL;
	}
	if (str_find(value, '@') < value.len || store_redis_url_parse(value, &url, why) == 0)
		return 0;
	str_printf(reason, cap, "is not a Redis store: %s", why);
	return ERR_INVAL;
}

/* "auto", or a number. */
static int karezd_read_workers(struct str value, unsigned *n)
{
	cpu_set_t cpus;
	uint64_t number;

	if (!str_eq(value, STR("auto"))) {
		if (num_parse(value, WORKERS_MAX, &number) != 0 || number == 0)
			return ERR_INVAL;
		*n = (unsigned)number;
	} else if (sched_getaffinity(0, sizeof cpus, &cpus) == 0) {
		*n = (unsigned)MIN(CPU_COUNT(&cpus), WORKERS_MAX);
	} else {
		*n = WORKERS_MAX; /* more CPUs than a cpu_set_t has */
	}
	return 0;
}

unsigned karezd_workers(const struct karezd_settings *set)
{
	unsigned n = 0;

	if (set->workers == NULL || karezd_read_workers(str_of(set->workers), &n) != 0)
		return 0;
	return n;
}

int karezd_check_workers(struct str value, char *reason, size_t cap)
{
	unsigned n;

	if (karezd_read_workers(value, &n) == 0)
		return 0;
	str_printf(reason, cap, "is no number of workers: expected 1 to %d, or auto", WORKERS_MAX);
	return ERR_INVAL;
}

int karezd_check_hop(struct str value, char *reason, size_t cap)
{
	struct net_addr addr;

	if (net_addr_parse(value, &addr) == 0 && addr.sa.sa_family != AF_UNIX)
		return 0;
	str_printf(reason, cap, "is not an address: expected IP:PORT, [IPV6]:PORT or :PORT");
	return ERR_INVAL;
}

int karezd_check_hop_advertise(struct str value, char *reason, size_t cap)
{
	struct net_addr addr;

	if (net_addr_parse(value, &addr) == 0 && addr.sa.sa_family != AF_UNIX &&
	    !net_addr_is_any(&addr) && net_addr_port(&addr) != 0)
		return 0;
	str_printf(reason, cap,
		   "is not an address that others reach: expected IP:PORT or "
		   "[IPV6]:PORT");
	return ERR_INVAL;
}

/* ---- together ---- */

/* What --listen says, of all addresses together. */
struct karezd_listens {
	bool proxy, tls, any;
};

static struct karezd_listens karezd_listens_at(const struct karezd_settings *set)
{
	struct karezd_listens at = {.tls = false};

	for (size_t i = 0; i < set->listen.n; i++) {
		struct door_where where;

		if (door_parse(str_of(set->listen.v[i]), &where) != 0)
			continue;
		at.proxy = at.proxy || where.proxy;
		at.tls = at.tls || where.tls;
		at.any = at.any || where.any;
	}
	return at;
}

bool karezd_serves_tls(const struct karezd_settings *set, const struct door_where *where)
{
	return where->tls || (where->any && (set->tls_cert != NULL || set->tls_dir != NULL));
}

bool karezd_serves_ssh(const struct karezd_settings *set)
{
	return set->ssh_listen.n > 0 ||
	       (set->ssh_auto == KAREZD_SSH_AUTO_ON && karezd_listens_at(set).any);
}

/* TLS needs a certificate, a key, and an address that uses them. */
static int karezd_check_tls(struct config *c, const struct karezd_settings *set)
{
	static const char unused[] =
		"needs a --listen that begins with tls: or auto:, or --manage-listen";
	struct karezd_listens at = karezd_listens_at(set);
	bool certs = set->tls_cert != NULL || set->tls_dir != NULL;
	bool needed = at.tls || set->manage_listen != NULL, wanted = needed || at.any;

	if (!certs && (needed || (at.any && set->agent_ca != NULL)))
		return config_fail(c,
				   at.tls || !needed ? (const void *)&set->listen
						     : &set->manage_listen,
				   "needs --tls-cert and --tls-key as well, or --tls-dir");
	if (set->tls_cert != NULL && set->tls_key == NULL)
		return config_fail(c, &set->tls_cert, "needs --tls-key as well");
	if (set->tls_key != NULL && set->tls_cert == NULL)
		return config_fail(c, &set->tls_key, "needs --tls-cert as well");
	if (set->tls_cert != NULL && !wanted)
		return config_fail(c, &set->tls_cert, unused);
	if (set->tls_dir != NULL && !wanted)
		return config_fail(c, &set->tls_dir, unused);
	if (set->agent_ca != NULL && !wanted)
		return config_fail(c, &set->agent_ca, unused);
	if (set->agent_crl != NULL && set->agent_ca == NULL)
		return config_fail(c, &set->agent_crl, "needs --agent-ca as well");
	if (set->manage_listen != NULL && set->agent_ca == NULL)
		return config_fail(c, &set->manage_listen,
				   "needs --agent-ca as well: who manages shows a certificate");
	return 0;
}

/* The PROXY protocol is spoken by somebody who is trusted. */
static int karezd_check_proxies(struct config *c, const struct karezd_settings *set)
{
	static const char nobody[] = "needs --trusted-proxies: whose PROXY headers are believed";

	if (set->trusted_proxies.n > 0)
		return 0;
	if (karezd_listens_at(set).proxy)
		return config_fail(c, &set->listen, nobody);
	if (set->tcp_proxy_protocol)
		return config_fail(c, &set->tcp_proxy_protocol, nobody);
	return 0;
}

static int karezd_check_ports_together(struct config *c, const struct karezd_settings *set)
{
	for (size_t i = 0; i < set->tcp_ports.n; i++)
		if (set->tcp_ports.n > 1 && str_eq(str_of(set->tcp_ports.v[i]), STR("none")))
			return config_fail(c, &set->tcp_ports,
					   "cannot be \"none\" and ports at the same time");
	if (set->tcp_bind.n > PORT_SOCKET_ADDRESSES_MAX)
		return config_fail(c, &set->tcp_bind, "is too long: 8 addresses at most");
	return 0;
}

static int karezd_check_ssh(struct config *c, const struct karezd_settings *set)
{
	if (set->ssh_ca != NULL && !karezd_serves_ssh(set))
		return config_fail(
			c, &set->ssh_ca,
			"needs --ssh-listen as well, or a --listen that begins with auto:");
	if (set->ssh_listen.n > KAREZD_SSH_LISTEN_MAX)
		return config_fail(c, &set->ssh_listen, "is too long: 16 addresses at most");
	return 0;
}

/* Visitors of other nodes: who they are is in the Redis store, and that they are is by the key. */
static int karezd_check_cluster(struct config *c, const struct karezd_settings *set)
{
	bool redis = set->store != NULL && store_redis_url_is(str_of(set->store));
	struct net_addr addr;

	if (set->hop_listen == NULL) {
		if (set->hop_advertise != NULL)
			return config_fail(c, &set->hop_advertise, "needs --hop-listen as well");
		if (set->cluster_key != NULL)
			return config_fail(c, &set->cluster_key, "needs --hop-listen as well");
		return 0;
	}
	if (!redis)
		return config_fail(c, &set->hop_listen,
				   "needs a --store that other nodes share: redis://...");
	if (set->cluster_key == NULL)
		return config_fail(c, &set->hop_listen,
				   "needs --cluster-key-file as well: the secret of all nodes");
	if (set->workers != NULL && net_addr_parse(str_of(set->hop_listen), &addr) == 0 &&
	    net_addr_port(&addr) > UINT16_MAX - WORKER_INDEX_MAX)
		return config_fail(
			c, &set->hop_listen,
			"has too high a port: with --workers each has a port of its own, "
			"from this one on, and 65279 is the last one that will do");
	return 0;
}

int karezd_check_together(struct config *c, void *settings)
{
	struct karezd_settings *set = settings;
	int e;

	if ((e = karezd_check_tls(c, set)) != 0 || (e = karezd_check_proxies(c, set)) != 0 ||
	    (e = karezd_check_ports_together(c, set)) != 0 || (e = karezd_check_ssh(c, set)) != 0 ||
	    (e = karezd_check_cluster(c, set)) != 0)
		return e;
	if (set->allow_registration && set->registration != CORE_OPEN &&
	    config_source(c, &set->registration) > CONFIG_DEFAULT)
		return config_fail(c, &set->allow_registration,
				   "says the opposite of --registration; leave one of them out");
	if (set->allow_registration)
		set->registration = CORE_OPEN;
	return 0;
}
