/*
 * What an SSH client asks for, and what it is told: forwards that wait for words, each form of -R,
 * cancelling, and ends of all kinds.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/manage.h"
#include "core/place.h"
#include "unit/core/account_rig.h"
#include "unit/gateway/ssh_rig.h"

/* ---- when forwards are answered ---- */

static void test_forwards_wait_for_words(void **state)
{
	struct ssh_world w;
	struct peer p;

	peer_open_with(&w, &p);
	peer_forward(&p, 1, "one", 80);
	peer_forward(&p, 2, "two", 80);
	ssh_world_run(&w, 200);
	assert_string_equal(peer_answers(&p), "");
	peer_look(&p);
	ssh_world_run(&w, 4900);
	assert_string_equal(peer_answers(&p), "");
	peer_words(&p, "proxy=v2", true);
	assert_string_equal(peer_answers(&p), "1=OK:80:one 2=OK:80:two ");
	/* later ones wait for nothing */
	peer_forward(&p, 3, "three", 80);
	ssh_world_run(&w, 20);
	assert_string_equal(peer_answers(&p), "3=OK:80:three ");
	ssh_world_close(&w);
}

static void test_nobody_looks(void **state)
{
	struct ssh_world w;
	struct peer p;

	peer_open_with(&w, &p);
	peer_forward(&p, 1, "one", 80);
	ssh_world_run(&w, 300);
	assert_string_equal(peer_answers(&p), "1=OK:80:one ");
	assert_string_equal(p.screen, "");
	ssh_world_close(&w);
}

static void test_somebody_looks_and_says_nothing(void **state)
{
	struct ssh_world w;
	struct peer p, q;

	peer_open_with(&w, &p);
	peer_forward(&p, 1, "one", 80);
	peer_look(&p);
	ssh_world_run(&w, 5100);
	assert_string_equal(peer_answers(&p), "1=OK:80:one ");

	/* or goes before they say it */
	peer_come(&q, &w, "anna");
	peer_look(&q);
	peer_forward(&q, 1, "two", 80);
	ssh_world_run(&w, 1000);
	assert_string_equal(peer_answers(&q), "");
	q.looks = false;
	q.owner->typed(q.arg, STR(""));
	ssh_world_run(&w, 20);
	assert_string_equal(peer_answers(&q), "1=OK:80:two ");
	ssh_world_close(&w);
}

/* Words that come when all has been answered: what has happened is told. */
static void test_words_come_late(void **state)
{
	struct ssh_world w;
	struct peer p;

	peer_open_with(&w, &p);
	peer_forward(&p, 1, "one", 80);
	peer_forward(&p, 2, "a_b", 80);
	ssh_world_run(&w, 1000);
	assert_string_equal(peer_answers(&p), "2=INVAL 1=OK:80:one ");
	peer_words(&p, "agent=box", false);
	assert_true(str_starts(str_of(p.screen), STR("agent= has come too late: tunnels are served "
						     "already\nthis is a new account; ")));
	assert_non_null(strstr(p.screen, "\none  http://one.localhost:8080\n"
					 "-R a_b:80  refused: this is neither an address nor a "
					 "name: a tunnel's name has up to 63 letters, digits and "
					 "hyphens\n"));
	assert_null(strstr(w.log, "event=session-named"));
	ssh_world_close(&w);
}

static void test_another_name_for_the_session(void **state)
{
	struct ssh_world w;
	struct peer p, q;

	peer_open_with(&w, &p);
	peer_forward(&p, 1, "one", 80);
	peer_words(&p, "agent=box", true);
	assert_string_equal(peer_answers(&p), "1=OK:80:one ");
	assert_non_null(strstr(w.log, "event=session-named session=2 was=1 agent=box"));
	assert_int_equal(gateway_n_sessions(w.gateway), 1);
	/* the same name again takes its place, as a newer connection of the same agent */
	peer_come(&q, &w, "anna");
	peer_forward(&q, 1, "one", 80);
	peer_words(&q, "agent=box", true);
	assert_string_equal(peer_answers(&q), "1=OK:80:one ");
	assert_true(p.closed);
	assert_int_equal(p.why, ERR_REPLACED);
	assert_true(strlen(p.reason) > 20);
	assert_int_equal(gateway_n_sessions(w.gateway), 1);
	ssh_world_close(&w);
}

