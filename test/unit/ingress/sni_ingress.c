/* ClientHellos in one piece, in many, and things that are none. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "ingress/sni_ingress.h"
#include "ingress_rig.h"
#include "proto/pen.h"
#include "proto/proxy_protocol.h"

/* The parser that the ingress asks is the real one, but here it counts what it is asked. */
int client_hello_really_parse(struct str in, struct client_hello *out);
#define client_hello_parse client_hello_really_parse
#include "proto/client_hello.c"
#undef client_hello_parse

#define HELLO_MS 10000
#define KEPT_MAX 10000 /* of one test */

/* What TLS ends with that is ended here. */
struct ended {
	int n;
	struct wire *wire; /* owned */
	char tunnel[64];   /* "-": none */
	struct visit who;
};

struct desk {
	struct tcp_ingress *tcp;
	struct sni_ingress *sni;
	struct ended ended;
};

static struct desk D;
static size_t n_looks;

int client_hello_parse(struct str in, struct client_hello *out)
{
	n_looks++;
	return client_hello_really_parse(in, out);
}

static bool desk_is_ours(void *arg, struct str sni)
{
	return str_eq(sni, STR("ours.example")) || core_tunnel_at(&W->core, sni) != NULL;
}

static void desk_on_end(void *arg, struct wire *w, const struct visit *who, const char *tunnel)
{
	D.ended.n++;
	D.ended.wire = w;
	D.ended.who = *who;
	str_printf(D.ended.tunnel, sizeof D.ended.tunnel, "%s", tunnel != NULL ? tunnel : "-");
}

/* kept_max: see sni_ingress_opt. */
static void desk_open_with(size_t kept_max)
{
	struct tcp_ingress_opt tcp = {.idle_ms = 0};
	struct sni_ingress_opt sni = {.hello_ms = HELLO_MS,
				      .is_ours = desk_is_ours,
				      .end_tls = desk_on_end,
				      .kept_max = kept_max};

	rig_open_bare();
	D = (struct desk){.tcp = NULL};
	W->core.demo.settings.kind = TUNNEL_TLS;
	tcp.core = sni.core = &W->core;
	tcp.log = sni.log = &W->log;
	assert_int_equal(tcp_ingress_new(W->ev, &tcp, &D.tcp), 0);
	sni.tcp = D.tcp;
	assert_int_equal(sni_ingress_new(W->ev, &sni, &D.sni), 0);
}

static void desk_open(void)
{
	desk_open_with(0);
}

static void desk_close(void)
{
	wire_close(D.ended.wire, 0);
	sni_ingress_free(D.sni);
	tcp_ingress_free(D.tcp);
	rig_close();
}

static void pass_ms(uint64_t ms)
{
	ev_sim_run_for(W->ev, ms);
}

static void desk_visit(void)
{
	struct visit who = {.visitor = W->peer};

	assert_int_equal(visit_end_set(&who.local, STR("198.51.100.1"), 443), 0);
	sni_ingress_serve(D.sni, rig_visit(), &who);
	pass_ms(1);
}

static void say(struct str bytes)
{
	assert_int_equal(wire_write_all(W->visitor.wire, bytes), 0);
	pass_ms(1);
}

/* ---- ClientHellos ---- */

static void pen_number(struct pen *pen, unsigned bytes, size_t n)
{
	while (bytes-- > 0)
		pen_char(pen, (char)(n >> 8 * bytes));
}

/* A ClientHello in one record; sni and alpn (one protocol) may be empty. */
static struct str make_hello(const char *sni, const char *alpn, char out[1000])
{
	static const char random[32];
	size_t n_sni = str_of(sni).len, n_alpn = str_of(alpn).len;
	size_t extensions = (n_sni > 0 ? n_sni + 9 : 0) + (n_alpn > 0 ? n_alpn + 7 : 0);
	size_t body = 2 + 32 + 1 + 2 + 2 + 2 + 2 + extensions;
	struct pen pen = pen_on(out, 1000);

