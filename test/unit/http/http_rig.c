/* Counts and keeps everything that either side is told, so that a test can look at it. */
#include "unit/http/http_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"

/* ---- the peer ---- */

static void peer_on_ready(void *arg, struct wire *w, int events)
{
	struct rig *r = arg;
	struct str in;
	int e;

	while ((e = wire_read(w, sizeof r->got, &in)) == 0) {
		assert_true(r->n_got + in.len < sizeof r->got);
		memcpy(r->got + r->n_got, in.p, in.len);
		r->n_got += in.len;
		r->got[r->n_got] = '\0';
	}
	if (e == ERR_EOF) {
		r->eof = true;
		wire_want(w, 0);
	}
}

static void peer_on_broken(void *arg, struct wire *w, int why)
{
	((struct rig *)arg)->why = why;
}

static const struct wire_owner peer_owner = {peer_on_ready, peer_on_broken};

/* ---- the handler ---- */

static void lent_on_ready(void *arg, struct wire *w, int events)
{
	((struct rig *)arg)->n_lent_ready++;
	wire_want(w, 0);
}

static void lent_on_broken(void *arg, struct wire *w, int why)
{
	struct rig *r = arg;

	r->n_lent_broken++;
	http_conn_return(r->conn, HTTP_ABORT);
}

static const struct wire_owner lent_owner = {lent_on_ready, lent_on_broken};

void rig_reply(struct rig *r, size_t len)
{
	static char body[100000];
	struct http_page page = {.status = 200, .content_type = STR("text/plain")};

	memset(body, 'x', sizeof body);
	page.body = (struct str){body, len};
	http_conn_reply(r->conn, &page);
}

void rig_on_gone(void *arg)
{
	((struct rig *)arg)->n_gone++;
}

static void on_request(void *arg, struct http_conn *c, const struct http_request *req)
{
	struct rig *r = arg;

	assert_ptr_equal(c, r->conn);
	r->n_requests++;
	r->must_close = http_conn_must_close(c);
	strncat(r->paths, req->path.p, req->path.len);
	switch (r->deed) {
	case REPLY: rig_reply(r, 2); break;
	case WAIT: http_conn_on_gone(c, rig_on_gone, r); break;
	case UPGRADE:
		r->taken = http_conn_upgrade(c, STR("HTTP/1.1 101 Switching Protocols\r\n\r\n"));
		break;
	case BORROW:
		r->lent = http_conn_borrow(c, &lent_owner, r);
		wire_want(r->lent, 0);
		break;
	case ASK: r->ask(r, req); break;
	}
}

static void on_closed(void *arg, struct http_conn *c)
{
	struct rig *r = arg;

	r->n_closed++;
	r->conn = NULL;
}

/* ---- the rig ---- */

void rig_open_with(struct rig *r, enum deed deed, const struct wire_mem_opt *mem)
{
	static const struct http_deadlines deadlines = {.head_ms = HEAD_MS, .idle_ms = IDLE_MS};
	struct http_conn_opt opt = {.deadlines = &deadlines,
				    .request = on_request,
				    .closed = on_closed,
				    .arg = r};
	struct wire *near;

	memset(r, 0, sizeof *r);
	r->deed = deed;
	assert_int_equal(ev_sim_new(1, &r->ev), 0);
	assert_int_equal(wire_mem_pair(r->ev, mem, &near, &r->peer), 0);
	wire_own(r->peer, &peer_owner, r);
	wire_want(r->peer, WIRE_READ);
	assert_int_equal(http_conn_new(r->ev, near, &opt, &r->conn), 0);
}

void rig_open(struct rig *r, enum deed deed)
{
	rig_open_with(r, deed, &(struct wire_mem_opt){.cap = 1 << 20});
}

void rig_leave(struct rig *r, int why)
{
	wire_close(r->peer, why);
	r->peer = NULL;
	ev_sim_run_for(r->ev, 10);
}

void rig_close(struct rig *r)
{
	bool open = r->conn != NULL;
	int n_closed = r->n_closed;

	http_conn_close(r->conn);
	r->conn = NULL;
	wire_close(r->taken, 0);
	wire_close(r->peer, 0);
	assert_false(ev_sim_run_for(r->ev, 100000));
	assert_int_equal(r->n_closed, n_closed); /* not for our own http_conn_close() */
	assert_int_equal(n_closed, open ? 0 : 1);
	ev_free(r->ev);
}

void rig_say_bytes(struct rig *r, const char *p, size_t len)
{
	assert_int_equal(wire_write_all(r->peer, (struct str){p, len}), 0);
	ev_sim_run_for(r->ev, 10);
}

void rig_say(struct rig *r, const char *text)
{
	rig_say_bytes(r, text, strlen(text));
}

size_t rig_count(const struct rig *r, const char *needle)
{
	size_t n = 0;

	for (const char *p = r->got; (p = strstr(p, needle)) != NULL; p++)
		n++;
	return n;
}
