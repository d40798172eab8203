/* Tunnels that are added, changed and removed while the agent runs. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "unit/agent/agent_rig.h"
#include "wire/wire_mem.h"

/* ---- helpers ---- */

static struct agent_tunnel tunnel_of(const char *name, const char *target)
{
	struct agent_tunnel t = {.name = name};

	assert_int_equal(url_parse_target(str_of(target), URL_HTTP, &t.target, NULL), 0);
	return t;
}

static uint32_t add(struct rig *r, const char *name, const char *target)
{
	struct agent_tunnel t = tunnel_of(name, target);
	uint32_t id = 0;

	assert_int_equal(agent_add(r->agent, &t, &id), 0);
	assert_int_not_equal(id, 0);
	return id;
}

static struct agent_look look(struct rig *r, uint32_t id)
{
	struct agent_look l;

	assert_true(agent_look(r->agent, id, &l));
	return l;
}

/* An agent that stays, with one tunnel "one" to port 3000, whose id is 1. */
static void start(struct rig *r)
{
	rig_open(r);
	r->opt.stays = true;
	r->tunnels[0].name = "one";
	rig_start(r);
	assert_int_equal(r->n_online, 1);
	assert_int_equal(r->online_id, 1);
}

/* What its lines and events counted until now is forgotten. */
static void forget(struct rig *r)
{
	for (size_t i = 0; i < r->fake.n_sessions; i++)
		r->fake.sessions[i].n_attached = r->fake.sessions[i].n_again =
			r->fake.sessions[i].n_detached = r->fake.sessions[i].n_health = 0;
	r->n_online = r->n_offline = r->n_lost = r->n_kept = r->n_delayed = 0;
}

/* Lines that the sessions of both carriers have heard: attaches, those with "again", detaches. */
static void heard(struct rig *r, unsigned n_attached, unsigned n_again, unsigned n_detached)
{
	unsigned attached = 0, again = 0, detached = 0;

	for (int i = 0; i < 2; i++) {
		struct fake_session *s = fake_up(&r->fake, i);

		assert_non_null(s);
		attached += s->n_attached;
		again += (unsigned)s->n_again;
		detached += s->n_detached;
	}
	assert_int_equal(attached, n_attached);
	assert_int_equal(again, n_again);
	assert_int_equal(detached, n_detached);
}

static void visitor_on_ready(void *arg, struct wire *w, int events)
{
	struct str in;

	while (wire_read(w, 4096, &in) == 0)
		*(size_t *)arg += in.len;
}

static void visitor_on_broken(void *arg, struct wire *w, int why)
{
	*(size_t *)arg = 1000000 + (size_t)why;
}

static const struct wire_owner visitor_owner = {visitor_on_ready, visitor_on_broken};

/* A visitor of a tunnel says "hello". *got: bytes it was told, or 1000000 + why it was cut off. */
static struct wire *visit(struct rig *r, const char *name, size_t *got)
{
	struct visit v = {.ingress = VISIT_HTTP};
	struct wire *w;

	*got = 0;
	str_printf(v.tunnel, sizeof v.tunnel, "%s", name);
	assert_int_equal(session_open(fake_up(&r->fake, 1)->session, &v, &w), 0);
	wire_own(w, &visitor_owner, got);
	wire_want(w, WIRE_READ);
	assert_int_equal(wire_write_all(w, STR("hello")), 0);
	rig_run(r, 100);
	return w;
}

/* ---- adding ---- */

static void test_one_more(void **state)
{
	struct rig r;
	struct wire *w;
	size_t got;
	uint32_t id;

	start(&r);
	forget(&r);
	id = add(&r, "Two", "3001");
	assert_int_equal(id, 2);
	assert_false(look(&r, id).online);
	rig_run(&r, 100);
	heard(&r, 2, 1, 0); /* one says what it is to be, the other follows */
	assert_int_equal(r.n_online, 1);
	assert_int_equal(r.online_id, 2);
	assert_string_equal(look(&r, id).url, "http://two.localhost:8080");
	assert_true(look(&r, id).online);
	w = visit(&r, "two", &got);
	assert_int_equal(r.fake.target_port, 3001);
	wire_close(w, 0);
	rig_close(&r);
}