	pen_str(&pen, STR("\x16\x03\x01"));
	pen_number(&pen, 2, body + 4);
	pen_number(&pen, 1, 1);
	pen_number(&pen, 3, body);
	pen_number(&pen, 2, 0x0303);
	pen_str(&pen, (struct str){random, sizeof random});
	pen_number(&pen, 1, 0);
	pen_number(&pen, 2, 2);
	pen_number(&pen, 2, 0x1301);
	pen_number(&pen, 2, 0x0100);
	pen_number(&pen, 2, extensions);
	if (n_sni > 0) {
		pen_number(&pen, 2, 0);
		pen_number(&pen, 2, n_sni + 5);
		pen_number(&pen, 2, n_sni + 3);
		pen_number(&pen, 1, 0);
		pen_number(&pen, 2, n_sni);
		pen_str(&pen, str_of(sni));
	}
	if (n_alpn > 0) {
		pen_number(&pen, 2, 16);
		pen_number(&pen, 2, n_alpn + 3);
		pen_number(&pen, 2, n_alpn + 1);
		pen_number(&pen, 1, n_alpn);
		pen_str(&pen, str_of(alpn));
	}
	assert_false(pen.full);
	return (struct str){out, pen_len(&pen)};
}

/* The fatal alert of this number came, and then the end. */
static void expect_alert(int number)
{
	char want[] = {0x15, 3, 3, 0, 2, 2, (char)number};

	assert_int_equal(W->visitor.n_got, sizeof want);
	assert_memory_equal(W->visitor.got, want, sizeof want);
	assert_true(W->visitor.eof);
}

/* ---- tests ---- */

/* A custom domain that only another node serves: in pieces, too, and whatever is said meanwhile. */
static void test_a_name_that_is_asked_for(void **state)
{
	static const struct {
		const char *why, *sni;
		size_t n_remote, cut;
		bool found;
		unsigned n_lookups;
		int alert; /* 0: ended here for HTTP */
	} cases[] = {
		{"another node serves it", "app.example.org", 1, 0, true, 1, 0},
		{"the same in two pieces", "app.example.org", 1, 50, true, 1, 0},
		{"no tunnel has it", "app.example.org", 1, 0, false, 1, 112},
		{"no tunnel has it, in two pieces", "app.example.org", 1, 50, false, 1, 112},
		{"it cannot be", "other.example", 1, 0, true, 0, 112},
		{"there are no others", "app.example.org", 0, 0, true, 0, 112},
	};
	char mem[1000];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str hello = make_hello(cases[i].sni, "", mem), came;
		size_t cut = cases[i].cut;

		print_message("# %s\n", cases[i].why);
		desk_open();
		W->core.connected = false;
		W->core.n_remote = cases[i].n_remote;
		W->core.connect_by_lookup = cases[i].found;
		desk_visit();
		if (cut > 0)
			say((struct str){hello.p, cut});
		say((struct str){hello.p + cut, hello.len - cut});
		assert_int_equal(W->core.n_lookups, cases[i].n_lookups);
		assert_int_equal(sni_ingress_load(D.sni), 0);
		if (cases[i].alert != 0) {
			expect_alert(cases[i].alert);
		} else {
			assert_int_equal(D.ended.n, 1);
			assert_string_equal(D.ended.tunnel, "-");
			assert_int_equal(wire_read(D.ended.wire, 65536, &came), 0);
			assert_true(str_eq(came, hello));
		}
		desk_close();
	}
}

static void test_gone_while_it_is_asked(void **state)
{
	char mem[1000];

	for (int closes = 0; closes < 2; closes++) {
		desk_open();
		W->core.connected = false;
		W->core.n_remote = 1;
		W->core.hold_lookups = true;
		desk_visit();
		say(make_hello("app.example.org", "", mem));
		assert_int_equal(sni_ingress_load(D.sni), 1);
		assert_int_equal(D.ended.n, 0);
		if (closes != 0)
			far_close(&W->visitor, ERR_RESET);
		else
			pass_ms(HELLO_MS + 1);
		assert_int_equal(sni_ingress_load(D.sni), 0);
		desk_close();
	}
}

