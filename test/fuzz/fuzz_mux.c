/*
 * A session whose peer says anything at all: no crash, no leak, and it comes to an end.
 *
 * The first byte picks our role, the second how the rest is cut into pieces.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/util.h"
#include "session/mux.h"
#include "wire/wire_mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
	struct session *session;
	struct wire *streams[16];
	size_t n_streams;
};

/* Streams echo what comes, and end when their peer does. */
static void stream_on_ready(void *arg, struct wire *w, int events)
{
	struct str in;
	int e = wire_read(w, 1000, &in);

	if (e == 0) {
		struct iovec iov = {(void *)(uintptr_t)in.p, in.len};
		size_t taken;

		(void)wire_write(w, &iov, 1, &taken);
	} else if (e == ERR_EOF) {
		wire_shut(w);
		wire_want(w, 0);
	}
}

static void stream_on_broken(void *arg, struct wire *w, int why)
{
	wire_want(w, 0);
}

static const struct wire_owner stream_owner = {stream_on_ready, stream_on_broken};

static void keep_stream(struct fuzz *f, struct wire *w)
{
	if (f->n_streams == ARRAY_LEN(f->streams)) {
		wire_close(w, ERR_LIMIT);
		return;
	}
	f->streams[f->n_streams++] = w;
	wire_own(w, &stream_owner, f);
	wire_want(w, WIRE_READ);
}

static void on_visit(void *arg, struct session *s, const struct visit *visit, struct wire *w)
{
	keep_stream(arg, w);
}

static void on_closed(void *arg, struct session *s, int why, struct str reason)
{
	((struct fuzz *)arg)->session = NULL;
}

static const struct session_owner session_owner = {.visit = on_visit, .closed = on_closed};

/* The peer's side of the carrier throws away what it gets. */
static void far_on_ready(void *arg, struct wire *w, int events)
{
	struct str in;

	while (wire_read(w, 100000, &in) == 0)
		;
	wire_want(w, 0);
}

static void far_on_broken(void *arg, struct wire *w, int why)
{
}

static const struct wire_owner far_owner = {far_on_ready, far_on_broken};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mux_budget budget = {.cap = 64 << 20};
	struct fuzz f = {0};
	struct mux_opt opt = {.budget = &budget, .owner = &session_owner, .arg = &f};
	struct wire_mem_opt mem = {.cap = 1 << 20};
	struct wire *near, *far, *stream;
	struct visit visit = {.ingress = VISIT_HTTP, .tunnel = "demo"};
	size_t piece;
	struct ev *ev;

	if (size < 2)
		return 0;
	opt.role = data[0] & 1 ? MUX_AGENT : MUX_NODE;
	piece = 1 + data[1] % 64;
	data += 2;
	size -= 2;
	CHECK(ev_sim_new(1, &ev) == 0);
	CHECK(wire_mem_pair(ev, &mem, &near, &far) == 0);
	wire_own(far, &far_owner, NULL);
	CHECK(mux_new(ev, near, &opt, &f.session) == 0);
	if (opt.role == MUX_NODE && session_open(f.session, &visit, &stream) == 0)
		keep_stream(&f, stream);
	for (size_t at = 0; at < size; at += piece) {
		struct iovec iov = {(void *)(uintptr_t)(data + at), MIN(piece, size - at)};
		size_t taken;

		if (wire_write(far, &iov, 1, &taken) != 0)
			break;
		wire_want(far, WIRE_READ);
		ev_sim_run_for(ev, 1);
	}
	ev_sim_run_for(ev, MUX_DEAD_MS + 1000);
	CHECK(f.session == NULL); /* a silent peer is dead */
	for (size_t i = 0; i < f.n_streams; i++)
		wire_close(f.streams[i], 0);
	wire_close(far, 0);
	ev_sim_run_for(ev, 1000);
	CHECK(budget.used == 0);
	ev_free(ev);
	return 0;
}
