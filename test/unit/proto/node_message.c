/* What nodes tell each other: written and read again, and what is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "base/err.h"
#include "proto/node_message.h"

#define A     "00000000000000aa"
#define B     "00000000000000bb"
#define NONCE "0123456789abcdef0123456789abcdef"

static void test_round(void **state)
{
	static const struct {
		const char *why;
		struct node_message m;
		const char *text;
	} cases[] = {
		{"a beat",
		 {.kind = NODE_MESSAGE_BEAT,
		  .from = A,
		  .epoch = 0x19,
		  .count = 1,
		  .told = 4,
		  .head = 5,
		  .floor = 1,
		  .n = 2,
		  .hop = {"10.0.0.1:7000", 13},
		  .local = {"/run/a b.sock", 13},
		  .machine = {"m1", 2},
		  .agents = {"https://a.example", 17},
		  .version = {"0.1.0", 5},
		  .sessions = 3,
		  .visitors = 17,
		  .draining = true},
		 "karez/1 beat " A " 19 1 *\nat 4 5 1 2\nhop 10.0.0.1:7000\nlocal /run/a b.sock\n"
		 "machine m1\nagents https://a.example\nversion 0.1.0\nload 3 11\ndraining 1\n"},
		{"a beat of a node that says little",
		 {.kind = NODE_MESSAGE_BEAT, .from = A, .count = 0xff},
		 "karez/1 beat " A " 0 ff *\nat 0 0 0 0\nload 0 0\n"},
		{"a challenge",
		 {.kind = NODE_MESSAGE_HELLO, .from = A, .to = B, .count = 2, .nonce = NONCE},
		 "karez/1 hello " A " 0 2 " B "\nnonce " NONCE "\n"},
		{"its answer",
		 {.kind = NODE_MESSAGE_WELCOME, .from = A, .to = B, .count = 2, .nonce = NONCE},
		 "karez/1 welcome " A " 0 2 " B "\nnonce " NONCE "\nat 0 0 0 0\nload 0 0\n"},
		{"a piece of a list without items",
		 {.kind = NODE_MESSAGE_CHANGES,
		  .from = A,
		  .count = 3,
		  .after = 1,
		  .upto = 2,
		  .head = 30,
		  .floor = 4},
		 "karez/1 changes " A " 0 3 *\nspan 1 2 1e 4\n"},
		{"a wish",
		 {.kind = NODE_MESSAGE_WANT, .from = A, .to = B, .count = 4, .since = 10},
		 "karez/1 want " A " 0 4 " B "\nsince a\n"},
		{"an order",
		 {.kind = NODE_MESSAGE_ORDER,
		  .from = A,
		  .count = 5,
		  .order = 9,
		  .what = {"disconnect", 10},
		  .tunnel = {"hello.tim", 9},
		  .account = {"acc", 3},
		  .reason = {"because of it", 13}},
		 "karez/1 order " A " 0 5 *\norder 9 disconnect\ntunnel hello.tim\naccount acc\n"
		 "reason because of it\n"},
		{"an order about one session",
		 {.kind = NODE_MESSAGE_ORDER,
		  .from = A,
		  .count = 5,
		  .order = 10,
		  .what = {"end", 3},
		  .tunnel = {"hello.tim", 9},
		  .account = {"acc", 3},
		  .session = 0x1f00000002},
		 "karez/1 order " A " 0 5 *\norder a end\ntunnel hello.tim\naccount acc\n"
		 "session 1f00000002\n"},
		{"a beat of a node that has sessions of 18 accounts",
		 {.kind = NODE_MESSAGE_BEAT, .from = A, .count = 1, .n_accounts = 18},
		 "karez/1 beat " A " 0 1 *\nat 0 0 0 0\naccounts 12\nload 0 0\n"},
		{"an account that is full",
		 {.kind = NODE_MESSAGE_ROOM, .from = A, .count = 6, .account = {"acc", 3}},
		 "karez/1 room " A " 0 6 *\naccount acc\n"},
		{"a good-bye",
		 {.kind = NODE_MESSAGE_BYE, .from = A, .count = 6},
		 "karez/1 bye " A " 0 6 *\n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char out[1024], again[1024];
		struct pen pen = pen_on(out, sizeof out), pen2 = pen_on(again, sizeof again);
		struct node_message m;

		print_message("%s\n", cases[i].why);
		node_message_write(&pen, &cases[i].m);
		assert_int_equal(pen_len(&pen), strlen(cases[i].text));
		assert_memory_equal(out, cases[i].text, pen_len(&pen));
		assert_int_equal(node_message_parse((struct str){out, pen_len(&pen)}, &m), 0);
		assert_int_equal(m.kind, cases[i].m.kind);
		node_message_write(&pen2, &m);
		assert_int_equal(pen_len(&pen2), pen_len(&pen));
		assert_memory_equal(again, out, pen_len(&pen));
	}
}

static void test_items(void **state)
{
	static const struct {
		const char *why;
		struct node_message_item item;
		bool want;
	} cases[] = {
		{"a tunnel", {NODE_ITEM_SERVES, {"a.b", 3}, {"1;0;1:1:1", 9}}, true},
		{"a tunnel that is gone", {NODE_ITEM_NOT, {"c", 1}, {NULL, 0}}, true},
		{"a record; its key may have spaces",
		 {NODE_ITEM_WROTE, {"credential", 10}, {"x/y z", 5}},
		 true},
		{"an account", {NODE_ITEM_HOLDS, {"Ann~1", 5}, {"2;1:1:3", 7}}, true},
		{"an account without sessions", {NODE_ITEM_HOLDS, {"bob", 3}, {"0;", 2}}, true},
		{"an account of two words", {NODE_ITEM_HOLDS, {"a b", 3}, {"0;", 2}}, false},
		{"an account without a name", {NODE_ITEM_HOLDS, {"", 0}, {"0;", 2}}, false},
		{"a name that is none", {NODE_ITEM_NOT, {"a b", 3}, {NULL, 0}}, false},
		{"a name in upper case", {NODE_ITEM_NOT, {"A", 1}, {NULL, 0}}, false},
		{"a key of two lines", {NODE_ITEM_WROTE, {"tunnel", 6}, {"x\ny", 3}}, false},
		{"no key", {NODE_ITEM_WROTE, {"tunnel", 6}, {NULL, 0}}, false},
		{"a kind that is no word", {NODE_ITEM_WROTE, {"tun nel", 7}, {"x", 1}}, false},
	};
	struct node_message m = {.kind = NODE_MESSAGE_CHANGES, .from = A, .count = 3};
	char out[512];
	struct pen pen = pen_on(out, sizeof out);
	struct node_message_item item;
	struct node_entry entry;
	size_t n = 0;

	node_message_write(&pen, &m);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t len = pen_len(&pen);

		print_message("%s\n", cases[i].why);
		assert_int_equal(node_message_add(&pen, &cases[i].item), cases[i].want);
		assert_int_equal(pen_len(&pen) > len, cases[i].want);
	}
	assert_int_equal(node_message_parse((struct str){out, pen_len(&pen)}, &m), 0);
	while (node_message_next(&m.items, &item, &entry)) {
		assert_true(cases[n].want);
		assert_int_equal(item.kind, cases[n].item.kind);
		assert_true(str_eq(item.name, cases[n].item.name));
		assert_true(str_eq(item.text, cases[n].item.text));
		n++;
	}
	assert_int_equal(n, 5);

	print_message("one that does not fit leaves no half of itself\n");
	pen = pen_on(out, 12);
	assert_true(node_message_add(&pen, &cases[1].item));
	assert_false(node_message_add(&pen, &cases[0].item));
	assert_false(pen.full);
	assert_true(node_message_add(&pen, &cases[1].item));
	assert_memory_equal(out, "- c\n- c\n", pen_len(&pen));
}

static void test_parse(void **state)
{
	static const struct {
		const char *why, *text;
		int want;
	} cases[] = {
		{"words and lines of a later version are skipped",
		 "karez/1 beat " A " 0 1 *\ncolour blue\nat 0 0 0 0\nx\n", 0},
		{"a kind of a later version", "karez/1 dance " A " 0 1 *\n+ what ever\n", 0},
		{"another syntax", "karez/2 beat " A " 0 1 *\nat 0 0 0 0\n", ERR_UNSUPPORTED},
		{"another syntax altogether", "karez/20 {}\n", ERR_UNSUPPORTED},
		{"nothing", "", ERR_PROTO},
		{"a line", "\n", ERR_PROTO},
		{"of somebody else", "GET / HTTP/1.1\n", ERR_PROTO},
		{"no end of line", "karez/1 bye " A " 0 1 *", ERR_PROTO},
		{"no addressee", "karez/1 bye " A " 0 1\n", ERR_PROTO},
		{"an id too short", "karez/1 bye 00aa 0 1 *\n", ERR_PROTO},
		{"an id in upper case", "karez/1 bye 00000000000000AA 0 1 *\n", ERR_PROTO},
		{"an addressee that is none", "karez/1 bye " A " 0 1 you\n", ERR_PROTO},
		{"the number 0", "karez/1 bye " A " 0 0 *\n", ERR_PROTO},
		{"two spaces", "karez/1  bye " A " 0 1 *\n", ERR_PROTO},
		{"an empty line", "karez/1 beat " A " 0 1 *\n\nat 0 0 0 0\n", ERR_PROTO},
		{"a beat without its list", "karez/1 beat " A " 0 1 *\n", ERR_PROTO},
		{"a challenge without one", "karez/1 hello " A " 0 1 " B "\n", ERR_PROTO},
		{"a short nonce", "karez/1 hello " A " 0 1 " B "\nnonce 12\n", ERR_PROTO},
		{"a word twice", "karez/1 beat " A " 0 1 *\nat 0 0 0 0\nat 0 0 0 0\n", ERR_PROTO},
		{"the list ends in two places",
		 "karez/1 beat " A " 0 1 *\nat 4 0 1\nspan 0 0 0 0\n", ERR_PROTO},
		{"a number too few", "karez/1 beat " A " 0 1 *\nat 0 0 0\n", ERR_PROTO},
		{"a number too many", "karez/1 beat " A " 0 1 *\nat 0 0 0 0 0\n", ERR_PROTO},
		{"more told than there is", "karez/1 beat " A " 0 1 *\nat 2 1 0 0\n", ERR_PROTO},
		{"forgot what is to come", "karez/1 beat " A " 0 1 *\nat 0 1 2 0\n", ERR_PROTO},
		{"a piece that goes backwards", "karez/1 changes " A " 0 1 *\nspan 2 1 3 0\n",
		 ERR_PROTO},
		{"a piece beyond the list", "karez/1 changes " A " 0 1 *\nspan 1 4 3 0\n",
		 ERR_PROTO},
		{"a load above 32 bits", "karez/1 beat " A " 0 1 *\nat 0 0 0 0\nload 100000000 0\n",
		 ERR_PROTO},
		{"draining, a little", "karez/1 beat " A " 0 1 *\nat 0 0 0 0\ndraining 2\n",
		 ERR_PROTO},
		{"an address with a control character",
		 "karez/1 beat " A " 0 1 *\nat 0 0 0 0\nhop a\tb\n", ERR_PROTO},
		{"an order without a number",
		 "karez/1 order " A " 0 1 *\norder disconnect\ntunnel a\naccount b\n", ERR_PROTO},
		{"an order for nobody", "karez/1 order " A " 0 1 *\norder 1 disconnect\n",
		 ERR_PROTO},
		{"an order about no session",
		 "karez/1 order " A " 0 1 *\norder 1 end\ntunnel a\naccount b\nsession 0\n",
		 ERR_PROTO},
		{"an order about two sessions",
		 "karez/1 order " A " 0 1 *\norder 1 end\ntunnel a\naccount b\nsession 1 2\n",
		 ERR_PROTO},
		{"an item that is no entry",
		 "karez/1 changes " A " 0 1 *\nspan 0 1 1 0\n+ a 1;0;1:1:0\n", ERR_PROTO},
		{"an item without an entry", "karez/1 changes " A " 0 1 *\nspan 0 1 1 0\n+ a\n",
		 ERR_PROTO},
		{"an item of no tunnel", "karez/1 changes " A " 0 1 *\nspan 0 1 1 0\n- -a-\n",
		 ERR_PROTO},
		{"sessions of an account that cannot be",
		 "karez/1 changes " A " 0 1 *\nspan 0 1 1 0\n= a 1;1:1:3\n", ERR_PROTO},
		{"an account without sessions in it",
		 "karez/1 changes " A " 0 1 *\nspan 0 1 1 0\n= a\n", ERR_PROTO},
		{"no accounts, said", "karez/1 beat " A " 0 1 *\nat 0 0 0 0\naccounts 0\n",
		 ERR_PROTO},
		{"room for nobody", "karez/1 room " A " 0 1 *\n", ERR_PROTO},
		{"a bad item behind good ones",
		 "karez/1 wrote " A " 0 1 *\nwrote tunnel a\nwrote tunnel\n", ERR_PROTO},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct node_message m = {.count = 77};

		print_message("%s\n", cases[i].why);
		assert_int_equal(node_message_parse(str_of(cases[i].text), &m), cases[i].want);
		assert_int_equal(m.count, cases[i].want == 0 ? 1 : 77);
	}
}

static void test_split(void **state)
{
	char text[NODE_MESSAGE_SEAL + 2];
	struct str sealed, seal;

	memset(text, 'a', sizeof text);
	assert_false(node_message_split((struct str){text, NODE_MESSAGE_SEAL}, &sealed, &seal));
	assert_true(node_message_split((struct str){text, sizeof text}, &sealed, &seal));
	assert_int_equal(sealed.len, 2);
	assert_ptr_equal(seal.p, text + 2);
	assert_int_equal(seal.len, NODE_MESSAGE_SEAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_items),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
