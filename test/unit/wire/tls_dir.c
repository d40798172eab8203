/* Which files of a directory belong together. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "unit/wire/tls_store.h"
#include "wire/tls_dir.h"

/* What is below the directory. */
static const char *below(const struct tls_store *s, const char *path)
{
	return path == NULL ? "none" : path + strlen(s->dir) + 1;
}

static void test_pairs(void **state)
{
	static const char *const files[] = {"b.pem",
					    "b.key",
					    "a.crt",
					    "a-key.pem",
					    "both.pem",
					    "live/fullchain.pem",
					    "live/privkey.pem",
					    "half/fullchain.pem",
					    "other/cert.pem",
					    ".hidden.pem",
					    "README",
					    "lonely.key",
					    "lonely-key.pem",
					    "X.PEM"};
	static const struct {
		const char *why, *cert, *key;
	} want[] = {
		{"an ending in any case, both in one", "X.PEM", "X.PEM"},
		{"the ending .crt, the key with -key.pem", "a.crt", "a-key.pem"},
		{"the ending .pem, the key with .key", "b.pem", "b.key"},
		{"both in one file", "both.pem", "both.pem"},
		{"certbot's, without its key", "half/fullchain.pem", "none"},
		{"certbot's", "live/fullchain.pem", "live/privkey.pem"},
	};
	char why[TLS_CONTEXT_WHY];
	struct tls_store s;
	struct tls_dir d;

	tls_store_make(&s, NULL);
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		tls_store_write(&s, files[i], files[i]);
	assert_int_equal(tls_dir_scan(s.dir, &d, why), 0);
	for (size_t i = 0; i < MIN(d.n, ARRAY_LEN(want)); i++) {
		print_message("  %s\n", want[i].why);
		assert_string_equal(below(&s, d.pairs[i].cert_file), want[i].cert);
		assert_string_equal(below(&s, d.pairs[i].key_file), want[i].key);
	}
	assert_int_equal(d.n, ARRAY_LEN(want));
	tls_dir_free(&d);
	tls_store_remove(&s);
}

static uint64_t stamp_of(struct tls_store *s)
{
	char why[TLS_CONTEXT_WHY];
	struct tls_dir d;
	uint64_t stamp;

	assert_int_equal(tls_dir_scan(s->dir, &d, why), 0);
	stamp = d.stamp;
	tls_dir_free(&d);
	return stamp;
}

static void test_a_stamp_changes_with_the_files(void **state)
{
	uint64_t was, now;
	struct tls_store s;

	tls_store_make(&s, NULL);
	tls_store_write(&s, "a.pem", "1");
	tls_store_write(&s, "a.key", "1");
	was = stamp_of(&s);
	assert_true(stamp_of(&s) == was);
	tls_store_write(&s, "a.key", "2");
	assert_true((now = stamp_of(&s)) != was);
	was = now;
	tls_store_write(&s, "b.pem", "1");
	assert_true((now = stamp_of(&s)) != was);
	was = now;
	tls_store_drop(&s, "b.pem");
	assert_true((now = stamp_of(&s)) != was);
	was = now;
	tls_store_write(&s, "notes.txt", "not looked at");
	assert_true(stamp_of(&s) == was);
	tls_store_remove(&s);
}

static void test_a_directory_that_is_none(void **state)
{
	char why[TLS_CONTEXT_WHY], path[TLS_CERTS_PATH * 2];
	struct tls_store s;
	struct tls_dir d;

	assert_int_equal(tls_dir_scan("/nosuch", &d, why), ERR_NOTFOUND);
	assert_non_null(strstr(why, "/nosuch"));
	tls_dir_free(&d);
	tls_store_make(&s, NULL);
	assert_int_equal(tls_dir_scan(s.dir, &d, why), 0);
	assert_int_equal(d.n, 0);
	tls_dir_free(&d);
	tls_store_write(&s, "file", "");
	str_printf(path, sizeof path, "%s/file", s.dir);
	assert_int_equal(tls_dir_scan(path, &d, why), ERR_IO);
	tls_dir_free(&d);
	tls_store_remove(&s);
}

static void test_too_many(void **state)
{
	char why[TLS_CONTEXT_WHY], path[TLS_CERTS_PATH * 2], first[TLS_CERTS_PATH * 2];
	struct tls_store s;
	struct tls_dir d;

	tls_store_make(&s, NULL);
	tls_store_write(&s, "0.pem", "");
	str_printf(first, sizeof first, "%s/0.pem", s.dir);
	for (int i = 1; i < TLS_DIR_MAX; i++) {
		str_printf(path, sizeof path, "%s/%d.pem", s.dir, i);
		assert_int_equal(link(first, path), 0);
	}
	assert_int_equal(tls_dir_scan(s.dir, &d, why), 0);
	assert_int_equal(d.n, TLS_DIR_MAX);
	tls_dir_free(&d);
	str_printf(path, sizeof path, "%s/more.pem", s.dir);
	assert_int_equal(link(first, path), 0);
	assert_int_equal(tls_dir_scan(s.dir, &d, why), ERR_TOOBIG);
	assert_non_null(strstr(why, s.dir));
	tls_dir_free(&d);
	tls_store_remove(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_a_stamp_changes_with_the_files),
		cmocka_unit_test(test_a_directory_that_is_none),
		cmocka_unit_test(test_too_many),
	};

	return cmocka_run_group_tests_name("tls dir", tests, NULL, NULL);
}
