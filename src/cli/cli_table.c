/* Columns can be measured only when all rows are there, so rows are kept until the end. */
#include "cli/cli_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/cli_text.h"

/* Between two columns. */
#define GAP 2

struct cli_table {
	const char *const *titles; /* borrowed; may be NULL */
	size_t n_columns;
	char **cells; /* owned: [n] owned texts, row by row */
	size_t n, size;
	size_t widths[CLI_TABLE_COLUMNS];
};

int cli_table_new(const char *const *titles, size_t n_columns, struct cli_table **out)
{
	struct cli_table *t = calloc(1, sizeof *t);

	CHECK(n_columns > 0 && n_columns <= CLI_TABLE_COLUMNS);
	if (t == NULL)
		return ERR_NOMEM;
	t->titles = titles;
	t->n_columns = n_columns;
	for (size_t i = 0; titles != NULL && i < n_columns; i++)
		t->widths[i] = strlen(titles[i]);
	*out = t;
	return 0;
}

void cli_table_free(struct cli_table *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->n; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t);
}

static int cli_table_grow(struct cli_table *t)
{
	size_t size = t->size == 0 ? 64 : 2 * t->size;
	char **cells = reallocarray(t->cells, size, sizeof *cells);

	if (cells == NULL)
		return ERR_NOMEM;
	t->cells = cells;
	t->size = size;
	return 0;
}

int cli_table_cell(struct cli_table *t, struct str text)
{
	size_t *width = &t->widths[t->n % t->n_columns];
	struct buf clean = {0};
	char *copy = NULL;
	int e;

	if ((e = cli_text_clean(&clean, text)) != 0)
		goto out;
	if (t->n == t->size && (e = cli_table_grow(t)) != 0)
		goto out;
	e = ERR_NOMEM;
	if ((copy = str_dup(buf_str(&clean))) == NULL)
		goto out;
	*width = MAX(*width, cli_text_width(buf_str(&clean)));
	MOVE(t->cells[t->n++], copy);
	e = 0;
out:
	buf_free(&clean);
	return e;
}

/* Take columns off the widest until all fit, or none can be narrower. */
static void cli_table_narrow(size_t *widths, size_t n, size_t columns)
{
	size_t sum = GAP * (n - 1);

	for (size_t i = 0; i < n; i++)
		sum += widths[i];
	while (sum > columns) {
		size_t widest = 0;

		for (size_t i = 1; i < n; i++)
			if (widths[i] > widths[widest])
				widest = i;
		if (widths[widest] <= CLI_TABLE_NARROW)
			return;
		widths[widest]--;
		sum--;
	}
}

/* One line; no spaces at its end. */
static void cli_table_line(const struct cli_table *t, FILE *out, const char *const *cells,
			   const size_t *widths)
{
	size_t n = t->n_columns, pad = 0;

	while (n > 1 && cells[n - 1][0] == '\0')
		n--;
	for (size_t i = 0; i < n; i++) {
		size_t used = 0;

		fprintf(out, "%*s", (int)pad, "");
		if (widths[i] > 0)
			used = cli_text_fit(out, str_of(cells[i]), widths[i]);
		pad = widths[i] - MIN(used, widths[i]) + GAP;
	}
}

void cli_table_print(const struct cli_table *t, FILE *out, size_t columns, bool bold)
{
	size_t widths[CLI_TABLE_COLUMNS];

	CHECK(t->n % t->n_columns == 0);
	memcpy(widths, t->widths, sizeof widths);
	if (columns > 0)
		cli_table_narrow(widths, t->n_columns, columns);
	if (t->titles != NULL) {
		fputs(bold ? "\x1b[1m" : "", out);
		cli_table_line(t, out, t->titles, widths);
		fputs(bold ? "\x1b[0m\n" : "\n", out);
	}
	for (size_t i = 0; i < t->n; i += t->n_columns) {
		cli_table_line(t, out, (const char *const *)(t->cells + i), widths);
		fputc('\n', out);
	}
}
