/* The rows say where a value is and of what type; so nothing needs to be listed twice. */
#include "app/settings_diff.h"

#include <string.h>

static bool settings_same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool settings_same_list(const struct config_list *a, const struct config_list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i], b->v[i]) != 0)
			return false;
	return true;
}

static bool settings_same(const struct config_option *row, const void *a, const void *b)
{
	switch (row->type) {
	case CONFIG_FLAG: return *(const bool *)a == *(const bool *)b;
	case CONFIG_TEXT:
	case CONFIG_SECRET: return settings_same_text(*(char *const *)a, *(char *const *)b);
	case CONFIG_NUM:
	case CONFIG_DURATION:
	case CONFIG_SIZE: return *(const uint64_t *)a == *(const uint64_t *)b;
	case CONFIG_ENUM: return *(const int *)a == *(const int *)b;
	case CONFIG_LIST: return settings_same_list(a, b);
	}
	return false;
}

void settings_diff(const struct config_program *p, const void *a, const void *b,
		   void (*each)(void *arg, const struct config_option *row), void *arg)
{
	for (size_t i = 0; i < p->n_tables; i++)
		for (size_t k = 0; k < p->tables[i].n; k++) {
			const struct config_option *row = &p->tables[i].rows[k];

			if (!settings_same(row, (const char *)a + row->offset,
					   (const char *)b + row->offset))
				each(arg, row);
		}
}