static void test_where_names_lead(void **state)
{
	static const struct {
		const char *why, *sni;
		enum core_sni is;
		bool connected, denied;
		const char *ended; /* the tunnel that TLS is ended for, "-": none of them */
		int alert;	   /* 0: none */
	} cases[] = {
		{"passed through", "a.tls.example", CORE_SNI_PASS, true, false, NULL, 0},
		{"known, but nobody serves it", "a.tls.example", CORE_SNI_PASS, false, false, NULL,
		 80},
		{"passed through, but not for this visitor", "a.tls.example", CORE_SNI_PASS, true,
		 true, NULL, 40},
		{"ended here for a tunnel", "A.TLS.example", CORE_SNI_END, true, false, "demo", 0},
		{"ended here, but nobody serves it", "a.tls.example", CORE_SNI_END, false, false,
		 NULL, 80},
		{"ended here for HTTP", "ours.example", CORE_SNI_NOBODY, true, false, "-", 0},
		{"without a name", "", CORE_SNI_NOBODY, true, false, "-", 0},
		{"nobody's", "other.example", CORE_SNI_NOBODY, true, false, NULL, 112},
	};
	char mem[1000];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str hello = make_hello(cases[i].sni, "", mem), came;

		print_message("# %s\n", cases[i].why);
		desk_open();
		W->core.sni = cases[i].is;
		W->core.connected = cases[i].connected;
		if (cases[i].denied) {
			assert_int_equal(cidr_parse(STR("192.0.2.0/24"),
						    &W->core.demo.rights.deny[0]),
					 0);
			W->core.demo.rights.n_deny = 1;
			rig_changed();
		}
		desk_visit();
		say(hello);
		if (cases[i].alert != 0) {
			expect_alert(cases[i].alert);
			expect_in(W->logged, "event=refused ");
		} else if (cases[i].ended != NULL) {
			assert_int_equal(D.ended.n, 1);
			assert_string_equal(D.ended.tunnel, cases[i].ended);
			assert_string_equal(D.ended.who.visitor.ip, "192.0.2.7");
			assert_int_equal(wire_read(D.ended.wire, 65536, &came), 0);
			assert_true(str_eq(came, hello));
		} else {
			assert_int_equal(W->core.demo.n_dials, 1);
			assert_int_equal(W->target[0].n_got, hello.len);
			assert_memory_equal(W->target[0].got, hello.p, hello.len);
			assert_string_equal(W->core.seen.sni, "a.tls.example");
			assert_int_equal(W->core.seen.ingress, VISIT_SNI);
			far_say(&W->target[0], "server hello");
			assert_string_equal(W->visitor.got, "server hello");
		}
		assert_int_equal(D.ended.n, cases[i].ended != NULL);
		assert_int_equal(sni_ingress_load(D.sni), 0);
		assert_int_equal(tcp_ingress_load(D.tcp),
				 cases[i].alert == 0 && cases[i].ended == NULL);
		desk_close();
	}
}

/* What is there when the visitor comes is looked at without waiting. */
static void test_it_may_be_there_already(void **state)
{
	struct visit who = {.ingress = VISIT_SNI};
	struct wire *near;
	char mem[1000];

	desk_open();
	who.visitor = W->peer;
	W->core.sni = CORE_SNI_PASS;
	near = rig_visit();
	say(make_hello("a.tls.example", "", mem));
	sni_ingress_serve(D.sni, near, &who);
	assert_int_equal(sni_ingress_load(D.sni), 0);
	assert_int_equal(tcp_ingress_load(D.tcp), 1);
	desk_close();
}

