/*
 * Any words, one a line, as command line and environment: settings or a message of one line, and
 * the value of a secret is in no message.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WORDS_MAX 64
#define SECRET	  "hunter2-hunter2"

struct fuzz_settings {
	struct config_list list, rest;
	char *text, *secret, *first;
	uint64_t number, time;
	int word;
	bool flag, other;
};

static const char *const fuzz_words[] = {"one", "two", NULL};

#define ROW(n, t, m) \
	.name = (n), .type = (t), .help = "H", .offset = offsetof(struct fuzz_settings, m)

static const struct config_option fuzz_rows[] = {
	{ROW("list", CONFIG_LIST, list), .letter = 'l'},
	{ROW("text", CONFIG_TEXT, text), .letter = 't'},
	{ROW("secret", CONFIG_SECRET, secret), .flags = CONFIG_NOT_ARGV},
	{ROW("number", CONFIG_NUM, number), .max = 65535, .letter = 'n'},
	{ROW("time", CONFIG_DURATION, time), .min = 10, .initial = "1s"},
	{ROW("word", CONFIG_ENUM, word), .words = fuzz_words},
	{ROW("flag", CONFIG_FLAG, flag), .letter = 'f'},
};
static const struct config_option fuzz_other[] = {
	{ROW("other", CONFIG_FLAG, other), .letter = 'o'},
};
static const struct config_option fuzz_args[] = {
	{ROW("FIRST", CONFIG_TEXT, first), .flags = CONFIG_REQUIRED},
	{ROW("REST", CONFIG_LIST, rest)},
};
static const struct config_table fuzz_tables[] = {CONFIG_TABLE(fuzz_rows)};
static const struct config_table fuzz_others[] = {CONFIG_TABLE(fuzz_other)};
static const struct config_command fuzz_commands[] = {
	{.name = "one", .summary = "One", .args = fuzz_args, .n_args = 2},
	{.name = "two", .summary = "Two", .tables = fuzz_others, .n_tables = 1},
};

static struct config_program fuzz_program(bool fallback)
{
	return (struct config_program){
		.name = "fuzz",
		.version = "1",
		.summary = "Nothing",
		.env_prefix = "FUZZ_",
		.tables = fuzz_tables,
		.n_tables = 1,
		.commands = fuzz_commands,
		.n_commands = 2,
		.fallback = fallback ? &fuzz_commands[0] : NULL,
		.manual_section = 1,
		.manual_date = "November 21, 2026",
	};
}

/* A fuzzer would find /dev/tty by and by: it may name no file. */
static bool fuzz_names_file(const char *word)
{
	return word[0] == '-' && strchr(word, 'c') != NULL;
}

/* Did the input itself bring the secret to where it may be shown? */
static bool fuzz_told(const struct config_input *in)
{
	for (int i = 0; i < in->argc; i++)
		if (strstr(in->argv[i], SECRET) != NULL)
			return true;
	return in->envp[1] != NULL && strstr(in->envp[1], SECRET) != NULL;
}

static void fuzz_run(const struct config_input *in, bool fallback)
{
	struct config_program p = fuzz_program(fallback);
	struct fuzz_settings set = {0}, none = {0};
	struct config *c = NULL;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	int code, e = config_load(&p, in, &set, &c);

	CHECK(f != NULL && (e == 0 || e == ERR_INVAL));
	CHECK((e == 0) == (config_message(c)[0] == '\0'));
	CHECK(strchr(config_message(c), '\n') == NULL);
	CHECK(config_finish(c, f, f, &code) || (e == 0 && set.first != NULL) ||
	      config_command(c) == &fuzz_commands[1]);
	CHECK((code == 2) == (e == ERR_INVAL));
	fclose(f);
	CHECK(fuzz_told(in) || strstr(text, SECRET) == NULL);
	free(text);
	config_free(c);
	CHECK(memcmp(&set, &none, sizeof set) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = {(const char *)data, size}, line;
	char *argv[WORDS_MAX + 1], *envp[3] = {NULL, NULL, NULL};
	struct config_input in = {.argv = argv, .envp = envp};

	envp[0] = strdup("FUZZ_SECRET=" SECRET);
	argv[in.argc++] = strdup("fuzz");
	while (in.argc < WORDS_MAX && size > 0 && str_next(&rest, '\n', &line)) {
		char *word = str_dup(line);

		CHECK(word != NULL);
		if (strncmp(word, "FUZZ_", 5) == 0 && strncmp(word, "FUZZ_CONFIG", 11) != 0 &&
		    envp[1] == NULL)
			envp[1] = word;
		else if (fuzz_names_file(word))
			free(word);
		else
			argv[in.argc++] = word;
	}
	argv[in.argc] = NULL;
	fuzz_run(&in, false);
	fuzz_run(&in, true);
	while (in.argc > 0)
		free(argv[--in.argc]);
	free(envp[0]);
	free(envp[1]);
	return 0;
}
