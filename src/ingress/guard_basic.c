/* Two small tables of what is known, and the questions under way. */
#include "ingress/guard_basic.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/map.h"
#include "core/digest.h"
#include "proto/hostname.h"

/* An answer that is remembered. */
struct guard_basic_known {
	struct map_entry entry;
	struct list age;
	uint64_t at_ms;
	char key[DIGEST_HEX_TEXT];
};

struct guard_basic_table {
	struct map map;
	struct list by_age; /* the one that goes first stands first */
	size_t max;
};

/* A question under way. */
struct guard_basic_check {
	struct map_entry entry;
	struct guard_basic *basic;
	struct password_job *job; /* owned; NULL when it is answered */
	struct list waits;	  /* of guard_basic_wait.link */
	uint64_t tunnel;	  /* hash of its name */
	char key[DIGEST_HEX_TEXT];
};

struct guard_basic {
	struct ev *ev;
	struct passwords *passwords;
	/* Nothing here holds a password, only its fingerprint under a key that dies with us. */
	uint8_t secret[DIGEST_LEN];
	uint64_t seed[2]; /* of the hashes of names */
	struct guard_basic_table right, wrong;
	struct map checks;
	size_t n_waits;
};

/* ---- what is known ---- */

static void guard_basic_forget(struct guard_basic_table *t, struct guard_basic_known *k)
{
	map_del(&t->map, &k->entry);
	list_del(&k->age);
	free(k);
}

static struct guard_basic_known *guard_basic_find(struct guard_basic_table *t, const char *key)
{
	struct map_entry *e = map_get(&t->map, str_of(key));

	return e == NULL ? NULL : CONTAINER_OF(e, struct guard_basic_known, entry);
}

/* Without memory it is not remembered: it will be checked again. */
static void guard_basic_remember(struct guard_basic_table *t, const char *key, uint64_t now)
{
	struct guard_basic_known *k = guard_basic_find(t, key);

	if (k != NULL)
		guard_basic_forget(t, k);
	if (t->map.n >= t->max)
		guard_basic_forget(t, CONTAINER_OF(t->by_age.next, struct guard_basic_known, age));
	if ((k = calloc(1, sizeof *k)) == NULL)
		return;
	memcpy(k->key, key, sizeof k->key);
	k->entry.key = str_of(k->key);
	k->at_ms = now;
	if (map_put(&t->map, &k->entry) != 0)
		free(k);
	else
		list_push(&t->by_age, &k->age);
}

/* Returns 0, ERR_AUTH, or ERR_AGAIN when nothing is known. */
static int guard_basic_recall(struct guard_basic *b, const char *key)
{
	struct guard_basic_known *k = guard_basic_find(&b->right, key);

	if (k != NULL) { /* used last, goes last */
		list_del(&k->age);
		list_push(&b->right.by_age, &k->age);
		return 0;
	}
	if ((k = guard_basic_find(&b->wrong, key)) == NULL)
		return ERR_AGAIN;
	if (ev_now_ms(b->ev) - k->at_ms < GUARD_BASIC_WRONG_MS)
		return ERR_AUTH;
	guard_basic_forget(&b->wrong, k);
	return ERR_AGAIN;
}

/* ---- asking ---- */

static int guard_basic_key(struct guard_basic *b, const struct guard_basic_ask *ask,
			   char key[DIGEST_HEX_TEXT])
{
	char text[HOSTNAME_MAX + RIGHTS_HASH_TEXT + 2 * PASSWORD_MAX + 16];
	const struct str parts[] = {{(const char *)&ask->version, sizeof ask->version},
				    ask->tunnel,
				    {"", 1}, /* no part but the first can hold a NUL */
				    ask->hash,
				    {"", 1},
				    ask->user,
				    {"", 1},
				    ask->password};
	size_t len = 0;
	int e;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (parts[i].len > sizeof text - len)
			return ERR_AUTH;
		if (parts[i].len > 0)
			memcpy(text + len, parts[i].p, parts[i].len);
		len += parts[i].len;
	}
	e = digest_keyed(b->secret, (struct str){text, len}, key);
	explicit_bzero(text, len);
	return e;
}

static void guard_basic_check_free(struct guard_basic_check *k)
{
	if (k->job != NULL) {
		map_del(&k->basic->checks, &k->entry);
		password_cancel(k->job);
	}
	free(k);
}

static void guard_basic_on_checked(void *arg, int e)
{
	struct guard_basic_check *k = arg;
	struct guard_basic *b = k->basic;

	k->job = NULL;
	map_del(&b->checks, &k->entry);
	if (e == 0)
		guard_basic_remember(&b->right, k->key, ev_now_ms(b->ev));
	else if (e != ERR_NOMEM) /* a damaged hash is nobody's */
		guard_basic_remember(&b->wrong, k->key, ev_now_ms(b->ev));
	while (!list_empty(&k->waits)) {
		struct guard_basic_wait *w =
			CONTAINER_OF(list_pop(&k->waits), struct guard_basic_wait, link);

		w->check = NULL;
		b->n_waits--;
		w->done(w->arg, e == 0 || e == ERR_NOMEM ? e : ERR_AUTH);
	}
	guard_basic_check_free(k);
}

