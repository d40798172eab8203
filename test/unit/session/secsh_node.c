/* A node's session over SSH: forwards, visitors, floods, and its life. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "session/secsh_inside.h"
#include "unit/session/secsh_rig.h"

/* ---- what is waited for ---- */

static bool until_served(struct rig *r)
{
	return r->n_served == 1;
}

static bool until_settled(struct rig *r)
{
	return secsh_link_of(r->node)->n_channels == 0;
}

static bool until_cancelled(struct rig *r)
{
	return r->n_cancelled == 1;
}

static bool until_pong(struct rig *r)
{
	return r->node->asked_ms == 0 && r->node->rtt_us > 0;
}

static bool until_ignored(struct rig *r)
{
	struct secsh_link *l = secsh_link_of(r->node);

	return !l->paused && l->socket.in_bytes == l->seen_bytes && l->ping_ns == 0;
}

/* A visitor's end, or the target's: what was read, and how it ended. */
struct end {
	char text[64];
	size_t len;
	int broken;
	bool eof;
};

static void end_on_ready(void *arg, struct wire *w, int events)
{
	struct end *x = arg;
	struct str in;
	int e = wire_read(w, sizeof x->text - 1 - x->len, &in);

	if (e == 0) {
		memcpy(x->text + x->len, in.p, in.len);
		x->len += in.len;
	} else if (e == ERR_EOF) {
		x->eof = true;
		wire_want(w, 0);
	}
}

static void end_on_broken(void *arg, struct wire *w, int why)
{
	((struct end *)arg)->broken = why;
}

static const struct wire_owner end_owner = {end_on_ready, end_on_broken};

static void end_watch(struct end *x, struct wire *w)
{
	wire_own(w, &end_owner, x);
	wire_want(w, WIRE_READ);
}

static bool until_broken(struct rig *r)
{
	return ((struct end *)r->arg)->broken != 0;
}

static bool until_eof(struct rig *r)
{
	return ((struct end *)r->arg)->eof;
}

static struct wire *must_visit(struct rig *r)
{
	struct wire *w;

	assert_int_equal(rig_visit(r, "demo", &w), 0);
	return w;
}

/* ---- forwards ---- */

/* One wish of the client's after the other: what it was told. */
struct wish {
	const char *address;
	int port;
	bool cancel;
	int rc, bound;
};

struct wishes {
	struct wish *list;
	size_t n, i;
};

static void peer_wish(struct rig_peer *p)
{
	struct wishes *all = p->rig->arg;

	while (all->i < all->n && (p->link.asking || secsh_link_may_ask(&p->link))) {
		struct wish *w = &all->list[all->i];

		p->link.asking = true;
		w->rc = w->cancel ? ssh_channel_cancel_forward(p->link.ssh, w->address, w->port)
				  : ssh_channel_listen_forward(p->link.ssh, w->address, w->port,
							       &w->bound);
		if (w->rc == SSH_AGAIN)
			return;
		p->link.asking = false;
		all->i++;
	}
}

static bool until_wished(struct rig *r)
{
	struct wishes *all = r->arg;

	return all->i == all->n;
}

static void rig_wish(struct rig *r, struct wish *list, size_t n)
{
	struct wishes all = {.list = list, .n = n};

	r->arg = &all;
	r->peer->go_on = peer_wish;
	secsh_link_soon(&r->peer->link);
	rig_run(r, until_wished);
	r->peer->go_on = NULL;
	r->arg = NULL;
}

