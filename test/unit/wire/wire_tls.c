/* TLS: the suite over memory and over TCP, whom it trusts, and what it makes of bad peers. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "suite/wire_suite.h"
#include "unit/wire/tcp_pair.h"
#include "unit/wire/tls_certs.h"
#include "wire/wire_mem.h"
#include "wire/wire_tls.h"

/* The simulated clock starts in 2026. */
static const struct tls_certs_row rows[] = {
	{"ca", NULL, NULL, 2020, 2090},
	{"other-ca", NULL, NULL, 2020, 2090},
	{"good", "ca", "DNS:a.example,DNS:*.wild.example,IP:127.0.0.1,IP:::1", 2020, 2090},
	{"expired", "ca", "DNS:a.example", 2020, 2022},
	{"future", "ca", "DNS:a.example", 2080, 2090},
	{"stranger", "other-ca", "DNS:a.example", 2020, 2090},
	{"self", NULL, "DNS:a.example", 2020, 2090},
	{"b", "ca", "DNS:b.example,DNS:c.example,DNS:d.example,DNS:e.example", 2020, 2090},
};

/* Made once for all tests: keys take time. */
struct fixture {
	struct tls_certs certs;
	struct tls_context *server, *client;
};

static struct tls_context *server_context(const struct tls_certs *certs, const char *name,
					  const char *const *alpn)
{
	char file[64], cert[TLS_CERTS_PATH], key[TLS_CERTS_PATH], why[TLS_CONTEXT_WHY];
	struct tls_context_server opt = {.cert_file = cert, .key_file = key, .alpn = alpn};
	struct tls_context *ctx = NULL;

	str_printf(file, sizeof file, "%s.pem", name);
	tls_certs_path(certs, file, cert);
	str_printf(file, sizeof file, "%s.key", name);
	tls_certs_path(certs, file, key);
	assert_int_equal(tls_context_new_server(&opt, &ctx, why), 0);
	return ctx;
}

static struct tls_context *client_context(const struct tls_certs *certs, bool insecure,
					  const char *const *alpn)
{
	char ca[TLS_CERTS_PATH], why[TLS_CONTEXT_WHY];
	struct tls_context_client opt = {.ca_file = tls_certs_path(certs, "ca.pem", ca),
					 .insecure = insecure,
					 .alpn = alpn};
	struct tls_context *ctx = NULL;

	assert_int_equal(tls_context_new_client(&opt, &ctx, why), 0);
	return ctx;
}

/* ---- the suite ---- */

struct tls_kind {
	struct fixture *fixture;
	struct wire_mem_opt mem;
	bool real, tcp;
	uint32_t key_records;
	bool twice; /* TLS over TLS: the way through an https proxy */
};

static void suite_open(const struct wire_suite_kind *kind, struct wire_suite_pair *pair)
{
	const struct tls_kind *k = kind->opt;
	struct wire_tls_opt opt = {.host = "a.example", .key_records = k->key_records};
	struct wire *a, *b;

	if (k->real) {
		assert_int_equal(ev_new(&pair->ev), 0);
		tcp_pair(pair->ev, k->tcp, &a, &b);
	} else {
		assert_int_equal(ev_sim_new(1, &pair->ev), 0);
		assert_int_equal(wire_mem_pair(pair->ev, &k->mem, &a, &b), 0);
	}
	if (k->twice) {
		opt.under = true;
		assert_int_equal(wire_tls_client(pair->ev, a, k->fixture->client, &opt, &a), 0);
		assert_int_equal(wire_tls_server(pair->ev, b, k->fixture->server, &opt, &b), 0);
		opt.under = false;
	}
	assert_int_equal(wire_tls_client(pair->ev, a, k->fixture->client, &opt, &pair->a), 0);
	assert_int_equal(wire_tls_server(pair->ev, b, k->fixture->server, &opt, &pair->b), 0);
}

static void suite_close(struct wire_suite_pair *pair)
{
	ev_free(pair->ev);
}

