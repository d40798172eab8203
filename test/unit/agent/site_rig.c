#include "unit/agent/site_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

/* ---- the net inside ---- */

struct agent_dial {
	struct site_rig *rig;
	struct ev_task task;
	void (*done)(void *arg, int e, struct wire *w);
	void *arg;
};

static void inner_on_task(void *arg)
{
	struct agent_dial *d = arg;

	ev_free_later(d->rig->ev, d);
	d->done(d->arg, ERR_REFUSED, NULL);
}

static int inner_dial(struct agent_net *net, const struct agent_dial_opt *opt,
		      struct agent_dial **out)
{
	struct site_rig *r = CONTAINER_OF(net, struct site_rig, inner);
	struct agent_dial *d = calloc(1, sizeof *d);

	assert_non_null(d);
	*d = (struct agent_dial){.rig = r, .done = opt->done, .arg = opt->arg};
	d->task = (struct ev_task){.fn = inner_on_task, .arg = d};
	ev_task_run(r->ev, &d->task);
	r->n_inner++;
	*out = d;
	return 0;
}

static void inner_cancel(struct agent_dial *d)
{
	d->rig->n_inner_cancelled++;
	ev_task_cancel(&d->task);
	ev_free_later(d->rig->ev, d);
}

static const char *inner_explain(struct agent_net *net, const struct url *to, const struct wire *w)
{
	return "inner";
}

static const struct agent_net_ops inner_ops = {inner_dial, inner_cancel, inner_explain};

/* ---- the tree ---- */

const char *site_rig_path(struct site_rig *r, const char *name, char out[256])
{
	str_printf(out, 256, "%s/%s", r->base, name);
	return out;
}

void site_rig_file(struct site_rig *r, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	site_rig_path(r, name, path);
	if (text == NULL) {
		assert_int_equal(mkdir(path, 0755), 0);
		return;
	}
	assert_non_null(f = fopen(path, "w"));
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

void site_rig_touch(struct site_rig *r, const char *name, int64_t s)
{
	struct timespec times[2] = {{.tv_sec = s}, {.tv_sec = s}};
	char path[256];

	assert_int_equal(utimensat(AT_FDCWD, site_rig_path(r, name, path), times, 0), 0);
}

static int rig_remove(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	return remove(path);
}

/* ---- the visitor ---- */

static void rig_on_ready(void *arg, struct wire *w, int events)
{
	struct site_rig *r = arg;
	struct str in;
	int e;

	if (r->lazy) {
		wire_want(w, 0);
		return;
	}
	while ((e = wire_read(w, 65536, &in)) == 0) {
		assert_true(r->n_got + in.len < SITE_RIG_GOT);
		memcpy(r->got + r->n_got, in.p, in.len);
		r->n_got += in.len;
		r->got[r->n_got] = '\0';
	}
	r->eof = r->eof || e == ERR_EOF;
	if (e != ERR_AGAIN)
		wire_want(w, 0);
}

static void rig_on_broken(void *arg, struct wire *w, int why)
{
	((struct site_rig *)arg)->why = why;
}

static const struct wire_owner rig_owner = {rig_on_ready, rig_on_broken};

static void rig_on_dialled(void *arg, int e, struct wire *w)
{
	struct site_rig *r = arg;

	r->dial = NULL;
	r->n_done++;
	r->dial_e = e;
	r->wire = w;
	if (w == NULL)
		return;
	wire_own(w, &rig_owner, r);
	wire_want(w, WIRE_READ);
}

void site_rig_dial_url(struct site_rig *r, const char *text)
{
	struct agent_dial_opt opt = {.timeout_ms = 10000, .done = rig_on_dialled, .arg = r};
	struct url to;

	assert_null(r->wire);
	assert_int_equal(url_parse(str_of(text), &to, NULL), 0);
	opt.to = &to;
	r->why = 0;
	r->eof = false;
	assert_int_equal(agent_net_dial(r->net, &opt, &r->dial), 0);
	ev_sim_run_for(r->ev, 10);
}

void site_rig_dial(struct site_rig *r)
{
	char url[128];

	str_printf(url, sizeof url, "file://%s", r->dir);
	site_rig_dial_url(r, url);
	assert_int_equal(r->dial_e, 0);
	assert_non_null(r->wire);
}

void site_rig_leave(struct site_rig *r, int why)
{
	wire_close(r->wire, why);
	r->wire = NULL;
	ev_sim_run_for(r->ev, 10);
}

void site_rig_say(struct site_rig *r, const char *text)
{
	r->n_got = 0;
	r->got[0] = '\0';
	if (r->eof || r->why != 0)
		site_rig_leave(r, 0);
	if (r->wire == NULL)
		site_rig_dial(r);
	assert_int_equal(wire_write_all(r->wire, str_of(text)), 0);
	ev_sim_run_for(r->ev, 100);
}

void site_rig_get(struct site_rig *r, const char *path, const char *fields)
{
	static char text[70000];

	str_printf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: a.example\r\n%s\r\n", path, fields);
	site_rig_say(r, text);
}

int site_rig_status(const struct site_rig *r)
{
	return strncmp(r->got, "HTTP/1.1 ", 9) == 0 ? atoi(r->got + 9) : 0;
}

const char *site_rig_body(const struct site_rig *r)
{
	const char *end = strstr(r->got, "\r\n\r\n");

	return end == NULL ? "" : end + 4;
}

bool site_rig_has(const struct site_rig *r, const char *text)
{
	return memmem(r->got, r->n_got, text, strlen(text)) != NULL;
}

/* ---- the rig ---- */

void site_rig_open(struct site_rig *r)
{
	*r = (struct site_rig){.inner = {&inner_ops}, .base = "/tmp/karez-site-XXXXXX"};
	assert_non_null(r->got = calloc(1, SITE_RIG_GOT));
	assert_non_null(mkdtemp(r->base));
	str_printf(r->dir, sizeof r->dir, "%s/root", r->base);
	site_rig_file(r, "root", NULL);
	assert_int_equal(ev_sim_new(1, &r->ev), 0);
	r->opt.inner = &r->inner;
}

void site_rig_net(struct site_rig *r)
{
	assert_int_equal(site_net_new(r->ev, &r->opt, &r->net), 0);
}

void site_rig_close(struct site_rig *r)
{
	agent_net_cancel(r->net, r->dial);
	site_net_free(r->net);
	wire_close(r->wire, 0);
	/* not even a timer is left */
	assert_false(ev_sim_run_for(r->ev, 1000000));
	ev_free(r->ev);
	assert_int_equal(nftw(r->base, rig_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
	free(r->got);
}
