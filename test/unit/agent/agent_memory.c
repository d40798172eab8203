#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "unit/agent/agent_rig.h"

struct remembered {
	struct rig rig;
	char dir[64], file[128];
	struct memory *memory;
};

static void remembered_open(struct remembered *m)
{
	char why[MEMORY_WHY_MAX];

	rig_open(&m->rig);
	str_printf(m->dir, sizeof m->dir, "/tmp/karez-agent-XXXXXX");
	assert_non_null(mkdtemp(m->dir));
	str_printf(m->file, sizeof m->file, "%s/" MEMORY_FILE, m->dir);
	assert_int_equal(memory_open(m->rig.ev, m->dir, &m->memory, why), 0);
	m->rig.opt.memory = m->memory;
}

static void remembered_close(struct remembered *m)
{
	rig_close(&m->rig);
	memory_close(m->memory);
	assert_int_equal(unlink(m->file), 0);
	assert_int_equal(rmdir(m->dir), 0);
}

static void test_an_account_on_the_fly_is_kept(void **state)
{
	struct memory_credential c;
	char name[HOSTNAME_MAX + 1];
	struct remembered m;

	remembered_open(&m);
	rig_start(&m.rig);
	assert_string_equal(m.rig.fake.token, "a-fresh-token"); /* the second carrier's */
	memory_credential(m.memory, "http://localhost:8080", &c);
	assert_string_equal(c.token, "a-fresh-token");
	assert_string_equal(c.account, "AAAA-1");
	assert_true(c.automatic);
	memory_name(m.memory, "http://localhost:8080", "http://localhost:3000", name);
	assert_string_equal(name, "8bv2");

	/* the next run asks for the same name with the same token */
	agent_free(m.rig.agent);
	rig_run(&m.rig, 1000);
	m.rig.fake.random = "other";
	rig_start(&m.rig);
	assert_string_equal(m.rig.fake.token, "a-fresh-token");
	assert_string_equal(m.rig.name, "8bv2");
	remembered_close(&m);
}

/* One socket may be an http tunnel's and a tls tunnel's target: each keeps its own name. */
static void test_names_are_kept_by_kind(void **state)
{
	static const struct {
		enum agent_kind kind;
		const char *name, *key;
	} kinds[] = {
		{AGENT_HTTP, "one", "http://localhost:3000"},
		{AGENT_TCP, "two", "tcp http://localhost:3000"},
		{AGENT_TLS, "three", "tls http://localhost:3000"},
	};
	char name[HOSTNAME_MAX + 1];
	struct remembered m;

	remembered_open(&m);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
			m.rig.tunnels[0].kind = kinds[i].kind;
			m.rig.fake.random = round == 0 ? kinds[i].name : "other";
			rig_start(&m.rig);
			assert_string_equal(m.rig.name, kinds[i].name);
			memory_name(m.memory, "http://localhost:8080", kinds[i].key, name);
			assert_string_equal(name, kinds[i].name);
			agent_free(m.rig.agent);
			m.rig.agent = NULL;
			rig_run(&m.rig, 1000);
		}
	}
	remembered_close(&m);
}

static void test_a_server_that_lost_its_records(void **state)
{
	struct memory_credential c = {.token = "old", .automatic = true};
	struct remembered m;

	remembered_open(&m);
	assert_int_equal(memory_set_credential(m.memory, "http://localhost:8080", &c), 0);
	assert_int_equal(memory_set_name(m.memory, "http://localhost:8080", "http://localhost:3000",
					 "mine"),
			 0);
	m.rig.fake.refuse = "401 AUTH no such token";
	m.rig.fake.only_token = "";
	rig_start(&m.rig);
	/* the old token is refused, none is taken, the new one is refused on the other carrier */
	assert_int_equal(m.rig.n_online, 1);
	assert_string_equal(m.rig.name, "mine"); /* it was free */
	assert_int_equal(m.rig.n_ended, 0);
	memory_credential(m.memory, "http://localhost:8080", &c);
	assert_string_equal(c.token, "a-fresh-token");
	remembered_close(&m);
}

