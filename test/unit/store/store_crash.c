/*
 * The SQLite store among accidents: kill -9, a full disk, several processes on one file.
 *
 * Other processes are this program again, run with a verb (see main). KAREZ_STORE_KILLS says how
 * often the writer is killed; 20 times if it is not set.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "suite/store_file.h"

/* ---- other processes ---- */

static char *self; /* argv[0], set once by main */

static pid_t run_self(const char *verb, const char *where, const char *number, int out)
{
	char *const argv[] = {self, must_strdup(verb), must_strdup(where), must_strdup(number),
			      NULL};
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (out >= 0)
			dup2(out, STDOUT_FILENO);
		execv(self, argv);
		_exit(127);
	}
	for (int i = 1; i < 4; i++)
		free(argv[i]);
	return pid;
}

/* Each batch of the writer: these three keys with the number behind, or none of them. */
static const char *const parts[] = {"a", "b", "c"};

static void writer_put(struct store_rig *t, uint32_t number);

/* Tell the parent that this number is kept, go on with another one. */
static void writer_on_answer(struct store_told *told)
{
	uint32_t number;

	CHECK(told->answer.e == 0);
	CHECK(sscanf(told->recs[0].key.p, "a%8u", &number) == 1);
	CHECK(write(STDOUT_FILENO, &number, sizeof number) == sizeof number);
	writer_put(told->rig, number + 16);
}

static void writer_put(struct store_rig *t, uint32_t number)
{
	struct store_write lines[ARRAY_LEN(parts)];
	char keys[ARRAY_LEN(parts)][16], value[2000];
	struct store_told *told = &t->told[number % 16];

	str_printf(value, sizeof value, "%0*u", 1 + (int)(number * 7919 % 1900), number);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		str_printf(keys[i], sizeof keys[i], "%s%08u", parts[i], number);
		lines[i] =
			(struct store_write){STORE_PUT, store_rig_rec("kill", keys[i], value), 0};
	}
	/* 16 for ever: what the last answer in this place left is not looked at any more. */
	memset(told, 0, sizeof *told);
	told->rig = t;
	told->then = writer_on_answer;
	CHECK(store_batch(t->store, lines, ARRAY_LEN(lines), store_rig_on_answer, told) == 0);
}

/* Write for ever, 16 batches at a time; print the number of each that was answered. */
static int writer_main(const char *where, uint32_t from)
{
	struct store_rig *t = store_file_guest(where);

	t->n_asked = UINT32_MAX; /* never done */
	for (uint32_t i = 0; i < 16; i++)
		writer_put(t, from + i);
	ev_run(t->ev);
	return 1;
}

struct kept {
	uint32_t n;
	uint8_t *acked, *found; /* [n]; found: a bit for each part */
};

enum { KEPT_MAX = 1 << 20 };

