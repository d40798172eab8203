/* A DNS for the tests: a table of records, answers at the end of the turn, or when they are let go.
 */
#ifndef KAREZ_TEST_UNIT_CORE_DNS_RIG_H
#define KAREZ_TEST_UNIT_CORE_DNS_RIG_H

#include "core/core.h"

struct dns_record {
	enum core_dns_type type;
	const char *name;
	const char *texts[3]; /* NULL: no more */
	int e;		      /* instead of texts */
};

struct dns_rig {
	struct ev *ev;
	struct core_resolver resolver;
	struct dns_record records[16];
	size_t n_records;
	size_t full_at;	   /* so many questions at once are refused; 0: never */
	bool hold;	   /* answers wait */
	struct list asked; /* of dns_question: not answered */
	size_t n_asked, n_pending, n_cancelled;
};

void dns_rig_init(struct dns_rig *d, struct ev *ev);

/* Forget all records. */
void dns_rig_clear(struct dns_rig *d);

/* text NULL: the answer is e. */
void dns_rig_add(struct dns_rig *d, enum core_dns_type type, const char *name, const char *text,
		 int e);

/* Answer what was held, and hold no more. */
void dns_rig_release(struct dns_rig *d);

#endif
