/* One check at a time, each with a deadline; what a target answers is read as far as its status. */
#include "agent/health.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proto/http_head.h"
#include "proto/http_write.h"
#include "proto/proxy_protocol.h"

/* The first check comes within so many milliseconds. */
#define HEALTH_FIRST_MS 500

/* Interim answers that are passed over, at most. */
#define HEALTH_INTERIM_MAX 8

struct health {
	struct ev *ev;
	struct health_opt opt;
	struct health_owner owner;
	struct ev_timer timer; /* the next check, or the deadline of the one that runs */
	uint64_t since_ms;     /* when the last check began */
	bool running, up;
	unsigned streak; /* results in a row that speak against the state */

	struct agent_dial *dial; /* owned while connecting */
	struct wire *wire;	 /* owned while asking */
	struct buf out, in;	 /* the rest of the request; the answer so far */
	size_t scanned;
	unsigned n_interim;
};

static uint32_t health_timeout(const struct health *h)
{
	return MIN(h->opt.interval_ms, HEALTH_CHECK_MS);
}

/* ---- a result ---- */

/* Nothing of a check is left. */
static void health_clear(struct health *h)
{
	agent_net_cancel(h->owner.net, h->dial);
	h->dial = NULL;
	wire_close(h->wire, 0);
	h->wire = NULL;
	buf_free(&h->out);
	buf_free(&h->in);
	h->running = false;
}

static void health_schedule(struct health *h)
{
	uint64_t spread = (uint64_t)h->opt.interval_ms * HEALTH_JITTER_PERCENT / 100;
	uint64_t wait = h->opt.interval_ms - spread + ev_random_below(h->ev, 2 * spread + 1);
	uint64_t spent = ev_now_ms(h->ev) - h->since_ms;

	ev_timer_set(h->ev, &h->timer, spent < wait ? wait - spent : 1);
}

/* why: NULL when it works. */
static void health_result(struct health *h, const char *why)
{
	bool well = why == NULL;

	health_clear(h);
	health_schedule(h);
	if (well == h->up) {
		h->streak = 0;
		return;
	}
	if (++h->streak < (h->up ? h->opt.fall : h->opt.rise))
		return;
	h->up = well;
	h->streak = 0;
	h->owner.changed(h->owner.arg, well, well ? "" : why);
}

/* ---- a request ---- */

static void health_on_status(struct health *h, unsigned status)
{
	char why[HEALTH_WHY_MAX];

	str_printf(why, sizeof why, "it answered %u to GET %s", status, h->opt.path);
	health_result(h, status >= 200 && status < 400 ? NULL : why);
}

/* Look at what has come. Returns true when the check is over. */
static bool health_parse(struct health *h)
{
	struct http_response r;
	int e;

	while ((e = http_response_parse(buf_str(&h->in), HTTP_GET, &h->scanned, &r)) == 0) {
		if (r.status >= 200) {
			health_on_status(h, r.status);
			return true;
		}
		if (r.status == 101 || ++h->n_interim > HEALTH_INTERIM_MAX)
			break;
		buf_take(&h->in, r.head.len);
		h->scanned = 0;
	}
	if (e == ERR_AGAIN)
		return false;
	health_result(h, "its answer is not HTTP");
	return true;
}

static void health_read(struct health *h)
{
	struct str in;
	int e;

	while ((e = wire_read(h->wire, HEALTH_HEAD_MAX, &in)) == 0) {
		e = buf_add(&h->in, in.p, in.len, HEALTH_HEAD_MAX);
		if (e == 0 && health_parse(h))
			return;
		if (e != 0) {
			health_result(h, "the head of its answer is too long");
			return;
		}
	}
	if (e == ERR_EOF)
		health_result(h, "it ended the connection without an answer");
	else if (e != ERR_AGAIN)
		health_result(h, err_text(e));
}

static void health_on_ready(void *arg, struct wire *w, int events)
{
	struct health *h = arg;
	int e = wire_write_buf(w, &h->out);

	if (e != 0) {
		health_result(h, err_text(e));
		return;
	}
	wire_want(w, WIRE_READ | (h->out.len > 0 ? WIRE_WRITE : 0));
	if (events & WIRE_READ)
		health_read(h);
}

static void health_on_broken(void *arg, struct wire *w, int why)
{
	health_result(arg, err_text(why));
}

