/* A server that goes, and sessions that cannot be asked to go elsewhere. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include "base/err.h"
#include "core/peer.h"
#include "unit/gateway/ssh_rig.h"

static void test_draining(void **state)
{
	struct ssh_world w;
	struct peer p;

	peer_open_with(&w, &p);
	peer_forward(&p, 1, "one", 80);
	peer_begin(&p, "", true);
	gateway_drain(w.gateway);
	assert_int_equal(p.n_drained, 1);
	assert_string_equal(peer_screen(&p), "the server is shutting down; running connections "
					     "finish\n");
	(void)peer_answers(&p);
	peer_forward(&p, 2, "two", 80);
	ssh_world_run(&w, 20);
	assert_string_equal(peer_answers(&p), "2=DRAIN ");
	assert_false(p.closed);
	ssh_world_close(&w);
	assert_int_equal(p.why, ERR_DRAIN);
}

/* Another node, which serves "one" as well, or does so while it goes itself. */
static struct core_peer *another_node(struct ssh_world *w, enum peer_state state)
{
	struct core_peer_opt opt = {.id = "other"};
	struct node_entry entry = {.up = true, .n_agents = 1, .agents[0].carriers = 1};
	struct core_peer *peer;

	assert_int_equal(core_peer_new(w->g.r.core, &opt, &peer), 0);
	assert_int_equal(core_peer_serves(peer, STR("one"), &entry), 0);
	core_peer_set_state(peer, state);
	return peer;
}

static const struct {
	const char *why;
	int others;	       /* -1: nobody else serves it; else an enum peer_state */
	uint64_t visitor_ms;   /* one is there until then */
	uint64_t byte_ms;      /* one comes and goes then; 0: nobody */
	uint64_t from, before; /* when it ends, after the drain began */
} drains[] = {
	{"nobody else serves it: as long as somebody may come", -1, 0, 0, 5000, 5300},
	{"another node does: a moment", PEER_GOOD, 0, 0, 1000, 1300},
	{"another one that goes, too, is none", PEER_DRAINING, 0, 0, 5000, 5300},
	{"another one that nobody reaches is none", PEER_UNREACHABLE, 0, 0, 5000, 5300},
	{"whoever is here is served to the end", PEER_GOOD, 20000, 0, 21000, 21300},
	{"the same, and then nobody else has it", -1, 20000, 0, 25000, 25300},
	{"who comes puts it off", PEER_GOOD, 0, 900, 1900, 2200},
	{"the same, and nobody else has it", -1, 0, 4600, 9600, 9900},
};

static void test_a_draining_server_serves_on(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(drains); i++) {
		struct core_peer *other = NULL;
		uint64_t ms = 0;
		struct ssh_world w;
		struct peer p;

		ssh_world_open(&w, true);
		w.g.r.opt.cluster.self = "self";
		peer_come(&p, &w, "anna");
		peer_forward(&p, 1, "one", 80);
		ssh_world_run(&w, 1000);
		if (drains[i].others >= 0)
			other = another_node(&w, (enum peer_state)drains[i].others);
		p.session.n_streams = drains[i].visitor_ms > 0;
		gateway_drain(w.gateway);
		for (; !p.closed && ms < 60000; ms += 50) {
			ssh_world_run(&w, 50);
			if (ms >= drains[i].visitor_ms)
				p.session.n_streams = 0;
			if (ms == drains[i].byte_ms && ms > 0)
				session_count(&p.session, 1);
		}
		if (ms < drains[i].from || ms > drains[i].before)
			fail_msg("%s: after %llu ms", drains[i].why, (unsigned long long)ms);
		assert_int_equal(p.why, ERR_DRAIN);
		core_peer_free(other);
		ssh_world_close(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_draining),
		cmocka_unit_test(test_a_draining_server_serves_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
