/*
 * Any bytes as a services file: one line says what is wrong, or every service has a name of its own
 * and a wish whose members are JSON, alone and against the same file with another one before it.
 */
#include <string.h>

#include "base/err.h"
#include "cli/services_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int fuzz_hash(void *arg, struct str password, char *out, size_t cap)
{
	str_printf(out, cap, "$scrypt$%zu", password.len);
	return 0;
}

/* Where this line ends, as a complaint must not. */
static void fuzz_why(const char *why, int e)
{
	CHECK(e == 0 || e == ERR_INVAL || e == ERR_TOOBIG);
	CHECK((e == 0) == (why[0] == '\0'));
	for (; *why != '\0'; why++)
		CHECK((unsigned char)*why >= ' ' && *why != 0x7f);
}

static void fuzz_entry(const struct services_entry *x, const struct services_entry *before)
{
	struct buf text = {0};
	struct agent_tunnel t;
	struct json *j = NULL;
	char name[HOSTNAME_MAX + 1];

	CHECK(x->service != NULL && x->line > 0 && x->col > 0 && x->target_line > 0);
	CHECK(hostname_tunnel(str_of(x->name), name) == 0 && strcmp(x->name, name) == 0);
	CHECK(x->health.kind == HEALTH_NONE || x->health.path != NULL);
	CHECK(services_same(x, x) && x->proxy < TUNNEL_PROXIES);
	CHECK(services_tunnel(x, before, &text, &t) == 0);
	CHECK(control_wish_check(t.wish) == 0);
	CHECK(json_parse(buf_str(&text), text.len, &j) == 0);
	json_free(j);
	buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const ids[] = {NULL, "tim"};
	struct str bytes = {(const char *)data, size};

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		struct services_opt opt = {.id = ids[i], .hash = i == 0 ? fuzz_hash : NULL};
		struct services s = {0};
		char why[SERVICES_WHY];
		int e = services_parse("f", bytes, &opt, &s, why);

		fuzz_why(why, e);
		CHECK(s.n <= SERVICES_MAX && (!s.index || s.id[0] != '\0' || e != 0));
		for (size_t k = 0; k < s.n && e == 0; k++)
			fuzz_entry(&s.v[k], k == 0 ? NULL : &s.v[k - 1]);
		services_free(&s);
	}
	return 0;
}
