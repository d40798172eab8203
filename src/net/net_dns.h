/*
 * Questions to a DNS server of our choice: texts, aliases, addresses.
 *
 * For what getaddrinfo cannot answer, such as whether somebody controls a domain. Nothing is
 * cached, nothing blocks, no hosts file and no search list is looked at. The process must ignore
 * SIGPIPE, since c-ares does not.
 */
#ifndef KAREZ_NET_NET_DNS_H
#define KAREZ_NET_NET_DNS_H

#include "ev/ev.h"

struct net_dns;
struct net_dns_query;

enum {
	NET_DNS_SERVERS_MAX = 8,   /* servers that may be given: each is tried in turn */
	NET_DNS_QUERIES_MAX = 256, /* questions at once, so that nobody can fill the memory */
	NET_DNS_TEXTS_MAX = 32,	   /* texts of an answer, so that no domain can */
	NET_DNS_TEXT_MAX = 1024,   /* bytes of one text: a TXT record may have 65,535 */
	NET_DNS_CHAIN_MAX = 16,	   /* names of a chain of aliases */
	NET_DNS_TIMEOUT_MS = 3000, /* for a question, unless told otherwise */
	NET_DNS_PORT = 53,
};

struct net_dns_opt {
	struct ev *ev; /* borrowed: outlives it */
	/*
	 * [n_servers] of "IP", "IP:PORT" or "[IPv6]:PORT", copied; asked in this order, the next
	 * one when one is silent or declines. None: those of the system (resolv.conf), as they are
	 * now.
	 */
	const char *const *servers;
	size_t n_servers;
	uint32_t timeout_ms; /* for a whole question; 0: NET_DNS_TIMEOUT_MS */
};

/*
 * Returns 0, ERR_INVAL (a server is not an address with a port from 1), ERR_LIMIT (more than
 * NET_DNS_SERVERS_MAX), ERR_NOMEM, ERR_IO (the system's configuration cannot be read).
 */
int net_dns_new(const struct net_dns_opt *opt, struct net_dns **out) MUST_CHECK;

/* Nobody who has asked is called back any more; their queries are gone. NULL is allowed. */
void net_dns_free(struct net_dns *d);

enum net_dns_type {
	NET_DNS_TXT, /* texts as they are, any bytes; the strings of one record are joined */
	/*
	 * The chain of aliases that begins at the name: names in lower case without trailing dot,
	 * in order, without the name that was asked for. As servers need not give more than one
	 * of them, the last one is asked about in turn. A chain that comes back to itself ends
	 * where it does.
	 */
	NET_DNS_CNAME,
	NET_DNS_ADDR, /* "192.0.2.1", "2001:db8::1": IPv4 ones first, then IPv6 ones */
};

struct net_dns_answer {
	/*
	 * 0            there is at least one text.
	 * ERR_NOTFOUND there is no such name, or it has nothing of this type.
	 * ERR_TIMEOUT  no server has answered in time.
	 * ERR_REFUSED  no server would answer: none was reached, or each said SERVFAIL, REFUSED
	 *              or NOTIMP.
	 * ERR_PROTO    the answer is malformed, says FORMERR, or leads to what is no host name.
	 * ERR_NOMEM
	 */
	int e;
	const struct str *texts; /* [n], borrowed for the call */
	size_t n;
	bool more; /* there is more than this: a cap was met, or a later part was not answered */
};

/*
 * Ask.
 *   name   host name with underscores allowed ("_karez.app.example.org"), any case, one trailing
 *          dot is dropped; copied.
 *   fn     told exactly once, never before this returns; it may ask, cancel and free.
 *   *out   set on success, for net_dns_cancel(); gone by itself when fn is called. May be NULL.
 * Returns 0, ERR_INVAL (not a name), ERR_LIMIT (NET_DNS_QUERIES_MAX are under way, those counted
 * that were cancelled but are not yet answered), ERR_NOMEM.
 * Source: RFC 1035 2.3.4 and 3.3, RFC 1123 2.1 (name syntax), RFC 8552 (underscores).
 */
int net_dns_ask(struct net_dns *d, enum net_dns_type type, struct str name,
		void (*fn)(void *arg, const struct net_dns_answer *answer), void *arg,
		struct net_dns_query **out) MUST_CHECK;

/* fn is not called any more. NULL is allowed. */
void net_dns_cancel(struct net_dns_query *q);

#endif
