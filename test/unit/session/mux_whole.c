/* Sessions whose fast streams wait for room (mux_opt.whole), as those between nodes do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "session/mux.h"
#include "wire/wire_mem.h"

#define N_STREAMS 3

/* What the carrier holds, and what a frame has besides its bytes. */
#define CARRIER	   65536
#define FRAME_HEAD 9

/* A stream that sends zeros until it may not any more; the other end only reads. */
struct sender {
	struct wire *wire;
	uint64_t to_send, sent;
};

struct world {
	struct ev *ev;
	struct mux_budget budget;
	struct session *node, *agent;
	struct wire *carrier; /* borrowed by node */
	struct sender senders[N_STREAMS];
	struct wire *served[N_STREAMS];
	size_t n_served;
};

static const char zeros[100 * 1000];

/* Returns the bytes taken. */
static size_t sender_write(struct sender *s, size_t len)
{
	struct iovec iov = {(void *)(uintptr_t)zeros, MIN(len, sizeof zeros)};
	size_t taken = 0;

	assert_int_equal(wire_write(s->wire, &iov, 1, &taken), 0);
	s->sent += taken;
	return taken;
}

static void sender_on_ready(void *arg, struct wire *w, int events)
{
	struct sender *s = arg;

	while (s->sent < s->to_send && sender_write(s, (size_t)(s->to_send - s->sent)) > 0)
		;
	wire_want(w, s->sent < s->to_send ? WIRE_WRITE : 0);
}

static void on_broken(void *arg, struct wire *w, int why)
{
	fail_msg("a stream has died: %s", err_text(why));
}

static const struct wire_owner sender_owner = {sender_on_ready, on_broken};

static void sink_on_ready(void *arg, struct wire *w, int events)
{
	struct str in;

	while (wire_read(w, SIZE_MAX / 2, &in) == 0)
		;
	wire_want(w, WIRE_READ);
}

static const struct wire_owner sink_owner = {sink_on_ready, on_broken};

static void world_on_visit(void *arg, struct session *s, const struct visit *v, struct wire *w)
{
	struct world *world = arg;

	assert_in_range(world->n_served, 0, N_STREAMS - 1);
	world->served[world->n_served++] = w;
	wire_own(w, &sink_owner, NULL);
	wire_want(w, WIRE_READ);
}

static void world_on_closed(void *arg, struct session *s, int why, struct str reason)
{
	fail_msg("a session has died: %s", err_text(why));
}

static const struct session_owner world_owner = {.visit = world_on_visit,
						 .closed = world_on_closed};

static void world_open(struct world *w, bool whole)
{
	static const struct wire_mem_opt mem = {.cap = CARRIER, .delay_ms = 1};
	const struct visit visit = {.ingress = VISIT_TCP, .tunnel = "demo"};
	struct mux_opt opt = {.role = MUX_NODE, .whole = whole, .owner = &world_owner, .arg = w};
	struct wire *a, *b;

	*w = (struct world){.budget.cap = 64 * 1024 * 1024};
	opt.budget = &w->budget;
	assert_int_equal(ev_sim_new(1, &w->ev), 0);
	assert_int_equal(wire_mem_pair(w->ev, &mem, &a, &b), 0);
	w->carrier = a;
	assert_int_equal(mux_new(w->ev, a, &opt, &w->node), 0);
	opt.role = MUX_AGENT;
	assert_int_equal(mux_new(w->ev, b, &opt, &w->agent), 0);
	for (size_t i = 0; i < N_STREAMS; i++) {
		assert_int_equal(session_open(w->node, &visit, &w->senders[i].wire), 0);
		wire_own(w->senders[i].wire, &sender_owner, &w->senders[i]);
	}
	ev_sim_run_for(w->ev, 100);
	assert_int_equal(w->n_served, N_STREAMS);
}

