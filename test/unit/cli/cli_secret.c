/* Secrets from files, pipes and keyboards. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/err.h"
#include "cli/cli_secret.h"

static const struct {
	const char *why, *bytes;
	int e;
	const char *want;
} lines[] = {
	{"a line", "kz_abc\n", 0, "kz_abc"},
	{"no line end", "kz_abc", 0, "kz_abc"},
	{"space around it", " \tkz_abc \r\n\n", 0, "kz_abc"},
	{"empty", "", ERR_INVAL, ""},
	{"only space", " \n", ERR_INVAL, ""},
	{"two lines", "a\nb\n", ERR_INVAL, ""},
	{"a space inside", "a b", ERR_INVAL, ""},
	{"a control character", "a\x01", ERR_INVAL, ""},
	{"not ASCII", "a\xc3\xa4", ERR_INVAL, ""},
	{"just short enough", "0123456789abcde", 0, "0123456789abcde"},
	{"too long", "0123456789abcdef", ERR_INVAL, ""},
};

static char *file_of(const char *bytes)
{
	char *path = strdup("/tmp/karez-secret-XXXXXX");
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, strlen(bytes)), strlen(bytes));
	close(fd);
	return path;
}

static void test_line(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		char *path = file_of(lines[i].bytes), out[16], why[CLI_SECRET_WHY] = "";
		int e = cli_secret_line(path, "a token", out, sizeof out, why);

		if (e != lines[i].e || strcmp(out, lines[i].want) != 0)
			fail_msg("%s: %s, \"%s\"", lines[i].why, err_name(e), out);
		if (e != 0 && strstr(why, path) == NULL)
			fail_msg("%s: the file is not named: %s", lines[i].why, why);
		unlink(path);
		free(path);
	}
}

static void test_file(void **state)
{
	char why[CLI_SECRET_WHY], *path = file_of(""), *text = calloc(1, CLI_SECRET_FILE_MAX + 1);
	struct buf b = {0};
	int fd;

	assert_int_not_equal(cli_secret_file("/nonexistent/x", "a token", &b, why), 0);
	assert_string_equal(why,
			    "cannot read a token from /nonexistent/x: No such file or directory");
	assert_int_not_equal(cli_secret_file("/", "a token", &b, why), 0);

	fd = open(path, O_WRONLY);
	assert_int_equal(write(fd, text, CLI_SECRET_FILE_MAX), CLI_SECRET_FILE_MAX);
	assert_int_equal(cli_secret_file(path, "a token", &b, why), 0);
	assert_int_equal(b.len, CLI_SECRET_FILE_MAX);
	cli_secret_wipe(&b);
	assert_int_equal(write(fd, text, 1), 1);
	assert_int_equal(cli_secret_file(path, "a token", &b, why), ERR_TOOBIG);
	assert_null(b.mem);
	close(fd);
	unlink(path);
	free(path);
	free(text);
}

/* A secret goes into a file that is new and private, or nowhere. */
static void test_save(void **state)
{
	char dir[] = "/tmp/karez-secret-XXXXXX", path[64], why[CLI_SECRET_WHY], out[16];
	struct stat st;
	int fd;

	assert_non_null(mkdtemp(dir));
	str_printf(path, sizeof path, "%s/token", dir);
	assert_int_equal(cli_secret_create(path, &fd, why), 0);
	assert_int_equal(cli_secret_save(path, fd, STR("kz_abc"), why), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(cli_secret_line(path, "a token", out, sizeof out, why), 0);
	assert_string_equal(out, "kz_abc");
	assert_int_not_equal(cli_secret_create(path, &fd, why), 0);
	assert_non_null(strstr(why, "File exists"));
	unlink(path);
	assert_int_equal(symlink("/tmp/karez-elsewhere", path), 0);
	assert_int_not_equal(cli_secret_create(path, &fd, why), 0);
	unlink(path);
	assert_int_equal(cli_secret_create(path, &fd, why), 0);
	assert_int_equal(cli_secret_save(path, fd, STR(""), why), 0);
	assert_int_not_equal(stat(path, &st), 0);
	rmdir(dir);
}

/* Standard input for one test; the one before comes back. */
static int input_swap(int fd)
{
	int before = dup(STDIN_FILENO);

	assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
	return before;
}

static void input_back(int before)
{
	dup2(before, STDIN_FILENO);
	close(before);
}

static const struct {
	const char *why, *typed;
	int e;
	const char *want;
} typings[] = {
	{"a word", "geheim\n", 0, "geheim"},
	{"space is part of it", " a b \n", 0, " a b "},
	{"a slip is taken back", "gex\x7fheim\r", 0, "geheim"},
	{"begun anew", "wrong\x15geheim\n", 0, "geheim"},
	{"more backspaces than letters",
	 "\x7f\x7f"
	 "a\n",
	 0, "a"},
	{"broken off", "gehe\x03", ERR_CLOSED, NULL},
	{"nothing", "\n", ERR_EOF, ""},
	{"the end", "\x04", ERR_EOF, ""},
	{"too long", "0123456789abcdef\n", ERR_TOOBIG, NULL},
};

/* Whatever is typed, the terminal shows the prompt only and is as before afterwards. */
static void test_keyboard(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(typings); i++) {
		char out[16], why[CLI_SECRET_WHY], *said = NULL, seen[64];
		struct termios before, after;
		int master, slave, keep, e;
		size_t len;
		pid_t child;
		FILE *err = open_memstream(&said, &len);

		assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
		assert_int_equal(tcgetattr(slave, &before), 0);
		/* typed ahead it would be flushed, so it comes when it is asked for: an input queue
		 * that TCSAFLUSH has emptied already */
		keep = input_swap(slave);
		if ((child = fork()) == 0) {
			struct termios now;

			do
				tcgetattr(master, &now);
			while (now.c_lflag & ECHO);
			(void)!write(master, typings[i].typed, strlen(typings[i].typed));
			_exit(0);
		}
		e = cli_secret_ask(err, "Token: ", out, sizeof out, why);
		input_back(keep);
		waitpid(child, NULL, 0);
		fclose(err);
		assert_int_equal(tcgetattr(slave, &after), 0);
		assert_memory_equal(&before.c_lflag, &after.c_lflag, sizeof before.c_lflag);
		assert_string_equal(said, "Token: \n");
		if (e != typings[i].e ||
		    (typings[i].want != NULL && strcmp(out, typings[i].want) != 0))
			fail_msg("%s: %s, \"%s\"", typings[i].why, err_name(e), out);
		/* nothing came back to the one who types */
		fcntl(master, F_SETFL, O_NONBLOCK);
		assert_true(read(master, seen, sizeof seen) <= 0);
		free(said);
		close(master);
		close(slave);
	}
}

/* From a pipe two secrets can be read one after the other, and nothing is printed. */
static void test_pipe(void **state)
{
	char out[16], why[CLI_SECRET_WHY], *said = NULL;
	int fds[2], keep;
	size_t len;
	FILE *err = open_memstream(&said, &len);

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "one\r\ntwo", 8), 8);
	close(fds[1]);
	keep = input_swap(fds[0]);
	assert_int_equal(cli_secret_ask(err, "First: ", out, sizeof out, why), 0);
	assert_string_equal(out, "one");
	assert_int_equal(cli_secret_ask(err, "Second: ", out, sizeof out, why), 0);
	assert_string_equal(out, "two");
	assert_int_equal(cli_secret_ask(err, "Third: ", out, sizeof out, why), ERR_EOF);
	input_back(keep);
	close(fds[0]);
	fclose(err);
	assert_string_equal(said, "");
	free(said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line), cmocka_unit_test(test_file),
		cmocka_unit_test(test_save), cmocka_unit_test(test_keyboard),
		cmocka_unit_test(test_pipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
