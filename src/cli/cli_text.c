/* A name that somebody else chose may hold an escape sequence, or letters two columns wide. */
#include "cli/cli_text.h"

#include <locale.h>
#include <string.h>
#include <wchar.h>

#include "base/err.h"
#include "base/show.h"

int cli_text_clean(struct buf *b, struct str text)
{
	char one[8];
	int e = 0;

	while (text.len > 0 && e == 0) {
		size_t n = show_visible(one, text);

		e = buf_add(b, one, strlen(one), CLI_TEXT_MAX);
		text = (struct str){text.p + n, text.len - n};
	}
	return e == ERR_TOOBIG ? 0 : e;
}

void cli_text_print(FILE *out, struct str text)
{
	char one[8];

	while (text.len > 0) {
		size_t n = show_visible(one, text);

		fputs(one, out);
		text = (struct str){text.p + n, text.len - n};
	}
}

void cli_text_print_json(FILE *out, struct str json)
{
	char one[8];
	uint32_t c;

	while (json.len > 0) {
		size_t n = show_decode(json, &c), used = show_visible(one, json);

		if (n > 0 && one[0] == '\\' && json.p[0] != '\\')
			fprintf(out, "\\u%04x", c); /* outside of texts, JSON is plain ASCII */
		else
			fputs(one, out);
		json = (struct str){json.p + used, json.len - used};
	}
}

/* Columns of the character that clean text starts with; *n: its bytes. */
static size_t cli_text_char(struct str text, size_t *n)
{
	uint32_t c;
	int width;

	*n = show_decode(text, &c);
	if (*n == 0)
		*n = 1;
	if (*n == 1)
		return 1;
	width = wcwidth((wchar_t)c);
	return width < 0 ? 1 : (size_t)width;
}

/* The C library knows how wide characters are, but only while a locale with UTF-8 is in use. */
struct cli_text_locale {
	locale_t mine, before;
};

static struct cli_text_locale cli_text_enter(void)
{
	struct cli_text_locale l = {newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0), (locale_t)0};

	if (l.mine != (locale_t)0)
		l.before = uselocale(l.mine);
	return l;
}

static void cli_text_leave(struct cli_text_locale l)
{
	if (l.mine == (locale_t)0)
		return;
	uselocale(l.before);
	freelocale(l.mine);
}

/*
 * Go over text as far as it fits.
 *   columns  how many there are.
 *   *used    set to those that were used.
 * Returns its bytes.
 */
static size_t cli_text_span(struct str text, size_t columns, size_t *used)
{
	struct cli_text_locale l = cli_text_enter();
	size_t at = 0, n;

	*used = 0;
	while (at < text.len) {
		size_t width = cli_text_char((struct str){text.p + at, text.len - at}, &n);

		if (*used + width > columns)
			break;
		*used += width;
		at += n;
	}
	cli_text_leave(l);
	return at;
}

size_t cli_text_width(struct str text)
{
	size_t used;

	(void)cli_text_span(text, SIZE_MAX / 2, &used);
	return used;
}

size_t cli_text_fit(FILE *out, struct str text, size_t columns)
{
	size_t used, n = cli_text_span(text, columns, &used);

	if (n < text.len) {
		n = cli_text_span(text, columns - 1, &used);
		fprintf(out, STR_FMT "…", (int)n, text.p);
		return used + 1;
	}
	fprintf(out, STR_FMT, (int)n, text.p);
	return used;
}