static void world_close(struct world *w)
{
	session_close(w->node, ERR_CLOSED, STR("end of test"));
	session_close(w->agent, ERR_CLOSED, STR("end of test"));
	for (size_t i = 0; i < N_STREAMS; i++) {
		wire_close(w->senders[i].wire, 0);
		wire_close(w->served[i], 0);
	}
	ev_sim_run_for(w->ev, 60000);
	ev_free(w->ev);
}

/* Let a stream send so much, and that arrive. */
static void world_send(struct world *w, struct sender *s, uint64_t len)
{
	s->to_send += len;
	wire_want(s->wire, WIRE_WRITE);
	ev_sim_run_for(w->ev, MUX_WHOLE_REST_MS / 2);
	assert_int_equal(s->sent, s->to_send);
}

static void test_who_waits_for_room(void **state)
{
	static const struct {
		const char *why;
		bool whole;
		uint64_t before; /* bytes that it has sent */
		uint64_t rest;	 /* ms after that */
		bool takes;	 /* something, while the carrier is blocked */
	} cases[] = {
		{"a new stream is heard at once", true, 0, 0, true},
		{"as is one that has sent little", true, MUX_WINDOW_FIRST / 2, 0, true},
		{"a fast one waits", true, MUX_WINDOW_FIRST, 0, false},
		{"but not one that was fast", true, MUX_WINDOW_FIRST, MUX_WHOLE_REST_MS, true},
		{"in a session with an agent none does", false, MUX_WINDOW_FIRST, 0, true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world w;
		struct sender *s = &w.senders[0];

		print_message("%s\n", cases[i].why);
		world_open(&w, cases[i].whole);
		if (cases[i].before > 0)
			world_send(&w, s, cases[i].before);
		ev_sim_run_for(w.ev, cases[i].rest);
		for (int n = 0; n < 10; n++) /* more than the carrier takes */
			sender_write(&w.senders[1], sizeof zeros);
		assert_int_equal(wire_room(s->wire) > 0, cases[i].takes);
		assert_int_equal(sender_write(s, 1) > 0, cases[i].takes);
		s->to_send = s->sent;
		world_send(&w, s, 100000); /* and it goes on when there is room again */
		world_close(&w);
	}
}

/* Nothing is left over that would wake the session by itself, and no window is given back. */
static void test_who_waits_is_told(void **state)
{
	struct world w;
	struct sender *s = &w.senders[0];

	world_open(&w, true);
	world_send(&w, s, MUX_WINDOW_FIRST);
	assert_int_equal(wire_room(w.carrier), CARRIER);
	assert_int_equal(sender_write(s, CARRIER - FRAME_HEAD), CARRIER - FRAME_HEAD);
	assert_int_equal(wire_room(w.carrier), 0);
	assert_int_equal(wire_room(s->wire), 0);
	s->to_send = s->sent;
	world_send(&w, s, 1000);
	world_close(&w);
}

static void test_they_take_turns(void **state)
{
	struct world w;
	uint64_t least = UINT64_MAX, most = 0;

	world_open(&w, true);
	for (size_t i = 0; i < N_STREAMS; i++)
		world_send(&w, &w.senders[i], MUX_WINDOW_FIRST);
	for (size_t i = 0; i < N_STREAMS; i++) {
		w.senders[i].to_send = UINT64_MAX;
		wire_want(w.senders[i].wire, WIRE_WRITE);
	}
	ev_sim_run_for(w.ev, 1000);
	for (size_t i = 0; i < N_STREAMS; i++) {
		least = MIN(least, w.senders[i].sent);
		most = MAX(most, w.senders[i].sent);
		w.senders[i].to_send = 0;
		wire_want(w.senders[i].wire, 0);
	}
	assert_in_range(least, 4 * 1024 * 1024, UINT64_MAX); /* of 64 MB: it is no stand-still */
	assert_in_range(most, least, least + least / 4);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_waits_for_room),
		cmocka_unit_test(test_who_waits_is_told),
		cmocka_unit_test(test_they_take_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
