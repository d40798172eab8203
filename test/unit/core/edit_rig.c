/* Words become changes, so that a table shows what is asked for in one line. */
#include "unit/core/edit_rig.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/num.h"
#include "core/core_internal.h"

/* ---- life ---- */

void edit_rig_restart(struct edit_rig *g)
{
	place_rig_restart(&g->p);
	(void)place_rig_said(&g->p);
}

void edit_rig_new(struct edit_rig *g)
{
	static const char *const hooks[] = {"auth.example"};

	place_rig_new(&g->p);
	dns_rig_init(&g->dns, g->p.r.ev);
	core_rig_account(&g->p.r, &g->root);
	g->root.admin = true;
	g->p.r.opt.resolver = g->dns.resolver;
	g->p.r.opt.auth_hosts = hooks;
	g->p.r.opt.n_auth_hosts = ARRAY_LEN(hooks);
	edit_rig_restart(g);
	core_rig_account(&g->p.r, &(struct access_who){0}); /* the store's key is read */
}

void edit_rig_free(struct edit_rig *g)
{
	place_rig_free(&g->p);
	assert_int_equal(g->dns.n_pending, 0);
}

/* ---- wishes ---- */

static unsigned edit_rig_index(const char *const *words, struct str s)
{
	for (unsigned i = 0; words[i] != NULL; i++)
		if (str_eq(str_of(words[i]), s))
			return i;
	fail_msg("no word: " STR_FMT, STR_ARG(s));
	return 0;
}

static unsigned edit_rig_number(struct str s)
{
	uint64_t n;

	assert_int_equal(num_parse(s, UINT32_MAX, &n), 0);
	return (unsigned)n;
}

static void edit_rig_copy(char *to, size_t cap, struct str s)
{
	assert_int_equal(str_copy(to, cap, s), 0);
}

static unsigned edit_rig_set_edit(struct record_tunnel *to, enum header_edit what, struct str s)
{
	struct http_field f;
	const char *why;

	if (s.len > 0) {
		assert_int_equal(header_edit_split(what, s, &f, &why), 0);
		assert_int_equal(header_edits_put(&to->edits, what, &f), 0);
	}
	return MANAGE_T_EDITS << what;
}

/* Lists and visitors. */
static unsigned edit_rig_set_list(struct record_tunnel *to, struct str key, struct str s)
{
	struct rights *r = &to->rights;

	if (str_eq(key, STR("domain"))) {
		if (s.len > 0)
			edit_rig_copy(to->alt_names[to->n_alt_names++], HOSTNAME_MAX + 1, s);
		return MANAGE_T_ALT_NAMES;
	}
	if (str_eq(key, STR("agent"))) {
		if (s.len > 0)
			edit_rig_copy(to->agents[to->n_agents++], CORE_AGENT_TEXT, s);
		return MANAGE_T_AGENTS;
	}
	for (unsigned what = 0; what < HEADER_EDITS; what++)
		if (str_eq(key, str_of(header_edit_name(what))))
			return edit_rig_set_edit(to, what, s);
	if (str_eq(key, STR("user"))) {
		if (str_eq(s, STR("-")))
			return MANAGE_T_USERS; /* none */
		edit_rig_copy(r->users[r->n_users].name, RIGHTS_USER_TEXT, s);
		edit_rig_copy(r->users[r->n_users++].hash, RIGHTS_HASH_TEXT, STR("$scrypt$x"));
		return MANAGE_T_USERS;
	}
	if (str_eq(key, STR("bearer"))) {
		edit_rig_copy(r->bearers[r->n_bearers++], DIGEST_HEX_TEXT, s);
		return MANAGE_T_BEARERS;
	}
	if (str_eq(key, STR("allow"))) {
		if (s.len > 0)
			assert_int_equal(cidr_parse(s, &r->allow[r->n_allow++]), 0);
		return MANAGE_T_ALLOW;
	}
	assert_true(str_eq(key, STR("auth")));
	edit_rig_copy(r->auth_url, sizeof r->auth_url, s);
	return MANAGE_T_AUTH_URL;
}

static unsigned edit_rig_policy(struct record_tunnel *to, struct str s)
{
	assert_int_equal(record_parse_policy(s, &to->policy), 0);
	return MANAGE_T_POLICY;
}