/* Read all that the writer reported until its end, killing it after `kill_after` of them. */
static void writer_watch(int fd, pid_t pid, unsigned kill_after, struct kept *kept)
{
	uint32_t number;
	unsigned n = 0;
	int status;

	if (kill_after == 0)
		kill(pid, SIGKILL);
	while (read(fd, &number, sizeof number) == sizeof number) {
		assert_true(number < KEPT_MAX);
		kept->acked[number] = 1;
		kept->n = MAX(kept->n, number + 1);
		if (++n == kill_after)
			kill(pid, SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void kept_find(struct store_rig *t, struct kept *kept)
{
	struct store_page page = {.kind = STR("kill"), .limit = STORE_PAGE_MAX};
	char key[16] = "";
	bool more = true;

	memset(kept->found, 0, KEPT_MAX);
	while (more) {
		const struct store_told *told;

		page.after = str_of(key);
		told = store_rig_list(t, page);
		assert_int_equal(told->answer.e, 0);
		for (size_t i = 0; i < told->answer.n; i++) {
			const struct store_record *rec = &told->recs[i];
			uint32_t number, value;

			assert_int_equal(str_copy(key, sizeof key, rec->key), 0);
			number = (uint32_t)strtoul(key + 1, NULL, 10);
			value = (uint32_t)strtoul(rec->value.p, NULL, 10);
			assert_true(number < KEPT_MAX);
			assert_int_equal(number, value);
			kept->found[number] |= (uint8_t)(1 << (key[0] - 'a'));
			kept->n = MAX(kept->n, number + 1);
		}
		more = told->answer.more;
	}
}

static void test_kill(void **state)
{
	const char *env = getenv("KAREZ_STORE_KILLS");
	int n_kills = env == NULL ? 20 : atoi(env);
	struct store_rig *t = *state;
	struct kept kept = {.acked = must_calloc(1, KEPT_MAX), .found = must_calloc(1, KEPT_MAX)};
	unsigned n_acked = 0, n_found = 0;
	uint32_t next = 0;

	for (int i = 0; i < n_kills; i++) {
		int fds[2], n;
		char number[16];
		pid_t pid;

		assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
		str_printf(number, sizeof number, "%u", next);
		pid = run_self("--write", t->where, number, fds[1]);
		close(fds[1]);
		writer_watch(fds[0], pid, (unsigned)ev_random_below(t->ev, 200), &kept);
		close(fds[0]);

		store_rig_open(t);
		kept_find(t, &kept);
		for (uint32_t j = 0; j < kept.n; j++) {
			if (kept.found[j] != 0 && kept.found[j] != 7)
				fail_msg("kill %d: a part of batch %u", i, j);
			if (kept.acked[j] && kept.found[j] == 0)
				fail_msg("kill %d: batch %u was answered and is lost", i, j);
		}
		store_rig_end(t);
		store_file_sql(
			t->where,
			"SELECT count(*) = 0 OR max(version) <= (SELECT version FROM counter)"
			" FROM record",
			&n);
		assert_int_equal(n, 1);
		next = (kept.n + 31) / 16 * 16;
	}
	for (uint32_t j = 0; j < kept.n; j++) {
		n_acked += kept.acked[j];
		n_found += kept.found[j] != 0;
	}
	print_message("  %d kills, %u batches answered, %u found\n", n_kills, n_acked, n_found);
	assert_true(n_acked > (unsigned)n_kills);
	free(kept.acked);
	free(kept.found);
}

/* Add one to a record `times` times, trying again when another process was faster. */
static int counter_main(const char *where, int times)
{
	struct store_rig *t = store_file_guest(where);
	char text[16];
	int n_done = 0;

	while (n_done < times) {
		const struct store_told *told = store_rig_get(t, "count", "one");
		uint64_t version = told->answer.e == 0 ? told->recs[0].version : 0;
		int value = version == 0 ? 0 : atoi(told->recs[0].value.p), e;

		CHECK(told->answer.e == 0 || told->answer.e == ERR_NOTFOUND);
		str_printf(text, sizeof text, "%d", value + 1);
		e = store_rig_put(t, store_rig_rec("count", "one", text), version)->answer.e;
		CHECK(e == 0 || e == ERR_CONFLICT);
		n_done += e == 0;
	}
	store_rig_free(t);
	return 0;
}

/* All open a new file at once, too. */
static void test_several_processes(void **state)
{
	enum { N = 4, TIMES = 50 };
	struct store_rig *t = *state;
	pid_t pids[N];
	int status;

	for (int i = 0; i < N; i++)
		pids[i] = run_self("--count", t->where, "50", -1);
	for (int i = 0; i < N; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	store_rig_open(t);
	store_rig_expect(t, "count", "one", "200");
}

/* ---- a full disk ---- */

static struct store_told *fill_ask(struct store_rig *t, unsigned i, size_t len)
{
	static char value[STORE_VALUE_MAX];
	struct store_record rec;
	struct store_told *told = store_rig_ask(t);
	char key[16];

	str_printf(key, sizeof key, "%06u", i);
	rec = store_rig_rec("full", key, "");
	rec.value = (struct str){value, len};
	assert_int_equal(store_put(t->store, &rec, 0, store_rig_on_answer, told), 0);
	return told;
}

/* Write until it fails; returns how many were kept. */
static unsigned fill(struct store_rig *t, int want, int or_want)
{
	const struct store_told *told;
	unsigned n = 0;

	do {
		told = fill_ask(t, n, 10000);
		store_rig_wait(t);
	} while (told->answer.e == 0 && ++n < 10000);
	if (told->answer.e != want && told->answer.e != or_want)
		fail_msg("%s after %u records", err_name(told->answer.e), n);
	assert_true(n > 10);
	return n;
}

static void fill_check(struct store_rig *t, unsigned n)
{
	char key[16];

	for (unsigned i = 0; i <= n; i++) {
		str_printf(key, sizeof key, "%06u", i);
		assert_int_equal(store_rig_get(t, "full", key)->answer.e, i < n ? 0 : ERR_NOTFOUND);
	}
}

static void test_disk_full(void **state)
{
	struct store_rig *t = *state;
	struct store_told *big, *small;
	struct store_write lines[60];
	static char value[STORE_VALUE_MAX];
	char dir[512], keys[60][8];
	unsigned n;

	store_file_dir(t->where, dir, sizeof dir);
	if (mount("karez-test", dir, "tmpfs", MS_NOSUID | MS_NODEV, "size=2m") != 0) {
		print_message("  no right to mount: %s\n", strerror(errno));
		skip();
	}
	store_rig_open(t);
	/* One batch that does not fit, and beside it a small write that does. */
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		str_printf(keys[i], sizeof keys[i], "%zu", i);
		lines[i] = (struct store_write){STORE_PUT, store_rig_rec("big", keys[i], ""), 0};
		lines[i].rec.value = (struct str){value, sizeof value};
	}
	big = store_rig_ask(t);
	assert_int_equal(store_batch(t->store, lines, ARRAY_LEN(lines), store_rig_on_answer, big),
			 0);
	small = fill_ask(t, 999999, 10);
	store_rig_wait(t);
	assert_int_equal(big->answer.e, ERR_FULL);
	assert_int_equal(small->answer.e, 0);
	assert_int_equal(store_rig_get(t, "big", "0")->answer.e, ERR_NOTFOUND);

	n = fill(t, ERR_FULL, ERR_FULL);
	fill_check(t, n);
	t->n_errors = t->n_infos = 0;
	for (int i = 0; i < 20; i++)
		(void)fill_ask(t, n, 10000);
	store_rig_wait(t);
	assert_int_equal(t->n_errors, 0); /* it was said when it began */
	store_rig_reopen(t);
	fill_check(t, n);

	assert_int_equal(mount("karez-test", dir, "tmpfs", MS_REMOUNT, "size=16m"), 0);
	assert_int_equal(store_rig_put(t, store_rig_rec("full", "after", "v"), 0)->answer.e, 0);
	fill_check(t, n);
	store_rig_reopen(t);
	fill_check(t, n);
	store_rig_expect(t, "full", "after", "v");
}

static int disk_full_teardown(void **state)
{
	struct store_rig *t = *state;
	char dir[512];

	store_rig_end(t);
	store_file_dir(t->where, dir, sizeof dir);
	(void)umount2(dir, MNT_DETACH);
	store_rig_free(t);
	return 0;
}

/* Like a full disk, with another error, and without any rights. */
static void test_file_too_large(void **state)
{
	struct store_rig *t = *state;
	struct rlimit before, small;
	unsigned n;

	store_rig_open(t);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = 1 << 20;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	n = fill(t, ERR_IO, ERR_FULL);
	fill_check(t, n);
	assert_int_equal(t->n_errors, 1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(store_rig_put(t, store_rig_rec("full", "after", "v"), 0)->answer.e, 0);
	assert_int_equal(t->n_infos, 1);
	store_rig_reopen(t);
	fill_check(t, n);
	store_rig_expect(t, "full", "after", "v");
}

#define CRASH_TEST(fn) cmocka_unit_test_setup_teardown(fn, store_file_setup, store_file_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		CRASH_TEST(test_several_processes),
		CRASH_TEST(test_kill),
		CRASH_TEST(test_file_too_large),
		cmocka_unit_test_setup_teardown(test_disk_full, store_file_setup,
						disk_full_teardown),
	};

	self = argv[0];
	if (argc == 4 && strcmp(argv[1], "--write") == 0)
		return writer_main(argv[2], (uint32_t)strtoul(argv[3], NULL, 10));
	if (argc == 4 && strcmp(argv[1], "--count") == 0)
		return counter_main(argv[2], atoi(argv[3]));
	signal(SIGXFSZ, SIG_IGN);
	/* What the full disk mounts goes with this process. */
	if (unshare(CLONE_NEWNS) == 0)
		(void)mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL);
	return cmocka_run_group_tests_name("store, sqlite, crashes", tests, NULL, NULL);
}
