/* Messages repeat what somebody typed or stored, so a terminal must survive them. */
#include "config/say.h"

#include <string.h>

#include "base/show.h"

#define SHOWN_MAX 60 /* enough to know it again */

/* See show_visible(); as it may stand in double quotes. */
static size_t say_escape(char dst[8], struct str s)
{
	if (s.p[0] != '"' && s.p[0] != '\\')
		return show_visible(dst, s);
	str_printf(dst, 8, "\\%c", s.p[0]);
	return 1;
}

/* What stands before the password of a URL, with its colon; 0: there is none. */
static size_t say_before_password(struct str value, size_t *password_len)
{
	const char *start = value.len > 0 ? memmem(value.p, value.len, "://", 3) : NULL;
	size_t from, at, colon;
	struct str rest;

	if (start == NULL)
		return 0;
	from = (size_t)(start - value.p) + 3;
	rest = (struct str){value.p + from, value.len - from};
	rest.len = str_find(rest, '/');
	for (at = rest.len; at > 0 && rest.p[at - 1] != '@'; at--)
		;
	colon = str_find((struct str){rest.p, at}, ':');
	if (at == 0 || colon == at)
		return 0;
	*password_len = at - 1 - (colon + 1);
	return from + colon + 1;
}

const char *say_quote(char dst[SAY_QUOTED], struct str value)
{
	size_t at = str_printf(dst, SAY_QUOTED, "\""), secret_len = 0;
	size_t secret = say_before_password(value, &secret_len);
	const char *from = value.p;
	char one[8];

	while (value.len > 0 && at < SHOWN_MAX) {
		if (secret > 0 && (size_t)(value.p - from) == secret) {
			at += str_printf(dst + at, SAY_QUOTED - at, "***");
			value = (struct str){value.p + secret_len, value.len - secret_len};
			secret = 0;
			continue;
		}
		size_t n = say_escape(one, value);

		at += str_printf(dst + at, SAY_QUOTED - at, "%s", one);
		value = (struct str){value.p + n, value.len - n};
	}
	str_printf(dst + at, SAY_QUOTED - at, "%s\"", value.len > 0 ? "..." : "");
	return dst;
}

void say_print_quoted(FILE *out, struct str value)
{
	char one[8];

	fputc('"', out);
	while (value.len > 0) {
		size_t n = say_escape(one, value);

		fputs(one, out);
		value = (struct str){value.p + n, value.len - n};
	}
	fputc('"', out);
}

void say_wrap(FILE *out, const char *text, size_t column, size_t indent)
{
	struct str rest = str_of(text), word;
	bool first = true;

	while (str_next(&rest, ' ', &word)) {
		if (word.len == 0)
			continue;
		if (!first && column + 1 + word.len > SAY_COLUMNS) {
			fprintf(out, "\n%*s", (int)indent, "");
			column = indent;
			first = true;
		}
		fprintf(out, "%s" STR_FMT, first ? "" : " ", STR_ARG(word));
		column += word.len + (first ? 0 : 1);
		first = false;
	}
	fputc('\n', out);
}
