/* A channel of SSH is a wire like any other: the wire suite, with either end as its first player.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "suite/wire_suite.h"
#include "unit/session/secsh_rig.h"

/* The most a direction takes while nobody reads: what libssh and the wire hold, the window,
 * sockets. */
#define FLIGHT (5 * 1024 * 1024)

static bool until_served(struct rig *r)
{
	return r->n_served == 1;
}

static void secsh_open_pair(const struct wire_suite_kind *kind, struct wire_suite_pair *pair)
{
	struct rig *r = rig_new();
	struct wire *of_node;

	rig_start(r, "localhost", 80);
	assert_int_equal(rig_visit(r, "demo", &of_node), 0);
	rig_run(r, until_served);
	pair->ev = r->ev;
	pair->arg = r;
	pair->a = kind->opt == NULL ? of_node : r->served[0];
	pair->b = kind->opt == NULL ? r->served[0] : of_node;
	r->n_served = 0; /* the suite closes it */
}

static bool until_settled(struct rig *r)
{
	return secsh_link_of(r->node)->n_channels == 0 && r->peer->link.n_channels == 0;
}

static void secsh_close_pair(struct wire_suite_pair *pair)
{
	struct rig *r = pair->arg;

	assert_false(r->over);
	assert_false(r->gone);
	rig_run(r, until_settled); /* no channel stays behind */
	assert_int_equal(r->node->n_streams, 0);
	assert_int_equal(secsh_link_of(r->node)->held, 0);
	assert_int_equal(secsh_link_of(r->node)->held_going, 0);
	rig_free(r);
}

int main(void)
{
	static const struct wire_suite_kind kinds[] = {
		{.name = "ssh channel, node first",
		 .open = secsh_open_pair,
		 .close = secsh_close_pair,
		 .flight_max = FLIGHT,
		 .restores = true,
		 .no_reset = true,
		 .quiet_ms = 50},
		{.name = "ssh channel, agent first",
		 .opt = "agent",
		 .open = secsh_open_pair,
		 .close = secsh_close_pair,
		 .flight_max = FLIGHT,
		 .restores = true,
		 .no_reset = true,
		 .quiet_ms = 50},
	};
	int failed;

	if (rig_setup(NULL) != 0)
		return 1;
	failed = wire_suite_run(kinds, sizeof kinds / sizeof kinds[0]);
	return rig_teardown(NULL) != 0 || failed != 0;
}
