/* One service: its keys are found first, so that what one means may depend on another that stands
 * below it. */
#include <string.h>

#include "base/err.h"
#include "cli/services_internal.h"
#include "config/say.h"

_Static_assert((int)AGENT_HTTP == (int)TUNNEL_HTTP && (int)AGENT_TCP == (int)TUNNEL_TCP &&
		       (int)AGENT_TLS == (int)TUNNEL_TLS,
	       "the place of a word is an agent's kind");

/* ---- keys ---- */

static enum services_member entry_find(struct str key)
{
	enum services_member m = 0;

	while (m < SERVICES_MEMBERS && !services_key_is(key, services_rows[m].key) &&
	       (services_rows[m].alias == NULL || !services_key_is(key, services_rows[m].alias)))
		m++;
	return m;
}

/* Find and check all that is said. What is said as nothing is not said. */
static int entry_keys(struct services_reader *r, const struct tree *mapping)
{
	for (const struct tree *k = mapping->child; k != NULL; k = k->next) {
		enum services_member m = entry_find(k->text);
		struct guess g = {.word = k->text};
		int e;

		if (m == SERVICES_MEMBERS) {
			for (size_t i = 0; i < SERVICES_MEMBERS; i++) {
				guess_offer(&g, services_rows[i].key);
				if (services_rows[i].alias != NULL)
					guess_offer(&g, services_rows[i].alias);
			}
			return cli_file_unknown(&r->file, k, &g);
		}
		if (r->keys[m] != NULL)
			return cli_file_fail(&r->file, k, "line %u says this already",
					     r->keys[m]->line);
		if (tree_null(k->value))
			continue;
		if ((e = services_check_value(&r->file, &services_rows[m], k->value)) != 0)
			return e;
		r->keys[m] = k;
	}
	return 0;
}

/* ---- what fits what ---- */

static int entry_fits(const struct services_reader *r, enum agent_kind kind)
{
	static const char *const whose[] = {
		[SERVICES_OF_HTTP] = "http tunnels have",
		[SERVICES_OF_TCP] = "tcp tunnels have",
		[SERVICES_OF_TLS] = "tls tunnels have",
		[SERVICES_OF_HTTP | SERVICES_OF_TLS] = "http and tls tunnels have",
	};

	for (size_t m = 0; m < SERVICES_MEMBERS; m++) {
		const struct tree *k = r->keys[m];

		if (k != NULL && (services_rows[m].kinds & (1u << kind)) == 0)
			return cli_file_fail(&r->file, k, "only %s \"%s\", and this one is %s",
					     whose[services_rows[m].kinds], services_rows[m].key,
					     tunnel_word_kinds[kind]);
	}
	return 0;
}

static int entry_fits_domains(const struct services_reader *r, enum agent_kind kind)
{
	const struct tree *list = services_value(r, SERVICES_DOMAINS);
	char quoted[SAY_QUOTED];

	if (list == NULL || kind != AGENT_HTTP)
		return 0;
	for (const struct tree *d = list->kind == TREE_SCALAR ? list : list->child; d != NULL;
	     d = list->kind == TREE_SCALAR ? NULL : d->next)
		if (str_starts(d->text, STR("*.")))
			return cli_file_fail(&r->file, d,
					     "%s: only tls tunnels have domains with a star; name "
					     "each host",
					     say_quote(quoted, d->text));
	return 0;
}

static int entry_fits_target(const struct services_reader *r, const struct services_entry *x)
{
	const struct tree *tls = services_value(r, SERVICES_TLS), *at;
	bool ends = tls != NULL && services_number(&services_rows[SERVICES_TLS], tls) != 0;

	if (x->kind == AGENT_TLS && !ends && url_is_tls(&x->target)) {
		at = r->keys[SERVICES_TARGET]->value;
		return cli_file_fail(&r->file, at,
				     "this target would get the visitors' own TLS inside another "
				     "one: write it without tls://, or end their TLS with tls: "
				     "end");
	}
	if (x->proxy != 0 && x->target.scheme == URL_FILE)
		return cli_file_fail(&r->file, r->keys[SERVICES_PROXY],
				     "a directory has no use for the PROXY protocol");
	if (x->insecure && !url_is_tls(&x->target))
		return cli_file_fail(&r->file, r->keys[SERVICES_INSECURE],
				     "the target shows no certificate: it is neither https:// nor "
				     "tls://");
	for (enum services_member m = SERVICES_HEALTH_INTERVAL; m <= SERVICES_HEALTH_FALL; m++)
		if (r->keys[m] != NULL && x->health.kind == HEALTH_NONE)
			return cli_file_fail(&r->file, r->keys[m],
					     "the target is not checked: \"health\" says how");
	return 0;
}