static void test_forwards(void **state)
{
	char longest[SECSH_ADDRESS_MAX + 2];
	struct {
		const char *why;
		struct wish wish;
		int want;
		size_t n_asked; /* of the owner, by then */
		size_t n_cancelled;
	} cases[] = {
		{"a name", {"demo", 80}, SSH_OK, 1, 0},
		{"the same once more", {"demo", 80}, SSH_ERROR, 1, 0},
		{"the same name at another port", {"demo", 443}, SSH_OK, 2, 0},
		{"any port", {"", 0}, SSH_OK, 3, 0},
		{"any port once more", {"", 0}, SSH_OK, 4, 0},
		{"an address that is too long", {longest, 80}, SSH_ERROR, 4, 0},
		{"the end of one that is not", {"demo", 81, true}, SSH_ERROR, 4, 0},
		{"the end of one", {"demo", 80, true}, SSH_OK, 4, 1},
		{"its end once more", {"demo", 80, true}, SSH_ERROR, 4, 1},
		{"the end of any port, by the one it got", {"", 4711, true}, SSH_OK, 4, 2},
		{"a name anew", {"demo", 80}, SSH_OK, 5, 2},
	};
	struct rig *r = rig_new();

	memset(longest, 'a', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	rig_run(r, rig_is_up);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		rig_wish(r, &cases[i].wish, 1);
		if (cases[i].wish.rc != cases[i].want || r->n_forwards != cases[i].n_asked ||
		    r->n_cancelled != cases[i].n_cancelled)
			fail_msg("%s: %d, asked %zu, cancelled %zu", cases[i].why, cases[i].wish.rc,
				 r->n_forwards, r->n_cancelled);
		if (cases[i].wish.rc == SSH_OK && !cases[i].wish.cancel && cases[i].wish.port == 0)
			assert_int_equal(cases[i].wish.bound, 4711);
	}
	rig_free(r);
}

static void test_forwards_have_a_limit(void **state)
{
	struct wish wishes[SECSH_FORWARDS_MAX + 1];
	struct rig *r = rig_new();

	for (size_t i = 0; i < ARRAY_LEN(wishes); i++)
		wishes[i] = (struct wish){.address = "x", .port = 1000 + (int)i};
	rig_run(r, rig_is_up);
	rig_wish(r, wishes, ARRAY_LEN(wishes));
	for (size_t i = 0; i < ARRAY_LEN(wishes); i++)
		assert_int_equal(wishes[i].rc, i < SECSH_FORWARDS_MAX ? SSH_OK : SSH_ERROR);
	assert_int_equal(r->n_forwards, SECSH_FORWARDS_MAX);
	assert_int_equal(r->n_unforwarded, 1);
	assert_int_equal(r->unforwarded_why, ERR_LIMIT);
	assert_int_equal(r->unforwarded_port, 1000 + SECSH_FORWARDS_MAX);
	rig_free(r);
}

static bool until_forward_asked(struct rig *r)
{
	return r->n_forwards == 1;
}

static void test_a_late_answer(void **state)
{
	static const int answers[] = {0, ERR_DENIED};

	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		struct rig *r = rig_new();
		struct wish wish = {.address = "demo", .port = 80, .rc = 77};
		struct wishes all = {.list = &wish, .n = 1};

		r->grants_later = true;
		rig_run(r, rig_is_up);
		r->arg = &all;
		r->peer->go_on = peer_wish;
		secsh_link_soon(&r->peer->link);
		rig_run(r, until_forward_asked);
		rig_run_ms(r, 20);
		assert_int_equal(wish.rc, SSH_AGAIN);
		secsh_node_forwarded(r->node, r->forwards[0].id + 1, 0, 80, "other"); /* nobody's */
		secsh_node_forwarded(r->node, r->forwards[0].id, answers[i], 80, "demo");
		secsh_node_forwarded(r->node, r->forwards[0].id, 0, 80, "demo"); /* too late */
		rig_run(r, until_wished);
		assert_int_equal(wish.rc, answers[i] == 0 ? SSH_OK : SSH_ERROR);
		rig_free(r);
	}
}

/*
 * While the answer is due nothing is read: what else the peer asks would be answered before it.
 */
