/* Counts what is allocated, in one program with one thread. */
#include "sim/scarce_memory.h"

#include <execinfo.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/wire_mem.h"

#define FRAMES 16

/* It has to be at file scope: malloc() has no argument for it. */
static struct {
	bool armed, failed;
	unsigned held;
	size_t left, more; /* until the next that fails; to fail after that */
	void *frames[FRAMES];
	int n_frames;
} scarce;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
char *__real_strdup(const char *s);
void *__real_must_calloc(size_t n, size_t size);
int __real_wire_mem_pair(struct ev *ev, const struct wire_mem_opt *opt, struct wire **a,
			 struct wire **b);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
char *__wrap_strdup(const char *s);
void *__wrap_must_calloc(size_t n, size_t size);
int __wrap_wire_mem_pair(struct ev *ev, const struct wire_mem_opt *opt, struct wire **a,
			 struct wire **b);
int __wrap_nghttp2_session_client_new2(nghttp2_session **out, const nghttp2_session_callbacks *cb,
				       void *arg, const nghttp2_option *option);
int __wrap_nghttp2_session_server_new2(nghttp2_session **out, const nghttp2_session_callbacks *cb,
				       void *arg, const nghttp2_option *option);

static bool scarce_fails(void)
{
	if (!scarce.armed || scarce.held > 0)
		return false;
	if (scarce.left > 0) {
		scarce.left--;
		return false;
	}
	scarce_hold();
	scarce.n_frames = backtrace(scarce.frames, FRAMES);
	scarce_let();
	scarce.failed = true;
	if (scarce.more-- == 0)
		scarce.armed = false;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return scarce_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return scarce_fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return scarce_fails() ? NULL : __real_realloc(p, size);
}

char *__wrap_strdup(const char *s)
{
	return scarce_fails() ? NULL : __real_strdup(s);
}

void *__wrap_must_calloc(size_t n, size_t size)
{
	void *p;

	scarce_hold();
	p = __real_must_calloc(n, size);
	scarce_let();
	return p;
}

/* The network of the simulation. */
int __wrap_wire_mem_pair(struct ev *ev, const struct wire_mem_opt *opt, struct wire **a,
			 struct wire **b)
{
	int e;

	scarce_hold();
	e = __real_wire_mem_pair(ev, opt, a, b);
	scarce_let();
	return e;
}

/* ---- libraries ---- */

static void *scarce_ng_malloc(size_t size, void *arg)
{
	return __wrap_malloc(size);
}

static void scarce_ng_free(void *p, void *arg)
{
	free(p);
}

static void *scarce_ng_calloc(size_t n, size_t size, void *arg)
{
	return __wrap_calloc(n, size);
}

static void *scarce_ng_realloc(void *p, size_t size, void *arg)
{
	return __wrap_realloc(p, size);
}

static nghttp2_mem *scarce_ng(void)
{
	static nghttp2_mem mem = {NULL, scarce_ng_malloc, scarce_ng_free, scarce_ng_calloc,
				  scarce_ng_realloc};

	return &mem;
}

int __wrap_nghttp2_session_client_new2(nghttp2_session **out, const nghttp2_session_callbacks *cb,
				       void *arg, const nghttp2_option *option)
{
	return nghttp2_session_client_new3(out, cb, arg, option, scarce_ng());
}

int __wrap_nghttp2_session_server_new2(nghttp2_session **out, const nghttp2_session_callbacks *cb,
				       void *arg, const nghttp2_option *option)
{
	return nghttp2_session_server_new3(out, cb, arg, option, scarce_ng());
}

/* ---- what the test asks ---- */

void scarce_init(void)
{
	void *frame;

	(void)!backtrace(&frame, 1); /* the first call allocates */
}

void scarce_arm(size_t n, size_t more)
{
	scarce.armed = true;
	scarce.failed = false;
	scarce.left = n;
	scarce.more = more;
}

bool scarce_disarm(void)
{
	scarce.armed = false;
	return scarce.failed;
}

void scarce_hold(void)
{
	scarce.held++;
}

void scarce_let(void)
{
	scarce.held--;
}

void scarce_show(void)
{
	fflush(stdout);
	backtrace_symbols_fd(scarce.frames, scarce.n_frames, 1);
}
