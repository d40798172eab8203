/* What karez ssh prints, word by word: people and programs read it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/karez_say.h"
#include "base/err.h"

struct paper {
	struct karez_say say;
	char *out, *err;
	size_t out_len, err_len;
};

static void paper_open(struct paper *p, bool json, bool quiet)
{
	memset(p, 0, sizeof *p);
	p->say = (struct karez_say){.server = "me@host", .json = json, .quiet = quiet};
	assert_non_null(p->say.out = open_memstream(&p->out, &p->out_len));
	assert_non_null(p->say.err = open_memstream(&p->err, &p->err_len));
}

static void paper_close(struct paper *p, const char *out, const char *err)
{
	fclose(p->say.out);
	fclose(p->say.err);
	assert_string_equal(p->out, out);
	assert_string_equal(p->err, err);
	free(p->out);
	free(p->err);
}

static const struct {
	const char *why, *spec;
	int e;
	uint16_t port;
	bool json, quiet;
	const char *out, *err;
} forwards[] = {
	{"any port", "0:localhost:8080", 0, 43047, false, false,
	 "Allocated port 43047 for remote forward to localhost:8080\n", ""},
	{"a port", "*:8080:localhost:8080", 0, 8080, false, false,
	 "Forwarding *:8080 on host to localhost:8080\n", ""},
	{"nothing before a colon", ":8080:localhost:80", 0, 8080, false, false,
	 "Forwarding *:8080 on host to localhost:80\n", ""},
	{"for the server itself", "8080:localhost:80", 0, 8080, false, false,
	 "Forwarding localhost:8080 on host to localhost:80\n", ""},
	{"an address", "192.0.2.7:8080:localhost:80", 0, 8080, false, false,
	 "Forwarding 192.0.2.7:8080 on host to localhost:80\n", ""},
	{"an address of IPv6", "[::1]:8080:localhost:80", 0, 8080, false, false,
	 "Forwarding [::1]:8080 on host to localhost:80\n", ""},
	{"a name, to a server of tunnels", "demo:80:localhost:3000", 0, 80, false, false,
	 "Forwarding demo:80 on host to localhost:3000\n", ""},
	{"a socket", "8080:/run/a", 0, 8080, false, false,
	 "Forwarding localhost:8080 on host to unix:/run/a\n", ""},
	{"a proxy", "1080", 0, 1080, false, false,
	 "Forwarding localhost:1080 on host to a SOCKS proxy\n", ""},
	{"silence", "8080:localhost:8080", 0, 8080, false, true, "", ""},
	{"a refusal", "8080:localhost:8080", ERR_DENIED, 8080, false, true, "",
	 "karez: remote port forwarding failed for listen port 8080\n"},
	{"for programs", "*:0:localhost:8080", 0, 43047, true, false,
	 "{\"event\":\"forwarding\",\"server\":\"me@host\",\"address\":\"\",\"port\":43047,"
	 "\"target\":\"localhost:8080\",\"socks\":false}\n",
	 ""},
	{"a refusal for programs", "1080", ERR_DENIED, 1080, true, false,
	 "{\"event\":\"not-forwarding\",\"server\":\"me@host\",\"address\":\"localhost\","
	 "\"port\":1080,\"socks\":true,\"code\":\"DENIED\"}\n",
	 "karez: remote port forwarding failed for listen port 1080\n"},
};

static void test_forwards(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(forwards); i++) {
		struct rforward_answer a = {.e = forwards[i].e, .port = forwards[i].port};
		struct ssh_spec spec;
		struct paper p;

		print_message("# %s\n", forwards[i].why);
		assert_int_equal(ssh_spec_parse(str_of(forwards[i].spec), &spec, NULL), 0);
		a.spec = &spec;
		paper_open(&p, forwards[i].json, forwards[i].quiet);
		karez_say_forward(&p.say, "host", &a);
		paper_close(&p, forwards[i].out, forwards[i].err);
	}
}

static void test_coming_up(void **state)
{
	struct paper p;

	paper_open(&p, false, false);
	karez_say_ssh_up(&p.say, false);
	karez_say_ssh_up(&p.say, true);
	p.say.verbose = true;
	karez_say_ssh_up(&p.say, false);
	p.say.quiet = true;
	karez_say_ssh_up(&p.say, true);
	paper_close(&p, "", "karez: back again at me@host\nkarez: logged in as me@host\n");
	paper_open(&p, true, true);
	karez_say_ssh_up(&p.say, true);
	paper_close(&p, "{\"event\":\"online\",\"server\":\"me@host\"}\n", "");
}

static const struct {
	const char *why;
	int code;
	const char *reason;
	bool json;
	const char *out, *err;
} ends[] = {
	{"it was interrupted", 0, "", false, "", ""},
	{"no forward is left", ERR_DENIED, "it refuses every remote forward", false, "",
	 "karez: refused by me@host: it refuses every remote forward\n"},
	{"a reason that names the server", ERR_AUTH, "me@host: Permission denied", false, "",
	 "karez: me@host: Permission denied\n"},
	{"no reason", ERR_AUTH, "", false, "",
	 "karez: refused by me@host: the credential is not known\n"},
	{"another host key", ERR_CERT, "", false, "",
	 "karez: not connected to me@host: its host key is not acceptable\n"},
	{"a server that plays tricks", ERR_DENIED, "a\x1b[2J\nb", false, "",
	 "karez: refused by me@host: a\\x1b[2J\\x0ab\n"},
	{"for programs", ERR_CERT, "changed", true,
	 "{\"event\":\"refused\",\"code\":\"CERT\",\"reason\":\"changed\"}\n",
	 "karez: not connected to me@host: changed\n"},
	{"the end for programs", 0, "", true, "{\"event\":\"stopped\"}\n", ""},
};

static void test_ends(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		struct paper p;

		print_message("# %s\n", ends[i].why);
		paper_open(&p, ends[i].json, false);
		karez_say_ssh_ended(&p.say, ends[i].code, ends[i].reason);
		paper_close(&p, ends[i].out, ends[i].err);
	}
}

static void test_a_notice(void **state)
{
	struct paper p;

	paper_open(&p, false, false);
	karez_say_notice(&p.say, "a\tb\x07");
	paper_close(&p, "", "karez: a\\x09b\\x07\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forwards),
		cmocka_unit_test(test_coming_up),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_a_notice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
