/*
 * Looking at files, and making something new of them.
 *
 * The thread gets a job of its own: a reference to the context, of which it reads what never
 * changes, and one to what is in force now. Only the loop counts references.
 */
#include "wire/tls_reload.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "wire/tls_inside.h"

struct tls_reload_job {
	struct tls_reload *owner; /* weak: tls_reload_free() clears it */
	struct tls_context *ctx;  /* a reference */
	struct tls_set *old;	  /* a reference */
	bool force;
	uint64_t seen, tried; /* as below */
	/* What the thread says. */
	uint64_t stamp;	     /* of the files now */
	bool loaded;	     /* they were read: */
	int e;		     /* 0, or why set is NULL */
	struct tls_set *set; /* owned */
	char why[TLS_CONTEXT_WHY];
};

struct tls_reload {
	struct ev *ev;
	struct tls_reload_opt opt;
	struct tls_reload_job *job; /* borrowed: tls_reload_on_done() frees it; NULL: none */
	struct ev_timer look, recheck;
	uint64_t seen;	/* the stamp at the last look */
	uint64_t tried; /* and at the last reading */
	bool again;	/* read all when the job is done */
};

static void tls_reload_start(struct tls_reload *r, bool force);

/* ---- the thread ---- */

/* Files that are not as they were at the last look may still be being written. */
static void tls_reload_work(void *arg)
{
	struct tls_reload_job *job = arg;

	job->stamp = tls_set_stamp(job->ctx);
	job->loaded = job->force || (job->stamp != job->tried && job->stamp == job->seen);
	if (job->loaded)
		job->e = tls_set_load(job->ctx, job->old, &job->set, job->why);
}

/* ---- the loop ---- */

static void tls_reload_free_job(struct tls_reload_job *job)
{
	tls_set_free(job->set);
	tls_set_free(job->old);
	tls_context_free(job->ctx);
	free(job);
}

static void tls_reload_tell(const struct tls_reload *r, const struct tls_reload_job *job)
{
	struct log *log = r->opt.ctx->log;

	if (log == NULL)
		return;
	if (job->e != 0)
		log_error(
			log,
			"event=certificates-not-loaded code=%s reason=\"%s\" msg=\"what was loaded "
			"before stays in force\"",
			err_name(job->e), job->why);
	else
		log_info(log, "event=certificates-loaded in_directory=%zu skipped=%zu",
			 job->set->n_pairs, job->set->n_told + job->set->n_untold);
}

static void tls_reload_recheck(struct tls_reload *r)
{
	ev_timer_set(r->ev, &r->recheck, TLS_RELOAD_RECHECK_MS);
	if (r->opt.recheck != NULL)
		r->opt.recheck(r->opt.arg);
}

/* Something was read. */
static void tls_reload_take(struct tls_reload *r, struct tls_reload_job *job)
{
	bool news = job->e == 0;

	r->tried = job->e == 0 ? job->set->stamp : job->stamp;
	tls_reload_tell(r, job);
	if (!news)
		return;
	tls_set_tell(job->set, r->opt.ctx->set, r->opt.ctx->log);
	tls_context_replace(r->opt.ctx, &job->set);
	tls_reload_recheck(r);
}

static void tls_reload_on_done(void *arg)
{
	struct tls_reload_job *job = arg;
	struct tls_reload *r = job->owner;

	if (r == NULL) {
		tls_reload_free_job(job);
		return;
	}
	r->job = NULL;
	r->seen = job->stamp;
	/* before anybody is told, who may end us */
	ev_timer_set(r->ev, &r->look,
		     !job->loaded && job->stamp != r->tried ? TLS_RELOAD_SETTLE_MS : TLS_RELOAD_MS);
	if (r->again)
		tls_reload_start(r, true);
	if (job->loaded)
		tls_reload_take(r, job);
	tls_reload_free_job(job);
}

static void tls_reload_start(struct tls_reload *r, bool force)
{
	struct tls_reload_job *job;

	if (r->job != NULL) {
		r->again |= force;
		return;
	}
	r->again = false;
	if ((job = calloc(1, sizeof *job)) == NULL)
		goto later;
	job->owner = r;
	job->ctx = tls_context_share(r->opt.ctx);
	job->old = tls_set_share(r->opt.ctx->set);
	job->force = force;
	job->seen = r->seen;
	job->tried = r->tried;
	if (ev_work(r->ev, tls_reload_work, tls_reload_on_done, job) == 0) {
		r->job = job;
		ev_timer_stop(r->ev, &r->look);
		return;
	}
	tls_reload_free_job(job);
later:
	r->again = force;
	ev_timer_set(r->ev, &r->look, TLS_RELOAD_MS);
}

static void tls_reload_on_look(void *arg)
{
	struct tls_reload *r = arg;

	tls_reload_start(r, r->again);
}

static void tls_reload_on_recheck(void *arg)
{
	struct tls_reload *r = arg;

	tls_ticket_look(r->opt.ctx->ticket, r->ev);
	tls_reload_recheck(r);
}

int tls_reload_new(struct ev *ev, const struct tls_reload_opt *opt, struct tls_reload **out)
{
	struct tls_reload *r = calloc(1, sizeof *r);

	CHECK(opt->ctx->server);
	if (r == NULL)
		return ERR_NOMEM;
	r->ev = ev;
	r->opt = *opt;
	r->opt.ctx = tls_context_share(opt->ctx);
	r->seen = r->tried = opt->ctx->set->stamp;
	r->look = (struct ev_timer){.fn = tls_reload_on_look, .arg = r};
	r->recheck = (struct ev_timer){.fn = tls_reload_on_recheck, .arg = r};
	ev_timer_set(ev, &r->look, TLS_RELOAD_MS);
	ev_timer_set(ev, &r->recheck, TLS_RELOAD_RECHECK_MS);
	*out = r;
	return 0;
}

void tls_reload_now(struct tls_reload *r)
{
	tls_reload_start(r, true);
}

void tls_reload_free(struct tls_reload *r)
{
	if (r == NULL)
		return;
	ev_timer_stop(r->ev, &r->look);
	ev_timer_stop(r->ev, &r->recheck);
	if (r->job != NULL)
		r->job->owner = NULL;
	tls_context_free(r->opt.ctx);
	free(r);
}
