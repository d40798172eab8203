/* A file that is edited in all the ways that people and programs edit files. */
#include "app/file_watch.h"

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
#include "base/str.h"

/* Longer than anything here takes, in milliseconds. */
#define TOO_LONG_MS 20000

struct scene {
	struct ev *ev;
	struct file_watch *watch;
	struct ev_timer alarm;
	char dir[32], path[64];
	int changes;
	bool late;
};

static void scene_on_change(void *arg)
{
	struct scene *s = arg;

	s->changes++;
	ev_stop(s->ev);
}

static void scene_on_alarm(void *arg)
{
	struct scene *s = arg;

	s->late = true;
	ev_stop(s->ev);
}

static void scene_new(struct scene *s, struct ev *ev)
{
	*s = (struct scene){.ev = ev, .dir = "/tmp/karez-watch-XXXXXX"};
	s->alarm = (struct ev_timer){.fn = scene_on_alarm, .arg = s};
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->path, sizeof s->path, "%s/services.yaml", s->dir);
}

static void scene_watch(struct scene *s)
{
	assert_int_equal(file_watch_new(s->ev, s->path, scene_on_change, s, &s->watch), 0);
}

static void scene_free(struct scene *s)
{
	char command[64];

	file_watch_free(s->watch);
	ev_timer_stop(s->ev, &s->alarm);
	ev_free(s->ev);
	snprintf(command, sizeof command, "rm -r %s", s->dir);
	assert_int_equal(system(command), 0);
}

static void put(const struct scene *s, const char *name, const char *text)
{
	char path[96];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", s->dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fputs(text, f) >= 0, 1);
	assert_int_equal(fclose(f), 0);
}

static void rename_to(const struct scene *s, const char *from, const char *to)
{
	char a[96], b[96];

	snprintf(a, sizeof a, "%s/%s", s->dir, from);
	snprintf(b, sizeof b, "%s/%s", s->dir, to);
	assert_int_equal(rename(a, b), 0);
}

static void turn_link(const struct scene *s, const char *to, const char *name)
{
	char path[96];

	snprintf(path, sizeof path, "%s/new", s->dir);
	assert_int_equal(symlink(to, path), 0);
	rename_to(s, "new", name);
}

/* The loop runs until the change is told. */
static void hears_of_it(struct scene *s)
{
	int before = s->changes;

	ev_timer_set(s->ev, &s->alarm, TOO_LONG_MS);
	ev_run(s->ev);
	assert_false(s->late);
	assert_int_equal(s->changes, before + 1);
}

static struct ev *real_loop(void)
{
	struct ev *ev = NULL;

	assert_int_equal(ev_new(&ev), 0);
	return ev;
}

static void test_written_in_place(void **state)
{
	struct scene s;

	scene_new(&s, real_loop());
	put(&s, "services.yaml", "web: 1\n");
	scene_watch(&s);
	put(&s, "services.yaml", "web: 2222\n");
	hears_of_it(&s);
	put(&s, "services.yaml", "web: 33\n");
	hears_of_it(&s);
	scene_free(&s);
}

static void test_another_takes_its_place(void **state)
{
	struct scene s;

	scene_new(&s, real_loop());
	put(&s, "services.yaml", "web: 1\n");
	scene_watch(&s);
	for (int i = 0; i < 3; i++) {
		put(&s, "services.yaml.tmp", "web: 1\n");
		rename_to(&s, "services.yaml.tmp", "services.yaml");
		hears_of_it(&s);
	}
	scene_free(&s);
}

static void test_it_goes_and_comes(void **state)
{
	struct scene s;

	scene_new(&s, real_loop());
	scene_watch(&s);
	put(&s, "services.yaml", "web: 1\n");
	hears_of_it(&s);
	assert_int_equal(unlink(s.path), 0);
	hears_of_it(&s);
	put(&s, "services.yaml", "web: 1\n");
	hears_of_it(&s);
	scene_free(&s);
}

