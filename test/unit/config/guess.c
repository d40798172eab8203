/* How far words are from one another, and what is near enough to be suggested. */
#include "config/guess.h"

#include "sample.h"

static const struct {
	const char *why, *a, *b;
	size_t want;
} distances[] = {
	{"the same", "listen", "listen", 0},
	{"both empty", "", "", 0},
	{"one empty", "", "abc", 3},
	{"one letter less", "lisen", "listen", 1},
	{"one letter more", "listten", "listen", 1},
	{"one letter else", "lasten", "listen", 1},
	{"two swapped", "lisetn", "listen", 1},
	{"swapped at the start", "ilsten", "listen", 1},
	{"other case", "LISTEN", "listen", 0},
	{"the other dash", "tls_cert", "tls-cert", 0},
	{"nothing in common", "abc", "xyz", 3},
	{"a swap with a letter between", "ca", "abc", 3},
	{"the textbook's", "kitten", "sitting", 3},
};

static void test_distance(void **state)
{
	char word[66];
	struct str w = {word, 64};

	for (size_t i = 0; i < ARRAY_LEN(distances); i++) {
		struct str a = str_of(distances[i].a), b = str_of(distances[i].b);

		if (guess_distance(a, b) != distances[i].want ||
		    guess_distance(b, a) != distances[i].want)
			fail_msg("%s: %zu", distances[i].why, guess_distance(a, b));
	}
	memset(word, 'x', sizeof word);
	assert_int_equal(guess_distance(w, w), 0);
	assert_int_equal(guess_distance(w, STR("")), 64);
	w.len = 65;
	assert_true(guess_distance(w, w) == SIZE_MAX);
	assert_true(guess_distance(STR("a"), w) == SIZE_MAX);
}

static const struct {
	const char *why, *word, *want;
} words[] = {
	{"the nearest of two", "hostt", "host"},
	{"the first of two as near", "hos", "host"},
	{"as it is", "hose", "hose"},
	{"too far", "server", NULL},
	{"a short word must be nearer", "xp", "up"},
	{"another letter is not near", "x", NULL},
};

static void test_offer(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		struct guess g = {.word = str_of(words[i].word)};

		guess_offer(&g, "host");
		guess_offer(&g, "hose");
		guess_offer(&g, "up");
		if (words[i].want == NULL ? g.best != NULL
					  : g.best == NULL || strcmp(g.best, words[i].want) != 0)
			fail_msg("%s: %s", words[i].why, g.best);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_distance),
		cmocka_unit_test(test_offer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