static void test_nothing_is_read_before_the_answer(void **state)
{
	static const bool too_late[] = {false, true};

	for (size_t i = 0; i < ARRAY_LEN(too_late); i++) {
		struct rig *r = rig_new();
		struct wish wish = {.address = "demo", .port = 80, .rc = 77};
		struct wishes all = {.list = &wish, .n = 1};
		struct secsh_node *n = secsh_node_of(r->node);
		uint64_t seen;

		r->grants_later = true;
		rig_run(r, rig_is_up);
		r->arg = &all;
		r->peer->go_on = peer_wish;
		secsh_link_soon(&r->peer->link);
		rig_run(r, until_forward_asked);
		secsh_node_hush(r->node, r->forwards[0].id + 1); /* nobody's */
		assert_false(n->link.paused);
		secsh_node_hush(r->node, r->forwards[0].id);
		assert_true(n->link.paused);
		seen = n->link.raw.in_packets;
		(void)ssh_send_ignore(r->peer->link.ssh, "x");
		rig_run_ms(r, 20);
		assert_int_equal(n->link.raw.in_packets, seen);
		assert_false(r->over);
		if (too_late[i]) {
			ev_timer_set(r->ev, &n->hush, 0);
			rig_run(r, until_ignored);
			assert_int_equal(wish.rc, SSH_AGAIN);
		}
		secsh_node_forwarded(r->node, r->forwards[0].id, 0, 80, "demo");
		assert_false(n->link.paused);
		rig_run(r, until_wished);
		assert_int_equal(wish.rc, SSH_OK);
		rig_free(r);
	}
}

/* The session ends while an answer is due. */
static void test_closed_while_a_forward_waits(void **state)
{
	struct rig *r = rig_new();
	struct wish wish = {.address = "demo", .port = 80};
	struct wishes all = {.list = &wish, .n = 1};

	r->grants_later = true;
	rig_run(r, rig_is_up);
	r->arg = &all;
	r->peer->go_on = peer_wish;
	secsh_link_soon(&r->peer->link);
	rig_run(r, until_forward_asked);
	rig_free(r); /* nothing leaks, nobody is answered */
}

/* ---- visitors ---- */

struct opened {
	char address[64], origin[64];
	int port, origin_port;
	bool refuses;
	unsigned n;
};

static void peer_opened(struct rig_peer *p, ssh_message m)
{
	struct opened *o = p->rig->arg;

	o->n++;
	(void)str_printf(o->address, sizeof o->address, "%s",
			 ssh_message_channel_request_open_destination(m));
	(void)str_printf(o->origin, sizeof o->origin, "%s",
			 ssh_message_channel_request_open_originator(m));
	o->port = ssh_message_channel_request_open_destination_port(m);
	o->origin_port = ssh_message_channel_request_open_originator_port(m);
	secsh_link_refuse(&p->link, m);
}

static bool until_opened(struct rig *r)
{
	return ((struct opened *)r->arg)->n > 0;
}

static void test_what_a_channel_says(void **state)
{
	static const struct {
		const char *why, *address;
		uint16_t port;
		int want;
	} cases[] = {
		{"a name, byte for byte", "DeMo", 80, 80},
		{"a port that was asked for", "", 2222, 2222},
		{"any port: the one it got", "127.0.0.1", 0, 4711},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig *r = rig_new();
		struct opened o = {.n = 0};
		struct wire *w;

		rig_start(r, cases[i].address, cases[i].port);
		r->peer->visit = peer_opened;
		r->arg = &o;
		w = must_visit(r);
		rig_run(r, until_opened);
		assert_string_equal(o.address, cases[i].address);
		assert_int_equal(o.port, cases[i].want);
		assert_string_equal(o.origin, "192.0.2.7");
		assert_int_equal(o.origin_port, 4711);
		wire_close(w, 0);
		rig_free(r);
	}
}

static void test_who_is_not_served(void **state)
{
	struct rig *r = rig_new();
	struct wire *w;

	rig_run(r, rig_is_up);
	assert_int_equal(rig_visit(r, "demo", &w), ERR_NOTFOUND);
	rig_start(r, "localhost", 80);
	assert_int_equal(rig_visit(r, "other", &w), ERR_NOTFOUND);
	w = must_visit(r);
	rig_run(r, until_served);
	secsh_node_unforward(r->node, "demo");
	assert_int_equal(rig_visit(r, "demo", &w), ERR_NOTFOUND);
	assert_int_equal(r->node->n_streams, 1); /* who was there stays */
	assert_int_equal(session_tell(r->node, STR("x")), ERR_UNSUPPORTED);
	wire_close(w, 0);
	rig_free(r);
}

