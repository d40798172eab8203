/* Password hashes: made and checked off the loop, few at a time, whatever happens meanwhile. */
#include "core/password.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

/* One question, and what was answered. */
struct told {
	struct password_job *job;
	unsigned calls;
	int e;
	char hash[RIGHTS_HASH_TEXT];
};

static void on_hash(void *arg, int e, const char *hash)
{
	struct told *t = arg;

	t->calls++;
	t->e = e;
	assert_int_equal(hash != NULL, e == 0);
	str_printf(t->hash, sizeof t->hash, "%s", hash != NULL ? hash : "");
}

static void on_check(void *arg, int e)
{
	struct told *t = arg;

	t->calls++;
	t->e = e;
}

static struct ev *open_loop(struct passwords **p)
{
	struct ev *ev;

	assert_int_equal(ev_sim_new(5, &ev), 0);
	assert_int_equal(password_new(ev, p), 0);
	return ev;
}

/* Python: hashlib.scrypt(b"sesame", salt=b"0123456789abcdef", n=2**4, r=8, p=1, dklen=32) */
#define CHEAP \
	"$scrypt$ln=4,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$rz3WVe/oArfw8/O+Vc3+BHc/+hjqI8xHnPKAiHbAfWY"

static void test_what_is_hashed_is_found_right(void **state)
{
	struct passwords *p;
	struct ev *ev = open_loop(&p);
	struct told hash = {0}, again = {0}, right = {0}, wrong = {0};
	struct password_check check = {.password = STR("open sesame")};

	assert_int_equal(password_hash(p, STR("open sesame"), on_hash, &hash, &hash.job), 0);
	assert_int_equal(hash.calls, 0);
	assert_int_equal(password_hash(p, STR("open sesame"), on_hash, &again, &again.job), 0);
	ev_sim_run_for(ev, 1);
	assert_int_equal(hash.calls, 1);
	assert_int_equal(hash.e, 0);
	assert_true(str_starts(str_of(hash.hash), STR("$scrypt$ln=14,r=8,p=1$")));
	assert_string_not_equal(hash.hash, again.hash); /* another salt */

	check.hash = str_of(hash.hash);
	assert_int_equal(password_check(p, &check, on_check, &right, &right.job), 0);
	check.password = STR("open sesam");
	assert_int_equal(password_check(p, &check, on_check, &wrong, &wrong.job), 0);
	ev_sim_run_for(ev, 1);
	assert_int_equal(right.calls, 1);
	assert_int_equal(right.e, 0);
	assert_int_equal(wrong.calls, 1);
	assert_int_equal(wrong.e, ERR_AUTH);
	password_free(p);
	ev_free(ev);
}

static void test_hashes_from_elsewhere(void **state)
{
	static const struct {
		const char *why, *hash, *password;
		int want;
	} cases[] = {
		{"another cost", CHEAP, "sesame", 0},
		{"another cost, wrong", CHEAP, "sesamE", ERR_AUTH},
		{"nobody", "", "sesame", ERR_AUTH},
		{"no password", CHEAP, "", ERR_AUTH},
		{"another algorithm", "$argon2id$v=19$m=1,t=1,p=1$MDEyMzQ1Njc4$MDEy", "x",
		 ERR_INVAL},
		{"no dollar in front", "scrypt$ln=4,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEy", "x",
		 ERR_INVAL},
		{"a key too short", "$scrypt$ln=4,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEy", "x",
		 ERR_INVAL},
		{"a salt too short",
		 "$scrypt$ln=4,r=8,p=1$MDEy$rz3WVe/oArfw8/O+Vc3+BHc/+hjqI8xHnPKAiHbAfWY", "x",
		 ERR_INVAL},
		{"a cost too high",
		 "$scrypt$ln=17,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$rz3WVe/oArfw8/O+Vc3+BHc/"
		 "+hjqI8xHnPKAiHbAfWY",
		 "x", ERR_INVAL},
		{"too much memory",
		 "$scrypt$ln=16,r=16,p=1$MDEyMzQ1Njc4OWFiY2RlZg$rz3WVe/oArfw8/O+Vc3+BHc/"
		 "+hjqI8xHnPKAiHbAfWY",
		 "x", ERR_INVAL},
		{"a cost of nothing",
		 "$scrypt$ln=0,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$rz3WVe/oArfw8/O+Vc3+BHc/"
		 "+hjqI8xHnPKAiHbAfWY",
		 "x", ERR_INVAL},
		{"a cost missing",
		 "$scrypt$ln=4,r=8$MDEyMzQ1Njc4OWFiY2RlZg$rz3WVe/oArfw8/O+Vc3+BHc/"
		 "+hjqI8xHnPKAiHbAfWY",
		 "x", ERR_INVAL},
		{"more behind it", CHEAP "$x", "sesame", ERR_INVAL},
		{"not base64",
		 "$scrypt$ln=4,r=8,p=1$MDEy*zQ1Njc4OWFiY2RlZg$rz3WVe/oArfw8/O+Vc3+BHc/"
		 "+hjqI8xHnPKAiHbAfWY",
		 "x", ERR_INVAL},
	};
	struct passwords *p;
	struct ev *ev = open_loop(&p);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct password_check check = {str_of(cases[i].password), str_of(cases[i].hash)};
		struct told told = {0};

		print_message("# %s\n", cases[i].why);
		assert_int_equal(password_check(p, &check, on_check, &told, &told.job), 0);
		assert_int_equal(told.calls, 0);
		ev_sim_run_for(ev, 1);
		assert_int_equal(told.calls, 1);
		assert_int_equal(told.e, cases[i].want);
	}
	/* also nobody's password was hashed: the others must not be quicker */
	assert_int_equal(password_n_jobs(p), ARRAY_LEN(cases));
	password_free(p);
	ev_free(ev);
}