/* What waits in the wire itself beside what the wire below holds. */
#define TLS_FLIGHT (512 * 1024)

static int suite_run(struct fixture *f)
{
	const struct tls_kind opts[] = {
		{.fixture = f, .mem = {.cap = 0}},
		{.fixture = f, .mem = {.delay_ms = 30, .cap = 1 << 20}},
		{.fixture = f, .mem = {.max_write = 1}},
		{.fixture = f, .mem = {.max_write = 7, .delay_ms = 1}},
		{.fixture = f, .mem = {.max_write = 1000}},
		{.fixture = f, .mem = {.cap = 300}},
		{.fixture = f, .mem = {.cap = 0}, .key_records = 3},
		{.fixture = f, .real = true},
		{.fixture = f, .real = true, .tcp = true},
		{.fixture = f, .mem = {.cap = 0}, .twice = true},
		{.fixture = f, .mem = {.max_write = 1000}, .twice = true},
		{.fixture = f, .real = true, .tcp = true, .twice = true},
	};
	static const char *const names[] = {
		"tls over memory",
		"tls over memory, 30 ms away",
		"tls over memory, 1 byte a write",
		"tls over memory, 7 bytes a write, 1 ms away",
		"tls over memory, 1000 bytes a write",
		"tls over memory, room for 300 bytes",
		"tls over memory, a key for three records",
		"tls over a unix socket",
		"tls over tcp",
		"tls over tls over memory",
		"tls over tls over memory, 1000 bytes a write",
		"tls over tls over tcp",
	};
	static const size_t body_len[] = {0,	   1 << 20, 50000, 1 << 18, 1 << 20, 1 << 17,
					  1 << 20, 0,	    0,	   0,	    1 << 20, 0};
	struct wire_suite_kind kinds[ARRAY_LEN(opts)];

	for (size_t i = 0; i < ARRAY_LEN(opts); i++)
		kinds[i] = (struct wire_suite_kind){
			.name = names[i],
			.opt = &opts[i],
			.open = suite_open,
			.close = suite_close,
			.body_len = body_len[i],
			.flight_max = TLS_FLIGHT * (opts[i].twice ? 2 : 1) +
				      (opts[i].real	 ? 16 * 1024 * 1024
				       : opts[i].mem.cap ? opts[i].mem.cap
							 : 64 * 1024),
			.quiet_ms = opts[i].mem.delay_ms > 1 ? 300 : 0,
		};
	return wire_suite_run(kinds, ARRAY_LEN(kinds));
}

/* ---- one connection ---- */

struct end {
	struct wire *w;
	int n_broken, why;
	char reason[320];
};

struct rig {
	struct ev *ev;
	struct end client, server;
	struct wire *raw_client, *raw_server; /* borrowed: below */
};

static void end_on_ready(void *arg, struct wire *w, int events)
{
	wire_want(w, 0);
}

static void end_on_broken(void *arg, struct wire *w, int why)
{
	struct end *e = arg;

	e->n_broken++;
	e->why = why;
	str_printf(e->reason, sizeof e->reason, "%s", wire_tls_reason(w));
}

static const struct wire_owner end_owner = {end_on_ready, end_on_broken};

static void rig_open(struct rig *r, struct tls_context *server, struct tls_context *client,
		     const char *host)
{
	struct wire_mem_opt mem = {.delay_ms = 5};
	struct wire_tls_opt opt = {.host = host};

	*r = (struct rig){NULL};
	assert_int_equal(ev_sim_new(3, &r->ev), 0);
	assert_int_equal(wire_mem_pair(r->ev, &mem, &r->raw_client, &r->raw_server), 0);
	if (client != NULL) {
		assert_int_equal(wire_tls_client(r->ev, r->raw_client, client, &opt, &r->client.w),
				 0);
		wire_own(r->client.w, &end_owner, &r->client);
		wire_want(r->client.w, WIRE_READ);
	}
	if (server != NULL) {
		assert_int_equal(wire_tls_server(r->ev, r->raw_server, server, NULL, &r->server.w),
				 0);
		wire_own(r->server.w, &end_owner, &r->server);
		wire_want(r->server.w, WIRE_READ);
	}
}

