/* Services: offered on every session, found by name, and never a reason to end. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "unit/agent/agent_rig.h"
#include "wire/wire_mem.h"

/* Two services and no tunnel. */
static void rig_offer(struct rig *r)
{
	rig_open(r);
	r->opt.tunnels = NULL;
	r->opt.n_tunnels = 0;
	r->opt.services = r->services;
	r->opt.n_services = 2;
	r->opt.priority = 3;
}

static void test_every_session_offers(void **state)
{
	struct rig r;

	rig_offer(&r);
	rig_start(&r);
	assert_int_equal(fake_n_up(&r.fake), 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fake_up(&r.fake, i)->n_offers, 1);
		assert_int_equal(fake_up(&r.fake, i)->n_attached, 0);
		assert_string_equal(
			fake_up(&r.fake, i)->offer_line,
			"{\"op\":\"offer\",\"services\":[\"web\",\"ssh\"],\"priority\":3}");
	}
	assert_int_equal(r.n_offering, 1);
	assert_int_equal(r.n_online, 0);
	rig_run(&r, 3600 * 1000); /* nothing is given to it for an hour */
	assert_int_equal(r.n_offline, 0);
	assert_int_equal(r.fake.n_dials, 2);
	rig_close(&r);
}

static void test_comes_back(void **state)
{
	struct rig r;

	rig_offer(&r);
	rig_start(&r);
	fake_tell(&r.fake, "{\"op\":\"assigned\",\"name\":\"demo\",\"service\":\"web\"}");
	rig_run(&r, 100);
	wire_mem_cut(fake_up(&r.fake, 1)->cable);
	rig_run(&r, 2000);
	assert_int_equal(r.n_offline, 0); /* one of two is nobody's business */
	assert_int_equal(r.n_offering, 1);
	assert_int_equal(fake_up(&r.fake, 1)->n_offers, 1);
	wire_mem_cut(fake_up(&r.fake, 0)->cable);
	wire_mem_cut(fake_up(&r.fake, 1)->cable);
	rig_run(&r, 2000);
	assert_int_equal(r.n_offline, 1);
	assert_int_equal(r.n_offering, 2);
	assert_int_equal(r.n_assigned, 1);
	assert_int_equal(fake_n_up(&r.fake), 2);
	fake_tell(&r.fake, "{\"op\":\"assigned\",\"name\":\"demo\",\"service\":\"web\"}");
	rig_run(&r, 100);
	assert_int_equal(r.n_assigned, 2);
	assert_int_equal(r.n_taken, 0);
	rig_close(&r);
}

static void test_given_and_taken(void **state)
{
	static const char *const codes[] = {"REPLACED", "DELETED", "DISABLED", "DENIED", "LIMIT"};
	struct rig r;

	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		char line[128];

		rig_offer(&r);
		rig_start(&r);
		fake_tell(&r.fake, "{\"op\":\"assigned\",\"name\":\"demo\",\"service\":\"ssh\"}");
		rig_run(&r, 100);
		assert_int_equal(r.n_assigned, 1); /* not once a session */
		assert_string_equal(r.assigned, "demo ssh 22");
		fake_tell(&r.fake, "{\"op\":\"assigned\",\"name\":\"demo\",\"service\":\"web\"}");
		rig_run(&r, 100);
		assert_int_equal(r.n_assigned, 2); /* its record has changed */
		assert_string_equal(r.assigned, "demo web 3000");
		str_printf(
			line, sizeof line,
			"{\"op\":\"detached\",\"name\":\"demo\",\"code\":\"%s\",\"reason\":\"so\"}",
			codes[i]);
		fake_tell(&r.fake, line);
		fake_tell(&r.fake, line); /* what is not here cannot be taken */
		rig_run(&r, 5000);
		assert_int_equal(r.n_taken, 1);
		str_printf(line, sizeof line, "demo %s so", codes[i]);
		assert_string_equal(r.taken, line);
		assert_int_equal(r.n_ended, 0);
		assert_int_equal(r.n_lost, 0);
		assert_int_equal(r.n_offline, 0);
		rig_close(&r);
	}
}

