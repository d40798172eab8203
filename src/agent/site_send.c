/* Write what is there, read the next piece on a thread, again; whoever leaves is noticed at once.
 */
#include "agent/site_send.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"

struct site_send {
	struct site_job job;	/* first: reads a piece */
	struct site_send_opt o; /* out: owned, not to be touched while a job runs; fd: owned */
	struct wire *wire;	/* borrowed from the connection; NULL: it was taken back */
	struct ev_timer stall;
	size_t at;	/* the part that is being sent */
	uint64_t taken; /* bytes of it that were read */
	bool begun;	/* what stands before it was written */
	bool reading;	/* a job runs */
	size_t piece;	/* bytes to read, and that were read */
	char *room;	/* where to */
	bool failed;
};

/* ---- parts ---- */

/* What stands before part i; behind the last one for i = n. Returns its length. */
static size_t site_part_text(const struct site_parts *p, size_t i, char out[SITE_PART_MAX])
{
	char range[HTTP_RANGE_TEXT];

	if (p->boundary[0] == '\0')
		return str_printf(out, SITE_PART_MAX, "%s", "");
	if (i == p->ranges.n)
		return str_printf(out, SITE_PART_MAX, "\r\n--%s--\r\n", p->boundary);
	http_range_format(&p->ranges.v[i], p->size, range);
	return str_printf(out, SITE_PART_MAX,
			  "\r\n--%s\r\nContent-Type: " STR_FMT "\r\nContent-Range: %s\r\n\r\n",
			  p->boundary, STR_ARG(p->type), range);
}

uint64_t site_parts_length(const struct site_parts *p)
{
	char text[SITE_PART_MAX];
	uint64_t n = 0;

	for (size_t i = 0; i < p->ranges.n; i++)
		n += site_part_text(p, i, text) + p->ranges.v[i].len;
	return p->ranges.n > 0 ? n + site_part_text(p, p->ranges.n, text) : 0;
}

/* ---- the end ---- */

/* The connection has been given back, or is gone. */
static void site_send_release(struct site_send *s)
{
	s->wire = NULL;
	ev_timer_stop(s->o.ev, &s->stall);
	if (s->reading) { /* the job's end comes here again */
		site_job_drop(&s->job);
		return;
	}
	if (s->o.fd >= 0)
		close(s->o.fd);
	buf_free(&s->o.out);
	ev_free_later(s->o.ev, s);
}

static void site_send_end(struct site_send *s, enum http_after after)
{
	struct http_conn *c = s->o.conn;

	site_send_release(s);
	http_conn_return(c, after);
}

static void site_send_on_recall(void *arg)
{
	site_send_release(arg);
}

static void site_send_on_stall(void *arg)
{
	site_send_end(arg, HTTP_ABORT);
}

/* ---- reading ---- */

/* On a thread. */
static void site_send_read(struct site_job *job)
{
	struct site_send *s = (struct site_send *)job;
	off_t at = (off_t)(s->o.parts.ranges.v[s->at].first + s->taken);
	ssize_t n = pread(s->o.fd, s->room, s->piece, at);

	s->failed = n <= 0; /* 0: it has shrunk */
	s->piece = n > 0 ? (size_t)n : 0;
}

static void site_send_run(struct site_send *s);

static void site_send_on_read(struct site_job *job, int e)
{
	struct site_send *s = (struct site_send *)job;

	s->reading = false;
	if (s->wire == NULL) {
		site_send_release(s);
		return;
	}
	if (e != 0 || s->failed) {
		site_send_end(s, HTTP_ABORT);
		return;
	}
	buf_added(&s->o.out, s->piece);
	s->taken += s->piece;
	site_send_run(s);
}

static void site_send_next_piece(struct site_send *s)
{
	uint64_t left = s->o.parts.ranges.v[s->at].len - s->taken;

	s->piece = (size_t)MIN(left, SITE_PIECE);
	if (buf_room(&s->o.out, s->piece, SITE_PIECE + SITE_PART_MAX, &s->room) != 0) {
		site_send_end(s, HTTP_ABORT);
		return;
	}
	wire_want(s->wire, 0);
	ev_timer_stop(s->o.ev, &s->stall);
	s->reading = true;
	site_work_run(s->o.work, &s->job);
}

/* ---- writing ---- */

/* Returns true when nothing waits to be written. */
static bool site_send_flush(struct site_send *s)
{
	size_t before = s->o.out.len;
	int e = wire_write_buf(s->wire, &s->o.out);

	if (e != 0) {
		site_send_end(s, HTTP_ABORT);
		return false;
	}
	if (s->o.out.len == 0)
		return true;
	if (s->o.out.len < before || !ev_timer_is_set(&s->stall))
		ev_timer_set(s->o.ev, &s->stall, SITE_STALL_MS);
	wire_want(s->wire, WIRE_WRITE);
	return false;
}

/* Put what stands before a part, or behind the last one, in front of what is to be read. */
static bool site_send_begin(struct site_send *s)
{
	char text[SITE_PART_MAX];
	size_t len = site_part_text(&s->o.parts, s->at, text);

	s->begun = true;
	if (buf_add(&s->o.out, text, len, SITE_PART_MAX) == 0)
		return true;
	site_send_end(s, HTTP_ABORT);
	return false;
}

static void site_send_run(struct site_send *s)
{
	size_t n = s->o.parts.ranges.n;

	while (site_send_flush(s)) {
		if (s->at < n && s->begun && s->taken == s->o.parts.ranges.v[s->at].len) {
			s->at++;
			s->taken = 0;
			s->begun = false;
		} else if (!s->begun && n > 0) {
			if (!site_send_begin(s))
				return;
			if (s->at < n) {
				site_send_next_piece(s);
				return;
			}
		} else if (s->at < n) {
			site_send_next_piece(s);
			return;
		} else {
			site_send_end(s, s->o.after);
			return;
		}
	}
}

static void site_send_on_ready(void *arg, struct wire *w, int events)
{
	site_send_run(arg);
}

static void site_send_on_broken(void *arg, struct wire *w, int why)
{
	site_send_end(arg, HTTP_ABORT);
}

static const struct wire_owner site_send_owner = {site_send_on_ready, site_send_on_broken};

int site_send(struct site_send_opt *opt)
{
	struct site_send *s = calloc(1, sizeof *s);

	if (s == NULL)
		return ERR_NOMEM;
	*s = (struct site_send){.job = {.work = site_send_read, .done = site_send_on_read},
				.o = *opt,
				.stall = {.fn = site_send_on_stall, .arg = s}};
	opt->out = (struct buf){0};
	opt->fd = -1;
	s->wire = http_conn_borrow(opt->conn, &site_send_owner, s);
	http_conn_on_recall(opt->conn, site_send_on_recall, s);
	site_send_run(s);
	return 0;
}