static unsigned edit_rig_set(struct record_tunnel *to, struct str key, struct str s)
{
	static const char *const kinds[] = {"http", "tcp", "tls", "udp", NULL};
	static const char *const tlses[] = {"pass", "end", "other", NULL};
	static const char *const proxies[] = {"none", "v1", "v2", "v3", NULL};
	static const char *const bools[] = {"no", "yes", NULL};

	if (str_eq(key, STR("kind")))
		return to->kind = edit_rig_index(kinds, s), MANAGE_T_KIND;
	if (str_eq(key, STR("tls")))
		return to->tls = edit_rig_index(tlses, s), MANAGE_T_TLS;
	if (str_eq(key, STR("proxy")))
		return to->proxy = edit_rig_index(proxies, s), MANAGE_T_PROXY;
	if (str_eq(key, STR("enabled")))
		return to->enabled = edit_rig_index(bools, s) != 0, MANAGE_T_ENABLED;
	if (str_eq(key, STR("rewrite")))
		return to->rewrite = edit_rig_index(bools, s) != 0, MANAGE_T_REWRITE;
	if (str_eq(key, STR("port")))
		return to->port = (uint16_t)edit_rig_number(s), MANAGE_T_PORT;
	if (str_eq(key, STR("drain")))
		return to->drain_ms = edit_rig_number(s), MANAGE_T_DRAIN;
	if (str_eq(key, STR("sessions")))
		return to->sessions_max = edit_rig_number(s), MANAGE_T_SESSIONS_MAX;
	if (str_eq(key, STR("bind")))
		return edit_rig_copy(to->bind, sizeof to->bind, s), MANAGE_T_BIND;
	if (str_eq(key, STR("service")))
		return edit_rig_copy(to->service, sizeof to->service, s), MANAGE_T_SERVICE;
	if (str_eq(key, STR("policy")))
		return edit_rig_policy(to, s);
	if (str_eq(key, STR("host")))
		return edit_rig_copy(to->host, sizeof to->host, s), MANAGE_T_HOST;
	if (str_eq(key, STR("target")))
		return edit_rig_copy(to->target, sizeof to->target, s), MANAGE_T_TARGET;
	return edit_rig_set_list(to, key, s);
}

void edit_rig_wish(const char *words, struct edit_wish *out)
{
	struct str rest = str_of(words), word, key;

	memset(out, 0, sizeof *out);
	out->ch.expected = STORE_ANY;
	while (str_next(&rest, ' ', &word)) {
		if (word.len == 0)
			continue;
		str_next(&word, '=', &key);
		if (str_eq(key, STR("name")))
			edit_rig_copy(out->name, sizeof out->name, word);
		else if (str_eq(key, STR("account")))
			edit_rig_copy(out->account, sizeof out->account, word);
		else
			out->ch.set |= edit_rig_set(&out->ch.to, key, word);
	}
}

/* ---- calls ---- */

static void edit_rig_on_done(void *arg, const struct manage_answer *a)
{
	struct told_edit *told = arg;

	told->calls++;
	told->e = a->e;
	told->entry = a->entry;
	told->n = a->n;
	told->created = a->created;
	told->version = a->version;
	str_printf(told->reason, sizeof told->reason, "%s", a->reason);
	str_printf(told->field, sizeof told->field, "%s", a->field != NULL ? a->field : "");
	if (a->e != 0)
		assert_true(strlen(told->reason) > 15);
	for (size_t i = 0; a->e == 0 && a->tunnels != NULL && i < a->n; i++) {
		size_t len = strlen(told->names);

		if (i < ARRAY_LEN(told->tunnels))
			told->tunnels[i] = a->tunnels[i];
		str_printf(told->names + len, sizeof told->names - len, "%s ", a->tunnels[i].name);
	}
}

struct manage *edit_rig_begin(struct edit_rig *g, const struct access_who *who,
			      enum manage_mode mode, const char *name, const char *words,
			      struct told_edit *told)
{
	struct manage_asker by = {who, edit_rig_on_done, told};
	struct edit_wish wish;

	memset(told, 0, sizeof *told);
	edit_rig_wish(words, &wish);
	wish.ch.mode = mode;
	return manage_tunnel_change(g->p.r.core, &by, str_of(name), &wish.ch);
}

static void edit_rig_wait(struct edit_rig *g, const struct manage *m, const struct told_edit *told)
{
	assert_non_null(m);
	assert_int_equal(told->calls, 0);
	core_rig_run(&g->p.r);
	assert_int_equal(told->calls, 1);
}

