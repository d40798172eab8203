/* What can be opened below a directory: the same with openat2(2) and without, but for links. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/site_tree.h"
#include "base/err.h"
#include "unit/agent/site_rig.h"

/* e[1]: without openat2(2). */
static const struct {
	const char *why, *path;
	int e[2];
	bool dir;
} cases[] = {
	{"the root", "", {0, 0}, true},
	{"a file", "a.txt", {0, 0}},
	{"a directory", "sub", {0, 0}, true},
	{"a file in it", "sub/b.txt", {0, 0}},
	{"a link to a file", "link", {0, ERR_NOTFOUND}},
	{"a link to a directory", "sub-link", {0, ERR_NOTFOUND}, true},
	{"through a link", "sub-link/b.txt", {0, ERR_NOTFOUND}},
	{"a link that goes up and stays inside", "sub/up", {0, ERR_NOTFOUND}},
	{"a link outside", "out", {ERR_NOTFOUND, ERR_NOTFOUND}},
	{"through a link outside", "out-dir/secret", {ERR_NOTFOUND, ERR_NOTFOUND}},
	{"a link out and in again", "out-in", {ERR_NOTFOUND, ERR_NOTFOUND}},
	{"an absolute link", "absolute", {ERR_NOTFOUND, ERR_NOTFOUND}},
	{"a magic link", "magic", {ERR_NOTFOUND, ERR_NOTFOUND}},
	{"a link to itself", "loop", {ERR_NOTFOUND, ERR_NOTFOUND}},
	{"a link to nothing", "dangling", {ERR_NOTFOUND, ERR_NOTFOUND}},
	{"nothing", "none", {ERR_NOTFOUND, ERR_NOTFOUND}},
	{"nothing in nothing", "none/none", {ERR_NOTFOUND, ERR_NOTFOUND}},
	{"something in a file", "a.txt/x", {ERR_NOTFOUND, ERR_NOTFOUND}},
	{"a fifo", "fifo", {ERR_DENIED, ERR_DENIED}},
};

static void plant(struct site_rig *r)
{
	static const char *const links[][2] = {
		{"a.txt", "root/link"},
		{"sub", "root/sub-link"},
		{"../a.txt", "root/sub/up"},
		{"../secret", "root/out"},
		{"..", "root/out-dir"},
		{"../root/a.txt", "root/out-in"},
		{"loop", "root/loop"},
		{"nowhere", "root/dangling"},
		{"/proc/self/cwd", "root/magic"},
	};
	char path[256], to[256];

	site_rig_file(r, "secret", "outside");
	site_rig_file(r, "root/a.txt", "0123456789");
	site_rig_file(r, "root/sub", NULL);
	site_rig_file(r, "root/sub/b.txt", "b");
	for (size_t i = 0; i < ARRAY_LEN(links); i++)
		assert_int_equal(symlink(links[i][0], site_rig_path(r, links[i][1], path)), 0);
	site_rig_path(r, "root/a.txt", to);
	assert_int_equal(symlink(to, site_rig_path(r, "root/absolute", path)), 0);
	assert_int_equal(mkfifo(site_rig_path(r, "root/fifo", path), 0644), 0);
}

static void test_opening(void **state)
{
	struct site_rig r;

	site_rig_open(&r);
	plant(&r);
	for (int plain = 0; plain < 2; plain++) {
		struct site_tree t;

		assert_int_equal(site_tree_open(r.dir, plain, &t), 0);
		for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
			struct site_file f, look;
			int e = site_tree_read(&t, cases[i].path, &f);

			if (e != cases[i].e[plain] || (e == 0 && f.dir != cases[i].dir))
				fail_msg("%s, plain %d: %s", cases[i].why, plain, err_name(e));
			assert_int_equal(site_tree_look(&t, cases[i].path, &look), e);
			assert_int_equal(look.fd, -1);
			assert_int_equal(f.fd >= 0, e == 0);
			if (e == 0) {
				assert_int_equal(look.inode, f.inode);
				close(f.fd);
			}
		}
		site_tree_close(&t);
		site_tree_close(&t);
	}
	site_rig_net(&r);
	site_rig_close(&r);
}

static void test_what_is_known(void **state)
{
	struct site_tree t;
	struct site_file f;
	struct site_rig r;
	char text[16];

	site_rig_open(&r);
	plant(&r);
	site_rig_touch(&r, "root/a.txt", 1234567);
	assert_int_equal(site_tree_open(r.dir, false, &t), 0);
	assert_int_equal(site_tree_read(&t, "a.txt", &f), 0);
	assert_int_equal(f.size, 10);
	assert_int_equal(f.modified_ns, INT64_C(1234567000000000));
	assert_int_equal(read(f.fd, text, sizeof text), 10);
	close(f.fd);
	site_tree_close(&t);
	site_rig_net(&r);
	site_rig_close(&r);
}

