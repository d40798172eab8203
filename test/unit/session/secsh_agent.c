/* An agent against a server that does what a script says: forwards, visitors, the end. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "secsh_world.h"

/* More than any window. */
#define BULK (3 * 1024 * 1024)

/* ---- what is no SSH ---- */

struct babble {
	int fd;
	const char *text;
};

static void *babble_run(void *arg)
{
	struct babble *b = arg;
	char in[4096];

	if (write(b->fd, b->text, strlen(b->text)) < 0)
		return NULL;
	(void)shutdown(b->fd, SHUT_WR);
	while (read(b->fd, in, sizeof in) > 0)
		;
	close(b->fd);
	return NULL;
}

static void test_what_is_no_ssh(void **state)
{
	static const struct {
		const char *why, *text;
		int want;
	} cases[] = {
		{"nothing", "", ERR_EOF},
		{"a web server", "HTTP/1.1 400 Bad Request\r\n\r\n", ERR_EOF},
		{"SSH of last century", "SSH-1.5-x\r\n", ERR_PROTO},
		{"a greeting and no more", "SSH-2.0-x\r\n", ERR_EOF},
		{"a greeting and nonsense", "SSH-2.0-x\r\n\1\2\3\4\5\6\7AAAAAAAAAAAAAAAA",
		 ERR_PROTO},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct babble b = {.text = cases[i].text};
		struct secsh_world w = {0};
		pthread_t thread;
		int pair[2];

		assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
		assert_int_equal(0, fcntl(pair[0], F_SETFL, O_NONBLOCK));
		b.fd = pair[1];
		secsh_world_open(&w, NULL);
		assert_int_equal(0, secsh_agent_start(w.agent, pair[0], NULL, 0, &w.session));
		assert_int_equal(0, pthread_create(&thread, NULL, babble_run, &b));
		ev_run(w.ev);
		assert_int_equal(0, pthread_join(thread, NULL));
		if (w.why != cases[i].want && w.why != ERR_RESET)
			fail_msg("%s: %s (%s)", cases[i].why, err_name(w.why), w.reason);
		assert_int_equal(0, w.n_up);
		secsh_world_end(&w);
	}
}

/* ---- servers that take their time ---- */

/* Says a line now and then, as a server may before its greeting (RFC 4253 4.2). */
struct drip {
	struct ev *ev;
	struct ev_timer timer;
	int fd;
	const char *text;
	unsigned n;
};

static void drip_on_timer(void *arg)
{
	struct drip *d = arg;

	d->n++;
	if (write(d->fd, d->text, strlen(d->text)) < 0)
		fail_msg("nobody listens");
	ev_timer_set(d->ev, &d->timer, 20);
}

static void test_a_greeting_that_never_ends(void **state)
{
	static const struct {
		const char *why, *text, *option;
		uint32_t login_ms;
	} cases[] = {
		{"silence", "", "BatchMode=yes", 100},
		{"a line now and then", "wait\r\n", "BatchMode=yes", 100},
		{"a letter now and then", "w", "BatchMode=yes", 100},
		{"what the person has said counts", "", "ConnectTimeout=1", 60000},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct drip d = {.text = cases[i].text};
		struct secsh_world w = {.opt.login_ms = cases[i].login_ms};
		int pair[2];

		assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
		assert_int_equal(0, fcntl(pair[0], F_SETFL, O_NONBLOCK));
		d.fd = pair[1];
		secsh_world_open(&w, cases[i].option, NULL);
		assert_int_equal(0, secsh_agent_start(w.agent, pair[0], NULL, 0, &w.session));
		d.ev = w.ev;
		d.timer = (struct ev_timer){.fn = drip_on_timer, .arg = &d};
		ev_timer_set(w.ev, &d.timer, 0);
		ev_run(w.ev);
		ev_timer_stop(w.ev, &d.timer);
		close(pair[1]);
		if (w.why != ERR_TIMEOUT || strstr(w.reason, "in time") == NULL || d.n < 2)
			fail_msg("%s: %s (%s), %u", cases[i].why, err_name(w.why), w.reason, d.n);
		secsh_world_end(&w);
	}
}

static void test_a_login_that_never_ends(void **state)
{
	struct secsh_server s = {.host_key = secsh_world_host_key, .is_deaf = true};
	struct secsh_world w = {.opt.login_ms = 1000};

	/* ConnectTimeout is not for this */
	secsh_world_open(&w, "StrictHostKeyChecking=no", "ConnectTimeout=60", NULL);
	secsh_world_run(&w, &s, NULL, 0);
	assert_int_equal(w.why, ERR_TIMEOUT);
	assert_non_null(strstr(w.reason, "in time"));
	assert_int_equal(w.n_up, 0);
	secsh_world_end(&w);
}

