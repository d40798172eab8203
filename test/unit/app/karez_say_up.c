/* What `karez up` prints, word by word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/karez_say.h"
#include "base/err.h"

enum what {
	SERVICE,
	INDEX,
	BACK,
	ADDED,
	CHANGED,
	REMOVED,
	WRONG,
	WRONG_START,
	LOST,
	KEPT,
	DELAYED
};

static const struct {
	enum what what;
	bool quiet, json;
	const char *out, *err;
} cases[] = {
	{SERVICE, false, false,
	 "web (http://localhost:9000) is now publicly accessible from http://web.tim.t.example "
	 "...\n",
	 ""},
	{SERVICE, true, false, "", ""},
	{SERVICE, false, true,
	 "{\"event\":\"online\",\"service\":\"web\",\"url\":\"http://web.tim.t.example\","
	 "\"host\":\"web.tim.t.example\",\"port\":80,\"urls\":[\"http://web.tim.t.example\"],"
	 "\"name\":\"web.tim\",\"target\":\"http://localhost:9000\"}\n",
	 ""},
	{INDEX, false, false, "web is now publicly accessible from http://web.tim.t.example ...\n",
	 ""},
	{BACK, false, false, "", "karez: back again at https://t.example\n"},
	{BACK, true, false, "", ""},
	{BACK, false, true, "{\"event\":\"back\",\"server\":\"https://t.example\"}\n", ""},
	{ADDED, false, false, "web was added in the services file (http://localhost:9000)\n", ""},
	{CHANGED, false, false, "web was changed in the services file (http://localhost:9000)\n",
	 ""},
	{REMOVED, false, false, "web was removed in the services file (http://localhost:9000)\n",
	 ""},
	{REMOVED, true, false, "", ""},
	{ADDED, false, true,
	 "{\"event\":\"added\",\"service\":\"web\",\"target\":\"http://localhost:9000\"}\n", ""},
	{WRONG, false, false, "", "karez: s.yaml:1:2: no\\x1b; what ran before stays as it was\n"},
	{WRONG_START, false, false, "", "karez: s.yaml:1:2: no\\x1b\n"},
	{WRONG, true, true,
	 "{\"event\":\"file\",\"reason\":\"s.yaml:1:2: no\\\\x1b\",\"stays\":true}\n",
	 "karez: s.yaml:1:2: no\\x1b; what ran before stays as it was\n"},
	{LOST, true, false, "",
	 "karez: web is not served: https://t.example says: it is taken\\x1b\n"},
	{KEPT, true, false, "",
	 "karez: web goes on as it was: https://t.example refuses the change: it is taken\\x1b\n"},
	{DELAYED, true, false, "",
	 "karez: web is not served yet: https://t.example says: it is taken\\x1b; trying again\n"},
	{LOST, false, true,
	 "{\"event\":\"lost\",\"service\":\"web\",\"code\":\"EXISTS\",\"reason\":\"it is "
	 "taken\\\\x1b\"}\n",
	 "karez: web is not served: https://t.example says: it is taken\\x1b\n"},
};

static void say(const struct karez_say *s, enum what what)
{
	static const char urls[1][CONTROL_URL_MAX] = {"http://web.tim.t.example"};
	struct agent_online o = {.name = "web.tim", .url = urls[0], .urls = urls, .n_urls = 1};
	const char *why = "s.yaml:1:2: no\x1b", *reason = "it is taken\x1b";
	struct url page = {.scheme = URL_SERVICES, .path = "/"}, to;

	assert_int_equal(url_parse_target(STR("9000"), URL_HTTP, &to, NULL), 0);
	o.target = what == INDEX ? &page : &to;
	switch (what) {
	case SERVICE:
	case INDEX: karez_say_service(s, "web", &o); break;
	case BACK: karez_say_back(s); break;
	case ADDED: karez_say_edit(s, KAREZ_EDIT_ADDED, "web", &to); break;
	case CHANGED: karez_say_edit(s, KAREZ_EDIT_CHANGED, "web", &to); break;
	case REMOVED: karez_say_edit(s, KAREZ_EDIT_REMOVED, "web", &to); break;
	case WRONG: karez_say_file(s, why, true); break;
	case WRONG_START: karez_say_file(s, why, false); break;
	case LOST: karez_say_no(s, KAREZ_NO_LOST, "web", ERR_EXISTS, reason); break;
	case KEPT: karez_say_no(s, KAREZ_NO_KEPT, "web", ERR_EXISTS, reason); break;
	case DELAYED: karez_say_no(s, KAREZ_NO_DELAYED, "web", ERR_EXISTS, reason); break;
	}
}

static void test_words(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *out = NULL, *err = NULL;
		size_t out_len, err_len;
		struct karez_say s = {.server = "https://t.example",
				      .agent = "laptop",
				      .cert_name = "",
				      .quiet = cases[i].quiet,
				      .json = cases[i].json};

		assert_non_null(s.out = open_memstream(&out, &out_len));
		assert_non_null(s.err = open_memstream(&err, &err_len));
		say(&s, cases[i].what);
		fclose(s.out);
		fclose(s.err);
		if (strcmp(out, cases[i].out) != 0 || strcmp(err, cases[i].err) != 0)
			fail_msg("case %zu:\n out %s err %s", i, out, err);
		free(out);
		free(err);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_words)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
