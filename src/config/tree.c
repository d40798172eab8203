/*
 * Whoever can put a file in front of us must not get more than an error message out of it, so the
 * bounds stand between libyaml's events and our memory: nothing is built that was not counted.
 */
#include "config/tree.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/err.h"

/* A mapping or sequence that is still open. */
struct tree_frame {
	struct tree *node;  /* borrowed: hangs in the tree already */
	struct tree **tail; /* where the next item or key goes */
	struct tree *key;   /* MAPPING: the key that waits for its value, or NULL; borrowed */
};

struct tree_builder {
	struct tree *root; /* owned */
	struct tree_frame stack[TREE_DEPTH_MAX];
	size_t depth;
	size_t n_nodes;
	bool done; /* a document was read to its end */
	struct tree_error *why;
};

static int tree_fail(struct tree_builder *b, yaml_mark_t at, int e, const char *text)
{
	b->why->line = (unsigned)at.line + 1;
	b->why->col = (unsigned)at.column + 1;
	str_printf(b->why->text, sizeof b->why->text, "%s", text);
	return e;
}

void tree_free(struct tree *t)
{
	while (t != NULL) {
		struct tree *next = t->next;

		tree_free(t->child); /* goes no deeper than TREE_DEPTH_MAX */
		tree_free(t->value);
		free(t);
		t = next;
	}
}

bool tree_null(const struct tree *t)
{
	static const char *const words[] = {"", "~", "null", "Null", "NULL"};

	if (t == NULL)
		return true;
	if (t->kind != TREE_SCALAR || t->quoted)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (str_eq(t->text, str_of(words[i])))
			return true;
	return false;
}

/* Hang a node where the document says. The tree owns it on success only. */
static int tree_attach(struct tree_builder *b, struct tree *node, yaml_mark_t at)
{
	struct tree_frame *top;

	if (b->depth == 0) {
		b->root = node;
		return 0;
	}
	top = &b->stack[b->depth - 1];
	if (top->node->kind == TREE_MAPPING && top->key != NULL) {
		top->key->value = node;
		top->key = NULL;
		return 0;
	}
	if (top->node->kind == TREE_MAPPING) {
		if (node->kind != TREE_SCALAR)
			return tree_fail(b, at, ERR_INVAL, "a key must be a plain word");
		top->key = node;
	}
	*top->tail = node;
	top->tail = &node->next;
	return 0;
}

/*
 * Make a node, with room for its text behind it, and hang it.
 *   model  kind, quoted and text are taken from it.
 */
static int tree_add(struct tree_builder *b, struct tree model, yaml_mark_t at)
{
	struct tree *node;
	char *copy;
	int e;

	if (++b->n_nodes > TREE_NODES_MAX)
		return tree_fail(b, at, ERR_TOOBIG, "too many values: 65536 are the most");
	if ((node = calloc(1, sizeof *node + model.text.len + 1)) == NULL)
		return ERR_NOMEM;
	copy = (char *)(node + 1);
	if (model.text.len > 0)
		memcpy(copy, model.text.p, model.text.len);
	node->kind = model.kind;
	node->quoted = model.quoted;
	node->line = (unsigned)at.line + 1;
	node->col = (unsigned)at.column + 1;
	node->text = (struct str){copy, model.text.len};
	if ((e = tree_attach(b, node, at)) != 0) {
		free(node);
		return e;
	}
	if (model.kind == TREE_SCALAR)
		return 0;
	if (b->depth == TREE_DEPTH_MAX)
		return tree_fail(b, at, ERR_TOOBIG, "nested too deep: 8 levels are the most");
	b->stack[b->depth++] = (struct tree_frame){.node = node, .tail = &node->child};
	return 0;
}

/* Anchors make bombs, tags make types: neither is needed to say what a program shall do. */
static int tree_refuse(struct tree_builder *b, const yaml_event_t *event, const yaml_char_t *anchor,
		       const yaml_char_t *tag)
{
	if (anchor != NULL)
		return tree_fail(b, event->start_mark, ERR_INVAL, "anchors are not allowed");
	if (tag != NULL)
		return tree_fail(b, event->start_mark, ERR_INVAL, "tags are not allowed");
	return 0;
}

static int tree_on_scalar(struct tree_builder *b, const yaml_event_t *event)
{
	struct tree model = {
		.kind = TREE_SCALAR,
		.quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE,
		.text = {(const char *)event->data.scalar.value, event->data.scalar.length},
	};
	int e;

	if ((e = tree_refuse(b, event, event->data.scalar.anchor, event->data.scalar.tag)) != 0)
		return e;
	if (model.text.len > TREE_SCALAR_MAX)
		return tree_fail(b, event->start_mark, ERR_TOOBIG,
				 "a value is too long: 64 KiB are the most");
	if (str_find(model.text, '\0') != model.text.len)
		return tree_fail(b, event->start_mark, ERR_INVAL, "a NUL byte is not allowed");
	return tree_add(b, model, event->start_mark);
}

static int tree_compare(const void *a, const void *b)
{
	const struct tree *const *ka = a, *const *kb = b;
	int order = strcmp((*ka)->text.p, (*kb)->text.p);

	if (order != 0)
		return order;
	return (*ka)->line != (*kb)->line ? ((*ka)->line < (*kb)->line ? -1 : 1)
					  : ((*ka)->col < (*kb)->col ? -1 : 1);
}