/* ---- what -R means ---- */

static void test_forms(void **state)
{
	static const struct {
		const char *why, *user, *words;
		const char *address;
		uint16_t port;
		const char *answer, *line; /* answer, line: '#' is a random name */
	} cases[] = {
		{"a name", "anna", "", "demo", 80, "1=OK:80:demo ",
		 "demo  http://demo.localhost:8080\n"},
		{"the other port", "anna", "", "demo", 443, "1=OK:443:demo ",
		 "demo  http://demo.localhost:8080\n"},
		{"no name: the user's", "anna", "", "localhost", 80, "1=OK:80:anna ",
		 "anna  http://anna.localhost:8080\n"},
		{"the user's name is reserved", "root", "", "", 80, "1=OK:80:# ",
		 "#  http://#.localhost:8080\n"},
		{"it is no name", "Anna Smith", "", "", 80, "1=OK:80:# ",
		 "#  http://#.localhost:8080\n"},
		{"it says that they are nobody", "anonymous", "", "", 80, "1=OK:80:# ",
		 "#  http://#.localhost:8080\n"},
		{"it is somebody else's", "bobs", "", "", 80, "1=OK:80:# ",
		 "#  http://#.localhost:8080\n"},
		{"a name in a word", "anna", "name=Demo", "localhost", 80, "1=OK:80:demo ",
		 "demo  http://demo.localhost:8080\n"},
		{"a name in a word that is somebody else's", "anna", "name=bobs", "localhost", 80,
		 "1=EXISTS ", "-R 80  refused: "},
		{"a name in a word that nobody can have", "anna", "name=admin", "localhost", 80,
		 "1=RESERVED ", "-R 80  refused: "},
		{"TLS passed through", "anna", "tls", "demo", 443, "1=OK:443:demo ",
		 "demo  tls://demo.localhost\n"},
		{"TLS without a name", "anna", "tls", "", 443, "1=OK:443:anna ",
		 "anna  tls://anna.localhost\n"},
		{"a port, as ssh sends it", "anna", "", "localhost", 9007, "1=OK:9007:# ",
		 "#  tcp://localhost:9007  (only on the server itself; -R '*:9007:...' is "
		 "public)\n"},
		{"a port everywhere", "anna", "", "", 9007, "1=OK:9007:# ",
		 "#  tcp://localhost:9007\n"},
		{"a port at one address", "anna", "", "192.0.2.99", 9007, "1=OK:9007:# ",
		 "#  tcp://192.0.2.99:9007\n"},
		{"any port", "anna", "", "", 0, NULL, NULL},
		{"a port with a name", "anna", "", "db", 9007, "1=OK:9007:db ",
		 "db  tcp://localhost:9007\n"},
		{"a port with a name in a word", "anna", "name=db", "localhost", 9007,
		 "1=OK:9007:db ",
		 "db  tcp://localhost:9007  (only on the server itself; -R '*:9007:...' is "
		 "public)\n"},
		{"a port that nobody may have", "anna", "", "", 22, "1=DENIED ",
		 "-R '*:22'  refused: "},
		{"a port that is somebody else's", "anna", "", "", 9050, "1=INUSE ",
		 "-R '*:9050'  refused: "},
		{"what is no name", "anna", "", "a\"b", 80, "1=INVAL ", "-R a\"b:80  refused: "},
		{"a host name of one's own, where nobody can prove it", "anna", "",
		 "app.example.org", 80, "1=UNSUPPORTED ", "-R app.example.org:80  refused: "},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char name[64] = "", want[512] = "", *at;
		const char *answer, *screen;
		struct ssh_world w;
		struct peer p, bob;
		unsigned port;

		print_message("# %s\n", cases[i].why);
		ssh_world_open(&w, true);
		assert_true(peer_dial(&bob, &w, "192.0.2.8"));
		assert_true(peer_key(&bob, "bob", 'b'));
		peer_forward(&bob, 1, "bobs", 80);
		peer_forward(&bob, 2, "", 9050);
		ssh_world_run(&w, 300);
		peer_come(&p, &w, cases[i].user);
		peer_forward(&p, 1, cases[i].address, cases[i].port);
		peer_words(&p, cases[i].words, true);
		answer = peer_answers(&p);
		if (cases[i].answer == NULL) {
			assert_int_equal(sscanf(answer, "1=OK:%u:%63s ", &port, name), 2);
			assert_in_range(port, 9000, 9100);
			ssh_world_close(&w);
			continue;
		}
		if (strchr(cases[i].answer, '#') != NULL)
			assert_int_equal(sscanf(answer, "1=OK:%*u:%63s ", name), 1);
		for (const char *c = cases[i].answer; *c != '\0'; c++)
			str_printf(want + strlen(want), sizeof want - strlen(want),
				   *c == '#' ? "%s" : "%.1s", *c == '#' ? name : c);
		assert_string_equal(answer, want);
		want[0] = '\0';
		for (const char *c = cases[i].line; *c != '\0'; c++)
			str_printf(want + strlen(want), sizeof want - strlen(want),
				   *c == '#' ? "%s" : "%.1s", *c == '#' ? name : c);
		screen = peer_screen(&p);
		assert_non_null(at = strchr(screen, '\n')); /* behind the account's number */
		if (strstr(want, "refused") == NULL)
			assert_string_equal(at + 1, want);
		else
			assert_true(str_starts(str_of(at + 1), str_of(want)) &&
				    strlen(at + 1) > strlen(want) + 20);
		ssh_world_close(&w);
	}
}

