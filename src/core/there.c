/* Only what tells them apart is kept beside their bytes: a record that is taken apart is twenty
 * times as large. */
#include "core/there.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/tunnel_txn.h"

/* Records that are looked at in one go: less than 2 ms. */
#define THERE_STEP 256

struct there_agent {
	struct map_entry entry; /* in there.agents */
	char key[CORE_ID_TEXT + CORE_AGENT_TEXT];
};

/* ---- life ---- */

int there_init(struct there *w, const struct core *c)
{
	const uint8_t *seed = (const uint8_t *)c->loop_key;

	map_init(&w->names, seed);
	map_init(&w->places, seed);
	map_init(&w->agents, seed);
	w->tunnels = calloc(THERE_MAX, sizeof w->tunnels[0]);
	return w->tunnels == NULL ? ERR_NOMEM : 0;
}

void there_forget(struct there *w)
{
	struct map_entry *e, *next;

	for (e = map_next(&w->agents, NULL); e != NULL; e = next) {
		next = map_next(&w->agents, e);
		free(CONTAINER_OF(e, struct there_agent, entry));
	}
	map_free(&w->agents);
	map_free(&w->names);
	map_free(&w->places);
	w->n = w->looked = 0;
}

void there_free(struct there *w)
{
	there_forget(w);
	free(w->tunnels);
	w->tunnels = NULL;
}

/* ---- places ---- */

/* "<account>/tcp/<port>", "<account>/tls/<the first of its domains in order>". Empty: it has none.
 */
static struct str there_place(const struct record_tunnel *r, char *out, size_t cap)
{
	const char *first = r->n_alt_names > 0 ? r->alt_names[0] : "";
	size_t n = 0;

	for (size_t i = 1; i < r->n_alt_names; i++)
		if (strcmp(r->alt_names[i], first) < 0)
			first = r->alt_names[i];
	if (r->kind == TUNNEL_TCP && r->port != 0)
		n = str_printf(out, cap, "%s/tcp/%u", r->account, r->port);
	else if (r->kind != TUNNEL_TCP && first[0] != '\0')
		n = str_printf(out, cap, "%s/%s/%s", r->account, tunnel_kind_name(r->kind), first);
	return (struct str){out, n};
}

static bool there_same_domains(const struct record_tunnel *a, const struct record_tunnel *b)
{
	for (size_t i = 0; i < a->n_alt_names; i++) {
		bool found = false;

		for (size_t k = 0; k < b->n_alt_names && !found; k++)
			found = strcmp(a->alt_names[i], b->alt_names[k]) == 0;
		if (!found)
			return false;
	}
	return a->n_alt_names == b->n_alt_names;
}

const struct there_tunnel *there_at(const struct there *w, const struct record_tunnel *r)
{
	char place[sizeof w->tunnels[0].place];
	struct str key = there_place(r, place, sizeof place);
	struct map_entry *e = key.len == 0 ? NULL : map_get(&w->places, key);
	const struct there_tunnel *is;
	struct record_tunnel old;

	if (e == NULL)
		return NULL;
	is = CONTAINER_OF(e, struct there_tunnel, by_place);
	if (r->kind == TUNNEL_TCP)
		return is;
	if (record_read_tunnel(is->rec->key, is->rec->value, &old) != 0)
		return NULL;
	return there_same_domains(&old, r) ? is : NULL;
}

const struct there_tunnel *there_find(const struct there *w, struct str name)
{
	struct map_entry *e = map_get(&w->names, name);

	return e == NULL ? NULL : CONTAINER_OF(e, struct there_tunnel, by_name);
}

/* ---- agents ---- */

static struct str there_agent_key(const char *account, const char *agent,
				  char out[CORE_ID_TEXT + CORE_AGENT_TEXT])
{
	size_t n = str_printf(out, CORE_ID_TEXT + CORE_AGENT_TEXT, "%s/%s", account, agent);

	return (struct str){out, n};
}

bool there_names(const struct there *w, const char *account, const char *agent)
{
	char key[CORE_ID_TEXT + CORE_AGENT_TEXT];

	return map_get(&w->agents, there_agent_key(account, agent, key)) != NULL;
}