static void test_passwords_that_cannot_be(void **state)
{
	static char longest[PASSWORD_MAX + 1];
	struct passwords *p;
	struct ev *ev = open_loop(&p);
	struct password_check check = {.password = {longest, sizeof longest}, .hash = STR(CHEAP)};
	struct told told = {0};

	memset(longest, 'x', sizeof longest);
	assert_int_equal(password_hash(p, STR(""), on_hash, &told, &told.job), ERR_INVAL);
	assert_int_equal(password_hash(p, check.password, on_hash, &told, &told.job), ERR_TOOBIG);
	assert_int_equal(password_check(p, &check, on_check, &told, &told.job), 0);
	ev_sim_run_for(ev, 1);
	assert_int_equal(told.calls, 1);
	assert_int_equal(told.e, ERR_AUTH);
	password_free(p);
	ev_free(ev);
}

static void test_few_run_and_few_wait(void **state)
{
	static struct told told[PASSWORD_JOBS_MAX + PASSWORD_QUEUE_MAX + 1];
	struct password_check check = {.password = STR("sesame"), .hash = STR(CHEAP)};
	const size_t most = PASSWORD_JOBS_MAX + PASSWORD_QUEUE_MAX;
	struct passwords *p;
	struct ev *ev = open_loop(&p);

	memset(told, 0, sizeof told);
	for (size_t i = 0; i < most; i++)
		assert_int_equal(password_check(p, &check, on_check, &told[i], &told[i].job), 0);
	assert_int_equal(password_n_jobs(p), PASSWORD_JOBS_MAX);
	assert_int_equal(password_check(p, &check, on_check, &told[most], &told[most].job),
			 ERR_LIMIT);
	password_cancel(told[0].job);	     /* runs */
	password_cancel(told[most - 1].job); /* waits */
	assert_int_equal(password_check(p, &check, on_check, &told[most], &told[most].job), 0);
	ev_sim_run_for(ev, 1);
	for (size_t i = 0; i <= most; i++)
		assert_int_equal(told[i].calls, i != 0 && i != most - 1);
	password_free(p);
	ev_free(ev);
}

/* On real threads: the owner goes while some run and others wait. */
static void test_it_ends_in_the_middle(void **state)
{
	static struct told told[8];
	struct password_check check = {.password = STR("sesame"), .hash = STR(CHEAP)};
	struct passwords *p;
	struct ev *ev;

	memset(told, 0, sizeof told);
	assert_int_equal(ev_new(&ev), 0);
	assert_int_equal(password_new(ev, &p), 0);
	for (size_t i = 0; i < ARRAY_LEN(told); i++)
		assert_int_equal(password_check(p, &check, on_check, &told[i], &told[i].job), 0);
	password_free(p);
	ev_free(ev);
	for (size_t i = 0; i < ARRAY_LEN(told); i++)
		assert_int_equal(told[i].calls, 0);
}

struct threads {
	struct ev *ev;
	struct told told[6];
	size_t n;
};

static void on_thread_check(void *arg, int e)
{
	struct threads *t = arg;

	assert_int_equal(e, 0);
	if (++t->n == ARRAY_LEN(t->told))
		ev_stop(t->ev);
}

static void test_on_real_threads(void **state)
{
	struct password_check check = {.password = STR("sesame"), .hash = STR(CHEAP)};
	struct threads t = {0};
	struct passwords *p;

	assert_int_equal(ev_new(&t.ev), 0);
	assert_int_equal(password_new(t.ev, &p), 0);
	for (size_t i = 0; i < ARRAY_LEN(t.told); i++)
		assert_int_equal(password_check(p, &check, on_thread_check, &t, &t.told[i].job), 0);
	ev_run(t.ev);
	assert_int_equal(t.n, ARRAY_LEN(t.told));
	password_free(p);
	ev_free(t.ev);
}

static void on_made(void *arg, int e)
{
	*(int *)arg = e;
}

/* What is made without the loop is what it finds right. */
static void test_here_and_now(void **state)
{
	static const uint8_t salt[PASSWORD_SALT_LEN] = "sixteen letters";
	char hash[RIGHTS_HASH_TEXT], big[PASSWORD_MAX + 1] = "x";
	struct password_check check = {.password = STR("sesame")};
	struct password_job *job;
	struct passwords *p;
	struct ev *ev;
	int e = -1;

	assert_int_equal(password_make(STR(""), salt, hash), ERR_INVAL);
	assert_int_equal(password_make((struct str){big, sizeof big}, salt, hash), ERR_TOOBIG);
	assert_int_equal(password_make(STR("sesame"), salt, hash), 0);
	check.hash = str_of(hash);
	assert_int_equal(ev_sim_new(1, &ev), 0);
	assert_int_equal(password_new(ev, &p), 0);
	assert_int_equal(password_check(p, &check, on_made, &e, &job), 0);
	ev_run(ev);
	assert_int_equal(e, 0);
	password_free(p);
	ev_free(ev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_hashed_is_found_right),
		cmocka_unit_test(test_hashes_from_elsewhere),
		cmocka_unit_test(test_passwords_that_cannot_be),
		cmocka_unit_test(test_few_run_and_few_wait),
		cmocka_unit_test(test_it_ends_in_the_middle),
		cmocka_unit_test(test_on_real_threads),
		cmocka_unit_test(test_here_and_now),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
