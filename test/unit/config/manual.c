/* The manual page: what a formatter needs, and nothing of the tables lost or misread. */
#include "config/manual.h"

#include "sample.h"

static char *print(const struct config_program *p)
{
	char *page = NULL;
	size_t len;
	FILE *f = open_memstream(&page, &len);

	assert_non_null(f);
	manual_print(p, f);
	fclose(f);
	return page;
}

static void test_page(void **state)
{
	static const char *const parts[] = {
		".Dd November 21, 2026\n.Dt KAREZ 1\n.Os karez 0.1.0\n.Sh NAME\n.Nm karez\n"
		".Nd Publish local services\n.Sh SYNOPSIS\n.Nm\n.Op Cm \"\\&http\"\n"
		".Op Ar option ...\n.Ar \"\\&TARGET\"\n.Nm karez\n.Cm \"\\&tcp\"\n",
		"\n.Sh DESCRIPTION\nPublish local services.\n.Sh COMMANDS\n.Ss karez http\n",
		"\nVisitors reach it at a name of its own.\nBack-pressure is kept end to end.\n",
		"\n.Sh OPTIONS\n.Ss \"\\&Tunnel\"\nFor the command http.\n",
		"\n.It Fl l , Fl \\-label Ar \"\\&LABEL\"\n",
		"\n.It Fl \\-[no\\-]reconnect\n",
		"\n.Sh ENVIRONMENT\n",
		"\n.Ev KAREZ_ .\n",
		"\n.Sh FILES\n",
		"\n.It Pa \"\\&~/sample.yaml\"\n",
		"\n.Sh EXIT STATUS\n",
	};
	char *page = print(&sample_program), *at = page;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		at = strstr(at, parts[i]);
		if (at == NULL)
			fail_msg("not there, or not in order: %s\n%s", parts[i], page);
	}
	assert_null(strstr(page, "fixed"));
	assert_null(strstr(page, "anonymous"));
	free(page);
}

/* Text cannot become a request of the formatter. */
static void test_escapes(void **state)
{
	static const struct config_option rows[] = {
		{.name = "path",
		 .type = CONFIG_TEXT,
		 .metavar = "Xo \"C:\\x\"",
		 .help = ".Ex starts with a dot and has a back\\slash. 'so' does this one, "
			 "and it goes on until it has to be broken .dot",
		 .offset = offsetof(struct sample, server)},
	};
	static const struct config_table tables[] = {CONFIG_TABLE(rows)};
	static const struct config_command only = {.summary = "Nothing"};
	struct config_program p = sample_program;
	char *page;

	p.tables = tables;
	p.commands = &only;
	p.n_commands = 1;
	p.fallback = NULL;
	p.files = NULL;
	p.manual_before = "Our own words.";
	p.manual_after = ".Sh SEE ALSO\n.Xr ssh 1";
	page = print(&p);
	assert_non_null(strstr(page, "\n.It Fl \\-path Ar \"\\&Xo \\(dqC:\\ex\\(dq\"\n"));
	assert_non_null(strstr(page,
			       "\n\\&.Ex starts with a dot and has a back\\eslash.\n"
			       "\\&'so' does this one, and it goes on until it has to be broken\n"
			       "\\&.dot.\n"));
	assert_non_null(strstr(page, "\n.Sh DESCRIPTION\nOur own words.\n"));
	assert_null(strstr(page, ".Sh COMMANDS"));
	assert_non_null(strstr(page, ".El\n.Sh SEE ALSO\n.Xr ssh 1\n"));
	for (struct str rest = str_of(page), line; str_next(&rest, '\n', &line);)
		assert_true(line.len <= 80);
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_escapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