static const struct wire_owner health_wire_owner = {health_on_ready, health_on_broken};

static int health_write_request(struct health *h)
{
	char head[URL_PATH_MAX + 1024], authority[HOSTNAME_AUTHORITY_MAX + 1];
	struct proxy_header proxy = {.version = h->owner.proxy};
	bool local = url_is_local(h->owner.to);
	uint8_t bytes[PROXY_WRITE_MAX];
	struct http_writer w;
	size_t len = 0;
	int e = 0;

	if (proxy.version != 0) {
		proxy_protocol_write(&proxy, bytes, &len);
		e = buf_add(&h->out, bytes, len, sizeof head + sizeof bytes);
	}
	url_format_authority(h->owner.to, authority);
	http_write_begin(&w, head, sizeof head);
	http_write_request(&w, STR("GET"), str_of(h->opt.path));
	http_write_field(&w, STR("Host"), local ? STR("localhost") : str_of(authority));
	http_write_field(&w, STR("User-Agent"), STR("karez/" KAREZ_VERSION " health-check"));
	http_write_field(&w, STR("Accept"), STR("*/*"));
	http_write_field(&w, STR("Connection"), STR("close"));
	if (e == 0)
		e = http_write_end(&w, &len);
	return e != 0 ? e : buf_add(&h->out, head, len, sizeof head + sizeof bytes);
}

/* ---- one check ---- */

static void health_on_dialled(void *arg, int e, struct wire *w)
{
	struct health *h = arg;

	h->dial = NULL;
	h->wire = w;
	if (e == 0 && h->opt.kind == HEALTH_HTTP)
		e = health_write_request(h);
	if (e != 0 || h->opt.kind == HEALTH_TCP) {
		health_result(h, e != 0 ? err_text(e) : NULL);
		return;
	}
	wire_own(w, &health_wire_owner, h);
	health_on_ready(h, w, WIRE_WRITE);
}

static void health_start(struct health *h)
{
	struct agent_dial_opt opt = {.to = h->owner.to,
				     .insecure = h->owner.insecure,
				     .timeout_ms = health_timeout(h),
				     .done = health_on_dialled,
				     .arg = h};

	h->running = true;
	h->scanned = 0;
	h->n_interim = 0;
	h->since_ms = ev_now_ms(h->ev);
	ev_timer_set(h->ev, &h->timer, health_timeout(h));
	if (agent_net_dial(h->owner.net, &opt, &h->dial) != 0) {
		/* that memory is short here says nothing about the target */
		health_clear(h);
		health_schedule(h);
	}
}

static void health_on_timer(void *arg)
{
	struct health *h = arg;
	char why[HEALTH_WHY_MAX];

	if (!h->running) {
		health_start(h);
		return;
	}
	str_printf(why, sizeof why, "no answer within %u.%u s", health_timeout(h) / 1000,
		   health_timeout(h) / 100 % 10);
	health_result(h, why);
}

/* ---- life ---- */

int health_new(struct ev *ev, const struct health_opt *opt, const struct health_owner *owner,
	       struct health **out)
{
	struct health *h = calloc(1, sizeof *h);

	CHECK(opt->kind != HEALTH_NONE);
	if (h == NULL)
		return ERR_NOMEM;
	*h = (struct health){.ev = ev, .opt = *opt, .owner = *owner, .up = true};
	h->opt.interval_ms = opt->interval_ms != 0 ? opt->interval_ms : HEALTH_INTERVAL_MS;
	h->opt.rise = opt->rise != 0 ? opt->rise : HEALTH_RISE;
	h->opt.fall = opt->fall != 0 ? opt->fall : HEALTH_FALL;
	h->streak = h->opt.fall - 1; /* nobody has seen it work yet */
	h->timer = (struct ev_timer){.fn = health_on_timer, .arg = h};
	ev_timer_set(ev, &h->timer, ev_random_below(ev, HEALTH_FIRST_MS));
	*out = h;
	return 0;
}

bool health_is_up(const struct health *h)
{
	return h == NULL || h->up;
}

void health_free(struct health *h)
{
	if (h == NULL)
		return;
	ev_timer_stop(h->ev, &h->timer);
	health_clear(h);
	ev_free_later(h->ev, h);
}
