/*
 * Proof that somebody controls a host name: questions to the DNS. Two records prove it, either one
 * is enough:
 *
 *	<host>		CNAME	<tunnel>.<our domain>		(at any place of the chain)
 *	_karez.<host>	TXT	karez-verify=<32 hexadecimal digits>
 *
 * The digits are made from the account and the host under the store's key, so nobody can have them
 * set for a host that is not his to set, and another account's do not count. "*.<host>" is proven
 *by what proves <host>.
 */
#ifndef KAREZ_CORE_DOMAIN_H
#define KAREZ_CORE_DOMAIN_H

#include "core/core.h"
#include "core/record.h"

/* Bytes of a TXT record's text, NUL included. */
#define DOMAIN_TXT_TEXT 48

/* What must be found for one claim. All empty: there is no such claim. A value. */
struct domain_claim {
	char target[HOSTNAME_MAX + 1]; /* in the chain of canonical names */
	char text[DOMAIN_TXT_TEXT];    /* as a text at _karez.<host> */
};

/* One host that is asked about. */
struct domain_proof {
	char host[HOSTNAME_MAX + 1];
	struct domain_claim claim;
	struct domain_claim old; /* of the account that has the host now, if another one does */
	bool proven;		 /* the claim is */
	bool old_proven;	 /* still; or the DNS did not say otherwise */
	int e;			 /* why the DNS gave no answer, 0: it did */
	struct domain_question {
		struct domain_proof *proof;
		struct domain_proofs *all;
		enum core_dns_type type;
		void *handle; /* the resolver's; NULL: answered, or not asked */
	} questions[2];
};

/* Several of them, asked in parallel. Embedded in its owner. */
struct domain_proofs {
	const struct core_resolver *resolver;
	struct domain_proof list[RECORD_ALT_NAMES_MAX];
	size_t n;
	size_t waiting; /* questions that are not answered */
	void (*done)(void *arg);
	void *arg;
};

/* The host whose records prove it: what "*" stands before, or the host itself. Borrowed from it. */
const char *domain_base(const char *host);

/*
 * What must be found for an account's claim.
 *   key   the store's key for fingerprints.
 *   name  of the tunnel; it stands under domain.
 * Returns 0 or ERR_NOMEM.
 */
struct domain_claimant {
	const char *account, *name, *domain;
};
int domain_claim(const uint8_t key[DIGEST_LEN], const struct domain_claimant *who, const char *host,
		 struct domain_claim *out) MUST_CHECK;

/*
 * Ask about list[0..n) of p, n > 0; host, claim and old are set.
 *   p->done  called exactly once, never before this returns, unless domain_cancel() comes first.
 * Returns 0, or ERR_LIMIT without a callback: the resolver takes no more.
 */
int domain_ask(struct domain_proofs *p) MUST_CHECK;

/* Do not wait any longer, and never call back: of hosts that are not answered e is ERR_TIMEOUT. */
void domain_give_up(struct domain_proofs *p);

/* Never call back. Harmless when nothing is asked. */
void domain_cancel(struct domain_proofs *p);

#endif