static void test_given_without_end(void **state)
{
	struct rig r;
	char line[64];

	rig_offer(&r);
	r.opt.n_sessions = 1;
	rig_start(&r);
	for (int i = 0; i < AGENT_ASSIGNED_MAX + 10; i++) {
		str_printf(line, sizeof line, "{\"op\":\"assigned\",\"name\":\"t%d\"}", i);
		fake_tell(&r.fake, line);
		if (i % 100 == 0)
			rig_run(&r, 10);
	}
	rig_run(&r, 1000);
	assert_int_equal(r.n_assigned, AGENT_ASSIGNED_MAX);
	assert_int_equal(r.n_offline, 0);
	rig_close(&r);
}

/* ---- visitors ---- */

struct visitor {
	struct wire *wire;
	int why;
};

static void visitor_on_ready(void *arg, struct wire *w, int events)
{
}

static void visitor_on_broken(void *arg, struct wire *w, int why)
{
	((struct visitor *)arg)->why = why;
}

static const struct wire_owner visitor_owner = {visitor_on_ready, visitor_on_broken};

static void visitor_come(struct visitor *v, struct rig *r, const struct visit *visit)
{
	*v = (struct visitor){0};
	assert_int_equal(session_open(fake_up(&r->fake, 0)->session, visit, &v->wire), 0);
	wire_own(v->wire, &visitor_owner, v);
	assert_int_equal(wire_write_all(v->wire, STR("hello")), 0);
	rig_run(r, 100);
}

static const struct {
	const char *why;
	struct visit visit;
	int want;
} visits[] = {
	{"a service of the list", {.ingress = VISIT_TCP, .tunnel = "demo", .service = "web"}, 0},
	{"the same by its TLS name", {.ingress = VISIT_SNI, .tunnel = "demo", .service = "ssh"}, 0},
	{"the same by HTTP", {.ingress = VISIT_HTTP, .tunnel = "demo", .service = "web"}, 0},
	{"no service: the tunnel's name is one", {.ingress = VISIT_TCP, .tunnel = "web"}, 0},
	{"a service that is not here",
	 {.ingress = VISIT_TCP, .tunnel = "web", .service = "mail"},
	 ERR_NOTFOUND},
	{"names are told apart by their case",
	 {.ingress = VISIT_TCP, .tunnel = "demo", .service = "Web"},
	 ERR_NOTFOUND},
	{"neither tunnel nor service", {.ingress = VISIT_TCP, .tunnel = "demo"}, ERR_NOTFOUND},
};

static void test_visits(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(visits); i++) {
		struct visitor v;
		struct rig r;

		rig_offer(&r);
		rig_start(&r);
		visitor_come(&v, &r, &visits[i].visit);
		if (v.why != visits[i].want || r.n_unknown != (visits[i].want != 0) ||
		    r.fake.n_targets != (visits[i].want == 0))
			fail_msg("%s: %s", visits[i].why, err_name(v.why));
		wire_close(v.wire, 0);
		rig_close(&r);
	}
}

/* What strangers can cause must not fill a screen. */
static void test_refusals_are_told_once_a_second(void **state)
{
	struct visit visit = {.ingress = VISIT_TCP, .tunnel = "demo", .service = "mail"};
	struct visitor v;
	struct rig r;

	rig_offer(&r);
	rig_start(&r);
	for (int i = 0; i < 30; i++) {
		visitor_come(&v, &r, &visit); /* 100 ms each */
		assert_int_equal(v.why, ERR_NOTFOUND);
		wire_close(v.wire, 0);
	}
	assert_string_equal(r.unknown, "demo mail");
	assert_in_range(r.n_unknown, 3, 4);
	rig_close(&r);
}

/* ---- beside tunnels ---- */

