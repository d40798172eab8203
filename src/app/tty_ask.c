/* The kernel edits the line; signals are off meanwhile, so that the terminal is always put back. */
#include "app/tty_ask.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/err.h"
#include "cli/cli_text.h"

#define TTY_CTRL_C 0x03

/* Lines, each made harmless. */
static void tty_show(FILE *tty, const char *prompt)
{
	struct str rest = str_of(prompt), line;
	const char *head = "";

	while (str_next(&rest, '\n', &line)) {
		fputs(head, tty);
		cli_text_print(tty, line);
		head = "\n";
	}
	fflush(tty);
}

/*
 * Read until the line ends.
 *   signals  those that are let through, while waiting only: none is missed.
 * Returns 0, ERR_CLOSED (Ctrl-C), or ERR_DENIED.
 */
static int tty_read(int fd, const sigset_t *signals, char *out, size_t cap)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	size_t n = 0;
	bool fits = true;
	char c;

	for (;;) {
		if (ppoll(&p, 1, NULL, signals) != 1) /* who caught it knows what to do */
			return ERR_DENIED;
		if (read(fd, &c, 1) != 1)
			return ERR_DENIED;
		if (c == TTY_CTRL_C)
			return ERR_CLOSED;
		if (c == '\n')
			return fits ? 0 : ERR_DENIED;
		fits = fits && n + 1 < cap && c != '\0';
		if (fits)
			out[n++] = c;
		out[n] = '\0';
	}
}

int tty_ask(const char *prompt, bool echo, char *out, size_t cap)
{
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY), e = ERR_DENIED;
	struct termios before, during;
	sigset_t all, signals;
	FILE *tty = NULL;

	out[0] = '\0';
	if (fd < 0 || tcgetattr(fd, &before) != 0 || (tty = fdopen(fd, "r+")) == NULL)
		goto out;
	setvbuf(tty, NULL, _IOFBF, BUFSIZ);
	during = before;
	during.c_lflag = (during.c_lflag & ~(tcflag_t)(ISIG | ECHO)) | ICANON | (echo ? ECHO : 0);
	during.c_iflag |= ICRNL;
	during.c_cc[VEOL2] = TTY_CTRL_C; /* ends the line, and stands in it */
	during.c_lflag |= IEXTEN;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &signals);
	(void)tcsetattr(fd, TCSAFLUSH, &during); /* before anybody is invited to type */
	tty_show(tty, prompt);
	e = tty_read(fd, &signals, out, cap);
	(void)tcsetattr(fd, TCSAFLUSH, &before);
	sigprocmask(SIG_SETMASK, &signals, NULL);
	if (!echo || e != 0)
		fputc('\n', tty);
out:
	if (e != 0)
		explicit_bzero(out, cap);
	if (tty != NULL)
		fclose(tty);
	else if (fd >= 0)
		close(fd);
	return e;
}
