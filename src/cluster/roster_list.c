/*
 * What we serve, so that others can have a copy that is right, without ever being shown all of it
 * at once: thousands of tunnels are told in pieces, one a turn of the loop, while they change. The
 * accounts whose sessions we have are rows of it like tunnels.
 *
 * The list is ordered by when each tunnel changed last; a change has a number and moves its tunnel
 * to the end; a removal is a change like others, and stays in the list as such. A piece is
 * everything that stands in it in (after, upto] when it is written. A copy is at c when it is right
 * for each tunnel whose last change is <= c. It takes a piece with after <= c < upto, and is at
 * upto then:
 *
 *  - a tunnel whose last change is <= c now: it was told, and told right, before;
 *  - in (c, upto]: it stands in this piece. Had it changed again after the piece was written, its
 *    last change would be beyond `upto`, and what the copy has of it does not matter yet;
 *  - in (after, c]: the piece repeats what the copy has: of a state later than the piece's the copy
 *    could only know from a piece that reached beyond this one's head, and then c > upto.
 *
 * So no piece is right only together with others, nothing has to be kept for a telling but a place
 * in the list, one that was interrupted goes on where the copy is, and when c is the list's last
 * change the copy is the list. Changes as they happen are pieces from the last one to now.
 *
 * Removals cannot be kept for ever. `floor` is the number of the last one forgotten. A copy needs
 * those of tunnels that it has: all beyond c; but when it was told the list from its beginning,
 * only those beyond what was the list's last change at that time (`start`), since before that it
 * had nothing. With floor > MAX(c, start) it may have missed one, and is told from the beginning
 * again; what it has stays until that is done, and goes then if it was not told again.
 */
#include "cluster/roster_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

/* Bytes of a piece that its head may take. */
#define ROSTER_HEAD_MAX 512

/* What stands before the name of an account; no tunnel's begins with it. */
#define ROSTER_ACCOUNT '='

struct roster_item {
	struct map_entry by_key; /* list.items */
	struct list order;	 /* list.order */
	struct list removed;	 /* list.removed; linked: it is not there any more */
	uint64_t seq;		 /* its last change */
	char *text;		 /* owned; NULL when it is removed */
	char key[];		 /* NUL-terminated; a tunnel, or ROSTER_ACCOUNT and an account */
};

static struct roster_item *roster_item_at(struct list *order)
{
	return CONTAINER_OF(order, struct roster_item, order);
}

void roster_list_init(struct roster_list *l, const uint8_t seed[16])
{
	map_init(&l->items, seed);
	list_init(&l->order);
	list_init(&l->removed);
	list_init(&l->feeds);
}

static bool roster_item_is_account(const struct roster_item *it)
{
	return it->key[0] == ROSTER_ACCOUNT;
}

static void roster_item_free(struct roster_item *it)
{
	free(it->text);
	free(it);
}

void roster_list_free(struct roster_list *l)
{
	struct list *link;

	while ((link = list_pop(&l->feeds)) != NULL)
		;
	while ((link = list_pop(&l->order)) != NULL)
		roster_item_free(roster_item_at(link));
	map_free(&l->items);
}

/* Out of the order; who would be told it next is told what follows. */
static void roster_list_unlink(struct roster_list *l, struct roster_item *it)
{
	LIST_FOR_EACH (link, &l->feeds) {
		struct roster_feed *f = CONTAINER_OF(link, struct roster_feed, link);

		if (f->next == &it->order)
			f->next = it->order.next;
	}
	list_del(&it->order);
}

/* It changes now. */
static void roster_list_touch(struct roster_list *l, struct roster_item *it)
{
	if (list_linked(&it->order))
		roster_list_unlink(l, it);
	it->seq = ++l->seq;
	list_push(&l->order, &it->order);
	LIST_FOR_EACH (link, &l->feeds) {
		struct roster_feed *f = CONTAINER_OF(link, struct roster_feed, link);

		if (f->next == &l->order)
			f->next = &it->order;
	}
}

/* Forget the oldest removals. */
static void roster_list_forget(struct roster_list *l)
{
	while (l->n_removed > ROSTER_REMOVED_MAX + l->n + l->n_accounts) {
		struct roster_item *it =
			CONTAINER_OF(list_pop(&l->removed), struct roster_item, removed);

		l->n_removed--;
		l->floor = it->seq;
		roster_list_unlink(l, it);
		map_del(&l->items, &it->by_key);
		roster_item_free(it);
	}
}

static size_t *roster_list_count(struct roster_list *l, const struct roster_item *it)
{
	return roster_item_is_account(it) ? &l->n_accounts : &l->n;
}

