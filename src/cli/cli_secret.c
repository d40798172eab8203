/* What stands on a command line can be read by every user of the machine, so a secret never does.
 */
#include "cli/cli_secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/err.h"

/* Set the sentence for what has just failed, by errno. Returns the error. */
static int cli_secret_failed(const char *doing, const char *path, char *why)
{
	int e = err_from_errno(errno);

	str_printf(why, CLI_SECRET_WHY, "cannot %s %s: %s", doing, path, strerror(errno));
	return e;
}

void cli_secret_wipe(struct buf *b)
{
	if (b->mem != NULL)
		explicit_bzero(b->mem, b->size);
	buf_free(b);
}

/* ---- files ---- */

int cli_secret_file(const char *path, const char *what, struct buf *out, char why[CLI_SECRET_WHY])
{
	bool piped = strcmp(path, "-") == 0;
	int fd = piped ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), e = 0;
	char doing[80], *at;
	ssize_t n = fd < 0 ? -1 : 1;

	str_printf(doing, sizeof doing, "read %s from", what);
	while (n > 0 && (e = buf_room(out, 4096, CLI_SECRET_FILE_MAX + 4096, &at)) == 0) {
		n = read(fd, at, 4096);
		if (n > 0)
			buf_added(out, (size_t)n);
		else if (n < 0 && errno == EINTR)
			n = 1;
	}
	if (n < 0)
		e = cli_secret_failed(doing, piped ? "standard input" : path, why);
	else if (e == ERR_TOOBIG || out->len > CLI_SECRET_FILE_MAX)
		e = ERR_TOOBIG;
	if (n >= 0 && e != 0)
		str_printf(why, CLI_SECRET_WHY, "cannot %s %s: %s", doing, path, err_text(e));
	if (fd >= 0 && !piped)
		close(fd);
	if (e != 0)
		cli_secret_wipe(out);
	return e;
}

bool cli_secret_ok(struct str secret)
{
	for (size_t i = 0; i < secret.len; i++)
		if (secret.p[i] <= ' ' || secret.p[i] >= 0x7f)
			return false;
	return secret.len > 0;
}

/* Without blanks and line ends at either end. */
static struct str cli_secret_trim(struct str s)
{
	while (s.len > 0 && strchr(" \t\r\n", s.p[s.len - 1]) != NULL)
		s.len--;
	while (s.len > 0 && strchr(" \t\r\n", s.p[0]) != NULL)
		s = (struct str){s.p + 1, s.len - 1};
	return s;
}

int cli_secret_line(const char *path, const char *what, char *out, size_t cap,
		    char why[CLI_SECRET_WHY])
{
	struct buf text = {0};
	struct str line;
	int e = cli_secret_file(path, what, &text, why);

	out[0] = '\0';
	if (e != 0)
		return e;
	line = cli_secret_trim(buf_str(&text));
	if (!cli_secret_ok(line) || line.len >= cap || memchr(line.p, '\0', line.len) != NULL) {
		str_printf(why, CLI_SECRET_WHY,
			   "%s does not hold %s: expected one line of 1-%zu characters",
			   strcmp(path, "-") == 0 ? "standard input" : path, what, cap - 1);
		e = ERR_INVAL;
	} else {
		e = str_copy(out, cap, line);
	}
	cli_secret_wipe(&text);
	return e;
}

int cli_secret_create(const char *path, int *fd, char why[CLI_SECRET_WHY])
{
	*fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return *fd >= 0 ? 0 : cli_secret_failed("make", path, why);
}

int cli_secret_save(const char *path, int fd, struct str secret, char why[CLI_SECRET_WHY])
{
	bool ok = true;
	int e = 0;

	if (secret.len == 0) {
		(void)!unlink(path);
	} else {
		ok = write(fd, secret.p, secret.len) == (ssize_t)secret.len &&
		     write(fd, "\n", 1) == 1 && fsync(fd) == 0;
		if (!ok)
			e = cli_secret_failed("write", path, why);
	}
	close(fd);
	return e;
}

/* ---- the keyboard ---- */

/* One byte of standard input. Returns 0, ERR_EOF, or the kernel's error. */
static int cli_secret_byte(char *c)
{
	ssize_t n;

	do {
		n = read(STDIN_FILENO, c, 1);
	} while (n < 0 && errno == EINTR);
	return n > 0 ? 0 : n == 0 ? ERR_EOF : err_from_errno(errno);
}

/*
 * Read a line as it is typed: the terminal edits nothing and sends no signal, so that it can always
 * be put back as it was.
 */
static int cli_secret_type(bool terminal, char *out, size_t cap)
{
	size_t n = 0;
	char c;
	int e;

	for (;;) {
		if ((e = cli_secret_byte(&c)) != 0)
			return e == ERR_EOF && n > 0 ? 0 : e;
		if (c == '\n' || (terminal && c == '\r'))
			return 0;
		if (terminal && c == 0x03) /* Ctrl-C */
			return ERR_CLOSED;
		if (terminal && c == 0x04 && n == 0) /* Ctrl-D */
			return ERR_EOF;
		if (terminal && c == 0x15) /* Ctrl-U */
			n = 0;
		else if (terminal && (c == 0x7f || c == 0x08))
			n = n > 0 ? n - 1 : 0;
		else if (n + 1 >= cap)
			return ERR_TOOBIG;
		else if (c != '\0')
			out[n++] = c;
		out[n] = '\0';
	}
}

int cli_secret_ask(FILE *err, const char *prompt, char *out, size_t cap, char why[CLI_SECRET_WHY])
{
	struct termios before, raw;
	bool terminal = isatty(STDIN_FILENO) != 0 && tcgetattr(STDIN_FILENO, &before) == 0;
	size_t n;
	int e;

	out[0] = '\0';
	if (terminal) {
		raw = before;
		raw.c_lflag &= ~(tcflag_t)(ECHO | ICANON | ISIG);
		raw.c_cc[VMIN] = 1;
		raw.c_cc[VTIME] = 0;
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH,
				&raw); /* before anybody is invited to type */
		fputs(prompt, err);
		fflush(err);
	}
	e = cli_secret_type(terminal, out, cap);
	if (terminal) {
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
		fputc('\n', err);
	}
	for (n = strlen(out); n > 0 && out[n - 1] == '\r'; n--)
		out[n - 1] = '\0';
	if (e == 0 && out[0] == '\0')
		e = ERR_EOF;
	if (e != 0)
		str_printf(why, CLI_SECRET_WHY, "%s",
			   e == ERR_CLOSED   ? "broken off"
			   : e == ERR_TOOBIG ? "that is too long"
					     : "nothing was given");
	return e;
}