static int there_add_agent(struct there *w, const char *account, const char *agent)
{
	struct there_agent *a;
	int e;

	if (there_names(w, account, agent))
		return 0;
	if ((a = calloc(1, sizeof *a)) == NULL)
		return ERR_NOMEM;
	a->entry.key = there_agent_key(account, agent, a->key);
	if ((e = map_put(&w->agents, &a->entry)) != 0)
		free(a);
	return e;
}

/* ---- reading ---- */

/* rec: the transaction's. account: whose it must be; NULL: anybody's. */
static int there_add(struct there *w, const struct store_record *rec, const char *account)
{
	struct there_tunnel *is = &w->tunnels[w->n];
	struct record_tunnel r;
	int e;

	if (w->n == THERE_MAX)
		return ERR_TOOBIG;
	if ((e = record_read_tunnel(rec->key, rec->value, &r)) != 0)
		return e == ERR_IO ? 0 : e;
	if (account != NULL && strcmp(r.account, account) != 0)
		return 0;
	*is = (struct there_tunnel){.rec = rec, .kind = r.kind, .port = r.port};
	memcpy(is->account, r.account, sizeof is->account);
	is->by_name.key = rec->key;
	if ((e = map_put(&w->names, &is->by_name)) != 0)
		return e;
	w->n++;
	is->by_place.key = there_place(&r, is->place, sizeof is->place);
	if (is->by_place.key.len > 0 && map_get(&w->places, is->by_place.key) == NULL)
		e = map_put(&w->places, &is->by_place);
	for (size_t i = 0; i < r.n_agents && e == 0; i++)
		e = there_add_agent(w, r.account, r.agents[i]);
	return e;
}

/* One more has been looked at. Returns 0 or, to be returned, ERR_AGAIN: others have the loop first.
 */
static int there_looked(struct there *w, struct txn *t)
{
	return ++w->looked % THERE_STEP == 0 ? txn_pause(t) : 0;
}

static int there_add_known(struct there *w, struct txn *t, const struct store_record *rec)
{
	const struct store_record *known;
	int e = txn_know(t, rec);

	if (e == 0)
		e = txn_get(t, RECORD_TUNNEL, rec->key, &known);
	return e != 0 ? e : there_add(w, known, NULL);
}

static int there_read_all(struct there *w, struct txn *t)
{
	struct store_page page = {.kind = RECORD_TUNNEL, .limit = STORE_PAGE_MAX};
	struct txn_page found = {.more = true};
	size_t n = 0;
	int e = 0;

	while (found.more && e == 0) {
		e = txn_list(t, &page, &found);
		for (size_t i = 0; e == 0 && i < found.n; i++) {
			page.after = found.recs[i].key;
			if (n++ >= w->looked && (e = there_add_known(w, t, &found.recs[i])) == 0)
				e = there_looked(w, t);
		}
	}
	return e;
}

/* One that the account owns; asked for, with all others, when it is not here yet. */
static int there_read_one(struct there *w, struct txn *t, struct str name, const char *account)
{
	const struct store_record *rec;
	int e = txn_get(t, RECORD_TUNNEL, name, &rec);

	if (e == 0)
		return there_add(w, rec, account);
	return e == ERR_NOTFOUND ? 0 : e; /* it went while we listed */
}

static int there_read_own(struct there *w, struct txn *t, const char *account)
{
	struct manage_key k;
	struct str prefix = manage_owned_key(&k, account, RECORD_TUNNEL, STR(""));
	struct store_page page = {.kind = RECORD_OWNED, .after = prefix, .limit = STORE_PAGE_MAX};
	struct txn_page found = {.more = true};
	int e, result = 0;
	size_t n = 0;

	while (found.more) {
		if ((e = txn_list(t, &page, &found)) != 0)
			return e;
		for (size_t i = 0; i < found.n; i++) {
			struct str key = found.recs[i].key;

			if (!str_starts(key, prefix))
				return result;
			page.after = key;
			if (n++ < w->looked)
				continue;
			e = there_read_one(w, t,
					   (struct str){key.p + prefix.len, key.len - prefix.len},
					   account);
			if (e != 0 && e != ERR_AGAIN)
				return e;
			result = e != 0 ? e : result;
			if ((e = there_looked(w, t)) != 0)
				return e;
		}
	}
	return result;
}

int there_read(struct there *w, struct txn *t, const char *account)
{
	return account == NULL ? there_read_all(w, t) : there_read_own(w, t, account);
}