static void rig_close(struct rig *r)
{
	wire_close(r->client.w != NULL ? r->client.w : r->raw_client, r->client.why);
	wire_close(r->server.w != NULL ? r->server.w : r->raw_server, r->server.why);
	ev_sim_run_for(r->ev, 20000);
	ev_free(r->ev);
}

static void test_facts(void **state)
{
	static const char *const alpn[] = {"karez/1", "http/1.1", NULL};
	static const char *const both[] = {"h2", "http/1.1", NULL};
	struct fixture *f = *state;
	struct tls_context *server = server_context(&f->certs, "good", alpn);
	struct tls_context *client = client_context(&f->certs, false, both);
	struct wire_tls_facts facts;
	struct rig r;

	rig_open(&r, server, client, "a.example");
	tls_context_free(server); /* the wires keep theirs */
	tls_context_free(client);
	wire_tls_facts(r.server.w, &facts);
	assert_false(facts.done);
	assert_null(facts.version);
	assert_int_equal(wire_room(r.server.w), 0);
	ev_sim_run_for(r.ev, 1000);
	wire_tls_facts(r.server.w, &facts);
	assert_true(facts.done);
	assert_string_equal(facts.version, "TLSv1.3");
	assert_string_equal(facts.cipher, "TLS_AES_128_GCM_SHA256");
	assert_string_equal(facts.sni, "a.example");
	assert_true(str_eq(facts.alpn, STR("http/1.1")));
	wire_tls_facts(r.client.w, &facts);
	assert_true(facts.done);
	assert_true(str_eq(facts.alpn, STR("http/1.1")));
	assert_string_equal(wire_tls_reason(r.client.w), "");
	assert_true(wire_room(r.client.w) > 0);
	rig_close(&r);
}

static void test_who_is_trusted(void **state)
{
	static const struct {
		const char *why, *cert, *host;
		bool insecure;
		int want;
		const char *reason;
	} cases[] = {
		{"the right name", "good", "a.example", false, 0, ""},
		{"in any case", "good", "A.Example", false, 0, ""},
		{"a wildcard", "good", "x.wild.example", false, 0, ""},
		{"a wildcard is one label", "good", "x.y.wild.example", false, ERR_CERT,
		 "certificate is for a.example, *.wild.example, 127.0.0.1 and others, not "
		 "x.y.wild.example"},
		{"an address", "good", "127.0.0.1", false, 0, ""},
		{"an IPv6 address", "good", "::1", false, 0, ""},
		{"another address", "good", "127.0.0.2", false, ERR_CERT,
		 "certificate is for a.example, *.wild.example, 127.0.0.1 and others, not "
		 "127.0.0.2"},
		{"another name", "b", "a.example", false, ERR_CERT,
		 "certificate is for b.example, c.example, d.example and others, not a.example"},
		{"too old", "expired", "a.example", false, ERR_CERT,
		 "certificate expired on 2022-01-01"},
		{"too new", "future", "a.example", false, ERR_CERT,
		 "certificate is not valid before 2080-01-01"},
		{"an authority we do not trust", "stranger", "a.example", false, ERR_CERT,
		 "certificate is signed by an unknown authority (other-ca)"},
		{"no authority", "self", "a.example", false, ERR_CERT,
		 "certificate is signed by an unknown authority (self)"},
		{"anything goes", "self", "z.example", true, 0, ""},
		{"anything goes without a name", "expired", NULL, true, 0, ""},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct tls_context *server = server_context(&f->certs, cases[i].cert, NULL);
		struct tls_context *client = client_context(&f->certs, cases[i].insecure, NULL);
		struct rig r;

		rig_open(&r, server, client, cases[i].host);
		ev_sim_run_for(r.ev, 1000);
		assert_int_equal(r.client.why, cases[i].want);
		assert_string_equal(r.client.reason, cases[i].reason);
		assert_int_equal(r.client.n_broken, cases[i].want != 0);
		wire_close(r.client.w, r.client.why);
		r.client.w = NULL;
		ev_sim_run_for(r.ev, 1000);
		if (cases[i].want != 0) { /* the other side learns why */
			assert_int_equal(r.server.n_broken, 1);
			assert_int_equal(r.server.why, ERR_CERT);
			assert_non_null(wire_tls_refusal(r.server.w));
			assert_non_null(
				strstr(r.server.reason, "the peer ended TLS with the alert"));
		}
		wire_close(r.server.w, r.server.why);
		ev_sim_run_for(r.ev, 20000);
		ev_free(r.ev);
		tls_context_free(server);
		tls_context_free(client);
	}
}

