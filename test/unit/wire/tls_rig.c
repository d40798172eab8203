/* What several tests of TLS need: a pair, a client, a log. */
#include "unit/wire/tls_rig.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "wire/wire_mem.h"

static void tls_rig_on_ready(void *arg, struct wire *w, int events)
{
	wire_want(w, 0);
}

static void tls_rig_on_broken(void *arg, struct wire *w, int why)
{
	struct tls_rig_end *end = arg;

	end->why = why;
	str_printf(end->reason, sizeof end->reason, "%s", wire_tls_reason(w));
}

static const struct wire_owner tls_rig_owner = {tls_rig_on_ready, tls_rig_on_broken};

void tls_rig_open_on(struct tls_rig *r, struct ev *ev, struct tls_context *server,
		     struct tls_context *client, const char *host)
{
	struct wire_mem_opt mem = {.delay_ms = 5};
	struct wire_tls_opt opt = {.host = host, .peer = "192.0.2.1:4711"};
	struct wire *raw_client;

	*r = (struct tls_rig){.ev = ev};
	assert_int_equal(wire_mem_pair(ev, &mem, &raw_client, &r->raw_server), 0);
	assert_int_equal(wire_tls_client(ev, raw_client, client, &opt, &r->client.w), 0);
	assert_int_equal(wire_tls_server(ev, r->raw_server, server, &opt, &r->server.w), 0);
	wire_own(r->client.w, &tls_rig_owner, &r->client);
	wire_own(r->server.w, &tls_rig_owner, &r->server);
	wire_want(r->client.w, WIRE_READ);
	wire_want(r->server.w, WIRE_READ);
}

void tls_rig_open(struct tls_rig *r, struct tls_context *server, struct tls_context *client,
		  const char *host)
{
	struct ev *ev;

	assert_int_equal(ev_sim_new(3, &ev), 0);
	tls_rig_open_on(r, ev, server, client, host);
}

void tls_rig_hang_up(struct tls_rig *r)
{
	if (r->server.w != NULL)
		wire_close(r->server.w, r->server.why);
	ev_sim_run_for(r->ev, 100);
	wire_close(r->client.w, r->client.why);
	ev_sim_run_for(r->ev, 1500);
}

void tls_rig_close(struct tls_rig *r)
{
	tls_rig_hang_up(r);
	ev_sim_run_for(r->ev, 20000);
	ev_free(r->ev);
}

bool tls_rig_works(struct tls_context *server, struct tls_context *client, const char *host)
{
	struct tls_rig r;
	bool works;

	tls_rig_open(&r, server, client, host);
	ev_sim_run_for(r.ev, 1000);
	works = r.client.why == 0 && r.server.why == 0;
	tls_rig_close(&r);
	return works;
}

struct tls_context *tls_rig_client(const struct tls_certs *certs, const char *ca, const char *name)
{
	char ca_file[TLS_CERTS_PATH], file[64], cert[TLS_CERTS_PATH], key[TLS_CERTS_PATH];
	struct tls_context_client opt = {.ca_file = ca_file};
	char why[TLS_CONTEXT_WHY];
	struct tls_context *ctx = NULL;

	str_printf(file, sizeof file, "%s.pem", ca);
	tls_certs_path(certs, file, ca_file);
	if (name != NULL) {
		str_printf(file, sizeof file, "%s.pem", name);
		opt.cert_file = tls_certs_path(certs, file, cert);
		str_printf(file, sizeof file, "%s.key", name);
		opt.key_file = tls_certs_path(certs, file, key);
	}
	assert_int_equal(tls_context_new_client(&opt, &ctx, why), 0);
	return ctx;
}

static void tls_rig_on_line(void *arg, enum log_level level, const char *line, size_t len)
{
	struct tls_rig_log *l = arg;

	assert_true(l->len + len + 2 < sizeof l->lines);
	memcpy(l->lines + l->len, line, len);
	l->len += len;
	l->lines[l->len++] = '\n';
	l->lines[l->len] = '\0';
	l->n++;
}

void tls_rig_log_init(struct tls_rig_log *l)
{
	*l = (struct tls_rig_log){.log = {.level = LOG_INFO, .write = tls_rig_on_line}};
	l->log.arg = l;
}
