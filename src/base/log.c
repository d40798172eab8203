/* Lines for people and for grep; what strangers sent is made harmless here, once. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/err.h"

#define LINE_CAP 1000

static const char *const names[] = {"error", "warn", "info", "debug"};

int log_level_parse(struct str s, enum log_level *out)
{
	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		if (str_eq(s, str_of(names[i]))) {
			*out = (enum log_level)i;
			return 0;
		}
	}
	return ERR_INVAL;
}

static void log_write_stderr(void *arg, enum log_level level, const char *line, size_t len)
{
	const struct log *log = arg;
	char out[LINE_CAP + 64];
	size_t n = str_printf(out, sizeof out, "%s%s%s %.*s\n", log->stamp,
			      log->stamp[0] ? " " : "", names[level], (int)len, line);
	ssize_t done = write(STDERR_FILENO, out, n);

	(void)done; /* nowhere left to complain */
}

void log_init_stderr(struct log *log, enum log_level level)
{
	*log = (struct log){.level = level, .write = log_write_stderr, .arg = log};
}

void log_line(struct log *log, enum log_level level, const char *fmt, ...)
{
	char raw[LINE_CAP], line[LINE_CAP];
	size_t n = 0;
	va_list ap;

	if (level > log->level)
		return;
	va_start(ap, fmt);
	vsnprintf(raw, sizeof raw, fmt, ap);
	va_end(ap);
	for (const char *p = raw; *p != '\0' && n < sizeof line - 5; p++) {
		unsigned char c = (unsigned char)*p;

		if (c < 0x20 || c == 0x7f)
			n += str_printf(line + n, sizeof line - n, "\\x%02x", c);
		else
			line[n++] = *p;
	}
	log->write(log->arg, level, line, n);
}
