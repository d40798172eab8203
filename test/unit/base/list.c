/* Links in their members: order, taking out, moving whole lists. */
#include "base/list.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

struct item {
	char name;
	struct list link;
};

static char item_name(struct list *link)
{
	return CONTAINER_OF(link, struct item, link)->name;
}

/* Forwards and backwards. */
static void assert_order(struct list *head, const char *want)
{
	size_t n = strlen(want), i = 0;

	LIST_FOR_EACH (it, head) {
		assert_true(i < n);
		assert_int_equal(item_name(it), want[i++]);
	}
	assert_int_equal(i, n);
	for (struct list *it = head->prev; it != head; it = it->prev)
		assert_int_equal(item_name(it), want[--i]);
	assert_int_equal(i, 0);
}

static void test_push_unshift_pop(void **state)
{
	struct item a = {'a', {0}}, b = {'b', {0}}, c = {'c', {0}};
	struct list head;

	list_init(&head);
	assert_true(list_empty(&head));
	assert_null(list_pop(&head));
	list_push(&head, &b.link);
	list_push(&head, &c.link);
	list_unshift(&head, &a.link);
	assert_false(list_empty(&head));
	assert_order(&head, "abc");
	assert_ptr_equal(list_pop(&head), &a.link);
	assert_false(list_linked(&a.link));
	assert_order(&head, "bc");
}

static void test_del(void **state)
{
	struct item a = {'a', {0}}, b = {'b', {0}}, c = {'c', {0}}, d = {'d', {0}};
	struct list head;

	list_init(&head);
	list_del(&a.link); /* in no list: harmless */
	list_push(&head, &a.link);
	list_push(&head, &b.link);
	list_push(&head, &c.link);
	list_add_before(&c.link, &d.link);
	assert_order(&head, "abdc");
	list_del(&b.link);
	list_del(&b.link);
	assert_false(list_linked(&b.link));
	assert_true(list_linked(&a.link));
	assert_order(&head, "adc");
	list_del(&c.link);
	assert_order(&head, "ad");
	list_del(&a.link);
	list_del(&d.link);
	assert_order(&head, "");
	assert_true(list_empty(&head));
}

static void test_delete_while_walking(void **state)
{
	struct item items[5];
	struct list head;

	list_init(&head);
	for (int i = 0; i < 5; i++) {
		items[i] = (struct item){(char)('a' + i), {0}};
		list_push(&head, &items[i].link);
	}
	LIST_FOR_EACH_SAFE (it, &head)
		if (item_name(it) % 2 == 1)
			list_del(it);
	assert_order(&head, "bd");
}

static void test_splice(void **state)
{
	static const struct {
		const char *why, *to, *from, *want;
	} cases[] = {
		{"both have members", "ab", "cd", "abcd"}, {"nothing to move", "ab", "", "ab"},
		{"into an empty list", "", "cd", "cd"},	   {"nothing into nothing", "", "", ""},
		{"one behind one", "a", "b", "ab"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct item items[8] = {0};
		struct list to, from;
		int n = 0;

		print_message("%s\n", cases[i].why);
		list_init(&to);
		list_init(&from);
		for (const char *p = cases[i].to; *p != '\0'; p++, n++) {
			items[n].name = *p;
			list_push(&to, &items[n].link);
		}
		for (const char *p = cases[i].from; *p != '\0'; p++, n++) {
			items[n].name = *p;
			list_push(&from, &items[n].link);
		}
		list_splice(&to, &from);
		assert_order(&to, cases[i].want);
		assert_order(&from, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_push_unshift_pop),
		cmocka_unit_test(test_del),
		cmocka_unit_test(test_delete_while_walking),
		cmocka_unit_test(test_splice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
