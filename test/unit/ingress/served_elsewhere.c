/* A request for a tunnel that is not known here, because only another node serves it. */
#include "base/err.h"
#include "ingress_rig.h"

/* Its record is read for the first visitor, who is then served as if he had come just now. */
static void test_served_elsewhere(void **state)
{
	static const struct {
		const char *why;
		size_t n_remote;
		bool found, at, denied;
		enum tunnel_kind kind;
		const char *want; /* NULL: it comes in */
	} cases[] = {
		{"another node serves it", 1, true, false, false, TUNNEL_HTTP, NULL},
		{"by its custom domain", 1, true, true, false, TUNNEL_HTTP, NULL},
		{"but not for everybody", 1, true, false, true, TUNNEL_HTTP, "HTTP/1.1 403 "},
		{"it is gone again", 1, false, false, false, TUNNEL_HTTP, "HTTP/1.1 503 "},
		{"it is of another kind", 1, true, false, false, TUNNEL_TCP, "HTTP/1.1 503 "},
		{"a session has come here", 0, true, false, false, TUNNEL_HTTP, "HTTP/1.1 503 "},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("# %s\n", cases[i].why);
		rig_open();
		W->at = cases[i].at;
		W->core.connected = false;
		W->core.n_remote = cases[i].n_remote;
		W->core.connect_by_lookup = cases[i].found;
		W->core.demo.settings.kind = cases[i].kind;
		if (cases[i].denied) {
			assert_int_equal(cidr_parse(STR("192.0.2.0/24"),
						    &W->core.demo.rights.deny[0]),
					 0);
			W->core.demo.rights.n_deny = 1;
			rig_changed();
		}
		far_say(&W->visitor, "POST /x HTTP/1.1\r\nHost: App.Example.org\r\n"
				     "Content-Length: 10\r\n\r\nhello");
		far_say(&W->visitor, "world");
		assert_int_equal(W->core.n_lookups, 1);
		assert_int_equal(W->core.demo.n_dials, cases[i].want == NULL);
		if (cases[i].want == NULL) {
			expect_in(W->target[0].got, "POST /x HTTP/1.1\r\n");
			expect_in(W->target[0].got, "\r\n\r\nhelloworld");
		} else {
			expect_in(W->visitor.got, cases[i].want);
		}
		rig_close();
	}
}

static void test_gone_while_it_is_asked(void **state)
{
	rig_open();
	W->core.connected = false;
	W->core.n_remote = 1;
	W->core.connect_by_lookup = true;
	assert_int_equal(wire_write_all(W->visitor.wire,
					STR("GET / HTTP/1.1\r\nHost: demo.example\r\n\r\n")),
			 0);
	wire_close(W->visitor.wire, ERR_RESET);
	W->visitor.wire = NULL;
	ev_sim_run_for(W->ev, 10);
	assert_int_equal(http_ingress_load(W->ingress), 0);
	rig_close();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_served_elsewhere),
		cmocka_unit_test(test_gone_while_it_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