/* services.yaml -> ..data/services.yaml, ..data -> ..1, as Kubernetes lays a ConfigMap out. */
static void test_a_link_is_turned(void **state)
{
	struct scene s;
	char path[96];

	scene_new(&s, real_loop());
	for (int i = 1; i <= 3; i++) {
		snprintf(path, sizeof path, "%s/..%d", s.dir, i);
		assert_int_equal(mkdir(path, 0700), 0);
		snprintf(path, sizeof path, "..%d/services.yaml", i);
		put(&s, path, "web: 1\n");
	}
	turn_link(&s, "..1", "..data");
	turn_link(&s, "..data/services.yaml", "services.yaml");
	scene_watch(&s);
	turn_link(&s, "..2", "..data");
	hears_of_it(&s);
	turn_link(&s, "..3", "..data");
	hears_of_it(&s);
	put(&s, "..3/services.yaml", "web: 22\n"); /* what it leads to now is watched, too */
	hears_of_it(&s);
	scene_free(&s);
}

static void test_the_folder_comes_later(void **state)
{
	struct scene s;
	char path[96];

	scene_new(&s, real_loop());
	snprintf(s.path, sizeof s.path, "%s/conf/services.yaml", s.dir);
	scene_watch(&s);
	snprintf(path, sizeof path, "%s/conf", s.dir);
	assert_int_equal(mkdir(path, 0700), 0);
	put(&s, "conf/services.yaml", "web: 1\n");
	hears_of_it(&s);
	put(&s, "conf/services.yaml", "web: 22\n");
	hears_of_it(&s);
	scene_free(&s);
}

/* A simulated loop has no eyes for folders: then the file itself is looked at. */
static void test_where_folders_tell_nothing(void **state)
{
	struct ev *ev = NULL;
	struct scene s;

	assert_int_equal(ev_sim_new(1, &ev), 0);
	scene_new(&s, ev);
	put(&s, "services.yaml", "web: 1\n");
	scene_watch(&s);
	ev_sim_run_for(ev, 10 * FILE_WATCH_BLIND_MS);
	assert_int_equal(s.changes, 0);
	put(&s, "services.yaml", "web: 22\n");
	ev_sim_run_for(ev, FILE_WATCH_BLIND_MS);
	assert_int_equal(s.changes, 1);
	ev_sim_run_for(ev, 10 * FILE_WATCH_BLIND_MS);
	assert_int_equal(s.changes, 1);
	scene_free(&s);
}

/* Other files of its folder are none of our business. */
static void test_its_neighbours(void **state)
{
	struct scene s;

	scene_new(&s, real_loop());
	put(&s, "services.yaml", "web: 1\n");
	scene_watch(&s);
	put(&s, "services.yaml.swp", "x");
	ev_timer_set(s.ev, &s.alarm, 4 * FILE_WATCH_MOST_MS);
	ev_run(s.ev);
	assert_true(s.late);
	assert_int_equal(s.changes, 0);
	s.late = false;
	put(&s, "services.yaml", "web: 22\n");
	hears_of_it(&s);
	scene_free(&s);
}

static void test_a_path_that_is_too_long(void **state)
{
	char path[8192];
	struct file_watch *w = NULL;
	struct ev *ev = real_loop();

	memset(path, 'a', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	assert_int_equal(file_watch_new(ev, path, scene_on_change, NULL, &w), ERR_TOOBIG);
	assert_null(w);
	ev_free(ev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_written_in_place),
		cmocka_unit_test(test_another_takes_its_place),
		cmocka_unit_test(test_it_goes_and_comes),
		cmocka_unit_test(test_a_link_is_turned),
		cmocka_unit_test(test_the_folder_comes_later),
		cmocka_unit_test(test_where_folders_tell_nothing),
		cmocka_unit_test(test_its_neighbours),
		cmocka_unit_test(test_a_path_that_is_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