/* The tunnel in the answer that begins so; the core answers in no order. */
static void answer_of(const struct peer *p, const char *begin, char tunnel[64])
{
	const char *at = strstr(p->answers, begin);

	assert_non_null(at);
	assert_int_equal(sscanf(at + strlen(begin), "%63s ", tunnel), 1);
}

static void test_several_without_a_name(void **state)
{
	char a[64], b[64], c[64];
	struct ssh_world w;
	struct peer p;

	peer_open_with(&w, &p);
	peer_forward(&p, 1, "localhost", 9001);
	peer_forward(&p, 2, "localhost", 80);
	peer_forward(&p, 3, "localhost", 443);
	peer_words(&p, "name=web", true);
	/* the word is for http before tcp, and used once; the user's name is not used then */
	answer_of(&p, "1=OK:9001:", a);
	answer_of(&p, "2=OK:80:", b);
	answer_of(&p, "3=OK:443:", c);
	assert_string_equal(b, "web");
	assert_string_not_equal(a, "web");
	assert_string_not_equal(c, "anna");
	ssh_world_close(&w);
	peer_open_with(&w, &p);
	peer_forward(&p, 1, "localhost", 80);
	peer_forward(&p, 2, "localhost", 443);
	peer_words(&p, "", true);
	answer_of(&p, "1=OK:80:", a);
	answer_of(&p, "2=OK:443:", b);
	assert_string_equal(a, "anna");
	assert_string_not_equal(b, "anna");
	ssh_world_close(&w);
}

