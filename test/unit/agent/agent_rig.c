/* Counts events, so that each test says how often something may be said. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "unit/agent/agent_rig.h"

static void rig_on_online(void *arg, const struct agent_online *o)
{
	struct rig *r = arg;

	r->n_online++;
	r->online_id = o->tunnel;
	r->again = o->again;
	str_printf(r->name, sizeof r->name, "%s", o->name);
	str_printf(r->url, sizeof r->url, "%s", o->url);
	r->n_urls = o->n_urls;
	assert_string_equal(o->urls[0], o->url);
}

static void rig_on_offline(void *arg, const struct agent_offline *o)
{
	struct rig *r = arg;

	r->n_offline++;
	r->offline_e = o->e;
	r->offline_spoken = o->spoken;
	r->retry_ms = o->retry_ms;
	str_printf(r->reason, sizeof r->reason, "%s", o->reason);
}

static void rig_on_lost(void *arg, uint32_t id, int code, const char *reason)
{
	struct rig *r = arg;

	r->n_lost++;
	r->lost_id = id;
	r->lost_code = code;
}

static void rig_on_kept(void *arg, uint32_t id, int code, const char *reason)
{
	struct rig *r = arg;

	r->n_kept++;
	r->kept_id = id;
	r->kept_code = code;
	str_printf(r->reason, sizeof r->reason, "%s", reason);
}

static void rig_on_delayed(void *arg, uint32_t id, int code, const char *reason)
{
	struct rig *r = arg;

	r->n_delayed++;
	r->delayed_id = id;
	r->delayed_code = code;
}

static void rig_on_ended(void *arg, int code, const char *reason)
{
	struct rig *r = arg;

	r->n_ended++;
	r->ended_code = code;
	r->ended_ms = ev_now_ms(r->ev);
	str_printf(r->reason, sizeof r->reason, "%s", reason);
}

static void rig_on_target(void *arg, const struct url *to, int e)
{
	struct rig *r = arg;

	assert_int_equal(to->port, 3000);
	r->n_target++;
	r->target_e = e;
}

static void rig_on_request(void *arg, const struct peek_request *request)
{
	struct rig *r = arg;

	r->n_request++;
	str_printf(r->request, sizeof r->request, "%s %s %u", request->method, request->path,
		   request->status);
}

static void rig_on_connection(void *arg, const struct target_connection *c)
{
	struct rig *r = arg;

	r->n_connection++;
	str_printf(r->connection, sizeof r->connection, "%s:%u %u up=%llu down=%llu %s",
		   c->visitor->ip, c->visitor->port, c->to->port, (unsigned long long)c->up,
		   (unsigned long long)c->down, err_name(c->why));
}

static void rig_on_offering(void *arg, bool again)
{
	struct rig *r = arg;

	assert_int_equal(again, r->n_offering > 0);
	r->n_offering++;
}

static void rig_on_assigned(void *arg, const struct agent_assigned *t)
{
	struct rig *r = arg;
	char port[8] = "-";

	if (t->target != NULL)
		str_printf(port, sizeof port, "%u", t->target->port);
	r->n_assigned++;
	str_printf(r->assigned, sizeof r->assigned, "%s %s %s", t->name, t->service, port);
}

static void rig_on_taken(void *arg, const char *name, int code, const char *reason)
{
	struct rig *r = arg;

	r->n_taken++;
	str_printf(r->taken, sizeof r->taken, "%s %s %s", name, err_name(code), reason);
}

static void rig_on_unknown(void *arg, const char *tunnel, const char *service)
{
	struct rig *r = arg;

	r->n_unknown++;
	str_printf(r->unknown, sizeof r->unknown, "%s %s", tunnel, service);
}

static void rig_on_health(void *arg, const struct url *to, bool up, const char *why)
{
	struct rig *r = arg;

	r->n_health++;
	str_printf(r->health, sizeof r->health, "%s%s%s", up ? "up" : "down", up ? "" : " ", why);
}

static const struct agent_events rig_events = {
	.online = rig_on_online,
	.offline = rig_on_offline,
	.lost = rig_on_lost,
	.kept = rig_on_kept,
	.delayed = rig_on_delayed,
	.ended = rig_on_ended,
	.target = rig_on_target,
	.request = rig_on_request,
	.connection = rig_on_connection,
	.offering = rig_on_offering,
	.assigned = rig_on_assigned,
	.taken = rig_on_taken,
	.unknown = rig_on_unknown,
	.health = rig_on_health,
};

static void rig_on_log(void *arg, enum log_level level, const char *line, size_t len)
{
}

void rig_open(struct rig *r)
{
	rig_open_seed(r, 1);
}

void rig_open_seed(struct rig *r, uint64_t seed)
{
	memset(r, 0, sizeof *r);
	assert_int_equal(ev_sim_new(seed, &r->ev), 0);
	fake_init(&r->fake, r->ev);
	r->log = (struct log){.level = LOG_DEBUG, .write = rig_on_log};
	assert_int_equal(url_parse(STR("http://localhost:8080"), &r->server, NULL), 0);
	assert_int_equal(url_parse_target(STR("3000"), URL_HTTP, &r->tunnels[0].target, NULL), 0);
	r->services[0].name = "web";
	r->services[1].name = "ssh";
	assert_int_equal(url_parse_target(STR("3000"), URL_TCP, &r->services[0].target, NULL), 0);
	assert_int_equal(url_parse_target(STR("22"), URL_TCP, &r->services[1].target, NULL), 0);
	r->opt = (struct agent_opt){.log = &r->log,
				    .net = &r->fake.net,
				    .id = "agent-1",
				    .server = &r->server,
				    .others = r->others,
				    .tunnels = r->tunnels,
				    .n_tunnels = 1,
				    .n_sessions = 2,
				    .events = &rig_events,
				    .arg = r};
}

void rig_start(struct rig *r)
{
	assert_int_equal(agent_new(r->ev, &r->opt, &r->agent), 0);
	rig_run(r, 1000);
}

void rig_run(struct rig *r, uint64_t ms)
{
	ev_sim_run_for(r->ev, ms);
}

static unsigned rig_n_events(const struct rig *r)
{
	return r->n_online + r->n_offline + r->n_lost + r->n_kept + r->n_delayed + r->n_ended +
	       r->n_offering + r->n_assigned + r->n_taken + r->n_unknown + r->n_connection +
	       r->n_health;
}

void rig_close(struct rig *r)
{
	unsigned n = rig_n_events(r);

	agent_free(r->agent);
	fake_fini(&r->fake);
	rig_run(r, 100000);
	assert_int_equal(n, rig_n_events(r));
	assert_int_equal(r->fake.budget.used, 0);
	ev_free(r->ev);
}
