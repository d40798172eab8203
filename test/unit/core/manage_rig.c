/* Every answer is held against what all answers have in common. */
#include "unit/core/manage_rig.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/core_internal.h"

void manage_rig_new(struct manage_rig *g)
{
	static const struct core_agent laptop = {.id = "laptop", .epoch = 1};
	static const char *const hooks[] = {"auth.example", "auth.example:9000"};
	struct core *c;

	core_rig_new(&g->r, true);
	dns_rig_init(&g->dns, g->r.ev);
	core_rig_account(&g->r, &g->ann);
	core_rig_account(&g->r, &g->bob);
	core_rig_account(&g->r, &g->root);
	g->root.admin = true;
	g->r.opt.resolver = g->dns.resolver;
	g->r.opt.auth_hosts = hooks;
	g->r.opt.n_auth_hosts = ARRAY_LEN(hooks);
	assert_int_equal(core_new(g->r.ev, &g->r.opt, &c), 0);
	core_free(g->r.core);
	g->r.core = c;
	fake_join(&g->a, &g->r, &g->ann, &laptop);
	fake_join(&g->b, &g->r, &g->bob, &laptop);
	core_rig_run(&g->r);
}

void manage_rig_free(struct manage_rig *g)
{
	fake_leave(&g->a);
	fake_leave(&g->b);
	core_rig_free(&g->r);
	assert_int_equal(g->dns.n_pending, 0);
}

static void manage_rig_keep_items(struct told_manage *told, const struct manage_answer *a)
{
	for (size_t i = 0; i < a->n && a->tunnels != NULL; i++) {
		size_t len = strlen(told->names);

		str_printf(told->names + len, sizeof told->names - len, "%s ", a->tunnels[i].name);
	}
	if (a->n > 0 && a->tunnels != NULL)
		told->tunnel = a->tunnels[0];
	for (size_t i = 0; i < MIN(a->n, ARRAY_LEN(told->sessions)) && a->sessions != NULL; i++)
		told->sessions[i] = a->sessions[i];
	for (size_t i = 0; i < MIN(a->n, ARRAY_LEN(told->visitors)) && a->visitors != NULL; i++)
		told->visitors[i] = a->visitors[i];
}

static void manage_rig_on_done(void *arg, const struct manage_answer *a)
{
	struct told_manage *told = arg;

	told->calls++;
	told->e = a->e;
	told->version = a->version;
	told->created = a->created;
	told->more = a->more;
	told->n = a->n;
	str_printf(told->reason, sizeof told->reason, "%s", a->reason);
	str_printf(told->field, sizeof told->field, "%s", a->field != NULL ? a->field : "");
	str_printf(told->after, sizeof told->after, "%s", a->after != NULL ? a->after : "");
	if (a->e == 0)
		manage_rig_keep_items(told, a);
	else
		assert_true(strlen(told->reason) > 15);
}

struct manage_asker manage_rig_asker(const struct access_who *who, struct told_manage *told)
{
	memset(told, 0, sizeof *told);
	return (struct manage_asker){who, manage_rig_on_done, told};
}

static void manage_rig_wait(struct manage_rig *g, struct manage *m, struct told_manage *told)
{
	assert_non_null(m);
	assert_int_equal(told->calls, 0);
	core_rig_run(&g->r);
	assert_int_equal(told->calls, 1);
}

struct told_manage manage_rig_get(struct manage_rig *g, const struct access_who *who,
				  const char *name)
{
	struct told_manage told;
	struct manage_asker by = manage_rig_asker(who, &told);

	manage_rig_wait(g, manage_tunnel_get(g->r.core, &by, str_of(name)), &told);
	return told;
}

struct told_manage manage_rig_drop(struct manage_rig *g, const struct access_who *who,
				   const char *name, uint64_t expected)
{
	struct told_manage told;
	struct manage_asker by = manage_rig_asker(who, &told);

	manage_rig_wait(g, manage_tunnel_drop(g->r.core, &by, str_of(name), expected), &told);
	return told;
}

struct told_manage manage_rig_change(struct manage_rig *g, const struct access_who *who,
				     const char *name, const struct manage_tunnel_change *ch)
{
	struct told_manage told;
	struct manage_asker by = manage_rig_asker(who, &told);

	manage_rig_wait(g, manage_tunnel_change(g->r.core, &by, str_of(name), ch), &told);
	return told;
}

struct told_manage manage_rig_alt_names(struct manage_rig *g, const struct access_who *who,
					const char *name, const char *hosts)
{
	struct manage_tunnel_change ch = {.mode = MANAGE_PATCH,
					  .set = MANAGE_T_ALT_NAMES,
					  .expected = STORE_ANY};
	struct str rest = str_of(hosts), host;

	while (str_next(&rest, ' ', &host) && host.len > 0)
		assert_int_equal(str_copy(ch.to.alt_names[ch.to.n_alt_names++], HOSTNAME_MAX + 1,
					  host),
				 0);
	return manage_rig_change(g, who, name, &ch);
}

bool manage_rig_has(struct manage_rig *g, const char *kind, const char *key)
{
	char *value = core_rig_get(&g->r, kind, key);
	bool has = value != NULL;

	free(value);
	return has;
}

bool manage_rig_owns(struct manage_rig *g, const struct access_who *who, const char *what)
{
	char key[STORE_KEY_MAX + 1];

	str_printf(key, sizeof key, "%s/%s", who->account, what);
	return manage_rig_has(g, "owned", key);
}