static void test_every_split(void **state)
{
	static const enum core_sni ways[] = {CORE_SNI_PASS, CORE_SNI_END};
	struct str came;
	char mem[1000];

	for (size_t way = 0; way < ARRAY_LEN(ways); way++) {
		struct str hello = make_hello("a.tls.example", "h2", mem);

		for (size_t cut = 1; cut < hello.len; cut++) {
			desk_open();
			W->core.sni = ways[way];
			desk_visit();
			say((struct str){hello.p, cut});
			assert_int_equal(sni_ingress_load(D.sni), 1);
			assert_int_equal(W->core.demo.n_dials, 0);
			say((struct str){hello.p + cut, hello.len - cut});
			say(STR("more"));
			assert_int_equal(sni_ingress_load(D.sni), 0);
			if (ways[way] == CORE_SNI_PASS) {
				assert_int_equal(W->target[0].n_got, hello.len + 4);
				assert_memory_equal(W->target[0].got, hello.p, hello.len);
			} else {
				assert_int_equal(wire_read(D.ended.wire, 65536, &came), 0);
				assert_int_equal(came.len, hello.len + 4);
				assert_memory_equal(came.p, hello.p, hello.len);
			}
			desk_close();
		}
	}
}

static void test_byte_by_byte(void **state)
{
	char mem[1000];
	struct str hello = make_hello("a.tls.example", "", mem);

	desk_open();
	W->core.sni = CORE_SNI_PASS;
	desk_visit();
	for (size_t i = 0; i < hello.len; i++)
		say((struct str){hello.p + i, 1});
	assert_int_equal(W->target[0].n_got, hello.len);
	assert_memory_equal(W->target[0].got, hello.p, hello.len);
	desk_close();
}

/* The longest that there may be, in records of one byte each, costs little more than one in one
 * piece. */
static void test_the_smallest_records(void **state)
{
	enum { WHOLE = CLIENT_HELLO_MAX / 6 };
	static const size_t pieces[] = {1, 5, 7, 1000};

	for (size_t k = 0; k < ARRAY_LEN(pieces); k++) {
		char *message = calloc(1, WHOLE), *bytes = malloc(6 * WHOLE), mem[1000];
		struct str hello = make_hello("a.tls.example", "", mem);
		size_t n = 0, len = hello.len - 5, padding = WHOLE - len - 4;

		/* its record's header goes, and one more extension comes */
		memcpy(message, hello.p + 5, len);
		message[2] = (char)((WHOLE - 4) >> 8);
		message[3] = (char)(WHOLE - 4);
		message[4 + 41] = (char)((WHOLE - 4 - 43) >> 8);
		message[4 + 42] = (char)(WHOLE - 4 - 43);
		message[len] = message[len + 1] = 0x55;
		message[len + 2] = (char)(padding >> 8);
		message[len + 3] = (char)padding;
		for (size_t i = 0; i < WHOLE; i++, n += 6) {
			memcpy(bytes + n, "\x16\x03\x01\0\x01", 5);
			bytes[n + 5] = message[i];
		}
		desk_open();
		W->core.sni = CORE_SNI_PASS;
		desk_visit();
		n_looks = 0;
		for (size_t at = 0; at < n; at += pieces[k]) {
			struct str piece = {bytes + at, MIN(pieces[k], n - at)};

			assert_int_equal(wire_write_all(W->visitor.wire, piece), 0);
			ev_sim_run_for(W->ev, at % 64 == 0);
		}
		pass_ms(10);
		assert_int_equal(W->target[0].n_got, n);
		assert_memory_equal(W->target[0].got, bytes, n);
		print_message("# pieces of %zu: %zu looks\n", pieces[k], n_looks);
		assert_in_range(n_looks, 1, 100);
		desk_close();
		free(message);
		free(bytes);
	}
}

