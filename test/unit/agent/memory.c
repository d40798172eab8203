#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/memory.h"
#include "base/err.h"

#define SERVER "https://tunnel.example.com"

struct place {
	struct ev *ev;
	char root[64], dir[128], file[192];
};

static int place_rm(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int place_make(void **state)
{
	struct place *p = calloc(1, sizeof *p);

	assert_non_null(p);
	str_printf(p->root, sizeof p->root, "/tmp/karez-memory-XXXXXX");
	assert_non_null(mkdtemp(p->root));
	str_printf(p->dir, sizeof p->dir, "%s/some/where/karez", p->root);
	str_printf(p->file, sizeof p->file, "%s/" MEMORY_FILE, p->dir);
	assert_int_equal(ev_sim_new(1, &p->ev), 0);
	*state = p;
	return 0;
}

static int place_drop(void **state)
{
	struct place *p = *state;

	ev_free(p->ev);
	nftw(p->root, place_rm, 8, FTW_DEPTH | FTW_PHYS);
	free(p);
	return 0;
}

static struct memory *place_open(struct place *p)
{
	char why[MEMORY_WHY_MAX];
	struct memory *m = NULL;

	if (memory_open(p->ev, p->dir, &m, why) != 0)
		fail_msg("%s", why);
	return m;
}

static void place_write(struct place *p, const char *text)
{
	FILE *f = fopen(p->file, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static size_t place_read(struct place *p, char *out, size_t cap)
{
	FILE *f = fopen(p->file, "r");
	size_t n;

	assert_non_null(f);
	n = fread(out, 1, cap - 1, f);
	out[n] = '\0';
	fclose(f);
	return n;
}

static unsigned place_mode(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 0777;
}

static void test_only_its_owner_can_read_it(void **state)
{
	struct place *p = *state;
	mode_t mask = umask(0);
	struct memory *m = place_open(p);

	umask(mask);
	assert_int_equal(place_mode(p->dir), 0700);
	assert_int_equal(place_mode(p->file), 0600);
	assert_int_equal(chmod(p->file, 0644), 0);
	memory_close(m);
	m = place_open(p);
	assert_int_equal(place_mode(p->file), 0600);
	memory_close(m);
}

static void test_remembers_from_run_to_run(void **state)
{
	struct memory_credential c = {.token = "a-token", .account = "AAAA", .automatic = true},
				 got;
	char agent[MEMORY_AGENT_MAX], name[HOSTNAME_MAX + 1];
	struct place *p = *state;
	struct memory *m = place_open(p);

	str_printf(agent, sizeof agent, "%s", memory_agent(m));
	assert_int_equal(strlen(agent), 16);
	assert_int_equal(strspn(agent, "abcdefghijkmnpqrstuvwxyz23456789"), 16);
	memory_credential(m, SERVER, &got);
	assert_string_equal(got.token, "");
	assert_int_equal(memory_set_credential(m, SERVER, &c), 0);
	assert_int_equal(memory_set_name(m, SERVER, "http://localhost:3000", "8bv2"), 0);
	assert_int_equal(memory_set_name(m, SERVER, "unix:/run/a.sock", "demo.tim"), 0);
	memory_close(m);

	m = place_open(p);
	assert_string_equal(memory_agent(m), agent);
	memory_credential(m, SERVER, &got);
	assert_string_equal(got.token, "a-token");
	assert_string_equal(got.account, "AAAA");
	assert_true(got.automatic);
	memory_name(m, SERVER, "http://localhost:3000", name);
	assert_string_equal(name, "8bv2");
	memory_name(m, SERVER, "unix:/run/a.sock", name);
	assert_string_equal(name, "demo.tim");
	memory_name(m, SERVER, "http://localhost:3001", name);
	assert_string_equal(name, "");
	memory_credential(m, "https://other.example", &got);
	assert_string_equal(got.token, "");

	assert_int_equal(memory_set_name(m, SERVER, "http://localhost:3000", NULL), 0);
	assert_int_equal(memory_drop_credential(m, SERVER, "a-token"), 0);
	memory_close(m);
	m = place_open(p);
	memory_name(m, SERVER, "http://localhost:3000", name);
	assert_string_equal(name, "");
	memory_credential(m, SERVER, &got);
	assert_string_equal(got.token, "");
	assert_false(got.automatic);
	memory_close(m);
}

static void test_epochs_only_grow(void **state)
{
	struct memory *m = place_open(*state), *other = place_open(*state);
	uint64_t n;

	assert_int_equal(memory_next_epoch(m, 1000, &n), 0);
	assert_int_equal(n, 1000);
	assert_int_equal(memory_next_epoch(m, 5000, &n), 0);
	assert_int_equal(n, 5000);
	assert_int_equal(memory_next_epoch(other, 2000, &n), 0); /* the clock was set back */
	assert_int_equal(n, 5001);
	memory_close(m);
	m = place_open(*state);
	assert_int_equal(memory_next_epoch(m, 2000, &n), 0);
	assert_int_equal(n, 5002);
	memory_close(m);
	memory_close(other);
}

static void test_two_agents_do_not_lose_each_others_words(void **state)
{
	struct memory_credential first = {.token = "first", .automatic = true},
				 second = {.token = "second", .automatic = true}, got;
	char name[HOSTNAME_MAX + 1];
	struct place *p = *state;
	struct memory *a = place_open(p), *b = place_open(p);

	assert_string_equal(memory_agent(a), memory_agent(b));
	assert_int_equal(memory_set_name(a, SERVER, "http://localhost:1", "one"), 0);
	assert_int_equal(memory_set_name(b, SERVER, "http://localhost:2", "two"), 0);
	memory_name(b, SERVER, "http://localhost:1", name);
	assert_string_equal(name, "one"); /* read anew by the change */

	/* both were without an account: the first one made counts */
	assert_int_equal(memory_set_credential(a, SERVER, &first), 0);
	assert_int_equal(memory_set_credential(b, SERVER, &second), 0);
	memory_credential(b, SERVER, &got);
	assert_string_equal(got.token, "first");

	/* a refused token goes, a newer one stays */
	assert_int_equal(memory_drop_credential(b, SERVER, "second"), 0);
	memory_credential(b, SERVER, &got);
	assert_string_equal(got.token, "first");
	assert_int_equal(memory_drop_credential(b, SERVER, "first"), 0);
	memory_credential(b, SERVER, &got);
	assert_string_equal(got.token, "");
	memory_close(a);
	memory_close(b);
}

static void test_many_processes_at_once(void **state)
{
	enum { N_PROCESSES = 4, N_NAMES = 20 };
	char target[64], name[HOSTNAME_MAX + 1];
	struct place *p = *state;
	struct memory *m = place_open(p);
	pid_t pids[N_PROCESSES];

	for (int k = 0; k < N_PROCESSES; k++) {
		pids[k] = fork();
		assert_true(pids[k] >= 0);
		if (pids[k] > 0)
			continue;
		for (int i = 0; i < N_NAMES; i++) {
			str_printf(target, sizeof target, "http://localhost:%d",
				   1000 * (k + 1) + i);
			str_printf(name, sizeof name, "n%d-%d", k, i);
			if (memory_set_name(m, SERVER, target, name) != 0)
				_exit(1);
		}
		_exit(0);
	}
	for (int k = 0; k < N_PROCESSES; k++) {
		int status;

		assert_int_equal(waitpid(pids[k], &status, 0), pids[k]);
		assert_int_equal(status, 0);
	}
	memory_close(m);
	m = place_open(p);
	for (int k = 0; k < N_PROCESSES; k++) {
		for (int i = 0; i < N_NAMES; i++) {
			char want[32];

			str_printf(target, sizeof target, "http://localhost:%d",
				   1000 * (k + 1) + i);
			str_printf(want, sizeof want, "n%d-%d", k, i);
			memory_name(m, SERVER, target, name);
			assert_string_equal(name, want);
		}
	}
	memory_close(m);
}

static void test_keeps_the_newest_names(void **state)
{
	char target[64], name[HOSTNAME_MAX + 1];
	struct place *p = *state;
	struct memory *m = place_open(p);

	for (int i = 0; i < MEMORY_NAMES_MAX; i++) {
		str_printf(target, sizeof target, "http://localhost:%d", i + 1);
		assert_int_equal(memory_set_name(m, SERVER, target, "old"), 0);
	}
	assert_int_equal(memory_set_name(m, SERVER, "http://localhost:1", "again"), 0);
	assert_int_equal(memory_set_name(m, SERVER, "http://localhost:9999", "new"), 0);
	memory_name(m, SERVER, "http://localhost:1", name);
	assert_string_equal(name, "again");
	memory_name(m, SERVER, "http://localhost:2", name);
	assert_string_equal(name, ""); /* the oldest */
	memory_name(m, SERVER, "http://localhost:3", name);
	assert_string_equal(name, "old");
	memory_name(m, SERVER, "http://localhost:9999", name);
	assert_string_equal(name, "new");

	for (int i = 0; i < MEMORY_SERVERS_MAX; i++) {
		str_printf(target, sizeof target, "http://s%d.example", i);
		assert_int_equal(memory_set_name(m, target, "http://localhost:1", "x"), 0);
	}
	memory_name(m, SERVER, "http://localhost:1", name);
	assert_string_equal(name, "");
	memory_close(m);
}

#define AGENT "\"agent\":\"abcdefghijkmnpqr\""

static const struct {
	const char *why, *text;
} damages[] = {
	{"an empty file", ""},
	{"not JSON", "hello"},
	{"cut off", "{" AGENT ",\"servers\":{"},
	{"a list", "[]"},
	{"no agent", "{\"servers\":{}}"},
	{"an agent that is too long", "{\"agent\":\"abcdefghijkmnpqrs\",\"servers\":{}}"},
	{"an agent with a line break", "{\"agent\":\"abcdefghijkmnp\\r\\n\",\"servers\":{}}"},
	{"no servers", "{" AGENT "}"},
	{"a recent server that is a number", "{" AGENT ",\"recent\":1,\"servers\":{}}"},
	{"servers is a list", "{" AGENT ",\"servers\":[]}"},
	{"a token that is a number", "{" AGENT ",\"servers\":{\"http://a\":{\"token\":1}}}"},
	{"auto that is a text", "{" AGENT ",\"servers\":{\"http://a\":{\"auto\":\"yes\"}}}"},
	{"names that is a list", "{" AGENT ",\"servers\":{\"http://a\":{\"names\":[]}}}"},
	{"websocket that is a number", "{" AGENT ",\"servers\":{\"http://a\":{\"websocket\":1}}}"},
	{"a server that is a text", "{" AGENT ",\"servers\":{\"http://a\":\"x\"}}"},
};

static void test_a_damaged_file_is_named_and_kept(void **state)
{
	struct place *p = *state;

	memory_close(place_open(p));
	for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
		char why[MEMORY_WHY_MAX], text[256];
		struct memory *m = NULL;
		int e;

		place_write(p, damages[i].text);
		e = memory_open(p->ev, p->dir, &m, why);
		if (e != ERR_PROTO)
			fail_msg("%s: %d", damages[i].why, e);
		assert_null(m);
		assert_non_null(strstr(why, p->file));
		assert_non_null(strstr(why, "damaged"));
		place_read(p, text, sizeof text);
		assert_string_equal(text, damages[i].text);
	}
}

static void test_damage_that_comes_later(void **state)
{
	char text[256], name[HOSTNAME_MAX + 1];
	struct place *p = *state;
	struct memory *m = place_open(p);

	assert_int_equal(memory_set_name(m, SERVER, "http://localhost:1", "one"), 0);
	place_write(p, "{oops");
	assert_int_equal(memory_set_name(m, SERVER, "http://localhost:2", "two"), ERR_PROTO);
	assert_non_null(strstr(memory_why(m), p->file));
	place_read(p, text, sizeof text);
	assert_string_equal(text, "{oops");
	memory_name(m, SERVER, "http://localhost:1", name); /* what was read stays */
	assert_string_equal(name, "one");
	memory_close(m);
}

static void test_a_name_that_is_none_is_not_used(void **state)
{
	char name[HOSTNAME_MAX + 1];
	struct place *p = *state;
	struct memory *m;

	memory_close(place_open(p));
	place_write(p, "{" AGENT ",\"servers\":{\"" SERVER
		       "\":{\"names\":{\"http://localhost:1\":\"../x\"}}}}");
	m = place_open(p);
	memory_name(m, SERVER, "http://localhost:1", name);
	assert_string_equal(name, "");
	memory_close(m);
}

static void test_a_huge_file(void **state)
{
	char why[MEMORY_WHY_MAX], *huge = malloc(MEMORY_FILE_MAX + 2);
	struct place *p = *state;
	struct memory *m = NULL;

	assert_non_null(huge);
	memset(huge, ' ', MEMORY_FILE_MAX + 1);
	huge[MEMORY_FILE_MAX + 1] = '\0';
	memory_close(place_open(p));
	place_write(p, huge);
	free(huge);
	assert_int_equal(memory_open(p->ev, p->dir, &m, why), ERR_PROTO);
	assert_non_null(strstr(why, "too long"));
}

static void test_a_place_that_cannot_be(void **state)
{
	char why[MEMORY_WHY_MAX], path[256], *longest = malloc(MEMORY_DIR_MAX + 2);
	struct place *p = *state;
	struct memory *m = NULL;
	FILE *f;

	str_printf(path, sizeof path, "%s/file", p->root);
	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
	str_printf(path, sizeof path, "%s/file/karez", p->root);
	assert_int_not_equal(memory_open(p->ev, path, &m, why), 0);
	assert_non_null(strstr(why, path));

	assert_non_null(longest);
	memset(longest, '/', MEMORY_DIR_MAX + 1);
	longest[MEMORY_DIR_MAX + 1] = '\0';
	assert_int_equal(memory_open(p->ev, longest, &m, why), ERR_TOOBIG);
	free(longest);
}

static void test_a_crash_while_writing_leaves_the_old_file(void **state)
{
	char path[256], name[HOSTNAME_MAX + 1];
	struct place *p = *state;
	struct memory *m = place_open(p);
	FILE *f;

	assert_int_equal(memory_set_name(m, SERVER, "http://localhost:1", "one"), 0);
	memory_close(m);
	str_printf(path, sizeof path, "%s.new", p->file);
	f = fopen(path, "w"); /* what a crash would leave */
	assert_non_null(f);
	fputs("{half", f);
	fclose(f);
	m = place_open(p);
	memory_name(m, SERVER, "http://localhost:1", name);
	assert_string_equal(name, "one");
	assert_int_equal(memory_set_name(m, SERVER, "http://localhost:2", "two"), 0);
	assert_int_not_equal(access(path, F_OK), 0);
	memory_close(m);
}

#define PLACE_TEST(name) cmocka_unit_test_setup_teardown(name, place_make, place_drop)

/* Which server somebody logged in to last, whatever else is remembered. */
static void test_recent(void **state)
{
	struct memory_credential c = {.token = "kz_x", .account = "a"};
	struct place *p = *state;
	struct memory *m = place_open(p), *other;
	char recent[URL_TEXT_MAX];

	memory_recent(m, recent);
	assert_string_equal(recent, "");
	assert_int_equal(memory_set_recent(m, SERVER), 0);
	assert_int_equal(memory_set_credential(m, "http://localhost:8080", &c), 0);
	other = place_open(p);
	memory_recent(other, recent);
	assert_string_equal(recent, SERVER);
	assert_int_equal(memory_set_recent(other, NULL), 0);
	memory_recent(other, recent);
	assert_string_equal(recent, "");
	memory_credential(other, "http://localhost:8080", &c);
	assert_string_equal(c.token, "kz_x");
	memory_close(other);
	memory_close(m);
}

static void test_websocket(void **state)
{
	struct memory_credential c = {.token = "kz_x", .account = "a"};
	struct place *p = *state;
	struct memory *m = place_open(p), *other;
	char text[4096];

	assert_false(memory_websocket(m, SERVER));
	assert_int_equal(memory_set_credential(m, SERVER, &c), 0);
	assert_int_equal(memory_set_websocket(m, SERVER, true), 0);
	other = place_open(p);
	assert_true(memory_websocket(other, SERVER));
	assert_false(memory_websocket(other, "http://localhost:8080"));
	assert_int_equal(memory_set_websocket(other, SERVER, false), 0);
	assert_false(memory_websocket(other, SERVER));
	memory_credential(other, SERVER, &c);
	assert_string_equal(c.token, "kz_x");
	(void)place_read(p, text, sizeof text);
	assert_null(strstr(text, "websocket")); /* what goes without saying is not written down */
	memory_close(other);
	memory_close(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(test_only_its_owner_can_read_it),
		PLACE_TEST(test_remembers_from_run_to_run),
		PLACE_TEST(test_epochs_only_grow),
		PLACE_TEST(test_two_agents_do_not_lose_each_others_words),
		PLACE_TEST(test_many_processes_at_once),
		PLACE_TEST(test_keeps_the_newest_names),
		PLACE_TEST(test_recent),
		PLACE_TEST(test_websocket),
		PLACE_TEST(test_a_damaged_file_is_named_and_kept),
		PLACE_TEST(test_damage_that_comes_later),
		PLACE_TEST(test_a_name_that_is_none_is_not_used),
		PLACE_TEST(test_a_huge_file),
		PLACE_TEST(test_a_place_that_cannot_be),
		PLACE_TEST(test_a_crash_while_writing_leaves_the_old_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
