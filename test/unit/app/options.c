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
	{"one address for everything",
	 &karezd_program,
	 {"karezd", "--listen", "auto:127.0.0.1:443", "--tls-dir", "certs", "--ssh-ca", "ca.pub"},
	 NULL},
	{"it needs no certificate",
	 &karezd_program,
	 {"karezd", "--listen", "auto::443", "--ssh-auto", "off"},
	 NULL},
	{"authorities of SSH where it is not spoken",
	 &karezd_program,
	 {"karezd", "--listen", "auto::443", "--ssh-auto", "off", "--ssh-ca", "ca.pub"},
	 "--ssh-ca: needs --ssh-listen as well, or a --listen that begins with auto:"},
	{"authorities of agents where there is no certificate",
	 &karezd_program,
	 {"karezd", "--listen", "auto::443", "--agent-ca", "ca.pem"},
	 "--listen: needs --tls-cert and --tls-key as well, or --tls-dir"},
	{"everything at a unix socket",
	 &karezd_program,
	 {"karezd", "--listen", "auto:unix:/run/k"},
	 "--listen: \"auto:unix:/run/k\" is not an address"},
	{"everything, and TLS",
	 &karezd_program,
	 {"karezd", "--listen", "tls:auto::443", "--tls-dir", "certs"},
	 "--listen: \"tls:auto::443\" is not an address"},
	{"everything, behind who is not named",
	 &karezd_program,
	 {"karezd", "--listen", "proxy:auto::443"},
	 "--listen: needs --trusted-proxies"},
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
	 "needs --tls-cert and --tls-key as well, or --tls-dir"},
	{"certificates in a directory",
	 &karezd_program,
	 {"karezd", "--listen", "tls::443", "--tls-dir", "certs"},
	 NULL},
	{"a directory that nobody uses",
	 &karezd_program,
	 {"karezd", "--tls-dir", "certs"},
	 "--tls-dir: needs a --listen that begins with tls:"},
	{"a list of the revoked, but no authority",
	 &karezd_program,
	 {"karezd", "--listen", "tls::443", "--tls-dir", "certs", "--agent-crl", "crl.pem"},
	 "--agent-crl: needs --agent-ca"},
	{"management without certificates of its own",
	 &karezd_program,
	 {"karezd", "--manage-listen", "127.0.0.1:9056"},
	 "--manage-listen: needs --tls-cert and --tls-key"},
	{"management without certificates of others",
	 &karezd_program,
	 {"karezd", "--manage-listen", "127.0.0.1:9056", "--tls-dir", "certs"},
	 "--manage-listen: needs --agent-ca"},
	{"management",
	 &karezd_program,
	 {"karezd", "--manage-listen", "127.0.0.1:9056", "--tls-dir=certs", "--agent-ca=ca.pem"},
	 NULL},
	{"management at a host name",
	 &karezd_program,
	 {"karezd", "--manage-listen", "localhost:1"},
	 "--manage-listen: \"localhost:1\" is not an address"},
	{"PROXY headers of nobody",
	 &karezd_program,
	 {"karezd", "--listen", "proxy:127.0.0.1:80"},
	 "--listen: needs --trusted-proxies"},
	{"PROXY headers",
	 &karezd_program,
	 {"karezd", "--listen", "proxy:127.0.0.1:80", "--trusted-proxies", "::1"},
	 NULL},
	{"both words the wrong way round",
	 &karezd_program,
	 {"karezd", "--listen", "tls:proxy::443", "--tls-dir", "certs"},
	 "--listen: \"tls:proxy::443\" is not an address"},
	{"TLS behind PROXY headers needs its certificate, too",
	 &karezd_program,
	 {"karezd", "--listen", "proxy:tls::443", "--trusted-proxies", "::1"},
	 "needs --tls-cert"},
	{"PROXY headers of nobody on ports",
	 &karezd_program,
	 {"karezd", "--tcp-proxy-protocol"},
	 "--tcp-proxy-protocol: needs --trusted-proxies"},
	{"ranges of ports", &karezd_program, {"karezd", "--tcp-ports", "22,2000-2100"}, NULL},
	{"no ports", &karezd_program, {"karezd", "--tcp-ports", "none"}, NULL},
	{"no ports and a port",
	 &karezd_program,
	 {"karezd", "--tcp-ports", "none,22"},
	 "--tcp-ports: cannot be \"none\" and ports"},
	{"a range that ends before it begins",
	 &karezd_program,
	 {"karezd", "--tcp-ports", "2100-2000"},
	 "--tcp-ports: \"2100-2000\" is no range of ports"},
	{"port 0 is no port", &karezd_program, {"karezd", "--tcp-ports", "0-5"}, "\"0-5\""},
	{"half a range", &karezd_program, {"karezd", "--tcp-ports", "5-"}, "\"5-\""},
	{"addresses of tunnels", &karezd_program, {"karezd", "--tcp-bind", "127.0.0.1,::1"}, NULL},
	{"every address of tunnels", &karezd_program, {"karezd", "--tcp-bind", "*"}, NULL},
	{"a name is no address of tunnels",
	 &karezd_program,
	 {"karezd", "--tcp-bind", "localhost"},
	 "--tcp-bind: \"localhost\" is not an address"},
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
	{"SSH at several addresses",
	 &karezd_program,
	 {"karezd", "--ssh-listen", ":2222,[::1]:22", "--ssh-ca=ca.pub", "--ssh-token", "off"},
	 NULL},
	{"SSH at a host name",
	 &karezd_program,
	 {"karezd", "--ssh-listen", "localhost:22"},
	 "--ssh-listen: \"localhost:22\" is not an address: expected IP:PORT"},
	{"SSH at a unix socket: nobody there has an address",
	 &karezd_program,
	 {"karezd", "--ssh-listen", "unix:/run/k"},
	 "--ssh-listen: \"unix:/run/k\" is not an address"},
	{"SSH does not know the words of --listen",
	 &karezd_program,
	 {"karezd", "--ssh-listen", "proxy:127.0.0.1:22"},
	 "--ssh-listen: \"proxy:127.0.0.1:22\" is not an address"},
	{"SSH at too many addresses",
	 &karezd_program,
	 {"karezd", "--ssh-listen", ":1,:2,:3,:4,:5,:6,:7,:8,:9,:10,:11,:12,:13,:14,:15,:16,:17"},
	 "--ssh-listen: is too long: 16 addresses"},
	{"SSH at as many as may be",
	 &karezd_program,
	 {"karezd", "--ssh-listen", ":1,:2,:3,:4,:5,:6,:7,:8,:9,:10,:11,:12,:13,:14,:15,:16"},
	 NULL},
	{"authorities of SSH that nobody asks",
	 &karezd_program,
	 {"karezd", "--ssh-ca", "ca.pub"},
	 "--ssh-ca: needs --ssh-listen as well"},
	{"a word of sshd that means nothing here",
	 &karezd_program,
	 {"karezd", "--ssh-listen", ":22", "--ssh-gateway-ports", "no"},
	 "--ssh-gateway-ports: \"no\""},
	{"no time for logging in",
	 &karezd_program,
	 {"karezd", "--ssh-listen", ":22", "--ssh-login-grace", "0"},
	 "--ssh-login-grace: \"0\""},
	{"nobody may log in",
	 &karezd_program,
	 {"karezd", "--ssh-listen", ":22", "--ssh-max-startups", "0"},
	 "--ssh-max-startups: \"0\""},
	{"nobody may log in from anywhere",
	 &karezd_program,
	 {"karezd", "--ssh-listen", ":22", "--ssh-max-startups-per-ip", "0"},
	 "--ssh-max-startups-per-ip: \"0\""},
	{"no try at all",
	 &karezd_program,
	 {"karezd", "--ssh-listen", ":22", "--ssh-auth-tries", "0"},
	 "--ssh-auth-tries: \"0\""},
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
	{"workers", &karezd_program, {"karezd", "--workers", "64"}, NULL},
	{"workers by the machine", &karezd_program, {"karezd", "--workers=auto"}, NULL},
	{"no worker",
	 &karezd_program,
	 {"karezd", "--workers", "0"},
	 "--workers: \"0\" is no number"},
	{"too many workers", &karezd_program, {"karezd", "--workers", "65"}, "expected 1 to 64"},
	{"other nodes",
	 &karezd_program,
	 {"karezd", "--store=redis://h", "--hop-listen=:7000", "--hop-advertise=10.0.0.1:7000",
	  "--cluster-key-file=k", "--agent-url=https://a.example"},
	 NULL},
	{"a Redis store alone", &karezd_program, {"karezd", "--store=redis://h"}, NULL},
	{"other nodes that share nothing",
	 &karezd_program,
	 {"karezd", "--hop-listen=:7000", "--cluster-key-file=k"},
	 "--hop-listen: needs a --store that other nodes share"},
	{"other nodes whoever they are",
	 &karezd_program,
	 {"karezd", "--store=redis://h", "--hop-listen=:7000"},
	 "--hop-listen: needs --cluster-key-file"},
	{"a secret for nothing",
	 &karezd_program,
	 {"karezd", "--cluster-key-file=k"},
	 "--cluster-key-file: needs --hop-listen"},
	{"an address of nothing",
	 &karezd_program,
	 {"karezd", "--hop-advertise=10.0.0.1:7000"},
	 "--hop-advertise: needs --hop-listen"},
	{"an address that nobody reaches",
	 &karezd_program,
	 {"karezd", "--hop-advertise=:7000"},
	 "--hop-advertise: \":7000\" is not an address that others reach"},
	{"other nodes at a socket of this machine",
	 &karezd_program,
	 {"karezd", "--hop-listen=unix:/run/k"},
	 "--hop-listen: \"unix:/run/k\" is not an address"},
	{"a port for each of many",
	 &karezd_program,
	 {"karezd", "--store=redis://h", "--hop-listen=:65280", "--cluster-key-file=k",
	  "--workers=2"},
	 "--hop-listen: has too high a port"},
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
	{"a file of services", &karez_program, {"karez", "up", "-f", "s.yaml", "-i", "tim"}, NULL},
	{"as with mdm-tunnel",
	 &karez_program,
	 {"karez", "up", "-c", "s.json", "-H", "::1", "-p8001"},
	 NULL},
	{"the file twice",
	 &karez_program,
	 {"karez", "up", "-c", "s.json", "-f", "s.json"},
	 "--service-definitions: contradicts --file"},
	{"the server twice",
	 &karez_program,
	 {"karez", "up", "-H", "a.example", "--server", "http://a.example"},
	 "--host: contradicts --server"},
	{"the server's port apart from its URL",
	 &karez_program,
	 {"karez", "up", "--port=1", "--server", "http://a.example"},
	 "--port: contradicts --server"},
	{"a host with its port",
	 &karez_program,
	 {"karez", "up", "-H", "a.example:80"},
	 "--host: \"a.example:80\" is not a host"},
	{"port 0 of a server", &karez_program, {"karez", "up", "-p", "0"}, "--port: \"0\""},
	{"an id that is none", &karez_program, {"karez", "up", "-i", "a_b"}, "--id"},
	{"-c elsewhere is what it was",
	 &karez_program,
	 {"karez", "3000", "-c", "/nonexistent"},
	 "/nonexistent"},
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

