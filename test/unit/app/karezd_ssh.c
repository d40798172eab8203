/* What the door for SSH is made of: keys that stay, authorities that are there, facts for the API.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/karezd_ssh.h"
#include "base/err.h"

#define CA                                                                                        \
	"# ours\n\nssh-ed25519 "                                                                  \
	"AAAAC3NzaC1lZDI1NTE5AAAAIEm1EP7vFHAECoaaXySrdMy2XmUZI1hU+CZD1CAW5aqm people@example.org" \
	"\n"

struct place {
	char dir[32], state[64], file[64], why[KAREZD_SSH_WHY];
	struct karezd_settings set;
	struct karezd_ssh *ssh;
};

static void place_make(struct place *p)
{
	memset(p, 0, sizeof *p);
	str_printf(p->dir, sizeof p->dir, "/tmp/karezd_ssh.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	str_printf(p->state, sizeof p->state, "%s/a/b", p->dir);
	str_printf(p->file, sizeof p->file, "%s/ca", p->dir);
	p->set.ssh_token = KAREZD_SSH_TOKEN_ON;
	p->set.registration = CORE_OPEN;
	p->set.ssh_grace_ms = 1000;
	p->set.ssh_starts_max = 5;
	p->set.ssh_starts_per_ip = 4;
	p->set.ssh_tries_max = 3;
}

static void place_drop(struct place *p)
{
	static const char *const names[] = {"/a/b/ssh/ssh_host_ed25519_key",
					    "/a/b/ssh/ssh_host_rsa_key",
					    "/a/b/ssh",
					    "/a/b",
					    "/a",
					    "/ca",
					    ""};
	char path[128];

	karezd_ssh_free(p->ssh);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		str_printf(path, sizeof path, "%s%s", p->dir, names[i]);
		(void)!remove(path);
	}
	assert_int_not_equal(access(p->dir, F_OK), 0); /* nothing else was left there */
}

static int place_open(struct place *p)
{
	karezd_ssh_free(p->ssh);
	p->ssh = NULL;
	return karezd_ssh_new(&p->set, p->state, "karez.example", &p->ssh, p->why);
}

