/*
 * A name belongs to one account together with all that stands under the same last label: the first
 * tunnel under "tim" claims the label, the last one that goes gives it back. Whatever makes or
 * drops a tunnel writes its account's count too, so two of them never pass each other unseen.
 *
 * One transaction may change many tunnels. So all that one of them leaves to another is read by
 * txn_see(), and nothing is dropped that belongs to somebody else by now.
 */
#include "core/tunnel_txn.h"

#include <string.h>

#include "base/err.h"
#include "core/manage_internal.h"
#include "core/names.h"

/* Random names that are tried before they grow by a character. */
#define TRIES_PER_LENGTH 3

void tunnel_txn_usual(struct record_tunnel *out, struct str name, const char *account,
		      int64_t now_ms)
{
	*out = (struct record_tunnel){.enabled = true,
				      .sessions_max = RECORD_SESSIONS_MAX,
				      .drain_ms = RECORD_DRAIN_USUAL,
				      .created_ms = now_ms,
				      .updated_ms = now_ms};
	str_printf(out->name, sizeof out->name, STR_FMT, STR_ARG(name));
	str_printf(out->account, sizeof out->account, "%s", account);
}

void tunnel_txn_random(struct ev *ev, unsigned tries, char out[HOSTNAME_MAX + 1])
{
	names_random(ev, MIN(NAMES_RANDOM_MIN + tries / TRIES_PER_LENGTH, NAMES_RANDOM_MAX), out);
}

int tunnel_txn_check_target(struct str target, char out[RECORD_TARGET_MAX + 1],
			    char reason[CORE_REASON_TEXT])
{
	bool one_line = target.len <= RECORD_TARGET_MAX;

	for (size_t i = 0; one_line && i < target.len; i++)
		one_line = (unsigned char)target.p[i] >= ' ' && target.p[i] != 0x7f;
	if (one_line)
		return str_copy(out, RECORD_TARGET_MAX + 1, target);
	str_printf(reason, CORE_REASON_TEXT,
		   "the target's description must be one line of at most %d bytes",
		   RECORD_TARGET_MAX);
	return ERR_INVAL;
}

int tunnel_txn_taken(struct str name, char reason[CORE_REASON_TEXT])
{
	str_printf(reason, CORE_REASON_TEXT,
		   "the name \"%.*s\" is taken by somebody else; choose another with --name",
		   (int)MIN(name.len, (size_t)HOSTNAME_LABEL_MAX * 2), name.p);
	return ERR_EXISTS;
}

/* ---- what an account owns ---- */

/* What is owned already stays so. */
static int tunnel_txn_own(struct txn *t, const char *account, struct str kind, struct str key)
{
	struct store_record rec;
	struct manage_key k;
	int e = txn_see(t, RECORD_OWNED, manage_owned_key(&k, account, kind, key), &rec);

	return e == ERR_NOTFOUND ? owned_put(t, account, kind, key) : e;
}

static int tunnel_txn_account(struct txn *t, const char *account, struct record_account *out,
			      struct store_record *rec)
{
	int e = txn_see(t, RECORD_ACCOUNT, str_of(account), rec);

	return e != 0 ? e : record_read_account(rec->key, rec->value, out);
}

/* May the account have one more? Counts it. */
static int tunnel_txn_count(struct txn *t, const char *account, char *reason)
{
	struct store_record rec;
	struct record_account a;
	int e = tunnel_txn_account(t, account, &a, &rec);

	if (e == ERR_NOTFOUND) {
		str_printf(reason, CORE_REASON_TEXT, "this account has been deleted");
		return ERR_DISABLED;
	}
	if (e != 0)
		return e;
	if (!a.enabled) {
		str_printf(reason, CORE_REASON_TEXT,
			   "this account has been switched off; ask the server's operator why");
		return ERR_DISABLED;
	}
	if (a.n_tunnels >= a.quota.tunnels) {
		str_printf(reason, CORE_REASON_TEXT,
			   "this account has %llu tunnels, which is the limit; ask the server's "
			   "operator for more, or use one of them with --name",
			   (unsigned long long)a.n_tunnels);
		return ERR_LIMIT;
	}
	a.n_tunnels++;
	return account_put(t, rec.value, &a);
}

