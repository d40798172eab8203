/* A person at a terminal of the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <pty.h>

#include <cmocka.h>

#include "app/tty_ask.h"
#include "base/err.h"

/* How a question ended, as the exit code of who has asked it. */
enum { ASKED_WELL, ASKED_OTHERWISE, ASKED_DENIED, ASKED_INTERRUPTED };

static void on_signal(int signum)
{
}

/* Who asks; never returns. The terminal must be as before. */
static void asker(const char *prompt, bool echo, const char *want)
{
	struct sigaction act = {.sa_handler = on_signal};
	struct termios before, after;
	char line[16];
	int e;

	sigaction(SIGUSR1, &act, NULL);
	tcgetattr(STDIN_FILENO, &before);
	e = tty_ask(prompt, echo, line, sizeof line);
	tcgetattr(STDIN_FILENO, &after);
	if (before.c_lflag != after.c_lflag || before.c_iflag != after.c_iflag)
		_exit(100);
	if (e != 0)
		_exit(line[0] != '\0' ? 101 : e == ERR_CLOSED ? ASKED_INTERRUPTED : ASKED_DENIED);
	_exit(strcmp(line, want) == 0 ? ASKED_WELL : ASKED_OTHERWISE);
}

/* Read what the terminal shows until `text` is there; false at its end. */
static bool see(int master, char *seen, size_t cap, const char *text)
{
	size_t n = strlen(seen);
	ssize_t got;

	while (text == NULL || strstr(seen, text) == NULL) {
		got = read(master, seen + n, cap - 1 - n);
		if (got <= 0)
			return false;
		n += (size_t)got;
		seen[n] = '\0';
	}
	return true;
}

static const struct {
	const char *why, *prompt, *shown, *types;
	bool echo;
	const char *want; /* the line; NULL: none */
	int end;
	const char *echoed;
} cases[] = {
	{"a word", "Name: ", "Name: ", "ann\n", true, "ann", ASKED_WELL, "ann"},
	{"a secret", "Passphrase: ", "Passphrase: ", "hush\n", false, "hush", ASKED_WELL, NULL},
	{"an empty line", "? ", "? ", "\n", false, "", ASKED_WELL, NULL},
	{"a word that is corrected", "? ", "? ", "anx\x7fn\n", true, "ann", ASKED_WELL, NULL},
	{"several lines, and tricks", "One\nTwo\x1b[2J ", "Two\\x1b[2J ", "yes\n", true, "yes",
	 ASKED_WELL, NULL},
	{"too long a line", "? ", "? ", "0123456789abcdef\n", false, NULL, ASKED_DENIED, NULL},
	{"the end of input", "? ", "? ", "\x04", false, NULL, ASKED_DENIED, NULL},
	{"Ctrl-C", "? ", "? ", "ab\x03", false, NULL, ASKED_INTERRUPTED, NULL},
	{"Ctrl-C while it is shown", "? ", "? ", "ab\x03", true, NULL, ASKED_INTERRUPTED, NULL},
};

static void test_answers(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char seen[512] = "";
		int master, status;
		pid_t pid;

		print_message("# %s\n", cases[i].why);
		assert_true((pid = forkpty(&master, NULL, NULL, NULL)) >= 0);
		if (pid == 0)
			asker(cases[i].prompt, cases[i].echo, cases[i].want);
		assert_true(see(master, seen, sizeof seen, cases[i].shown));
		assert_int_equal(write(master, cases[i].types, strlen(cases[i].types)),
				 strlen(cases[i].types));
		(void)see(master, seen, sizeof seen, NULL); /* until it is over */
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), cases[i].end);
		if (cases[i].echoed != NULL)
			assert_non_null(strstr(seen, cases[i].echoed));
		if (!cases[i].echo && cases[i].want != NULL && cases[i].want[0] != '\0')
			assert_null(strstr(seen, cases[i].want));
		close(master);
	}
}

static void test_a_signal_breaks_it_off(void **state)
{
	char seen[512] = "";
	int master, status;
	pid_t pid;

	assert_true((pid = forkpty(&master, NULL, NULL, NULL)) >= 0);
	if (pid == 0)
		asker("? ", false, "");
	assert_true(see(master, seen, sizeof seen, "? "));
	assert_int_equal(kill(pid, SIGUSR1), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), ASKED_DENIED);
	close(master);
}

static void test_nobody_is_there(void **state)
{
	pid_t pid = fork();
	char line[16] = "x";
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		if (setsid() < 0) /* no terminal any more */
			_exit(100);
		_exit(tty_ask("? ", true, line, sizeof line) == ERR_DENIED && line[0] == '\0' ? 0
											      : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_a_signal_breaks_it_off),
		cmocka_unit_test(test_nobody_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
