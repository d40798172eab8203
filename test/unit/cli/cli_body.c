/* Command lines, and the JSON that they become. */
#include "cli_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "config/rows.h"

static void test_tables_have_no_mistake(void **state)
{
	char why[300];

	assert_int_equal(rows_check(&cli_rig_program, why, sizeof why), 0);
	assert_string_equal(why, "");
}

/* A file with some bytes; its path stays valid until the next call. */
static const char *file_of(const char *bytes)
{
	static char path[64];
	FILE *f;

	str_printf(path, sizeof path, "/tmp/karez-body-%d", (int)getpid());
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(bytes, f);
	fclose(f);
	return path;
}

static const char now_text[] = "{\"visitors\":{\"basic\":[{\"user\":\"anna\"},{\"user\":\"bob\"}],"
			       "\"allow\":[\"10.0.0.0/8\"]}}";

/* "@file" in argv stands for a file with these bytes. */
static const struct {
	const char *why;
	const char *argv[16];
	const char *file, *typed;
	const char *want; /* the body; or NULL, then */
	const char *said; /* a part of what stands against it */
} tunnels[] = {
	{"nothing said, nothing sent", {"tunnel", "set", "x"}, NULL, NULL, "{}", NULL},
	{"a target as a port",
	 {"tunnel", "set", "x", "--target", "3000"},
	 NULL,
	 NULL,
	 "{\"target\":{\"url\":\"http://localhost:3000\"}}",
	 NULL},
	{"no target any more",
	 {"tunnel", "set", "x", "--target", ""},
	 NULL,
	 NULL,
	 "{\"target\":{\"url\":\"\"}}",
	 NULL},
	{"switched off",
	 {"tunnel", "set", "x", "--no-enabled"},
	 NULL,
	 NULL,
	 "{\"enabled\":false}",
	 NULL},
	{"what is usual is sent when it is said",
	 {"tunnel", "set", "x", "--enabled", "--policy", "least-conn", "--max-sessions=64"},
	 NULL,
	 NULL,
	 "{\"enabled\":true,\"transport\":{\"policy\":\"least-conn\",\"max_connections\":64}}",
	 NULL},
	{"domains",
	 {"tunnel", "set", "x", "-d", "a.example", "-d", "b.example"},
	 NULL,
	 NULL,
	 "{\"domains\":[\"a.example\",\"b.example\"]}",
	 NULL},
	{"no domains any more",
	 {"tunnel", "set", "x", "--domain", ""},
	 NULL,
	 NULL,
	 "{\"domains\":[]}",
	 NULL},
	{"a tcp tunnel",
	 {"tunnel", "set", "x", "--kind", "tcp", "--port", "2222", "--bind", "::1", "--target",
	  "22", "--proxy-protocol", "v2"},
	 NULL,
	 NULL,
	 "{\"kind\":\"tcp\",\"ingress\":{\"tcp\":{\"port\":2222,\"bind\":\"::1\"}},"
	 "\"target\":{\"url\":\"tcp://localhost:22\",\"proxy_protocol\":\"v2\"}}",
	 NULL},
	{"a tls tunnel with a wildcard",
	 {"tunnel", "set", "x", "--kind=tls", "--tls=end", "-d", "*.a.example"},
	 NULL,
	 NULL,
	 "{\"kind\":\"tls\",\"domains\":[\"*.a.example\"],\"ingress\":{\"tls\":{\"mode\":"
	 "\"end\"}}}",
	 NULL},
	{"what serves it",
	 {"tunnel", "set", "x", "--service", "sshd", "--agent", "home,spare", "--drain", "90s"},
	 NULL,
	 NULL,
	 "{\"target\":{\"service\":\"sshd\"},\"transport\":{\"agents\":[\"home\",\"spare\"],"
	 "\"drain\":90}}",
	 NULL},
	{"whoever of the account serves it, by the tunnel's name",
	 {"tunnel", "set", "x", "--service", "", "--agent", "", "--bind", ""},
	 NULL,
	 NULL,
	 "{\"ingress\":{\"tcp\":{\"bind\":\"\"}},\"target\":{\"service\":\"\"},"
	 "\"transport\":{\"agents\":[]}}",
	 NULL},
	{"host rewritten",
	 {"tunnel", "set", "x", "--rewrite-host"},
	 NULL,
	 NULL,
	 "{\"headers\":{\"rewrite\":true}}",
	 NULL},
	{"a host, and fields of heads",
	 {"tunnel", "set", "x", "--host-header", "a.local:81", "--request-header-add", "X-A: 1, 2",
	  "--request-header-add", "X-B:", "--response-header-remove", "Server",
	  "--request-header-remove", ""},
	 NULL,
	 NULL,
	 "{\"headers\":{\"rewrite\":false,\"host\":\"a.local:81\",\"request_remove\":[],"
	 "\"request_add\":[\"X-A: 1, 2\",\"X-B:\"],\"response_remove\":[\"Server\"]}}",
	 NULL},
	{"the host that was asked for",
	 {"tunnel", "set", "x", "--host-header", "keep"},
	 NULL,
	 NULL,
	 "{\"headers\":{\"rewrite\":false,\"host\":\"\"}}",
	 NULL},
	{"addresses and a hook",
	 {"tunnel", "set", "x", "--allow", "10.0.0.0/8,::1", "--deny", "10.0.0.1", "--auth-url",
	  "https://auth.example/check"},
	 NULL,
	 NULL,
	 "{\"visitors\":{\"allow\":[\"10.0.0.0/8\",\"::1\"],\"deny\":[\"10.0.0.1\"],"
	 "\"auth_url\":\"https://auth.example/check\"}}",
	 NULL},
	{"a user more: the others stay by their names",
	 {"tunnel", "set", "x", "-u", "carl"},
	 NULL,
	 "geheim\n",
	 "{\"visitors\":{\"basic\":[{\"user\":\"anna\"},{\"user\":\"bob\"},"
	 "{\"user\":\"carl\",\"password\":\"geheim\"}]}}",
	 NULL},
	{"a new password for one who is there",
	 {"tunnel", "set", "x", "-u", "anna"},
	 NULL,
	 "neu\n",
	 "{\"visitors\":{\"basic\":[{\"user\":\"bob\"},{\"user\":\"anna\",\"password\":\"neu\"}]}}",
	 NULL},
	{"no password",
	 {"tunnel", "set", "x", "-u", "anna"},
	 NULL,
	 "",
	 NULL,
	 "no password for anna: nothing was given"},
	{"all rights removed",
	 {"tunnel", "set", "x", "--no-auth"},
	 NULL,
	 NULL,
	 "{\"visitors\":{\"basic\":[],\"bearer\":[],\"allow\":[],\"deny\":[],\"auth_url\":\"\"}}",
	 NULL},
	{"all rights removed but one",
	 {"tunnel", "set", "x", "--no-auth", "-u", "carl"},
	 NULL,
	 "c\n",
	 "{\"visitors\":{\"basic\":[{\"user\":\"carl\",\"password\":\"c\"}],\"bearer\":[],"
	 "\"allow\":[],\"deny\":[],\"auth_url\":\"\"}}",
	 NULL},
	{"users from a file",
	 {"tunnel", "set", "x", "--basic-auth-file", "@file"},
	 "# mine\nanna:a:b\r\n\nbob: x \n",
	 NULL,
	 "{\"visitors\":{\"basic\":[{\"user\":\"anna\",\"password\":\"a:b\"},"
	 "{\"user\":\"bob\",\"password\":\" x \"}]}}",
	 NULL},
	{"a file of hashes",
	 {"tunnel", "set", "x", "--basic-auth-file", "@file"},
	 "anna:$apr1$01234567$abcdefghijklmnopqrstuv\n",
	 NULL,
	 NULL,
	 "the password of anna is hashed"},
	{"a file of something else",
	 {"tunnel", "set", "x", "--basic-auth-file", "@file"},
	 "anna\n",
	 NULL,
	 NULL,
	 "a line is not USER:PASSWORD"},
	{"tokens from a file",
	 {"tunnel", "set", "x", "--bearer-file", "@file"},
	 "0123456789abcdef\n fedcba9876543210 \n",
	 NULL,
	 "{\"visitors\":{\"bearer\":[\"0123456789abcdef\",\"fedcba9876543210\"]}}",
	 NULL},
	{"a token too short",
	 {"tunnel", "set", "x", "--bearer-file", "@file"},
	 "0123456789abcde\n",
	 NULL,
	 NULL,
	 "a line is not a token of 16-128 characters"},
	{"a file that is not there",
	 {"tunnel", "set", "x", "--bearer-file", "/nonexistent/x"},
	 NULL,
	 NULL,
	 NULL,
	 "cannot read secrets from /nonexistent/x"},
};

