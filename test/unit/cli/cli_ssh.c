/* karez ssh-setup, against a server that gives one answer. */
#include "cli_rig.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"

#define KEY(type, print, line) \
	"{\"type\":\"" type "\",\"fingerprint\":\"" print "\",\"key\":\"" line "\"}"
#define RSA	KEY("ssh-rsa", "SHA256:rrr", "ssh-rsa AAAAr")
#define ED25519 KEY("ssh-ed25519", "SHA256:eee", "ssh-ed25519 AAAAe")

static const struct {
	const char *why, *status, *body, *file; /* file: in ~/.ssh; NULL: none */
	int want;
	const char *out, *err; /* err: a part */
} cases[] = {
	{"another port, and a key", "200 OK",
	 "{\"host_keys\":[" RSA "," ED25519 "],\"ports\":[2222,22]}", "id_rsa.pub", 0,
	 "1. Let the server know your key:  karez key add ~/.ssh/id_rsa.pub\n"
	 "2. Publish what listens on port 3000:  ssh -p 2222 -R 80:localhost:3000 127.0.0.1\n"
	 "3. Its host key is SHA256:eee; in ~/.ssh/known_hosts:  [127.0.0.1]:2222 ssh-ed25519 "
	 "AAAAe\n",
	 ""},
	{"the usual port, and no key yet", "200 OK", "{\"host_keys\":[" RSA "],\"ports\":[22]}",
	 NULL, 0,
	 "1. Let the server know your key:  ssh-keygen -t ed25519 && karez key add "
	 "~/.ssh/id_ed25519.pub\n"
	 "2. Publish what listens on port 3000:  ssh -R 80:localhost:3000 127.0.0.1\n"
	 "3. Its host key is SHA256:rrr; in ~/.ssh/known_hosts:  127.0.0.1 ssh-rsa AAAAr\n",
	 ""},
	{"a server that plays tricks", "200 OK",
	 "{\"host_keys\":[" KEY("x", "\\u001b[2J", "y\\nz") "],\"ports\":[22]}", NULL, 0,
	 "1. Let the server know your key:  ssh-keygen -t ed25519 && karez key add "
	 "~/.ssh/id_ed25519.pub\n"
	 "2. Publish what listens on port 3000:  ssh -R 80:localhost:3000 127.0.0.1\n"
	 "3. Its host key is \\x1b[2J; in ~/.ssh/known_hosts:  127.0.0.1 y\\x0az\n",
	 ""},
	{"a server without SSH", "404 Not Found",
	 "{\"title\":\"x\",\"detail\":\"this server is not reached by SSH\"}", NULL, ERR_NOTFOUND,
	 "", "karez: this server is not reached by SSH\n"},
	{"no key", "200 OK", "{\"host_keys\":[],\"ports\":[22]}", NULL, ERR_PROTO, "",
	 "does not tell by which port"},
	{"no port", "200 OK", "{\"host_keys\":[" RSA "],\"ports\":[0]}", NULL, ERR_PROTO, "",
	 "does not tell by which port"},
	{"a key that is none", "200 OK", "{\"host_keys\":[5],\"ports\":[22]}", NULL, ERR_PROTO, "",
	 "does not tell by which port"},
};

/* A child that answers one request. Returns its port. */
static uint16_t serve(const char *status, const char *body, pid_t *pid)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof addr;
	int l = socket(AF_INET, SOCK_STREAM, 0), fd;
	char request[4096], answer[4096];
	size_t n = 0;
	ssize_t got;

	assert_int_equal(bind(l, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&addr, &len), 0);
	assert_true((*pid = fork()) >= 0);
	if (*pid > 0) {
		close(l);
		return ntohs(addr.sin_port);
	}
	fd = accept(l, NULL, NULL);
	do {
		got = read(fd, request + n, sizeof request - 1 - n);
		n += got > 0 ? (size_t)got : 0;
		request[n] = '\0';
	} while (got > 0 && strstr(request, "\r\n\r\n") == NULL);
	n = str_printf(answer, sizeof answer,
		       "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
		       "Connection: close\r\n\r\n%s",
		       status, strlen(body), body);
	/* nobody's credential may be in it */
	_exit(strstr(request, "GET /v1/ssh ") != NULL && strstr(request, "kz_x") == NULL &&
			      write(fd, answer, n) == (ssize_t)n
		      ? 0
		      : 1);
}

static void test_setup(void **state)
{
	static const char *const argv[] = {"ssh-setup", NULL};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char home[] = "/tmp/karez-setup-XXXXXX", path[256], url[64];
		struct cli_http_way way = {NULL};
		struct cli_rig r;
		int status;
		pid_t pid;

		print_message("# %s\n", cases[i].why);
		assert_non_null(mkdtemp(home));
		assert_int_equal(setenv("HOME", home, 1), 0);
		str_printf(path, sizeof path, "%s/.ssh", home);
		assert_int_equal(mkdir(path, 0700), 0);
		if (cases[i].file != NULL) {
			str_printf(path, sizeof path, "%s/.ssh/%s", home, cases[i].file);
			fclose(fopen(path, "w"));
		}
		str_printf(url, sizeof url, "http://127.0.0.1:%u",
			   serve(cases[i].status, cases[i].body, &pid));
		cli_rig_start(&r, argv);
		assert_int_equal(url_parse(str_of(url), &r.cli.server, NULL), 0);
		str_printf(r.cli.server_text, sizeof r.cli.server_text, "%s", url);
		str_printf(r.cli.token, sizeof r.cli.token, "kz_x");
		r.cli.token_from = CLI_TOKEN_REMEMBERED;
		assert_int_equal(cli_http_new(&r.cli.server, &way, &r.cli.http), 0);
		assert_int_equal(cli_do_ssh_setup(&r.cli), cases[i].want);
		cli_rig_said(&r);
		assert_string_equal(r.out, cases[i].out);
		assert_non_null(strstr(r.err, cases[i].err));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		cli_http_free(r.cli.http);
		cli_rig_end(&r);
		if (cases[i].file != NULL)
			assert_int_equal(unlink(path), 0);
		str_printf(path, sizeof path, "%s/.ssh", home);
		assert_int_equal(rmdir(path), 0);
		assert_int_equal(rmdir(home), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_setup)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