static void test_what_is_no_client_hello(void **state)
{
	static const struct {
		const char *why, *bytes;
		size_t len;
		int alert;
	} cases[] = {
		{"HTTP in clear", "GET / HTTP/1.1\r\n", 16, 10},
		{"one byte of something else", "S", 1, 10},
		{"another message of TLS", "\x16\x03\x01\x00\x10\x02", 6, 50},
		{"application data", "\x17\x03\x03\x00\x10", 5, 10},
		{"a version that is none", "\x16\x09", 2, 50},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("# %s\n", cases[i].why);
		desk_open();
		desk_visit();
		say((struct str){cases[i].bytes, cases[i].len});
		expect_alert(cases[i].alert);
		assert_int_equal(sni_ingress_load(D.sni), 0);
		assert_int_equal(D.ended.n, 0);
		expect_in(W->logged, "event=refused peer=192.0.2.7:4711");
		desk_close();
	}
}

/* A message that says it is larger than we read is refused before it has come. */
/* Hellos that are not complete may fill so much memory and no more, however many there are. */
static void test_too_much_of_all(void **state)
{
	static char much[KEPT_MAX + 1] = "\x16\x03\x01\x3f\xff\x01\x00\xf0\x00\x03\x03";

	much[11 + 32 + 1] = (char)0xe0; /* so many cipher suites are to come */
	for (int fits = 1; fits >= 0; fits--) {
		desk_open_with(KEPT_MAX);
		desk_visit();
		say((struct str){much, KEPT_MAX});
		assert_int_equal(sni_ingress_load(D.sni), 1);
		if (!fits)
			say((struct str){much + KEPT_MAX, 1});
		assert_int_equal(sni_ingress_load(D.sni), fits);
		assert_int_equal(W->visitor.why, fits ? 0 : ERR_RESET);
		desk_close();
	}
}

static void test_too_large(void **state)
{
	desk_open();
	desk_visit();
	say(STR("\x16\x03\x01\x40\x00\x01\x01\x00\x00\x03\x03"));
	expect_alert(50);
	assert_int_equal(sni_ingress_load(D.sni), 0);
	desk_close();
}

/* One byte too many, which only the header of its last record shows. */
static void test_a_little_too_large(void **state)
{
	enum { WHOLE = CLIENT_HELLO_MAX - 4 * 5 + 1, RECORD = 16384 };
	static char message[WHOLE], bytes[CLIENT_HELLO_MAX + 1];
	struct pen pen = pen_on(message, 64), all = pen_on(bytes, sizeof bytes);

	pen_number(&pen, 1, 1);
	pen_number(&pen, 3, WHOLE - 4);
	pen_number(&pen, 2, 0x0303);
	for (int i = 0; i < 32; i++)
		pen_char(&pen, 0);
	pen_number(&pen, 1, 0);
	pen_number(&pen, 2, 2);
	pen_number(&pen, 2, 0x1301);
	pen_number(&pen, 2, 0x0100);
	pen_number(&pen, 2, WHOLE - 4 - 43);
	pen_number(&pen, 2, 60001);
	pen_number(&pen, 2, WHOLE - 4 - 43 - 4);
	for (size_t at = 0; at < WHOLE; at += RECORD) {
		size_t len = MIN(WHOLE - at, (size_t)RECORD);

		pen_str(&all, STR("\x16\x03\x01"));
		pen_number(&all, 2, len);
		pen_str(&all, (struct str){message + at, len});
	}
	assert_int_equal(pen_len(&all), CLIENT_HELLO_MAX + 1);
	desk_open();
	desk_visit();
	say((struct str){bytes, 2 * RECORD + 1000});
	assert_int_equal(sni_ingress_load(D.sni), 1);
	say((struct str){bytes + 2 * RECORD + 1000, CLIENT_HELLO_MAX - 2 * RECORD - 1000});
	expect_alert(50);
	assert_int_equal(sni_ingress_load(D.sni), 0);
	desk_close();
}