static void test_running_streams_outlive_their_forward(void **state)
{
	struct wish cancel = {.address = "localhost", .port = 80, .cancel = true};
	struct rig *r = rig_new();
	struct end far = {.len = 0};
	struct iovec iov = {(char[]){'h', 'i'}, 2};
	struct wire *w, *other;
	size_t taken;

	rig_start(r, "localhost", 80);
	w = must_visit(r);
	rig_run(r, until_served);
	end_watch(&far, r->served[0]);
	rig_wish(r, &cancel, 1);
	rig_run(r, until_cancelled);
	assert_int_equal(r->cancelled, r->forwards[0].id);
	assert_int_equal(rig_visit(r, "demo", &other), ERR_NOTFOUND);
	assert_int_equal(wire_write(w, &iov, 1, &taken), 0);
	assert_int_equal(taken, 2);
	wire_shut(w);
	r->arg = &far;
	rig_run(r, until_eof);
	assert_string_equal(far.text, "hi");
	wire_close(w, 0);
	rig_free(r);
}

static void test_refused_by_the_client(void **state)
{
	struct rig *r = rig_new();
	struct opened o = {.n = 0};
	struct end near = {.len = 0};
	struct wire *w[20];

	rig_start(r, "localhost", 80);
	r->peer->visit = peer_opened;
	r->arg = &o;
	for (size_t i = 0; i < ARRAY_LEN(w); i++)
		w[i] = must_visit(r);
	assert_int_equal(wire_room(w[0]), 0); /* nothing is sent to who may refuse */
	for (size_t i = 0; i < ARRAY_LEN(w); i++) {
		near.broken = 0;
		end_watch(&near, w[i]);
		r->arg = &o;
		rig_run(r, until_opened);
		r->arg = &near;
		rig_run(r, until_broken);
		assert_int_equal(near.broken, ERR_TARGET);
		r->arg = &o;
		wire_close(w[i], 0);
	}
	rig_run(r, until_settled);
	assert_false(r->over);
	rig_free(r);
}

/* Fifty visitors that leave before the client has answered: nobody else is hurt. */
static void test_visitors_in_a_hurry(void **state)
{
	struct rig *r = rig_new();
	struct end far = {.len = 0};
	struct iovec iov = {(char[]){'h', 'i'}, 2};
	struct wire *stays;
	size_t taken;

	rig_start(r, "localhost", 80);
	stays = must_visit(r);
	rig_run(r, until_served);
	end_watch(&far, r->served[0]);
	for (int i = 0; i < 50; i++) {
		struct wire *w = must_visit(r);

		wire_close(w, i % 2 == 0 ? 0 : ERR_CLOSED);
		if (i % 10 == 9) { /* the client serves sixteen */
			rig_run_ms(r, 5);
			while (r->n_served > 1)
				wire_close(r->served[--r->n_served], 0);
		}
	}
	assert_int_equal(r->node->n_streams, 1);
	rig_run_ms(r, 20);
	assert_int_equal(wire_write(stays, &iov, 1, &taken), 0);
	wire_shut(stays);
	r->arg = &far;
	rig_run(r, until_eof);
	assert_string_equal(far.text, "hi");
	wire_close(stays, 0);
	wire_close(r->served[--r->n_served], 0);
	rig_run(r, until_settled);
	assert_false(r->over);
	rig_free(r);
}