/* Whoever can put a file there chooses its time. */
static void test_far_times(void **state)
{
	static const struct {
		const char *why;
		int64_t s, want_ns;
	} times[] = {
		{"before 1970", -2, INT64_C(-2000000000)},
		{"the last second that is told", 9223372035, INT64_C(9223372035000000000)},
		{"later than nanoseconds can say", 10000000000, INT64_MAX},
	};
	struct site_tree t;
	struct site_file f;
	struct site_rig r;

	site_rig_open(&r);
	plant(&r);
	assert_int_equal(site_tree_open(r.dir, false, &t), 0);
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		site_rig_touch(&r, "root/a.txt", times[i].s);
		assert_int_equal(site_tree_look(&t, "a.txt", &f), 0);
		if (f.modified_ns != times[i].want_ns)
			fail_msg("%s: %lld", times[i].why, (long long)f.modified_ns);
	}
	site_tree_close(&t);
	site_rig_net(&r);
	site_rig_close(&r);
}

static void test_long_names(void **state)
{
	char name[300], path[4000];
	struct site_rig r;

	memset(name, 'x', sizeof name);
	name[sizeof name - 1] = '\0';
	for (size_t i = 0; i < sizeof path - 1; i++)
		path[i] = i % 2 == 0 ? 'x' : '/';
	path[sizeof path - 2] = path[sizeof path - 1] = '\0';
	site_rig_open(&r);
	for (int plain = 0; plain < 2; plain++) {
		struct site_tree t;
		struct site_file f;

		assert_int_equal(site_tree_open(r.dir, plain, &t), 0);
		assert_int_equal(site_tree_read(&t, name, &f), ERR_NOTFOUND);
		assert_int_equal(site_tree_read(&t, path, &f), ERR_NOTFOUND);
		site_tree_close(&t);
	}
	site_rig_net(&r);
	site_rig_close(&r);
}

/* As somebody who is not root: nothing is closed to that one. */
static void test_what_may_not_be_read(void **state)
{
	bool root = geteuid() == 0;
	char path[256];
	struct site_rig r;

	site_rig_open(&r);
	plant(&r);
	site_rig_file(&r, "root/closed", NULL);
	site_rig_file(&r, "root/closed/c.txt", "c");
	assert_int_equal(chmod(r.base, 0755), 0);
	assert_int_equal(chmod(site_rig_path(&r, "root/a.txt", path), 0), 0);
	assert_int_equal(chmod(site_rig_path(&r, "root/closed", path), 0), 0);
	if (root)
		assert_int_equal(seteuid(65534), 0);
	for (int plain = 0; plain < 2; plain++) {
		struct site_tree t;
		struct site_file f;

		assert_int_equal(site_tree_open(r.dir, plain, &t), 0);
		assert_int_equal(site_tree_read(&t, "a.txt", &f), ERR_DENIED);
		assert_int_equal(site_tree_look(&t, "a.txt", &f), 0);
		assert_int_equal(site_tree_read(&t, "closed", &f), ERR_DENIED);
		assert_int_equal(site_tree_read(&t, "closed/c.txt", &f), ERR_DENIED);
		site_tree_close(&t);
	}
	if (root)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(chmod(site_rig_path(&r, "root/closed", path), 0700), 0);
	site_rig_net(&r);
	site_rig_close(&r);
}

static void test_the_root(void **state)
{
	struct site_tree t;
	struct site_rig r;
	char path[256];

	site_rig_open(&r);
	plant(&r);
	assert_int_equal(site_tree_open(site_rig_path(&r, "none", path), false, &t), ERR_NOTFOUND);
	assert_int_equal(site_tree_open(site_rig_path(&r, "secret", path), false, &t), ERR_INVAL);
	assert_int_equal(site_tree_open(site_rig_path(&r, "secret/x", path), false, &t),
			 ERR_NOTFOUND);
	/* a link to it is a person's own choice */
	assert_int_equal(site_tree_open(site_rig_path(&r, "root/sub-link", path), false, &t), 0);
	site_tree_close(&t);
	site_rig_net(&r);
	site_rig_close(&r);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_opening),
		cmocka_unit_test(test_what_is_known),
		cmocka_unit_test(test_far_times),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_what_may_not_be_read),
		cmocka_unit_test(test_the_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