/* Records of tunnels that were named stay; the others go with the session. */
static void test_what_stays(void **state)
{
	static const struct {
		const char *why, *words, *address;
		uint16_t port;
		bool stays;
	} cases[] = {
		{"named", "", "demo", 80, true},
		{"named by a word", "name=demo", "localhost", 80, true},
		{"a port with a name", "", "demo", 9001, true},
		{"the user's name", "", "localhost", 80, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ssh_world w;
		struct peer p;
		char *record;

		print_message("# %s\n", cases[i].why);
		ssh_world_open(&w, true);
		peer_come(&p, &w, "demo");
		peer_forward(&p, 1, cases[i].address, cases[i].port);
		peer_words(&p, cases[i].words, false);
		assert_non_null(strstr(peer_answers(&p), ":demo "));
		record = core_rig_get(&w.g.r, "tunnel", "demo");
		assert_non_null(record);
		free(record);
		peer_lose(&p);
		ssh_world_run(&w, 1000);
		record = core_rig_get(&w.g.r, "tunnel", "demo");
		assert_int_equal(record != NULL, cases[i].stays);
		free(record);
		ssh_world_close(&w);
	}
}

static void test_words_go_into_the_record(void **state)
{
	struct ssh_world w;
	struct peer p, q;
	char *record;

	peer_open_with(&w, &p);
	peer_forward(&p, 1, "demo", 80);
	peer_words(&p, "proxy=v2 policy=failover max-sessions=3 priority=7", false);
	assert_string_equal(peer_answers(&p), "1=OK:80:demo ");
	record = core_rig_get(&w.g.r, "tunnel", "demo");
	assert_non_null(strstr(record, "\"v2\""));
	assert_non_null(strstr(record, "\"failover\""));
	assert_non_null(strstr(record, "3"));
	free(record);
	/* who says nothing changes nothing */
	peer_come(&q, &w, "anna");
	peer_forward(&q, 1, "demo", 80);
	peer_words(&q, "", false);
	assert_string_equal(peer_answers(&q), "1=OK:80:demo ");
	record = core_rig_get(&w.g.r, "tunnel", "demo");
	assert_non_null(strstr(record, "\"v2\""));
	free(record);
	ssh_world_close(&w);
}

/* "localhost" is what ssh says unasked: a tunnel of the account that has this port stays public. */
static void test_a_port_that_is_ours_already(void **state)
{
	struct ssh_world w;
	struct peer p, q;

	peer_open_with(&w, &p);
	peer_forward(&p, 1, "db", 9001);
	ssh_world_run(&w, 300);
	assert_string_equal(peer_answers(&p), "1=OK:9001:db ");
	peer_come(&q, &w, "anna");
	peer_forward(&q, 1, "localhost", 9001);
	peer_forward(&q, 2, "db", 0);
	peer_words(&q, "", true);
	assert_non_null(strstr(q.answers, "1=OK:9001:db "));
	assert_non_null(strstr(q.answers, "2=OK:9001:db "));
	assert_null(strstr(w.g.said, "9001@localhost"));
	/* but by its name, it is not at another port */
	peer_forward(&q, 3, "localhost", 9002);
	ssh_world_run(&w, 20);
	assert_non_null(strstr(peer_answers(&q), "3=OK:9002:"));
	ssh_world_close(&w);

	peer_open_with(&w, &p);
	peer_forward(&p, 1, "db", 9001);
	ssh_world_run(&w, 300);
	peer_come(&q, &w, "anna");
	peer_forward(&q, 1, "localhost", 9002);
	peer_words(&q, "name=db", true);
	assert_string_equal(peer_answers(&q), "1=EXISTS ");
	assert_non_null(strstr(q.screen, "-R 9002  refused: the tunnel \"db\" is reached at port "
					 "9001; ask for that one\n"));
	ssh_world_close(&w);
}

static void test_everywhere(void **state)
{
	struct ssh_world w;
	struct peer p;

	ssh_world_open(&w, true);
	w.ssh.everywhere = true;
	peer_come(&p, &w, "anna");
	peer_forward(&p, 1, "localhost", 9001);
	peer_forward(&p, 2, "127.0.0.1", 9002);
	peer_words(&p, "", true);
	assert_non_null(strstr(w.g.said, "take 9001@ "));
	assert_non_null(strstr(w.g.said, "take 9002@127.0.0.1 "));
	ssh_world_close(&w);
}

/* ---- cancelling ---- */

static void test_cancelling(void **state)
{
	struct ssh_world w;
	struct peer p;

	peer_open_with(&w, &p);
	/* while it is held */
	peer_forward(&p, 1, "one", 80);
	p.owner->cancelled(p.arg, 1);
	assert_string_equal(peer_answers(&p), "1=CLOSED ");
	peer_look(&p);
	peer_begin(&p, "", true);
	/* while the core is asked */
	w.g.r.judge = core_rig_hold_all;
	peer_forward(&p, 2, "two", 80);
	ssh_world_run(&w, 20);
	p.owner->cancelled(p.arg, 2);
	p.owner->cancelled(p.arg, 2);
	assert_string_equal(peer_answers(&p), "");
	core_rig_release(&w.g.r);
	ssh_world_run(&w, 20);
	assert_string_equal(peer_answers(&p), "2=CLOSED ");
	assert_null(core_tunnel(w.g.r.core, STR("two")));
	/* while it is served */
	peer_forward(&p, 3, "three", 80);
	ssh_world_run(&w, 20);
	assert_string_equal(peer_answers(&p), "3=OK:80:three ");
	assert_non_null(core_tunnel(w.g.r.core, STR("three")));
	(void)peer_screen(&p);
	p.owner->cancelled(p.arg, 3);
	assert_null(core_tunnel(w.g.r.core, STR("three")));
	assert_string_equal(peer_screen(&p), "three  given up\n");
	/* what is not there */
	p.owner->cancelled(p.arg, 3);
	p.owner->cancelled(p.arg, 99);
	ssh_world_run(&w, 20);
	assert_string_equal(peer_answers(&p), "");
	assert_string_equal(peer_screen(&p), "");
	ssh_world_close(&w);
}

/* Two forwards lead to one tunnel: it is served as long as one of them is there. */
static void test_cancelling_one_of_two(void **state)
{
	struct ssh_world w;
	struct peer p;

	peer_open_with(&w, &p);
	peer_forward(&p, 1, "one", 80);
	peer_forward(&p, 2, "one", 443);
	peer_words(&p, "", false);
	assert_string_equal(peer_answers(&p), "1=OK:80:one 2=OK:443:one ");
	p.owner->cancelled(p.arg, 1);
	assert_non_null(core_tunnel(w.g.r.core, STR("one")));
	/* one that is cancelled while it is asked leaves the other alone, too */
	peer_forward(&p, 3, "one", 80);
	p.owner->cancelled(p.arg, 3);
	assert_string_equal(peer_answers(&p), "");
	ssh_world_run(&w, 20);
	assert_string_equal(peer_answers(&p), "3=CLOSED ");
	assert_non_null(core_tunnel(w.g.r.core, STR("one")));
	p.owner->cancelled(p.arg, 2);
	assert_null(core_tunnel(w.g.r.core, STR("one")));
	ssh_world_close(&w);
}

/* The peer had cancelled it before it was answered, which is found when the answer is sent. */
static void test_cancelled_with_an_answer(void **state)
{
	static const struct {
		const char *why;
		uint64_t with, cancel;
		const char *second;
		const char *left; /* that is served in the end */
	} cases[] = {
		{"itself", 2, 2, "two", "one"},
		{"one before it", 2, 1, "two", "two"},
		{"one before it, with a refusal", 2, 1, "a_b", NULL},
		{"one that was served long ago", 3, 1, "two", "two"},
	};
	static const char *const all[] = {"one", "two"};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ssh_world w;
		struct peer p;

		print_message("# %s\n", cases[i].why);
		peer_open_with(&w, &p);
		peer_forward(&p, 1, "one", 80);
		peer_begin(&p, "", true);
		p.cancel_with = cases[i].with;
		p.cancel = cases[i].cancel;
		peer_forward(&p, 2, cases[i].second, 80);
		peer_forward(&p, 3, "a_b", 80);
		ssh_world_run(&w, 20);
		assert_non_null(strstr(p.answers, "2="));
		assert_non_null(strstr(p.answers, "3=INVAL "));
		for (size_t k = 0; k < ARRAY_LEN(all); k++)
			assert_int_equal(core_tunnel(w.g.r.core, str_of(all[k])) != NULL,
					 cases[i].left != NULL &&
						 strcmp(cases[i].left, all[k]) == 0);
		ssh_world_close(&w);
	}
}

