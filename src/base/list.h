/* A doubly linked list whose links live in its members. */
#ifndef KAREZ_BASE_LIST_H
#define KAREZ_BASE_LIST_H

#include "base/util.h"

/* A member's links, or a list's head. All zero, or after list_del, means "in no list". */
struct list {
	struct list *prev, *next;
};

static inline void list_init(struct list *head)
{
	head->prev = head->next = head;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

/* Is this member in a list now? */
static inline bool list_linked(const struct list *member)
{
	return member->next != NULL;
}

static inline void list_add_before(struct list *where, struct list *member)
{
	member->prev = where->prev;
	member->next = where;
	where->prev->next = member;
	where->prev = member;
}

/* Append to the end of the list. */
static inline void list_push(struct list *head, struct list *member)
{
	list_add_before(head, member);
}

/* Put at the front of the list. */
static inline void list_unshift(struct list *head, struct list *member)
{
	list_add_before(head->next, member);
}

/* Take out; harmless when it is in no list. */
static inline void list_del(struct list *member)
{
	if (member->next == NULL)
		return;
	member->prev->next = member->next;
	member->next->prev = member->prev;
	member->prev = member->next = NULL;
}

/* Take the first member out; NULL when the list is empty. */
static inline struct list *list_pop(struct list *head)
{
	struct list *first = head->next;

	if (first == head)
		return NULL;
	list_del(first);
	return first;
}

/* Move all members of `from` to the end of `to`. */
static inline void list_splice(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#define LIST_FOR_EACH(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)

/* The current member may be deleted in the body; no other one may. */
#define LIST_FOR_EACH_SAFE(it, head)                                              \
	for (struct list *it = (head)->next, *it##_next = it->next; it != (head); \
	     it = it##_next, it##_next = it->next)

#endif