static void test_what_cannot_be_added(void **state)
{
	static const struct {
		const char *why, *name, *wish;
		int want;
	} cases[] = {
		{"no name", "a_b", "", ERR_INVAL},
		{"a name that is there", "ONE", "", ERR_INVAL},
		{"no wish", "two", "port", ERR_INVAL},
		{"a wish for what an attach says itself", "two", "\"again\":true", ERR_INVAL},
	};
	struct agent_tunnel t;
	struct rig r;
	uint32_t id;

	start(&r);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		t = tunnel_of(cases[i].name, "3001");
		t.wish = str_of(cases[i].wish);
		if (agent_add(r.agent, &t, &id) != cases[i].want)
			fail_msg("%s", cases[i].why);
	}
	t = tunnel_of(NULL, "3001");
	for (int i = 1; i < AGENT_TUNNELS_MAX; i++)
		assert_int_equal(agent_add(r.agent, &t, &id), 0);
	assert_int_equal(agent_add(r.agent, &t, &id), ERR_LIMIT);
	agent_remove(r.agent, 77);
	assert_int_equal(agent_add(r.agent, &t, &id), 0);
	assert_int_equal(id, AGENT_TUNNELS_MAX + 1);
	agent_stop(r.agent);
	assert_int_equal(agent_add(r.agent, &t, &id), ERR_CLOSED);
	assert_int_equal(agent_change(r.agent, 1, &t), ERR_CLOSED);
	rig_close(&r);
}

/* No more than the server takes are unanswered; all come to be served by all. */
static void test_a_thousand(void **state)
{
	enum { N = 1000 };
	uint32_t ids[N];
	size_t most = 0, rounds = 0;
	struct rig r;

	start(&r);
	forget(&r);
	r.fake.hold = true;
	for (int i = 0; i < N; i++) {
		char name[32];

		str_printf(name, sizeof name, "t%d", i);
		ids[i] = add(&r, name, "3001");
	}
	while (fake_up(&r.fake, 0)->n_attached + fake_up(&r.fake, 1)->n_attached < 2 * N) {
		rig_run(&r, 20);
		for (int i = 0; i < 2; i++)
			most = MAX(most, fake_up(&r.fake, i)->n_held);
		fake_release(&r.fake);
		assert_true(++rounds < 2 * N);
	}
	rig_run(&r, 20);
	fake_release(&r.fake);
	rig_run(&r, 20);
	assert_int_equal(most, AGENT_ATTACHES_MAX);
	heard(&r, 2 * N, N, 0);
	assert_int_equal(r.n_online, N);
	for (int i = 0; i < N; i++)
		assert_true(look(&r, ids[i]).online);
	r.fake.hold = false;
	wire_mem_cut(fake_up(&r.fake, 0)->cable);
	wire_mem_cut(fake_up(&r.fake, 1)->cable);
	rig_run(&r, 5000);
	assert_int_equal(fake_n_up(&r.fake), 2);
	assert_int_equal(fake_up(&r.fake, 0)->n_attached, N + 1);
	assert_int_equal(fake_up(&r.fake, 1)->n_attached, N + 1);
	rig_close(&r);
}

/* The deadline is each attach's own, not that of the queue. */
static void test_a_slow_server(void **state)
{
	struct rig r;

	start(&r);
	r.fake.hold = true;
	for (int i = 0; i < 4 * AGENT_ATTACHES_MAX; i++) {
		char name[32];

		str_printf(name, sizeof name, "t%d", i);
		add(&r, name, "3001");
	}
	for (int i = 0; i < 8; i++) {
		rig_run(&r, AGENT_ATTACH_MS / 2);
		fake_release(&r.fake);
	}
	assert_int_equal(r.n_offline, 0);
	assert_int_equal(r.n_online, 1 + 4 * AGENT_ATTACHES_MAX);
	add(&r, "last", "3001");
	rig_run(&r, AGENT_ATTACH_MS + 2 * AGENT_SLEEP_CHECK_MS);
	assert_int_equal(r.fake.n_dials, 3); /* who does not answer is given up */
	rig_close(&r);
}

/* ---- changing ---- */