/* Sorting finds equal keys without a hash whose seed somebody could know. */
static int tree_check_keys(struct tree_builder *b, const struct tree *mapping)
{
	const struct tree **keys = NULL;
	size_t n = 0, i = 0;
	int e = 0;

	for (const struct tree *k = mapping->child; k != NULL; k = k->next)
		n++;
	if (n < 2)
		return 0;
	if ((keys = calloc(n, sizeof(*keys))) == NULL)
		return ERR_NOMEM;
	for (const struct tree *k = mapping->child; k != NULL; k = k->next)
		keys[i++] = k;
	qsort(keys, n, sizeof(*keys), tree_compare);
	for (i = 1; i < n && e == 0; i++) {
		if (!str_eq(keys[i - 1]->text, keys[i]->text))
			continue;
		b->why->line = keys[i]->line;
		b->why->col = keys[i]->col;
		str_printf(b->why->text, sizeof b->why->text, "the key stands in line %u already",
			   keys[i - 1]->line);
		e = ERR_INVAL;
	}
	free(keys);
	return e;
}

static int tree_on_event(struct tree_builder *b, const yaml_event_t *event)
{
	int e;

	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (b->done)
			return tree_fail(b, event->start_mark, ERR_INVAL,
					 "a second document is not allowed");
		return 0;
	case YAML_DOCUMENT_END_EVENT: b->done = true; return 0;
	case YAML_ALIAS_EVENT:
		return tree_fail(b, event->start_mark, ERR_INVAL, "aliases are not allowed");
	case YAML_SCALAR_EVENT: return tree_on_scalar(b, event);
	case YAML_SEQUENCE_START_EVENT:
		e = tree_refuse(b, event, event->data.sequence_start.anchor,
				event->data.sequence_start.tag);
		return e != 0 ? e
			      : tree_add(b, (struct tree){.kind = TREE_SEQUENCE},
					 event->start_mark);
	case YAML_MAPPING_START_EVENT:
		e = tree_refuse(b, event, event->data.mapping_start.anchor,
				event->data.mapping_start.tag);
		return e != 0 ? e
			      : tree_add(b, (struct tree){.kind = TREE_MAPPING}, event->start_mark);
	case YAML_SEQUENCE_END_EVENT: b->depth--; return 0;
	case YAML_MAPPING_END_EVENT: return tree_check_keys(b, b->stack[--b->depth].node);
	default: return 0;
	}
}

/* Line and column of a byte. */
static yaml_mark_t tree_mark(struct str bytes, size_t offset)
{
	yaml_mark_t at = {0};

	for (size_t i = 0; i < offset && i < bytes.len; i++) {
		if (bytes.p[i] == '\n') {
			at.line++;
			at.column = 0;
		} else if (((unsigned char)bytes.p[i] & 0xc0) != 0x80) {
			at.column++;
		}
	}
	return at;
}

/* libyaml could not go on: put its reason into our words. */
static int tree_on_problem(struct tree_builder *b, const yaml_parser_t *parser, struct str bytes)
{
	switch (parser->error) {
	case YAML_MEMORY_ERROR: return ERR_NOMEM;
	case YAML_READER_ERROR:
		return tree_fail(b, tree_mark(bytes, parser->problem_offset), ERR_INVAL,
				 "bytes that are not UTF-8 text");
	default:
		return tree_fail(b, parser->problem_mark, ERR_INVAL,
				 parser->problem == NULL ? "not YAML" : parser->problem);
	}
}

static int tree_run(struct tree_builder *b, yaml_parser_t *parser, struct str bytes)
{
	yaml_event_t event;
	bool end = false;
	int e = 0;

	yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(parser, (const unsigned char *)bytes.p, bytes.len);
	while (e == 0 && !end) {
		if (!yaml_parser_parse(parser, &event))
			return tree_on_problem(b, parser, bytes);
		end = event.type == YAML_STREAM_END_EVENT;
		e = tree_on_event(b, &event);
		yaml_event_delete(&event);
	}
	return e;
}

int tree_parse(struct str bytes, struct tree **out, struct tree_error *why)
{
	struct tree_builder b = {.why = why};
	yaml_parser_t parser;
	size_t nul;
	int e;

	*out = NULL;
	memset(why, 0, sizeof *why);
	if (bytes.len > TREE_BYTES_MAX) {
		str_printf(why->text, sizeof why->text, "too big: 1 MiB is the most");
		return ERR_TOOBIG;
	}
	if (str_starts(bytes, STR("\xef\xbb\xbf")))
		bytes = (struct str){bytes.p + 3, bytes.len - 3};
	if ((nul = str_find(bytes, '\0')) != bytes.len)
		return tree_fail(&b, tree_mark(bytes, nul), ERR_INVAL, "a NUL byte is not allowed");
	if (bytes.len == 0)
		return 0;
	if (!yaml_parser_initialize(&parser))
		return ERR_NOMEM;
	e = tree_run(&b, &parser, bytes);
	yaml_parser_delete(&parser);
	if (e == 0)
		MOVE(*out, b.root);
	tree_free(b.root);
	return e;
}

int tree_slurp(FILE *f, struct buf *out)
{
	char *at;
	size_t n;
	int e;

	do {
		if ((e = buf_room(out, 4096, TREE_BYTES_MAX + 8192, &at)) != 0)
			return e;
		n = fread(at, 1, 4096, f);
		buf_added(out, n);
	} while (n > 0 && out->len <= TREE_BYTES_MAX);
	return ferror(f) ? ERR_IO : 0;
}
