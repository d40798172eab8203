/* One question of the core is one of net_dns; only the shape of the answer differs. */
#include "app/resolver.h"

#include <stdlib.h>

struct resolver_question {
	struct net_dns_query *query;
	void (*done)(void *arg, int e, const struct str *texts, size_t n);
	void *arg;
};

static void resolver_on_answer(void *arg, const struct net_dns_answer *answer)
{
	struct resolver_question *q = arg;

	q->done(q->arg, answer->e, answer->texts, answer->n);
	free(q);
}

static void *resolver_ask(void *arg, enum core_dns_type type, struct str name,
			  void (*done)(void *done_arg, int e, const struct str *texts, size_t n),
			  void *done_arg)
{
	enum net_dns_type what = type == CORE_DNS_TXT ? NET_DNS_TXT : NET_DNS_CNAME;
	struct resolver_question *q = calloc(1, sizeof *q);

	if (q == NULL)
		return NULL;
	q->done = done;
	q->arg = done_arg;
	if (net_dns_ask(arg, what, name, resolver_on_answer, q, &q->query) == 0)
		return q;
	free(q);
	return NULL;
}

static void resolver_cancel(void *arg, void *handle)
{
	struct resolver_question *q = handle;

	net_dns_cancel(q->query);
	free(q);
}

struct core_resolver resolver_of(struct net_dns *dns)
{
	return (struct core_resolver){.ask = resolver_ask, .cancel = resolver_cancel, .arg = dns};
}