static void test_no_common_protocol(void **state)
{
	static const char *const h1[] = {"http/1.1", NULL}, *const h2[] = {"h2", NULL};
	struct fixture *f = *state;
	struct tls_context *server = server_context(&f->certs, "good", h1);
	struct tls_context *client = client_context(&f->certs, false, h2);
	struct rig r;

	rig_open(&r, server, client, "a.example");
	ev_sim_run_for(r.ev, 1000);
	assert_int_equal(r.server.why, ERR_TLS);
	assert_int_equal(r.client.why, ERR_TLS);
	assert_string_equal(r.client.reason,
			    "the peer ended TLS with the alert \"no application protocol\"");
	rig_close(&r);
	tls_context_free(server);
	tls_context_free(client);
}

static void test_a_server_that_agrees_on_no_protocol(void **state)
{
	static const char *const h1[] = {"http/1.1", NULL}, *const other[] = {"smtp", NULL};
	struct fixture *f = *state;
	struct tls_context *server = server_context(&f->certs, "good", h1);
	struct tls_context *client = client_context(&f->certs, false, other);
	struct wire_tls_opt opt = {.no_alpn = true};
	struct wire_tls_facts facts;
	struct rig r;

	rig_open(&r, NULL, client, "a.example");
	assert_int_equal(wire_tls_server(r.ev, r.raw_server, server, &opt, &r.server.w), 0);
	wire_own(r.server.w, &end_owner, &r.server);
	wire_want(r.server.w, WIRE_READ);
	ev_sim_run_for(r.ev, 1000);
	wire_tls_facts(r.client.w, &facts);
	assert_true(facts.done);
	assert_int_equal(facts.alpn.len, 0);
	rig_close(&r);
	tls_context_free(server);
	tls_context_free(client);
}

static void test_a_client_must_name_its_peer(void **state)
{
	struct fixture *f = *state;
	struct wire_mem_opt mem = {.cap = 0};
	struct wire *a, *b, *out = NULL;
	struct ev *ev;

	assert_int_equal(ev_sim_new(1, &ev), 0);
	assert_int_equal(wire_mem_pair(ev, &mem, &a, &b), 0);
	assert_int_equal(wire_tls_client(ev, a, f->client, NULL, &out), ERR_INVAL);
	assert_null(out);
	wire_close(a, 0); /* still ours */
	wire_close(b, 0);
	ev_free(ev);
}

/* ---- bad peers ---- */

static void test_deadline_of_the_handshake(void **state)
{
	struct fixture *f = *state;
	struct rig r;

	rig_open(&r, f->server, NULL, NULL); /* a visitor that says nothing */
	ev_sim_run_for(r.ev, WIRE_TLS_HANDSHAKE_MS - 1);
	assert_int_equal(r.server.n_broken, 0);
	ev_sim_run_for(r.ev, 1);
	assert_int_equal(r.server.n_broken, 1);
	assert_int_equal(r.server.why, ERR_TIMEOUT);
	assert_string_equal(r.server.reason, "the TLS handshake took too long");
	rig_close(&r);

	rig_open(&r, f->server, f->client, "a.example"); /* no deadline after it */
	ev_sim_run_for(r.ev, 100000);
	assert_int_equal(r.server.n_broken + r.client.n_broken, 0);
	rig_close(&r);
}