static int tunnel_txn_uncount(struct txn *t, const char *account)
{
	struct store_record rec;
	struct record_account a;
	int e = tunnel_txn_account(t, account, &a, &rec);

	if (e != 0)
		return e == ERR_NOTFOUND ? 0 : e;
	a.n_tunnels -= a.n_tunnels > 0;
	return account_put(t, rec.value, &a);
}

/* ---- claims ---- */

static int tunnel_txn_claim(struct txn *t, const char *account, struct str label, char *reason)
{
	struct store_record rec;
	char owner[CORE_ID_TEXT];
	struct buf value = {0};
	int e = txn_see(t, RECORD_CLAIM, label, &rec);

	if (e == 0 && (e = record_read_claim(rec.value, owner)) == 0)
		return strcmp(owner, account) == 0 ? 0 : tunnel_txn_taken(label, reason);
	if (e != ERR_NOTFOUND)
		return e;
	if ((e = record_write_claim(account, &value)) == 0 &&
	    (e = txn_put(t, RECORD_CLAIM, label, buf_str(&value))) == 0)
		e = tunnel_txn_own(t, account, RECORD_CLAIM, label);
	buf_free(&value);
	return e;
}

/* Is this the key of another tunnel of the account, under the same last label, that stays? */
static bool tunnel_txn_is_sibling(const struct txn *t, struct str owned, struct str prefix,
				  const char *name)
{
	struct str other = {owned.p + prefix.len, owned.len - prefix.len};

	return str_eq(names_last_label(other), names_last_label(str_of(name))) &&
	       !str_eq(other, str_of(name)) && !txn_drops(t, RECORD_OWNED, owned);
}

/*
 * Does the account have no other tunnel under the same last label? When it has so many that this
 * cannot be seen, it keeps the label.
 */
static int tunnel_txn_is_last(struct txn *t, const struct record_tunnel *r, bool *last)
{
	struct manage_key k;
	struct str prefix = manage_owned_key(&k, r->account, RECORD_TUNNEL, STR(""));
	struct store_page page = {.kind = RECORD_OWNED, .after = prefix, .limit = STORE_PAGE_MAX};
	struct txn_page found = {.more = true};
	int e = 0;

	*last = false;
	for (unsigned n = 0; found.more; n++) {
		e = n == TXN_PAGES_MAX ? ERR_TOOBIG : txn_list(t, &page, &found);
		if (e != 0)
			return e == ERR_TOOBIG ? 0 : e;
		for (size_t i = 0; i < found.n; i++) {
			page.after = found.recs[i].key;
			if (!str_starts(page.after, prefix)) {
				*last = true;
				return 0;
			}
			if (tunnel_txn_is_sibling(t, page.after, prefix, r->name))
				return 0;
		}
	}
	*last = true;
	return 0;
}

static int tunnel_txn_unclaim(struct txn *t, const struct record_tunnel *r)
{
	struct str label = names_last_label(str_of(r->name));
	struct store_record rec;
	char owner[CORE_ID_TEXT];
	bool last;
	int e = tunnel_txn_is_last(t, r, &last);

	if (e != 0 || !last)
		return e;
	if ((e = txn_see(t, RECORD_CLAIM, label, &rec)) != 0)
		return e == ERR_NOTFOUND ? 0 : e;
	if ((e = record_read_claim(rec.value, owner)) != 0 || strcmp(owner, r->account) != 0)
		return e;
	if ((e = txn_drop(t, RECORD_CLAIM, label)) != 0)
		return e;
	return owned_drop(t, r->account, RECORD_CLAIM, label);
}

/* ---- routes ---- */

