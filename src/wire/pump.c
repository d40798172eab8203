/* Read what the destination has room for, write it, keep only what was refused. */
#include "wire/pump.h"

#include <string.h>

#include "base/err.h"

/* A start up to this length waits for as many bytes behind it. */
#define PUMP_JOIN (8 * 1024)

static enum pump_state pump_fail(struct pump *p, int e, bool failed_src)
{
	p->e = e;
	p->failed_src = failed_src;
	p->want_read = p->want_write = false;
	return p->state = PUMP_FAILED;
}

/* Everything is written: is it the end? */
static bool pump_ended(struct pump *p)
{
	p->want_read = p->want_write = false;
	if (p->left == 0 || p->filter_ended)
		p->state = PUMP_END;
	else if (p->src_ended)
		p->state = PUMP_EOF;
	return p->state != PUMP_RUNNING;
}

/* Offer some bytes; what is not taken becomes pending. */
static int pump_write(struct pump *p, struct iovec *iov, int n_iov)
{
	size_t len = wire_iov_len(iov, n_iov), taken = 0;
	int e;

	if (len == 0)
		return 0;
	if ((e = wire_write(p->dst, iov, n_iov, &taken)) != 0)
		return e;
	p->n_bytes += taken;
	if (taken == len)
		return 0;
	for (int i = wire_iov_skip(iov, n_iov, taken); i < n_iov; i++)
		if (buf_add(&p->pending, iov[i].iov_base, iov[i].iov_len, SIZE_MAX) != 0)
			return ERR_NOMEM;
	return 0;
}

/* Returns true when nothing is pending any more. */
static bool pump_flush(struct pump *p)
{
	size_t before = p->pending.len;
	int e;

	if (before == 0)
		return true;
	if ((e = wire_write_buf(p->dst, &p->pending)) != 0) {
		pump_fail(p, e, false);
		return false;
	}
	p->n_bytes += before - p->pending.len;
	p->want_write = p->pending.len > 0;
	p->want_read = false;
	return !p->want_write;
}

/* Through the filter, as many writes as it takes; unused bytes go back to the source. */
static int pump_filtered(struct pump *p, struct str in)
{
	struct pump_out out;
	bool at_end = in.p == NULL;
	int e;

	do {
		size_t before = in.len;

		out.n_iov = 0;
		if ((e = p->filter(p->filter_arg, &in, &out, &p->filter_ended)) != 0)
			return e;
		CHECK(in.len < before || out.n_iov > 0 || p->filter_ended || at_end);
		if (p->pending.len > 0) { /* refused already: queue in order */
			for (int i = 0; i < out.n_iov; i++)
				if (buf_add(&p->pending, out.iov[i].iov_base, out.iov[i].iov_len,
					    SIZE_MAX) != 0)
					return ERR_NOMEM;
		} else if ((e = pump_write(p, out.iov, out.n_iov)) != 0) {
			return e;
		}
	} while (in.len > 0 && !p->filter_ended);
	if (in.len > 0)
		wire_unread(p->src, in.len);
	return 0;
}

static int pump_pass(struct pump *p, struct str in)
{
	struct iovec iov = {.iov_base = (char *)(uintptr_t)in.p, .iov_len = in.len};

	if (p->left != UINT64_MAX)
		p->left -= in.len;
	if (p->filter != NULL)
		return pump_filtered(p, in);
	return pump_write(p, &iov, 1);
}

/* A short start, such as a head, and the first bytes behind it: one write instead of two. */
static int pump_join(struct pump *p)
{
	size_t max = PUMP_JOIN;
	struct str in;
	int e;

	if (p->pending.len == 0 || p->pending.len > PUMP_JOIN || p->want_write || p->left == 0 ||
	    p->src_ended)
		return 0;
	if (max > p->left)
		max = (size_t)p->left;
	if (wire_read(p->src, max, &in) != 0)
		return 0; /* the loop will meet it again */
	if (p->left != UINT64_MAX)
		p->left -= in.len;
	if (p->filter != NULL && (e = pump_filtered(p, in)) != 0)
		return e;
	return p->filter != NULL ? 0 : buf_add(&p->pending, in.p, in.len, SIZE_MAX);
}

enum pump_state pump_run(struct pump *p)
{
	size_t budget = PUMP_TURN_BYTES;
	int e;

	if (p->state != PUMP_RUNNING)
		return p->state;
	if ((e = pump_join(p)) != 0)
		return pump_fail(p, e, true);
	if (!pump_flush(p))
		return p->state;
	while (!pump_ended(p)) {
		size_t room = wire_room(p->dst), max;
		struct str in;

		if (room == 0) {
			p->want_write = true;
			return p->state;
		}
		if (budget == 0) {
			p->want_read = true;
			return p->state;
		}
		max = MIN(MIN(room, budget), (size_t)EV_SCRATCH);
		if (max > p->left)
			max = (size_t)p->left;
		e = wire_read(p->src, max, &in);
		if (e == ERR_AGAIN) {
			p->want_read = true;
			return p->state;
		}
		if (e == ERR_EOF) {
			p->src_ended = true;
			in = (struct str){NULL, 0};
			if (p->filter != NULL && (e = pump_filtered(p, in)) != 0)
				return pump_fail(p, e, e == ERR_PROTO || e == ERR_TOOBIG);
		} else if (e != 0) {
			return pump_fail(p, e, true);
		} else {
			budget -= MIN(budget, in.len);
			if ((e = pump_pass(p, in)) != 0)
				return pump_fail(p, e, e == ERR_PROTO || e == ERR_TOOBIG);
		}
		if (p->pending.len > 0) {
			p->want_write = true;
			p->want_read = false;
			return p->state;
		}
	}
	return p->state;
}

void pump_free(struct pump *p)
{
	buf_free(&p->pending);
}
