/* Words behind the host, and what is said to those who mistype them. */
#include "proto/ssh_words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

static void test_each_word(void **state)
{
	static const struct {
		const char *why, *text;
		struct ssh_words want;
	} cases[] = {
		{"nothing", "", {.name = ""}},
		{"only spaces", "   ", {.name = ""}},
		{"a name", "name=Demo", {.name = "demo"}},
		{"a name of two labels", "name=hello.tim", {.name = "hello.tim"}},
		{"who this is", "agent=box_1.Home", {.agent = "box_1.Home"}},
		{"no header", "proxy=none", {.has_proxy = true, .proxy = TUNNEL_PROXY_NONE}},
		{"the first header", "proxy=v1", {.has_proxy = true, .proxy = TUNNEL_PROXY_V1}},
		{"the second header", "proxy=v2", {.has_proxy = true, .proxy = TUNNEL_PROXY_V2}},
		{"a policy",
		 "policy=round-robin",
		 {.has_policy = true, .policy = TUNNEL_ROUND_ROBIN}},
		{"the best priority", "priority=0", {.has_priority = true}},
		{"the last priority", "priority=65535", {.priority = 65535, .has_priority = true}},
		{"so many sessions", "max-sessions=64", {.sessions_max = 64}},
		{"TLS", "tls", {.tls = true}},
		{"lines for programs", "json", {.json = true}},
		{"quiet", "quiet", {.quiet = true}},
		{"quiet as programs say it, twice", "-q quiet", {.quiet = true}},
		{"help", "help", {.help = true}},
		{"help", "?", {.help = true}},
		{"help", "-h", {.help = true}},
		{"help", "--help", {.help = true}},
		{"several, and spaces everywhere",
		 "  name=demo   proxy=v2 json  ",
		 {.name = "demo", .has_proxy = true, .proxy = TUNNEL_PROXY_V2, .json = true}},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char why[SSH_WORDS_WHY];
		struct ssh_words w;

		print_message("# %s: %s\n", cases[i].why, cases[i].text);
		assert_int_equal(ssh_words_read(str_of(cases[i].text), &w, why), 0);
		assert_string_equal(why, "");
		assert_string_equal(w.name, cases[i].want.name);
		assert_string_equal(w.agent, cases[i].want.agent);
		assert_int_equal(w.has_policy, cases[i].want.has_policy);
		assert_int_equal(w.policy, cases[i].want.policy);
		assert_int_equal(w.has_proxy, cases[i].want.has_proxy);
		assert_int_equal(w.proxy, cases[i].want.proxy);
		assert_int_equal(w.priority, cases[i].want.priority);
		assert_int_equal(w.has_priority, cases[i].want.has_priority);
		assert_int_equal(w.sessions_max, cases[i].want.sessions_max);
		assert_int_equal(w.tls, cases[i].want.tls);
		assert_int_equal(w.json, cases[i].want.json);
		assert_int_equal(w.quiet, cases[i].want.quiet);
		assert_int_equal(w.help, cases[i].want.help);
	}
}

static void test_mistakes(void **state)
{
	static const struct {
		const char *text, *words;
	} cases[] = {
		{"demo",
		 "\"demo\" is not a word that is known here; \"help\" shows those that are"},
		{"json nmae=demo", "\"nmae=demo\" is not a word"},
		{"=", "\"=\" is not a word"},
		{"bash -c \033[31mx", "\"bash\" is not a word"},
		{"\033[31mx", "\"?[31mx\" is not a word"},
		{"json=1", "\"json=1\" cannot stand so"},
		{"name", "\"name\" cannot stand so"},
		{"-q=1", "cannot stand so"},
		{"name=", "name= must be a name of letters"},
		{"name=a_b", "name= must be"},
		{"name=a name=b", "\"name=b\": name= stands there twice"},
		{"agent=a/b", "agent= must be 1 to 64"},
		{"agent=", "agent= must be 1 to 64"},
		{"agent=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		 "\"agent=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...\": agent= must be"},
		{"proxy=v3", "proxy= must be none, v1 or v2"},
		{"policy=random", "policy= must be least-conn, round-robin or failover"},
		{"priority=65536", "a number from 0 to 65535"},
		{"priority=-1", "a number from 0 to 65535"},
		{"max-sessions=0", "a number from 1 to 64"},
		{"max-sessions=65", "a number from 1 to 64"},
		{"json\tname=a", "\"json?name=a\" is not a word"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ssh_words w, none = {0};
		char why[SSH_WORDS_WHY];

		print_message("# %s\n", cases[i].words);
		assert_int_equal(ssh_words_read(str_of(cases[i].text), &w, why), ERR_INVAL);
		assert_non_null(strstr(why, cases[i].words));
		assert_memory_equal(&w, &none, sizeof w);
	}
}

static void test_help_has_a_line_for_each(void **state)
{
	static const char *const words[] = {"name=",	 "tls",		  "proxy=", "policy=",
					    "priority=", "max-sessions=", "agent=", "json",
					    "quiet, -q", "help"};
	struct str rest = str_of(ssh_words_help()), line;
	size_t n = 0, text = 0;

	while (str_next(&rest, '\n', &line)) {
		if (line.len == 0)
			continue;
		assert_true(n < ARRAY_LEN(words));
		assert_true(str_starts((struct str){line.p + 2, line.len - 2}, str_of(words[n])));
		assert_true(line.len <= 79);
		/* what each does stands under what the one above does */
		assert_int_equal(line.p[17], ' ');
		assert_true(line.p[18] == ' ' && line.p[19] != ' ');
		text += line.len;
		n++;
	}
	assert_int_equal(n, ARRAY_LEN(words));
	assert_int_equal(strlen(ssh_words_help()), text + n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_word),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_help_has_a_line_for_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
