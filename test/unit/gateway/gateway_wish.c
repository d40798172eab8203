/* The members of an attach: each one, alone, right and wrong. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "gateway/gateway_wish.h"

static const struct {
	const char *why, *members;
	int want;
	unsigned set;
	const char *reason; /* the beginning of it */
} cases[] = {
	{"nothing", "", 0, 0, ""},
	{"members of a later version", "\"x\":[{}]", 0, 0, ""},
	{"null is not there", "\"name\":null,\"port\":null,\"domains\":null,\"tls\":null", 0, 0,
	 ""},
	{"a kind", "\"kind\":\"tls\"", 0, 0, ""},
	{"an empty kind is the usual one", "\"kind\":\"\"", 0, 0, ""},
	{"a kind that nobody knows", "\"kind\":\"udp\"", ERR_UNSUPPORTED, 0,
	 "this server has no tunnels"},
	{"a kind of another type", "\"kind\":1", ERR_INVAL, 0, "kind must be a text"},
	{"a name of another type", "\"name\":[]", ERR_INVAL, 0, "name must be a text"},
	{"a target of another type", "\"target\":true", ERR_INVAL, 0, "target must be a text"},
	{"a port", "\"port\":9000", 0, MANAGE_T_PORT, ""},
	{"any port", "\"port\":0", 0, MANAGE_T_PORT, ""},
	{"a port too high", "\"port\":65536", ERR_INVAL, 0,
	 "port must be a number from 0 to 65535"},
	{"a negative port", "\"port\":-1", ERR_INVAL, 0, "port must be"},
	{"half a port", "\"port\":1.5", ERR_INVAL, 0, "port must be"},
	{"a port as a text", "\"port\":\"22\"", ERR_INVAL, 0, "port must be"},
	{"an address", "\"bind\":\"127.0.0.1\"", 0, MANAGE_T_BIND, ""},
	{"every address", "\"bind\":\"\"", 0, MANAGE_T_BIND, ""},
	{"an address of another type", "\"bind\":0", ERR_INVAL, 0, "bind must be a text"},
	{"an address that is too long",
	 "\"bind\":\"1234567890123456789012345678901234567890123456\"", ERR_INVAL, 0,
	 "bind must be an IP address"},
	{"domains", "\"domains\":[\"a.example\",\"*.b.example\"]", 0, MANAGE_T_ALT_NAMES, ""},
	{"no domains any more", "\"domains\":[]", 0, MANAGE_T_ALT_NAMES, ""},
	{"one domain without a list", "\"domains\":\"a.example\"", ERR_INVAL, 0,
	 "domains must be a list of at most 10 host names"},
	{"a domain of another type", "\"domains\":[\"a.example\",1]", ERR_INVAL, 0,
	 "domains must be"},
	{"too many domains",
	 "\"domains\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\",\"11\"]",
	 ERR_INVAL, 0, "domains must be"},
	{"TLS that ends here", "\"tls\":\"end\"", 0, MANAGE_T_TLS, ""},
	{"another word for it", "\"tls\":\"stop\"", ERR_INVAL, 0,
	 "tls must be \"pass\" or \"end\""},
	{"yes", "\"tls\":true", ERR_INVAL, 0, "tls must be"},
	{"a PROXY header", "\"proxy_protocol\":\"v2\"", 0, MANAGE_T_PROXY, ""},
	{"none", "\"proxy_protocol\":\"none\"", 0, MANAGE_T_PROXY, ""},
	{"a version that is none", "\"proxy_protocol\":\"v3\"", ERR_INVAL, 0,
	 "proxy_protocol must be"},
	{"a version as a number", "\"proxy_protocol\":2", ERR_INVAL, 0, "proxy_protocol must be"},
	{"a policy", "\"policy\":\"failover\"", 0, MANAGE_T_POLICY, ""},
	{"a policy that is none", "\"policy\":\"random\"", ERR_INVAL, 0, "policy must be"},
	{"so many sessions", "\"max_sessions\":64", 0, MANAGE_T_SESSIONS_MAX, ""},
	{"no session", "\"max_sessions\":0", ERR_INVAL, 0,
	 "max_sessions must be a number from 1 to 64"},
	{"too many sessions", "\"max_sessions\":65", ERR_INVAL, 0, "max_sessions must be"},
	{"no time to drain", "\"drain_ms\":0", 0, MANAGE_T_DRAIN, ""},
	{"more than a day to drain", "\"drain_ms\":86400001", ERR_INVAL, 0, "drain_ms must be"},
	{"a priority is the session's own", "\"priority\":7", 0, 0, ""},
	{"a priority that is none", "\"priority\":\"high\"", ERR_INVAL, 0,
	 "priority must be a number from 0 to 65535"},
	{"as before", "\"again\":true", 0, 0, ""},
	{"as before, as a text", "\"again\":\"yes\"", ERR_INVAL, 0, "again must be true or false"},
	{"no visitors of whom anything is said", "\"visitors\":{}", 0, 0, ""},
	{"null is not there", "\"visitors\":null,\"headers\":null", 0, 0, ""},
	{"visitors that are no object", "\"visitors\":[]", ERR_INVAL, 0,
	 "visitors must be an object"},
	{"a right of a later version", "\"visitors\":{\"countries\":[\"de\"]}", ERR_INVAL, 0,
	 "visitors must not have \"countries\""},
	{"a user and the hash of a password",
	 "\"visitors\":{\"basic\":[{\"user\":\"a\",\"hash\":\"$scrypt$ln=14,r=8,p=1$"
	 "AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}]}",
	 0, MANAGE_T_USERS, ""},
	{"nobody any more",
	 "\"visitors\":{\"basic\":[],\"bearer\":[],\"allow\":[],\"deny\":[],\"auth_url\":\"\"}", 0,
	 MANAGE_T_USERS | MANAGE_T_BEARERS | MANAGE_T_ALLOW | MANAGE_T_DENY | MANAGE_T_AUTH_URL,
	 ""},
	{"a password in clear",
	 "\"visitors\":{\"basic\":[{\"user\":\"a\",\"password\":\"secret\"}]}", ERR_INVAL, 0,
	 "visitors.basic.0.password is not taken from an agent"},
	{"a password in clear beside a hash",
	 "\"visitors\":{\"basic\":[{\"user\":\"a\",\"password\":\"x\",\"hash\":\"$scrypt$ln=14,r=8,"
	 "p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}]}",
	 ERR_INVAL, 0, "visitors.basic.0.password is not taken"},
	{"a hash that costs more",
	 "\"visitors\":{\"basic\":[{\"user\":\"a\",\"hash\":\"$scrypt$ln=16,r=8,p=1$"
	 "AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}]}",
	 ERR_INVAL, 0, "visitors.basic.0.hash must be"},
	{"one that costs less",
	 "\"visitors\":{\"basic\":[{\"user\":\"a\",\"hash\":\"$scrypt$ln=4,r=8,p=1$"
	 "AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}]}",
	 ERR_INVAL, 0, "visitors.basic.0.hash must be"},
	{"one that is none", "\"visitors\":{\"basic\":[{\"user\":\"a\",\"hash\":\"secret\"}]}",
	 ERR_INVAL, 0, "visitors.basic.0.hash must be"},
	{"a user without a name",
	 "\"visitors\":{\"basic\":[{\"hash\":\"$scrypt$ln=14,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$"
	 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}]}",
	 ERR_INVAL, 0, "visitors.basic.0.user must be a text"},
	{"a user with a colon", "\"visitors\":{\"basic\":[{\"user\":\"a:b\"}]}", ERR_INVAL, 0,
	 "visitors.basic.0.user must not hold a colon"},
	{"a user twice", "\"visitors\":{\"basic\":[{\"user\":\"a\"},{\"user\":\"a\"}]}", ERR_INVAL,
	 0, "visitors.basic.1.user stands twice"},
	{"a user who is a text", "\"visitors\":{\"basic\":[\"a\"]}", ERR_INVAL, 0,
	 "visitors.basic.0 must be an object"},
	{"too many users", "\"visitors\":{\"basic\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}",
	 ERR_INVAL, 0, "visitors.basic must be a list of at most 16 entries"},
	{"tokens as a number", "\"visitors\":{\"bearer\":2}", ERR_INVAL, 0,
	 "visitors.bearer must be a list"},
	{"a token that is too short", "\"visitors\":{\"bearer\":[\"short\"]}", ERR_INVAL, 0,
	 "visitors.bearer.0 must have 16 to 128"},
	{"addresses", "\"visitors\":{\"allow\":[\"10.0.0.0/8\",\"::1\"],\"deny\":[\"10.1.2.3\"]}",
	 0, MANAGE_T_ALLOW | MANAGE_T_DENY, ""},
	{"an address that is none", "\"visitors\":{\"deny\":[\"10.0.0.0/8\",\"example.org\"]}",
	 ERR_INVAL, 0, "visitors.deny.1 must be an address"},
	{"a hook of another type", "\"visitors\":{\"auth_url\":1}", ERR_INVAL, 0,
	 "visitors.auth_url must be a text of at most 511"},
	{"heads",
	 "\"headers\":{\"rewrite\":false,\"host\":\"a.local\",\"request_add\":[\"X-A: "
	 "b\"],\"request_remove\":[\"Cookie\"],\"response_add\":[],\"response_remove\":[]}",
	 0, MANAGE_T_REWRITE | MANAGE_T_HOST | MANAGE_T_EDITS_ALL, ""},
	{"one list of fields", "\"headers\":{\"response_add\":[\"X-A: b\"]}", 0,
	 MANAGE_T_EDITS << HEADER_RESPONSE_ADD, ""},
	{"a list of a later version", "\"headers\":{\"request_set\":[\"X-A: b\"]}", ERR_INVAL, 0,
	 "headers must not have \"request_set\""},
	{"a flag of another type", "\"headers\":{\"rewrite\":\"yes\"}", ERR_INVAL, 0,
	 "headers.rewrite must be true or false"},
	{"a field that breaks the line", "\"headers\":{\"request_add\":[\"X-A: b\\r\\nX-B: c\"]}",
	 ERR_INVAL, 0, "headers.request_add.0 must have a value"},
	{"a field that the server writes",
	 "\"headers\":{\"response_remove\":[\"Date\",\"Content-Length\"]}", ERR_INVAL, 0,
	 "headers.response_remove.1 is about the connection"},
	{"a field of another type", "\"headers\":{\"request_remove\":[1]}", ERR_INVAL, 0,
	 "headers.request_remove.0 must be a text"},
	{"the first wrong one is told", "\"tls\":1,\"port\":\"x\",\"policy\":2", ERR_INVAL, 0,
	 "port must be"},
};