static void test_who_does_not_finish(void **state)
{
	static const struct {
		const char *why;
		size_t bytes; /* of the ClientHello */
		uint64_t every_ms;
	} cases[] = {
		{"says nothing", 0, 0},
		{"says a part", 20, 0},
		{"goes on slowly", 60, 300},
	};
	char mem[1000];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str hello = make_hello("a.tls.example", "", mem);

		print_message("# %s\n", cases[i].why);
		desk_open();
		W->core.sni = CORE_SNI_PASS;
		desk_visit();
		for (size_t n = 0; n < cases[i].bytes && W->visitor.why == 0; n++) {
			say((struct str){hello.p + n, 1});
			pass_ms(cases[i].every_ms);
		}
		pass_ms(cases[i].every_ms != 0 ? 10 : HELLO_MS + 10);
		assert_int_equal(W->visitor.why, ERR_RESET);
		assert_int_equal(sni_ingress_load(D.sni), 0);
		assert_int_equal(W->core.demo.n_dials, 0);
		expect_in(W->logged, "code=TIMEOUT");
		desk_close();
	}
}

static void test_who_leaves(void **state)
{
	for (int reset = 0; reset < 2; reset++) {
		desk_open();
		desk_visit();
		say(STR("\x16\x03"));
		assert_int_equal(sni_ingress_load(D.sni), 1);
		far_close(&W->visitor, reset ? ERR_RESET : 0);
		assert_int_equal(sni_ingress_load(D.sni), 0);
		desk_close();
	}
}

static void test_the_ingress_goes(void **state)
{
	desk_open();
	desk_visit();
	say(STR("\x16\x03"));
	sni_ingress_free(D.sni);
	D.sni = NULL;
	pass_ms(10);
	assert_int_equal(W->visitor.why, ERR_RESET);
	desk_close();
}

/* A target behind learns what the ClientHello says; of protocols, only when there is no choice. */
static void test_what_the_target_learns(void **state)
{
	static const struct {
		const char *why, *alpn, *want;
	} cases[] = {
		{"nothing is offered", "", ""},
		{"one protocol", "imap", "imap"},
		{"a choice", "h2\x08http/1.1", ""},
	};
	char mem[1000];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str hello = make_hello("a.tls.example", cases[i].alpn, mem);
		struct proxy_header h;
		size_t used;
		char *offer;

		print_message("# %s\n", cases[i].why);
		if (i == 2) { /* two names: the first one's length is its own */
			offer = memchr(mem, 'h', hello.len);
			while (memcmp(offer, "h2\x08", 3) != 0)
				offer = memchr(offer + 1, 'h',
					       (size_t)(mem + hello.len - offer - 1));
			offer[-1] = 2;
		}
		desk_open();
		W->core.sni = CORE_SNI_PASS;
		W->core.demo.settings.proxy = TUNNEL_PROXY_V2;
		desk_visit();
		say(hello);
		assert_int_equal(proxy_protocol_parse((struct str){W->target[0].got,
								   W->target[0].n_got},
						      &h, &used),
				 0);
		assert_int_equal(W->target[0].n_got, used + hello.len);
		assert_memory_equal(W->target[0].got + used, hello.p, hello.len);
		assert_string_equal(h.sni, "a.tls.example");
		assert_int_equal(h.alpn_len, strlen(cases[i].want));
		assert_memory_equal(h.alpn, cases[i].want, h.alpn_len);
		assert_false(h.tls); /* we did not end it */
		assert_int_equal(h.dst.port, 443);
		desk_close();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_where_names_lead),
		cmocka_unit_test(test_a_name_that_is_asked_for),
		cmocka_unit_test(test_gone_while_it_is_asked),
		cmocka_unit_test(test_it_may_be_there_already),
		cmocka_unit_test(test_every_split),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_the_smallest_records),
		cmocka_unit_test(test_what_is_no_client_hello),
		cmocka_unit_test(test_too_much_of_all),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_a_little_too_large),
		cmocka_unit_test(test_who_does_not_finish),
		cmocka_unit_test(test_who_leaves),
		cmocka_unit_test(test_the_ingress_goes),
		cmocka_unit_test(test_what_the_target_learns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
