/* Visitors whose bytes nobody looks at, between a scripted visitor and scripted targets. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/rights.h"
#include "ev/log_pace.h"
#include "ingress/tcp_ingress.h"
#include "ingress_rig.h"
#include "proto/proxy_protocol.h"

#define V1 "PROXY TCP4 192.0.2.7 198.51.100.1 4711 9000\r\n"

struct desk {
	struct tcp_ingress *tcp;
	struct wire *refused; /* what was given back */
	int why;
};

static struct desk D;

static void desk_on_refused(void *arg, struct wire *w, int e)
{
	D.refused = w;
	D.why = e;
}

static void desk_open_with(uint32_t idle_ms)
{
	struct tcp_ingress_opt opt = {.idle_ms = idle_ms};

	rig_open_bare();
	D = (struct desk){.why = 0};
	W->core.demo.settings.kind = TUNNEL_TCP;
	opt.core = &W->core;
	opt.log = &W->log;
	assert_int_equal(tcp_ingress_new(W->ev, &opt, &D.tcp), 0);
}

static void desk_open(void)
{
	desk_open_with(0);
}

static void desk_close(void)
{
	tcp_ingress_free(D.tcp);
	rig_close();
}

static void pass_ms(uint64_t ms)
{
	ev_sim_run_for(W->ev, ms);
}

/* A visitor comes. more: NULL, or what else is known of it. */
static void desk_visit(const struct tcp_visitor *more)
{
	struct visit visit = {.ingress = VISIT_TCP, .visitor = W->peer};
	struct tcp_visitor v = more != NULL ? *more : (struct tcp_visitor){.first = {NULL, 0}};

	assert_int_equal(visit_end_set(&visit.local, STR("198.51.100.1"), 9000), 0);
	if (v.visit == NULL)
		v.visit = &visit;
	v.tunnel = "demo";
	tcp_ingress_serve(D.tcp, rig_visit(), &v);
	pass_ms(10);
}

/* ---- plain carrying ---- */

static void test_the_service_may_speak_first(void **state)
{
	desk_open();
	desk_visit(NULL);
	assert_int_equal(W->core.demo.n_dials, 1);
	assert_int_equal(tcp_ingress_load(D.tcp), 1);
	far_say(&W->target[0], "SSH-2.0-x\r\n");
	assert_string_equal(W->visitor.got, "SSH-2.0-x\r\n");
	far_say(&W->visitor, "hello");
	assert_string_equal(W->target[0].got, "hello");
	desk_close();
}

static void test_the_visitor_may_speak_first(void **state)
{
	desk_open();
	desk_visit(NULL);
	far_say(&W->visitor, "one ");
	assert_string_equal(W->target[0].got, "one ");
	far_say(&W->visitor, "two ");
	assert_string_equal(W->target[0].got, "one two ");
	far_say(&W->target[0], "yes");
	assert_string_equal(W->visitor.got, "yes");
	far_say(&W->visitor, "three");
	assert_string_equal(W->target[0].got, "one two three");
	desk_close();
}

/* What could not be written when the target answers is neither lost nor doubled. */
static void test_an_answer_in_the_middle_of_early_bytes(void **state)
{
	desk_open();
	W->max_write = 2;
	desk_visit(&(struct tcp_visitor){.first = STR("0123456789")});
	assert_int_equal(wire_write_all(W->target[0].wire, STR("a")), 0);
	pass_ms(100);
	assert_string_equal(W->target[0].got, "0123456789");
	assert_string_equal(W->visitor.got, "a");
	desk_close();
}

