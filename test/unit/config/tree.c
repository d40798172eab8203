/* Documents as trees: what is read, where it stood, and where the bounds are. */
#include "config/tree.h"

#include "sample.h"

/* Write a tree as [..], {..}, words and "quoted" words, each with @line:col. */
static void print(FILE *f, const struct tree *t)
{
	if (t == NULL)
		return;
	if (t->kind == TREE_SCALAR)
		fprintf(f, t->quoted ? "\"%s\"" : "%s", t->text.p);
	else
		fputc(t->kind == TREE_SEQUENCE ? '[' : '{', f);
	for (const struct tree *k = t->child; k != NULL; k = k->next) {
		fputs(k == t->child ? "" : " ", f);
		print(f, k);
		if (t->kind != TREE_MAPPING)
			continue;
		assert_non_null(k->value);
		fputs("=", f);
		print(f, k->value);
	}
	if (t->kind != TREE_SCALAR)
		fputc(t->kind == TREE_SEQUENCE ? ']' : '}', f);
	fprintf(f, "@%u:%u", t->line, t->col);
}

static const struct {
	const char *why, *bytes, *want;
} cases[] = {
	{"nothing", "", ""},
	{"a word", "x", "x@1:1"},
	{"an empty document", "---\n", "@2:1"},
	{"a mapping", "a: 1\nb: '2'\n", "{a@1:1=1@1:4 b@2:1=\"2\"@2:4}@1:1"},
	{"no value", "a:\n", "{a@1:1=@1:3}@1:1"},
	{"a sequence", "- a\n- - b\n", "[a@1:3 [b@2:5]@2:3]@1:1"},
	{"a services file", "{\"hello-world\":9000,\"websockets\":9001}",
	 "{\"hello-world\"@1:2=9000@1:16 \"websockets\"@1:21=9001@1:34}@1:1"},
	{"columns count characters", "{ä: 市, b: c}", "{ä@1:2=市@1:5 b@1:8=c@1:11}@1:1"},
	{"a byte order mark is no character", "\xef\xbb\xbf- a\n", "[a@1:3]@1:1"},
	{"CR LF", "a: 1\r\nb: |\r\n  x\r\n", "{a@1:1=1@1:4 b@2:1=\"x\n\"@2:4}@1:1"},
	{"a block", "|\n a\n b\n", "\"a\nb\n\"@1:1"},
	{"depth 8", "[[[[[[[[x]]]]]]]]", "[[[[[[[[x@1:9]@1:8]@1:7]@1:6]@1:5]@1:4]@1:3]@1:2]@1:1"},
	{"JSON words", "[true, null, -1.5e3, \"\\u00e4\"]",
	 "[true@1:2 null@1:8 -1.5e3@1:14 \"ä\"@1:22]@1:1"},
};

static void test_read(void **state)
{
	char text[300];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct tree *t = NULL;
		struct tree_error why;
		FILE *f;
		int e = tree_parse(str_of(cases[i].bytes), &t, &why);

		memset(text, 0, sizeof text);
		assert_non_null(f = fmemopen(text, sizeof text, "w"));
		if (e == 0)
			print(f, t);
		fclose(f);
		if (e != 0 || strcmp(text, cases[i].want) != 0)
			fail_msg("%s: %s %s", cases[i].why, text, why.text);
		tree_free(t);
	}
}

static const struct {
	const char *why, *bytes;
	int want;
	const char *text;
	unsigned line, col;
} wrongs[] = {
	{"depth 9", "[[[[[[[[[x]]]]]]]]]", ERR_TOOBIG, "nested too deep: 8 levels are the most", 1,
	 9},
	{"a sequence as a key", "{[a]: b}", ERR_INVAL, "a key must be a plain word", 1, 2},
	{"a mapping as a key", "? {a: b}\n: c\n", ERR_INVAL, "a key must be a plain word", 1, 3},
	{"a key twice", "{a: 1, b: 2, a: 3}", ERR_INVAL, "the key stands in line 1 already", 1, 14},
	{"a key twice, otherwise quoted", "a: 1\n'a': 2\n", ERR_INVAL,
	 "the key stands in line 1 already", 2, 1},
	{"a key twice, deep down", "x: [{b: 1, a: 2,\n b: 3}]", ERR_INVAL,
	 "the key stands in line 1 already", 2, 2},
	{"an anchor of a word", "&a x", ERR_INVAL, "anchors are not allowed", 1, 1},
	{"an anchor of a sequence", "- &a []", ERR_INVAL, "anchors are not allowed", 1, 3},
	{"an anchor of a mapping", "- &a {}", ERR_INVAL, "anchors are not allowed", 1, 3},
	{"a tag of a sequence", "!x []", ERR_INVAL, "tags are not allowed", 1, 1},
	{"a tag of a mapping", "!x {}", ERR_INVAL, "tags are not allowed", 1, 1},
	{"a cut document", "{a: [1, 2", ERR_INVAL, "did not find expected ',' or ']'", 2, 1},
	{"UTF-16",
	 "\xff\xfe"
	 "a",
	 ERR_INVAL, "bytes that are not UTF-8 text", 1, 1},
	{"an escaped surrogate", "\"\\ud83d\\ude00\"", ERR_INVAL,
	 "found invalid Unicode character escape code", 1, 4},
	{"a directive of tomorrow", "%YAML 9.9\n---\nx", ERR_INVAL,
	 "found incompatible YAML document", 1, 1},
};

