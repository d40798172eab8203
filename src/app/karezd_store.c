/* Moving an installation to another kind of store; karezd is stopped meanwhile. */
#include "app/karezd_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/record.h"
#include "store/store_dump.h"

struct karezd_store {
	const struct karezd_store_opt *opt;
	const char *did; /* "exported", "imported" */
	int code;
};

static const struct str *karezd_store_kinds(size_t *n)
{
	static const struct str kinds[] = {
#define KIND(literal) {literal, sizeof literal - 1}
		KIND("account"), KIND("credential"), KIND("proof"), KIND("tunnel"),
		KIND("claim"),	 KIND("domain"),     KIND("route"), KIND("invite"),
		KIND("owned"),	 KIND("secret"),     KIND("meta"),
#undef KIND
	};

	*n = ARRAY_LEN(kinds);
	return kinds;
}

static void karezd_store_on_done(void *arg, const struct store_dump_result *r)
{
	struct karezd_store *s = arg;

	if (r->e == 0)
		fprintf(stderr, "karezd: %zu records %s, %s\n", r->n_records, s->did,
			s->opt->where);
	else if (r->n_records > 0)
		fprintf(stderr, "karezd: %s: %s; %zu records were %s before that\n", s->opt->file,
			r->why, r->n_records, s->did);
	else
		fprintf(stderr, "karezd: %s: %s; nothing was %s\n", s->opt->file, r->why, s->did);
	s->code = r->e == 0 ? 0 : 1;
	ev_stop(s->opt->ev);
}

/* The records name every account and hold the key of all fingerprints. */
static FILE *karezd_store_create(const char *file)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return fd < 0 ? NULL : fdopen(fd, "w");
}

/* What was exported may soon be all there is: it is on the disk before we end. */
static int karezd_store_keep(const char *file, FILE *f)
{
	bool kept = fflush(f) == 0 && fsync(fileno(f)) == 0;

	if (fclose(f) == 0 && kept)
		return 0;
	fprintf(stderr, "karezd: cannot write the file %s: %s\n", file, strerror(errno));
	return 1;
}

int karezd_store_export(const struct karezd_store_opt *opt)
{
	struct karezd_store s = {.opt = opt, .did = "exported", .code = 1};
	bool piped = strcmp(opt->file, "-") == 0;
	FILE *f = piped ? stdout : karezd_store_create(opt->file);
	const struct str *kinds;
	size_t n;

	if (f == NULL) {
		fprintf(stderr, "karezd: cannot make the file %s: %s\n", opt->file,
			strerror(errno));
		return 1;
	}
	kinds = karezd_store_kinds(&n);
	if (store_export(opt->ev, opt->store, kinds, n, f, karezd_store_on_done, &s) == 0)
		ev_run(opt->ev);
	if (piped)
		return s.code;
	if (s.code == 0)
		s.code = karezd_store_keep(opt->file, f);
	else
		fclose(f);
	if (s.code != 0)
		unlink(opt->file);
	return s.code;
}

int karezd_store_import(const struct karezd_store_opt *opt)
{
	struct karezd_store s = {.opt = opt, .did = "imported", .code = 1};
	FILE *f = fopen(opt->file, "re");
	const struct str *kinds;
	size_t n;

	if (f == NULL) {
		fprintf(stderr, "karezd: cannot read the file %s: %s\n", opt->file,
			strerror(errno));
		return 1;
	}
	kinds = karezd_store_kinds(&n);
	if (store_import(opt->ev, opt->store, kinds, n, f, karezd_store_on_done, &s) == 0)
		ev_run(opt->ev);
	fclose(f);
	return s.code;
}