static void test_garbage(void **state)
{
	static const struct {
		const char *why;
		struct str sent;
		int want;
		const char *reason;
	} cases[] = {
		{"HTTP",
		 {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27},
		 ERR_TLS,
		 "the peer speaks HTTP without TLS"},
		{"SSH", {"SSH-2.0-OpenSSH_9.2\r\n", 21}, ERR_TLS, "the peer does not speak TLS"},
		{"zeros", {"\0\0\0\0\0\0\0\0\0\0\0\0", 12}, ERR_TLS, NULL},
		{"a record that is too long",
		 {"\x16\x03\x01\xff\xff\x01\x00\x00\x00", 9},
		 ERR_TLS,
		 NULL},
		{"an empty ClientHello",
		 {"\x16\x03\x01\x00\x04\x01\x00\x00\x00", 9},
		 ERR_TLS,
		 NULL},
		{"an alert", {"\x15\x03\x01\x00\x02\x02\x28", 7}, ERR_TLS, NULL},
		{"close_notify", {"\x15\x03\x01\x00\x02\x01\x00", 7}, ERR_TLS, NULL},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig r;

		rig_open(&r, f->server, NULL, NULL);
		assert_int_equal(wire_write_all(r.raw_client, cases[i].sent), 0);
		ev_sim_run_for(r.ev, 1000);
		assert_int_equal(r.server.n_broken, 1);
		assert_int_equal(r.server.why, cases[i].want);
		if (cases[i].reason != NULL)
			assert_string_equal(r.server.reason, cases[i].reason);
		assert_true(r.server.reason[0] != 0);
		rig_close(&r);
	}
}

/* Pass the next bytes of one wire on to another. Returns how many. */
static size_t pass(struct wire *from, struct wire *to, size_t max)
{
	struct str in;

	if (wire_read(from, max, &in) != 0)
		return 0;
	assert_int_equal(wire_write_all(to, in), 0);
	return in.len;
}

/* A client and a server with somebody in the middle who passes on what it likes. */
static void middle_open(struct rig *r, struct fixture *f)
{
	struct wire_mem_opt mem = {.cap = 0};
	struct wire_tls_opt opt = {.host = "a.example"};
	struct wire *a, *b;

	*r = (struct rig){NULL};
	assert_int_equal(ev_sim_new(5, &r->ev), 0);
	assert_int_equal(wire_mem_pair(r->ev, &mem, &a, &r->raw_client), 0);
	assert_int_equal(wire_mem_pair(r->ev, &mem, &b, &r->raw_server), 0);
	assert_int_equal(wire_tls_client(r->ev, a, f->client, &opt, &r->client.w), 0);
	assert_int_equal(wire_tls_server(r->ev, b, f->server, &opt, &r->server.w), 0);
	wire_own(r->client.w, &end_owner, &r->client);
	wire_own(r->server.w, &end_owner, &r->server);
	wire_want(r->client.w, WIRE_READ);
	wire_want(r->server.w, WIRE_READ);
}

static void middle_pass_all(struct rig *r)
{
	for (int i = 0; i < 6; i++) {
		ev_sim_run_for(r->ev, 1);
		pass(r->raw_client, r->raw_server, SIZE_MAX);
		pass(r->raw_server, r->raw_client, SIZE_MAX);
	}
	ev_sim_run_for(r->ev, 1);
}

static void middle_close(struct rig *r)
{
	wire_close(r->client.w, r->client.why);
	wire_close(r->server.w, r->server.why);
	wire_close(r->raw_client, 0);
	wire_close(r->raw_server, 0);
	ev_sim_run_for(r->ev, 20000);
	ev_free(r->ev);
}

