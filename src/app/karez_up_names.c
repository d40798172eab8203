/* Each host is asked about once; the first one that is not there ends it. */
#include "app/karez_up_names.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "net/net_name.h"

struct karez_up_question {
	struct karez_up_names *all; /* borrowed: it cancels what it asks */
	size_t entry;
	struct net_name *name; /* owned; NULL: this place is free */
};

struct karez_up_names {
	struct ev *ev;
	struct karez_up_names_opt opt;
	struct karez_up_question asked[KAREZ_UP_NAMES_ASKED];
	size_t next;	   /* entry to be asked about */
	uint64_t until_ms; /* then the rest is not sure */
	size_t n_unsure;
	struct ev_task task; /* the beginning */
};

static bool karez_up_names_is_host(const struct url *u)
{
	return !url_is_local(u) && u->kind == HOSTNAME_NAME;
}

/* Is the host one of the first [n] entries'? */
static bool karez_up_names_among(const struct services *s, size_t n, const char *host)
{
	for (size_t i = 0; i < n; i++)
		if (karez_up_names_is_host(&s->v[i].target) &&
		    strcmp(s->v[i].target.host, host) == 0)
			return true;
	return false;
}

static void karez_up_names_release(struct karez_up_names *n)
{
	for (size_t i = 0; i < KAREZ_UP_NAMES_ASKED; i++)
		net_name_cancel(n->asked[i].name);
	ev_task_cancel(&n->task);
	ev_free_later(n->ev, n);
}

void karez_up_names_cancel(struct karez_up_names *n)
{
	if (n != NULL)
		karez_up_names_release(n);
}

static void karez_up_names_finish(struct karez_up_names *n, int e, const char *why)
{
	struct karez_up_names_opt opt = n->opt;

	karez_up_names_release(n);
	opt.done(opt.arg, e, why);
}

/* "services.yaml:3:7: there is no host called "nosuch.lan"". */
static void karez_up_names_tell(const struct karez_up_names *n, size_t entry, const char *what,
				char why[SERVICES_WHY])
{
	const struct services_entry *e = &n->opt.services->v[entry];

	str_printf(why, SERVICES_WHY, "%s:%u:%u: %s \"%s\" (the target of %s)",
		   n->opt.services->path, e->target_line, e->target_col, what, e->target.host,
		   e->service);
}

static void karez_up_names_unsure(struct karez_up_names *n, size_t entry)
{
	char why[SERVICES_WHY];

	if (n->n_unsure++ < KAREZ_UP_NAMES_TOLD) {
		karez_up_names_tell(n, entry, "nobody says whether there is a host called", why);
		n->opt.unsure(n->opt.arg, why);
	} else if (n->n_unsure == KAREZ_UP_NAMES_TOLD + 1) {
		str_printf(why, sizeof why, "%s: and so it is with more of its hosts",
			   n->opt.services->path);
		n->opt.unsure(n->opt.arg, why);
	}
}

static void karez_up_names_go(struct karez_up_names *n);

static void karez_up_names_on_done(void *arg, int e)
{
	struct karez_up_question *q = arg;
	struct karez_up_names *n = q->all;
	char why[SERVICES_WHY];

	q->name = NULL;
	if (e == ERR_NOTFOUND) {
		karez_up_names_tell(n, q->entry, "there is no host called", why);
		karez_up_names_finish(n, e, why);
		return;
	}
	if (e == ERR_TIMEOUT || e == ERR_RESOLVE)
		karez_up_names_unsure(n, q->entry);
	if (e == ERR_NOMEM)
		karez_up_names_finish(n, e, err_text(e));
	else
		karez_up_names_go(n);
}

/* The next entry whose host is to be asked about; false: there is none. */
static bool karez_up_names_next(struct karez_up_names *n, size_t *entry)
{
	const struct services *s = n->opt.services, *known = n->opt.known;

	for (; n->next < s->n; n->next++) {
		const struct url *u = &s->v[n->next].target;

		if (!karez_up_names_is_host(u) || karez_up_names_among(s, n->next, u->host) ||
		    (known != NULL && karez_up_names_among(known, known->n, u->host)))
			continue;
		*entry = n->next++;
		return true;
	}
	return false;
}

/* The same; when the time is over the rest is not asked about any more. */
static bool karez_up_names_next_in_time(struct karez_up_names *n, size_t *entry)
{
	bool any = karez_up_names_next(n, entry);

	while (any && ev_now_ms(n->ev) >= n->until_ms) {
		karez_up_names_unsure(n, *entry);
		any = karez_up_names_next(n, entry);
	}
	return any;
}

static int karez_up_names_ask(struct karez_up_names *n, struct karez_up_question *q, size_t entry)
{
	uint64_t now = ev_now_ms(n->ev);
	struct net_name_opt opt = {.host = n->opt.services->v[entry].target.host,
				   .timeout_ms = (uint32_t)(n->until_ms - MIN(now, n->until_ms)),
				   .done = karez_up_names_on_done,
				   .arg = q};

	q->all = n;
	q->entry = entry;
	return net_name_ask(n->ev, &opt, &q->name);
}

static void karez_up_names_go(struct karez_up_names *n)
{
	size_t entry, n_free = 0;

	for (size_t i = 0; i < KAREZ_UP_NAMES_ASKED; i++) {
		struct karez_up_question *q = &n->asked[i];

		if (q->name != NULL)
			continue;
		n_free++;
		if (!karez_up_names_next_in_time(n, &entry))
			continue;
		if (karez_up_names_ask(n, q, entry) != 0) {
			karez_up_names_finish(n, ERR_NOMEM, err_text(ERR_NOMEM));
			return;
		}
		n_free--;
	}
	if (n_free == KAREZ_UP_NAMES_ASKED)
		karez_up_names_finish(n, 0, "");
}

static void karez_up_names_on_task(void *arg)
{
	karez_up_names_go(arg);
}

int karez_up_names_check(struct ev *ev, const struct karez_up_names_opt *opt,
			 struct karez_up_names **out)
{
	struct karez_up_names *n = calloc(1, sizeof *n);

	if (n == NULL)
		return ERR_NOMEM;
	n->ev = ev;
	n->opt = *opt;
	n->until_ms = ev_now_ms(ev) + KAREZ_UP_NAMES_MS;
	n->task = (struct ev_task){.fn = karez_up_names_on_task, .arg = n};
	ev_task_run(ev, &n->task);
	*out = n;
	return 0;
}
