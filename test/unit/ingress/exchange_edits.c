/* What a tunnel changes in heads, from the visitor to the target and back. */
#include <string.h>

#include "base/err.h"
#include "ingress_rig.h"

/* What a tunnel changes, in what goes and in what comes; and in nothing that this server says. */
static void test_header_edits_of_a_tunnel(void **state)
{
	static const struct {
		const char *why, *request, *answer;
		const char *up, *not_up, *down, *not_down;
	} cases[] = {
		{"a request and its answer", GET "Cookie: a=b\r\nX-Env: visitor\r\n\r\n",
		 "HTTP/1.1 200 OK\r\nServer: app/1\r\nContent-Length: 2\r\n\r\nhi",
		 "\r\nHost: app.local:81\r\n", "Cookie", "\r\nX-Frame-Options: DENY\r\n",
		 "Server: app"},
		{"what is added comes behind what is there", GET "X-Env: visitor\r\n\r\n",
		 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		 "X-Env: visitor\r\nX-Env: test\r\n", NULL, "200 OK", NULL},
		{"the visitor's host is told", GET "\r\n",
		 "HTTP/1.1 204 No Content\r\nserver: x\r\n\r\n",
		 "\r\nx-forwarded-host: demo.example\r\n", "\r\nHost: demo.example",
		 "HTTP/1.1 204 No Content\r\nX-Frame-Options: DENY\r\n", "server: x"},
		{"not modified", GET "\r\n",
		 "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", "X-Env: test", NULL,
		 "X-Frame-Options: DENY\r\nContent-Length: 7\r\n", NULL},
		{"the answer to HEAD", "HEAD / HTTP/1.1\r\nHost: demo.example\r\n\r\n",
		 "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", "X-Env: test", NULL,
		 "X-Frame-Options: DENY\r\nContent-Length: 7\r\n", NULL},
		{"an interim answer loses, and gets nothing", GET "\r\n",
		 "HTTP/1.1 103 Early Hints\r\nServer: x\r\nLink: </a>\r\n\r\n"
		 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		 "X-Env: test", NULL,
		 "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n"
		 "X-Frame-Options: DENY\r\n",
		 "Server"},
		{"an upgrade", GET "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		 "HTTP/1.1 101 Switching Protocols\r\nServer: x\r\nConnection: Upgrade\r\n"
		 "Upgrade: websocket\r\n\r\nhello",
		 "X-Env: test\r\n", NULL, "X-Frame-Options: DENY\r\nConnection: Upgrade\r\n",
		 "Server"},
		{"no answer of the target", GET "\r\n", "no HTTP\r\n\r\n", "X-Env: test", NULL,
		 "HTTP/1.1 502 ", "X-Frame-Options"},
	};
	static const struct {
		enum header_edit what;
		struct http_field f;
	} edits[] = {
		{HEADER_REQUEST_REMOVE, {.name = {"cookie", 6}}},
		{HEADER_REQUEST_ADD, {.name = {"X-Env", 5}, .value = {"test", 4}}},
		{HEADER_RESPONSE_REMOVE, {.name = {"Server", 6}}},
		{HEADER_RESPONSE_ADD, {.name = {"X-Frame-Options", 15}, .value = {"DENY", 4}}},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct tunnel *t;

		print_message("# %s\n", cases[i].why);
		rig_open();
		t = &W->core.demo;
		for (size_t k = 0; k < ARRAY_LEN(edits); k++)
			assert_int_equal(header_edits_put(&t->edits, edits[k].what, &edits[k].f),
					 0);
		t->settings.edits = header_edits_str(&t->edits);
		strcpy(t->host, "app.local:81");
		far_say(&W->visitor, cases[i].request);
		expect_in(W->target[0].got, cases[i].up);
		if (cases[i].not_up != NULL)
			expect_not_in(W->target[0].got, cases[i].not_up);
		far_say(&W->target[0], cases[i].answer);
		expect_in(W->visitor.got, cases[i].down);
		if (cases[i].not_down != NULL)
			expect_not_in(W->visitor.got, cases[i].not_down);
		assert_int_equal(t->settings.refs, 0); /* whoever held them has let them go */
		rig_close();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header_edits_of_a_tunnel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