/* The ClientHello cut after every few bytes: told at once, by its name. */
static void test_truncated_handshake(void **state)
{
	struct fixture *f = *state;

	for (size_t cut = 0; cut < 400; cut += 13) {
		struct rig r;

		middle_open(&r, f);
		ev_sim_run_for(r.ev, 1);
		if (cut > 0)
			assert_true(pass(r.raw_client, r.raw_server, cut) > 0);
		wire_shut(r.raw_server);
		ev_sim_run_for(r.ev, 1);
		if (cut < 250) {
			assert_int_equal(r.server.n_broken, 1);
			assert_int_equal(r.server.why, ERR_RESET);
			assert_string_equal(
				r.server.reason,
				"the peer closed the connection during the TLS handshake");
		}
		middle_close(&r);
	}
}

static void test_end_without_close_notify(void **state)
{
	struct fixture *f = *state;
	struct rig r;
	struct str in;

	middle_open(&r, f);
	middle_pass_all(&r);
	assert_int_equal(wire_write_all(r.client.w, STR("half of it")), 0);
	ev_sim_run_for(r.ev, 1);
	pass(r.raw_client, r.raw_server, SIZE_MAX);
	wire_shut(r.raw_server);
	ev_sim_run_for(r.ev, 1);
	assert_int_equal(wire_read(r.server.w, 100, &in), 0); /* what came can be read */
	assert_true(str_eq(in, STR("half of it")));
	assert_int_equal(wire_read(r.server.w, 100, &in), ERR_RESET); /* but it is not the end */
	ev_sim_run_for(r.ev, 1);
	assert_int_equal(r.server.n_broken, 1);
	assert_string_equal(r.server.reason, "the peer ended the connection without close_notify");
	middle_close(&r);
}

static void test_a_changed_record(void **state)
{
	struct fixture *f = *state;
	struct rig r;
	struct str in;
	char copy[256];

	middle_open(&r, f);
	middle_pass_all(&r);
	assert_int_equal(wire_write_all(r.client.w, STR("secret")), 0);
	ev_sim_run_for(r.ev, 1);
	assert_int_equal(wire_read(r.raw_client, sizeof copy, &in), 0);
	memcpy(copy, in.p, in.len);
	copy[in.len - 1] ^= 1;
	assert_int_equal(wire_write_all(r.raw_server, (struct str){copy, in.len}), 0);
	ev_sim_run_for(r.ev, 1);
	assert_int_equal(wire_read(r.server.w, 100, &in), ERR_TLS);
	ev_sim_run_for(r.ev, 1);
	assert_int_equal(r.server.n_broken, 1);
	middle_close(&r);
}

/* A closed wire whose peer reads nothing must not live for ever. */
static void test_linger_has_a_deadline(void **state)
{
	static char big[64 * 1024];
	struct fixture *f = *state;
	struct iovec iov = {big, sizeof big};
	size_t taken;
	struct rig r;

	middle_open(&r, f);
	middle_pass_all(&r);
	do /* until it does not fit below */
		assert_int_equal(wire_write(r.client.w, &iov, 1, &taken), 0);
	while (taken > 0);
	wire_shut(r.client.w);
	wire_close(r.client.w, 0);
	r.client.w = NULL;
	ev_sim_run_for(r.ev, WIRE_TLS_LINGER_MS - 1);
	assert_int_equal(wire_read(r.raw_client, 1, &(struct str){NULL, 0}), 0); /* it waits */
	ev_sim_run_for(r.ev, 10);
	while (wire_read(r.raw_client, SIZE_MAX, &(struct str){NULL, 0}) == 0)
		;
	assert_int_equal(wire_read(r.raw_client, 1, &(struct str){NULL, 0}), ERR_RESET);
	wire_close(r.raw_client, 0);
	wire_close(r.raw_server, 0);
	wire_close(r.server.w, ERR_RESET);
	ev_sim_run_for(r.ev, 10);
	ev_free(r.ev);
}