static void test_refuse(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(wrongs); i++) {
		struct tree *t = NULL;
		struct tree_error why;
		int e = tree_parse(str_of(wrongs[i].bytes), &t, &why);

		if (e != wrongs[i].want || strcmp(why.text, wrongs[i].text) != 0 ||
		    why.line != wrongs[i].line || why.col != wrongs[i].col)
			fail_msg("%s: %d %u:%u %s", wrongs[i].why, e, why.line, why.col, why.text);
		assert_null(t);
	}
}

/* The classic: nine levels of ten references each would be a billion words. */
static void test_bomb(void **state)
{
	static const char bomb[] = "a: &a [lol,lol,lol,lol,lol,lol,lol,lol,lol,lol]\n"
				   "b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
				   "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n";
	struct tree *t = NULL;
	struct tree_error why;

	assert_int_equal(tree_parse(STR(bomb), &t, &why), ERR_INVAL);
	assert_string_equal(why.text, "anchors are not allowed");
	assert_null(t);
}

/* n times the pattern, between head and tail. */
static struct str repeat(const char *head, const char *pattern, size_t n, const char *tail)
{
	size_t len = strlen(pattern), at = strlen(head);
	char *p = malloc(at + n * len + strlen(tail) + 1);

	assert_non_null(p);
	memcpy(p, head, at);
	for (size_t i = 0; i < n; i++, at += len)
		memcpy(p + at, pattern, len);
	memcpy(p + at, tail, strlen(tail) + 1);
	return (struct str){p, at + strlen(tail)};
}

static void check_big(struct str bytes, int want, const char *text)
{
	struct tree *t = NULL;
	struct tree_error why;

	assert_int_equal(tree_parse(bytes, &t, &why), want);
	assert_string_equal(why.text, text);
	tree_free(t);
	free((char *)(uintptr_t)bytes.p);
}

static void test_bounds(void **state)
{
	check_big(repeat("[", "x,", TREE_NODES_MAX - 1, "]"), 0, "");
	check_big(repeat("[", "x,", TREE_NODES_MAX, "]"), ERR_TOOBIG,
		  "too many values: 65536 are the most");
	check_big(repeat("\"", "x", TREE_SCALAR_MAX, "\""), 0, "");
	check_big(repeat("\"", "x", TREE_SCALAR_MAX + 1, "\""), ERR_TOOBIG,
		  "a value is too long: 64 KiB are the most");
	check_big(repeat("", "#", TREE_BYTES_MAX, ""), 0, "");
	check_big(repeat("", "#", TREE_BYTES_MAX + 1, ""), ERR_TOOBIG,
		  "too big: 1 MiB is the most");
	check_big(repeat("", "[", TREE_BYTES_MAX, ""), ERR_TOOBIG,
		  "nested too deep: 8 levels are the most");
	check_big(repeat("", "- ", TREE_BYTES_MAX / 2, ""), ERR_TOOBIG,
		  "nested too deep: 8 levels are the most");
}

static void test_null(void **state)
{
	static const struct {
		const char *bytes;
		bool want;
	} nulls[] = {
		{"", true},	   {"---", true}, {"~", true},	  {"null", true},
		{"NULL", true},	   {"''", false}, {"'~'", false}, {"nil", false},
		{"'null'", false}, {"[]", false}, {"{}", false},  {"|\n", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(nulls); i++) {
		struct tree *t = NULL;
		struct tree_error why;

		assert_int_equal(tree_parse(str_of(nulls[i].bytes), &t, &why), 0);
		if (tree_null(t) != nulls[i].want)
			fail_msg("%s", nulls[i].bytes);
		tree_free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read), cmocka_unit_test(test_refuse),
		cmocka_unit_test(test_bomb), cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
