/* A wrong value is found here, before anything runs, and answered with what would be right. */
#include "config/value.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/num.h"
#include "config/guess.h"
#include "config/say.h"

struct value_unit {
	const char *name;
	uint64_t factor;
};

static const struct value_unit value_durations[] = {
	{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};
static const struct value_unit value_sizes[] = {
	{"G", 1 << 30},
	{"M", 1 << 20},
	{"K", 1 << 10},
	{"", 1},
};

/* A number in the largest unit that divides it. */
static void value_format(const struct config_option *row, uint64_t n, char dst[32])
{
	const struct value_unit *units =
		row->type == CONFIG_DURATION ? value_durations : value_sizes;

	while (row->type != CONFIG_NUM && units->factor > 1 && (n == 0 || n % units->factor != 0))
		units++;
	if (row->type == CONFIG_NUM || n == 0)
		str_printf(dst, 32, "%llu", (unsigned long long)n);
	else
		str_printf(dst, 32, "%llu%s", (unsigned long long)(n / units->factor), units->name);
}

void value_range(const struct config_option *row, char *dst, size_t cap)
{
	char min[32], max[32];

	dst[0] = '\0';
	if (row->type != CONFIG_NUM && row->type != CONFIG_DURATION && row->type != CONFIG_SIZE)
		return;
	value_format(row, row->min, min);
	value_format(row, row->max, max);
	if (row->max != 0)
		str_printf(dst, cap, "from %s to %s", min, max);
	else if (row->min != 0)
		str_printf(dst, cap, "from %s up", min);
}

void value_allowed(const struct config_option *row, char *dst, size_t cap)
{
	char range[80];
	size_t at;

	dst[0] = '\0';
	value_range(row, range, sizeof range);
	switch (row->type) {
	case CONFIG_FLAG: str_printf(dst, cap, "yes or no"); break;
	case CONFIG_NUM:
		str_printf(dst, cap, "a number%s%s", range[0] != '\0' ? " " : "", range);
		break;
	case CONFIG_DURATION:
		str_printf(dst, cap, "a duration%s%s, such as 500ms, 15s, 10m, 2h or 1d",
			   range[0] != '\0' ? " " : "", range);
		break;
	case CONFIG_SIZE:
		str_printf(dst, cap, "a size%s%s, such as 4096, 64K, 10M or 1G",
			   range[0] != '\0' ? " " : "", range);
		break;
	case CONFIG_ENUM:
		at = str_printf(dst, cap, "one of");
		for (size_t i = 0; row->words[i] != NULL; i++)
			at += str_printf(dst + at, cap - at, "%s %s", i > 0 ? "," : "",
					 row->words[i]);
		break;
	case CONFIG_TEXT:
	case CONFIG_SECRET:
	case CONFIG_LIST: break;
	}
}

const char *value_metavar(const struct config_option *row)
{
	if (row->metavar != NULL)
		return row->metavar;
	switch (row->type) {
	case CONFIG_FLAG: return "";
	case CONFIG_NUM: return "NUMBER";
	case CONFIG_DURATION: return "DURATION";
	case CONFIG_SIZE: return "SIZE";
	case CONFIG_ENUM: return "WORD";
	case CONFIG_LIST: return "LIST";
	default: return "TEXT";
	}
}

static int value_refuse(struct value_refusal *why, struct str what, const char *reason)
{
	why->what = what;
	str_printf(why->reason, sizeof why->reason, "%s", reason);
	return ERR_INVAL;
}

/* "is not a number from 1 to 65535". */
static int value_refuse_kind(const struct config_option *row, struct value_refusal *why,
			     struct str what)
{
	char allowed[300];

	value_allowed(row, allowed, sizeof allowed);
	why->what = what;
	str_printf(why->reason, sizeof why->reason, "is not %s", allowed);
	return ERR_INVAL;
}

static int value_parse_flag(struct str text, bool *out)
{
	static const struct {
		const char *word;
		bool flag;
	} words[] = {
		{"yes", true}, {"true", true},	 {"on", true},
		{"no", false}, {"false", false}, {"off", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (!str_eq_nocase(text, str_of(words[i].word)))
			continue;
		*out = words[i].flag;
		return 0;
	}
	return ERR_INVAL;
}

static int value_parse_number(const struct config_option *row, struct str text, uint64_t *out)
{
	uint64_t n;
	int e = row->type == CONFIG_NUM	       ? num_parse(text, UINT64_MAX, &n)
		: row->type == CONFIG_DURATION ? num_parse_duration(text, &n)
					       : num_parse_size(text, &n);

	if (e != 0 || n < row->min || (row->max != 0 && n > row->max))
		return ERR_INVAL;
	*out = n;
	return 0;
}

static int value_parse_word(const struct config_option *row, struct str text, union value *out,
			    struct value_refusal *why)
{
	struct guess g = {.word = text};
	size_t at;

	for (int i = 0; row->words[i] != NULL; i++) {
		if (str_eq(text, str_of(row->words[i]))) {
			out->word = i;
			return 0;
		}
		guess_offer(&g, row->words[i]);
	}
	(void)value_refuse_kind(row, why, text);
	at = strlen(why->reason);
	if (g.best != NULL)
		str_printf(why->reason + at, sizeof why->reason - at, "; did you mean %s?", g.best);
	return ERR_INVAL;
}

/* What every value passes, whatever its type: length, and the row's own check. */
static int value_check(const struct config_option *row, struct str text, struct value_refusal *why)
{
	int e;

	if (text.len > CONFIG_TEXT_MAX)
		return value_refuse(why, text, "is too long: 64 KiB are the most");
	if (row->check == NULL)
		return 0;
	why->reason[0] = '\0';
	if ((e = row->check(text, why->reason, sizeof why->reason)) == 0)
		return 0;
	why->what = text;
	if (why->reason[0] == '\0')
		str_printf(why->reason, sizeof why->reason, "is refused: %s", err_text(e));
	return e == ERR_NOMEM ? e : ERR_INVAL;
}

/* Make room for n more items. */
static int value_reserve(struct config_list *list, size_t more)
{
	char **v;

	if (list->n + more > CONFIG_LIST_MAX)
		return ERR_LIMIT;
	if ((v = realloc(list->v, (list->n + more) * sizeof(*v))) == NULL)
		return ERR_NOMEM;
	list->v = v;
	return 0;
}

/* The item of a CONFIG_MAP list that has the name of this one; NULL if there is none. */
static const char *value_same_name(const struct config_list *list, struct str item)
{
	struct str name = {item.p, str_find(item, '=')};

	for (size_t i = 0; i < list->n; i++)
		if (strncmp(list->v[i], name.p, name.len) == 0 && list->v[i][name.len] == '=')
			return list->v[i];
	return NULL;
}

int value_add(const struct config_option *row, struct str item, union value *v,
	      struct value_refusal *why)
{
	int e;

	if (item.len == 0)
		return value_refuse(why, item, "is an empty item");
	if ((row->flags & CONFIG_MAP) && str_find(item, '=') == item.len) {
		why->what = item;
		str_printf(why->reason, sizeof why->reason, "is not of the form %s",
			   row->metavar == NULL ? "NAME=VALUE" : row->metavar);
		return ERR_INVAL;
	}
	if ((e = value_check(row, item, why)) != 0)
		return e;
	if ((row->flags & CONFIG_MAP) && value_same_name(&v->list, item) != NULL)
		return value_refuse(why, item, "has a name that is there already");
	if ((e = value_reserve(&v->list, 1)) == ERR_LIMIT)
		return value_refuse(why, item, "is one item too many: 1024 are the most");
	if (e != 0)
		return e;
	if ((v->list.v[v->list.n] = str_dup(item)) == NULL)
		return ERR_NOMEM;
	v->list.n++;
	return 0;
}

static int value_parse_list(const struct config_option *row, struct str text, union value *out,
			    struct value_refusal *why)
{
	struct str rest = text, item;
	int e = 0;

	if (text.len == 0)
		return 0;
	if (row->flags & CONFIG_WHOLE) {
		e = value_add(row, text, out, why);
		rest.p = NULL;
	}
	while (e == 0 && str_next(&rest, ',', &item))
		e = value_add(row, str_trim(item), out, why);
	if (e != 0)
		value_free(row, out);
	return e;
}

int value_parse(const struct config_option *row, struct str text, union value *out,
		struct value_refusal *why)
{
	int e = 0;

	memset(out, 0, sizeof *out);
	why->what = text;
	if (row->type == CONFIG_LIST)
		return value_parse_list(row, text, out, why);
	if (row->type == CONFIG_ENUM) {
		if ((e = value_parse_word(row, text, out, why)) != 0)
			return e;
	} else if (row->type == CONFIG_FLAG) {
		e = value_parse_flag(text, &out->flag);
	} else if (row->type == CONFIG_NUM || row->type == CONFIG_DURATION ||
		   row->type == CONFIG_SIZE) {
		e = value_parse_number(row, text, &out->number);
	}
	if (e != 0)
		return value_refuse_kind(row, why, text);
	if ((e = value_check(row, text, why)) != 0)
		return e;
	if ((row->type == CONFIG_TEXT || row->type == CONFIG_SECRET) &&
	    (out->text = str_dup(text)) == NULL)
		return ERR_NOMEM;
	return 0;
}

void value_clear(const struct config_option *row, void *member)
{
	struct config_list *list;
	char **text;

	switch (row->type) {
	case CONFIG_TEXT:
	case CONFIG_SECRET:
		text = member;
		free(*text);
		*text = NULL;
		break;
	case CONFIG_LIST:
		list = member;
		for (size_t i = 0; i < list->n; i++)
			free(list->v[i]);
		free(list->v);
		memset(list, 0, sizeof *list);
		break;
	case CONFIG_FLAG: *(bool *)member = false; break;
	case CONFIG_ENUM: *(int *)member = 0; break;
	case CONFIG_NUM:
	case CONFIG_DURATION:
	case CONFIG_SIZE: *(uint64_t *)member = 0; break;
	}
}

void value_free(const struct config_option *row, union value *v)
{
	if (row->type == CONFIG_TEXT || row->type == CONFIG_SECRET || row->type == CONFIG_LIST)
		value_clear(row, v);
}

/* Move the items of one list to the end of another. */
static int value_append(const struct config_option *row, struct config_list *to,
			struct config_list *from)
{
	int e;

	if (from->n == 0)
		return 0;
	for (size_t i = 0; (row->flags & CONFIG_MAP) && i < from->n; i++)
		if (value_same_name(to, str_of(from->v[i])) != NULL)
			return ERR_EXISTS;
	if ((e = value_reserve(to, from->n)) != 0)
		return e;
	memcpy(to->v + to->n, from->v, from->n * sizeof(*from->v));
	to->n += from->n;
	from->n = 0;
	return 0;
}

int value_store(const struct config_option *row, union value *v, void *member, bool append)
{
	int e = 0;

	if (row->type != CONFIG_LIST || !append)
		value_clear(row, member);
	switch (row->type) {
	case CONFIG_FLAG: *(bool *)member = v->flag; break;
	case CONFIG_NUM:
	case CONFIG_DURATION:
	case CONFIG_SIZE: *(uint64_t *)member = v->number; break;
	case CONFIG_ENUM: *(int *)member = v->word; break;
	case CONFIG_TEXT:
	case CONFIG_SECRET: MOVE(*(char **)member, v->text); break;
	case CONFIG_LIST:
		e = value_append(row, member, &v->list);
		value_free(row, v);
		break;
	}
	return e;
}

void value_print(const struct config_option *row, const void *member, FILE *out)
{
	const struct config_list *list = member;
	char number[32];

	switch (row->type) {
	case CONFIG_FLAG: fputs(*(const bool *)member ? "true" : "false", out); break;
	case CONFIG_NUM:
	case CONFIG_DURATION:
	case CONFIG_SIZE:
		value_format(row, *(const uint64_t *)member, number);
		fputs(number, out);
		break;
	case CONFIG_ENUM: fprintf(out, "\"%s\"", row->words[*(const int *)member]); break;
	case CONFIG_TEXT:
	case CONFIG_SECRET: say_print_quoted(out, str_of(*(char *const *)member)); break;
	case CONFIG_LIST:
		fputc('[', out);
		for (size_t i = 0; i < list->n; i++) {
			fputs(i > 0 ? ", " : "", out);
			say_print_quoted(out, str_of(list->v[i]));
		}
		fputc(']', out);
		break;
	}
}