/* ---- contexts ---- */

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void test_contexts_say_what_is_wrong(void **state)
{
	static const struct {
		const char *why, *cert, *key;
		int want;
		const char *says[2];
	} cases[] = {
		{"no certificate",
		 "none.pem",
		 "good.key",
		 ERR_NOTFOUND,
		 {"none.pem", "No such file"}},
		{"no key", "good.pem", "none.key", ERR_NOTFOUND, {"none.key", "No such file"}},
		{"another's key", "good.pem", "b.key", ERR_CERT, {"b.key", "does not belong"}},
		{"not a certificate",
		 "good.key",
		 "good.key",
		 ERR_TLS,
		 {"no usable certificate in", "good.key"}},
		{"not a key", "good.pem", "good.pem", ERR_TLS, {"no usable key in", "good.pem"}},
		{"an empty file", "empty.pem", "good.key", ERR_TLS, {"empty.pem", "certificate"}},
		{"a directory", "", "good.key", ERR_IO, {"cannot read", "directory"}},
		{"a passphrase", "good.pem", "locked.key", ERR_TLS, {"locked.key", "passphrase"}},
	};
	static const char locked[] =
		"-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
		"DEK-Info: "
		"AES-128-CBC,0123456789ABCDEF0123456789ABCDEF\n\nAAAAAAAAAAAAAAAAAAAAAA==\n"
		"-----END EC PRIVATE KEY-----\n";
	struct fixture *f = *state;
	char cert[TLS_CERTS_PATH], key[TLS_CERTS_PATH], why[TLS_CONTEXT_WHY];

	write_file(tls_certs_path(&f->certs, "empty.pem", cert), "");
	write_file(tls_certs_path(&f->certs, "locked.key", cert), locked);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct tls_context_server opt = {.cert_file = tls_certs_path(&f->certs,
									     cases[i].cert, cert),
						 .key_file = tls_certs_path(&f->certs, cases[i].key,
									    key)};
		struct tls_context *ctx = NULL;

		assert_int_equal(tls_context_new_server(&opt, &ctx, why), cases[i].want);
		assert_null(ctx);
		for (size_t j = 0; j < ARRAY_LEN(cases[i].says); j++)
			if (strstr(why, cases[i].says[j]) == NULL)
				fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].why, why,
					 cases[i].says[j]);
	}
}

static void test_authority_files(void **state)
{
	struct fixture *f = *state;
	struct tls_context_client opt = {.ca_file = NULL};
	struct tls_context *ctx = NULL;
	char path[TLS_CERTS_PATH], why[TLS_CONTEXT_WHY];

	assert_int_equal(tls_context_new_client(&opt, &ctx, why), 0); /* the system's */
	tls_context_free(ctx);
	ctx = NULL;
	opt.ca_file = tls_certs_path(&f->certs, "nowhere.pem", path);
	assert_int_equal(tls_context_new_client(&opt, &ctx, why), ERR_NOTFOUND);
	assert_non_null(strstr(why, "nowhere.pem"));
	opt.ca_file = tls_certs_path(&f->certs, "ca.key", path);
	assert_int_equal(tls_context_new_client(&opt, &ctx, why), ERR_TLS);
	assert_non_null(strstr(why, "ca.key"));
	assert_null(ctx);
}

static void test_alpn_names(void **state)
{
	static char long_name[300];
	const char *const empty[] = {"", NULL}, *const too_long[] = {long_name, NULL};
	struct tls_context_client opt = {.insecure = true, .alpn = empty};
	struct tls_context *ctx = NULL;
	char why[TLS_CONTEXT_WHY];

	memset(long_name, 'x', sizeof long_name - 1);
	assert_int_equal(tls_context_new_client(&opt, &ctx, why), ERR_INVAL);
	opt.alpn = too_long;
	assert_int_equal(tls_context_new_client(&opt, &ctx, why), ERR_INVAL);
}

/* ---- memory ---- */

#define IDLE	       200
#define IDLE_BYTES_MAX (20 * 1024)