static void test_another_target(void **state)
{
	struct agent_tunnel t = tunnel_of("one", "https://localhost:3001");
	struct wire *near, *old, *new;
	size_t got_old, got_new;
	struct rig r;

	start(&r);
	old = visit(&r, "one", &got_old);
	near = r.fake.target.wire;
	r.fake.target.wire = NULL; /* ours from now on: the next target is another one */
	wire_own(near, &visitor_owner, &got_new);
	forget(&r);
	t.insecure = true;
	assert_int_equal(agent_change(r.agent, 1, &t), 0);
	assert_int_equal(agent_change(r.agent, 1, &t), 0); /* nothing differs */
	new = visit(&r, "one", &got_new);
	assert_int_equal(r.fake.target_port, 3001);
	assert_true(r.fake.target_insecure);
	heard(&r, 2, 1, 0); /* its hint stands in the record */
	assert_int_equal(r.n_online, 0);
	assert_int_equal(look(&r, 1).count.visitors, 2);
	assert_int_equal(look(&r, 1).count.served, 2);
	assert_int_equal(look(&r, 1).count.up, 10);
	assert_int_equal(look(&r, 1).target->port, 3001);

	/* the old one goes on where it began */
	assert_int_equal(wire_write_all(near, STR("answer")), 0);
	rig_run(&r, 100);
	assert_int_equal(got_old, 6);
	assert_int_equal(look(&r, 1).count.down, 6);
	wire_close(old, 0);
	wire_close(near, 0);
	rig_run(&r, 100);
	assert_int_equal(look(&r, 1).count.visitors, 1);
	assert_int_equal(look(&r, 1).count.down, 6);
	wire_close(new, 0);
	rig_run(&r, 100);
	assert_int_equal(look(&r, 1).count.visitors, 0);
	assert_int_equal(look(&r, 1).count.up, 10);
	rig_close(&r);
}

static void test_another_wish(void **state)
{
	struct agent_tunnel t = tunnel_of("one", "3000");
	struct rig r;

	start(&r);
	forget(&r);
	assert_int_equal(agent_change(r.agent, 1, &t), 0);
	rig_run(&r, 100);
	heard(&r, 0, 0, 0);
	t.wish = STR("\"domains\":[\"a.example\"]");
	assert_int_equal(agent_change(r.agent, 1, &t), 0);
	rig_run(&r, 100);
	heard(&r, 2, 1, 0);
	assert_non_null(strstr(fake_up(&r.fake, 0)->attach_line, ",\"domains\":[\"a.example\"]}"));
	t.priority = 3;
	assert_int_equal(agent_change(r.agent, 1, &t), 0);
	rig_run(&r, 100);
	heard(&r, 4, 2, 0);
	assert_non_null(strstr(fake_up(&r.fake, 1)->attach_line, ",\"priority\":3"));
	assert_true(look(&r, 1).online);
	assert_int_equal(r.n_offline, 0);

	t.kind = AGENT_TCP;
	assert_int_equal(agent_change(r.agent, 1, &t), ERR_INVAL);
	t = tunnel_of("other", "3000");
	assert_int_equal(agent_change(r.agent, 1, &t), ERR_INVAL);
	t.name = NULL;
	assert_int_equal(agent_change(r.agent, 1, &t), ERR_INVAL);
	assert_int_equal(agent_change(r.agent, 2, &t), ERR_NOTFOUND);
	rig_close(&r);
}