static void test_streams_have_a_limit(void **state)
{
	struct rig *r = rig_new_path(4096);
	struct wire **w = calloc(SECSH_STREAMS_MAX, sizeof w[0]), *more;

	assert_non_null(w);
	rig_start(r, "localhost", 80);
	rig_let(r, false, false); /* nobody answers */
	for (size_t i = 0; i < SECSH_STREAMS_MAX; i++)
		w[i] = must_visit(r);
	assert_int_equal(rig_visit(r, "demo", &more), ERR_LIMIT);
	for (size_t i = 0; i < SECSH_STREAMS_MAX; i++)
		wire_close(w[i], 0);
	assert_int_equal(r->node->n_streams, 0);
	assert_int_equal(rig_visit(r, "demo", &more), ERR_LIMIT); /* the peer has not let go */
	free(w);
	rig_free(r);
}

/* ---- floods ---- */

/* Ask for channels that nobody gets, and do not read the answers. */
static void peer_flood(struct rig_peer *p)
{
	size_t *left = p->rig->arg;

	for (int i = 0; i < 500 && *left > 0; i++, --*left) {
		ssh_channel ch = ssh_channel_new(p->link.ssh);

		assert_non_null(ch);
		(void)ssh_channel_open_forward(ch, "a.example", 22, "localhost", 1);
	}
	if (*left > 0)
		secsh_link_soon(&p->link);
}

static bool until_flooded(struct rig *r)
{
	return *(size_t *)r->arg == 0 && strlen(r->refused) >= 100;
}

static void test_other_channels_are_refused(void **state)
{
	struct rig *r = rig_new();
	size_t left = 20;

	rig_run(r, rig_is_up);
	r->arg = &left;
	r->peer->go_on = peer_flood;
	secsh_link_soon(&r->peer->link);
	rig_run(r, until_flooded);
	assert_true(str_starts(str_of(r->refused), STR("direct-tcpip;direct-tcpip;")));
	assert_false(r->over);
	rig_free(r);
}

static void test_answers_that_are_not_read(void **state)
{
	struct rig *r = rig_new_path(4096);
	size_t left = SECSH_UNREAD_ANSWERS + 8000;

	rig_run(r, rig_is_up);
	r->arg = &left;
	r->peer->go_on = peer_flood;
	rig_let(r, true, false);
	secsh_link_soon(&r->peer->link);
	rig_run(r, rig_is_over);
	assert_int_equal(r->why, ERR_LIMIT);
	rig_free(r);
}

/* ---- life ---- */

static void test_ping(void **state)
{
	struct rig *r = rig_new();

	rig_run(r, rig_is_up);
	rig_run(r, until_pong);
	session_ping(r->node, 1000);
	assert_true(r->node->asked_ms > 0);
	rig_run(r, until_pong);
	rig_run_ms(r, 20);
	assert_false(r->over);
	rig_free(r);
}

static void test_silence_is_death(void **state)
{
	struct rig *r = rig_new_path(4096);

	rig_run(r, rig_is_up);
	rig_run(r, until_pong);
	rig_let(r, false, false);
	session_ping(r->node, 50);
	rig_run(r, rig_is_over);
	assert_int_equal(r->why, ERR_DEAD);
	rig_free(r);
}