static void test_tunnels_and_services(void **state)
{
	struct visit named = {.ingress = VISIT_HTTP, .tunnel = "8bv2", .service = "mail"};
	struct visitor v;
	struct rig r;

	rig_open(&r);
	r.opt.services = r.services;
	r.opt.n_services = 1;
	rig_start(&r);
	assert_int_equal(r.n_online, 1);
	assert_int_equal(r.n_offering, 1);
	assert_int_equal(fake_n_up(&r.fake), 2);
	visitor_come(&v, &r, &named); /* a named service is never another target */
	assert_int_equal(v.why, ERR_NOTFOUND);
	wire_close(v.wire, 0);
	fake_tell(&r.fake, "{\"op\":\"detached\",\"name\":\"8bv2\",\"code\":\"DELETED\"}");
	rig_run(&r, 1000);
	assert_int_equal(r.n_lost, 1);
	assert_int_equal(r.n_ended, 0); /* there is something left to serve */
	rig_close(&r);
}

static void test_wrong_names(void **state)
{
	struct rig r;

	rig_offer(&r);
	r.services[1].name = "web";
	assert_int_equal(agent_new(r.ev, &r.opt, &r.agent), ERR_INVAL);
	r.services[1].name = "a b";
	assert_int_equal(agent_new(r.ev, &r.opt, &r.agent), ERR_INVAL);
	rig_close(&r);
}

/* ---- health ---- */

static void test_health_of_tunnels(void **state)
{
	struct fake_session *s;
	struct rig r;

	rig_open(&r);
	r.tunnels[0].health =
		(struct health_opt){.kind = HEALTH_TCP, .interval_ms = 1000, .rise = 1};
	r.fake.target_error = ERR_REFUSED;
	rig_start(&r);
	assert_int_equal(r.n_health, 1);
	assert_string_equal(r.health, "down connection refused");
	for (int i = 0; i < 2; i++) {
		assert_true(fake_up(&r.fake, i)->n_health >= 1);
		assert_string_equal(fake_up(&r.fake, i)->health_line,
				    "{\"op\":\"health\",\"name\":\"8bv2\",\"up\":false}");
	}
	wire_mem_cut(fake_up(&r.fake, 0)->cable);
	rig_run(&r, 1000);
	s = fake_up(&r.fake, 0);
	assert_int_equal(s->n_health, 1); /* the new session is told, too */
	r.fake.target_error = 0;
	rig_run(&r, 2000);
	assert_string_equal(r.health, "up");
	assert_int_equal(s->n_health, 2);
	assert_string_equal(s->health_line, "{\"op\":\"health\",\"name\":\"8bv2\",\"up\":true}");
	rig_close(&r);
}

static void test_health_of_services(void **state)
{
	struct rig r;

	rig_offer(&r);
	r.services[0].health =
		(struct health_opt){.kind = HEALTH_TCP, .interval_ms = 1000, .fall = 1};
	rig_start(&r);
	assert_int_equal(r.n_health, 0);
	fake_tell(&r.fake, "{\"op\":\"assigned\",\"name\":\"a\",\"service\":\"web\"}");
	fake_tell(&r.fake, "{\"op\":\"assigned\",\"name\":\"b\",\"service\":\"ssh\"}");
	rig_run(&r, 100);
	r.fake.target_error = ERR_REFUSED;
	rig_run(&r, 2000);
	assert_int_equal(r.n_health, 1);
	assert_int_equal(fake_up(&r.fake, 0)->n_health, 1); /* of a, not of b */
	assert_string_equal(fake_up(&r.fake, 0)->health_line,
			    "{\"op\":\"health\",\"name\":\"a\",\"up\":false}");
	fake_tell(&r.fake, "{\"op\":\"assigned\",\"name\":\"web\"}"); /* given while it is down */
	rig_run(&r, 100);
	assert_string_equal(fake_up(&r.fake, 1)->health_line,
			    "{\"op\":\"health\",\"name\":\"web\",\"up\":false}");
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_session_offers),
		cmocka_unit_test(test_comes_back),
		cmocka_unit_test(test_given_and_taken),
		cmocka_unit_test(test_given_without_end),
		cmocka_unit_test(test_visits),
		cmocka_unit_test(test_refusals_are_told_once_a_second),
		cmocka_unit_test(test_tunnels_and_services),
		cmocka_unit_test(test_wrong_names),
		cmocka_unit_test(test_health_of_tunnels),
		cmocka_unit_test(test_health_of_services),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