/* ---- values ---- */

/* What the target itself says, where nothing else does. */
static enum agent_kind entry_kind(const struct services_reader *r, const struct tree *target)
{
	const struct tree *kind = services_value(r, SERVICES_KIND);
	struct url url;

	if (kind != NULL)
		return (enum agent_kind)services_number(&services_rows[SERVICES_KIND], kind);
	if (url_parse_target(target->text, URL_HTTP, &url, NULL) == 0 &&
	    (url.scheme == URL_TCP || url.scheme == URL_TLS))
		return AGENT_TCP;
	return AGENT_HTTP;
}

static int entry_target(const struct services_reader *r, const struct tree *key,
			struct services_entry *x)
{
	const struct tree *target = services_value(r, SERVICES_TARGET);
	char quoted[SAY_QUOTED];
	int e;

	if (target == NULL)
		return cli_file_fail(&r->file, key, "%s has no target, as in target: 9000",
				     say_quote(quoted, key->text));
	x->kind = entry_kind(r, target);
	e = services_check_text(&r->file, target,
				x->kind == AGENT_HTTP ? cli_check_web : cli_check_stream, false);
	if (e != 0)
		return e;
	CHECK(url_parse_target(target->text, x->kind == AGENT_HTTP ? URL_HTTP : URL_TCP, &x->target,
			       NULL) == 0);
	x->target_line = target->line;
	x->target_col = target->col;
	return 0;
}

static uint64_t entry_number(const struct services_reader *r, enum services_member m)
{
	const struct tree *value = services_value(r, m);

	return value == NULL ? 0 : services_number(&services_rows[m], value);
}

static void entry_numbers(const struct services_reader *r, struct services_entry *x)
{
	const struct tree *health = services_value(r, SERVICES_HEALTH);

	x->insecure = entry_number(r, SERVICES_INSECURE) != 0;
	x->priority = (unsigned)entry_number(r, SERVICES_PRIORITY);
	x->proxy = (unsigned)entry_number(r, SERVICES_PROXY);
	x->health.interval_ms = (uint32_t)entry_number(r, SERVICES_HEALTH_INTERVAL);
	x->health.rise = (unsigned)entry_number(r, SERVICES_HEALTH_RISE);
	x->health.fall = (unsigned)entry_number(r, SERVICES_HEALTH_FALL);
	if (health == NULL)
		return;
	x->health.kind = str_eq(health->text, STR("tcp")) ? HEALTH_TCP : HEALTH_HTTP;
	x->health.path = health->text.p;
}

int services_read_entry(struct services_reader *r, const struct tree *key, struct services_entry *x,
			bool *on)
{
	const struct tree *value = key->value;
	struct tree short_key = {.value = key->value}; /* "web: 9000" is "web: {target: 9000}" */
	const struct tree *enabled;
	int e = 0;

	memset(r->keys, 0, sizeof r->keys);
	if (value->kind == TREE_MAPPING)
		e = entry_keys(r, value);
	else if (value->kind == TREE_SCALAR && !tree_null(value))
		r->keys[SERVICES_TARGET] = &short_key;
	else if (value->kind == TREE_SEQUENCE)
		e = cli_file_fail(&r->file, value,
				  "expected a port, HOST:PORT, a URL, or \"target: ...\" and so "
				  "on");
	x->service = key->text.p;
	x->line = key->line;
	x->col = key->col;
	if (e == 0)
		e = entry_target(r, key, x);
	if (e == 0)
		entry_numbers(r, x);
	if (e == 0)
		e = entry_fits(r, x->kind);
	if (e == 0)
		e = entry_fits_domains(r, x->kind);
	if (e == 0)
		e = entry_fits_target(r, x);
	enabled = services_value(r, SERVICES_ENABLED);
	*on = enabled == NULL || services_number(&services_rows[SERVICES_ENABLED], enabled) != 0;
	if (e == 0 && *on)
		e = services_make_wish(r, &x->wish);
	if (e == ERR_TOOBIG)
		e = cli_file_fail(&r->file, key, "all that is said of this service is too long");
	r->keys[SERVICES_TARGET] = NULL; /* may be on our stack */
	return e;
}