/* Several are held, and the first refusal brings the end of one that is served. */
static void test_cancelled_while_the_rest_goes_on(void **state)
{
	struct ssh_world w;
	struct peer p;

	peer_open_with(&w, &p);
	peer_forward(&p, 1, "one", 80);
	ssh_world_run(&w, 300);
	peer_words(&p, "nmae=x", true); /* so that the next ones are refused at once */
	p.cancel_with = 2;
	p.cancel = 1;
	peer_forward(&p, 2, "two", 80);
	peer_forward(&p, 3, "three", 80);
	assert_non_null(strstr(p.answers, "2=INVAL 3=INVAL "));
	assert_null(core_tunnel(w.g.r.core, STR("one")));
	ssh_world_close(&w);
}

/* ---- what the core does ---- */

static void test_a_tunnel_is_taken_away(void **state)
{
	struct told_account told;
	struct manage_asker by;
	struct ssh_world w;
	struct peer p;

	peer_open_with(&w, &p);
	peer_forward(&p, 1, "one", 80);
	peer_forward(&p, 2, "one", 443);
	peer_forward(&p, 3, "two", 80);
	peer_begin(&p, "", false);
	w.g.ann.admin = true;
	by = account_rig_by(&told, &w.g.ann);
	account_rig_wait(&w.g.r, &told, manage_tunnel_drop(w.g.r.core, &by, STR("one"), STORE_ANY));
	assert_int_equal(told.e, 0);
	assert_string_equal(p.unforwarded, "one ");
	assert_true(str_starts(str_of(p.screen), STR("one  taken away: ")));
	assert_false(p.closed);
	(void)peer_answers(&p);
	p.owner->cancelled(p.arg, 1); /* it does not know yet */
	peer_forward(&p, 4, "one", 80);
	ssh_world_run(&w, 20);
	assert_string_equal(peer_answers(&p), "4=OK:80:one ");
	ssh_world_close(&w);
}

