/* Answers of the API, and what is printed of them. */
#include "cli_rig.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

static const char *const plain[] = {"tunnel", "ls", NULL};
static const char *const json[] = {"tunnel", "ls", "--json", NULL};

static struct json *parse(const char *text)
{
	struct json *j = NULL;

	assert_int_equal(json_parse(str_of(text), 65536, &j), 0);
	return j;
}

static void check_list(const char *const *argv, const struct cli_fields *fields, const char *list,
		       const char *want)
{
	struct json *j = parse(list);
	struct cli_rig r;

	cli_rig_start(&r, argv);
	assert_int_equal(cli_show_list(&r.cli, j, fields), 0);
	cli_rig_said(&r);
	assert_string_equal(r.out, want);
	cli_rig_end(&r);
	json_free(j);
}

static void check_item(const struct cli_fields *fields, const char *item, const char *want)
{
	struct json *j = parse(item);
	struct cli_rig r;

	cli_rig_start(&r, plain);
	assert_int_equal(cli_show_item(&r.cli, j, fields), 0);
	cli_rig_said(&r);
	assert_string_equal(r.out, want);
	cli_rig_end(&r);
	json_free(j);
}

static void test_lists(void **state)
{
	check_list(plain, &cli_fields_accounts,
		   "[{\"id\":\"abc\",\"name\":\"Ann\",\"enabled\":true,\"admin\":true,"
		   "\"usage\":{\"tunnels\":3,\"credentials\":12}},"
		   "{\"id\":\"d\\u001b[2Jef\",\"name\":null,\"enabled\":false,\"reason\":\"spam\"},"
		   "{\"id\":7},\"not an object\"]",
		   "ID          NAME  STATE               TUNNELS  CREDENTIALS  USED  MADE\n"
		   "abc         Ann   administrator       3        12\n"
		   "d\\x1b[2Jef        switched off: spam\n"
		   "7                 on\n"
		   "                  on\n");
	check_list(plain, &cli_fields_tunnels, "[]", "There are no tunnels\n");
	check_list(json, &cli_fields_tunnels, "[]", "[]\n");
	check_list(json, &cli_fields_tunnels, "[{\"a\":\"\\u009b\xc3\xa4\"},{\"b\":-1.5}]",
		   "[{\"a\":\"\\u009b\xc3\xa4\"},{\"b\":-1.5}]\n");
}

/* All nodes were asked: who they are is shown where there are several, and who has not answered. */
static void test_asked(void **state)
{
	static const struct cli_field columns[] = {{"AGENT", "id", CLI_PLAIN, NULL},
						   {"NODES", "nodes", CLI_LIST, NULL}};
	static const struct cli_fields fields = {columns, ARRAY_LEN(columns), "None"};
	static const struct {
		const char *why, *answer, *out, *err;
		int want;
	} cases[] = {
		{"one node", "{\"agents\":[{\"id\":\"a\"}]}", "AGENT\na\n", "", 0},
		{"two, and one of the agents has gone",
		 "{\"agents\":[{\"id\":\"a\"},{\"id\":\"b\",\"nodes\":[\"x\",\"y\"]}]}",
		 "AGENT  NODES\na\nb      x, y\n", "", 0},
		{"nobody, as far as is known", "{\"agents\":[],\"missing\":[\"x\",\"y\"]}",
		 "None\n",
		 "karez: node x did not answer: agents that are only there are not shown\n"
		 "karez: node y did not answer: agents that are only there are not shown\n",
		 0},
		{"no such list", "{\"missing\":[\"x\"]}", "",
		 "karez: the server does not answer with a list of agents\n", ERR_DENIED},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct json *j = parse(cases[i].answer);
		struct cli_rig r;

		print_message("%s\n", cases[i].why);
		cli_rig_start(&r, plain);
		str_printf(r.cli.server_text, sizeof r.cli.server_text, "the server");
		assert_int_equal(cli_show_asked(&r.cli, j, "agents", &fields), cases[i].want);
		cli_rig_said(&r);
		assert_string_equal(r.out, cases[i].out);
		assert_string_equal(r.err, cases[i].err);
		cli_rig_end(&r);
		json_free(j);
	}
}

static void test_items(void **state)
{
	check_item(&cli_fields_account,
		   "{\"id\":\"abc\",\"name\":\"\",\"enabled\":true,\"automatic\":true,"
		   "\"quota\":{\"tunnels\":100,\"sessions\":5},\"usage\":{\"tunnels\":3}}",
		   "Account  abc\n"
		   "State    made on the fly\n"
		   "Limits   100 tunnels (3 used), 5 sessions\n");
	check_item(&cli_fields_tunnel,
		   "{\"name\":\"demo\",\"kind\":\"http\",\"enabled\":true,"
		   "\"connection\":{\"connected\":true,\"connections\":2,\"visitors\":0},"
		   "\"ingress\":{\"http\":{\"url\":\"http://"
		   "demo.x\",\"alt_names\":[\"a.b\",\"c.d\"]}},"
		   "\"headers\":{\"rewrite\":true},"
		   "\"visitors\":{\"basic\":[{\"user\":\"anna\"},{\"user\":\"bob\"}],\"bearer\":0,"
		   "\"allow\":[\"10.0.0.0/8\"],\"deny\":[],\"auth_url\":\"\"}}",
		   "Tunnel             demo\n"
		   "Kind               http\n"
		   "State              connected\n"
		   "URL                http://demo.x\n"
		   "Custom domains     a.b, c.d\n"
		   "Sessions           2\n"
		   "Visitors now       0\n"
		   "Host rewritten     yes\n"
		   "Users let in       anna, bob\n"
		   "Addresses allowed  10.0.0.0/8\n");
	check_item(&cli_fields_tunnel, "{\"name\":[1],\"visitors\":7,\"ingress\":\"x\"}",
		   "State  not connected\n");
}

/* An answer as long as it may be does not run away. */
static void test_long(void **state)
{
	size_t len = 40000;
	char *text = malloc(len + 64);
	struct cli_rig r;
	struct json *j;

	memcpy(text, "{\"id\":\"", 7);
	memset(text + 7, 'x', len);
	memcpy(text + 7 + len, "\"}", 3);
	j = parse(text);
	cli_rig_start(&r, plain);
	assert_int_equal(cli_show_item(&r.cli, j, &cli_fields_account), 0);
	cli_rig_said(&r);
	assert_true(strlen(r.out) < 8192 && strlen(r.out) > 4000);
	cli_rig_end(&r);
	json_free(j);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_asked),
		cmocka_unit_test(test_items),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