static size_t heap_bytes(void)
{
	return mallinfo2().uordblks + mallinfo2().hblkhd;
}

/* Both ends of a connection that has carried 1 MiB each way and now waits. */
static void test_idle_wires_are_small(void **state)
{
	static char big[60000];
	struct fixture *f = *state;
	struct wire_tls_opt opt = {.host = "a.example"};
	struct wire_mem_opt mem = {.cap = 0};
	struct wire *w[2 * IDLE], *a, *b;
	struct iovec iov = {big, sizeof big};
	struct str in;
	struct ev *ev;
	size_t before, taken, each;

	if (heap_bytes() == 0) /* a sanitizer's allocator does not count */
		skip();
	assert_int_equal(ev_sim_new(1, &ev), 0);
	before = heap_bytes();
	for (int i = 0; i < IDLE; i++) {
		assert_int_equal(wire_mem_pair(ev, &mem, &a, &b), 0);
		assert_int_equal(wire_tls_client(ev, a, f->client, &opt, &w[2 * i]), 0);
		assert_int_equal(wire_tls_server(ev, b, f->server, NULL, &w[2 * i + 1]), 0);
	}
	ev_sim_run_for(ev, 100);
	for (int i = 0; i < 2 * IDLE; i++) {
		assert_int_equal(wire_write(w[i], &iov, 1, &taken), 0);
		assert_true(taken > 0);
		ev_sim_run_for(ev, 1);
		assert_int_equal(wire_read(w[i ^ 1], SIZE_MAX, &in), 0);
		assert_int_equal(in.len, taken);
		assert_int_equal(wire_read(w[i ^ 1], SIZE_MAX, &in), ERR_AGAIN);
	}
	ev_sim_run_for(ev, 1);
	each = (heap_bytes() - before) / (2 * IDLE);
	print_message("an idle end of a TLS wire: %zu bytes\n", each);
	assert_true(each > 0 && each < IDLE_BYTES_MAX);
	for (int i = 0; i < 2 * IDLE; i++)
		wire_close(w[i], 0);
	ev_sim_run_for(ev, 20000);
	ev_free(ev);
}

static int fixture_open(struct fixture *f)
{
	tls_certs_make(&f->certs, rows, ARRAY_LEN(rows));
	f->server = server_context(&f->certs, "good", NULL);
	f->client = client_context(&f->certs, false, NULL);
	return 0;
}

int main(void)
{
	struct fixture f = {.server = NULL};
	const struct {
		const char *name;
		CMUnitTestFunction run;
	} tests[] = {
		{"facts", test_facts},
		{"who is trusted", test_who_is_trusted},
		{"no common protocol", test_no_common_protocol},
		{"no common protocol", test_a_server_that_agrees_on_no_protocol},
		{"a client must name its peer", test_a_client_must_name_its_peer},
		{"deadline of the handshake", test_deadline_of_the_handshake},
		{"garbage", test_garbage},
		{"truncated handshake", test_truncated_handshake},
		{"end without close_notify", test_end_without_close_notify},
		{"a changed record", test_a_changed_record},
		{"linger has a deadline", test_linger_has_a_deadline},
		{"contexts say what is wrong", test_contexts_say_what_is_wrong},
		{"authority files", test_authority_files},
		{"alpn names", test_alpn_names},
		{"idle wires are small", test_idle_wires_are_small},
	};
	struct CMUnitTest list[ARRAY_LEN(tests)];
	int failed;

	fixture_open(&f);
	for (size_t i = 0; i < ARRAY_LEN(tests); i++)
		list[i] = (struct CMUnitTest){tests[i].name, tests[i].run, NULL, NULL, &f};
	failed = _cmocka_run_group_tests("tls", list, ARRAY_LEN(tests), NULL, NULL);
	failed += suite_run(&f);
	tls_context_free(f.server);
	tls_context_free(f.client);
	tls_certs_remove(&f.certs);
	return failed;
}