static void test_somebody_disconnects_it(void **state)
{
	struct told_account told;
	struct manage_asker by;
	struct ssh_world w;
	struct peer p;

	peer_open_with(&w, &p);
	peer_forward(&p, 1, "one", 80);
	peer_begin(&p, "", true);
	w.g.ann.admin = true;
	by = account_rig_by(&told, &w.g.ann);
	account_rig_wait(&w.g.r, &told,
			 manage_disconnect(w.g.r.core, &by, STR("one"), 0, STR("lunch")));
	assert_int_equal(told.e, 0);
	ssh_world_run(&w, 20);
	assert_true(p.closed);
	assert_int_equal(p.why, ERR_DISCONNECTED);
	assert_non_null(strstr(p.reason, "lunch"));
	assert_int_equal(gateway_n_sessions(w.gateway), 0);
	assert_non_null(strstr(w.log, "event=session-closed session=1 "));
	ssh_world_close(&w);
}

/* Everything that is under way ends with it. */
static void test_it_goes_in_the_middle(void **state)
{
	struct ssh_world w;
	struct peer p, q;

	peer_open_with(&w, &p);
	peer_come(&q, &w, "anna");
	peer_forward(&q, 1, "held", 80);
	peer_words(&p, "", true);
	w.g.r.judge = core_rig_hold_all;
	for (uint64_t i = 0; i < 10; i++)
		peer_forward(&p, i, "demo", 80);
	ssh_world_run(&w, 10);
	peer_lose(&p);
	peer_lose(&q);
	core_rig_release(&w.g.r);
	ssh_world_run(&w, 1000);
	assert_string_equal(p.answers, "");
	assert_string_equal(q.answers, "");
	assert_int_equal(gateway_n_sessions(w.gateway), 0);
	ssh_world_close(&w);
}