/* len bytes into the file of authorities. */
static void place_write(struct place *p, const char *bytes, size_t len)
{
	int fd = open(p->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
	p->set.ssh_ca = p->file;
}

static unsigned mode_of(const struct place *p, const char *name)
{
	struct stat st;
	char path[128];

	str_printf(path, sizeof path, "%s%s", p->dir, name);
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 0777;
}

static void test_keys_stay(void **state)
{
	char first[API_SSH_KEYS_MAX][SECSH_FINGERPRINT_TEXT] = {{0}};
	const struct api_ssh *api;
	struct place p;

	place_make(&p);
	assert_int_equal(place_open(&p), 0);
	assert_int_equal(mode_of(&p, "/a"), 0755);
	assert_int_equal(mode_of(&p, "/a/b"), 0700);
	assert_int_equal(mode_of(&p, "/a/b/ssh"), 0700);
	api = karezd_ssh_api(p.ssh);
	assert_int_equal(api->n_keys, SECSH_KEYS);
	assert_int_equal(api->n_ports, 0); /* nobody listens yet */
	for (size_t i = 0; i < SECSH_KEYS; i++) {
		assert_int_equal(strncmp(api->keys[i].fingerprint, "SHA256:", 7), 0);
		assert_int_equal(strncmp(api->keys[i].line, api->keys[i].type,
					 strlen(api->keys[i].type)),
				 0);
		str_printf(first[i], sizeof first[i], "%s", api->keys[i].fingerprint);
	}
	assert_int_equal(place_open(&p), 0);
	api = karezd_ssh_api(p.ssh);
	for (size_t i = 0; i < SECSH_KEYS; i++)
		assert_string_equal(api->keys[i].fingerprint, first[i]);
	place_drop(&p);
}

static void test_what_is_printed(void **state)
{
	char *text = NULL, want[SECSH_KEYS * 128];
	const struct api_ssh *api;
	size_t len = 0, n = 0;
	struct place p;
	FILE *f = open_memstream(&text, &len);

	place_make(&p);
	assert_int_equal(place_open(&p), 0);
	karezd_ssh_say_keys(p.ssh, f);
	fclose(f);
	api = karezd_ssh_api(p.ssh);
	for (size_t i = 0; i < api->n_keys; i++)
		n += str_printf(want + n, sizeof want - n, "ssh host key %s (%s)\n",
				api->keys[i].fingerprint, api->keys[i].type);
	assert_string_equal(text, want);
	free(text);
	place_drop(&p);
}

static void test_what_the_gateway_is_told(void **state)
{
	const struct gateway_ssh_opt *g;
	struct place p;

	place_make(&p);
	assert_int_equal(place_open(&p), 0);
	g = karezd_ssh_gateway(p.ssh);
	assert_non_null(g->keys);
	assert_null(g->ca);
	assert_string_equal(g->domain, "karez.example");
	assert_true(g->ask_token && g->anonymous && !g->everywhere);
	assert_int_equal(g->grace_ms, 1000);
	assert_int_equal(g->starts_max, 5);
	assert_int_equal(g->starts_per_ip, 4);
	assert_int_equal(g->tries_max, 3);

	p.set.ssh_token = KAREZD_SSH_TOKEN_OFF;
	p.set.registration = CORE_BY_INVITATION;
	p.set.ssh_gateway_ports = KAREZD_SSH_PORTS_YES;
	place_write(&p, CA, sizeof CA - 1);
	assert_int_equal(place_open(&p), 0);
	g = karezd_ssh_gateway(p.ssh);
	assert_non_null(g->ca);
	assert_true(!g->ask_token && !g->anonymous && g->everywhere);
	place_drop(&p);
}

/* Every sentence names the file. */
static void expect_refusal(struct place *p, int e, const char *word)
{
	assert_int_equal(place_open(p), e);
	assert_null(p->ssh);
	if (strstr(p->why, word) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", p->why, word);
	assert_non_null(strstr(p->why, p->dir));
}

static void test_authorities_that_are_none(void **state)
{
	char *large = malloc(KAREZD_SSH_CA_MAX + 1);
	struct place p;

	place_make(&p);
	p.set.ssh_ca = p.file;
	expect_refusal(&p, ERR_IO, "No such file");
	p.set.ssh_ca = p.dir;
	expect_refusal(&p, ERR_IO, "Is a directory");
	place_write(&p, CA "rubbish\n", sizeof CA "rubbish\n" - 1);
	expect_refusal(&p, ERR_INVAL, "line 4");
	assert_non_null(large);
	memset(large, '\n', KAREZD_SSH_CA_MAX + 1);
	memcpy(large, CA, sizeof CA - 1);
	place_write(&p, large, KAREZD_SSH_CA_MAX + 1);
	expect_refusal(&p, ERR_TOOBIG, "too long");
	assert_int_not_equal(access(p.state, F_OK), 0); /* and no key was made */
	place_write(&p, large, KAREZD_SSH_CA_MAX);
	assert_int_equal(place_open(&p), 0);
	free(large);
	place_drop(&p);
}

static void test_state_that_cannot_be_written(void **state)
{
	char *longest = malloc(2000);
	struct place p;

	place_make(&p);
	place_write(&p, "x", 1);
	p.set.ssh_ca = NULL;
	str_printf(p.state, sizeof p.state, "%s/under", p.file); /* a file is no directory */
	expect_refusal(&p, ERR_IO, "--state-dir");
	assert_non_null(longest);
	memset(longest, 'a', 1999);
	longest[1999] = '\0';
	assert_int_equal(karezd_ssh_new(&p.set, longest, "a", &p.ssh, p.why), ERR_TOOBIG);
	assert_non_null(strstr(p.why, "too long"));
	free(longest);
	place_drop(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_stay),
		cmocka_unit_test(test_what_is_printed),
		cmocka_unit_test(test_what_the_gateway_is_told),
		cmocka_unit_test(test_authorities_that_are_none),
		cmocka_unit_test(test_state_that_cannot_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
