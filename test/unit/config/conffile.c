/* Configuration files and what they come to, by way of real files. */
#include "sample.h"

#include <sys/stat.h>

struct conffile_case {
	const char *why, *bytes, *want; /* @ in want stands for the file's path */
};

static const struct conffile_case good[] = {
	{"an empty file", "", ""},
	{"only a comment", "# nothing\n", ""},
	{"an empty document", "---\n...\n", ""},
	{"a text", "server: example.org\n", " server=\"example.org\""},
	{"every type",
	 "server: x\ntoken: s3cret\nsessions: 3\nidle-timeout: 10m\nwindow: 64KiB\nlog-level: "
	 "warn\nquiet: yes\nreconnect: false\n",
	 " server=\"x\" token=\"s3cret\" sessions=3 reconnect=false idle-timeout=10m window=64K "
	 "log-level=\"warn\" quiet=true"},
	{"a number where a text is wanted", "server: 017\n", " server=\"017\""},
	{"text in quotes", "server: 'it''s'\nname: \"\\u00e4\\t\"\n",
	 " name=\"ä\\x09\" server=\"it's\""},
	{"a block", "server: >-\n  a\n  b\n", " server=\"a b\""},
	{"a sequence", "label: [a, 'b,c']\n", " label=[\"a\", \"b,c\"]"},
	{"a sequence in lines", "label:\n- a\n- b\n", " label=[\"a\", \"b\"]"},
	{"an empty sequence", "label: []\n", " label=[]"},
	{"a list as one value", "label: a, b\n", " label=[\"a\", \"b\"]"},
	{"null is not there", "server:\nname: ~\nlabel: null\n", ""},
	{"null in quotes is a word", "server: 'null'\n", " server=\"null\""},
	{"an empty text in quotes", "server: ''\n", " server=\"\""},
	{"JSON", "{\"server\":\"x\",\"sessions\":3,\"label\":[\"a\",\"b\"],\n\t\"quiet\":true}\n",
	 " label=[\"a\", \"b\"] server=\"x\" sessions=3 quiet=true"},
	{"JSON that ends without a newline", "{\"server\": \"a\\/b\"}", " server=\"a/b\""},
	{"lines that end in CR LF", "server: x\r\nlabel:\r\n- a\r\n- b\r\n",
	 " label=[\"a\", \"b\"] server=\"x\""},
	{"a byte order mark", "\xef\xbb\xbfserver: x\n", " server=\"x\""},
	{"unicode", "server: 市\n", " server=\"市\""},
	{"an option of another command", "wait: yes\n", ""},
	{"a map", "map: {web: 1, 'a.b': '2,3'}\n", " map=[\"web=1\", \"a.b=2,3\"]"},
	{"a map in lines", "map:\n  web: 8080\n  ssh: 22 # comment\n",
	 " map=[\"web=8080\", \"ssh=22\"]"},
	{"a value with an equals sign", "map: {web: 1=2}\n", " map=[\"web=1=2\"]"},
	{"an empty map", "map: {}\n", " map=[]"},
	{"a map in JSON", "{\"map\": {\"a\": \"1\", \"b\": 2}}", " map=[\"a=1\", \"b=2\"]"},
	{"a map as a sequence", "map: [a=1, b=2]\n", " map=[\"a=1\", \"b=2\"]"},
	{"a map as one value", "map: a=1, b=2\n", " map=[\"a=1\", \"b=2\"]"},
};

