/* Questions are kept by name, so that the records may change while they wait. */
#include "unit/core/dns_rig.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

struct dns_question {
	struct list link;
	struct dns_rig *rig;
	struct ev_task task;
	enum core_dns_type type;
	char *name;
	void (*done)(void *arg, int e, const struct str *texts, size_t n);
	void *arg;
};

static void dns_rig_free(struct dns_question *q)
{
	q->rig->n_pending--;
	list_del(&q->link);
	ev_task_cancel(&q->task);
	free(q->name);
	free(q);
}

static void dns_rig_on_task(void *arg)
{
	struct dns_question *q = arg, was = *q;
	struct str texts[8];
	int e = ERR_NOTFOUND;
	size_t n = 0;

	for (size_t i = 0; i < q->rig->n_records; i++) {
		const struct dns_record *r = &q->rig->records[i];

		if (r->type != q->type || strcmp(r->name, q->name) != 0)
			continue;
		e = r->e;
		for (size_t k = 0; k < ARRAY_LEN(r->texts) && r->texts[k] != NULL; k++)
			texts[n++] = str_of(r->texts[k]);
	}
	dns_rig_free(q);
	was.done(was.arg, e, texts, e == 0 ? n : 0);
}

static void *dns_rig_ask(void *arg, enum core_dns_type type, struct str name,
			 void (*done)(void *, int, const struct str *, size_t), void *done_arg)
{
	struct dns_rig *d = arg;
	struct dns_question *q;

	if (d->full_at != 0 && d->n_pending >= d->full_at)
		return NULL;
	q = calloc(1, sizeof *q);
	assert_non_null(q);
	q->rig = d;
	q->type = type;
	q->name = str_dup(name);
	q->done = done;
	q->arg = done_arg;
	q->task = (struct ev_task){.fn = dns_rig_on_task, .arg = q};
	list_push(&d->asked, &q->link);
	d->n_asked++;
	d->n_pending++;
	if (!d->hold)
		ev_task_run(d->ev, &q->task);
	return q;
}

static void dns_rig_cancel(void *arg, void *handle)
{
	((struct dns_rig *)arg)->n_cancelled++;
	dns_rig_free(handle);
}

void dns_rig_init(struct dns_rig *d, struct ev *ev)
{
	memset(d, 0, sizeof *d);
	d->ev = ev;
	d->resolver = (struct core_resolver){dns_rig_ask, dns_rig_cancel, d};
	list_init(&d->asked);
}

void dns_rig_clear(struct dns_rig *d)
{
	d->n_records = 0;
}

void dns_rig_add(struct dns_rig *d, enum core_dns_type type, const char *name, const char *text,
		 int e)
{
	assert_true(d->n_records < ARRAY_LEN(d->records));
	d->records[d->n_records++] =
		(struct dns_record){.type = type, .name = name, .texts = {text}, .e = e};
}

void dns_rig_release(struct dns_rig *d)
{
	d->hold = false;
	LIST_FOR_EACH (link, &d->asked)
		ev_task_run(d->ev, &CONTAINER_OF(link, struct dns_question, link)->task);
}
