/* What the bytes of a DNS answer say about one name. For net_dns only. */
#ifndef KAREZ_NET_NET_DNS_ANSWER_H
#define KAREZ_NET_NET_DNS_ANSWER_H

#include "base/buf.h"
#include "net/net_dns.h"

enum {
	NET_DNS_NAME_MAX = 253,	   /* bytes of a name without its trailing dot (RFC 1035 2.3.4) */
	NET_DNS_LABEL_MAX = 63,	   /* bytes of one label */
	NET_DNS_RECORDS_MAX = 256, /* records looked at: an answer over TCP may hold 5,000 */
};

/* What was found so far; all zero but for `asked`. */
struct net_dns_found {
	const char *asked; /* borrowed: the name that the question began with, normalised */
	struct buf bytes;
	struct {
		size_t off, len; /* in bytes */
	} at[NET_DNS_TEXTS_MAX];
	size_t n;
	bool more; /* something was left out */
};

void net_dns_found_free(struct net_dns_found *f);

/* Borrowed; i < n. */
struct str net_dns_found_text(const struct net_dns_found *f, size_t i);

/*
 * Check and lower-case a name: labels of letters, digits, underscores and inner hyphens, the last
 * one not all digits.
 *   s    one trailing dot is dropped.
 *   out  gets the NUL-terminated result.
 * Returns 0 or ERR_INVAL.
 * This is hostname_resolvable() of proto/, which net/ stands beside and may not include.
 */
int net_dns_name(struct str s, char out[NET_DNS_NAME_MAX + 1]) MUST_CHECK;

/*
 * Add what an answer says.
 *   packet  as it came; of anybody.
 *   name    NUL-terminated and normalised: what this packet must answer about.
 *   record  ns_t_txt, ns_t_a, ns_t_aaaa: the records of the name, or of the one that its aliases
 *           lead to; ns_t_cname: the aliases themselves.
 *   f       gets them added at its end; an alias only if it is not there yet and was not asked for.
 * Returns 0 (something was added), ERR_NOTFOUND (nothing was), ERR_PROTO, ERR_NOMEM. After an error
 * f holds the same texts as before.
 * Source: RFC 1035 4.1 (message), 4.1.4 (compression), 3.3.14 (TXT), RFC 1034 3.6.2 (aliases).
 */
int net_dns_answer_read(struct str packet, const char *name, int record,
			struct net_dns_found *f) MUST_CHECK;

#endif
