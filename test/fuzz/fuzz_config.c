/*
 * Any bytes as a configuration file: a tree within its bounds, and settings that --show-config
 * writes down so that they can be read back as the same.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "config/conffile.h"
#include "config/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_settings {
	struct config_list list, map;
	char *text, *other;
	uint64_t number, time, size;
	int word;
	bool flag;
};

static const char *const fuzz_words[] = {"one", "two", NULL};

#define ROW(n, t, m) \
	.name = (n), .type = (t), .help = "H", .offset = offsetof(struct fuzz_settings, m)

static const struct config_option fuzz_rows[] = {
	{ROW("list", CONFIG_LIST, list)},
	{ROW("map", CONFIG_LIST, map), .flags = CONFIG_MAP},
	{ROW("text", CONFIG_TEXT, text)},
	{ROW("other", CONFIG_TEXT, other)},
	{ROW("number", CONFIG_NUM, number), .max = 65535},
	{ROW("time", CONFIG_DURATION, time), .min = 10},
	{ROW("size", CONFIG_SIZE, size)},
	{ROW("word", CONFIG_ENUM, word), .words = fuzz_words},
	{ROW("flag", CONFIG_FLAG, flag)},
};
static const struct config_table fuzz_tables[] = {CONFIG_TABLE(fuzz_rows)};
static const struct config_command fuzz_command = {.summary = "Nothing"};
static const struct config_program fuzz_program = {
	.name = "fuzz",
	.version = "1",
	.summary = "Nothing",
	.env_prefix = "FUZZ_",
	.tables = fuzz_tables,
	.n_tables = 1,
	.commands = &fuzz_command,
	.n_commands = 1,
};

/* Count nodes and look at what every node promises. A key and its value are equally deep. */
static size_t fuzz_tree(const struct tree *t, int depth)
{
	size_t n = 0;

	CHECK(t == NULL || depth <= TREE_DEPTH_MAX + 1);
	for (; t != NULL; t = t->next, n++) {
		CHECK(t->line >= 1 && t->col >= 1);
		CHECK(t->text.len <= TREE_SCALAR_MAX && strlen(t->text.p) == t->text.len);
		CHECK(t->kind != TREE_SCALAR || t->child == NULL);
		n += fuzz_tree(t->child, depth + 1) + fuzz_tree(t->value, depth);
	}
	return n;
}

/* Load bytes as the file into new settings; the message must be one line. */
static struct config *fuzz_load(struct str bytes, struct fuzz_settings *set)
{
	char *argv[] = {strdup("fuzz")};
	struct config_input in = {.argc = 1, .argv = argv};
	struct config *c = NULL;
	int e;

	memset(set, 0, sizeof *set);
	CHECK(config_load(&fuzz_program, &in, set, &c) == 0);
	c->path = strdup("fuzz.yaml");
	e = conffile_read(c, bytes);
	CHECK(e == 0 || e == ERR_INVAL);
	CHECK((e == 0) == (config_message(c)[0] == '\0'));
	CHECK(strchr(config_message(c), '\n') == NULL);
	c->error = e;
	free(argv[0]);
	return c;
}

static char *fuzz_show(const struct config *c, size_t *len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, len);

	CHECK(f != NULL);
	config_show(c, f);
	fclose(f);
	return text;
}

/* The values of a --show-config, without the comments that say where they are from. */
static void fuzz_again(const struct config *c)
{
	struct fuzz_settings set;
	struct config *again;
	size_t len, len_again;
	char *text = fuzz_show(c, &len), *text_again;

	if (len <= TREE_BYTES_MAX) {
		again = fuzz_load((struct str){text, len}, &set);
		CHECK(again->error == 0);
		for (size_t i = 0; i < c->n_slots; i++)
			again->slots[i].line = c->slots[i].line;
		text_again = fuzz_show(again, &len_again);
		CHECK(len == len_again && memcmp(text, text_again, len) == 0);
		free(text_again);
		config_free(again);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str bytes = {(const char *)data, size};
	struct fuzz_settings set;
	struct tree_error why;
	struct tree *t = NULL;
	struct config *c;
	int e = tree_parse(bytes, &t, &why);

	CHECK(e == 0 || (t == NULL && why.text[0] != '\0'));
	CHECK(fuzz_tree(t, 1) <= TREE_NODES_MAX);
	tree_free(t);

	c = fuzz_load(bytes, &set);
	if (c->error == 0)
		fuzz_again(c);
	config_free(c);
	return 0;
}