static void test_an_account_is_asked_for_anew_only_once(void **state)
{
	struct memory_credential c = {.token = "old", .automatic = true};
	struct remembered m;

	remembered_open(&m);
	assert_int_equal(memory_set_credential(m.memory, "http://localhost:8080", &c), 0);
	m.rig.fake.refuse = "401 AUTH no such token";
	rig_start(&m.rig);
	assert_int_equal(m.rig.fake.n_asks, 2);
	assert_int_equal(m.rig.n_ended, 1);
	assert_int_equal(m.rig.ended_code, ERR_AUTH);
	remembered_close(&m);
}

static void test_a_given_credential_is_not_replaced(void **state)
{
	struct memory_credential c = {.token = "given", .automatic = false};
	struct remembered m;

	remembered_open(&m);
	assert_int_equal(memory_set_credential(m.memory, "http://localhost:8080", &c), 0);
	m.rig.fake.refuse = "401 AUTH no such token";
	m.rig.fake.only_token = "";
	rig_start(&m.rig);
	assert_int_equal(m.rig.fake.n_asks, 1);
	assert_int_equal(m.rig.ended_code, ERR_AUTH);
	memory_credential(m.memory, "http://localhost:8080", &c);
	assert_string_equal(c.token, "given");
	remembered_close(&m);
}

static void test_a_certificate_needs_no_credential(void **state)
{
	struct memory_credential c;
	struct remembered m;

	remembered_open(&m);
	rig_start(&m.rig); /* it has made an account */
	assert_string_equal(m.rig.fake.proof, ""); /* what an agent without one sends */
	agent_free(m.rig.agent);
	rig_run(&m.rig, 1000);
	m.rig.fake.give = "another-token";
	m.rig.opt.certificate = true;
	rig_start(&m.rig);
	assert_int_equal(m.rig.n_ended, 0);
	assert_string_equal(m.rig.fake.token, "");
	assert_string_equal(m.rig.fake.proof, "certificate");
	/* a server that makes an account all the same changes nothing here */
	memory_credential(m.memory, "http://localhost:8080", &c);
	assert_string_equal(c.token, "a-fresh-token");

	/* it is refused: nothing is forgotten, nothing asked anew */
	agent_free(m.rig.agent);
	rig_run(&m.rig, 1000);
	m.rig.fake.n_asks = 0;
	m.rig.fake.refuse = "401 AUTH no such certificate";
	rig_start(&m.rig);
	assert_int_equal(m.rig.fake.n_asks, 1);
	assert_int_equal(m.rig.ended_code, ERR_AUTH);
	memory_credential(m.memory, "http://localhost:8080", &c);
	assert_string_equal(c.token, "a-fresh-token");

	/* a token that is given counts more */
	agent_free(m.rig.agent);
	rig_run(&m.rig, 1000);
	m.rig.fake.refuse = NULL;
	m.rig.opt.token = "given";
	rig_start(&m.rig);
	assert_string_equal(m.rig.fake.token, "given");
	assert_string_equal(m.rig.fake.proof, "");
	remembered_close(&m);
}

static void test_a_remembered_name_that_is_taken(void **state)
{
	char name[HOSTNAME_MAX + 1];
	struct remembered m;

	remembered_open(&m);
	assert_int_equal(memory_set_name(m.memory, "http://localhost:8080", "http://localhost:3000",
					 "mine"),
			 0);
	m.rig.fake.no_name = "EXISTS somebody else has it";
	m.rig.fake.no_name_of = "mine";
	rig_start(&m.rig);
	assert_int_equal(m.rig.n_ended, 0);
	assert_string_equal(m.rig.name, "8bv2");
	memory_name(m.memory, "http://localhost:8080", "http://localhost:3000", name);
	assert_string_equal(name, "8bv2");
	remembered_close(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_account_on_the_fly_is_kept),
		cmocka_unit_test(test_names_are_kept_by_kind),
		cmocka_unit_test(test_a_server_that_lost_its_records),
		cmocka_unit_test(test_an_account_is_asked_for_anew_only_once),
		cmocka_unit_test(test_a_given_credential_is_not_replaced),
		cmocka_unit_test(test_a_certificate_needs_no_credential),
		cmocka_unit_test(test_a_remembered_name_that_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
