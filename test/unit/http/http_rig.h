/* One server's connection between a scripted peer and a scripted handler, on virtual time. */
#ifndef KAREZ_TEST_UNIT_HTTP_HTTP_RIG_H
#define KAREZ_TEST_UNIT_HTTP_HTTP_RIG_H

#include "http/http_conn.h"
#include "wire/wire_mem.h"

#define HEAD_MS 5000
#define IDLE_MS 9000

/* What the handler does with a request. */
enum deed { REPLY, WAIT, UPGRADE, BORROW, ASK };

struct rig {
	struct ev *ev;
	struct wire *peer;	/* NULL after rig_leave() */
	struct http_conn *conn; /* NULL once it is closed */
	enum deed deed;
	int n_requests, n_gone, n_closed, n_lent_ready, n_lent_broken;
	char paths[400], got[200000];
	size_t n_got;
	bool eof, must_close;
	int why; /* the peer's wire broke */
	struct wire *lent, *taken;
	/* ASK: what to do instead of one of ours */
	void (*ask)(struct rig *r, const struct http_request *req);
	void *arg; /* the test's own */
};

/* The far end may send and hold 1 MiB; rig_open_with() for another wire. */
void rig_open(struct rig *r, enum deed deed);
void rig_open_with(struct rig *r, enum deed deed, const struct wire_mem_opt *mem);

/* End whatever is left; nothing may remain that could happen. */
void rig_close(struct rig *r);

/* The peer closes its end. */
void rig_leave(struct rig *r, int why);

/* The peer sends, and 10 ms pass. */
void rig_say(struct rig *r, const char *text);
void rig_say_bytes(struct rig *r, const char *p, size_t len);

/* Answer the request in hand with 200 and [len] times an x. */
void rig_reply(struct rig *r, size_t len);

/* WAIT's callback: counts. */
void rig_on_gone(void *arg);

/* How often this stands in what the peer got. */
size_t rig_count(const struct rig *r, const char *needle);

#define GET  "GET /a HTTP/1.1\r\nHost: h.example\r\n\r\n"
#define POST "POST /b HTTP/1.1\r\nHost: h.example\r\nContent-Length: 5\r\n\r\n"

#endif