/* What stands in doc/ssh.md about them. */
static void test_ssh_as_it_is(void **state)
{
	static char *const no_env[] = {NULL};
	char *argv[] = {(char[]){"karezd"}, NULL};
	struct config_input in = {1, argv, no_env};
	struct karezd_settings set = {0};
	struct config *c = NULL;

	assert_int_equal(config_load(&karezd_program, &in, &set, &c), 0);
	assert_int_equal(set.ssh_listen.n, 0);
	assert_null(set.ssh_ca);
	assert_int_equal(set.ssh_gateway_ports, KAREZD_SSH_PORTS_CLIENT);
	assert_int_equal(set.ssh_token, KAREZD_SSH_TOKEN_ON);
	assert_int_equal(set.ssh_grace_ms, 30000);
	assert_int_equal(set.ssh_starts_max, 100);
	assert_int_equal(set.ssh_starts_per_ip, 20);
	assert_int_equal(set.ssh_tries_max, 6);
	config_free(c);
}

static void test_the_server_of_mdm_tunnel(void **state)
{
	static const struct {
		const char *why, *argv[ARGS_MAX], *url; /* NULL: none is named so */
	} servers[] = {
		{"nothing", {"karez", "up"}, NULL},
		{"its URL", {"karez", "up", "--server", "http://a.example"}, NULL},
		{"a host", {"karez", "up", "-H", "a.example"}, "https://a.example"},
		{"and a port",
		 {"karez", "up", "-H", "a.example", "-p", "8001"},
		 "https://a.example:8001"},
		{"here", {"karez", "up", "-H", "localhost"}, "http://localhost:8080"},
		{"a port here", {"karez", "up", "-p", "8001"}, "http://localhost:8001"},
		{"an address here", {"karez", "up", "-H", "::1", "-p", "80"}, "http://[::1]"},
		{"an address", {"karez", "up", "-H", "2001:db8::1"}, "https://[2001:db8::1]"},
		{"a port of a tunnel", {"karez", "tcp", "22", "-p", "8001"}, NULL},
	};
	static char *const no_env[] = {NULL};

	for (size_t i = 0; i < ARRAY_LEN(servers); i++) {
		char *argv[ARGS_MAX + 1] = {NULL}, text[URL_TEXT_MAX];
		struct config_input in = {.argv = argv, .envp = no_env};
		struct karez_options set = {0};
		struct config *c = NULL;
		struct url url;

		for (; in.argc < ARGS_MAX && servers[i].argv[in.argc] != NULL; in.argc++)
			assert_non_null(argv[in.argc] = strdup(servers[i].argv[in.argc]));
		assert_int_equal(config_load(&karez_program, &in, &set, &c), 0);
		if (karez_options_server(c, &set, &url) != (servers[i].url != NULL))
			fail_msg("%s", servers[i].why);
		if (servers[i].url != NULL) {
			url_format(&url, text);
			assert_string_equal(text, servers[i].url);
		}
		config_free(c);
		for (int k = 0; k < in.argc; k++)
			free(argv[k]);
	}
}

