/* Words that a unit must hold so that they arrive as they were, and what stands around them. */
#include "app/karez_unit.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"

static void test_words(void **state)
{
	static const struct {
		const char *why;
		enum karez_unit_word what;
		const char *word, *want; /* want NULL: no unit can hold it */
	} cases[] = {
		{"plain", KAREZ_UNIT_WORD, "--file=/etc/karez/a.yaml", "--file=/etc/karez/a.yaml"},
		{"empty", KAREZ_UNIT_WORD, "", "\"\""},
		{"a space", KAREZ_UNIT_WORD, "/a b", "\"/a b\""},
		{"a specifier", KAREZ_UNIT_WORD, "/a%n", "\"/a%%n\""},
		{"a variable", KAREZ_UNIT_WORD, "/a$HOME", "\"/a$$HOME\""},
		{"a variable in braces", KAREZ_UNIT_WORD, "${HOME}", "\"$${HOME}\""},
		{"quotes", KAREZ_UNIT_WORD, "a\"b'c", "\"a\\\"b'c\""},
		{"a backslash", KAREZ_UNIT_WORD, "a\\x20b", "\"a\\\\x20b\""},
		{"a backslash at the end", KAREZ_UNIT_WORD, "a\\", "\"a\\\\\""},
		{"what ends a command", KAREZ_UNIT_WORD, ";", "\";\""},
		{"a comment", KAREZ_UNIT_WORD, "#a", "\"#a\""},
		{"letters of others", KAREZ_UNIT_WORD, "/h\xc3\xa4user", "\"/h\xc3\xa4user\""},
		{"no variable is looked for in the program's path", KAREZ_UNIT_PROGRAM, "/a$b%c",
		 "\"/a$b%%c\""},
		{"nor in other paths", KAREZ_UNIT_PATH, "/a$b c%d\\", "\"/a$b c%%d\\\\\""},
		{"a newline", KAREZ_UNIT_WORD, "/a\nUser=root", NULL},
		{"a tab", KAREZ_UNIT_PATH, "/a\tb", NULL},
		{"DEL", KAREZ_UNIT_PROGRAM, "/a\x7f", NULL},
		{"no UTF-8", KAREZ_UNIT_WORD, "/h\xe4user", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf b = {0};
		int e = karez_unit_add_word(&b, cases[i].what, cases[i].word);

		print_message("%s\n", cases[i].why);
		assert_int_equal(e, cases[i].want == NULL ? ERR_INVAL : 0);
		if (cases[i].want != NULL) {
			assert_int_equal(b.len, strlen(cases[i].want));
			assert_memory_equal(buf_str(&b).p, cases[i].want, b.len);
		}
		buf_free(&b);
	}
}

static char word_up[] = "up", word_file[] = "--file=/srv/my services.yaml";
static char *const words[] = {word_up, word_file};

/* The unit as a text, cut at its size. */
static void unit_text(const struct karez_unit *u, char out[8192])
{
	struct buf b = {0};

	assert_int_equal(karez_unit_write(u, &b), 0);
	assert_true(karez_unit_is_ours(buf_str(&b)));
	assert_int_equal(str_copy(out, 8192, buf_str(&b)), 0);
	buf_free(&b);
}

static void test_a_unit_of_the_system(void **state)
{
	struct karez_unit u = {.program = "/usr/bin/karez",
			       .words = words,
			       .n_words = ARRAY_LEN(words),
			       .dir = "/root/.config/karez"};
	char text[8192];

	unit_text(&u, text);
	assert_non_null(strstr(text, "\nType=notify\nExecStart=/usr/bin/karez \\\n\tup \\\n"
				     "\t\"--file=/srv/my services.yaml\"\n"));
	assert_non_null(strstr(text, "\nRestartPreventExitStatus=2\n"));
	assert_non_null(strstr(text, "\nProtectSystem=strict\n"));
	assert_non_null(strstr(text, "\nPrivateTmp=yes\n"));
	assert_non_null(strstr(text, "\nReadWritePaths=/root/.config/karez\n"));
	assert_non_null(strstr(text, "\nWantedBy=multi-user.target\n"));
	u.tmp = true;
	unit_text(&u, text);
	assert_non_null(strstr(text, "\nPrivateTmp=no\n"));
}

/* What a user's manager has no right to do would keep the unit from starting. */
static void test_a_unit_of_a_user(void **state)
{
	static const char *const not_there[] = {"ProtectSystem",  "ProtectHome",
						"Private",	  "Capability",
						"ReadWritePaths", "network-online"};
	struct karez_unit u = {.user = true,
			       .program = "/usr/bin/karez",
			       .words = words,
			       .n_words = ARRAY_LEN(words),
			       .dir = "/home/me/.config/karez"};
	char text[8192];

	unit_text(&u, text);
	for (size_t i = 0; i < ARRAY_LEN(not_there); i++)
		assert_null(strstr(text, not_there[i]));
	assert_non_null(strstr(text, "\nNoNewPrivileges=yes\n"));
	assert_non_null(strstr(text, "\nSystemCallFilter=@system-service\n"));
	assert_non_null(strstr(text, "\nWantedBy=default.target\n"));
}

static void test_a_word_that_no_unit_holds(void **state)
{
	char bad[] = "--id=a\nb";
	char *const with_it[] = {word_up, bad};
	struct karez_unit u = {.program = "/usr/bin/karez",
			       .words = with_it,
			       .n_words = 2,
			       .dir = "/d"};
	struct buf b = {0};

	assert_int_equal(karez_unit_write(&u, &b), ERR_INVAL);
	buf_free(&b);
}

static void test_whose_unit_it_is(void **state)
{
	assert_false(karez_unit_is_ours(STR("")));
	assert_false(karez_unit_is_ours(STR("[Unit]\nDescription=karez\n")));
	assert_false(karez_unit_is_ours(STR("\n# Written by karez service install")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_a_unit_of_the_system),
		cmocka_unit_test(test_a_unit_of_a_user),
		cmocka_unit_test(test_a_word_that_no_unit_holds),
		cmocka_unit_test(test_whose_unit_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
