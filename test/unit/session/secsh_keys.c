/* Host keys: made once, the same ever after, and not taken from files that are not right. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "session/secsh_keys.h"

static const char *const files[SECSH_KEYS] = {"ssh_host_ed25519_key", "ssh_host_rsa_key"};
static const char *const types[SECSH_KEYS] = {"ssh-ed25519", "ssh-rsa"};

struct home {
	char dir[64];
	char paths[SECSH_KEYS][128];
};

static int home_setup(void **state)
{
	struct home *h = calloc(1, sizeof *h);

	if (h == NULL)
		return -1;
	(void)snprintf(h->dir, sizeof h->dir, "/tmp/karez-keys-XXXXXX");
	if (mkdtemp(h->dir) == NULL)
		return -1;
	for (size_t i = 0; i < SECSH_KEYS; i++)
		(void)snprintf(h->paths[i], sizeof h->paths[i], "%s/%s", h->dir, files[i]);
	*state = h;
	return 0;
}

static int home_teardown(void **state)
{
	struct home *h = *state;
	int e;

	for (size_t i = 0; i < SECSH_KEYS; i++)
		(void)unlink(h->paths[i]);
	e = rmdir(h->dir); /* nothing else was left behind */
	free(h);
	return e;
}

static struct secsh_keys *must_open(const struct home *h)
{
	struct secsh_keys *k = NULL;
	char why[SECSH_WHY_TEXT];

	if (secsh_keys_open(h->dir, &k, why) != 0)
		fail_msg("%s", why);
	return k;
}

static void put_file(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void test_keys_are_made_once(void **state)
{
	struct home *h = *state;
	struct secsh_keys *k = must_open(h), *again = must_open(h);
	struct stat st;

	for (size_t i = 0; i < SECSH_KEYS; i++) {
		const struct secsh_host_key *a = secsh_keys_at(k, i), *b = secsh_keys_at(again, i);

		assert_string_equal(a->type, types[i]);
		assert_true(str_starts(str_of(a->fingerprint), STR("SHA256:")));
		assert_int_equal(strlen(a->fingerprint), 7 + 43);
		assert_true(str_starts(str_of(a->line), str_of(types[i])));
		assert_string_equal(a->line, b->line);
		assert_string_equal(a->fingerprint, b->fingerprint);
		assert_int_equal(stat(h->paths[i], &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
	secsh_keys_free(again);
	secsh_keys_free(k);
}

static void test_one_that_is_lost_is_made_anew(void **state)
{
	struct home *h = *state;
	struct secsh_keys *k = must_open(h), *again;

	assert_int_equal(unlink(h->paths[0]), 0);
	again = must_open(h);
	assert_string_not_equal(secsh_keys_at(k, 0)->line, secsh_keys_at(again, 0)->line);
	assert_string_equal(secsh_keys_at(k, 1)->line, secsh_keys_at(again, 1)->line);
	secsh_keys_free(again);
	secsh_keys_free(k);
}

static void test_files_that_are_not_right(void **state)
{
	static const struct {
		const char *why, *text;
		mode_t mode;
		int want;
	} cases[] = {
		{"others may read it", "x", 0640, ERR_DENIED},
		{"everybody may write it", "x", 0602, ERR_DENIED},
		{"it is empty", "", 0600, ERR_INVAL},
		{"it is not a key", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", 0600, ERR_INVAL},
	};
	struct home *h = *state;
	char why[SECSH_WHY_TEXT];
	struct secsh_keys *k = NULL;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		put_file(h->paths[0], cases[i].text, cases[i].mode);
		if (secsh_keys_open(h->dir, &k, why) != cases[i].want)
			fail_msg("%s: %s", cases[i].why, why);
		assert_non_null(strstr(why, h->paths[0]));
	}
}

static void test_a_key_of_another_kind(void **state)
{
	struct home *h = *state;
	struct secsh_keys *k = must_open(h);
	char why[SECSH_WHY_TEXT];

	secsh_keys_free(k);
	assert_int_equal(unlink(h->paths[0]), 0);
	assert_int_equal(link(h->paths[1], h->paths[0]), 0);
	assert_int_equal(secsh_keys_open(h->dir, &k, why), ERR_INVAL);
	assert_non_null(strstr(why, h->paths[0]));
}

static void test_a_directory_that_is_not_there(void **state)
{
	struct secsh_keys *k = NULL;
	char why[SECSH_WHY_TEXT];

	assert_int_equal(secsh_keys_open("/nonexistent/ssh", &k, why), ERR_IO);
	assert_non_null(strstr(why, "/nonexistent/ssh/ssh_host_ed25519_key"));
	assert_null(k);
}

static void test_gcm(void **state)
{
	assert_true(secsh_gcm_is_sound());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_keys_are_made_once, home_setup, home_teardown),
		cmocka_unit_test_setup_teardown(test_one_that_is_lost_is_made_anew, home_setup,
						home_teardown),
		cmocka_unit_test_setup_teardown(test_files_that_are_not_right, home_setup,
						home_teardown),
		cmocka_unit_test_setup_teardown(test_a_key_of_another_kind, home_setup,
						home_teardown),
		cmocka_unit_test(test_a_directory_that_is_not_there),
		cmocka_unit_test(test_gcm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