int tunnel_txn_route(struct txn *t, struct str key, struct record_route *out)
{
	const struct store_record *rec;
	int e = txn_get(t, RECORD_ROUTE, key, &rec);

	return e != 0 ? e : record_read_route(rec->value, out);
}

/* Whose it is by now. */
static int tunnel_txn_see_route(struct txn *t, struct str key, struct record_route *out)
{
	struct store_record rec;
	int e = txn_see(t, RECORD_ROUTE, key, &rec);

	return e != 0 ? e : record_read_route(rec.value, out);
}

static bool tunnel_txn_has_route(const struct record_route *route, const struct record_tunnel *r)
{
	return strcmp(route->tunnel, r->name) == 0 && strcmp(route->account, r->account) == 0;
}

static int tunnel_txn_take_route(struct txn *t, const struct record_tunnel *r)
{
	struct record_route was, mine = {0};
	char text[RECORD_ROUTE_TEXT];
	struct buf value = {0};
	struct str key;
	int e;

	if (!record_route_key(r, text))
		return 0;
	key = str_of(text);
	e = tunnel_txn_see_route(t, key, &was);
	if (e == 0 && tunnel_txn_has_route(&was, r))
		return 0;
	if (e == 0 && strcmp(was.account, r->account) != 0)
		e = owned_drop(t, was.account, RECORD_ROUTE, key);
	if (e != 0 && e != ERR_NOTFOUND)
		return e;
	memcpy(mine.account, r->account, sizeof mine.account);
	memcpy(mine.tunnel, r->name, sizeof mine.tunnel);
	if ((e = record_write_route(&mine, &value)) == 0 &&
	    (e = txn_put(t, RECORD_ROUTE, key, buf_str(&value))) == 0)
		e = tunnel_txn_own(t, r->account, RECORD_ROUTE, key);
	buf_free(&value);
	return e;
}

/* The route of the tunnel as it was, unless another one has it by now. */
static int tunnel_txn_leave_route(struct txn *t, const struct record_tunnel *r)
{
	char text[RECORD_ROUTE_TEXT];
	struct record_route route;
	struct str key;
	int e;

	if (!record_route_key(r, text))
		return 0;
	key = str_of(text);
	if ((e = tunnel_txn_see_route(t, key, &route)) != 0)
		return e == ERR_NOTFOUND ? 0 : e;
	if (!tunnel_txn_has_route(&route, r))
		return 0;
	if ((e = txn_drop(t, RECORD_ROUTE, key)) != 0)
		return e;
	return owned_drop(t, r->account, RECORD_ROUTE, key);
}

/* ---- tunnels ---- */

int tunnel_txn_get(struct txn *t, struct str name, struct record_tunnel *out,
		   const struct store_record **rec)
{
	int e = txn_get(t, RECORD_TUNNEL, name, rec);

	return e != 0 ? e : record_read_tunnel((*rec)->key, (*rec)->value, out);
}

static int tunnel_txn_write(struct txn *t, struct str old, const struct record_tunnel *r)
{
	struct buf value = {0};
	int e = record_write_tunnel(old, r, &value);

	if (e == 0)
		e = txn_put(t, RECORD_TUNNEL, str_of(r->name), buf_str(&value));
	buf_free(&value);
	return e;
}

/*
 * Who starts must find the temporary ones without reading all tunnels. A note that leads nowhere
 * does no harm: the next start drops it.
 */
static int tunnel_txn_note(struct txn *t, const struct record_tunnel *r, bool was)
{
	struct str name = str_of(r->name);
	struct store_record rec;
	int e;

	if (r->temporary == was)
		return 0;
	if (!r->temporary)
		return txn_drop(t, RECORD_TEMPORARY, name);
	e = txn_see(t, RECORD_TEMPORARY, name, &rec);
	return e == ERR_NOTFOUND ? txn_put(t, RECORD_TEMPORARY, name, STR("{}")) : e;
}