static const struct conffile_case bad[] = {
	{"an unknown name", "\n  sever: x\n",
	 "@:2:3: \"sever\" is no option; did you mean server?"},
	{"an underscore", "idle_timeout: 1s\n",
	 "@:1:1: \"idle_timeout\" is no option; did you mean idle-timeout?"},
	{"a name of another command, mistyped", "wiat: yes\n",
	 "@:1:1: \"wiat\" is no option; did you mean wait?"},
	{"an argument's name", "TARGET: 1\n", "@:1:1: \"TARGET\" is no option"},
	{"an empty name", "'': 1\n", "@:1:1: \"\" is no option"},
	{"a merge", "<<: {server: x}\n", "@:1:1: \"<<\" is no option"},
	{"a name twice", "server: x\nquiet: yes\nserver: y\n",
	 "@:3:1: the key stands in line 1 already"},
	{"a wrong number", "quiet: yes\nsessions: 65\n",
	 "@:2:11: sessions: \"65\" is not a number from 1 to 64"},
	{"a float", "sessions: 1.0\n", "@:1:11: sessions: \"1.0\" is not a number from 1 to 64"},
	{"a wrong word", "log-level: loud\n",
	 "@:1:12: log-level: \"loud\" is not one of error, warn, info, debug"},
	{"neither yes nor no", "quiet: 1\n", "@:1:8: quiet: \"1\" is not yes or no"},
	{"the wrong value of another command", "wait: 1\n", "@:1:7: wait: \"1\" is not yes or no"},
	{"a sequence for one value", "server:\n- x\n",
	 "@:2:1: server: takes one value, not a sequence"},
	{"a mapping for one value", "server: {a: b}\n",
	 "@:1:9: server: takes one value, not a mapping"},
	{"a mapping for a list", "label: {a: b}\n", "@:1:8: label: takes values, not a mapping"},
	{"a map whose name comes twice", "map:\n  a: 1\n  b: 2\n  a: 3\n",
	 "@:4:3: the key stands in line 2 already"},
	{"a sequence of pairs with a name twice", "map: [a=1, b=2, a=3]\n",
	 "@:1:17: map: \"a=3\" has a name that is there already"},
	{"a map's value that is none", "map:\n  a: 1\n  b: x\n",
	 "@:3:3: map: \"b=x\" is not a pair: expected NAME=NUMBER"},
	{"a map's name without a value", "map:\n  a: 1\n  b:\n",
	 "@:3:3: map: \"b\" must have one value"},
	{"a map in a map", "map: {a: {b: 1}}\n", "@:1:7: map: \"a\" must have one value"},
	{"a list in a map", "map: {a: [1]}\n", "@:1:7: map: \"a\" must have one value"},
	{"a map's name with an equals sign", "map: {a=b: 1}\n",
	 "@:1:7: map: \"a=b\" is not a name"},
	{"a map's empty name", "map: {'': 1}\n", "@:1:7: map: \"\" is not a name"},
	{"an item of a map that is no pair", "map: [a]\n",
	 "@:1:7: map: \"a\" is not of the form NAME=VALUE"},
	{"a list in a list", "label: [a, [b]]\n", "@:1:12: label: an item must be a single value"},
	{"an empty item", "label:\n- a\n-\n- b\n", "@:3:2: label: \"\" is an empty item"},
	{"what is not for a file", "help: yes\n", "@:1:1: help: not in a configuration file"},
	{"the hidden not for a file", "fixed: yes\n", "@:1:1: fixed: not in a configuration file"},
	{"a list of everything", "- server\n",
	 "@:1:1: expected lines of the form \"option: value\""},
	{"a word", "server\n", "@:1:1: expected lines of the form \"option: value\""},
	{"no YAML", "server: [x\n", "@:2:1: did not find expected ',' or ']'"},
	{"a tab as indentation", "label:\n\t- x\n",
	 "@:2:1: found character that cannot start any token"},
	{"an alias bomb", "a: &a [x,x]\nb: &b [*a,*a]\n", "@:1:4: anchors are not allowed"},
	{"an alias", "server: *a\n", "@:1:9: aliases are not allowed"},
	{"a tag", "server: !!str x\n", "@:1:9: tags are not allowed"},
	{"a second document", "server: x\n---\nserver: y\n",
	 "@:2:1: a second document is not allowed"},
	{"no UTF-8", "server: \xff\n", "@:1:9: bytes that are not UTF-8 text"},
	{"an escape character", "server: x\nname: \x1b\n", "@:2:7: bytes that are not UTF-8 text"},
	{"an escaped NUL", "server: \"a\\0b\"\n", "@:1:9: a NUL byte is not allowed"},
};

/* want, with the path for @; the caller frees it. */
static char *expand(const char *want, const char *path)
{
	const char *at = strchr(want, '@');
	char *text = NULL;

	if (at == NULL)
		return strdup(want);
	assert_true(asprintf(&text, "%.*s%s%s", (int)(at - want), want, path, at + 1) >= 0);
	return text;
}

static void check_bytes(const char *why, const char *bytes, size_t len, const char *want)
{
	char *path = sample_file(bytes, len), *full = expand(want, path);
	struct sample_run r;

	/* --help would not read it; the target comes from the command line. */
	sample_start(&r, &sample_program, (const char *[]){"--config", path, "http", "1", NULL},
		     NULL);
	sample_text(&r);
	if (r.e == 0) {
		char *rest = strstr(r.text, " TARGET=");

		assert_non_null(rest);
		*rest = '\0';
		rest = strstr(r.text, " config=");
		assert_non_null(rest);
		*rest = '\0';
		memmove(r.text, r.text + 4, strlen(r.text + 4) + 1);
	}
	if (strcmp(r.text, full) != 0)
		fail_msg("%s:\n got %s\nwant %s", why, r.text, full);
	assert_int_equal(r.e, strchr(want, '@') == NULL ? 0 : ERR_INVAL);
	sample_end(&r);
	unlink(path);
	free(path);
	free(full);
}