/* ---- what is of no use ---- */

static void test_serving_nothing_ends(void **state)
{
	struct ssh_world w;
	struct peer p;

	peer_open_with(&w, &p);
	peer_forward(&p, 1, "a_b", 80);
	ssh_world_run(&w, 20000);
	peer_forward(&p, 2, "a_b", 80); /* asking for what nobody gets puts nothing off */
	ssh_world_run(&w, 9000);
	assert_false(p.closed);
	ssh_world_run(&w, 1500);
	assert_true(p.closed);
	assert_int_equal(p.why, ERR_TIMEOUT);
	assert_string_equal(p.reason, "this session has served no tunnel for 30 seconds");
	ssh_world_close(&w);
}

static void test_what_is_of_use(void **state)
{
	struct ssh_world w;
	struct peer p;

	peer_open_with(&w, &p);
	peer_forward(&p, 1, "one", 80);
	ssh_world_run(&w, 100000);
	assert_false(p.closed); /* it serves */
	p.owner->cancelled(p.arg, 1);
	p.session.n_streams = 1; /* a visitor of the tunnel that it had */
	assert_int_equal(gateway_n_streams(w.gateway), 1);
	ssh_world_run(&w, 100000);
	assert_false(p.closed);
	p.session.n_streams = 0;
	peer_words(&p, "", true);
	ssh_world_run(&w, 100000);
	assert_false(p.closed); /* somebody looks */
	p.looks = false;
	p.owner->typed(p.arg, STR(""));
	ssh_world_run(&w, 31000);
	assert_true(p.closed);
	ssh_world_close(&w);
}

static void test_all_refused_and_somebody_looks(void **state)
{
	struct ssh_world w;
	struct peer p;

	peer_open_with(&w, &p);
	peer_forward(&p, 1, "", 22);
	peer_forward(&p, 2, "admin", 80);
	peer_words(&p, "", false);
	assert_non_null(strstr(p.answers, "1=DENIED "));
	assert_non_null(strstr(p.answers, "2=RESERVED "));
	assert_non_null(strstr(p.screen, "-R '*:22'  refused: "));
	assert_non_null(strstr(p.screen, "-R admin:80  refused: "));
	assert_non_null(strstr(w.log, "event=forward-refused account="));
	assert_non_null(strstr(w.log, "address=\"admin\" port=80 code=RESERVED reason=\""));
	ssh_world_run(&w, 100000);
	assert_false(p.closed);
	ssh_world_close(&w);
}

static void test_forwards_are_bounded(void **state)
{
	struct ssh_world w;
	struct peer p;
	char name[32];

	peer_open_with(&w, &p);
	for (uint64_t i = 1; i <= SECSH_FORWARDS_MAX; i++) {
		str_printf(name, sizeof name, "t%llu", (unsigned long long)i);
		peer_forward(&p, i, name, 80);
	}
	assert_string_equal(peer_answers(&p), "");
	peer_forward(&p, 65, "more", 80);
	assert_string_equal(peer_answers(&p), "65=LIMIT ");
	assert_non_null(strstr(w.log, "address=\"more\" port=80 code=LIMIT"));
	ssh_world_run(&w, 1000);
	assert_non_null(strstr(peer_answers(&p), "64=OK:80:t64 "));
	p.owner->cancelled(p.arg, 64);
	peer_forward(&p, 66, "more", 80);
	ssh_world_run(&w, 20);
	assert_string_equal(peer_answers(&p), "66=OK:80:more ");
	/* refusals that nobody has read make room */
	for (uint64_t i = 1; i < SECSH_FORWARDS_MAX; i++)
		p.owner->cancelled(p.arg, i);
	for (uint64_t i = 100; i < 300; i++)
		peer_forward(&p, i, "a_b", 80);
	(void)peer_answers(&p);
	peer_forward(&p, 301, "last", 80);
	ssh_world_run(&w, 20);
	assert_string_equal(peer_answers(&p), "301=OK:80:last ");
	ssh_world_close(&w);
}

