/*
 * Any bytes as what a peer of WebSocket sends: they mean the same however they are cut, nothing
 * grows, and the wire comes to an end.
 *
 * The first byte picks our role, the second how the rest is cut, the third how it is read.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "wire/wire_mem.h"
#include "wire/wire_ws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
	struct ev *ev;
	struct wire *w, *far;
	size_t max; /* of one read; of every second one a byte is given back */
	size_t n_reads;
	uint8_t *got;
	size_t n_got, cap;
	bool eof;
	int why;
	size_t n_said; /* by us */
};

static void fuzz_on_ready(void *arg, struct wire *w, int events)
{
	struct fuzz *f = arg;
	struct str in;
	int e;

	while ((e = wire_read(w, f->max, &in)) == 0) {
		size_t back = f->n_reads++ % 2;

		CHECK(in.len > 0 && in.len <= f->max && f->n_got + in.len <= f->cap);
		memcpy(f->got + f->n_got, in.p, in.len);
		if (back > 0)
			wire_unread(w, back);
		f->n_got += in.len - back;
	}
	if (e == ERR_EOF) {
		f->eof = true;
		wire_want(w, 0);
	}
}

static void fuzz_on_broken(void *arg, struct wire *w, int why)
{
	struct fuzz *f = arg;

	CHECK(f->why == 0 && why != 0 && why != ERR_AGAIN && why != ERR_EOF);
	f->why = why;
}

static const struct wire_owner fuzz_owner = {fuzz_on_ready, fuzz_on_broken};

static void fuzz_on_far_ready(void *arg, struct wire *w, int events)
{
	struct fuzz *f = arg;
	struct str in;
	int e;

	while ((e = wire_read(w, 65536, &in)) == 0)
		f->n_said += in.len;
	if (e != ERR_AGAIN)
		wire_want(w, 0);
}

static void fuzz_on_far_broken(void *arg, struct wire *w, int why)
{
}

static const struct wire_owner fuzz_far_owner = {fuzz_on_far_ready, fuzz_on_far_broken};

static void fuzz_play(struct fuzz *f, bool client, struct str in, size_t piece)
{
	struct wire_mem_opt opt = {.cap = 1 << 20};
	struct wire *near;
	size_t n_in = in.len;

	CHECK(ev_sim_new(1, &f->ev) == 0 && wire_mem_pair(f->ev, &opt, &near, &f->far) == 0);
	CHECK((client ? wire_ws_client(f->ev, near, &f->w) : wire_ws_server(f->ev, near, &f->w)) ==
	      0);
	f->cap = in.len + 1;
	CHECK((f->got = malloc(f->cap)) != NULL);
	wire_own(f->w, &fuzz_owner, f);
	wire_want(f->w, WIRE_READ);
	wire_own(f->far, &fuzz_far_owner, f);
	wire_want(f->far, WIRE_READ);
	while (in.len > 0 && f->why == 0) {
		size_t n = MIN(piece, in.len);

		if (wire_write_all(f->far, (struct str){in.p, n}) != 0)
			break;
		in = (struct str){in.p + n, in.len - n};
		ev_sim_run_for(f->ev, 1);
	}
	CHECK(f->n_got <= n_in);
	CHECK(f->n_said <= 3 * n_in + 64); /* an empty ping has 2 bytes, a masked pong 6 */
}

static void fuzz_end(struct fuzz *f)
{
	wire_close(f->w, 0);
	wire_close(f->far, 0);
	CHECK(!ev_sim_run_for(f->ev, 60000));
	ev_free(f->ev);
	free(f->got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz whole = {0}, cut = {0};
	struct str in;
	bool client;

	if (size < 3)
		return 0;
	client = data[0] & 1;
	in = (struct str){(const char *)data + 3, size - 3};
	whole.max = 65536;
	cut.max = 2 + data[2] % 32u;
	fuzz_play(&whole, client, in, SIZE_MAX);
	fuzz_play(&cut, client, in, 1 + data[1] % 16u);
	CHECK(whole.eof == cut.eof && whole.why == cut.why && whole.n_got == cut.n_got);
	CHECK(memcmp(whole.got, cut.got, whole.n_got) == 0);
	fuzz_end(&whole);
	fuzz_end(&cut);
	return 0;
}