static void test_the_client_goes(void **state)
{
	static const struct {
		const char *why, *reason;
	} cases[] = {
		{"with words", "until tomorrow"},
		{"with none of its own", ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig *r = rig_new();
		struct end near = {.len = 0};
		struct wire *w;

		rig_start(r, "localhost", 80);
		w = must_visit(r);
		end_watch(&near, w);
		rig_run(r, until_served);
		session_close(&r->peer->link.session, ERR_CLOSED, str_of(cases[i].reason));
		r->peer = NULL;
		rig_run(r, rig_is_over);
		assert_int_equal(r->why, ERR_EOF);
		if (cases[i].reason[0] != '\0')
			assert_string_equal(r->reason, cases[i].reason);
		r->arg = &near;
		rig_run(r, until_broken);
		assert_int_equal(near.broken, ERR_RESET);
		wire_close(w, 0);
		rig_free(r);
	}
}

static void test_close_says_why(void **state)
{
	struct rig *r = rig_new();
	struct end near = {.len = 0};
	struct wire *w;

	rig_start(r, "localhost", 80);
	w = must_visit(r);
	end_watch(&near, w);
	rig_run(r, until_served);
	session_close(r->node, ERR_DISCONNECTED, STR("kicked\x1b by\n an ädmin\xc2\x9b"));
	r->node = NULL;
	r->arg = &near;
	rig_run(r, until_broken);
	assert_int_equal(near.broken, ERR_CLOSED);
	rig_run(r, rig_is_gone);
	assert_string_equal(r->gone_reason, "kicked? by  an ädmin?");
	assert_false(r->over);
	wire_close(w, 0);
	rig_free(r);
}

static void test_drain(void **state)
{
	struct rig *r = rig_new();
	struct end far = {.len = 0};
	struct iovec iov = {(char[]){'h', 'i'}, 2};
	struct wire *w, *other;
	size_t taken;

	rig_start(r, "localhost", 80);
	w = must_visit(r);
	rig_run(r, until_served);
	end_watch(&far, r->served[0]);
	session_drain(r->node);
	assert_true(r->node->is_leaving);
	assert_false(r->node->is_draining);
	rig_run_ms(r, 20); /* the channel is confirmed by then */
	assert_false(r->over);
	assert_int_equal(wire_write(w, &iov, 1, &taken), 0);
	assert_int_equal(taken, 2);
	wire_close(w, 0);
	r->arg = &far;
	rig_run(r, until_eof);
	assert_string_equal(far.text, "hi"); /* it is not cut off */
	wire_close(r->served[--r->n_served], 0);
	other = must_visit(r); /* and somebody new is served */
	rig_run(r, until_served);
	wire_close(other, 0);
	wire_close(r->served[--r->n_served], 0);
	rig_run_ms(r, 20);
	assert_false(r->over); /* its owner says when */
	session_close(r->node, ERR_DRAIN, STR("this server is going away"));
	r->node = NULL;
	rig_run(r, rig_is_gone);
	assert_string_equal(r->gone_reason, "this server is going away");
	rig_free(r);
}

/* The owner ends the session from within each thing it is told. */
static void closing_on_ready(void *arg, struct wire *w, int events)
{
	struct rig *r = arg;

	wire_close(w, 0);
	session_close(r->node, ERR_CLOSED, (struct str){NULL, 0});
	r->node = NULL;
}

static void closing_on_broken(void *arg, struct wire *w, int why)
{
	fail_msg("broken: %s", err_text(why));
}

static const struct wire_owner closing_owner = {closing_on_ready, closing_on_broken};

static void test_closed_while_bytes_are_told(void **state)
{
	struct rig *r = rig_new();
	struct iovec iov = {(char[]){'h', 'i'}, 2};
	struct wire *w;
	size_t taken;

	rig_start(r, "localhost", 80);
	w = must_visit(r);
	rig_run(r, until_served);
	wire_own(w, &closing_owner, r);
	wire_want(w, WIRE_READ);
	assert_int_equal(wire_write(r->served[0], &iov, 1, &taken), 0);
	rig_run(r, rig_is_gone);
	assert_null(r->node);
	assert_false(r->over);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forwards),
		cmocka_unit_test(test_forwards_have_a_limit),
		cmocka_unit_test(test_a_late_answer),
		cmocka_unit_test(test_nothing_is_read_before_the_answer),
		cmocka_unit_test(test_closed_while_a_forward_waits),
		cmocka_unit_test(test_what_a_channel_says),
		cmocka_unit_test(test_who_is_not_served),
		cmocka_unit_test(test_running_streams_outlive_their_forward),
		cmocka_unit_test(test_refused_by_the_client),
		cmocka_unit_test(test_visitors_in_a_hurry),
		cmocka_unit_test(test_streams_have_a_limit),
		cmocka_unit_test(test_other_channels_are_refused),
		cmocka_unit_test(test_answers_that_are_not_read),
		cmocka_unit_test(test_ping),
		cmocka_unit_test(test_silence_is_death),
		cmocka_unit_test(test_the_client_goes),
		cmocka_unit_test(test_close_says_why),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_closed_while_bytes_are_told),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