/* Those that are too many come before anybody looks: with ssh they always do. */
static void test_more_forwards_are_told(void **state)
{
	struct ssh_world w;
	struct peer p;
	char name[32];

	peer_open_with(&w, &p);
	for (uint64_t i = 1; i <= SECSH_FORWARDS_MAX; i++) {
		str_printf(name, sizeof name, "t%llu", (unsigned long long)i);
		peer_forward(&p, i, name, 80);
	}
	p.owner->unforwarded(p.arg, ERR_INUSE, STR("t1"), 80);
	assert_non_null(strstr(w.log, "address=\"t1\" port=80 code=INUSE"));
	for (int i = 1; i < 32; i++)
		p.owner->unforwarded(p.arg, ERR_LIMIT, STR("more"), (uint16_t)(1000 + i));
	assert_string_equal(peer_answers(&p), "");
	assert_non_null(strstr(w.log, "address=\"more\" port=1001 code=LIMIT "
				      "reason=\"a session has 64 forwards at most\""));
	peer_look(&p);
	peer_words(&p, "", true);
	assert_non_null(strstr(peer_answers(&p), "64=OK:80:t64 "));
	assert_non_null(strstr(p.screen, "-R more:1001  refused: a session has 64 forwards at "
					 "most\n"));
	assert_non_null(strstr(p.screen, "-R more:1015  refused: "));
	assert_null(strstr(p.screen, "-R more:1016")); /* so many, and no more, are kept */
	assert_non_null(strstr(p.screen, "t64  http"));
	(void)peer_screen(&p);
	p.owner->unforwarded(p.arg, ERR_LIMIT, STR("late"), 80); /* somebody reads it now */
	assert_non_null(strstr(p.screen, "-R late:80  refused: a session has 64"));
	/* what was told has left its place to others */
	p.owner->cancelled(p.arg, 1);
	peer_forward(&p, 65, "one", 80);
	ssh_world_run(&w, 20);
	assert_string_equal(peer_answers(&p), "65=OK:80:one ");
	ssh_world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forwards_wait_for_words),
		cmocka_unit_test(test_nobody_looks),
		cmocka_unit_test(test_somebody_looks_and_says_nothing),
		cmocka_unit_test(test_words_come_late),
		cmocka_unit_test(test_another_name_for_the_session),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_several_without_a_name),
		cmocka_unit_test(test_what_stays),
		cmocka_unit_test(test_words_go_into_the_record),
		cmocka_unit_test(test_a_port_that_is_ours_already),
		cmocka_unit_test(test_everywhere),
		cmocka_unit_test(test_cancelling),
		cmocka_unit_test(test_cancelling_one_of_two),
		cmocka_unit_test(test_cancelled_with_an_answer),
		cmocka_unit_test(test_cancelled_while_the_rest_goes_on),
		cmocka_unit_test(test_a_tunnel_is_taken_away),
		cmocka_unit_test(test_somebody_disconnects_it),
		cmocka_unit_test(test_it_goes_in_the_middle),
		cmocka_unit_test(test_serving_nothing_ends),
		cmocka_unit_test(test_what_is_of_use),
		cmocka_unit_test(test_all_refused_and_somebody_looks),
		cmocka_unit_test(test_forwards_are_bounded),
		cmocka_unit_test(test_more_forwards_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