/* The time of a person is not the server's. */
static void test_a_person_may_take_longer(void **state)
{
	struct secsh_server s = {.host_key = secsh_world_host_key,
				 .methods = SSH_AUTH_METHOD_PASSWORD,
				 .password = "open sesame",
				 .thinks_ms = 1300, /* the deadline comes meanwhile */
				 .n_forwards = 1};
	struct secsh_world w = {.opt.login_ms = 1000, .answers = {"open sesame"}, .thinks_ms = 300};

	secsh_world_open(&w, "StrictHostKeyChecking=no", "ConnectTimeout=60", NULL);
	secsh_world_run(&w, &s, &(struct secsh_agent_forward){"", 1}, 1);
	if (w.n_up != 1 || strcmp(w.answered, "0:OK:1 ") != 0)
		fail_msg("%s (%s) %s", err_name(w.why), w.reason, w.answered);
	secsh_world_end(&w);
}

/* ---- forwards ---- */

static void test_forwards(void **state)
{
	static const struct {
		const char *why;
		struct secsh_agent_forward forwards[4];
		size_t n;
		unsigned refuse;
		const char *asked, *answered;
	} cases[] = {
		{"one", {{"", 8080}}, 1, 0, ":8080 ", "0:OK:8080 "},
		{"addresses as they are",
		 {{"localhost", 1}, {"*", 2}, {"::1", 3}},
		 3,
		 0,
		 "localhost:1 *:2 ::1:3 ",
		 "0:OK:1 1:OK:2 2:OK:3 "},
		{"any port", {{"", 0}}, 1, 0, ":0 ", "0:OK:40000 "},
		{"any port comes first",
		 {{"", 1}, {"", 0}, {"", 2}},
		 3,
		 0,
		 ":0 :1 :2 ",
		 "1:OK:40000 0:OK:1 2:OK:2 "},
		{"one of them is refused",
		 {{"", 1}, {"", 2}, {"", 3}},
		 3,
		 2,
		 ":1 :2 :3 ",
		 "0:OK:1 1:DENIED:0 2:OK:3 "},
		{"any port is refused", {{"", 0}, {"", 4}}, 2, 1, ":0 :4 ", "0:DENIED:0 1:OK:4 "},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct secsh_server s = {.host_key = secsh_world_host_key,
					 .allocated = 40000,
					 .refuse = cases[i].refuse,
					 .n_forwards = cases[i].n};
		struct secsh_world w = {0};

		secsh_world_open(&w, "StrictHostKeyChecking=no", NULL);
		secsh_world_run(&w, &s, cases[i].forwards, cases[i].n);
		if (strcmp(s.addresses, cases[i].asked) != 0 ||
		    strcmp(w.answered, cases[i].answered) != 0)
			fail_msg("%s: %s %s", cases[i].why, s.addresses, w.answered);
		secsh_world_end(&w);
	}
}

/* While it awaits the answer that names the port, nothing is taken out of libssh's queue. */
static void rest_flood(struct secsh_server *s)
{
	static char long_name[60000];

	memset(long_name, 'x', sizeof long_name - 1);
	for (int i = 0; i < 1000 && ssh_is_connected(s->ssh); i++) {
		ssh_channel ch = ssh_channel_new(s->ssh);

		if (ch == NULL)
			break;
		ssh_set_blocking(s->ssh, 0);
		(void)ssh_channel_open_reverse_forward(ch, long_name, 1, "192.0.2.7", 1);
		ssh_set_blocking(s->ssh, 1);
		if (ssh_blocking_flush(s->ssh, 10000) == SSH_ERROR)
			break;
	}
}

static void test_a_flood_instead_of_an_answer(void **state)
{
	struct secsh_server s = {.host_key = secsh_world_host_key,
				 .n_forwards = 1,
				 .is_mute = true,
				 .rest = rest_flood};
	static const struct secsh_agent_forward any = {"", 0};
	struct secsh_world w = {0};

	secsh_world_open(&w, "StrictHostKeyChecking=no", NULL);
	secsh_world_run(&w, &s, &any, 1);
	assert_int_equal(ERR_LIMIT, w.why);
	assert_string_equal("", w.answered);
	assert_int_equal(0, w.n_visits);
	secsh_world_end(&w);
}

/* ---- visitors ---- */

static const struct secsh_agent_forward two_forwards[] = {{"", 8080}, {"localhost", 0}};