static void test_members(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char line[1024], reason[CORE_REASON_TEXT];
		struct gateway_wish wish;
		struct json *j = NULL;
		int e;

		str_printf(line, sizeof line, "{\"ref\":1%s%s}",
			   cases[i].members[0] != '\0' ? "," : "", cases[i].members);
		assert_int_equal(json_parse(str_of(line), sizeof line, &j), 0);
		e = gateway_wish_read(NULL, j, &wish, reason);
		if (e != cases[i].want ||
		    strncmp(reason, cases[i].reason, strlen(cases[i].reason)) != 0 ||
		    (e == 0 && (wish.change.set != cases[i].set || reason[0] != '\0')) ||
		    (wish.wish.change != NULL && wish.wish.change != &wish.change) ||
		    (e == 0 && (wish.wish.change != NULL) != (cases[i].set != 0)))
			fail_msg("%s: %s: %s", cases[i].why, err_name(e), reason);
		json_free(j);
	}
}

static void test_values_arrive(void **state)
{
	char reason[CORE_REASON_TEXT];
	struct gateway_wish w;
	struct json *j = NULL;

	assert_int_equal(
		json_parse(STR("{\"kind\":\"tcp\",\"name\":\"db\",\"target\":\"tcp://"
			       "a:1\",\"port\":9000,"
			       "\"bind\":\"::1\",\"domains\":[\"a.b\",\"*.c.d\"],\"tls\":\"end\","
			       "\"proxy_protocol\":\"v1\",\"policy\":\"round-robin\",\"max_"
			       "sessions\":3,"
			       "\"drain_ms\":1500,\"priority\":9,\"again\":true}"),
			   1024, &j),
		0);
	assert_int_equal(gateway_wish_read(NULL, j, &w, reason), 0);
	assert_int_equal(w.wish.kind, TUNNEL_TCP);
	assert_true(str_eq(w.wish.name, STR("db")));
	assert_true(str_eq(w.wish.target, STR("tcp://a:1")));
	assert_int_equal(w.wish.priority, 9);
	assert_true(w.wish.again);
	assert_int_equal(w.change.mode, MANAGE_ENSURE);
	assert_int_equal(w.change.to.port, 9000);
	assert_string_equal(w.change.to.bind, "::1");
	assert_int_equal(w.change.to.n_alt_names, 2);
	assert_string_equal(w.change.to.alt_names[1], "*.c.d");
	assert_int_equal(w.change.to.tls, TUNNEL_TLS_END);
	assert_int_equal(w.change.to.proxy, TUNNEL_PROXY_V1);
	assert_int_equal(w.change.to.policy, TUNNEL_ROUND_ROBIN);
	assert_int_equal(w.change.to.sessions_max, 3);
	assert_int_equal(w.change.to.drain_ms, 1500);
	json_free(j);
	assert_int_equal(json_parse(STR("{\"again\":false}"), 100, &j), 0);
	assert_int_equal(gateway_wish_read(NULL, j, &w, reason), 0);
	assert_false(w.wish.again);
	json_free(j);
}

static void test_offers(void **state)
{
	struct str services[CORE_SERVICES_MAX];
	char reason[CORE_REASON_TEXT];
	struct json *j = NULL;
	unsigned priority;
	size_t n;

	assert_int_equal(json_parse(STR("{\"services\":[\"web\",\"ssh\"],\"priority\":4}"), 100,
				    &j),
			 0);
	assert_int_equal(gateway_wish_read_offer(j, services, &n, &priority, reason), 0);
	assert_int_equal(n, 2);
	assert_int_equal(priority, 4);
	assert_true(str_eq(services[1], STR("ssh")));
	json_free(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_values_arrive),
		cmocka_unit_test(test_offers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
