/* Names of Redis stores: what they mean, what is refused, what of them may be shown. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "store/store_redis_url.h"

#define TEN	"0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static void test_good(void **state)
{
	static const struct {
		const char *why, *where, *hosts, *user, *password, *master, *path;
		enum store_redis_kind kind;
		unsigned db, wait;
	} cases[] = {
		{"the shortest", "redis://h", "h:6379", "", "", "", "", STORE_REDIS_TCP, 0, 0},
		{"a trailing slash", "redis://h/", "h:6379", "", "", "", "", STORE_REDIS_TCP, 0, 0},
		{"a port and a database", "redis://h:7000/3", "h:7000", "", "", "", "",
		 STORE_REDIS_TCP, 3, 0},
		{"the scheme in capitals", "REDIS://10.0.0.1:1/1", "10.0.0.1:1", "", "", "", "",
		 STORE_REDIS_TCP, 1, 0},
		{"user and password", "redis://tim:secret@h", "h:6379", "tim", "secret", "", "",
		 STORE_REDIS_TCP, 0, 0},
		{"a password alone", "redis://:secret@h", "h:6379", "", "secret", "", "",
		 STORE_REDIS_TCP, 0, 0},
		{"a user alone, the password in the environment", "redis://tim@h", "h:6379", "tim",
		 "", "", "", STORE_REDIS_TCP, 0, 0},
		{"an escaped password", "redis://:a%40b%2f%25%3a@h", "h:6379", "", "a@b/%:", "", "",
		 STORE_REDIS_TCP, 0, 0},
		{"a password with @, / and : as they are", "redis://u:p@/:q@h/1", "h:6379", "u",
		 "p@/:q", "", "", STORE_REDIS_TCP, 1, 0},
		{"IPv6", "redis://[::1]:5/0", "::1:5", "", "", "", "", STORE_REDIS_TCP, 0, 0},
		{"IPv6 without a port", "redis://[fe80::1]", "fe80::1:6379", "", "", "", "",
		 STORE_REDIS_TCP, 0, 0},
		{"a list", "redis://a,b:7,[::1]:8/2?wait=1", "a:6379 b:7 ::1:8", "", "", "", "",
		 STORE_REDIS_TCP, 2, 1},
		{"an underscore in a private name", "redis://my_redis", "my_redis:6379", "", "", "",
		 "", STORE_REDIS_TCP, 0, 0},
		{"Sentinels: writes wait for a replica", "redis+sentinel://a,b:7/my-master",
		 "a:26379 b:7", "", "", "my-master", "", STORE_REDIS_SENTINEL, 0, 1},
		{"Sentinels, and no waiting", "redis+sentinel://a/m?wait=0", "a:26379", "", "", "m",
		 "", STORE_REDIS_SENTINEL, 0, 0},
		{"Sentinels with everything", "redis+sentinel://u:p@a/m/4?wait=16", "a:26379", "u",
		 "p", "m", "", STORE_REDIS_SENTINEL, 4, 16},
		{"a socket", "redis+unix:///run/redis", "", "", "", "", "/run/redis",
		 STORE_REDIS_UNIX, 0, 0},
		{"a socket with everything", "redis+unix://u:p@/run/r?db=2&wait=1", "", "u", "p",
		 "", "/run/r", STORE_REDIS_UNIX, 2, 1},
		{"no wait", "redis://h?wait=0", "h:6379", "", "", "", "", STORE_REDIS_TCP, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char why[STORE_REDIS_WHY] = "", hosts[600] = "";
		struct store_redis_url url;

		print_message("  %s\n", cases[i].why);
		if (store_redis_url_parse(str_of(cases[i].where), &url, why) != 0)
			fail_msg("%s", why);
		for (size_t j = 0; j < url.n_hosts; j++)
			str_printf(hosts + strlen(hosts), sizeof hosts - strlen(hosts), "%s%s:%u",
				   j > 0 ? " " : "", url.hosts[j].name, url.hosts[j].port);
		assert_string_equal(hosts, cases[i].hosts);
		assert_string_equal(url.user, cases[i].user);
		assert_string_equal(url.password, cases[i].password);
		assert_string_equal(url.master, cases[i].master);
		assert_string_equal(url.path, cases[i].path);
		assert_int_equal(url.kind, cases[i].kind);
		assert_int_equal(url.db, cases[i].db);
		assert_int_equal(url.wait, cases[i].wait);
		assert_true(store_redis_url_is(str_of(cases[i].where)));
	}
}

static const struct {
	const char *why, *where, *word;
} bad_cases[] = {
	{"TLS", "rediss://h", "TLS"},
	{"TLS to Sentinels", "rediss+sentinel://h/m", "TLS"},
	{"no host", "redis://", "no host"},
	{"a database and no host", "redis:///0", "no host"},
	{"one slash", "redis:/h", "expected"},
	{"no slash", "redis:h", "expected"},
	{"an unknown scheme", "redis+tcp://h", "expected"},
	{"an empty host in a list", "redis://a,,b", "HOST:PORT"},
	{"a comma at the end", "redis://a,", "HOST:PORT"},
	{"port 0", "redis://a:0", "HOST:PORT"},
	{"a port that is too large", "redis://a:65536", "HOST:PORT"},
	{"a port that is none", "redis://a:x", "HOST:PORT"},
	{"IPv6 without brackets", "redis://::1", "HOST:PORT"},
	{"a bracket that stays open", "redis://[::1", "HOST:PORT"},
	{"a space", "redis://a b", "HOST:PORT"},
	{"nine hosts", "redis://a,a,a,a,a,a,a,a,a", "8 hosts"},
	{"a database that is none", "redis://h/x", "0-65535"},
	{"a negative database", "redis://h/-1", "0-65535"},
	{"a large database", "redis://h/65536", "0-65535"},
	{"two databases", "redis://h/1/2", "0-65535"},
	{"too many replicas", "redis://h?wait=17", "0-16"},
	{"no replicas", "redis://h?wait=", "0-16"},
	{"an unknown parameter", "redis://h?password=hush", "wait=N"},
	{"db where the path has it", "redis://h?db=1", "wait=N"},
	{"an empty parameter", "redis://h?", "wait=N"},
	{"a large db of a socket", "redis+unix:///r?db=99999", "0-65535"},
	{"an unknown parameter of a socket", "redis+unix:///r?x=1", "db=N"},
	{"Sentinels without a master", "redis+sentinel://h", "name of the master"},
	{"an empty master", "redis+sentinel://h//0", "name of the master"},
	{"a master with a space", "redis+sentinel://h/a b", "letters"},
	{"a socket without a path", "redis+unix://", "absolute path"},
	{"a relative path", "redis+unix://run/redis", "absolute path"},
	{"only a slash", "redis+unix:///", "absolute path"},
	{"a path that is too long", "redis+unix:///" HUNDRED TEN, "107"},
	{"half an escape", "redis://:hush%4@h", "%25"},
	{"no escape", "redis://:hush%zz@h", "%25"},
	{"a line end in the password", "redis://:hush%0a@h", "control"},
	{"a NUL in the user", "redis://%00:hush@h", "control"},
	{"a long password", "redis://:hush" HUNDRED HUNDRED HUNDRED "@h", "255"},
	{"a long name",
	 "redis://:hush" HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED
		 HUNDRED "@h",
	 "1000 bytes"},
};

static void test_bad(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(bad_cases); i++) {
		char why[STORE_REDIS_WHY] = "", shown[STORE_REDIS_WHERE_MAX];
		struct str where = str_of(bad_cases[i].where);
		struct store_redis_url url;
		int want = str_starts(where, STR("rediss")) ? ERR_UNSUPPORTED : ERR_INVAL;

		print_message("  %s\n", bad_cases[i].why);
		assert_int_equal(store_redis_url_parse(where, &url, why), want);
		if (strstr(why, bad_cases[i].word) == NULL)
			fail_msg("%s", why);
		store_redis_url_mask(where, shown, sizeof shown);
		assert_null(strstr(why, "hush"));
		assert_null(strstr(shown, "hush"));
	}
}

static void test_mask(void **state)
{
	static const struct {
		const char *where, *shown;
	} cases[] = {
		{"redis://h:1,g/2", "redis://h:1,g/2"},
		{"redis://h/2?wait=1", "redis://h/2"},
		{"redis://tim:hush@h/0", "redis://tim:***@h/0"},
		{"redis://:hush@h", "redis://***@h"},
		{"redis://hush@h", "redis://***@h"},
		{"redis://tim:hu@sh@h", "redis://tim:***@h"},
		{"redis://tim:hu/s@h", "redis://tim:***@h"},
		{"redis+unix://a:hush@/run/r?db=1", "redis+unix://a:***@/run/r"},
		{"Redis+Sentinel://a:hush@h/m/0", "Redis+Sentinel://a:***@h/m/0"},
		{"http://tim:hush@x", "http://tim:***@x"},
		{"redis:hush@h", "redis:***@h"},
		{"memory:", "memory:"},
		{"sqlite:/a/b", "sqlite:/a/b"},
		{"", ""},
	};
	char shown[64];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		store_redis_url_mask(str_of(cases[i].where), shown, sizeof shown);
		assert_string_equal(shown, cases[i].shown);
	}
}

static void test_environment(void **state)
{
	char why[STORE_REDIS_WHY];
	struct store_redis_url url;

	setenv("KAREZ_REDIS_PASSWORD", "of the environment", 1);
	setenv("KAREZ_REDIS_SENTINEL_PASSWORD", "of the sentinels", 1);
	assert_int_equal(store_redis_url_parse(STR("redis://u@h"), &url, why), 0);
	assert_int_equal(store_redis_url_environment(&url), 0);
	assert_string_equal(url.password, "of the environment");
	assert_string_equal(url.sentinel_password, "of the sentinels");
	assert_int_equal(store_redis_url_parse(STR("redis://:p@h"), &url, why), 0);
	assert_int_equal(store_redis_url_environment(&url), 0);
	assert_string_equal(url.password, "p");
	assert_int_equal(store_redis_url_parse(STR("redis://u@h"), &url, why), 0);
	setenv("KAREZ_REDIS_PASSWORD", HUNDRED HUNDRED HUNDRED, 1);
	assert_int_equal(store_redis_url_environment(&url), ERR_TOOBIG);
	unsetenv("KAREZ_REDIS_PASSWORD");
	unsetenv("KAREZ_REDIS_SENTINEL_PASSWORD");
}

/* Random bytes in the place of others: never a crash, and never the secret in what is shown. */
static void test_hostile(void **state)
{
	static const char good[] = "redis+sentinel://tim:hush@a,b:7,[::1]:8/master/2?wait=1";
	static const char odd[] = "\0\n\xff@:/?,%[]&=.-0a";
	uint32_t seed = 20260101;

	for (int i = 0; i < 50000; i++) {
		char text[sizeof good], shown[40], why[STORE_REDIS_WHY] = "";
		struct store_redis_url url;
		struct str where = {text, sizeof good - 1};

		memcpy(text, good, sizeof good);
		for (int n = 0; n < 3; n++) {
			size_t at = (seed = seed * 1664525 + 1013904223) % where.len;

			if (at < 17 || at > 25) /* the secret itself stays */
				text[at] = odd[(seed >> 16) % (sizeof odd - 1)];
		}
		where.len -= (seed >> 8) % 20;
		if (store_redis_url_parse(where, &url, why) == 0)
			assert_in_range(url.n_hosts + (url.kind == STORE_REDIS_UNIX), 1,
					STORE_REDIS_HOSTS_MAX);
		else
			assert_true(why[0] != '\0');
		store_redis_url_mask(where, shown, sizeof shown);
		assert_null(strstr(why, "hush"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	cmocka_unit_test(test_bad),
		cmocka_unit_test(test_mask),	cmocka_unit_test(test_environment),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