int tunnel_txn_put(struct txn *t, const struct store_record *rec, const struct record_tunnel *r)
{
	char was[RECORD_ROUTE_TEXT], is[RECORD_ROUTE_TEXT];
	struct record_tunnel old;
	int e = record_read_tunnel(rec->key, rec->value, &old);

	if (e != 0 || (e = tunnel_txn_write(t, rec->value, r)) != 0 ||
	    (e = tunnel_txn_note(t, r, old.temporary)) != 0)
		return e;
	record_route_key(&old, was);
	record_route_key(r, is);
	if (strcmp(was, is) != 0 && (e = tunnel_txn_leave_route(t, &old)) != 0)
		return e;
	return tunnel_txn_take_route(t, r);
}

int tunnel_txn_make(struct txn *t, const struct record_tunnel *r, char reason[CORE_REASON_TEXT])
{
	struct str name = str_of(r->name);
	int e;

	if ((e = txn_line(t, r->account)) != 0 ||
	    (e = tunnel_txn_count(t, r->account, reason)) != 0 ||
	    (e = tunnel_txn_claim(t, r->account, names_last_label(name), reason)) != 0 ||
	    (e = tunnel_txn_write(t, STR(""), r)) != 0 || (e = tunnel_txn_note(t, r, false)) != 0 ||
	    (e = tunnel_txn_own(t, r->account, RECORD_TUNNEL, name)) != 0)
		return e;
	return tunnel_txn_take_route(t, r);
}

int tunnel_txn_drop(struct txn *t, const struct record_tunnel *r)
{
	struct str name = str_of(r->name);
	int e;

	if ((e = txn_line(t, r->account)) != 0 || (e = tunnel_txn_uncount(t, r->account)) != 0 ||
	    (e = tunnel_txn_unclaim(t, r)) != 0)
		return e;
	for (size_t i = 0; i < r->n_alt_names; i++)
		if ((e = tunnel_txn_leave_domain(t, r, r->alt_names[i])) != 0)
			return e;
	if ((e = tunnel_txn_leave_route(t, r)) != 0 || (e = txn_drop(t, RECORD_TUNNEL, name)) != 0)
		return e;
	if (r->temporary && (e = txn_drop(t, RECORD_TEMPORARY, name)) != 0)
		return e;
	return owned_drop(t, r->account, RECORD_TUNNEL, name);
}

/* ---- custom domains ---- */

int tunnel_txn_domain(struct txn *t, const char *host, struct record_domain *out)
{
	const struct store_record *rec;
	int e = txn_get(t, RECORD_DOMAIN, str_of(host), &rec);

	return e != 0 ? e : record_read_domain(rec->value, out);
}

/* Whose it is by now. */
static int tunnel_txn_see_domain(struct txn *t, const char *host, struct record_domain *out)
{
	struct store_record rec;
	int e = txn_see(t, RECORD_DOMAIN, str_of(host), &rec);

	return e != 0 ? e : record_read_domain(rec.value, out);
}

/* The tunnel that had a domain so far loses it, and with it all that r has now. */
static int tunnel_txn_strip(struct txn *t, const struct record_domain *d,
			    const struct record_tunnel *r)
{
	struct record_tunnel other;
	struct store_record rec;
	size_t kept = 0;
	int e = txn_see(t, RECORD_TUNNEL, str_of(d->tunnel), &rec);

	if (e == 0)
		e = record_read_tunnel(rec.key, rec.value, &other);
	if (e != 0)
		return e == ERR_NOTFOUND ? 0 : e;
	if (strcmp(other.account, d->account) != 0)
		return 0;
	for (size_t i = 0; i < other.n_alt_names; i++)
		if (!record_tunnel_has_host(r, other.alt_names[i]))
			memmove(other.alt_names[kept++], other.alt_names[i],
				sizeof other.alt_names[0]);
	if (kept == other.n_alt_names)
		return 0;
	other.n_alt_names = kept;
	return tunnel_txn_write(t, rec.value, &other); /* it has the route that it had */
}

