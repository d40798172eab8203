/* Whoever can set a name's records may have it served: so only the DNS is asked, nobody else. */
#include "core/domain.h"

#include <string.h>

#include "base/err.h"

/* Digits of the fingerprint that people copy: 128 bits are enough. */
#define DOMAIN_DIGITS 32

const char *domain_base(const char *host)
{
	return str_starts(str_of(host), STR("*.")) ? host + 2 : host;
}

int domain_claim(const uint8_t key[DIGEST_LEN], const struct domain_claimant *who, const char *host,
		 struct domain_claim *out)
{
	char what[CORE_ID_TEXT + 1 + HOSTNAME_MAX + 1], hex[DIGEST_HEX_TEXT];
	size_t n = str_printf(what, sizeof what, "%s|%s", who->account, domain_base(host));
	int e = digest_keyed(key, (struct str){what, n}, hex);

	if (e != 0)
		return e;
	str_printf(out->target, sizeof out->target, "%s.%s", who->name, who->domain);
	str_printf(out->text, sizeof out->text, "karez-verify=%.*s", DOMAIN_DIGITS, hex);
	return 0;
}

/* ---- answers ---- */

static bool domain_has(const char *wanted, const struct str *texts, size_t n)
{
	for (size_t i = 0; wanted[0] != '\0' && i < n; i++)
		if (str_eq_nocase(texts[i], str_of(wanted)))
			return true;
	return false;
}

static void domain_judge(struct domain_proof *p, enum core_dns_type type, const struct str *texts,
			 size_t n)
{
	if (type == CORE_DNS_CNAME) {
		p->proven = p->proven || domain_has(p->claim.target, texts, n);
		p->old_proven = p->old_proven || domain_has(p->old.target, texts, n);
	} else {
		p->proven = p->proven || domain_has(p->claim.text, texts, n);
		p->old_proven = p->old_proven || domain_has(p->old.text, texts, n);
	}
}

static void domain_on_answer(void *arg, int e, const struct str *texts, size_t n)
{
	struct domain_question *q = arg;
	struct domain_proofs *all = q->all;

	q->handle = NULL;
	if (e == 0) {
		domain_judge(q->proof, q->type, texts, n);
	} else if (e != ERR_NOTFOUND) {
		q->proof->e = e;
		q->proof->old_proven = true; /* nobody loses a name because the DNS is down */
	}
	if (--all->waiting == 0)
		all->done(all->arg);
}

/* ---- questions ---- */

static int domain_put(struct domain_question *q, struct str name)
{
	const struct core_resolver *r = q->all->resolver;

	q->handle = r->ask(r->arg, q->type, name, domain_on_answer, q);
	if (q->handle == NULL)
		return ERR_LIMIT;
	q->all->waiting++;
	return 0;
}

static int domain_put_both(struct domain_proofs *all, struct domain_proof *p)
{
	char name[sizeof "_karez." + HOSTNAME_MAX];
	const char *base = domain_base(p->host);
	size_t n = str_printf(name, sizeof name, "_karez.%s", base);
	int e;

	p->proven = p->old_proven = false;
	p->e = 0;
	p->questions[0] = (struct domain_question){p, all, CORE_DNS_CNAME, NULL};
	p->questions[1] = (struct domain_question){p, all, CORE_DNS_TXT, NULL};
	if ((e = domain_put(&p->questions[0], str_of(base))) != 0)
		return e;
	/* too long a name has no text record; that is no reason not to ask for the other */
	return n > HOSTNAME_MAX ? 0 : domain_put(&p->questions[1], (struct str){name, n});
}

int domain_ask(struct domain_proofs *p)
{
	int e = 0;

	p->waiting = 0;
	for (size_t i = 0; i < p->n; i++) /* domain_cancel() looks at all of them */
		memset(p->list[i].questions, 0, sizeof p->list[i].questions);
	for (size_t i = 0; e == 0 && i < p->n; i++)
		e = domain_put_both(p, &p->list[i]);
	if (e != 0)
		domain_cancel(p);
	return e;
}

void domain_give_up(struct domain_proofs *p)
{
	for (size_t i = 0; i < p->n; i++) {
		struct domain_proof *d = &p->list[i];

		if (d->questions[0].handle == NULL && d->questions[1].handle == NULL)
			continue;
		d->e = ERR_TIMEOUT;
		d->old_proven = true;
	}
	domain_cancel(p);
}

void domain_cancel(struct domain_proofs *p)
{
	for (size_t i = 0; p->waiting > 0 && i < p->n; i++) {
		for (size_t k = 0; k < ARRAY_LEN(p->list[i].questions); k++) {
			struct domain_question *q = &p->list[i].questions[k];

			if (q->handle == NULL)
				continue;
			p->resolver->cancel(p->resolver->arg, q->handle);
			q->handle = NULL;
		}
	}
	p->waiting = 0;
}