struct told_edit edit_rig_change(struct edit_rig *g, const struct access_who *who,
				 enum manage_mode mode, const char *name, const char *words)
{
	struct told_edit told;

	edit_rig_wait(g, edit_rig_begin(g, who, mode, name, words, &told), &told);
	return told;
}

struct told_edit edit_rig_drop(struct edit_rig *g, const struct access_who *who, const char *name)
{
	struct told_edit told = {0};
	struct manage_asker by = {who, edit_rig_on_done, &told};

	edit_rig_wait(g, manage_tunnel_drop(g->p.r.core, &by, str_of(name), STORE_ANY), &told);
	return told;
}

struct manage *edit_rig_begin_replace(struct edit_rig *g, const struct access_who *who,
				      const char *flags, const char *entries,
				      struct told_edit *told)
{
	struct manage_asker by = {who, edit_rig_on_done, told};
	struct edit_wish *wishes = calloc(16, sizeof *wishes);
	struct manage_tunnel_entry list[16] = {0};
	struct manage_tunnel_list l = {.entries = list};
	struct str rest = str_of(entries), words;
	struct manage *m;
	char text[512];

	assert_non_null(wishes);
	memset(told, 0, sizeof *told);
	l.all = strstr(flags, "all") != NULL;
	l.known_agents = strstr(flags, "known") != NULL;
	l.dry_run = strstr(flags, "dry") != NULL;
	l.keep_http = strstr(flags, "keep") != NULL;
	l.keep_rest = strstr(flags, "rest") != NULL;
	while (entries[0] != '\0' && str_next(&rest, ';', &words)) {
		struct edit_wish *w = &wishes[l.n];

		assert_true(l.n < ARRAY_LEN(list));
		edit_rig_copy(text, sizeof text, words);
		edit_rig_wish(text, w);
		list[l.n++] = (struct manage_tunnel_entry){str_of(w->name), str_of(w->account),
							   w->ch.set, &w->ch.to};
	}
	m = manage_tunnel_replace(g->p.r.core, &by, &l);
	free(wishes); /* all of it is copied */
	return m;
}

struct told_edit edit_rig_replace(struct edit_rig *g, const struct access_who *who,
				  const char *flags, const char *entries)
{
	struct told_edit told;

	edit_rig_wait(g, edit_rig_begin_replace(g, who, flags, entries, &told), &told);
	return told;
}

/* ---- records ---- */

const char *edit_rig_record(struct edit_rig *g, const char *kind, const char *key)
{
	static char text[4096];
	char *value = core_rig_get(&g->p.r, kind, key);

	str_printf(text, sizeof text, "%s", value == NULL ? "" : value);
	free(value);
	return text;
}

const char *edit_rig_route(struct edit_rig *g, const char *key)
{
	static char tunnel[HOSTNAME_MAX + 1];
	struct record_route route = {0};
	char owned[STORE_KEY_MAX + 1];
	const char *value = edit_rig_record(g, "route", key);

	tunnel[0] = '\0';
	if (value[0] == '\0')
		return tunnel;
	assert_int_equal(record_read_route(str_of(value), &route), 0);
	memcpy(tunnel, route.tunnel, sizeof tunnel);
	str_printf(owned, sizeof owned, "%s/route/%s", route.account, key);
	assert_string_equal(edit_rig_record(g, "owned", owned), "{}");
	return tunnel;
}

static void edit_rig_on_list(void *arg, const struct manage_answer *a)
{
	char *out = arg;

	assert_int_equal(a->e, 0);
	assert_false(a->more);
	for (size_t i = 0; i < a->n; i++) {
		const struct record_tunnel *r = &a->tunnels[i];
		size_t len = strlen(out);

		str_printf(out + len, 4096 - len, "%s/%s/%u ", r->name, tunnel_kind_name(r->kind),
			   r->port);
	}
}

const char *edit_rig_tunnels(struct edit_rig *g, const struct access_who *who)
{
	static char text[4096];
	struct manage_asker by = {who, edit_rig_on_list, text};
	struct manage_page page = {.limit = MANAGE_PAGE_MAX};

	text[0] = '\0';
	assert_non_null(manage_tunnel_list(g->p.r.core, &by, false, &page));
	core_rig_run(&g->p.r);
	return text;
}