static void test_a_wish_that_is_refused(void **state)
{
	struct agent_tunnel t = tunnel_of("one", "3000");
	struct rig r;

	start(&r);
	forget(&r);
	r.fake.no_name = "DENIED this domain is not yours";
	t.wish = STR("\"domains\":[\"a.example\"]");
	assert_int_equal(agent_change(r.agent, 1, &t), 0);
	rig_run(&r, 60000);
	heard(&r, 1, 0, 0); /* once, and nobody follows */
	assert_int_equal(r.n_kept, 1);
	assert_int_equal(r.kept_id, 1);
	assert_int_equal(r.kept_code, ERR_DENIED);
	assert_int_equal(r.n_lost, 0);
	assert_true(look(&r, 1).online);
	assert_int_equal(look(&r, 1).code, ERR_DENIED);
	assert_string_equal(look(&r, 1).reason, "this domain is not yours");

	/* a session that comes again does not ask for it again */
	r.fake.no_name = NULL;
	wire_mem_cut(fake_up(&r.fake, 0)->cable);
	rig_run(&r, 2000);
	assert_non_null(strstr(fake_up(&r.fake, 0)->attach_line, "\"again\":true"));
	assert_int_equal(look(&r, 1).code, ERR_DENIED);

	t.wish = STR("\"domains\":[\"b.example\"]");
	assert_int_equal(agent_change(r.agent, 1, &t), 0);
	rig_run(&r, 100);
	assert_int_equal(look(&r, 1).code, 0);
	assert_int_equal(r.n_kept, 1);
	rig_close(&r);
}