int tunnel_txn_take_domain(struct txn *t, const struct record_tunnel *r, const char *host,
			   int64_t now_ms)
{
	struct record_domain d, mine = {.proven_ms = now_ms};
	struct buf value = {0};
	int e = tunnel_txn_see_domain(t, host, &d);

	memcpy(mine.account, r->account, sizeof mine.account);
	memcpy(mine.tunnel, r->name, sizeof mine.tunnel);
	if (e == 0 && strcmp(d.tunnel, r->name) != 0)
		e = tunnel_txn_strip(t, &d, r);
	if (e == 0 && strcmp(d.account, r->account) != 0)
		e = owned_drop(t, d.account, RECORD_DOMAIN, str_of(host));
	if (e != 0 && e != ERR_NOTFOUND)
		return e;
	if ((e = record_write_domain(&mine, &value)) == 0 &&
	    (e = txn_put(t, RECORD_DOMAIN, str_of(host), buf_str(&value))) == 0)
		e = tunnel_txn_own(t, r->account, RECORD_DOMAIN, str_of(host));
	buf_free(&value);
	return e;
}

int tunnel_txn_leave_domain(struct txn *t, const struct record_tunnel *r, const char *host)
{
	struct record_domain d;
	int e = tunnel_txn_see_domain(t, host, &d);

	if (e != 0)
		return e == ERR_NOTFOUND ? 0 : e;
	if (strcmp(d.tunnel, r->name) != 0 || strcmp(d.account, r->account) != 0)
		return 0;
	if ((e = txn_drop(t, RECORD_DOMAIN, str_of(host))) != 0)
		return e;
	return owned_drop(t, r->account, RECORD_DOMAIN, str_of(host));
}

/* ---- asking ahead ---- */

/* What is to be read, and whether all of it is here. */
struct tunnel_txn_ahead {
	struct txn *t;
	const char *account;
	int e;
};

static void tunnel_txn_ask(struct tunnel_txn_ahead *a, struct str kind, struct str key)
{
	int e = a->e == 0 || a->e == ERR_AGAIN ? txn_want(a->t, kind, key) : 0;

	if (e != 0)
		a->e = e;
}

/* A record, and the note that it is owned. */
static void tunnel_txn_ask_both(struct tunnel_txn_ahead *a, struct str kind, struct str key)
{
	struct manage_key k;

	tunnel_txn_ask(a, kind, key);
	tunnel_txn_ask(a, RECORD_OWNED, manage_owned_key(&k, a->account, kind, key));
}

/* What leads to a tunnel as it was, or will be. */
static void tunnel_txn_ask_names(struct tunnel_txn_ahead *a, const struct record_tunnel *r,
				 const struct record_tunnel *other)
{
	char key[RECORD_ROUTE_TEXT];

	if (record_route_key(r, key) && !(r->kind == TUNNEL_TCP && r->port == 0))
		tunnel_txn_ask_both(a, RECORD_ROUTE, str_of(key));
	for (size_t i = 0; i < r->n_alt_names; i++)
		if (other == NULL || !record_tunnel_has_host(other, r->alt_names[i]))
			tunnel_txn_ask_both(a, RECORD_DOMAIN, str_of(r->alt_names[i]));
}

int tunnel_txn_ahead(struct txn *t, const struct record_tunnel *old, const struct record_tunnel *r)
{
	const struct record_tunnel *one = r != NULL ? r : old;
	struct tunnel_txn_ahead a = {t, one->account, 0};

	if (old == NULL || r == NULL) {
		tunnel_txn_ask(&a, RECORD_ACCOUNT, str_of(one->account));
		tunnel_txn_ask_both(&a, RECORD_CLAIM, names_last_label(str_of(one->name)));
		tunnel_txn_ask_both(&a, RECORD_TUNNEL, str_of(one->name));
	}
	if (old != NULL)
		tunnel_txn_ask_names(&a, old, r);
	if (r != NULL)
		tunnel_txn_ask_names(&a, r, old);
	return a.e;
}