static void test_good(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		check_bytes(good[i].why, good[i].bytes, strlen(good[i].bytes), good[i].want);
}

static void test_bad(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		check_bytes(bad[i].why, bad[i].bytes, strlen(bad[i].bytes), bad[i].want);
}

static void test_nul(void **state)
{
	static const char bytes[] = "server: x\nname: a\0b\n";

	check_bytes("a NUL byte", bytes, sizeof bytes - 1, "@:2:8: a NUL byte is not allowed");
	check_bytes("a NUL byte at the end", bytes, 18, "@:2:8: a NUL byte is not allowed");
}

static void test_big(void **state)
{
	size_t len = 10 << 20;
	char *bytes = malloc(len);

	memset(bytes, '#', len);
	check_bytes("a comment of 10 MB", bytes, len, "@: too big: 1 MiB is the most");
	check_bytes("a comment of 1 MiB", bytes, 1 << 20, "");
	check_bytes("one byte more", bytes, (1 << 20) + 1, "@: too big: 1 MiB is the most");
	memcpy(bytes, "server: ", 8);
	memset(bytes + 8, 'x', len - 8);
	check_bytes("a text above 64 KiB", bytes, (64 << 10) + 9,
		    "@:1:9: a value is too long: 64 KiB are the most");
	free(bytes);
}

/* What --config names must be there and be readable. */
static void test_explicit(void **state)
{
	struct sample_run r;

	sample_start(&r, &sample_program, (const char *[]){"-c", "/nonexistent/x", "1", NULL},
		     NULL);
	assert_string_equal(sample_text(&r), "karez: the configuration file \"/nonexistent/x\" "
					     "cannot be read: No such file or directory");
	sample_end(&r);
	sample_start(&r, &sample_program, (const char *[]){"-c", "/tmp", "1", NULL}, NULL);
	assert_string_equal(
		sample_text(&r),
		"karez: the configuration file \"/tmp\" cannot be read: Is a directory");
	sample_end(&r);
	sample_start(&r, &sample_program, (const char *[]){"1", NULL},
		     (const char *[]){"KAREZ_CONFIG=/nonexistent/y", NULL});
	assert_string_equal(sample_text(&r), "karez: the configuration file \"/nonexistent/y\" "
					     "cannot be read: No such file or directory");
	sample_end(&r);
}

/* The program's own places: the first that exists, "~" by HOME. */
static void test_search(void **state)
{
	char home[] = "/tmp/karez-home-XXXXXX", path[64], var[64];
	struct sample_run r;
	FILE *f;

	assert_non_null(mkdtemp(home));
	str_printf(path, sizeof path, "%s/sample.yaml", home);
	str_printf(var, sizeof var, "HOME=%s", home);

	sample_start(&r, &sample_program, (const char *[]){"1", NULL}, (const char *[]){var, NULL});
	assert_int_equal(r.e, 0);
	assert_null(config_file(r.c));
	sample_end(&r);

	assert_non_null(f = fopen(path, "w"));
	fputs("server: home\n", f);
	fclose(f);
	sample_start(&r, &sample_program, (const char *[]){"1", NULL}, (const char *[]){var, NULL});
	assert_int_equal(r.e, 0);
	assert_string_equal(r.set.server, "home");
	assert_string_equal(config_file(r.c), path);
	sample_end(&r);

	sample_start(&r, &sample_program, (const char *[]){"1", NULL}, NULL);
	assert_int_equal(r.e, 0);
	assert_null(r.set.server);
	sample_end(&r);

	/* What is there and cannot be read is not passed over. */
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	sample_start(&r, &sample_program, (const char *[]){"1", NULL}, (const char *[]){var, NULL});
	assert_non_null(strstr(sample_text(&r), "cannot be read: Is a directory"));
	sample_end(&r);
	rmdir(path);
	rmdir(home);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	 cmocka_unit_test(test_bad),
		cmocka_unit_test(test_nul),	 cmocka_unit_test(test_big),
		cmocka_unit_test(test_explicit), cmocka_unit_test(test_search),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