/* The answer to an older wish is no answer to the newer one. */
static void test_changed_before_the_answer(void **state)
{
	static const struct {
		const char *why, *refuse;
	} cases[] = {
		{"the older one is taken", NULL},
		{"the older one is refused for good", "DENIED no"},
		{"the older one is refused for now", "LIMIT later"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct agent_tunnel t = tunnel_of("one", "3000");
		struct rig r;

		print_message("# %s\n", cases[i].why);
		start(&r);
		forget(&r);
		r.fake.hold = true;
		t.wish = STR("\"max_sessions\":2");
		assert_int_equal(agent_change(r.agent, 1, &t), 0);
		rig_run(&r, 100);
		t.wish = STR("\"max_sessions\":3");
		assert_int_equal(agent_change(r.agent, 1, &t), 0);
		rig_run(&r, 100);
		heard(&r, 1, 0, 0);
		r.fake.hold = false;
		r.fake.no_name = cases[i].refuse;
		fake_release(&r.fake);
		r.fake.no_name = NULL;
		rig_run(&r, 100);
		heard(&r, 3, 1, 0);
		for (int k = 0; k < 2; k++)
			assert_non_null(
				strstr(fake_up(&r.fake, k)->attach_line, "\"max_sessions\":3"));
		assert_int_equal(r.n_kept + r.n_lost + r.n_offline + r.n_delayed, 0);
		assert_int_equal(look(&r, 1).code, 0);
		rig_close(&r);
	}
}

/* The session that was to say it dies: another one says it. */
static void test_the_one_who_asks_dies(void **state)
{
	struct agent_tunnel t = tunnel_of("one", "3000");
	struct rig r;

	start(&r);
	forget(&r);
	r.fake.hold = true;
	t.wish = STR("\"max_sessions\":2");
	assert_int_equal(agent_change(r.agent, 1, &t), 0);
	rig_run(&r, 100);
	assert_int_equal(fake_up(&r.fake, 0)->n_held, 1);
	wire_mem_cut(fake_up(&r.fake, 0)->cable);
	r.fake.hold = false;
	rig_run(&r, 2000);
	assert_int_equal(fake_n_up(&r.fake), 2);
	assert_null(strstr(fake_up(&r.fake, 1)->attach_line, "again"));
	assert_non_null(strstr(fake_up(&r.fake, 0)->attach_line, "again"));
	assert_int_equal(r.n_offline, 0);
	rig_close(&r);
}

/* ---- removing ---- */

static void test_removed(void **state)
{
	struct wire *w;
	struct rig r;
	size_t got;

	start(&r);
	add(&r, "two", "3001");
	rig_run(&r, 100);
	w = visit(&r, "one", &got);
	forget(&r);
	agent_remove(r.agent, 1);
	agent_remove(r.agent, 1);
	assert_false(agent_look(r.agent, 1, &(struct agent_look){0}));
	rig_run(&r, 3600 * 1000);
	heard(&r, 0, 0, 2);
	assert_int_equal(r.n_lost + r.n_offline + r.n_online, 0);
	assert_int_equal(fake_n_up(&r.fake), 2);
	assert_int_equal(wire_write_all(r.fake.target.wire, STR("answer")), 0);
	rig_run(&r, 100);
	assert_int_equal(got, 6);
	wire_close(w, 0);
	w = visit(&r, "one", &got);
	assert_int_equal(got, 1000000 + ERR_NOTFOUND);
	wire_close(w, 0);
	rig_close(&r);
}

static void test_removed_before_the_answer(void **state)
{
	struct rig r;
	uint32_t id;

	start(&r);
	r.fake.hold = true;
	id = add(&r, "two", "3001");
	rig_run(&r, 100);
	forget(&r);
	agent_remove(r.agent, id);
	rig_run(&r, 100);
	heard(&r, 0, 0, 0); /* the server does not know of it yet */
	fake_release(&r.fake);
	rig_run(&r, 100);
	heard(&r, 0, 0, 1);
	assert_int_equal(r.n_online, 0);

	/* it is wanted again before the answer: then the server need not take it away */
	id = add(&r, "two", "3001");
	rig_run(&r, 100);
	agent_remove(r.agent, id);
	id = add(&r, "two", "3002");
	r.fake.hold = false;
	fake_release(&r.fake);
	rig_run(&r, 100);
	heard(&r, 3, 1, 1);
	assert_int_equal(r.n_online, 1);
	assert_int_equal(r.online_id, id);
	rig_close(&r);
}

/* Nothing is left: the sessions end, and come again with the next one. */
static void test_the_last_one(void **state)
{
	struct agent_state s;
	struct wire *w;
	struct rig r;
	uint32_t id;
	size_t got, n;

	start(&r);
	w = visit(&r, "one", &got);
	agent_remove(r.agent, 1);
	rig_run(&r, 60000);
	assert_int_equal(fake_n_up(&r.fake), 2); /* its visitor is served */
	wire_close(w, 0);
	rig_run(&r, AGENT_REST_MS + 100);
	assert_int_equal(fake_n_up(&r.fake), 0);
	n = r.fake.n_dials;
	rig_run(&r, 3600 * 1000);
	assert_int_equal(r.fake.n_dials, n);
	assert_int_equal(r.n_offline + r.n_ended + r.n_lost, 0);
	agent_state(r.agent, &s);
	assert_true(s.resting);
	assert_int_equal(s.sessions, 0);
	id = add(&r, "two", "3001");
	rig_run(&r, 1000);
	assert_int_equal(r.online_id, id);
	assert_int_equal(fake_n_up(&r.fake), 2);
	agent_state(r.agent, &s);
	assert_false(s.resting);
	assert_int_equal(s.sessions, 2);
	assert_string_equal(s.transport, "upgrade");

	n = r.fake.n_dials; /* a file that is written twice: they stay */
	agent_remove(r.agent, id);
	rig_run(&r, AGENT_REST_MS / 2);
	add(&r, "three", "3001");
	rig_run(&r, 60000);
	assert_int_equal(r.fake.n_dials, n);
	rig_close(&r);
}

static void test_nothing_at_first(void **state)
{
	struct rig r;

	rig_open(&r);
	r.opt.stays = true;
	r.opt.n_tunnels = 0;
	rig_start(&r);
	rig_run(&r, 60000);
	assert_int_equal(r.fake.n_dials, 0);
	add(&r, NULL, "3000");
	rig_run(&r, 1000);
	assert_int_equal(r.n_online, 1);
	assert_string_equal(r.name, "8bv2");
	assert_int_equal(fake_n_up(&r.fake), 2);
	agent_stop(r.agent);
	rig_run(&r, 1000);
	assert_int_equal(r.n_ended, 1);
	rig_close(&r);
}

/* ---- refused ---- */

/* One that is refused for good does not end an agent that stays; changed, it is asked for anew. */
static void test_lost_and_found(void **state)
{
	struct agent_tunnel t = tunnel_of("one", "3001");
	struct rig r;

	start(&r);
	fake_tell(&r.fake, "{\"op\":\"detached\",\"name\":\"one\",\"code\":\"REPLACED\","
			   "\"reason\":\"elsewhere\"}");
	rig_run(&r, 10);
	fake_close_all(&r.fake, ERR_REPLACED, "elsewhere");
	rig_run(&r, 60000);
	assert_int_equal(r.n_lost, 1);
	assert_int_equal(r.lost_id, 1);
	assert_int_equal(r.lost_code, ERR_REPLACED);
	assert_int_equal(r.n_ended + r.n_offline, 0);
	assert_int_equal(r.fake.n_dials, 2);
	assert_true(look(&r, 1).over);
	assert_string_equal(look(&r, 1).reason, "elsewhere");
	assert_int_equal(agent_change(r.agent, 1, &t), 0);
	rig_run(&r, 1000);
	assert_int_equal(r.n_online, 2);
	assert_true(look(&r, 1).online);
	assert_int_equal(look(&r, 1).code, 0);
	assert_int_equal(fake_n_up(&r.fake), 2);
	rig_close(&r);
}

/* One that is refused for now is asked for again, and the others do not suffer. */
static void test_no_room_for_one(void **state)
{
	struct rig r;
	uint32_t id;

	start(&r);
	forget(&r);
	r.fake.no_name = "LIMIT your account has 100 tunnels";
	r.fake.no_name_of = "two";
	id = add(&r, "two", "3001");
	rig_run(&r, 300 * 1000);
	assert_int_equal(r.n_offline, 0);
	assert_int_equal(r.fake.n_dials, 2);
	assert_int_equal(r.n_delayed, 1);
	assert_int_equal(r.delayed_id, id);
	assert_int_equal(r.delayed_code, ERR_LIMIT);
	assert_int_equal(look(&r, id).code, ERR_LIMIT);
	assert_in_range(fake_up(&r.fake, 0)->n_attached, 15, 40);
	r.fake.no_name = NULL;
	rig_run(&r, 20000);
	assert_true(look(&r, id).online);
	assert_int_equal(look(&r, id).code, 0);
	assert_int_equal(r.n_online, 1);
	rig_close(&r);
}

/* ---- health ---- */

static void test_the_check_begins_anew(void **state)
{
	struct agent_tunnel t = tunnel_of("one", "3000");
	struct rig r;

	rig_open(&r);
	r.opt.stays = true;
	t.health = (struct health_opt){.kind = HEALTH_HTTP, .path = "/up", .interval_ms = 1000};
	r.tunnels[0] = t;
	r.fake.target_error = ERR_REFUSED;
	rig_start(&r);
	rig_run(&r, 10000);
	assert_true(look(&r, 1).checked);
	assert_false(look(&r, 1).up);
	assert_true(strlen(look(&r, 1).why) > 0);
	forget(&r);
	t.wish = STR("\"max_sessions\":2");
	assert_int_equal(agent_change(r.agent, 1, &t), 0);
	assert_false(look(&r, 1).up); /* it goes on */
	r.fake.target_hangs = true;
	t.health.path = "/well";
	assert_int_equal(agent_change(r.agent, 1, &t), 0);
	assert_true(look(&r, 1).up);
	rig_run(&r, 100);
	assert_non_null(strstr(fake_up(&r.fake, 0)->health_line, "\"up\":true"));
	r.fake.target_hangs = false;
	rig_run(&r, 10000);
	assert_false(look(&r, 1).up);
	t.health.kind = HEALTH_NONE;
	t.health.path = NULL;
	assert_int_equal(agent_change(r.agent, 1, &t), 0);
	assert_false(look(&r, 1).checked);
	rig_run(&r, 100);
	assert_non_null(strstr(fake_up(&r.fake, 1)->health_line, "\"up\":true"));
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_more),
		cmocka_unit_test(test_what_cannot_be_added),
		cmocka_unit_test(test_a_thousand),
		cmocka_unit_test(test_a_slow_server),
		cmocka_unit_test(test_another_target),
		cmocka_unit_test(test_another_wish),
		cmocka_unit_test(test_a_wish_that_is_refused),
		cmocka_unit_test(test_changed_before_the_answer),
		cmocka_unit_test(test_the_one_who_asks_dies),
		cmocka_unit_test(test_removed),
		cmocka_unit_test(test_removed_before_the_answer),
		cmocka_unit_test(test_the_last_one),
		cmocka_unit_test(test_nothing_at_first),
		cmocka_unit_test(test_lost_and_found),
		cmocka_unit_test(test_no_room_for_one),
		cmocka_unit_test(test_the_check_begins_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