static void roster_list_remove(struct roster_list *l, struct roster_item *it)
{
	free(it->text);
	it->text = NULL;
	--*roster_list_count(l, it);
	l->n_removed++;
	list_push(&l->removed, &it->removed);
	roster_list_touch(l, it);
	roster_list_forget(l);
}

static int roster_item_new(struct roster_list *l, struct str key, struct roster_item **out)
{
	struct roster_item *it = calloc(1, sizeof *it + key.len + 1);
	int e;

	if (it == NULL)
		return ERR_NOMEM;
	memcpy(it->key, key.p, key.len);
	it->by_key.key = (struct str){it->key, key.len};
	if ((e = map_put(&l->items, &it->by_key)) != 0) {
		free(it);
		return e;
	}
	*out = it;
	return 0;
}

static int roster_list_put(struct roster_list *l, struct str key, struct str text)
{
	struct map_entry *e = map_get(&l->items, key);
	struct roster_item *it = e == NULL ? NULL : CONTAINER_OF(e, struct roster_item, by_key);
	char *copy = NULL;

	if (text.len == 0) {
		if (it != NULL && it->text != NULL)
			roster_list_remove(l, it);
		return 0;
	}
	if (it != NULL && it->text != NULL && str_eq(str_of(it->text), text))
		return 0;
	if ((copy = str_dup(text)) == NULL)
		return ERR_NOMEM;
	if (it == NULL && roster_item_new(l, key, &it) != 0) {
		free(copy);
		return ERR_NOMEM;
	}
	if (it->text == NULL)
		++*roster_list_count(l, it);
	if (list_linked(&it->removed)) {
		list_del(&it->removed);
		l->n_removed--;
	}
	free(it->text);
	it->text = copy;
	roster_list_touch(l, it);
	return 0;
}

int roster_list_set(struct roster_list *l, enum node_message_item_kind kind, struct str name,
		    struct str text)
{
	char key[HOSTNAME_MAX + 2] = {ROSTER_ACCOUNT};
	size_t n = kind == NODE_ITEM_HOLDS;

	CHECK(name.len <= HOSTNAME_MAX);
	memcpy(key + n, name.p, name.len);
	return roster_list_put(l, (struct str){key, n + name.len}, text);
}

void roster_feed_begin(struct roster_list *l, struct roster_feed *f, uint64_t since)
{
	roster_feed_end(f);
	f->at = MIN(since, l->seq);
	f->next = &l->order;
	/* most miss little; who has nothing misses all */
	if (f->at == 0)
		f->next = l->order.next;
	else
		while (f->next->prev != &l->order && roster_item_at(f->next->prev)->seq > f->at)
			f->next = f->next->prev;
	list_push(&l->feeds, &f->link);
}

void roster_feed_end(struct roster_feed *f)
{
	list_del(&f->link);
}

static struct node_message_item roster_item_told(const struct roster_item *it)
{
	if (roster_item_is_account(it))
		return (struct node_message_item){
			.kind = NODE_ITEM_HOLDS,
			.name = {it->key + 1, it->by_key.key.len - 1},
			.text = it->text == NULL ? STR("0;") : str_of(it->text),
		};
	return (struct node_message_item){
		.kind = it->text == NULL ? NODE_ITEM_NOT : NODE_ITEM_SERVES,
		.name = it->by_key.key,
		.text = str_of(it->text),
	};
}

void roster_feed_write(const struct roster_list *l, const struct roster_feed *f,
		       struct node_message *m, struct pen *pen, struct roster_feed *to)
{
	size_t room = (size_t)(pen->end - pen->at) - ROSTER_HEAD_MAX;
	struct list *end = f->next;

	*to = (struct roster_feed){.at = f->at};
	for (; end != &l->order; end = end->next) {
		struct node_message_item item = roster_item_told(roster_item_at(end));
		size_t len = item.name.len + item.text.len + sizeof "+  \n" - 1;

		if (len > room)
			break;
		room -= len;
		to->at = roster_item_at(end)->seq;
	}
	to->next = end;
	m->after = f->at;
	m->upto = to->at;
	m->head = l->seq;
	m->floor = l->floor;
	node_message_write(pen, m);
	for (struct list *at = f->next; at != end; at = at->next) {
		struct node_message_item item = roster_item_told(roster_item_at(at));

		CHECK(node_message_add(pen, &item));
	}
}

void roster_feed_move(struct roster_feed *f, const struct roster_feed *to)
{
	f->at = to->at;
	f->next = to->next;
}
