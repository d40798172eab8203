/* Everything that is in one store comes out of another; what is no export changes nothing. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "store/store_dump.h"
#include "suite/store_rig.h"

static const struct str kinds[] = {STR("account"), STR("secret"), STR("tunnel")};

static int dump_loop(struct ev **out)
{
	return ev_sim_new(7, out);
}

static void dump_fresh(char *where, size_t cap)
{
	assert_int_equal(str_copy(where, cap, STR("memory:")), 0);
}

static void dump_clean(const char *where)
{
}

static const struct store_maker memory = {
	.name = "store dump",
	.loop = dump_loop,
	.fresh = dump_fresh,
	.clean = dump_clean,
};

struct dump_told {
	unsigned calls;
	struct store_dump_result r;
};

static void dump_on_done(void *arg, const struct store_dump_result *r)
{
	struct dump_told *told = arg;

	told->calls++;
	told->r = *r;
}

static struct store_dump_result dump_export(struct store_rig *t, FILE *f)
{
	struct dump_told told = {0};

	assert_int_equal(store_export(t->ev, t->store, kinds, ARRAY_LEN(kinds), f, dump_on_done,
				      &told),
			 0);
	assert_int_equal(told.calls, 0);
	ev_run(t->ev);
	assert_int_equal(told.calls, 1);
	return told.r;
}

static struct store_dump_result dump_import(struct store_rig *t, FILE *f)
{
	struct dump_told told = {0};

	rewind(f);
	assert_int_equal(store_import(t->ev, t->store, kinds, ARRAY_LEN(kinds), f, dump_on_done,
				      &told),
			 0);
	assert_int_equal(told.calls, 0);
	ev_run(t->ev);
	assert_int_equal(told.calls, 1);
	return told.r;
}

static void test_there_and_back(void **state)
{
	static char big[STORE_VALUE_MAX];
	struct store_rig *t = *state;
	struct store_record rec = {.kind = STR("secret"), .key = STR("\0\xff"), .value = STR("\0")};
	FILE *f = tmpfile();
	char key[16];

	assert_non_null(f);
	store_rig_put(t, rec, 0);
	for (unsigned i = 0; i < 1700; i++) { /* more than a page, more than three batches */
		str_printf(key, sizeof key, "k%04u", i);
		store_rig_put(t, store_rig_rec("tunnel", key, "{\"a\":\"\\u00e4\"}"), 0);
	}
	memset(big, 0x80, sizeof big);
	rec = store_rig_rec("account", "big", "");
	rec.value = (struct str){big, sizeof big};
	rec.expires_ms = ev_wall_ms(t->ev) + 5000;
	store_rig_put(t, rec, 0);
	assert_int_equal(dump_export(t, f).n_records, 1702);
	store_rig_reopen(t); /* a memory store: empty again, and on a new loop */
	assert_int_equal(dump_import(t, f).n_records, 1702);
	store_rig_expect(t, "tunnel", "k1699", "{\"a\":\"\\u00e4\"}");
	store_rig_expect_value(store_rig_get(t, "account", "big"), rec.value);
	assert_int_equal(store_rig_get(t, "account", "big")->recs[0].expires_ms, rec.expires_ms);
	struct store_told *told = store_rig_ask(t);
	assert_int_equal(store_get(t->store, STR("secret"), STR("\0\xff"), store_rig_on_answer,
				   told),
			 0);
	store_rig_wait(t);
	store_rig_expect_value(told, STR("\0"));
	fclose(f);
}

static void test_what_is_no_export(void **state)
{
	static const struct {
		const char *why, *text;
		int want;
		const char *says;
	} cases[] = {
		{"nothing at all", "", ERR_PROTO, "empty"},
		{"another file", "hello\n", ERR_PROTO, "no export"},
		{"a later format", "{\"karez-store\":2}\n", ERR_PROTO, "no export"},
		{"a damaged line",
		 "{\"karez-store\":1}\n{\"kind\":\"tunnel\",\"key\":\"a\",\"value\":\"\"}\n{\n",
		 ERR_PROTO, "line 3"},
		{"a kind that is not ours",
		 "{\"karez-store\":1}\n{\"kind\":\"x\",\"key\":\"a\",\"value\":\"\"}\n", ERR_PROTO,
		 "line 2"},
		{"an empty key",
		 "{\"karez-store\":1}\n{\"kind\":\"tunnel\",\"key\":\"\",\"value\":\"\"}\n",
		 ERR_PROTO, "line 2"},
		{"no value", "{\"karez-store\":1}\n{\"kind\":\"tunnel\",\"key\":\"k\"}\n",
		 ERR_PROTO, "line 2"},
		{"base64 that is none",
		 "{\"karez-store\":1}\n"
		 "{\"kind\":\"tunnel\",\"key\":\"k\",\"value64\":\"a\"}\n",
		 ERR_PROTO, "line 2"},
		{"one record twice",
		 "{\"karez-store\":1}\n{\"kind\":\"tunnel\",\"key\":\"a\",\"value\":\"\"}\n"
		 "{\"kind\":\"tunnel\",\"key\":\"a\",\"value\":\"\"}\n",
		 ERR_EXISTS, "already"},
	};
	struct store_rig *t = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct store_dump_result r;
		FILE *f = tmpfile();

		print_message("  %s\n", cases[i].why);
		assert_non_null(f);
		assert_true(fputs(cases[i].text, f) >= 0);
		r = dump_import(t, f);
		assert_int_equal(r.e, cases[i].want);
		assert_non_null(strstr(r.why, cases[i].says));
		assert_int_equal(r.n_records, 0);
		assert_int_equal(store_rig_get(t, "tunnel", "a")->answer.e, ERR_NOTFOUND);
		fclose(f);
	}
}

/* A line without an end is not read to its end. */
static void test_a_line_without_an_end(void **state)
{
	struct store_rig *t = *state;
	struct store_dump_result r;
	FILE *f = tmpfile();

	assert_non_null(f);
	assert_true(fputs("{\"karez-store\":1}\n", f) >= 0);
	assert_int_equal(fflush(f), 0);
	assert_int_equal(ftruncate(fileno(f), 64 * STORE_DUMP_LINE_MAX), 0);
	r = dump_import(t, f);
	assert_int_equal(r.e, ERR_PROTO);
	assert_non_null(strstr(r.why, "line 2"));
	assert_true(ftell(f) <= 2 * STORE_DUMP_LINE_MAX);
	fclose(f);
}

static void test_only_into_an_empty_store(void **state)
{
	struct store_rig *t = *state;
	struct store_dump_result r;
	FILE *f = tmpfile();

	assert_non_null(f);
	store_rig_put(t, store_rig_rec("tunnel", "a", "mine"), 0);
	assert_int_equal(dump_export(t, f).e, 0);
	r = dump_import(t, f);
	assert_int_equal(r.e, ERR_EXISTS);
	assert_non_null(strstr(r.why, "tunnel"));
	store_rig_expect(t, "tunnel", "a", "mine");
	fclose(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_RIG_TEST(&memory, test_there_and_back),
		STORE_RIG_TEST(&memory, test_what_is_no_export),
		STORE_RIG_TEST(&memory, test_a_line_without_an_end),
		STORE_RIG_TEST(&memory, test_only_into_an_empty_store),
	};

	return cmocka_run_group_tests_name("store dump", tests, NULL, NULL);
}