static void check_body(struct cli_rig *r, const struct json *body, size_t i, int e)
{
	struct buf text = {0};

	cli_rig_said(r);
	if (tunnels[i].want == NULL) {
		if (e == 0 || strstr(r->err, tunnels[i].said) == NULL)
			fail_msg("%s: %s", tunnels[i].why, r->err);
		return;
	}
	assert_int_equal(json_write(body, 4096, &text), 0);
	if (e != 0 || !str_eq(buf_str(&text), str_of(tunnels[i].want)))
		fail_msg("%s: got " STR_FMT " %s", tunnels[i].why, STR_ARG(buf_str(&text)), r->err);
	assert_string_equal(r->err, "");
	buf_free(&text);
}

static void test_tunnels(void **state)
{
	struct json *now = NULL;

	assert_int_equal(json_parse(str_of(now_text), 4096, &now), 0);
	for (size_t i = 0; i < ARRAY_LEN(tunnels); i++) {
		const char *argv[17] = {NULL};
		int fds[2], keep = dup(STDIN_FILENO), bad = 0, e;
		struct json *body;
		struct cli_rig r;

		for (size_t k = 0; tunnels[i].argv[k] != NULL; k++)
			argv[k] = strcmp(tunnels[i].argv[k], "@file") == 0
					  ? file_of(tunnels[i].file)
					  : tunnels[i].argv[k];
		assert_int_equal(pipe(fds), 0);
		if (tunnels[i].typed != NULL)
			(void)!write(fds[1], tunnels[i].typed, strlen(tunnels[i].typed));
		close(fds[1]);
		dup2(fds[0], STDIN_FILENO);
		close(fds[0]);
		cli_rig_start(&r, argv);
		body = cli_body_new(&bad);
		e = cli_body_tunnel(&r.cli, &bad, body, now);
		assert_int_equal(bad, 0);
		check_body(&r, body, i, e);
		json_free(body);
		cli_rig_end(&r);
		dup2(keep, STDIN_FILENO);
		close(keep);
	}
	unlink(file_of(""));
	json_free(now);
}