/* Says something and wants it back, to the end. */
static void echo(struct secsh_server *s, const char *address, int port, const char *text)
{
	ssh_channel ch = secsh_server_visit(s, address, port);
	char in[64];
	int n, got = 0;

	if (ch == NULL) {
		secsh_server_note(s, "refused");
		return;
	}
	if (ssh_channel_write(ch, text, (uint32_t)strlen(text)) < 0)
		return;
	(void)ssh_channel_send_eof(ch);
	while ((n = ssh_channel_read(ch, in + got, (uint32_t)(sizeof in - 1 - got), 0)) > 0)
		got += n;
	in[got] = '\0';
	secsh_server_note(s, n == 0 && ssh_channel_is_eof(ch) ? in : "broken");
	(void)ssh_channel_close(ch);
	ssh_channel_free(ch);
}

static void rest_echo(struct secsh_server *s)
{
	echo(s, "", 8080, "one");
	echo(s, "localhost", 40000, "two");
	echo(s, "", 40000, "three"); /* nobody asked for that */
	echo(s, "localhost", 8080, "four");
	echo(s, "", 8081, "five");
}

static void test_visitors(void **state)
{
	struct secsh_server s = {.host_key = secsh_world_host_key,
				 .allocated = 40000,
				 .n_forwards = 2,
				 .rest = rest_echo};
	struct secsh_world w = {.treat = ECHO};

	secsh_world_open(&w, "StrictHostKeyChecking=no", NULL);
	secsh_world_run(&w, &s, two_forwards, 2);
	assert_string_equal("one two refused refused refused ", s.seen);
	assert_int_equal(2, w.n_visits);
	assert_int_equal(1, w.last_i);
	assert_int_equal(VISIT_TCP, w.visit.ingress);
	assert_string_equal("192.0.2.7", w.visit.visitor.ip);
	assert_int_equal(4711, w.visit.visitor.port);
	assert_int_equal(40000, w.visit.local.port);
	assert_string_equal("ssh", w.visit.tunnel);
	secsh_world_end(&w);
}

static void rest_one(struct secsh_server *s)
{
	echo(s, "", 8080, "one");
}

/* The server learns whether the target was reached before the visitor says a word. */
static void test_refusing_and_accepting_later(void **state)
{
	struct secsh_server s = {.host_key = secsh_world_host_key,
				 .allocated = 40000,
				 .n_forwards = 2,
				 .rest = rest_one};
	struct secsh_world w = {.treat = REFUSE};

	secsh_world_open(&w, "StrictHostKeyChecking=no", NULL);
	secsh_world_run(&w, &s, two_forwards, 2);
	assert_string_equal("refused ", s.seen);
	w.treat = ACCEPT_LATER;
	secsh_world_run(&w, &s, two_forwards, 2);
	assert_string_equal("one ", s.seen);
	secsh_world_end(&w);
}

/* More than any window, there and back. */
static void rest_bulk(struct secsh_server *s)
{
	static char out[BULK], in[BULK];
	ssh_channel ch = secsh_server_visit(s, "", 8080);
	size_t sent = 0, got = 0;
	int n;

	for (size_t i = 0; i < sizeof out; i++)
		out[i] = (char)(i * 7 + i / 251);
	while (ch != NULL && got < sizeof in) {
		uint32_t room = ssh_channel_window_size(ch);

		if (sent < sizeof out && room > 0) {
			n = ssh_channel_write(ch, out + sent,
					      (uint32_t)MIN(MIN(room, 60000), sizeof out - sent));
			if (n < 0)
				break;
			sent += (size_t)n;
			if (sent == sizeof out)
				(void)ssh_channel_send_eof(ch);
		}
		n = ssh_channel_read_timeout(ch, in + got, (uint32_t)(sizeof in - got), 0, 1);
		if (n < 0)
			break;
		got += (size_t)n;
	}
	secsh_server_note(s, got == sizeof in && memcmp(in, out, sizeof in) == 0 ? "same" : "not");
	ssh_channel_free(ch);
}

static void test_bulk(void **state)
{
	struct secsh_server s = {.host_key = secsh_world_host_key,
				 .n_forwards = 1,
				 .rest = rest_bulk};
	struct secsh_world w = {.treat = ECHO};

	secsh_world_open(&w, "StrictHostKeyChecking=no", "RekeyLimit=1M", NULL);
	secsh_world_run(&w, &s, two_forwards, 1);
	assert_string_equal("same ", s.seen);
	secsh_world_end(&w);
}

/* ---- the end ---- */

/* The agent's owner has closed it in the middle of a call; the server hears why. */
static void rest_wait(struct secsh_server *s)
{
	ssh_message m;

	echo(s, "", 8080, "one");
	while ((m = ssh_message_get(s->ssh)) != NULL)
		ssh_message_free(m);
	secsh_server_note(s, ssh_get_error(s->ssh));
}

