/* While a thread reads it has the book of passwords and the bytes of the last time to itself. */
#include "app/karez_up_file.h"

#include <stdlib.h>
#include <string.h>

#include "app/karez_up_names.h"
#include "app/password_book.h"
#include "base/err.h"
#include "cli/cli_file.h"
#include "cli/cli_secret.h"

/* The thread's while it runs. */
struct karez_up_reading {
	struct karez_up_file *owner; /* weak: karez_up_file_free() clears it */
	struct password_book *book;  /* owned */
	char *path;		     /* owned */
	char *id;		     /* owned; NULL: none */
	struct buf bytes;	     /* owned: of the last time; secrets, maybe */
	bool was;		     /* there was a last time, and it could be read */
	bool anew;		     /* it is parsed even if it is the same */
	bool same;		     /* it is, and was not parsed */
	int e;
	struct services services;
	char why[SERVICES_WHY];
};

struct karez_up_file {
	struct ev *ev;
	struct karez_up_file_opt opt;
	struct karez_up_reading *reading; /* owned, but while the thread has it */
	struct karez_up_names *names;	  /* owned: the questions that run */
	int last;			  /* how the last reading ended */
	bool busy, again, anew;
};

static void karez_up_reading_free(struct karez_up_reading *r)
{
	if (r == NULL)
		return;
	services_free(&r->services);
	cli_secret_wipe(&r->bytes);
	password_book_free(r->book);
	free(r->path);
	free(r->id);
	free(r);
}

/* ---- the thread ---- */

static void karez_up_reading_parse(struct karez_up_reading *r)
{
	struct services_opt opt = {.id = r->id, .hash = password_book_hash, .arg = r->book};

	r->e = services_parse(r->path, buf_str(&r->bytes), &opt, &r->services, r->why);
	if (r->e == 0)
		password_book_turn(r->book);
}

static void karez_up_reading_run(void *arg)
{
	struct karez_up_reading *r = arg;
	struct buf bytes = {0};

	r->e = cli_file_read(r->path, &bytes, r->why, sizeof r->why);
	r->same = r->e == 0 && r->was && !r->anew && str_eq(buf_str(&bytes), buf_str(&r->bytes));
	r->was = r->e == 0;
	if (!r->same) {
		cli_secret_wipe(&r->bytes);
		r->bytes = bytes;
		bytes = (struct buf){0};
	}
	cli_secret_wipe(&bytes);
	if (r->e == 0 && !r->same)
		karez_up_reading_parse(r);
}

/* ---- the loop ---- */

static void karez_up_file_go(struct karez_up_file *f);

/* The reading is over; what it brought is told, if anything. */
static void karez_up_file_finish(struct karez_up_file *f, const struct karez_up_news *news)
{
	f->busy = false;
	if (news != NULL) {
		f->last = news->e;
		f->opt.news(f->opt.arg, news);
	}
	services_free(&f->reading->services);
	f->reading->services = (struct services){0};
	if (f->again)
		karez_up_file_go(f);
}

static void karez_up_file_fail(struct karez_up_file *f, int e, const char *why)
{
	struct karez_up_news news = {.e = e, .why = why};

	karez_up_file_finish(f, &news);
}

static void karez_up_file_on_unsure(void *arg, const char *why)
{
	struct karez_up_file *f = arg;

	f->opt.unsure(f->opt.arg, why);
}

static void karez_up_file_on_names(void *arg, int e, const char *why)
{
	struct karez_up_file *f = arg;
	struct karez_up_news news = {.services = &f->reading->services};

	f->names = NULL;
	if (e != 0)
		karez_up_file_fail(f, e, why);
	else
		karez_up_file_finish(f, &news);
}

static void karez_up_file_check(struct karez_up_file *f)
{
	struct karez_up_names_opt opt = {.services = &f->reading->services,
					 .known = f->opt.known(f->opt.arg),
					 .unsure = karez_up_file_on_unsure,
					 .done = karez_up_file_on_names,
					 .arg = f};

	if (karez_up_names_check(f->ev, &opt, &f->names) != 0)
		karez_up_file_fail(f, ERR_NOMEM, err_text(ERR_NOMEM));
}

static void karez_up_file_on_read(void *arg)
{
	struct karez_up_reading *r = arg;
	struct karez_up_file *f = r->owner;

	if (f == NULL)
		karez_up_reading_free(r);
	else if (r->same || (r->e != 0 && !r->was && !r->anew && r->e == f->last))
		karez_up_file_finish(f, NULL); /* as it was told */
	else if (r->e != 0)
		karez_up_file_fail(f, r->e, r->why);
	else
		karez_up_file_check(f);
}

static void karez_up_file_go(struct karez_up_file *f)
{
	f->reading->anew = f->anew;
	f->again = f->anew = false;
	f->busy = true;
	if (ev_work(f->ev, karez_up_reading_run, karez_up_file_on_read, f->reading) != 0)
		karez_up_file_fail(f, ERR_NOMEM, err_text(ERR_NOMEM));
}

void karez_up_file_read(struct karez_up_file *f, bool anew)
{
	f->anew = f->anew || anew;
	f->again = true;
	if (!f->busy)
		karez_up_file_go(f);
}

int karez_up_file_new(struct ev *ev, const struct karez_up_file_opt *opt,
		      struct karez_up_file **out)
{
	struct karez_up_file *f = calloc(1, sizeof *f);
	struct karez_up_reading *r = calloc(1, sizeof *r);
	int e = ERR_NOMEM;

	if (f == NULL || r == NULL || (r->path = str_dup(str_of(opt->path))) == NULL ||
	    password_book_new(&r->book) != 0)
		goto out;
	if (opt->id != NULL && (r->id = str_dup(str_of(opt->id))) == NULL)
		goto out;
	f->ev = ev;
	f->opt = *opt;
	f->opt.path = f->opt.id = NULL; /* the reading has them */
	r->owner = f;
	MOVE(f->reading, r);
	MOVE(*out, f);
	e = 0;
out:
	karez_up_reading_free(r);
	free(f);
	return e;
}

void karez_up_file_free(struct karez_up_file *f)
{
	if (f == NULL)
		return;
	karez_up_names_cancel(f->names);
	if (f->busy && f->names == NULL)
		f->reading->owner = NULL; /* a thread has it */
	else
		karez_up_reading_free(f->reading);
	ev_free_later(f->ev, f);
}