/* Are as many questions about a tunnel under way as may be? There are few in all: they are counted.
 */
static bool guard_basic_is_full(const struct guard_basic *b, uint64_t tunnel)
{
	size_t n = 0;

	for (struct map_entry *e = map_next(&b->checks, NULL); e != NULL;
	     e = map_next(&b->checks, e))
		n += CONTAINER_OF(e, struct guard_basic_check, entry)->tunnel == tunnel;
	return n >= GUARD_BASIC_CHECKS_PER_TUNNEL;
}

/* Returns 0 with a new question, ERR_LIMIT or ERR_NOMEM. */
static int guard_basic_start(struct guard_basic *b, const struct guard_basic_ask *ask,
			     const char *key, struct guard_basic_check **out)
{
	struct password_check check = {.password = ask->password, .hash = ask->hash};
	uint64_t tunnel = siphash(b->seed, ask->tunnel.p, ask->tunnel.len);
	struct guard_basic_check *k;
	int e = ERR_NOMEM;

	if (guard_basic_is_full(b, tunnel))
		return ERR_LIMIT;
	if ((k = calloc(1, sizeof *k)) == NULL)
		return e;
	k->basic = b;
	k->tunnel = tunnel;
	list_init(&k->waits);
	memcpy(k->key, key, sizeof k->key);
	k->entry.key = str_of(k->key);
	if ((e = map_put(&b->checks, &k->entry)) != 0) {
		free(k);
		return e;
	}
	e = password_check(b->passwords, &check, guard_basic_on_checked, k, &k->job);
	if (e != 0) {
		map_del(&b->checks, &k->entry);
		free(k);
		return e;
	}
	*out = k;
	return 0;
}

int guard_basic_ask(struct guard_basic *b, const struct guard_basic_ask *ask,
		    struct guard_basic_wait *wait)
{
	struct guard_basic_check *k;
	char key[DIGEST_HEX_TEXT];
	struct map_entry *entry;
	int e;

	if (b->passwords == NULL)
		return ERR_AUTH;
	if ((e = guard_basic_key(b, ask, key)) != 0 ||
	    (e = guard_basic_recall(b, key)) != ERR_AGAIN)
		return e;
	if (b->n_waits >= GUARD_BASIC_WAITS_MAX)
		return ERR_LIMIT;
	if ((entry = map_get(&b->checks, str_of(key))) != NULL)
		k = CONTAINER_OF(entry, struct guard_basic_check, entry);
	else if ((e = guard_basic_start(b, ask, key, &k)) != 0)
		return e;
	wait->check = k;
	list_push(&k->waits, &wait->link);
	b->n_waits++;
	return ERR_AGAIN;
}

void guard_basic_cancel(struct guard_basic *b, struct guard_basic_wait *wait)
{
	struct guard_basic_check *k = wait->check;

	if (k == NULL)
		return;
	wait->check = NULL;
	list_del(&wait->link);
	b->n_waits--;
	if (list_empty(&k->waits) && k->job != NULL)
		guard_basic_check_free(k);
}

/* ---- life ---- */

static void guard_basic_table_init(struct guard_basic_table *t, const uint8_t seed[16], size_t max)
{
	map_init(&t->map, seed);
	list_init(&t->by_age);
	t->max = max;
}

static void guard_basic_table_free(struct guard_basic_table *t)
{
	while (!list_empty(&t->by_age))
		guard_basic_forget(t, CONTAINER_OF(t->by_age.next, struct guard_basic_known, age));
	map_free(&t->map);
}

int guard_basic_new(struct ev *ev, struct passwords *passwords, struct guard_basic **out)
{
	struct guard_basic *b = calloc(1, sizeof *b);
	uint8_t seed[16];

	if (b == NULL)
		return ERR_NOMEM;
	b->ev = ev;
	b->passwords = passwords;
	ev_random(ev, b->secret, sizeof b->secret);
	ev_random(ev, b->seed, sizeof b->seed);
	ev_random(ev, seed, sizeof seed);
	guard_basic_table_init(&b->right, seed, GUARD_BASIC_RIGHT_MAX);
	guard_basic_table_init(&b->wrong, seed, GUARD_BASIC_WRONG_MAX);
	map_init(&b->checks, seed);
	*out = b;
	return 0;
}

void guard_basic_free(struct guard_basic *b)
{
	if (b == NULL)
		return;
	CHECK(b->n_waits == 0);
	guard_basic_table_free(&b->right);
	guard_basic_table_free(&b->wrong);
	map_free(&b->checks);
	explicit_bzero(b->secret, sizeof b->secret);
	ev_free_later(b->ev, b);
}