static void test_closing_in_a_call(void **state)
{
	struct secsh_server s = {.host_key = secsh_world_host_key,
				 .n_forwards = 2,
				 .allocated = 40000,
				 .rest = rest_wait};
	struct secsh_world w = {.treat = CLOSE_SESSION};

	secsh_world_open(&w, "StrictHostKeyChecking=no", NULL);
	secsh_world_run(&w, &s, two_forwards, 2);
	assert_false(w.closed);
	assert_int_equal(ERR_CLOSED, w.visitors[0].why);
	assert_non_null(strstr(s.seen, "that is enough"));
	w.close_when_up = true;
	secsh_world_run(&w, &s, two_forwards, 2);
	assert_false(w.closed);
	assert_string_equal("", w.answered);
	secsh_world_end(&w);
}

static void test_the_session_does_nothing_else(void **state)
{
	struct secsh_server s = {.host_key = secsh_world_host_key};
	struct visit v = {.ingress = VISIT_TCP, .tunnel = "a"};
	struct secsh_world w = {0};
	struct wire *wire;

	secsh_world_open(&w, "StrictHostKeyChecking=no", NULL);
	secsh_server_start(&s);
	assert_int_equal(0, secsh_agent_start(w.agent, s.fd, NULL, 0, &w.session));
	assert_int_equal(ERR_UNSUPPORTED, session_open(w.session, &v, &wire));
	assert_int_equal(ERR_UNSUPPORTED, session_tell(w.session, STR("x")));
	session_close(w.session, 0, STR(""));
	secsh_agent_free(w.agent); /* at once */
	w.agent = NULL;
	ev_task_run(w.ev, &(struct ev_task){.fn = (void (*)(void *))ev_stop, .arg = w.ev});
	ev_run(w.ev);
	secsh_world_end(&w);
	secsh_server_end(&s);
}

/* ---- proxies ---- */

static void test_a_proxy(void **state)
{
	struct secsh_world w = {0};
	char why[SECSH_WHY_TEXT];

	secsh_world_open(&w, "ProxyCommand=sh -c \"printf 'SSH-1.5-%h\\r\\n'; cat > /dev/null\"",
			 NULL);
	assert_true(secsh_agent_is_proxied(w.agent));
	assert_int_equal(0, secsh_agent_start(w.agent, -1, NULL, 0, &w.session));
	ev_run(w.ev);
	assert_int_equal(ERR_PROTO, w.why);
	secsh_agent_free(w.agent);

	/* many times: it may end before, or after libssh has looked at it */
	w.options[1] = "ProxyCommand=exit 1";
	assert_int_equal(0, secsh_agent_new(w.ev, &w.opt, &w.agent, why));
	for (int i = 0; i < 300; i++) {
		w.why = 0;
		assert_int_equal(0, secsh_agent_start(w.agent, -1, NULL, 0, &w.session));
		ev_run(w.ev);
		assert_int_equal(ERR_EOF, w.why);
		assert_string_equal("the proxy has ended before the server has said a word",
				    w.reason);
	}
	secsh_world_end(&w);
}

/* ---- what was said about the place ---- */

static void test_what_is_known_before(void **state)
{
	struct secsh_world w = {0};
	char why[SECSH_WHY_TEXT];

	secsh_world_open(&w, "Port=2222", "ConnectTimeout=7", "ExitOnForwardFailure=yes", NULL);
	assert_string_equal("h", secsh_agent_host(w.agent));
	assert_string_equal("me", secsh_agent_user(w.agent));
	assert_int_equal(2222, secsh_agent_port(w.agent));
	assert_int_equal(7000, secsh_agent_dial_ms(w.agent));
	assert_true(secsh_agent_is_all_or_none(w.agent));
	assert_false(secsh_agent_is_proxied(w.agent));
	secsh_agent_free(w.agent);
	w.agent = NULL;
	w.options[1] = "Ciphers=rot13";
	assert_int_equal(ERR_INVAL, secsh_agent_new(w.ev, &w.opt, &w.agent, why));
	assert_non_null(strstr(why, "rot13"));
	secsh_world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_no_ssh),
		cmocka_unit_test(test_a_greeting_that_never_ends),
		cmocka_unit_test(test_a_login_that_never_ends),
		cmocka_unit_test(test_a_person_may_take_longer),
		cmocka_unit_test(test_forwards),
		cmocka_unit_test(test_a_flood_instead_of_an_answer),
		cmocka_unit_test(test_visitors),
		cmocka_unit_test(test_refusing_and_accepting_later),
		cmocka_unit_test(test_bulk),
		cmocka_unit_test(test_closing_in_a_call),
		cmocka_unit_test(test_the_session_does_nothing_else),
		cmocka_unit_test(test_a_proxy),
		cmocka_unit_test(test_what_is_known_before),
	};

	return cmocka_run_group_tests(tests, secsh_world_setup, secsh_world_teardown);
}