/* What was said before the target answered counts, a PROXY header does not. */
static void test_who_watches_is_told(void **state)
{
	static const struct {
		const char *why;
		bool answers, header;
		const char *want;
	} cases[] = {
		{"carried", true, false, "- - 0 up=7 down=2 ms=30 RESET at 7\n"},
		{"behind a header", true, true, "- - 0 up=7 down=2 ms=30 RESET at 7\n"},
		{"never answered", false, false, "- - 0 up=7 down=0 ms=20 RESET at 7\n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		desk_open();
		W->core.watched = true;
		if (cases[i].header)
			W->core.demo.settings.proxy = TUNNEL_PROXY_V1;
		desk_visit(NULL);
		far_say(&W->visitor, "request");
		if (cases[i].answers)
			far_say(&W->target[0], "ok");
		assert_string_equal(W->core.served, "");
		far_close(&W->visitor, ERR_RESET);
		if (strcmp(W->core.served, cases[i].want) != 0)
			fail_msg("%s: %s", cases[i].why, W->core.served);
		desk_close();
	}
	desk_open(); /* both have finished */
	W->core.watched = true;
	desk_visit(NULL);
	far_say(&W->target[0], "ok");
	wire_shut(W->target[0].wire);
	wire_shut(W->visitor.wire);
	pass_ms(10);
	assert_string_equal(W->core.served, "- - 0 up=0 down=2 ms=20 OK at 7\n");
	desk_close();
}

static void test_half_close(void **state)
{
	static const struct {
		const char *why;
		bool target_first, early;
	} cases[] = {
		{"the visitor ends before an answer", false, true},
		{"the visitor ends after an answer", false, false},
		{"the target ends first, without a word", true, true},
		{"the target ends first", true, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct far *a = &W->visitor, *b = &W->target[0];

		print_message("# %s\n", cases[i].why);
		desk_open();
		desk_visit(NULL);
		a = cases[i].target_first ? &W->target[0] : &W->visitor;
		b = cases[i].target_first ? &W->visitor : &W->target[0];
		if (!cases[i].early)
			far_say(&W->target[0], "hi");
		far_clear(a);
		far_clear(b);
		far_say(a, "request");
		wire_shut(a->wire);
		pass_ms(10);
		assert_string_equal(b->got, "request");
		assert_true(b->eof);
		assert_false(a->eof);
		far_say(b, "answer");
		assert_string_equal(a->got, "answer");
		assert_int_equal(tcp_ingress_load(D.tcp), 1);
		wire_shut(b->wire);
		pass_ms(10);
		assert_true(a->eof);
		assert_int_equal(a->why, 0);
		assert_int_equal(b->why, 0);
		assert_int_equal(tcp_ingress_load(D.tcp), 0);
		desk_close();
	}
}

static void test_a_reset_is_a_reset(void **state)
{
	static const struct {
		const char *why;
		bool by_target, answered;
	} cases[] = {
		{"of a visitor that waits", false, false},
		{"of a visitor", false, true},
		{"of a target that has said nothing", true, false},
		{"of a target", true, true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("# %s\n", cases[i].why);
		desk_open();
		desk_visit(NULL);
		far_say(&W->visitor, "x");
		if (cases[i].answered)
			far_say(&W->target[0], "y");
		far_close(cases[i].by_target ? &W->target[0] : &W->visitor, ERR_RESET);
		assert_int_equal(cases[i].by_target ? W->visitor.why : W->target[0].why, ERR_RESET);
		assert_int_equal(tcp_ingress_load(D.tcp), 0);
		assert_int_equal(W->core.n_visitors, 0);
		desk_close();
	}
}

static void test_much_both_ways(void **state)
{
	enum { TOTAL = 150000 };
	static char bytes[TOTAL + 1];

	for (size_t i = 0; i < TOTAL; i++)
		bytes[i] = (char)('a' + i * 7 % 26);
	for (int answers = 0; answers < 2; answers++) {
		size_t up = 0, down = 0;

		desk_open();
		W->mem_cap = 5000;
		desk_visit(NULL);
		while (up < TOTAL || (answers && down < TOTAL)) {
			struct iovec iov = {bytes + up, TOTAL - up};
			size_t taken;

			assert_int_equal(wire_write(W->visitor.wire, &iov, 1, &taken), 0);
			up += taken;
			iov = (struct iovec){bytes + down, answers ? TOTAL - down : 0};
			assert_int_equal(wire_write(W->target[0].wire, &iov, 1, &taken), 0);
			down += taken;
			pass_ms(1);
		}
		pass_ms(100);
		assert_string_equal(W->target[0].got, bytes);
		assert_string_equal(W->visitor.got, answers ? bytes : "");
		desk_close();
	}
}

/* ---- sessions that refuse, and sessions that die ---- */

static void test_who_may_be_replaced(void **state)
{
	static const struct {
		const char *why, *said;
		int code;
		enum tunnel_proxy proxy;
		bool moves;
	} cases[] = {
		{"connection refused", "x", ERR_REFUSED, 0, true},
		{"the target does not answer in time", "x", ERR_TIMEOUT, 0, true},
		{"no such service there", "x", ERR_NOTFOUND, 0, true},
		{"the agent goes", "x", ERR_DRAIN, 0, true},
		{"its target's certificate is no good", "x", ERR_CERT, 0, true},
		{"the session dies, and something was sent", "x", ERR_DEAD, 0, false},
		{"the session dies, and nothing was sent", "", ERR_DEAD, 0, true},
		{"nothing but the header was sent", "", ERR_DEAD, TUNNEL_PROXY_V1, true},
		{"the header and a byte", "x", ERR_CLOSED, TUNNEL_PROXY_V1, false},
		{"the target resets, and has seen a byte", "x", ERR_RESET, 0, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char want[100];

		print_message("# %s\n", cases[i].why);
		desk_open();
		W->core.demo.n_sessions = 2;
		W->core.demo.settings.proxy = cases[i].proxy;
		desk_visit(NULL);
		assert_int_equal(W->core.last->place, 7);
		if (cases[i].said[0] != '\0')
			far_say(&W->visitor, cases[i].said);
		rig_break(0, cases[i].code);
		assert_int_equal(W->core.demo.n_dials, cases[i].moves ? 2 : 1);
		if (cases[i].moves) {
			str_printf(want, sizeof want, "%s%s",
				   cases[i].proxy == TUNNEL_PROXY_V1 ? V1 : "", cases[i].said);
			assert_string_equal(W->target[1].got, want);
			assert_int_equal(W->core.last->place, 8);
			far_say(&W->target[1], "hello");
			assert_string_equal(W->visitor.got, "hello");
		} else {
			assert_int_equal(W->visitor.why, ERR_RESET);
			assert_int_equal(tcp_ingress_load(D.tcp), 0);
			expect_in(W->logged, err_name(cases[i].code));
		}
		desk_close();
	}
}

static void test_all_refuse(void **state)
{
	desk_open();
	W->core.demo.n_sessions = 3;
	desk_visit(NULL);
	far_say(&W->visitor, "x");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(W->visitor.why, 0);
		rig_break(i, ERR_NOTFOUND);
	}
	assert_int_equal(W->visitor.why, ERR_RESET);
	expect_in(W->logged,
		  "event=refused tunnel=demo peer=192.0.2.7:4711 code=NOTFOUND msg=\"the "
		  "agent knows no such service or tunnel\"");
	assert_int_equal(count_in(W->logged, "event=refused"), 1);
	desk_close();
}

/* The end of what the visitor says is told to the next session as well. */
static void test_an_end_is_kept(void **state)
{
	desk_open();
	W->core.demo.n_sessions = 2;
	desk_visit(NULL);
	far_say(&W->visitor, "all");
	wire_shut(W->visitor.wire);
	pass_ms(10);
	assert_true(W->target[0].eof);
	rig_break(0, ERR_REFUSED);
	assert_string_equal(W->target[1].got, "all");
	assert_true(W->target[1].eof);
	far_say(&W->target[1], "done");
	far_close(&W->target[1], 0);
	assert_string_equal(W->visitor.got, "done");
	assert_true(W->visitor.eof);
	assert_int_equal(tcp_ingress_load(D.tcp), 0);
	desk_close();
}

static void test_once_it_has_answered_nobody_is_replaced(void **state)
{
	desk_open();
	W->core.demo.n_sessions = 2;
	desk_visit(NULL);
	far_say(&W->target[0], "x");
	far_close(&W->target[0], ERR_RESET);
	assert_int_equal(W->core.demo.n_dials, 1);
	assert_int_equal(W->visitor.why, ERR_RESET);
	desk_close();
}

/* Only so much is kept; what is longer is carried all the same. */
static void test_early_bytes_are_bounded(void **state)
{
	static const struct {
		const char *why;
		size_t first, said;
		bool moves;
	} cases[] = {
		{"one byte less", 0, TCP_INGRESS_EARLY_MAX - 1, true},
		{"the bound", 0, TCP_INGRESS_EARLY_MAX, false},
		{"far more", 0, 3 * TCP_INGRESS_EARLY_MAX, false},
		{"a ClientHello of the largest size", 65536, 10, false},
	};
	static char bytes[4 * TCP_INGRESS_EARLY_MAX + 100];

	memset(bytes, 'x', sizeof bytes);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t left = cases[i].said;

		print_message("# %s\n", cases[i].why);
		desk_open();
		W->core.demo.n_sessions = 2;
		desk_visit(&(struct tcp_visitor){.first = {bytes, cases[i].first}});
		while (left > 0) {
			size_t n = MIN(left, (size_t)1000);

			assert_int_equal(wire_write_all(W->visitor.wire, (struct str){bytes, n}),
					 0);
			left -= n;
			pass_ms(1);
		}
		pass_ms(10);
		assert_int_equal(W->target[0].n_got, cases[i].first + cases[i].said);
		rig_break(0, ERR_REFUSED);
		assert_int_equal(W->core.demo.n_dials, cases[i].moves ? 2 : 1);
		assert_int_equal(W->visitor.why, cases[i].moves ? 0 : ERR_RESET);
		if (cases[i].moves)
			assert_int_equal(W->target[1].n_got, cases[i].said);
		desk_close();
	}
}

/* ---- who is let in ---- */

static void test_who_is_let_in(void **state)
{
	static const struct {
		const char *why, *allow, *deny;
		bool connected;
		int dial, want;
	} cases[] = {
		{"everybody", "", "", true, 0, 0},
		{"on the list", "192.0.2.0/24", "", true, 0, 0},
		{"not on the list", "10.0.0.0/8", "", true, 0, ERR_DENIED},
		{"on the other list", "", "192.0.2.7/32", true, 0, ERR_DENIED},
		{"nobody serves it", "", "", false, 0, ERR_NOSESSION},
		{"all fail their health checks", "", "", true, ERR_TARGET, ERR_TARGET},
	};

	for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
		bool told = i % 2 == 1;
		size_t at = i / 2;
		struct rights *r;

		print_message("# %s\n", cases[at].why);
		desk_open();
		r = &W->core.demo.rights;
		if (cases[at].allow[0] != '\0')
			assert_int_equal(cidr_parse(str_of(cases[at].allow),
						    &r->allow[r->n_allow++]),
					 0);
		if (cases[at].deny[0] != '\0')
			assert_int_equal(cidr_parse(str_of(cases[at].deny), &r->deny[r->n_deny++]),
					 0);
		rig_changed();
		W->core.connected = cases[at].connected;
		W->core.demo.dial_error = cases[at].dial;
		desk_visit(&(struct tcp_visitor){.refused = told ? desk_on_refused : NULL});
		assert_int_equal(tcp_ingress_load(D.tcp), cases[at].want == 0);
		if (cases[at].want == 0) {
			assert_string_equal(W->logged, "");
			assert_int_equal(W->core.n_visitors, 1);
		} else {
			expect_in(W->logged, err_name(cases[at].want));
			assert_int_equal(W->visitor.why, told ? 0 : ERR_RESET);
			assert_int_equal(D.why, told ? cases[at].want : 0);
			assert_int_equal(D.refused != NULL, told);
			wire_close(D.refused, 0);
		}
		desk_close();
	}
}

static void test_refusals_do_not_flood_the_log(void **state)
{
	desk_open();
	W->core.connected = false;
	for (int i = 0; i < 3 * LOG_PACE_PER_SECOND; i++) {
		desk_visit(NULL);
		far_close(&W->visitor, 0);
	}
	pass_ms(1000);
	desk_visit(NULL);
	/* 60 visitors took 1.2 s */
	assert_true(count_in(W->logged, "event=refused tunnel") <= 2 * LOG_PACE_PER_SECOND + 1);
	assert_true(count_in(W->logged, "event=refused tunnel") >= LOG_PACE_PER_SECOND + 1);
	expect_in(W->logged, "more lines like these were left out");
	desk_close();
}

/* ---- the header towards the target ---- */

static void test_the_target_is_told(void **state)
{
	struct visit visit = {.ingress = VISIT_SNI, .tls = true};
	struct tcp_visitor v = {.visit = &visit,
				.first = STR("first"),
				.alpn = STR("h2"),
				.tls_version = "TLSv1.3"};
	struct proxy_header h;
	char id[PROXY_ID_MAX + 1] = "";
	size_t used;

	desk_open();
	visit.visitor = W->peer;
	assert_int_equal(visit_end_set(&visit.local, STR("198.51.100.1"), 443), 0);
	assert_int_equal(str_copy(visit.sni, sizeof visit.sni, STR("a.tls.example")), 0);
	W->core.demo.settings.proxy = TUNNEL_PROXY_V2;
	W->core.demo.n_sessions = 2;
	desk_visit(&v);
	rig_break(0, ERR_REFUSED);
	assert_int_equal(W->target[0].n_got, W->target[1].n_got);
	assert_memory_equal(W->target[0].got, W->target[1].got, W->target[0].n_got);
	assert_int_equal(proxy_protocol_parse((struct str){W->target[1].got, W->target[1].n_got},
					      &h, &used),
			 0);
	assert_string_equal(W->target[1].got + used, "first");
	assert_string_equal(h.src.ip, "192.0.2.7");
	assert_int_equal(h.src.port, 4711);
	assert_string_equal(h.dst.ip, "198.51.100.1");
	assert_int_equal(h.dst.port, 443);
	assert_string_equal(h.sni, "a.tls.example");
	assert_int_equal(h.alpn_len, 2);
	assert_memory_equal(h.alpn, "h2", 2);
	assert_true(h.tls);
	assert_string_equal(h.tls_version, "TLSv1.3");
	assert_int_equal(h.id_len, 24);
	memcpy(id, h.id, h.id_len);
	assert_string_equal(id + 16, "00000001");
	desk_close();
}

/* What the node that has sent him did is not done again. */
static void test_a_visitor_from_another_node(void **state)
{
	struct visit visit = {.ingress = VISIT_TCP, .via = "0123456789abcdef"};
	struct tcp_visitor v = {.visit = &visit, .hopped = true};

	desk_open_with(1000);
	assert_int_equal(cidr_parse(STR("192.0.2.0/24"), &W->core.demo.rights.deny[0]), 0);
	W->core.demo.rights.n_deny = 1;
	rig_changed();
	visit.visitor = W->peer;
	W->core.demo.settings.proxy = TUNNEL_PROXY_V1;
	desk_visit(&v);
	assert_string_equal(W->core.seen.via, visit.via);
	pass_ms(60000); /* nobody has said a word */
	assert_int_equal(tcp_ingress_load(D.tcp), 1);
	far_say(&W->visitor, "hello");
	assert_string_equal(W->target[0].got, "hello");
	far_say(&W->target[0], "yes");
	pass_ms(60000);
	far_say(&W->visitor, " again");
	assert_string_equal(W->target[0].got, "hello again");
	desk_close();
}

/* A request in it must not be done twice: only who has seen none of it is replaced here. */
static void test_a_request_from_another_node(void **state)
{
	static const struct {
		const char *why;
		enum visit_ingress ingress;
		bool hopped;
		int code;
		bool moves;
	} cases[] = {
		{"a request, certainly not seen", VISIT_HTTP, true, ERR_REFUSED, true},
		{"a request, hardly seen", VISIT_HTTP, true, ERR_TIMEOUT, false},
		{"a connection, hardly seen", VISIT_TCP, true, ERR_TIMEOUT, true},
		{"of our own", VISIT_TCP, false, ERR_TIMEOUT, true},
		{"a connection that a further node could not take", VISIT_TCP, false, ERR_NOSESSION,
		 true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct visit visit = {.ingress = cases[i].ingress};

		print_message("# %s\n", cases[i].why);
		desk_open();
		visit.visitor = W->peer;
		W->core.demo.n_sessions = 2;
		desk_visit(&(struct tcp_visitor){.visit = &visit, .hopped = cases[i].hopped});
		far_say(&W->visitor, "POST");
		rig_break(0, cases[i].code);
		assert_int_equal(W->core.demo.n_dials, cases[i].moves ? 2 : 1);
		assert_int_equal(W->visitor.why != 0, !cases[i].moves);
		desk_close();
	}
}

/* Both versions of the address are told as they are, IPv6 too. */
static void test_the_target_is_told_of_ipv6(void **state)
{
	struct visit visit = {.ingress = VISIT_TCP};

	desk_open();
	assert_int_equal(visit_end_set(&visit.visitor, STR("2001:db8::7"), 4711), 0);
	assert_int_equal(visit_end_set(&visit.local, STR("2001:db8::1"), 9000), 0);
	W->core.demo.settings.proxy = TUNNEL_PROXY_V1;
	desk_visit(&(struct tcp_visitor){.visit = &visit});
	assert_string_equal(W->target[0].got, "PROXY TCP6 2001:db8::7 2001:db8::1 4711 9000\r\n");
	desk_close();
}

/* The same number stands in the log. */
static void test_the_log_has_the_number(void **state)
{
	struct proxy_header h;
	char id[PROXY_ID_MAX + 5] = "id=";
	size_t used;

	desk_open();
	W->log.level = LOG_DEBUG;
	W->core.demo.settings.proxy = TUNNEL_PROXY_V2;
	desk_visit(NULL);
	assert_int_equal(proxy_protocol_parse((struct str){W->target[0].got, W->target[0].n_got},
					      &h, &used),
			 0);
	memcpy(id + 3, h.id, h.id_len);
	far_say(&W->visitor, "12345");
	far_say(&W->target[0], "123");
	far_close(&W->visitor, ERR_RESET);
	expect_in(W->logged, "event=visitor ");
	expect_in(W->logged, id);
	expect_in(W->logged, " up=5 down=3 ");
	desk_close();
}

/* ---- time ---- */

static void test_told_to_leave(void **state)
{
	for (int answered = 0; answered < 2; answered++) {
		for (uint64_t ms = 0; ms <= 30000; ms += 15000) {
			struct core_visitor *v;

			desk_open();
			desk_visit(NULL);
			if (answered)
				far_say(&W->target[0], "hi");
			v = W->core.last;
			v->leave(v, ms);
			if (ms > 0) {
				v->leave(v, ms + 5000); /* the earliest time counts */
				pass_ms(ms - 100);
				far_say(&W->visitor, "still here");
				assert_string_equal(W->target[0].got, "still here");
				pass_ms(90);
			}
			pass_ms(10);
			assert_int_equal(W->visitor.why, ERR_RESET);
			assert_int_equal(W->target[0].why, ERR_RESET);
			assert_int_equal(tcp_ingress_load(D.tcp), 0);
			desk_close();
		}
	}
}

/* Whoever has found another place need not leave that one. */
static void test_a_new_place_is_not_left(void **state)
{
	desk_open();
	W->core.demo.n_sessions = 2;
	desk_visit(NULL);
	W->core.last->leave(W->core.last, 1000);
	rig_break(0, ERR_REFUSED);
	assert_int_equal(W->core.last->place, 8);
	pass_ms(5000);
	assert_int_equal(W->visitor.why, 0);
	far_say(&W->target[1], "hello");
	assert_string_equal(W->visitor.got, "hello");
	desk_close();
}

static void test_silence(void **state)
{
	static const struct {
		const char *why;
		uint32_t idle_ms;
		bool answered;
		uint64_t say_every;
		bool ends;
	} cases[] = {
		{"no deadline is set", 0, false, 0, false},
		{"no deadline is set, after an answer", 0, true, 0, false},
		{"nobody says a word", 1000, false, 0, true},
		{"nobody says a word any more", 1000, true, 0, true},
		{"the visitor talks to a target that listens", 1000, false, 700, false},
		{"the visitor talks", 1000, true, 700, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("# %s\n", cases[i].why);
		desk_open_with(cases[i].idle_ms);
		desk_visit(NULL);
		if (cases[i].answered)
			far_say(&W->target[0], "hi");
		for (int n = 0; n < 10 && cases[i].say_every > 0; n++) {
			far_say(&W->visitor, "x");
			pass_ms(cases[i].say_every);
		}
		if (cases[i].say_every == 0)
			pass_ms(cases[i].ends ? 2100 : 86400000);
		assert_int_equal(W->visitor.why != 0, cases[i].ends);
		assert_int_equal(tcp_ingress_load(D.tcp), !cases[i].ends);
		desk_close();
	}
}

static void test_the_ingress_goes(void **state)
{
	for (int answered = 0; answered < 2; answered++) {
		desk_open();
		desk_visit(NULL);
		far_say(&W->visitor, "x");
		if (answered)
			far_say(&W->target[0], "hi");
		tcp_ingress_free(D.tcp);
		D.tcp = NULL;
		pass_ms(10);
		assert_int_equal(W->visitor.why, ERR_RESET);
		assert_int_equal(W->target[0].why, ERR_RESET);
		desk_close();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_service_may_speak_first),
		cmocka_unit_test(test_the_visitor_may_speak_first),
		cmocka_unit_test(test_an_answer_in_the_middle_of_early_bytes),
		cmocka_unit_test(test_who_watches_is_told),
		cmocka_unit_test(test_half_close),
		cmocka_unit_test(test_a_reset_is_a_reset),
		cmocka_unit_test(test_much_both_ways),
		cmocka_unit_test(test_who_may_be_replaced),
		cmocka_unit_test(test_all_refuse),
		cmocka_unit_test(test_an_end_is_kept),
		cmocka_unit_test(test_once_it_has_answered_nobody_is_replaced),
		cmocka_unit_test(test_early_bytes_are_bounded),
		cmocka_unit_test(test_who_is_let_in),
		cmocka_unit_test(test_refusals_do_not_flood_the_log),
		cmocka_unit_test(test_the_target_is_told),
		cmocka_unit_test(test_a_visitor_from_another_node),
		cmocka_unit_test(test_a_request_from_another_node),
		cmocka_unit_test(test_the_target_is_told_of_ipv6),
		cmocka_unit_test(test_the_log_has_the_number),
		cmocka_unit_test(test_told_to_leave),
		cmocka_unit_test(test_a_new_place_is_not_left),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_the_ingress_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