static const struct {
	const char *why;
	const char *argv[16];
	const char *want;
} scopes[] = {
	{"nothing limits it", {"token", "add", "x"}, "{}"},
	{"tunnels, kinds and ports",
	 {"token", "add", "x", "--tunnel", "demo", "--tunnel=*.tim", "--kind", "http,tcp", "--port",
	  "443", "--port", "2000-2010"},
	 "{\"scope\":{\"tunnels\":[\"demo\",\"*.tim\"],\"kinds\":[\"http\",\"tcp\"],"
	 "\"ports\":[\"443\",\"2000-2010\"]}}"},
	{"a time from now",
	 {"token", "add", "x", "--expires", "1d"},
	 "{\"scope\":{\"expires_at\":\"1970-01-02T00:00:00.000Z\"}}"},
	{"a date",
	 {"key", "add", "x", "--expires", "2026-12-31"},
	 "{\"scope\":{\"expires_at\":\"2026-12-31T23:59:59.999Z\"}}"},
};

static void test_scopes(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(scopes); i++) {
		struct buf text = {0};
		struct cli_rig r;
		struct json *body;
		int bad = 0, e;
		int64_t zero;

		cli_rig_start(&r, scopes[i].argv);
		zero = ev_wall_ms(r.cli.ev);
		ev_sim_jump_wall(r.cli.ev, -zero);
		body = cli_body_new(&bad);
		e = cli_body_scope(&r.cli, &bad, body);
		assert_int_equal(e, 0);
		assert_int_equal(bad, 0);
		assert_int_equal(json_write(body, 4096, &text), 0);
		if (!str_eq(buf_str(&text), str_of(scopes[i].want)))
			fail_msg("%s: got " STR_FMT, scopes[i].why, STR_ARG(buf_str(&text)));
		buf_free(&text);
		json_free(body);
		cli_rig_end(&r);
	}
}

