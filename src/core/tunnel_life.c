/*
 * The life of a tunnel in the registry. It begins with the first session that serves it here, or
 * with a visitor of one that another node serves; then it is kept as long as visitors come.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/peer_internal.h"
#include "core/place.h"
#include "core/settings.h"

/* One that only other nodes serve is kept so long after its last visitor. */
#define TUNNEL_UNSERVED_MS 60000

/* ---- custom domains ---- */

static void tunnel_drop_host(struct tunnel_host *h)
{
	map_del(&h->tunnel->core->hosts, &h->entry);
	list_del(&h->link);
	free(h);
}

/*
 * A host that two tunnels claim goes to the later record: whoever proves it takes it out of the
 * other's record with the same stroke, so the earlier one is out of date.
 */
static void tunnel_add_host(struct tunnel *t, const char *host)
{
	struct map_entry *old = map_get(&t->core->hosts, str_of(host));
	struct tunnel_host *h;

	if (old != NULL) {
		struct tunnel_host *theirs = CONTAINER_OF(old, struct tunnel_host, entry);

		if (theirs->tunnel == t || theirs->tunnel->settings->version > t->settings->version)
			return;
		tunnel_drop_host(theirs);
	}
	if ((h = calloc(1, sizeof *h)) == NULL)
		return; /* its visitors are told that nobody serves it */
	h->tunnel = t;
	str_printf(h->host, sizeof h->host, "%s", host);
	h->entry.key = str_of(h->host);
	if (map_put(&t->core->hosts, &h->entry) != 0) {
		free(h);
		return;
	}
	list_push(&t->hosts, &h->link);
}

int tunnel_set(struct tunnel *t, const struct record_tunnel *r, uint64_t version)
{
	struct tunnel_settings *settings;
	int e = settings_new(r, version, &settings);

	if (e != 0)
		return e;
	settings_unref(t->core->ev, t->settings);
	t->settings = settings;
	t->policy = r->policy;
	t->sessions_max = r->sessions_max; /* those who serve already stay */
	t->port = r->port;
	t->temporary = r->temporary;
	if (t->account[0] != '\0' && strcmp(t->account, r->account) != 0)
		peer_new_places(t->core, t->entry.key);
	memcpy(t->account, r->account, sizeof t->account);
	LIST_FOR_EACH_SAFE (link, &t->hosts) {
		struct tunnel_host *h = CONTAINER_OF(link, struct tunnel_host, link);

		if (r->kind != TUNNEL_HTTP || !record_tunnel_has_host(r, h->host))
			tunnel_drop_host(h);
	}
	for (size_t i = 0; i < r->n_alt_names && r->kind == TUNNEL_HTTP; i++)
		tunnel_add_host(t, r->alt_names[i]);
	return 0;
}

/* ---- life ---- */

/* Somebody may hold it, and ask for its settings, until the loop turns. */
void tunnel_free(struct tunnel *t)
{
	struct core *c = t->core;

	while (!list_empty(&t->hosts))
		tunnel_drop_host(CONTAINER_OF(t->hosts.next, struct tunnel_host, link));
	map_del(&c->tunnels, &t->entry);
	list_del(&t->unserved);
	peer_tell_gone(t);
	settings_unref(c->ev, t->settings);
	ev_free_later(c->ev, t);
}

int tunnel_new(struct core *c, const struct record_tunnel *r, uint64_t version, struct tunnel **out)
{
	struct tunnel *t = calloc(1, sizeof *t);
	int e = ERR_NOMEM;

	if (t == NULL)
		goto out;
	t->core = c;
	list_init(&t->serving);
	list_init(&t->hosts);
	if ((e = str_copy(t->name, sizeof t->name, str_of(r->name))) != 0)
		goto out;
	t->entry.key = str_of(t->name);
	if ((e = peer_tell_new(t)) != 0)
		goto out;
	if ((e = map_put(&c->tunnels, &t->entry)) != 0)
		goto out;
	if ((e = tunnel_set(t, r, version)) != 0) {
		map_del(&c->tunnels, &t->entry);
		goto out;
	}
	refresh_watch(c);
	MOVE(*out, t);
out:
	if (t != NULL)
		free(t->told);
	free(t);
	return e;
}

/* ---- served elsewhere ---- */

static void tunnel_on_unserved(void *arg)
{
	struct core *c = arg;
	uint64_t now = ev_now_ms(c->ev);

	while (!list_empty(&c->unserved)) {
		struct tunnel *t = CONTAINER_OF(c->unserved.next, struct tunnel, unserved);

		if (now - t->used_ms < TUNNEL_UNSERVED_MS) {
			ev_timer_set(c->ev, &c->unserved_timer,
				     t->used_ms + TUNNEL_UNSERVED_MS - now);
			return;
		}
		tunnel_free(t);
	}
}

/* The longest unused one stands first. */
static void tunnel_use(struct tunnel *t)
{
	struct core *c = t->core;

	t->used_ms = ev_now_ms(c->ev);
	list_del(&t->unserved);
	list_push(&c->unserved, &t->unserved);
	if (!ev_timer_is_set(&c->unserved_timer))
		ev_timer_set(c->ev, &c->unserved_timer, TUNNEL_UNSERVED_MS);
}

void tunnel_settle(struct tunnel *t)
{
	if (t->n_serving > 0)
		list_del(&t->unserved);
	else if (peer_find(t->core, t->entry.key) != NULL)
		tunnel_use(t);
	else
		tunnel_free(t);
}

struct tunnel *tunnel_make(struct core *c, const struct record_tunnel *r, uint64_t version)
{
	struct tunnel *t = tunnel_find(c, str_of(r->name));

	if (t != NULL || !r->enabled || peer_find(c, str_of(r->name)) == NULL)
		return t;
	if (tunnel_new(c, r, version, &t) != 0)
		return NULL;
	tunnel_use(t);
	return t;
}

void tunnel_init(struct core *c)
{
	list_init(&c->unserved);
	c->unserved_timer = (struct ev_timer){.fn = tunnel_on_unserved, .arg = c};
}

/* ---- visitors ---- */

struct tunnel *tunnel_find(struct core *c, struct str name)
{
	struct map_entry *entry = map_get(&c->tunnels, name);

	return entry == NULL ? NULL : CONTAINER_OF(entry, struct tunnel, entry);
}

struct tunnel *tunnel_find_at(struct core *c, struct str host)
{
	struct map_entry *entry = map_get(&c->hosts, host);

	return entry == NULL ? NULL : CONTAINER_OF(entry, struct tunnel_host, entry)->tunnel;
}

struct tunnel *core_tunnel(struct core *c, struct str name)
{
	struct tunnel *t = tunnel_find(c, name);

	if (t == NULL)
		t = place_make_tunnel(c, name);
	if (t != NULL && t->n_serving == 0)
		tunnel_use(t);
	return t;
}

struct tunnel *core_tunnel_at(struct core *c, struct str host)
{
	struct tunnel *t = tunnel_find_at(c, host);

	if (t != NULL && t->n_serving == 0)
		tunnel_use(t);
	return t;
}

const char *tunnel_name(const struct tunnel *t)
{
	return t->name;
}

const struct tunnel_settings *tunnel_settings(const struct tunnel *t)
{
	return t->settings;
}

void tunnel_loop_mark(const struct tunnel *t, char out[17])
{
	uint64_t mark = siphash(t->core->loop_key, t->name, strlen(t->name));

	str_printf(out, 17, "%016llx", (unsigned long long)mark);
}