static void test_ranges_of_ports(void **state)
{
	char *v[] = {(char[]){"22"}, (char[]){"2000-2100"}, (char[]){"65535"}, (char[]){"none"}};
	struct config_list list = {.v = v, .n = ARRAY_LEN(v)};
	struct access_ports ports[ARRAY_LEN(v)];

	assert_int_equal(karezd_tcp_ports(&list, ports), 3);
	assert_int_equal(ports[0].first, 22);
	assert_int_equal(ports[0].last, 22);
	assert_int_equal(ports[1].first, 2000);
	assert_int_equal(ports[1].last, 2100);
	assert_int_equal(ports[2].last, 65535);
}

static void test_numbers_of_workers(void **state)
{
	struct karezd_settings set = {.workers = NULL};
	char seven[] = "7", by_machine[] = "auto";

	assert_int_equal(karezd_workers(&set), 0);
	set.workers = seven;
	assert_int_equal(karezd_workers(&set), 7);
	set.workers = by_machine;
	assert_in_range(karezd_workers(&set), 1, 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables_have_no_mistake),
		cmocka_unit_test(test_what_a_person_types),
		cmocka_unit_test(test_ssh_as_it_is),
		cmocka_unit_test(test_the_server_of_mdm_tunnel),
		cmocka_unit_test(test_ranges_of_ports),
		cmocka_unit_test(test_numbers_of_workers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
