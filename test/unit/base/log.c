/* Log lines: levels, harmless bytes, the cut, and what reaches standard error. */
#include "base/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "base/err.h"

struct sink {
	char line[2048];
	size_t len;
	int n_lines;
	enum log_level level;
};

static void sink_write(void *arg, enum log_level level, const char *line, size_t len)
{
	struct sink *s = arg;

	assert_true(len < sizeof s->line);
	memcpy(s->line, line, len);
	s->line[len] = '\0';
	s->len = len;
	s->level = level;
	s->n_lines++;
}

static void test_levels(void **state)
{
	static const struct {
		const char *why;
		enum log_level at, line;
		int want;
	} cases[] = {
		{"errors are always told", LOG_ERROR, LOG_ERROR, 1},
		{"warnings are not errors", LOG_ERROR, LOG_WARN, 0},
		{"info at info", LOG_INFO, LOG_INFO, 1},
		{"debug at info", LOG_INFO, LOG_DEBUG, 0},
		{"debug at debug", LOG_DEBUG, LOG_DEBUG, 1},
		{"errors at debug", LOG_DEBUG, LOG_ERROR, 1},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sink s = {0};
		struct log log = {.level = cases[i].at, .write = sink_write, .arg = &s};

		print_message("%s\n", cases[i].why);
		log_line(&log, cases[i].line, "event=%s", "x");
		assert_int_equal(s.n_lines, cases[i].want);
		if (cases[i].want == 0)
			continue;
		assert_string_equal(s.line, "event=x");
		assert_int_equal(s.level, cases[i].line);
	}
}

static void test_debug_is_not_evaluated_in_vain(void **state)
{
	struct sink s = {0};
	struct log log = {.level = LOG_INFO, .write = sink_write, .arg = &s};
	int calls = 0;

	log_debug(&log, "%d", ++calls);
	assert_int_equal(calls, 0);
	log.level = LOG_DEBUG;
	log_debug(&log, "%d", ++calls);
	assert_int_equal(calls, 1);
	assert_int_equal(s.n_lines, 1);
}

static void test_no_forged_lines(void **state)
{
	static const struct {
		const char *why, *sent, *want;
	} cases[] = {
		{"plain", "a b=c", "host=a b=c"},
		{"a new line", "a\nerror forged", "host=a\\x0aerror forged"},
		{"a carriage return", "a\rb", "host=a\\x0db"},
		{"a terminal's escape", "\x1b[31mred", "host=\\x1b[31mred"},
		{"tab and delete", "\t\x7f", "host=\\x09\\x7f"},
		{"UTF-8 stays readable", "caf\xc3\xa9", "host=caf\xc3\xa9"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sink s = {0};
		struct log log = {.level = LOG_INFO, .write = sink_write, .arg = &s};

		print_message("%s\n", cases[i].why);
		log_info(&log, "host=%s", cases[i].sent);
		assert_string_equal(s.line, cases[i].want);
	}
}

static void test_long_lines_are_cut(void **state)
{
	struct sink s = {0};
	struct log log = {.level = LOG_INFO, .write = sink_write, .arg = &s};
	char text[5000];

	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	log_info(&log, "%s", text);
	assert_in_range(s.len, 900, 1000);
	memset(text, '\n', sizeof text - 1); /* each becomes four bytes */
	log_info(&log, "%s", text);
	assert_in_range(s.len, 900, 1000);
	assert_string_equal(s.line + s.len - 4, "\\x0a"); /* none is cut in the middle */
}

static void test_level_parse(void **state)
{
	static const struct {
		const char *text;
		int want;
		enum log_level level;
	} cases[] = {
		{"error", 0, LOG_ERROR}, {"warn", 0, LOG_WARN}, {"info", 0, LOG_INFO},
		{"debug", 0, LOG_DEBUG}, {"", ERR_INVAL, 0},	{"Info", ERR_INVAL, 0},
		{"infos", ERR_INVAL, 0}, {"3", ERR_INVAL, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		enum log_level level = (enum log_level)99;

		assert_int_equal(log_level_parse(str_of(cases[i].text), &level), cases[i].want);
		if (cases[i].want == 0)
			assert_int_equal(level, cases[i].level);
		else
			assert_int_equal(level, 99);
	}
}

static void test_stderr(void **state)
{
	int ends[2], saved = dup(STDERR_FILENO);
	struct log log;
	char got[256];
	ssize_t n;

	assert_true(saved >= 0);
	assert_int_equal(pipe(ends), 0);
	assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
	log_init_stderr(&log, LOG_WARN);
	log_info(&log, "not told");
	log_warn(&log, "event=%d", 1);
	memcpy(log.stamp, "12:00:00", 9);
	log_error(&log, "event=%d", 2);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	n = read(ends[0], got, sizeof got - 1);
	assert_true(n > 0);
	got[n] = '\0';
	assert_string_equal(got, "warn event=1\n12:00:00 error event=2\n");
	close(saved);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_debug_is_not_evaluated_in_vain),
		cmocka_unit_test(test_no_forged_lines),
		cmocka_unit_test(test_long_lines_are_cut),
		cmocka_unit_test(test_level_parse),
		cmocka_unit_test(test_stderr),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