static const struct {
	const char *why;
	const char *argv[8];
	const char *said;
} refused[] = {
	{"a secret in argv", {"login", "--token", "kz_x"}, "--token: not on the command line"},
	{"an invitation in argv",
	 {"account", "create", "--invitation", "kz_x"},
	 "--invitation: not on the command line"},
	{"a password in argv",
	 {"tunnel", "set", "x", "-u", "anna:kz_x"},
	 "has a colon: give the user's name only"},
	{"a step in a path", {"tunnel", "rm", ".."}, "is not a name"},
	{"no name", {"tunnel", "show", ""}, "is not a name"},
	{"no name in a list", {"tunnel", "rm", ""}, "NAME: is empty"},
	{"a server of another kind",
	 {"login", "--token-file", "x", "-s", "ftp://x"},
	 "is not the URL of a server"},
	{"users from two places",
	 {"tunnel", "set", "x", "-u", "anna", "--basic-auth-file", "x"},
	 "contradicts --basic-auth"},
	{"no names", {"tunnel", "rm"}, "NAME: is missing"},
	{"an expiry of the past that cannot be told yet",
	 {"token", "add", "x", "--expires", "soon"},
	 "is not a time"},
	{"ports the wrong way round", {"token", "add", "x", "--port", "9-8"}, "is not a port"},
	{"port 0", {"token", "add", "x", "--port", "0"}, "is not a port"},
	{"another kind", {"token", "add", "x", "--kind", "udp"}, "is not a kind of tunnel"},
	{"a domain with a slash", {"tunnel", "set", "x", "-d", "a/b"}, "is not a host name"},
	{"a block with host bits", {"tunnel", "set", "x", "--allow", "10.0.0.1/8"}, "is not an"},
	{"a field that is the server's",
	 {"tunnel", "set", "x", "--request-header-add", "X-Forwarded-For: 1"},
	 "this server vouches for that"},
	{"a hook elsewhere", {"tunnel", "set", "x", "--auth-url", "ftp://x"}, "is not the URL"},
	{"too many sessions", {"tunnel", "set", "x", "--max-sessions", "65"}, "from 1 to 64"},
	{"no age for the old", {"admin", "account", "prune"}, "--unused: is missing"},
	{"an age that is none", {"admin", "account", "prune", "--unused", "90"}, "is not a span"},
};

static void test_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		const char *words[9] = {"karez"};
		struct config_input in = {.argc = 1, .argv = (char *const *)(uintptr_t)words};
		struct cli_options set = {0};
		struct config *c = NULL;

		for (; refused[i].argv[in.argc - 1] != NULL; in.argc++)
			words[in.argc] = refused[i].argv[in.argc - 1];
		if (config_load(&cli_rig_program, &in, &set, &c) != ERR_INVAL ||
		    strstr(config_message(c), refused[i].said) == NULL)
			fail_msg("%s: %s", refused[i].why, config_message(c));
		config_free(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables_have_no_mistake),
		cmocka_unit_test(test_tunnels),
		cmocka_unit_test(test_scopes),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
