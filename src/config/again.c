/* --show-config writes a file; a unit of a service manager needs a command line. */
#include "config/again.h"

#include <stdio.h>

#include "config/slot.h"

static bool again_has(const struct config_table *t, const struct config_option *row)
{
	for (size_t i = 0; i < t->n; i++)
		if (&t->rows[i] == row)
			return true;
	return false;
}

/* Does the other command take it? By the row, which commands share. */
static bool again_takes(const struct config_program *p, const struct config_command *as,
			const struct config_option *row)
{
	for (size_t i = 0; i < p->n_tables; i++)
		if (again_has(&p->tables[i], row))
			return true;
	for (size_t i = 0; as != NULL && i < as->n_tables; i++)
		if (again_has(&as->tables[i], row))
			return true;
	return false;
}

static int again_number(const struct slot *s, again_fn fn, void *arg)
{
	char text[32];

	str_printf(text, sizeof text, "%llu%s", (unsigned long long)*(const uint64_t *)s->member,
		   s->row->type == CONFIG_DURATION ? "ms" : "");
	return fn(arg, s->row, text);
}

static int again_list(const struct slot *s, again_fn fn, void *arg)
{
	const struct config_list *list = s->member;
	int e = list->n == 0 ? fn(arg, s->row, "") : 0;

	for (size_t i = 0; i < list->n && e == 0; i++)
		e = fn(arg, s->row, list->v[i]);
	return e;
}

static int again_one(const struct slot *s, again_fn fn, void *arg)
{
	switch (s->row->type) {
	case CONFIG_FLAG: return fn(arg, s->row, *(const bool *)s->member ? "yes" : "no");
	case CONFIG_NUM:
	case CONFIG_DURATION:
	case CONFIG_SIZE: return again_number(s, fn, arg);
	case CONFIG_ENUM: return fn(arg, s->row, s->row->words[*(const int *)s->member]);
	case CONFIG_TEXT:
	case CONFIG_SECRET: return fn(arg, s->row, *(char *const *)s->member);
	case CONFIG_LIST: return again_list(s, fn, arg);
	}
	return 0;
}

int again_each(const struct config *c, const struct config_command *as, again_fn fn, void *arg)
{
	int e = 0;

	for (size_t i = 0; i < c->n_slots && e == 0; i++) {
		const struct slot *s = &c->slots[i];

		if (s->source >= CONFIG_ENV && !s->own && !s->arg && s->member != NULL &&
		    again_takes(c->program, as, s->row))
			e = again_one(s, fn, arg);
	}
	return e;
}
