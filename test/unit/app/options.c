/* The tables of both programs: without a mistake of ours, and saying what is wrong with a person's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/karez_options.h"
#include "app/karezd_options.h"
#include "base/err.h"
#include "config/rows.h"

static void test_tables_have_no_mistake(void **state)
{
	char why[300];

	assert_int_equal(rows_check(&karezd_program, why, sizeof why), 0);
	assert_string_equal(why, "");
	assert_int_equal(rows_check(&karez_program, why, sizeof why), 0);
	assert_string_equal(why, "");
}

#define ARGS_MAX 8

static const struct {
	const char *why;
	const struct config_program *program;
	const char *argv[ARGS_MAX];
	const char *message; /* part of it; NULL: accepted */
} cases[] = {
	{"nothing is needed", &karezd_program, {"karezd"}, NULL},
	{"several addresses",
	 &karezd_program,
	 {"karezd", "--listen", "127.0.0.1:80,[::1]:80", "--listen=unix:/run/k"},
	 NULL},
	{"a port that is none",
	 &karezd_program,
	 {"karezd", "--listen", "127.0.0.1:99999"},
	 "--listen: \"127.0.0.1:99999\" is not an address"},
	{"a host name is no address",
	 &karezd_program,
	 {"karezd", "--listen", "localhost:80"},
	 "expected IP:PORT"},
	{"TLS without a certificate",
	 &karezd_program,
	 {"karezd", "--listen", "tls::443"},
	 "needs --tls-cert and --tls-key"},
	{"a certificate without a key",
	 &karezd_program,
	 {"karezd", "--listen", "tls::443", "--tls-cert", "c.pem"},
	 "needs --tls-key"},
	{"a key without a certificate",
	 &karezd_program,
	 {"karezd", "--tls-key", "k.pem"},
	 "needs --tls-cert"},
	{"a certificate that nobody uses",
	 &karezd_program,
	 {"karezd", "--tls-cert", "c.pem", "--tls-key", "k.pem"},
	 "begins with tls:"},
	{"authorities of clients, but no TLS",
	 &karezd_program,
	 {"karezd", "--agent-ca", "ca.pem"},
	 "--agent-ca: needs a --listen that begins with tls:"},
	{"a domain with a space",
	 &karezd_program,
	 {"karezd", "--domain", "a b"},
	 "\"a b\" is not a host name"},
	{"a block with host bits",
	 &karezd_program,
	 {"karezd", "--trusted-proxies", "10.0.0.1/8"},
	 "--trusted-proxies: \"10.0.0.1/8\""},
	{"a store of another kind",
	 &karezd_program,
	 {"karezd", "--store", "postgres:x"},
	 "expected memory: or sqlite:/path"},
	{"a slip of the finger",
	 &karezd_program,
	 {"karezd", "--alow-registration"},
	 "--allow-registration"},
	{"a port alone", &karez_program, {"karez", "3000"}, NULL},
	{"a port in words", &karez_program, {"karez", "abc"}, "\"abc\""},
	{"port 0", &karez_program, {"karez", "0"}, "\"0\""},
	{"a port too high", &karez_program, {"karez", "70000"}, "\"70000\""},
	{"a certificate without its key",
	 &karez_program,
	 {"karez", "3000", "--cert", "c.pem"},
	 "--cert: needs --key"},
	{"a key without its certificate",
	 &karez_program,
	 {"karez", "tunnel", "ls", "--key", "k.pem"},
	 "--key: needs --cert"},
	{"no target", &karez_program, {"karez", "http"}, "TARGET"},
	{"a server that is no URL",
	 &karez_program,
	 {"karez", "3000", "--server", "ftp://x"},
	 "--server: \"ftp://x\""},
	{"a name that is none", &karez_program, {"karez", "3000", "--name", "a_b!"}, "--name"},
	{"a secret on the command line",
	 &karez_program,
	 {"karez", "3000", "--token", "kz_x"},
	 "--token"},
};

static void test_what_a_person_types(void **state)
{
	static char *const no_env[] = {NULL};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		void *settings = calloc(1, MAX(sizeof(struct karez_options),
					       sizeof(struct karezd_settings)));
		struct config_input in = {.argv = (char *const *)(uintptr_t)cases[i].argv,
					  .envp = no_env};
		struct config *c = NULL;
		int e;

		while (in.argc < ARGS_MAX && cases[i].argv[in.argc] != NULL)
			in.argc++;
		e = config_load(cases[i].program, &in, settings, &c);
		if (cases[i].message == NULL) {
			assert_string_equal(config_message(c), "");
			assert_int_equal(e, 0);
		} else {
			assert_int_equal(e, ERR_INVAL);
			if (strstr(config_message(c), cases[i].message) == NULL)
				fail_msg("%s: %s", cases[i].why, config_message(c));
			assert_null(strstr(config_message(c), "kz_x"));
		}
		config_free(c);
		free(settings);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables_have_no_mistake),
		cmocka_unit_test(test_what_a_person_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
